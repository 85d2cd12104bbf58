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

from n3lib.backbone import BackboneConfig
from n3lib.config import RunConfig, config_from_dict
from n3lib.data import GENERATED, DataConfig
from n3lib.experiments.results import Table
from n3lib.io.errors import N3Error
from n3lib.io.files import read_json

FINGERPRINTS = Path(__file__).with_name("fingerprints.json")
TOLERANCE = 1e-3  # between machines the last digits differ; a change of behaviour moves more
# What decides what is trained: a result needs one instance with all of these as they are, and one for each
# of its other switches.
_CORE = ("data.", "model.", "episodes.kind", "train.steps")


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


def flag(results: Sequence[Mapping[str, Any]]) -> str:
    """A line for below a table or figure of these results; empty where none is stale."""
    if not any(map(stale, results)):
        return ""
    return "Some of these results were made by older code: appendix B lists them."


def note(results: Sequence[Mapping[str, Any]], *lines: str) -> str:
    """What goes below a table of results: these lines, and the flag."""
    return "\n\n".join(filter(None, [*lines, flag(results)]))


def committed(folder: Path) -> dict[Path, dict[str, Any]]:
    """Every result below a folder; costs and faults, which have no metrics, are left out."""
    found = {path: read_json(path) for path in sorted(folder.rglob("*.json"))}
    return {path: result for path, result in found.items() if "metrics" in result}


def table(folder: Path) -> Table:
    """Every folder of results, the revisions that made them, and how many of them are stale.

    Args:
        folder: of the results.
    """
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
    settings = result["config"] | result.get("training", {})
    config = config_from_dict(settings, str(result.get("method")))
    encoder = config.text.encoder
    found = []
    if result["study"] == "benchmark":
        found.append("benchmark")
    if result["study"] == "benchmark" and "training" not in result:  # an earlier method
        found.append(f"method {result['method']}")
        encoder = "words" if result["reader"] == "words counted" else encoder
    else:
        base, own = _flat(small(RunConfig())), _flat(small(config))
        changed = [f"{name}={json.dumps(value)}" for name, value in own.items() if value != base[name]]
        core = [setting for setting in changed if setting.startswith(_CORE)]
        found += [" ".join(["n3", *core]), *(f"n3 {other}" for other in changed if other not in core)]
    found += [name for name, mark in (("swaps", "swaps"), ("saliency", "by_class")) if mark in result]
    kind = encoder.partition(":")[0]
    if kind != "words":
        found.append(f"encoder {kind if kind in ('glove', 'elmo') else 'transformer'}")
    if config.backbone.name != "aviary":
        found.append(f"backbone {config.backbone.name} {config.backbone.stages} {config.backbone.pool}")
    return found


def small(config: RunConfig) -> RunConfig:
    """The configuration that runs the same code within a second: its switches, with small sizes."""
    model, episodes, steps = config.model, config.episodes, config.train.steps
    base = RunConfig()
    return dataclasses.replace(
        base,
        data=DataConfig(config.data.name if config.data.name in GENERATED else "aviary", "tiny", size=32),
        text=dataclasses.replace(config.text, encoder="words:16", max_tokens=64),
        backbone=BackboneConfig(pool=config.backbone.pool),
        model=dataclasses.replace(
            base.model,
            d=16,
            heads=2,
            adapt=model.adapt,
            layers=["layer2.conv1"] if model.layers else [],
            classifier=model.classifier,
            mu=model.mu,
            shared_mu=1.0 if model.shared_mu else 0.0,
            gamma=1.0 if model.gamma == 1 else 0.9,
            scale=1.0 if model.scale == 1 else 0.5,
        ),
        episodes=dataclasses.replace(
            episodes,
            ways=4,
            batch_size=8,
            support=6 if episodes.support else 0,
            crop=24 if episodes.crop else 0,
            alike=0.5 if episodes.alike else 0.0,
        ),
        train=dataclasses.replace(
            base.train,
            steps=3 if steps else 0,
            every=2 if config.train.every < steps else 3,
            fast_lr=base.train.fast_lr if config.train.fast_lr else 0.0,
            warmup=1,
            precision="float32",
        ),
        fit=config.fit,
        exemplar_images=2,
        mirror=config.mirror,
    )


def _flat(config: RunConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in dataclasses.asdict(config).items():
        found |= {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
    return found
