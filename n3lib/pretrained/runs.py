"""Packed runs, that ship with the package or are fetched: `Run.load` opens each by its path or its name."""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor

from n3lib.data.names import human_name
from n3lib.io import N3Error, expand, sha256_file, write_json, writing
from n3lib.io.files import cache_dir, check_writable, read_json
from n3lib.io.tensors import read_metadata, read_tensors, with_zeros, without_zeros, write_tensors

SHIPPED = Path(__file__).parent / "packed"
SUFFIX = ".safetensors"
TENSORS = ("backbone.safetensors", "model.safetensors")
RECORDS = ("config.json", "reader.json", "run.json")  # the last says that a run is whole
FORM = "n3 run 1"
_NAME = re.compile(r"\w[\w.\-]*")


def write_packed(folder: Path, states: Sequence[Mapping[str, Tensor]], path: Path) -> None:
    """Write the records of a finished run and what `TENSORS` would hold, its `states`, as one file.

    Raises:
        N3Error: the file cannot be written.
    """
    if path.suffix != SUFFIX:
        raise N3Error(f"{path} is no name of a packed run", f"Let it end in {SUFFIX}")
    check_writable(path)
    named = zip(TENSORS, states, strict=True)
    tensors = {f"{name}/{key}": _halved(value) for name, state in named for key, value in state.items()}
    records = {name: read_json(folder / name) for name in RECORDS}
    config = records["config.json"]
    config["data"]["root"] = config["backbone"]["weights"] = ""
    config["data"]["text"] = Path(config["data"]["text"]).name
    config["data"]["also"] = [Path(one).name for one in config["data"].get("also", [])]
    records["reader.json"] = _shortened(records["reader.json"])
    metadata = {name: json.dumps(record, ensure_ascii=False) for name, record in records.items()}
    with writing(path, "Make room there, or choose another file"):
        write_tensors(path, without_zeros(tensors), {"form": FORM, **metadata})


def _halved(tensor: Tensor) -> Tensor:
    """Half precision, unless numbers are beyond its range: then more than its rounding is lost."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    return half if (half.float() - tensor).norm() <= 1e-3 * tensor.norm() else tensor


def _shortened(value: Any) -> Any:
    """Six digits of every number: what is counted of words is read in single precision."""
    if isinstance(value, dict):
        return {key: _shortened(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def open_run(place: str | Path) -> Path:
    """The run folder at a place: itself; of a packed run, or of the name of one, what is unpacked from it.

    What is nothing of these is given back as it is. A packed run is unpacked into the cache once.

    Raises:
        N3Error: the file is damaged or no packed run, or the cache cannot be written.
    """
    path = expand(place)
    if not os.path.isfile(path) and not any(os.path.exists(path / name) for name in RECORDS):
        path = _named(str(place)) or path  # also beside an empty folder that is called so
    if not os.path.isfile(path):
        return path
    home = cache_dir() / "runs" / f"{path.stem}-{sha256_file(path)[:16]}"
    if not all((home / name).is_file() for name in (*TENSORS, *RECORDS)):
        shutil.rmtree(home, ignore_errors=True)  # of which somebody has deleted a part
        _unpack(path, home)
    return home


def _unpack(path: Path, home: Path) -> None:
    records = _records(path)
    tensors = with_zeros(read_tensors(path)[0], str(path))
    check_writable(home.parent, True, "Set N3_CACHE to a writable folder")
    with writing(home, "Make room there"), TemporaryDirectory(dir=home.parent, prefix=".new-") as temporary:
        new = Path(temporary) / "run"
        for name in TENSORS:
            own = {k.removeprefix(f"{name}/"): t for k, t in tensors.items() if k.startswith(f"{name}/")}
            write_tensors(new / name, {k: t.float() if t.dtype == torch.half else t for k, t in own.items()})
        for name in RECORDS:
            write_json(new / name, records[name])
        try:
            new.rename(home)
        except OSError:
            if not home.is_dir():  # else another process was faster
                raise


def _records(path: Path) -> dict[str, Any]:
    """The records of a packed run, with what is told of one by its name."""
    metadata = read_metadata(path)
    try:
        found = {name: json.loads(metadata[name]) for name in RECORDS}
        config, card = found["config.json"], found["run.json"]
        told = config["data"]["name"], config["data"]["split"], config["backbone"]["name"]
        if metadata["form"] != FORM or {type(one) for one in told} != {str}:
            raise ValueError
        if {type(card[name]) for name in ("seen", "image_size")} != {int}:
            raise ValueError
        if {type(name) for name in card["seen_classes"]} != {str} or type(found["reader.json"]) is not dict:
            raise ValueError
    except (KeyError, RecursionError, TypeError, ValueError):
        remedy = "Make one: n3 pack RUN -o FILE"
        raise N3Error(f"{path} is no packed run of this version", remedy) from None
    return found


def known_runs() -> list[Path]:
    """The packed runs that have a name: those of the package, then those that `add_run` fetched."""
    places = SHIPPED, cache_dir() / "runs"
    return [path for place in places for path in sorted(place.glob(f"*{SUFFIX}"))]


def _named(name: str) -> Path | None:
    return next((path for path in known_runs() if path.stem == name), None)


def add_run(url: str, sha256: str, name: str = "") -> Path:
    """Fetch a packed run, which `Run.load` opens by its name from then on: by default, that of its file.

    Raises:
        N3Error: no such address, another hash, a name that is taken or no name, or no packed run.
    """
    from n3lib.data.fetch.download import download_file

    name = name or Path(urlsplit(url).path).stem
    if not _NAME.fullmatch(name):
        raise N3Error(f"{name!r} is no name of a run", "Name it with --name, in letters and digits")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise N3Error(f"{sha256!r} is no SHA-256", "Give the 64 digits that stand beside the address")
    path = cache_dir() / "runs" / f"{name}{SUFFIX}"
    if taken := _named(name):
        if sha256_file(taken) == sha256.lower():
            return taken
        raise N3Error(f"{name} is a run already: {taken}", "Choose another --name")
    fetched = path.with_suffix(".fetched")
    download_file(url, fetched)
    if (found := sha256_file(fetched)) != sha256.lower():
        fetched.unlink()
        raise N3Error(
            f"{url} has SHA-256 {found}", "It is another file than the one you expect; do not use it"
        )
    fetched.replace(path)
    try:
        open_run(path)
    except N3Error:
        path.unlink()
        raise
    return path


def about(path: Path) -> dict[str, Any]:
    """What a packed run says of itself: `data`, `classes`, their `names`, `backbone`, `size`, `megabytes`."""
    records = _records(path)
    config, card = records["config.json"], records["run.json"]
    return {
        "data": f"{config['data']['name']} {config['data']['split']}",
        "classes": card["seen"],
        "names": [human_name(name) for name in card["seen_classes"]],
        "backbone": config["backbone"]["name"],
        "size": card["image_size"],
        "megabytes": path.stat().st_size / 1e6,
    }
