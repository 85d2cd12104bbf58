"""A run is a folder: configuration, log, checkpoints, and the network and words it was trained with."""

import dataclasses
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from n3lib.backbone import from_columns
from n3lib.classifiers import familiarity, within_variance
from n3lib.config import RunConfig, config_from_dict, difference
from n3lib.data import load_data
from n3lib.data.dataset import ZeroShotDataset
from n3lib.data.images import MAX_SIDE
from n3lib.data.names import ClassNames, human_name
from n3lib.data.texts import parse_classes, sentence_weights
from n3lib.episodes import Episodes, draw_task
from n3lib.extensions import shared_offset
from n3lib.io import N3Error, check_writable, expand, read_json, write_json, writing
from n3lib.io.checkpoint import check_size, checkpoints, load_trained, trained_state
from n3lib.io.environment import environment
from n3lib.io.files import read_record
from n3lib.io.tensors import read_shapes, write_tensors
from n3lib.metrics import (
    calibration_error,
    class_metrics,
    fit_temperature,
    magnitude,
    pick_images,
    predict,
    renew_memory,
    shared_features,
    task_features,
)
from n3lib.model import N3, Adaptation
from n3lib.pretrained.networks import load_backbone
from n3lib.pretrained.runs import open_run, write_packed
from n3lib.text.bank import Text, TextBank
from n3lib.text.encoders import MOVED, at_place, find_encoder, make_encoder
from n3lib.text.pipeline import TextPipeline
from n3lib.trainer import Progress, fit

SCHEMA = 1  # of run.json
# What a run writes after its `config.json`, beside checkpoints.
FILES = ["environment.json", "metrics.jsonl", "best.safetensors"]
FILES += ["backbone.safetensors", "model.safetensors", "reader.json", "run.json"]
TASKS = 2_000  # of training, over which the statistics of a task are standardized at a checkpoint
FAMILIAR = 0.95  # share of the images of the classes that count as such
MAX_CLASSES = 10_000  # each is read in the light of all others: memory grows with the square


@dataclass
class Run:
    """A trained N3 with what it needs to read new descriptions; `Run.load(folder)` opens one."""

    folder: Path
    config: RunConfig
    model: N3 = field(repr=False)
    pipeline: TextPipeline = field(repr=False)
    image_size: int
    seen: tuple[str, ...] = ()  # names of the classes that it was trained on
    temperature: float = 1.0  # by which logits are divided for probabilities, see `calibrated`
    familiar: float | None = None  # the least familiarity of what is taken for one of the classes
    _labels: dict[Any, Tensor] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def load(cls, folder: str | Path, encoder: str | Path = "") -> "Run":
        """Open a finished run: its folder, a packed one (`n3 pack`), or the name of one (`n3 runs`).

        `encoder` is the file or folder of its text encoder, where that has moved.

        Raises:
            N3Error: there is none, it is not finished, its files are damaged or claim more than they hold, or
                its text encoder is no longer there or another.
        """
        folder = open_run(folder)
        settings, card = folder / "config.json", folder / "run.json"
        if not os.path.exists(card):  # False for what cannot be a path, too
            if os.path.exists(settings):
                remedy = "Go on with the n3 train command that began it"
                raise N3Error(f"the run {folder} is not finished", remedy)
            raise N3Error(
                f"{folder} holds no finished run", "Train one: n3 train CONFIG -o RUN, or see n3 runs"
            )
        saved = read_record(
            card,
            "Train again",
            schema=lambda value: value in (..., SCHEMA),  # the first runs had none
            seen=lambda value: type(value) is int and 0 < value <= MAX_CLASSES,
            seen_classes=lambda value: isinstance(value, list) and {type(name) for name in value} == {str},
            image_size=lambda value: type(value) is int and 0 < value <= MAX_SIDE,
            encoder_revision=lambda value: isinstance(value, str),
            encoder_place=lambda value: value is ... or isinstance(value, str),  # of earlier runs
            temperature=lambda value: value is ... or type(value) is float and 0 < value < 1e3,
            familiar=lambda value: value is ... or type(value) is float,
        )
        config = config_from_dict(read_json(settings), str(settings))
        spec = find_encoder(config.text.encoder, saved.get("encoder_place", ""), str(encoder))
        reads = make_encoder(spec)
        if reads.revision != saved["encoder_revision"]:
            raise N3Error(f"the text encoder {spec} is not the one that {folder} was trained with", MOVED)
        pipeline = TextPipeline.from_dict(read_json(folder / "reader.json"), reads, config.text)
        sizes = (reads.width, len(pipeline.tfidf.vocabulary), saved["seen"])
        weights, trained = folder / "backbone.safetensors", folder / "model.safetensors"
        shapes = read_shapes(trained)
        if "label_mean" in shapes or "seen_labels" not in shapes:
            raise N3Error(
                f"{folder} was trained by an earlier version, which kept other numbers", "Train again"
            )
        if config.model.t2l_layers + config.model.l2a_layers > len(shapes):
            raise N3Error(f"{settings} asks for more layers than there are", "Train again")
        # Earlier versions kept more slots of a positional classifier than they trained.
        slots = (shapes.get("generator.places") or [config.episodes.ways])[0]
        more = {"ways": slots, "sources": max(1, (shapes["seen_labels"] or [0])[0] // saved["seen"])}

        def make() -> N3:
            return N3(load_backbone(config.backbone, pretrained=False), *sizes, config.model, **more)

        check_size(make, settings, [weights, trained])
        backbone = load_backbone(dataclasses.replace(config.backbone, weights=str(weights)))
        model = N3(backbone, *sizes, config.model, **more)
        model.ways = config.episodes.ways
        load_trained(model, trained)
        seen = tuple(map(human_name, saved["seen_classes"]))
        if len(seen) != saved["seen"]:
            raise N3Error(f"{card} is damaged: see its 'seen_classes'", "Train again")
        known = saved["image_size"], seen, saved.get("temperature", 1.0), saved.get("familiar")
        return cls(folder, config, model.eval(), pipeline, *known)

    def text(self, classes: Mapping[str, Any]) -> Text:
        """The descriptions of new classes, in any form of `parse_classes`, ready for the model."""
        return self._encoded(parse_classes(classes))

    @torch.no_grad()
    def adapt(self, classes: Mapping[str, Sequence[str]]) -> Adaptation:
        """The adaptation for descriptions as `parse_classes` gives them; an `N3Error` if one says nothing.

        Eq. 2 is most of the work of a large model: label embeddings of the last descriptions are kept, so
        that whoever edits one waits for that one only. Of a seen class with `()` for a description, what
        training has kept is read.
        """
        text = self._encoded(classes)
        keys = [tuple(zip(a, sentence_weights(a), strict=True)) or name for name, a in classes.items()]
        stored = {name: self.model.seen_labels[self._place(name)] for name, a in classes.items() if not a}
        known = self._labels | stored
        new = [k for k, key in enumerate(keys) if key not in known]
        if new:
            labels = self.model.labels(text.batch(new))  # (K', d)
            known |= {keys[k]: c for k, c in zip(new, labels, strict=True)}
        self._labels = {key: known[key] for key in keys}  # no others: memory does not grow
        return self.model.adapt(text, c=torch.stack([known[key] for key in keys]))

    def _encoded(self, classes: Mapping[str, Sequence[str]]) -> Text:
        told = [name for name, lines in classes.items() if lines]
        own = self.pipeline.bank([classes[name] for name in told], names=told) if told else None
        if own and len(told) == len(classes):
            return own.batch(range(len(told)))
        text = self.model.stored_text()
        at = {name: place for place, name in enumerate(told, len(text))}
        text = text.joined(own) if own else text
        return text.batch([at[name] if name in at else self._place(name) for name in classes])

    @torch.no_grad()
    def pack(self, path: str | Path) -> Path:
        """Write the run as one safetensors file in half precision, without the paths of data and weights.

        Numbers are float32 again when it is opened. The offset that all tasks share becomes part of the
        network: what is left of it are zeros, which take no room.

        Raises:
            N3Error: the file cannot be written.
        """
        model, phi, path = self.model, self.model.labels2adaptation, expand(path)
        features, trained = model.backbone.features.state_dict(), trained_state(model)
        for i, name in enumerate(phi.names if phi.shared and not model.config.gains else ()):
            assert phi.log_shared_mu is not None
            offset = shared_offset(phi.shared[i], phi.log_shared_mu[i], phi.std[i], model.config)  # (M, N)
            columns = model.backbone.columns(name) + offset / model.config.gamma  # (M, N)
            features |= from_columns({name: columns}, model.backbone.features)
            trained[f"labels2adaptation.shared.{i}"] = torch.zeros_like(offset)
            if phi.decoders:  # whose deltas are in units of the layer's spread
                scales = trained["labels2adaptation.log_mu"].clone()
                scales[i] += (phi.std[i] / columns.std()).log()
                trained["labels2adaptation.log_mu"] = scales
        write_packed(self.folder, (features, trained), path)
        return path

    @cached_property
    def _names(self) -> ClassNames:
        return ClassNames(self.seen)

    def _place(self, name: str) -> int:
        """The index of a seen class, by any spelling of its name."""
        place = self._names.find(name)
        if place is None:
            raise N3Error(f"class {name!r} has no text, and the run was not trained on it", "Describe it")
        return place


def train(
    config: RunConfig,
    folder: str | Path,
    watch: Callable[[Progress], None] | None = None,
    dataset: ZeroShotDataset | None = None,
) -> Run:
    """Train N3 into a run folder. A finished run is opened, an unfinished one goes on where it stopped.

    The folder belongs to a run from its first checkpoint on, which is that of step 0; a start that fails
    before leaves it free. `watch` is called after each step; `dataset` is given where it is loaded already.

    Raises:
        N3Error: bad configuration or data, or the folder holds a run of another configuration or
            cannot be written.
    """
    folder = expand(folder)
    check_writable(folder, folder=True)
    _refuse_another(folder, config)
    if (folder / "run.json").exists():
        return Run.load(folder)
    dataset = dataset or load_data(config.data)
    seen = dataset.split.part(config.fit)
    torch.manual_seed(config.seed)
    backbone = load_backbone(config.backbone)
    encoder, place = make_encoder(config.text.encoder), at_place(config.text.encoder)
    sources = (dataset.texts, *dataset.also)
    whole = [[sentence for texts in sources for sentence in texts[c]] for c in seen]
    pipeline = TextPipeline.fit(encoder, whole, config.text)
    bank = pipeline.bank([text for texts in sources for text in texts], dataset.classes * len(sources))
    sizes = (encoder.width, len(pipeline.tfidf.vocabulary), len(seen))
    images = sum(map(len, pick_images(dataset, seen, config))) if config.episodes.kind == "zero-shot" else 0
    model = N3(backbone, *sizes, config.model, config.episodes.ways, images, len(sources))
    episodes = Episodes(dataset, bank, seen, config.episodes, config.seed)
    rngs = (np.random.default_rng([config.seed, 29, t]) for t in range(TASKS))
    tasks = [episodes.classes(rng)[0] for rng in rngs] if config.model.decodes_deviations else []
    renew = partial(renew_memory, model, dataset, bank, seen, config, tasks)

    def begin() -> None:
        _refuse_another(folder, config)  # meanwhile another process may have begun, and stopped
        write_json(folder / "config.json", dataclasses.asdict(config))
        write_json(folder / "environment.json", environment(dataset.hashes))

    def examine(model: torch.nn.Module) -> dict[str, Any]:
        assert isinstance(model, N3)
        renew(final=False)
        tasks = dataset.by_group(dataset.split.val or seen[: config.episodes.ways])
        found: dict[str, Any] = {"adaptation": magnitude(model, map(bank.batch, tasks))}
        if config.fit == "trainval" or not dataset.split.val:
            return found
        scores = [class_metrics(*predict(model, dataset, bank, classes, config)) for classes in tasks]
        return found | {"validation": statistics.mean(score["per_class_accuracy"] for score in scores)}

    fit(model, episodes, config.train, folder, config.seed, examine, watch, begin)
    model.eval()  # one that was resumed after its last step is still in training mode
    renew(final=True)
    card = {
        "schema": SCHEMA,
        "seen": len(seen),
        "image_size": dataset.images.shape[1],
        "seen_classes": [dataset.classes[c] for c in seen],
        "encoder_revision": encoder.revision,
        "encoder_place": place,
        "mu": model.labels2adaptation.mu(),
    }
    if config.fit == "train" and len(dataset.split.val) > 1:
        card |= calibrated(model, dataset, bank, config, dataset.split.val)
    with writing(folder, "Make room there; the same command goes on"):
        write_tensors(folder / "backbone.safetensors", model.backbone.features.state_dict())
        write_tensors(folder / "model.safetensors", trained_state(model))
        write_json(folder / "reader.json", pipeline.to_dict())
        write_json(folder / "run.json", card)  # last: its presence says that the run is whole
    return Run.load(folder)


@torch.no_grad()
def calibrated(
    model: N3,
    dataset: ZeroShotDataset,
    bank: TextBank,
    config: RunConfig,
    unseen: Sequence[int],
    shared: Float[Tensor, "N f"] | None = None,
) -> dict[str, Any]:
    """The temperature that makes probabilities honest, from random tasks of classes that were not trained on.

    Returns:
        `temperature`; `familiar`, the familiarity below which one in twenty images of the classes is; and
        `calibration`: `ways` of the tasks, and the expected `error` in percent without and with the
        temperature. For the errors, it is fitted on every other image and they are measured on the rest.
    """
    classes, found = np.array(unseen), []
    center, variance = model.center.cpu(), within_variance(model.transform).cpu()
    if shared is None:
        shared = shared_features(model, dataset, bank, unseen, config)
    groups = dataset.group_of(classes.tolist())
    most = 10 if model.equivariant else model.ways
    ways = min(most, *map(len, dataset.by_group(unseen)))
    for task in range(5):
        order, _ = draw_task(np.random.default_rng([config.seed, 31, task]), ways, groups)
        asked = classes[order].tolist()
        adaptation = model.adapt(bank.batch(asked).to(model.center.device))
        features, labels = task_features(model, dataset, asked, adaptation, config, shared)
        logits = functional.linear(features, adaptation.weight, adaptation.bias)
        found.append((features.cpu(), logits.cpu(), labels))
    features, logits, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    half = fit_temperature(logits[::2], labels[::2])
    errors = [calibration_error(logits[1::2] / t, labels[1::2]) for t in (1.0, half)]
    temperature = fit_temperature(logits, labels)
    familiar = familiarity(logits / temperature, features, center, variance).quantile(1 - FAMILIAR).item()
    known = {"temperature": temperature, "familiar": familiar}
    return known | {"calibration": {"ways": ways, "error": errors}}


def _refuse_another(folder: Path, config: RunConfig) -> None:
    """Refuse a folder of another configuration's run, and one whose files of a run's names are no run's.

    Before a first checkpoint nothing is trained: what a start that failed has left is replaced.
    """
    path, other = folder / "config.json", "Choose another folder, or delete this one"
    if not path.exists():  # it is the first file of a run
        foreign = [*checkpoints(folder), *(folder / name for name in FILES if (folder / name).exists())]
        if foreign:
            raise N3Error(f"{foreign[0]} belongs to no run", "Choose another folder, or move the file away")
        return
    try:
        there = config_from_dict(read_json(path), str(path))
    except N3Error as error:
        raise N3Error(f"{folder} holds no run of this version: {error.problem}", other) from None
    if there != config and (checkpoints(folder) or (folder / "run.json").exists()):
        old, new = ({"config": dataclasses.asdict(one)} for one in (there, config))
        differs = difference(old, new) or "its data lay elsewhere"
        raise N3Error(f"{folder} holds a run of another configuration: {differs}", other)
