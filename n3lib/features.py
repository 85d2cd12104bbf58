"""What a network, as it is or adapted, makes of images."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from n3lib.backbone import Backbone


@torch.no_grad()
def extract(
    backbone: Backbone,
    images: np.ndarray,
    indices: np.ndarray,
    columns: Mapping[str, Tensor] | None = None,
    mirror: bool = False,
    bf16: bool = False,
    batch_size: int = 64,
) -> Float[Tensor, "B f"]:
    """Pooled features of these images under replaced columns, averaged with their mirror images if asked."""
    out = []
    for start in range(0, len(indices), batch_size):
        batch = backbone.preprocess(torch.from_numpy(images[indices[start : start + batch_size]]))
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=bf16):
            features = backbone(batch, columns).float()
            if mirror:
                features = (features + backbone(batch.flip(3), columns).float()) / 2
        out.append(features)
    return torch.cat(out)
