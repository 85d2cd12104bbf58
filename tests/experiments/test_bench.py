"""The bench at tiny sizes, and what it rests on: other ways to the same numbers, and several processes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from n3lib.backbone import BackboneConfig
from n3lib.cli.commands import main
from n3lib.config import RunConfig
from n3lib.experiments import bench_views
from n3lib.experiments.bench import run_bench
from n3lib.experiments.bench_measures import MEASUREMENTS
from n3lib.experiments.bench_setup import (
    Flat,
    Plain,
    Size,
    batched_deltas,
    make_backbone,
    make_batch,
    make_episodes,
    trained_numbers,
)
from n3lib.experiments.bench_setup import make_n3 as setup_n3
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
from n3lib.io.errors import N3Error
from n3lib.io.files import read_json, write_json
from n3lib.model import N3, LayerDecoder, N3Config
from n3lib.trainer import read_metrics

MakeN3 = Callable[..., N3]
ONE = Size(
    N3Config(d=8, heads=2, classifier="positional", mu="absolute"),
    BackboneConfig(pool="avg"),
    ways=3, length=4, batch=4, pixels=14, e=6, seen=5,
)  # fmt: skip
OTHER = replace(ONE, model=N3Config(d=8, heads=2), vocabulary=10)
SIZES = {"paper": ONE, "small": OTHER, "aviary": OTHER}
CPU_NAMES = [name for name in MEASUREMENTS if name not in ("inference", "library")]


# What is measured


def test_every_measurement_ends_in_the_file_and_is_not_made_again(tmp_path: Path) -> None:
    output, told = tmp_path / "cpu.json", list[str]()
    run_bench(output, CPU_NAMES, SIZES, repeats=1, told=told.append)
    assert [line.split(":")[0] for line in told] == [str(output), *CPU_NAMES]
    first = read_json(output)
    for name, result in first["measurements"].items():
        if "ratio" in result:
            assert 0 < result["ratio"]["low"] <= result["ratio"]["median"] <= result["ratio"]["high"], name
        if "curves" in result:
            assert result["curves"]["n3"]["x"] == sorted(result["curves"]["n3"]["x"])
    assert first["environment"]["threads"] == torch.get_num_threads()
    run_bench(output, CPU_NAMES, SIZES, repeats=1, told=told.append)
    assert len(told) == 1 + len(CPU_NAMES)
    assert read_json(output) == first
    profile = first["measurements"]["profile"]
    assert profile["flops"]["n3"] > profile["flops"]["plain"] > 0
    assert all(count > 0 for count in profile["forward_flops"].values())
    assert first["measurements"]["growth-K"]["curves"].keys() == {"n3", "tokens2label", "flat"}


def test_numbers_of_two_machines_do_not_mix(tmp_path: Path) -> None:
    output = tmp_path / "cpu.json"
    write_json(output, {"environment": {"device": "abacus"}, "measurements": {}})
    with pytest.raises(N3Error, match="cpu.json.*device is 'abacus' there and .* here.*-o"):
        run_bench(output, ["step-small"], SIZES)
    write_json(output, {"owl": "A bird."})
    with pytest.raises(N3Error, match="cpu.json"):
        run_bench(output, ["step-small"], SIZES)
    assert read_json(output) == {"owl": "A bird."}


def test_where_no_result_can_go_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object) -> dict:
        raise AssertionError("measured")

    monkeypatch.setattr("n3lib.experiments.bench.MEASUREMENTS", {"library": measure})
    (tmp_path / "file").write_text("")
    for output in (tmp_path, tmp_path / "file" / "cpu.json"):
        with pytest.raises(N3Error, match=output.name):
            run_bench(output, sizes=SIZES)


def test_an_unknown_measurement_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["bench", "beauty", "-o", str(tmp_path / "cpu.json")]) == 2
    assert "n3: there is no measurement 'beauty'" in capsys.readouterr().err


def test_a_library_that_is_missing_is_left_out_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> dict:
        raise ModuleNotFoundError("no", name="hypnettorch")

    monkeypatch.setattr("n3lib.experiments.bench.MEASUREMENTS", {"library": missing})
    told: list[str] = []
    assert run_bench(tmp_path / "a.json", sizes=SIZES, told=told.append)["measurements"] == {}
    assert told[1:] == ["library: left out, hypnettorch is not installed"]
    with pytest.raises(N3Error, match="library needs hypnettorch.*pip install hypnettorch"):
        run_bench(tmp_path / "a.json", ["library"], SIZES)


# How it is measured


def test_calls_take_turns_and_change_their_order() -> None:
    order: list[str] = []
    seconds = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2, warmup=1)
    assert order == ["b", "a", "a", "b", "b", "a"]
    assert [len(values) for values in seconds.values()] == [2, 2]


def test_ratio_is_taken_round_by_round() -> None:
    seconds = {"a": [2.0, 30.0, 4.0], "b": [1.0, 10.0, 1.0]}
    assert ratio(seconds, "a", "b") == {"median": 3.0, "low": 2.5, "high": 3.5, "repeats": 3}
    assert spread([5.0])["low"] == 5.0


def test_exponent_is_the_slope_in_logarithms() -> None:
    assert exponent([10.0, 20.0, 40.0], [3.0, 12.0, 48.0]) == pytest.approx(2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="of the CPU's counter")
def test_peak_memory_is_the_most_held_at_once() -> None:
    def call() -> None:
        a = torch.zeros(1000)
        b = torch.zeros(2000)
        del a
        torch.zeros(500)
        del b

    assert peak_memory(call) == 4 * 3000


def test_flops_and_rates() -> None:
    a, layer = torch.zeros(3, 5), nn.Linear(5, 7)
    assert flops(lambda: layer(a))["Global"] == 2 * 3 * 5 * 7
    assert matrix_rate(torch.device("cpu"), torch.float32, 1)["median"] > 1e8
    assert sum(one["share"] for one in slowest(lambda: layer(a))) <= 100.001


def test_the_loader_gives_batches_of_the_size_asked() -> None:
    episodes = make_episodes(OTHER)
    batch = episodes(0)
    assert batch.images.shape == (4, 14, 14, 3)
    assert batch.text.tokens.shape == (3, 4, 6)


def test_the_floor_is_that_of_the_text_once_and_of_every_image(tmp_path: Path) -> None:
    profile = {
        "matrix_rate": {"median": 1e11},
        "flops": {"n3": 3e12, "plain": 1e12},
        "floor_seconds": {"n3": 30.0, "plain": 10.0},
        "operators": {"n3": []},
    }
    write_json(tmp_path / "cpu.json", {"environment": {}, "measurements": {"profile": profile}})
    note = bench_views.profile_table(tmp_path).note
    assert "3.00 TFLOP, at least 30.0 s" in note
    # The text is 2 TFLOP, 64 images are 1 and 256 are 4: (2 + 1) / 1 and (2 + 4) / 4.
    assert "ratio of the floors is 3.00; with four times the images, in micro-batches, 1.50" in note


# Other ways to the same numbers


def by_hand(decoder: LayerDecoder, h: Tensor) -> Tensor:
    """Equation 4 as one would first write it: one column after another, one head after another."""
    block, columns = decoder.block, list(decoder.queries)

    def attend(attention: nn.MultiheadAttention, asking: list[Tensor], asked: list[Tensor]) -> list[Tensor]:
        weight, bias = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        out = []
        for one in asking:
            q = weight[0] @ one + bias[0]
            heads = []
            for part in torch.arange(len(one)).chunk(attention.num_heads):
                keys = torch.stack([(weight[1] @ other + bias[1])[part] for other in asked])
                values = torch.stack([(weight[2] @ other + bias[2])[part] for other in asked])
                heads.append((keys @ q[part] / len(part) ** 0.5).softmax(0) @ values)
            out.append(attention.out_proj(torch.cat(heads)))
        return out

    own = attend(block.self_attn, *[[block.norm1(c) for c in columns]] * 2)
    columns = [c + change for c, change in zip(columns, own, strict=True)]
    seen = attend(block.multihead_attn, [block.norm2(c) for c in columns], list(h))
    columns = [c + change for c, change in zip(columns, seen, strict=True)]
    columns = [c + block.linear2(block.linear1(block.norm3(c)).relu()) for c in columns]
    return torch.stack([decoder.out(decoder.norm(c)) for c in columns])


@torch.no_grad()
def test_the_decoders_equal_a_loop_over_layers_columns_and_heads(make_n3: MakeN3) -> None:
    writer, h = make_n3(shared_mu=0.0).labels2adaptation, torch.randn(3, 16)
    got = writer(h)
    batched = batched_deltas(writer, h)
    for i, name in enumerate(writer.names):
        expected = by_hand(writer.decoders[i], h)
        torch.testing.assert_close(batched[i], expected, atol=1e-5, rtol=1e-5)
        scale = writer.log_mu[i].exp() * writer.std[i]
        torch.testing.assert_close(got[name], scale * expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("micro", [1, 3, 4])
@pytest.mark.parametrize("size", [ONE, OTHER], ids=["positional", "exemplar"])
def test_micro_batches_change_no_gradient(size: Size, micro: int) -> None:
    batch, backbone, found = make_batch(size), make_backbone(size), []
    for images in (0, micro):
        model = setup_n3(size, backbone, micro_batch=images)
        torch.manual_seed(4)  # of dropout, and away from the start at zero
        for decoder in model.labels2adaptation.decoders:
            nn.init.normal_(decoder.out.weight, std=0.1)
        out = model(batch)
        out["loss"].backward()
        found.append((out, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    (whole, expected), (parts, got) = found
    torch.testing.assert_close(parts, whole)
    assert got.keys() == expected.keys()
    for name in expected:
        scale = expected[name].abs().sum().item()
        torch.testing.assert_close(got[name], expected[name], atol=1e-5 * scale + 1e-6, rtol=1e-4)


# Several processes


def test_two_processes_give_the_loss_curve_of_one(tiny_config: RunConfig, tmp_path: Path) -> None:
    """Same batch, each process half of the images: what is logged and what is learned agree."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(asdict(tiny_config)))
    n3 = [str(Path(sys.executable).parent / "n3"), "train", str(path), "-o"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    commands = {"one": [sys.executable, *n3], "two": [*torchrun, *n3]}
    running = {
        name: subprocess.Popen(
            [*command, str(tmp_path / name)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for name, command in commands.items()
    }
    for name, process in running.items():
        out = process.communicate(timeout=300)[0].decode()
        assert process.returncode == 0, f"{name}: {out}"
    one, two = (read_metrics(tmp_path / name) for name in commands)
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for a, b in zip(one, two, strict=True):
        told = [{k: v for k, v in line.items() if k != "images_per_second"} for line in (a, b)]
        assert json.dumps(told[0]) != "{}"
        for key in told[0].keys() - {"adaptation", "step"}:
            assert told[1][key] == pytest.approx(told[0][key], rel=1e-4, abs=1e-5), (a["step"], key)
        for layer, change in told[0].get("adaptation", {}).items():
            assert told[1]["adaptation"][layer]["norm"] == pytest.approx(change["norm"], rel=1e-3, abs=1e-6)


@torch.no_grad()
def test_the_flat_attention_reads_all_tokens_at_once() -> None:
    flat, tokens = Flat(6, N3Config(d=8, heads=2)), torch.randn(3, 4, 6)
    before = flat(tokens)
    assert before.shape == (3, 8)
    changed = tokens.clone()
    changed[2] += 1
    assert not torch.allclose(flat(changed)[0], before[0])


def test_plain_fine_tuning_trains_every_parameter() -> None:
    backbone = make_backbone(ONE)
    plain = Plain(backbone, ONE.ways)
    everything = sum(p.numel() for p in backbone.parameters())
    assert trained_numbers(plain) == everything + ONE.ways * (backbone.width + 1)
    assert not any(p.requires_grad for p in backbone.parameters())
    loss = plain(make_batch(ONE))["loss"]
    loss.backward()
    assert all(p.grad is not None for p in plain.parameters())
