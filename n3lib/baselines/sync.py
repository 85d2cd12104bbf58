"""SynC (Changpinyo, Chao, Gong and Sha, 2016): classifiers are mixtures of phantom classes near in the text.

The phantom classes are the seen ones, so the seen classifiers W can be trained first and alone; those of the
phantom classes, V, solve `W = S V`. S is nearly singular when sigma is wide: in its pseudoinverse, singular
values below a thousandth of the largest count as zero (`TRUNCATION`). Features have a constant for a bias, an
addition of ours: features centered as these give no other way to push most classes beyond the margin.
"""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from scipy.linalg import cholesky, solve, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import softmax

from n3lib.baselines.base import Baseline, Classifier, Search, Seen, Writer, one_hot, unit

TRUNCATION = 1e-3
ITERATIONS = 100


def with_one(x: Float64[np.ndarray, "N f"]) -> Float64[np.ndarray, "N f+1"]:
    """Features and a constant, whose weight is the bias."""
    return np.column_stack([x, np.ones(len(x))])


def hinge_classifiers(
    x: Float64[np.ndarray, "N f"],
    y: Float64[np.ndarray, "N C"],
    penalty: Float64[np.ndarray, " C"],
    center: Float64[np.ndarray, "C f"],
) -> Float64[np.ndarray, "C f"]:
    """The rows w_c that minimize `penalty_c |w_c - center_c|^2 + mean_i max(0, 1 - y_ic w_c^T x_i)^2`.

    Args:
        x: features.
        y: -1 or 1.
        penalty: of each class.
        center: the weights that cost nothing.
    """
    # L-BFGS on all classes at once, in the coordinates `root^T (w - center)`: the problem is rounder in them,
    # which takes a fraction of the iterations.
    root = cholesky(x.T @ x / len(x) + penalty.mean() * np.eye(x.shape[1]), lower=True)
    white = solve_triangular(root, np.eye(len(root)), lower=True)  # root^-1
    z, metric, scores = x @ white.T, white @ white.T, x @ center.T

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        u = flat.reshape(center.shape)
        slack = np.maximum(1 - y * (scores + z @ u.T), 0)  # (N, C)
        pull = penalty[:, None] * (u @ metric)
        value = (pull * u).sum() + (slack**2).sum() / len(x)
        return value, (2 * pull - 2 * (y * slack).T @ z / len(x)).ravel()

    found = minimize(
        objective, np.zeros(center.size), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}
    )
    return center + found.x.reshape(center.shape) @ white


def similarities(
    text: Float64[np.ndarray, "K a"], phantoms: Float64[np.ndarray, "C a"], sigma: float
) -> Float64[np.ndarray, "K C"]:
    """`exp(-d^2 / sigma^2)` of unit texts, d their distance, divided by each row's sum."""
    return softmax(-cdist(unit(text), unit(phantoms), "sqeuclidean") / sigma**2, axis=1)


@dataclass(frozen=True)
class SynC(Baseline):
    """Classifiers `w = sum_r s_r v_r`, with s a class's similarities to the phantom classes.

    Attributes:
        sigma: width of the similarities.
        lam: penalty of the seen classifiers.
    """

    sigma: float = 0.2
    lam: float = 1e-3

    space = {"sigma": Search(0.1, 3.0), "lam": Search(1e-4, 3e-2)}

    @abstractmethod
    def classifiers(
        self, x: Float64[np.ndarray, "N f"], labels: Int[np.ndarray, " N"], classes: int
    ) -> Float64[np.ndarray, "C f"]:
        """W, the seen classifiers."""

    def fit(self, seen: Seen) -> Writer:
        w = self.classifiers(with_one(unit(seen.images.pooled)), seen.labels, len(seen.text))
        v = np.linalg.pinv(similarities(seen.text, seen.text, self.sigma), rcond=TRUNCATION) @ w

        def write(text: Float64[np.ndarray, "K a"]) -> Classifier:
            weight = similarities(text, seen.text, self.sigma) @ v
            return lambda images: with_one(unit(images.pooled)) @ weight.T

        return write


@dataclass(frozen=True)
class SynCOVO(SynC):
    """One-versus-other classifiers with squared hinge loss."""

    def classifiers(
        self, x: Float64[np.ndarray, "N f"], labels: Int[np.ndarray, " N"], classes: int
    ) -> Float64[np.ndarray, "C f"]:
        y = one_hot(labels, classes, off=-1.0)
        return hinge_classifiers(x, y, np.full(classes, self.lam), np.zeros((classes, x.shape[1])))


@dataclass(frozen=True)
class SynCFast(SynC):
    """Squared loss, ridge regression to labels -1 and 1, in closed form instead of the hinge."""

    def classifiers(
        self, x: Float64[np.ndarray, "N f"], labels: Int[np.ndarray, " N"], classes: int
    ) -> Float64[np.ndarray, "C f"]:
        y = one_hot(labels, classes, off=-1.0)
        ridge = len(x) * self.lam * np.eye(x.shape[1])
        return solve(x.T @ x + ridge, x.T @ y, assume_a="pos").T
