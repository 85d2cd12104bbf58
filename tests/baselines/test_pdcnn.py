"""PDCNN's scores against loops over classes and cells, its losses against scikit-learn, what it learns."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from sklearn.metrics import log_loss
from torch.nn import functional

from n3lib.baselines.pdcnn import (
    PDCNN,
    PDCNNFC,
    REDUCED,
    Network,
    PDCNNBoth,
    PDCNNConv,
    channel_moments,
    pair_loss,
)

VARIANTS = [PDCNNFC, PDCNNConv, PDCNNBoth]


@torch.no_grad()
def test_weights_and_filters_that_the_text_writes() -> None:
    network = Network(text=6, features=5, channels=4, dropout=0.5, bias=-1.5).eval()
    text, pooled, maps = torch.randn(3, 6), torch.randn(2, 5), torch.randn(2, 4, 5, 7)
    hidden, reduced = network.hidden(text), network.reduce(maps)
    weights, filters = network.f(hidden), network.filters(hidden).view(3, REDUCED, 3, 3)
    expected = np.full((2, 3), -1.5)
    for image in range(2):
        for k in range(3):
            expected[image, k] += float(network.g(pooled[image]) @ weights[k]) / 8  # root of PROJECTED
            filtered = [correlate2d(reduced[image, c], filters[k, c], mode="same") for c in range(REDUCED)]
            expected[image, k] += np.sum(filtered, 0).mean()
    np.testing.assert_allclose(network(text, pooled, maps), expected, atol=1e-5)
    whole = functional.conv2d(reduced, filters, padding=1).mean((2, 3))
    network.features = 0
    torch.testing.assert_close(network(text, pooled, maps), whole - 1.5)


def test_losses_over_all_pairs() -> None:
    scores, labels = torch.randn(7, 4).double(), torch.tensor([0, 3, 1, 2, 2, 0, 1])
    truth = np.eye(4)[labels]
    probabilities = torch.sigmoid(scores).numpy()
    expected = sum(log_loss(truth[:, c], probabilities[:, c], labels=[0, 1]) for c in range(4))
    assert float(pair_loss(scores, labels, "bce")) == pytest.approx(expected)
    margins = [
        max(0.0, 1 - (1 if c == labels[i] else -1) * float(scores[i, c])) for i in range(7) for c in range(4)
    ]
    assert float(pair_loss(scores, labels, "hinge")) == pytest.approx(sum(margins) / 7)


def test_moments_of_channels() -> None:
    maps = np.random.default_rng(0).normal(3, 2, (150, 4, 3, 2)).astype(np.float16)
    mean, deviation = channel_moments(maps)
    np.testing.assert_allclose(mean.ravel(), maps.astype(float).mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(deviation.ravel(), maps.astype(float).std((0, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("method", VARIANTS)
def test_learns_a_linear_world_and_nothing_from_random_text(
    method: type[PDCNN], linear_world: Callable
) -> None:
    def accuracy(related: bool) -> float:
        worlds = (linear_world(related, seed, maps=method.uses_maps) for seed in (0, 1))
        return np.mean([w.accuracy(method(0, steps=300).fit(w.seen)(w.text)(w.images)) for w in worlds])

    assert accuracy(True) > 0.4
    assert accuracy(False) < 0.3


def test_hinge_learns_too(linear_world: Callable) -> None:
    world = linear_world()
    scores = PDCNNFC(0, "hinge", steps=300).fit(world.seen)(world.text)(world.images)
    assert world.accuracy(scores) > 0.4


@pytest.mark.parametrize("method", VARIANTS)
def test_same_seed_same_scores_and_order_of_classes(method: type[PDCNN], linear_world: Callable) -> None:
    world = linear_world(maps=method.uses_maps)
    before = torch.get_rng_state()
    first, again, other = (method(seed, steps=10).fit(world.seen) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)  # whoever calls keeps their random numbers
    scores, order = first(world.text)(world.images), np.random.default_rng(0).permutation(8)
    assert np.array_equal(scores, again(world.text)(world.images))
    assert not np.allclose(scores, other(world.text)(world.images))
    np.testing.assert_allclose(first(world.text[order])(world.images), scores[:, order], atol=1e-5)
