"""SAE (Kodirov, Xiang and Gong, 2017): a linear autoencoder of the features whose code is the text.

The scale of features and texts, on which lambda depends, is left open: here both have unit length.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int
from scipy.linalg import solve_sylvester

from n3lib.baselines.base import Array, Baseline, Classifier, Seen, Writer, class_means, tuned, unit


def autoencoder(
    x: Float64[Array, "N f"], labels: Int[Array, " N"], s: Float64[Array, "C a"], lam: float
) -> Float64[Array, "a f"]:
    """The W that minimizes `|X - W^T S|^2 + lambda |W X - S|^2`, a column of X and S for each image.

    It solves the Sylvester equation `A W + W B = C` with `A = S S^T`, `B = lambda X X^T` and
    `C = (1 + lambda) S X^T`. Images of a class share their text, so counts and means of classes are enough.
    """
    counts = np.bincount(labels, minlength=len(s))[:, None]
    means = class_means(x, labels, len(s))
    return solve_sylvester(s.T @ (counts * s), lam * x.T @ x, (1 + lam) * s.T @ (counts * means))


@dataclass(frozen=True)
class SAE(Baseline):
    """Scores are cosines: `cos(W x, s)` in the space of texts, or `cos(x, W^T s)` in that of features."""

    lam: float = tuned(10.0, 1e-1, 1e4)  # weight of the encoder against the decoder
    direction: Literal["text", "features"] = tuned("features", "text", "features")  # that space

    def fit(self, seen: Seen) -> Writer:
        # Exact: A and C hold nothing outside the span of the texts, so the part P W of the solution out there
        # has `P W B = 0`. It is zero, or may as well be.
        basis = seen.basis
        w = autoencoder(unit(seen.images.pooled), seen.labels, seen.text @ basis.T, self.lam)

        def write(text: Float64[Array, "K a"]) -> Classifier:
            codes = text @ basis.T
            if self.direction == "features":
                decoded = unit(codes @ w)
                return lambda images: unit(images.pooled) @ decoded.T
            # The texts have unit length; the part outside the span is orthogonal to every encoded image.
            return lambda images: unit(images.pooled @ w.T) @ codes.T

        return write
