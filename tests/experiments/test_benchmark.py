"""The protocol: what is known when, what is searched, and what the controls do."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from n3lib.baselines import baselines
from n3lib.baselines.base import Images, Seen
from n3lib.baselines.eszsl import ESZSL
from n3lib.config import RunConfig, read_config
from n3lib.data.dataset import ZeroShotDataset
from n3lib.experiments.benchmark import N3_FORMS, Benchmark, Problem, controlled_texts, scores, search
from n3lib.experiments.results import METRICS
from n3lib.experiments.tables import TITLES
from n3lib.io import N3Error
from n3lib.metrics import class_metrics


@pytest.fixture(scope="module")
def bench(tiny_config: RunConfig) -> Benchmark:
    return Benchmark(tiny_config)


def test_every_method_has_a_title() -> None:
    assert set(TITLES) == set(baselines()) | set(N3_FORMS)


def test_the_papers_form_is_that_of_its_configuration() -> None:
    folder = Path(__file__).parents[2] / "configs"
    changes = [one.format(K=50) for one in N3_FORMS["n3-paper"]]
    form = read_config(folder / "benchmark.yaml", [*changes, "--model.word_penalty=0.001"])  # of no words
    assert form == read_config(folder / "paper-cpu.yaml")


def test_everything_is_centered_on_the_known_classes_and_parts_are_whole(bench: Benchmark) -> None:
    split = bench.dataset.split
    rows = bench.rows(split.train, encoder=False, control="own", seed=0)
    seen, text, images, labels = bench.problem("train", "val", rows)
    np.testing.assert_allclose(seen.images.pooled.mean(0), 0, atol=1e-9)
    spread = seen.images.pooled.std(0)
    np.testing.assert_allclose(spread[spread > 0], 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(seen.text, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(text, axis=1), 1)
    assert (len(seen.text), len(text)) == (len(split.train), len(split.val))
    wanted = [c for c in bench.dataset.labels if c in split.val]
    assert [split.val[k] for k in labels] == wanted
    assert len(images.pooled) == len(wanted)
    assert images.maps is seen.images.maps is None


def test_words_are_those_of_the_known_classes(bench: Benchmark) -> None:
    some = bench.dataset.split.train[:2]
    known = {word for c in some for line in bench.dataset.texts[c] for word in line.lower().split()}
    rows = bench.rows(some, encoder=False, control="own", seed=0)
    assert 0 < rows.shape[1] <= 2 * len(known)


def test_random_texts_follow_the_seed(bench: Benchmark) -> None:
    known = bench.dataset.split.train
    one, again, other = (bench.rows(known, False, "random", seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_best_trial_on_the_validation_classes_is_taken() -> None:
    rng = np.random.default_rng(0)
    text = rng.standard_normal((12, 6))
    labels = np.repeat(np.arange(9), 8)
    features = (text @ rng.standard_normal((6, 5)))[np.r_[labels, np.repeat(range(9, 12), 8)]]
    features = features + 0.5 * rng.standard_normal(features.shape)
    problem = Problem(
        Seen(Images(features[:72]), labels, text[:9]), text[9:], Images(features[72:]), np.repeat(range(3), 8)
    )
    method, told = search(ESZSL, problem, seed=3, trials=6)
    assert len(told["trials"]) == 6
    assert told["validation"] == pytest.approx(max(t["validation"] for t in told["trials"]), abs=1e-3)
    given = method.fit(problem.seen)(problem.text)(problem.images)
    told_now = scores(given, problem.labels, range(3))
    assert told_now["per_class_accuracy"] == pytest.approx(told["validation"])
    assert search(ESZSL, problem, 3, 6) == (method, told)


def test_a_classifier_has_the_same_metrics_as_a_method_and_as_a_network() -> None:
    """With the length of an image's features and a common scale, which only a method's scores have."""
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(6), 9)
    given = np.eye(6)[labels] + rng.standard_normal((54, 6))
    logits = torch.from_numpy(rng.uniform(3, 30, (54, 1)) * given + rng.standard_normal((54, 1))).float()
    told = scores(given, labels, range(6))
    assert {name: told[name] for name in METRICS} == pytest.approx(
        class_metrics(logits, torch.from_numpy(labels))
    )


def test_scores_that_are_no_numbers_count_as_wrong() -> None:
    told = scores(np.array([[np.nan, 1.0], [1.0, 0.0]]), np.array([1, 0]), [4, 9])
    assert told["per_class_accuracy"] == 0
    assert told["per_class"] == [{"classes": [4, 9], "accuracy": [0.0, 0.0]}]


def test_a_result_has_what_a_table_needs(bench: Benchmark) -> None:
    result = bench.measure("eszsl", seed=1, trials=2)
    assert result["study"] == "benchmark"
    assert (result["method"], result["dataset"], result["split"]) == ("eszsl", "aviary", "aviary")
    assert result["ways"] == len(bench.dataset.split.test) == round(100 / result["chance"])
    assert result["controls"].keys() == {
        "shuffled", "random", "names", "own name removed", "all names removed",
    }  # fmt: skip
    assert result["hyperparameters"].keys() == {"gamma", "lam"}
    for told in ({**result["metrics"], "per_class": result["per_class"]}, *result["controls"].values()):
        (task,) = told["per_class"]
        assert task["classes"] == list(bench.dataset.split.test)
        assert np.mean(task["accuracy"]) == pytest.approx(told["per_class_accuracy"], abs=0.005)
    again = bench.measure("eszsl", seed=2, earlier=result)
    assert again["hyperparameters"] == result["hyperparameters"]
    assert again["metrics"] == result["metrics"]  # a closed form draws nothing


def test_n3_is_measured_on_the_same_classes(bench: Benchmark, tmp_path: Path) -> None:
    result = bench.measure_n3("n3", 0, tmp_path / "run")
    assert (result["ways"], result["method"]) == (len(bench.dataset.split.test), "n3")
    assert result["controls"].keys() == {"shuffled"}
    assert (tmp_path / "run" / "run.json").exists()
    shuffled = result["controls"]["shuffled"]
    for told, accuracy in ((result, result["metrics"]), (shuffled, shuffled)):
        (task,) = told["per_class"]
        assert sorted(task["classes"]) == sorted(bench.dataset.split.test)
        assert np.mean(task["accuracy"]) == pytest.approx(accuracy["per_class_accuracy"], abs=0.005)


def test_a_split_without_validation_classes_is_refused(
    tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch, small_world: ZeroShotDataset
) -> None:
    split = dataclasses.replace(small_world.split, val=())
    monkeypatch.setattr(
        "n3lib.experiments.benchmark.load_data", lambda _: dataclasses.replace(small_world, split=split)
    )
    with pytest.raises(N3Error, match="small"):
        Benchmark(tiny_config)


def test_names_are_taken_out_of_texts_as_words(small_world: ZeroShotDataset) -> None:
    data = dataclasses.replace(
        small_world,
        classes=("Red Gull", "Blue Tern", *("Great Auk",) * 12),
        texts=(("Red gulls, redder than a tern.",), ("The TERN is blue.",), *small_world.texts[2:]),
    )

    def words(control: str, c: int) -> list[str]:
        return " ".join(controlled_texts(data, control)[c]).split()

    assert words("own", 0) == ["Red", "gulls,", "redder", "than", "a", "tern."]
    assert words("names", 0) == ["Red", "Gull"]
    assert words("own name removed", 0) == [",", "redder", "than", "a", "tern."]
    assert words("all names removed", 0) == [",", "redder", "than", "a", "."]
    assert words("all names removed", 1) == ["The", "is", "."]
