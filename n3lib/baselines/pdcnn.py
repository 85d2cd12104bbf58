"""PDCNN (Lei Ba, Swersky, Fidler, Salakhutdinov, 2015): weights and filters of a classifier from its text.

Departures: the network below stays frozen; the loss of a minibatch is over all seen classes; "global pooling"
is the mean over cells, and the ReLU lies before the filters; widths, dropout and weight decay are ours; the
third loss of the paper (Euclidean) is left out, and hinge loss has never won a search. Texts are projected on
the span of the seen ones, outside of which the gradient tells the first layer nothing. A thousand steps are
enough: four times as many gain 0.2 points for fc, 0.1 for conv, none for both (CUB PS, ResNet-18, seed 0).
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Float16, Float32, Float64, Int
from torch import Tensor, nn
from torch.nn import functional

from n3lib.baselines.base import Array, Baseline, Classifier, Images, Seen, Writer, tuned
from n3lib.baselines.gradient import DEVICE, descend, tensor

BATCH = 64
RATE = {"bce": 1e-3, "hinge": 3e-3}  # of learning, for each loss
HIDDEN = 256  # units of the text's layer, which weights and filters share
PROJECTED = 64  # numbers of an image that a class's weights are for
REDUCED = 16  # channels of the map that a class's filter is for, K' in the paper
SIDE = 3  # of a filter

Loss = Literal["bce", "hinge"]


class Network(nn.Module):
    """Scores of images for classes from texts, in two parts; of 0 features or channels there is none."""

    def __init__(self, text: int, features: int, channels: int, dropout: float, bias: float) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(text, HIDDEN), nn.ReLU(), nn.Dropout(dropout))
        self.bias = nn.Parameter(torch.tensor(bias))  # of all scores
        self.features, self.channels = features, channels
        if features:
            self.f, self.g = nn.Linear(HIDDEN, PROJECTED), nn.Linear(features, PROJECTED)
        if channels:
            self.reduce = nn.Sequential(nn.Conv2d(channels, REDUCED, 1), nn.ReLU())
            self.filters = nn.Linear(HIDDEN, REDUCED * SIDE**2)

    def forward(
        self, text: Float[Tensor, "K r"], pooled: Float[Tensor, "B f"], maps: Float[Tensor, "B c h w"] | None
    ) -> Float[Tensor, "B K"]:
        hidden = self.hidden(text)
        scores = self.bias.expand(len(pooled), len(text))
        if self.features:
            scores = scores + self.g(pooled) @ self.f(hidden).T / math.sqrt(PROJECTED)
        if self.channels:
            # A filtered map's mean over cells is the filter's sum over means of the shifted map: the same
            # numbers as `conv2d(reduced, filters, padding=1).mean((2, 3))`, many times faster.
            reduced = functional.pad(self.reduce(maps), (SIDE // 2,) * 4)
            size = reduced.shape[2] - SIDE + 1, reduced.shape[3] - SIDE + 1
            shifted = functional.avg_pool2d(reduced, size, stride=1)  # (B, REDUCED, SIDE, SIDE)
            scores = scores + shifted.flatten(1) @ self.filters(hidden).T
        return scores


def pair_loss(scores: Float[Tensor, "B C"], labels: Int[Tensor, " B"], kind: Loss) -> Float[Tensor, ""]:
    """Of each image and class: does it belong? Summed over classes, averaged over images."""
    sign = 2.0 * functional.one_hot(labels, scores.shape[1]) - 1
    # -log sigmoid(sign score) is the binary cross entropy.
    losses = functional.softplus(-sign * scores) if kind == "bce" else functional.relu(1 - sign * scores)
    return losses.sum(1).mean()


def channel_moments(maps: Float16[Array, "N c h w"]) -> list[Float32[Array, "c 1 1"]]:
    """Mean and standard deviation of each channel, over images and cells; in parts, to save memory."""
    sums = np.zeros((2, maps.shape[1]))
    for start in range(0, len(maps), BATCH):
        x = maps[start : start + BATCH].astype(np.float64)
        sums += x.sum((0, 2, 3)), (x**2).sum((0, 2, 3))
    mean, square = sums[:, :, None, None] / (maps.size / maps.shape[1])
    return [x.astype(np.float32) for x in (mean, np.sqrt(np.maximum(square - mean**2, 1e-12)))]


@dataclass(frozen=True)
class PDCNN(Baseline):
    """What the three variants share."""

    loss: Loss = tuned("bce", "bce", "hinge")  # binary cross entropy or hinge
    steps: int = tuned(800, 200, 1000)  # of Adam
    dropout: float = tuned(0.5, 0.0, 0.7, log=False)  # of the text's hidden units
    decay: float = tuned(0.01, 1e-3, 1.0)  # of the weights

    fc: ClassVar[bool]  # whether it predicts weights; filters where the method `uses_maps`

    def fit(self, seen: Seen) -> Writer:
        basis, maps = seen.basis, seen.images.maps if self.uses_maps else None

        def texts(text: Float64[Array, "K a"]) -> Tensor:
            return tensor(text @ basis.T * math.sqrt(len(basis)))  # of about unit variance

        moments = [tensor(x) for x in channel_moments(maps)] if maps is not None else []

        def pictures(images: Images, rows: Array) -> tuple[Tensor, Tensor | None]:
            if not self.uses_maps:
                return tensor(images.pooled[rows]), None
            assert images.maps is not None, "this method needs feature maps"
            return tensor(images.pooled[rows]), (tensor(images.maps[rows]) - moments[0]) / moments[1]

        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            network = Network(
                len(basis),
                seen.images.pooled.shape[1] if self.fc else 0,
                0 if maps is None else maps.shape[1],
                self.dropout,
                -math.log(len(seen.text) - 1) if self.loss == "bce" else -1.0,  # as few pairs belong
            ).to(DEVICE)
            optimizer = torch.optim.AdamW(network.parameters(), RATE[self.loss], weight_decay=self.decay)
            text, rng = texts(seen.text), np.random.default_rng(self.seed)
            for _ in range(self.steps):
                rows = rng.integers(len(seen.labels), size=BATCH)
                labels = torch.from_numpy(seen.labels[rows]).to(DEVICE)
                loss = pair_loss(network(text, *pictures(seen.images, rows)), labels, self.loss)
                descend(optimizer, loss)
        network.eval()

        def write(text: Float64[Array, "K a"]) -> Classifier:
            query = texts(text)

            @torch.no_grad()
            def classify(images: Images) -> Float64[Array, "B K"]:
                parts = np.array_split(np.arange(len(images.pooled)), len(images.pooled) // 256 + 1)
                scores = torch.cat([network(query, *pictures(images, rows)) for rows in parts])
                return np.asarray(scores.double().cpu())

            return classify

        return write


class PDCNNFC(PDCNN):
    """From the text, the weights of a fully connected layer: `f(t)^T g(x)`."""

    fc = True


class PDCNNConv(PDCNN):
    """From the text, a filter over the last feature map, whose output is pooled."""

    fc, uses_maps = False, True


class PDCNNBoth(PDCNN):
    """The sum of both scores, from one hidden layer of the text."""

    fc, uses_maps = True, True
