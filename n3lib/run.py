"""A run is a folder: configuration, metrics, checkpoint, and the network and words it was trained with."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from n3lib.backbone import load_backbone
from n3lib.classifiers import feature_statistics
from n3lib.config import RunConfig, config_from_dict, difference
from n3lib.data import load_data
from n3lib.data.dataset import ZeroShotDataset
from n3lib.data.images import MAX_SIDE
from n3lib.data.texts import parse_classes, sentence_weights
from n3lib.episodes import Episodes
from n3lib.io.checkpoint import check_size, checkpoints
from n3lib.io.environment import environment
from n3lib.io.errors import N3Error
from n3lib.io.files import check_writable, read_json, read_shapes, write_json, write_tensors, writing
from n3lib.io.paths import expand
from n3lib.metrics import extract, magnitude, metrics, predict
from n3lib.model import N3, Adaptation
from n3lib.text.bank import Text, TextBank
from n3lib.text.encoders import at_place, make_encoder
from n3lib.text.pipeline import TextPipeline
from n3lib.trainer import Progress, fit, load_trained, trained_state

SCHEMA = 1  # of run.json
# What a run writes after its `config.json`, beside checkpoints.
FILES = ("environment.json", "metrics.jsonl", "best.safetensors") + (
    "backbone.safetensors",
    "model.safetensors",
    "reader.json",
    "run.json",
)
_ELSEWHERE = "Choose another folder, or delete this one"
_MOVED = "Name the place of its files: --encoder PATH, or Run.load(folder, encoder=PATH)"
MAX_CLASSES = 10_000  # each is read in the light of all others: memory grows with the square


@dataclass
class Run:
    """A trained N3 with what it needs to read new descriptions; `Run.load(folder)` opens one."""

    folder: Path
    config: RunConfig
    model: N3
    pipeline: TextPipeline
    image_size: int
    _labels: dict[Any, Tensor] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def load(cls, folder: str | Path, encoder: str | Path = "") -> "Run":
        """Open a finished run.

        Args:
            folder: of the run.
            encoder: the file or folder of its text encoder, where that has moved.

        Raises:
            N3Error: there is none, it is not finished, its files are damaged or claim more than they hold, or
                its text encoder is no longer there or another.
        """
        folder = expand(folder)
        if not (folder / "run.json").exists():
            if (folder / "config.json").exists():
                raise N3Error(
                    f"the run {folder} is not finished", "Go on with the n3 train command that began it"
                )
            raise N3Error(f"{folder} holds no finished run", "Train one: n3 train CONFIG -o RUN")
        told = _told(folder / "run.json")
        config = config_from_dict(read_json(folder / "config.json"), str(folder / "config.json"))
        spec = _encoder(folder, config.text.encoder, told.get("encoder_place", ""), str(encoder))
        reads = make_encoder(spec)
        if reads.revision != told["encoder_revision"]:
            raise N3Error(f"the text encoder {spec} is not the one that {folder} was trained with", _MOVED)
        pipeline = TextPipeline.from_dict(read_json(folder / "reader.json"), reads, config.text)
        sizes = (reads.width, len(pipeline.tfidf.vocabulary), told["seen"])
        weights = folder / "backbone.safetensors"
        if config.model.t2l_layers + config.model.l2a_layers > len(read_shapes(folder / "model.safetensors")):
            raise N3Error(f"{folder / 'config.json'} asks for more layers than there are", "Train again")
        check_size(
            lambda: N3(load_backbone(config.backbone, pretrained=False), *sizes, config.model),
            folder / "config.json",
            [weights, folder / "model.safetensors"],
        )
        backbone = load_backbone(dataclasses.replace(config.backbone, weights=str(weights)))
        model = N3(backbone, *sizes, config.model, config.episodes.ways)
        load_trained(model, folder / "model.safetensors")
        return cls(folder, config, model.eval(), pipeline, told["image_size"])

    def text(self, classes: Mapping[str, Any]) -> Text:
        """The descriptions of new classes, in any form of `parse_classes`, ready for the model."""
        classes = parse_classes(classes)
        return self.pipeline.bank(list(classes.values()), names=list(classes)).batch(range(len(classes)))

    @torch.no_grad()
    def read(self, classes: Mapping[str, Any]) -> Adaptation:
        """The adaptation for these descriptions, in any form of `parse_classes`.

        Eq. 2 is most of the work of a large model, so label embeddings of descriptions that were there the
        last time are kept: whoever edits a description waits for that one only.
        """
        classes = parse_classes(classes)
        text = self.text(classes)
        keys = [tuple(zip(lines, sentence_weights(lines), strict=True)) for lines in classes.values()]
        new = [place for place, key in enumerate(keys) if key not in self._labels]
        known = dict(self._labels)
        if new:
            read = self.model.labels(text.choose(new))  # (K', d)
            known |= {keys[place]: c for place, c in zip(new, read, strict=True)}
        self._labels = {key: known[key] for key in keys}  # no others: memory does not grow
        return self.model.read(text, c=torch.stack([known[key] for key in keys]))


def train(
    config: RunConfig,
    folder: str | Path,
    watch: Callable[[Progress], None] | None = None,
    dataset: ZeroShotDataset | None = None,
) -> Run:
    """Train N3 into a run folder. A finished run is opened, an unfinished one goes on where it stopped.

    The folder belongs to a run from its first checkpoint on, which is that of step 0; a start that fails
    before leaves it free.

    Args:
        config: what to train on what.
        folder: of the run.
        watch: called after each step.
        dataset: the data, where the caller has loaded it already.

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
    pipeline = TextPipeline.fit(encoder, [dataset.texts[c] for c in seen], config.text)
    bank = pipeline.bank(dataset.texts, names=dataset.classes)
    sizes = (encoder.width, len(pipeline.tfidf.vocabulary), len(seen))
    model = N3(backbone, *sizes, config.model, config.episodes.ways)
    episodes = Episodes(dataset, bank, seen, config.episodes, config.seed)

    def begin() -> None:
        _refuse_another(folder, config)  # meanwhile another process may have begun, and stopped
        write_json(folder / "config.json", dataclasses.asdict(config))
        write_json(folder / "environment.json", environment(dataset.hashes))

    def examine(model: torch.nn.Module) -> dict[str, Any]:
        assert isinstance(model, N3)
        renew_exemplars(model, dataset, bank, seen, config)
        tasks = dataset.by_group(dataset.split.val or seen[: config.episodes.ways])
        found: dict[str, Any] = {"adaptation": magnitude(model, map(bank.batch, tasks))}
        if config.fit == "trainval" or not dataset.split.val:
            return found
        scores = [metrics(*predict(model, dataset, bank, asked, config)) for asked in tasks]
        return found | {"validation": statistics.mean(score["per_class_accuracy"] for score in scores)}

    fit(model, episodes, config.train, folder, config.seed, examine, watch, begin)
    renew_exemplars(model, dataset, bank, seen, config, final=True)
    with writing(folder, "Make room there; the same command goes on"):
        write_tensors(folder / "backbone.safetensors", model.backbone.features.state_dict())
        write_tensors(folder / "model.safetensors", trained_state(model))
        write_json(folder / "reader.json", pipeline.to_dict())
        write_json(  # last: its presence says that the run is whole
            folder / "run.json",
            {
                "schema": SCHEMA,
                "seen": len(seen),
                "image_size": dataset.images.shape[1],
                "seen_classes": [dataset.classes[c] for c in seen],
                "encoder_revision": encoder.revision,
                "encoder_place": place,
                "mu": model.labels2adaptation.mu(),
            },
        )
    return Run.load(folder)


def _refuse_another(folder: Path, config: RunConfig) -> None:
    """Refuse a folder of another configuration's run, and one whose files of a run's names are no run's.

    Before a first checkpoint nothing is trained: what a start that failed has left is replaced.
    """
    path = folder / "config.json"
    begun = checkpoints(folder) or (folder / "run.json").exists()
    if path.exists():
        try:
            there = config_from_dict(read_json(path), str(path))
        except N3Error as error:
            raise N3Error(f"{folder} holds no run of this version: {error.problem}", _ELSEWHERE) from None
        if begun and there != config:
            old, new = ({"config": dataclasses.asdict(one)} for one in (there, config))
            differs = difference(old, new) or "its data lay elsewhere"
            raise N3Error(f"{folder} holds a run of another configuration: {differs}", _ELSEWHERE)
    else:  # it is the first file of a run
        foreign = [*checkpoints(folder), *(folder / name for name in FILES if (folder / name).exists())]
        if foreign:
            raise N3Error(f"{foreign[0]} belongs to no run", "Choose another folder, or move the file away")


def _encoder(folder: Path, spec: str, place: str, given: str) -> str:
    """The text encoder of a run, as `make_encoder` takes it.

    What was a file or folder in training is never looked for on a hub.

    Args:
        folder: of the run.
        spec: what its configuration names.
        place: where that was in training; empty for what was no file or folder, or was not noted.
        given: where it is now; empty for `place`, or what `spec` names from here.
    """
    kind = spec.partition(":")[0]
    if given and kind in ("elmo", "glove") and not given.startswith(f"{kind}:"):
        given = f"{kind}:{given}"
    if given and kind == "words":
        raise N3Error(f"{folder} reads with {spec}, which has no files", "Leave --encoder out")
    if not place and not given:
        return spec
    found = at_place(given) if given else at_place(place) or at_place(spec)
    if not found:
        raise N3Error(f"the text encoder of {folder} is not at {given or place}", _MOVED)
    return found


def _told(path: Path) -> dict[str, Any]:
    """What `run.json` says, as far as it is relied on."""
    told = read_json(path)
    # The first runs said no schema.
    sound = isinstance(told, dict) and told.get("schema", SCHEMA) == SCHEMA
    sound = sound and isinstance(told.get("encoder_place", ""), str)  # earlier runs did not note it
    for name, limit in (("seen", MAX_CLASSES), ("image_size", MAX_SIDE)):
        sound = sound and type(told.get(name)) is int and 0 < told[name] <= limit
    if not sound or not isinstance(told.get("encoder_revision"), str):
        raise N3Error(f"{path} is damaged or of another version", "Train again")
    return told


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
    exemplars that it gives itself.
    """
    device = model.center.device
    c = model.remember_text(bank.batch(seen).to(device))  # (C, d)
    exemplar = model.config.classifier == "exemplar"
    rng = np.random.default_rng([config.seed, 7])
    picks = [dataset.indices([c]) for c in seen]
    # Only exemplars gain from every image; the other classifiers' standardization must not move.
    if not (final and exemplar):
        count = config.exemplar_images
        picks = [p if len(p) <= count else np.sort(rng.choice(p, count, False)) for p in picks]
    bf16 = config.train.bf16
    features, places = [], []
    place = {c: k for k, c in enumerate(seen)}
    for group in dataset.by_group(seen):
        members = [place[c] for c in group]
        columns = None
        if exemplar:
            columns = model.columns(model.labels2adaptation(model.context(c[members])))
        indices = np.concatenate([picks[k] for k in members])
        features.append(extract(model.backbone, dataset.images, indices, columns, config.mirror, bf16))
        places += [k for k in members for _ in picks[k]]
    labels = torch.tensor(places, device=device)
    model.remember(feature_statistics(torch.cat(features), labels, len(seen), exemplar))
