"""The measurements of `n3 bench`, each a function of the sizes and the number of rounds."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from n3lib.backbone import Network
from n3lib.experiments.bench_setup import (
    CONFIG,
    DEVICE,
    SIZES,
    Flat,
    HypnetTorch,
    Plain,
    Size,
    batched_deltas,
    make_backbone,
    make_batch,
    make_episodes,
    make_n3,
    make_text,
    stepper,
    trained_numbers,
)
from n3lib.experiments.measure import (
    exponent,
    flops,
    interleaved,
    matrix_rate,
    peak_memory,
    ratio,
    slowest,
    spread,
)
from n3lib.trainer import move

Sizes = Mapping[str, Size]
Measure = Callable[[Sizes, int], dict[str, Any]]
FLAT_TOKENS = 25_600  # one attention over more takes minutes on a CPU
GROWTH = {"K": (10, 25, 50, 100, 200, 400), "L": (64, 128, 256, 512), "layers": (1, 2, 5, 10, 20)}


def _compared(calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Any]:
    """The first of two calls over the second."""
    over, under = calls
    seconds = interleaved(calls, repeats)
    return {
        "ratio": ratio(seconds, over, under),
        "seconds": {name: spread(values) for name, values in seconds.items()},
    }


def _step(name: str) -> Measure:
    def measure(sizes: Sizes, repeats: int) -> dict[str, Any]:
        size = sizes[name]
        backbone, batch = make_backbone(size).to(DEVICE), make_batch(size)
        n3, plain = make_n3(size, backbone), Plain(backbone, size.ways).to(DEVICE)
        n3_step, plain_step = stepper(n3), stepper(plain)
        calls = {"n3": partial(n3_step, batch), "plain": partial(plain_step, batch)}
        trained = {"n3": trained_numbers(n3), "plain": trained_numbers(plain)}
        return {**_compared(calls, repeats), "trained_numbers": trained, "size": asdict(size)}

    return measure


def _two_stage(sizes: Sizes, repeats: int) -> dict[str, Any]:
    size = replace(sizes["paper"], batch=4 * sizes["paper"].batch)
    micro = size.batch // 4
    backbone, batch = make_backbone(size).to(DEVICE), make_batch(size)
    n3_step = stepper(make_n3(size, backbone, micro_batch=micro))
    plain_step = stepper(Plain(backbone, size.ways).to(DEVICE), micro)
    calls = {"n3": partial(n3_step, batch), "plain": partial(plain_step, batch)}
    return {**_compared(calls, max(1, repeats // 2)), "micro_batch": micro, "size": asdict(size)}


def _memory(name: str, micro: bool = False) -> Measure:
    """Of a step, beyond parameters and optimizer state: activations, gradients, what is written."""

    def measure(sizes: Sizes, repeats: int) -> dict[str, Any]:
        size = sizes[name]
        backbone, batch = make_backbone(size).to(DEVICE), make_batch(size)
        peaks, gradients = {}, {}
        for which in ("n3", "plain"):
            if which == "n3":
                model: nn.Module = make_n3(size, backbone, micro_batch=size.batch // 4 if micro else 0)
            else:
                model = Plain(backbone, size.ways).to(DEVICE)
            step = stepper(model)
            step(batch)  # the optimizer makes its state
            model.zero_grad()
            peaks[which] = peak_memory(partial(step, batch))
            gradients[which] = 4 * trained_numbers(model)
            del model, step
        value = peaks["n3"] / peaks["plain"]
        kept = {which: peaks[which] - gradients[which] for which in peaks}
        told = {"median": value, "low": value, "high": value, "repeats": 1}
        return {
            "ratio": told,
            "ratio_without_gradients": kept["n3"] / kept["plain"],
            "bytes": peaks,
            "gradient_bytes": gradients,
            "size": asdict(size),
        }

    return measure


@torch.no_grad()
def _synthesis(sizes: Sizes, repeats: int) -> dict[str, Any]:
    """Encoded descriptions to the parameters of an ordinary network; and again after one was edited."""
    size = sizes["paper"]
    model, text = make_n3(size, make_backbone(size).to(DEVICE)).eval(), make_text(size)
    known, first = model.labels(text), text.choose([0])

    def write(edited: bool = False) -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=CONFIG.bf16):
            c = torch.cat([model.labels(first), known[1:]]) if edited else None
            model.columns(model.read(text, c=c).deltas)

    seconds = interleaved({"n3": write, "one description edited": partial(write, edited=True)}, repeats)
    return {
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "flops": flops(write)["Global"],
    }


@torch.no_grad()
def _inference(sizes: Sizes, repeats: int) -> dict[str, Any]:
    """A synthesized network beside torchvision's ResNet-18, both classifiers of K classes."""
    from n3lib.io.torchvision import models

    size = sizes["paper"]
    backbone = make_backbone(size)
    network = Network(backbone.features, size.backbone.pool, nn.Linear(backbone.width, size.ways))
    network = network.eval().to(DEVICE)
    theirs = models.resnet18(num_classes=size.ways).eval().to(DEVICE)
    images = torch.randn(size.batch, 3, size.pixels, size.pixels, device=DEVICE)
    calls = {"synthesized": partial(network, images), "torchvision": partial(theirs, images)}
    return {**_compared(calls, 2 * repeats), "images": size.batch}


def _loader(sizes: Sizes, repeats: int) -> dict[str, Any]:
    """A step with `Episodes` in the loop beside one whose batch is there already."""
    size = sizes["small"]
    episodes = make_episodes(size)
    size = replace(size, vocabulary=episodes.bank.tfidf.shape[1], seen=len(episodes.seen))
    step = stepper(make_n3(size, make_backbone(size).to(DEVICE)))
    ready = move(episodes(0), DEVICE)
    count = iter(range(10_000))
    load = {"load": lambda: move(episodes(next(count)), DEVICE)}
    calls: dict[str, Callable[[], Any]] = {
        "loaded": lambda: step(move(episodes(next(count)), DEVICE)),
        "ready": partial(step, ready),
    }
    alone = spread(interleaved(load, repeats)["load"])
    told = _compared(calls, repeats)
    return {**told, "seconds": {**told["seconds"], "loading alone": alone}}


def _growth_of_text(letter: str, key: str) -> Measure:
    """Synthesis for more classes (K) or longer descriptions (L), beside one attention over all tokens."""

    @torch.no_grad()
    def measure(sizes: Sizes, repeats: int) -> dict[str, Any]:
        size = sizes["small"]
        model = make_n3(size, make_backbone(size).to(DEVICE)).eval()
        flat = Flat(size.e, size.model).to(
            DEVICE
        )  # training mode keeps it on the kernel that never holds (K L)^2
        curves: dict[str, dict[int, Any]] = {"n3": {}, "tokens2label": {}, "flat": {}}
        for value in _scaled(letter, sizes):
            text = make_text(size, **{key: value})
            calls: dict[str, Callable[[], Any]] = {
                "n3": partial(model.read, text),
                "tokens2label": partial(model.tokens2label, text.tokens, text.weight),
            }
            if text.weight.numel() <= FLAT_TOKENS:
                calls["flat"] = partial(flat, text.tokens)
            for name, seconds in interleaved(calls, repeats).items():
                curves[name][value] = spread(seconds)
        return _curves(curves, letter)

    return measure


@torch.no_grad()
def _growth_of_layers(sizes: Sizes, repeats: int) -> dict[str, Any]:
    """Writing the changes of the first layers of the network."""
    size = sizes["small"]
    backbone = make_backbone(size).to(DEVICE)
    curve = {}
    for count in _scaled("layers", sizes):
        model = make_n3(size, backbone, layers=backbone.layers[:count]).eval()
        h = model.context(model.labels(make_text(size)))
        call = {"n3": partial(model.labels2adaptation, h)}
        curve[count] = spread(interleaved(call, repeats)["n3"])
    return _curves({"n3": curve}, "layers")


def _scaled(letter: str, sizes: Sizes) -> tuple[int, ...]:
    """The values of a growth curve; two small ones where the sizes are those of a test."""
    return GROWTH[letter] if sizes is SIZES else GROWTH[letter][:1] + (2 * GROWTH[letter][0],)


def _curves(curves: Mapping[str, Mapping[int, Any]], letter: str) -> dict[str, Any]:
    return {
        "x": letter,
        "curves": {
            name: {
                "x": list(curve),
                "seconds": list(curve.values()),
                "exponent": exponent([float(x) for x in curve], [told["median"] for told in curve.values()]),
            }
            for name, curve in curves.items()
        },
    }


def _batched(name: str) -> Measure:
    """All decoders, forward and backward: one after another, as in the library, beside batched by width."""

    def measure(sizes: Sizes, repeats: int) -> dict[str, Any]:
        size = sizes[name]
        writer = make_n3(size, make_backbone(size).to(DEVICE)).labels2adaptation
        h = torch.randn(size.ways, size.model.d, device=DEVICE)

        def run(write: Callable[[], Iterable[Tensor]]) -> None:
            writer.zero_grad()
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=CONFIG.bf16):
                total = torch.stack([delta.sum() for delta in write()]).sum()
            total.backward()

        loop = partial(run, lambda: (decoder(h) for decoder in writer.decoders))
        batched = partial(run, partial(batched_deltas, writer, h))
        return _compared({"batched": batched, "loop": loop}, repeats)

    return measure


def _library(sizes: Sizes, repeats: int) -> dict[str, Any]:
    """A step of N3 beside one of a hypernetwork of hypnettorch that writes the same network's changes."""
    size = sizes["small"]
    backbone, batch = make_backbone(size).to(DEVICE), make_batch(size)
    n3, theirs = make_n3(size, backbone), HypnetTorch(backbone, size).to(DEVICE)
    n3_step, their_step = stepper(n3), stepper(theirs)
    calls = {"n3": partial(n3_step, batch), "hypnettorch": partial(their_step, batch)}
    c = torch.randn(size.ways, size.model.d, device=DEVICE)
    with torch.no_grad():
        alone = {"n3": partial(n3.labels2adaptation, c), "hypnettorch": partial(theirs.deltas, c)}
        writing = _compared(alone, repeats)
    trained = {"n3": trained_numbers(n3), "hypnettorch": trained_numbers(theirs)}
    return {**_compared(calls, repeats), "writing": writing, "trained_numbers": trained}


def _profile(sizes: Sizes, repeats: int) -> dict[str, Any]:
    """Where the time of a paper-size step goes, and the least it could take: FLOPs over the matrix rate."""
    size = sizes["paper"]
    backbone, batch = make_backbone(size).to(DEVICE), make_batch(size)
    rate = matrix_rate(DEVICE, torch.bfloat16 if CONFIG.bf16 else torch.float32)
    models = {"n3": make_n3(size, backbone), "plain": Plain(backbone, size.ways).to(DEVICE)}
    found: dict[str, Any] = {"matrix_rate": rate, "flops": {}, "floor_seconds": {}, "operators": {}}
    for name, model in models.items():
        step = stepper(model)
        found["flops"][name] = flops(partial(step, batch))["Global"]
        found["floor_seconds"][name] = found["flops"][name] / rate["median"]
        found["operators"][name] = slowest(partial(step, batch))
    counted = flops(partial(models["n3"], batch))
    parts = ("tokens2label", "labels2adaptation", "generator", "backbone")
    found["forward_flops"] = {part: counted.get(f"N3.{part}", 0) for part in parts}
    return found


# What is asked of a measurement on a CPU and on a GPU (bf16): a ratio at most; of synthesis, seconds.
BARS: dict[str, tuple[float | None, float | None]] = {
    "step-paper": (2.5, 1.6),
    "step-small": (1.15, None),
    "two-stage": (1.3, 1.3),
    "memory-paper": (1.5, 1.5),
    "memory-paper-two-stage": (1.5, 1.5),
    "memory-small": (1.5, 1.5),
    "memory-small-two-stage": (1.5, 1.5),
    "synthesis": (1.0, 0.03),
    "inference": (1.0, 1.0),
    "loader": (1.05, 1.05),
}

MEASUREMENTS: dict[str, Measure] = {
    "step-paper": _step("paper"),
    "step-small": _step("small"),
    "step-aviary": _step("aviary"),
    "two-stage": _two_stage,
    "memory-paper": _memory("paper"),
    "memory-paper-two-stage": _memory("paper", micro=True),
    "memory-small": _memory("small"),
    "memory-small-two-stage": _memory("small", micro=True),
    "synthesis": _synthesis,
    "inference": _inference,
    "loader": _loader,
    "growth-K": _growth_of_text("K", "ways"),
    "growth-L": _growth_of_text("L", "length"),
    "growth-layers": _growth_of_layers,
    "batched-paper": _batched("paper"),
    "batched-aviary": _batched("aviary"),
    "library": _library,
    "profile": _profile,
}
