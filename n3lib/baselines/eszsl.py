"""ESZSL (Romera-Paredes and Torr, 2015): a bilinear score with two ridge penalties, in closed form."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.linalg import solve

from n3lib.baselines.base import Baseline, Search, Seen, Writer, linear, one_hot, unit


def bilinear(
    x: Float64[np.ndarray, "N f"],
    y: Float64[np.ndarray, "N C"],
    s: Float64[np.ndarray, "C a"],
    gamma: float,
    lam: float,
) -> Float64[np.ndarray, "f a"]:
    """`W = (X^T X + gamma I)^-1 X^T Y S (S^T S + lambda I)^-1`, which minimizes
    `|X W S^T - Y|^2 + gamma |W S^T|^2 + lambda |X W|^2 + gamma lambda |W|^2`."""
    left = solve(x.T @ x + gamma * np.eye(x.shape[1]), x.T @ y @ s, assume_a="pos")
    return solve(s.T @ s + lam * np.eye(s.shape[1]), left.T, assume_a="pos").T


@dataclass(frozen=True)
class ESZSL(Baseline):
    """Scores `x^T W s`, labels -1 and 1.

    Attributes:
        gamma: penalty of the visual side.
        lam: penalty of the text side.
    """

    gamma: float = 100.0
    lam: float = 1.0

    space = {"gamma": Search(1.0, 300.0), "lam": Search(1e-2, 10.0)}

    def fit(self, seen: Seen) -> Writer:
        basis = seen.basis
        y = one_hot(seen.labels, len(seen.text), off=-1.0)
        w = bilinear(unit(seen.images.pooled), y, seen.text @ basis.T, self.gamma, self.lam)
        # Unit length of an image's features scales its scores alike, which changes no ranking of classes.
        return lambda text: linear(text @ basis.T @ w.T)
