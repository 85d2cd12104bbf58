"""Results, one JSON file each: written without loss, shown as tables.

Two measurements can come to one file, such as `n3 study mu` with its settings and with others. A file answers
a question only if everything that decides its numbers is the same in both.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from n3lib.config import difference
from n3lib.data import GENERATED, DataConfig, find_source
from n3lib.io import N3Error, check_writable, expand, read_json, tell, write_json

METRICS = ("per_class_accuracy", "top5", "average_precision")
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
    from n3lib.data.photographs.source import read_text

    source, root = find_source(data.name), Path(data.root)
    digest = read_text(source, root, source.index(root), data.text or None)[1]
    return {"environment": {"data_hashes": {"text": digest}}}


def write_result(path: Path, result: Any) -> None:
    """Write a result as JSON; where that fails, print it, since measuring it again takes long.

    Raises:
        N3Error: it cannot be written, such as on a full disk, or a number in it is not finite.
    """
    try:
        write_json(path, result)
    except (OSError, N3Error) as error:
        tell(json.dumps(result))
        problem = getattr(error, "problem", f"{path} cannot be written: {getattr(error, 'strerror', '')}")
        raise N3Error(problem, "The result is printed instead: keep it") from None


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


def accuracies(results: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """Seed to per-class accuracy in percent; a training that diverged has none."""
    return {r["seed"]: r["metrics"]["per_class_accuracy"] for r in results if r["metrics"]}


def lead(own: Iterable[Mapping[str, Any]], other: Iterable[Mapping[str, Any]]) -> str:
    """Points by which results are ahead of others, paired by seed, as `mean_and_spread` of the pairs."""
    return mean_and_spread(pd.Series(accuracies(own)).sub(pd.Series(accuracies(other))))


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
    results: Sequence[Mapping[str, Any]],
    rows: Sequence[str] = ("method",),
    columns: Sequence[str] = METRICS,
    note: str = "",
) -> Table:
    """Results side by side: the mean over seeds and, from two seeds on, their standard deviation.

    `rows` are the fields whose values make a row of their own, `columns` metrics or numeric fields such as
    `chance`. Where there are no results, only the note is shown.
    """
    head = [f"{c.replace('_', ' ')} (%)" if c in (*METRICS, "chance") else c for c in (*rows, *columns)]
    keys = [tuple(str(result.get(field, "")) for field in rows) for result in results]
    values = pd.DataFrame([{**result, **result["metrics"]} for result in results])
    cells = []
    for key, group in values.groupby(pd.Series(keys), sort=False):
        means = [mean_and_spread(group[c]) if c in METRICS else f"{group[c].mean():.1f}" for c in columns]
        cells.append([*key, *means, str(group["seed"].nunique())])
    return Table([*head, "seeds"], cells, note)
