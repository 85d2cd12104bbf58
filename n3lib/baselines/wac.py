"""WAC, "write a classifier" (Elhoseiny, Saleh and Elgammal, 2013; Elhoseiny, Elgammal and Saleh, 2016).

A text's classifier is near what is regressed and transferred from the text, and rejects all seen images.

Chosen or changed here: the domain transfer is that of DA; the Gaussian process has a linear kernel; slack is
squared; the bound `t^T W c >= l` is left out, as alpha pushes the same way; the kernel form has landmarks in
place of all images.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.linalg import solve
from sklearn.kernel_approximation import Nystroem

from n3lib.baselines.base import Array, Baseline, Classifier, Images, Seen, Writer, one_hot, tuned, unit
from n3lib.baselines.da import asymmetric
from n3lib.baselines.sync import SynCOVO, hinge_classifiers, with_one

SVM = 1e-3  # penalty of the seen classifiers
TRANSFER, UPPER = 1e-5, -1.0  # penalty and bound of the domain transfer
LANDMARKS = 500


def regress(
    kernel: Float64[Array, "K C"], gram: Float64[Array, "C C"], targets: Float64[Array, "C g"], noise: float
) -> tuple[Float64[Array, "K g"], Float64[Array, " K"]]:
    """Mean and variance of a Gaussian process around the targets' mean, for texts of unit length.

    All outputs share kernel and variance; the prior variance is that of the targets.
    """
    mean = targets.mean(0)
    weights = solve(gram + noise * np.eye(len(gram)), kernel.T, assume_a="pos").T  # (K, C)
    left = 1 - (weights * kernel).sum(1) / (1 + noise)  # share of the prior variance
    return mean + weights @ (targets - mean), (targets - mean).var() * left


@dataclass(frozen=True)
class WACLinear(Baseline):
    """The c that minimizes `|c|^2 - alpha t^T W c - beta ln p(c | t) + gamma mean_i max(0, 1 + c^T x_i)^2`.

    The mean is over all seen images; none of them is of the class.
    """

    alpha: float = tuned(5.0, 1e-1, 1e2)  # weight of the domain transfer W
    beta: float = tuned(0.2, 1e-3, 1e1)  # weight of the Gaussian process p
    gamma: float = tuned(300.0, 1e2, 1e5)  # weight of the seen images
    noise: float = tuned(0.1, 3e-2, 3.0)  # variance of p's targets, as a share of the prior's

    def features(self, seen: Images) -> Callable[[Images], Float64[Array, "N g"]]:
        """The space of the classifiers, given the seen images: of unit length, here or on average."""
        return lambda images: unit(images.pooled)

    def fit(self, seen: Seen) -> Writer:
        features = self.features(seen.images)
        bare = features(seen.images)
        x, y = with_one(bare), one_hot(seen.labels, len(seen.text), off=-1.0)
        known = SynCOVO(lam=SVM).classifiers(x, y)
        # Exact, as |W|^2 keeps W in the span of the texts. The bias is regressed, not transferred.
        basis = seen.basis
        w = asymmetric(bare, seen.labels, seen.text @ basis.T, TRANSFER, UPPER)
        w = np.column_stack([w, np.zeros(len(w))])

        def write(text: Float64[Array, "K a"]) -> Classifier:
            mean, variance = regress(text @ seen.text.T, seen.text @ seen.text.T, known, self.noise)
            # -ln p is |c - mean|^2 / (2 variance), so all but the slack is one square around a center.
            trust = (self.beta / variance)[:, None]
            center = (self.alpha * text @ basis.T @ w + trust * mean) / (2 + trust)
            penalty = (1 + trust[:, 0] / 2) / self.gamma
            c = hinge_classifiers(x, np.full((len(x), len(text)), -1.0), penalty, center)
            return lambda images: with_one(features(images)) @ c.T

        return write


@dataclass(frozen=True)
class WACKernel(WACLinear):
    """The same for `c(x) = sum_j b_j k(x, x_j) + bias`, k an RBF kernel and x_j landmarks, some seen images.

    k is `exp(-d^2 / width^2)` on features of unit length; in Nystroem's coordinates, `|c|^2` is `b^T K b`.
    """

    width: float = 1.5  # two images' usual distance is the root of 2

    def features(self, seen: Images) -> Callable[[Images], Float64[Array, "N g"]]:
        """Nystroem's coordinates, centered on the seen images."""
        x, landmarks = unit(seen.pooled), min(LANDMARKS, len(seen.pooled))
        nystroem = Nystroem(gamma=self.width**-2, n_components=landmarks, random_state=self.seed).fit(x)
        coordinates = nystroem.transform(x)
        mean, scale = coordinates.mean(0), np.sqrt(coordinates.var(0).sum())
        return lambda images: (nystroem.transform(unit(images.pooled)) - mean) / scale
