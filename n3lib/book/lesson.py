"""What the notebooks share: the configuration, the run folder, tasks, drawn birds, committed results."""

import dataclasses
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from n3lib.book.overview import lengths
from n3lib.config import RunConfig, read_config
from n3lib.data.aviary.drawing import draw
from n3lib.data.aviary.guide import describe
from n3lib.data.dataset import ZeroShotDataset
from n3lib.episodes import Episodes
from n3lib.experiments.lettering import literal, plain
from n3lib.experiments.plots import BLUE, RED, Picture, canvas, show
from n3lib.experiments.provenance import note
from n3lib.experiments.results import Table, load_results, table
from n3lib.model import N3
from n3lib.run import Run
from n3lib.text.encoders import make_encoder
from n3lib.text.pipeline import TextPipeline

ROOT = Path(__file__).parents[2]


class Task(NamedTuple):
    """K classes of a dataset: their descriptions by name, and images to classify."""

    classes: dict[str, tuple[str, ...]]
    images: UInt8[Tensor, "B H W 3"]
    labels: Int[Tensor, " B"]  # 0 to K - 1, in the order of `classes`


def config(name: str) -> RunConfig:
    """The configuration `configs/NAME.yaml`, or `configs/NAME-tiny.yaml` where N3_CI is set.

    Raises:
        N3Error: there is none, as when the package is installed without its repository.
    """
    return read_config(ROOT / "configs" / f"{_sized(name)}.yaml")


def run_folder(name: str) -> Path:
    """The folder `runs/NAME` of the repository, or `runs/NAME-tiny` where N3_CI is set.

    Relative to the working directory: what a page prints is then the same on every machine.
    """
    return Path(os.path.relpath(ROOT / "runs" / _sized(name)))


def _sized(name: str) -> str:
    """The environment variable N3_CI asks for sizes that take seconds."""
    return f"{name}-tiny" if os.environ.get("N3_CI") else name


def committed(folder: str, rows: Sequence[str]) -> Table:
    """The committed main results in `results/FOLDER`, or the commands that make them."""
    found = load_results(ROOT / "results" / folder, study="main", text="own")
    missing = (
        "There are no committed results yet. For each seed S: `n3 train CONFIG --seed=S -o RUN`, then"
        f" `n3 evaluate RUN -o results/{folder}/S.json`. The controls are trained with"
        " `--model.adapt=classifier` and `--model.adapt=constant --model.shared_mu=36`."
    )
    return table(found, rows, note=note(found) if found else missing)


def task(data: ZeroShotDataset, classes: Sequence[int], images: int = 0) -> Task:
    """A task of these class ids, with the first `images` of each class; 0 for all."""
    picks = [data.indices([c])[: images or None] for c in classes]
    return Task(
        {data.classes[c]: data.texts[c] for c in classes},
        torch.from_numpy(data.images[np.concatenate(picks)]),
        torch.repeat_interleave(torch.arange(len(classes)), torch.tensor([len(p) for p in picks])),
    )


def task_diagram(query: Task, support: Sequence[str]) -> Picture:
    """An episode: one image per query class above its description, and the names of the support classes."""
    count = len(query.classes)
    figure, axes = canvas(2, count, (1.75 * count, 3.4), height_ratios=[1.5, 1.2])
    for image, text, (top, below) in zip(query.images, query.classes.values(), axes.T, strict=True):
        show(top, image)
        below.set_axis_off()
        words = plain(" ".join(text), 1.55, 7.0, 6)
        literal([below.text(0, 1, words, va="top", size=7, transform=below.transAxes)])
    names = f"support classes, text and images known: {', '.join(support)}"
    figure.suptitle("query classes: images to classify, by their descriptions alone", size=9, color=BLUE)
    literal([figure.supxlabel(plain(names, 1.75 * count - 0.4, 8.0, 3), size=8, color=RED)])
    return Picture(figure)


def drawings(
    attributes: Mapping[str, str], images: int, size: int, seed: int = 0
) -> UInt8[Tensor, "B H W 3"]:
    """Pictures of a bird with these attributes; image i has the same pose and light whatever they are."""
    pictures = [draw(attributes, np.random.default_rng([seed, i]), size) for i in range(images)]
    return torch.from_numpy(np.stack(pictures))


def account(attributes: Mapping[str, str], author: int = 0) -> list[str]:
    """A description of a bird; the same author words every bird in the same way."""
    return describe(attributes, np.random.default_rng(author))


def fill(sentences: Sequence[str], width: int = 70) -> str:
    """A description as lines of text, which fit a page of the book."""
    return textwrap.fill(" ".join(sentences), width)


def episodes(data: ZeroShotDataset, config: RunConfig) -> Episodes:
    """The tasks that a run of this configuration trains on."""
    seen = data.split.part(config.fit)
    pipeline = TextPipeline.fit(make_encoder(config.text.encoder), [data.texts[c] for c in seen], config.text)
    return Episodes(data, pipeline.bank(data.texts), seen, config.episodes, config.seed)


def ways(data: ZeroShotDataset, *wanted: int) -> list[int]:
    """These numbers of classes per task, each at most the number of test classes."""
    return sorted({min(k, len(data.split.test)) for k in wanted})


def counts(data: ZeroShotDataset) -> Table:
    """Classes, images and words of each part of the split."""
    rows = []
    for part in ("train", "val", "test"):
        ids = data.split.part(part)
        words = lengths([data.texts[c] for c in ids])
        rows.append([part, str(len(ids)), f"{len(data.indices(ids)):,}", f"{np.mean(words or [0]):.0f}"])
    return Table(["part", "classes", "images", "words per class"], rows)


def untrained(run: Run, classifier: Literal["exemplar", "equivariant", "positional"]) -> N3:
    """An N3 before its first step, with what a run remembers of the seen classes."""
    trained, pipeline = run.model, run.pipeline
    config = dataclasses.replace(run.config.model, classifier=classifier)
    sizes = (pipeline.encoder.width, len(pipeline.tfidf.vocabulary), len(trained.exemplars))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = N3(trained.backbone, *sizes, config, ways=len(trained.exemplars))
    for name in ("center", "transform", "exemplars", "seen_pooled", "seen_lexical"):
        getattr(model, name).copy_(getattr(trained, name))
    return model.eval()
