"""ZSLNS (Qiao, Liu, Shen and van den Hengel, 2016): a low-rank bilinear score with few words in it.

Image x and text t score `(A^T x)^T (B^T t)`; an l2,1 penalty over words, the rows of B, suppresses noise.

Departures: the original penalizes |B|_2,1 while A is free, so that A may grow and B shrink at no cost. Here A
has orthonormal columns, which changes no score and makes the row lengths of B those of A B^T; with A free in
size, validation accuracy was about two points lower. Sylvester equations are solved by eigendecomposition.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float64
from scipy.linalg import eigh

from n3lib.baselines.base import Array, Baseline, Seen, Writer, linear, one_hot, tuned

STEPS = 5
SMOOTH = 1e-4


def lengths(b: Float64[Array, "a r"]) -> Float64[Array, " a"]:
    """Of rows, smoothed: `sqrt(|row|^2 + 1e-4)`."""
    return np.sqrt((b**2).sum(1) + SMOOTH)


@dataclass(frozen=True)
class ZSLNS(Baseline):
    """Labels 0 and 1, as many hidden dimensions as seen classes."""

    visual: float = tuned(1e3, 1e2, 1e5)  # penalty of the seen classes' classifiers, `|A B^T T^T|^2`
    textual: float = tuned(30.0, 1.0, 300.0)  # penalty of words

    def alternate(
        self, x: Float64[Array, "N f"], seen: Seen
    ) -> Iterator[tuple[Float64[Array, "f r"], Float64[Array, "a r"]]]:
        """A, of orthonormal columns, and B after each half step, without end.

        No half step raises, T being the texts and rows measured by `lengths`,

        `|X A B^T T^T - Y|^2 + visual |A B^T T^T|^2 + textual |B|_2,1`.

        Each minimizes `tr(B^T D B)` instead of `|B|_2,1`, with `D = diag(1 / 2 lengths)` at the last B.
        """
        text, y = seen.text, one_hot(seen.labels, len(seen.text))
        values, vectors = eigh(x.T @ x)
        gram = np.maximum(values, 0) + self.visual  # X^T X + visual I in the basis of its eigenvectors
        xy = vectors.T @ (x.T @ y)
        # As in the original, as many dimensions as classes and a random B; here in the span of the texts.
        b = text.T @ np.random.default_rng(self.seed).standard_normal((len(text), min(len(text), x.shape[1])))
        while True:
            # A: gram A Q^T Q + textual A B^T D B = X^T Y Q with Q = T B. In coordinates in which B^T D B is
            # the identity and Q^T Q diagonal, that is one division. Where B vanishes, nothing is said of A.
            q = text @ b
            sizes, whiten = eigh((b.T / (2 * lengths(b))) @ b)
            keep = sizes > 1e-10 * sizes[-1]
            whiten = whiten[:, keep] / np.sqrt(sizes[keep])
            m, v = eigh((q @ whiten).T @ (q @ whiten))
            v = whiten @ v
            a = (xy @ q @ v) / (np.outer(gram, np.maximum(m, 0)) + self.textual) @ v.T
            a, triangle = np.linalg.qr(a)
            b = b @ triangle.T  # A B^T is as before
            yield vectors @ a, b
            # B: T^T T B M + textual D B = T^T R with M = A^T gram A and R = Y^T X A. In the basis of M's
            # eigenvectors the columns are independent, and Woodbury's identity leaves a system over classes.
            m, v = eigh(a.T @ (gram[:, None] * a))
            inverse = 2 * lengths(b)[:, None]  # of D
            k, p = eigh(text @ (inverse * text.T))
            b = inverse * (text.T @ (p @ ((p.T @ xy.T @ a @ v) / (np.outer(k, m) + self.textual)))) @ v.T
            yield vectors @ a, b

    def weight(self, x: Float64[Array, "N f"], seen: Seen) -> Float64[Array, "f a"]:
        """`A B^T` from features x of the seen images."""
        *_, (a, b) = islice(self.alternate(x, seen), 2 * STEPS)
        return a @ b.T

    def fit(self, seen: Seen) -> Writer:
        w = self.weight(seen.images.pooled, seen)
        return lambda text: linear(text @ w.T)
