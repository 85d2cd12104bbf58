"""What people give, type and own: read rightly or refused in one line, and nothing of theirs is lost."""

import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from n3lib.cli.commands import main
from n3lib.config import RunConfig, config_from_dict, read_config
from n3lib.data.dataset import ZeroShotDataset
from n3lib.data.images import check_pixels, load_image
from n3lib.data.names import ClassNames
from n3lib.data.photographs.classes import CUB_NAMES
from n3lib.data.photographs.lists import Lists
from n3lib.experiments import plots
from n3lib.experiments.results import Table, answered
from n3lib.io import N3Error, read_json, tell, write_json
from n3lib.io.checkpoint import trained_state
from n3lib.io.console import anywhere
from n3lib.io.files import cache_dir
from n3lib.io.tensors import write_tensors
from n3lib.run import Run, train
from n3lib.synthesis import SynthesizedNetwork, classify, load, save, synthesize
from n3lib.text.cache import encode_cached
from n3lib.text.glove import GloveEncoder

RUNS = 1000 if os.environ.get("N3_FAULTS") else 20
tried = settings(
    max_examples=RUNS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ANY = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates too


# Descriptions.

SENTENCES = ("A red crown.", "Its wings are blue.", "The tail is long and red.")


@tried
@given(data=st.data())
def test_weights_count_by_their_ratios(data: st.DataObject, tiny_run: Run, fault: Callable) -> None:
    draw = st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3)
    weights, factor = data.draw(draw), data.draw(st.sampled_from([1e-3, 0.2, 0.3333, 0.36, 3.0, 1e3]))
    read = []
    for scale in (1.0, factor):
        given = {"sentences": [*SENTENCES], "weights": [scale * weight for weight in weights]}
        read.append(tiny_run.text({"a": given, "b": "A gray bird."}))
    lost = not torch.allclose(read[0].tfidf, read[1].tfidf, atol=1e-6)
    lost |= not torch.allclose(read[0].pooled, read[1].pooled, atol=1e-5) or bool((read[0].tfidf < 0).any())
    fault("texts", "weights of sentences times a factor", "the same; none is negative", lost)


@pytest.mark.parametrize("weight", [-1, -1e-9, 1e-300, 1e-7, 1e7, 1e300, "1", None, True, [1]])
def test_absurd_weights(weight: Any, refused: Callable, fault: Callable, tiny_run: Run) -> None:
    classes = {"a": {"sentences": ["Red.", "Blue."], "weights": [weight, 1]}, "b": "Gray."}
    fault("texts", "absurd weights", "one line", not refused(lambda: synthesize(tiny_run, classes)))


@pytest.mark.usefixtures("unannotated")
def test_a_string_for_its_sentences(tiny_run: Run, refused: Callable, fault: Callable) -> None:
    classes = {"a": "A red crown. Blue wings.", "b": "A gray bird."}
    pieces = {"a": ["A red crown.", "Blue wings."], "b": ["A gray bird."]}
    for read in (synthesize, Run.text):
        one, other = read(tiny_run, classes), read(tiny_run, pieces)
        same = [getattr(x, "pooled", getattr(x, "fc", x)) for x in (one, other)]
        lost = not torch.equal(*(getattr(x, "weight", x) for x in same))
        fault("texts", "a string where sentences are expected", "cut into sentences, or one line", lost)
    for entrance in (
        lambda: tiny_run.adapt(classes),
        lambda: tiny_run.adapt({**pieces, "a": {"sentences": pieces["a"]}}),
        lambda: tiny_run.pipeline.bank([*classes.values()]),
        lambda: tiny_run.pipeline.met(classes["a"]),
        lambda: encode_cached(tiny_run.pipeline.encoder, classes["a"]),
    ):
        lost = not refused(entrance)
        fault("texts", "a string where sentences are expected", "cut into sentences, or one line", lost)


@tried
@given(data=st.data())
def test_class_names_are_spelled_in_many_ways(data: st.DataObject, fault: Callable) -> None:
    number = data.draw(st.integers(0, 199))
    words = CUB_NAMES[number].split(".")[1].split("_")
    name = data.draw(st.sampled_from(["", CUB_NAMES[number][:4]])) + words[0]
    for word in words[1:]:
        name += data.draw(st.sampled_from(" _-+\u2013")) + word
    name = data.draw(st.sampled_from([str, str.lower, str.upper]))(name)
    name = unicodedata.normalize(data.draw(st.sampled_from(["NFC", "NFD"])), name)
    fault("texts", "class names in other spellings", "found", ClassNames(CUB_NAMES).find(name) != number)


SAVED = {
    "utf-8": True, "utf-8-sig": True, "utf-16": True, "utf-16-le": False, "latin-1": False, "cp1252": False,
}  # fmt: skip


@pytest.mark.parametrize("encoding", SAVED)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_files_as_editors_save_them(
    encoding: str, ends: str, refused: Callable, fault: Callable, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_bytes(f"1 Caf\u00e9{ends}2 owl{ends}".encode(encoding))
    (tmp_path / "a.json").write_bytes(f'{{{ends}"a": "Caf\u00e9"{ends}}}'.encode(encoding))
    for read, expected in (
        (lambda: Lists(tmp_path, "Check it").pairs("list.txt"), {"1": "Caf\u00e9", "2": "owl"}),
        (lambda: read_json(tmp_path / "a.json"), {"a": "Caf\u00e9"}),
    ):
        lost = read() != expected if SAVED[encoding] else not refused(read)
        fault("texts", "lists and JSON in several encodings", "read, or one line", lost)


@tried
@given(data=st.data())
def test_word_vectors_with_bytes_changed(
    data: st.DataObject, refused: Callable, fault: Callable, tmp_path: Path
) -> None:
    rows = [b"the 0.5 -1 2", b". . . 1 2 3", b"at name@domain.com 1 2 3", b"jay -0.25 0 1.5"]
    content = bytearray(b"\n".join(rows * 3))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "v.txt").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    refused(lambda: GloveEncoder(tmp_path / "v.txt").encode(["The jay."]))
    fault("texts", "word vectors with random bytes changed", "read, or one line")


# Numbers.


@tried
@given(data=st.data())
def test_no_number_that_is_not_finite_is_saved(
    data: st.DataObject, tiny_run: Run, unseen: dict, refused: Callable, fault: Callable, tmp_path: Path
) -> None:
    bad = data.draw(st.sampled_from([float("nan"), float("inf"), -float("inf")]))
    network = synthesize(tiny_run, unseen)
    name, value = data.draw(st.sampled_from(sorted(network.state_dict().items(), key=lambda pair: pair[0])))
    value.view(-1)[data.draw(st.integers(0, value.numel() - 1))] = bad
    lost = not refused(lambda: save(network, tmp_path / "net")) or (tmp_path / "net" / "card.json").exists()
    state = {name: value.clone() for name, value in trained_state(tiny_run.model).items()}
    state[data.draw(st.sampled_from(sorted(n for n in state if state[n].numel())))].view(-1)[0] = bad
    lost |= not refused(lambda: write_tensors(tmp_path / "run.safetensors", state))
    lost |= not refused(lambda: write_json(tmp_path / "result.json", {"metrics": {"accuracy": bad}}))
    fault("numbers", "NaN or infinity in a network, run or result", "one line; nothing is saved", lost, 3)


def settings_of(value: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in (
        dataclasses.asdict(value).items() if dataclasses.is_dataclass(value) else value.items()
    ):
        found |= settings_of(inner, f"{prefix}{name}.") if isinstance(inner, dict) else {prefix + name: inner}
    return found


@tried
@given(data=st.data())
def test_numbers_of_settings(data: st.DataObject, refused: Callable, fault: Callable, tmp_path: Path) -> None:
    numbers = [n for n, v in settings_of(RunConfig()).items() if type(v) in (int, float)]
    name = data.draw(st.sampled_from(numbers))
    value = data.draw(st.integers(-(10**40), -1) | st.integers(10**31, 10**40) | st.floats(max_value=-1e-9))
    (tmp_path / "a.yaml").write_text("{}", encoding="utf-8")
    section, _, setting = name.rpartition(".")
    told = {section: {setting: value}} if section else {setting: value}
    lost = not refused(lambda: read_config(tmp_path / "a.yaml", [f"--{name}={value}"]))
    lost |= not refused(lambda: config_from_dict(told, "config.json"))
    fault("settings", "numbers out of range", "one line before the work", lost, 2)


# Pixels.


@tried
@given(data=st.data())
def test_pixels_of_any_depth(data: st.DataObject, fault: Callable, tmp_path: Path) -> None:
    levels = np.array(data.draw(st.lists(st.integers(0, 65535), min_size=6, max_size=6)), np.uint16)
    kind = data.draw(st.sampled_from(["png", "tif", "pgm"]))
    path = tmp_path / f"a.{kind}"
    if kind == "pgm":
        path.write_bytes(b"P5 3 2 65535\n" + levels.astype(">u2").tobytes())
    else:
        Image.fromarray(levels.reshape(2, 3)).save(path)
    expected = (levels.astype(np.int64) * 255 // 65535).reshape(2, 3, 1)
    lost = not (load_image(path) == expected).all()
    fault("images", "16-bit gray of any level", "scaled, not cut off", lost)


@tried
@given(data=st.data())
def test_arrays_that_are_no_pixels(data: st.DataObject, refused: Callable, fault: Callable) -> None:
    dtype = data.draw(st.sampled_from([torch.float16, torch.float32, torch.float64, torch.int64, torch.bool]))
    shape = data.draw(st.lists(st.integers(1, 5), min_size=4, max_size=4))
    lost = not refused(lambda: check_pixels(torch.zeros(shape, dtype=dtype), torch.Tensor))
    assume(shape[3] != 3)
    lost |= not refused(lambda: check_pixels(torch.zeros(shape, dtype=torch.uint8), torch.Tensor))
    fault("images", "arrays of another dtype or shape", "one line", lost, 2)


def test_one_bad_image_among_many(
    tiny_run: Run, unseen: dict, many: Callable, fault: Callable, tmp_path: Path, capsys: Any
) -> None:
    save(synthesize(tiny_run, unseen), tmp_path / "net")
    dice, total = np.random.default_rng(0), many(8, 200)
    bad = {int(number) for number in dice.choice(total, total // 4, replace=False)}
    for number in range(total):
        path = tmp_path / f"{number:03}.png"
        Image.fromarray(dice.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
        if number in bad:
            path.write_bytes(path.read_bytes()[: int(dice.integers(0, 60))])
    paths = [str(tmp_path / f"{number:03}.png") for number in range(total)]
    capsys.readouterr()
    assert main(["classify", str(tmp_path / "net"), "--top", "1", *paths]) == 1
    out, err = capsys.readouterr()
    lost = out.splitlines()[::2] != [path for number, path in enumerate(paths) if number not in bad]
    lost |= len(err.splitlines()) != len(bad) + 1  # and how many there are
    fault("images", "broken images among others", "one line each; the others are classified", lost, len(bad))


# Files of the user's.

MINE = (".env.template", ".vimrc.original", ".bashrc.20241128", "notes.txt", "labels.json", ".a.b.c3d4e5f6")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_files_of_the_users_in_our_folders(
    tiny_run: Run, tiny_config: RunConfig, unseen: dict, refused: Callable, fault: Callable, tmp_path: Path
) -> None:
    network = synthesize(tiny_run, unseen)
    runs_own = [path.name for path in tiny_run.folder.iterdir() if path.is_file() and path.name[0] != "."]
    for number, (name, write) in enumerate(
        [(name, lambda folder: save(network, folder)) for name in ("network.safetensors", "network.onnx")]
        + [(name, lambda folder: save(network, folder, onnx=True)) for name in ("network.onnx", "card.json")]
        + [(name, lambda folder: train(tiny_config, folder)) for name in runs_own]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_text("mine")
        lost = not refused(lambda write=write, folder=folder: write(folder))
        lost |= contents(folder) != {name: b"mine"}
        fault("files", "a user's file under a name of ours", "one line; the file is kept", lost)
    for write in (lambda folder: save(network, folder), lambda folder: train(tiny_config, folder)):
        folder = tmp_path / f"beside {write.__code__.co_names}"
        folder.mkdir()
        for name in MINE:
            (folder / name).write_text("mine")
        write(folder)
        lost = any(contents(folder).get(name) != b"mine" for name in MINE)
        fault("files", "a user's files beside ours", "kept", lost, len(MINE))


def test_a_save_that_is_killed(
    tiny_run: Run, unseen: dict, fault: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each of its file operations; the folder then holds the old network, the new one, or is refused."""
    old, new = synthesize(tiny_run, unseen), synthesize(tiny_run, dict(reversed(unseen.items())))
    folder, replace = tmp_path / "net", Path.replace
    for dies_at in range(1, 7):
        shutil.rmtree(folder, ignore_errors=True)
        save(old, folder)
        left = dies_at

        def killed(self: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if not left:
                raise KeyboardInterrupt
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", killed)
        with suppress(KeyboardInterrupt):
            save(new, folder)
        monkeypatch.setattr(Path, "replace", replace)
        try:
            found: SynthesizedNetwork | None = load(folder)
        except N3Error:
            found = None
        lost = found is not None and not any(
            found.labels == one.labels and torch.equal(found.fc.weight, one.fc.weight) for one in (old, new)
        )
        save(new, folder)
        lost |= load(folder).labels != new.labels
        fault("files", "killed while a network is replaced", "whole or refused; the next save works", lost)


def test_results_of_another_question(refused: Callable, fault: Callable, tmp_path: Path) -> None:
    path, config = tmp_path / "result.json", dataclasses.asdict(RunConfig())
    question = {"study": "main", "method": "n3", "seed": 0, "config": config}
    write_json(path, {**question, "metrics": {}})
    before = path.read_bytes()
    assert answered(path, question)
    for name, value in settings_of(RunConfig()).items():
        if name in ("data.root", "model.micro_batch", "backbone.weights", "data.text", "text.encoder"):
            continue  # where files lie; compared by their names
        other = json.loads(json.dumps(question))
        section, _, setting = name.rpartition(".")
        part = other["config"][section] if section else other["config"]
        part[setting] = "another" if value is None or isinstance(value, str | list) else value + 1
        lost = not refused(lambda other=other: answered(path, other)) or path.read_bytes() != before
        fault("files", "another question's result under one name", "one line; the file is kept", lost)


def test_where_nothing_can_be_written(tiny_run: Run, fault: Callable, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("mine")
    write_json(tmp_path / "classes.json", {"a": "A red bird.", "b": "A blue bird."})
    run, below = str(tiny_run.folder), str(tmp_path / "file" / "below")
    for command in (
        ["evaluate", run, "-o", below],
        ["evaluate", run, "-o", str(tmp_path)],
        ["synthesize", run, str(tmp_path / "classes.json"), "-o", below],
        ["synthesize", run, str(tmp_path / "classes.json"), "-o", str(tmp_path / "file")],
        ["bench", "-o", below],
        ["data", "backbone", "-o", below],
    ):
        start = time.process_time()
        assert main(command) == 2
        out, err = capsys.readouterr()
        lost = err.count("\n") != 1 or str(tmp_path) not in err or out != ""
        lost |= time.process_time() - start > 20 or (tmp_path / "file").read_text() != "mine"
        fault("files", "no place for a result", "one line before the work", lost)


# What is shown.


@tried
@given(text=ANY, encoding=st.sampled_from(["ascii", "cp1252", "latin-1", "utf-8", "utf-16", "cp437"]))
def test_any_text_is_printed_on_any_console(text: str, encoding: str, fault: Callable) -> None:
    raw = io.BytesIO()
    console = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    with redirect_stdout(console), anywhere():
        tell(text)
    shown = raw.getvalue().decode(encoding).rstrip("\r\n")
    steers = {c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")}
    fault("display", "any text on consoles of any encoding", "one line; nothing steers it", bool(steers))


@tried
@given(names=st.lists(ANY, min_size=2, max_size=4, unique=True))
def test_any_names_in_pictures_and_tables(
    names: list[str], tiny_run: Run, unseen: dict, fault: Callable
) -> None:
    network = synthesize(tiny_run, dict(list(unseen.items())[: len(names)]))
    network.labels = tuple(names)
    images = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.predictions(network, images, [None])._repr_jpeg_()
        table = str(Table(["class", "a | b"], [[name, "1"] for name in names]))
    lost = len(table.splitlines()) != 2 + len(names)
    fault("display", "any names in pictures and tables", "drawn without a warning", lost)


def test_an_interrupt_at_any_moment(many: Callable, fault: Callable, tmp_path: Path) -> None:
    dice = np.random.default_rng(3)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "n3lib", "data", "info", "aviary"]
    for _ in range(many(3, 40)):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        try:
            process.wait(dice.uniform(0.3, 2.5))  # not while Python itself starts
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        err = process.communicate()[1].decode()
        # While Python itself ends, a signal does.
        lost = err.count("\n") > 1 or process.returncode not in (0, 130, -signal.SIGINT)
        fault("display", "Ctrl-C at a random moment of a command", "one line", lost)


# Homes and working directories.


def test_no_home_folder(
    refused: Callable, fault: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pytest.importorskip("pwd"), "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("N3_CACHE", raising=False)
    for read in (
        cache_dir,
        lambda: Run.load("~/run"),
        lambda: read_config("~/a.yaml"),
        lambda: load("~/net"),
    ):
        fault("files", "no home folder", "one line", not refused(read))
    monkeypatch.setenv("N3_CACHE", str(tmp_path))
    fault("files", "no home folder, N3_CACHE set", "that folder is used", cache_dir() != tmp_path)


def test_a_start_that_failed_leaves_the_folder_free(
    tiny_config: RunConfig, small_world: ZeroShotDataset, refused: Callable, fault: Callable, tmp_path: Path
) -> None:
    wrong = dataclasses.replace(
        tiny_config, episodes=dataclasses.replace(tiny_config.episodes, ways=9000, batch_size=8)
    )
    deep = dataclasses.replace(tiny_config, model=dataclasses.replace(tiny_config.model, layers=["no.layer"]))
    for number, config in enumerate((wrong, deep)):
        folder = tmp_path / str(number)
        assert refused(lambda config=config, folder=folder: train(config, folder))
        good = dataclasses.replace(tiny_config, train=dataclasses.replace(tiny_config.train, steps=1))
        train(good, folder)
        fault("training", "a start that failed", "the folder is free", not (folder / "run.json").exists())


def test_images_by_one_path(tiny_run: Run, unseen: dict, fault: Callable, tmp_path: Path) -> None:
    network = synthesize(tiny_run, unseen)
    Image.new("RGB", (32, 32), "red").save(tmp_path / "a.png")
    for one in (tmp_path / "a.png", str(tmp_path / "a.png")):
        lost = classify(network, one) != classify(network, [one])
        fault("images", "one path where a list is expected", "one image", lost)
