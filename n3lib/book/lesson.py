"""What the book's notebooks share: which configuration, which folder, which task, which tables."""

import copy
import dataclasses
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from n3lib.backbone import Backbone, fold_batchnorm, trace
from n3lib.book.overview import is_here, lengths
from n3lib.config import RunConfig, read_config
from n3lib.data import DataConfig, load_data
from n3lib.data.aviary.species import describe, draw, draw_with_mask
from n3lib.data.dataset import ZeroShotDataset
from n3lib.episodes import Episodes
from n3lib.experiments.freshness import note
from n3lib.experiments.results import Table, load_results, table
from n3lib.model import N3
from n3lib.run import Run
from n3lib.text.bank import Text
from n3lib.text.encoders import make_encoder
from n3lib.text.pipeline import TextPipeline

ROOT = Path(__file__).parents[2]


class Task(NamedTuple):
    """K classes of a dataset as a student meets them: names with descriptions, and images to classify."""

    classes: dict[str, tuple[str, ...]]
    images: UInt8[Tensor, "B H W 3"]
    labels: Int[Tensor, " B"]  # 0 to K - 1, in the order of `classes`


def small() -> bool:
    """Whether the environment variable N3_CI asks for sizes that take seconds."""
    return bool(os.environ.get("N3_CI"))


def config(name: str) -> RunConfig:
    """The configuration `configs/NAME.yaml`, or `configs/NAME-tiny.yaml` where N3_CI is set.

    Raises:
        N3Error: there is none, as when the package is installed without its repository.
    """
    return read_config(ROOT / "configs" / f"{name}{'-tiny' if small() else ''}.yaml")


def run_folder(name: str) -> Path:
    """The folder `runs/NAME` of the repository, or `runs/NAME-tiny` where N3_CI is set.

    Relative to the working directory: what a page prints is then the same on every machine.
    """
    return Path(os.path.relpath(ROOT / "runs" / f"{name}{'-tiny' if small() else ''}"))


def committed(folder: str, rows: Sequence[str]) -> Table:
    """The committed main results in `results/FOLDER`, or what makes them where there are none."""
    found = load_results(ROOT / "results" / folder, study="main", text="own")
    missing = (
        "There are no committed results yet. For each seed S: `n3 train CONFIG --seed=S -o RUN`, then"
        f" `n3 evaluate RUN -o results/{folder}/S.json`. The controls are trained with"
        " `--model.adapt=classifier` and `--model.adapt=constant --model.shared_mu=36`."
    )
    return table(found, rows, note=note(found) if found else missing)


def cub() -> ZeroShotDataset | None:
    """CUB's proposed split, where the environment variable N3_DATA_ROOT names a folder that holds it."""
    root = os.environ.get("N3_DATA_ROOT")
    return load_data(DataConfig("cub", root=root)) if root and is_here("cub", root) else None


def task(data: ZeroShotDataset, classes: Sequence[int], images: int = 0) -> Task:
    """A classification task.

    Args:
        data: where classes and images come from.
        classes: the K class ids.
        images: of each class, its first; 0 for all.
    """
    picks = [data.indices([c])[: images or None] for c in classes]
    return Task(
        {data.classes[c]: data.texts[c] for c in classes},
        torch.from_numpy(data.images[np.concatenate(picks)]),
        torch.repeat_interleave(torch.arange(len(classes)), torch.tensor([len(p) for p in picks])),
    )


def drawings(
    attributes: Mapping[str, str], images: int, size: int, seed: int = 0
) -> UInt8[Tensor, "B H W 3"]:
    """Pictures of a bird with these attributes; image i has the same pose and light whatever they are."""
    pictures = [draw(attributes, np.random.default_rng([seed, i]), size) for i in range(images)]
    return torch.from_numpy(np.stack(pictures))


def mask(attributes: Mapping[str, str], size: int, seed: int = 0) -> Bool[np.ndarray, "H W"]:
    """The bird's visible pixels in the first of `drawings`."""
    return draw_with_mask(attributes, np.random.default_rng([seed, 0]), size)[1]


def account(attributes: Mapping[str, str], author: int = 0) -> list[str]:
    """A description of a bird; the same author words every bird in the same way."""
    return describe(attributes, np.random.default_rng(author))


def fill(sentences: Sequence[str], width: int = 70) -> str:
    """A description as lines of text, which fit a page of the book."""
    return textwrap.fill(" ".join(sentences), width)


def changed(before: Sequence[str], after: Sequence[str]) -> str:
    """The sentences that differ between two descriptions, one above the other."""
    pairs = zip(before, after, strict=True)
    return "\n".join(f"before: {old}\nafter:  {new}" for old, new in pairs if old != new)


def episodes(data: ZeroShotDataset, config: RunConfig) -> Episodes:
    """The tasks that a run of this configuration trains on."""
    seen = data.split.part(config.fit)
    reader = TextPipeline.fit(make_encoder(config.text.encoder), [data.texts[c] for c in seen], config.text)
    bank = reader.bank(data.texts)
    return Episodes(data, bank, seen, config.episodes, config.seed)


def query_and_support(tasks: Episodes, step: int, show: int = 5) -> tuple[list[tuple[Any, str]], list[str]]:
    """The task of a step: images and texts of some query classes, and the support's names."""
    query, support = tasks.classes(np.random.default_rng([tasks.seed, step]))
    data, asked = tasks.dataset, [tasks.seen[p] for p in query[:show]]
    pairs = [(data.images[data.indices([c])[0]], " ".join(data.texts[c])) for c in asked]
    return pairs, [data.classes[tasks.seen[p]] for p in support]


def ways(data: ZeroShotDataset, *wanted: int) -> list[int]:
    """Numbers of test classes to ask for, each at most what there is."""
    return sorted({min(k, len(data.split.test)) for k in wanted})


def words_a_class(data: ZeroShotDataset, part: str) -> list[int]:
    """The length of each class's description in words."""
    return lengths([data.texts[c] for c in data.split.part(part)])


def counts(data: ZeroShotDataset) -> Table:
    """Classes, images and words of each part of the split."""
    rows = []
    for part in ("train", "val", "test"):
        ids, words = data.split.part(part), words_a_class(data, part)
        rows.append([part, str(len(ids)), f"{len(data.indices(ids)):,}", f"{np.mean(words or [0]):.0f}"])
    return Table(["part", "classes", "images", "words a class"], rows)


def shared_classes(data: ZeroShotDataset) -> dict[str, int]:
    """How many classes each two parts of the split have in common: none, or it is no zero-shot task."""
    parts = {part: set(data.split.part(part)) for part in ("train", "val", "test")}
    pairs = (("train", "val"), ("train", "test"), ("val", "test"))
    return {f"{a} and {b}": len(parts[a] & parts[b]) for a, b in pairs}


def attribute_table(values: Mapping[str, Sequence[str]]) -> Table:
    """The attributes of a bird with their values."""
    return Table(["attribute", "values"], [[name, ", ".join(found)] for name, found in values.items()])


def layer_table(backbone: Backbone) -> Table:
    """M columns of N numbers: every layer of a backbone."""
    rows = []
    for name in backbone.layers:
        weight = backbone.features.get_submodule(name).weight
        m, n = backbone.columns(name).shape
        shape = " x ".join(str(size) for size in weight.shape)  # type: ignore[union-attr]
        rows.append([name, shape, str(m), str(n), f"{m * n:,}"])
    return Table(["layer", "weight", "M columns", "N numbers each", "parameters"], rows)


def parameter_table(model: N3) -> Table:
    """Where the parameters are: the frozen network, and the parts of Phi."""

    def count(*parts: nn.Module | nn.Parameter | None) -> str:
        tensors = [
            p
            for part in parts
            if part is not None
            for p in (part.parameters() if isinstance(part, nn.Module) else [part])
        ]
        return f"{sum(p.numel() for p in tensors):,}"

    l2a = model.labels2adaptation
    rows = [
        ["pretrained network, Theta", "frozen", count(model.backbone)],
        ["Tokens2Label, Eq. 2", "trained", count(model.tokens2label)],
        ["word weights and their projection", "trained", count(model.log_word_weight, model.lexical)],
        ["Labels2Adaptation encoder, Eq. 3", "trained", count(l2a.encoder)],
        [f"{len(l2a.decoders)} layer decoders, Eq. 4 and 5", "trained", count(l2a.decoders)],
        ["one mu a layer, Eq. 6", "trained", f"{len(l2a.mu()):,}"],
        ["what all tasks share, and its scales", "trained", count(l2a.shared, l2a.log_shared_mu)],
        ["classifier generator and scale", "trained", count(model.generator, model.log_scale)],
    ]
    return Table(["part", "", "parameters"], rows)


def untrained(run: Run, classifier: Literal["exemplar", "equivariant", "positional"]) -> N3:
    """An N3 before its first step, with what a run remembers of the seen classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = dataclasses.replace(run.config.model, classifier=classifier)
        trained = run.model
        model = N3(
            trained.backbone,
            run.pipeline.encoder.width,
            len(run.pipeline.tfidf.vocabulary),
            len(trained.exemplars),
            config,
        )
    for name in ("center", "transform", "exemplars", "seen_pooled", "seen_lexical"):
        getattr(model, name).copy_(getattr(trained, name))
    return model.eval()


@torch.no_grad()
def folding_error(build: Callable[[], nn.Module], images: Float[Tensor, "B 3 H W"]) -> tuple[int, float]:
    """Fold a network's batch norms: how many there were, and the largest relative change of its output.

    Args:
        build: makes the network; it is shown the images first, so that its batch norms have statistics.
        images: to compare on.
    """
    network = trace(build())
    for _ in range(10):
        network.train()(images)
    network.eval()
    folded = fold_batchnorm(copy.deepcopy(network))
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    before, after = network(images), folded(images)
    return norms, ((before - after).abs().max() / before.abs().max()).item()


@torch.no_grad()
def order_gap(model: N3, text: Text, images: Float[Tensor, "B 3 H W"]) -> float:
    """Describe the same classes in the reverse order: the largest change of a class's probability."""
    flipped = text.choose(range(len(text))[::-1])
    straight = model.logits(images, model.read(text)).softmax(1)
    turned = model.logits(images, model.read(flipped)).softmax(1).flip(1)
    return (straight - turned).abs().max().item()
