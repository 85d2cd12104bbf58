"""Random search: what is drawn, what is run again and what is not, and what the choice may look at."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from n3lib.config import RunConfig
from n3lib.data import DataConfig, load_data
from n3lib.data.dataset import ZeroShotDataset
from n3lib.experiments import hyperparameters
from n3lib.experiments.hyperparameters import SPACE, draw, random_search, searched
from n3lib.io import N3Error, read_json, write_json
from n3lib.io.errors import Diverged
from n3lib.trainer import read_metrics

pytestmark = pytest.mark.usefixtures("known_code")

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "aviary-tiny.yaml"
SHORT = ["--train.steps=1", "--train.warmup=1", "--model.d=8", "--exemplar_images=2"]

# A process that begins trial 0, says so, and is then at work until it is killed.
WORKER = """
import sys
from pathlib import Path
from n3lib.experiments import hyperparameters

def stuck(config, folder, **how):
    print(folder.name, flush=True)
    sys.stdin.read()

hyperparameters.train = stuck
hyperparameters.random_search(Path(sys.argv[1]), Path(sys.argv[2]), trials=2, results=Path("results"))
"""


def validation(config: RunConfig) -> float:
    """What the stand-in for a training reaches: higher with more ridge, whatever else is drawn."""
    return round(50 + 10 * config.model.ridge, 3)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing is trained: the trials that were begun, and `test RUN` for every look at the test classes."""
    begun: list[str] = []

    def train(config: RunConfig, folder: Path, dataset: Any) -> Any:
        begun.append(folder.name)
        write_json(folder / "config.json", dataclasses.asdict(config))
        line = {"step": 0, "validation": validation(config)}
        (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        return SimpleNamespace(folder=folder)

    def evaluate(run: Any, dataset: Any) -> dict[str, Any]:
        begun.append(f"test {run.folder.name}")
        return {"metrics": {"per_class_accuracy": 40.0}, "config": read_json(run.folder / "config.json")}

    monkeypatch.setattr(hyperparameters, "train", train)
    monkeypatch.setattr(hyperparameters, "evaluate", evaluate)
    monkeypatch.setattr(
        hyperparameters, "Run", SimpleNamespace(load=lambda folder: SimpleNamespace(folder=folder))
    )
    return begun


def tried(folder: Path, trials: int = 2, overrides: list[str] | None = None) -> dict[str, Any] | None:
    return random_search(
        CONFIG, folder / "few", overrides or [], trials, folder / "results", lambda line: None
    )


def test_the_same_seed_draws_the_same_and_more_trials_extend_fewer() -> None:
    few, many = draw(list(SPACE), 3, 4), draw(list(SPACE), 3, 40)
    assert many[:4] == few == draw(list(SPACE), 3, 4) != draw(list(SPACE), 4, 4)
    for name, some in SPACE.items():
        values = [one[name] for one in many]
        if isinstance(some, list):
            assert set(values) == set(some)
        else:
            assert some[0] <= min(values) and max(values) <= some[1]
            # Even on a logarithmic scale: half lie below the geometric middle, give or take.
            assert 10 <= sum(value < (some[0] * some[1]) ** 0.5 for value in values) <= 30


def test_what_is_set_by_hand_is_not_searched() -> None:
    assert searched(["--model.ridge=0.2", "--train.steps=9"]) == [n for n in SPACE if n != "model.ridge"]


def test_a_finished_trial_is_never_run_again(tmp_path: Path, begun: list[str]) -> None:
    result = tried(tmp_path)
    assert result is not None and begun[:3] == ["trial-0", "trial-1", "trial-2"]
    best = result["search"]["best"]
    assert begun[3:] == [f"test trial-{best}", "test trial-0"]  # the test classes only after the choice
    assert tried(tmp_path) == result == read_json(tmp_path / "results" / "few.json") and len(begun) == 5
    trials = result["search"]["trials"]
    assert [one["parameters"] for one in trials] == [{}, *draw(list(SPACE), 0, 2)]
    assert trials[best]["parameters"]["model.ridge"] == max(
        one["parameters"]["model.ridge"] for one in trials[1:]
    )
    assert result["config"]["model"]["ridge"] == trials[best]["parameters"]["model.ridge"]
    assert result["search"]["configured_values"]["model.ridge"] == 0.1
    assert result["command"].endswith("--trials 2")
    longer = tried(tmp_path, trials=3)  # a search can be made longer
    assert begun[5] == "trial-3" and longer is not None and len(longer["search"]["trials"]) == 4


@pytest.mark.parametrize("name", ["trial-0.json", "run.json", "card.json"])
def test_a_folder_of_something_else_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("my journal, day 1")
    with pytest.raises(N3Error, match=name):
        random_search(CONFIG, tmp_path / "mine", (), 1, tmp_path / "results", lambda _: None)
    assert [path.read_text() for path in (tmp_path / "mine").glob(name)] == ["my journal, day 1"]
    assert not (tmp_path / "mine" / "search.json").exists()


def test_two_searches_of_one_name_do_not_answer_for_each_other(tmp_path: Path, begun: list[str]) -> None:
    first, results = tried(tmp_path / "a"), tmp_path / "a" / "results"
    tried(tmp_path / "b", overrides=["--seed=1"])
    del begun[:]
    with pytest.raises(N3Error, match="few.json.*train.steps"):
        random_search(CONFIG, tmp_path / "b" / "few", ["--train.steps=30"], 2, results, lambda line: None)
    with pytest.raises(N3Error, match="few.json.*seed"):  # all of it is run already
        random_search(CONFIG, tmp_path / "b" / "few", ["--seed=1"], 2, results, lambda line: None)
    assert begun == [] and read_json(results / "few.json") == first


def test_the_result_of_another_search_that_ended_meanwhile_is_kept(
    tmp_path: Path, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tried(tmp_path / "other", overrides=["--seed=1"])
    real: Callable[..., Any] = hyperparameters.train

    def train(config: RunConfig, folder: Path, **how: Any) -> Any:
        write_json(tmp_path / "results" / "few.json", other)
        return real(config, folder, **how)

    monkeypatch.setattr(hyperparameters, "train", train)
    with pytest.raises(N3Error, match="few.json.*seed"):
        tried(tmp_path)
    assert read_json(tmp_path / "results" / "few.json") == other


def test_where_no_result_can_go_nothing_is_begun(tmp_path: Path, begun: list[str]) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(N3Error, match="few.json"):
        tried(tmp_path)
    (tmp_path / "results").unlink()
    (tmp_path / "few").write_text("")
    with pytest.raises(N3Error, match="few"):
        tried(tmp_path)
    assert begun == []


def test_what_is_overridden_reaches_every_trial(tmp_path: Path, begun: list[str]) -> None:
    result = tried(tmp_path, overrides=["--model.ridge=0.5", "--model.d=64"])
    assert result is not None and "model.ridge" not in result["search"]["space"]
    for number in range(3):
        model = read_json(tmp_path / "few" / f"trial-{number}" / "config.json")["model"]
        assert (model["ridge"], model["d"]) == (0.5, 64)


def test_processes_share_the_trials_and_that_of_a_killed_one_is_run_again(
    tmp_path: Path, begun: list[str]
) -> None:
    command = [sys.executable, "-c", WORKER, str(CONFIG), str(tmp_path / "few")]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, **pipes) as other:  # type: ignore[call-overload]
        assert "few.json" in other.stdout.readline()
        assert other.stdout.readline() == "trial-0\n"
        assert tried(tmp_path) is None
        assert begun == ["trial-1", "trial-2"]  # the other process is at work on the first
        assert not (tmp_path / "results" / "few.json").exists()
        other.kill()
    result = tried(tmp_path)
    assert result is not None and begun[2] == "trial-0" and len(begun) == 5


def test_the_choice_never_touches_the_test_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(config: DataConfig) -> ZeroShotDataset:
        """The data without any image or text of the test classes."""
        data = load_data(config)
        kept = [i for i, c in enumerate(data.labels) if c not in data.split.test]
        texts = tuple(("A bird.",) if c in data.split.test else text for c, text in enumerate(data.texts))
        return dataclasses.replace(data, images=data.images[kept], labels=data.labels[kept], texts=texts)

    def refuse(*values: Any) -> Any:
        raise N3Error("test classes are asked for")

    monkeypatch.setattr(hyperparameters, "load_data", without)
    monkeypatch.setattr(hyperparameters, "evaluate", refuse)
    logged: list[str] = []
    with pytest.raises(N3Error, match="test"):  # at the end, when all is chosen
        random_search(CONFIG, tmp_path / "few", SHORT, 1, tmp_path / "results", logged.append)
    assert [line[:8] for line in logged[1:]] == ["trial 0:", "trial 1:"]
    found = float(logged[2].split()[2])
    lines = read_metrics(tmp_path / "few" / "trial-1")
    best = max(line["validation"] for line in lines if "validation" in line)
    assert found == pytest.approx(best, abs=0.051)


def test_a_trial_that_diverges_is_reported_and_not_chosen(
    tmp_path: Path, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., Any] = hyperparameters.train

    def bursting(config: RunConfig, folder: Path, **how: Any) -> Any:
        if folder.name == "trial-1":
            raise Diverged("the loss is nan at step 1", "Lower train.lr")
        return real(config, folder, **how)

    monkeypatch.setattr(hyperparameters, "train", bursting)
    result = tried(tmp_path)
    assert result is not None and result["search"]["best"] == 2
    assert result["search"]["trials"][1]["validation"] is None
    assert tried(tmp_path) == result  # nor is it run again
    with pytest.raises(N3Error, match="one.*train.lr"):
        random_search(CONFIG, tmp_path / "one", [], 1, tmp_path / "results", lambda line: None)


def test_what_cannot_be_searched_is_refused(tmp_path: Path) -> None:
    with pytest.raises(N3Error, match="fit: train"):
        random_search(CONFIG, tmp_path / "few", ["--fit=trainval"])
    with pytest.raises(N3Error, match="0 trials"):
        random_search(CONFIG, tmp_path / "few", trials=0)
    assert not (tmp_path / "few").exists()
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "search.json").write_text('{"config": {}, "searched": []}')
    with pytest.raises(N3Error, match="few.*searched"):
        random_search(CONFIG, tmp_path / "few")


# What chapter 10 shows


@pytest.fixture
def found() -> dict[str, Any]:
    drawn = draw(list(SPACE), 0, 4)
    trials = [
        {"trial": k, "parameters": p, "validation": v}
        for k, (p, v) in enumerate(zip([{}, *drawn], [41.0, 39.0, 43.04, None, 40.0], strict=True))
    ]
    search = {"space": {name: list(some) for name, some in SPACE.items()}, "trials": trials, "best": 2}
    search |= {"configured": {"per_class_accuracy": 30.0}, "configured_values": dict.fromkeys(SPACE, 0.1)}
    return {"search": search, "metrics": {"per_class_accuracy": 31.0}, "ways": 100, "chance": 1.0}


def test_a_panel_for_each_hyperparameter(found: dict[str, Any]) -> None:
    figure: Any = hyperparameters.search_figure(found)
    axes = dict(zip(SPACE, figure.axes, strict=True))
    assert {name: axis.get_xscale() == "log" for name, axis in axes.items()} == {
        name: isinstance(some, tuple) for name, some in SPACE.items()
    }
    trials, chosen, level = axes["train.lr"].lines
    assert len(trials.get_xdata()) == 3  # what diverged has no place
    best = found["search"]["trials"][2]
    assert chosen.get_xydata().tolist() == [[best["parameters"]["train.lr"], best["validation"]]]
    assert level.get_ydata()[0] == 41.0
    figure.canvas.draw()
