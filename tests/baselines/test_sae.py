"""SAE: its Sylvester equation and objective image by image, and that the span of the texts is enough."""

import numpy as np
import pytest
import torch

from n3lib.baselines.base import unit
from n3lib.baselines.sae import SAE, autoencoder

LAM = 3.0


def test_solution_satisfies_the_sylvester_equation_and_minimizes_the_objective(linear_world) -> None:
    seen = linear_world().seen
    x = unit(seen.images.pooled)
    got = autoencoder(x, seen.labels, seen.text, LAM)
    columns, codes = x.T, seen.text[seen.labels].T  # (f, N), (a, N)
    left = codes @ codes.T @ got + got @ (LAM * columns @ columns.T)
    np.testing.assert_allclose(left, (1 + LAM) * codes @ columns.T, atol=1e-9)
    w, columns, codes = (torch.tensor(a) for a in (got, columns, codes))
    w.requires_grad_()
    loss = (columns - w.T @ codes).square().sum() + LAM * (w @ columns - codes).square().sum()
    loss.backward()
    torch.testing.assert_close(w.grad, torch.zeros_like(w), atol=1e-8, rtol=0)


def test_span_is_exact(linear_world) -> None:
    seen = linear_world().seen
    x, basis = unit(seen.images.pooled), seen.basis
    inside = autoencoder(x, seen.labels, seen.text @ basis.T, LAM)
    np.testing.assert_allclose(basis.T @ inside, autoencoder(x, seen.labels, seen.text, LAM), atol=1e-9)


@pytest.mark.parametrize("direction", ["text", "features"])
def test_scores_are_cosines(linear_world, direction) -> None:
    world = linear_world()
    # Texts of new words, too, which make the known ones count less.
    text = unit(world.text + 0.1 * np.random.default_rng(0).standard_normal(world.text.shape))
    w = autoencoder(unit(world.seen.images.pooled), world.seen.labels, world.seen.text, LAM)
    x = world.images.pooled
    expected = unit(x @ w.T) @ text.T if direction == "text" else unit(x) @ unit(text @ w).T
    got = SAE(lam=LAM, direction=direction).fit(world.seen)(text)(world.images)
    np.testing.assert_allclose(got, expected, atol=1e-9)
