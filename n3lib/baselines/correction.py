"""Correction networks (Hu, Xiong and Socher, 2019): meta-learn what a zero-shot method still gets wrong.

Over many episodes, a task module fitted on some seen classes predicts y_hat for the others and the correction
module M(x, y_hat, training set) learns y - y_hat; then M corrects the task module of all seen classes.

Departures: x is a class's text and y the weights of its linear classifier, `(X^T X + gamma I)^-1 X^T Y`.
Ridge regression from x to y, which is ESZSL, is the task module (GAZSL in the original). X^T X is of all seen
images in every episode. Weights are brought to unit length, which helps with and without the correction.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64
from scipy.linalg import solve
from torch import Tensor, nn

from n3lib.baselines.base import Array, Baseline, Classifier, Seen, Writer, linear, one_hot, tuned, unit
from n3lib.baselines.gradient import DEVICE, descend

STEPS = 400
HELD_OUT = 0.2
WIDTH = 512
DECAY = 1e-2


def inputs(
    text: Float64[Array, "C a"],
    y: Float64[Array, "C f"],
    query: Float64[Array, "K a"],
    y_hat: Float64[Array, "K f"],
) -> Float32[Tensor, "K m"]:
    """What M reads: x and y_hat, then the training set of the task module as mean text and mean y."""
    mean_text, mean_y = (np.tile(part.mean(0), (len(query), 1)) for part in (text, y))
    scale = np.sqrt(text.shape[1])  # numbers of a unit row are small; those of y are about 1
    return torch.from_numpy(np.hstack([scale * query, y_hat, scale * mean_text, mean_y])).float()


@dataclass(frozen=True)
class CorrectionNetwork(Baseline):
    """Scores `x^T w` with w = y_hat + M(text, y_hat, seen classes) at unit length."""

    gamma: float = tuned(10.0, 1.0, 1e2)  # penalty of the visual side of the task module
    lam: float = tuned(0.3, 1e-1, 1e1)  # penalty of its text side
    dropout: float = tuned(0.8, 0.5, 0.9, log=False)  # share of M's inputs and hidden units left out
    rate: float = tuned(3e-4, 1e-4, 1e-3)  # learning rate of M

    def targets(self, seen: Seen) -> Float64[Array, "C f"]:
        """y: each seen class's weights, less their mean over classes, brought to mean square 1 over all."""
        x, y = unit(seen.images.pooled), one_hot(seen.labels, len(seen.text))
        weights = solve(x.T @ x + self.gamma * np.eye(x.shape[1]), x.T @ y, assume_a="pos").T
        weights = weights - weights.mean(0)
        return weights / np.sqrt((weights**2).mean())

    def predict(
        self, text: Float64[Array, "C a"], y: Float64[Array, "C f"], query: Float64[Array, "K a"]
    ) -> Float64[Array, "K f"]:
        """The task module's y_hat of the query texts: kernel ridge regression from text to y."""
        return query @ text.T @ solve(text @ text.T + self.lam * np.eye(len(text)), y, assume_a="pos")

    def learn(self, text: Float64[Array, "C a"], y: Float64[Array, "C f"]) -> nn.Module:
        """M, by squared error over episodes in which a fifth of the classes is held out."""
        rng, held = np.random.default_rng(self.seed), max(1, round(HELD_OUT * len(text)))
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            last = nn.Linear(WIDTH, y.shape[1])
            nn.init.zeros_(last.weight)  # training starts at the task module
            nn.init.zeros_(last.bias)
            # Few classes and many numbers: without dropout of its inputs, M learns the classes by heart.
            module = nn.Sequential(
                nn.Dropout(self.dropout),
                nn.Linear(2 * (text.shape[1] + y.shape[1]), WIDTH),
                nn.ReLU(),
                nn.Dropout(self.dropout),
                last,
            ).to(DEVICE)
            optimizer = torch.optim.AdamW(module.parameters(), self.rate, weight_decay=DECAY)
            for _ in range(STEPS):
                order = rng.permutation(len(text))
                new, rest = order[:held], order[held:]
                y_hat = self.predict(text[rest], y[rest], text[new])
                given = inputs(text[rest], y[rest], text[new], y_hat).to(DEVICE)
                residual = torch.from_numpy(y[new] - y_hat).float().to(DEVICE)
                descend(optimizer, (module(given) - residual).square().mean())
        return module.eval().cpu()

    def fit(self, seen: Seen) -> Writer:
        # The task module reads no more of a text than its part in the span of the seen ones; nor does M.
        text, y = seen.text @ seen.basis.T, self.targets(seen)
        module = self.learn(text, y)

        def write(query: Float64[Array, "K a"]) -> Classifier:
            own = query @ seen.basis.T
            y_hat = self.predict(text, y, own)
            with torch.no_grad():
                correction = module(inputs(text, y, own, y_hat)).double().numpy()
            return linear(unit(y_hat + correction))

        return write
