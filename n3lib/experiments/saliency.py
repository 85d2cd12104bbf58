"""Which pixels a synthesized network looks at (section 5.3, Figure 4), and how many of them are the bird's.

Of a drawing of the aviary the bird's mask is known; of a photograph of CUB-200-2011, its box.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import cross_entropy

from n3lib.data import load_data
from n3lib.data.aviary.drawing import draw_with_mask
from n3lib.data.photographs.boxes import bird_masks
from n3lib.evaluation import method_name, result
from n3lib.experiments import plots, provenance
from n3lib.experiments.lettering import apart
from n3lib.experiments.results import Table, load_results, mean_and_spread
from n3lib.io import N3Error
from n3lib.run import Run
from n3lib.synthesis import SynthesizedNetwork, synthesize

BATCH = 64
TITLES = {
    "n3-all-exemplar": "N3, every layer",
    "n3-constant-exemplar": "N3, constant adaptation (control)",
    "n3-finetune-exemplar": "plain fine-tuning (control)",
    "n3-classifier-exemplar": "N3, classifier only",
}


def saliency_maps(
    network: SynthesizedNetwork, images: UInt8[Tensor, "B H W 3"], labels: Int[Tensor, " B"]
) -> Float[Tensor, "B H W"]:
    """How much every pixel matters: the largest |dE/dx| of its channels (Simonyan et al., 2014).

    E is the cross entropy of the image, x its normalized pixels.
    """
    x = network.preprocess(images).requires_grad_()  # (B, 3, H, W)
    # In double precision the gradient does not vanish where the network is sure.
    loss = cross_entropy(network(x).double(), labels, reduction="sum")
    return torch.autograd.grad(loss, x)[0].abs().amax(1)


def share_inside(maps: Float[Tensor, "B H W"], masks: Bool[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """The share of each map's total that lies inside its mask; for an even map, its share of the area."""
    return (maps * masks).sum((1, 2)) / maps.sum((1, 2))


class Birds(NamedTuple):
    """Drawings of the aviary with the place of the bird."""

    images: UInt8[Tensor, "B H W 3"]
    masks: Bool[Tensor, "B H W"]  # True on the bird
    labels: Int[Tensor, " B"]


def draw_birds(birds: Sequence[Mapping[str, str]], images: int, size: int) -> Birds:
    """New drawings of `size` pixels, `images` of each bird, each with its own scene.

    `birds` holds their attributes; the index in it is the label.
    """
    drawn = [
        draw_with_mask(bird, np.random.default_rng([k, i]), size)
        for k, bird in enumerate(birds)
        for i in range(images)
    ]
    pixels, masks = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
    return Birds(pixels, masks, torch.arange(len(birds)).repeat_interleave(images))


def map_gallery(
    networks: Mapping[str, SynthesizedNetwork], birds: Birds, indices: Sequence[int]
) -> plots.Picture:
    """Some of the drawings above their saliency under each network, with the bird's outline.

    Each map has its own scale: dark purple is none, yellow the most.
    """
    some = Birds(*(part[list(indices)] for part in birds))
    size = (0.4 + 1.25 * len(indices), 1.3 * (1 + len(networks)))
    figure, axes = plots.canvas(1 + len(networks), len(indices), size)
    for axis, image in zip(axes[0], some.images, strict=True):
        plots.show(axis, image)
    names = apart(list(networks), 1.2, lines=2)
    for row, name, network in zip(axes[1:], names, networks.values(), strict=True):
        row[0].set_ylabel(name)
        maps = saliency_maps(network, some.images, some.labels)
        for axis, values, mask in zip(row, maps.numpy(), some.masks.numpy(), strict=True):
            # A single glaring pixel would leave the rest of the map in the dark.
            axis.imshow(values, cmap="viridis", vmin=0, vmax=np.quantile(values, 0.99))
            axis.contour(mask, levels=[0.5], colors="white", linewidths=0.8)
            axis.set(xticks=[], yticks=[])
    return plots.Picture(figure)


def result_path(run: Run) -> Path:
    """Where a run's result is kept: `results/saliency/n3-all-exemplar-SS-seed1.json`."""
    return Path(f"results/saliency/{method_name(run)}-{run.config.data.split}-seed{run.config.seed}.json")


def question(run: Run) -> dict[str, Any]:
    """What determines a run's result, under the result's own names.

    Raises:
        N3Error: the run's data are no photographs with boxes.
    """
    data = run.config.data
    if data.name != "cub" or "/" in data.split:
        raise N3Error(f"{data.name} {data.split} has no boxes", "Use a run on cub: PS, SS or SCE")
    asked = {"study": "saliency", "method": method_name(run), "dataset": "cub", "split": data.split}
    return asked | {"seed": run.config.seed, "config": dataclasses.asdict(run.config)}


def measure_boxes(run: Run, root: str = "") -> dict[str, Any]:
    """A result: every image of the test classes, under the network synthesized for all of them.

    `root` is the folder that holds the dataset, by default where the run found it. `inside` is the share of
    the saliency within the bird's box, in percent, mean over classes; `even` the share of the area, which is
    that of a map that prefers no pixel; both per class too.

    Raises:
        N3Error: the run's data are no photographs with boxes.
    """
    asked, root = question(run), root or run.config.data.root
    data = load_data(dataclasses.replace(run.config.data, root=root))
    classes = list(data.split.test)
    network = synthesize(run, {data.classes[c]: data.texts[c] for c in classes})
    by_class: dict[str, list[float]] = {"inside": [], "even": [], "per_class_accuracy": []}
    for label, c in enumerate(classes):
        indices = data.indices([c])
        masks = torch.from_numpy(bird_masks(root, indices.tolist(), data.images.shape[1]))
        inside, right = [], []
        pixels = torch.from_numpy(data.images[indices])
        for images, mask in zip(pixels.split(BATCH), masks.split(BATCH), strict=True):
            labels = torch.full((len(images),), label)
            inside.append(share_inside(saliency_maps(network, images, labels), mask))
            right.append(network.probabilities(images).argmax(1) == labels)
        even = share_inside(torch.ones(masks.shape), masks)
        for values, found in zip(by_class.values(), (torch.cat(inside), even, torch.cat(right)), strict=True):
            values.append(100 * found.float().mean().item())
    return result(
        **asked,
        ways=len(classes),
        metrics={name: float(np.mean(values)) for name, values in by_class.items()},
        by_class={name: [round(v, 3) for v in values] for name, values in by_class.items()},
        hashes=data.hashes,
    )


def box_table(folder: Path) -> Table:
    """Each method's share, and by how much the fully adapted network is ahead of it, class by class."""
    found = load_results(folder, study="saliency")
    if not found:
        return Table([], [], "There are no results yet: `n3 saliency RUN` makes one of a run on CUB.")

    def shares(results: Sequence[Mapping[str, Any]], name: str) -> str:
        return mean_and_spread(np.mean([r["by_class"][name] for r in results], axis=0).tolist())

    full = {(r["split"], r["seed"]): r for r in found if r["method"] == "n3-all-exemplar"}
    rows = [["an even map", shares(found[:1], "even"), "", ""]]
    for method, title in TITLES.items():
        if results := [r for r in found if r["method"] == method]:
            leads = [
                _lead(first["by_class"]["inside"], r["by_class"]["inside"])
                for r in results
                if (first := full.get((r["split"], r["seed"]))) and first is not r
            ]
            accuracy = mean_and_spread([r["metrics"]["per_class_accuracy"] for r in results])
            rows.append([title, shares(results, "inside"), "; ".join(leads), accuracy])
    head = ["saliency of", "inside the box (%)", "every layer less this one (points)", "accuracy (%)"]
    splits, seeds = (", ".join(map(str, sorted({r[name] for r in found}))) for name in ("split", "seed"))
    ways = found[0]["ways"]
    note = f"CUB {splits}, {ways} unseen classes; seed {seeds}; mean and standard deviation over classes."
    return Table(head, rows, provenance.note(found, note))


def _lead(first: Sequence[float], other: Sequence[float]) -> str:
    """By how much the first is ahead, over classes, and in how many of them."""
    gaps = [a - b for a, b in zip(first, other, strict=True)]
    return f"{mean_and_spread(gaps)}, more in {sum(gap > 0 for gap in gaps)} of {len(gaps)} classes"
