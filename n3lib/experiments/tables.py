"""The paper's benchmark tables: its numbers beside ours, and the runs that are missing."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from n3lib.config import RunConfig, read_config
from n3lib.experiments.freshness import note
from n3lib.experiments.results import (
    Table,
    answered,
    edition,
    lead,
    load_results,
    mean_and_spread,
    write_result,
)
from n3lib.io.console import tell
from n3lib.io.errors import N3Error
from n3lib.io.files import read_json

# Titles of the methods in the order of the tables.
TITLES = {
    "da": "DA (Kulis et al., 2011)",
    "pdcnn-fc": "PDCNN, fc (Lei Ba et al., 2015)",
    "pdcnn-conv": "PDCNN, conv",
    "pdcnn-fc-conv": "PDCNN, fc + conv",
    "megazsl": "MEGAZSL (GAZSL on encoder text)",
    "wac-linear": "WAC, linear (Elhoseiny et al., 2016)",
    "wac-kernel": "WAC, kernel",
    "eszsl": "ESZSL (Romera-Paredes and Torr, 2015)",
    "zslns": "ZSLNS (Qiao et al., 2016)",
    "sync-fast": "SynC, fast (Changpinyo et al., 2016)",
    "sync-ovo": "SynC, one-vs-other",
    "zslpp": "ZSLPP, cells as parts (Elhoseiny et al., 2017)",
    "gazsl": "GAZSL (Zhu et al., 2018)",
    "correction": "CorrectionNetwork (Hu et al., 2019)",
    "sae": "SAE (Kodirov et al., 2017)",
    "exem": "EXEM, ridge (Changpinyo et al., 2017)",
    "exem-rbf": "EXEM, ridge with a Gaussian kernel",
    "nearest": "nearest description (control)",
    "n3-classifier": "N3, classifier only",
    "finetune": "plain fine-tuning (control)",
    "n3-constant": "N3, constant adaptation (control)",
    "n3": "N3, every layer",
}
METRIC_TITLES = {"average_precision": "A.P.", "per_class_accuracy": "Acc@1", "top5": "Acc@5"}
SEEDS = 3


@dataclass(frozen=True)
class PaperTable:
    """One of the paper's tables.

    Attributes:
        title: where it stands.
        splits: of each dataset, those that the table has.
        numbers: (method, dataset, split) to the paper's numbers in percent, in the order of `metrics`; None
            for a cell that the paper leaves empty.
        metrics: what is shown.
        ways: classes of an N3 training episode, where a dataset has too few for the configuration's.
    """

    title: str
    splits: dict[str, tuple[str, ...]]
    numbers: dict[tuple[str, str, str], tuple[float | None, ...]]
    metrics: tuple[str, ...] = ("per_class_accuracy",)
    ways: dict[str, int] = field(default_factory=dict)


def _table2() -> dict[tuple[str, str, str], tuple[float | None, ...]]:
    columns = [(d, s) for d in ("cub", "awa2", "nabirds", "flowers-species") for s in ("SS", "PS")]
    rows = {
        "pdcnn-fc": (6.1, 6.1, 12.8, 18.4, 6.7, 7.4, 13.1, 11.9),
        "pdcnn-fc-conv": (7.5, 6.5, 22.6, 17.2, 8.9, 5.6, 7.7, 13.6),
        "megazsl": (2.9, 1.8, 14.0, 10.4, 2.8, 3.7, 10.3, 12.3),
        "n3": (17.6, 9.5, 34.0, 37.5, 14.1, 20.7, 16.4, 17.6),
    }
    return {
        (method, *column): (value,)
        for method, row in rows.items()
        for column, value in zip(columns, row, strict=True)
    }


def _sce() -> dict[tuple[str, str, str], tuple[float | None, ...]]:
    rows: dict[str, tuple[float | None, float | None]] = {
        "wac-linear": (5.0, None),
        "wac-kernel": (7.7, 6.0),
        "eszsl": (7.4, 6.3),
        "zslns": (7.3, 6.8),
        "sync-fast": (8.6, 3.8),
        "sync-ovo": (5.9, None),
        "zslpp": (9.7, 8.1),
        "gazsl": (10.3, 8.6),
        "correction": (10.0, 9.5),
        "n3": (11.9, 11.1),
    }
    return {
        (method, dataset, "SCE"): (value,)
        for method, row in rows.items()
        for dataset, value in zip(("cub", "nabirds"), row, strict=True)
    }


TABLES = {
    "table2": PaperTable(
        "Table 2",
        {name: ("SS", "PS") for name in ("cub", "awa2", "nabirds", "flowers-species")},
        _table2(),
        ways={"awa2": 15, "flowers-species": 15},
    ),
    "sce": PaperTable("Figure 5", {"cub": ("SCE",), "nabirds": ("SCE",)}, _sce()),
    "table6": PaperTable(
        "Table 6",
        {"cub2010": ("160/40",), "cub": ("160/40",), "flowers": ("82/20",)},
        {
            ("da", "cub2010", "160/40"): (3.7, None, None),
            ("pdcnn-fc", "cub2010", "160/40"): (10.0, 12.0, 42.8),
            ("pdcnn-conv", "cub2010", "160/40"): (4.3, None, None),
            ("pdcnn-fc-conv", "cub2010", "160/40"): (8.0, None, None),
            ("n3", "cub2010", "160/40"): (31.0, 33.9, 77.0),
            ("pdcnn-fc", "cub", "160/40"): (11.0, None, None),
            ("pdcnn-conv", "cub", "160/40"): (8.5, None, None),
            ("pdcnn-fc-conv", "cub", "160/40"): (13.0, None, None),
            ("n3", "cub", "160/40"): (27.0, 32.6, 68.6),
            ("pdcnn-fc", "flowers", "82/20"): (7.0, None, None),
            ("pdcnn-conv", "flowers", "82/20"): (5.4, None, None),
            ("pdcnn-fc-conv", "flowers", "82/20"): (6.7, None, None),
            ("n3", "flowers", "82/20"): (16.0, 10.4, 39.7),
        },
        metrics=("average_precision", "per_class_accuracy", "top5"),
        ways={"flowers": 20},
    ),
}


def find_table(name: str) -> PaperTable:
    """The table of this name.

    Raises:
        N3Error: there is none.
    """
    if name not in TABLES:
        raise N3Error(f"there is no table {name!r}", f"Use one of {', '.join(TABLES)}")
    return TABLES[name]


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
    seeds: Sequence[int] = tuple(range(SEEDS)),
    runs: Path = Path("runs"),
    told: Callable[[str], None] = tell,
) -> None:
    """Measure what a table still lacks of one dataset; what is in `folder` already is left as it is.

    Args:
        name: of the table.
        dataset: one of the table's.
        folder: of the results.
        config: YAML file of the settings that all methods share, and of N3's training.
        overrides: of that configuration, such as `--data.root=DIR`.
        splits: some of the table's; all by default.
        methods: some of `TITLES`; all by default.
        seeds: to run.
        runs: folder of N3's run folders.
        told: is given a line for what is lacking of a split, and one for each result.

    Raises:
        N3Error: the table has no such dataset, split or method, the data are not there, or a file in `folder`
            was made with other settings.
    """
    from n3lib.experiments.benchmark import N3_FORMS, Benchmark

    table = find_table(name)
    if dataset not in table.splits:
        raise N3Error(f"{name} has no dataset {dataset!r}", f"Use one of {', '.join(table.splits)}")
    for wanted, known in ((splits, table.splits[dataset]), (methods, TITLES)):
        for one in wanted:
            if one not in known:
                raise N3Error(f"{name} of {dataset} has no {one!r}", f"Use some of {', '.join(known)}")
    ways = [f"--episodes.ways={table.ways[dataset]}"] if dataset in table.ways else []
    lacking: dict[str, list[tuple[str, RunConfig, Path]]] = {}
    for split in splits or table.splits[dataset]:
        settings = [*ways, *overrides, f"--data.name={dataset}", f"--data.split={split}"]
        shared = read_config(config, settings)
        configs = {
            method: read_config(config, [*settings, *N3_FORMS[method]]) if method in N3_FORMS else shared
            for method in methods or TITLES
        }
        lacking[split] = _lacking(folder, configs, seeds)
    for split, results in lacking.items():
        if not results:
            continue
        bench = Benchmark(results[0][1])
        told(f"{folder}: {len(results)} results of {dataset} {split} to measure")
        for method, settled, path in results:
            if method in N3_FORMS:
                bench.config = settled
                result = bench.measure_n3(method, settled.seed, runs / path.parent.name / path.stem)
            else:
                others = sorted(path.parent.glob(f"{method}-seed*.json"))
                result = bench.measure(method, settled.seed, earlier=read_json(others[0]) if others else None)
            given = [setting for setting in overrides if not setting.startswith("--data.root=")]
            if Path(config).name != "benchmark.yaml":
                given = ["--config", str(config), "-o", str(folder), *given]
            result["command"] = run_command(name, dataset, split, method, settled.seed, given)
            write_result(path, result)
            told(f"{path}: {result['metrics']['per_class_accuracy']:.1f} %")


def _lacking(
    folder: Path, configs: Mapping[str, RunConfig], seeds: Sequence[int]
) -> list[tuple[str, RunConfig, Path]]:
    """Method, configuration and path of the results on one split that are not there, seed by seed.

    Raises:
        N3Error: a result of one of the methods was made with other settings, whatever its seed: a table shows
            the mean over seeds, and a method is searched once for all of them.
    """
    from n3lib.experiments.benchmark import question

    data = next(iter(configs.values())).data
    home = result_path(folder, data.name, data.split, "", 0).parent
    there = [(path, method) for method in configs for path in sorted(home.glob(f"{method}-seed*.json"))]
    texts = edition(data) if there else {}
    for path, method in there:
        answered(path, question(configs[method], method) | texts)
    found = []
    for seed in seeds:
        for method, config in configs.items():
            path = result_path(folder, data.name, data.split, method, seed)
            if not answered(path, {"seed": seed}):
                found.append((method, replace(config, seed=seed), path))
    return found


def run_command(
    name: str,
    dataset: str,
    split: str,
    method: str = "",
    seed: int | None = None,
    settings: Sequence[str] = (),
) -> str:
    """The command that brings a cell."""
    parts = ["n3", "table", name, "--dataset", dataset, "--split", split]
    parts += ["--method", method] if method else []
    parts += ["--seed", str(seed)] if seed is not None else []
    return shlex.join([*parts, "--data-root", "DIR", *settings])


def show_table(name: str, folder: Path, dataset: str = "") -> Table:
    """A table with the paper's numbers and ours, mean and standard deviation over seeds.

    Args:
        name: of the table.
        folder: of the results.
        dataset: only this one; all by default.

    Returns:
        One row a method, and for each dataset and split the paper's number and ours; below it, for each split
        that was not run, the command that runs it.
    """
    table = find_table(name)
    columns = [(d, s) for d, all_splits in table.splits.items() for s in all_splits if dataset in ("", d)]
    found = {column: by_method(measured(folder, *column)) for column in columns}
    methods = [
        method
        for method in TITLES
        if any(method in found[column] or (method, *column) in table.numbers for column in columns)
    ]
    head, rows, notes = ["method"], [[TITLES[method]] for method in methods], []
    for column in columns:
        ran = found[column]
        for i, metric in enumerate(table.metrics):
            title = " ".join(column) + (f" {METRIC_TITLES[metric]}" if len(table.metrics) > 1 else "")
            head += [f"{title}, paper", f"{title}, ours"] if ran else [f"{title}, paper"]
            for row, method in zip(rows, methods, strict=True):
                number = table.numbers.get((method, *column), (None,) * len(table.metrics))[i]
                row.append("" if number is None else f"{number:.1f}")
                if ran:
                    row.append(mean_and_spread([r["metrics"][metric] for r in ran.get(method, [])]))
        if not ran:
            command = run_command(name, *column)
            notes.append(f"{' '.join(column)}: no result yet; where the data are, `{command}` makes it.")
    return Table(
        head, rows, note([r for ran in found.values() for some in ran.values() for r in some], *notes)
    )


def control_table(results: Sequence[Mapping[str, Any]]) -> Table:
    """Every method with its controls: per-class accuracy, mean and standard deviation over seeds."""
    ran = by_method(results)
    controls = list(dict.fromkeys(c for results in ran.values() for r in results for c in r["controls"]))
    rows = []
    for method in (m for m in TITLES if m in ran):
        row = [TITLES[method], mean_and_spread([r["metrics"]["per_class_accuracy"] for r in ran[method]])]
        for control in controls:
            found = [r["controls"][control] for r in ran[method] if control in r["controls"]]
            row.append(mean_and_spread([m["per_class_accuracy"] for m in found]))
        rows.append(row)
    chance = " or ".join(sorted({f"{r['chance']:.1f} %" for r in results}))
    told = f"Chance is {chance}." if chance else ""
    return Table(["method", "its own text", *controls], rows, note(results, told))


def lead_table(folder: Path, dataset: str, splits: Sequence[str], others: Sequence[str]) -> Table:
    """How many points N3 with every layer adapted is ahead of other methods, seed by seed.

    Args:
        folder: of the results.
        dataset: such as `cub`.
        splits: a column each.
        others: methods of `TITLES`.

    Returns:
        Mean and standard deviation of the differences in per-class accuracy between runs of one seed.
    """
    rows = [[TITLES[other]] for other in others]
    for split in splits:
        ran = by_method(measured(folder, dataset, split))
        for row, other in zip(rows, others, strict=True):
            row.append(lead(ran.get("n3", []), ran.get(other, [])))
    return Table(["N3, every layer, ahead of", *(f"{dataset} {split}" for split in splits)], rows)


def measured(folder: Path, dataset: str, split: str) -> list[dict[str, Any]]:
    """The results of every method on a split."""
    return load_results(folder, study="benchmark", dataset=dataset, split=split)


def by_method(results: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Method to its results, one a seed."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        found.setdefault(result["method"], []).append(result)
    return found
