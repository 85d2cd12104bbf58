"""What an adapted network makes of images, how many it names rightly (Eq. 7), and how far it was moved."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import linear

from n3lib.backbone import Backbone
from n3lib.config import RunConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.model import N3, Adaptation
from n3lib.text.bank import Text, TextBank


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


@torch.no_grad()
def predict(
    model: N3,
    dataset: ZeroShotDataset,
    bank: TextBank,
    classes: Sequence[int],
    config: RunConfig,
    texts: Sequence[int] | None = None,
) -> tuple[Float[Tensor, "B K"], Int[Tensor, " B"]]:
    """Logits of all images of these classes under the network written for them, and their labels.

    Args:
        model: a trained N3.
        dataset: where the images come from.
        bank: the encoded descriptions of the dataset's classes.
        classes: the K classes, in the order in which they are described.
        config: of the run; its `mirror` and precision are those of the exemplars.
        texts: whose descriptions to give in their place (a control); the classes' own by default.
    """
    adaptation = model.adapt(bank.batch(texts or classes).to(model.center.device))
    return score(model, dataset, classes, adaptation, config)


@torch.no_grad()
def score(
    model: N3, dataset: ZeroShotDataset, classes: Sequence[int], adaptation: Adaptation, config: RunConfig
) -> tuple[Float[Tensor, "B K"], Int[Tensor, " B"]]:
    """As `predict`, under an adaptation that is there already."""
    indices = dataset.indices(classes)
    columns, bf16 = model.columns(adaptation.deltas), config.train.bf16
    features = extract(model.backbone, dataset.images, indices, columns, config.mirror, bf16)
    labels = torch.from_numpy(dataset.labels_among(classes, indices))
    return linear(features, adaptation.weight, adaptation.bias).cpu(), labels


def metrics(logits: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> dict[str, float]:
    """Per-class accuracy (Eq. 7), top-5 and average precision, each averaged over classes, in percent."""
    measure, ways = _measures(), logits.shape[1]
    per_class = measure.multiclass_accuracy(logits, labels, ways, average="macro")
    top5 = measure.multiclass_accuracy(logits, labels, ways, average="macro", top_k=min(5, ways))
    shares = logits.double().softmax(1)
    precision = measure.multiclass_average_precision(shares, labels, ways, average="macro")
    return {
        "per_class_accuracy": 100 * per_class.item(),
        "top5": 100 * top5.item(),
        "average_precision": 100 * precision.item(),
    }


def _measures() -> Any:
    """torchmetrics, imported when first used: it brings much along."""
    import n3lib.io.torchvision  # noqa: F401  (torchmetrics imports torchvision)

    from torchmetrics.functional import classification

    return classification


@torch.no_grad()
def magnitude(model: N3, tasks: Iterable[Text]) -> dict[str, dict[str, float]]:
    """How far the layers are moved (appendix C), and how much of that hangs on the text.

    Args:
        model: a trained N3.
        tasks: the descriptions of each.

    Returns:
        For each layer `norm`, the L2 norm of its change (Fig. 6), root mean square over tasks; `relative`,
        the same in percent of the norm of the layer's pretrained parameters; and from two tasks on `varies`,
        the distance of a task's change from the mean of all, root mean square, in percent of `norm`: 0 where
        the layer moves in one way whatever is asked for.
    """
    mean, square, count = dict[str, Tensor](), dict[str, float](), 0
    for text in tasks:
        count += 1
        h = model.context(model.labels(text.to(model.center.device)))
        for name, delta in model.labels2adaptation(h).items():
            delta = delta.double()
            around, length = mean.setdefault(name, torch.zeros_like(delta)), square.setdefault(name, 0.0)
            mean[name] = around + (delta - around) / count
            square[name] = length + (delta.square().sum().item() - length) / count
    told = {}
    for name, around in mean.items():
        norm, base = math.sqrt(square[name]), model.backbone.columns(name).norm().item()
        told[name] = {"norm": norm, "relative": 100 * norm / base}
        if count > 1:
            rest = max(0.0, square[name] - around.square().sum().item())
            told[name]["varies"] = 100 * math.sqrt(rest) / norm if norm else 0.0
    return told
