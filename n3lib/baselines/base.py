"""What every earlier method is: fitted on seen classes, it makes classifiers of others from their text.

Letters: N images, C seen classes, f features, a numbers per text, K query classes, B images to classify,
c channels of the last feature map of h x w cells.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float, Float16, Float64, Int

Array = np.ndarray
TINY = 1e-12


class Images(NamedTuple):
    """What the frozen network says of some images."""

    pooled: Float64[Array, "N f"]  # standardized on the seen images
    maps: Float16[Array, "N c h w"] | None = None  # not standardized; only for methods that have `uses_maps`


@dataclass(frozen=True, eq=False)
class Seen:
    """What a method is fitted on."""

    images: Images
    labels: Int[Array, " N"]  # 0 to C - 1, every class present
    text: Float64[Array, "C a"]  # centered on the seen classes, unit rows

    @cached_property
    def basis(self) -> Float64[Array, "r a"]:
        """Orthonormal rows, at most C of them, that span the texts; every trial of a search shares them.

        Where a solution provably lies in their span (representer theorem), a problem over texts of a numbers
        is the same problem over `text @ basis.T`, of r numbers.
        """
        _, sizes, rows = np.linalg.svd(self.text, full_matrices=False)
        return rows[sizes > 1e-10 * sizes[0]]


Classifier = Callable[[Images], Float64[Array, "B K"]]
Writer = Callable[[Float64[Array, "K a"]], Classifier]


def tuned(default: Any, *values: Any, log: bool = True) -> Any:
    """A hyperparameter: its default, and the ends of its range (of integers where they are) or its words."""
    return field(default=default, metadata={"values": values, "log": log})


@dataclass(frozen=True)
class Baseline(ABC):
    """A method with its hyperparameters, which are the fields of its dataclass."""

    seed: int = 0  # of whatever the method draws at random

    uses_maps: ClassVar[bool] = False

    @classmethod
    def draw(cls, trial: Any, seed: int) -> "Baseline":
        """The method with its `tuned` hyperparameters from an Optuna trial."""
        drawn: dict[str, Any] = {}
        for name, how in ((one.name, one.metadata) for one in fields(cls) if one.metadata):
            if isinstance(how["values"][0], str):
                drawn[name] = trial.suggest_categorical(name, how["values"])
            else:
                whole = isinstance(how["values"][0], int)
                suggest = trial.suggest_int if whole else trial.suggest_float
                drawn[name] = suggest(name, *how["values"], log=how["log"])
        return cls(seed, **drawn)

    @abstractmethod
    def fit(self, seen: Seen) -> Writer:
        """Learn from the seen classes; what is given back turns texts `(K, a)` into a classifier, if they are
        centered as the seen ones were and have unit rows."""


def unit(x: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """Rows brought to unit length; a zero row stays zero."""
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), TINY)


def one_hot(labels: Int[Array, " N"], classes: int, off: float = 0.0) -> Float64[Array, "N C"]:
    """1 at each image's class and `off` elsewhere."""
    return np.where(labels[:, None] == np.arange(classes), 1.0, off)


def class_means(x: Float64[Array, "N f"], labels: Int[Array, " N"], classes: int) -> Float64[Array, "C f"]:
    """The mean feature of each class."""
    y = one_hot(labels, classes)
    return (y.T @ x) / y.sum(0)[:, None]


def moments(x: Float64[Array, "N f"]) -> tuple[Float64[Array, " f"], Float64[Array, " f"]]:
    """Mean and standard deviation of each feature, to standardize with; 1 for a constant one."""
    scale = x.std(0)
    return x.mean(0), np.where(scale > 1e-6, scale, 1.0)


def linear(weight: Float64[Array, "K f"]) -> Classifier:
    """The classifier whose scores are linear in the pooled features, be they fitted on these at unit length:
    an image's length scales its scores alike, which changes no ranking of classes."""
    return lambda images: images.pooled @ weight.T
