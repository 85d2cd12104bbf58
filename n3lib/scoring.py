"""Images under an adapted network: their logits, and how many are named rightly."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import linear

from n3lib.config import RunConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.features import extract
from n3lib.model import N3, Adaptation
from n3lib.text.bank import TextBank


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
    adaptation = model.read(bank.batch(texts or classes).to(model.center.device))
    return score(model, dataset, classes, adaptation, config)


@torch.no_grad()
def score(
    model: N3, dataset: ZeroShotDataset, classes: Sequence[int], adaptation: Adaptation, config: RunConfig
) -> tuple[Float[Tensor, "B K"], Int[Tensor, " B"]]:
    """As `predict`, under an adaptation that is there already."""
    indices = dataset.indices(classes)
    columns, bf16 = model.columns(adaptation.deltas), config.train.bf16
    features = extract(model.backbone, dataset.images, indices, columns, config.mirror, bf16)
    place = {c: k for k, c in enumerate(classes)}
    labels = torch.tensor([place[int(c)] for c in dataset.labels[indices]])
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
