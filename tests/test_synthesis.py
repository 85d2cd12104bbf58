"""Text in, ordinary network out: what is saved is what N3 computes, and damage is refused."""

import dataclasses
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from n3lib.data import load_data
from n3lib.io import N3Error, read_json, sha256_file, write_json
from n3lib.io.tensors import write_tensors
from n3lib.run import Run
from n3lib.synthesis import SynthesizedNetwork, answers, classify, load, save, synthesize

IMAGES = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
Classes = dict[str, tuple[str, ...]]


@pytest.fixture
def network(tiny_run: Run, unseen: Classes) -> SynthesizedNetwork:
    return synthesize(tiny_run, unseen)


@torch.no_grad()
def test_it_computes_what_n3_computes(network: SynthesizedNetwork, tiny_run: Run, unseen: Classes) -> None:
    model = tiny_run.model
    adaptation = model.adapt(tiny_run.text(unseen))
    assert adaptation.deltas.keys() == set(model.backbone.layers)
    assert all(delta.abs().max() > 0 for delta in adaptation.deltas.values())
    expected = model.logits(model.backbone.preprocess(IMAGES), adaptation)
    got = network(network.preprocess(IMAGES))
    assert got.shape == (4, 5)  # five classes; training had tasks of four
    # Both round sums of large numbers of both signs: their sizes times the precision is what may differ.
    features = model.backbone(model.backbone.preprocess(IMAGES), model.columns(adaptation.deltas)).abs()
    sizes = features @ adaptation.weight.abs().T + adaptation.bias.abs()
    assert ((got - expected).abs() <= torch.finfo(torch.float32).eps * sizes).all()
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
    assert {path.name for path in (tmp_path / "net").iterdir()} == {"network.safetensors", "card.json"}
    again = load(str(tmp_path / "net"))
    assert torch.equal(again(again.preprocess(IMAGES)), network(network.preprocess(IMAGES)))
    assert again.labels == network.labels == tuple(unseen)
    card = again.card
    assert card == network.card
    assert card["text"] == {name: list(sentences) for name, sentences in unseen.items()}
    assert card["preprocessing"]["size"] == 32
    assert card["base"]["weights"] == ""  # no path of this computer
    assert str(tiny_run.folder) not in json.dumps(card)


@torch.no_grad()
def test_a_network_of_two_views_averages_an_image_and_its_mirror_image(
    tiny_run: Run, unseen: Classes, tmp_path: Path
) -> None:
    mirrored = dataclasses.replace(tiny_run, config=dataclasses.replace(tiny_run.config, mirror=True))
    one, two = synthesize(tiny_run, unseen), load(save(synthesize(mirrored, unseen), tmp_path / "two"))
    assert (one.card["preprocessing"]["views"], two.card["preprocessing"]["views"]) == (1, 2)
    x = one.preprocess(IMAGES)
    torch.testing.assert_close(two(x), (one(x) + one(x.flip(3))) / 2, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("views", [1, 2])
def test_onnx_gives_the_same_logits(views: int, network: SynthesizedNetwork, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    network.views = views
    save(network, tmp_path, onnx=True)
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    images = network.preprocess(IMAGES)
    for count in (1, 3):
        (got,) = session.run(["logits"], {"images": images[:count].numpy()})
        np.testing.assert_allclose(got, network(images[:count]), atol=1e-4)
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["labels"]) == list(network.labels)
    assert json.loads(told["preprocessing"]) == load(tmp_path).card["preprocessing"]
    save(network, tmp_path, onnx=True, pixels=True)
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    (got,) = session.run(["logits"], {"images": IMAGES.numpy()})
    np.testing.assert_allclose(got, network(images), atol=1e-4)
    assert "uint8" in load(tmp_path).card["onnx"]["input"]


def test_what_is_unlike_all_classes_is_unknown(tiny_run: Run, unseen: Classes, tmp_path: Path) -> None:
    plain = synthesize(tiny_run, unseen)
    assert plain.judge(IMAGES)[1] is None
    scores = synthesize(dataclasses.replace(tiny_run, familiar=0.0), unseen).read(plain.preprocess(IMAGES))[1]
    middle = scores.sort().values[1:3].mean().item()
    network = synthesize(dataclasses.replace(tiny_run, familiar=middle), unseen)
    torch.testing.assert_close(network.probabilities(IMAGES), plain.probabilities(IMAGES))
    paths = [tmp_path / f"{k}.png" for k in range(4)]
    for path, image in zip(paths, IMAGES, strict=True):
        Image.fromarray(image.numpy()).save(path)
    expected = (scores > middle).tolist()
    assert sorted(expected) == [False, False, True, True]
    again = load(save(network, tmp_path / "net"))
    assert [answer.known for answer in answers(again, paths)] == expected
    assert [answer.known for answer in answers(plain, paths)] == [None] * 4
    card = read_json(tmp_path / "net" / "card.json")
    for wrong in ("high", None, 3):
        write_json(tmp_path / "net" / "card.json", {**card, "familiar": wrong})
        with pytest.raises(N3Error):
            load(tmp_path / "net")


def test_onnx_tells_how_familiar_an_image_is(tiny_run: Run, unseen: Classes, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    network = synthesize(dataclasses.replace(tiny_run, familiar=-1.5), unseen)
    save(network, tmp_path, onnx=True, pixels=True)
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    found = session.run(["logits", "familiarity"], {"images": IMAGES.numpy()})
    for got, expected in zip(found, network.read(network.preprocess(IMAGES)), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-3, rtol=1e-4)
    assert "-1.5" in load(tmp_path).card["onnx"]["output"]


def no_card(folder: Path) -> None:
    (folder / "card.json").unlink()


def another_class(folder: Path) -> None:
    card = read_json(folder / "card.json")
    write_json(folder / "card.json", {**card, "classes": [*card["classes"], "one more"]})


def another_base(folder: Path) -> None:
    card = read_json(folder / "card.json")
    write_json(folder / "card.json", {**card, "base": {**card["base"], "pool": "avg"}})


def no_list_of_files(folder: Path) -> None:
    card = read_json(folder / "card.json")
    write_json(folder / "card.json", {**card, "files": None})


def no_pooling(folder: Path) -> None:
    card = read_json(folder / "card.json")
    write_json(folder / "card.json", {**card, "base": {**card["base"], "pool": "max"}})


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
        (no_card, "network"),
        (another_class, "card.json"),
        (another_base, "card.json"),
        (card_of([]), "card.json"),
        (card_of({"schema": 0}), "card.json.*schema"),
        (card_of({"schema": 1}), "card.json.*classes"),
        (no_list_of_files, "card.json.*files"),
        (no_pooling, "card.json.*base"),
        (card_of({"schema": 1, "classes": ["a"], "base": {"nose": 1}}), "card.json.*base"),
        (truncated, "network.safetensors"),
        (no_tensors, "network.safetensors"),
        (other_tensors, "network.safetensors"),
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
    with pytest.raises(N3Error, match="nowhere"):
        load(tmp_path / "nowhere")


def test_a_save_that_fails_loses_nothing(network: SynthesizedNetwork, tmp_path: Path) -> None:
    """The card is written last of the new files, so all others are there when it fails."""
    save(network, tmp_path / "old")
    card, weight = dict(network.card), network.fc.weight.clone()
    network.card["preprocessing"] = {"mean": [float("nan")] * 3}
    network.fc.weight.mul_(2)
    for folder in ("old", "new"):
        with pytest.raises(N3Error):
            save(network, tmp_path / folder)
    kept = load(tmp_path / "old")
    assert kept.card == card
    assert torch.equal(kept.fc.weight, weight)
    assert {path.name for path in (tmp_path / "old").iterdir()} == {"network.safetensors", "card.json"}
    with pytest.raises(N3Error, match="new"):
        load(tmp_path / "new")


@pytest.mark.parametrize("name", ["network.onnx", "network.safetensors", "card.json"])
@pytest.mark.parametrize("onnx", [False, True])
def test_files_of_the_users_are_neither_replaced_nor_deleted(
    name: str, onnx: bool, network: SynthesizedNetwork, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(N3Error, match=name):
        save(network, tmp_path, onnx)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"{}"


def test_a_saved_network_is_replaced_with_all_its_files_and_no_others(
    network: SynthesizedNetwork, tiny_run: Run, unseen: Classes, tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript")
    save(network, tmp_path, onnx=True)
    mine = ["notes.txt", ".env.template", ".card.json.20241128", "labels.json"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    other = synthesize(tiny_run, dict(reversed(unseen.items())))
    save(other, tmp_path)
    assert load(tmp_path).labels == other.labels
    assert {path.name for path in tmp_path.iterdir()} == {"network.safetensors", "card.json", *mine}
    assert {(tmp_path / name).read_text() for name in mine} == {"mine"}


def test_an_onnx_file_that_the_user_changed_is_theirs(network: SynthesizedNetwork, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    save(network, tmp_path, onnx=True)
    (tmp_path / "network.onnx").write_bytes(b"quantized by me")
    for onnx in (False, True):
        with pytest.raises(N3Error, match="network.onnx"):
            save(network, tmp_path, onnx)
    assert (tmp_path / "network.onnx").read_bytes() == b"quantized by me"


def test_a_network_is_not_saved_among_a_runs_files(network: SynthesizedNetwork, tiny_run: Run) -> None:
    before = {path.name for path in tiny_run.folder.iterdir()}
    with pytest.raises(N3Error, match="run"):
        save(network, tiny_run.folder)
    assert {path.name for path in tiny_run.folder.iterdir()} == before


def test_a_network_of_an_earlier_version_is_opened_and_replaced(
    network: SynthesizedNetwork, tmp_path: Path
) -> None:
    """Its card lists no files, and its labels lay in a file of their own."""
    save(network, tmp_path)
    card = read_json(tmp_path / "card.json")
    del card["files"]
    write_json(tmp_path / "card.json", card)
    write_json(tmp_path / "labels.json", card["classes"])
    assert load(tmp_path).labels == network.labels
    save(network, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"network.safetensors", "card.json"}


def test_a_card_with_the_weights_of_another_network_is_refused(
    network: SynthesizedNetwork, tiny_run: Run, unseen: Classes, tmp_path: Path
) -> None:
    """As a process leaves it that is killed between the two."""
    save(network, tmp_path / "a")
    save(synthesize(tiny_run, dict(reversed(unseen.items()))), tmp_path / "b")
    (tmp_path / "b" / "card.json").replace(tmp_path / "a" / "card.json")
    with pytest.raises(N3Error, match="network.safetensors"):
        load(tmp_path / "a")


def test_a_full_disk_names_the_folder_and_the_remedy(
    network: SynthesizedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/elsewhere/.new-x/network.safetensors")

    monkeypatch.setattr("n3lib.synthesis.write_tensors", full)
    with pytest.raises(N3Error, match=str(tmp_path / "net")) as caught:
        save(network, tmp_path / "net")
    assert "elsewhere" not in str(caught.value) and caught.value.remedy
    assert not list((tmp_path / "net").iterdir())


@pytest.mark.parametrize("shape", [(1, 224, 224, 3), (1, 32, 31, 3)])
def test_images_of_another_size_are_refused(shape: tuple[int, ...], network: SynthesizedNetwork) -> None:
    with pytest.raises(N3Error, match="32"):
        network.probabilities(torch.zeros(shape, dtype=torch.uint8))


def test_numbers_that_are_not_finite_are_never_saved_nor_opened(
    network: SynthesizedNetwork, tmp_path: Path
) -> None:
    save(network, tmp_path / "net")
    state = {name: value.clone() for name, value in network.state_dict().items()}
    state["fc.bias"][2] = torch.nan
    save_file(state, tmp_path / "net" / "network.safetensors")
    card = read_json(tmp_path / "net" / "card.json")
    card["files"]["network.safetensors"] = sha256_file(tmp_path / "net" / "network.safetensors")
    write_json(tmp_path / "net" / "card.json", card)
    with pytest.raises(N3Error, match="fc.bias"):
        load(tmp_path / "net")
    network.fc.bias[2] = torch.inf
    with pytest.raises(N3Error, match="fc.bias"):
        save(network, tmp_path / "other")


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
    with pytest.raises(N3Error, match="top"):
        classify(network, [tmp_path / "0.png"], top)


def test_an_unreadable_image_is_named(network: SynthesizedNetwork, tmp_path: Path) -> None:
    path = tmp_path / "not an image.jpg"
    path.write_text("hello")
    with pytest.raises(N3Error, match="not an image.jpg"):
        classify(network, [path])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({}, "two"),
        ({"wren": ["A small bird."]}, "two"),
        ({"wren": ["A small bird."], "crow": []}, "crow"),
        ({"wren": ["A small bird."], "crow": [" ... "]}, "crow"),
        ({"wren": "A small bird.", "crow": 5}, "crow"),
        ({"wren": "A small bird.", 1: "A big bird."}, "class name"),
        ({"wren": "A small bird.", "crow": {"sentences": ["A big bird."], "weight": [0]}}, "weights"),
        ({"wren": "A small bird.", "crow": {"sentences": ["Big."], "weights": [10**400]}}, "crow"),
        ({"wren": "A small bird.", "crow": {"sentences": ["A big bird."], "weights": [1e-300]}}, "crow"),
    ],
)
def test_classes_that_say_nothing_are_refused(classes: dict, message: str, tiny_run: Run) -> None:
    with pytest.raises(N3Error, match=message):
        synthesize(tiny_run, classes)


@pytest.mark.parametrize("classes", [["wren", "crow"], "classes.json", {1: "A bird.", 2: "Another bird."}])
def test_what_is_no_mapping_of_names_is_refused(classes: Any, tiny_run: Run, unannotated: None) -> None:
    with pytest.raises(N3Error, match="class name"):
        synthesize(tiny_run, classes)


def test_every_form_of_a_description_makes_the_same_network(tiny_run: Run) -> None:
    pair = "It has a red crown. Its wings are blue.", "A large gray bird."
    forms = [
        dict(zip("ab", pair, strict=True)),
        {"a": ["It has a red crown.", "Its wings are blue."], "b": ("A large gray bird.",)},
        {"a": {"sentences": ["It has a red crown.", "Its wings are blue."], "weights": [1, 1]}, "b": pair[1]},
        {
            "a": {"sentences": ["It has a red crown.", "Its wings are blue."], "weights": [0.2, 0.2]},
            "b": pair[1],
        },
    ]
    shares = [synthesize(tiny_run, form).probabilities(IMAGES) for form in forms]
    assert all(torch.equal(share, shares[0]) for share in shares)
    assert (shares[0] - 0.5).abs().max() > 0.01


def test_the_card_keeps_the_weights_and_gives_the_same_network_again(tiny_run: Run) -> None:
    plain = {"a": ["A red crown.", "Blue wings."], "b": ["A gray bird."]}
    weighted = {**plain, "a": {"sentences": plain["a"], "weights": [1, 0.25]}}
    one, other = synthesize(tiny_run, plain), synthesize(tiny_run, weighted)
    assert one.card["text"] == plain
    assert other.card["text"] == weighted
    assert one.card["text_sha256"] != other.card["text_sha256"]
    again = synthesize(tiny_run, json.loads(json.dumps(other.card["text"])))
    assert torch.equal(again.probabilities(IMAGES), other.probabilities(IMAGES))
    assert again.card == other.card


def test_a_seen_class_needs_no_description(tiny_run: Run, unseen: Classes) -> None:
    data = load_data(tiny_run.config.data)
    first, second = (data.classes[c] for c in data.split.train[:2])
    texts = {first: data.texts[data.split.train[0]], **unseen, second: data.texts[data.split.train[1]]}
    expected = synthesize(tiny_run, texts).state_dict()
    asked = {first.upper(): None, **unseen, second: None}
    network = synthesize(tiny_run, asked)
    assert network.labels == tuple(asked) and network.card["text"][second] is None
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-4)
    two = synthesize(tiny_run, {first: None, second: ""})
    assert two.probabilities(IMAGES).isfinite().all()
    for wrong in ({first: None, "Roc": None}, {first: None, first.upper(): None}, {"Roc": "", second: None}):
        with pytest.raises(N3Error):
            synthesize(tiny_run, wrong)
    with pytest.raises(N3Error):
        tiny_run.adapt({first: (), "Roc": ()})
    with pytest.raises(N3Error):
        tiny_run.text({first: None, second: None})  # no tokens are kept


def test_words_that_training_never_met_make_a_network_too(tiny_run: Run) -> None:
    network = synthesize(tiny_run, {"a": ["Zyx qwv."], "b": ["..", "Plumage brick red."], "c": ["Zyx."]})
    assert network.probabilities(IMAGES).isfinite().all()
