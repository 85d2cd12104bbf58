"""The training loop: devices, precision, processes, checkpoints. It knows nothing of N3 in particular.

A model is anything whose `forward(batch)` gives a dict with a `loss` to minimize and other scalars to log;
a batch is a function of the step. Together with dropout seeded by the step, this makes a resumed run equal
to an uninterrupted one, number for number.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from n3lib.errors import Diverged, N3Error
from n3lib.files import atomic, read_json, read_tensors, sha256_file, write_json, write_tensors


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
        precision: `float32` or `bf16` for matrix products and convolutions; `auto` takes bf16 on a GPU.
    """

    steps: int = 1000
    lr: float = 1e-3
    fast_lr: float = 1e-2
    weight_decay: float = 0.01
    warmup: int = 50
    clip: float = 1.0
    every: int = 250
    precision: Literal["auto", "float32", "bf16"] = "auto"

    @property
    def bf16(self) -> bool:
        """Whether this machine is to compute in bf16."""
        return self.precision == "bf16" or (self.precision == "auto" and torch.cuda.is_available())


class Progress(NamedTuple):
    """What the loop tells after a step."""

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
    fast = set(getattr(model, "fast_parameters", ()))
    groups: dict[str, list[nn.Parameter]] = {"matrices": [], "vectors": [], "fast": []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = "fast" if name in fast else "matrices" if parameter.ndim > 1 else "vectors"
            groups[key].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups["matrices"], "peak": config.lr, "weight_decay": config.weight_decay},
            {"params": groups["vectors"], "peak": config.lr, "weight_decay": 0.0},
            {"params": groups["fast"], "peak": config.fast_lr, "weight_decay": 0.0},
        ],
        lr=config.lr,
        fused=True,  # one pass over the memory instead of ten: the meta-model is large
    )


def fit(
    model: nn.Module,
    batches: Callable[[int, int, int], Any],
    config: TrainConfig,
    folder: Path,
    seed: int = 0,
    examine: Callable[[nn.Module], Mapping[str, Any]] | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> None:
    """Train `model` in place; the best state by `examine`, or the last, is what it ends with.

    Args:
        model: `forward(batch)` gives `{"loss": ..., ...}`.
        batches: `batches(step, rank, ranks)` gives this process's batch of the step.
        config: lengths and rates.
        folder: of the run; an unfinished run in it is resumed, a finished one is loaded.
        seed: of dropout.
        examine: called at each checkpoint and at the end with the model in evaluation mode; may renew the
            model's buffers; what it gives is logged. A `validation` among it is the score to choose the best
            state by, higher is better; without one the last state is taken.
        watch: called after each step.

    Raises:
        N3Error: the checkpoint is damaged or of another model, or the loss is no longer finite.
    """
    from accelerate import Accelerator, DistributedDataParallelKwargs

    # A model may have parameters that a loss does not reach.
    parallel = DistributedDataParallelKwargs(find_unused_parameters=True)
    # Without CUDA it is the CPU, in one process or several: the closed forms need float64.
    cuda = torch.cuda.is_available()
    accelerator = Accelerator(
        cpu=not cuda, mixed_precision="bf16" if config.bf16 else "no", kwargs_handlers=[parallel]
    )
    optimizer = optimizer_for(model, config)
    step, best = _resume(model, optimizer, folder)
    bare = model.to(accelerator.device)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    chief = accelerator.is_main_process

    def checkpoint() -> None:
        nonlocal best
        bare.eval()
        found = examine(bare) if examine else {}
        score = found.get("validation")
        if chief:
            if found:
                _log(folder, {"step": step, **found})
            if score is None or score > best:
                write_tensors(folder / "best.safetensors", trained_state(bare), {"step": str(step)})
            if score is not None:
                best = max(best, score)
            _save(bare, optimizer, folder, step, best)

    if step < 0:  # there was nothing to resume
        step = 0
        checkpoint()
    bar = tqdm(total=config.steps, initial=step, disable=not chief, desc=folder.name, unit="step")
    clock = time.perf_counter()
    while step < config.steps:
        wrapped.train()
        torch.manual_seed(seed * 1_000_003 + step)  # dropout follows the step, so that a resumed run agrees
        batch = batches(step, accelerator.process_index, accelerator.num_processes)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate(step, config)
        with accelerator.autocast():
            out = wrapped(move(batch, accelerator.device))
        optimizer.zero_grad()
        accelerator.backward(out["loss"])
        accelerator.clip_grad_norm_(bare.parameters(), config.clip)
        # Every process has its own images: what is told is of all of them.
        told = accelerator.reduce({name: value.detach() for name, value in out.items()}, "mean")
        metrics = {name: value.item() for name, value in told.items()}
        if not math.isfinite(metrics["loss"]):
            raise Diverged(
                f"the loss is {metrics['loss']} at step {step}",
                "Lower train.lr and train into another folder",
            )
        optimizer.step()
        step += 1
        now = time.perf_counter()
        if hasattr(batch, "labels"):
            metrics["images_per_second"] = len(batch.labels) * accelerator.num_processes / (now - clock)
        clock = now
        if chief:
            _log(folder, {"step": step, **metrics})
            bar.update()
            bar.set_postfix({k: f"{v:.3g}" for k, v in metrics.items()}, refresh=False)
        if watch:
            watch(Progress(step, metrics))
        if step % config.every == 0 or step == config.steps:
            checkpoint()
            clock = time.perf_counter()
    bar.close()
    accelerator.wait_for_everyone()
    load_trained(bare, folder / "best.safetensors")


def move(batch: Any, device: torch.device) -> Any:
    """A named tuple with its tensors, and whatever has a `to`, on the device."""
    return type(batch)(*(part.to(device) if hasattr(part, "to") else part for part in batch))


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's state without its frozen parameters."""
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


def load_trained(model: nn.Module, path: Path) -> None:
    """Load what `trained_state` gave; anything else is refused."""
    tensors, _ = read_tensors(path)
    _load_state(model, tensors, path)


def _load_state(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    wanted = trained_state(model)
    differs = sorted(set(wanted) ^ set(tensors)) or [
        name for name in wanted if wanted[name].shape != tensors[name].shape
    ]
    if differs:
        raise N3Error(
            f"{path} is a checkpoint of another model: {differs[0]} differs",
            "Use another run folder, or the configuration that made this one",
        )
    model.load_state_dict(tensors, strict=False)


def _save(model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path, step: int, best: float) -> None:
    path = folder / f"checkpoint-{step}.safetensors"
    tensors = {f"model.{name}": value for name, value in trained_state(model).items()}
    names = {id(p): name for name, p in model.named_parameters()}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            tensors[f"optimizer.{names[id(parameter)]}.{key}"] = value
    write_tensors(path, tensors, {"step": str(step)})
    best_score = best if math.isfinite(best) else None
    write_json(folder / "checkpoint.json", {"step": step, "best": best_score, "sha256": sha256_file(path)})
    # Only now is the checkpoint before it no longer needed: whenever a run is stopped, one is whole.
    for old in set(folder.glob("checkpoint-*.safetensors")) - {path}:
        old.unlink()


def _resume(model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> tuple[int, float]:
    if not (folder / "checkpoint.json").exists():
        _forget_after(folder, -1)
        return -1, -math.inf
    told = read_json(folder / "checkpoint.json")
    path = folder / f"checkpoint-{told['step']}.safetensors"
    if not path.exists() or sha256_file(path) != told["sha256"]:
        raise N3Error(f"{path} is damaged or missing", "Delete the run folder and train again")
    tensors, _ = read_tensors(path)
    state = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    _load_state(model, state, path)
    for name, parameter in model.named_parameters():
        prefix = f"optimizer.{name}."
        own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        if own:
            optimizer.state[parameter] = own
    _forget_after(folder, told["step"])
    return told["step"], -math.inf if told["best"] is None else told["best"]


def _log(folder: Path, line: dict[str, Any]) -> None:
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's `metrics.jsonl`."""
    path = Path(folder) / "metrics.jsonl"
    # What follows the last line break was cut off when the run was stopped.
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


def _forget_after(folder: Path, step: int) -> None:
    """Drop the lines logged after the checkpoint: those steps are done again."""
    lines = [line for line in read_metrics(folder) if line["step"] <= step]
    with atomic(folder / "metrics.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines))
