"""The protocol against hand computation and scikit-learn."""

import copy
import dataclasses
import importlib
import json
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from n3lib.config import RunConfig
from n3lib.data import load_data
from n3lib.data.dataset import ZeroShotDataset
from n3lib.evaluation import derangement, evaluate, result
from n3lib.io import N3Error
from n3lib.metrics import class_accuracies, predict
from n3lib.run import Run, train
from n3lib.synthesis import synthesize


@pytest.fixture(scope="module")
def tiny_data(tiny_run: Run) -> ZeroShotDataset:
    return load_data(tiny_run.config.data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ways": 9}, "9"),
        ({"ways": 1}, "1"),
        ({"ways": -2}, "-2"),
        ({"permutations": 0}, "0"),
        ({"part": "train"}, "train"),
        ({"part": "val"}, "val"),
        ({"part": "other"}, "other"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    settings: dict, message: str, tiny_run: Run, tiny_data: ZeroShotDataset
) -> None:
    with pytest.raises(N3Error, match=message):
        evaluate(tiny_run, tiny_data, **settings)


def test_a_split_without_test_classes_cannot_be_measured(tiny_run: Run, tiny_data: ZeroShotDataset) -> None:
    split = dataclasses.replace(tiny_data.split, test=())
    with pytest.raises(N3Error, match="0 test classes"):
        evaluate(tiny_run, dataclasses.replace(tiny_data, split=split))


def test_validation_classes_are_measured_where_they_were_not_trained_on(
    tiny_run: Run, tiny_data: ZeroShotDataset
) -> None:
    run = dataclasses.replace(tiny_run, config=dataclasses.replace(tiny_run.config, fit="train"))
    assert evaluate(run, tiny_data, "val")["confusion"]["classes"] != list(tiny_data.split.val)


def test_the_result_has_the_fields_of_a_result(tiny_run: Run, tiny_data: ZeroShotDataset) -> None:
    result = evaluate(tiny_run, tiny_data, ways=4, permutations=3)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    # The command line adds `command`.
    told = "study method dataset split seed metrics spread config environment seconds"
    assert result.keys() >= set(told.split())
    assert result["metrics"].keys() == {"per_class_accuracy", "top5", "average_precision"}
    assert result["environment"].keys() >= {"packages", "device", "threads", "data_hashes", "code_revision"}
    assert result["environment"]["packages"]["torch"] == torch.__version__
    assert result["environment"]["data_hashes"] == tiny_data.hashes
    assert (result["ways"], result["chance"], result["orders_measured"]) == (4, 25, 3)
    counts = np.array(result["confusion"]["counts"])
    assert counts.shape == (4, 4)
    assert counts.sum(1).tolist() == [6] * 4  # six images of each unseen class
    assert len(result["confusion"]["classes"]) == 4
    assert result["metrics"]["top5"] == 100


@pytest.mark.parametrize("adapt", ["constant", "all"])
def test_images_pass_once_through_layers_that_all_tasks_share(
    adapt: Literal["constant", "all"], tiny_config: RunConfig, tmp_path: Path, tiny_data: ZeroShotDataset
) -> None:
    model = dataclasses.replace(tiny_config.model, adapt=adapt, shared_mu=1.0)
    run = train(dataclasses.replace(tiny_config, model=model), tmp_path / "run", dataset=tiny_data)
    bank, passes = run.pipeline.bank(tiny_data.texts), []
    hook = run.model.backbone.features.register_forward_hook(
        lambda _, images, __: passes.append(len(*images))
    )
    tasks = evaluate(run, tiny_data, ways=3, permutations=5)["per_class"]
    hook.remove()
    assert sum(passes) == 6 * (len(tiny_data.split.test) if adapt == "constant" else 5 * 3)  # six each
    for task in tasks:
        alone = predict(run.model, tiny_data, bank, task["classes"], run.config)
        assert task == class_accuracies(task["classes"], *alone)


def test_mean_and_spread_are_over_the_tasks(
    tiny_run: Run, tiny_data: ZeroShotDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([10.0, 40.0, 10.0, 20.0])
    names = ("per_class_accuracy", "top5", "average_precision")
    module = importlib.import_module("n3lib.evaluation")
    monkeypatch.setattr(module, "class_metrics", lambda *_: dict.fromkeys(names, next(scores)))
    result = evaluate(tiny_run, tiny_data, ways=3, permutations=4)
    assert result["metrics"]["per_class_accuracy"] == 20
    assert result["spread"]["per_class_accuracy"] == pytest.approx(np.std([10, 40, 10, 20]))


@pytest.mark.parametrize("settings", [{}, {"ways": 3, "permutations": 4}, {"control": "shuffled"}])
def test_every_class_of_every_task_has_its_accuracy(
    settings: dict, tiny_run: Run, tiny_data: ZeroShotDataset
) -> None:
    result = evaluate(tiny_run, tiny_data, **settings)
    tasks = result["per_class"]
    assert len(tasks) == result["orders_measured"]
    assert all(len({*task["classes"]}) == len(task["accuracy"]) == result["ways"] for task in tasks)
    mean = np.mean([np.mean(task["accuracy"]) for task in tasks])
    assert mean == pytest.approx(result["metrics"]["per_class_accuracy"], abs=0.005)
    counts = np.array(result["confusion"]["counts"])
    assert tasks[0]["classes"] == result["confusion"]["classes"]
    assert tasks[0]["accuracy"] == pytest.approx(100 * np.diag(counts) / counts.sum(1), abs=0.005)


@pytest.mark.parametrize("count", [2, 3, 4, 50])
def test_no_class_keeps_its_own_text(count: int) -> None:
    orders = [derangement(np.random.default_rng(seed), count) for seed in range(20)]
    for order in orders:
        assert sorted(order) == list(range(count))
        assert all(order != np.arange(count))
    assert len({tuple(order) for order in orders}) > (count > 2)


def test_shuffled_texts_of_all_classes_are_deranged(
    tiny_run: Run, tiny_data: ZeroShotDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[int], list[int]]] = []
    module = importlib.import_module("n3lib.evaluation")
    predict = module.predict

    def spy(model, dataset, bank, classes, config, texts, *more):  # type: ignore[no-untyped-def]
        asked.append((classes, texts))
        return predict(model, dataset, bank, classes, config, texts, *more)

    monkeypatch.setattr(module, "predict", spy)
    evaluate(tiny_run, tiny_data, control="shuffled", permutations=4)
    for classes, texts in asked:
        assert sorted(classes) == sorted(texts) == sorted(tiny_data.split.test)
        assert all(one != other for one, other in zip(classes, texts, strict=True))


def test_all_orders_of_an_equivariant_run_give_what_one_gives(
    tiny_run: Run, tiny_data: ZeroShotDataset
) -> None:
    result = evaluate(tiny_run, tiny_data)
    assert result["orders_measured"] == 1
    assert set(result["spread"].values()) == {0}
    other = copy.copy(tiny_run)
    other.config = dataclasses.replace(tiny_run.config, seed=9)  # orders follow the seed
    again = evaluate(other, tiny_data)
    assert again["confusion"]["classes"] != result["confusion"]["classes"]
    assert again["metrics"] == pytest.approx(result["metrics"], abs=1e-3)


def test_shuffled_descriptions_are_another_classs(tiny_run: Run, tiny_data: ZeroShotDataset) -> None:
    result = evaluate(tiny_run, tiny_data, control="shuffled", permutations=2)
    assert result["text"] == "shuffled"
    assert result["orders_measured"] == 2


def test_tasks_of_look_alikes_are_nearest_by_text(tiny_run: Run, tiny_data: ZeroShotDataset) -> None:
    result = evaluate(tiny_run, tiny_data, ways=3, permutations=1, alike=True)
    assert result["tasks"] == "look-alikes"
    first, *others = result["confusion"]["classes"]
    classes = list(tiny_data.split.test)
    rows = tiny_run.pipeline.bank(tiny_data.texts).tfidf.numpy()[classes]
    rows = rows - rows.mean(0)
    cosine = rows @ rows.T / np.outer(np.linalg.norm(rows, axis=1), np.linalg.norm(rows, axis=1))
    near = cosine[classes.index(first)]
    order = sorted((k for k in range(len(classes)) if classes[k] != first), key=lambda k: -near[k])
    assert others == [classes[k] for k in order[:2]]


def test_the_adaptation_is_measured_layer_by_layer(tiny_run: Run, tiny_data: ZeroShotDataset) -> None:
    result = evaluate(tiny_run, tiny_data)
    model, classes = tiny_run.model, result["confusion"]["classes"]
    network = synthesize(tiny_run, {tiny_data.classes[c]: tiny_data.texts[c] for c in classes})
    assert result["adaptation"].keys() == set(model.backbone.layers)
    for name, told in result["adaptation"].items():
        layer = network.features.get_submodule(name)
        written = torch.cat([layer.weight.flatten(1), layer.bias[:, None]], 1)
        norm = (written - model.backbone.columns(name)).square().sum().sqrt().item()
        base = model.backbone.columns(name).square().sum().sqrt().item()
        assert told == pytest.approx({"norm": norm, "relative": 100 * norm / base}, rel=1e-3)
    assert max(told["norm"] for told in result["adaptation"].values()) > 0


def test_where_there_are_groups_a_task_is_of_one(tiny_run: Run, tiny_data: ZeroShotDataset) -> None:
    groups = tuple(c % 3 % 2 for c in range(len(tiny_data.classes)))
    grouped = dataclasses.replace(tiny_data, groups=groups)
    seen = {
        tuple(sorted({groups[c] for c in result["confusion"]["classes"]}))
        for seed in range(4)
        for result in [evaluate(_seeded(tiny_run, seed), grouped, permutations=1)]
    }
    assert seen == {(0,), (1,)}
    smallest = min(sum(groups[c] == g for c in tiny_data.split.test) for g in (0, 1))
    assert evaluate(tiny_run, grouped, permutations=1)["ways"] == smallest
    with pytest.raises(N3Error, match=str(smallest)):
        evaluate(tiny_run, grouped, ways=smallest + 1)
    alike = evaluate(tiny_run, grouped, permutations=3, alike=True)["confusion"]["classes"]
    assert len({groups[c] for c in alike}) == 1


def _seeded(run: Run, seed: int) -> Run:
    other = copy.copy(run)
    other.config = dataclasses.replace(run.config, seed=seed)
    return other


def test_a_result_has_what_every_result_has() -> None:
    told = {"study": "main", "method": "n3", "dataset": "cub", "split": "PS", "seed": 0, "config": {}}
    made = result(**told, metrics={}, more=3, hashes={"text": "0"}, started=time.perf_counter() - 2)
    assert [*made] == [*told, "metrics", "more", "environment", "seconds"]
    assert made["environment"]["data_hashes"] == {"text": "0"}
    assert 2 <= made["seconds"] < 60
    assert "seconds" not in result(**told, metrics={}, hashes={})
    with pytest.raises(TypeError, match="metrics"):
        result(**told, hashes={})
