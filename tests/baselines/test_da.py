"""DA: the metric is at the minimum of its objective over pairs, and the span of the texts is enough."""

import numpy as np
import pytest
import torch

from n3lib.baselines.base import unit
from n3lib.baselines.da import asymmetric

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
    x, basis = unit(seen.images.pooled), seen.basis
    inside = asymmetric(x, seen.labels, seen.text @ basis.T, LAM, -1.0)
    outside = asymmetric(x, seen.labels, seen.text, LAM, -1.0)
    np.testing.assert_allclose(basis.T @ inside, outside, atol=1e-2 * np.abs(outside).max())
