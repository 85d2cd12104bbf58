"""`n3`: every subcommand is one call into the library."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from n3lib.config import RunConfig, read_config, settings
from n3lib.errors import N3Error

RawHelp = argparse.RawDescriptionHelpFormatter


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `n3`; bad input ends with one line and exit code 2, an interrupt with 130."""
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "train":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.overrides = rest
    try:
        options.call(options)
    except (N3Error, OSError) as error:  # an OSError: a full disk, a folder that may not be written
        if options.debug:
            raise
        print(f"n3: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("n3: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of `n3` and its subcommands."""
    parser = argparse.ArgumentParser(
        prog="n3", description="Written descriptions in, neural network out.", formatter_class=RawHelp
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, call: Callable[[argparse.Namespace], None], text: str, example: str
    ) -> argparse.ArgumentParser:
        # No abbreviations: `n3 train` passes on what it does not know, such as --data.root.
        sub = commands.add_parser(
            name, help=text, description=text, epilog=f"example:\n  {example}", formatter_class=RawHelp,
            allow_abbrev=False,
        )  # fmt: skip
        sub.set_defaults(call=call)
        return sub

    sub = command(
        "data", _data, "show a dataset, or pretrain the aviary's backbone", "n3 data info configs/aviary.yaml"
    )
    what = "info: classes, images, split; backbone: pretrain"
    sub.add_argument("action", choices=["info", "backbone"], help=what)
    sub.add_argument("config", nargs="?", help="configuration that names the data (info)")
    sub.add_argument("--data-root", help="folder that holds the dataset")
    sub.add_argument("-o", "--output", type=Path, help="where the backbone's weights go")

    sub = command(
        "train", _train, "train N3 into a run folder; the same command resumes a stopped run",
        "n3 train configs/aviary.yaml -o runs/aviary --train.steps=500",
    )  # fmt: skip
    sub.add_argument("config", help="YAML file; any setting can be overridden: --model.d=64 --seed=1")
    sub.add_argument("-o", "--output", type=Path, required=True, help="the run folder")
    sub.add_argument("--data-root", help="folder that holds the dataset")
    sub.epilog = "\n  ".join([f"{sub.epilog}\n\nsettings and their defaults:", *settings()])

    sub = command(
        "evaluate", _evaluate, "measure a run on unseen classes and write the result as JSON",
        "n3 evaluate runs/aviary --ways 20 -o results/aviary-20.json",
    )  # fmt: skip
    sub.add_argument("run", type=Path, help="the run folder")
    sub.add_argument("--ways", type=int, default=0, help="classes of a task (default: all of the part)")
    sub.add_argument("--part", choices=["test", "val"], default="test", help="which classes (default: test)")
    sub.add_argument("--permutations", type=int, default=10, help="orders or tasks drawn (default: 10)")
    sub.add_argument("--control", choices=["own", "shuffled"], default="own", help="whose texts are read")
    sub.add_argument("--data-root", help="folder that holds the dataset, where it has moved")
    sub.add_argument("-o", "--output", type=Path, help="the JSON file (default: RUN/result.json)")

    sub = command(
        "synthesize", _synthesize, "write a network from descriptions",
        "n3 synthesize runs/aviary classes.json -o bird-net/",
    )  # fmt: skip
    sub.add_argument("run", type=Path, help="the run folder")
    sub.add_argument("classes", type=Path, help='JSON file: {"class": "text" or ["sentence", ...], ...}')
    sub.add_argument("-o", "--output", type=Path, required=True, help="folder for the network")
    sub.add_argument("--onnx", action="store_true", help="write network.onnx too (needs the onnx extra)")

    sub = command("classify", _classify, "name what images show", "n3 classify bird-net/ photos/*.jpg")
    sub.add_argument("network", type=Path, help="folder of a synthesized network")
    sub.add_argument("images", nargs="+", type=Path, help="image files")
    sub.add_argument("--top", type=int, default=5, help="classes an image (default: 5)")
    return parser


def _config(options: argparse.Namespace, overrides: Sequence[str] = ()) -> RunConfig:
    roots = [f"--data.root={options.data_root}"] if options.data_root else []
    return read_config(options.config, [*roots, *overrides])


def _data(options: argparse.Namespace) -> None:
    if options.action == "backbone":
        from n3lib.pretrain import pretrain

        pretrain(options.output)
        return
    from n3lib.data import load_data

    if not options.config:
        raise N3Error("n3 data info needs a configuration", "Such as configs/aviary.yaml")
    dataset = load_data(_config(options).data)
    split = dataset.split
    words = sorted(sum(len(s.split()) for s in text) for text in dataset.texts)
    print(f"{dataset.name}: {len(dataset.classes)} classes, {len(dataset.images)} images")
    for part in ("train", "val", "test"):
        ids = split.part(part)
        print(f"  {split.name} {part}: {len(ids)} classes, {len(dataset.indices(ids))} images")
    print(f"  words a description: {words[0]} to {words[-1]}, median {words[len(words) // 2]}")


def _train(options: argparse.Namespace) -> None:
    from n3lib.run import train

    run = train(_config(options, options.overrides), options.output)
    print(f"trained: {run.folder}")


def _evaluate(options: argparse.Namespace) -> None:
    import dataclasses
    import shlex

    from n3lib.data import load_data
    from n3lib.evaluate import evaluate
    from n3lib.files import write_json
    from n3lib.run import Run

    run = Run.load(options.run)
    data = run.config.data
    if options.data_root:
        data = dataclasses.replace(data, root=options.data_root)
    result = evaluate(run, load_data(data), options.part, options.ways, options.permutations, options.control)
    result["command"] = shlex.join(["n3", *sys.argv[1:]])
    output = options.output or options.run / "result.json"
    write_json(output, result)
    told = result["metrics"]
    print(
        f"{result['method']} on {result['dataset']} {result['split']} {result['part']}, "
        f"{result['ways']}-way: "
        f"per-class accuracy {told['per_class_accuracy']:.1f} %, top-5 {told['top5']:.1f} %, "
        f"average precision {told['average_precision']:.1f} % (chance {result['chance']:.1f} %)\n{output}"
    )


def _synthesize(options: argparse.Namespace) -> None:
    from n3lib.data.texts import read_classes
    from n3lib.run import Run
    from n3lib.synthesize import save, synthesize

    classes = read_classes(options.classes)
    network = synthesize(Run.load(options.run), classes)
    save(network, options.output, options.onnx)
    print(f"a network for {len(classes)} classes: {options.output}")


def _classify(options: argparse.Namespace) -> None:
    from n3lib.synthesize import classify, load

    network = load(options.network)
    for path in options.images:
        print(path)
        for label, share in classify(network, [path], options.top)[0]:
            print(f"  {100 * share:5.1f} %  {label}")
