"""What departs from the paper, each against a plain computation."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from n3lib.classifiers import Statistics
from n3lib.extensions import accumulate_gradients
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
    assert close(l2a(h)["conv1"], 0.5 * std * l2a.decoders[0](h) + 3 * std * l2a.shared[0])


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
def test_a_deviation_is_a_product_of_query_and_labels(make_n3: MakeN3) -> None:
    model = make_n3(layers=["conv1"])
    decoder, h = model.labels2adaptation.decoders[0], torch.randn(3, 16)
    read = (decoder.read.weight.double() @ h.double().mean(0)).tolist()
    for m, column in enumerate(decoder(h)):
        z = [q * r for q, r in zip(decoder.queries[m].tolist(), read, strict=True)]
        expected = [sum(w * x for w, x in zip(row, z, strict=True)) for row in decoder.out.weight.tolist()]
        assert column.tolist() == pytest.approx(expected, abs=1e-4)
    assert not decoder(torch.zeros(3, 16)).any()  # of an average task


@torch.no_grad()
def test_labels_are_standardized_by_the_seen_classes_beside_a_shared_offset(
    make_n3: MakeN3, small_bank: TextBank
) -> None:
    seen, asked = small_bank.batch(range(6, 14)), small_bank.batch([0, 1, 2])
    model = make_n3()
    model.remember_text(seen)
    c, known = model.labels(asked).double().numpy(), model.labels(seen).double().numpy()
    standardized = torch.tensor((c - known.mean(0)) / known.std(0, ddof=1), dtype=torch.float32)
    expected = model.labels2adaptation.encoder(standardized[None])[0]
    assert torch.allclose(model.context(model.labels(asked)), expected, atol=1e-3)
    alone = make_n3(shared_mu=0.0)
    alone.remember_text(seen)
    for other in (alone, make_n3(adapt="constant"), make_n3(adapt="classifier")):
        assert "label_mean" not in other.state_dict()  # as in runs that were there before
    assert "label_mean" in model.state_dict()
    assert close(alone.context(c := alone.labels(asked)), alone.labels2adaptation.encoder(c[None])[0])


@torch.no_grad()
def test_remembered_texts_and_statistics_come_back(make_n3: MakeN3, small_bank: TextBank) -> None:
    model, text = make_n3(), small_bank.batch(range(6, 14))
    f = model.backbone.width
    statistics = Statistics(torch.randn(f), torch.randn(f, f), torch.randn(8, f))
    model.remember_text(text)
    model.remember(statistics)
    assert torch.equal(model.center, statistics.center)
    assert torch.equal(model.transform, statistics.transform)
    assert torch.equal(model.exemplars, statistics.exemplars)
    assert torch.equal(model.seen_pooled, text.pooled)
    assert torch.equal(model.seen_lexical, text.tfidf)


def test_the_accumulated_gradient_is_that_of_the_sum() -> None:
    a, b = (torch.randn(3, requires_grad=True) for _ in range(2))

    def losses(written: list[Tensor]) -> list[Tensor]:
        return [(written[0] * k).square().sum() for k in (1.0, 2.0)]

    plain = torch.stack(losses([a * b, a])).sum()
    expected = torch.autograd.grad(plain, (a, b))
    loss = accumulate_gradients([a * b, a], [lambda held, k=k: losses(list(held))[k] for k in range(2)])
    assert loss.item() == pytest.approx(plain.item())
    torch.testing.assert_close(torch.autograd.grad(loss, (a, b)), expected)
