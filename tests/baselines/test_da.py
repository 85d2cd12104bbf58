"""DA: the metric is at the minimum of its objective over pairs, and the span of the texts is enough."""

import numpy as np
import pytest
import torch

from n3lib.baselines.base import span, unit
from n3lib.baselines.da import DA, asymmetric

LAM = 1e-3


@pytest.mark.parametrize("upper", [0.0, 0.3])
def test_metric_is_at_the_minimum(linear_world, upper) -> None:
    seen = linear_world().seen
    x, t = unit(seen.images.pooled), seen.text
    w = torch.tensor(asymmetric(x, seen.labels, t, LAM, upper), requires_grad=True)
    score = torch.tensor(x) @ (torch.tensor(t) @ w).T  # (N, C)
    same = torch.tensor(seen.labels)[:, None] == torch.arange(len(t))
    too_low, too_high = (1 - score[same]).clamp_min(0), (score[~same] - upper).clamp_min(0)
    assert too_high.eq(0).any()  # a hinge, not a square
    (LAM * w.square().sum() + too_low.square().mean() + too_high.square().mean()).backward()
    torch.testing.assert_close(w.grad, torch.zeros_like(w), atol=3e-5, rtol=0)


def test_span_is_exact(linear_world) -> None:
    seen = linear_world().seen
    x, basis = unit(seen.images.pooled), span(seen.text)
    inside = asymmetric(x, seen.labels, seen.text @ basis.T, LAM, -1.0)
    outside = asymmetric(x, seen.labels, seen.text, LAM, -1.0)
    np.testing.assert_allclose(basis.T @ inside, outside, atol=1e-2 * np.abs(outside).max())


def test_it_reads_the_text(linear_world) -> None:
    world, unrelated = linear_world(), linear_world(related=False)
    assert world.accuracy(DA().fit(world.seen)(world.text)(world.images)) > 0.5
    scores = DA().fit(unrelated.seen)(unrelated.text)(unrelated.images)
    assert unrelated.accuracy(scores) < 0.4  # chance is 1/8


def test_permutation_and_repetition(linear_world) -> None:
    world = linear_world()
    write = DA().fit(world.seen)
    order = np.random.default_rng(0).permutation(len(world.text))
    scores = write(world.text)(world.images)
    np.testing.assert_allclose(write(world.text[order])(world.images), scores[:, order], atol=1e-12)
    np.testing.assert_array_equal(DA().fit(world.seen)(world.text)(world.images), scores)
