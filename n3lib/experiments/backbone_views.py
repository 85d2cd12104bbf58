"""What chapter 8 shows of base networks: their sizes, and the paper's Table 5 beside our results."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from n3lib.backbone import BackboneConfig
from n3lib.experiments import freshness, tables
from n3lib.experiments.results import Markup, Table, accuracies, lead, load_results, mean_and_spread
from n3lib.experiments.studies import NETWORKS, measured
from n3lib.model import N3, N3Config
from n3lib.pretrained.networks import architecture, load_backbone

TITLES = {
    "googlenet": "GoogLeNet",
    "resnet18": "ResNet-18",
    "squeezenet1_1": "SqueezeNet 1.1",
    "aviary": "the aviary's own",
}
# Accuracy of N3 on CUB and of the network itself on ImageNet, in percent (Table 5).
_PAPER = {"googlenet": (21.3, 69.78), "resnet18": (17.6, 69.76), "squeezenet1_1": (17.7, 58.19)}


def network_table(size: int, d: int) -> Table:
    """The networks as N3 adapts them: without their classifiers, and with their batch norms folded.

    Args:
        size: side of an image in pixels, for the size of the last feature map.
        d: width of the meta-model whose parameters are counted.
    """
    rows = []
    for name, title in TITLES.items():
        backbone = load_backbone(BackboneConfig(name), pretrained=False)
        with torch.no_grad():
            channels, height, width = backbone.features(torch.zeros(1, 3, size, size)).shape[1:]
        norms = [m for m in architecture(backbone.config)[0].modules() if isinstance(m, nn.BatchNorm2d)]
        columns = [backbone.columns(layer).shape for layer in backbone.layers]
        parameters = sum(m * n for m, n in columns)
        with torch.device("meta"):  # its numbers are not needed
            written = N3(backbone, 64, 1, 1, N3Config(d=d)).labels2adaptation
        phi = sum(p.numel() for p in written.parameters())
        rows.append(
            [
                title,
                str(len(columns)),
                str(len(norms)),
                f"{parameters / 1e6:.2f}",
                f"{4 * parameters / 2**20:.0f}",
                str(max(n for _, n in columns)),
                f"{channels} x {height} x {width}",
                f"{phi / 1e6:.1f}",
            ]
        )
    head = [
        "network",
        "layers",
        "batch norms",
        "parameters (M)",
        "size (MB)",
        "longest column",
        f"map at {size} pixels",
    ]
    return Table([*head, f"what writes the layers, d = {d} (M)"], rows)


def table5(folder: Path) -> Table:
    """Table 5 beside the study `backbones`: what each network reaches on the aviary, frozen and adapted.

    Args:
        folder: of the results.
    """
    results, rows = measured(folder, "backbones"), []
    for name, title in TITLES.items():
        frozen, adapted = (
            [r for r in results if r["variant"] == f"{name}-{form}"] for form in ("frozen", "all")
        )
        named = [r["pretraining"] for r in (*frozen, *adapted) if r.get("pretraining")]
        row = [title, *(f"{value:.1f}" for value in _PAPER[name])] if name in _PAPER else [title, "", ""]
        row.append(f"{statistics.mean(named):.1f}" if named else "")
        row += [mean_and_spread(accuracies(some).values()) or "not run" for some in (frozen, adapted)]
        rows.append([*row, lead(adapted, frozen)])
    head = ["network", "paper: N3 on CUB (%)", "paper: ImageNet (%)", "islands, named (%)"]
    return Table([*head, "frozen (%)", "N3, every layer (%)", "gain (points)"], rows, _note(results))


def cub_table(folder: Path) -> Table:
    """Table 5's own experiment, CUB's standard split: the paper's numbers, ours, and what runs the rest.

    Args:
        folder: of the benchmark's results.
    """
    found = load_results(folder, study="benchmark", dataset="cub", split="SS")
    rows = []
    for name, (paper, _) in _PAPER.items():
        own = [r for r in found if r["config"]["backbone"]["name"] == name]
        row = [TITLES[name], f"{paper:.1f}"]
        for method in ("exem", "n3"):
            values = accuracies(r for r in own if r["method"] == method).values()
            row.append(mean_and_spread(values) or "not run")
        stages = {r["config"]["backbone"]["stages"] for r in own}
        if own:
            row.append("" if 4 in stages else "without its fourth stage, at 144 pixels")
        else:
            settings = f"--backbone.name={name} --backbone.stages=4"
            runs = f"n3 table table2 --dataset cub --split SS --method exem --method n3 {settings}"
            command = f"`{runs} --data-root DIR -o results/{name}`"
            row.append(Markup(f"needs a download of its published weights: {command}"))
        rows.append(row)
    head = ["network", "paper: N3 (%)", "ours: exemplar ridge, frozen (%)", "ours: N3, every layer (%)", ""]
    return Table(head, rows, freshness.note(found, "50 classes, chance 2.0 %."))


def two_networks(folder: Path, splits: Sequence[str]) -> Table:
    """What adapting adds to each of two networks on CUB, under the settings that `configs/` has for each.

    Args:
        folder: of all results; those of `benchmark.yaml` and `benchmark-lite0.yaml` lie under these names.
        splits: a column for each network and each of them.
    """
    networks = {"benchmark": "ResNet-18", "benchmark-lite0": "Lite0"}
    methods = ("exem", "n3-classifier", "finetune", "n3-constant", "n3")
    head, rows, found = ["method"], [[tables.TITLES[method]] for method in methods], []
    for name, title in networks.items():
        for split in splits:
            ran = tables.by_method(tables.measured(folder / name, "cub", split))
            head.append(f"{title}, {split} (%)")
            for method, row in zip(methods, rows, strict=True):
                own = ran.get(method, [])
                row.append(mean_and_spread(accuracies(own).values()) or "not run")
                found += own
    chance = ", ".join(dict.fromkeys(f"{r['chance']:.1f} % on {r['split']}" for r in found))
    return Table(head, rows, freshness.note(found, f"Chance is {chance}." if chance else ""))


def where_it_moves(folder: Path) -> Table:
    """How far the layers of EfficientNet-Lite0 move on CUB's proposed split, by their kind.

    Args:
        folder: of the results of `benchmark-lite0.yaml`.

    Returns:
        The change's norm in percent of the layer's: the median of all layers of a kind, over all seeds. And
        how much of the change varies with the task, in percent of it: the median of all layers.
    """
    kinds = {"1 x 1, widening": "_pw", "depthwise": "_dw", "1 x 1, narrowing": "_pwl"}  # ends of timm's names
    ran, rows, found = tables.by_method(tables.measured(folder, "cub", "PS")), [], []
    for method in ("finetune", "n3-constant", "n3"):
        own = ran.get(method, [])
        layers = [layer for r in own for layer in r["adaptation"].items()]
        by_kind = [[one["relative"] for name, one in layers if name.endswith(end)] for end in kinds.values()]
        row = [f"{statistics.median(of):.2f}" if of else "not run" for of in by_kind]
        varies = [one["varies"] for _, one in layers]
        row.append(f"{statistics.median(varies):.1f}" if varies else "not run")
        rows.append([tables.TITLES[method], *row])
        found += own
    head = ["method", *(f"{kind} (%)" for kind in kinds), "of it, varies with the task (%)"]
    return Table(head, rows, freshness.note(found))


def _note(results: Sequence[Mapping[str, Any]]) -> str:
    """What the numbers are of, and what brings those that are missing."""
    told = "There are no results yet."
    if results:
        chance, ways = results[0]["chance"], results[0]["ways"]
        seeds = sorted({r["seed"] for r in results})
        told = f"{ways} classes of the aviary, chance {chance:.1f} %; seeds {', '.join(map(str, seeds))}."
    there = {r["variant"] for r in results}
    missing = [name for name in NETWORKS if not {f"{name}-all", f"{name}-frozen"} <= there]
    if not missing:
        return freshness.note(results, told)
    commands = [f"`n3 data backbone --name {n} -o {NETWORKS[n]}`" for n in missing if NETWORKS[n]]
    told += f" What is not run: {', '.join([*commands, 'then `n3 study backbones`'])}."
    return freshness.note(results, told)
