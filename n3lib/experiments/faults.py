"""What the tests of faults told: `make faults` writes it, the appendix of the book shows it."""

from pathlib import Path
from typing import Any

from n3lib.experiments.results import Table
from n3lib.io.files import read_json

RESULTS = Path(__file__).parents[2] / "results" / "faults.json"


def table(path: Path = RESULTS) -> Table:
    """Every fault: how often it was injected, what happened, and what was lost.

    Args:
        path: the JSON file of `make faults`.

    Raises:
        N3Error: there is none.
    """
    rows = [
        [f["part"], f["fault"], f"{f['times']:,}", f["outcome"], f"{f['lost']:,}" if f["lost"] else "nothing"]
        for f in _faults(path)
    ]
    return Table(["part", "fault", "times", "what happened", "what was lost"], rows)


def lost(path: Path = RESULTS) -> int:
    """How many of all faults lost anything."""
    return sum(fault["lost"] for fault in _faults(path))


def _faults(path: Path) -> list[dict[str, Any]]:
    return read_json(path)["faults"]
