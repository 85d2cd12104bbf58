"""The one error a user is meant to see: what is wrong, where, and how to mend it."""

from n3lib.io.console import printable


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
