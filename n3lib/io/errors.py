"""The one error a user is meant to see: what is wrong, where, and how to mend it."""

from collections.abc import Mapping
from typing import TypeVar

from n3lib.io.console import printable

T = TypeVar("T")


class N3Error(Exception):
    """Bad input, told in one line.

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
    """`known[name]`.

    Args:
        name: what somebody asked for.
        known: what there is.
        what: how the error begins, such as `there is no table`.

    Raises:
        N3Error: there is none of that name: the error lists the names.
    """
    if name not in known:
        raise N3Error(f"{what} {name!r}", f"Use one of {', '.join(known)}")
    return known[name]
