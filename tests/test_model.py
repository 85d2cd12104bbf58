"""The meta-model: padding, order, scale and gradients, each against a slow and plain computation."""

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from n3lib.backbone import Backbone
from n3lib.io import N3Error
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
    tokens[:, :length] = torch.where(
        text.weight[:, :, None] > 0, text.tokens, 100 * torch.randn_like(text.tokens)
    )
    weights = list(functional.pad(text.weight, (0, extra)))
    return dataclasses.replace(text, pieces=list(tokens), weights=weights)


@torch.no_grad()
def logits(model: N3, text: Text) -> Tensor:
    return model.logits(IMAGES, model.adapt(text))


@pytest.mark.parametrize("classifier", GENERATORS)
def test_padding_changes_nothing(classifier: str, make_n3: MakeN3, small_bank: TextBank) -> None:
    model, text = make_n3(classifier=classifier), small_bank.batch([0, 1, 2])
    assert not text.weight.all()  # descriptions of different lengths
    assert close(logits(model, padded(text, 7)), logits(model, text))


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
    adaptation = model.adapt(small_bank.batch([0, 1, 2]))
    assert list(adaptation.deltas) == model.backbone.layers
    features = model.backbone(IMAGES, model.columns(adaptation.deltas))
    assert torch.equal(features, model.backbone(IMAGES))
    frozen = functional.linear(model.backbone(IMAGES), adaptation.weight, adaptation.bias)
    assert torch.equal(model.logits(IMAGES, adaptation), frozen)


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


def test_the_scale_starts_where_it_is_told(make_n3: MakeN3) -> None:
    assert make_n3(scale=0.5, moved=False).log_scale.item() == pytest.approx(math.log(0.5))


@pytest.mark.parametrize(("adapt", "same"), [("constant", True), ("finetune", True), ("all", False)])
@torch.no_grad()
def test_constant_adaptation_is_the_same_for_all_classes(
    adapt: str, same: bool, make_n3: MakeN3, small_bank: TextBank
) -> None:
    model = make_n3(adapt=adapt)
    one, other = (model.adapt(small_bank.batch(classes)).deltas for classes in ([0, 1], [2, 3, 4]))
    assert one.keys() == other.keys() == set(model.backbone.layers)
    for name in one:
        assert one[name].abs().max() > 1e-4
        assert torch.allclose(one[name], other[name], rtol=1e-3) == same


@torch.no_grad()
def test_which_layers_are_adapted(make_n3: MakeN3, small_bank: TextBank) -> None:
    text = small_bank.batch([0, 1])
    assert set(make_n3(layers=["layer1.conv1"]).adapt(text).deltas) == {"layer1.conv1"}
    assert make_n3(adapt="classifier").adapt(text).deltas == {}
    with pytest.raises(N3Error, match="fc"):
        make_n3(layers=["fc"])


def test_more_classes_than_slots(make_n3: MakeN3, small_bank: TextBank) -> None:
    model = make_n3(classifier="positional", ways=3)
    assert logits(model, small_bank.batch([0, 1, 2])).shape == (3, 3)
    with pytest.raises(N3Error, match="positional"):
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
    scores = model.logits(model.backbone.preprocess(batch.images), model.adapt(batch.text, batch.support))
    share = scores.double().softmax(1)[range(6), batch.labels]
    expected = -share.log().mean() + 0.5 * model.log_word_weight.double().square().sum()
    out = model(batch)
    assert out["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert out["accuracy"] == pytest.approx(sum(scores.argmax(1) == batch.labels).item() / 6)


@torch.no_grad()
def test_support_is_what_the_classifier_is_made_from(make_n3: MakeN3, small_bank: TextBank) -> None:
    model, text, support = make_n3(), small_bank.batch([0, 1, 2]), torch.tensor([1, 4, 6, 7])
    expected = model.adapt(text, support)
    model.exemplars[[0, 2, 3, 5]] = torch.nan
    model.seen_pooled[[0, 2, 3, 5]] = torch.nan
    model.seen_lexical[[0, 2, 3, 5]] = torch.nan
    got = model.adapt(text, support)
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
    decoder = LayerDecoder(torch.zeros(64, 289), N3Config(d=128)).eval()
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


def test_the_backbone_is_not_in_the_way_of_a_second_model(
    make_backbone: Callable[..., Backbone], make_n3: MakeN3
) -> None:
    frozen = {name for name, p in make_n3().named_parameters() if not p.requires_grad}
    assert frozen == {f"backbone.{name}" for name, _ in make_backbone().named_parameters()}


def by_hand(decoder: LayerDecoder, h: Tensor) -> Tensor:
    """Equation 4 as one would first write it: one column after another, one head after another."""
    block, columns = decoder.block, list(decoder.queries)

    def attend(attention: nn.MultiheadAttention, asking: list[Tensor], asked: list[Tensor]) -> list[Tensor]:
        weight, bias = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        out = []
        for one in asking:
            q = weight[0] @ one + bias[0]
            heads = []
            for part in torch.arange(len(one)).chunk(attention.num_heads):
                keys = torch.stack([(weight[1] @ other + bias[1])[part] for other in asked])
                values = torch.stack([(weight[2] @ other + bias[2])[part] for other in asked])
                heads.append((keys @ q[part] / len(part) ** 0.5).softmax(0) @ values)
            out.append(attention.out_proj(torch.cat(heads)))
        return out

    own = attend(block.self_attn, *[[block.norm1(c) for c in columns]] * 2)
    columns = [c + change for c, change in zip(columns, own, strict=True)]
    seen = attend(block.multihead_attn, [block.norm2(c) for c in columns], list(h))
    columns = [c + change for c, change in zip(columns, seen, strict=True)]
    columns = [c + block.linear2(block.linear1(block.norm3(c)).relu()) for c in columns]
    return torch.stack([decoder.out(decoder.norm(c)) for c in columns])


@torch.no_grad()
def test_the_decoders_equal_a_loop_over_columns_and_heads(make_n3: MakeN3) -> None:
    writer, h = make_n3(shared_mu=0.0).labels2adaptation, torch.randn(3, 16)
    got = writer(h)
    for i, name in enumerate(writer.names):
        scale = writer.log_mu[i].exp() * writer.std[i]
        torch.testing.assert_close(got[name], scale * by_hand(writer.decoders[i], h), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("micro", [1, 3, 4])
@pytest.mark.parametrize("classifier", ["positional", "exemplar"])
def test_micro_batches_change_no_gradient(
    classifier: str, micro: int, make_n3: MakeN3, small_bank: TextBank
) -> None:
    images = torch.randint(0, 256, (4, 16, 16, 3), dtype=torch.uint8)
    batch = Batch(small_bank.batch([0, 1, 2]), torch.arange(8), images, torch.tensor([2, 0, 1, 0]))
    found = []
    for size in (0, micro):
        torch.manual_seed(4)  # of the parameters and of dropout
        model = make_n3(classifier=classifier, shared_mu=0.0, micro_batch=size).train()
        out = model(batch)
        out["loss"].backward()
        found.append((out, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    (whole, expected), (parts, got) = found
    torch.testing.assert_close(parts, whole)
    assert got.keys() == expected.keys()
    for name in expected:
        scale = expected[name].abs().sum().item()
        torch.testing.assert_close(got[name], expected[name], atol=1e-5 * scale + 1e-6, rtol=1e-4)
