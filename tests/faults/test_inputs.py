"""What comes from outside is read, or refused in one line; it never runs, escapes or claims memory."""

import ast
import io
import json
import os
import shutil
import struct
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import n3lib
from n3lib.config import config_from_dict, read_config
from n3lib.data.fetch.unpack import extract
from n3lib.data.images import load_image
from n3lib.data.texts import read_classes, sentences
from n3lib.io import N3Error, read_json, write_json
from n3lib.io.tensors import read_tensors
from n3lib.run import Run
from n3lib.synthesis import classify, load, save, synthesize
from n3lib.text.encoders import make_encoder

PACKAGE = Path(n3lib.__file__).parent
RUNS = 2000 if os.environ.get("N3_FAULTS") else 40
fuzzed = settings(
    max_examples=RUNS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


# Nothing is run.


def test_nothing_in_the_library_unpickles_or_evaluates() -> None:
    """Reads the syntax tree of every module: no import and no call of what would run a file's content."""
    modules = {"pickle", "joblib", "dill", "shelve", "marshal", "cloudpickle"}
    calls = {"torch.load", "eval", "exec", "compile", "yaml.unsafe_load", "yaml.full_load", "os.system"}
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.split(".")[0] in modules for name in names):
                found.append(f"{path.name}:{node.lineno} {names}")
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                options = {option.arg: ast.unparse(option.value) for option in node.keywords}
                bad = called in calls
                bad |= called == "np.load" and options.get("allow_pickle") != "False"
                bad |= called == "yaml.load" and "Loader" in ast.unparse(node.args[1])
                bad |= options.get("trust_remote_code") == "True" or options.get("shell") == "True"
                if bad:
                    found.append(f"{path.name}:{node.lineno} {called}")
    assert found == []


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that leaves a file when it is imported, where imports look first."""
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ran"


def test_a_configuration_imports_and_opens_nothing(
    trap: Path, refused: Callable, fault: Callable, tmp_path: Path
) -> None:
    (tmp_path / "other.yaml").write_text("seed: 77\n")
    for value in (
        {"data": {"class_path": "evil.Evil"}},
        {"class_path": "evil.Evil"},
        {"data": "other.yaml"},
        {"config": "other.yaml"},
    ):
        assert refused(lambda value=value: config_from_dict(value, "config.json"))
        (tmp_path / "config.yaml").write_text(json.dumps(value))
        assert refused(lambda: read_config(tmp_path / "config.yaml"))
        fault("loading", "configuration that names modules or files", "one line", trap.exists(), 2)
    (tmp_path / "config.yaml").write_text("seed: !!python/object/apply:os.system ['touch ran']\n")
    assert refused(lambda: read_config(tmp_path / "config.yaml"))
    fault("loading", "YAML that calls Python", "one line", trap.exists())


def test_an_encoder_folder_runs_nothing(
    trap: Path, refused: Callable, fault: Callable, tmp_path: Path
) -> None:
    folder = tmp_path / "encoder"
    folder.mkdir()
    auto = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}
    write_json(folder / "config.json", {"model_type": "unheard-of", "auto_map": auto})
    shutil.copy(tmp_path / "evil.py", folder)
    (folder / "model.safetensors").write_bytes(b"")
    assert refused(lambda: make_encoder(str(folder)))
    fault("loading", "text encoder with code of its own", "one line; not run", trap.exists())


# Networks and runs of strangers.


@pytest.fixture
def folder(tiny_run: Run, unseen: dict, tmp_path: Path) -> Path:
    return save(synthesize(tiny_run, unseen), tmp_path / "net")


def huge(folder: Path) -> None:
    """A header that claims a terabyte."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [1 << 38], "data_offsets": [0, 1 << 40]}}).encode()
    (folder / "network.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)


def claims(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        card = read_json(folder / "card.json")
        for part, value in changes.items():
            card[part] = {**card[part], **value} if isinstance(value, dict) else value
        write_json(folder / "card.json", card)

    return change


CLAIMS = {
    "header of a terabyte": huge,
    "header length of exabytes": lambda f: (f / "network.safetensors").write_bytes(b"\xff" * 7 + b"\x0f{}"),
    "10^6 classes": claims(classes=[str(k) for k in range(10**6)]),
    "another, huge architecture": claims(base={"name": "timm:regnety_320"}),
    "images of 10^6 pixels a side": claims(preprocessing={"size": 10**6}),
    "a network by address": claims(base={"name": "timm:hf-hub:someone/model"}),
    "wrong types": claims(base={"name": 5}),
    "labels that are no text": claims(classes=[1, 2, 3, 4, 5]),
    "one label twice": claims(classes=["a"] * 5),
    "division by zero": claims(preprocessing={"std": [0.0, 0.5, 0.5]}),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_network_gets_no_more_memory_than_its_files_have(
    claim: str, folder: Path, nursery: Callable, fault: Callable
) -> None:
    assert nursery("open", kind="network", folder=str(folder), mb=400) == {"opened": True, "signal": 0}
    CLAIMS[claim](folder)
    told = nursery("open", kind="network", folder=str(folder), mb=400)
    assert told.get("error", "").startswith(str(folder)) or "model" in told.get("error", ""), told
    fault("loading", "network of a stranger: false claims", "one line, within 400 MB")


RUN_CLAIMS = {
    "run.json": {"seen": 10**9},
    "config.json": {"model": {"d": 2**20}},
    "reader.json": {"tfidf": []},
}


@pytest.mark.parametrize("name", RUN_CLAIMS)
def test_a_run_gets_no_more_memory_than_its_files_have(
    name: str, tiny_run: Run, nursery: Callable, fault: Callable, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tiny_run.folder, tmp_path / "run"))
    value = read_json(copy / name)
    for key, change in RUN_CLAIMS[name].items():
        value[key] = {**value[key], **change} if isinstance(change, dict) else change
    write_json(copy / name, value)
    told = nursery("open", kind="run", folder=str(copy), mb=400)
    assert "error" in told and "traceback" not in told["error"] and told["error"] != "MemoryError", told
    fault("loading", "run of a stranger: false claims", "one line, within 400 MB")


def test_class_names_are_never_paths(tiny_run: Run, unseen: dict, fault: Callable, tmp_path: Path) -> None:
    names = ["../../outside", "/etc/passwd", "C:\\windows", "a/b/c", "~/.bashrc"]
    network = synthesize(tiny_run, dict(zip(names, unseen.values(), strict=True)))
    save(network, tmp_path / "in" / "net")
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
    assert len(list((tmp_path / "in" / "net").iterdir())) == 2
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    labels = {label for label, _ in classify(load(tmp_path / "in" / "net"), [tmp_path / "a.png"])[0]}
    assert labels == set(names)
    fault(
        "loading", "class names that are paths", "kept as names; nothing written elsewhere", times=len(names)
    )


# Texts and JSON.

JSON = {
    "a key twice": '{"a": "red", "a": "blue"}',
    "NaN": '{"a": {"sentences": ["x"], "weights": [NaN]}, "b": "blue"}',
    "an infinite number": '{"a": {"sentences": ["x"], "weights": [1e999]}, "b": "blue"}',
    "a number of 5,000 digits": '{"a": %s}' % ("9" * 5000),
    "100,000 brackets": "[" * 100_000,
    "half a character": '{"a": "\\ud800", "b": "blue"}',
    "control character in a name": '{"a\\u001b[2J": "red", "b": "blue"}',
    "cut short": '{"a": "red", "b"',
    "a list": '["a"]',
}


@pytest.mark.parametrize("what", JSON)
def test_json_that_nobody_means_is_refused(
    what: str, refused: Callable, fault: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "classes.json"
    path.write_text(JSON[what], encoding="utf-8")
    with pytest.raises(N3Error, match="classes.json"):
        read_classes(path)
    fault("texts", "JSON with a fault", "one line")


TEXTS = {
    "NUL": "A red\0bird.",
    "control characters": "A\x01 red \x1b[2J bird.",
    "right-to-left marks": "\u202eA red bird.\u202c",
    "another script": "赤い鳥。",
    "Arabic": "طائر أحمر صغير",
    "emoji": "A 🐦 that is red.",
    "a combining flood": "Z" + "\u0301" * 5000,
}


@pytest.mark.parametrize("what", TEXTS)
def test_texts_of_any_kind_make_a_network(what: str, tiny_run: Run, fault: Callable, tmp_path: Path) -> None:
    write_json(tmp_path / "classes.json", {"odd": TEXTS[what], "plain": "A blue bird."})
    network = synthesize(tiny_run, read_classes(tmp_path / "classes.json"))
    assert network.fc.weight.isfinite().all()
    fault("texts", "odd characters", "read; the network is finite")


@pytest.mark.parametrize("unit", ["a", "e.g. ", " ", ". ", "! ", "J. ", ".'", "\n", "\t \n"])
def test_ten_megabytes_are_cut_in_seconds(unit: str, fault: Callable, many: Callable) -> None:
    start = time.process_time()
    found = sentences(unit * (many(1, 10) * 10**6 // len(unit)) + "!")
    assert time.process_time() - start < 10 * many(1, 10)
    assert len(found) <= 10**7
    fault("texts", "10 MB of one pattern", "read in seconds")


def test_punctuation_alone_and_100_000_classes(tiny_run: Run, fault: Callable, tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    write_json(path, {"a": "?!... --", "b": "Blue."})
    with pytest.raises(N3Error, match=path.name):
        read_classes(path)
    fault("texts", "only punctuation", "one line")
    path.write_text(json.dumps({f"class {k}": "A red bird." for k in range(100_000)}))
    classes = read_classes(path)
    assert len(classes) == 100_000
    with pytest.raises(N3Error, match="100,000"):
        synthesize(tiny_run, classes)
    fault("texts", "100,000 classes", "read; one line before memory is taken")


# Images.


def test_images_of_all_kinds(refused: Callable, fault: Callable, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [Image.fromarray(noise), Image.new("RGB", (60, 40))]
    Image.fromarray(noise).convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(noise[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "turned.jpg", exif=exif)
    for name in ("cmyk.jpg", "deep.png", "moving.gif", "turned.jpg"):
        assert load_image(tmp_path / name, 16).shape == (16, 16, 3)
        fault("images", "CMYK, 16-bit, animated, rotated", "read as they are meant")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    (tmp_path / "page.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("empty.png", "huge.png", "page.eps", "pipe.png", "."):
        assert refused(lambda name=name: load_image(tmp_path / name))
        fault("images", "empty, huge, PostScript, a pipe, a folder", "one line")


@fuzzed
@given(data=st.data())
def test_images_with_bytes_changed(
    data: st.DataObject, refused: Callable, fault: Callable, tmp_path: Path
) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]))
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (18, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "image"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    refused(lambda: load_image(path, 8))
    fault("images", "random bytes changed, cut short", "read, or one line")


# Archives; the others are in tests/data/test_download.py.


def test_a_header_of_hundreds_of_megabytes_is_not_read(fault: Callable, tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        path, info = tmp_path / "bomb.tgz", tarfile.TarInfo("long")
        info.type, info.size = kind, 300_000_000
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            tar.fileobj.write(info.tobuf(tarfile.PAX_FORMAT))
            tar.fileobj.write(b"0" * 2_000_000)  # it is refused before these are looked at
        with pytest.raises(N3Error, match="300 MB"):
            extract(path, tmp_path / "out")
        fault(
            "archives",
            "tar header that is a bomb",
            "one line; nothing is written",
            (tmp_path / "out").exists(),
        )


@fuzzed
@given(data=st.data())
def test_archives_with_bytes_changed(
    data: st.DataObject, refused: Callable, fault: Callable, tmp_path: Path
) -> None:
    kind, buffer = data.draw(st.sampled_from(["zip", "tar"])), io.BytesIO()
    names = data.draw(
        st.lists(st.text(max_size=12) | st.sampled_from(["../a", "/a", "a", "a/b", "."]), max_size=4)
    )
    if kind == "zip":
        import warnings
        import zipfile

        with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
            warnings.simplefilter("ignore")
            for name in names:
                archive.writestr(name.encode("utf-8", "replace").decode().replace("\0", "") or "x", b"1" * 50)
    else:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name in names:
                info = tarfile.TarInfo(name.encode("utf-8", "replace").decode())
                info.type = data.draw(
                    st.sampled_from([b"0", b"0", b"0", b"1", b"2", b"3", b"5", b"6", b"x", b"L"])
                )
                info.size = 50 if info.type == b"0" else 0
                tar.addfile(info, io.BytesIO(b"1" * 50))
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(0, 6))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    box = tmp_path / "box"
    shutil.rmtree(box, ignore_errors=True)
    box.mkdir()
    (box / f"a.{kind}").write_bytes(content)
    refused(lambda: extract(box / f"a.{kind}", box / "in" / "here"))
    outside = [path for path in box.iterdir() if path.name not in ("in", f"a.{kind}")]
    fault("archives", "random names, kinds and bytes", "unpacked inside, or one line", bool(outside))


# JSON, cards, configurations and tensors that hypothesis makes.

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@fuzzed
@given(content=st.binary(max_size=80) | anything.map(lambda value: json.dumps(value).encode()))
def test_any_json(content: bytes, refused: Callable, fault: Callable, tmp_path: Path) -> None:
    path = tmp_path / "any.json"
    path.write_bytes(content)
    refused(lambda: read_json(path))
    refused(lambda: read_classes(path))
    refused(lambda: read_tensors(path))
    fault("texts", "random JSON and bytes", "read, or one line", times=3)


@fuzzed
@given(data=st.data())
def test_any_configuration(data: st.DataObject, refused: Callable, fault: Callable, tmp_path: Path) -> None:
    names = ["data", "text", "model", "train", "seed", "fit", "mirror", "class_path", "config"]
    value = data.draw(st.dictionaries(st.sampled_from(names), anything, max_size=3))
    path = tmp_path / "any.yaml"
    path.write_bytes(data.draw(st.binary(max_size=60) | st.just(json.dumps(value).encode())))
    refused(lambda: config_from_dict(value, "config.json"))
    refused(lambda: read_config(path))
    fault("loading", "random configurations", "read, or one line", times=2)


@fuzzed
@given(data=st.data())
def test_any_card(
    data: st.DataObject, tiny_run: Run, unseen: dict, refused: Callable, fault: Callable, tmp_path: Path
) -> None:
    folder = tmp_path / "net"
    if not folder.exists():
        save(synthesize(tiny_run, unseen), folder)
        shutil.copy(folder / "card.json", tmp_path / "whole.json")
    card = read_json(tmp_path / "whole.json")
    part = data.draw(st.sampled_from(sorted(card)))
    if isinstance(card[part], dict) and data.draw(st.booleans()):
        card[part][data.draw(st.sampled_from(sorted(card[part])))] = data.draw(anything)
    else:
        card[part] = data.draw(anything)
    (folder / "card.json").write_text(json.dumps(card))
    refused(lambda: load(folder))
    fault("loading", "network with a random card", "opened, or one line")
