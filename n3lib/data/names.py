"""Class names, as datasets and people spell them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from n3lib.io import N3Error

_APOSTROPHES = re.compile(r"['’‘ʼ`´]")
_POSSESSIVE = re.compile(rf"{_APOSTROPHES.pattern}s\b")
_SEPARATORS = re.compile(r"[\s_+\-‐‑‒–—―−]+")


def human_name(official: str) -> str:
    """A class name for people: `grizzly bear` for `grizzly+bear`, `Blue Jay` for `073.Blue_Jay`."""
    return re.sub(r"^\d+\.", "", official).replace("_", " ").replace("+", " ").strip()


def class_name(name: str) -> str:
    """A class name as networks keep it: white space tidied, Unicode composed (NFC), surrogates escaped."""
    whole = name.encode("utf-8", "backslashreplace").decode()
    return " ".join(unicodedata.normalize("NFC", whole).split())


def normal_name(name: str) -> str:
    """The form that all spellings of a class name share, in case, separators, number and Unicode."""
    folded = unicodedata.normalize("NFC", human_name(name).casefold())
    return _SEPARATORS.sub(" ", _APOSTROPHES.sub("", folded)).strip()


class ClassNames:
    """Finds classes, given by names official or for people, by any spelling; the index is the class id.

    Where two classes have one normal form, each is known by its exact name alone.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._exact = _unique(map(human_name, classes)) | _unique(classes)
        self._normal = _unique(map(normal_name, classes))
        self._people = {normal_name(name): human_name(name) for name in classes}

    def find(self, name: str) -> int | None:
        """The class id of a name, or None."""
        found = self._exact.get(name, self._normal.get(normal_name(name)))
        # CUB's Brewer Blackbird is Brewer's, and its Forsters Tern Forster's.
        return self._normal.get(normal_name(_POSSESSIVE.sub("", name))) if found is None else found

    def match(
        self, names: Iterable[str], path: Path | str, remedy: str = "Correct or remove these names"
    ) -> dict[str, int]:
        """The class id of each of the names that stand in a file; the `remedy` is for those of no class.

        Raises:
            N3Error: two of them mean one class, or some mean none; these are listed with those spelled alike.
        """
        ids = {name: self.find(name) for name in names}
        if unknown := [self._unknown(name) for name, place in ids.items() if place is None]:
            count = f"{len(unknown)} {'name' if len(unknown) == 1 else 'names'}"
            what = f"{path}: {count} of no class: {', '.join(unknown)}"
            raise N3Error(what, remedy)
        found = {name: place for name, place in ids.items() if place is not None}
        first: dict[int, str] = {}
        for name, place in found.items():
            if (other := first.setdefault(place, name)) != name:
                raise N3Error(f"{path}: one class twice, as {other!r} and {name!r}", "Keep one of them")
        return found

    def _unknown(self, name: str) -> str:
        alike = [self._people[one] for one in get_close_matches(normal_name(name), self._people)]
        return f"{name!r} (like {', '.join(alike)})" if alike else repr(name)


def _unique(names: Iterable[str]) -> dict[str, int]:
    """The places of the names that stand there once."""
    names = list(names)
    count = Counter(names)
    return {name: place for place, name in enumerate(names) if count[name] == 1}
