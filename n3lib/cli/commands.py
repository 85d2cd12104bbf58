"""`n3`: every subcommand is one call into the library.

The function of `n3 data info` is `_data_info`, unless `commands.json`, which has its arguments, names one of
the library. What they need is imported within them: `n3 --help` waits for no PyTorch.
"""

import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from n3lib.cli.parser import build_parser
from n3lib.io import N3Error, printable, read_json, tell, warn
from n3lib.io.console import anywhere, noted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `n3`: bad input costs one line and exit code 2, an interrupt 130, a pipe that is closed 141."""
    with anywhere() as errors:
        try:
            return _run(arguments, errors)
        except BrokenPipeError:  # nobody reads on, as in `n3 classify ... | head -1`
            return 141


def _run(arguments: Sequence[str] | None, errors: Any) -> int:
    options = Namespace(debug=False, resumes=False)
    with noted(signal.SIGINT, raised=True) as caught:
        try:
            try:
                return _call(arguments, options)
            finally:
                sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            if caught or isinstance(error, KeyboardInterrupt):
                goes_on = "the same command goes on where it stopped"
                warn(f"stopped; {goes_on if options.resumes else 'nothing was written'}")
                return 130
            # An OSError: a full disk, a folder that may not be written.
            told = isinstance(error, N3Error | OSError) and not isinstance(error, BrokenPipeError)
            if not told or options.debug:
                raise
            print(f"n3: {printable(error)}", file=errors)
            return 2


def _call(arguments: Sequence[str] | None, options: Namespace) -> int:
    parser = build_parser()
    _, rest = parser.parse_known_args(arguments, options)
    from pkgutil import resolve_name  # not for help, which has ended above

    given = dict(vars(options))
    if given.pop("overrides"):
        root = given.pop("data_root")
        given["overrides"] = [f"--data.root={root}", *rest] if root else rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    for name in ("command", "action", "call", "resumes", "debug"):
        given.pop(name, None)
    code = resolve_name(f"n3lib.{options.call}")(**given)
    return code if isinstance(code, int) else 0


def _train(config: str, output: Path, overrides: list[str]) -> None:
    from n3lib.config import read_config
    from n3lib.run import train

    run = train(read_config(config, overrides), output)
    tell(f"trained: {run.folder}")


def _evaluate(run: Path, encoder: str, data_root: str, output: Path | None, **how: Any) -> None:
    import dataclasses

    from n3lib.data import load_data
    from n3lib.evaluation import evaluate, question
    from n3lib.io import check_writable
    from n3lib.run import Run

    opened = Run.load(run, encoder)
    data = dataclasses.replace(opened.config.data, root=data_root or opened.config.data.root)
    path = output or run / "result.json"
    check_writable(path)
    dataset = load_data(data)
    asked = question(opened, dataset, **how)
    # A file that the user named belongs to one question; the run's own holds its last result.
    asked, edition = (asked, data) if output else ({"study": "main"}, None)
    result = _answer(path, asked, edition, lambda: evaluate(opened, dataset, **how))
    told = result["metrics"]
    tell(
        f"{result['method']} on {result['dataset']} {result['split']} {result['part']}, "
        f"{result['ways']}-way: "
        f"per-class accuracy {told['per_class_accuracy']:.1f} %, top-5 {told['top5']:.1f} %, "
        f"average precision {told['average_precision']:.1f} % (chance {result['chance']:.1f} %)"
    )


def _saliency(run: Path, encoder: str, data_root: str, output: Path | None) -> None:
    import dataclasses

    from n3lib.experiments.fingerprints import stamp
    from n3lib.experiments.saliency import measure_boxes, question, result_path
    from n3lib.run import Run

    opened = Run.load(run, encoder)
    data = dataclasses.replace(opened.config.data, root=data_root or opened.config.data.root)
    path = output or result_path(opened)
    told = _answer(path, question(opened), data, lambda: stamp(measure_boxes(opened, data.root)))["metrics"]
    tell(f"{told['inside']:.1f} % in the boxes, which cover {told['even']:.1f} % of the pictures")


def _answer(path: Path, question: Any, data: Any, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Measure a result and write it with the command that was typed, unless the file is another's."""
    import shlex

    from n3lib.experiments.results import answered, write_result
    from n3lib.io import check_writable

    check_writable(path)
    answered(path, question, data)
    tell(f"the result goes to {path}")
    # Bytes that are not UTF-8, which no JSON file holds, are escaped.
    result = measure() | {"command": printable(shlex.join(["n3", *sys.argv[1:]]))}
    write_result(path, result)
    return result


def _table(name: str, dataset: str, config: str, output: Path, overrides: list[str], **only: Any) -> None:
    from n3lib.experiments.tables import SEEDS, run_table, show_table

    if dataset:
        rows = only["split"], only["method"], only["seed"] or SEEDS
        run_table(name, dataset, output, config, overrides, *rows)
    elif overrides or any(only.values()):
        raise N3Error(f"{name} is only shown, not run, without a dataset", "Name one with --dataset")
    for line in str(show_table(name, output, dataset)).split("\n"):
        tell(line)


def _pack(folder: Path, path: Path) -> None:
    from n3lib.run import Run

    tell(f"{Run.load(folder).pack(path).stat().st_size / 1e6:.1f} MB: {path}")


def _runs(shown: str, url: str, sha256: str, name: str) -> None:
    from n3lib.io.errors import choose
    from n3lib.pretrained.runs import about, add_run, known_runs

    if shown:
        known = {path.stem: path for path in known_runs()}
        for one in about(choose(shown, known, "there is no run"))["names"]:
            tell(one)
        return

    if url:
        tell(f"added: {add_run(url, sha256, name).stem}")
        return
    for path in (runs := known_runs()):
        told = "{classes} classes of {data}, {backbone} at {size} px, {megabytes:.1f} MB"
        tell(f"{path.stem}: {told.format(**about(path))}")
        if (card := path.with_suffix(".md")).is_file():
            tell(f"  its card: {card}")
    if not runs:
        tell("no run has a name; fetch one: n3 runs --add URL --sha256 DIGITS")


def _synthesize(
    run: Path,
    classes: Path | None,
    names: list[str],
    output: Path,
    encoder: str,
    onnx: bool,
    pixels: bool,
    force: bool,
) -> None:
    from n3lib.data.texts import parse_classes, read_classes
    from n3lib.io import check_writable
    from n3lib.run import Run
    from n3lib.synthesis import save, synthesize
    from n3lib.text.remarks import remarks

    check_writable(output, folder=True)
    opened = Run.load(run, encoder)
    described = read_classes(classes, opened.seen) if classes else {}
    if again := described.keys() & {*names}:
        raise N3Error(f"{min(again)} is in {classes} too", "Name it once")
    descriptions = parse_classes({**described, **dict.fromkeys(names)}, known=opened.seen)
    lines, strange = remarks(opened.pipeline, descriptions)
    for line in lines:
        warn(line)
    if strange and not force:
        problem = (
            f"no text of the run has a word of {', '.join(strange)}: answers about it would mean nothing"
        )
        raise N3Error(problem, "Reword it, or use --force")
    save(synthesize(opened, descriptions), output, onnx or pixels, pixels)
    named = ", ".join([*descriptions][:20]) + (", ..." if len(descriptions) > 20 else "")
    tell(f"a network for {len(descriptions)} classes, {named}: {output}")


def _classify(
    network: Path, images: list[str], top: int, views: int, csv: Path | None, json: Path | None
) -> int:
    from itertools import chain

    from tqdm import tqdm

    from n3lib.cli.answers import as_csv, as_json
    from n3lib.data.images import find_images
    from n3lib.io import check_writable
    from n3lib.io.files import write_text
    from n3lib.synthesis import Answer, answers, load

    loaded, found, problems = load(network), list[Answer](), list[N3Error]()
    loaded.views = views or loaded.views
    files = {path: form for path, form in ((csv, as_csv), (json, as_json)) if path}
    for path in files:
        check_writable(path)
    lines = (line.rstrip("\r\n") for line in sys.stdin)
    named = chain.from_iterable(filter(None, lines) if one == "-" else [one] for one in images)
    for answer in tqdm(answers(loaded, find_images(named), top), unit="image", disable=not files or None):
        if answer.problem:
            problems.append(answer.problem)
            continue
        found.append(answer)
        if not files:
            tell(f"{answer.path}{': unknown, like none of the classes' if answer.known is False else ''}")
            for label, share in answer.best:
                tell(f"  {100 * share:5.1f} %  {label}")
    for path, form in files.items():
        write_text(path, form(found))
        tell(f"{len(found)} images classified: {path}")
    if not found and len(problems) == 1:
        raise problems[0]
    for problem in problems:  # after the answers, among which they would be lost
        warn(problem)
    if not found:
        raise N3Error(
            f"none of {len(problems)} images was classified", "Name image files, or folders of them"
        )
    if problems:
        warn(f"{len(problems)} of {len(problems) + len(found)} images were skipped")
    return int(bool(problems))


def _data_info(dataset: str, root: str, split: str, text: str) -> None:
    from n3lib.data import GENERATED, DataConfig, find_source, load_data

    generated = dataset in GENERATED
    if generated and (root or split):
        what = f"folder {root}" if root else f"split {split}"
        raise N3Error(f"{dataset} is generated and has no {what}", "Leave it out")
    split = split or ("" if generated else next(iter(find_source(dataset).splits)))
    data = load_data(DataConfig(dataset, root=root, split=split, text=text))
    words = sorted(sum(len(s.split()) for s in text) for text in data.texts)
    tell(f"{data.name}: {len(data.classes)} classes, {len(data.images)} images")
    for part in ("train", "val", "test"):
        ids = data.split.part(part)
        tell(f"  {data.split.name} {part}: {len(ids)} classes, {len(data.indices(ids))} images")
    tell(f"  words per description: {words[0]} to {words[-1]}, median {words[len(words) // 2]}")


def _data_download(dataset: str, root: str, held: Path | None) -> None:
    from n3lib.data import find_photographs
    from n3lib.data.photographs.acquisition import fetch_dataset

    source, folder = find_photographs(dataset, root)
    odd = fetch_dataset(source, folder, held)
    for line in (*(f"{one}, but holds the whole dataset" for one in odd), source.title, source.terms):
        tell(line)
    tell(f"in {root}; next: n3 data verify {source.name}")


def _data_verify(dataset: str, root: str) -> None:
    from n3lib.data import find_photographs
    from n3lib.data.photographs.acquisition import verify

    source, folder = find_photographs(dataset, root)
    for problem in (problems := verify(source, folder)):
        tell(problem)
    if problems:
        raise N3Error(f"{root} does not hold {source.name} as published", "See the lines above")
    tell(f"{source.name}: {source.classes} classes, {source.images} images, all of them sound")


def _data_describe(
    dataset: str, root: str, titles: Path | None, fill: Path | None, output: Path | None, **how: str
) -> None:
    from n3lib.data import find_photographs
    from n3lib.data.wikipedia.articles import TITLES
    from n3lib.data.wikipedia.descriptions import describe, read_titles

    source, folder = find_photographs(dataset, root)
    path = output or folder / source.text
    classes = source.index(folder).classes
    _check_section(path, how["section"])
    # The user's last: of two titles for one class, the last counts.
    known = TITLES[source.name] | (read_titles(titles, classes) if titles else {})
    tell(collected := describe(classes, path, titles=known, fill=fill, **how))
    collected.require_all()


def _check_section(path: Path, section: str) -> None:
    """Refuse texts of another section, which would be asked for anew and replaced one by one."""
    held = read_json(path) if path.is_file() else {}
    entries = held.values() if isinstance(held, dict) else ()
    asked = [entry.get("asked") for entry in entries if isinstance(entry, dict)]
    sections = {str(one.get("section")) for one in asked if isinstance(one, dict)}
    if sections and section not in sections:
        problem = f"{path} holds the section {', '.join(sorted(sections))!r}, and {section!r} is asked for"
        raise N3Error(problem, "Choose another -o, or delete this file")


def _data_embed(dataset: str, root: str, encoder: str, context: Any, text: str) -> None:
    from n3lib.data import DataConfig, read_descriptions
    from n3lib.io import check_writable
    from n3lib.io.files import cache_dir
    from n3lib.text.cache import encode_texts
    from n3lib.text.encoders import make_encoder
    from n3lib.text.pipeline import TextConfig, arranged

    check_writable(cache_dir() / "text", True, "Set N3_CACHE to a writable folder")
    encodes = make_encoder(encoder)
    texts = read_descriptions(DataConfig(dataset, root=root, text=text))
    encoded = encode_texts(encodes, arranged(texts, TextConfig(context=context)))
    tokens = sum(len(one.embeddings) for text in encoded for one in text)
    what = f"{len(texts)} descriptions, {tokens:,} tokens of {encodes.width} numbers"
    tell(f"{encodes.name}: {what} in the cache")
