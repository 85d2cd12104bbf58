"""ESZSL (Romera-Paredes and Torr, 2015): a bilinear score with two ridge penalties, in closed form."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.linalg import solve

from n3lib.baselines.base import Array, Baseline, Seen, Writer, linear, one_hot, tuned, unit


@dataclass(frozen=True)
class ESZSL(Baseline):
    """Scores `x^T W s`, labels -1 and 1."""

    gamma: float = tuned(100.0, 1.0, 300.0)  # penalty of the visual side
    lam: float = tuned(1.0, 1e-2, 10.0)  # penalty of the text side

    def weight(
        self, x: Float64[Array, "N f"], y: Float64[Array, "N C"], s: Float64[Array, "C a"]
    ) -> Float64[Array, "f a"]:
        """`W = (X^T X + gamma I)^-1 X^T Y S (S^T S + lambda I)^-1`, which minimizes
        `|X W S^T - Y|^2 + gamma |W S^T|^2 + lambda |X W|^2 + gamma lambda |W|^2`."""
        left = solve(x.T @ x + self.gamma * np.eye(x.shape[1]), x.T @ y @ s, assume_a="pos")
        return solve(s.T @ s + self.lam * np.eye(s.shape[1]), left.T, assume_a="pos").T

    def fit(self, seen: Seen) -> Writer:
        basis, y = seen.basis, one_hot(seen.labels, len(seen.text), off=-1.0)
        w = self.weight(unit(seen.images.pooled), y, seen.text @ basis.T)
        return lambda text: linear(text @ basis.T @ w.T)
