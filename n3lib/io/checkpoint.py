"""Checkpoints: what training needs to go on bit for bit, written so that a kill costs nothing."""

import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from n3lib.io import N3Error, printable
from n3lib.io.tensors import read_shapes, read_tensors, write_tensors

SCHEMA = "3"
KEPT = 2  # should the last one be damaged on the disk, the one before it is whole
_AGAIN = "Delete the run folder and train again"


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's state without its frozen parameters."""
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


def load_trained(model: nn.Module, path: Path, tensors: dict[str, Tensor] | None = None) -> None:
    """Load what `trained_state` gave from a file, or its `tensors`; an `N3Error` if of another model."""
    tensors, wanted = read_tensors(path)[0] if tensors is None else tensors, trained_state(model)
    differs = sorted(wanted.keys() ^ tensors.keys())
    if differs := differs or [name for name in wanted if wanted[name].shape != tensors[name].shape]:
        problem = f"{path} is a checkpoint of another model: {differs[0]} differs"
        raise N3Error(problem, "Use another run folder, or the configuration that made this one")
    model.load_state_dict(tensors, strict=False)


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, newest first, be they sound or not."""
    named = ((re.fullmatch(r"checkpoint-(\d+)\.safetensors", p.name), p) for p in Path(folder).iterdir())
    return [path for _, path in sorted(((int(m[1]), path) for m, path in named if m), reverse=True)]


def save(model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path, step: int, best: float) -> None:
    """Write the checkpoint of a step; of the earlier ones, `KEPT` - 1 stay.

    It holds the model, the optimizer's moments and the best score so far (minus infinity if there is none);
    rates, episodes and dropout follow from the step. An `OSError` leaves the checkpoints before it there.
    """
    tensors = {f"model.{name}": value for name, value in trained_state(model).items()}
    names = {id(p): name for name, p in model.named_parameters()}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            tensors[f"optimizer.{names[id(parameter)]}.{key}"] = value
    metadata = {"schema": SCHEMA, "step": str(step), "best": repr(best)}
    write_tensors(folder / f"checkpoint-{step}.safetensors", tensors, metadata)
    # Only now is an old one no longer needed: whenever a run is stopped, one is whole.
    for old in checkpoints(folder)[KEPT:]:
        old.unlink()


def resume(
    model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path, chief: bool = True
) -> tuple[int, float]:
    """Load the newest sound checkpoint and give its step and best score (-1 and minus infinity without one).

    The `chief` process reports and removes damaged ones after it.

    Raises:
        N3Error: all are damaged, or the one is of another model or another version of this library.
    """
    problem, found = "", checkpoints(folder)
    for place, path in enumerate(found):
        try:
            tensors, metadata = read_tensors(path)
        except N3Error as error:
            problem = error.problem
            continue
        if metadata.get("schema") != SCHEMA:
            raise N3Error(f"{path} was written by another version", _AGAIN)
        load_trained(model, path, _below("model.", tensors))
        for name, parameter in model.named_parameters():
            if moments := _below(f"optimizer.{name}.", tensors):
                optimizer.state[parameter] = moments
        for damaged in found[:place] if chief else []:
            tqdm.write(printable(f"{damaged} is damaged: going on from {path.name}"), file=sys.stderr)
            damaged.unlink(missing_ok=True)
        return int(metadata["step"]), float(metadata["best"])
    if found:
        raise N3Error(f"{problem}, and no checkpoint before it is sound", _AGAIN)
    return -1, -math.inf


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def check_size(make: Callable[[], nn.Module], card: Path, paths: Sequence[Path]) -> None:
    """Refuse, with an `N3Error`, a `card` of a network of more numbers than the safetensors files hold.

    `make` builds that network; it is called where tensors have a shape and take no memory.
    """
    with torch.device("meta"):
        asked = sum(tensor.numel() for tensor in make().state_dict().values())
    held = sum(math.prod(shape) for path in paths for shape in read_shapes(path).values())
    if asked > held:
        problem = f"{paths[-1]} does not belong to {card}, which asks for {asked:,} numbers and gets {held:,}"
        raise N3Error(problem, "Have it made again; do not use it if you do not know where it comes from")
