"""Results, one JSON file each: written without loss, shown as tables, with intervals over classes and seeds.

Two measurements can come to one file, such as `n3 study mu` with its settings and with others. A file answers
a question only if everything that decides its numbers is the same in both.
"""

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int
from scipy.stats import norm, t

from n3lib.config import difference
from n3lib.data import GENERATED, DataConfig, find_source
from n3lib.io import N3Error, check_writable, expand, read_json, tell, write_json

METRICS = ("per_class_accuracy", "top5", "average_precision")
# The earlier methods that draw at random; the others give the same result with every seed.
RANDOM = ("correction", "gazsl", "megazsl", "pdcnn-conv", "pdcnn-fc", "pdcnn-fc-conv", "wac-kernel")
WHOLE = -1  # in the place of a class
Results = Sequence[Mapping[str, Any]]
OTHER = "Choose another -o, or delete this file"


def answered(
    path: Path,
    question: Mapping[str, Any],
    data: DataConfig | None = None,
    marks: Collection[str] = ("metrics", "study", "config"),
    remedy: str = OTHER,
) -> bool:
    """Whether a file already answers a question, before the work; where there is none, one can be written.

    Args:
        question: what decides the answer, under the file's names for it, such as `study`, `seed`, `config`.
        data: the dataset as it is here; its descriptions belong to the question (see `edition`).
        marks: fields that every file of this kind has.
        remedy: what to do about a file that answers another question.

    Raises:
        N3Error: the file is of another kind or answers another question, or none can be written there.
    """
    path = Path(path)
    if path.is_dir() or not path.exists():
        check_writable(path)
        return False
    found = read_json(path)
    if not isinstance(found, dict) or not found.keys() >= set(marks):
        raise N3Error(f"{path} is there already and holds something else", remedy)
    if differs := difference(found, {**question, **(edition(data) if data else {})}):
        raise N3Error(f"{path} is there already and belongs to another question: {differs}", remedy)
    return True


def edition(data: DataConfig) -> dict[str, Any]:
    """The part of a question that identifies the descriptions of a dataset of photographs: their hash.

    Empty for generated data, whose texts follow from the settings, and where no folder is named.

    Raises:
        N3Error: there is no such dataset, or its descriptions cannot be read.
    """
    if data.name in GENERATED or not data.root:
        return {}
    from n3lib.data.photographs.source import read_all_texts

    source, root = find_source(data.name), Path(data.root)
    digest = read_all_texts(source, root, source.index(root), data.text or None, data.also)[1]
    return {"environment": {"data_hashes": {"text": digest}}}


def write_result(path: Path, result: Any) -> None:
    """Write a result as JSON; where that fails, print it, since measuring it again takes long.

    Absolute paths in it become DIR/NAME: where a file lay decides no number.

    Raises:
        N3Error: it cannot be written, such as on a full disk, or a number in it is not finite.
    """
    result = _anywhere(result)
    try:
        write_json(path, result, by_field=True)  # numbers of many classes, on few lines
    except (OSError, N3Error) as error:
        tell(json.dumps(result))
        problem = getattr(error, "problem", f"{path} cannot be written: {getattr(error, 'strerror', '')}")
        raise N3Error(problem, "The result is printed instead: keep it") from None


def _anywhere(value: Any) -> Any:
    """The value without the folders of absolute paths."""
    if isinstance(value, str):
        return _FOLDERS.sub("DIR/", value)
    if isinstance(value, Mapping):
        return {name: _anywhere(one) for name, one in value.items()}
    return [_anywhere(one) for one in value] if isinstance(value, list | tuple) else value


_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/'\",]+/)+")


def load_results(folder: str | Path, **filters: Any) -> list[dict[str, Any]]:
    """The results in a folder and below it whose fields have these values, in order of path.

    A filter is a value or a tuple of values, such as `dataset="aviary", ways=(20, 40)`.

    Raises:
        N3Error: a file is not a result.
    """
    found = []
    for path in sorted(expand(folder).rglob("*.json")):
        result = read_json(path)
        if not isinstance(result, dict) or "metrics" not in result:
            raise N3Error(f"{path} is not a result", "Move it out of the folder of results")
        wanted = {name: v if isinstance(v, tuple) else (v,) for name, v in filters.items()}
        if all(result.get(name) in values for name, values in wanted.items()):
            found.append(result)
    return found


def mean_and_spread(values: Iterable[float]) -> str:
    """Mean and, from two values on, sample standard deviation; empty for none. NaN is no value."""
    found = pd.Series(list(values), dtype=float).dropna()
    if found.empty:
        return ""
    mean = f"{found.mean():z.1f}"  # no -0.0
    return f"{mean} ± {found.std():.1f}" if len(found) > 1 else mean


class Interval(NamedTuple):
    """A mean in percent or points, and the ends of its interval, which are NaN where there is none."""

    mean: float
    low: float = math.nan
    high: float = math.nan

    def text(self, sign: str = "") -> str:
        """Such as `32.3 (25.7 to 39.3)`, or with the sign `+`, `+2.6 (-0.3 to +5.3)`."""
        mean, low, high = (f"{value:{sign}z.1f}" for value in self)  # no -0.0
        return mean if math.isnan(self.low) else f"{mean} ({low} to {high})"


def interval(own: Results, other: Results | None = None, level: float = 95.0) -> Interval | None:
    """Mean per-class accuracy of results in percent, or their lead over `other` ones in points.

    The interval, of `level` percent, is over classes and seeds, with one seed over classes alone. Both are
    drawn with replacement, each by itself, 2,000 times; a class counts in all of its tasks; the ends are
    percentiles (the pigeonhole bootstrap: Owen, 2007, Annals of Applied Statistics 1). It counts up to three
    times what a seed makes of a class, and too little of what few seeds differ by: from two seeds on, it is
    scaled to the variance of the two-way layout, with its t quantile. A lead is paired by seed, task and
    class; results that are `deterministic` are the same with every seed of the others.

    Trainings that diverged are left out. Without `per_class` there is a mean alone; None for no results.
    """
    rows = accuracies(own, other)
    if rows.empty:
        return None
    rows["sum"] = rows["mean"] * rows["size"]
    cells = rows.groupby(["seed", "class"])[["sum", "size"]].sum().unstack(fill_value=0)
    sums, sizes = cells["sum"].to_numpy(), cells["size"].to_numpy()  # (seeds, classes)
    mean = sums.sum() / sizes.sum()
    if WHOLE in cells["sum"]:
        return Interval(mean)
    seeds, classes = (_draws(count) for count in sums.shape)
    with np.errstate(invalid="ignore"):  # few classes, none of which was in a task of the seeds drawn
        means = ((seeds @ sums) * classes).sum(1) / ((seeds @ sizes) * classes).sum(1)
    means = means[np.isfinite(means)] - mean
    if min(sums.shape) > 1 and (drawn := means.std()) > 1e-9:
        means *= _error((sums - mean * sizes) / sizes.mean()) / drawn
    return Interval(mean, *(mean + np.percentile(means, (50 - level / 2, 50 + level / 2))).tolist())


def _error(parts: Float64[np.ndarray, "S C"]) -> float:
    """Standard error of the mean of a two-way layout, which is 0, for use with the quantiles of a normal one.

    Components are by the method of moments, none below 0; their degrees of freedom are Satterthwaite's.
    """
    of_seeds, of_classes = parts.mean(1), parts.mean(0)
    freedom = [len(of_seeds) - 1, len(of_classes) - 1]
    rest = parts - of_seeds[:, None] - of_classes
    both = np.square(rest).sum() / math.prod(freedom) / parts.size
    found = [max(0.0, mean.var(ddof=1) / len(mean) - both) for mean in (of_seeds, of_classes)] + [both]
    uncertain = sum(v**2 / n for v, n in zip(found, [*freedom, math.prod(freedom)], strict=True))
    return math.sqrt(sum(found)) * t.ppf(0.975, sum(found) ** 2 / uncertain) / norm.ppf(0.975)


def accuracies(own: Results, other: Results | None = None) -> pd.DataFrame:
    """Accuracy or its lead by seed, task (its classes) and class: `mean`, and `size`, the measurements.

    Where a result has no `per_class`, by seed alone; the class is then `WHOLE`.
    """
    sides = [[r for r in side if r["metrics"]] for side in (own, other) if side is not None]
    by_class = all(r.get("per_class") for side in sides for r in side)
    rows, *others = (_rows(side, sides[-1 - k], by_class) for k, side in enumerate(sides))
    for less in others:
        rows = rows.join(less.add_prefix("other "), how="inner")
        rows["mean"] -= rows.pop("other mean")
        rows["size"] = np.minimum(rows["size"], rows.pop("other size"))
    return rows


def _rows(results: Results, others: Results, by_class: bool) -> pd.DataFrame:
    """The `accuracies` of one side; deterministic ones also with the seeds of the other side."""
    if results and all(map(deterministic, results)):
        lacking = {r["seed"] for r in others} - {r["seed"] for r in results}
        results = [*results, *({**results[0], "seed": seed} for seed in lacking)]
    found = []
    for result in results:
        whole = {"classes": [WHOLE], "accuracy": [result["metrics"]["per_class_accuracy"]]}
        for task in result["per_class"] if by_class else [whole]:
            name = " ".join(map(str, sorted(task["classes"])))
            pairs = zip(task["classes"], task["accuracy"], strict=True)
            found += [(result["seed"], name, *pair) for pair in pairs]
    table = pd.DataFrame(found, columns=["seed", "task", "class", "accuracy"])
    return table.groupby(["seed", "task", "class"])["accuracy"].agg(["mean", "size"])


@cache
def _draws(count: int) -> Int[np.ndarray, "R n"]:
    """How often each of so many is drawn, where as many are drawn with replacement."""
    return np.random.default_rng([31, count]).multinomial(count, np.full(count, 1 / count), 2000)


def deterministic(result: Mapping[str, Any]) -> bool:
    """Whether every seed gives this result: a method that draws nothing, or a network that is not trained."""
    if "hyperparameters" in result:
        return result["method"] not in RANDOM
    return not result.get("config", {}).get("train", {}).get("steps", 1)


def summary(per_class: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The `metrics` and `per_class` of a result, from the accuracies of tasks of one size."""
    mean = float(np.mean([task["accuracy"] for task in per_class]))
    return {"metrics": {METRICS[0]: mean}, "per_class": per_class}


def accuracy_cell(results: Results, metric: str = METRICS[0]) -> str:
    """The mean of a metric over seeds, of accuracy its `interval`, and the number of diverged trainings."""
    found = [r["metrics"][metric] for r in results if r["metrics"]]
    gone = len(results) - len(found)
    diverged = f"{gone} diverged" if found or gone > 1 else "diverged"
    mean = interval(results) if metric == METRICS[0] else Interval(sum(found) / max(len(found), 1))
    return ", ".join(filter(None, [mean.text() if mean and found else "", diverged if gone else ""]))


def lead(own: Results, other: Results) -> str:
    """Points by which results are ahead of others, with their `interval`; empty where nothing is paired."""
    found = interval(own, other)
    return found.text("+") if found else ""


class Markup(str):
    """Text that is Markdown already; a table shows it as it is."""


def escape(text: str) -> Markup:
    """Markdown, in one line, that reads as this text, also in a cell of a table.

    It holds in CommonMark, on GitHub, in JupyterLab and in Jupyter Book. JupyterLab looks for mathematics
    before it reads Markdown and once more in the page that comes of it, where no backslash protects a `$`: an
    element of its own does.
    """
    line = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    return Markup(_MARKDOWN.sub(lambda found: _ESCAPED.get(found[0], "\\" + found[0]), line))


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# An underscore within a word, as in `per_class`, marks nothing.
_MARKDOWN = re.compile(r"[\\$|`*\[~<]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
_ESCAPED = {"<": "&lt;", "&": "&amp;", "$": "<span>&#36;</span>", "\\": "<span>&#92;</span>"}


class Table:
    """Cells of text under a head; a notebook shows them as a table, `print` as Markdown.

    Text is shown as it is written, except that `Markup` is Markdown, as is the `note` below the table. The
    attribute `frame` has the cells as a data frame, to filter or to sort.
    """

    def __init__(self, head: Iterable[str], rows: Iterable[Iterable[str]], note: str = "") -> None:
        columns = pd.Index(list(head), dtype=object)
        self.frame = pd.DataFrame(list(map(list, rows)), columns=columns, dtype=object)
        self.note = note

    @property
    def head(self) -> list[str]:
        return list(self.frame.columns)

    @property
    def rows(self) -> list[list[str]]:
        return [list(row) for row in self.frame.itertuples(index=False)]

    def __str__(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        shown = [[cell if isinstance(cell, Markup) else escape(cell) for cell in line] for line in lines]
        text = "\n".join("| " + " | ".join(cell or " " for cell in line) + " |" for line in shown)
        return (text if self.rows else "") + (f"\n\n{self.note}" if self.note else "")

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return str(self).replace(" ± ", "\u00a0±\u00a0")  # a mean stays in one line with its spread


def table(
    results: Results,
    rows: Sequence[str] = ("method",),
    columns: Sequence[str] = METRICS,
    note: str = "",
) -> Table:
    """Results side by side: the mean over seeds, of accuracy with its `interval`.

    `rows` are the fields whose values make a row of their own, `columns` metrics or numeric fields such as
    `chance`. Where there are no results, only the note is shown.
    """
    head = [f"{c.replace('_', ' ')} (%)" if c in (*METRICS, "chance") else c for c in (*rows, *columns)]
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for result in results:
        groups.setdefault(tuple(str(result.get(field, "")) for field in rows), []).append(result)
    cells = []
    for key, own in groups.items():
        means = [
            accuracy_cell(own, c) if c in METRICS else f"{fmean(r[c] for r in own):.1f}" for c in columns
        ]
        cells.append([*key, *means, str(len({r["seed"] for r in own}))])
    return Table([*head, "seeds"], cells, note)
