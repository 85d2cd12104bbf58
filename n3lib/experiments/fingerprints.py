"""The small instances behind provenance: seconds of seeded work that passes through a result's code."""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from n3lib.backbone import BackboneConfig
from n3lib.baselines import baselines
from n3lib.config import RunConfig, config_from_dict
from n3lib.data import DataConfig, load_data
from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.evaluation import evaluate
from n3lib.experiments.benchmark import Benchmark
from n3lib.experiments.layer_swaps import swap_layers
from n3lib.experiments.provenance import FINGERPRINTS, committed, fingerprint, instances, known, small
from n3lib.experiments.results import METRICS
from n3lib.experiments.saliency import saliency_maps
from n3lib.io import N3Error, write_json
from n3lib.io.files import write_text
from n3lib.metrics import class_metrics, predict
from n3lib.pretrained.networks import load_backbone
from n3lib.run import Run, train
from n3lib.synthesis import synthesize
from n3lib.text.encoders import make_encoder
from n3lib.trainer import read_metrics

TOLERANCE = 1e-3  # between machines the last digits differ; a change of behaviour moves more


@cache
def numbers(instance: str) -> list[float]:
    """What today's code gives for an instance, to five significant digits.

    An instance is `n3 SETTING=VALUE ...` (a small configuration, trained and evaluated), `swaps` or
    `saliency` (of one), `method NAME` or `benchmark` (the earlier methods, and what all share),
    `encoder KIND` or `backbone NAME STAGES POOL`.
    """
    kind, *rest = instance.split()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        found = _KINDS[kind](Path(folder), *rest)
    return [float(f"{value:.5g}") for value in found]


def agree(instance: str) -> bool:
    """Whether today's code gives the known numbers of an instance."""
    before, now = known().get(instance, []), numbers(instance)
    return len(before) == len(now) and np.allclose(now, before, TOLERANCE, TOLERANCE)


def stamp(result: dict[str, Any]) -> dict[str, Any]:
    """A result with the fingerprint of the code that is running."""
    return result | {"fingerprint": fingerprint([_settled(name) for name in instances(result)])}


def renew(folder: Path) -> None:
    """Write `fingerprints.json` anew: every instance that the results in a folder need, and every method.

    Known numbers with which today's code agrees stay as they are.

    Raises:
        N3Error: the folder holds no results.
    """
    if not (results := committed(folder)):
        raise N3Error(f"{folder} holds no results", "Name the folder of results")
    names = {f"method {name}" for name in baselines()} | {"benchmark"}
    names |= {name for result in results.values() for name in instances(result)}
    write_json(FINGERPRINTS, {name: _settled(name) for name in sorted(names)}, by_field=True)


def _settled(instance: str) -> list[float]:
    return known()[instance] if agree(instance) else numbers(instance)


@cache
def _world(name: str) -> ZeroShotDataset:
    """Twenty classes of the tiny aviary, or the tiny dialects, four images per class."""
    data = load_data(DataConfig(name, "tiny", size=32))
    split = data.split
    if not data.groups:
        split = Split(split.name, split.train[:10], split.val[:4], split.test[:6])
    kept = np.concatenate([data.indices([c])[:4] for c in (*split.train, *split.val, *split.test)])
    return dataclasses.replace(data, images=data.images[kept], labels=data.labels[kept], split=split)


def _run(folder: Path, *settings: str) -> Run:
    config = _config(*settings)
    return train(config, folder / "run", dataset=_world(config.data.name))


def _config(*settings: str) -> RunConfig:
    value: dict[str, Any] = {}
    given = {name: json.loads(text) for name, _, text in (one.partition("=") for one in settings)}
    for name, one in (small(RunConfig()) | given).items():
        section, _, inner = name.rpartition(".")
        (value.setdefault(section, {}) if section else value)[inner] = one
    return config_from_dict(value, " ".join(settings))


def _n3(folder: Path, *settings: str) -> list[float]:
    run = _run(folder, *settings)
    data = _world(run.config.data.name)
    classes, bank = data.by_group(data.split.test)[0], run.pipeline.bank(data.texts)
    classes = classes if run.model.equivariant else classes[: run.model.ways]
    logits, labels = predict(run.model, data, bank, classes, run.config)
    alike = evaluate(run, data, "test", 2, 2, alike=True, bank=bank)
    lines = read_metrics(run.folder)
    moved = [line["adaptation"] for line in lines if "adaptation" in line][-1]
    return [
        *(line["loss"] for line in lines if "loss" in line),
        *(line["validation"] for line in lines if "validation" in line),
        *(layer[name] for layer in moved.values() for name in sorted(layer)),
        *_projections(logits.numpy()),
        *class_metrics(logits, labels).values(),
        *alike["metrics"].values(),
    ]


def _swaps(folder: Path) -> list[float]:
    run = _run(folder, "model.shared_mu=1.0")
    bank = run.pipeline.bank(_world("aviary").texts)
    swapped = swap_layers(run, _world("aviary"), bank, 3, 2, "test")
    found = [one for layers in swapped.values() for one in layers.values()]
    return [float(np.mean(task["accuracy"])) for one in found for task in one["per_class"]]


def _saliency(folder: Path) -> list[float]:
    data = _world("aviary")
    network = synthesize(_run(folder), {data.classes[c]: data.texts[c] for c in data.split.test})
    images = torch.from_numpy(data.images[data.indices(data.split.test)[:4]])
    return _projections(saliency_maps(network, images, torch.arange(4)).numpy())


@cache
def _benchmark() -> Benchmark:
    return Benchmark(_config(), _world("aviary"))


def _all_methods(folder: Path) -> list[float]:
    result = _benchmark().measure("eszsl", trials=2)
    found = (result["metrics"], *result["controls"].values())
    return [values[name] for values in found for name in METRICS]


def _method(folder: Path, name: str) -> list[float]:
    bench, kind = _benchmark(), baselines()[name]
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(0)).ask()
    method = kind.draw(trial, 0)
    if hasattr(method, "steps"):
        method = dataclasses.replace(method, **{"steps": 3})
    rows = bench.rows(bench.dataset.split.part("trainval"), False, "own", 0)
    problem = bench.problem("trainval", "test", rows, kind.uses_maps)
    given = method.fit(problem.seen)(problem.text)(problem.images)
    drawn = [float(value) for value in trial.params.values() if isinstance(value, int | float)]
    return [*drawn, *_projections(given)]  # no accuracy: ties are broken by the last digit


def _backbone(folder: Path, name: str, stages: str, pool: str) -> list[float]:
    backbone = load_backbone(BackboneConfig(name, int(stages), pool), pretrained=False)  # type: ignore
    images = np.random.default_rng(5).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    layer = backbone.layers[1]
    with torch.no_grad():
        batch = backbone.preprocess(torch.from_numpy(images))
        found = [backbone(batch), backbone(batch, {layer: 1.1 * backbone.columns(layer)})]
    return [value for features in found for value in _projections(features.numpy())]


def _encoder(folder: Path, kind: str) -> list[float]:
    words = ("a", "red", "crown", "long", "bill", ".")
    if kind == "glove":
        rows = np.random.default_rng(5).standard_normal((len(words), 4)).round(3)
        lines = [" ".join([word, *map(str, row)]) for word, row in zip(words, rows.tolist(), strict=True)]
        write_text(folder / "glove.txt", "\n".join(lines) + "\n")
        encoder = make_encoder(f"glove:{folder / 'glove.txt'}")
    else:
        import n3lib.io.torchvision  # noqa: F401  (before transformers)

        from transformers import BertConfig, BertModel, BertTokenizerFast  # type: ignore[attr-defined]

        write_text(folder / "vocab.txt", "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
        BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
        config = BertConfig(vocab_size=5 + len(words), hidden_size=8, intermediate_size=16)
        config.num_hidden_layers, config.num_attention_heads = 1, 2
        BertModel(config).save_pretrained(folder)
        encoder = make_encoder(str(folder))
    encoded = encoder.encode(["A red crown.", "A long long bill"])
    return [value for one in encoded for value in _projections(one.embeddings.float().numpy())]


def _projections(values: np.ndarray) -> list[float]:
    """An array in three numbers: its size, and its direction along two random ones."""
    values = np.asarray(values, np.float64).ravel()
    directions = np.random.default_rng(3).standard_normal((2, len(values)))
    size = float(np.linalg.norm(values))
    return [size, *(directions @ values / max(size, 1e-12)).tolist()]


_KINDS: dict[str, Callable[..., list[float]]] = {
    "n3": _n3,
    "swaps": _swaps,
    "saliency": _saliency,
    "benchmark": _all_methods,
    "method": _method,
    "backbone": _backbone,
    "encoder": _encoder,
}


if __name__ == "__main__":
    renew(Path(sys.argv[1]))
