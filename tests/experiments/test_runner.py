"""Ablations: what is run, what is kept of it, and that nothing is run twice."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from n3lib.data import load_data
from n3lib.evaluation import evaluate
from n3lib.experiments.experiment import Evaluation, Experiment
from n3lib.experiments.layer_swaps import swap_layers
from n3lib.experiments.registry import EXPERIMENTS
from n3lib.experiments.runner import curve, run_experiment
from n3lib.io import N3Error, read_json, write_json
from n3lib.run import Run
from n3lib.trainer import read_metrics

pytestmark = pytest.mark.usefixtures("known_code")

ROOT = Path(__file__).parents[2]

TINY = Experiment(
    "tiny",
    "Which width?",
    "aviary-tiny",
    {"narrow": ["--model.d=8", "--model.heads=2"], "wide": ["--model.d=16", "--model.heads=2"]},
    common=["--train.steps=5", "--train.every=3", "--train.warmup=1"],
    ways=(3, 8, 50),
    alike=True,
    tasks=2,
)
WIDE = ["--model.d=8", "--train.lr=0.002"]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXPERIMENTS, "tiny", TINY)


def run(folder: Path, **how: object) -> list[str]:
    told: list[str] = []
    places = {"folder": folder / "results", "configs": ROOT / "configs", "runs": folder / "runs"}
    run_experiment("tiny", **places, log=told.append, **how)  # type: ignore[arg-type]
    return told


@pytest.fixture(scope="module")
def wide(known_code: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of one run, `wide-seed0`, with overrides. Not to be changed."""
    folder = tmp_path_factory.mktemp("wide")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXPERIMENTS, "tiny", TINY)
        run(folder, seeds=[0], variants=["wide"], overrides=WIDE)
    return folder


@pytest.mark.usefixtures("tiny")
def test_weights_that_have_to_be_made_first_are_named_before_the_work(tmp_path: Path) -> None:
    weights = tmp_path / "none.safetensors"
    with pytest.raises(N3Error, match="none.safetensors") as caught:
        run(tmp_path, seeds=[1], overrides=[f"--backbone.weights={weights}"])
    assert "n3 data backbone" in caught.value.remedy and not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("tiny")
def test_a_study_measures_each_variant_once(tmp_path: Path) -> None:
    assert len(run(tmp_path, seeds=[1])) == 1 + 2
    result = read_json(tmp_path / "results" / "tiny" / "wide-seed1.json")
    assert (result["study"], result["variant"], result["seed"]) == ("tiny", "wide", 1)
    assert result["command"] == "n3 study tiny --variant wide --seed 1"
    # Tasks of more classes than there are, are left out; the first is the result itself.
    kinds = [(one["tasks"], one["ways"]) for one in result["measured"]]
    assert kinds == [("random", 3), ("random", 8), ("look-alikes", 3), ("look-alikes", 8)]
    assert result["metrics"] == result["measured"][0]["metrics"]
    for one in result["measured"]:
        assert {len(task["classes"]) for task in one["per_class"]} == {one["ways"]}
        mean = sum(sum(task["accuracy"]) / one["ways"] for task in one["per_class"]) / len(one["per_class"])
        assert mean == pytest.approx(one["metrics"]["per_class_accuracy"], abs=0.005)
    # All classes at once are the same task, however they were drawn.
    assert result["measured"][1]["metrics"] == pytest.approx(result["measured"][3]["metrics"])
    assert result["config"]["model"]["d"] == 16
    assert run(tmp_path, seeds=[1]) == []
    assert len(run(tmp_path, seeds=[2], variants=["narrow"])) == 1 + 1
    found = TINY.measured(tmp_path / "results")
    assert [(r["variant"], r["seed"]) for r in found] == [("narrow", 1), ("narrow", 2), ("wide", 1)]


def test_a_variant_can_have_several_results_of_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = {"sub/narrow": TINY.variants["narrow"], "wide": TINY.variants["wide"]}
    evaluations = (Evaluation("-3way", 3), Evaluation("-all", 0, "shuffled", variants=("sub/narrow",)))
    study = replace(TINY, variants=variants, evaluations=evaluations, folder="a/b")
    monkeypatch.setitem(EXPERIMENTS, "tiny", study)
    assert len(run(tmp_path, seeds=[1])) == 1 + 3
    home = tmp_path / "results" / "a" / "b"
    assert (home / "wide-seed1-3way.json").exists() and not (home / "wide-seed1-all.json").exists()
    three, every = (read_json(home / "sub" / f"narrow-seed1-{end}.json") for end in ("3way", "all"))
    told = Run.load(tmp_path / "runs" / "tiny" / "sub" / "narrow-seed1")
    assert three["metrics"] == evaluate(told, ways=3)["metrics"]
    assert (three["study"], three["text"], every["text"]) == ("main", "own", "shuffled")
    assert three["command"] == "n3 study tiny --variant sub/narrow --seed 1"
    assert run(tmp_path, seeds=[1]) == []
    for name, other in {"ways": 4, "text": "shuffled", "permutations": 3, "tasks": "look-alikes"}.items():
        write_json(home / "sub" / "narrow-seed1-3way.json", three | {name: other})
        with pytest.raises(N3Error, match=f"narrow-seed1-3way.json.*{name}"):
            run(tmp_path, seeds=[1])


def test_a_training_that_diverges_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = replace(TINY, variants={"wild": ["--train.lr=1e30"], "tame": TINY.variants["narrow"]})
    monkeypatch.setitem(EXPERIMENTS, "tiny", wild)
    told = run(tmp_path, seeds=[0])[1:]
    assert "finite" in told[0] or "nan" in told[0]
    assert told[1].endswith("%")  # the study went on
    result = wild.measured(tmp_path / "results")[0]
    assert result["diverged"] == told[0].split(": ", 1)[1]
    assert (result["metrics"], result["seed"], result["dataset"]) == ({}, 0, "aviary")
    assert result["curve"]["step"]
    assert result["environment"]["packages"]


def test_a_study_that_swaps_layers_tells_what_hangs_on_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = {"written": [], "constant": ["--model.adapt=constant", "--model.shared_mu=1"]}
    study = replace(TINY, variants=forms, part="val", swaps=(2, 3))
    monkeypatch.setitem(EXPERIMENTS, "tiny", study)
    run(tmp_path, seeds=[0])
    constant, written = study.measured(tmp_path / "results")[::-1]
    assert "swaps" not in constant
    told = Run.load(tmp_path / "runs" / "tiny" / "written-seed0")
    data = load_data(told.config.data)
    assert written["swaps"] == swap_layers(told, data, told.pipeline.bank(data.texts), 2, 3, "val")
    assert all("varies" in layer for layer in written["adaptation"].values())
    assert {layer["varies"] for layer in constant["adaptation"].values()} == {0.0}


def test_overrides_do_not_change_what_a_variant_is_about(wide: Path) -> None:
    config = TINY.measured(wide / "results")[0]["config"]
    assert (config["model"]["d"], config["train"]["lr"]) == (16, 0.002)


@pytest.mark.usefixtures("tiny")
def test_a_result_of_other_settings_is_refused_before_anything_is_run(wide: Path) -> None:
    assert run(wide, seeds=[0], variants=["wide"], overrides=WIDE) == []
    with pytest.raises(N3Error, match=r"wide-seed0.json.*train.lr.*0.002.*0.001.*-o"):
        run(wide)
    assert [path.name for path in (wide / "runs" / "tiny").iterdir()] == ["wide-seed0"]


@pytest.mark.usefixtures("tiny")
def test_where_no_result_can_go_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(N3Error, match="narrow-seed0.json"):
        run(tmp_path)
    assert not (tmp_path / "runs").exists()


def test_a_study_may_ask_for_the_validation_classes(
    wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXPERIMENTS, "tiny", replace(TINY, part="val", ways=(0,), alike=False))
    shutil.copytree(wide / "runs", tmp_path / "runs")
    run(tmp_path, seeds=[0], variants=["wide"], overrides=WIDE)
    result = TINY.measured(tmp_path / "results")[0]
    told = evaluate(Run.load(wide / "runs" / "tiny" / "wide-seed0"), part="val")
    assert (result["part"], result["metrics"]) == ("val", told["metrics"])


def test_the_curve_is_that_of_the_run(wide: Path) -> None:
    folder = wide / "runs" / "tiny" / "wide-seed0"
    told, lines = curve(folder), read_metrics(folder)
    assert told["step"] == [1, 2, 3, 4, 5]
    assert told["loss"] == pytest.approx([line["loss"] for line in lines if "loss" in line], abs=1e-4)
    assert told["checkpoint"] == [0, 3, 5]
    assert told["validation"] == pytest.approx(
        [line["validation"] for line in lines if "validation" in line], abs=0.01
    )
    assert told["change"][0] == 0 < told["change"][-1]


@pytest.mark.usefixtures("tiny")
def test_what_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(N3Error, match="'tall'.*narrow, wide"):
        run(tmp_path, variants=["tall"])
    with pytest.raises(N3Error, match="'depth'"):
        run_experiment("depth", tmp_path)
    assert not list(tmp_path.iterdir())


# The results of the book


@pytest.mark.parametrize("name", sorted({*EXPERIMENTS} - {"equivalence"}))
def test_the_results_are_the_experiments_own(
    name: str, moved: list[str], refuse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("n3lib.experiments.runner.train", refuse)
    experiment, there = EXPERIMENTS[name], dict[int, list[str]]()
    home = experiment.home(ROOT / "results")
    for path in home.rglob("*.json"):
        found = re.fullmatch(r"(.*)-seed(\d)(.*).json", path.relative_to(home).as_posix())
        assert found, path
        there.setdefault(int(found[2]), []).append(found[1])
    assert there
    for seed, variants in there.items():
        own = {"variants": sorted(set(variants)), "seeds": [seed], "configs": ROOT / "configs", "log": refuse}
        elsewhere = moved if experiment.config.startswith(("benchmark", "cub")) else moved[:1]
        # Whoever measures the run that ships names the files of its further texts.
        given = ['--data.also=["a/cub_descriptors_menon.json", "b/looks.json"]'] if name == "birds" else []
        for settings in ([], elsewhere)[: 1 if seed else 2]:
            run_experiment(name, ROOT / "results", overrides=[*given, *settings], **own)  # type: ignore[arg-type]
        with pytest.raises(N3Error, match=r"seed\d.*json.*train.clip.*1.0.*2.0"):
            others = [*given, "--train.clip=2"]
            run_experiment(name, ROOT / "results", overrides=others, **own)  # type: ignore[arg-type]
