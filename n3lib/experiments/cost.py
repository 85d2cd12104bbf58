"""What N3 costs, as ratios to what a user would otherwise run: chapter 11, `n3 bench` and `results/cost`.

Both sides of a ratio run in one process, in turns; of each ratio the median and the quartiles over rounds
are kept. A measurement that the file has already is not made again.
"""

import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from n3lib.experiments import plots
from n3lib.experiments.cost_measures import MEASUREMENTS
from n3lib.experiments.cost_setup import CONFIG, SIZES, Size
from n3lib.experiments.results import Table, answered, write_result
from n3lib.io import check_writable, read_json, tell
from n3lib.io.environment import environment as environment_of
from n3lib.io.errors import choose_all

FILES = {"cpu": "cpu.json", "GPU": "gpu.json"}


def measure_cost(
    output: Path | None = None,
    names: Iterable[str] = (),
    sizes: Mapping[str, Size] = SIZES,
    repeats: int = 5,
    log: Callable[[str], None] = tell,
) -> None:
    """Measure what the file `output` lacks, which is written after each measurement.

    Args:
        output: the JSON file, by default that of the book; holds `environment`, and `measurements` by name.
        names: of the measurements; all by default.
        repeats: rounds of each comparison.

    Raises:
        N3Error: there is no such measurement, or the file was made on another machine or version, is of
            another kind, or cannot be written.
    """
    output = output or Path("results/cost") / FILES["GPU" if torch.cuda.is_available() else "cpu"]
    asked = choose_all(names, MEASUREMENTS, "there is no measurement")
    here = environment()
    there = answered(output, {"environment": here}, marks=["measurements"])
    found = read_json(output) if there else {"environment": here, "measurements": {}}
    lacking = {name: one for name, one in asked.items() if name not in found["measurements"]}
    if lacking:
        check_writable(output)
        log(f"{output}: {len(lacking)} measurements to make")
    for name, wanted in lacking.items():
        found["measurements"][name] = wanted.measure(sizes[wanted.size], repeats)
        write_result(output, found)
        log(f"{name}: {_line(name, found['measurements'][name])}")


def environment() -> dict[str, Any]:
    """What the numbers depend on: device, threads, precision and versions."""
    made, info = environment_of({}), Path("/proc/cpuinfo")  # the CPU's name where the system tells it
    name = re.search(r"model name\s*:(.*)", info.read_text("utf-8", "replace") if info.exists() else "")
    return {
        "device": made["device"],
        "processor": name[1].strip() if name else platform.processor(),
        "cores": os.cpu_count(),
        "threads": made["threads"],
        "precision": "bf16" if CONFIG.bf16 else "float32",
        "python": made["python"],
        "packages": {name: made["packages"][name] for name in ("torch", "torchvision")},
    }


def ratio_text(result: Mapping[str, Any] | None) -> str:
    """A ratio with its quartiles, where there are several rounds; empty for no result."""
    if result is None:
        return ""
    value = result["ratio"]
    quartiles = f" ({value['low']:.2f} to {value['high']:.2f})" if value["repeats"] > 1 else ""
    return f"{value['median']:.2f}{quartiles}"


def _line(name: str, result: Mapping[str, Any]) -> str:
    if "ratio" in result:
        goal = MEASUREMENTS[name].goals[torch.cuda.is_available()]
        return ratio_text(result) + (f", at most {goal:g} asked" if goal else "")
    seconds = result.get("seconds", {})
    return ", ".join(f"{which} {value['median']:.3g} s" for which, value in seconds.items()) or "done"


def ratio_table(folder: Path) -> Table:
    """Every ratio with its quartiles, beside what is asked; an open cell has not been measured."""
    paths, rows, notes = {kind: folder / file for kind, file in FILES.items()}, [], []
    empty: dict[str, Any] = {"measurements": {}, "environment": {}}
    devices = {kind: read_json(path) if path.exists() else empty for kind, path in paths.items()}
    for name, (_, _, title, goals) in MEASUREMENTS.items():
        if title:
            row = [title]
            for goal, results in zip(goals, devices.values(), strict=True):
                row += [ratio_text(results["measurements"].get(name)), f"{goal:g}" if goal else ""]
            rows.append(row)
    for kind, results in devices.items():
        if here := results["environment"]:
            name = here["processor"] if here["device"] == "cpu" else here["device"]
            how = f"{here['threads']} threads, {here['precision']}, PyTorch {here['packages']['torch']}"
            notes.append(f"{kind}: {name}, {how}.")
        else:
            notes.append(f"{kind}: not measured yet; `n3 bench` fills it in on such a machine.")
    return Table(["", "CPU", "at most", "GPU, bf16", "at most"], rows, " ".join(notes))


def growth_figure(folder: Path) -> Figure:
    """Seconds over K, L and the number of layers, in logarithms; the exponent is that of the fitted power."""
    results = read_json(folder / FILES["cpu"])["measurements"]
    shown = [results[name] for name in ("growth-K", "growth-L", "growth-layers") if name in results]
    figure, axes = plots.canvas(1, max(1, len(shown)), (7.4, 3.0), sharey=True)
    labels = {"K": "classes, K", "L": "tokens per description, L", "layers": "adapted layers"}
    names = {"n3": "all of N3", "tokens2label": "Tokens2Label", "flat": "one attention over K L tokens"}
    for result, axis in zip(shown, axes[0], strict=False):
        colors = (plots.BLUE, plots.GREEN, plots.RED)
        for color, (name, curve) in zip(colors, result["curves"].items(), strict=False):
            seconds = [one["median"] for one in curve["seconds"]]
            label = f"{names[name]}, p = {curve['exponent']:.2f}"
            axis.plot(curve["x"], seconds, "o-", color=color, markersize=3, label=label)
        axis.set(xscale="log", yscale="log", xlabel=labels[result["x"]])
        x = result["curves"]["n3"]["x"]
        axis.set_xticks(x, map(str, x))
        axis.minorticks_off()
        axis.legend(fontsize=7)
    axes[0, 0].set(ylabel="seconds")
    return figure
