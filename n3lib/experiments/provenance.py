"""Whether today's code still gives a committed result.

Small instances pass through the code a result comes from: seconds of seeded work on a few classes of the tiny
aviary (`n3lib.experiments.fingerprints`). Their numbers are that code's fingerprint. Those of this version
are in `fingerprints.json`; a test computes them anew. A result keeps the fingerprint it was made with: where
that is not today's, the book says so. Moving or renaming a function changes no number and flags nothing. Data
are not looked at: a result holds their hashes.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from n3lib.config import RunConfig, config_from_dict, flat
from n3lib.data import GENERATED
from n3lib.experiments.results import Table
from n3lib.io import N3Error, read_json

FINGERPRINTS = Path(__file__).with_name("fingerprints.json")
# Of a small instance: the settings that it keeps of a result's, the values of those that are not off, and its
# sizes. A result needs one instance with its `core` as it is, and one for each of its other switches.
_SMALL = read_json(Path(__file__).with_name("small_instances.json"))


@cache
def known() -> dict[str, list[float]]:
    """Every instance with the numbers that this version gives."""
    return read_json(FINGERPRINTS)


def fingerprint(found: Sequence[Sequence[float]]) -> str:
    """Eight hexadecimal digits that stand for the numbers of some instances, in any order."""
    text = json.dumps(sorted([f"{value:.4g}" for value in values] for values in found))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def current(result: Mapping[str, Any]) -> str | None:
    """The fingerprint that this version gives a result; None where its settings are no longer read."""
    try:
        names = instances(result)
    except N3Error:
        return None
    return fingerprint([known()[name] for name in names]) if known().keys() >= set(names) else None


def stale(result: Mapping[str, Any]) -> bool:
    """Whether this version no longer gives a result, as far as its small instances tell."""
    return result.get("fingerprint") is None or result["fingerprint"] != current(result)


def note(results: Sequence[Mapping[str, Any]], *lines: str) -> str:
    """What goes below a table of results: these lines, and one where older code made some of the results."""
    flag = "Some of these results were made by older code: appendix B lists them."
    return "\n\n".join(filter(None, [*lines, flag if any(map(stale, results)) else ""]))


def committed(folder: Path) -> dict[Path, dict[str, Any]]:
    """Every result below a folder; costs and faults, which have no metrics, are left out."""
    found = {path: read_json(path) for path in sorted(folder.rglob("*.json"))}
    return {path: result for path, result in found.items() if "metrics" in result}


def table(folder: Path) -> Table:
    """Every folder of results, the revisions that made them, and how many of them are stale."""
    rows: dict[tuple[str, str], list[bool]] = {}
    for path, result in committed(folder).items():
        revision = (result.get("environment") or {}).get("code_revision") or "unknown"
        rows.setdefault((str(path.parent.relative_to(folder)), revision), []).append(stale(result))
    return Table(
        ["results", "made by revision", "files", "made by older code"],
        [[*key, str(len(told)), str(sum(told)) if any(told) else "none"] for key, told in rows.items()],
    )


def instances(result: Mapping[str, Any]) -> list[str]:
    """The names of the small instances that a result depends on.

    Raises:
        N3Error: a setting of the result is no longer read.
    """
    settings = result["config"] | result.get("training", {}) | {"seed": 0}  # those of all seeds are one
    config = _configuration(json.dumps(settings), str(result.get("method")))
    encoder = config.text.encoder
    found = []
    if result["study"] == "benchmark":
        found.append("benchmark")
    if result["study"] == "benchmark" and "training" not in result:  # an earlier method
        found.append(f"method {result['method']}")
        encoder = "words" if result["reader"] == "words counted" else encoder
    else:
        base, own = small(RunConfig()), small(config)
        changed = [f"{name}={json.dumps(value)}" for name, value in own.items() if value != base[name]]
        core = [setting for setting in changed if setting.startswith(tuple(_SMALL["core"]))]
        found += [" ".join(["n3", *core]), *(f"n3 {other}" for other in changed if other not in core)]
    found += [name for name, mark in (("swaps", "swaps"), ("saliency", "by_class")) if mark in result]
    kind = encoder.partition(":")[0]
    if kind != "words":
        found.append(f"encoder {kind if kind in ('glove', 'elmo') else 'transformer'}")
    if config.backbone.name != "aviary":
        found.append(f"backbone {config.backbone.name} {config.backbone.stages} {config.backbone.pool}")
    return found


@cache
def _configuration(settings: str, where: str) -> RunConfig:
    return config_from_dict(json.loads(settings), where)


def small(config: RunConfig) -> dict[str, Any]:
    """The settings, by dotted name, that run a result's code within a second: its switches, small sizes."""
    own, found = (flat(dataclasses.asdict(one)) for one in (config, RunConfig()))
    name, every, steps = own["data.name"], own["train.every"], own["train.steps"]
    found |= {kept: value for kept, value in own.items() if kept.startswith(tuple(_SMALL["kept"]))}
    found |= {switch: on if own[switch] else own[switch] for switch, on in _SMALL["on"].items()}
    found |= {
        "data.name": name if name in GENERATED else "aviary",
        "model.gamma": 1.0 if own["model.gamma"] == 1 else 0.9,
        "model.scale": 1.0 if own["model.scale"] == 1 else 0.5,
        "train.every": 2 if every < steps else 3,
        "train.fast_lr": found["train.fast_lr"] if own["train.fast_lr"] else 0.0,
    }
    return found | _SMALL["sizes"]
