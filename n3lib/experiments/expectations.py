"""What a user may expect of the networks that the shipped run writes, measured on pictures it never saw."""

import dataclasses
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from n3lib.classifiers import familiarity, within_variance
from n3lib.data import DataConfig, find_photographs, load_data
from n3lib.data.dataset import ZeroShotDataset
from n3lib.data.photographs.source import REDUCED_SPLITS, reduced
from n3lib.evaluation import drawn_tasks, evaluate
from n3lib.metrics import class_metrics, extract, score, shared_features, task_features
from n3lib.run import Run, calibrated
from n3lib.text.bank import TextBank

WAYS, TASKS, OTHERS = (2, 3, 5, 10, 20, 50), 40, 300
UNKNOWN_WAYS = (2, 5, 10, 20)
KNOWN_WAYS = 10
SENTENCES = (1, 2, 5, 10, 20, 40)  # of an article, from its beginning


def expectations(run: Run, data: ZeroShotDataset) -> dict[str, Any]:
    """What a user of the run may rely on, measured on classes that it was not trained on.

    Returns:
        `one_view`: accuracy without the mirror image, by `tasks` and `ways`, as `measured` has it with it;
        `temperature`, `familiar` and `calibration` of `calibrated`; `unknown`: see `unknown_pictures`;
        `texts`: see `texts_to_write`. With a split that leaves images of the seen classes out, `known` alone:
        see `known_classes`.
    """
    if data.split.name in REDUCED_SPLITS:
        return {"known": known_classes(run, left_out(run.config.data))}
    bank = run.pipeline.bank(data.texts, names=data.classes)
    plain = dataclasses.replace(run, config=dataclasses.replace(run.config, mirror=False))
    sizes = [ways for ways in WAYS if ways <= len(data.split.test)]
    features = shared_features(run.model, data, bank, data.split.test, plain.config)
    one_view = [
        evaluate(plain, data, "test", ways, TASKS, alike=alike, bank=bank, features=features)
        for alike in (False, True)
        for ways in sizes
    ]
    kept = ("tasks", "ways", "metrics", "per_class")
    shared = shared_features(run.model, data, bank, data.split.test, run.config)
    known = calibrated(run.model, data, bank, run.config, data.split.test, shared)
    return {
        "one_view": [{name: one[name] for name in kept} for one in one_view],
        **known,
        "unknown": unknown_pictures(run, data, bank, known["temperature"], known["familiar"], shared),
        "texts": texts_to_write(run, data, shared),
    }


def texts_to_write(
    run: Run, data: ZeroShotDataset, shared: Float[Tensor, "N f"] | None
) -> list[dict[str, Any]]:
    """Accuracy by the text that describes the unseen classes: parts of the article, and the further texts.

    `shared` are the `shared_features` of the test classes.

    Returns:
        For each `text` the mean number of its `words`, and of tasks of `ways` the `metrics` and `per_class`.
    """
    forms = {"article": data.texts} | {
        f"article, first {count}": tuple(text[:count] for text in data.texts) for count in SENTENCES
    }
    for number, texts in enumerate(data.also, 1):
        forms[f"further text {number}"] = texts
        both = zip(data.texts, texts, strict=True)
        forms[f"article and further text {number}"] = tuple((*one, *other) for one, other in both)
    forms["name"] = tuple((name,) for name in data.classes)
    found = []
    for form, texts in forms.items():
        words = fmean(sum(len(line.split()) for line in texts[c]) for c in data.split.test)
        bank = run.pipeline.bank(texts, names=data.classes)
        told = dataclasses.replace(data, texts=texts)
        for ways in (w for w in (10, len(data.split.test)) if w <= len(data.split.test)):
            one = evaluate(run, told, "test", ways, TASKS, bank=bank, features=shared)
            kept = {name: one[name] for name in ("ways", "metrics", "per_class")}
            found.append({"text": form, "words": round(words, 1), **kept})
    return found


@torch.no_grad()
def known_classes(run: Run, other: ZeroShotDataset) -> list[dict[str, Any]]:
    """Accuracy on other images of the seen classes than those of training, asked for by name.

    `other` has these images, and the classes and texts that the run was trained with.

    Returns:
        For `tasks` that are random and of look-alikes, the `accuracy` in percent of networks of ten classes
        (Eq. 7), and `restricted`: that of the network of all seen classes, asked for these ten only.
    """
    model, config, seen = run.model, run.config, list(other.split.part(run.config.fit))
    bank = run.pipeline.bank(other.texts, names=other.classes)
    shared = shared_features(model, other, bank, seen, config)
    everyone, ways = run.adapt({other.classes[c]: () for c in seen}), min(KNOWN_WAYS, len(seen))
    found = []
    for kind, similarity in (("random", None), ("look-alikes", bank.similarity(seen))):
        rows = []
        drawn = drawn_tasks(config.seed, np.array(seen), other.group_of(seen), ways, TASKS, similarity)
        for _, order, _ in drawn:
            asked = order.tolist()
            at = [seen.index(c) for c in asked]
            some = everyone._replace(weight=everyone.weight[at], bias=everyone.bias[at])
            pair = run.adapt({other.classes[c]: () for c in asked}), some
            logits = (score(model, other, asked, one, config, shared) for one in pair)
            rows.append([class_metrics(*one)["per_class_accuracy"] for one in logits])
        own, restricted = map(fmean, zip(*rows, strict=True))
        found.append({"tasks": kind, "ways": ways, "accuracy": own, "restricted": restricted})
    return found


def left_out(config: DataConfig) -> ZeroShotDataset:
    """The images of seen classes that a split of `REDUCED_SPLITS` leaves out."""
    whole = load_data(dataclasses.replace(config, split="PS"))
    source, root = find_photographs(config.name, config.root)
    split, index = source.split(config.split), source.index(root)
    out = np.setdiff1d(np.arange(len(index.labels)), reduced(index, split))
    return dataclasses.replace(whole, images=whole.images[out], labels=whole.labels[out], split=split)


@torch.no_grad()
def unknown_pictures(
    run: Run,
    data: ZeroShotDataset,
    bank: TextBank,
    temperature: float,
    familiar: float,
    shared: Float[Tensor, "N f"] | None,
) -> list[dict[str, Any]]:
    """How well `familiarity` tells images of a task's classes from others, over ten tasks of each size.

    `shared` are the `shared_features` of the test classes.

    Returns:
        By `ways` and `pictures` (of test classes that were not asked for, drawings, noise, and flowers where
        they are at hand): `auroc` in percent, and the shares `rejected` of the classes' own images and
        `accepted` of the others, in percent, at the threshold `familiar`.
    """
    from sklearn.metrics import roc_auc_score

    model, classes = run.model, np.array(data.split.test)
    center, variance = model.center, within_variance(model.transform)
    strange = _strange(run.config.data.root, run.image_size)
    found, seen = [], dict[str, Tensor]()
    for ways in (ways for ways in UNKNOWN_WAYS if ways < len(classes)):
        told: dict[str, list[tuple[float, ...]]] = {}
        for _, task, _ in drawn_tasks(run.config.seed, classes, data.group_of(classes.tolist()), ways, 10):
            adaptation = model.adapt(bank.batch(task.tolist()))
            if shared is None or not seen:  # else the layers are the same in every task
                how = (model.columns(adaptation.deltas), run.config.mirror, run.config.train.bf16)
                seen = {
                    name: extract(model.backbone, images, np.arange(len(images)), *how)
                    for name, images in strange.items()
                }

            def scores(features: Float[Tensor, "B f"], by: Any = adaptation) -> Float[Tensor, " B"]:
                logits = functional.linear(features, by.weight, by.bias) / temperature
                return familiarity(logits, features, center, variance)

            rest = np.setdiff1d(classes, task).tolist()
            own, others = (
                scores(task_features(model, data, some, adaptation, run.config, shared)[0])
                for some in (task.tolist(), rest)
            )
            pictures = {"other classes": others} | {name: scores(features) for name, features in seen.items()}
            for name, other in pictures.items():
                truth = np.repeat([1, 0], [len(own), len(other)])
                auroc = roc_auc_score(truth, torch.cat([own, other]).numpy())
                shares = (own < familiar).float().mean().item(), (other >= familiar).float().mean().item()
                told.setdefault(name, []).append((auroc, *shares))
        for name, rows in told.items():
            auroc, rejected, accepted = (round(100 * fmean(column), 2) for column in zip(*rows, strict=True))
            row = {"ways": ways, "pictures": name, "auroc": auroc}
            found.append({**row, "rejected": rejected, "accepted": accepted})
    return found


def _strange(root: str, size: int) -> dict[str, UInt8[np.ndarray, "N H W 3"]]:
    """Pictures that show no bird of the dataset, by what they are."""
    rng = np.random.default_rng(0)
    drawn = load_data(DataConfig("aviary", preset="tiny")).images[:OTHERS].copy()
    scaled = functional.interpolate(
        torch.from_numpy(drawn).permute(0, 3, 1, 2).float(), size=(size, size), mode="bilinear"
    )
    found = {
        "drawings": scaled.permute(0, 2, 3, 1).byte().numpy(),
        "noise": rng.integers(0, 256, (OTHERS, size, size, 3)).astype(np.uint8),
    }
    if (Path(root) / "flowers-102").is_dir():
        flowers = load_data(DataConfig("flowers", root=root, size=size, split="82/20", text="names")).images
        found["flowers"] = flowers[np.sort(rng.permutation(len(flowers))[:OTHERS])]
    return found
