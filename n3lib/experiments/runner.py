"""Runs what an experiment lacks: every variant with every seed. A stopped experiment goes on."""

import dataclasses
import itertools
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from n3lib.config import RunConfig
from n3lib.data import load_data
from n3lib.data.dataset import ZeroShotDataset
from n3lib.evaluation import evaluate, result
from n3lib.experiments.experiment import Evaluation, Experiment
from n3lib.experiments.fingerprints import stamp
from n3lib.experiments.layer_swaps import measure_conditioning
from n3lib.experiments.registry import EXPERIMENTS
from n3lib.experiments.results import answered, write_result
from n3lib.io import N3Error, expand, tell
from n3lib.io.errors import Diverged, choose, choose_all
from n3lib.metrics import shared_features
from n3lib.run import Run, train
from n3lib.text.bank import TextBank
from n3lib.trainer import read_metrics

POINTS = 40  # of a stored training curve
PERMUTATIONS = 10  # of the query classes, or tasks drawn, in an evaluation


def run_experiment(
    name: str,
    folder: Path,
    configs: Path = Path("configs"),
    overrides: Sequence[str] = (),
    variants: Iterable[str] = (),
    seeds: Sequence[int] = (),
    runs: Path = Path("runs"),
    log: Callable[[str], None] = tell,
) -> None:
    """Measure what an experiment still lacks; what is in `folder` already is left as it is.

    Whether all that is there was made with these settings is checked before anything is run.

    Args:
        folder: of all results; a file per variant and seed: `FOLDER/gamma_mu/relative-1-0.001-seed0.json`. A
            training that diverged has one too, with the reason instead of an accuracy.
        overrides: of the configuration, for all variants; what a variant is about they do not change.
        variants, seeds: some of the experiment's; all by default.

    Raises:
        N3Error: there is no such experiment or variant, or a file in `folder` was made with other settings.
    """
    experiment = choose(name, EXPERIMENTS, "there is no study")
    home = experiment.home(folder)
    chosen = choose_all(variants, experiment.variants, f"{name} has no variant")
    lacking = list[tuple[str, RunConfig, Evaluation | None, Path]]()
    for seed, variant in itertools.product(seeds or experiment.seeds, chosen):
        config = experiment.settings(variant, configs, overrides, seed)
        for evaluation in experiment.evaluations or (None,):
            if evaluation and evaluation.variants and variant not in evaluation.variants:
                continue
            path = home / f"{variant}-seed{seed}{evaluation.end if evaluation else ''}.json"
            if not answered(path, _question(name, variant, config, evaluation), config.data):
                lacking.append((variant, config, evaluation, path))
    for _, config, _, _ in lacking:  # before hours of the others
        network, weights = config.backbone.name, config.backbone.weights
        if weights and not expand(weights).is_file():
            make = f"n3 data backbone --name {network} -o {weights}"
            raise N3Error(f"{name} needs {weights}", f"Make it: {make}")
    if lacking:
        log(f"{home}: {len(lacking)} results to measure")
    for variant, config, asked, path in lacking:
        run_folder = runs / name / f"{variant}-seed{config.seed}"
        try:
            run = train(config, run_folder)
            data = load_data(config.data)
            bank = run.pipeline.bank(data.texts, names=data.classes)
            if asked:
                found = evaluate(run, data, "test", asked.ways, PERMUTATIONS, asked.control, bank=bank)
            else:
                found = _measure(experiment, run, data, bank)
            if found["text"] == "own":
                found |= measure_conditioning(run, data, bank, *experiment.swaps, experiment.part)
        except Diverged as error:  # a finding too
            found = result(
                study=name,
                method=f"n3-{config.model.adapt}-{config.model.classifier}",
                dataset=config.data.name,
                split=config.data.split,
                seed=config.seed,
                metrics={},
                diverged=error.problem.split(";")[0],
                config=dataclasses.asdict(config),
                hashes=load_data(config.data).hashes,
            )
        found |= {"study": "main" if asked else name, "variant": variant, "curve": curve(run_folder)}
        command = ["n3", "study", name, "--variant", variant, "--seed", str(config.seed), *overrides]
        write_result(path, stamp(found | {"command": shlex.join(command)}))
        accuracy = found["metrics"].get("per_class_accuracy")
        log(f"{path}: {found['diverged'] if accuracy is None else f'{accuracy:.1f} %'}")


def _question(name: str, variant: str, config: RunConfig, evaluation: Evaluation | None) -> dict[str, Any]:
    """What decides a result, under its names for it."""
    asked = {"study": name, "variant": variant, "seed": config.seed, "config": dataclasses.asdict(config)}
    if evaluation:
        asked |= {"study": "main", "text": evaluation.control, "part": "test", "tasks": "random"}
        asked |= {"permutations": PERMUTATIONS} | ({"ways": evaluation.ways} if evaluation.ways else {})
    return asked


def _measure(experiment: Experiment, run: Run, data: ZeroShotDataset, bank: TextBank) -> dict[str, Any]:
    """The result on the part's classes, all or the first of `ways`; in `measured` each kind and size."""
    part = experiment.part
    sizes = [k for k in experiment.ways if k <= len(data.split.part(part))]
    known = shared_features(run.model, data, bank, data.split.part(part), run.config)
    results = [
        evaluate(run, data, part, ways, experiment.tasks, alike=alike, bank=bank, features=known)
        for alike in ((False, True) if experiment.alike else (False,))
        for ways in sizes
    ]
    more = experiment.also(run, data) if experiment.also else {}
    kept = ("tasks", "ways", "metrics", "per_class", "spread", "orders_measured")
    return results[0] | more | {"measured": [{name: one[name] for name in kept} for one in results]}


def curve(folder: Path) -> dict[str, list[Any]]:
    """A run's training in few numbers: the mean loss of up to 40 stretches, and what every checkpoint found.

    Returns:
        `step` and `loss` of each stretch (its last step, mean in nats); `checkpoint` steps, with `validation`
        accuracy in percent and `change`, the mean over layers of the relative adaptation in percent.
    """
    lines = read_metrics(folder)
    steps = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    stretches = np.array_split(np.array(steps), min(POINTS, len(steps))) if steps else []
    found = [line for line in lines if "adaptation" in line]
    moved = [[layer["relative"] for layer in line["adaptation"].values()] for line in found]
    return {
        "step": [int(some[-1, 0]) for some in stretches],
        "loss": [round(float(some[:, 1].mean()), 4) for some in stretches],
        "checkpoint": [line["step"] for line in found],
        "validation": [round(line["validation"], 2) for line in found if "validation" in line],
        "change": [round(float(np.mean(layers or [0.0])), 4) for layers in moved],
    }
