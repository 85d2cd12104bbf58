"""The one error a user is meant to see: what is wrong, where, and how to mend it, in one printable line."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import TypeVar

# Embeddings, overrides and isolates: they turn around the text that follows.
_TURNS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def printable(text: object) -> str:
    """`text` as one line that is safe to print: what steers a console, and bytes not of UTF-8, are escaped.

    All scripts, with their joiners and combining marks, are left.
    """
    return "".join(c.encode("unicode_escape").decode() if _steers(c) else c for c in str(text))


def _steers(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _TURNS


T = TypeVar("T")


class N3Error(Exception):
    """Bad input, reported in one line.

    Args:
        problem: what is wrong and where, naming the file, class or setting.
        remedy: what the reader can do about it.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        # Errors of other libraries, quoted in a problem, may run over several lines.
        problem, remedy = (printable(" ".join(text.splitlines())) for text in (problem, remedy))
        self.problem, self.remedy = problem.rstrip("."), remedy.rstrip(".")
        super().__init__(f"{self.problem}. {self.remedy}." if remedy else f"{self.problem}.")


class Diverged(N3Error):
    """A training whose loss or gradient is no longer finite: a search goes on without it."""


def choose(name: str, known: Mapping[str, T], what: str) -> T:
    """`known[name]`, or an `N3Error` that lists the names; it begins with `what`, as `there is no table`."""
    if name not in known:
        raise N3Error(f"{what} {name!r}", f"Use one of {', '.join(known)}")
    return known[name]


def choose_all(names: Iterable[str], known: Mapping[str, T], what: str) -> dict[str, T]:
    """Some of `known`, each as `choose` gives it; all of it where no name is given."""
    return {name: choose(name, known, what) for name in names} or dict(known)
