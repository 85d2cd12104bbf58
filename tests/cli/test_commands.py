"""`n3`: each command does its work and says so; bad input costs one line and exit code 2."""

import csv
import dataclasses
import importlib.metadata
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from n3lib.cli.commands import main
from n3lib.config import RunConfig
from n3lib.data import DataConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.data.photographs.classes import AWA2_NAMES
from n3lib.data.wikipedia.descriptions import Collected
from n3lib.experiments.cost_measures import Measurement
from n3lib.experiments.saliency import question
from n3lib.io import N3Error, read_json, write_json
from n3lib.run import Run
from n3lib.synthesis import classify, load

pytestmark = pytest.mark.usefixtures("known_code")

ROOT = Path(__file__).parents[2]
COMMANDS = ("data", "train", "evaluate", "table", "synthesize", "classify")


@pytest.fixture
def config(tiny_config: RunConfig, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(dataclasses.asdict(tiny_config)))
    return path


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    path = tmp_path / "classes.json"
    texts = {"wren": "A small brown bird.", "jay": ["A blue bird.", "It has a crest."], "crow": "Black."}
    write_json(path, texts)
    return path


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """AWA2's archive, with one image a class."""
    picture = io.BytesIO()
    Image.new("RGB", (8, 6), "brown").save(picture, "JPEG")
    with zipfile.ZipFile(tmp_path / "AwA2-data.zip", "w") as archive:
        lines = "".join(f"{i:6}\t{name}\n" for i, name in enumerate(AWA2_NAMES, 1))
        archive.writestr("Animals_with_Attributes2/classes.txt", lines)
        for name in AWA2_NAMES:
            archive.writestr(
                f"Animals_with_Attributes2/JPEGImages/{name}/{name}_10001.jpg", picture.getvalue()
            )
    return tmp_path / "AwA2-data.zip"


def test_a_dataset_from_its_archive_to_the_cache(
    animals: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "data")
    monkeypatch.setenv("N3_CACHE", str(tmp_path / "cache"))
    assert main(["data", "download", "awa2", "--root", root, "--from", str(animals)]) == 0
    assert "next: n3 data verify awa2" in capsys.readouterr().out
    assert main(["data", "verify", "awa2", "--root", root]) == 2
    assert "50 images listed, not 37,322" in capsys.readouterr().out
    assert main(["data", "info", "awa2", "--root", root, "--text", "names", "--split", "SS"]) == 0
    out = capsys.readouterr().out
    assert "awa2: 50 classes, 50 images" in out
    assert "SS train: 30 classes, 30 images" in out
    assert main(["data", "embed", "awa2", "--root", root, "--text", "names", "--encoder", "words:8"]) == 0
    names = sum(1 + name.count("+") for name in AWA2_NAMES)
    assert f"words:8: 50 descriptions, {names} tokens of 8 numbers" in capsys.readouterr().out
    assert len(list((tmp_path / "cache" / "text").rglob("*.safetensors"))) == 50


def test_download_tells_of_an_archive_with_another_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "n3lib.data.photographs.acquisition.fetch_dataset", lambda *_: ["mine.zip has MD5 1 instead of 2"]
    )
    assert main(["data", "download", "cub", "--root", str(tmp_path), "--from", str(tmp_path)]) == 0
    assert [line for line in capsys.readouterr().out.split("\n") if "mine.zip" in line]


def test_home_is_understood_in_every_path(
    tiny_run: Run, animals: Path, config: Path, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tiny run's pictures are drawn already.
    shutil.copytree(Path(os.environ["N3_CACHE"]) / "images", tmp_path / "cache" / "images")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("N3_CACHE", "~/cache")
    write_json(tmp_path / "animals.json", {name: "An animal." for name in AWA2_NAMES})
    root = ["--root", "~/data"]
    assert main(["data", "download", "awa2", *root, "--from", "~/AwA2-data.zip"]) == 0
    assert (tmp_path / "data" / "Animals_with_Attributes2").is_dir()
    assert main(["data", "verify", "awa2", *root]) == 2
    assert main(["data", "info", "awa2", *root, "--text", "~/animals.json"]) == 0
    assert main(["train", "~/tiny.yaml", "-o", "~/run", "--train.steps=1"]) == 0
    assert main(["evaluate", "~/run", "-o", "~/result.json"]) == 0
    assert main(["synthesize", "~/run", "~/classes.json", "-o", "~/net"]) == 0
    picture = next((tmp_path / "data").rglob("*.jpg"))
    assert main(["classify", "~/net", f"~/{picture.relative_to(tmp_path)}"]) == 0
    for name in ("cache/text", "run/run.json", "result.json", "net/card.json"):
        assert (tmp_path / name).exists()


def test_a_home_folder_that_is_not_there_is_wrong_usage(capsys: pytest.CaptureFixture) -> None:
    assert main(["evaluate", "~no-such-user/run"]) == 2
    assert "~no-such-user/run" in capsys.readouterr().err
    assert main(["data", "info", "cub", "--root", "~no-such-user/data"]) == 2
    assert "~no-such-user/data" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate RUN", "synthesize RUN CLASSES -o NET", "saliency RUN"])
def test_a_run_is_opened_with_the_encoder_that_is_named(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "CLASSES", {"a": "A bird.", "b": "Another bird."})
    monkeypatch.chdir(tmp_path)
    opened = []

    def open_run(folder: Path, encoder: str) -> None:
        opened.append((folder, encoder))
        raise N3Error("enough")

    monkeypatch.setattr(Run, "load", open_run)
    assert main([*command.split(), "--encoder", "some/bert"]) == main(command.split()) == 2
    assert opened == [(Path("RUN"), "some/bert"), (Path("RUN"), "")]


def test_describe_passes_on_what_was_asked(
    animals: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data"
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def describe(*args: object, **kwargs: object) -> Collected:
        asked.append((args, kwargs))
        return Collected(root / "texts.json", found=("fox",), filled=(), missing={"ox": "no article found"})

    monkeypatch.setattr("n3lib.data.wikipedia.descriptions.describe", describe)
    write_json(tmp_path / "titles.json", {"fox": "Red fox"})
    assert main(["data", "download", "awa2", "--root", str(root), "--from", str(animals)]) == 0
    options = ["--section", "all", "--titles", str(tmp_path / "titles.json"), "--contact", "me@example.org"]
    assert main(["data", "describe", "awa2", "--root", str(root), *options]) == 2
    out, err = capsys.readouterr()
    assert "texts.json: 1 from Wikipedia, 0 by hand" in out
    assert "1 without text: ox: no article found" in err
    ((classes, path), kwargs) = asked[0]
    titles = kwargs.pop("titles")
    assert (classes, path, titles["fox"]) == (AWA2_NAMES, root / "awa2_wikipedia.json", "Red fox")
    assert titles["cow"] == "Cattle"
    assert kwargs == {"section": "all", "fill": None, "contact": "me@example.org"}


def test_texts_of_another_section_are_not_replaced(
    animals: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, texts = str(tmp_path / "data"), tmp_path / "texts.json"
    collected = Collected(texts, found=("fox",), filled=())
    monkeypatch.setattr("n3lib.data.wikipedia.descriptions.describe", lambda *_, **__: collected)
    asked = {"section": "Description", "title": ""}
    write_json(texts, {"fox": {"by": "name", "asked": asked, "sentences": ["Red."]}, "ox": "By hand."})
    main(["data", "download", "awa2", "--root", root, "--from", str(animals)])
    capsys.readouterr()
    command = ["data", "describe", "awa2", "--root", root, "--contact", "me", "-o", str(texts)]
    assert main(command) == 0
    assert main([*command, "--section", "all"]) == 2
    err = capsys.readouterr().err
    assert "texts.json" in err and "'Description'" in err and "'all'" in err


def test_train_with_overrides_then_evaluate(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run"
    overrides = ["--model.d=16", "--train.steps", "1", "--seed=4"]
    assert main(["train", str(config), "-o", str(run), *overrides]) == 0
    assert f"trained: {run}" in capsys.readouterr().out
    told = json.loads((run / "config.json").read_text())
    assert (told["model"]["d"], told["model"]["heads"], told["train"]["steps"], told["seed"]) == (16, 2, 1, 4)

    assert main(["evaluate", str(run), "--ways", "4", "--permutations", "2"]) == 0
    out = capsys.readouterr().out
    assert "n3-all-exemplar on aviary aviary test, 4-way: per-class accuracy" in out
    assert "(chance 25.0 %)" in out
    assert main(["evaluate", str(run), "--ways", "3", "--permutations", "2"]) == 0  # the run's last result
    assert json.loads((run / "result.json").read_text())["ways"] == 3
    assert main(["evaluate", str(run), "--ways", "4", "--permutations", "2"]) == 0
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text('{"owl": "A bird."}')
    assert main(["evaluate", str(run), "--ways", "4"]) == 2
    assert "owl" in (run / "result.json").read_text()
    assert result["command"].startswith("n3 ")
    assert result["orders_measured"] == 2
    assert f"accuracy {result['metrics']['per_class_accuracy']:.1f} %" in out


def test_a_result_s_command_may_hold_a_name_that_is_not_utf_8(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / os.fsdecode(b"\xff.json")
    arguments = ["evaluate", str(tiny_run.folder), "--ways", "4", "--permutations", "1", "-o", str(output)]
    monkeypatch.setattr(sys, "argv", ["n3", *arguments])
    try:
        output.touch()
    except (OSError, UnicodeEncodeError):
        pytest.skip("the file system has no such names")
    output.unlink()
    assert main(arguments) == 0
    assert "\\udcff.json" in read_json(output)["command"]


def test_a_result_is_renewed_by_its_own_question_alone(
    tiny_run: Run, classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    output, run = tmp_path / "new" / "one.json", str(tiny_run.folder)
    command = ["evaluate", run, "--ways", "4", "--permutations", "2", "-o"]
    assert main([*command, str(output)]) == 0
    first = json.loads(output.read_text())
    assert main([*command, str(output)]) == 0
    renewed = json.loads(output.read_text())
    assert {**renewed, "seconds": 0, "environment": 0} == {**first, "seconds": 0, "environment": 0}
    capsys.readouterr()
    for name, values, other in [
        ("ways", ("4", "5"), ["--ways", "5"]),
        ("permutations", ("2", "3"), ["--permutations", "3"]),
        ("tasks", ("'random'", "'look-alikes'"), ["--alike"]),
        ("text", ("'own'", "'shuffled'"), ["--control", "shuffled"]),
    ]:
        assert main([*command, str(output), *other]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1
        assert all(word in err for word in ("one.json", name, *values, "-o"))
    assert main([*command, str(classes)]) == 2  # no result at all
    assert main([*command, str(tiny_run.folder / "config.json")]) == 2
    assert [line.count(".json") for line in capsys.readouterr().err.splitlines()] == [1, 1]
    assert "wren" in classes.read_text()
    assert json.loads(output.read_text()) == renewed


def test_a_result_of_another_run_is_kept(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config = dataclasses.asdict(tiny_run.config)
    config["model"]["d"] = 16
    result = {"study": "main", "method": "n3-all-exemplar", "metrics": {}, "config": config}
    write_json(tmp_path / "one.json", result)
    assert main(["evaluate", str(tiny_run.folder), "-o", str(tmp_path / "one.json")]) == 2
    assert "model.d is 16 there and 8 here" in capsys.readouterr().err


def test_the_saliency_of_another_run_is_kept(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs of one method, split and seed: by default, one file."""
    data = DataConfig("cub", split="SS")
    run = dataclasses.replace(tiny_run, config=dataclasses.replace(tiny_run.config, data=data))
    longer = dataclasses.replace(run, config=dataclasses.replace(run.config, exemplar_images=3))

    def measure(run: Run, root: str) -> dict[str, object]:
        return question(run) | {"metrics": {"inside": 50.0, "even": 40.0}}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("n3lib.experiments.saliency.measure_boxes", measure)
    monkeypatch.setattr(Run, "load", lambda folder, _: {"run": run, "longer": longer}[folder.name])
    assert main(["saliency", "run"]) == main(["saliency", "run"]) == 0
    capsys.readouterr()
    assert main(["saliency", "longer"]) == 2
    path = Path("results/saliency/n3-all-exemplar-SS-seed0.json")
    out, err = capsys.readouterr()
    assert out == "" and str(path) in err and "exemplar_images is 2 there and 3 here" in err
    assert json.loads(path.read_text())["config"]["exemplar_images"] == 2


# Each command that writes, with a file where a folder has to be, or a folder where a file has to be.
NOWHERE = {
    "train": "train {config} -o {file}/below",
    "train over a file": "train {config} -o {file}",
    "evaluate": "evaluate {run} -o {file}/below",
    "evaluate into a folder": "evaluate {run} -o {folder}",
    "search": "search {config} -o {file}/below --fit=train",
    "synthesize": "synthesize {run} {classes} -o {file}/below",
    "synthesize over a file": "synthesize {run} {classes} -o {file}",
    "bench": "bench -o {file}/below",
    "bench into a folder": "bench -o {folder}",
    "backbone": "data backbone -o {file}/below",
    "backbone into a folder": "data backbone -o {folder}",
    "download": "data download awa2 --root {file}/below --from {archive}",
    "download over a file": "data download awa2 --root {file} --from {archive}",
    "embed": "data embed aviary --encoder words:8",
}


@pytest.mark.parametrize("command", NOWHERE.values(), ids=NOWHERE)
def test_where_nothing_can_be_written_no_work_is_begun(
    command: str,
    config: Path,
    tiny_run: Run,
    classes: Path,
    animals: Path,
    tmp_path: Path,
    small_world: ZeroShotDataset,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("begun")

    for name in (
        "n3lib.run.load_data", "n3lib.evaluation.predict", "n3lib.experiments.hyperparameters.train",
        "n3lib.synthesis.synthesize",
        "n3lib.experiments.pretrain.make_aviary", "n3lib.data.fetch.archives.download_file",
        "n3lib.text.cache.encode_cached",
    ):  # fmt: skip
        monkeypatch.setattr(name, work)
    monkeypatch.setattr("n3lib.experiments.cost.MEASUREMENTS", {"loader": Measurement(work, "small")})
    monkeypatch.setattr("n3lib.data.read_descriptions", lambda _: small_world.texts)
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("")
    folder.mkdir()
    if "embed" in command:
        monkeypatch.setenv("N3_CACHE", str(file / "cache"))
    monkeypatch.chdir(tmp_path)
    names = {"config": config, "run": tiny_run.folder, "classes": classes, "archive": animals}
    arguments = command.format(**names, file=file, folder=folder).split()
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    told = folder if "{folder}" in command else file
    assert out == "" and err.count("\n") == 1 and str(told) in err
    assert ".tmp" not in err and err.count(". ") == 1  # what is wrong, and a remedy
    assert file.read_text() == "" and list(folder.iterdir()) == []


def test_a_setting_out_of_range_costs_no_folder(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run"
    for setting in ("train.lr=-1", "train.steps=-1", "model.d=33", "episodes.batch_size=1000000000"):
        assert main(["train", str(config), "-o", str(run), f"--{setting}"]) == 2
        out, err = capsys.readouterr()
        assert out == "" and setting.split("=")[0] in err and err.count("\n") == 1
        assert not run.exists()


def test_a_table_is_run_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("n3lib.experiments.tables.run_table", lambda *arguments: asked.append(arguments))
    assert main(["table", "sce", "-o", str(tmp_path)]) == 0
    assert "| N3, every layer | 11.9 | 11.1 |" in capsys.readouterr().out
    assert asked == []
    told = "--dataset cub --method sae --seed 4 --data-root here --model.d=8 -o"
    assert main(["table", "sce", *told.split(), str(tmp_path)]) == 0
    settings = ["--data.root=here", "--model.d=8"]
    assert asked == [("sce", "cub", tmp_path, "configs/benchmark.yaml", settings, [], ["sae"], [4])]
    assert "nabirds" not in capsys.readouterr().out


def test_synthesize_and_classify(
    tiny_run: Run, classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    net = tmp_path / "net"
    assert main(["synthesize", str(tiny_run.folder), str(classes), "-o", str(net)]) == 0
    assert f"a network for 3 classes, wren, jay, crow: {net}" in capsys.readouterr().out
    assert load(net).labels == ("wren", "jay", "crow")

    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3)).astype(np.uint8)).save(photo)
    assert main(["classify", str(net), str(photo), "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(photo)
    assert len(lines) == 3
    shares = [float(line.split("%")[0]) for line in lines[1:]]
    assert 100 >= shares[0] >= shares[1] >= 0
    assert {line.split("%")[1].strip() for line in lines[1:]} <= {"wren", "jay", "crow"}


# The word that matters in the one line, and the command. The names in braces are those of the test below.
BAD = [
    ("no.yaml", "train {new}/no.yaml -o {new}"),
    ("wings", "train {config} -o {new} --model.wings=2"),
    ("surplus", "train {config} -o {new} surplus"),
    ("huge", "train {config} -o {new} --data.preset=huge"),
    ("32", "train {config} -o {new} --episodes.ways=32"),
    ("seed", "train {config} -o {run} --seed=8"),
    ("SS", "data info aviary --split SS"),
    ("PS", "data info aviary --split PS"),
    ("aviary", "data info aviary --root {new}"),
    ("dialects", "data info dialects --text {new}"),
    ("aviary", "data embed aviary --encoder words --text {new}"),
    ("SCE", "train {config} -o {new} --data.split=SCE"),
    ("train.steps", "train {config} -o {new} --train.steps=-1"),
    ("model.d", "train {config} -o {new} --model.d=33"),
    ("ways", "evaluate {run} --ways -1"),
    ("-1 trials", "search {config} -o {new} --trials -1"),
    ("1000000000 trials", "search {config} -o {new} --trials 1000000000"),
    ("seed", "study mu --seed -1 -o {new}"),
    ("cub", "data info cub"),
    ("awa2", "data download awa2"),
    ("dodo", "data verify dodo --root {new}"),
    ("CUB_200_2011", "data info cub --root {new}"),
    ("nabirds.tar.gz", "data download nabirds --root {new}"),
    ("new", "data download awa2 --root {run} --from {new}"),
    ("Animals_with_Attributes2", "data describe awa2 --root {new} --contact me"),
    ("glove:", "data embed aviary --encoder glove:"),
    ("new", "evaluate {new}"),
    ("99", "evaluate {run} --ways 99"),
    ("0 tasks", "evaluate {run} --permutations 0"),
    ("table9", "table table9"),
    ("cub", "table sce --dataset cub --method sae -o {new} --config {config}"),
    ("awa2", "table sce --dataset awa2 -o {new}"),
    ("--dataset", "table table2 --method sae"),
    ("no.json", "synthesize {run} {new}/no.json -o {new}"),
    ("two", "synthesize {run} {one} -o {new}"),
    ("owl", "synthesize {run} {mute} -o {new}"),
    ("classes.json", "synthesize {run} {classes} -o {classes}/net"),
    ("n3 synthesize", "classify {run} {classes}"),
]


@pytest.mark.parametrize(("told", "command"), BAD)
def test_bad_input_is_one_line_and_exit_code_2(
    told: str,
    command: str,
    config: Path,
    tiny_run: Run,
    classes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    names = {"config": config, "run": tiny_run.folder, "classes": classes}
    names |= {name: tmp_path / name for name in ("new", "one", "mute")}
    write_json(names["one"], {"owl": "A bird."})
    write_json(names["mute"], {"owl": "", "jay": "A bird."})
    arguments = [part.format(**names) for part in command.split()]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("n3: ")
    assert told in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    with pytest.raises((N3Error, OSError), match="."):
        main(["--debug", *arguments])


def test_a_class_of_unknown_words_alone_is_refused(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_json(tmp_path / "classes.json", {"a": "A red crown.", "b": "Zyx qwv."})
    arguments = [
        "synthesize",
        str(tiny_run.folder),
        str(tmp_path / "classes.json"),
        "-o",
        str(tmp_path / "new"),
    ]
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert "b: 0 of 2" in err and "--force" in err and not (tmp_path / "new" / "card.json").exists()
    assert main([*arguments, "--force"]) == 0
    assert load(tmp_path / "new").labels == ("a", "b")


@pytest.fixture
def net(tiny_run: Run, classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> str:
    main(["synthesize", str(tiny_run.folder), str(classes), "-o", str(tmp_path / "net")])
    capsys.readouterr()
    return str(tmp_path / "net")


def test_unreadable_images_are_named_and_the_others_classified(
    net: str, classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    good = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for path in good:
        Image.new("RGB", (40, 40)).save(path)
    (tmp_path / "nothing").mkdir()
    bad = [str(classes), str(tmp_path / "none.png"), str(tmp_path / "nothing")]
    assert main(["classify", net, "--top", "1", bad[0], good[0], bad[1], bad[2], good[1]]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[::2] == good
    *lines, count = err.splitlines()
    assert all(line.startswith("n3: ") and path in line for line, path in zip(lines, bad, strict=True))
    assert "3 of 5" in count


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder with a picture, another two folders below, a hidden one, and a file that is no picture."""
    folder = tmp_path / "album"
    (folder / "two" / "three").mkdir(parents=True)
    for number, name in enumerate(("one.png", "two/three/four.jpg", ".hidden.png")):
        Image.new("RGB", (40, 40), (90 * number, 9, 9)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_folder_stands_for_all_in_it_and_a_pattern_for_what_it_matches(
    net: str, album: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*images: str) -> tuple[int, list[str], int]:
        code = main(["classify", net, "--top", "1", *images])
        out, err = capsys.readouterr()
        return code, out.splitlines()[::2], len(err.splitlines())

    one, four = str(album / "one.png"), str(album / "two" / "three" / "four.jpg")
    assert told(str(album)) == (1, [one, four], 2)
    assert told(str(album / "**" / "*.jpg")) == (0, [four], 0)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{four}\n\n{one}\n"))
    assert told("-") == (0, [four, one], 0)
    assert told(str(album / "*.txt")) == (2, [], 1)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert told("-") == (2, [], 1)


def test_answers_go_to_files(net: str, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    table, listed = tmp_path / "answers.csv", tmp_path / "answers.json"
    arguments = ["classify", net, str(album), "--top", "2", "--csv", str(table), "--json", str(listed)]
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert "one.png" not in out and str(table) in out
    images = json.loads(listed.read_text())
    assert [Path(image["path"]).name for image in images] == ["one.png", "four.jpg"]
    expected = classify(load(net), [image["path"] for image in images], top=2)
    for image, best in zip(images, expected, strict=True):
        assert [one["label"] for one in image["classes"]] == [label for label, _ in best]
        assert [one["probability"] for one in image["classes"]] == pytest.approx(
            [p for _, p in best], abs=1e-5
        )
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    flat = [(i["path"], str(k), one["label"]) for i in images for k, one in enumerate(i["classes"], 1)]
    assert [(row["path"], row["rank"], row["label"]) for row in rows] == flat
    assert main([*arguments[:-1], str(album / "one.png" / "a.json")]) == 2


def test_two_views_are_the_mean_of_an_image_and_its_mirror_image(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    names = ("one.png", "mirrored.png")
    for name, image in zip(names, (pixels, pixels[:, ::-1]), strict=True):
        Image.fromarray(image).save(tmp_path / name)

    def shares(views: str) -> list[str]:
        assert main(["classify", net, *(str(tmp_path / name) for name in names), "--views", views]) == 0
        return [line for line in capsys.readouterr().out.splitlines() if "%" in line]

    assert shares("2")[:3] == shares("2")[3:]
    assert shares("1")[:3] != shares("1")[3:]


def test_pillow_adds_no_line_of_its_own(net: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    Image.new("1", (10_000, 9_000)).save(tmp_path / "huge.png")  # of which Pillow warns
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert main(["classify", net, str(tmp_path / "huge.png")]) == 2
    assert told == [] and capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("top", ["0", "-1"])
def test_no_class_of_an_image_is_one_line(
    top: str, net: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 40)).save(tmp_path / name)
    assert main(["classify", net, str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--top", top]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and f"top {top}" in err


GOES_ON = {
    "train": "train {config} -o {new}",
    "search": "search {config} -o {new}",
    "study": "study mu",
    "table": "table sce --dataset cub",
    "bench": "bench",
    "download": "data download awa2",
    "describe": "data describe awa2 --contact me",
    "embed": "data embed awa2 --encoder bert",
}
ENDS = {
    "evaluate": "evaluate {new}",
    "synthesize": "synthesize {new} {new} -o {new}",
    "saliency": "saliency {new}",
    "classify": "classify {new} {new}",
    "info": "data info awa2",
    "verify": "data verify awa2",
    "backbone": "data backbone",
}


@pytest.mark.parametrize("name", [*GOES_ON, *ENDS])
def test_an_interrupt_says_whether_the_command_goes_on(
    name: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    command = (GOES_ON | ENDS)[name].format(config=config, new=tmp_path / "new")
    monkeypatch.setattr("pkgutil.resolve_name", lambda _: interrupted)
    assert main(command.split()) == 130
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert ("goes on" in err) is (name in GOES_ON)


def n3(*arguments: str, stdout: Any = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess:
    """`n3` in a process of its own; Ctrl-C interrupts it, also where the tests run in the background."""
    command = [sys.executable, "-m", "n3lib", *arguments]
    return subprocess.run(
        command, env=os.environ | environment, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


@pytest.mark.parametrize(
    "torch",
    [
        "raise KeyboardInterrupt",
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    while True: pass\n"
        "except KeyboardInterrupt:\n    raise ImportError('long advice\\n' * 9) from None\n",
    ],
    ids=["raised", "another error"],
)
def test_an_interrupt_while_libraries_are_imported_costs_one_line(torch: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(torch)
    ran = n3("classify", "net", "a.png", PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}")
    assert (ran.returncode, ran.stdout, ran.stderr.count(b"\n")) == (130, b"", 1)
    assert ran.stderr.startswith(b"n3: ")


def test_a_table_is_shown_on_a_terminal_without_utf_8() -> None:
    ran = n3("table", "sce", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert "cub SCE, ours" in ran.stdout.decode("ascii")


LABELS = ("Café", "می\u200cخواهم", "q\u0301 🐦")
FILES = {
    "\x1b[2Jphoto.png": "\\x1b[2Jphoto.png",
    "two\nlines.png": "two\\nlines.png",
    "turned\u202egnp.png": "turned\\u202egnp.png",
    os.fsdecode(b"\xff.png"): "\\udcff.png",
    "مرغ.png": "مرغ.png",
}


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "utf-16"])
def test_labels_and_file_names_steer_no_terminal_and_break_no_console(
    encoding: str, tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "odd.json", {name: f"A bird, {name}." for name in LABELS})
    paths = [str(tmp_path / name) for name in FILES]
    try:
        for path in paths:
            Image.new("RGB", (8, 8)).save(path, "PNG")
    except (OSError, UnicodeEncodeError):
        pytest.skip("the file system has no such names")
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    network = str(tmp_path / "net")
    assert main(["synthesize", str(tiny_run.folder), str(tmp_path / "odd.json"), "-o", network]) == 0
    assert main(["classify", network, *paths]) == 0
    lines = [line.split("%")[-1].strip() for line in raw.getvalue().decode(encoding).split("\n")[1:-1]]
    told = [f"{tmp_path}/{name}" for name in FILES.values()]
    expected = [line for name in told for line in (name, *LABELS)]
    if encoding in ("ascii", "cp1252"):
        expected = [line.encode(encoding, "backslashreplace").decode(encoding) for line in expected]
    assert sorted(lines) == sorted(expected)


def test_an_error_line_steers_no_terminal(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    for name in ("\x1b[31mred", "turned\u202egnp", os.fsdecode(b"\xff")):
        assert main(["evaluate", str(tmp_path / name)]) == 2
        with pytest.raises(SystemExit):
            main(["data", "info", "aviary", f"--{name}"])
        with pytest.raises(SystemExit):
            main([name])
    err = capsys.readouterr().err
    assert err.count("\n") == len(err.splitlines()) == 9
    assert err.replace("\n", "").isprintable()


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["--help", "--version", "data info --help"])
def test_a_pipe_that_nobody_reads_ends_quietly(arguments: str, unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = n3(*arguments.split(), stdout=writer, PYTHONUNBUFFERED=unbuffered)
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["--help", "--version"])
def test_output_without_room_is_one_line_and_exit_code_2(arguments: str, unbuffered: str) -> None:
    with open("/dev/full", "wb") as full:
        ran = n3(arguments, stdout=full, PYTHONUNBUFFERED=unbuffered)
    assert (ran.returncode, ran.stderr.count(b"\n")) == (2, 1)
    assert ran.stderr.startswith(b"n3: ")


def test_of_processes_that_train_together_the_first_is_heard(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        assert main(["table", "sce", "-o", str(tmp_path)]) == 0
        out, err = capsys.readouterr()
        assert (bool(out), err) == (rank == "0", "")
        assert main(["evaluate", str(tmp_path)]) == 2
        assert capsys.readouterr().err.startswith("n3: ")


ACTIONS = ("info", "download", "verify", "describe", "embed", "backbone")


@pytest.mark.parametrize("command", [*COMMANDS, *(f"data {action}" for action in ACTIONS)])
def test_help_shows_an_example_that_is_a_command(command: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--help"])
    assert caught.value.code == 0
    assert f"example:\n  n3 {command} " in capsys.readouterr().out


def test_help_of_train_lists_the_settings(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "--model.d=128\n" in capsys.readouterr().out


WRONG = [
    "", "sing", "train", "data", "data sing", "data info", "evaluate run --wings", "evaluate run --part x",
    "evaluate run --ways x", "classify net", "classify net a.png --top", "--versions", "data info cub x",
]  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("n3: ")
    assert "--help" in err


@pytest.mark.parametrize("command", ["evaluate {new}", "data info dodo", "train {new}.yaml -o {new}"])
def test_debug_is_taken_before_and_after_the_command(command: str, tmp_path: Path) -> None:
    arguments = command.format(new=tmp_path / "new").split()
    for place in (0, 1, len(arguments)):
        with pytest.raises(N3Error, match="."):
            main([*arguments[:place], "--debug", *arguments[place:]])
    assert main(arguments) == 2


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"n3 {importlib.metadata.version('n3lib')}\n"


def test_help_lists_every_command(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(re.search(rf"^    {command}\b", out, re.MULTILINE) for command in COMMANDS)
