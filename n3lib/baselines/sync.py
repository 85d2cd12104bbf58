"""SynC (Changpinyo, Chao, Gong and Sha, 2016): classifiers are mixtures of phantom classes near in the text.

The phantom classes are the seen ones, so the seen classifiers W can be trained first and alone; those of the
phantom classes, V, solve `W = S V`. S is nearly singular when sigma is wide: in its pseudoinverse, singular
values below a thousandth of the largest count as zero (`TRUNCATION`). Features have a constant for a bias, an
addition of ours: features centered as these give no other way to push most classes beyond the margin.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.linalg import cholesky, solve, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import softmax

from n3lib.baselines.base import Array, Baseline, Classifier, Seen, Writer, one_hot, tuned, unit

TRUNCATION = 1e-3
ITERATIONS = 100


def with_one(x: Float64[Array, "N f"]) -> Float64[Array, "N f+1"]:
    """Features and a constant, whose weight is the bias."""
    return np.column_stack([x, np.ones(len(x))])


def hinge_classifiers(
    x: Float64[Array, "N f"],
    y: Float64[Array, "N C"],
    penalty: Float64[Array, " C"],
    center: Float64[Array, "C f"],
) -> Float64[Array, "C f"]:
    """The rows w_c that minimize `penalty_c |w_c - center_c|^2 + mean_i max(0, 1 - y_ic w_c^T x_i)^2`, with
    labels y of -1 and 1."""
    # L-BFGS on all classes at once, in the coordinates `root^T (w - center)`: the problem is rounder in them,
    # which takes a fraction of the iterations.
    root = cholesky(x.T @ x / len(x) + penalty.mean() * np.eye(x.shape[1]), lower=True)
    white = solve_triangular(root, np.eye(len(root)), lower=True)  # root^-1
    z, metric, scores = x @ white.T, white @ white.T, x @ center.T

    def objective(flat: Array) -> tuple[float, Array]:
        u = flat.reshape(center.shape)
        slack = np.maximum(1 - y * (scores + z @ u.T), 0)  # (N, C)
        pull = penalty[:, None] * (u @ metric)
        value = (pull * u).sum() + (slack**2).sum() / len(x)
        return value, (2 * pull - 2 * (y * slack).T @ z / len(x)).ravel()

    start, options = np.zeros(center.size), {"maxiter": ITERATIONS}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return center + found.x.reshape(center.shape) @ white


def similarities(
    text: Float64[Array, "K a"], phantoms: Float64[Array, "C a"], sigma: float
) -> Float64[Array, "K C"]:
    """`exp(-d^2 / sigma^2)` of unit texts, d their distance, divided by each row's sum."""
    return softmax(-cdist(unit(text), unit(phantoms), "sqeuclidean") / sigma**2, axis=1)


@dataclass(frozen=True)
class SynCOVO(Baseline):
    """Classifiers `w = sum_r s_r v_r`, with s a class's similarities to the phantom classes. Those of seen
    classes are one-versus-other, with squared hinge loss."""

    sigma: float = tuned(0.2, 0.1, 3.0)  # width of the similarities
    lam: float = tuned(1e-3, 1e-4, 3e-2)  # penalty of the seen classifiers

    def classifiers(self, x: Float64[Array, "N f"], y: Float64[Array, "N C"]) -> Float64[Array, "C f"]:
        """W, the seen classifiers, from labels -1 and 1."""
        return hinge_classifiers(x, y, np.full(y.shape[1], self.lam), np.zeros((y.shape[1], x.shape[1])))

    def fit(self, seen: Seen) -> Writer:
        y = one_hot(seen.labels, len(seen.text), off=-1.0)
        w = self.classifiers(with_one(unit(seen.images.pooled)), y)
        v = np.linalg.pinv(similarities(seen.text, seen.text, self.sigma), rcond=TRUNCATION) @ w

        def write(text: Float64[Array, "K a"]) -> Classifier:
            weight = similarities(text, seen.text, self.sigma) @ v
            return lambda images: with_one(unit(images.pooled)) @ weight.T

        return write


@dataclass(frozen=True)
class SynCFast(SynCOVO):
    """Squared loss, ridge regression to the labels, in closed form instead of the hinge."""

    def classifiers(self, x: Float64[Array, "N f"], y: Float64[Array, "N C"]) -> Float64[Array, "C f"]:
        ridge = len(x) * self.lam * np.eye(x.shape[1])
        return solve(x.T @ x + ridge, x.T @ y, assume_a="pos").T
