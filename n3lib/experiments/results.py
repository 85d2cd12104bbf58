"""Results as `n3lib.evaluate` writes them, one JSON each, and tables of them."""

import re
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from n3lib.io.errors import N3Error
from n3lib.io.files import expand, read_json

METRICS = ("per_class_accuracy", "top5", "average_precision")


class Markup(str):
    """Text that is Markdown already; a table shows it as it is."""


def escape(text: str) -> Markup:
    """Markdown, in one line, that reads as this text, also in a cell of a table.

    It holds in CommonMark, on GitHub, in JupyterLab and in Jupyter Book. JupyterLab looks for mathematics
    before it reads Markdown and once more in the page that comes of it, where no backslash protects a `$`: an
    element of its own does.
    """
    line = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    return Markup(_MARKS.sub(lambda found: _ESCAPED.get(found[0], "\\" + found[0]), line))


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# An underscore within a word, as in `per_class`, marks nothing.
_MARKS = re.compile(r"[\\$|`*\[~<]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
_ESCAPED = {"<": "&lt;", "&": "&amp;", "$": "<span>&#36;</span>", "\\": "<span>&#92;</span>"}


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; a notebook shows it as a table, `print` as Markdown.

    Attributes:
        head: one title a column.
        rows: one text a cell; shown as it is written, except that `Markup` is Markdown.
        note: Markdown below it; empty for none.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def __str__(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        text = "\n".join("| " + " | ".join(_shown(cell) or " " for cell in line) + " |" for line in lines)
        return (text if self.rows else "") + (f"\n\n{self.note}" if self.note else "")

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self).replace(" ± ", "\u00a0±\u00a0")  # a mean stays in one line with its spread


def _shown(cell: str) -> str:
    return cell if isinstance(cell, Markup) else escape(cell)


def load_results(folder: str | Path, **filters: Any) -> list[dict[str, Any]]:
    """The results in a folder and below it whose fields have these values, in order of path.

    Args:
        folder: of JSON files, itself or in folders of its own.
        filters: field to value, or to a tuple of values; such as `dataset="aviary", ways=(20, 40)`.

    Raises:
        N3Error: a file is no result.
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


def table(
    results: Sequence[Mapping[str, Any]],
    rows: Sequence[str] = ("method",),
    columns: Sequence[str] = METRICS,
    note: str = "",
) -> Table:
    """Results side by side: the mean over seeds and, from two seeds on, their standard deviation.

    Args:
        results: as `load_results` gives them.
        rows: fields that make a row of their own, in the order of the results.
        columns: metrics, or fields such as `chance`.
        note: shown below, and alone where there are no results.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for result in results:
        groups.setdefault(tuple(result.get(field, "") for field in rows), []).append(result)
    cells = []
    for key, members in groups.items():
        seeds = len({member.get("seed") for member in members})
        cells.append([*map(str, key), *(_cell(members, column) for column in columns), str(seeds)])
    heads = [f"{c.replace('_', ' ')} (%)" if c in (*METRICS, "chance") else c for c in (*rows, *columns)]
    return Table([*heads, "seeds"], cells, note)


def _cell(members: Sequence[Mapping[str, Any]], column: str) -> str:
    values = [m["metrics"].get(column, m.get(column)) for m in members]
    if any(value is None for value in values):
        return ""
    if isinstance(values[0], str):
        return ", ".join(sorted(set(values)))
    return mean_and_spread(values) if column in METRICS else f"{statistics.mean(values):.1f}"


def mean_and_spread(values: Collection[float]) -> str:
    """Mean and, from two values on, standard deviation; empty for none."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):z.1f}"  # no -0.0
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def accuracies(results: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """Seed to per-class accuracy in percent; a training that diverged has none."""
    return {r["seed"]: r["metrics"]["per_class_accuracy"] for r in results if r["metrics"]}


def lead(own: Iterable[Mapping[str, Any]], other: Iterable[Mapping[str, Any]]) -> str:
    """Points by which results are ahead of others, seed by seed, as `mean_and_spread` of what both have."""
    mine, others = accuracies(own), accuracies(other)
    return mean_and_spread([mine[seed] - others[seed] for seed in mine if seed in others])
