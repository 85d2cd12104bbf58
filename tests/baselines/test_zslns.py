"""ZSLNS: each half step against its normal equation, the objective, and which words remain."""

from dataclasses import replace
from itertools import islice

import numpy as np

from n3lib.baselines.base import one_hot, unit
from n3lib.baselines.zslns import ZSLNS, lengths

VISUAL, TEXTUAL = 20.0, 3.0


def objective(x, y, text, a, b):
    scores = x @ a @ b.T @ text.T
    penalties = VISUAL * ((a @ b.T @ text.T) ** 2).sum() + TEXTUAL * lengths(b).sum()
    return ((scores - y) ** 2).sum() + penalties


def test_objective_never_rises_and_steps_solve_their_equations(linear_world) -> None:
    seen = linear_world().seen
    x, y, t = seen.images.pooled, one_hot(seen.labels, len(seen.text)), seen.text
    steps = list(islice(ZSLNS(0, VISUAL, TEXTUAL).alternate(x, seen), 16))
    values = [objective(x, y, t, a, b) for a, b in steps]
    assert np.all(np.diff(values) <= 1e-9 * values[0])
    assert values[-1] < 0.999 * values[0]
    gram = x.T @ x + VISUAL * np.eye(x.shape[1])
    for (_, before), (a, b) in zip(steps[::2], steps[1::2], strict=True):
        np.testing.assert_allclose(a.T @ a, np.eye(a.shape[1]), atol=1e-9)
        residual = t.T @ (t @ b @ a.T @ gram @ a - y.T @ x @ a) + TEXTUAL * b / (2 * lengths(before)[:, None])
        np.testing.assert_allclose(residual, 0, atol=1e-8)
    # The visual step gives A with orthonormal columns and the B that goes with it; A is as B would have it.
    for (_, before), (a, b) in zip(steps[1:-1:2], steps[2::2], strict=True):
        weighted = before.T @ (before / (2 * lengths(before)[:, None]))
        q = t @ before
        old = a @ np.linalg.lstsq(before, b, rcond=None)[0].T  # A before its columns were made orthonormal
        np.testing.assert_allclose(gram @ old @ q.T @ q + TEXTUAL * old @ weighted, x.T @ y @ q, atol=1e-7)


def test_useless_words_are_suppressed(linear_world) -> None:
    seen = linear_world().seen
    noise = np.random.default_rng(1).standard_normal(seen.text.shape)
    noise *= np.linalg.norm(seen.text) / np.linalg.norm(noise)
    text = unit(np.hstack([seen.text, noise - noise.mean(0)]))
    x, noisy = seen.images.pooled, replace(seen, text=text)
    shares = []
    for textual in (1e-3, 1.0, 10.0):
        *_, (_, b) = islice(ZSLNS(0, VISUAL, textual).alternate(x, noisy), 40)
        rows = np.linalg.norm(b, axis=1)
        shares.append(rows[30:].mean() / rows[:30].mean())
    assert shares[2] < 0.5
    assert shares[2] < shares[1] < shares[0]
