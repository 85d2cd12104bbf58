"""The training loop: devices, precision, processes, checkpoints. It knows nothing of N3 in particular.

A model is anything whose `forward(batch)` gives a dict with a `loss` to minimize and other scalars to log.
Batch and dropout follow from the step, so a resumed run equals an uninterrupted one, number for number.
"""

import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from tqdm import tqdm

from n3lib.io import N3Error, Range, check_ranges, printable, writing
from n3lib.io.checkpoint import checkpoints, load_trained, resume, save, trained_state
from n3lib.io.console import noted
from n3lib.io.errors import Diverged
from n3lib.io.files import sweep, write_text
from n3lib.io.ranges import LARGE, LONG
from n3lib.io.tensors import write_tensors

_ROOM = "Make room there; the same command goes on from the last checkpoint"


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast.

    Attributes:
        steps: optimizer steps, one mini-batch each.
        lr: peak learning rate of AdamW.
        fast_lr: of the parameters that the model calls fast.
        weight_decay: of matrices; vectors and scalars are not decayed.
        warmup: steps of linear warm-up; a cosine then falls to zero.
        clip: largest norm of the gradient.
        every: steps between two checkpoints, each with a validation where there are validation classes.
        precision: `float32` or `bf16` for matrix products and convolutions; `auto` takes bf16 on a GPU. A
            processor without bf16 instructions, which would take about fifty times as long, uses float32.
    """

    steps: int = 1000
    lr: float = 1e-3
    fast_lr: float = 1e-2
    weight_decay: float = 0.01
    warmup: int = 50
    clip: float = 1.0
    every: int = 250
    precision: Literal["auto", "float32", "bf16"] = "auto"

    def __post_init__(self) -> None:
        steps, size = Range(0, LONG), Range(0, LARGE)
        check_ranges(self, "train", steps=steps, warmup=steps, every=Range(1, LONG))
        check_ranges(self, "train", lr=size, fast_lr=size, weight_decay=size, clip=size)

    @property
    def bf16(self) -> bool:
        """Whether this machine is to compute in bf16."""
        if torch.cuda.is_available():
            return self.precision != "float32"
        return self.precision == "bf16" and processor_has_bf16()


def processor_has_bf16() -> bool:
    """Whether the processor has instructions for bf16."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Progress(NamedTuple):
    """What the loop reports after a step."""

    step: int
    metrics: dict[str, float]


def rate(step: int, config: TrainConfig) -> float:
    """Share of the peak learning rate at a step: linear warm-up, cosine decay."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    share = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.5 * (1 + math.cos(math.pi * share))


def optimizer_for(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over what is trained, in three groups: matrices, vectors, and what the model calls fast."""
    groups: list[dict[str, Any]] = [
        {"params": [], "peak": config.lr, "weight_decay": config.weight_decay},
        {"params": [], "peak": config.lr, "weight_decay": 0.0},
        {"params": [], "peak": config.fast_lr, "weight_decay": 0.0},
    ]
    fast = set(getattr(model, "fast_parameters", ()))
    for name, p in model.named_parameters():
        if p.requires_grad:
            groups[2 if name in fast else 0 if p.ndim > 1 else 1]["params"].append(p)
    # Fused: one pass over the memory instead of ten, as the meta-model is large.
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def fit(
    model: nn.Module,
    batches: Callable[[int, int, int], Any],
    config: TrainConfig,
    folder: Path,
    seed: int = 0,
    examine: Callable[[nn.Module], Mapping[str, Any]] | None = None,
    watch: Callable[[Progress], None] | None = None,
    begin: Callable[[], None] = lambda: None,
) -> None:
    """Train `model` in place; the best state by `examine`, or the last, is what it ends with.

    Args:
        batches: `batches(step, rank, ranks)` gives this process's batch of the step.
        folder: of the run; an unfinished run in it is resumed, a finished one is loaded.
        seed: of dropout.
        examine: called at each checkpoint with the model in evaluation mode, whose buffers it may renew; what
            it gives is logged. The best state has the highest `validation` in it, or without one is the last.
        watch: called after each step.
        begin: called just before the first checkpoint, or once a run is resumed: what fails before leaves
            nothing in the folder.

    Raises:
        N3Error: the checkpoints are damaged or of another model, another process trains in this folder, or
            it cannot be written.
        Diverged: the loss or the gradient is no longer finite.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after the step is finished and a checkpoint is written.
    """
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # an earlier training of this process may have had another precision
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),  # no other device: the closed forms need float64
        mixed_precision="bf16" if config.bf16 else "no",
        # A model may have parameters that a loss does not reach.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    chief, ranks, best = accelerator.is_main_process, accelerator.num_processes, -math.inf

    def diverged(problem: str) -> Diverged:
        last = "".join(f"; the last good checkpoint is {path}" for path in checkpoints(folder)[:1])
        return Diverged(f"{problem}{last}", "Lower train.lr and train into another folder")

    def checkpoint() -> None:
        nonlocal best
        model.eval()
        found = examine(model) if examine else {}
        score = found.get("validation")
        if not chief:
            return
        for name, value in trained_state(model).items():
            if not value.isfinite().all():
                raise diverged(f"{name} is not finite after step {step}")
        with writing(folder, _ROOM):
            if step == 0:
                begin()
            if found:
                _log(folder, {"step": step, **found})
            if score is None or score > best:
                write_tensors(folder / "best.safetensors", trained_state(model), {"step": str(step)})
                best = best if score is None else score
            save(model, optimizer, folder, step, best)

    # Several processes would each stop at another step and wait for one another.
    signals = (signal.SIGINT, signal.SIGTERM) if ranks == 1 else ()
    with _alone(folder, chief), noted(*signals, raised=False) as stops:
        optimizer: torch.optim.Optimizer = optimizer_for(model, config)
        step, best = resume(model, optimizer, folder, chief)
        if chief:
            _forget_after(folder, step)
        model.to(accelerator.device)
        wrapped, optimizer = accelerator.prepare(model, optimizer)
        if step < 0:  # there was nothing to resume
            step = 0
            checkpoint()
        elif chief:
            with writing(folder, _ROOM):
                begin()
        name = printable(folder.name)
        bar = tqdm(total=config.steps, initial=step, disable=not chief, desc=name, unit="step")
        clock = time.perf_counter()
        while step < config.steps and not stops:
            wrapped.train()
            torch.manual_seed(seed * 1_000_003 + step)  # of dropout
            batch = batches(step, accelerator.process_index, ranks)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate(step, config)
            with accelerator.autocast():
                out = wrapped(move(batch, accelerator.device))
            optimizer.zero_grad()
            accelerator.backward(out["loss"])
            norm = accelerator.clip_grad_norm_(model.parameters(), config.clip)
            # Every process has its own images: the means over all of them are logged.
            means = accelerator.reduce({name: value.detach() for name, value in out.items()}, "mean")
            metrics = {name: value.item() for name, value in means.items()}
            # A gradient that is not finite would spoil the weights, and the next checkpoint with them.
            for what, value in (("loss", metrics["loss"]), ("gradient's norm", float(norm))):
                if not math.isfinite(value):
                    query = f", of classes {list(batch.classes)}" if getattr(batch, "classes", ()) else ""
                    raise diverged(f"the {what} is {value} at step {step}{query}")
            optimizer.step()
            step += 1
            before, clock = clock, time.perf_counter()
            if hasattr(batch, "labels"):
                metrics["images_per_second"] = len(batch.labels) * ranks / (clock - before)
            if chief:
                with writing(folder, _ROOM):
                    _log(folder, {"step": step, **metrics})
                bar.update()
                bar.set_postfix({k: f"{v:.3g}" for k, v in metrics.items()}, refresh=False)
            if watch:
                watch(Progress(step, metrics))
            if step % config.every == 0 or step == config.steps:
                checkpoint()
                clock = time.perf_counter()
        bar.close()
        if stops:
            if step < config.steps:  # after the last one there is a checkpoint already
                with writing(folder, _ROOM):
                    save(model, optimizer, folder, step, best)
            raise KeyboardInterrupt
        accelerator.wait_for_everyone()
        load_trained(model, folder / "best.safetensors")


@contextmanager
def _alone(folder: Path, chief: bool) -> Iterator[None]:
    """No other process trains in the folder meanwhile. The system lets go of the lock when a process dies."""
    from filelock import FileLock, Timeout

    if not chief:
        yield
        return
    with writing(folder, _ROOM):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(folder / ".lock", timeout=0).acquire()
        except Timeout:
            raise N3Error(f"another process trains in {folder}", "Wait, or choose another folder") from None
    with lock:
        sweep(folder)
        yield


def move(batch: Any, device: torch.device) -> Any:
    """A named tuple with its tensors, and whatever has a `to`, on the device."""
    return type(batch)(*(part.to(device) if hasattr(part, "to") else part for part in batch))


def _log(folder: Path, line: dict[str, Any]) -> None:
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's `metrics.jsonl`."""
    path, lines = Path(folder) / "metrics.jsonl", []
    # What follows the last line break was cut off when the run was stopped; a power cut may leave worse.
    with suppress(ValueError):
        for line in path.read_text("utf-8", "replace").split("\n")[:-1] if path.exists() else []:
            lines.append(json.loads(line))
    return lines


def _forget_after(folder: Path, step: int) -> None:
    """Drop the lines logged after the checkpoint: those steps are done again."""
    path = folder / "metrics.jsonl"
    if path.exists():
        kept = [line for line in read_metrics(folder) if line["step"] <= step]
        write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
