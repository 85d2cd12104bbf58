"""What every earlier method is: fitted on seen classes, it makes classifiers of others from their text.

Letters: N images, C seen classes, f features, a numbers per text, K query classes, B images to classify,
c channels of the last feature map of h x w cells.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float, Float16, Float64, Int

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

TINY = 1e-12


class Images(NamedTuple):
    """What the frozen network says of some images.

    Attributes:
        pooled: features, standardized on the seen images, `(N, f)`.
        maps: the last feature map as it is, `(N, c, h, w)`; only for methods that have `uses_maps`.
    """

    pooled: Float64[np.ndarray, "N f"]
    maps: Float16[np.ndarray, "N c h w"] | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """What a method is fitted on.

    Attributes:
        images: of the seen classes.
        labels: 0 to C - 1, every class present.
        text: of the C classes, centered on them, unit rows.
    """

    images: Images
    labels: Int[np.ndarray, " N"]
    text: Float64[np.ndarray, "C a"]

    @cached_property
    def basis(self) -> Float64[np.ndarray, "r a"]:
        """The `span` of the texts, which every trial of a search shares."""
        return span(self.text)


Classifier = Callable[[Images], Float64[np.ndarray, "B K"]]
Writer = Callable[[Float64[np.ndarray, "K a"]], Classifier]


class Search(NamedTuple):
    """The range in which a hyperparameter is searched; of integers where its ends are."""

    low: float
    high: float
    log: bool = True

    def draw(self, trial: "BaseTrial", name: str) -> Any:
        """A random number in the range."""
        suggest: Any = trial.suggest_int if isinstance(self.low, int) else trial.suggest_float
        return suggest(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Baseline(ABC):
    """A method with its hyperparameters, which are the fields of its dataclass.

    Attributes:
        seed: of whatever the method draws at random.
        space: the range of each hyperparameter that is searched, or its values.
    """

    seed: int = 0

    space: ClassVar[dict[str, Search | tuple[str, ...]]]
    uses_maps: ClassVar[bool] = False

    @classmethod
    def draw(cls, trial: "BaseTrial", seed: int) -> "Baseline":
        """The method with hyperparameters of its search space from an Optuna trial."""
        drawn: dict[str, Any] = {}
        for name, some in cls.space.items():
            if isinstance(some, Search):
                drawn[name] = some.draw(trial, name)
            else:
                drawn[name] = trial.suggest_categorical(name, some)
        return cls(seed, **drawn)

    @abstractmethod
    def fit(self, seen: Seen) -> Writer:
        """Learn from the seen classes; what is given back turns texts `(K, a)` into a classifier.

        The texts must be centered as the seen ones were and have unit rows.
        """


def unit(x: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """Rows brought to unit length; a zero row stays zero."""
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), TINY)


def one_hot(labels: Int[np.ndarray, " N"], classes: int, off: float = 0.0) -> Float64[np.ndarray, "N C"]:
    """1 at each image's class and `off` elsewhere."""
    y = np.full((len(labels), classes), off)
    y[np.arange(len(labels)), labels] = 1.0
    return y


def class_means(
    features: Float64[np.ndarray, "N f"], labels: Int[np.ndarray, " N"], classes: int
) -> Float64[np.ndarray, "C f"]:
    """The mean feature of each class."""
    y = one_hot(labels, classes)
    return (y.T @ features) / y.sum(0)[:, None]


def moments(
    x: Float64[np.ndarray, "N f"],
) -> tuple[Float64[np.ndarray, " f"], Float64[np.ndarray, " f"]]:
    """Mean and standard deviation of each feature, to standardize with; 1 for a constant one."""
    scale = x.std(0)
    return x.mean(0), np.where(scale > 1e-6, scale, 1.0)


def span(text: Float64[np.ndarray, "C a"]) -> Float64[np.ndarray, "r a"]:
    """Orthonormal rows, at most C of them, that span the seen texts.

    Where a solution provably lies in their span (representer theorem), a problem over texts of a numbers is
    the same problem over `text @ span(text).T`, of r numbers.
    """
    _, sizes, rows = np.linalg.svd(text, full_matrices=False)
    return rows[sizes > 1e-10 * sizes[0]]


def linear(weight: Float64[np.ndarray, "K f"]) -> Classifier:
    """The classifier whose scores are linear in the pooled features."""
    return lambda images: images.pooled @ weight.T
