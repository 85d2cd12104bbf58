"""Descriptions of classes from Wikipedia, as in section 4.1 of the paper.

The paper takes the section "Description" of each class's article, and text found by hand where there is none.
`describe` does the same and writes one JSON file, which `n3lib.data.texts.read_texts` reads:

    {"Blue Jay": {"title": "Blue jay", "url": "https://en.wikipedia.org/wiki/Blue_jay", "revision": 1234567,
                  "license": "CC BY-SA 4.0", "section": "Description", "by": "name",
                  "asked": {"section": "Description", "title": ""}, "sentences": ["...", ...]}, ...}

`by` says how the article was found: `title` (it was given), `name` (by the class name) or `search`. A class
that has nothing of the kind in the file was written by hand, and is left as it is.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from n3lib.data.names import ClassNames, human_name
from n3lib.data.texts import read_some_texts
from n3lib.data.wikipedia.articles import look_up, spaced, usable_title
from n3lib.data.wikipedia.network import Courteous, make_client
from n3lib.io import N3Error, read_json, write_json, writing


@dataclass(frozen=True)
class Collected:
    """What `describe` brought together in the file `path`.

    Attributes:
        found: classes described from Wikipedia, now or earlier.
        filled: classes whose text was written by hand.
        missing: classes without text, and why.
        searched: by class, the articles that were found by searching: to be checked.
    """

    path: Path
    found: tuple[str, ...]
    filled: tuple[str, ...]
    missing: dict[str, str] = field(default_factory=dict)
    searched: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        guesses = ", ".join(f"{name} -> {title}" for name, title in self.searched.items())
        checked = f". Found by searching, to be checked: {guesses}" if guesses else ""
        return f"{self.path}: {len(self.found)} from Wikipedia, {len(self.filled)} by hand{checked}"

    def require_all(self) -> None:
        """Raise an N3Error with the classes that are missing, why, and what to do."""
        if self.missing:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.missing.items())
            file = 'in a JSON file {"class": "text", ...} and give it as fill; what was collected is kept'
            remedy = f"Name the right articles as titles, or write these texts {file}"
            raise N3Error(f"{len(self.missing)} without text: {reasons}", remedy)


def describe(
    classes: Sequence[str],
    path: Path,
    section: str = "Description",
    titles: Mapping[str, str] = {},
    fill: Path | None = None,
    contact: str = "",
) -> Collected:
    """Collect one description for each class from Wikipedia, and write them to `path`.

    An article is looked for under its given title, else under the titles of `articles.candidates` and by
    searching. The file is written after every class: call again after an interruption, and only what is
    missing is asked for. Another section, or another title for a class, is asked for anew.

    Args:
        classes: official names or for people (`human_name`); the file has the latter.
        section: heading of the section to take, with what is below it. Without one of that name, a longer
            heading that has it is taken ("Description and ecology"); instead of "Description", also one of
            `sections.ALIKE`. "all" takes the article without its references and lists of links.
        titles: articles by class in any spelling, such as `TITLES["cub"]`; of two for one class the last
            counts, other classes in it do nothing.
        fill: a JSON file (see `n3lib.data.texts`) with texts for some classes, which are not looked up then.
        contact: an e-mail address or web page, which Wikipedia wishes to know of every program.

    Raises:
        N3Error: `path` or `fill` is not such a file, a title cannot be one, or Wikipedia does not answer.
    """
    names = [human_name(name) for name in classes]
    if not names or len(set(names)) < len(names) or not all(map(spaced, names)):
        raise N3Error("the class names are not different from each other, or there are none", "Correct them")
    known = ClassNames(names)
    given = {known.find(name): usable_title(name, title) for name, title in titles.items()}
    asked = {name: {"section": section, "title": given.get(i, "")} for i, name in enumerate(names)}
    if not section.strip():
        raise N3Error("no section is named", 'Name one, such as "Description", or "all"')

    entries: dict[str, Any] = {}
    if path.exists():
        held = read_json(path)
        if not isinstance(held, dict):
            raise N3Error(f"{path} holds no descriptions", "Name another file")
        entries = {names[i]: held[key] for key, i in known.match(held, path).items() if _says(held[key])}
    if fill is not None:
        entries |= {name: list(text) for name, text in read_some_texts(fill, names).items()}
    _write(path, names, entries)  # before anything is asked: a file that cannot be written shows now
    questions = {
        name: entry["asked"]
        for name, entry in entries.items()
        if isinstance(entry, dict) and {"asked", "by", "title"} <= entry.keys()
    }
    by_hand = entries.keys() - questions.keys()
    todo = [name for name in names if name not in by_hand and questions.get(name) != asked[name]]

    missing: dict[str, str] = {}
    with closing(Courteous()) as transport:
        wiki = make_client(transport, contact)
        for name in tqdm(todo, desc="Wikipedia", disable=None):
            entry = look_up(wiki, name, asked[name])
            if isinstance(entry, str):
                missing[name] = entry
                entries.pop(name, None)
            else:
                entries[name] = entry
            _write(path, names, entries)
    found = [name for name in names if name in entries and name not in by_hand]
    filled = tuple(name for name in names if name in by_hand)
    searched = {name: entries[name]["title"] for name in found if entries[name]["by"] == "search"}
    return Collected(path, tuple(found), filled, missing, searched)


def read_titles(path: Path, classes: Sequence[str]) -> dict[str, str]:
    """Read a JSON file `{"class": "title of its article"}` about some of the classes.

    Raises:
        N3Error: it is not such a file, or names a class twice or one that is not in `classes`.
    """
    titles = read_json(path)
    if not isinstance(titles, dict) or not all(isinstance(title, str) for title in titles.values()):
        raise N3Error(f"{path} holds no titles", 'Write {"class": "title of its article"}')
    ClassNames(classes).match(titles, path)
    return titles


def _says(entry: Any) -> bool:
    """Whether an entry has any text."""
    text = entry.get("sentences") if isinstance(entry, dict) else entry
    return bool(text.strip() if isinstance(text, str) else text)


def _write(path: Path, names: Sequence[str], entries: Mapping[str, Any]) -> None:
    with writing(path, "Choose a writable folder"):
        write_json(path, {name: entries[name] for name in names if name in entries})
