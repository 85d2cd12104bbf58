"""What the methods that are trained by gradient descent share."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def tensor(x: np.ndarray) -> Tensor:
    """In single precision, on the device."""
    return torch.from_numpy(x).to(DEVICE).float()


def descend(optimizer: torch.optim.Optimizer, loss: Float[Tensor, ""]) -> None:
    """One step down the slope of the loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
