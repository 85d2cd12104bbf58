"""DA (Kulis, Saenko and Darrell, 2011): an asymmetric metric between texts and features, learned from pairs.

The original draws pairs at random; here all pairs of an image and a seen class count, matching pairs as much
as the others together. Its kernel form is not needed: texts are few, so `Seen.basis` does as well.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from scipy.optimize import minimize

from n3lib.baselines.base import Array, Baseline, Seen, Writer, linear, one_hot, tuned, unit

ITERATIONS = 100


def asymmetric(
    x: Float64[Array, "N f"], labels: Int[Array, " N"], t: Float64[Array, "C a"], lam: float, upper: float
) -> Float64[Array, "a f"]:
    """The W that minimizes `lambda |W|^2 + mean max(0, 1 - t^T W x)^2 + mean max(0, t^T W x - upper)^2`.

    The first mean is over the pairs of an image and its own class, the second over all others.
    """
    same = one_hot(labels, len(t))
    sign, margin = 1 - 2 * same, np.where(same, -1.0, upper)  # slack is sign * score - margin
    weight = np.where(same, 1.0, 1 / (len(t) - 1)) / len(x)

    def objective(flat: Array) -> tuple[float, Array]:
        w = flat.reshape(t.shape[1], x.shape[1])
        slack = np.maximum(sign * (x @ (t @ w).T) - margin, 0)  # (N, C)
        value = lam * (w**2).sum() + (weight * slack**2).sum()
        return value, (2 * lam * w + 2 * t.T @ ((weight * sign * slack).T @ x)).ravel()

    start = np.zeros(t.shape[1] * x.shape[1])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    return found.x.reshape(t.shape[1], x.shape[1])


@dataclass(frozen=True)
class DA(Baseline):
    """Scores `t^T W x`, above 1 for an image's own class and below a bound for all others."""

    lam: float = tuned(1e-5, 1e-6, 1e-3)  # penalty of the metric
    upper: float = tuned(-1.0, -1.0, 0.5, log=False)  # the bound

    def fit(self, seen: Seen) -> Writer:
        # Exact, as |W|^2 keeps W in the span of the texts.
        basis = seen.basis
        w = asymmetric(unit(seen.images.pooled), seen.labels, seen.text @ basis.T, self.lam, self.upper)
        return lambda text: linear(text @ basis.T @ w)
