"""Configurations: what a file says, what the command line says instead, and what is refused."""

import dataclasses
from pathlib import Path

import pytest

from n3lib.config import RunConfig, config_from_dict, read_config, settings
from n3lib.errors import N3Error

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))


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
    assert read_config(path, settings()) == RunConfig()


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
        ("", [], "config"),
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


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(N3Error, match="there is no configuration"):
            read_config(path)
