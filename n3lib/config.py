"""What makes a run: one dataclass, read from YAML, overridden on the command line, each value checked."""

import dataclasses
import inspect
import json
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_type_hints

import yaml

from n3lib.backbone import BackboneConfig
from n3lib.data import DataConfig
from n3lib.episodes import EpisodeConfig
from n3lib.io import N3Error, Range, check_ranges, expand, sha256_file
from n3lib.io.files import read_text
from n3lib.io.ranges import LONG, SEED
from n3lib.model import N3Config
from n3lib.text.pipeline import TextConfig
from n3lib.trainer import TrainConfig

MAX_FILE = 100_000  # bytes of YAML; those of the repository have a few hundred
# Settings of earlier versions: what one is called today, and the value that one had that is gone.
RENAMED = {"text.lexical": "text.tfidf"}
REMOVED = {"model.dropout": 0.1, "model.slots": 64, "episodes.sentence_dropout": 0.0}
REMOVED |= {"data.visual": 0.0, "data.seed": 0}
# Where the data lie and how much memory there is decide no number.
_NO_MATTER = ("data.root", "model.micro_batch")
# Scales of the text-conditioned adaptation, which other forms of N3 do not have.
_CONDITIONED = ("model.mu", "model.initial_mu")
_LISTED = "Correct the setting; n3 train --help lists them"
_WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class RunConfig:
    """Everything that makes a run.

    Attributes:
        fit: `train` chooses the best state on the validation classes; `trainval` trains on both and keeps
            the last.
        exemplar_images: images per class from which exemplars are renewed at a checkpoint; all at the end.
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
    """A configuration from a YAML file, and `overrides` such as `["--model.d=64", "--seed=1"]`.

    Settings that it leaves out keep their defaults.

    Raises:
        N3Error: no such file or setting, a setting that is there twice, or a value of the wrong kind or
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
    return _parse(value, [overrides] if isinstance(overrides, str) else overrides, str(path))


def config_from_dict(value: Mapping[str, Any], where: str) -> RunConfig:
    """A configuration from plain values, as a run's `config.json` holds it, of earlier versions too.

    Raises:
        N3Error: no such setting, or a value of the wrong kind or outside its range.
    """
    return _parse(_of_today(value, where) if isinstance(value, Mapping) else value, [], where)


def settings() -> list[str]:
    """Every setting with its default, as it is written on the command line, and below it what it means."""
    lines = []
    for name, (_, default, meaning) in _settings().items():
        lines.append(f"--{name}={default}")
        lines += textwrap.wrap(meaning, 96, initial_indent="    ", subsequent_indent="    ")
    return lines


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first setting that is another in a file (`found`) than in a question (`wanted`), in words, or "".

    Folders and files count by their names, whatever folder they are in. A setting that the file lacks is
    younger and has its default there; a part that it lacks as a whole is not compared.
    """
    new = flat(json.loads(json.dumps(wanted)))  # JSON has no tuples
    old = {RENAMED.get(name, name): value for name, value in flat(found).items()}
    parts = {name.rpartition(".")[0] for name in old}
    defaults = {name: one.default for name, one in _settings().items() if "." in name} | {"tasks": "random"}
    for name, default in REMOVED.items():
        if old.get(name, default) != default:
            return f"{name} is {old[name]!r:.60} there and no setting here"
    for name, here in new.items():
        if name not in old and (name not in defaults or name.rpartition(".")[0] not in parts):
            continue
        if name in _NO_MATTER or (name in _CONDITIONED and new.get("model.adapt") != "all"):
            continue
        there = old.get(name, defaults.get(name))
        if not _same(name, there, here):
            return f"{name} is {there!r:.60} there and {here!r:.60} here"
    return ""


def _parse(value: Any, overrides: Sequence[str], where: str) -> RunConfig:
    import jsonargparse

    _check_plain(value, where)
    for name in overrides:
        _refuse_old(name.removeprefix("--").partition("=")[0], where)
    parser = _parser()
    try:
        given = parser.parse_object(value)
        given = parser.parse_args(list(overrides), given) if overrides else given
        return RunConfig(**vars(parser.instantiate(given)))
    except N3Error as error:  # of the ranges
        raise N3Error(f"{where}: {error.problem}", error.remedy) from None
    except (jsonargparse.ArgumentError, *_WRONG) as error:
        problem, remedy = " ".join(str(error).split()), _LISTED
        if found := re.fullmatch(r'Parser key "(.+?)": Expected an? .+?\. Got value: (.*)', problem):
            problem = f"{found[1]} cannot be {found[2]}"
            remedy = f"Set it to {_in_words(_settings()[found[1]].kind)}"
        raise N3Error(f"{where}: {problem}", remedy) from None


@cache
def _parser() -> Any:
    import jsonargparse

    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RunConfig)
    return parser


class _Setting(NamedTuple):
    kind: Any
    default: Any
    meaning: str


@cache
def _settings(owner: Any = RunConfig, prefix: str = "") -> dict[str, _Setting]:
    """Every setting by its full name, such as `train.steps`; what it means is in its class's docstring."""
    text = (inspect.getdoc(owner) or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^    ([\w, ]+): (.+\n?(?:     +.+\n?)*)", text, re.MULTILINE)
    meanings = {name: " ".join(meaning.split()) for names, meaning in entries for name in names.split(", ")}
    found, defaults = dict[str, _Setting](), owner()
    for name, kind in get_type_hints(owner).items():
        if dataclasses.is_dataclass(kind):
            found |= _settings(kind, f"{name}.")  # type: ignore[arg-type]
        else:
            found[prefix + name] = _Setting(kind, getattr(defaults, name), meanings.get(name, ""))
    return found


def _in_words(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    words[list[str]] = "a list of names"
    return words.get(kind) or f"one of {', '.join(map(str, get_args(kind)))}"


def _refuse_old(name: str, where: str) -> None:
    """Refuse a setting of an earlier version."""
    if name in RENAMED:
        raise N3Error(f"{where}: {name} is called {RENAMED[name]} now", f"Write {RENAMED[name]}")
    if name in REMOVED:
        raise N3Error(f"{where}: the setting {name} is gone", "Leave it out")


def _of_today(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A saved configuration with the settings of an earlier version renamed, or left out where all agree."""
    value = {part: dict(one) if isinstance(one, Mapping) else one for part, one in value.items()}
    for name in (*RENAMED, *REMOVED):
        section, _, last = name.rpartition(".")
        part = value.get(section)
        if not isinstance(part, dict) or last not in part:
            continue
        saved = part.pop(last)
        if name in RENAMED:
            part[RENAMED[name].rpartition(".")[2]] = saved
        elif saved != REMOVED[name]:
            problem = f"{where}: {name} is {saved!r}, and this version knows only {REMOVED[name]!r}"
            raise N3Error(problem, "Train again, or use the version of n3lib that made it")
    return value


class _Plain(yaml.SafeLoader):
    """YAML without aliases, of which a few lines can make a billion values, and without repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep)
        if len(found) < len(node.value):
            raise yaml.YAMLError(f"a setting is there twice among {', '.join(map(str, found))}")
        return found


def _check_plain(value: Any, where: str) -> None:
    """Refuse all but settings and values: jsonargparse would read files and import modules named there."""
    if not isinstance(value, dict):
        remedy = "Write `section: {setting: value}`, or {} for all defaults"
        raise N3Error(f"{where} holds no settings", remedy)
    known = {name.rpartition(".")[::2] for name in _settings()}
    sections = {section for section, _ in known} - {""}
    for name, given in value.items():
        inside = given.items() if name in sections and isinstance(given, dict) else [(None, given)]
        for inner, one in inside:
            section, last = ("", name) if inner is None else (name, inner)
            if (section, last) not in known or not _is_plain(one):
                full = ".".join(str(part)[:80] for part in (section, last) if part != "")
                _refuse_old(full, where)
                raise N3Error(f"{where}: {full!r} is no setting, or its value is of the wrong kind", _LISTED)


def _is_plain(value: Any) -> bool:
    parts = value if isinstance(value, list) else [value]
    return all(isinstance(p, str | int) or (isinstance(p, float) and math.isfinite(p)) for p in parts)


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by their settings' names, such as `train.steps`, whatever part of a result they are in."""
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            part = "" if not prefix and name in ("config", "training", "environment") else f"{prefix}{name}."
            found |= flat(inner, part)
        else:
            found[f"{prefix}{name}"] = inner
    return found


def _same(name: str, there: Any, here: Any) -> bool:
    if name == "backbone.weights" and not (there and here):
        return True  # the published weights, or a file of them
    if name in ("backbone.weights", "data.text"):
        return _same_file(str(there), str(here))
    if name == "data.also":
        return len(there) == len(here) and all(map(_same_file, there, here))
    if name != "text.encoder":
        return bool(there == here)
    (kind, one), (other_kind, other) = _kind(str(there)), _kind(str(here))
    published = [_last(path) == path or path.startswith("sentence-transformers/") for path in (one, other)]
    if kind != other_kind or published[0] != published[1]:
        return kind == other_kind  # a folder or file may hold what is published
    return one == other if published[0] else _same_file(one, other)


def _same_file(there: str, here: str) -> bool:
    """Whether two paths can be those of one file: by its name, and where both are here, by what they hold."""
    if _last(there) != _last(here):
        return False
    one, other = expand(there), expand(here)
    if one.is_dir() and other.is_dir():
        pairs = [(path, other / path.name) for path in one.iterdir() if path.is_file()]
        return all(copy.is_file() and _same_file(str(path), str(copy)) for path, copy in pairs)
    return not (one.is_file() and other.is_file()) or sha256_file(one) == sha256_file(other)


def _kind(encoder: str) -> tuple[str, str]:
    kind, _, rest = encoder.partition(":")
    if kind in ("words", "glove", "elmo"):
        return kind, rest
    return "transformer", "bert-base-uncased" if encoder == "bert" else encoder


def _last(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]
