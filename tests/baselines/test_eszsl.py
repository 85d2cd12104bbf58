"""ESZSL: the closed form is the minimum it claims to be."""

from collections.abc import Callable

import numpy as np
import torch

from n3lib.baselines.base import one_hot
from n3lib.baselines.eszsl import ESZSL


def test_the_closed_form_is_where_the_gradient_of_the_objective_vanishes() -> None:
    rng = np.random.default_rng(0)
    x, s = rng.standard_normal((30, 5)), rng.standard_normal((6, 4))
    y = one_hot(rng.integers(6, size=30), 6, off=-1.0)
    gamma, lam = 0.7, 0.3
    w = torch.tensor(ESZSL(0, gamma, lam).weight(x, y, s), requires_grad=True)
    x, y, s = (torch.from_numpy(a) for a in (x, y, s))
    fit = (x @ w @ s.T - y).square().sum()
    penalties = gamma * (w @ s.T).square().sum() + lam * (x @ w).square().sum()
    (fit + penalties + gamma * lam * w.square().sum()).backward()
    assert w.grad.abs().max() < 1e-9


def test_the_span_of_the_texts_loses_nothing(linear_world: Callable) -> None:
    world = linear_world()
    x, y = world.seen.images.pooled, one_hot(world.seen.labels, 40, off=-1.0)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    method = ESZSL(gamma=2.0, lam=0.5)
    w = method.weight(x, y, world.seen.text)  # texts as they are, not in their span
    expected = world.images.pooled @ w @ world.text.T
    got = method.fit(world.seen)(world.text)(world.images)
    np.testing.assert_allclose(got, expected, atol=1e-8)
