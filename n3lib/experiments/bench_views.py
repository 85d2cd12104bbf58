"""What the book shows of `results/cost`."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from matplotlib.figure import Figure

from n3lib.experiments import plots
from n3lib.experiments.bench import run_bench
from n3lib.experiments.bench_measures import BARS
from n3lib.experiments.bench_setup import SIZES, Plain, make_backbone, make_n3, trained_numbers
from n3lib.experiments.results import Markup, Table
from n3lib.io.files import read_json

FILES = {"cpu": "cpu.json", "GPU": "gpu.json"}
ROWS = {
    "step-paper": "training step, the paper's size",
    "step-small": "training step, d = 128",
    "step-aviary": "training step, the aviary's network at 48 pixels",
    "two-stage": "training step, 256 images in 4 micro-batches",
    "memory-paper": "memory of a step, the paper's size",
    "memory-paper-two-stage": "the same, in 4 micro-batches",
    "memory-small": "memory of a step, d = 128",
    "memory-small-two-stage": "the same, in 4 micro-batches",
    "inference": "a synthesized network over torchvision's",
    "loader": "step with its loader over one without",
    "batched-paper": "decoders batched over one by one, paper's size",
    "batched-aviary": "decoders batched over one by one, aviary",
    "library": "N3's step over one with hypnettorch",
}


def found(folder: Path) -> dict[str, dict[str, Any]]:
    """The measurements of each kind of device, empty where there is no file."""
    return {
        kind: read_json(folder / file)
        if (folder / file).exists()
        else {"measurements": {}, "environment": {}}
        for kind, file in FILES.items()
    }


def ratio_table(folder: Path) -> Table:
    """Every ratio with its quartiles, beside what is asked; an open cell has not been measured."""
    devices = found(folder)
    rows = []
    for name, title in ROWS.items():
        row = [title]
        for goal, told in zip(BARS.get(name, (None, None)), devices.values(), strict=True):
            row += [_ratio(told["measurements"].get(name)), f"{goal:g}" if goal else ""]
        rows.append(row)
    return Table(["", "CPU", "at most", "GPU, bf16", "at most"], rows, _where(devices))


def _ratio(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return ""
    told = result["ratio"]
    if told["repeats"] == 1:
        return f"{told['median']:.2f}"
    return f"{told['median']:.2f} ({told['low']:.2f} to {told['high']:.2f})"


def _where(devices: Mapping[str, Mapping[str, Any]]) -> str:
    notes = []
    for kind, told in devices.items():
        here = told["environment"]
        if here:
            name = here["processor"] if here["device"] == "cpu" else here["device"]
            threads, version = here["threads"], here["packages"]["torch"]
            notes.append(f"{kind}: {name}, {threads} threads, {here['precision']}, PyTorch {version}.")
        else:
            notes.append(f"{kind}: not measured yet; `n3 bench` fills it in on such a machine.")
    return " ".join(notes)


def cost_table(folder: Path) -> Table:
    """What a step takes and holds on a CPU, beside plain fine-tuning: numbers trained, seconds, memory."""
    told, rows = found(folder)["cpu"]["measurements"], []
    for size in ("paper", "small"):
        step, memory = told.get(f"step-{size}"), told.get(f"memory-{size}")
        for which, name in (("n3", "N3"), ("plain", "plain fine-tuning")):
            rows.append(
                [
                    f"{name}, {'the paper’s size' if size == 'paper' else 'd = 128'}",
                    f"{step['trained_numbers'][which] / 1e6:.1f}" if step else "",
                    f"{step['seconds'][which]['median']:.1f}" if step else "",
                    f"{memory['bytes'][which] / 1e9:.2f}" if memory else "",
                    f"{memory['gradient_bytes'][which] / 1e9:.2f}" if memory else "",
                ]
            )
    head = ["", "trained (million)", "step (s)", "peak memory (GB)", "of which gradients (GB)"]
    return Table(head, rows, "Memory is beyond parameters and optimizer state.")


def live(name: str = "step-aviary") -> str:
    """One measurement, made now with three rounds."""
    with TemporaryDirectory() as folder:
        told = run_bench(Path(folder) / "now.json", [name], repeats=3, told=lambda line: None)
    result = told["measurements"][name]
    seconds = ", ".join(f"{who} {some['median']:.2f} s" for who, some in result["seconds"].items())
    return f"{ROWS[name]}: {seconds}; ratio {_ratio(result)}"


def trained(name: str) -> str:
    """How many numbers N3 and plain fine-tuning train, at one of the bench's sizes."""
    size = SIZES[name]
    backbone = make_backbone(size)
    n3, plain = trained_numbers(make_n3(size, backbone)), trained_numbers(Plain(backbone, size.ways))
    return f"{name}: N3 {n3:,}, plain fine-tuning {plain:,}"


def growth(folder: Path, kind: str = "cpu") -> Figure:
    """Seconds over K, L and the number of layers, in logarithms; the exponent is that of the fitted power."""
    told = found(folder)[kind]["measurements"]
    shown = [name for name in ("growth-K", "growth-L", "growth-layers") if name in told]
    figure, axes = plots.canvas(1, max(1, len(shown)), (7.4, 3.0), sharey=True)
    labels = {"K": "classes, K", "L": "tokens a description, L", "layers": "adapted layers"}
    names = {"n3": "all of N3", "tokens2label": "Tokens2Label", "flat": "one attention over K L tokens"}
    for name, axis in zip(shown, axes[0], strict=False):
        for color, (key, curve) in zip(
            (plots.BLUE, plots.GREEN, plots.RED), told[name]["curves"].items(), strict=False
        ):
            seconds = [one["median"] for one in curve["seconds"]]
            label = f"{names[key]}, p = {curve['exponent']:.2f}"
            axis.plot(curve["x"], seconds, "o-", color=color, markersize=3, label=label)
        axis.set(xscale="log", yscale="log", xlabel=labels[told[name]["x"]])
        axis.set_xticks(told[name]["curves"]["n3"]["x"], [str(x) for x in told[name]["curves"]["n3"]["x"]])
        axis.minorticks_off()
        axis.legend(fontsize=7)
    axes[0, 0].set(ylabel="seconds")
    return figure


def profile_table(folder: Path, kind: str = "cpu") -> Table:
    """The operators in which a paper-size step spends its time, and the floor below it."""
    told = found(folder)[kind]["measurements"].get("profile")
    head = ["operator", "calls", "seconds", "share (%)"]
    if told is None:
        return Table(head, [], "Not measured yet: `n3 bench profile` does it.")
    rows = [
        [Markup(f"`{one['operator']}`"), str(one["calls"]), f"{one['seconds']:.2f}", f"{one['share']:.1f}"]
        for one in told["operators"]["n3"]
    ]
    rate, floor = told["matrix_rate"]["median"], told["floor_seconds"]
    total = {which: told["flops"][which] / 1e12 for which in floor}
    extra = floor["n3"] / floor["plain"] - 1  # the text, read once however many images there are
    note = (
        f"A large matrix product runs at {rate / 1e9:.0f} GFLOP/s here. N3's step has {total['n3']:.2f}"
        f" TFLOP, at least {floor['n3']:.1f} s; the plain step {total['plain']:.2f} TFLOP, at least"
        f" {floor['plain']:.1f} s. The ratio of the floors is {1 + extra:.2f}; with four times the images, in"
        f" micro-batches, {1 + extra / 4:.2f}."
    )
    return Table(head, rows, note)


def synthesis_line(folder: Path, kind: str = "cpu") -> str:
    """How long a network of the paper's size takes to write, beside what is asked and the floor."""
    told = found(folder)[kind]["measurements"]
    if "synthesis" not in told:
        return "Not measured yet: `n3 bench synthesis` does it."
    one = told["synthesis"]
    text = f"{one['seconds']['n3']['median']:.2f} s; asked: at most {BARS['synthesis'][kind != 'cpu']:g} s"
    if "profile" in told:
        floor = one["flops"] / told["profile"]["matrix_rate"]["median"]
        text += f"; floor on this machine: {floor:.2f} s ({one['flops'] / 1e12:.2f} TFLOP)"
    if edited := one["seconds"].get("one description edited"):
        text += f". After one description was edited: {edited['median']:.2f} s"
    return text
