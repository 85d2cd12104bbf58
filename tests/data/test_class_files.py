"""Descriptions in tables, Markdown and folders are those of the same text in JSON."""

import json
from pathlib import Path

import pytest

from n3lib.data.texts import read_classes
from n3lib.io import N3Error

CLASSES = {"Blue Jay": ("A blue bird, with a crest.", "It is noisy."), "House Wren": ("A small brown bird.",)}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        'Blue Jay,"A blue bird, with a crest. It is noisy."\nHouse Wren,A small brown bird.\n',
        'name,description\nBlue Jay,"A blue bird, with a crest."\n\nHouse Wren,A small brown bird.\n'
        "Blue Jay,It is noisy.\n",
        "Blue Jay;A blue bird, with a crest. It is noisy.\nHouse Wren;A small brown bird.\n",
        'Id;Description;Class\n7;"A blue bird, with a crest.\nIt is noisy.";Blue Jay\n'
        "8;A small brown bird.;House Wren\n",
    ],
    ids=["two columns", "several rows of a class", "semicolons", "columns by name"],
)
def test_a_table(text: str, tmp_path: Path) -> None:
    assert read_classes(write(tmp_path / "a.csv", text)) == CLASSES


def test_a_table_between_tabs(tmp_path: Path) -> None:
    text = "Blue Jay\tA blue bird, with a crest. It is noisy.\nHouse Wren\tA small brown bird.\n"
    assert read_classes(write(tmp_path / "a.TSV", text)) == CLASSES


def test_markdown(tmp_path: Path) -> None:
    text = """# Birds of my garden

## Blue Jay

A **blue** bird, with a [crest](https://example.org/crest).

- It is _noisy_.

![a wren](wren.jpg)

House Wren is no heading here: snake_case stays.
## *House Wren* ##
1. A small brown bird.
"""
    found = read_classes(write(tmp_path / "birds.md", text))
    assert found["House Wren"] == CLASSES["House Wren"]
    more = "House Wren is no heading here: snake_case stays."
    assert found["Blue Jay"] == (*CLASSES["Blue Jay"], more)


def test_a_folder_with_a_file_for_each_class(tmp_path: Path) -> None:
    write(tmp_path / "Blue_Jay.txt", "A blue bird, with a crest.\nIt is noisy.")
    write(tmp_path / "House Wren.md", "A *small* brown bird.")
    write(tmp_path / "notes.doc", "nothing")
    (tmp_path / "more.txt").mkdir()
    assert read_classes(tmp_path) == CLASSES


def test_descriptors_as_they_are_published(tmp_path: Path) -> None:
    listed = {"Blue Jay": ["a blue crest", "a black necklace"], "House Wren": ["a short tail"]}
    assert read_classes(write(tmp_path / "a.json", json.dumps(listed))) == {
        k: tuple(v) for k, v in listed.items()
    }


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", "", "two classes"),
        ("a.csv", "name,description\n", "two classes"),
        ("a.csv", "Blue Jay,A blue bird, with a crest.\n", "row 1"),
        ("a.csv", "Blue Jay\nHouse Wren\n", "row 1"),
        ("a.csv", "name,size\nBlue Jay,3\n", "description"),
        ("a.csv", "name,description\nBlue Jay\n", "row 2"),
        ("a.csv", "Blue Jay,A blue bird.\nHouse Wren,\n", "House Wren"),
        ("a.md", "A blue bird.", "no class"),
        ("a.md", "", "two classes"),
        ("a.md", "# Blue Jay\nblue\n", "two classes"),
        ("a.md", "# Birds\n## Blue Jay\nblue\n## House Wren\n## Robin\nred\n", "House Wren"),
        ("a.md", "## Blue Jay\nblue\n## House Wren\nsmall\n# Robin\n", "Robin"),
        ("a.txt", "Blue Jay: blue", "JSON"),
    ],
)
def test_what_has_another_form_is_named(name: str, text: str, told: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(N3Error, match=f"(?s){path.name}.*{told}"):
        read_classes(path)


def test_known_classes_need_no_text_in_any_form(tmp_path: Path) -> None:
    forms = {
        "a.csv": "name,description\nBlue Jay,\nRobin,red\n",
        "a.md": "# Birds\n## Blue Jay\n## Robin\nred\n",
        "a.json": '{"Blue Jay": "", "Robin": "red"}',
    }
    for name, text in forms.items():
        found = read_classes(write(tmp_path / name, text), known=["Cardinal", "Blue Jay"])
        assert found == {"Blue Jay": (), "Robin": ("red",)}


def test_a_folder_without_descriptions(tmp_path: Path) -> None:
    with pytest.raises(N3Error, match=".txt"):
        read_classes(tmp_path)
