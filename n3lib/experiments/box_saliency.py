"""How much of the saliency of networks for CUB's unseen birds lies on the bird (section 5.3, counted)."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from n3lib.data import load_data
from n3lib.data.photographs.boxes import bird_masks
from n3lib.evaluation import method_name
from n3lib.experiments import provenance
from n3lib.experiments.results import Table, load_results, mean_and_spread
from n3lib.experiments.saliency import saliency, share_inside
from n3lib.io.environment import environment
from n3lib.io.errors import N3Error
from n3lib.run import Run
from n3lib.synthesis import synthesize

BATCH = 64
TITLES = {
    "n3-all-exemplar": "N3, every layer",
    "n3-constant-exemplar": "N3, constant adaptation (control)",
    "n3-finetune-exemplar": "plain fine-tuning (control)",
    "n3-classifier-exemplar": "N3, classifier only",
}


def result_path(run: Run) -> Path:
    """Where a run's result is kept: `results/saliency/n3-all-exemplar-SS-seed1.json`."""
    name = f"{method_name(run)}-{run.config.data.split}-seed{run.config.seed}.json"
    return Path("results/saliency") / name


def question(run: Run) -> dict[str, Any]:
    """What decides a run's result, as the result itself says it.

    Raises:
        N3Error: the run's data are no photographs with boxes.
    """
    config = run.config
    if config.data.name != "cub" or "/" in config.data.split:
        raise N3Error(
            f"{config.data.name} {config.data.split} has no boxes", "Use a run on cub: PS, SS or SCE"
        )
    asked = {"study": "saliency", "method": method_name(run), "dataset": "cub", "split": config.data.split}
    return asked | {"seed": config.seed, "config": dataclasses.asdict(config)}


def measure(run: Run, root: str = "") -> dict[str, Any]:
    """A result: every image of the test classes, under the network written for all of them.

    Args:
        run: trained on CUB-200-2011.
        root: folder that holds the dataset; by default where the run found it.

    Returns:
        `inside`: the share of the saliency within the bird's box, in percent, mean over classes; `even`: the
        share of the area, which is that of a map that prefers no pixel; both by class too.

    Raises:
        N3Error: the run's data are no photographs with boxes.
    """
    config, asked = run.config, question(run)
    data = load_data(dataclasses.replace(config.data, root=root or config.data.root))
    classes = list(data.split.test)
    network = synthesize(run, {data.classes[c]: data.texts[c] for c in classes})
    inside, even, right = [], [], []
    for label, c in enumerate(classes):
        indices = data.indices([c])
        masks = torch.from_numpy(bird_masks(root or config.data.root, indices.tolist(), data.images.shape[1]))
        found, hit = [], []
        for part in range(0, len(indices), BATCH):
            images = torch.from_numpy(data.images[indices[part : part + BATCH]])
            labels = torch.full((len(images),), label)
            found.append(share_inside(saliency(network, images, labels), masks[part : part + BATCH]))
            hit.append(network.probabilities(images).argmax(1) == labels)
        inside.append(_percent(torch.cat(found)))
        even.append(_percent(share_inside(torch.ones(masks.shape), masks)))
        right.append(_percent(torch.cat(hit)))
    means = {"inside": inside, "even": even, "per_class_accuracy": right}
    return {
        **asked,
        "ways": len(classes),
        "metrics": {name: float(np.mean(values)) for name, values in means.items()},
        "by_class": {name: [round(v, 3) for v in values] for name, values in means.items()},
        "environment": environment(data.hashes),
    }


def box_table(folder: Path) -> Table:
    """Every method's share, and by how much the fully adapted network is ahead of it, class by class.

    Args:
        folder: of the results.
    """
    found = load_results(folder, study="saliency") if folder.is_dir() else []
    if not found:
        return Table([], [], "There are no results yet: `n3 saliency RUN` makes one of a run on CUB.")
    own = {(r["method"], r["split"], r["seed"]): r for r in found}
    even = _mean_over_classes([found[0]], "even")
    rows = [["an even map", even, "", ""]]
    for method, title in TITLES.items():
        results = [r for r in found if r["method"] == method]
        if not results:
            continue
        pairs = [(own.get(("n3-all-exemplar", r["split"], r["seed"])), r) for r in results]
        gaps = [_gaps(first, r) for first, r in pairs if first is not None and method != "n3-all-exemplar"]
        accuracy = mean_and_spread([r["metrics"]["per_class_accuracy"] for r in results])
        rows.append([title, _mean_over_classes(results, "inside"), "; ".join(gaps), accuracy])
    head = ["saliency of", "inside the box (%)", "every layer less this one (points)", "accuracy (%)"]
    splits = ", ".join(sorted({r["split"] for r in found}))
    seeds = ", ".join(map(str, sorted({r["seed"] for r in found})))
    ways = found[0]["ways"]
    note = f"CUB {splits}, {ways} unseen classes; seed {seeds}; mean and standard deviation over classes."
    return Table(head, rows, provenance.note(found, note))


def _gaps(first: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    pairs = zip(first["by_class"]["inside"], other["by_class"]["inside"], strict=True)
    gaps = [a - b for a, b in pairs]
    return f"{mean_and_spread(gaps)}, more in {sum(gap > 0 for gap in gaps)} of {len(gaps)} classes"


def _mean_over_classes(results: Sequence[Mapping[str, Any]], name: str) -> str:
    return mean_and_spread(np.mean([r["by_class"][name] for r in results], axis=0).tolist())


def _percent(values: torch.Tensor) -> float:
    return 100 * values.float().mean().item()
