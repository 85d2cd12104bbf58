"""torchvision, importable also where its wheel was built for another torch than the one installed.

A torchvision built for CUDA cannot load its compiled operators beside a CPU-only torch. Nothing in n3lib
calls them, yet the import fails, as torchvision describes `nms` in Python: declaring the operators is enough.
What imports torchvision (timm, torchmetrics, models of transformers) has to come after this module: write
`import n3lib.io.torchvision  # noqa: F401`, which ruff sorts in front of the other libraries.
"""

import torch

try:
    import torchvision  # noqa: F401
except RuntimeError as error:
    if "torchvision::nms does not exist" not in str(error):
        raise
    # Kept in a name: the declarations live as long as this object.
    _operators = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from torchvision import models, transforms

__all__ = ["models", "transforms"]
