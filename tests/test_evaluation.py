"""The protocol against hand computation and scikit-learn."""

import copy
import dataclasses
import importlib
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, balanced_accuracy_score, top_k_accuracy_score

from n3lib.backbone import to_columns
from n3lib.config import RunConfig
from n3lib.data import load_data
from n3lib.data.dataset import ZeroShotDataset
from n3lib.evaluation import evaluate
from n3lib.io.errors import N3Error
from n3lib.metrics import metrics, predict
from n3lib.model import N3
from n3lib.run import Run
from n3lib.synthesis import synthesize
from n3lib.text.bank import TextBank


def test_per_class_accuracy_is_not_plain_accuracy() -> None:
    # Five images of class 0, all right; one of class 1, wrong; two of class 2, one right.
    guesses, labels = [0, 0, 0, 0, 0, 0, 2, 1], [0, 0, 0, 0, 0, 1, 2, 2]
    got = metrics(torch.eye(3)[guesses], torch.tensor(labels))
    assert got["per_class_accuracy"] == pytest.approx(100 * (1 + 0 + 1 / 2) / 3)  # plain: 6 / 8
    assert got["top5"] == 100  # of three classes


@pytest.mark.parametrize("ways", [2, 4, 5, 7])
def test_metrics_are_those_of_scikit_learn(ways: int) -> None:
    labels = torch.cat([torch.arange(ways), torch.randint(ways, (20,))])
    logits = 3 * torch.randn(len(labels), ways)
    got = metrics(logits, labels)
    expected = 100 * balanced_accuracy_score(labels, logits.argmax(1))
    assert got["per_class_accuracy"] == pytest.approx(expected, abs=1e-4)
    share = logits.double().softmax(1).numpy()
    precision = [average_precision_score(labels == k, share[:, k]) for k in range(ways)]
    assert got["average_precision"] == pytest.approx(100 * np.mean(precision), abs=1e-3)
    if ways > 5:
        weight = 1 / torch.bincount(labels)[labels]
        top5 = top_k_accuracy_score(labels, logits, k=5, sample_weight=weight)
        assert got["top5"] == pytest.approx(100 * top5, abs=1e-4)
    else:
        assert got["top5"] == 100


def test_average_precision_does_not_saturate() -> None:
    # In float32 both images would have probability 1 of class 0.
    logits = torch.tensor([[30.0, 0.0], [40.0, 0.0], [0.0, 1.0]])
    assert metrics(logits, torch.tensor([1, 0, 1]))["average_precision"] == pytest.approx(100)


@pytest.mark.parametrize("mirror", [False, True])
def test_predict_is_the_model_on_the_images_of_the_classes(
    mirror: bool, make_n3: Callable[..., N3], small_world: ZeroShotDataset, small_bank: TextBank
) -> None:
    model, classes = make_n3(), [2, 0, 1]
    logits, labels = predict(model, small_world, small_bank, classes, RunConfig(mirror=mirror))
    indices = [i for i, c in enumerate(small_world.labels) if c in classes]
    assert [classes[k] for k in labels] == small_world.labels[indices].tolist()
    with torch.no_grad():
        images = model.backbone.preprocess(torch.from_numpy(small_world.images[indices]))
        adaptation = model.read(small_bank.batch(classes))
        expected = model.logits(images, adaptation)
        if mirror:
            expected = (expected + model.logits(images.flip(3), adaptation)) / 2
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    shuffled, _ = predict(model, small_world, small_bank, classes, RunConfig(), texts=[0, 1, 2])
    assert not torch.allclose(shuffled, logits, atol=1e-3)


@pytest.fixture(scope="module")
def tiny_data(tiny_run: Run) -> ZeroShotDataset:
    return load_data(tiny_run.config.data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ways": 9}, "9 ways are asked of 8 test classes"),
        ({"ways": 1}, "1 ways"),
        ({"ways": -2}, "-2 ways"),
        ({"permutations": 0}, "0 tasks"),
        ({"part": "train"}, "trained on"),
        ({"part": "val"}, "val classes were trained on"),
        ({"part": "other"}, "no part 'other'"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    settings: dict, message: str, tiny_run: Run, tiny_data: ZeroShotDataset
) -> None:
    with pytest.raises(N3Error, match=message):
        evaluate(tiny_run, tiny_data, **settings)


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


def test_median_and_spread_are_over_the_tasks(
    tiny_run: Run, tiny_data: ZeroShotDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([10.0, 40.0, 10.0, 20.0])
    names = ("per_class_accuracy", "top5", "average_precision")
    module = importlib.import_module("n3lib.evaluation")
    monkeypatch.setattr(module, "metrics", lambda *_: dict.fromkeys(names, next(scores)))
    result = evaluate(tiny_run, tiny_data, ways=3, permutations=4)
    assert result["metrics"]["per_class_accuracy"] == 15
    assert result["spread"]["per_class_accuracy"] == pytest.approx(np.std([10, 40, 10, 20]))


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


def test_the_adaptation_is_told_layer_by_layer(tiny_run: Run, tiny_data: ZeroShotDataset) -> None:
    result = evaluate(tiny_run, tiny_data)
    model, classes = tiny_run.model, result["confusion"]["classes"]
    network = synthesize(tiny_run, {tiny_data.classes[c]: tiny_data.texts[c] for c in classes})
    assert result["adaptation"].keys() == set(model.backbone.layers)
    for name, told in result["adaptation"].items():
        written = to_columns(network.features.get_submodule(name))
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
    with pytest.raises(N3Error, match=f"asked of {smallest} test classes"):
        evaluate(tiny_run, grouped, ways=smallest + 1)
    alike = evaluate(tiny_run, grouped, permutations=3, alike=True)["confusion"]["classes"]
    assert len({groups[c] for c in alike}) == 1


def _seeded(run: Run, seed: int) -> Run:
    other = copy.copy(run)
    other.config = dataclasses.replace(run.config, seed=seed)
    return other
