"""Backward in two stages: images a few at a time, and the network that writes the parameters once."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

Score = Callable[[Sequence[Tensor]], Tensor]


def two_stage(written: Sequence[Tensor], parts: Iterable[Score]) -> Tensor:
    """The sum of losses of one set of written parameters, with the memory of one loss at a time.

    Each loss goes back to `written` only, where gradients add up, and its activations are freed. From there
    the caller's `backward` of the result goes on into what wrote them, once. The gradient is that of the sum.

    Args:
        written: the parameters, tensors that hang on what is trained.
        parts: each gives a scalar loss of detached parameters in the order of `written`.
    """
    leaves = [tensor.detach().requires_grad_() for tensor in written]
    total = torch.zeros((), device=leaves[0].device)
    for part in parts:
        loss = part(leaves)
        loss.backward(inputs=leaves)
        total = total + loss.detach()
    # Worth nothing, but its gradient by what is written is the one that was collected.
    pairs = [
        (tensor, leaf.grad) for tensor, leaf in zip(written, leaves, strict=True) if leaf.grad is not None
    ]
    through = torch.stack([(tensor * grad).sum().float() for tensor, grad in pairs]).sum()
    return total + (through - through.detach())
