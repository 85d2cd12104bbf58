"""WAC: its parts against scikit-learn, and the written classifier at the minimum of the whole objective."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct

from n3lib.baselines import wac
from n3lib.baselines.base import Images, one_hot, unit
from n3lib.baselines.da import asymmetric
from n3lib.baselines.sync import hinge_classifiers, with_one
from n3lib.baselines.wac import WACKernel, WACLinear, regress

BOTH = pytest.mark.parametrize("method", [WACLinear, WACKernel])


def test_regression_is_a_gaussian_process() -> None:
    rng = np.random.default_rng(0)
    seen, asked = unit(rng.standard_normal((9, 6))), unit(rng.standard_normal((4, 6)))
    targets = rng.standard_normal((9, 3))
    mean, variance = regress(asked @ seen.T, seen @ seen.T, targets, 0.3)
    centered = targets - targets.mean(0)
    model = GaussianProcessRegressor(DotProduct(0.0, "fixed"), alpha=0.3, optimizer=None).fit(seen, centered)
    expected, deviation = model.predict(asked, return_std=True)
    np.testing.assert_allclose(mean, targets.mean(0) + expected, atol=1e-9)
    # Of targets, not of what lies under their noise; far from every text it is the variance of the targets.
    share = (deviation[:, 0] ** 2 + 0.3) / 1.3
    np.testing.assert_allclose(variance, centered.var() * share, atol=1e-9)


def test_written_classifier_is_at_the_minimum(linear_world) -> None:
    world = linear_world()
    seen, method = world.seen, WACLinear()
    classify = method.fit(seen)(world.text)
    # Scores are linear in features of unit length: those of the axes tell weights and bias.
    axes = np.eye(seen.images.pooled.shape[1])
    there, back = classify(Images(axes)), classify(Images(-axes))
    got = np.vstack([(there - back) / 2, (there + back)[:1] / 2]).T  # (K, f + 1)

    bare = unit(seen.images.pooled)
    x, y = with_one(bare), one_hot(seen.labels, len(seen.text), off=-1.0)
    known = hinge_classifiers(x, y, np.full(len(seen.text), wac.SVM), np.zeros((len(seen.text), x.shape[1])))
    mean, variance = regress(world.text @ seen.text.T, seen.text @ seen.text.T, known, method.noise)
    w = asymmetric(bare, seen.labels, seen.text, wac.TRANSFER, wac.UPPER)
    transferred = np.column_stack([world.text @ w, np.zeros(len(world.text))])

    def objective(c: torch.Tensor) -> torch.Tensor:
        p = torch.distributions.Normal(torch.tensor(mean), torch.tensor(variance).sqrt()[:, None])
        slack = (1 + torch.tensor(x) @ c.T).clamp_min(0)
        parts = c.square() - method.alpha * torch.tensor(transferred) * c - method.beta * p.log_prob(c)
        return parts.sum() + method.gamma * slack.square().mean(0).sum()

    c = torch.tensor(got, requires_grad=True)
    objective(c).backward()
    zero = torch.zeros_like(c, requires_grad=True)
    objective(zero).backward()
    assert c.grad.norm() < 1e-3 * zero.grad.norm()


def test_coordinates_of_all_images_are_the_kernel(linear_world) -> None:
    images = linear_world().seen.images  # fewer than there are landmarks
    x = unit(images.pooled)
    got = cdist(*[WACKernel(width=1.2).features(images)(images)] * 2, "sqeuclidean")
    expected = 2 - 2 * np.exp(-cdist(x, x, "sqeuclidean") / 1.2**2)
    np.testing.assert_allclose(got, expected * got.sum() / expected.sum(), atol=1e-6)


def test_seen_images_are_rejected(linear_world) -> None:
    world = linear_world()
    scores = [WACLinear(gamma=g).fit(world.seen)(world.text)(world.seen.images) for g in (1e-3, 1e5)]
    slack = [np.maximum(1 + s, 0).mean() for s in scores]
    assert slack[1] < 0.5 * slack[0]
