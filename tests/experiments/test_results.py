"""Results from files, and tables of them."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from n3lib.experiments.results import Markup, Table, load_results, table
from n3lib.io.errors import N3Error
from n3lib.io.files import write_json


def result(seed: int, accuracy: float, **fields: Any) -> dict[str, Any]:
    metrics = {"per_class_accuracy": accuracy, "top5": 80.0, "average_precision": 50.0}
    return {
        "method": "n3",
        "dataset": "aviary",
        "ways": 20,
        "seed": seed,
        "chance": 5.0,
        "metrics": metrics,
        **fields,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_json(tmp_path / "a-0.json", result(0, 40.0))
    write_json(tmp_path / "a-1.json", result(1, 44.0))
    write_json(tmp_path / "b-0.json", result(0, 10.0, ways=40))
    return tmp_path


def test_results_are_chosen_by_their_fields(folder: Path) -> None:
    assert len(load_results(folder)) == 3
    assert [r["seed"] for r in load_results(folder, ways=20)] == [0, 1]
    assert len(load_results(folder, ways=(20, 40), seed=0)) == 2
    assert load_results(folder, dataset="cub") == load_results(folder / "nothing") == []


def test_another_json_file_is_refused_by_name(folder: Path) -> None:
    write_json(folder / "c.json", ["no result"])
    with pytest.raises(N3Error, match="c.json"):
        load_results(folder)


def test_a_table_has_mean_and_spread_over_seeds(folder: Path) -> None:
    shown = table(load_results(folder), ["method", "ways"], ["per_class_accuracy", "chance"])
    assert list(shown.head) == ["method", "ways", "per class accuracy (%)", "chance (%)", "seeds"]
    assert shown.rows == [["n3", "20", "42.0 ± 2.8", "5.0", "2"], ["n3", "40", "10.0", "5.0", "1"]]


def test_a_table_is_markdown() -> None:
    shown = Table(["a", "b"], [["1", ""]], note="So it is.")
    assert shown._repr_markdown_() == str(shown) == "| a | b |\n| --- | --- |\n| 1 |   |\n\nSo it is."


def test_an_empty_table_is_its_note() -> None:
    assert str(table([], note="Nothing yet.")).strip() == "Nothing yet."


def cells(markdown: str) -> tuple[list[str], set[str]]:
    """The texts of a table's cells as a Markdown reader shows them, and the elements that are in them."""
    reader = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])
    texts, elements = list[str](), set[str]()

    class Page(HTMLParser):
        def handle_starttag(self, tag: str, attributes: Any) -> None:
            if tag in ("th", "td"):
                texts.append("")
            elements.add(tag)

        def handle_data(self, data: str) -> None:
            if texts and data.strip("\n"):
                texts[-1] += data

    Page().feed(reader.render(markdown))
    return texts, elements - {"table", "thead", "tbody", "tr", "th", "td"}


ODD = [
    "$100 bill_or_$50", "a|b", r"a\|b", "<b>bold</b>", "<script>", "*", "**a**", "_a_", "per_class", "`a`",
    "a``b", "[a](b)", "![a](b)", "~~a~~", "&lt;", "&#36;", "Q&A", "C:\\new", "\\(x\\)", "\\$x\\$", "{a}`b`",
    "---", "# a", "1. a", "@@0@@", "日本の鳥", "طائر",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_a_cell_reads_as_its_text(text: str) -> None:
    shown = str(Table([text, "b"], [["1", text], [text, "2"]]))
    texts, elements = cells(shown)
    assert texts == [text, "b", "1", text, text, "2"] and elements <= {"span"}
    # What JupyterLab takes for mathematics, before and after it reads the Markdown.
    assert not re.search(r"\$|\\[{(\\]|\\begin", shown)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.lists(st.text(), min_size=2, max_size=4))
def test_any_text_stays_in_its_cell(row: list[str]) -> None:
    texts, elements = cells(Table(row, [row])._repr_markdown_())
    plain = [re.sub(r"[\x00-\x1f\x7f-\x9f]", "\ufffd", " ".join(text.split())) for text in row]
    assert [text.strip() for text in texts] == [*plain, *plain] and elements <= {"span"}


def test_line_breaks_and_control_characters_do_not_break_a_row() -> None:
    texts, _ = cells(str(Table(["a"], [["b\r\n| c |\u2028d\x1b[31m\ud83d"]])))
    assert texts == ["a", "b | c | d\ufffd[31m\ufffd"]


def test_markup_is_shown_as_it_is() -> None:
    shown = str(Table(["a"], [[Markup("`n3` **b**")]], note="`n3 study`"))
    assert shown.split("\n")[2:] == ["| `n3` **b** |", "", "`n3 study`"]
