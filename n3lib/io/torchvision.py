"""torchvision, importable also where its wheel was built for another torch than the one installed.

Built for CUDA, it cannot load its operators beside a CPU-only torch. Nothing in n3lib calls them: declaring
them is enough. What imports torchvision (timm, torchmetrics, transformers) comes after this module: write
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
