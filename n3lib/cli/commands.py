"""`n3`: every subcommand is one call into the library."""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from n3lib.cli.data import add_actions, as_path
from n3lib.cli.parser import Parser, Version
from n3lib.io.console import anywhere, interrupts, tell, warn
from n3lib.io.errors import N3Error, printable

# What is imported up to here is all that `n3 --help` waits for: no PyTorch, and no settings, which bring it.
ENCODER = "file or folder of the run's text encoder, where it has moved"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `n3`: bad input costs one line and exit code 2, an interrupt 130, a pipe that is closed 141."""
    with anywhere() as errors:
        try:
            return _run(arguments, errors)
        except BrokenPipeError:  # nobody reads on, as in `n3 classify ... | head -1`
            return 141


def _run(arguments: Sequence[str] | None, errors: Any) -> int:
    options = argparse.Namespace(debug=False, goes_on=False)
    with interrupts() as caught:
        try:
            try:
                _parse(arguments, options)
                options.call(options)
            finally:
                sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            if caught or isinstance(error, KeyboardInterrupt):
                then = (
                    "the same command goes on where it stopped" if options.goes_on else "nothing was written"
                )
                warn(f"stopped; {then}")
                return 130
            # An OSError: a full disk, a folder that may not be written.
            told = isinstance(error, N3Error | OSError) and not isinstance(error, BrokenPipeError)
            if not told or options.debug:
                raise
            print(f"n3: {printable(error)}", file=errors)
            return 2
    return 0


def _parse(arguments: Sequence[str] | None, options: argparse.Namespace) -> None:
    parser = build_parser()
    _, rest = parser.parse_known_args(arguments, options)
    if rest and options.command not in ("train", "table", "study", "search"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.overrides = rest


def build_parser() -> argparse.ArgumentParser:
    """The parser of `n3` and its subcommands."""
    parser = Parser(prog="n3", description="Written descriptions in, neural network out.")
    parser.add_argument("--version", action=Version, nargs=0, help="show the version and end")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str,
        call: Callable[[argparse.Namespace], None],
        text: str,
        example: str,
        to: Any = commands,
        goes_on: bool = False,
    ) -> Parser:
        # No abbreviations: `n3 train` passes on what it does not know, such as --data.root.
        sub: Parser = to.add_parser(
            name, help=text, description=text, epilog=f"example:\n  {example}", allow_abbrev=False
        )  # fmt: skip
        sub.set_defaults(call=call, goes_on=goes_on)
        return sub

    data = commands.add_parser(
        "data", help="get, check, describe and encode datasets",
        epilog="example:\n  n3 data info aviary\n\nn3 data ACTION --help tells more",
    )  # fmt: skip
    add_actions(data, command)

    sub = command(
        "train", _train, "train N3 into a run folder; the same command resumes a stopped run",
        "n3 train configs/aviary.yaml -o runs/aviary --train.steps=500", goes_on=True,
    )  # fmt: skip
    sub.add_argument("config", help="YAML file; any setting can be overridden: --model.d=64 --seed=1")
    sub.add_argument("-o", "--output", type=as_path, required=True, help="the run folder")
    sub.add_argument("--data-root", help="folder that holds the dataset")
    sub.epilog = f"{sub.epilog}\n\nsettings and their defaults:"
    sub.listed = _settings

    sub = command(
        "evaluate", _evaluate, "measure a run on unseen classes and write the result as JSON",
        "n3 evaluate runs/aviary --ways 20 -o results/aviary-20.json",
    )  # fmt: skip
    sub.add_argument("run", type=as_path, help="the run folder")
    sub.add_argument("--ways", type=int, default=0, help="classes of a task (default: all of the part)")
    sub.add_argument("--part", choices=["test", "val"], default="test", help="which classes (default: test)")
    sub.add_argument("--permutations", type=int, default=10, help="orders or tasks drawn (default: 10)")
    sub.add_argument("--alike", action="store_true", help="tasks of classes whose descriptions are alike")
    sub.add_argument("--encoder", default="", help=ENCODER)
    sub.add_argument("--control", choices=["own", "shuffled"], default="own", help="whose texts are read")
    sub.add_argument("--data-root", help="folder that holds the dataset, where it has moved")
    sub.add_argument(
        "-o", "--output", type=as_path, help="the JSON file (default: RUN/result.json, the last)"
    )

    sub = command(
        "table", _table, "show a table of the paper beside ours; with --dataset, run what is missing first",
        "n3 table table2 --dataset cub --data-root DIR", goes_on=True,
    )  # fmt: skip
    sub.add_argument("name", help="table2, sce or table6")
    sub.add_argument("--dataset", default="", help="one of the table's: cub, awa2, nabirds, ...")
    sub.add_argument("--split", action="append", default=[], help="run only this split (repeatable)")
    sub.add_argument("--method", action="append", default=[], help="run only this method (repeatable)")
    sub.add_argument("--seed", type=int, action="append", default=[], help="repeatable (default: 0 1 2)")
    sub.add_argument(
        "--config", default="configs/benchmark.yaml", help="what all methods share (default: %(default)s)"
    )
    sub.add_argument("--data-root", help="folder that holds the dataset")
    sub.add_argument(
        "-o", "--output", type=as_path, default=Path("results/benchmark/resnet18"),
        help="folder of the results (default: %(default)s)",
    )  # fmt: skip
    sub.epilog = f"{sub.epilog}\n\nany setting can be overridden, as in n3 train"

    sub = command(
        "study", _study, "run what an experiment of the book lacks; goes on where it stopped",
        "n3 study mu --variant relative-1-0.001 --seed 0", goes_on=True,
    )  # fmt: skip
    sub.add_argument(
        "name", help="training, mu, backbones, conditioning, dialects; with --data-root (CUB) photographs, "
        "ablation, text-encoders",
    )  # fmt: skip
    sub.add_argument("--variant", action="append", default=[], help="run only this one (repeatable)")
    sub.add_argument("--seed", type=int, action="append", default=[], help="repeatable (default: 0 1 2)")
    sub.add_argument("--data-root", help="folder that holds the dataset")
    out = "folder of the results (default: results)"
    sub.add_argument("-o", "--output", type=as_path, default=Path("results"), help=out)
    sub.epilog = f"{sub.epilog}\n\nany setting can be overridden, as in n3 train"

    sub = command(
        "search", _search, "random search of hyperparameters, chosen on validation; goes on where it stopped",
        "n3 search configs/aviary.yaml -o runs/search-aviary", goes_on=True,
    )  # fmt: skip
    sub.add_argument("config", help="YAML file; a setting that is overridden is not searched")
    sub.add_argument(
        "-o", "--output", type=as_path, required=True, help="folder of the search, which processes can share"
    )
    sub.add_argument("--trials", type=int, default=10, help="random trials (default: 10)")
    sub.add_argument("--data-root", help="folder that holds the dataset")
    sub.epilog = f"{sub.epilog}\n\nany setting can be overridden, as in n3 train"

    sub = command(
        "synthesize", _synthesize, "write a network from descriptions",
        "n3 synthesize runs/aviary classes.json -o bird-net/",
    )  # fmt: skip
    sub.add_argument("run", type=as_path, help="the run folder")
    sub.add_argument("classes", type=as_path, help='JSON file: {"class": "text" or ["sentence", ...], ...}')
    sub.add_argument("-o", "--output", type=as_path, required=True, help="folder for the network")
    sub.add_argument("--encoder", default="", help=ENCODER)
    sub.add_argument("--onnx", action="store_true", help="write network.onnx too (needs the onnx extra)")

    sub = command(
        "bench", _bench, "measure what N3 costs beside plain fine-tuning; measures only what the file lacks",
        "n3 bench", goes_on=True,
    )  # fmt: skip
    sub.add_argument("names", nargs="*", help="measurements (default: all)")
    sub.add_argument(
        "-o", "--output", type=as_path, help="the JSON file (default: results/cost/cpu.json, or gpu.json)"
    )

    sub = command(
        "saliency", _saliency, "how much of a network's saliency lies on CUB's birds, as JSON",
        "n3 saliency runs/cub-ps --data-root DIR",
    )  # fmt: skip
    sub.add_argument("run", type=as_path, help="the run folder")
    sub.add_argument("--encoder", default="", help=ENCODER)
    sub.add_argument("--data-root", default="", help="folder that holds the dataset, where it has moved")
    sub.add_argument(
        "-o", "--output", type=as_path,
        help="the JSON file (default: results/saliency/METHOD-SPLIT-seedS.json)",
    )  # fmt: skip

    sub = command("classify", _classify, "name what images show", "n3 classify bird-net/ photos/*.jpg")
    sub.add_argument("network", type=as_path, help="folder of a synthesized network")
    sub.add_argument("images", nargs="+", type=as_path, help="image files")
    sub.add_argument("--top", type=int, default=5, help="classes an image (default: 5)")
    return parser


def _settings() -> list[str]:
    from n3lib.config import settings

    return settings()


def _overrides(options: argparse.Namespace) -> list[str]:
    roots = [f"--data.root={options.data_root}"] if options.data_root else []
    return [*roots, *options.overrides]


def _command() -> str:
    """The command as it was typed; bytes that are not UTF-8, which no JSON file holds, are escaped."""
    import shlex

    return printable(shlex.join(["n3", *sys.argv[1:]]))


def _train(options: argparse.Namespace) -> None:
    from n3lib.config import read_config
    from n3lib.run import train

    run = train(read_config(options.config, _overrides(options)), options.output)
    tell(f"trained: {run.folder}")


def _evaluate(options: argparse.Namespace) -> None:
    import dataclasses

    from n3lib.data import load_data
    from n3lib.evaluation import evaluate, question
    from n3lib.experiments.results import answered, write_result
    from n3lib.io.files import check_writable
    from n3lib.run import Run

    run = Run.load(options.run, options.encoder)
    data = run.config.data
    if options.data_root:
        data = dataclasses.replace(data, root=options.data_root)
    how = (options.part, options.ways, options.permutations, options.control, options.alike)
    output = options.output or options.run / "result.json"
    check_writable(output)
    dataset = load_data(data)
    asked = question(run, dataset, *how)
    # A file that the user named belongs to one question; the run's own holds its last result.
    answered(output, asked if options.output else {"study": "main"}, data if options.output else None)
    tell(f"the result goes to {output}")
    result = evaluate(run, dataset, *how)
    result["command"] = _command()
    write_result(output, result)
    told = result["metrics"]
    tell(
        f"{result['method']} on {result['dataset']} {result['split']} {result['part']}, "
        f"{result['ways']}-way: "
        f"per-class accuracy {told['per_class_accuracy']:.1f} %, top-5 {told['top5']:.1f} %, "
        f"average precision {told['average_precision']:.1f} % (chance {result['chance']:.1f} %)"
    )


def _table(options: argparse.Namespace) -> None:
    from n3lib.experiments.tables import SEEDS, run_table, show_table

    if options.dataset:
        run_table(
            options.name, options.dataset, options.output, options.config, _overrides(options),
            options.split, options.method, options.seed or SEEDS,
        )  # fmt: skip
    elif options.overrides or options.split or options.method or options.seed:
        raise N3Error(f"{options.name} is only shown, not run, without a dataset", "Name one with --dataset")
    for line in str(show_table(options.name, options.output, options.dataset)).split("\n"):
        tell(line)


def _study(options: argparse.Namespace) -> None:
    from n3lib.experiments.experiment import SEEDS
    from n3lib.experiments.runner import run_experiment

    overrides, seeds = _overrides(options), options.seed or SEEDS
    run_experiment(options.name, options.output, overrides=overrides, variants=options.variant, seeds=seeds)


def _bench(options: argparse.Namespace) -> None:
    from n3lib.experiments.cost import default_output, measure_cost

    measure_cost(options.output or default_output(), options.names)


def _saliency(options: argparse.Namespace) -> None:
    import dataclasses

    from n3lib.experiments.fingerprints import stamp
    from n3lib.experiments.results import answered, write_result
    from n3lib.experiments.saliency import measure_boxes, question, result_path
    from n3lib.io.files import check_writable
    from n3lib.run import Run

    run = Run.load(options.run, options.encoder)
    data = dataclasses.replace(run.config.data, root=options.data_root or run.config.data.root)
    output, asked = options.output or result_path(run), question(run)
    check_writable(output)
    answered(output, asked, data)
    tell(f"the result goes to {output}")
    result = measure_boxes(run, data.root)
    write_result(output, stamp(result | {"command": _command()}))
    told = result["metrics"]
    tell(f"{told['inside']:.1f} % in the boxes, which cover {told['even']:.1f} % of the pictures")


def _search(options: argparse.Namespace) -> None:
    from n3lib.experiments.hyperparameters import random_search

    random_search(Path(options.config), options.output, _overrides(options), options.trials)


def _synthesize(options: argparse.Namespace) -> None:
    from n3lib.data.texts import read_classes
    from n3lib.io.files import check_writable
    from n3lib.run import Run
    from n3lib.synthesis import remarks, save, synthesize

    classes = read_classes(options.classes)
    check_writable(options.output, folder=True)
    run = Run.load(options.run, options.encoder)
    for line in remarks(run, classes):
        warn(line)
    save(synthesize(run, classes), options.output, options.onnx)
    tell(f"a network for {len(classes)} classes: {options.output}")


def _classify(options: argparse.Namespace) -> None:
    from n3lib.synthesis import classify, load

    network = load(options.network)
    classify(network, [], options.top)  # a wrong --top is refused here, not once for each image
    problems = []
    for path in options.images:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module="PIL")  # one line for each bad image, and only ours
                (best,) = classify(network, path, options.top)
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
