"""ZSLPP (Elhoseiny, Zhu, Zhang and Elgammal, 2017), "Link the head to the beak": ZSLNS, part by part.

Each part of a bird has a visual projection; they share the projection of the text and sum their scores.

Departures: without part annotations, the parts are the 2 x 2 cells of the last feature map, max-pooled, and
the pooled features as one more part (on validation, better than the cells alone). The original penalizes
words in each part apart, `sum_p |B A_p^T|_2,1`, by L-BFGS; here in all parts together, as in ZSLNS.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from n3lib.baselines.base import Array, Images, Seen, Writer, moments, tuned
from n3lib.baselines.zslns import ZSLNS

GRID = 2


def parts(images: Images) -> list[Float64[Array, "N _"]]:
    """The features `(N, c)` of each cell, then the pooled ones `(N, f)`."""
    assert images.maps is not None, "the method uses maps"
    rows = np.array_split(images.maps, GRID, axis=2)
    cells = [cell for row in rows for cell in np.array_split(row, GRID, axis=3)]
    return [*(cell.max((2, 3)).astype(np.float64) for cell in cells), images.pooled]


@dataclass(frozen=True)
class ZSLPP(ZSLNS):
    """Scores `sum_p (A_p^T x_p)^T (B^T t)`: with the parts side by side, those of ZSLNS."""

    visual: float = tuned(1e4, 3e2, 3e5)  # of all parts together

    uses_maps = True

    def fit(self, seen: Seen) -> Writer:
        x = np.hstack(parts(seen.images))
        mean, scale = moments(x)
        w = self.weight((x - mean) / scale, seen)
        return lambda text: lambda images: (np.hstack(parts(images)) - mean) / scale @ w @ text.T
