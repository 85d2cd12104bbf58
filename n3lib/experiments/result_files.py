"""A result's file: whose it is, asked before the work; and written so that no measurement is lost.

Two questions can come to one name, such as `n3 study mu` with its settings and with others. A file answers a
question only if all that decides the numbers is the same in both.
"""

import dataclasses
import importlib.metadata
import json
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from n3lib.config import RunConfig
from n3lib.data import GENERATED, DataConfig, find_source
from n3lib.data.dataset import ZeroShotDataset
from n3lib.io.console import tell
from n3lib.io.errors import N3Error
from n3lib.io.files import check_writable, read_json, sha256_file, write_json
from n3lib.io.paths import expand

OTHER = "Choose another -o, or delete this file"
# What lies elsewhere on another machine, and how much memory there is, decide no number.
_MARKS = ("study", "config")  # of every result
_NO_MATTER = ("data.root", "model.micro_batch")
# Scales of what is written into layers (`n3lib.model`): other networks have none.
_WRITTEN_ALONE = ("model.mu", "model.initial_mu")


def answered(
    path: Path,
    question: Mapping[str, Any],
    data: DataConfig | None = None,
    mark: str = "metrics",
    remedy: str = OTHER,
) -> bool:
    """Whether a file answers a question already. To be asked before the work.

    Args:
        path: the file that the answer is to go to.
        question: what decides the answer, under the file's names for it, such as `study`, `seed`, `config`.
        data: the dataset as it lies here; its descriptions belong to the question (see `edition`).
        mark: a field that every file of this kind has.
        remedy: what to do about a file that is another question's.

    Returns:
        False where there is no file; one can be written then.

    Raises:
        N3Error: the file is of another kind or answers another question, or none can be written there.
    """
    path = Path(path)
    if path.is_dir() or not path.exists():
        check_writable(path)
        return False
    found = read_json(path)
    own = {mark, *(_MARKS if mark == "metrics" else ())}
    if not isinstance(found, dict) or not own <= found.keys():
        raise N3Error(f"{path} is there already and holds something else", remedy)
    if differs := difference(found, {**question, **(edition(data) if data else {})}):
        raise N3Error(f"{path} is there already and belongs to another question: {differs}", remedy)
    return True


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


def edition(data: DataConfig) -> dict[str, Any]:
    """What a question says about the descriptions of a dataset of photographs: their hash.

    Empty for what is generated, whose texts are its settings', and where no folder is named.

    Raises:
        N3Error: there is no such dataset, or its descriptions cannot be read.
    """
    if data.name in GENERATED or not data.root:
        return {}
    from n3lib.data.photographs.source import read_text

    source, root = find_source(data.name), Path(data.root)
    digest = read_text(source, root, source.index(root), data.text or None, data.visual)[1]
    return {"environment": {"data_hashes": {"text": digest}}}


def write_result(path: Path, result: Any) -> None:
    """Write a result as JSON; where that fails, print it, since measuring it again takes long.

    Raises:
        N3Error: it cannot be written, such as on a full disk, or a number in it is not finite.
    """
    try:
        write_json(path, result)
    except (OSError, N3Error) as error:
        tell(json.dumps(result))
        problem = (
            error.problem if isinstance(error, N3Error) else f"{path} cannot be written: {error.strerror}"
        )
        raise N3Error(problem, "The result is printed instead: keep it") from None


def environment(dataset: ZeroShotDataset) -> dict[str, Any]:
    """What a result was made with: packages, device, threads, data hashes, code revision."""
    packages = (
        "n3lib",
        "torch",
        "torchvision",
        "transformers",
        "numpy",
        "scipy",
        "scikit-learn",
        "accelerate",
    )
    installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    try:
        command, here = ["git", "describe", "--always", "--dirty"], Path(__file__).parent
        git = subprocess.run(
            command, cwd=here, capture_output=True, encoding="utf-8", errors="replace"
        ).stdout.strip()
    except OSError:  # there is no git here
        git = ""
    return {
        "packages": {name: installed[name] for name in packages if name in installed},
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "data_hashes": dataset.hashes,
        "code_revision": git or None,
    }


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by their settings' names, such as `train.steps`, whatever part of a result they stand in."""
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            part = "" if not prefix and name in ("config", "training", "environment") else f"{prefix}{name}."
            found |= _flat(inner, part)
        else:
            found[f"{prefix}{name}"] = inner
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
