"""Saliency of networks whose gradient is known, its share on the bird, and a measurement on photographs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from n3lib.data.aviary.drawing import draw_with_mask
from n3lib.data.aviary.species import make_species
from n3lib.data.dataset import ZeroShotDataset
from n3lib.evaluation import evaluate
from n3lib.experiments import saliency
from n3lib.experiments.saliency import (
    box_table,
    draw_birds,
    measure_boxes,
    share_inside,
)
from n3lib.io import N3Error, write_json
from n3lib.run import Run
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
    for image, label, got in zip(x, labels, saliency.saliency_maps(network, images, labels), strict=True):
        margin = ((weight[label] - weight[1 - label]) * image).sum()
        other = 1 / (1 + margin.exp())  # the other class's probability
        slope = other * (weight[1 - label] - weight[label])  # dE/dx
        torch.testing.assert_close(got.double(), slope.abs().amax(0).double(), rtol=1e-4, atol=0)


@pytest.mark.usefixtures("unannotated")
def test_normalized_images_are_refused() -> None:
    with pytest.raises(N3Error, match="float32"):
        saliency.saliency_maps(Linear(torch.randn(2, 3, 4, 5)), torch.rand(1, 4, 5, 3), torch.tensor([0]))


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


def test_maps_show_every_network() -> None:
    birds = draw_birds([bird.attributes for bird in make_species(3)], 1, 16)
    picture = saliency.map_gallery({"a": Linear(torch.randn(3, 3, 16, 16))}, birds, [0, 2])
    assert len(picture.figure.axes) == 4
    assert picture.figure.axes[2].get_ylabel() == "a"
    assert picture._repr_jpeg_()[:2] == b"\xff\xd8"


# Photographs


def box_result(method: str, seed: int, inside: list[float]) -> dict[str, Any]:
    by_class = {"inside": inside, "even": [40.0, 20.0], "per_class_accuracy": [50.0, 60.0]}
    metrics = {name: sum(values) / 2 for name, values in by_class.items()}
    shape = {"dataset": "cub", "split": "SS", "ways": 2, "seed": seed, "environment": {}}
    return {"study": "saliency", "method": method, "metrics": metrics, "by_class": by_class} | shape


def test_methods_are_compared_class_by_class_with_n3_of_the_same_seed(tmp_path: Path) -> None:
    for name, one in {
        "a": box_result("n3-all-exemplar", 0, [60.0, 50.0]),
        "b": box_result("n3-classifier-exemplar", 0, [58.0, 51.0]),
        "c": box_result("n3-constant-exemplar", 1, [10.0, 10.0]),
    }.items():
        write_json(tmp_path / f"{name}.json", one | {"config": {"episodes": {"kind": "zero-shot"}}})
    even, n3, constant, only = box_table(tmp_path).rows
    assert even[1] == "30.0 ± 14.1"
    assert n3 == ["N3, every layer", "55.0 ± 7.1", "", "55.0"]
    assert constant[2] == ""  # there is no N3 of its seed
    assert only[1:3] == ["54.5 ± 4.9", "0.5 ± 2.1, more in 1 of 2 classes"]


def test_without_results_the_command_is_named(tmp_path: Path) -> None:
    assert "n3 saliency RUN" in str(box_table(tmp_path / "none"))


def of(run: Run, name: str, split: str) -> Run:
    """The same run, as if of another dataset."""
    return replace(run, config=replace(run.config, data=replace(run.config.data, name=name, split=split)))


@pytest.mark.parametrize(("name", "split"), [("aviary", "PS"), ("cub", "160/40")])
def test_only_photographs_with_boxes(name: str, split: str, tiny_run: Run) -> None:
    with pytest.raises(N3Error, match=f"{name} {split}"):
        measure_boxes(of(tiny_run, name, split))


def test_shares_and_accuracy_of_a_run(
    tiny_run: Run, small_world: ZeroShotDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boxes are the left quarter of every picture; what is left of the saliency is in the others."""

    def masks(columns: slice) -> Callable[..., np.ndarray]:
        def make(root: str, images: list[int], size: int) -> np.ndarray:
            mask = np.zeros((len(images), size, size), bool)
            mask[:, :, columns] = True
            return mask

        return make

    monkeypatch.setattr(saliency, "load_data", lambda config: small_world)
    run, results = replace(of(tiny_run, "cub", "SS"), image_size=16), []
    for columns in (slice(0, 4), slice(4, 16)):
        monkeypatch.setattr(saliency, "bird_masks", masks(columns))
        results.append(measure_boxes(run))
    assert [one["metrics"]["even"] for one in results] == [25, 75]
    assert results[0]["metrics"]["inside"] + results[1]["metrics"]["inside"] == pytest.approx(100, abs=1e-3)
    found = evaluate(tiny_run, small_world, ways=3)["metrics"]["per_class_accuracy"]
    assert results[0]["metrics"]["per_class_accuracy"] == pytest.approx(found, abs=1e-3)
    assert [len(values) for values in results[0]["by_class"].values()] == [3, 3, 3]
