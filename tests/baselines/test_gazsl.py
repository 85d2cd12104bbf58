"""GAZSL's losses against loops and hand computations, its vote against scikit-learn, and what it learns."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from n3lib.baselines import gazsl
from n3lib.baselines.base import Seen, unit
from n3lib.baselines.gazsl import GAZSL, MEGAZSL, gradient_penalty, l21, visual_pivot, votes


def test_penalty_of_a_linear_critic() -> None:
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor([2.0, -1.0, 2.0]))  # of length 3

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
            return x @ self.w + 7, None

    critic = Linear()
    penalty = gradient_penalty(critic, torch.randn(5, 3))
    assert penalty.item() == pytest.approx((3 - 1) ** 2)
    penalty.backward()  # 2 (|w| - 1) w / |w|
    torch.testing.assert_close(critic.w.grad, 2 * (3 - 1) * critic.w.detach() / 3)


def test_penalty_is_averaged_over_rows() -> None:
    class Square(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
            return x.square().sum(1) / 2, None  # whose slope is x

    x = torch.randn(6, 4)
    expected = sum((float(row.norm()) - 1) ** 2 for row in x) / 6
    assert gradient_penalty(Square(), x).item() == pytest.approx(expected, rel=1e-5)


def test_l21_sums_the_lengths_of_rows() -> None:
    weight = torch.randn(5, 3)
    weight[2] = 0
    weight.requires_grad_()
    assert l21(weight).item() == pytest.approx(sum(row.norm().item() for row in weight), rel=1e-5)
    l21(weight).backward()
    assert weight.grad is not None and weight.grad.isfinite().all()


def test_l21_shrinks_words(linear_world: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[gazsl.Generator] = []

    class Kept(gazsl.Generator):
        def __init__(self, text: int, features: int) -> None:
            super().__init__(text, features)
            made.append(self)

    monkeypatch.setattr(gazsl, "Generator", Kept)
    for sparsity in (0.0, 10.0):
        GAZSL(0, steps=40, rate=5e-3, sparsity=sparsity).fit(linear_world().seen)
    free, shrunk = (g.encode.weight.norm(dim=0).mean() for g in made)  # of the columns, one of each word
    assert shrunk < free / 2


def test_visual_pivot_against_a_loop() -> None:
    imagined, centroids = torch.randn(4, 6, 3), torch.randn(4, 3)
    expected = 0.0
    for k in range(4):
        mean = sum(imagined[k]) / 6
        expected += float(((mean - centroids[k]) ** 2).sum()) / 4
    assert visual_pivot(imagined, centroids).item() == pytest.approx(expected, rel=1e-5)


def test_votes_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x, imagined = (
        rng.standard_normal((50, 4)),
        rng.standard_normal((6, 30, 4)) + rng.standard_normal((6, 1, 4)),
    )
    model = KNeighborsClassifier(gazsl.NEIGHBORS, metric="cosine")
    model.fit(imagined.reshape(-1, 4), np.repeat(np.arange(6), 30))
    counts = np.round(model.predict_proba(x) * gazsl.NEIGHBORS)
    got = votes(x, imagined)
    cosines = np.stack([(unit(x) @ unit(points).T).mean(1) for points in imagined], 1)
    np.testing.assert_allclose(got, counts + cosines / 2, atol=1e-12)
    clear = np.sort(counts, 1)[:, -1] > np.sort(counts, 1)[:, -2]
    assert np.array_equal(got.argmax(1)[clear], model.predict(x)[clear])
    few = votes(x, imagined[:2, :5])  # fewer points than neighbors: all vote
    assert (np.round(few) == 5).all()


def test_learns_a_linear_world_and_nothing_from_random_text(linear_world: Callable) -> None:
    def accuracy(related: bool) -> float:
        worlds = (linear_world(related, seed) for seed in (0, 1))
        return np.mean([w.accuracy(GAZSL(0, steps=60).fit(w.seen)(w.text)(w.images)) for w in worlds])

    assert accuracy(True) > 0.4
    assert accuracy(False) < 0.3


@pytest.mark.parametrize("dense", [False, True])
def test_same_seed_same_scores_and_order_of_classes(dense: bool, linear_world: Callable) -> None:
    world, method = linear_world(), MEGAZSL if dense else GAZSL
    rows = unit(np.random.default_rng(0).standard_normal((48, 384)))  # as of an encoder
    seen = Seen(world.seen.images, world.seen.labels, rows[:40]) if dense else world.seen
    text = rows[40:] if dense else world.text
    before = torch.get_rng_state()
    first, again, other = (method(seed, steps=3).fit(seen) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)  # whoever calls keeps their random numbers
    scores, order = first(text)(world.images), np.random.default_rng(0).permutation(8)
    assert scores.shape == (len(world.labels), 8)
    assert np.array_equal(scores, again(text)(world.images))
    assert not np.allclose(scores, other(text)(world.images))
    np.testing.assert_allclose(first(text[order])(world.images), scores[:, order], atol=1e-5)
