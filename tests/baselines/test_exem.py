"""Predicted exemplars against scikit-learn's kernel ridge."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.linalg import inv, sqrtm
from sklearn.kernel_ridge import KernelRidge

from n3lib.baselines.base import class_means, unit
from n3lib.baselines.exem import EXEM, EXEMRBF
from n3lib.classifiers import WITHIN_SHRINKAGE


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_scores_are_those_of_kernel_ridge_on_whitened_means(kernel: str, linear_world: Callable) -> None:
    world = linear_world()
    x, labels = world.seen.images.pooled, world.seen.labels
    scale = x.std(0, ddof=1)
    x = x / scale
    within = x - class_means(x, labels, 40)[labels]
    scatter = within.T @ within / len(x)
    root = inv(np.real(sqrtm(scatter + WITHIN_SHRINKAGE * scatter.trace() / 16 * np.eye(16))))
    means = class_means(x, labels, 40) @ root
    ridge = KernelRidge(alpha=0.2, kernel=kernel, gamma=0.5 / 1.5**2 if kernel == "rbf" else None)
    rows = ridge.fit(world.seen.text, means - means.mean(0)).predict(world.text)
    expected = (world.images.pooled / scale) @ root @ unit(rows).T
    method = EXEM(strength=0.2) if kernel == "linear" else EXEMRBF(strength=0.2, width=1.5)
    got = method.fit(world.seen)(world.text)(world.images)
    np.testing.assert_allclose(got, expected, atol=1e-6)
