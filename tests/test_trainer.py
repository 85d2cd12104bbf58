"""The loop: a resumed run is the uninterrupted one, bad states are refused, the best state is kept."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml
from torch import Tensor, nn

from n3lib.io import N3Error
from n3lib.io.checkpoint import checkpoints, load_trained, resume, trained_state
from n3lib.io.errors import Diverged
from n3lib.io.files import PARTIAL
from n3lib.io.tensors import read_tensors, write_tensors
from n3lib.run import Run
from n3lib.trainer import Progress, TrainConfig, fit, optimizer_for, rate, read_metrics

CONFIG = TrainConfig(steps=12, lr=0.05, warmup=3, every=4)
TRUTH = torch.tensor([1.0, -2.0, 0.5])


class Points(NamedTuple):
    x: Tensor
    y: Tensor


class Regression(nn.Module):
    """Linear regression with dropout and a frozen part: nothing of N3."""

    fast_parameters = ("offset",)

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, 1))
        self.offset = nn.Parameter(torch.zeros(1))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.dropout = nn.Dropout(0.2)
        self.register_buffer("renewed", torch.zeros(()))

    def forward(self, batch: Points) -> dict[str, Tensor]:
        guess = (self.dropout(batch.x) @ self.weight)[:, 0] + self.offset
        return {"loss": (guess - batch.y).square().mean(), "offset": self.offset.sum()}


def points(step: int, rank: int, ranks: int) -> Points:
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
    return Points(x, x @ TRUTH + 3)


def renew(model: nn.Module) -> dict[str, float]:
    """Changes a buffer, as renewed exemplars do."""
    model.renewed += 1
    return {"validation": -(model.weight[:, 0] - TRUTH).norm().item()}


def stop_at(step: int) -> Callable[[Progress], None]:
    def watch(progress: Progress) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    return watch


def logged(folder: Path) -> list[dict[str, float]]:
    """The log without what depends on the clock."""
    return [{k: v for k, v in line.items() if k != "seconds"} for line in read_metrics(folder)]


def equal(a: nn.Module, b: nn.Module) -> bool:
    ours, theirs = trained_state(a), trained_state(b)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_it_learns_whatever_gives_a_loss(tmp_path: Path) -> None:
    model = Regression()
    model.dropout.p = 0.0
    seen: list[Progress] = []
    config = TrainConfig(steps=200, lr=0.1, fast_lr=0.1, weight_decay=0.0)
    fit(model, points, config, tmp_path, watch=seen.append)
    torch.testing.assert_close(model.weight[:, 0].detach(), TRUTH, atol=0.02, rtol=0)
    assert model.offset.item() == pytest.approx(3, abs=0.02)
    assert [progress.step for progress in seen] == list(range(1, 201))
    assert seen[-1].metrics["loss"] < 1e-3 < seen[0].metrics["loss"]
    assert [line["step"] for line in logged(tmp_path)] == list(range(1, 201))


# Stopped right after a checkpoint, between two, before the first, and more than once.
@pytest.mark.parametrize("stops", [(4,), (5,), (8,), (11,), (2,), (3, 6, 10)])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(stops: tuple[int, ...], tmp_path: Path) -> None:
    whole = Regression()
    fit(whole, points, CONFIG, tmp_path / "whole", 5, renew)
    assert [line["step"] for line in logged(tmp_path / "whole") if "validation" in line] == [0, 4, 8, 12]
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            fit(Regression(), points, CONFIG, tmp_path / "parts", 5, renew, stop_at(stop))
    resumed = Regression()
    fit(resumed, points, CONFIG, tmp_path / "parts", 5, renew)
    assert equal(resumed, whole)
    assert logged(tmp_path / "parts") == logged(tmp_path / "whole")
    for file in ("best.safetensors", "checkpoint-12.safetensors"):
        (a, _), (b, _) = read_tensors(tmp_path / "parts" / file), read_tensors(tmp_path / "whole" / file)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_dropout_is_on_and_follows_the_seed(tmp_path: Path) -> None:
    models = [Regression() for _ in range(3)]
    for model, seed, name in zip(models, (1, 2, 1), "abc", strict=True):
        fit(model, points, CONFIG, tmp_path / name, seed)
    assert equal(models[0], models[2])
    assert not equal(models[0], models[1])


def test_a_finished_run_is_loaded_and_not_trained_again(tmp_path: Path) -> None:
    first, second = Regression(), Regression()
    fit(first, points, CONFIG, tmp_path, examine=renew)
    before = logged(tmp_path)
    fit(second, points, CONFIG, tmp_path, examine=renew, watch=stop_at(1))
    assert equal(first, second)
    assert logged(tmp_path) == before


def test_the_best_state_by_validation_is_kept(tmp_path: Path) -> None:
    states: list[Tensor] = []

    def examine(model: nn.Module) -> dict[str, float]:
        assert not model.training
        states.append(model.weight.detach().clone())
        return {"validation": [0.0, 3.0, 7.0, 7.0][len(states) - 1], "other": 5.0}  # the first of equals

    model = Regression()
    fit(model, points, CONFIG, tmp_path, examine=examine)
    assert len(states) == 4
    assert torch.equal(model.weight, states[2])
    assert not torch.equal(states[2], states[3])
    assert [line["validation"] for line in logged(tmp_path) if "validation" in line] == [0, 3, 7, 7]
    assert sum(line.get("other") == 5 for line in logged(tmp_path)) == 4


def test_without_a_score_the_last_state_is_kept(tmp_path: Path) -> None:
    states: list[Tensor] = []

    def examine(model: nn.Module) -> dict[str, float]:
        states.append(model.weight.detach().clone())
        return {}

    model = Regression()
    fit(model, points, CONFIG, tmp_path, examine=examine)
    assert torch.equal(model.weight, states[-1])


def test_the_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    fit(Regression(), points, CONFIG, tmp_path)
    with pytest.raises(N3Error, match="weight"):
        fit(Regression(width=4), points, CONFIG, tmp_path)
    with pytest.raises(N3Error, match="best.safetensors.*frozen"):
        model = Regression()
        model.frozen.requires_grad_(True)
        load_trained(model, tmp_path / "best.safetensors")


def test_one_flipped_bit_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    whole, again = Regression(), Regression()
    fit(whole, points, CONFIG, tmp_path)
    path = tmp_path / "checkpoint-12.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    fit(again, points, CONFIG, tmp_path)  # from the one before, to the same end
    assert "checkpoint-12" in capsys.readouterr().err
    assert equal(again, whole)
    for path in checkpoints(tmp_path):
        path.write_bytes(content)
    with pytest.raises(N3Error, match="checkpoint-8"):
        fit(Regression(), points, CONFIG, tmp_path)


def test_of_several_processes_one_tells_of_damage_and_removes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    fit(Regression(), points, CONFIG, tmp_path)
    damaged = tmp_path / "checkpoint-12.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-3])
    capsys.readouterr()
    for chief in (False, True):
        model = Regression()
        assert resume(model, optimizer_for(model, CONFIG), tmp_path, chief)[0] == 8
        assert damaged.exists() is not chief
        assert ("checkpoint-12" in capsys.readouterr().err) is chief


def test_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    fit(Regression(), points, CONFIG, tmp_path)
    assert [path.stem for path in checkpoints(tmp_path)] == ["checkpoint-12", "checkpoint-8"]


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    write_tensors(tmp_path / "checkpoint-4.safetensors", trained_state(Regression()), {"step": "4"})
    with pytest.raises(N3Error, match="checkpoint-4"):
        fit(Regression(), points, CONFIG, tmp_path)


def test_a_stop_in_the_last_step_is_heard(tmp_path: Path) -> None:
    """As of a search, whose other trials are not to begin."""
    model = Regression()
    with pytest.raises(KeyboardInterrupt):
        fit(model, points, CONFIG, tmp_path, 5, watch=lambda p: os.kill(os.getpid(), signal.SIGTERM)
            if p.step == CONFIG.steps else None)  # fmt: skip
    fit(Regression(), points, CONFIG, tmp_path, 5)
    assert read_metrics(tmp_path)[-1]["step"] == CONFIG.steps


def test_a_log_that_a_power_cut_left_is_gone_on_from(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(Regression(), points, CONFIG, tmp_path, 5, watch=stop_at(6))
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b"\0\0\0\n\xff\n")
    fit(Regression(), points, CONFIG, tmp_path, 5)
    assert read_metrics(tmp_path)[-1]["step"] == CONFIG.steps


def test_trainings_of_one_process_may_differ_in_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("n3lib.trainer.processor_has_bf16", lambda: True)
    for precision in ("float32", "bf16", "float32"):
        config = dataclasses.replace(CONFIG, steps=1, precision=precision)
        fit(Regression(), points, config, tmp_path / str(len(list(tmp_path.iterdir()))), 5)


def test_a_torn_line_of_the_log_and_a_torn_file_are_forgotten(tmp_path: Path) -> None:
    whole, resumed = Regression(), Regression()
    fit(whole, points, CONFIG, tmp_path / "whole", 5, renew)
    with pytest.raises(KeyboardInterrupt):
        fit(Regression(), points, CONFIG, tmp_path / "run", 5, renew, stop_at(6))
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "lo')
    (tmp_path / "run" / f".checkpoint-8.safetensors.a1b2c3d4{PARTIAL}").write_bytes(b"half")
    fit(resumed, points, CONFIG, tmp_path / "run", 5, renew)
    assert equal(resumed, whole)
    assert logged(tmp_path / "run") == logged(tmp_path / "whole")
    names = [{path.name for path in (tmp_path / name).iterdir()} for name in ("run", "whole")]
    assert names[0] == names[1]


def test_a_loss_that_is_not_finite_stops_before_it_spoils_anything(tmp_path: Path) -> None:
    def spoiled(step: int, rank: int, ranks: int) -> Points:
        good = points(step, rank, ranks)
        return good._replace(y=good.y * math.inf) if step == 6 else good

    with pytest.raises(N3Error, match="step 6.*checkpoint-4"):
        fit(Regression(), spoiled, CONFIG, tmp_path)
    state, _ = read_tensors(tmp_path / "checkpoint-4.safetensors")
    assert all(value.isfinite().all() for value in state.values())
    assert logged(tmp_path)[-1]["step"] == 6


def test_a_gradient_that_is_not_finite_stops_before_it_spoils_the_next_checkpoint(tmp_path: Path) -> None:
    class Steep(Regression):
        """The loss is finite, its gradient is not: the root of zero."""

        def forward(self, batch: Points) -> dict[str, Tensor]:
            root = (self.offset * 0).sum().sqrt() if batch.x[0, 0] == 7 else 0
            return {"loss": super().forward(batch)["loss"] + root}

    def spoiled(step: int, rank: int, ranks: int) -> Points:
        batch = points(step, rank, ranks)
        if step == 7:
            batch.x[0, 0] = 7
        return batch

    with pytest.raises(Diverged, match="gradient.*step 7.*checkpoint-4"):
        fit(Steep(), spoiled, CONFIG, tmp_path)


def test_rate_rises_and_falls_as_a_cosine() -> None:
    config = TrainConfig(steps=10, warmup=2)
    expected = [0.5, 1.0, *(0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(8))]
    assert [rate(step, config) for step in range(10)] == pytest.approx(expected)
    assert rate(6, config) == pytest.approx(0.5)
    assert rate(0, TrainConfig(steps=10, warmup=0)) == 1
    assert rate(3, TrainConfig(steps=3, warmup=5)) == pytest.approx(0.8)  # shorter than its warm-up


def test_matrices_decay_vectors_do_not_and_fast_ones_are_fast() -> None:
    model = Regression()
    model.vector = nn.Parameter(torch.ones(2))
    config = TrainConfig(lr=0.1, fast_lr=0.7, weight_decay=0.3)
    groups = optimizer_for(model, config).param_groups
    table = [(g["params"], g["peak"], g["weight_decay"]) for g in groups]
    assert [[id(p) for p in params] for params, _, _ in table] == [
        [id(model.weight)], [id(model.vector)], [id(model.offset)]
    ]  # fmt: skip
    assert [(peak, decay) for _, peak, decay in table] == [(0.1, 0.3), (0.1, 0.0), (0.7, 0.0)]


def test_frozen_parameters_are_not_stored() -> None:
    assert trained_state(Regression()).keys() == {"weight", "offset", "renewed"}


@pytest.mark.parametrize("able", [True, False])
def test_bf16_is_for_machines_that_have_it(monkeypatch: pytest.MonkeyPatch, able: bool) -> None:
    monkeypatch.setattr("n3lib.trainer.processor_has_bf16", lambda: able)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [TrainConfig(precision=p).bf16 for p in ("auto", "float32", "bf16")] == [False, False, able]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [TrainConfig(precision=p).bf16 for p in ("auto", "float32", "bf16")] == [True, False, True]


def test_two_processes_give_the_loss_curve_of_one(tiny_run: Run, tmp_path: Path) -> None:
    """Same batch, each process half of the images: what is logged and what is learned agree."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(dataclasses.asdict(tiny_run.config)))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    n3 = [str(Path(sys.executable).parent / "n3"), "train", str(path), "-o", str(tmp_path / "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ran = subprocess.run([*torchrun, *n3], env=environment, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    one, two = read_metrics(tiny_run.folder), read_metrics(tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for a, b in zip(one, two, strict=True):
        told = [{k: v for k, v in line.items() if k != "images_per_second"} for line in (a, b)]
        assert json.dumps(told[0]) != "{}"
        for key in told[0].keys() - {"adaptation", "step"}:
            assert told[1][key] == pytest.approx(told[0][key], rel=1e-4, abs=1e-5), (a["step"], key)
        for layer, change in told[0].get("adaptation", {}).items():
            assert told[1]["adaptation"][layer]["norm"] == pytest.approx(change["norm"], rel=1e-3, abs=1e-6)
