"""Which pixels a written network looks at (section 5.3, Figure 4)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import cross_entropy

from n3lib.data.aviary.drawing import draw_with_mask
from n3lib.experiments import plots
from n3lib.experiments.lettering import apart
from n3lib.experiments.results import Table, escape, mean_and_spread
from n3lib.synthesis import SynthesizedNetwork


class Birds(NamedTuple):
    """Pictures of the aviary that know where the bird is."""

    images: UInt8[Tensor, "B H W 3"]
    masks: Bool[Tensor, "B H W"]  # True on the bird
    labels: Int[Tensor, " B"]


def draw_birds(birds: Sequence[Mapping[str, str]], images: int, size: int) -> Birds:
    """New pictures, `images` of each bird, every one in a scene of its own.

    Args:
        birds: their attributes; the place in this list is the label.
        images: of each bird.
        size: height and width in pixels.
    """
    drawn = [
        draw_with_mask(bird, np.random.default_rng([k, i]), size)
        for k, bird in enumerate(birds)
        for i in range(images)
    ]
    pixels, masks = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
    return Birds(pixels, masks, torch.arange(len(birds)).repeat_interleave(images))


def saliency(
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


def concentration(networks: Mapping[str, SynthesizedNetwork], birds: Birds) -> Table:
    """How much of the saliency lies on the bird, in percent: mean and standard deviation over classes.

    The even map, which prefers no pixel, is chance. Below the table, class by class, by how much the first
    network is ahead of each other one.
    """
    even = _by_class(share_inside(torch.ones(birds.masks.shape), birds.masks), birds.labels)
    rows, shares = [["an even map", mean_and_spread(even), ""]], {}
    for name, network in networks.items():
        maps = saliency(network, birds.images, birds.labels)
        shares[name] = _by_class(share_inside(maps, birds.masks), birds.labels)
        right = network.probabilities(birds.images).argmax(1) == birds.labels
        rows.append([name, mean_and_spread(shares[name]), f"{100 * right.float().mean().item():.1f}"])
    first, *others = shares
    notes = []
    for name in others:
        gaps = [a - b for a, b in zip(shares[first], shares[name], strict=True)]
        ahead = sum(gap > 0 for gap in gaps)
        gap = f"{mean_and_spread(gaps)} points"
        notes.append(
            f"{escape(first)} less {escape(name)}: {gap}, and more in {ahead} of {len(gaps)} classes."
        )
    return Table(["saliency of", "on the bird (%)", "accuracy (%)"], rows, " ".join(notes))


def _by_class(values: Float[Tensor, " B"], labels: Int[Tensor, " B"]) -> list[float]:
    """The mean of each class, in percent."""
    return [100 * values[labels == k].mean().item() for k in labels.unique()]


def maps(networks: Mapping[str, SynthesizedNetwork], birds: Birds, places: Sequence[int]) -> plots.Picture:
    """Some of the pictures above their saliency under each network, with the bird's outline.

    Each map has a scale of its own: dark purple is none, yellow the most.

    Args:
        places: which of the pictures.
    """
    some = Birds(*(part[list(places)] for part in birds))
    size = (0.4 + 1.25 * len(places), 1.3 * (1 + len(networks)))
    figure, axes = plots.canvas(1 + len(networks), len(places), size)
    for axis, image in zip(axes[0], some.images, strict=True):
        plots.show(axis, image)
    names = apart(list(networks), 1.2, lines=2)
    for row, name, network in zip(axes[1:], names, networks.values(), strict=True):
        row[0].set_ylabel(name)
        found = saliency(network, some.images, some.labels)
        for axis, values, mask in zip(row, found.numpy(), some.masks.numpy(), strict=True):
            # A single glaring pixel would leave the rest of the map in the dark.
            axis.imshow(values, cmap="viridis", vmin=0, vmax=np.quantile(values, 0.99))
            axis.contour(mask, levels=[0.5], colors="white", linewidths=0.8)
            axis.set(xticks=[], yticks=[])
    return plots.Picture(figure)
