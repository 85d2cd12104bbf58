"""The cost study at tiny sizes, and how it measures."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from n3lib.backbone import BackboneConfig
from n3lib.cli.commands import main
from n3lib.experiments import cost, cost_measures
from n3lib.experiments.cost import measure_cost
from n3lib.experiments.cost_measures import (
    MEASUREMENTS,
    Measurement,
    compared,
    exponent,
    flops,
    interleaved,
    matrix_rate,
    peak_memory,
    slowest,
    spread,
)
from n3lib.experiments.cost_setup import (
    Plain,
    Size,
    make_backbone,
    make_batch,
    make_episodes,
    trained_numbers,
)
from n3lib.io import N3Error, read_json, write_json
from n3lib.model import N3Config

ONE = Size(
    N3Config(d=8, heads=2, classifier="positional", mu="absolute"),
    BackboneConfig(pool="avg"),
    ways=3, length=4, batch=4, pixels=14, e=6, seen=5,
)  # fmt: skip
OTHER = replace(ONE, model=N3Config(d=8, heads=2), vocabulary=10)
RANK = replace(ONE, model=replace(ONE.model, mu="relative", shared_mu=1.0, rank=2))
SIZES = {"paper": ONE, "rank-4": RANK, "small": OTHER, "aviary": OTHER}
NAMES = [name for name in MEASUREMENTS if name != "inference"]  # torchvision's network needs its pixels


# What is measured


def test_every_measurement_ends_in_the_file_and_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost_measures, "GROWTH", {"K": (2, 4), "L": (4, 8), "layers": (1, 2)})
    output, logged = tmp_path / "cpu.json", list[str]()
    measure_cost(output, NAMES, SIZES, repeats=2, log=logged.append)
    assert [line.split(":")[0] for line in logged] == [str(output), *NAMES]
    first = read_json(output)
    for name, result in first["measurements"].items():
        if "ratio" in result:
            assert 0 < result["ratio"]["low"] <= result["ratio"]["median"] <= result["ratio"]["high"], name
        assert bool(MEASUREMENTS[name].title) == ("ratio" in result), name
        if "curves" in result:
            assert result["curves"]["n3"]["x"] == list(cost_measures.GROWTH[result["x"]])
    assert first["environment"]["threads"] == torch.get_num_threads()
    measure_cost(output, NAMES, SIZES, repeats=2, log=logged.append)
    assert len(logged) == 1 + len(NAMES)
    assert read_json(output) == first
    profile = first["measurements"]["profile"]
    assert profile["flops"]["n3"] > profile["flops"]["plain"] > 0
    assert all(count > 0 for count in profile["forward_flops"].values())
    assert first["measurements"]["growth-K"]["curves"].keys() == {"n3", "tokens2label", "flat"}
    # What chapter 11 shows of it.
    write_json(tmp_path / "cpu.json", first)
    shown = {row[0]: row[1] for row in cost.ratio_table(tmp_path).rows}
    assert "(" in shown["step with its loader over one without"]  # the quartiles
    assert "(" not in shown["memory of a step, d = 128"]  # measured once
    assert "not measured yet" in cost.ratio_table(tmp_path).note
    assert [len(axis.lines) for axis in cost.growth_figure(tmp_path).axes] == [3, 3, 1]


def test_what_is_not_measured_is_an_open_cell(tmp_path: Path) -> None:
    assert not any(row[1] for row in cost.ratio_table(tmp_path).rows)


def test_numbers_of_two_machines_do_not_mix(tmp_path: Path) -> None:
    output = tmp_path / "cpu.json"
    for other in ({"environment": {"device": "abacus"}, "measurements": {}}, {"owl": "A bird."}):
        write_json(output, other)
        with pytest.raises(N3Error, match="cpu.json.*abacus" if "owl" not in other else "cpu.json"):
            measure_cost(output, ["step-small"], SIZES)
        assert read_json(output) == other


def test_where_no_result_can_go_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object) -> dict:
        raise AssertionError("measured")

    monkeypatch.setattr(cost, "MEASUREMENTS", {"loader": Measurement(measure, "small")})
    (tmp_path / "file").write_text("")
    for output in (tmp_path, tmp_path / "file" / "cpu.json"):
        with pytest.raises(N3Error, match=output.name):
            measure_cost(output, sizes=SIZES)


def test_an_unknown_measurement_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["bench", "beauty", "-o", str(tmp_path / "cpu.json")]) == 2
    err = capsys.readouterr().err
    assert "'beauty'" in err and err.count("\n") == 1


# How it is measured


def test_calls_take_turns_and_change_their_order() -> None:
    order: list[str] = []
    seconds = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["b", "a", "a", "b", "b", "a"]
    assert [len(values) for values in seconds.values()] == [2, 2]


def test_ratio_is_taken_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"a": [2.0, 30.0, 4.0], "b": [1.0, 10.0, 1.0]}
    monkeypatch.setattr(cost_measures, "interleaved", lambda calls, repeats: seconds)
    assert compared({}, 3)["ratio"] == {"median": 3.0, "low": 2.5, "high": 3.5, "repeats": 3}
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
    assert matrix_rate()["median"] > 1e8
    assert sum(one["share"] for one in slowest(lambda: layer(a))) <= 100.001


def test_the_loader_gives_batches_of_the_size_asked() -> None:
    batch = make_episodes(OTHER)(0)
    assert batch.images.shape == (4, 14, 14, 3)
    assert batch.text.tokens.shape == (3, 4, 6)


def test_plain_fine_tuning_trains_every_parameter() -> None:
    backbone = make_backbone(ONE)
    plain = Plain(backbone, ONE.ways)
    everything = sum(p.numel() for p in backbone.parameters())
    assert trained_numbers(plain) == everything + ONE.ways * (backbone.width + 1)
    assert not any(p.requires_grad for p in backbone.parameters())
    plain(make_batch(ONE))["loss"].backward()
    assert all(p.grad is not None for p in plain.parameters())
