"""The table of faults, as the appendix shows it."""

from pathlib import Path

from n3lib.experiments import faults
from n3lib.io.files import write_json


def test_the_table_tells_what_was_lost(tmp_path: Path) -> None:
    row = {"part": "training", "fault": "SIGKILL", "outcome": "the same weights", "times": 1200, "lost": 0}
    write_json(tmp_path / "f.json", {"faults": [row, {**row, "fault": "fire", "lost": 3}]})
    shown = faults.table(tmp_path / "f.json")
    assert list(shown.rows[0]) == ["training", "SIGKILL", "1,200", "the same weights", "nothing"]
    assert shown.rows[1][-1] == "3" and faults.lost(tmp_path / "f.json") == 3


def test_the_committed_table_lost_nothing() -> None:
    assert faults.lost() == 0
    assert faults.table().rows
