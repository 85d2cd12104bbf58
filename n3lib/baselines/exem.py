"""Predicted exemplars (EXEM; Changpinyo, Chao and Sha, 2017): kernel ridge from text to whitened class means.

The paper predicts with support vector regression and reduces features by PCA; here it is ridge regression to
means whitened within classes, so that the classifier is one linear map. It is N3's own starting point.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float64
from sklearn.metrics.pairwise import rbf_kernel

from n3lib.baselines.base import Baseline, Classifier, Seen, Writer, linear, unit
from n3lib.classifiers import feature_statistics, ridge

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


@dataclass(frozen=True)
class EXEM(Baseline):
    """Scores are inner products with predicted exemplars of unit length, in the whitened space.

    Attributes:
        strength: of the ridge regression.
        kernel: `linear`, or `rbf`: exp(-|s - t|^2 / (2 width^2)).
        width: of the RBF kernel.
    """

    strength: float = 0.1
    kernel: str = "linear"
    width: float = 1.0

    @classmethod
    def draw(cls, trial: "BaseTrial", seed: int) -> "EXEM":
        strength = trial.suggest_float("strength", 1e-2, 3, log=True)
        kernel = trial.suggest_categorical("kernel", ["linear", "rbf"])
        width = trial.suggest_float("width", 0.5, 4, log=True) if kernel == "rbf" else 1.0
        return cls(seed, strength, kernel, width)

    def gram(
        self, s: Float64[np.ndarray, "m a"], t: Float64[np.ndarray, "n a"]
    ) -> Float64[np.ndarray, "m n"]:
        """The kernel between the rows of two sets of texts."""
        return s @ t.T if self.kernel == "linear" else rbf_kernel(s, t, gamma=0.5 / self.width**2)

    def fit(self, seen: Seen) -> Writer:
        pooled, labels = torch.from_numpy(seen.images.pooled), torch.from_numpy(seen.labels)
        _, transform, exemplars = feature_statistics(pooled, labels, len(seen.text), whiten=True)
        gram = torch.from_numpy(self.gram(seen.text, seen.text))

        def write(text: Float64[np.ndarray, "K a"]) -> Classifier:
            asked = torch.from_numpy(self.gram(text, seen.text))
            rows = unit(ridge(asked, gram, exemplars, self.strength).numpy())
            # The features' mean is zero already: what `center` would take off is rounding.
            return linear(rows @ transform.numpy())

        return write
