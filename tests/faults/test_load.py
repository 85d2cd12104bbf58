"""Many networks, images and writers: nothing grows, nothing is lost. And the same seed is the same run."""

import dataclasses
import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from n3lib.backbone import BackboneConfig
from n3lib.config import RunConfig
from n3lib.data import load_data
from n3lib.run import Run
from n3lib.synthesis import classify, synthesize

MB = 2**20


def resident() -> int:
    """Bytes of memory that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.fixture(scope="module", autouse=True)
def _linux() -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("reads the memory in use from /proc")


def test_networks_leave_nothing_behind(tiny_run: Run, unseen: dict, many: Callable, fault: Callable) -> None:
    names, count = list(unseen), many(40, 1000)
    sizes = []
    for number in range(count):
        synthesize(tiny_run, {f"{name} {number}": unseen[name] for name in names})
        if number in (count // 2, count - 1):
            sizes.append(resident())
    # A network has 1.2 MB; the second half leaves less than that of each ten.
    grown = sizes[1] - sizes[0]
    fault(
        "load",
        "networks made in one process",
        "memory steady",
        grown > max(16 * MB, 0.12 * MB * count / 2),
        count,
    )


def test_images_leave_nothing_behind(
    tiny_run: Run, unseen: dict, many: Callable, fault: Callable, tmp_path: Path
) -> None:
    network, dice = synthesize(tiny_run, unseen), np.random.default_rng(0)
    paths = []
    for number in range(20):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(dice.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(paths[-1])
    first = classify(network, paths)
    rounds, sizes = many(300, 100_000) // len(paths), []
    for number in range(rounds):
        assert number % 50 or classify(network, paths) == first
        classify(network, paths, top=1)
        if number in (rounds // 2, rounds - 1):
            sizes.append(resident())
    images = rounds * len(paths)
    fault("load", "images classified in one process", "memory steady", sizes[1] - sizes[0] > 16 * MB, images)


@pytest.mark.parametrize("long", [300, 0])
def test_many_descriptions_take_little_memory(
    long: int, tiny_run: Run, nursery: Callable, many: Callable, fault: Callable
) -> None:
    """Padded to the longest, two thousand descriptions beside one of 300 sentences took 19 GB."""
    if long:
        what, classes, mb = "short descriptions beside one of 300 sentences", many(150, 2000), many(200, 2000)
    else:
        what, classes, mb = "descriptions in one network", many(150, 10_000), many(200, 4000)
    told = nursery("synthesize", folder=str(tiny_run.folder), classes=classes, long=long, mb=mb)
    lost = told != {"finite": True, "signal": 0}
    fault("load", what, "written within the memory limit", lost, classes)


def test_eight_writers_of_one_cache(
    nursery: Callable, many: Callable, fault: Callable, tmp_path: Path
) -> None:
    texts = many(20, 200)
    told = nursery("cache", copies=8, cache=str(tmp_path), texts=texts)["all"]
    assert len({one["sum"] for one in told}) == 1
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    again = nursery("cache", cache=str(tmp_path), texts=texts)
    lost = len(kept) != texts or again["sum"] != told[0]["sum"]
    fault("load", "entries of one cache written by 8 processes", "each there once and whole", lost, 8 * texts)


def test_the_same_seed_in_new_processes_and_with_other_threads(
    nursery: Callable, config: RunConfig, fault: Callable, tmp_path: Path
) -> None:
    # The network that is shipped: a random one amplifies rounding as no trained one does.
    config = dataclasses.replace(config, backbone=BackboneConfig())
    drawn = [
        nursery("draw", config=dataclasses.asdict(config), folder=str(tmp_path / folder), threads=threads)
        for folder, threads in (("a", 1), ("b", 1), ("a", 2), ("a", 4))  # the last two open the first run
    ]
    data = load_data(config.data)
    assert drawn[0]["split"] == [list(data.split.part(part)) for part in ("train", "val", "test")]
    for other in drawn[1:]:
        lost = any(other[name] != drawn[0][name] for name in ("aviary", "split", "episodes"))
        fault("determinism", "aviary, splits, episodes in a new process", "the same", lost)
    lost = drawn[1]["probabilities"] != drawn[0]["probabilities"]
    fault("determinism", "training and network, one thread, new process", "the same, bit for bit", lost)
    for other in drawn[2:]:
        gap = np.abs(np.array(other["probabilities"]) - drawn[0]["probabilities"]).max()
        fault(
            "determinism",
            "a run's network, written with 2 and 4 threads",
            "the same to 1e-5",
            bool(gap > 1e-5),
        )
