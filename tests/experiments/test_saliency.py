"""Saliency of networks whose gradient is known, and its share on the bird."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from n3lib.data.aviary.drawing import draw_with_mask
from n3lib.data.aviary.species import make_species
from n3lib.experiments import saliency
from n3lib.experiments.saliency import Birds, concentration, draw_birds, share_inside
from n3lib.io.errors import N3Error
from n3lib.synthesis import SynthesizedNetwork


class Linear(SynthesizedNetwork):
    """Logits that are linear in the normalized pixels: `weight` is `(K, 3, H, W)`."""

    def __init__(self, weight: Tensor) -> None:
        nn.Module.__init__(self)
        self.weight = weight
        self.card = {"preprocessing": {"size": 4, "mean": [0.5] * 3, "std": [0.25, 0.5, 1.0]}}

    def forward(self, images: Tensor) -> Tensor:
        return torch.einsum("bchw,kchw->bk", images, self.weight)


@pytest.mark.parametrize("size", [0.1, 0.7])  # the second is so sure that 1 - p vanishes in single precision
def test_saliency_of_a_linear_network(size: float) -> None:
    weight = size * torch.randn(2, 3, 4, 5)
    network, images = Linear(weight), torch.randint(0, 256, (2, 4, 5, 3), dtype=torch.uint8)
    labels = network(network.preprocess(images)).argmax(1)
    x = (images.permute(0, 3, 1, 2).double() / 255 - 0.5) / torch.tensor([0.25, 0.5, 1.0])[:, None, None]
    for image, label, got in zip(x, labels, saliency.saliency(network, images, labels), strict=True):
        margin = ((weight[label] - weight[1 - label]) * image).sum()
        other = 1 / (1 + margin.exp())  # the other class's probability
        slope = other * (weight[1 - label] - weight[label])  # dE/dx
        torch.testing.assert_close(got.double(), slope.abs().amax(0).double(), rtol=1e-4, atol=0)


@pytest.mark.usefixtures("unannotated")
def test_normalized_images_are_refused() -> None:
    with pytest.raises(N3Error, match="float32"):
        saliency.saliency(Linear(torch.randn(2, 3, 4, 5)), torch.rand(1, 4, 5, 3), torch.tensor([0]))


def test_share_of_an_even_map_is_the_area() -> None:
    masks = torch.rand(3, 6, 6) < 0.3
    even = share_inside(torch.full((3, 6, 6), 0.2), masks)
    torch.testing.assert_close(even, masks.float().mean((1, 2)))
    torch.testing.assert_close(share_inside(masks.float(), masks), torch.ones(3))


def test_birds_are_drawn_with_their_masks() -> None:
    species = [bird.attributes for bird in make_species(2)]
    birds = draw_birds(species, 3, 24)
    assert birds.labels.tolist() == [0, 0, 0, 1, 1, 1]
    image, mask = draw_with_mask(species[1], np.random.default_rng([1, 2]), 24)
    assert (birds.images[5].numpy() == image).all() and (birds.masks[5].numpy() == mask).all()
    assert len({picture.numpy().tobytes() for picture in birds.masks}) == 6  # each in its own scene


def test_concentration_by_hand() -> None:
    """One network looks at the upper half, one at the left; the birds are in the upper left and the left."""
    masks = torch.zeros(4, 4, 4, dtype=torch.bool)
    masks[:2, :2], masks[2:, :3] = True, True
    images = torch.randint(0, 256, (4, 4, 4, 3), dtype=torch.uint8)
    birds = Birds(images, masks, torch.tensor([0, 0, 1, 1]))
    upper, left = torch.zeros(2, 2, 3, 4, 4)
    upper[0, :, :2] = left[0, :, :, :2] = 0.1
    found = concentration({"up": Linear(upper), "left": Linear(left)}, birds)
    shares = {name: share for name, share, _ in found.rows}
    assert shares == {"an even map": "62.5 ± 17.7", "up": "100.0 ± 0.0", "left": "62.5 ± 17.7"}
    assert found.note == "up less left: 37.5 ± 17.7 points, and more in 2 of 2 classes."


def test_maps_show_every_network() -> None:
    birds = draw_birds([bird.attributes for bird in make_species(3)], 1, 16)
    picture = saliency.maps({"a": Linear(torch.randn(3, 3, 16, 16))}, birds, [0, 2])
    assert len(picture.figure.axes) == 4
    assert picture.figure.axes[2].get_ylabel() == "a"
    assert picture._repr_jpeg_()[:2] == b"\xff\xd8"
