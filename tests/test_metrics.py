"""Features, logits, Eq. 7, average precision and magnitude, against hand computation and scikit-learn."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import zscore
from sklearn.metrics import average_precision_score, balanced_accuracy_score, top_k_accuracy_score

from n3lib.classifiers import feature_statistics
from n3lib.config import RunConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.metrics import (
    calibration_error,
    class_accuracies,
    class_metrics,
    confusion,
    extract,
    fit_temperature,
    magnitude,
    predict,
    renew_memory,
)
from n3lib.model import N3
from n3lib.text.bank import TextBank


def test_per_class_accuracy_is_not_plain_accuracy() -> None:
    # Five images of class 0, all right; one of class 1, wrong; two of class 2, one right.
    guesses, labels = [0, 0, 0, 0, 0, 0, 2, 1], [0, 0, 0, 0, 0, 1, 2, 2]
    got = class_metrics(torch.eye(3)[guesses], torch.tensor(labels))
    assert got["per_class_accuracy"] == pytest.approx(100 * (1 + 0 + 1 / 2) / 3)  # plain: 6 / 8
    assert got["top5"] == 100  # of three classes


@pytest.mark.parametrize("ways", [2, 4, 5, 7])
def test_metrics_are_those_of_scikit_learn(ways: int) -> None:
    labels = torch.cat([torch.arange(ways), torch.randint(ways, (20,))])
    logits = 3 * torch.randn(len(labels), ways)
    got = class_metrics(logits, labels)
    expected = 100 * balanced_accuracy_score(labels, logits.argmax(1))
    assert got["per_class_accuracy"] == pytest.approx(expected, abs=1e-4)
    score = zscore(logits.double().numpy(), axis=1).round(6)
    precision = [average_precision_score(labels == k, score[:, k]) for k in range(ways)]
    assert got["average_precision"] == pytest.approx(100 * np.mean(precision), abs=1e-3)
    if ways > 5:
        weight = 1 / torch.bincount(labels)[labels]
        top5 = top_k_accuracy_score(labels, logits, k=5, sample_weight=weight)
        assert got["top5"] == pytest.approx(100 * top5, abs=1e-4)
    else:
        assert got["top5"] == 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_average_precision_knows_no_temperature_offset_or_scale(dtype: torch.dtype) -> None:
    labels = torch.arange(7).repeat(5)
    logits = torch.randn(35, 7, dtype=dtype) + torch.eye(7, dtype=dtype)[labels]
    scale, offset = torch.rand(35, 1, dtype=dtype) + 0.5, 10 * torch.randn(35, 1, dtype=dtype)
    expected = class_metrics(logits, labels)["average_precision"]
    for other in (logits / 30, 50 * logits, scale * logits, logits + offset, 1e-9 * logits):
        assert class_metrics(other, labels)["average_precision"] == pytest.approx(expected, abs=1e-4)


def test_average_precision_of_equal_scores_is_that_of_guessing() -> None:
    # Every image at 0 in every class: the precision is the share of the class, 1/4, 1/4 and 1/2.
    logits = torch.tensor([[0.1], [0.7], [-3.3], [0.0]], dtype=torch.float64).expand(4, 3)
    got = class_metrics(logits, torch.tensor([0, 1, 2, 2]))
    assert got["average_precision"] == pytest.approx(100 / 3)
    # Between an image that names the class and those that name others: the second is the second in class 1
    # and the first in class 2, where the other two are tied.
    logits = torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.2, 0.2], [0.0, 5.0, 0.0]])
    got = class_metrics(logits, torch.tensor([0, 1, 2]))
    assert got["average_precision"] == pytest.approx(100 * (1 + 1 / 2 + 1 / 3) / 3)


def test_average_precision_of_two_classes_is_what_the_guesses_say() -> None:
    # Two images name class 0, one of them rightly: precision 1/2. Class 1: 1 for its first image, then 2/3.
    logits = torch.tensor([[30.0, 0.0], [40.0, 0.0], [0.0, 1.0]])
    got = class_metrics(logits, torch.tensor([1, 0, 1]))["average_precision"]
    assert got == pytest.approx(100 * (1 / 2 + (1 + 2 / 3) / 2) / 2)


def test_the_temperature_is_the_one_that_the_labels_were_drawn_with() -> None:
    logits = torch.randn(4000, 5, generator=torch.Generator().manual_seed(1))
    labels = torch.multinomial(
        (2 * logits).softmax(1), 1, generator=torch.Generator().manual_seed(2)
    ).flatten()
    assert fit_temperature(10 * logits, labels) == pytest.approx(5, rel=0.05)
    assert calibration_error(10 * logits, labels) > 5 * calibration_error(2 * logits, labels)


def test_the_calibration_error_by_hand() -> None:
    shares = torch.tensor([[0.8, 0.2], [0.8, 0.2], [0.3, 0.7], [0.3, 0.7]])
    labels = torch.tensor([0, 1, 1, 1])  # at 80 %, half are right; at 70 %, all are
    assert calibration_error(shares.log(), labels) == pytest.approx(100 * (0.5 * 0.3 + 0.5 * 0.3))


def test_accuracy_of_every_class() -> None:
    guesses, labels = torch.tensor([0, 2, 2, 1, 0, 1]), torch.tensor([0, 0, 2, 2, 0, 1])
    got = class_accuracies([7, 3, 5], torch.eye(3)[guesses], labels)
    assert got == {"classes": [7, 3, 5], "accuracy": [66.67, 100.0, 50.0]}
    told = class_metrics(torch.eye(3)[guesses], labels)["per_class_accuracy"]
    assert np.mean(got["accuracy"]) == pytest.approx(told, abs=0.005)


def test_confusion_counts_images_by_class_and_guess() -> None:
    guesses, labels = [0, 2, 2, 1], [0, 0, 2, 2]
    assert confusion(torch.eye(3)[guesses], torch.tensor(labels)).tolist() == [
        [1, 0, 1],
        [0, 0, 0],
        [0, 1, 1],
    ]


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
        adaptation = model.adapt(small_bank.batch(classes))
        expected = model.logits(images, adaptation)
        if mirror:
            expected = (expected + model.logits(images.flip(3), adaptation)) / 2
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    shuffled, _ = predict(model, small_world, small_bank, classes, RunConfig(), texts=[0, 1, 2])
    assert not torch.allclose(shuffled, logits, atol=1e-3)


@torch.no_grad()
def test_exemplars_are_those_of_the_network_adapted_to_the_seen_classes(
    make_n3: Callable[..., N3], small_world: ZeroShotDataset, small_bank: TextBank
) -> None:
    model, seen = make_n3(), small_world.split.train
    config = RunConfig(exemplar_images=2)
    text = small_bank.batch(seen)
    tasks = [np.random.default_rng(t).permutation(8)[:3] for t in range(20)]
    renew_memory(model, small_world, small_bank, seen, config, tasks, final=True)
    adaptation = model.adapt(text)
    indices = np.concatenate([small_world.indices([c]) for c in seen])
    images = model.backbone.preprocess(torch.from_numpy(small_world.images[indices]))
    features = model.backbone(images, model.columns(adaptation.deltas))
    labels = torch.tensor([seen.index(c) for c in small_world.labels[indices]])
    expected = feature_statistics(features, labels, 8, whiten=True)
    torch.testing.assert_close(model.exemplars, expected.exemplars, atol=1e-3, rtol=1e-3)

    groups = tuple(c % 2 for c in range(14))
    grouped = dataclasses.replace(small_world, groups=groups)
    renew_memory(model, grouped, small_bank, seen, config, tasks, final=True)
    rows = torch.zeros_like(features)
    for group in (0, 1):
        deltas = model.adapt(small_bank.batch([c for c in seen if groups[c] == group])).deltas
        mine = torch.tensor([groups[c] == group for c in small_world.labels[indices]])
        rows[mine] = model.backbone(images, model.columns(deltas))[mine]
    expected_by_group = feature_statistics(rows, labels, 8, whiten=True)
    torch.testing.assert_close(model.exemplars, expected_by_group.exemplars, atol=1e-3, rtol=1e-3)

    renew_memory(model, small_world, small_bank, seen, config, tasks, final=False)
    few = model.exemplars.clone()
    assert not torch.allclose(few, expected.exemplars, atol=1e-3)  # two images per class
    renew_memory(model, small_world, small_bank, seen, config, tasks, final=False)
    assert torch.equal(model.exemplars, few)


@torch.no_grad()
def test_features_do_not_depend_on_the_batches(
    make_n3: Callable[..., N3], small_world: ZeroShotDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("n3lib.metrics.BATCH", 2)
    backbone, indices = make_n3().backbone, np.array([3, 1, 7, 20, 5])
    one = extract(backbone, small_world.images, indices, mirror=True)
    images = backbone.preprocess(torch.from_numpy(small_world.images[indices]))
    torch.testing.assert_close(one, (backbone(images) + backbone(images.flip(3))) / 2)


@torch.no_grad()
def test_half_precision_is_near_and_comes_out_whole(
    make_n3: Callable[..., N3], small_world: ZeroShotDataset
) -> None:
    backbone, indices = make_n3().backbone, np.arange(6)
    exact = extract(backbone, small_world.images, indices)
    rough = extract(backbone, small_world.images, indices, bf16=True)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.02 * exact.abs().max()


def test_the_magnitude_of_the_adaptation_and_its_task_dependent_fraction(
    make_n3: Callable[..., N3], small_bank: TextBank
) -> None:
    tasks = [small_bank.batch(classes) for classes in ([0, 1, 2], [3, 4, 5], [2, 0])]
    model = make_n3()
    told = magnitude(model, tasks)
    for name in model.backbone.layers:
        deltas = np.stack([model.adapt(text).deltas[name].detach().numpy() for text in tasks]).astype(float)
        norm = np.sqrt((deltas**2).sum((1, 2)).mean())
        apart = np.sqrt(((deltas - deltas.mean(0)) ** 2).sum((1, 2)).mean())
        base = np.linalg.norm(model.backbone.columns(name).numpy())
        wanted = {"norm": norm, "relative": 100 * norm / base, "varies": 100 * apart / norm}
        assert told[name] == pytest.approx(wanted, rel=1e-4)
        assert wanted["varies"] > 1
    alone = magnitude(model, tasks[:1])
    assert all(layer.keys() == {"norm", "relative"} for layer in alone.values())
    constant = magnitude(make_n3(adapt="constant"), tasks)
    assert {layer["varies"] for layer in constant.values()} == {0.0}
    assert min(layer["norm"] for layer in constant.values()) > 0
