"""Descriptions in the files that people have: a table, Markdown, a folder of text files."""

import csv
import os
import re
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

from n3lib.io import N3Error, printable
from n3lib.io.files import read_text

TABLES = {".csv": ",;\t", ".tsv": "\t"}  # and what may stand between the cells
MARKDOWN = (".md", ".markdown")
_NAMES, _TEXTS = {"name", "class", "label", "species"}, {"description", "text"}
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)[\s#]*$")
_MARKS = (
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), ""),  # an image
    (re.compile(r"\[([^\]]*)\]\([^)]*\)"), r"\1"),  # a link
    (re.compile(r"^\s*(?:[-*+>]|\d+[.)])\s+", re.MULTILINE), ""),  # an item of a list, a quotation
    (re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)"), ""),  # emphasis
)


def read_listed(path: Path) -> dict[str, str]:
    """Running text by class name, from a CSV or TSV table, Markdown with a heading per class, or a folder.

    Lines of a table about the same class add up. In a folder, every `.txt` file and every Markdown file is
    the description of the class that it is called after.

    Raises:
        N3Error: it cannot be read, or has no descriptions in such a form.
    """
    if os.path.isdir(path):
        pairs = _files(path)
    else:
        pairs = _rows(path) if path.suffix.lower() in TABLES else _sections(path)
    found: dict[str, str] = {}
    for name, text in pairs:
        found[name] = "\n".join(filter(None, [found.get(name), text]))
    return found


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".txt", *MARKDOWN) and p.is_file())
    if not paths:
        raise N3Error(f"{folder} holds no .txt file", "Give each class one, called after it")
    for path in paths:
        yield printable(path.stem.replace("_", " ")), _plain(read_text(path))


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    lines, tables = read_text(path).splitlines(keepends=True), []
    for between in TABLES[path.suffix.lower()]:
        try:
            rows = [row for row in csv.reader(lines, delimiter=between) if any(row)]
        except csv.Error as error:
            raise N3Error(f"{path} is no table: {error}", "Save it as CSV again") from None
        head = [cell.strip().casefold() for cell in rows[0]] if rows else []
        names = [k for k, cell in enumerate(head) if cell in _NAMES]
        tables.append((bool(names) or all(len(row) == 2 for row in rows), names, head, rows))
    _, names, head, rows = next(filter(itemgetter(0), tables), tables[0])
    texts = [k for k, cell in enumerate(head) if cell in _TEXTS] if names else [1]
    if not texts:
        raise N3Error(f"{path} has no column of descriptions", "Call it `description`")
    columns = ([*names, 0][0], texts[0])
    for number, row in enumerate(rows[bool(names) :], 1 + bool(names)):
        if len(row) <= max(columns) or (not names and len(row) > 2):
            problem = f"{path}: row {number} has {len(row)} cells, not a name and a description"
            remedy = "Put text with commas into quotes, and call the columns `name` and `description`"
            raise N3Error(problem, remedy)
        yield row[columns[0]], row[columns[1]]


def _sections(path: Path) -> Iterator[tuple[str, str]]:
    name, level, lines, found = "", 0, list[str](), list[tuple[str, str]]()
    for line in [*read_text(path).splitlines(), "# "]:
        if heading := _HEADING.match(line):
            text, deeper = _plain("\n".join(lines)), len(heading[1]) > level
            if text and not name:
                raise N3Error(
                    f"{path} begins with text of no class", "Write the class's name above it: # Blue Jay"
                )
            # One without text stands above others, or it is a class that is not described.
            found += [(name, text)] if text or (name and not deeper) else []
            name, level, lines = _plain(heading[2]), len(heading[1]), []
        else:
            lines.append(line)
    yield from found


def _plain(text: str) -> str:
    for mark, instead in _MARKS:
        text = mark.sub(instead, text)
    return text.strip()
