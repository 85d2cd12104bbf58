"""The datasets, the splits and the pages of the guide."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from n3lib.book import overview
from n3lib.data import SOURCES
from n3lib.data.names import human_name
from n3lib.data.photographs.classes import CUB_NAMES
from n3lib.io import write_json


def rows(table: Any) -> dict[str, list[str]]:
    return {row[0]: list(row[1:]) for row in table.rows}


@pytest.fixture
def cub_lists(tmp_path: Path) -> Path:
    """CUB's lists with one image a class, which nobody opens here."""
    folder = tmp_path / "CUB_200_2011"
    folder.mkdir()
    files = {"classes": CUB_NAMES, "images": [f"{name}/1.jpg" for name in CUB_NAMES]}
    files["image_class_labels"] = [str(k) for k in range(1, 201)]
    for name, values in files.items():
        lines = [f"{number} {value}\n" for number, value in enumerate(values, 1)]
        (folder / f"{name}.txt").write_text("".join(lines))
    return tmp_path


def test_without_a_folder_all_is_missing_and_has_a_command() -> None:
    shown = rows(overview.datasets(None))
    assert shown.keys() == SOURCES.keys()
    assert shown["cub"][:3] == ["200", "11,788", "PS, SS, SCE, 160/40"]
    assert all(row[3:5] == ["missing", "missing"] for row in shown.values())
    assert shown["awa2"][5] == "`n3 data download awa2 --root DIR`"
    assert "--from" in shown["nabirds"][5]  # its publisher wants to be asked
    assert not overview.is_here("cub", None)


def test_texts_come_after_photographs(cub_lists: Path) -> None:
    shown = rows(overview.datasets(cub_lists))["cub"]
    assert shown[3:5] == ["present", "missing"]
    assert shown[5].startswith("`n3 data describe cub --root DIR --section all")
    assert not overview.is_here("cub", cub_lists)

    texts = {human_name(name): "A bird." for name in CUB_NAMES}
    write_json(cub_lists / "cub_wikipedia.json", texts)
    shown = rows(overview.datasets(cub_lists))
    assert shown["cub"][3:] == ["present", "present", ""]
    assert shown["cub2010"][3:5] == ["missing", "present"]  # the same birds in another edition
    assert overview.is_here("cub", cub_lists)


def test_unfit_texts_are_reported(cub_lists: Path) -> None:
    write_json(cub_lists / "cub_wikipedia.json", {"Blue Jay": "A bird."})
    table = overview.datasets(cub_lists)
    assert rows(table)["cub"][4] == "missing"
    assert "cub_wikipedia.json" in table.note


def test_every_split_has_its_numbers_and_its_origin() -> None:
    shown = overview.splits().rows
    names = {(s.name, split) for s in SOURCES.values() if s.name != "cub2010" for split in s.splits}
    assert {(row[0], row[1]) for row in shown} == names
    assert all(row[6] for row in shown)
    # Where the paper's Table 1 says something, the split agrees with it.
    assert all(row[5] in ("", " / ".join(row[2:5])) for row in shown)
    assert sum(bool(row[5]) for row in shown) == 8


def test_words_are_counted() -> None:
    assert overview.lengths([["A red cap.", "It sings."], ["Gray."]]) == [5, 1]


def test_a_page_for_each_class() -> None:
    images = np.zeros((2, 8, 8, 3), np.uint8)
    figure = overview.pages({"redcap": ["A red cap."], "other": ["Gray."] * 200}, images).figure
    assert [axis.texts[0].get_text() for axis in figure.axes if axis.texts] == ["redcap", "other"]
    assert max(len(axis.texts[1].get_text()) for axis in figure.axes if axis.texts) <= 620


def test_odd_names_and_texts_have_pages() -> None:
    images = np.zeros((3, 8, 8, 3), np.uint8)
    classes = {
        "$100 bill_or_$50": ["It costs $5 or $10."],
        "日本の鳥": ["鳥" * 500],
        "x" * 200: ["y\x00" * 500],
    }
    figure = overview.pages(classes, images).figure
    figure.draw_without_rendering()
    name, text = next(axis.texts for axis in figure.axes if axis.texts)
    assert (name.get_text(), text.get_text()) == ("$100 bill_or_$50", "It costs $5 or $10.")
