"""Chapter 8: networks to adapt, their sizes, and the paper's Table 5 beside our results (appendix A)."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from n3lib.experiments import provenance, tables
from n3lib.experiments.experiment import FROZEN, Experiment
from n3lib.experiments.results import Markup, Results, Table, accuracy_cell, lead, load_results
from n3lib.io import expand
from n3lib.io.tensors import read_tensors
from n3lib.pretrained.networks import AVIARY_WEIGHTS
from n3lib.run import Run

NETWORKS = {
    "googlenet": "GoogLeNet",
    "resnet18": "ResNet-18",
    "squeezenet1_1": "SqueezeNet 1.1",
    "aviary": "the aviary's own",
}
# Accuracy of N3 on CUB and of the network itself on ImageNet, in percent (Table 5).
_PAPER = {"googlenet": (21.3, 69.78), "resnet18": (17.6, 69.76), "squeezenet1_1": (17.7, 58.19)}


def pretraining(run: Run, *_: object) -> dict[str, float | None]:
    """The network's accuracy on held-out images of its pretraining, in percent; None where unknown."""
    config = run.config.backbone
    path = expand(config.weights or (AVIARY_WEIGHTS if config.name == "aviary" else ""))
    named = read_tensors(path)[1].get("accuracy") if path.is_file() else None
    return {"pretraining": None if named is None else round(100 * float(named), 2)}


# The files that `n3 data backbone` writes; the aviary's own weights come with the package.
_WEIGHTS = {name: f"runs/backbones/{name}.safetensors" for name in NETWORKS} | {"aviary": ""}
BASE_NETWORKS = Experiment(
    "backbones",
    "How does accuracy depend on the base network, and does adapting help each? (appendix A, Table 5)",
    "aviary",
    {
        f"{name}-{form}": [f"--backbone.name={name}", f"--backbone.weights={_WEIGHTS[name]}", *settings]
        for name in NETWORKS
        for form, settings in {"all": [], "frozen": FROZEN}.items()
    },
    # With the aviary's 2, ResNet-18 learned nothing.
    common=["--model.initial_mu=0.1", "--train.steps=200", "--train.every=200"],
    also=pretraining,
    folder="base_networks",
)


def table5(folder: Path) -> Table:
    """Table 5 beside our experiment: the accuracy of each network on the aviary, frozen and adapted."""
    results, rows = BASE_NETWORKS.measured(folder), []
    found = BASE_NETWORKS.by_variant(results)
    for name, title in NETWORKS.items():
        frozen, adapted = found[f"{name}-frozen"], found[f"{name}-all"]
        row = [title, *(f"{value:.1f}" for value in _PAPER[name])] if name in _PAPER else [title, "", ""]
        named = [r["pretraining"] for r in (*frozen, *adapted) if r.get("pretraining")]
        row.append(f"{statistics.mean(named):.1f}" if named else "")
        rows.append([*row, _cell(frozen), _cell(adapted), lead(adapted, frozen)])
    head = ["network", "paper: N3 on CUB (%)", "paper: ImageNet (%)", "islands, named (%)"]
    head += ["frozen (%)", "N3, every layer (%)", "gain (points)"]
    missing = "" if all(found.values()) else "`n3 study backbones` measures what is not run.\n\n"
    return Table(head, rows, (missing if results else "") + BASE_NETWORKS.note(results))


def cub_table(folder: Path) -> Table:
    """Table 5's own experiment, CUB's standard split: the paper's numbers, ours, and the missing commands."""
    found, rows = load_results(folder, study="benchmark", dataset="cub", split="SS"), []
    for name, (paper, _) in _PAPER.items():
        own = [r for r in found if r["config"]["backbone"]["name"] == name]
        cells = [_cell([r for r in own if r["method"] == method]) for method in ("exem", "n3")]
        if own:
            whole = 4 in {r["config"]["backbone"]["stages"] for r in own}
            remark = "" if whole else "without its fourth stage, at 144 pixels"
        else:
            settings = f"--backbone.name={name} --backbone.stages=4"
            runs = f"n3 table table2 --dataset cub --split SS --method exem --method n3 {settings}"
            command = f"`{runs} --data-root DIR -o results/benchmark/{name}`"
            remark = Markup(f"needs a download of its published weights: {command}")
        rows.append([NETWORKS[name], f"{paper:.1f}", *cells, remark])
    head = ["network", "paper: N3 (%)", "ours: exemplar ridge, frozen (%)", "ours: N3, every layer (%)", ""]
    return Table(head, rows, provenance.note(found, "50 classes, chance 2.0 %."))


def two_networks(folder: Path, splits: Sequence[str]) -> Table:
    """What adapting adds to each of two networks on CUB, under the settings that `configs/` has for each.

    `folder` holds all results; there is a column for each network and each of the `splits`.
    """
    methods = ("exem", "n3-classifier", "finetune", "n3-constant", "n3")
    head, columns, found = ["method"], [], []
    for name, title in {"benchmark/resnet18": "ResNet-18", "benchmark/lite0": "Lite0"}.items():
        for split in splits:
            head.append(f"{title}, {split} (%)")
            columns.append(ran := tables.by_method(tables.measured(folder / name, "cub", split)))
            found += [result for method in methods for result in ran.get(method, [])]
    rows = [[tables.TITLES[m], *(_cell(ran.get(m, [])) for ran in columns)] for m in methods]
    chance = ", ".join(dict.fromkeys(f"{r['chance']:.1f} % on {r['split']}" for r in found))
    return Table(head, rows, provenance.note(found, f"Chance is {chance}." if chance else ""))


def _cell(results: Results) -> str:
    return accuracy_cell(results) or "not run"
