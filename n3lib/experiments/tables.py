"""The paper's benchmark tables: its numbers beside ours, and the runs that are missing.

`paper_numbers.json` holds the paper's numbers and the titles of the methods.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from n3lib.config import RunConfig, read_config
from n3lib.data import SOURCES
from n3lib.experiments.experiment import SEEDS, selected_scales
from n3lib.experiments.layer_swaps import conditioning_check
from n3lib.experiments.provenance import note
from n3lib.experiments.results import (
    Results,
    Table,
    accuracy_cell,
    answered,
    edition,
    lead,
    load_results,
    write_result,
)
from n3lib.io import read_json, tell
from n3lib.io.errors import choose, choose_all

PAPER_NUMBERS = read_json(Path(__file__).with_name("paper_numbers.json"))
TITLES: dict[str, str] = PAPER_NUMBERS["methods"]  # in the order of the tables
METRIC_TITLES = {"average_precision": "A.P.", "per_class_accuracy": "Acc@1", "top5": "Acc@5"}


class PaperTable(NamedTuple):
    """One of the paper's tables."""

    title: str  # in the paper
    metrics: list[str]
    ways: dict[str, int]  # of a training episode, for datasets that have too few for the configuration's
    # Dataset, split and method to the paper's numbers in percent, in the order of `metrics`; None for a cell
    # that the paper leaves empty.
    numbers: dict[str, dict[str, dict[str, list[float | None]]]]


TABLES = {name: PaperTable(**told) for name, told in PAPER_NUMBERS["tables"].items()}


def result_path(folder: Path, dataset: str, split: str, method: str, seed: int) -> Path:
    """Where a result is kept: `FOLDER/cub-PS/eszsl-seed0.json`."""
    return folder / f"{dataset}-{split.replace('/', '-')}" / f"{method}-seed{seed}.json"


def run_table(
    name: str,
    dataset: str,
    folder: Path,
    config: str | Path,
    overrides: Sequence[str] = (),
    splits: Sequence[str] = (),
    methods: Sequence[str] = (),
    seeds: Sequence[int] = SEEDS,
    runs: Path = Path("runs"),
    log: Callable[[str], None] = tell,
) -> None:
    """Measure what a table still lacks of one dataset; what is in `folder` already is left as it is.

    Args:
        config: YAML file of the settings that all methods share, and of N3's training. What `n3 study
            selection` chose for its forms, per dataset and split, is in the file `.selected.json` beside it.
        overrides: of that configuration, such as `--data.root=DIR`.
        splits, methods: some of the table's and of `TITLES`; all by default.
        runs: folder of N3's run folders.

    Raises:
        N3Error: the table has no such dataset, split or method, the data are not there, or a file in `folder`
            was made with other settings.
    """
    from n3lib.experiments.benchmark import N3_FORMS, Benchmark
    from n3lib.experiments.fingerprints import stamp

    table = choose(name, TABLES, "there is no table")
    known, problem = choose(dataset, table.numbers, f"{name} has no dataset"), f"{name} of {dataset} has no"
    columns, rows = choose_all(splits, known, problem), choose_all(methods, TITLES, problem)
    ways = [f"--episodes.ways={table.ways[dataset]}"] if dataset in table.ways else []
    lacking: dict[str, list[tuple[str, RunConfig, Path]]] = {}
    for split in columns:
        settings = [*overrides, f"--data.name={dataset}", f"--data.split={split}"]
        classes = len(SOURCES[dataset].split(split).test)
        forms = {m: [one.format(K=classes) for one in N3_FORMS.get(m, [])] for m in rows}
        scales = selected_scales(config, dataset, split)
        chosen = {m: [*ways, *form, *scales.get(m, [])] for m, form in forms.items()}
        configs = {m: read_config(config, [*own, *settings]) for m, own in chosen.items()}
        lacking[split] = _lacking(folder, configs, seeds)
    given = [setting for setting in overrides if not setting.startswith("--data.root=")]
    if Path(config).name != "benchmark.yaml":
        given = ["--config", str(config), "-o", str(folder), *given]
    for split, results in lacking.items():
        if not results:
            continue
        bench = Benchmark(results[0][1])
        log(f"{folder}: {len(results)} results of {dataset} {split} to measure")
        for method, settled, path in results:
            bench.config = settled
            if method in N3_FORMS:
                result = bench.measure_n3(method, settled.seed, runs / path.parent.name / path.stem)
            else:
                others = sorted(path.parent.glob(f"{method}-seed*.json"))
                result = bench.measure(method, settled.seed, earlier=read_json(others[0]) if others else None)
            own = ("--method", method, "--seed", str(settled.seed))
            result["command"] = f"{run_command(name, dataset, split, *own)} {shlex.join(given)}".rstrip()
            write_result(path, stamp(result))
            log(f"{path}: {result['metrics']['per_class_accuracy']:.1f} %")


def _lacking(
    folder: Path, configs: Mapping[str, RunConfig], seeds: Sequence[int]
) -> list[tuple[str, RunConfig, Path]]:
    """Method, configuration and path of the results on one split that are not there, seed by seed."""
    from n3lib.experiments.benchmark import question

    data = next(iter(configs.values())).data
    home = result_path(folder, data.name, data.split, "", 0).parent
    there = [(path, method) for method in configs for path in sorted(home.glob(f"{method}-seed*.json"))]
    texts = edition(data) if there else {}
    # Whatever their seed: a table shows the mean over seeds, and a method is searched once for all of them.
    for path, method in there:
        answered(path, question(configs[method], method) | texts)
    return [
        (method, replace(config, seed=seed), path)
        for seed in seeds
        for method, config in configs.items()
        if not answered(path := result_path(folder, data.name, data.split, method, seed), {"seed": seed})
    ]


def run_command(name: str, dataset: str, split: str, *settings: str) -> str:
    """The command that measures a split, or with settings some of it, where DIR holds the data."""
    table = ["n3", "table", name, "--dataset", dataset, "--split", split]
    return shlex.join([*table, *settings, "--data-root", "DIR"])


def show_table(name: str, folder: Path, dataset: str = "") -> Table:
    """The paper's numbers and ours, accuracy with its interval, of one `dataset` or of all.

    A row per method, two columns per split; below, for each split that was not run, the command that runs it.
    """
    table = choose(name, TABLES, "there is no table")
    head, columns, found, notes = list[str](), list[Mapping[str, str]](), list[Mapping[str, Any]](), []
    for column in ((d, s) for d, splits in table.numbers.items() for s in splits if dataset in ("", d)):
        paper, results = table.numbers[column[0]][column[1]], measured(folder, *column)
        found += results
        for i, metric in enumerate(table.metrics):
            title = " ".join(column) + (f" {METRIC_TITLES[metric]}" if len(table.metrics) > 1 else "")
            head.append(f"{title}, paper")
            columns.append({m: "" if row[i] is None else f"{row[i]:.1f}" for m, row in paper.items()})
            if results:
                head.append(f"{title}, ours")
                columns.append({m: accuracy_cell(own, metric) for m, own in by_method(results).items()})
        if not results:
            command = run_command(name, *column)
            notes.append(f"{' '.join(column)}: no result yet; where the data are, `{command}` makes it.")
    return _methods(head, columns, note(found, *notes))


def control_table(results: Results) -> Table:
    """Every method with its controls: per-class accuracy, with its interval over classes and seeds."""
    columns = {"its own text": {method: accuracy_cell(own) for method, own in by_method(results).items()}}
    for text in dict.fromkeys(text for result in results for text in result["controls"]):
        with_it = [(r, r["controls"][text]) for r in results if text in r["controls"]]
        told = [{**r, "metrics": one, "per_class": one.get("per_class")} for r, one in with_it]
        columns[text] = {method: accuracy_cell(own) for method, own in by_method(told).items()}
    chance = " or ".join(sorted({f"{r['chance']:.1f} %" for r in results}))
    below = note(results, f"Chance is {chance}." if chance else "")
    return _methods(list(columns), list(columns.values()), below)


def lead_table(folder: Path, dataset: str, splits: Sequence[str], others: Sequence[str]) -> Table:
    """The lead of N3 with every layer adapted over other methods in points, paired by seed and class.

    A column per split, and a row for each of the `others`, methods of `TITLES`; below, whether N3's layers
    depend on the task at all.
    """
    ran = [by_method(measured(folder, dataset, split)) for split in splits]
    found = [r for own in ran for method in ("n3", *others) for r in own.get(method, [])]
    rows = [[TITLES[m], *(lead(own.get("n3", []), own.get(m, [])) for own in ran)] for m in others]
    checks = {split: conditioning_check(own.get("n3", [])) for split, own in zip(splits, ran, strict=True)}
    below = [f"N3 on {dataset} {split}: {check}." for split, check in checks.items() if check]
    head = ["lead of N3, every layer, over (points)", *(f"{dataset} {split}" for split in splits)]
    return Table(head, rows, note(found, *below))


def measured(folder: Path, dataset: str, split: str) -> list[dict[str, Any]]:
    """The results of every method on a split."""
    return load_results(folder, study="benchmark", dataset=dataset, split=split)


def by_method(results: Results) -> dict[str, list[Mapping[str, Any]]]:
    """Method to its results, one per seed."""
    methods = dict.fromkeys(result["method"] for result in results)
    return {method: [r for r in results if r["method"] == method] for method in methods}


def _methods(head: Sequence[str], columns: Sequence[Mapping[str, str]], below: str) -> Table:
    """A row for each method that has a cell, in the order of `TITLES`."""
    rows = [
        [title, *(c.get(m, "") for c in columns)]
        for m, title in TITLES.items()
        if any(m in c for c in columns)
    ]
    return Table(["method", *head], rows, below)
