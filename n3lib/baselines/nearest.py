"""The nearest description: a linear map from images to texts, then cosine. A control, no published method."""

from dataclasses import dataclass

from jaxtyping import Float64
from sklearn.linear_model import Ridge

from n3lib.baselines.base import Array, Baseline, Classifier, Seen, Writer, tuned, unit


@dataclass(frozen=True)
class NearestText(Baseline):
    """Ridge regression from features to the text of the class; then the class of the nearest text."""

    strength: float = tuned(0.1, 1e-4, 10.0)  # of the ridge regression, a multiple of the number of images

    def fit(self, seen: Seen) -> Writer:
        # Every prediction lies in the span of the seen texts.
        basis = seen.basis
        target = (seen.text @ basis.T)[seen.labels]
        mapping = Ridge(self.strength * len(seen.labels)).fit(seen.images.pooled, target)

        def write(text: Float64[Array, "K a"]) -> Classifier:
            rows = unit(text) @ basis.T  # the length of a text counts in full, also outside of the span
            return lambda images: unit(mapping.predict(images.pooled)) @ rows.T

        return write
