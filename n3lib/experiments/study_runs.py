"""Runs an ablation of the book, three seeds of every variant; a stopped study goes on."""

import dataclasses
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from n3lib.backbone import AVIARY_WEIGHTS, BackboneConfig
from n3lib.config import RunConfig, read_config
from n3lib.data import load_data
from n3lib.evaluation import evaluate, magnitude_over_halves
from n3lib.experiments.conditioning import layer_swaps
from n3lib.experiments.result_files import answered, write_result
from n3lib.experiments.studies import SEEDS, Study, find_study
from n3lib.io.console import tell
from n3lib.io.environment import environment
from n3lib.io.errors import Diverged, N3Error
from n3lib.io.files import read_tensors
from n3lib.io.paths import expand
from n3lib.run import train
from n3lib.trainer import read_metrics

POINTS = 40  # of a stored training curve


def run_study(
    name: str,
    folder: Path,
    configs: Path = Path("configs"),
    overrides: Sequence[str] = (),
    variants: Iterable[str] = (),
    seeds: Iterable[int] = SEEDS,
    runs: Path = Path("runs"),
    told: Callable[[str], None] = tell,
) -> None:
    """Measure what a study still lacks; what is in `folder` already is left as it is.

    Whether all that is there belongs to this study with these settings is checked before anything is run.

    Args:
        name: of the study.
        folder: of the results, one file a variant and seed: `FOLDER/mu/relative-1-0.001-seed0.json`. A
            training that diverged has one too, which says so instead of an accuracy.
        configs: folder of the configurations.
        overrides: of the configuration, for all variants; what a variant is about they do not change.
        variants: some of the study's; all by default.
        seeds: to run.
        runs: folder of the run folders.
        told: is given a line for what is lacking, and one for each result.

    Raises:
        N3Error: there is no such study or variant, or a file in `folder` was made with other settings.
    """
    study = find_study(name)
    for variant in variants:
        if variant not in study.variants:
            raise N3Error(f"{name} has no variant {variant!r}", f"Use some of {', '.join(study.variants)}")
    lacking = list[tuple[str, RunConfig, Path]]()
    for seed in seeds:
        for variant in variants or study.variants:
            settings = [*study.common, *overrides, *study.variants[variant], f"--seed={seed}"]
            config = read_config(configs / f"{study.config}.yaml", settings)
            path = folder / name / f"{variant}-seed{seed}.json"
            question = {"study": name, "variant": variant, "seed": seed, "config": dataclasses.asdict(config)}
            if not answered(path, question, config.data):
                lacking.append((variant, config, path))
    for _, config, _ in lacking:  # before hours of the others
        network, weights = config.backbone.name, config.backbone.weights
        if weights and not expand(weights).is_file():
            make = f"n3 data backbone --name {network} -o {weights}"
            raise N3Error(f"{name} needs {weights}", f"Make it: {make}")
    if lacking:
        told(f"{folder / name}: {len(lacking)} results to measure")
    for variant, config, path in lacking:
        run_folder = runs / name / path.stem
        try:
            result = _measure(study, train(config, run_folder), study.swapped.get(variant))
        except Diverged as error:  # a finding too
            result = _unmeasured(config, error)
        result |= {"study": name, "variant": variant, "curve": curve(run_folder)}
        result["command"] = run_command(name, variant, config.seed, overrides)
        write_result(path, result)
        told(f"{path}: {_told(result)}")


def run_command(name: str, variant: str, seed: int, overrides: Sequence[str] = ()) -> str:
    """The command that makes a result."""
    return shlex.join(["n3", "study", name, "--variant", variant, "--seed", str(seed), *overrides])


def _told(result: Mapping[str, Any]) -> str:
    accuracy = result["metrics"].get("per_class_accuracy")
    return result["diverged"] if accuracy is None else f"{accuracy:.1f} %"


def _unmeasured(config: RunConfig, error: Diverged) -> dict[str, Any]:
    """The result of a training whose numbers were no longer finite: why, instead of a measurement."""
    return {
        "method": f"n3-{config.model.adapt}-{config.model.classifier}",
        "dataset": config.data.name,
        "seed": config.seed,
        "metrics": {},
        "diverged": error.problem.split(";")[0],
        "config": dataclasses.asdict(config),
        "environment": environment(load_data(config.data).hashes),
    }


def _measure(study: Study, run: Any, swapped: tuple[int, int] | None) -> dict[str, Any]:
    """The result on the part's classes, all or the first of `ways`; in `measured` every task's kind and size.

    With `swapped`, also how much of the layers' change hangs on the task, and whether it matters.
    """
    data = load_data(run.config.data)
    bank, results = run.pipeline.bank(data.texts), []
    for alike in (False, True)[: 2 if study.alike else 1]:
        for ways in study.ways:
            if ways <= len(data.split.part(study.part)):
                results.append(evaluate(run, data, study.part, ways, study.tasks, alike=alike, bank=bank))
    results[0]["pretraining"] = _pretraining(run.config.backbone)
    if swapped:
        results[0]["adaptation"] = magnitude_over_halves(run, data, bank)
        results[0]["swaps"] = layer_swaps(run, *swapped, data, bank, study.part)
    kept = ("tasks", "ways", "metrics", "spread", "orders_measured")
    return results[0] | {"measured": [{name: result[name] for name in kept} for result in results]}


def _pretraining(config: BackboneConfig) -> float | None:
    """What a network named of held-out images before N3 came, in percent, where its weights tell it."""
    path = expand(config.weights or (AVIARY_WEIGHTS if config.name == "aviary" else ""))
    named = read_tensors(path)[1].get("accuracy") if path.is_file() else None
    return None if named is None else round(100 * float(named), 2)


def curve(folder: Path) -> dict[str, list[Any]]:
    """A run's training in few numbers: the mean loss of up to 40 stretches, and what every checkpoint found.

    Returns:
        `step` and `loss` of each stretch (its last step, mean in nats); `checkpoint` steps, with `validation`
        accuracy in percent and `change`, the mean over layers of the relative adaptation in percent.
    """
    lines = read_metrics(folder)
    steps = [line for line in lines if "loss" in line]
    stretches = np.array_split(np.arange(len(steps)), min(POINTS, len(steps))) if steps else []
    found = [line for line in lines if "adaptation" in line]

    def change(line: dict[str, Any]) -> float:
        return float(np.mean([layer["relative"] for layer in line["adaptation"].values()] or [0.0]))

    return {
        "step": [steps[some[-1]]["step"] for some in stretches],
        "loss": [round(float(np.mean([steps[i]["loss"] for i in some])), 4) for some in stretches],
        "checkpoint": [line["step"] for line in found],
        "validation": [round(line["validation"], 2) for line in found if "validation" in line],
        "change": [round(change(line), 4) for line in found],
    }
