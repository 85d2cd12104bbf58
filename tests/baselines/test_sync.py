"""SynC: seen classifiers at the minimum of their objectives, which the phantom classes give back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from n3lib.baselines.base import one_hot, unit
from n3lib.baselines.sync import SynCFast, SynCOVO, hinge_classifiers, similarities, with_one

BOTH = pytest.mark.parametrize("method", [SynCOVO, SynCFast])


def test_hinge_classifiers_are_at_the_minimum(linear_world) -> None:
    seen = linear_world().seen
    x, y = with_one(unit(seen.images.pooled)), one_hot(seen.labels, len(seen.text), off=-1.0)
    rng = np.random.default_rng(0)
    penalty = rng.uniform(1e-3, 1e-2, len(seen.text))
    center = rng.standard_normal((len(seen.text), x.shape[1]))
    got = hinge_classifiers(x, y, penalty, center)
    w = torch.tensor(got, requires_grad=True)
    away = (w - torch.tensor(center)).square().sum(1)
    slack = (1 - torch.tensor(y) * (torch.tensor(x) @ w.T)).clamp_min(0)
    assert 0 < slack.eq(0).double().mean() < 1  # a hinge, not a square
    ((torch.tensor(penalty) * away).sum() + slack.square().mean(0).sum()).backward()
    torch.testing.assert_close(w.grad, torch.zeros_like(w), atol=1e-4, rtol=0)


def test_fast_classifiers_solve_the_normal_equation(linear_world) -> None:
    seen = linear_world().seen
    x, y = with_one(unit(seen.images.pooled)), one_hot(seen.labels, len(seen.text), off=-1.0)
    w = SynCFast(lam=0.01).classifiers(x, y)
    np.testing.assert_allclose(x.T @ (x @ w.T - y) + 0.01 * len(x) * w.T, 0, atol=1e-9)


def test_similarities_are_shares_and_fall_with_the_distance(linear_world) -> None:
    text = linear_world().seen.text
    got = similarities(text, text, 0.7)
    np.testing.assert_allclose(got.sum(1), 1)
    distance = np.linalg.norm(text[:, None] - text, axis=2)
    expected = np.exp(-((distance / 0.7) ** 2))
    np.testing.assert_allclose(got, expected / expected.sum(1, keepdims=True), atol=1e-12)


@BOTH
def test_phantom_classes_give_the_seen_classifiers_back(linear_world, method) -> None:
    seen = linear_world().seen
    x, y = with_one(unit(seen.images.pooled)), one_hot(seen.labels, len(seen.text), off=-1.0)
    w = method().classifiers(x, y)
    np.testing.assert_allclose(method().fit(seen)(seen.text)(seen.images), x @ w.T, atol=1e-9)


@BOTH
def test_nearly_equal_texts_do_not_blow_up(linear_world, method) -> None:
    seen = linear_world().seen
    twins = replace(seen, text=unit(seen.text[np.arange(len(seen.text)) // 2 * 2] + 1e-9 * seen.text))
    scores = method().fit(twins)(twins.text)(twins.images)
    assert np.abs(scores).max() < 10
