"""Text in, ordinary network out: what is saved is what N3 computes, and damage is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from n3lib.errors import N3Error
from n3lib.files import read_json, write_json, write_tensors
from n3lib.run import Run
from n3lib.synthesis import SynthesizedNetwork, classify, load, save, synthesize

IMAGES = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
Classes = dict[str, tuple[str, ...]]


@pytest.fixture
def network(tiny_run: Run, unseen: Classes) -> SynthesizedNetwork:
    return synthesize(tiny_run, unseen)


@torch.no_grad()
def test_it_computes_what_n3_computes(network: SynthesizedNetwork, tiny_run: Run, unseen: Classes) -> None:
    model = tiny_run.model
    adaptation = model.read(tiny_run.text(unseen))
    assert adaptation.deltas.keys() == set(model.backbone.layers)
    assert all(delta.abs().max() > 0 for delta in adaptation.deltas.values())
    expected = model.logits(model.backbone.preprocess(IMAGES), adaptation)
    got = network(network.preprocess(IMAGES))
    assert got.shape == (4, 5)  # five classes; training had tasks of four
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network.probabilities(IMAGES).sum(1), torch.ones(4))


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (IMAGES / 255, "float32"),
        (IMAGES.long(), "int64"),
        (IMAGES.permute(0, 3, 1, 2), "(4, 3, 32, 32)"),
        (IMAGES[0], "(32, 32, 3)"),
        (IMAGES.numpy(), "ndarray"),
    ],
)
@pytest.mark.usefixtures("unannotated")
def test_only_pixels_as_stored_are_preprocessed(
    images: object, told: str, network: SynthesizedNetwork, tiny_run: Run
) -> None:
    for entrance in (network.probabilities, network.preprocess, tiny_run.model.backbone.preprocess):
        with pytest.raises(N3Error) as error:
            entrance(images)
        assert told in error.value.problem and "uint8" in error.value.remedy


@torch.no_grad()
def test_it_is_an_ordinary_network(network: SynthesizedNetwork, tiny_run: Run, unseen: Classes) -> None:
    backbone = tiny_run.model.backbone
    wanted = {f"features.{name}": p.shape for name, p in backbone.features.named_parameters()}
    wanted |= {"fc.weight": (5, 256), "fc.bias": (5,)}
    assert {name: tuple(p.shape) for name, p in network.named_parameters()} == {
        name: tuple(shape) for name, shape in wanted.items()
    }
    # Besides the backbone's own: the network itself and fc.
    assert len(list(network.modules())) == len(list(backbone.features.modules())) + 2
    assert not list(network.buffers())
    assert not network.training
    # Made anew, not N3's own layers: writing a second network leaves the first alone.
    before = network(network.preprocess(IMAGES))
    synthesize(tiny_run, dict(reversed(unseen.items())))
    assert torch.equal(network(network.preprocess(IMAGES)), before)
    assert torch.equal(tiny_run.model.backbone.columns("conv1"), backbone.columns("conv1"))


@torch.no_grad()
def test_the_order_of_the_classes_only_permutes(
    network: SynthesizedNetwork, tiny_run: Run, unseen: Classes
) -> None:
    names = list(unseen)
    order = [3, 0, 4, 1, 2]
    other = synthesize(tiny_run, {names[k]: unseen[names[k]] for k in order})
    assert other.labels == tuple(names[k] for k in order)
    torch.testing.assert_close(
        other.probabilities(IMAGES), network.probabilities(IMAGES)[:, order], atol=1e-5, rtol=1e-4
    )


@torch.no_grad()
def test_a_saved_network_comes_back_the_same(
    network: SynthesizedNetwork, tiny_run: Run, unseen: Classes, tmp_path: Path
) -> None:
    assert save(network, tmp_path / "net") == tmp_path / "net"
    assert {path.name for path in (tmp_path / "net").iterdir()} == {
        "network.safetensors", "labels.json", "card.json"
    }  # fmt: skip
    again = load(str(tmp_path / "net"))
    assert torch.equal(again(again.preprocess(IMAGES)), network(network.preprocess(IMAGES)))
    assert again.labels == network.labels == tuple(unseen)
    assert read_json(tmp_path / "net" / "labels.json") == list(unseen)
    card = again.card
    assert card == network.card
    assert card["text"] == {name: list(sentences) for name, sentences in unseen.items()}
    assert card["preprocessing"]["size"] == 32
    assert card["base"]["weights"] == ""  # no path of this computer
    assert str(tiny_run.folder) not in json.dumps(card)


def test_onnx_gives_the_same_logits(network: SynthesizedNetwork, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    save(network, tmp_path, onnx=True)
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    images = network.preprocess(IMAGES)
    for count in (1, 3):
        (got,) = session.run(["logits"], {"images": images[:count].numpy()})
        np.testing.assert_allclose(got, network(images[:count]), atol=1e-4)


def no_card(folder: Path) -> None:
    (folder / "card.json").unlink()


def another_class(folder: Path) -> None:
    card = read_json(folder / "card.json")
    write_json(folder / "card.json", {**card, "classes": [*card["classes"], "one more"]})


def another_base(folder: Path) -> None:
    card = read_json(folder / "card.json")
    write_json(folder / "card.json", {**card, "base": {**card["base"], "pool": "avg"}})


def card_of(value: object) -> Callable[[Path], None]:
    return lambda folder: write_json(folder / "card.json", value)


def truncated(folder: Path) -> None:
    path = folder / "network.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


def no_tensors(folder: Path) -> None:
    (folder / "network.safetensors").unlink()


def other_tensors(folder: Path) -> None:
    write_tensors(folder / "network.safetensors", {"fc.weight": torch.zeros(5, 256)})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_card, "holds no synthesized network"),
        (another_class, "does not belong to .*card.json"),
        (another_base, "does not belong to .*card.json"),
        (card_of([]), "not a card of this version"),
        (card_of({"schema": 0}), "not a card of this version"),
        (card_of({"schema": 1}), "card.json is damaged"),
        (card_of({"schema": 1, "classes": ["a"], "base": {"nose": 1}}), "card.json is damaged"),
        (truncated, "network.safetensors is not a readable"),
        (no_tensors, "network.safetensors does not exist"),
        (other_tensors, "does not belong to .*card.json"),
    ],
)
def test_damaged_folders_are_refused(
    damage: Callable[[Path], None], message: str, network: SynthesizedNetwork, tmp_path: Path
) -> None:
    save(network, tmp_path)
    damage(tmp_path)
    with pytest.raises(N3Error, match=message):
        load(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(N3Error, match="nowhere holds no synthesized network"):
        load(tmp_path / "nowhere")


def test_a_save_that_fails_loses_nothing(network: SynthesizedNetwork, tmp_path: Path) -> None:
    """The card is written last, so all else of the new network is there when it fails."""
    save(network, tmp_path / "old")
    card, weight = dict(network.card), network.fc.weight.clone()
    network.card["preprocessing"] = {"mean": [float("nan")] * 3}
    network.fc.weight.mul_(2)
    for folder in ("old", "new"):
        with pytest.raises(ValueError):
            save(network, tmp_path / folder)
    kept = load(tmp_path / "old")
    assert kept.card == card
    assert torch.equal(kept.fc.weight, weight)
    assert {path.name for path in (tmp_path / "old").iterdir()} == {
        "network.safetensors", "labels.json", "card.json"
    }  # fmt: skip
    with pytest.raises(N3Error, match="holds no synthesized network"):
        load(tmp_path / "new")


def test_the_onnx_file_of_an_earlier_network_goes(network: SynthesizedNetwork, tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"of another network")
    (tmp_path / "notes.txt").write_text("mine")
    save(network, tmp_path)
    assert not (tmp_path / "network.onnx").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_classify_gives_the_most_probable_first(network: SynthesizedNetwork, tmp_path: Path) -> None:
    for k, pixels in enumerate(IMAGES.numpy()):
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    results = classify(network, [tmp_path / f"{k}.png" for k in range(4)], top=2)
    share = network.probabilities(IMAGES)
    for k, result in enumerate(results):
        order = share[k].argsort(descending=True)[:2].tolist()
        assert [label for label, _ in result] == [network.labels[i] for i in order]
        assert [p for _, p in result] == pytest.approx(share[k, order].tolist(), abs=1e-5)
    assert len(classify(network, [str(tmp_path / "0.png")], top=9)[0]) == 5


def test_one_path_is_one_image(network: SynthesizedNetwork, tmp_path: Path) -> None:
    Image.fromarray(IMAGES[0].numpy()).save(tmp_path / "0.png")
    expected = classify(network, [tmp_path / "0.png"])
    assert len(expected) == 1
    assert classify(network, tmp_path / "0.png") == classify(network, str(tmp_path / "0.png")) == expected
    assert classify(network, []) == []


@pytest.mark.parametrize("top", [0, -1])
def test_no_class_of_an_image_is_refused(top: int, network: SynthesizedNetwork, tmp_path: Path) -> None:
    Image.fromarray(IMAGES[0].numpy()).save(tmp_path / "0.png")
    with pytest.raises(N3Error, match=f"top {top}"):
        classify(network, [tmp_path / "0.png"], top)


def test_an_unreadable_image_is_named(network: SynthesizedNetwork, tmp_path: Path) -> None:
    path = tmp_path / "not an image.jpg"
    path.write_text("hello")
    with pytest.raises(N3Error, match="not an image.jpg"):
        classify(network, [path])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({}, "at least two classes"),
        ({"wren": ["A small bird."]}, "at least two classes"),
        ({"wren": ["A small bird."], "crow": []}, "class 'crow' has no text"),
        ({"wren": ["A small bird."], "crow": [" ... "]}, "class 'crow' has an empty description"),
    ],
)
def test_classes_that_say_nothing_are_refused(classes: dict, message: str, tiny_run: Run) -> None:
    with pytest.raises(N3Error, match=message):
        synthesize(tiny_run, classes)


def test_words_that_training_never_met_make_a_network_too(tiny_run: Run) -> None:
    network = synthesize(tiny_run, {"a": ["Zyx qwv."], "b": ["..", "Plumage brick red."], "c": ["Zyx."]})
    assert network.probabilities(IMAGES).isfinite().all()
