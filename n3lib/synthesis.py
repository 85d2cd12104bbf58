"""Text in, ordinary network out: write it, save it, load it, export it, classify with it."""

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeGuard, get_args

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from n3lib.backbone import Backbone, BackboneConfig, Network, Pool, from_columns, pool
from n3lib.classifiers import familiarity, within_variance
from n3lib.data.images import MAX_SIDE, check_pixels, load_image
from n3lib.data.texts import Sentence, parse_classes, sentence_weights
from n3lib.io import N3Error, expand, read_json, sha256_file, write_json, writing
from n3lib.io.checkpoint import check_size
from n3lib.io.files import read_record, sha256
from n3lib.io.onnx import OPSET, export_onnx
from n3lib.io.tensors import check_finite, read_tensors, write_tensors
from n3lib.pretrained.networks import load_backbone
from n3lib.run import MAX_CLASSES, Run

SCHEMA = 1
BATCH = 32  # images in one pass
NETWORK_FILES = ("network.safetensors", "network.onnx")
_AGAIN = "Synthesize the network again"


class SynthesizedNetwork(Network):
    """A plain classifier that was written from text. It needs no text encoder and no meta-model.

    Attributes:
        labels: the K class names, in the order of the logits.
        card: what it was written from, and how to feed it.
        views: 2 where the features of an image and of its mirror image are averaged, else 1.
        familiar: the least `familiarity` of what is taken for one of the classes; None where the run had no
            classes to measure it on.
    """

    center: Tensor
    variance: Tensor

    def __init__(self, backbone: Backbone, card: dict[str, Any]) -> None:
        classes = card["classes"]
        super().__init__(backbone.features, backbone.config.pool, nn.Linear(backbone.width, len(classes)))
        self.labels, self.card, self.views = tuple(classes), card, card["preprocessing"].get("views", 1)
        self.familiar: float | None = card.get("familiar")
        if self.familiar is not None:
            self.register_buffer("center", torch.zeros(backbone.width))
            self.register_buffer("variance", torch.ones(backbone.width))
        self.requires_grad_(False).eval()

    def preprocess(self, images: UInt8[Tensor, "B H W 3"]) -> Float[Tensor, "B 3 H W"]:
        """Pixels as stored to what `forward` reads; an `N3Error` if they have another type or shape."""
        check_pixels(images, Tensor)
        how = self.card["preprocessing"]
        mean, std = (torch.tensor(how[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
        return (images.permute(0, 3, 1, 2).float() / 255 - mean) / std

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K"]:
        """Logits of normalized images."""
        return self.read(images)[0]

    def read(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B K"], Tensor | None]:
        """Logits of normalized images, and their `familiarity` (B,), which is None where `familiar` is."""
        features = pool(self.features(images), self.pooling)  # (B, f)
        if self.views == 2:
            features = (features + pool(self.features(images.flip(3)), self.pooling)) / 2  # (B, f)
        logits = self.fc(features)  # (B, K)
        known = self.familiar is not None
        return logits, familiarity(logits, features, self.center, self.variance) if known else None

    def probabilities(self, images: UInt8[Tensor, "B H W 3"]) -> Float[Tensor, "B K"]:
        """Class probabilities of stored images; an `N3Error` unless they are squares of the card's size."""
        return self.judge(images)[0]

    @torch.no_grad()
    def judge(self, images: UInt8[Tensor, "B H W 3"]) -> tuple[Float[Tensor, "B K"], Tensor | None]:
        """`probabilities`, and whether each image is familiar (B,), or None where that is unknown."""
        ready, side = self.preprocess(images), self.card["preprocessing"]["size"]
        if images.shape[1:3] != (side, side):  # it would compute, and answer nonsense
            problem = f"images of {'x'.join(map(str, images.shape[1:3]))} pixels"
            raise N3Error(problem, f"Give squares of {side}, as load_image(path, {side}) does")
        logits, score = self.read(ready)
        return logits.softmax(1), None if score is None else score >= self.card["familiar"]


@torch.no_grad()
def synthesize(run: Run, classes: Mapping[str, Any]) -> SynthesizedNetwork:
    """Write a network that tells 2 to `MAX_CLASSES` classes apart.

    `classes` are their descriptions by name, in any form that `n3lib.data.texts.parse_classes` reads; a class
    that the run was trained on needs none (`None`).

    Raises:
        N3Error: fewer classes or more, a class whose text is missing or empty, or a network whose numbers are
            not finite.
    """
    if len(classes) > MAX_CLASSES:
        raise N3Error(f"{len(classes):,} classes are too many to be read together", f"Give {MAX_CLASSES:,}")
    classes = parse_classes(classes, known=run.seen)
    model, config, backbone = run.model, run.config, run.model.backbone
    adaptation = run.adapt(classes)
    text = {name: _as_given(sentences) if sentences else None for name, sentences in classes.items()}
    card = {
        "schema": SCHEMA,
        "classes": list(classes),
        "text": text,
        "text_sha256": sha256(json.dumps(text, ensure_ascii=False)),
        "base": {**asdict(backbone.config), "weights": ""},
        "base_sha256": sha256_file(run.folder / "backbone.safetensors"),
        "adapted": config.model.adapt,
        "classifier": config.model.classifier,
        "mu": model.labels2adaptation.mu(),
        "temperature": run.temperature,
        **({} if run.familiar is None else {"familiar": run.familiar}),
        "trained_on": {"dataset": config.data.name, "split": config.data.split, "seed": config.seed},
        "preprocessing": {
            "size": run.image_size,
            "resize": "shorter side to size, then the central square",
            "views": 2 if config.mirror else 1,
            "mean": backbone.mean.flatten().tolist(),
            "std": backbone.std.flatten().tolist(),
        },
    }
    network = SynthesizedNetwork(load_backbone(backbone.config, pretrained=False), card)
    columns = from_columns(model.columns(adaptation.deltas), backbone.features)
    network.features.load_state_dict(backbone.features.state_dict() | columns)
    row = {"weight": adaptation.weight, "bias": adaptation.bias}
    network.fc.load_state_dict({name: value / run.temperature for name, value in row.items()})
    if network.familiar is not None:
        network.center.copy_(model.center)
        network.variance.copy_(within_variance(model.transform))
    check_finite(network.state_dict(), "the network of these descriptions")
    return network


def _as_given(sentences: Sequence[str]) -> list[str] | dict[str, list[Any]]:
    """A description as JSON, from which `parse_classes` makes it again."""
    plain = [str(sentence) for sentence in sentences]
    if not any(isinstance(sentence, Sentence) for sentence in sentences):
        return plain
    return {"sentences": plain, "weights": sentence_weights(sentences)}


def save(network: SynthesizedNetwork, folder: str | Path, onnx: bool = False, pixels: bool = False) -> Path:
    """Write `network.safetensors`, `card.json` and, if asked, `network.onnx`: with `pixels`, it takes uint8.

    A network that was saved in the folder is replaced once all of the new one is on the disk; its card names
    the files that belong to it. No other file is touched.

    Raises:
        N3Error: the folder cannot be written or holds a file of such a name that its card does not list; ONNX
            is asked for and not installed, or the exported network does not agree.
    """
    folder, names = expand(folder), NETWORK_FILES[: 2 if onnx else 1]
    with writing(folder, "Make room there, or choose another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "run.json").exists():
            raise N3Error(f"{folder} holds a run", "Choose another folder for the network")
        old = _own_files(folder)
        for name in ("card.json", *NETWORK_FILES):
            if name not in old and (folder / name).exists():
                problem = f"{folder / name} belongs to no network that was saved here"
                raise N3Error(problem, "Choose another folder, or move the file away")
        with TemporaryDirectory(dir=folder, prefix=".new-") as temporary:
            new = Path(temporary)
            write_tensors(new / names[0], network.state_dict())
            network.card.pop("onnx", None)
            if onnx:
                _export(network, new / names[1], pixels)
            network.card["files"] = {name: sha256_file(new / name) for name in names}
            write_json(new / "card.json", network.card)
            # The card first: should the process be killed here, its hashes tell that the rest is another's.
            for name in ("card.json", *names):
                (new / name).replace(folder / name)
        for name in old - {"card.json", *names}:
            (folder / name).unlink()
    return folder


def _own_files(folder: Path) -> set[str]:
    """The files of the network that is saved in a folder; none where there is no card of one."""
    try:
        card = _card(folder / "card.json")
    except N3Error:
        return set()
    own = {"card.json", *card.get("files", ["network.safetensors"])}
    # Earlier cards list no files, and their labels are in one.
    if "files" not in card and (folder / "labels.json").exists():
        own |= {"labels.json"} if read_json(folder / "labels.json") == card["classes"] else set()
    # What somebody has changed since is theirs.
    onnx = folder / "network.onnx"
    if onnx.name in own and onnx.exists() and sha256_file(onnx) != card["files"][onnx.name]:
        own.remove(onnx.name)
    return {name for name in own if (folder / name).exists()}


def load(folder: str | Path) -> SynthesizedNetwork:
    """Open a network that `save` wrote; an `N3Error` if the folder holds none, or parts of several."""
    folder = expand(folder)
    path, weights = folder / "card.json", folder / "network.safetensors"
    if not path.exists():
        raise N3Error(f"{folder} holds no synthesized network", "Make one: n3 synthesize RUN CLASSES -o DIR")
    card = _card(path)

    def make() -> SynthesizedNetwork:
        return SynthesizedNetwork(load_backbone(BackboneConfig(**card["base"]), pretrained=False), card)

    check_size(make, path, [weights])
    network = make()
    tensors, _ = read_tensors(weights)
    same = {k: v.shape for k, v in tensors.items()} == {k: v.shape for k, v in network.state_dict().items()}
    if not same or card.get("files", {}).get(weights.name) not in (None, sha256_file(weights)):
        raise N3Error(f"{weights} does not belong to {path}", _AGAIN)
    check_finite(tensors, str(weights))
    network.load_state_dict(tensors)
    return network


def _card(path: Path) -> dict[str, Any]:
    """A card, as far as it is relied on: it may come from anybody."""
    kinds = {field.name: type(field.default) for field in fields(BackboneConfig)}

    def is_list(value: Any, kind: type) -> TypeGuard[list[Any]]:
        return isinstance(value, list) and bool(value) and all(type(item) is kind for item in value)

    def is_base(base: Any) -> bool:
        sound = isinstance(base, dict) and {name: type(value) for name, value in base.items()} == kinds
        return sound and base["pool"] in get_args(Pool)

    def is_preprocessing(how: Any) -> bool:
        sound = isinstance(how, dict) and type(how.get("size")) is int and 0 < how["size"] <= MAX_SIDE
        sound = sound and all(is_list(how.get(key), float) and len(how[key]) == 3 for key in ("mean", "std"))
        sound = sound and how.get("views", 1) in (1, 2)
        return sound and 0 not in how["std"]

    return read_record(
        path,
        _AGAIN,
        schema=lambda schema: schema == SCHEMA,
        classes=lambda names: is_list(names, str) and len(set(names)) == len(names),
        # Earlier cards list no files.
        files=lambda files: files is ... or isinstance(files, dict) and files.keys() <= {*NETWORK_FILES},
        base=is_base,
        preprocessing=is_preprocessing,
        familiar=lambda value: value is ... or type(value) is float,
    )


class Answer(NamedTuple):
    """What a network says of an image file: classes and their probabilities, or why it could not be read.

    `known` says whether it is `familiar`; None where the network cannot tell.
    """

    path: Path
    best: list[tuple[str, float]]
    problem: N3Error | None = None
    known: bool | None = None


def answers(network: SynthesizedNetwork, paths: Iterable[str | Path], top: int = 5) -> Iterator[Answer]:
    """The `top` most probable classes of image files as they come, computed in batches, best first.

    Raises:
        N3Error: `top` is less than 1.
    """
    if top < 1:
        raise N3Error(f"top {top} is not a number of classes", "Use 1 or more")
    left, side = map(Path, paths), network.card["preprocessing"]["size"]
    while some := list(islice(left, BATCH)):
        read = [_pixels(path, side) for path in some]
        pixels = [one for one in read if isinstance(one, Tensor)]
        shares, known = network.judge(torch.stack(pixels)) if pixels else ((), None)
        judged = zip(shares, [None] * len(pixels) if known is None else known.tolist(), strict=True)
        for path, one in zip(some, read, strict=True):
            if isinstance(one, N3Error):
                yield Answer(path, [], one)
            else:
                share, familiar = next(judged)
                best = share.topk(min(top, len(network.labels)))
                names = [network.labels[k] for k in best.indices.tolist()]
                yield Answer(path, list(zip(names, best.values.tolist(), strict=True)), known=familiar)


def _pixels(path: Path, side: int) -> UInt8[Tensor, "H W 3"] | N3Error:
    """An image as the network reads it, or why it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")  # one line for each bad image, and only ours
            return torch.from_numpy(load_image(path, side))
    except N3Error as error:
        return error


def classify(
    network: SynthesizedNetwork, paths: str | Path | Sequence[str | Path], top: int = 5
) -> list[list[tuple[str, float]]]:
    """The `top` most probable classes per image file, best first, with their probabilities from 0 to 1.

    Raises:
        N3Error: an image that cannot be read, named by its path, or `top` is less than 1.
    """
    results = []
    for answer in answers(network, [paths] if isinstance(paths, str | Path) else paths, top):
        if answer.problem:
            raise answer.problem
        results.append(answer.best)
    return results


class _Exported(nn.Module):
    """A network as ONNX has it: with `pixels` the preprocessing is inside, and familiarity is an output."""

    def __init__(self, network: SynthesizedNetwork, pixels: bool) -> None:
        super().__init__()
        self.network, self.pixels = network, pixels

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        ready = self.network.preprocess(images) if self.pixels else images
        return tuple(found for found in self.network.read(ready) if found is not None)


def _export(network: SynthesizedNetwork, path: Path, pixels: bool) -> None:
    """Write `network.onnx` and say in the card what it takes."""
    how, size = network.card["preprocessing"], network.card["preprocessing"]["size"]
    example = torch.randint(0, 256, (5, size, size, 3), generator=torch.Generator().manual_seed(0)).byte()
    network.card["onnx"] = {
        "opset": OPSET,
        "input": f"images, uint8 (B, {size}, {size}, 3), values 0 to 255"
        if pixels
        else f"images, float32 (B, 3, {size}, {size}), values divided by 255 and normalized by mean and std",
        "output": "logits, float32 (B, K): views are averaged, and the temperature is in them",
    }
    outputs = ["logits"]
    if network.familiar is not None:
        outputs.append("familiarity")
        network.card["onnx"]["output"] += f"; familiarity, float32 (B,): unknown below {network.familiar:.4f}"
    labels = json.dumps(network.labels, ensure_ascii=False)
    told = {"labels": labels, "preprocessing": json.dumps(how), **network.card["onnx"]}
    given = example if pixels else network.preprocess(example)
    metadata = {name: str(value) for name, value in told.items()}
    export_onnx(_Exported(network, pixels).eval(), given, path, outputs, metadata)
