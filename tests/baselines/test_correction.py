"""Correction networks: the task module against ESZSL, and what the correction does to classes held out."""

import numpy as np
import pytest
import torch
from scipy.linalg import solve

from n3lib.baselines import correction
from n3lib.baselines.base import one_hot, unit
from n3lib.baselines.correction import CorrectionNetwork, inputs
from n3lib.baselines.eszsl import ESZSL


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction, "STEPS", 100)


def test_task_module_is_eszsl(linear_world) -> None:
    world = linear_world()
    x, y = unit(world.seen.images.pooled), one_hot(world.seen.labels, len(world.seen.text))
    weights = solve(x.T @ x + 2.0 * np.eye(x.shape[1]), x.T @ y).T
    expected = world.text @ ESZSL(gamma=2.0, lam=0.5).weight(x, y, world.seen.text).T
    method = CorrectionNetwork(gamma=2.0, lam=0.5)
    np.testing.assert_allclose(method.predict(world.seen.text, weights, world.text), expected)
    got = method.targets(world.seen)
    centered = weights - weights.mean(0)
    np.testing.assert_allclose(got, centered / np.sqrt((centered**2).mean()))


def test_untrained_it_is_its_task_module(linear_world, monkeypatch) -> None:
    monkeypatch.setattr(correction, "STEPS", 0)
    world, method = linear_world(), CorrectionNetwork()
    weights = unit(method.predict(world.seen.text, method.targets(world.seen), world.text))
    got = method.fit(world.seen)(world.text)(world.images)
    np.testing.assert_allclose(got, world.images.pooled @ weights.T)


def test_inputs_tell_the_training_set(linear_world) -> None:
    world = linear_world()
    text, y = world.seen.text, CorrectionNetwork().targets(world.seen)
    got = inputs(text[:30], y[:30], text[30:], np.ones((10, 16))).numpy()
    assert got.shape == (10, 2 * (30 + 16))
    np.testing.assert_allclose(got[:, :30], text[30:] * 30**0.5, rtol=1e-5)
    np.testing.assert_allclose(got[3, -16:], y[:30].mean(0), rtol=1e-5)
    np.testing.assert_allclose(got[3, 46:76], text[:30].mean(0) * 30**0.5, rtol=1e-5)


def test_it_learns_what_the_task_module_gets_wrong(linear_world) -> None:
    # The heavy penalty makes the task module shrink its predictions; classes new to M must gain, too.
    seen = linear_world().seen
    method = CorrectionNetwork(lam=100.0, dropout=0.1, rate=1e-3)
    text, y = seen.text, method.targets(seen)
    module = method.learn(text[:32], y[:32])
    y_hat = method.predict(text[:32], y[:32], text[32:])
    with torch.no_grad():
        corrected = y_hat + module(inputs(text[:32], y[:32], text[32:], y_hat)).numpy()
    assert ((y[32:] - corrected) ** 2).sum() < 0.7 * ((y[32:] - y_hat) ** 2).sum()
