"""Faults on purpose. What a test injects, how often and what came of it goes into one table.

`make faults` sets N3_FAULTS to the file of that table; every test then injects many more.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from n3lib.config import RunConfig
from n3lib.io import N3Error, write_json
from n3lib.trainer import TrainConfig

FULL = os.environ.get("N3_FAULTS", "")


@pytest.fixture(scope="session")
def many() -> Callable[[int, int], int]:
    """How often: the first in the suite, the second in `make faults`."""
    return lambda few, full: full if FULL else few


@pytest.fixture(scope="session")
def _ledger() -> dict[tuple[str, str, str], dict[str, int]]:
    return {}


@pytest.fixture
def fault(_ledger: dict) -> Callable[..., None]:
    """Note a fault: `fault(part, what, outcome, lost=False)`; `lost` fails the test, after it is counted."""

    def note(part: str, what: str, outcome: str, lost: bool = False, times: int = 1) -> None:
        row = _ledger.setdefault((part, what, outcome), {"times": 0, "lost": 0})
        row["times"] += times
        row["lost"] += times * lost
        if FULL:
            rows = [
                dict(zip(("part", "fault", "outcome"), key, strict=True)) | n for key, n in _ledger.items()
            ]
            write_json(Path(FULL), {"faults": rows})
        assert not lost, f"{part}, {what}: something is lost"

    return note


@pytest.fixture(scope="session")
def refused() -> Callable[[Callable[[], Any]], bool]:
    """Whether a call is refused in one line with a remedy; any other error is a fault and passes through."""

    def is_refused(call: Callable[[], Any]) -> bool:
        try:
            call()
        except N3Error as error:
            assert "\n" not in str(error) and error.remedy
            return True
        return False

    return is_refused


class Nursery:
    """A process that has everything imported and forks one for each order."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("nursery.py"))]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __call__(self, task: str, copies: int = 1, **order: Any) -> dict[str, Any]:
        """What the child told, with the `signal` that ended it; of several copies, the list of all."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"task": task, "copies": copies, **order}) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        return told[0] if copies == 1 else {"all": told}

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture(scope="session")
def config(tiny_config: RunConfig) -> RunConfig:
    """Six steps with four checkpoints, the best of which is kept."""
    steps = TrainConfig(steps=6, lr=1e-2, warmup=1, every=2)
    return dataclasses.replace(tiny_config, train=steps, fit="train")
