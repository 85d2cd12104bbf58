"""`n3 bench`: what N3 costs, as ratios to what a user would otherwise run.

Both sides of a ratio run in one process, in turns; of each ratio the median and the quartiles over rounds
are kept. A measurement that the file has already is not made again.
"""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from n3lib.experiments.bench_measures import BARS, MEASUREMENTS, Sizes
from n3lib.experiments.bench_setup import CONFIG, SIZES
from n3lib.experiments.results import answered, write_result
from n3lib.io.console import tell
from n3lib.io.errors import N3Error
from n3lib.io.files import check_writable, read_json


def run_bench(
    output: Path,
    names: Iterable[str] = (),
    sizes: Sizes = SIZES,
    repeats: int = 5,
    told: Callable[[str], None] = tell,
) -> dict[str, Any]:
    """Measure what `output` lacks.

    Args:
        output: the JSON file; written after each measurement.
        names: of the measurements; all by default, but those whose library is not installed.
        sizes: `paper`, `small` and `aviary`.
        repeats: rounds of each comparison.
        told: is given a line for the file, and one for each measurement.

    Returns:
        What the file holds: `environment`, and `measurements` by name.

    Raises:
        N3Error: there is no such measurement, or the file was made on another machine or version, is of
            another kind, or cannot be written.
    """
    names = list(names)
    for name in names:
        if name not in MEASUREMENTS:
            raise N3Error(f"there is no measurement {name!r}", f"Use some of {', '.join(MEASUREMENTS)}")
    here = environment()
    there = answered(output, {"environment": here}, mark="measurements")
    found = read_json(output) if there else {"environment": here, "measurements": {}}
    lacking = [name for name in names or MEASUREMENTS if name not in found["measurements"]]
    if lacking:
        check_writable(output)
        told(f"{output}: {len(lacking)} measurements to make")
    for name in lacking:
        try:
            result = MEASUREMENTS[name](sizes, repeats)
        except ImportError as error:
            if names:
                raise N3Error(f"{name} needs {error.name}", f"pip install {error.name}") from None
            told(f"{name}: left out, {error.name} is not installed")
            continue
        found["measurements"][name] = result
        write_result(output, found)
        told(f"{name}: {_line(name, result)}")
    return found


def default_output() -> Path:
    """Where the book reads this machine's numbers from."""
    return Path("results/cost") / f"{'gpu' if torch.cuda.is_available() else 'cpu'}.json"


def environment() -> dict[str, Any]:
    """What the numbers hang on: device, threads, precision and versions."""
    cuda = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": "bf16" if CONFIG.bf16 else "float32",
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in ("torch", "torchvision")},
    }


def _processor() -> str:
    """The CPU's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8", "replace").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _line(name: str, result: Mapping[str, Any]) -> str:
    if "ratio" in result:
        told, bar = result["ratio"], BARS.get(name, (None, None))[torch.cuda.is_available()]
        goal = f", at most {bar:g} asked" if bar else ""
        return f"{told['median']:.2f} ({told['low']:.2f} to {told['high']:.2f}){goal}"
    seconds = result.get("seconds", {})
    return ", ".join(f"{which} {told['median']:.3g} s" for which, told in seconds.items()) or "done"
