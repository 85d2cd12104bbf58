"""The meta-model: padding, order, scale and gradients, each against a slow and plain computation."""

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from n3lib.backbone import Backbone
from n3lib.io.errors import N3Error
from n3lib.model import N3, Batch, LayerDecoder, N3Config, Tokens2Label, positions
from n3lib.text.bank import Text, TextBank

IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(3))
GENERATORS = ("exemplar", "equivariant", "positional")
MakeN3 = Callable[..., N3]


def close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, atol=1e-5, rtol=1e-4)


def padded(text: Text, extra: int) -> Text:
    """The same text with garbage where no token stands."""
    k, length, e = text.tokens.shape
    tokens = 100 * torch.randn(k, length + extra, e)
    tokens[:, :length] = torch.where(text.mask[:, :, None], text.tokens, 100 * torch.randn_like(text.tokens))
    weights = list(functional.pad(text.weight, (0, extra)))
    return dataclasses.replace(text, pieces=list(tokens), weights=weights)


@torch.no_grad()
def logits(model: N3, text: Text) -> Tensor:
    return model.logits(IMAGES, model.read(text))


@pytest.mark.parametrize("classifier", GENERATORS)
def test_padding_changes_nothing(classifier: str, make_n3: MakeN3, small_bank: TextBank) -> None:
    model, text = make_n3(classifier=classifier), small_bank.batch([0, 1, 2])
    assert not text.mask.all()  # descriptions of different lengths
    assert close(logits(model, padded(text, 7)), logits(model, text))


@torch.no_grad()
def test_labels_are_the_same_in_passes_of_any_size(
    make_n3: MakeN3, small_bank: TextBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, text = make_n3(), small_bank.batch(range(14))
    whole = model.labels(text)
    for most in (1, 7, 20):
        monkeypatch.setattr("n3lib.model.PASS_TOKENS", most)
        assert len(text.parts(most)) > 1
        assert close(model.labels(text), whole)


@pytest.mark.parametrize("adapt", ["all", "constant", "finetune", "classifier"])
@pytest.mark.parametrize("classifier", GENERATORS)
def test_permuting_the_classes_permutes_the_logits_unless_positional(
    adapt: str, classifier: str, make_n3: MakeN3, small_bank: TextBank
) -> None:
    model = make_n3(classifier=classifier, adapt=adapt)
    order = [2, 0, 3, 1]
    plain, permuted = logits(model, small_bank.batch([0, 1, 2, 3])), logits(model, small_bank.batch(order))
    assert close(permuted, plain[:, order]) == model.equivariant == (classifier != "positional")


@pytest.mark.parametrize("classifier", GENERATORS)
@torch.no_grad()
def test_at_the_start_the_features_are_the_frozen_networks_bit_for_bit(
    classifier: str, make_n3: MakeN3, small_bank: TextBank
) -> None:
    model = make_n3(moved=False, classifier=classifier)
    adaptation = model.read(small_bank.batch([0, 1, 2]))
    assert list(adaptation.deltas) == model.backbone.layers
    features = model.backbone(IMAGES, model.columns(adaptation.deltas))
    assert torch.equal(features, model.backbone(IMAGES))
    frozen = functional.linear(model.backbone(IMAGES), adaptation.weight, adaptation.bias)
    assert torch.equal(model.logits(IMAGES, adaptation), frozen)


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
def test_absolute_mu_and_gamma_are_equation_6(make_n3: MakeN3) -> None:
    model = make_n3(mu="absolute", initial_mu=0.01, gamma=0.9, layers=["conv1"], shared_mu=0.0, moved=False)
    l2a, h = model.labels2adaptation, torch.randn(3, 16)
    output = l2a.decoders[0](h).double()
    mean, variance = output.mean(1, keepdim=True), output.var(1, unbiased=False, keepdim=True)
    normalized = (output - mean) / (variance + 1e-5).sqrt()
    delta = l2a(h)
    assert close(delta["conv1"].double(), 0.01 * normalized)
    expected = 0.9 * model.backbone.columns("conv1").double() + 0.01 * normalized
    assert close(model.columns(delta)["conv1"].double(), expected)
    assert l2a.mu() == pytest.approx({"conv1": 0.01})


@torch.no_grad()
def test_what_is_written_for_a_task_comes_on_top_of_what_all_tasks_share(make_n3: MakeN3) -> None:
    model = make_n3(layers=["conv1"])
    l2a, h = model.labels2adaptation, torch.randn(3, 16)
    std = model.backbone.columns("conv1").std()
    l2a.log_mu.fill_(math.log(0.5))
    l2a.log_shared_mu.fill_(math.log(3.0))
    assert close(l2a(h)["conv1"], 0.5 * std * l2a.decoders[0](h) + 3 * std * l2a.shared[0])


@torch.no_grad()
def test_the_two_controls_are_the_shared_part_alone_and_free_parameters(make_n3: MakeN3) -> None:
    h = torch.randn(3, 16)
    constant = make_n3(adapt="constant", layers=["conv1"]).labels2adaptation
    std = constant.std[0]
    assert close(constant(h)["conv1"], constant.log_shared_mu[0].exp() * std * constant.shared[0])
    finetune = make_n3(adapt="finetune", layers=["conv1"], shared_mu=0.3).labels2adaptation
    assert close(finetune(h)["conv1"], 0.3 * finetune.shared[0])
    assert constant.mu() == finetune.mu() == {}


def test_the_scale_starts_where_it_is_told(make_n3: MakeN3) -> None:
    assert make_n3(scale=0.5, moved=False).log_scale.item() == pytest.approx(math.log(0.5))


@torch.no_grad()
def test_what_is_written_beside_a_shared_change_is_a_product_of_query_and_labels(make_n3: MakeN3) -> None:
    model = make_n3(layers=["conv1"])
    decoder, h = model.labels2adaptation.decoders[0], torch.randn(3, 16)
    read = (decoder.read.weight.double() @ h.double().mean(0)).tolist()
    for m, column in enumerate(decoder(h)):
        z = [q * r for q, r in zip(decoder.queries[m].tolist(), read, strict=True)]
        expected = [sum(w * x for w, x in zip(row, z, strict=True)) for row in decoder.out.weight.tolist()]
        assert column.tolist() == pytest.approx(expected, abs=1e-4)
    assert not decoder(torch.zeros(3, 16)).any()  # an average task asks for nothing


@torch.no_grad()
def test_labels_are_standardized_by_the_seen_classes_beside_a_shared_change(
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


@pytest.mark.parametrize(("adapt", "same"), [("constant", True), ("finetune", True), ("all", False)])
@torch.no_grad()
def test_constant_adaptation_is_the_same_for_all_classes(
    adapt: str, same: bool, make_n3: MakeN3, small_bank: TextBank
) -> None:
    model = make_n3(adapt=adapt)
    one, other = (model.read(small_bank.batch(classes)).deltas for classes in ([0, 1], [2, 3, 4]))
    assert one.keys() == other.keys() == set(model.backbone.layers)
    for name in one:
        assert one[name].abs().max() > 1e-4
        assert torch.allclose(one[name], other[name], rtol=1e-3) == same


@torch.no_grad()
def test_which_layers_are_adapted(make_n3: MakeN3, small_bank: TextBank) -> None:
    text = small_bank.batch([0, 1])
    assert set(make_n3(layers=["layer1.conv1"]).read(text).deltas) == {"layer1.conv1"}
    assert make_n3(adapt="classifier").read(text).deltas == {}
    with pytest.raises(N3Error, match="no layer 'fc'.*conv1, layer1"):
        make_n3(layers=["fc"])


def test_more_classes_than_slots(make_n3: MakeN3, small_bank: TextBank) -> None:
    model = make_n3(classifier="positional", slots=3)
    assert logits(model, small_bank.batch([0, 1, 2])).shape == (3, 3)
    with pytest.raises(N3Error, match="positional.* 3 classes, not 4"):
        logits(model, small_bank.batch([0, 1, 2, 3]))


def episode(bank: TextBank) -> Batch:
    images = torch.randint(0, 256, (6, 16, 16, 3), dtype=torch.uint8)
    return Batch(bank.batch([6, 7, 8]), torch.arange(3, 8), images, torch.tensor([0, 1, 2] * 2))


LABEL_PATH = ("tokens2label.", "lexical.", "labels2adaptation.encoder.")
# What the loss does not hang on. A softmax over tokens is the same with any bias in its scores. The exemplar
# classifier reads the texts themselves, so that the encoded labels serve the adaptation alone. The scale of
# plain fine-tuning is fixed.
SILENT = {
    ("exemplar", "all", "relative"): ("score.bias",),
    ("exemplar", "written", "relative"): ("score.bias",),
    ("exemplar", "written", "absolute"): ("score.bias",),
    ("equivariant", "all", "relative"): ("score.bias",),
    ("positional", "written", "absolute"): ("score.bias",),
    ("equivariant", "constant", "relative"): ("score.bias",),
    ("exemplar", "constant", "relative"): LABEL_PATH,
    ("exemplar", "finetune", "relative"): (*LABEL_PATH, "log_shared_mu"),
    ("exemplar", "classifier", "relative"): LABEL_PATH,
    ("exemplar", "classifier", "absolute"): LABEL_PATH,
    ("positional", "classifier", "relative"): ("score.bias",),
}


@pytest.mark.parametrize("case", SILENT)
def test_gradients_reach_all_that_is_trained_and_only_that(
    case: tuple[str, str, str], make_n3: MakeN3, small_bank: TextBank
) -> None:
    classifier, adapt, mu = case
    shared = {"shared_mu": 0.0} if adapt == "written" else {}
    model = make_n3(classifier=classifier, adapt="all" if shared else adapt, mu=mu, **shared)
    model(episode(small_bank))["loss"].backward()
    size = {
        name: 0.0 if p.grad is None else p.grad.abs().max().item()
        for name, p in model.named_parameters()
        if p.requires_grad and p.numel()
    }
    silent = {name for name in size if any(part in name for part in SILENT[case])}
    assert [name for name in silent if size[name] > 1e-6] == []  # zero, but for rounding
    assert [name for name in size.keys() - silent if size[name] < 1e-8] == []
    assert all(p.grad is None for p in model.backbone.parameters())


@torch.no_grad()
def test_loss_is_cross_entropy_and_the_pull_on_words(make_n3: MakeN3, small_bank: TextBank) -> None:
    model, batch = make_n3(word_penalty=0.5), episode(small_bank)
    scores = model.logits(model.backbone.preprocess(batch.images), model.read(batch.text, batch.support))
    share = scores.double().softmax(1)[range(6), batch.labels]
    expected = -share.log().mean() + 0.5 * model.log_word_weight.double().square().sum()
    out = model(batch)
    assert out["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert out["accuracy"] == pytest.approx(sum(scores.argmax(1) == batch.labels).item() / 6)


@torch.no_grad()
def test_support_is_what_the_classifier_is_made_from(make_n3: MakeN3, small_bank: TextBank) -> None:
    model, text, support = make_n3(), small_bank.batch([0, 1, 2]), torch.tensor([1, 4, 6, 7])
    expected = model.read(text, support)
    model.exemplars[[0, 2, 3, 5]] = torch.nan
    model.seen_pooled[[0, 2, 3, 5]] = torch.nan
    model.seen_lexical[[0, 2, 3, 5]] = torch.nan
    got = model.read(text, support)
    assert torch.equal(got.weight, expected.weight)
    assert torch.equal(got.bias, expected.bias)


@torch.no_grad()
def test_tokens2label_equals_one_class_after_another() -> None:
    config = N3Config(d=16, heads=2, t2l_layers=2)
    tokens2label = Tokens2Label(8, config).eval()
    lengths = [4, 1, 6]
    descriptions = [torch.randn(length, 8) for length in lengths]
    tokens = torch.nn.utils.rnn.pad_sequence(descriptions, batch_first=True)
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]

    def one(description: Tensor) -> Tensor:
        x = tokens2label.project(description) + positions(len(description), 16)
        for block in tokens2label.encoder.layers:
            y = block.norm1(x)
            q, k, v = functional.linear(
                y, block.self_attn.in_proj_weight, block.self_attn.in_proj_bias
            ).chunk(3, 1)
            heads = []
            for head in range(2):
                at = slice(8 * head, 8 * head + 8)
                heads.append((q[:, at] @ k[:, at].T / math.sqrt(8)).softmax(1) @ v[:, at])
            x = x + block.self_attn.out_proj(torch.cat(heads, 1))
            x = x + block.linear2(block.linear1(block.norm2(x)).relu())
        x = tokens2label.encoder.norm(x)
        return tokens2label.score(x)[:, 0].softmax(0) @ x

    expected = torch.stack([one(description) for description in descriptions])
    assert close(tokens2label(tokens, mask.float()), expected)


@torch.no_grad()
def test_every_column_is_written_for_itself() -> None:
    """What all columns have in common cannot tell one filter from another."""
    decoder = LayerDecoder(64, 289, N3Config(d=128)).eval()
    torch.nn.init.normal_(decoder.out.weight)
    delta = decoder(torch.randn(20, 128))  # (M, N)
    common = len(delta) * delta.mean(0).square().sum() / delta.square().sum()
    assert common < 0.2  # of columns drawn at random it would be 1 / 64


def test_positions_are_those_of_the_transformer() -> None:
    got = positions(5, 7)
    for place in range(5):
        for i in range(7):
            angle = place / 10000 ** (2 * (i // 2) / 7)
            expected = math.cos(angle) if i % 2 else math.sin(angle)
            assert got[place, i].item() == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_remembered_texts_and_statistics_come_back(make_n3: MakeN3, small_bank: TextBank) -> None:
    from n3lib.classifiers import Statistics

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


def test_the_backbone_is_not_in_the_way_of_a_second_model(
    make_backbone: Callable[..., Backbone], make_n3: MakeN3
) -> None:
    frozen = {name for name, p in make_n3().named_parameters() if not p.requires_grad}
    assert frozen == {f"backbone.{name}" for name, _ in make_backbone().named_parameters()}
