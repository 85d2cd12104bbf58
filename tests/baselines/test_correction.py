"""Correction networks: the task module against ESZSL, and what the correction does to classes held out."""

import numpy as np
import pytest
import torch
from scipy.linalg import solve

from n3lib.baselines import correction
from n3lib.baselines.base import one_hot, unit
from n3lib.baselines.correction import CorrectionNetwork, inputs, learn, targets, task_module
from n3lib.baselines.eszsl import bilinear


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction, "STEPS", 100)


def test_task_module_is_eszsl(linear_world) -> None:
    world = linear_world()
    x, y = unit(world.seen.images.pooled), one_hot(world.seen.labels, len(world.seen.text))
    weights = solve(x.T @ x + 2.0 * np.eye(x.shape[1]), x.T @ y).T
    expected = world.text @ bilinear(x, y, world.seen.text, 2.0, 0.5).T
    np.testing.assert_allclose(task_module(world.seen.text, weights, world.text, 0.5), expected)
    got = targets(world.seen, 2.0)
    centered = weights - weights.mean(0)
    np.testing.assert_allclose(got, centered / np.sqrt((centered**2).mean()))


def test_untrained_it_is_its_task_module(linear_world, monkeypatch) -> None:
    monkeypatch.setattr(correction, "STEPS", 0)
    world = linear_world()
    y = targets(world.seen, 10.0)
    weights = unit(task_module(world.seen.text, y, world.text, 0.3))
    got = CorrectionNetwork().fit(world.seen)(world.text)(world.images)
    np.testing.assert_allclose(got, world.images.pooled @ weights.T)


def test_inputs_tell_the_training_set(linear_world) -> None:
    world = linear_world()
    text, y = world.seen.text, targets(world.seen, 10.0)
    got = inputs(text[:30], y[:30], text[30:], np.ones((10, 16))).numpy()
    assert got.shape == (10, 2 * (30 + 16))
    np.testing.assert_allclose(got[:, :30], text[30:] * 30**0.5, rtol=1e-5)
    np.testing.assert_allclose(got[3, -16:], y[:30].mean(0), rtol=1e-5)
    np.testing.assert_allclose(got[3, 46:76], text[:30].mean(0) * 30**0.5, rtol=1e-5)


def test_it_learns_what_the_task_module_gets_wrong(linear_world) -> None:
    # The heavy penalty makes the task module shrink its predictions; classes new to M must gain, too.
    seen = linear_world().seen
    text, y = seen.text, targets(seen, 10.0)
    module = learn(text[:32], y[:32], 100.0, 0.1, 1e-3, seed=0)
    y_hat = task_module(text[:32], y[:32], text[32:], 100.0)
    with torch.no_grad():
        corrected = y_hat + module(inputs(text[:32], y[:32], text[32:], y_hat)).numpy()
    assert ((y[32:] - corrected) ** 2).sum() < 0.7 * ((y[32:] - y_hat) ** 2).sum()
