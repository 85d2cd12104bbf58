"""What departs from the paper, each against a plain computation."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from n3lib.classifiers import feature_statistics
from n3lib.extensions import MOMENTUM, N3Config, TaskStatistics, accumulate_gradients
from n3lib.io import N3Error
from n3lib.model import N3
from n3lib.text.bank import TextBank

MakeN3 = Callable[..., N3]


def close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_labels_are_the_same_in_passes_of_any_size(
    make_n3: MakeN3, small_bank: TextBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, text = make_n3(), small_bank.batch(range(14))
    whole = model.labels(text)
    for most in (1, 7, 20):
        monkeypatch.setattr("n3lib.extensions.PASS_TOKENS", most)
        assert len(text.parts(most)) > 1
        assert close(model.labels(text), whole)


@torch.no_grad()
def test_relative_mu(make_n3: MakeN3) -> None:
    model = make_n3(layers=["layer2.conv1", "conv1"], shared_mu=0.0)
    l2a, h = model.labels2adaptation, torch.randn(3, 16)
    l2a.log_mu.copy_(torch.tensor([0.2, 0.5]).log())
    theta = model.backbone.columns("conv1")
    expected = 0.5 * theta.double().numpy().std(ddof=1) * l2a.decoders[1](h)
    assert close(l2a(h)["conv1"], expected)
    assert l2a.mu() == pytest.approx({"layer2.conv1": 0.2, "conv1": 0.5})
    torch.testing.assert_close(model.columns({"conv1": expected})["conv1"], theta + expected)


@torch.no_grad()
def test_a_text_conditioned_delta_comes_on_top_of_the_shared_offset(make_n3: MakeN3) -> None:
    model = make_n3(layers=["conv1"])
    l2a, h = model.labels2adaptation, torch.randn(3, 16)
    std = model.backbone.columns("conv1").std()
    l2a.log_mu.fill_(math.log(0.5))
    l2a.log_shared_mu.fill_(math.log(3.0))
    assert close(l2a(h)["conv1"], 0.5 * std * l2a.decoders[0](l2a.task(h)) + 3 * std * l2a.shared[0])


@torch.no_grad()
def test_the_two_controls_are_the_shared_offset_alone_and_free_parameters(make_n3: MakeN3) -> None:
    h = torch.randn(3, 16)
    constant = make_n3(adapt="constant", layers=["conv1"]).labels2adaptation
    std = constant.std[0]
    assert close(constant(h)["conv1"], constant.log_shared_mu[0].exp() * std * constant.shared[0])
    finetune = make_n3(adapt="finetune", layers=["conv1"], shared_mu=0.3).labels2adaptation
    assert close(finetune(h)["conv1"], 0.3 * finetune.shared[0])
    assert constant.mu() == finetune.mu() == {}


@torch.no_grad()
def test_what_tells_tasks_apart_against_numpy() -> None:
    statistics, h = TaskStatistics(16).eval(), torch.randn(5, 16)
    x, along = h.double().numpy(), statistics.directions.double().numpy()
    np.testing.assert_allclose(along @ along.T, np.eye(8), atol=1e-6)
    covariance = np.cov((x @ along.T).T, bias=True)
    expected = [*x.mean(0), *x.std(0), *covariance[np.tril_indices(8)]]
    np.testing.assert_allclose(statistics.read(h)[0], expected, atol=1e-5)
    statistics.renew([h, h + 1, h - 2])
    # The means 0, 1, -2 have the variance 7/3, of which the spread of five labels makes s^2 / 5.
    between = np.maximum(7 / 3 - x.var(0) / 5, 0)
    for labels in (h, h[[0, 1, 2, 3, 4] * 3]):
        std = np.sqrt(between + x.var(0) / len(labels))
        np.testing.assert_allclose(statistics(labels)[:16], (1 / 3) / std, atol=1e-3)


@torch.no_grad()
def test_the_variance_of_drawing_classes() -> None:
    statistics, mixing = TaskStatistics(16), torch.randn(16, 16, dtype=torch.float64) / 4
    tasks = [(torch.randn(200, 16).double() @ mixing).float() for _ in range(4000)]
    rows, sampling = map(torch.stack, zip(*map(statistics.read, tasks), strict=True))
    torch.testing.assert_close(200 * rows.var(0), sampling.mean(0), rtol=0.15, atol=0.0)


@torch.no_grad()
def test_statistics_of_tasks_are_brought_up_to_date_at_every_step() -> None:
    statistics, tasks = TaskStatistics(16), [torch.randn(5, 16) for _ in range(3)]
    mean, variance, sampling = (getattr(statistics, n).double() for n in ("mean", "variance", "sampling"))
    for h in tasks:
        found, drawing = (one.double() for one in statistics.read(h))
        variance = (1 - MOMENTUM) * variance + MOMENTUM * (found - mean) ** 2
        mean = (1 - MOMENTUM) * mean + MOMENTUM * found
        sampling = (1 - MOMENTUM) * sampling + MOMENTUM * drawing
        statistics.train()(h)
        statistics.eval()(h)  # which changes nothing
    torch.testing.assert_close(statistics.mean.double(), mean)
    torch.testing.assert_close(statistics.variance.double(), variance)
    torch.testing.assert_close(statistics.sampling.double(), sampling)


def drawn(ways: int, count: int, seed: int) -> list[np.ndarray]:
    return [np.random.default_rng([seed, t]).permutation(40)[:ways] for t in range(count)]


@pytest.mark.parametrize("settings", [{}, {"rank": 4}, {"gains": True}])
@torch.no_grad()
def test_an_average_task_asks_for_nothing_and_size_does_not_depend_on_k(
    settings: dict[str, Any], make_n3: MakeN3
) -> None:
    model, labels = make_n3(layers=["layer2.conv1"], shared_mu=1e-9, **settings), 3 + torch.randn(40, 16)
    l2a = model.labels2adaptation
    l2a.task.renew(model.context(labels[task]) for task in drawn(8, 2000, seed=0))

    def written(ways: int) -> Tensor:
        tasks = drawn(ways, 2000, seed=1)
        return torch.stack([l2a(model.context(labels[task]))["layer2.conv1"] for task in tasks])

    found = written(8)
    size = found.square().sum((1, 2)).mean().sqrt().item()
    assert found.mean(0).norm() < 0.05 * size
    assert written(16).square().sum((1, 2)).mean().sqrt().item() == pytest.approx(size, rel=0.35)


@torch.no_grad()
def test_tasks_that_differ_in_kind_read_alike_whatever_their_size() -> None:
    statistics, kinds = TaskStatistics(16).eval(), 2 * torch.randn(3, 16)
    statistics.renew(kinds[k % 3] + torch.randn(8, 16) for k in range(300))
    for ways in (4, 8, 100):
        read = torch.stack([statistics(kinds[k % 3] + torch.randn(ways, 16)) for k in range(300)])
        assert read.square().mean().item() == pytest.approx(1, rel=0.35)


@torch.no_grad()
def test_a_deviation_is_a_product_of_query_and_statistics(make_n3: MakeN3) -> None:
    theta = make_n3().backbone.columns("conv1")
    for settings, width in (({}, 16), ({"rank": 4}, 4)):
        decoder = make_n3(layers=["conv1"], **settings).labels2adaptation.decoders[0]
        task = torch.randn(2 * 16 + 36)
        z = decoder.queries.double() * (decoder.read.weight.double() @ task.double())
        delta = decoder(task)
        assert decoder.queries.shape == (8, width)
        torch.testing.assert_close(delta.double(), z @ decoder.out.weight.double().T, atol=1e-4, rtol=1e-4)
        assert torch.linalg.matrix_rank(delta, rtol=1e-5) == min(width, *theta.shape)
        assert not decoder(torch.zeros_like(task)).any()  # of an average task


@torch.no_grad()
def test_gains_multiply_the_pretrained_columns(make_n3: MakeN3) -> None:
    model = make_n3(layers=["conv1"], shared_mu=1e-9, gains=True)
    delta = model.labels2adaptation(torch.randn(3, 16))["conv1"]
    gain = delta / model.backbone.columns("conv1")
    assert gain.abs().min() > 0
    torch.testing.assert_close(gain, gain[:, :1].expand_as(gain), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("settings", [{"adapt": "constant"}, {"shared_mu": 0.0}, {"adapt": "classifier"}])
def test_rank_and_gains_belong_to_a_deviation(settings: dict[str, Any]) -> None:
    for wrong in ({"rank": 4}, {"gains": True}):
        with pytest.raises(N3Error, match="model.rank"):
            N3Config(**{"shared_mu": 1.0, **settings, **wrong})


@torch.no_grad()
def test_remembered_texts_and_images_come_back(make_n3: MakeN3, small_bank: TextBank) -> None:
    model, text = make_n3(images=16), small_bank.batch(range(6, 14))
    features, labels = torch.randn(16, model.backbone.width), torch.arange(8).repeat(2)
    model.remember_text(text, model.labels(text))
    model.remember(features, labels, whiten=True)
    expected = feature_statistics(features, labels, 8, whiten=True)
    for got in (model.statistics(None, True), model.statistics(torch.tensor([], dtype=torch.int64), True)):
        for one, other in zip(got, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert torch.equal(model.seen_pooled, text.pooled)
    assert torch.equal(model.seen_lexical, text.tfidf)
    model.forget_images()
    assert model.state_dict().keys() == make_n3().state_dict().keys()


def test_the_accumulated_gradient_is_that_of_the_sum() -> None:
    a, b = (torch.randn(3, requires_grad=True) for _ in range(2))

    def losses(written: list[Tensor]) -> list[Tensor]:
        return [(written[0] * k).square().sum() for k in (1.0, 2.0)]

    plain = torch.stack(losses([a * b, a])).sum()
    expected = torch.autograd.grad(plain, (a, b))
    loss = accumulate_gradients([a * b, a], [lambda held, k=k: losses(list(held))[k] for k in range(2)])
    assert loss.item() == pytest.approx(plain.item())
    torch.testing.assert_close(torch.autograd.grad(loss, (a, b)), expected)
