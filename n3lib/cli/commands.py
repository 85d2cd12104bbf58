"""`n3`: every subcommand is one call into the library.

The function of `n3 train` is `_train` here, that of `n3 data info` is `_info` in `data.py`, unless
`commands.json`, which has their arguments, names the library's own. What they need is imported within them:
`n3 --help` waits for no PyTorch.
"""

import signal
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from n3lib.cli.parser import build_parser
from n3lib.io import N3Error, printable, tell, warn
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
                _call(arguments, options)
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
    return 0


def _call(arguments: Sequence[str] | None, options: Namespace) -> None:
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
    resolve_name(f"n3lib.{options.call}")(**given)


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


def _synthesize(run: Path, classes: Path, output: Path, encoder: str, onnx: bool) -> None:
    from n3lib.data.texts import read_classes
    from n3lib.io import check_writable
    from n3lib.run import Run
    from n3lib.synthesis import remarks, save, synthesize

    descriptions = read_classes(classes)
    check_writable(output, folder=True)
    opened = Run.load(run, encoder)
    for line in remarks(opened, descriptions):
        warn(line)
    save(synthesize(opened, descriptions), output, onnx)
    tell(f"a network for {len(descriptions)} classes: {output}")


def _classify(network: Path, images: list[Path], top: int) -> None:
    from n3lib.synthesis import classify, load

    loaded, problems = load(network), []
    classify(loaded, [], top)  # a wrong --top is refused here, not once for each image
    for path in images:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module="PIL")  # one line for each bad image, and only ours
                (best,) = classify(loaded, path, top)
        except N3Error as error:
            problems.append(error)
            continue
        tell(path)
        for label, share in best:
            tell(f"  {100 * share:5.1f} %  {label}")
    # After the answers, among which they would be lost; `main` reports the last one.
    for problem in problems[:-1]:
        warn(problem)
    if problems:
        raise problems[-1]
