"""Text in, ordinary network out: write it, save it, load it, export it, classify with it."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeGuard, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from n3lib.backbone import Backbone, BackboneConfig, Network, Pool, from_columns, load_backbone
from n3lib.data.images import MAX_SIDE, check_pixels, load_image
from n3lib.data.texts import Sentence, parse_classes, sentence_weights
from n3lib.io.checkpoint import check_size
from n3lib.io.errors import N3Error
from n3lib.io.files import (
    atomic,
    check_finite,
    read_json,
    read_tensors,
    sha256,
    sha256_file,
    write_json,
    write_tensors,
    writing,
)
from n3lib.io.paths import expand
from n3lib.run import MAX_CLASSES, Run

SCHEMA = 1
NETWORK_FILES = ("network.safetensors", "network.onnx")


class SynthesizedNetwork(Network):
    """A plain classifier that was written from text. It needs no text encoder and no meta-model.

    Attributes:
        labels: the K class names, in the order of the logits.
        card: what it was written from, and how to feed it.
    """

    def __init__(self, backbone: Backbone, card: dict[str, Any]) -> None:
        classes = card["classes"]
        super().__init__(backbone.features, backbone.config.pool, nn.Linear(backbone.width, len(classes)))
        self.labels, self.card = tuple(classes), card
        self.requires_grad_(False).eval()

    def preprocess(self, images: UInt8[Tensor, "B H W 3"]) -> Float[Tensor, "B 3 H W"]:
        """Pixels as stored to what `forward` reads.

        Raises:
            N3Error: the images are not uint8, or of another shape.
        """
        check_pixels(images, Tensor)
        how = self.card["preprocessing"]
        mean, std = (torch.tensor(how[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
        return (images.permute(0, 3, 1, 2).float() / 255 - mean) / std

    @torch.no_grad()
    def probabilities(self, images: UInt8[Tensor, "B H W 3"]) -> Float[Tensor, "B K"]:
        """Class probabilities of images as stored, squares of the side that the card names.

        Raises:
            N3Error: the images have another size, or see `preprocess`.
        """
        check_pixels(images, Tensor)
        side = self.card["preprocessing"]["size"]
        if images.shape[1:3] != (side, side):  # it would compute, and answer nonsense
            got = "x".join(map(str, images.shape[1:3]))
            raise N3Error(
                f"images of {got} pixels", f"Give squares of {side}, as load_image(path, {side}) does"
            )
        return self(self.preprocess(images)).softmax(1)


@torch.no_grad()
def synthesize(run: Run, classes: Mapping[str, Any]) -> SynthesizedNetwork:
    """Write a network that tells these classes apart.

    Args:
        run: a trained N3.
        classes: 2 to `MAX_CLASSES` descriptions by class name: running text, sentences, or sentences with
            weights, as `n3lib.data.texts.parse_classes` reads them.

    Raises:
        N3Error: fewer classes or more, a class whose text is missing or empty, or a network whose numbers are
            not finite.
    """
    if len(classes) > MAX_CLASSES:
        raise N3Error(f"{len(classes):,} classes are too many to be read together", f"Give {MAX_CLASSES:,}")
    classes = parse_classes(classes)
    model = run.model
    adaptation = run.read(classes)
    columns = model.columns(adaptation.deltas)
    base_hash = sha256_file(run.folder / "backbone.safetensors")
    backbone = model.backbone
    text = {name: _as_given(sentences) for name, sentences in classes.items()}
    card = {
        "schema": SCHEMA,
        "classes": list(classes),
        "text": text,
        "text_sha256": sha256(json.dumps(text, ensure_ascii=False)),
        "base": {**asdict(backbone.config), "weights": ""},
        "base_sha256": base_hash,
        "adapted": run.config.model.adapt,
        "classifier": run.config.model.classifier,
        "mu": model.labels2adaptation.mu(),
        "trained_on": {
            "dataset": run.config.data.name,
            "split": run.config.data.split,
            "seed": run.config.seed,
        },
        "preprocessing": {
            "size": run.image_size,
            "resize": "shorter side to size, then the central square",
            "mean": backbone.mean.flatten().tolist(),
            "std": backbone.std.flatten().tolist(),
        },
    }
    network = SynthesizedNetwork(bare_backbone(backbone.config), card)
    state = dict(backbone.features.state_dict())
    for layer, values in columns.items():
        state |= from_columns(values, backbone.features.get_submodule(layer), layer + ".")
    network.features.load_state_dict(state)
    network.fc.load_state_dict({"weight": adaptation.weight, "bias": adaptation.bias})
    check_finite(network.state_dict(), "the network of these descriptions")
    return network


def remarks(run: Run, classes: Mapping[str, Any]) -> list[str]:
    """What a user should know of descriptions before relying on their network; one line each, often none.

    Descriptions that are equal, so that no image tells their classes apart, and those without a word that the
    texts of the seen classes have, of which training says nothing.
    """
    classes = parse_classes(classes)
    alike: dict[Any, list[str]] = {}
    for name, sentences in classes.items():
        alike.setdefault(json.dumps(_as_given(sentences)), []).append(name)
    same = "the same description: no image tells these classes apart"
    lines = [f"{', '.join(names)}: {same}" for names in alike.values() if len(names) > 1]
    strange = [name for name, text in classes.items() if not any(run.pipeline.met(text).values())]
    if strange:
        what = "no word of the training texts: answers about these classes mean nothing"
        lines.append(f"{', '.join(strange)}: {what}")
    return lines


def _as_given(sentences: Sequence[str]) -> list[str] | dict[str, list[Any]]:
    """A description as JSON, from which `parse_classes` makes it again."""
    plain = [str(sentence) for sentence in sentences]
    if not any(isinstance(sentence, Sentence) for sentence in sentences):
        return plain
    return {"sentences": plain, "weights": sentence_weights(sentences)}


def bare_backbone(config: BackboneConfig) -> Backbone:
    """The architecture of a backbone, its weights yet to be loaded."""
    return load_backbone(config, pretrained=False)


def save(network: SynthesizedNetwork, folder: str | Path, onnx: bool = False) -> Path:
    """Write `network.safetensors`, `card.json` and, if asked, `network.onnx`.

    A network that was saved in the folder is replaced once all of the new one is on the disk; its card names
    the files that belong to it. No other file is touched.

    Raises:
        N3Error: the folder cannot be written or holds a file of such a name that its card does not list; ONNX
            is asked for and not installed, or the exported network does not agree.
    """
    folder = expand(folder)
    names = ["network.safetensors", *(["network.onnx"] if onnx else [])]
    with writing(folder, "Make room there, or choose another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "run.json").exists():
            raise N3Error(f"{folder} holds a run", "Choose another folder for the network")
        old = _own_files(folder)
        for name in ("card.json", "network.safetensors", "network.onnx"):
            if name not in old and (folder / name).exists():
                raise N3Error(
                    f"{folder / name} belongs to no network that was saved here",
                    "Choose another folder, or move the file away",
                )
        with TemporaryDirectory(dir=folder, prefix=".new-") as temporary:
            new = Path(temporary)
            write_tensors(new / names[0], network.state_dict())
            if onnx:
                _export(network, new / names[1])
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
    # Earlier cards list no files, and their labels lie in one.
    if "files" not in card and (folder / "labels.json").exists():
        own |= {"labels.json"} if read_json(folder / "labels.json") == card["classes"] else set()
    # What somebody has changed since is theirs.
    onnx = folder / "network.onnx"
    if onnx.name in own and onnx.exists() and sha256_file(onnx) != card["files"][onnx.name]:
        own.remove(onnx.name)
    return {name for name in own if (folder / name).exists()}


def load(folder: str | Path) -> SynthesizedNetwork:
    """Open a network that `save` wrote: an ordinary `nn.Module` in evaluation mode.

    Raises:
        N3Error: the folder holds no such network, or its parts do not belong together.
    """
    folder = expand(folder)
    if not (folder / "card.json").exists():
        raise N3Error(f"{folder} holds no synthesized network", "Make one: n3 synthesize RUN CLASSES -o DIR")
    card, path = _card(folder / "card.json"), folder / "network.safetensors"

    def make() -> SynthesizedNetwork:
        return SynthesizedNetwork(bare_backbone(BackboneConfig(**card["base"])), card)

    check_size(make, folder / "card.json", [path])
    network = make()
    tensors, _ = read_tensors(path)
    wanted, told = network.state_dict(), card.get("files", {}).get(path.name)
    same = {k: v.shape for k, v in tensors.items()} == {k: v.shape for k, v in wanted.items()}
    if not same or told not in (None, sha256_file(path)):
        raise N3Error(f"{path} does not belong to {folder / 'card.json'}", "Synthesize the network again")
    check_finite(tensors, str(path))
    network.load_state_dict(tensors)
    return network


def _card(path: Path) -> dict[str, Any]:
    """A card, as far as it is relied on: it may come from anybody."""
    card = read_json(path)
    if not isinstance(card, dict) or card.get("schema") != SCHEMA:
        raise N3Error(f"{path} is not a card of this version", "Synthesize the network again")
    classes, base, how = (card.get(key) for key in ("classes", "base", "preprocessing"))
    files = card.get("files", {})
    kinds = {field.name: type(field.default) for field in fields(BackboneConfig)}
    sound = {
        "classes": _is_list(classes, str) and len(set(classes)) == len(classes),
        "files": isinstance(files, dict) and files.keys() <= {*NETWORK_FILES},
        "base": isinstance(base, dict)
        and {name: type(value) for name, value in base.items()} == kinds
        and base["pool"] in get_args(Pool),
        "preprocessing": isinstance(how, dict)
        and type(how.get("size")) is int
        and 0 < how["size"] <= MAX_SIDE
        and all(_is_list(how.get(key), float) and len(how[key]) == 3 for key in ("mean", "std"))
        and 0 not in how["std"],
    }
    for part, well in sound.items():
        if not well:
            raise N3Error(f"{path} is damaged: see its {part!r}", "Synthesize the network again")
    return card


def _is_list(value: Any, kind: type) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and bool(value) and all(type(item) is kind for item in value)


def classify(
    network: SynthesizedNetwork, paths: str | Path | Sequence[str | Path], top: int = 5
) -> list[list[tuple[str, float]]]:
    """The most probable classes of image files, best first, with their probabilities from 0 to 1.

    Args:
        network: of K classes.
        paths: the files; one path stands for a list of one.
        top: how many classes of each image, from 1 on; K at most are given.

    Returns:
        A list for each file, in the order of the paths.

    Raises:
        N3Error: an image that cannot be read, named by its path, or `top` is less than 1.
    """
    if top < 1:
        raise N3Error(f"top {top} is not a number of classes", "Use 1 or more")
    if isinstance(paths, str | Path):
        paths = [paths]
    size, results = network.card["preprocessing"]["size"], []
    for path in paths:
        image = np.ascontiguousarray(load_image(path, size))
        share = network.probabilities(torch.from_numpy(image)[None])[0]
        best = share.topk(min(top, len(network.labels)))
        results.append(
            [(network.labels[i], p) for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
        )
    return results


def _export(network: SynthesizedNetwork, path: Path) -> None:
    """ONNX with a free batch size, checked against this network with onnxruntime."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (the exporter needs it)
    except ImportError:
        raise N3Error("ONNX export is not installed", "pip install 'n3lib[onnx]'") from None
    size = network.card["preprocessing"]["size"]
    example = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    batch = torch.export.Dim("batch", min=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of the exporter, about its own parts
            torch.onnx.export(
                network,
                (example,),
                temporary,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes={"images": {0: batch}},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])
        got = session.run(None, {"images": example[:1].numpy()})[0]
        if not np.allclose(got, network(example[:1]).numpy(), atol=1e-3, rtol=1e-3):
            raise N3Error("the exported ONNX network gives other logits", "Report this with the card")
