"""Training survives: whatever ends it, the same command goes on to bitwise the same weights."""

import dataclasses
import random
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from n3lib.config import RunConfig
from n3lib.io import sha256_file
from n3lib.io.checkpoint import checkpoints
from n3lib.io.errors import Diverged
from n3lib.io.files import PARTIAL
from n3lib.io.tensors import read_tensors
from n3lib.run import train
from n3lib.trainer import Progress, TrainConfig, read_metrics

SIGKILL = 9


@pytest.fixture(scope="module")
def whole(nursery: Callable[..., Any], config: RunConfig, tmp_path_factory: Any) -> dict[str, Any]:
    """The uninterrupted run: its weights, its log, how many file operations and seconds it takes."""
    nursery("open", kind="run", folder="none", mb=1)  # waits for the imports
    folder = tmp_path_factory.mktemp("whole") / "run"
    start = time.perf_counter()
    told = nursery("train", folder=str(folder), config=dataclasses.asdict(config))
    assert "weights" in told, told
    return told | {"folder": folder, "seconds": time.perf_counter() - start}


@pytest.fixture
def go(nursery: Callable[..., Any], config: RunConfig, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The one command, with something that ends it."""
    return lambda **how: nursery(
        "train", folder=str(tmp_path / "run"), config=dataclasses.asdict(config), **how
    )


def log(folder: Path) -> list[dict[str, Any]]:
    """The log without what depends on the clock."""
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in read_metrics(folder)]


def differs(folder: Path, told: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Whether the weights, the log or the files differ from those of the uninterrupted run."""
    names = [{path.name for path in f.iterdir()} for f in (folder, whole["folder"])]
    return (
        told.get("weights") != whole["weights"]
        or log(folder) != log(whole["folder"])
        # A stop between two checkpoints adds one, so that another of them is the last but one.
        or any({n for n in a if "checkpoint-" not in n} != {n for n in names[0] if "checkpoint-" not in n}
               for a in names)
    )  # fmt: skip


def test_killed_while_files_are_written(
    whole: dict, go: Callable, many: Callable, fault: Callable, tmp_path: Path
) -> None:
    operations = list(range(1, whole["operations"] + 1))
    picked = sorted(random.Random(0).sample(operations, many(3, 50)))
    for number in picked:
        folder = tmp_path / "run"
        assert go(dies_at=number)["signal"] == SIGKILL
        lost = differs(folder, go(), whole)
        fault("training", "SIGKILL at a file operation", "the same weights, bit for bit", lost)
        folder.rename(tmp_path / f"run {number}")


def test_killed_at_random_moments(
    whole: dict, go: Callable, many: Callable, fault: Callable, tmp_path: Path
) -> None:
    dice, number, left = random.Random(1), 0, many(2, 50)
    while left > 0:
        folder, killed = tmp_path / "run", 0
        for _ in range(1 + number % 3):  # up to three times in one run
            killed += go(dies_after=dice.uniform(0, 0.9 * whole["seconds"]))["signal"] == SIGKILL
        lost = differs(folder, go(), whole)
        fault("training", "SIGKILL at a random moment", "the same weights, bit for bit", lost, killed)
        folder.rename(tmp_path / f"run {number}")
        number, left = number + 1, left - killed


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_asked_to_stop_it_saves_and_stops(
    name: str, whole: dict, go: Callable, many: Callable, fault: Callable, tmp_path: Path
) -> None:
    for step in (3, 1, 2, 4, 5)[: many(1, 5)]:
        folder = tmp_path / "run"
        assert go(step=step, act=name)["stopped"]
        assert checkpoints(folder)[0].name == f"checkpoint-{step}.safetensors"
        lost = differs(folder, go(), whole)
        fault("training", f"{name}", "saved at that step; the same weights, bit for bit", lost)
        folder.rename(tmp_path / f"run {step}")


def test_a_full_disk_is_told_and_costs_nothing(
    whole: dict, go: Callable, many: Callable, fault: Callable, tmp_path: Path
) -> None:
    size = (whole["folder"] / "checkpoint-6.safetensors").stat().st_size
    for share in (0.5, 0.0, 0.3, 0.9, 0.99)[: many(1, 5)]:
        folder = tmp_path / "run"
        told = go(step=3, act="full", bytes=int(size * share))
        assert str(folder) in told["error"] and "large" in told["error"]
        assert "\n" not in told["error"]
        read_tensors(checkpoints(folder)[0])
        assert not list(folder.glob(f".*{PARTIAL}")), "what was begun is removed"
        lost = differs(folder, go(), whole)
        fault("training", "disk full while training writes", "one line; the last checkpoint is whole", lost)
        folder.rename(tmp_path / f"run {share}")


def test_a_damaged_checkpoint_is_passed_over(
    whole: dict, go: Callable, many: Callable, fault: Callable, tmp_path: Path
) -> None:
    dice, folder = random.Random(2), tmp_path / "run"

    def damage(path: Path, how: str) -> None:
        content = bytearray(path.read_bytes())
        if how == "one bit flipped":
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        path.write_bytes(content[: dice.randrange(len(content))] if how == "cut short" else content)

    go(step=5, act="SIGTERM")
    stopped = shutil.copytree(folder, tmp_path / "stopped")
    for how in ("one bit flipped", "cut short"):
        for number in range(many(1, 10)):
            shutil.copytree(stopped, folder, dirs_exist_ok=True)
            newest, before = checkpoints(folder)
            damage(newest, how)
            lost = differs(folder, go(), whole)
            fault("training", f"checkpoint {how}", "the one before is taken; the same weights", lost)
            folder.rename(tmp_path / f"{how} {number}")
    shutil.copytree(stopped, folder)
    for path in checkpoints(folder):
        damage(path, "cut short")
    assert "checkpoint-4" in go()["error"]
    fault("training", "both checkpoints damaged", "one line; nothing is trained over them")


def test_a_second_process_is_refused(
    whole: dict, nursery: Callable, config: RunConfig, fault: Callable, tmp_path: Path
) -> None:
    refused = []

    def watch(progress: Progress) -> None:
        told = nursery("train", folder=str(tmp_path / "run"), config=dataclasses.asdict(config))
        refused.append(told.get("error", ""))

    run = train(config, tmp_path / "run", watch)
    assert len(refused) == 6
    assert all(str(tmp_path / "run") in told for told in refused), refused
    told = {"weights": sha256_file(run.folder / "model.safetensors")}
    lost = differs(run.folder, told, whole)
    fault("training", "a second process on the run folder", "the second is refused", lost, len(refused))


def test_a_loss_that_is_not_finite_names_step_classes_and_checkpoint(
    config: RunConfig, fault: Callable, tmp_path: Path
) -> None:
    wild = dataclasses.replace(config, train=TrainConfig(steps=6, lr=1e30, warmup=0, every=6))
    with pytest.raises(Diverged, match=r"step \d.* classes \[[\d, ]+\]") as told:
        train(wild, tmp_path / "run")
    named = re.search(r"checkpoint is (\S+safetensors)", str(told.value))
    assert named and Path(named[1]) == checkpoints(tmp_path / "run")[0]
    assert "\n" not in str(told.value)
    state, _ = read_tensors(Path(named[1]))
    assert all(value.isfinite().all() for value in state.values())
    fault("training", "loss or gradient not finite", "stops; step, classes, checkpoint named")
