"""What a network makes of images: features, logits, Eq. 7 and average precision, and how far it was moved."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import linear

from n3lib.backbone import Backbone
from n3lib.classifiers import feature_statistics
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
def renew_exemplars(
    model: N3,
    dataset: ZeroShotDataset,
    bank: TextBank,
    seen: Sequence[int],
    config: RunConfig,
    final: bool = False,
) -> None:
    """Recompute what the model remembers of the seen classes, under the network adapted to them.

    Exemplars kept from the start go stale as the network learns; an adapted network is paired with the
    exemplars that it gives itself. They are taken from `exemplar_images` per class, or in the `final` call,
    from all images.
    """
    device = model.center.device
    c = model.remember_text(bank.batch(seen).to(device))  # (C, d)
    exemplar, count = model.config.classifier == "exemplar", config.exemplar_images
    rng = np.random.default_rng([config.seed, 7])
    picks = [dataset.indices([c]) for c in seen]
    # Only exemplars gain from every image; the other classifiers' standardization must not move.
    if not (final and exemplar):
        picks = [p if len(p) <= count else np.sort(rng.choice(p, count, False)) for p in picks]
    features, chosen, bf16 = [], [], config.train.bf16
    for group in dataset.by_group(seen):
        members, columns = np.flatnonzero(np.isin(seen, group)), None
        if exemplar:
            columns = model.columns(model.labels2adaptation(model.context(c[members])))
        indices = np.concatenate([picks[k] for k in members])
        features.append(extract(model.backbone, dataset.images, indices, columns, config.mirror, bf16))
        chosen.append(indices)
    labels = torch.from_numpy(dataset.labels_among(seen, np.concatenate(chosen))).to(device)
    model.remember(feature_statistics(torch.cat(features), labels, len(seen), exemplar))


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


def class_metrics(logits: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> dict[str, float]:
    """Per-class accuracy (Eq. 7), top-5 and average precision, each averaged over classes, in percent."""
    measures, ways = _classification(), logits.shape[1]
    per_class = measures.multiclass_accuracy(logits, labels, ways, average="macro")
    top5 = measures.multiclass_accuracy(logits, labels, ways, average="macro", top_k=min(5, ways))
    shares = logits.double().softmax(1)
    precision = measures.multiclass_average_precision(shares, labels, ways, average="macro")
    return {
        "per_class_accuracy": 100 * per_class.item(),
        "top5": 100 * top5.item(),
        "average_precision": 100 * precision.item(),
    }


def confusion(logits: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> Int[Tensor, "K K"]:
    """Images by their class (row) and the class that the logits name (column)."""
    return _classification().multiclass_confusion_matrix(logits, labels, logits.shape[1])


def _classification() -> Any:
    """torchmetrics' functions for classification, imported when first used: they bring much along."""
    import n3lib.io.torchvision  # noqa: F401  (torchmetrics imports torchvision)

    from torchmetrics.functional import classification

    return classification


@torch.no_grad()
def magnitude(model: N3, tasks: Iterable[Text]) -> dict[str, dict[str, float]]:
    """How far the layers are moved (appendix C), and the task-dependent fraction of that.

    Args:
        model: a trained N3.
        tasks: the descriptions of each.

    Returns:
        For each layer `norm`, the L2 norm of its change (Fig. 6), root mean square over tasks; `relative`,
        the same in percent of the norm of the layer's pretrained parameters; and from two tasks on `varies`,
        the task-dependent fraction: the distance of a task's change from the mean of all, root mean square,
        in percent of `norm`. It is 0 where the layer moves in one way whatever the query classes are.
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
    found = {}
    for name, around in mean.items():
        norm, base = math.sqrt(square[name]), model.backbone.columns(name).norm().item()
        found[name] = {"norm": norm, "relative": 100 * norm / base}
        if count > 1:
            rest = max(0.0, square[name] - around.square().sum().item())
            found[name]["varies"] = 100 * math.sqrt(rest) / norm if norm else 0.0
    return found
