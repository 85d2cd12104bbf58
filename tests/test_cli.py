"""`n3`: each command does its work and says so; bad input costs one line and exit code 2."""

import dataclasses
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from n3lib.cli import main
from n3lib.config import RunConfig
from n3lib.data.classes import AWA2_NAMES
from n3lib.data.wikipedia import Collected
from n3lib.errors import N3Error
from n3lib.files import write_json
from n3lib.run import Run
from n3lib.synthesis import load

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


def test_home_is_understood_in_every_path(
    animals: Path, config: Path, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "~no-such-user/run"])
    assert caught.value.code == 2
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
    root, asked = tmp_path / "data", []

    def describe(*args: object, **kwargs: object) -> Collected:
        asked.append((args, kwargs))
        return Collected(root / "texts.json", found=("fox",), filled=(), missing={"ox": "no article found"})

    monkeypatch.setattr("n3lib.data.wikipedia.describe", describe)
    write_json(tmp_path / "titles.json", {"fox": "Red fox"})
    assert main(["data", "download", "awa2", "--root", str(root), "--from", str(animals)]) == 0
    options = ["--section", "all", "--titles", str(tmp_path / "titles.json"), "--contact", "me@example.org"]
    assert main(["data", "describe", "awa2", "--root", str(root), *options]) == 2
    out, err = capsys.readouterr()
    assert "texts.json: 1 from Wikipedia, 0 by hand" in out
    assert "1 without text: ox: no article found" in err
    ((classes, path, section, titles, fill), kwargs) = asked[0]
    assert (classes, path, section, fill) == (AWA2_NAMES, root / "awa2_wikipedia.json", "all", None)
    assert (titles["fox"], titles["cow"], kwargs) == ("Red fox", "Cattle", {"contact": "me@example.org"})


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
    result = json.loads((run / "result.json").read_text())
    assert result["command"].startswith("n3 ")
    assert result["orders_measured"] == 2
    assert f"accuracy {result['metrics']['per_class_accuracy']:.1f} %" in out


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
    monkeypatch.setattr("n3lib.tables.run_table", lambda *arguments: asked.append(arguments))
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
    assert f"a network for 3 classes: {net}" in capsys.readouterr().out
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


# What the one line tells, and the command. The names in braces are those of the test below.
BAD = {
    "there is no configuration": "train {new}/no.yaml -o {new}",
    "wings": "train {config} -o {new} --model.wings=2",
    "surplus": "train {config} -o {new} surplus",
    "no preset 'huge'": "train {config} -o {new} --data.preset=huge",
    "cannot be drawn from 32": "train {config} -o {new} --episodes.ways=32",
    "another configuration": "train {config} -o {run} --seed=8",
    "aviary is generated and has no split SS": "data info aviary --split SS",
    "aviary is generated and has no split PS": "data info aviary --split PS",
    "aviary is generated and has no folder": "data info aviary --root {new}",
    "dialects is generated and has no texts": "data info dialects --text {new}",
    "aviary is generated and has no texts": "data embed aviary --encoder words --text {new}",
    "aviary is generated and has no split SCE": "train {config} -o {new} --data.split=SCE",
    "train.steps cannot be -1": "train {config} -o {new} --train.steps=-1",
    "model.d=33 cannot be": "train {config} -o {new} --model.d=33",
    "-1 ways": "evaluate {run} --ways -1",
    "cannot be searched in -1 trials": "search {config} -o {new} --trials -1",
    "cannot be searched in 1000000000 trials": "search {config} -o {new} --trials 1000000000",
    "seed cannot be -1": "study mu --seed -1 -o {new}",
    "cub needs the folder": "data info cub",
    "awa2 needs the folder": "data download awa2",
    "no dataset of photographs 'dodo'": "data verify dodo --root {new}",
    "no CUB_200_2011 in": "data info cub --root {new}",
    "nabirds.tar.gz must be fetched by hand": "data download nabirds --root {new}",
    "new does not exist": "data download awa2 --root {run} --from {new}",
    "no Animals_with_Attributes2 in": "data describe awa2 --root {new} --contact me",
    "text encoder 'glove:' is cut short": "data embed aviary --encoder glove:",
    "no finished run": "evaluate {new}",
    "99 ways": "evaluate {run} --ways 99",
    "0 tasks": "evaluate {run} --permutations 0",
    "no table 'table9'": "table table9",
    "cub needs the folder that": "table sce --dataset cub -o {new} --config {config}",
    "sce has no dataset 'awa2'": "table sce --dataset awa2 -o {new}",
    "table2 is only shown": "table table2 --method sae",
    "no.json does not exist": "synthesize {run} {new}/no.json -o {new}",
    "at least two": "synthesize {run} {one} -o {new}",
    "no text for 1 class (owl)": "synthesize {run} {mute} -o {new}",
    "Not a directory": "synthesize {run} {classes} -o {classes}/net",
    "no synthesized network": "classify {run} {classes}",
}


@pytest.mark.parametrize("told", BAD)
def test_bad_input_is_one_line_and_exit_code_2(
    told: str, config: Path, tiny_run: Run, classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    names = {"config": config, "run": tiny_run.folder, "classes": classes}
    names |= {name: tmp_path / name for name in ("new", "one", "mute")}
    write_json(names["one"], {"owl": "A bird."})
    write_json(names["mute"], {"owl": "", "jay": "A bird."})
    arguments = [part.format(**names) for part in BAD[told].split()]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("n3: ")
    assert told in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    with pytest.raises((N3Error, OSError), match="."):
        main(["--debug", *arguments])


def test_an_unreadable_image_is_named(
    tiny_run: Run, classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    main(["synthesize", str(tiny_run.folder), str(classes), "-o", str(tmp_path / "net")])
    capsys.readouterr()
    assert main(["classify", str(tmp_path / "net"), str(classes)]) == 2
    assert str(classes) in capsys.readouterr().err


def test_an_interrupt_says_how_to_go_on(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("n3lib.cli._train", interrupted)
    assert main(["train", str(config), "-o", str(tmp_path / "run")]) == 130
    assert "the same command goes on" in capsys.readouterr().err


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


@pytest.mark.parametrize("arguments", [[], ["sing"], ["train"], ["evaluate", "run", "--wings"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: n3" in capsys.readouterr().err


def test_help_lists_every_command(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(re.search(rf"^    {command}\b", out, re.MULTILINE) for command in COMMANDS)
