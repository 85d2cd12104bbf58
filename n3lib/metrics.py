"""What a network makes of images: features, logits, Eq. 7 and average precision, and how far it was moved."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cross_entropy, linear, normalize

from n3lib.backbone import Backbone
from n3lib.config import RunConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.model import N3, Adaptation
from n3lib.text.bank import Text, TextBank

BATCH = 16  # on a processor a quarter faster than 64: what layers give fits the cache


@torch.no_grad()
def extract(
    backbone: Backbone,
    images: UInt8[np.ndarray, "N H W 3"],
    indices: Int[np.ndarray, " B"],
    columns: Mapping[str, Tensor] | None = None,
    mirror: bool = False,
    bf16: bool = False,
) -> Float[Tensor, "B f"]:
    """Pooled features of these images under replaced columns, averaged with their mirror images if asked."""
    out = []
    for start in range(0, len(indices), BATCH):
        batch = backbone.preprocess(torch.from_numpy(images[indices[start : start + BATCH]]))
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=bf16):
            features = backbone(batch, columns).float()
            if mirror:
                features = (features + backbone(batch.flip(3), columns).float()) / 2
        out.append(features)
    return torch.cat(out)


def pick_images(
    dataset: ZeroShotDataset, seen: Sequence[int], config: RunConfig
) -> list[Int[np.ndarray, " n"]]:
    """The images of each seen class that training remembers: `exemplar_images`, or all if there are fewer."""
    rng, count = np.random.default_rng([config.seed, 7]), config.exemplar_images
    picks = [dataset.indices([class_id]) for class_id in seen]
    return [p if len(p) <= count else np.sort(rng.choice(p, count, False)) for p in picks]


@torch.no_grad()
def renew_memory(
    model: N3,
    dataset: ZeroShotDataset,
    bank: TextBank,
    seen: Sequence[int],
    config: RunConfig,
    tasks: Sequence[Int[np.ndarray, " K"]],
    final: bool,
) -> None:
    """Recompute what the model remembers of the seen classes and of the training tasks.

    Exemplars are taken under the network adapted to the seen classes (of each group), from those of
    `pick_images`, or in the `final` call from all images. `tasks` are indices of the seen classes: query
    classes as training draws them.
    """
    device, exemplar = model.center.device, model.config.classifier == "exemplar"
    sources = range(0, len(bank), len(dataset.classes))  # of texts, each by the number of its first class
    text = bank.batch([first + class_id for first in sources for class_id in seen]).to(device)
    c = model.labels(text)  # (R, d); those of the first text are the classes' own
    model.remember_text(text, c)
    if model.labels2adaptation.task:
        model.labels2adaptation.task.renew(model.context(c[task]) for task in tasks)
    # Only exemplars gain from every image; the other classifiers' standardization must not move.
    if final and exemplar:
        picks = [dataset.indices([class_id]) for class_id in seen]
    else:
        picks = pick_images(dataset, seen, config)
    if final:
        model.forget_images()
    features, labels, columns = [], [], None
    for group in dataset.by_group(seen):
        members = np.flatnonzero(np.isin(seen, group))
        if exemplar:
            columns = model.columns(model.labels2adaptation(model.context(c[members])))
        indices = np.concatenate([picks[k] for k in members])
        how = (columns, config.mirror, config.train.bf16)
        features.append(extract(model.backbone, dataset.images, indices, *how))
        labels.append(torch.from_numpy(dataset.labels_among(seen, indices)))
    model.remember(torch.cat(features), torch.cat(labels).to(device), exemplar)


@torch.no_grad()
def predict(
    model: N3,
    dataset: ZeroShotDataset,
    bank: TextBank,
    classes: Sequence[int],
    config: RunConfig,
    texts: Sequence[int] | None = None,
    features: Float[Tensor, "N f"] | None = None,
) -> tuple[Float[Tensor, "B K"], Int[Tensor, " B"]]:
    """Logits of all images of these K classes under the network adapted to them, and their labels.

    `bank` holds the encoded descriptions of the dataset's classes; `texts` are the classes whose descriptions
    are used instead of their own (a control); `features` are those of `shared_features`.
    """
    adaptation = model.adapt(bank.batch(texts or classes).to(model.center.device))
    return score(model, dataset, classes, adaptation, config, features)


@torch.no_grad()
def shared_features(
    model: N3, dataset: ZeroShotDataset, bank: TextBank, classes: Sequence[int], config: RunConfig
) -> Float[Tensor, "N f"] | None:
    """The features of all images of these classes, where the layers are the same in every task; else None.

    N is the number of all images of the dataset; rows of other classes are 0.
    """
    if model.config.adapt == "all":
        return None
    indices = dataset.indices(classes)
    columns = model.columns(model.adapt(bank.batch(classes[:2]).to(model.center.device)).deltas)
    found = extract(model.backbone, dataset.images, indices, columns, config.mirror, config.train.bf16)
    return found.new_zeros(len(dataset.images), found.shape[1]).index_copy_(
        0, torch.from_numpy(indices).to(found.device), found
    )


@torch.no_grad()
def score(
    model: N3,
    dataset: ZeroShotDataset,
    classes: Sequence[int],
    adaptation: Adaptation,
    config: RunConfig,
    features: Float[Tensor, "N f"] | None = None,
) -> tuple[Float[Tensor, "B K"], Int[Tensor, " B"]]:
    """As `predict`, under an adaptation that is there already."""
    own, labels = task_features(model, dataset, classes, adaptation, config, features)
    return linear(own, adaptation.weight, adaptation.bias).cpu(), labels


@torch.no_grad()
def task_features(
    model: N3,
    dataset: ZeroShotDataset,
    classes: Sequence[int],
    adaptation: Adaptation,
    config: RunConfig,
    features: Float[Tensor, "N f"] | None = None,
) -> tuple[Float[Tensor, "B f"], Int[Tensor, " B"]]:
    """The features under an adaptation, of all images of these classes, and their labels; see `predict`."""
    indices = dataset.indices(classes)
    if features is None:
        columns, bf16 = model.columns(adaptation.deltas), config.train.bf16
        own = extract(model.backbone, dataset.images, indices, columns, config.mirror, bf16)
    else:
        own = features[torch.from_numpy(indices).to(features.device)]
    return own, torch.from_numpy(dataset.labels_among(classes, indices))


def class_metrics(logits: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> dict[str, float]:
    """Per-class accuracy (Eq. 7), top-5 and average precision, each averaged over classes, in percent.

    Average precision ranks the images by their score of a class. First each image's scores are standardized
    over the K classes: test normalization (T-norm; Auckenthaler, Carey and Lloyd-Thomas, 2000, Digital Signal
    Processing 10). So a temperature, an offset per image and the length of its feature vector do not count.
    Equal scores all become 0. With K = 2 only which score is the larger is left: images are tied by the class
    that the logits name.
    """
    measures, ways = _classification(), logits.shape[1]
    apart = logits.double() - logits[:, :1].double()  # equal scores are then exactly 0
    unit = normalize(apart - apart.mean(1, keepdim=True), eps=1e-30)  # standardized, divided by sqrt(K)
    # Any map to shares that keeps their order will do; rounding keeps ties that float arithmetic breaks.
    shares = ((1 + unit) / 2).round(decimals=9)
    found = {
        "per_class_accuracy": measures.multiclass_accuracy(logits, labels, ways),
        "top5": measures.multiclass_accuracy(logits, labels, ways, top_k=min(5, ways)),
        "average_precision": measures.multiclass_average_precision(shares, labels, ways),
    }
    return {name: 100 * value.item() for name, value in found.items()}


def fit_temperature(logits: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> float:
    """The T from 0.01 to 100 by which logits are divided for the least cross entropy (Guo et al., 2017)."""

    def loss(log_t: float) -> float:
        return cross_entropy(logits.double() / math.exp(log_t), labels).item()

    most = math.log(100)
    return math.exp(minimize_scalar(loss, bounds=(-most, most), method="bounded").x)


def calibration_error(logits: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> float:
    """The expected calibration error: how far confidence is from accuracy, over 15 bins, in percent."""
    error = _classification().multiclass_calibration_error(logits.softmax(1), labels, logits.shape[1])
    return 100 * error.item()


def class_accuracies(
    classes: Sequence[int], logits: Float[Tensor, "B K"], labels: Int[Tensor, " B"]
) -> dict[str, list[Any]]:
    """One task of a result's `per_class`: its K `classes`, and the `accuracy` of each in percent."""
    counts = confusion(logits, labels).double()
    accuracy = 100 * counts.diag() / counts.sum(1).clamp_min(1)
    return {"classes": list(classes), "accuracy": [round(share, 2) for share in accuracy.tolist()]}


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
    """How far tasks of these descriptions move the layers (appendix C), and the task-dependent fraction.

    Returns:
        For each layer `norm`, the L2 norm of its change (Fig. 6), root mean square over tasks; `relative`,
        the same in percent of the norm of the layer's pretrained parameters; and from two tasks on `varies`,
        the task-dependent fraction: the distance of a task's change from the mean of all, root mean square,
        in percent of `norm`. It is 0 where the layer moves in one way whatever the query classes are.
    """
    mean, square = defaultdict[str, Any](float), defaultdict[str, float](float)
    for count, text in enumerate(tasks, start=1):
        h = model.context(model.labels(text.to(model.center.device)))
        for name, delta in model.labels2adaptation(h).items():
            mean[name] = mean[name] + (delta.double() - mean[name]) / count
            square[name] += (delta.double().square().sum().item() - square[name]) / count
    found = {}
    for name, around in mean.items():
        norm, base = math.sqrt(square[name]), model.backbone.columns(name).norm().item()
        found[name] = {"norm": norm, "relative": 100 * norm / base}
        if count > 1:
            rest = max(0.0, square[name] - around.square().sum().item())
            found[name]["varies"] = 100 * math.sqrt(rest) / norm if norm else 0.0
    return found
