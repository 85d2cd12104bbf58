"""How time, memory and growth are measured: in one process, interleaved, with their spread."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

Call = Callable[[], Any]


def interleaved(calls: Mapping[str, Call], repeats: int, warmup: int = 1) -> dict[str, list[float]]:
    """Seconds of each call, taken in turns, so that whatever else the machine does strikes all alike.

    Args:
        calls: what to time, by name. Every second round runs them in reverse order.
        repeats: rounds that count.
        warmup: rounds before them that do not.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(-warmup, repeats):
        for name in list(calls) if turn % 2 == 0 else reversed(list(calls)):
            _synchronize()
            start = time.perf_counter()
            calls[name]()
            _synchronize()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lower and upper quartile, and how many values."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return {"median": median, "low": low, "high": high, "repeats": len(values)}


def ratio(seconds: Mapping[str, Sequence[float]], over: str, under: str) -> dict[str, float]:
    """The spread of `over / under`, each round by itself."""
    return spread([a / b for a, b in zip(seconds[over], seconds[under], strict=True)])


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
    held = peak = 0
    for event in watched.profiler.kineto_results.events():  # in the order of time
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def flops(call: Call) -> dict[str, int]:
    """Floating-point operations of a call's matrix products and convolutions, by module, `Global` for all."""
    # The counter follows modules through the graph of gradients.
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        call()
    return {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}


def matrix_rate(device: torch.device, dtype: torch.dtype, repeats: int = 7) -> dict[str, float]:
    """Floating-point operations a second in the product of two large square matrices."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = interleaved({"product": lambda: a @ b}, repeats)["product"]
    return spread([2 * side**3 / one for one in seconds])


def slowest(call: Call, most: int = 10) -> list[dict[str, Any]]:
    """The operators in which a call spends most of its time, with their share of it in percent."""
    cuda = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as watched:
        call()
        _synchronize()
    own = {
        event.key: (event.self_device_time_total if cuda else event.self_cpu_time_total, event.count)
        for event in watched.key_averages()
    }
    total = sum(spent for spent, _ in own.values())
    return [
        {"operator": key, "calls": count, "seconds": spent / 1e6, "share": 100 * spent / total}
        for key, (spent, count) in sorted(own.items(), key=lambda item: -item[1][0])[:most]
    ]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The p of `seconds ~ size^p`: slope of the least-squares line in logarithms."""
    x, y = [math.log(v) for v in sizes], [math.log(v) for v in seconds]
    return statistics.linear_regression(x, y).slope


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
