"""N3, the paper in one file: written descriptions of K classes to an adapted network.

    text (K, L, e) --Tokens2Label, Eq. 2--> c (K, d) --encoder, Eq. 3--> h (K, d)
    h --one decoder a layer, Eq. 4-5--> delta (M, N) --Eq. 6--> Theta' = gamma Theta + mu delta
    h and the exemplars of the seen classes --classifiers.py--> the K rows of the last layer

Letters: K classes, L tokens, e text width, d model width, V words of the vocabulary, f features,
M columns of N numbers in a layer, S support classes, C seen classes, B images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional

from n3lib.backbone import Backbone
from n3lib.classifiers import Equivariant, Exemplar, Positional, Statistics, fold
from n3lib.io.errors import N3Error
from n3lib.io.ranges import MANY, Range, check_ranges
from n3lib.text.bank import Text
from n3lib.two_stage import two_stage

PASS_TOKENS = 2**15  # that Eq. 2 reads in one forward pass, padding included
WIDEST = 4096  # d: one decoder a layer, each of 16 d^2 numbers


@dataclass(frozen=True)
class N3Config:
    """The meta-model Phi.

    Attributes:
        d: width of Phi (768 in the paper).
        heads: attention heads.
        t2l_layers, l2a_layers: transformer blocks of Tokens2Label and of the Labels2Adaptation encoder
            (the paper's Table 7: 2 and 1).
        dropout: in both encoders, on what a block adds and within its feed-forward part.
        adapt: `all` layers, the `classifier` alone, or two controls that adapt every layer in one way,
            whatever the classes are: `constant`, the shared part of `all` alone, and `finetune`, plain
            fine-tuning.
        layers: names of the layers to adapt instead of all; empty for all.
        classifier: `exemplar`, `equivariant` or `positional` (the paper's literal form).
        slots: most classes a positional classifier can have.
        mu: `relative`: exp(log mu) std(Theta) in each layer, log mu learned; `absolute`: Eq. 6 as it
            stands, one plain parameter mu on layer-normalized deltas.
        initial_mu: its start.
        shared_mu: start of the relative scale of an adaptation that all tasks share; 0 for none, as in the
            paper. What is written beside it tells only how a task differs from the seen classes as a whole
            (`DeviationDecoder`). The two controls need it; that of `finetune` is fixed and absolute, a factor
            on the learning rate.
        gamma: weight of the pretrained parameters (section 5.4).
        ridge: strength of the exemplar classifier's regression; choose it on validation classes (dense
            embeddings want more than words).
        scale: start of the factor of the logits. The closed form is sure of itself: where it is mostly wrong
            at first, 1 lets the loss begin far above chance.
        word_penalty: pull of the learned word weights towards 1.
        micro_batch: images that are classified at a time in training, 0 for all: the same gradient with
            the memory of so many. The descriptions are read once, whatever it is.
    """

    d: int = 128
    heads: int = 4
    t2l_layers: int = 1
    l2a_layers: int = 1
    dropout: float = 0.1
    adapt: Literal["all", "classifier", "constant", "finetune"] = "all"
    layers: list[str] = field(default_factory=list)
    classifier: Literal["exemplar", "equivariant", "positional"] = "exemplar"
    slots: int = 64
    mu: Literal["relative", "absolute"] = "relative"
    initial_mu: float = 0.1
    shared_mu: float = 0.0
    gamma: float = 1.0
    ridge: float = 0.1
    scale: float = 1.0
    word_penalty: float = 1e-3
    micro_batch: int = 0

    def __post_init__(self) -> None:
        layers, size, positive = Range(1, 100), Range(0, 1e6), Range(0, 1e6, open=True)
        check_ranges(self, "model", d=Range(1, WIDEST), heads=Range(1, WIDEST), dropout=Range(0, 1))
        check_ranges(self, "model", t2l_layers=layers, l2a_layers=layers)
        check_ranges(self, "model", slots=Range(1, MANY), micro_batch=Range(0, MANY))
        check_ranges(self, "model", initial_mu=positive, scale=positive, ridge=size, word_penalty=size)
        check_ranges(self, "model", shared_mu=size, gamma=positive)
        if self.d % self.heads:
            raise N3Error(
                f"model.d={self.d} cannot be divided among model.heads={self.heads}",
                "Set model.d to a multiple of model.heads",
            )
        if self.adapt in ("constant", "finetune") and not self.shared_mu:
            raise N3Error(
                f"model.adapt={self.adapt} has nothing to learn with model.shared_mu=0",
                "Set model.shared_mu: 4 to 36 for constant, 0.1 to 1 for finetune",
            )
        if self.adapt == "all" and self.mu == "absolute" and self.shared_mu:
            raise N3Error("model.mu=absolute is for what is written alone", "Set model.shared_mu to 0")


class Adaptation(NamedTuple):
    """What the text writes: a change of each adapted layer, and the classifier."""

    deltas: dict[str, Tensor]  # layer -> (M, N), mu included
    weight: Tensor  # (K, f)
    bias: Tensor  # (K,)


class Batch(NamedTuple):
    """A training episode."""

    text: Text  # the K classes asked for
    support: Int[Tensor, " S"]  # places among the seen classes of those that their classifier is made from
    images: UInt8[Tensor, "B H W 3"]
    labels: Int[Tensor, " B"]  # 0 to K - 1
    classes: tuple[int, ...] = ()  # the ids of the K classes, to name them where something goes wrong


def positions(length: int, d: int) -> Float[Tensor, "L d"]:
    """Sinusoidal positions (Vaswani et al., 2017, section 3.5)."""
    rate = torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))
    angle = torch.arange(length)[:, None] * rate  # (L, d/2)
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :d]  # (L, d)


def encoder(d: int, heads: int, layers: int, dropout: float) -> nn.TransformerEncoder:
    """A stack of pre-norm transformer blocks."""
    block = nn.TransformerEncoderLayer(d, heads, 4 * d, dropout, batch_first=True, norm_first=True)
    block.self_attn.dropout = 0.0  # attention weights are then never held in memory, (heads, L, L) a class
    return nn.TransformerEncoder(block, layers, norm=nn.LayerNorm(d), enable_nested_tensor=False)


class Tokens2Label(nn.Module):
    """Eq. 2: the tokens of each description to one vector, each class by itself."""

    def __init__(self, e: int, config: N3Config) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.LayerNorm(e), nn.Linear(e, config.d))
        self.encoder = encoder(config.d, config.heads, config.t2l_layers, config.dropout)
        self.score = nn.Linear(config.d, 1)

    def forward(self, tokens: Float[Tensor, "K L e"], weight: Float[Tensor, "K L"]) -> Float[Tensor, "K d"]:
        x = self.project(tokens)  # (K, L, d)
        x = x + positions(x.shape[1], x.shape[2]).to(x)
        x = self.encoder(x, src_key_padding_mask=weight == 0)  # (K, L, d)
        # Padding weighs nothing; a sentence that counts half has half the say.
        share = (self.score(x) + weight.log()[:, :, None]).softmax(1)  # (K, L, 1)
        return (share * x).sum(1)  # (K, d)


class LayerDecoder(nn.Module):
    """Eq. 4 for one layer: a learned query a column attends to the encoded labels and becomes the column."""

    def __init__(self, columns: int, size: int, config: N3Config) -> None:
        super().__init__()
        d = config.d
        # As large as what attention adds to them: small ones made all columns of a layer alike.
        self.queries = nn.Parameter(torch.randn(columns, d))
        self.block = nn.TransformerDecoderLayer(
            d, config.heads, 4 * d, 0.0, batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(d)
        self.out = nn.Linear(d, size)
        if config.mu == "relative":  # training starts at the pretrained network, exactly
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, h: Float[Tensor, "K d"]) -> Float[Tensor, "M N"]:
        z = self.block(self.queries[None], h[None])[0]  # (M, d)
        return self.out(self.norm(z))  # (M, N)


class DeviationDecoder(nn.Module):
    """Beside a shared change, one for how a task differs: a query a column times what its labels share.

    Eq. 4 adds what is read to the queries and normalizes the sum, in which that which tells tasks apart is
    faint beside what they share. Here the labels come standardized over the seen classes, so that an average
    task asks for nothing, and queries and labels meet in products alone.
    """

    def __init__(self, columns: int, size: int, config: N3Config) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(columns, config.d))
        self.read = nn.Linear(config.d, config.d, bias=False)
        self.out = nn.Linear(config.d, size, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, h: Float[Tensor, "K d"]) -> Float[Tensor, "M N"]:
        return self.out(self.queries * self.read(h.mean(0)))  # (M, N)


class Labels2Adaptation(nn.Module):
    """Eq. 3 to 5: encoded labels to the scaled change of every layer."""

    std: Tensor

    def __init__(self, backbone: Backbone, config: N3Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder(config.d, config.heads, config.l2a_layers, config.dropout)  # Eq. 3
        unknown = set(config.layers) - set(backbone.layers)
        if unknown:
            raise N3Error(
                f"the backbone has no layer {min(unknown)!r}", f"It has {', '.join(backbone.layers)}"
            )
        self.names = [] if config.adapt == "classifier" else (config.layers or backbone.layers)
        shapes = [backbone.columns(name).shape for name in self.names]
        conditioned = config.adapt == "all"
        decoder = DeviationDecoder if config.shared_mu > 0 else LayerDecoder
        self.decoders = nn.ModuleList(decoder(m, n, config) for m, n in shapes if conditioned)
        # What all tasks share starts at zero too; unlike the rest it needs no text to learn from.
        self.shared = nn.ParameterList(torch.zeros(m, n) for m, n in shapes if config.shared_mu > 0)
        self.log_shared_mu: nn.Parameter | None = None
        if self.shared:
            self.log_shared_mu = nn.Parameter(torch.full((len(self.shared),), math.log(config.shared_mu)))
        stds = torch.stack([backbone.columns(n).std() for n in self.names] or [torch.zeros(())])
        self.register_buffer("std", stds, persistent=False)
        if conditioned and config.mu == "absolute":
            self.absolute_mu = nn.Parameter(torch.tensor(config.initial_mu))
        elif conditioned:
            self.log_mu = nn.Parameter(torch.full((len(self.names),), math.log(config.initial_mu)))

    def mu(self) -> dict[str, float]:
        """The scale of each layer's written change, relative to the layer's spread or absolute."""
        if not self.decoders:
            return {}
        if self.config.mu == "absolute":
            return {name: self.absolute_mu.item() for name in self.names}
        return dict(zip(self.names, self.log_mu.exp().tolist(), strict=True))

    def forward(self, h: Float[Tensor, "K d"]) -> dict[str, Tensor]:
        deltas = {}
        for i, name in enumerate(self.names):
            parts = []
            if self.config.adapt == "finetune":
                parts.append(self.config.shared_mu * self.shared[i])
            elif self.log_shared_mu is not None:
                parts.append(self.log_shared_mu[i].exp() * self.std[i] * self.shared[i])
            if self.decoders:
                delta = self.decoders[i](h)  # (M, N), Eq. 4
                if self.config.mu == "relative":
                    parts.append(self.log_mu[i].exp() * self.std[i] * delta)
                else:
                    parts.append(self.absolute_mu * functional.layer_norm(delta, delta.shape[1:]))
            deltas[name] = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        return deltas  # Eq. 5


class N3(nn.Module):
    """The meta-model with the frozen network it adapts.

    Args:
        backbone: the pretrained network, Theta.
        e: width of the token embeddings.
        vocabulary: V, number of words of the lexical path; 0 for none.
        seen: C, number of classes whose exemplars are remembered.
        config: Phi's settings.
        ways: K of the training tasks, which a positional classifier cannot exceed; 0 for all its slots.

    Raises:
        N3Error: a setting is out of its range.
    """

    label_mean: Tensor
    label_std: Tensor
    center: Tensor
    transform: Tensor
    exemplars: Tensor
    seen_pooled: Tensor
    seen_lexical: Tensor

    def __init__(
        self, backbone: Backbone, e: int, vocabulary: int, seen: int, config: N3Config, ways: int = 0
    ) -> None:
        super().__init__()
        self.backbone, self.config = backbone, config
        self.most_positions = min(config.slots, ways or config.slots)
        d, f = config.d, backbone.width
        self.tokens2label = Tokens2Label(e, config)
        self.log_word_weight = nn.Parameter(torch.zeros(vocabulary))
        self.lexical = None
        if vocabulary:
            self.lexical = nn.Linear(vocabulary, d, bias=False)
            nn.init.normal_(self.lexical.weight)  # unit rows in, unit variance out
        self.labels2adaptation = Labels2Adaptation(backbone, config)
        self.standardize = config.adapt == "all" and config.shared_mu > 0  # for `DeviationDecoder`
        if config.classifier == "positional":
            self.generator: nn.Module = Positional(d, f, config.slots, config.heads)
        elif config.classifier == "equivariant":
            self.generator = Equivariant(d, f)
        else:
            self.generator = Exemplar(config.ridge, lexical=vocabulary > 0)
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.scale)))
        # What is remembered of the seen classes: no image is needed once this is stored.
        # Kept only where they are used: a run without them stays readable.
        self.register_buffer("label_mean", torch.zeros(d), persistent=self.standardize)
        self.register_buffer("label_std", torch.ones(d), persistent=self.standardize)
        self.register_buffer("center", torch.zeros(f))
        self.register_buffer("transform", torch.eye(f))
        self.register_buffer("exemplars", torch.zeros(seen, f))
        self.register_buffer("seen_pooled", torch.zeros(seen, e))
        self.register_buffer("seen_lexical", torch.zeros(seen, vocabulary))

    fast_parameters = ("log_word_weight",)

    @property
    def equivariant(self) -> bool:
        """Whether permuting the classes only permutes the logits."""
        return self.config.classifier != "positional"

    def weigh(self, lexical: Float[Tensor, "K V"]) -> Float[Tensor, "K V"]:
        """The lexical path: TF-IDF with a learned weight for each word."""
        return lexical * self.log_word_weight.exp()

    def labels(self, text: Text) -> Float[Tensor, "K d"]:
        """Eq. 2: every description to a label embedding, each by itself."""
        if torch.is_grad_enabled():  # a task of training, or one whose words are to be explained
            c = self.tokens2label(text.tokens, text.weight)  # (K, d)
        else:  # descriptions of like length share a pass: a long one does not pad thousands of short ones
            parts = text.parts(PASS_TOKENS)
            rows = [self.tokens2label(part.tokens, part.weight) for part in map(text.choose, parts)]
            places = torch.tensor([place for part in parts for place in part], device=rows[0].device)
            c = torch.cat(rows)[places.argsort()]  # (K, d)
        return c if self.lexical is None else c + self.lexical(self.weigh(text.tfidf))

    def context(self, c: Float[Tensor, "K d"]) -> Float[Tensor, "K d"]:
        """Eq. 3: every label embedding in the light of the others."""
        if self.standardize:
            c = (c - self.label_mean) / self.label_std
        if isinstance(self.generator, Positional):
            if len(c) > self.most_positions:
                raise N3Error(
                    f"this positional classifier was trained for {self.most_positions} classes, not {len(c)}",
                    f"Train with episodes.ways and model.slots of {len(c)}, or with another model.classifier",
                )
            c = self.generator.mark(c)
        return self.labels2adaptation.encoder(c[None])[0]

    def read(
        self,
        text: Text,
        support: Int[Tensor, " S"] | None = None,
        c: Float[Tensor, "K d"] | None = None,
    ) -> Adaptation:
        """The adaptation that these descriptions ask for (Eq. 2 to 6), and the classifier.

        Args:
            text: of the K classes.
            support: places of the seen classes that the classifier may be made from; all by default.
            c: what `labels` gives for the text, where it is known already.
        """
        h = self.context(self.labels(text) if c is None else c)  # (K, d)
        deltas = self.labels2adaptation(h)
        offset: Tensor | float = 0.0
        if isinstance(self.generator, Positional):
            rows, offset = self.generator(h)
        elif isinstance(self.generator, Exemplar):
            s = slice(None) if support is None else support
            asked, known = [text.pooled], [self.seen_pooled[s]]
            if self.lexical is not None:
                asked.append(self.weigh(text.tfidf))
                known.append(self.weigh(self.seen_lexical[s]))
            rows = self.generator(asked, known, self.exemplars[s])
        else:
            rows = self.generator(h)
        weight, bias = fold(self.log_scale.exp() * rows, self.center, self.transform)
        return Adaptation(deltas, weight, bias + offset)

    def columns(self, deltas: dict[str, Tensor]) -> dict[str, Tensor]:
        """Eq. 6 with gamma: Theta' = gamma Theta + mu delta, layer by layer."""
        gamma = self.config.gamma
        return {name: gamma * self.backbone.columns(name) + delta for name, delta in deltas.items()}

    def logits(self, images: Float[Tensor, "B 3 H W"], adaptation: Adaptation) -> Float[Tensor, "B K"]:
        """Classify normalized images with the adapted network."""
        features = self.backbone(images, self.columns(adaptation.deltas))  # (B, f)
        return functional.linear(features, adaptation.weight, adaptation.bias)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Loss and accuracy of one episode (section 3.3)."""
        adaptation = self.read(batch.text, batch.support)
        names, written = list(adaptation.deltas), [*adaptation.deltas.values(), *adaptation[1:]]
        right = []

        def score(tensors: Sequence[Tensor], part: slice) -> Tensor:
            """The part's share of the mean cross-entropy, under these deltas, weight and bias."""
            held = Adaptation(dict(zip(names, tensors, strict=False)), *tensors[-2:])
            labels = batch.labels[part]
            logits = self.logits(self.backbone.preprocess(batch.images[part]), held)
            right.append(logits.argmax(1) == labels)
            return len(labels) / len(batch.labels) * functional.cross_entropy(logits, labels)

        step = self.config.micro_batch
        if step and torch.is_grad_enabled():
            starts = range(0, len(batch.labels), step)
            loss = two_stage(written, (partial(score, part=slice(s, s + step)) for s in starts))
        else:
            loss = score(written, slice(None))
        penalty = self.config.word_penalty * self.log_word_weight.square().sum()
        return {"loss": loss + penalty, "accuracy": torch.cat(right).float().mean()}

    @torch.no_grad()
    def remember_text(self, text: Text) -> Float[Tensor, "C d"]:
        """Store what the seen classes' texts say; return their label embeddings.

        By these all are standardized beside a shared change.
        """
        self.seen_pooled.copy_(text.pooled)
        self.seen_lexical.copy_(text.tfidf)
        c = self.labels(text)  # (C, d)
        if self.standardize:
            self.label_mean.copy_(c.mean(0))
            self.label_std.copy_(c.std(0).clamp_min(1e-6))
        return c

    @torch.no_grad()
    def remember(self, statistics: Statistics) -> None:
        """Store what the seen classes' images say."""
        for name, value in statistics._asdict().items():
            getattr(self, name).copy_(value)
