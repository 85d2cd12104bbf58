"""How the cost study measures time, memory and growth, and what it measures.

A measurement is a function of the problem's size and of the number of rounds. What is compared runs in one
process, in turns, so that whatever else the machine does affects all alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.benchmark import timer  # waits for the GPU
from torch.utils.flop_counter import FlopCounterMode

from n3lib.backbone import Network
from n3lib.experiments import cost_setup as setup
from n3lib.experiments.cost_setup import CONFIG, DEVICE, Size
from n3lib.trainer import move

Call = Callable[[], Any]
FLAT_TOKENS = 25_600  # one attention over more takes minutes on a CPU
GROWTH = {"K": (10, 25, 50, 100, 200, 400), "L": (64, 128, 256, 512), "layers": (1, 2, 5, 10, 20)}


def interleaved(calls: Mapping[str, Call], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call, in rounds of alternating order, after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(-1, repeats):
        for name in list(calls) if turn % 2 == 0 else reversed(list(calls)):
            start = timer()
            calls[name]()
            if turn >= 0:
                seconds[name].append(timer() - start)
    return seconds


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lower and upper quartile, and how many values."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return {"median": median, "low": low, "high": high, "repeats": len(values)}


def compared(calls: Mapping[str, Call], repeats: int) -> dict[str, Any]:
    """The first of two calls over the second, round by round, and the seconds of each."""
    seconds = interleaved(calls, repeats)
    ratios = [over / under for over, under in zip(*seconds.values(), strict=True)]
    return {"ratio": spread(ratios), "seconds": {name: spread(values) for name, values in seconds.items()}}


def peak_memory(call: Call) -> int:
    """Bytes that a call holds at most, beyond what was held before it: PyTorch's tensors, nothing else."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        call()
    events = watched.profiler.kineto_results.events()  # in the order of time
    changes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return int(np.cumsum([0, *changes]).max())


def flops(call: Call) -> dict[str, int]:
    """Floating-point operations of a call's matrix products and convolutions, by module, `Global` for all."""
    # The counter follows modules through the graph of gradients.
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        call()
    return {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}


def matrix_rate() -> dict[str, float]:
    """Floating-point operations per second in the product of two large square matrices."""
    side, dtype = 8192 if DEVICE.type == "cuda" else 2048, torch.bfloat16 if CONFIG.bf16 else torch.float32
    a, b = (torch.randn(side, side, device=DEVICE, dtype=dtype) for _ in range(2))
    seconds = interleaved({"product": lambda: a @ b}, repeats=7)["product"]
    return spread([2 * side**3 / one for one in seconds])


def slowest(call: Call) -> list[dict[str, Any]]:
    """The ten operators in which a call spends most of its time, with their share of it in percent."""
    cuda = torch.cuda.is_available()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as watched:
        call()
    own = {
        event.key: (event.self_device_time_total if cuda else event.self_cpu_time_total, event.count)
        for event in watched.key_averages()
    }
    total = sum(spent for spent, _ in own.values())
    return [
        {"operator": key, "calls": calls, "seconds": spent / 1e6, "share": 100 * spent / total}
        for key, (spent, calls) in sorted(own.items(), key=lambda item: -item[1][0])[:10]
    ]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The p of `seconds ~ size^p`: slope of the least-squares line in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def step(size: Size, repeats: int) -> dict[str, Any]:
    """A training step of N3 over one of plain fine-tuning."""
    sides = list(setup.both_sides(size))
    trained = {which: setup.trained_numbers(model) for which, model, _ in sides}
    found = compared({which: call for which, _, call in sides}, repeats)
    return {**found, "setup.trained_numbers": trained, "size": asdict(size)}


def accumulate(size: Size, repeats: int) -> dict[str, Any]:
    """The same of four times the images, whose gradients are accumulated over four micro-batches."""
    micro, size = size.batch, replace(size, batch=4 * size.batch)
    calls = {which: call for which, _, call in setup.both_sides(size, micro, micro)}
    return {**compared(calls, max(1, repeats // 2)), "micro_batch": micro, "size": asdict(size)}


def memory(size: Size, repeats: int, parts: int = 0) -> dict[str, Any]:
    """Of a step, beyond parameters and optimizer state: activations, gradients and the adaptation."""
    peaks, gradients = {}, {}
    for which, model, call in setup.both_sides(size, size.batch // parts if parts else 0):
        call()  # the optimizer makes its state
        model.zero_grad()
        peaks[which], gradients[which] = peak_memory(call), 4 * setup.trained_numbers(model)
    kept = {k: peaks[k] - gradients[k] for k in peaks}
    return {
        "ratio": spread([peaks["n3"] / peaks["plain"]]),
        "ratio_without_gradients": kept["n3"] / kept["plain"],
        "bytes": peaks,
        "gradient_bytes": gradients,
        "size": asdict(size),
    }


@torch.no_grad()
def synthesis(size: Size, repeats: int) -> dict[str, Any]:
    """Encoded descriptions to the parameters of an ordinary network; and again after one was edited."""
    model, text = setup.make_n3(size, setup.make_backbone(size)).eval(), setup.make_text(size)
    known, first = model.labels(text), text.batch([0])

    def write(edited: bool = False) -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=CONFIG.bf16):
            c = torch.cat([model.labels(first), known[1:]]) if edited else None
            model.columns(model.adapt(text, c=c).deltas)

    seconds = interleaved({"n3": write, "one description edited": partial(write, edited=True)}, repeats)
    return {
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "flops": flops(write)["Global"],
    }


@torch.no_grad()
def inference(size: Size, repeats: int) -> dict[str, Any]:
    """A synthesized network over torchvision's ResNet-18, both with classifiers of K classes."""
    from n3lib.io.torchvision import models

    backbone = setup.make_backbone(size)
    network = Network(backbone.features, size.backbone.pool, nn.Linear(backbone.width, size.ways))
    network = network.eval().to(DEVICE)
    theirs = models.resnet18(num_classes=size.ways).eval().to(DEVICE)
    images = torch.randn(size.batch, 3, size.pixels, size.pixels, device=DEVICE)
    calls = {"synthesized": partial(network, images), "torchvision": partial(theirs, images)}
    return {**compared(calls, 2 * repeats), "images": size.batch}


def loader(size: Size, repeats: int) -> dict[str, Any]:
    """A step with `Episodes` in the loop over one whose batch is there already."""
    episodes = setup.make_episodes(size)
    size = replace(size, vocabulary=episodes.bank.tfidf.shape[1], seen=len(episodes.seen))
    train, numbers = setup.stepper(setup.make_n3(size, setup.make_backbone(size))), count()

    def load() -> Any:
        return move(episodes(next(numbers)), DEVICE)

    ready = load()
    alone = spread(interleaved({"load": load}, repeats)["load"])
    found = compared({"loaded": lambda: train(load()), "ready": partial(train, ready)}, repeats)
    return {**found, "seconds": {**found["seconds"], "loading alone": alone}}


@torch.no_grad()
def growth(size: Size, repeats: int, letter: str) -> dict[str, Any]:
    """Seconds for more classes (`K`), longer descriptions (`L`) or more adapted layers (`layers`).

    The first two are all of synthesis, Tokens2Label, and what the paper rejects (section 3.2): one attention
    over all K L tokens, which is Tokens2Label of a single description. The last is the layer decoders.
    """
    backbone = setup.make_backbone(size)
    model = setup.make_n3(size, backbone).eval()
    # In training mode, which keeps it on the kernel that never holds (K L)^2.
    flat = setup.make_n3(size, backbone).tokens2label
    curves: dict[str, dict[int, Any]] = {}
    for value in GROWTH[letter]:
        calls: dict[str, Call]
        if letter == "layers":
            some = setup.make_n3(size, backbone, layers=backbone.layers[:value]).eval()
            calls = {"n3": partial(some.labels2adaptation, some.context(some.labels(setup.make_text(size))))}
        else:
            k, length = (value, size.length) if letter == "K" else (size.ways, value)
            text = setup.make_text(replace(size, ways=k, length=length))
            tokens, weight = text.tokens, text.weight
            calls = {
                "n3": partial(model.adapt, text),
                "tokens2label": partial(model.tokens2label, tokens, weight),
                "flat": partial(flat, tokens.flatten(0, 1)[None], weight.flatten()[None]),
            }
            if weight.numel() > FLAT_TOKENS:
                del calls["flat"]
        for name, seconds in interleaved(calls, repeats).items():
            curves.setdefault(name, {})[value] = spread(seconds)
    found: dict[str, Any] = {}
    for name, curve in curves.items():
        power = exponent([*map(float, curve)], [one["median"] for one in curve.values()])
        found[name] = {"x": [*curve], "seconds": [*curve.values()], "exponent": power}
    return {"x": letter, "curves": found}


def profiled(size: Size, repeats: int) -> dict[str, Any]:
    """Where the time of a paper-size step goes, and the least it could take: FLOPs over the matrix rate."""
    rate = matrix_rate()
    found: dict[str, Any] = {"matrix_rate": rate, "flops": {}, "floor_seconds": {}, "operators": {}}
    for which, model, call in setup.both_sides(size):
        found["flops"][which] = flops(call)["Global"]
        found["floor_seconds"][which] = found["flops"][which] / rate["median"]
        found["operators"][which] = slowest(call)
        if which == "n3":
            counted = flops(partial(model, setup.make_batch(size)))
    parts = ("tokens2label", "labels2adaptation", "generator", "backbone")
    found["forward_flops"] = {part: counted.get(f"N3.{part}", 0) for part in parts}
    return found


class Measurement(NamedTuple):
    """One measurement of the study."""

    measure: Callable[[Size, int], dict[str, Any]]  # of a size in a number of rounds
    size: str  # one of `SIZES`
    title: str = ""  # of its row in the table of ratios; empty for what is no ratio
    # What is asked of it on a CPU and on a GPU (bf16): a ratio at most; of synthesis, seconds.
    goals: tuple[float | None, float | None] = (None, None)


_IN_PARTS = partial(memory, parts=4)
MEASUREMENTS = {
    "step-paper": Measurement(step, "paper", "training step, the paper's size", (2.5, 1.6)),
    "step-rank-4": Measurement(step, "rank-4", "the same, text-conditioned part of rank 4", (2.5, 1.6)),
    "step-small": Measurement(step, "small", "training step, d = 128", (1.15, None)),
    "step-aviary": Measurement(step, "aviary", "training step, the aviary's network at 48 pixels"),
    "two-stage": Measurement(accumulate, "paper", "training step, 256 images in 4 micro-batches", (1.3, 1.3)),
    "two-stage-rank-4": Measurement(accumulate, "rank-4", "the same, rank 4", (1.3, 1.3)),
    "memory-paper": Measurement(memory, "paper", "memory of a step, the paper's size", (1.5, 1.5)),
    "memory-paper-two-stage": Measurement(_IN_PARTS, "paper", "the same, in 4 micro-batches", (1.5, 1.5)),
    "memory-rank-4": Measurement(memory, "rank-4", "memory of a step, rank 4", (1.5, 1.5)),
    "memory-small": Measurement(memory, "small", "memory of a step, d = 128", (1.5, 1.5)),
    "memory-small-two-stage": Measurement(_IN_PARTS, "small", "the same, in 4 micro-batches", (1.5, 1.5)),
    "synthesis": Measurement(synthesis, "paper", goals=(1.0, 0.03)),
    "synthesis-rank-4": Measurement(synthesis, "rank-4", goals=(1.0, 0.03)),
    "inference": Measurement(inference, "paper", "a synthesized network over torchvision's", (1.0, 1.0)),
    "loader": Measurement(loader, "small", "step with its loader over one without", (1.05, 1.05)),
    "growth-K": Measurement(partial(growth, letter="K"), "small"),
    "growth-L": Measurement(partial(growth, letter="L"), "small"),
    "growth-layers": Measurement(partial(growth, letter="layers"), "small"),
    "profile": Measurement(profiled, "paper"),
}
