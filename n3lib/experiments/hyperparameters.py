"""Random search of N3's hyperparameters, chosen on the validation classes: chapter 10 and `n3 search`.

The paper searches at random with 10 runs (section 4.3) and tabulates what it found (appendix D, Table 7):

    Table 7                        here
    T2L Num Layer, L2A Num Layer   model.t2l_layers, model.l2a_layers
    T2L LR, L2A LR                 train.lr, one rate for both parts
    (Max) Training Epoch           not searched: trials cost the same, and each keeps its best checkpoint

Searched besides: the start of mu (section 5.4), and what the paper's own form does not have, the rate of the
word weights and the ridge of the exemplar classifier. Width and heads stay as configured.

A search is a folder: a run folder per trial, and beside it what the trial reached. Processes that share the
folder share the work; on several machines, its file system must have file locks.
"""

import dataclasses
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from optuna.distributions import CategoricalDistribution, FloatDistribution

from n3lib.config import difference, read_config
from n3lib.data import DataConfig, load_data
from n3lib.data.dataset import ZeroShotDataset
from n3lib.evaluation import evaluate
from n3lib.experiments import plots
from n3lib.experiments.fingerprints import stamp
from n3lib.experiments.results import answered, edition, write_result
from n3lib.io import N3Error, check_writable, read_json, tell, write_json
from n3lib.io.errors import Diverged
from n3lib.run import Run, train
from n3lib.trainer import read_metrics

TRIALS = 10  # as in the paper
TAKEN = ("trial-0", "trial-0.json", "config.json", "run.json", "card.json")  # of a search, a run, a network
MAX_TRIALS = 10_000  # all are drawn before the first is run
# Setting to its range, drawn evenly on a logarithmic scale, or to its values.
SPACE: dict[str, tuple[float, float] | list[int]] = {
    "train.lr": (1e-4, 3e-3),
    "train.fast_lr": (1e-3, 1e-1),
    "model.t2l_layers": [1, 2],
    "model.l2a_layers": [1, 2],
    "model.initial_mu": (0.03, 3.0),
    "model.ridge": (0.01, 1.0),
}


def searched(overrides: Sequence[str] = ()) -> list[str]:
    """The settings that are searched: all of `SPACE` but those that are set by hand."""
    return [name for name in SPACE if not any(o.split("=")[0] == f"--{name}" for o in overrides)]


def draw(names: Sequence[str], seed: int, trials: int) -> list[dict[str, float | int]]:
    """The parameters of the first random trials: the same for the same seed, whatever their number."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    kinds: dict[str, Any] = {
        name: CategoricalDistribution(some)
        if isinstance(some := SPACE[name], list)
        else FloatDistribution(*some, log=True)
        for name in names
    }
    asked = [study.ask(kinds).params for _ in range(trials)]
    # Three digits say enough, and can be typed.
    return [
        {name: v if isinstance(v, int) else float(f"{v:.3g}") for name, v in one.items()} for one in asked
    ]


def random_search(
    config: Path,
    folder: Path,
    overrides: Sequence[str] = (),
    trials: int = TRIALS,
    results: Path = Path("results/hyperparameters"),
    log: Callable[[str], None] = tell,
) -> dict[str, Any] | None:
    """Search, or resume a search; the process that finishes the last trial tests the best.

    Trial 0 is the configuration as it is. It is there to compare with, and cannot be chosen.

    Args:
        config: the YAML file. Its seed is also that of what is drawn.
        overrides: of the configuration; what is set here is not searched.
        trials: random ones, beside trial 0.
        results: where the result goes, named after the folder.

    Returns:
        The result of the best trial on the test classes, with all trials under `search`; None while other
        processes are still at work.

    Raises:
        N3Error: there are no validation classes to choose on, the folder or the result's file belongs to
            another search, or no trial has ended well.
    """
    names, base = searched(overrides), read_config(config, overrides)
    if not 1 <= trials <= MAX_TRIALS or not names:
        raise N3Error(
            f"{len(names)} settings cannot be searched in {trials} trials",
            f"Leave a setting free, and ask for 1 to {MAX_TRIALS:,} trials",
        )
    what: dict[str, Any] = {"config": dataclasses.asdict(base), "searched": names}
    path = results / f"{folder.name}.json"
    _check_result(path, what, trials, base.data)
    data = load_data(base.data)
    if base.fit != "train" or not data.split.val:
        raise N3Error(
            f"{config} leaves no validation classes to choose on", "Use fit: train and a split that has some"
        )
    check_writable(path)
    check_writable(folder, folder=True)
    with FileLock(folder / "search.lock"):
        own, other = folder / "search.json", "Choose another folder, or delete this one"
        if not answered(own, what, marks=["searched"], remedy=other):
            if taken := [path for path in map(folder.joinpath, TAKEN) if path.exists()]:
                raise N3Error(f"{taken[0]} belongs to no search", other)
            write_json(own, what)
        log(f"{folder}: trial 0 to {trials}; the result goes to {path}")
    marks = [folder / f"trial-{number}.json" for number in range(trials + 1)]
    for number, parameters in enumerate([{}, *draw(names, base.seed, trials)]):
        # A trial that another process runs is passed over; the system frees the lock when that process dies.
        with suppress(Timeout), FileLock(folder / f"trial-{number}.lock", timeout=0):
            if marks[number].exists():
                continue
            given = [f"--{name}={value}" for name, value in parameters.items()]
            try:
                run = train(
                    read_config(config, [*overrides, *given]), folder / f"trial-{number}", dataset=data
                )
                # What the checkpoint was chosen by: the highest validation accuracy, in percent.
                found = max(line["validation"] for line in read_metrics(run.folder) if "validation" in line)
                log(f"trial {number}: {found:.1f} % on validation, {' '.join(given) or 'as configured'}")
            except Diverged as error:
                found = None
                log(f"trial {number}: {error}")
            write_json(marks[number], {"trial": number, "parameters": parameters, "validation": found})
    with FileLock(folder / "search.lock"):
        if not all(mark.exists() for mark in marks):
            log("the other trials are being run by other processes; the last to finish writes the result")
            return None
        tried = [read_json(mark) for mark in marks]
        reached = [one | {"validation": one["validation"] and round(one["validation"], 3)} for one in tried]
        _check_result(path, what, trials, base.data)  # another search may have ended meanwhile
        if not path.exists() or read_json(path)["search"]["trials"] != reached:
            result = _conclude(folder, tried, data)
            split = {name: name.split(".") for name in names}
            values = {name: what["config"][part][field] for name, (part, field) in split.items()}
            result["search"] |= {"trials": reached, "configured_values": values}
            command = ["n3", "search", str(config), "-o", str(folder), "--trials", str(trials), *overrides]
            write_result(path, stamp(result | {"command": shlex.join(command)}))
    result = read_json(path)
    log(f"{path}: trial {result['search']['best']}, {result['metrics']['per_class_accuracy']:.1f} % on test")
    return result


def _check_result(path: Path, what: dict[str, Any], trials: int, data: DataConfig) -> None:
    """Refuse the result of another search, or of this one with more trials."""
    other = "Search into a folder of another name, or delete this file"
    if not answered(path, {"study": "search"}, remedy=other):
        return
    found = read_json(path)
    # What was configured, in place of what was found.
    configured, config = found["search"]["configured_values"], found["config"]
    for name, value in configured.items():
        part, field = name.split(".")
        config.setdefault(part, {})[field] = value
    if differs := difference(found | {"searched": list(configured)}, what | edition(data)):
        raise N3Error(f"{path} belongs to another search: {differs}", other)
    if (done := len(found["search"]["trials"]) - 1) > trials:
        raise N3Error(
            f"{path} holds {done} trials, more than {trials}", f"Ask for --trials {done}, or delete it"
        )


def _conclude(folder: Path, tried: Sequence[Mapping[str, Any]], data: ZeroShotDataset) -> dict[str, Any]:
    """Choose on validation, and only then look at the test classes."""
    done = [trial for trial in tried[1:] if trial["validation"] is not None]
    if not done:
        raise N3Error(f"no trial in {folder} has ended well", "Lower train.lr and search into another folder")
    best = max(done, key=lambda trial: trial["validation"])
    result = evaluate(Run.load(folder / f"trial-{best['trial']}"), data)
    failed = tried[0]["validation"] is None
    own = None if failed else evaluate(Run.load(folder / "trial-0"), data)["metrics"]
    space = {name: SPACE[name] for name in best["parameters"]}
    return result | {"study": "search", "search": {"space": space, "best": best["trial"], "configured": own}}


def search_figure(result: Mapping[str, Any]) -> Figure:
    """Validation accuracy against each hyperparameter, a mark per trial.

    The chosen trial is marked; the dashed line is the configuration as it is.
    """
    search = result["search"]
    configured, *drawn = search["trials"]
    trials = [one for one in drawn if one["validation"] is not None]
    best = next(one for one in trials if one["trial"] == search["best"])
    columns = min(3, len(search["space"]))
    rows = -(-len(search["space"]) // columns)
    figure, axes = plots.canvas(rows, columns, (7.2, 0.5 + 2.2 * rows), sharey=True)
    for axis in axes.flat[len(search["space"]) :]:
        axis.set_axis_off()
    for (name, some), axis in zip(search["space"].items(), axes.flat, strict=False):
        x, reached = zip(*((one["parameters"][name], one["validation"]) for one in trials), strict=True)
        axis.plot(x, reached, "o", color=plots.BLUE, label="trial")
        chosen = best["parameters"][name], best["validation"]
        axis.plot(*chosen, "*", color=plots.ORANGE, markersize=13, label="chosen")
        if (level := configured["validation"]) is not None:
            axis.axhline(level, color=plots.GRAY, linestyle="--", linewidth=1, label="as configured")
        axis.set(xlabel=name)
        if all(isinstance(value, int) for value in x):
            axis.set_xticks(some)
            axis.margins(x=0.4)
        else:
            axis.set_xscale("log")
            axis.xaxis.set_minor_formatter(NullFormatter())  # they would run into one another
            axis.set_xlim(some)
    for axis in axes[:, 0]:
        axis.set(ylabel="validation (%)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure
