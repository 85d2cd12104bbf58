"""What makes a run: one dataclass, read from YAML, overridden on the command line, each value checked."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from n3lib.backbone import BackboneConfig
from n3lib.data import DataConfig
from n3lib.episodes import EpisodeConfig
from n3lib.io.errors import N3Error
from n3lib.io.files import read_text, sha256_file
from n3lib.io.paths import expand
from n3lib.io.ranges import LONG, SEED, Range, check_ranges
from n3lib.model import N3Config
from n3lib.text.pipeline import TextConfig
from n3lib.trainer import TrainConfig

_WRONG = (TypeError, ValueError, AttributeError)
MAX_FILE = 100_000  # bytes of YAML; those of the repository have some hundred
# What lies elsewhere on another machine, and how much memory there is, decide no number.
_NO_MATTER = ("data.root", "model.micro_batch")
# Scales of what is written into layers (`n3lib.model`): other networks have none.
_WRITTEN_ALONE = ("model.mu", "model.initial_mu")
# What saved runs and results call settings that have another name now.
_RENAMED = {"text.lexical": "text.tfidf"}


@dataclass(frozen=True)
class RunConfig:
    """Everything that makes a run.

    Attributes:
        fit: `train` chooses the best state on the validation classes; `trainval` trains on both and keeps
            the last.
        exemplar_images: images a class from which exemplars are renewed at a checkpoint; all at the end.
        mirror: average each image's features with its mirror image's, in exemplars and in evaluation.
        seed: of weights, episodes and dropout.
    """

    data: DataConfig = field(default_factory=DataConfig)
    text: TextConfig = field(default_factory=TextConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    model: N3Config = field(default_factory=N3Config)
    episodes: EpisodeConfig = field(default_factory=EpisodeConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    fit: Literal["train", "trainval"] = "train"
    exemplar_images: int = 20
    mirror: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, exemplar_images=Range(1, LONG), seed=Range(0, SEED))
        if self.exemplar_images == 1 and self.model.classifier == "exemplar":
            raise N3Error("exemplar_images=1 does not tell how a class varies", "Set it to 2 or more")


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """A configuration from a YAML file.

    Args:
        path: the file; settings that it leaves out keep their defaults.
        overrides: such as `["--model.d=64", "--seed=1"]`.

    Raises:
        N3Error: no such file, no such setting, a setting that stands twice, or a value of the wrong kind or
            outside its range.
    """
    path = expand(path)
    if not path.is_file():
        raise N3Error(f"there is no configuration {path}", "See the files in configs/")
    text = read_text(path, MAX_FILE)
    try:
        value = yaml.load(text, _Plain)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise N3Error(f"{path} is no YAML of settings: {error}", "See the files in configs/") from None
    _check_plain(value, str(path))
    given = [overrides] if isinstance(overrides, str) else list(overrides)
    return _parse(lambda parser: parser.parse_args(given, parser.parse_object(value)), str(path))


def config_from_dict(value: Mapping[str, Any], where: str) -> RunConfig:
    """A configuration from plain values, as a run's `config.json` holds it.

    Raises:
        N3Error: no such setting, or a value of the wrong kind or outside its range.
    """
    if isinstance(value, dict):
        value = {part: _renamed(part, given) for part, given in value.items()}
    _check_plain(value, where)
    return _parse(lambda parser: parser.parse_object(dict(value)), where)


def settings() -> list[str]:
    """Every setting with its default, as it is written on the command line."""
    lines = []
    for name, value in dataclasses.asdict(RunConfig()).items():
        if isinstance(value, dict):
            lines += [f"--{name}.{inner}={default}" for inner, default in value.items()]
        else:
            lines.append(f"--{name}={value}")
    return lines


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first setting that is another in a file than in a question; empty where there is none.

    Folders and files count by their names, whatever folder they lie in. A setting that is not in the file has
    its default there: it is younger than the file. A part that is not in the file at all is not compared.

    Args:
        found: what the file says.
        wanted: the question.
    """
    old, new = _flat(found), _flat(json.loads(json.dumps(wanted)))  # JSON has no tuples
    parts = {name.rpartition(".")[0] for name in old}
    settings = _flat(dataclasses.asdict(RunConfig()))
    defaults = {name: value for name, value in settings.items() if "." in name} | {"tasks": "random"}
    for name, here in new.items():
        if name not in old and (name not in defaults or name.rpartition(".")[0] not in parts):
            continue
        if name in _NO_MATTER or (name in _WRITTEN_ALONE and new.get("model.adapt") != "all"):
            continue
        there = old.get(name, defaults.get(name))
        if not _same(name, there, here):
            return f"{name} is {_short(there)} there and {_short(here)} here"
    return ""


def _parse(parse: Any, where: str) -> RunConfig:
    import jsonargparse

    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RunConfig)
    try:
        values = parser.instantiate(parse(parser))
        return RunConfig(**vars(values))
    except N3Error as error:  # of the ranges
        raise N3Error(f"{where}: {error.problem}", error.remedy) from None
    except (jsonargparse.ArgumentError, ArithmeticError, LookupError, *_WRONG) as error:
        told = " ".join(str(error).split())
        raise N3Error(f"{where}: {told}", "Correct the setting; n3 train --help lists them") from None


class _Plain(yaml.SafeLoader):
    """YAML without aliases, of which a few lines can make a billion values, and without repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep)
        if len(found) < len(node.value):
            raise yaml.YAMLError(f"a setting stands twice among {', '.join(map(str, found))}")
        return found


def _check_plain(value: Any, where: str) -> None:
    """Refuse all but settings and values: jsonargparse would read files and import modules named there."""
    if not isinstance(value, dict):
        what = "is empty" if value is None else "holds no settings"
        raise N3Error(f"{where} {what}", "Write `section: {setting: value}`, or {} for all defaults")
    known = dataclasses.asdict(RunConfig())
    for name, given in value.items():
        section = known.get(name)
        wrong = name not in known or isinstance(section, dict) != isinstance(given, dict)
        # Of a section that is wrong as a whole, nothing inside matters.
        for inner, one in given.items() if isinstance(given, dict) and not wrong else [("", given)]:
            parts = one if isinstance(one, list) else [one]
            wrong = wrong or (isinstance(section, dict) and inner not in section)
            wrong = wrong or not all(isinstance(part, str | int | float) for part in parts)
            wrong = wrong or any(isinstance(part, float) and not math.isfinite(part) for part in parts)
            if wrong:
                told = ".".join(filter(None, (str(name)[:80], str(inner)[:80])))
                raise N3Error(
                    f"{where}: {told!r} is no setting, or its value is of the wrong kind",
                    "Correct the setting; n3 train --help lists them",
                )


def _renamed(part: str, given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    names = {name: f"{part}.{name}" for name in given}
    return {_RENAMED.get(full, full).removeprefix(f"{part}."): given[name] for name, full in names.items()}


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by their settings' names, such as `train.steps`, whatever part of a result they stand in."""
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            part = "" if not prefix and name in ("config", "training", "environment") else f"{prefix}{name}."
            found |= _flat(inner, part)
        else:
            found[_RENAMED.get(f"{prefix}{name}", f"{prefix}{name}")] = inner
    return found


def _same(name: str, there: Any, here: Any) -> bool:
    if name == "text.encoder":
        return _same_encoder(str(there), str(here))
    if name == "backbone.weights" and not (there and here):
        return True  # the published weights, or a file of them
    if name in ("backbone.weights", "data.text"):
        return _same_file(str(there), str(here))
    return bool(there == here)


def _same_encoder(there: str, here: str) -> bool:
    """Whether two names can be those of one encoder: a folder or file may hold what is published."""
    (kind, one), (other_kind, other) = _kind(there), _kind(here)
    if kind != other_kind:
        return False
    if _published(one) != _published(other):
        return True
    return one == other if _published(one) else _same_file(one, other)


def _same_file(there: str, here: str) -> bool:
    """Whether two paths can be those of one file: by its name, and where both are here, by what they hold."""
    if _last(there) != _last(here):
        return False
    one, other = expand(there), expand(here)
    if one.is_dir() and other.is_dir():
        return all((other / path.name).is_file() and _same_file(str(path), str(other / path.name))
                   for path in one.iterdir() if path.is_file())  # fmt: skip
    return not (one.is_file() and other.is_file()) or sha256_file(one) == sha256_file(other)


def _kind(encoder: str) -> tuple[str, str]:
    kind, _, rest = encoder.partition(":")
    if kind in ("words", "glove", "elmo"):
        return kind, rest
    return "transformer", "bert-base-uncased" if encoder == "bert" else encoder


def _published(name: str) -> bool:
    return _last(name) == name or name.startswith("sentence-transformers/")


def _last(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
