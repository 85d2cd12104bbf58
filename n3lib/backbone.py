"""A frozen network as columns of parameters, its adapted forward pass, and the plain network that comes out.

The networks themselves are in `n3lib.pretrained.networks`, with batch norm folded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.func import functional_call

from n3lib.data.images import check_pixels
from n3lib.io import N3Error, Range, check_ranges

Pool = Literal["avg", "avg+max"]


@dataclass(frozen=True)
class BackboneConfig:
    """Which pretrained network is adapted.

    Attributes:
        name: `aviary` (small, ships with the package), `resnet18`, `googlenet`, `squeezenet1_1`, or
            `timm:NAME` for any convolutional network of timm.
        stages: how many of ResNet-18's four stages are kept; 3 is the network known as "C4".
        pool: how the last feature map becomes a vector: its average, or its average and its maximum.
        weights: a local safetensors file, batch norm folded or not; empty for the published weights.
    """

    name: str = "aviary"
    stages: int = 4
    pool: Pool = "avg+max"
    weights: str = ""

    def __post_init__(self) -> None:
        check_ranges(self, "backbone", stages=Range(1, 4))
        if self.stages != 4 and self.name != "resnet18":
            raise N3Error(f"backbone.stages is for resnet18, not {self.name}", "Leave it out")


class Backbone(nn.Module):
    """A frozen CNN without its classifier, whose layers can be replaced in a forward pass.

    A layer's columns are its output channels: each the flattened filter with its bias appended
    (paper, section 3.2, footnote), `M` columns of `N = C_in * kH * kW + 1` numbers.

    Args:
        features: images `(B, 3, H, W)` to a feature map `(B, C, h, w)`; every layer has a weight and a bias.
        mean, std: what pixel values in 0..1 are normalized with, per channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, features: nn.Module, config: BackboneConfig, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.features, self.config = features, config
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.layers = [n for n, m in features.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        self.requires_grad_(False).eval()
        with torch.no_grad():
            self.width = self(torch.zeros(1, 3, 64, 64)).shape[1]

    def train(self, mode: bool = True) -> "Backbone":
        """Stays in evaluation mode: the network is frozen."""
        return super().train(False)

    def preprocess(self, images: UInt8[Tensor, "B H W 3"]) -> Float[Tensor, "B 3 H W"]:
        """Pixels as stored to what the network reads; an `N3Error` for another type or shape."""
        check_pixels(images, Tensor)
        pixels = images.to(self.mean.device).permute(0, 3, 1, 2).float() / 255  # (B, 3, H, W)
        return (pixels - self.mean) / self.std

    def columns(self, layer: str) -> Float[Tensor, "M N"]:
        """A layer's parameters as a sequence of columns."""
        weight, bias = (self.features.get_parameter(f"{layer}.{part}") for part in ("weight", "bias"))
        return torch.cat([weight.flatten(1), bias[:, None]], 1)

    def forward(
        self, images: Float[Tensor, "B 3 H W"], columns: Mapping[str, Tensor] | None = None
    ) -> Float[Tensor, "B f"]:
        """Pooled features, with the columns of any layers replaced (paper, Eq. 6: Theta')."""
        state = from_columns(columns or {}, self.features)
        return pool(functional_call(self.features, state, (images,)), self.config.pool)


class Network(nn.Module):
    """An ordinary classifier: convolutional features, one pooling step, one linear layer."""

    def __init__(self, features: nn.Module, pooling: Pool, fc: nn.Linear) -> None:
        super().__init__()
        self.features, self.pooling, self.fc = features, pooling, fc

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K"]:
        """Logits of normalized images."""
        return self.fc(pool(self.features(images), self.pooling))


def pool(maps: Float[Tensor, "B C h w"], how: Pool) -> Float[Tensor, "B f"]:
    """Average over positions, and their maximum beside it where asked: f is C or 2 C."""
    average = maps.mean((2, 3))
    return average if how == "avg" else torch.cat([average, maps.amax((2, 3))], 1)


def from_columns(columns: Mapping[str, Tensor], features: nn.Module) -> dict[str, Tensor]:
    """The inverse of `Backbone.columns`: these layers of `features` as a state dict of weights and biases."""
    state: dict[str, Tensor] = {}
    for layer, values in columns.items():
        shape = features.get_parameter(f"{layer}.weight").shape
        state |= {f"{layer}.weight": values[:, :-1].reshape(shape), f"{layer}.bias": values[:, -1]}
    return state
