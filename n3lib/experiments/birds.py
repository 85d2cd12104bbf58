"""The run that ships, `birds`: what its recipe reaches on classes it never saw, then trained on all of CUB.

`n3 study birds` trains the recipe on 150 classes and measures it on the 50 others, in tasks of 2 to 50. Then
`python -m n3lib.experiments.birds DIR`, where DIR holds CUB, trains it on all 200 and packs that run, with
the temperature and the threshold for unknown pictures of the first.
"""

import dataclasses
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from n3lib.classifiers import familiarity, within_variance
from n3lib.data import DataConfig, load_data
from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.evaluation import drawn_tasks, evaluate
from n3lib.experiments.experiment import Experiment
from n3lib.io import N3Error, read_json, write_json
from n3lib.metrics import extract, shared_features, task_features
from n3lib.pretrained.runs import SHIPPED, pack
from n3lib.run import Run, calibrated, train
from n3lib.text.bank import TextBank

WAYS, TASKS, OTHERS = (2, 3, 5, 10, 20, 50), 40, 300
UNKNOWN_WAYS = (2, 5, 10, 20)


def expectations(run: Run, data: ZeroShotDataset) -> dict[str, Any]:
    """What a user of the run may rely on, measured on classes that it was not trained on.

    Returns:
        `one_view`: accuracy without the mirror image, by `tasks` and `ways`, as `measured` has it with it;
        `temperature`, `familiar` and `calibration` of `calibrated`; `unknown`: see `unknown_pictures`.
    """
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
    }


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
    found = []
    for ways in (ways for ways in UNKNOWN_WAYS if ways < len(classes)):
        told: dict[str, list[tuple[float, ...]]] = {}
        for _, task, _ in drawn_tasks(run.config.seed, classes, data.group_of(classes.tolist()), ways, 10):
            adaptation = model.adapt(bank.batch(task.tolist()))
            columns = model.columns(adaptation.deltas)

            def scores(features: Float[Tensor, "B f"], by: Any = adaptation) -> Float[Tensor, " B"]:
                logits = functional.linear(features, by.weight, by.bias) / temperature
                return familiarity(logits, features, center, variance)

            rest = np.setdiff1d(classes, task).tolist()
            own, others = (
                scores(task_features(model, data, some, adaptation, run.config, shared)[0])
                for some in (task.tolist(), rest)
            )
            pictures = {"other classes": others}
            for name, images in strange.items():
                how = (columns, run.config.mirror, run.config.train.bf16)
                pictures[name] = scores(extract(model.backbone, images, np.arange(len(images)), *how))
            for name, score in pictures.items():
                truth = np.repeat([1, 0], [len(own), len(score)])
                auroc = roc_auc_score(truth, torch.cat([own, score]).numpy())
                shares = (own < familiar).float().mean().item(), (score >= familiar).float().mean().item()
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


BIRDS = Experiment(
    "birds",
    "What can be expected of the run that ships?",
    "birds",
    {"birds": []},
    ways=WAYS,
    alike=True,
    tasks=TASKS,
    seeds=(0,),
    also=expectations,
)


def ship(root: str, results: Path = Path("results"), folder: Path = Path("runs/birds/all")) -> Path:
    """Train the recipe on all classes, and pack it into the package.

    Raises:
        N3Error: its results on unseen classes are not there, or as `train`.
    """
    measured = BIRDS.measured(results)
    if not measured:
        raise N3Error(
            "what the recipe reaches on unseen classes is not known", "n3 study birds --data-root DIR"
        )
    config = BIRDS.settings("birds", Path("configs"), [f"--data.root={root}"])
    data = load_data(config.data)
    every = Split("all", tuple(range(len(data.classes))), (), ())
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, split="all"))
    run = train(config, folder, dataset=dataclasses.replace(data, split=every))
    kept = {name: measured[0][name] for name in ("temperature", "familiar", "calibration")}
    write_json(run.folder / "run.json", read_json(run.folder / "run.json") | kept)
    return pack(run.folder, SHIPPED / "birds.safetensors")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m n3lib.experiments.birds DIR")
    ship(sys.argv[1])
