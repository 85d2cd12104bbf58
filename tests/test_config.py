"""Configurations: what a file says, what the command line says instead, and what is refused."""

import dataclasses
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from n3lib.config import REMOVED, RENAMED, RunConfig, config_from_dict, difference, read_config, settings
from n3lib.io import N3Error

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def numbers(settings: Any, section: str = "") -> Iterator[str]:
    """The full name of every setting that is a number."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from numbers(value, f"{field.name}.")
        elif field.type in (int, float):
            yield section + field.name


def nested(name: str, value: object) -> dict[str, Any]:
    """A setting as a file has it."""
    *section, last = name.split(".")
    return {section[0]: {last: value}} if section else {last: value}


def made(name: str, value: float) -> RunConfig:
    """A configuration with a setting, made in Python."""
    config, (*section, last) = RunConfig(), name.split(".")
    part = getattr(config, section[0]) if section else config
    part = dataclasses.replace(part, **{last: type(getattr(part, last))(value)})
    return dataclasses.replace(config, **{section[0]: part}) if section else part


def configurations(value: Any) -> Iterator[dict[str, Any]]:
    """Every configuration, whole or in parts, that a result holds."""
    for name, part in value.items() if isinstance(value, dict) else enumerate(value):
        if name in ("config", "training"):
            yield part
        elif isinstance(part, dict | list):
            yield from configurations(part)


@pytest.fixture
def write(tmp_path: Path):
    def make(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return make


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_configurations_of_the_repository_are_read_and_round_trip(path: Path) -> None:
    config = read_config(path)
    assert config != RunConfig()
    assert config_from_dict(dataclasses.asdict(config), "here") == config


def test_the_configuration_of_every_committed_result_is_read() -> None:
    paths = sorted((ROOT / "results").rglob("*.json"))
    # Those of all seeds are one.
    found = {json.dumps(c | {"seed": 0}): p for p in paths for c in configurations(json.loads(p.read_text()))}
    assert len(found) > 20
    for config, path in found.items():
        config_from_dict(json.loads(config), str(path))


@pytest.mark.parametrize("name", [*numbers(RunConfig())])
def test_every_number_has_a_range_wherever_it_is_set(name: str, write, tmp_path: Path) -> None:
    for value in (-1, 10**31):
        path = write(yaml.safe_dump(nested(name, value)))
        empty = tmp_path / "empty.yaml"
        empty.write_text("{}")
        for told, read in (
            (f"{path}: {name} ", partial(read_config, path)),
            (f"{empty}: {name} ", partial(read_config, empty, [f"--{name}={value}"])),
            (f"config.json: {name} ", partial(config_from_dict, nested(name, value), "config.json")),
            (f"{name} ", partial(made, name, value)),
        ):
            with pytest.raises(N3Error) as caught:
                read()
            assert str(caught.value).startswith(told)
            assert "\n" not in str(caught.value)


def test_the_ends_of_the_ranges_are_allowed() -> None:
    zero = [
        "train.steps", "train.warmup", "train.lr", "train.fast_lr", "train.weight_decay", "train.clip",
        "model.shared_mu", "model.rank", "model.ridge", "model.word_penalty", "model.micro_batch",
        "episodes.support", "episodes.crop", "episodes.alike", "data.species", "data.size", "seed",
    ]  # fmt: skip
    one = {"train.every", "model.d", "model.heads", "model.t2l_layers", "model.l2a_layers"}
    one |= {"episodes.batch_size", "text.max_tokens", "text.ngrams"}
    rest = {
        "model.initial_mu",
        "model.scale",
        "model.gamma",
        "episodes.ways",
        "backbone.stages",
        "exemplar_images",
    }
    assert {*zero} | one | rest == {*numbers(RunConfig())} - {*REMOVED}
    for name in zero:
        made(name, 0)
    config = RunConfig()
    dataclasses.replace(config, model=dataclasses.replace(config.model, d=1, heads=1))
    for name in one - {"model.d"}:
        made(name, 1)
        with pytest.raises(N3Error, match=name):
            made(name, 0)
    for name in ("model.initial_mu", "model.scale", "model.gamma"):
        made(name, 1e-9)
        with pytest.raises(N3Error, match=name):
            made(name, 0)
    made("episodes.alike", 1)
    with pytest.raises(N3Error, match=r"episodes\.alike"):
        made("episodes.alike", 1.01)
    made("episodes.ways", 2)
    made("exemplar_images", 2)
    with pytest.raises(N3Error, match=r"episodes\.ways"):
        made("episodes.ways", 1)


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["--model.d=33"], "model.d"),
        (["--model.adapt=constant"], "model.shared_mu"),
        (["--model.adapt=finetune"], "model.shared_mu"),
        (["--model.mu=absolute", "--model.shared_mu=1"], "model.mu"),
        (["--backbone.stages=3"], "backbone.stages"),
        (["--exemplar_images=1"], "exemplar_images"),
        (["--backbone.name=resnet18", "--backbone.stages=5"], "backbone.stages"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(overrides: list[str], name: str, write) -> None:
    path = write("{}")
    with pytest.raises(N3Error) as caught:
        read_config(path, overrides)
    assert str(caught.value).startswith(f"{path}: ") and name in str(caught.value)
    assert read_config(path, ["--model.d=33", "--model.heads=3"]).model.d == 33


@pytest.mark.parametrize("name", ["config", "print_config", "cfg"])
def test_no_override_reads_another_file(name: str, write, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("seed: 77\n")
    with pytest.raises(N3Error, match=name):
        read_config(write("seed: 1\n"), [f"--{name}={tmp_path / 'other.yaml'}"])


def test_a_lone_override_and_a_file_in_utf_16(write, tmp_path: Path) -> None:
    (tmp_path / "wide.yaml").write_bytes("seed: 3\nmodel: {d: 64}\n".encode("utf-16"))
    config = read_config(tmp_path / "wide.yaml", "--seed=4")
    assert (config.seed, config.model.d) == (4, 64)
    with pytest.raises(N3Error, match="wide.yaml"):
        read_config(tmp_path / "wide.yaml", [f"--train.lr={'1' * 400}"])


def test_an_empty_file_is_said_to_be_empty(write) -> None:
    for text in ("", "# nothing yet\n"):
        with pytest.raises(N3Error, match=r"config\.yaml"):
            read_config(write(text))


def test_what_a_file_leaves_out_keeps_its_default(write) -> None:
    config = read_config(write("model: {d: 32, layers: [conv1, layer1.conv2]}\ntrain: {lr: 1}\n"))
    assert config.model == dataclasses.replace(RunConfig().model, d=32, layers=["conv1", "layer1.conv2"])
    assert config.train.lr == 1.0
    assert config.data == RunConfig().data
    assert read_config(write("{}")) == RunConfig()


def test_the_command_line_wins(write) -> None:
    path = write("model: {d: 32, heads: 2}\nseed: 3\n")
    config = read_config(path, ["--model.d=16", "--seed=5", "--train.lr=1e-4", "--model.layers=[conv1]"])
    assert (config.model.d, config.model.heads, config.seed, config.train.lr) == (16, 2, 5, 1e-4)
    assert config.model.layers == ["conv1"]
    assert read_config(path, [line for line in settings() if line.startswith("--")]) == RunConfig()


def test_every_setting_is_listed_with_its_default_and_what_it_means() -> None:
    lines = settings()
    assert "--model.d=128" in lines and "--seed=0" in lines
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        assert not line.startswith("--") or after.startswith("    "), line
        assert len(line) <= 100


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("--model.d=wide", "a whole number"),
        ("--train.lr=fast", "a number"),
        ("--mirror=maybe", "true or false"),
        ("--fit=test", "one of train, trainval"),
        ("--model.layers=conv1", "a list of names"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_words(override: str, words: str, write) -> None:
    with pytest.raises(N3Error) as caught:
        read_config(write("{}"), [override])
    name, _, value = override.removeprefix("--").partition("=")
    assert name in caught.value.problem and value in caught.value.problem
    assert caught.value.remedy.endswith(words)


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two settings that an earlier version had: one has another name today, one is gone."""
    monkeypatch.setitem(RENAMED, "text.reading", "text.context")
    monkeypatch.setitem(REMOVED, "model.depth", 3)


@pytest.mark.usefixtures("older")
@pytest.mark.parametrize(
    ("name", "value", "told"), [("text.reading", "sentence", "text.context"), ("model.depth", 3, "depth")]
)
def test_settings_of_earlier_versions_are_not_to_be_written(name: str, value: Any, told: str, write) -> None:
    for text, overrides in (
        (yaml.safe_dump(nested(name, value)), []),
        ("{}", [f"--{name}={value}"]),
        ("{}", [f"--{name}", str(value)]),
    ):
        with pytest.raises(N3Error, match=name) as caught:
            read_config(write(text), overrides)
        assert told in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.usefixtures("older")
def test_a_saved_run_of_an_earlier_version_is_read() -> None:
    saved = {"text": {"reading": "paragraph"}, "model": {"depth": 3, "d": 64}}
    found = config_from_dict(saved, "config.json")
    assert (found.text.context, found.model.d) == ("paragraph", 64)
    assert saved["model"] == {"depth": 3, "d": 64}  # as it was
    with pytest.raises(N3Error, match=r"config.json: model\.depth"):
        config_from_dict({"model": {"depth": 4}}, "config.json")


@pytest.mark.usefixtures("older")
def test_a_result_of_an_earlier_version_belongs_to_the_same_question() -> None:
    wanted = {"config": {"text": {"context": "paragraph"}, "model": {"d": 64}}}
    for depth, name in ((3, ""), (4, "model.depth")):
        found = {"config": {"text": {"reading": "paragraph"}, "model": {"d": 64, "depth": depth}}}
        assert difference(found, wanted).partition(" ")[0] == name


@pytest.mark.parametrize(
    ("text", "overrides", "told"),
    [
        ("model: {depth: 3}", [], "depth"),
        ("wings: 2", [], "wings"),
        ("config: {}", [], "config"),
        ("seed: null", [], "seed"),
        ("data: {}\ndata: {}", [], "twice"),
        ("model: {d: wide}", [], "d"),
        ("model: {adapt: some}", [], "some"),
        ("fit: test", [], "test"),
        ("- a list", [], ""),
        ("model: {d: 32", [], ""),
        ("seed: 1", ["--model.depth=3"], "depth"),
        ("seed: 1", ["--seed=red"], "red"),
        ("seed: 1", ["surplus"], "surplus"),
        ("model: 3", [], "model"),
    ],
)
def test_bad_settings_are_one_line_that_names_file_and_setting(
    text: str, overrides: list[str], told: str, write
) -> None:
    path = write(text)
    with pytest.raises(N3Error) as caught:
        read_config(path, overrides)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert told in message
    assert "\n" not in message


def test_a_configuration_in_the_home_folder(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write("seed: 3")
    assert read_config("~/config.yaml").seed == 3
    config = read_config("~/config.yaml", ["--data.root=~/data", "--text.encoder=~/bert"])
    assert (config.data.root, config.text.encoder) == ("~/data", "~/bert")  # as it was written


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(N3Error, match=path.name):
            read_config(path)
