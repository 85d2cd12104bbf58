"""N3, the paper in one file: written descriptions of K classes to an adapted network.

    text (K, L, e) --Tokens2Label, Eq. 2--> c (K, d) --encoder, Eq. 3--> h (K, d)
    h --one decoder per layer, Eq. 4-5--> delta (M, N) --Eq. 6--> Theta' = gamma Theta + mu delta
    h and the exemplars of the seen classes --classifiers.py--> the K rows of the last layer

Letters: K classes, L tokens, e text width, d model width, V words of the vocabulary, f features,
M columns of N numbers in a layer, S support classes, C seen classes, B images.
Departures from the paper are in `n3lib.extensions`.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional

from n3lib.backbone import Backbone
from n3lib.classifiers import Equivariant, Exemplar, Positional, fold
from n3lib.extensions import (
    DeviationDecoder,
    Memory,
    N3Config,
    TaskStatistics,
    accumulate_gradients,
    in_passes,
    log_scales,
    shared_offset,
    tfidf_branch,
)
from n3lib.io import N3Error
from n3lib.text.bank import Text

DROPOUT = 0.1  # in both encoders, on what a block adds and within its feed-forward part


class Adaptation(NamedTuple):
    """What Phi gives for a set of classes: a delta for each adapted layer, and the classifier."""

    deltas: dict[str, Tensor]  # layer -> (M, N), mu included
    weight: Tensor  # (K, f)
    bias: Tensor  # (K,)


class Batch(NamedTuple):
    """A training episode."""

    text: Text  # the K query classes
    support: Int[Tensor, " S"]  # indices of the support classes among the seen classes
    images: UInt8[Tensor, "B H W 3"]
    labels: Int[Tensor, " B"]  # 0 to K - 1
    classes: tuple[int, ...] = ()  # the ids of the K classes, to name them where something goes wrong
    held_out: Int[Tensor, " K"] | None = None  # the query classes among the seen ones, in a zero-shot task


def positions(length: int, d: int) -> Float[Tensor, "L d"]:
    """Sinusoidal positions (Vaswani et al., 2017, section 3.5)."""
    rate = torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))  # (d/2,)
    angle = torch.arange(length)[:, None] * rate  # (L, d/2)
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :d]  # (L, d)


def encoder(d: int, heads: int, layers: int) -> nn.TransformerEncoder:
    """A stack of pre-norm transformer blocks."""
    block = nn.TransformerEncoderLayer(d, heads, 4 * d, DROPOUT, batch_first=True, norm_first=True)
    block.self_attn.dropout = 0.0  # attention weights, (heads, L, L) per class, are then never in memory
    return nn.TransformerEncoder(block, layers, norm=nn.LayerNorm(d), enable_nested_tensor=False)


class Tokens2Label(nn.Module):
    """Eq. 2: the tokens of each description to one vector, each class by itself."""

    def __init__(self, e: int, config: N3Config) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.LayerNorm(e), nn.Linear(e, config.d))
        self.encoder = encoder(config.d, config.heads, config.t2l_layers)
        self.score = nn.Linear(config.d, 1)

    def forward(self, tokens: Float[Tensor, "K L e"], weight: Float[Tensor, "K L"]) -> Float[Tensor, "K d"]:
        x = self.project(tokens)  # (K, L, d)
        x = x + positions(x.shape[1], x.shape[2]).to(x)  # (K, L, d)
        x = self.encoder(x, src_key_padding_mask=weight == 0)  # (K, L, d)
        # Padding weighs nothing; a sentence of weight 1/2 counts half.
        share = (self.score(x) + weight.log()[:, :, None]).softmax(1)  # (K, L, 1)
        return (share * x).sum(1)  # (K, d)


class LayerDecoder(nn.Module):
    """Eq. 4 for one layer: a learned query per column attends to the labels and becomes the column."""

    def __init__(self, theta: Float[Tensor, "M N"], config: N3Config) -> None:
        super().__init__()
        d, (columns, size) = config.d, theta.shape
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


class Labels2Adaptation(nn.Module):
    """Eq. 3 to 5: label embeddings to the scaled delta of every layer."""

    std: Tensor

    def __init__(self, backbone: Backbone, config: N3Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder(config.d, config.heads, config.l2a_layers)  # Eq. 3
        if unknown := set(config.layers) - set(backbone.layers):
            problem = f"the backbone has no layer {min(unknown)!r}"
            raise N3Error(problem, f"It has {', '.join(backbone.layers)}")
        self.names = [] if config.adapt == "classifier" else (config.layers or backbone.layers)
        layers = [backbone.columns(name) for name in self.names]  # of (M, N)
        conditioned, shared = config.adapt == "all", config.shared_mu > 0
        self.task = TaskStatistics(config.d) if config.decodes_deviations else None
        self.decoders = nn.ModuleList(
            DeviationDecoder(t, self.task.width, config) if self.task else LayerDecoder(t, config)
            for t in layers
            if conditioned
        )
        # The shared offset starts at zero too; unlike the rest it needs no text to learn from.
        self.shared = nn.ParameterList(torch.zeros(t.shape) for t in layers if shared)
        self.log_shared_mu = log_scales(len(layers), config.shared_mu) if self.shared else None
        stds = torch.stack([theta.std() for theta in layers] or [torch.zeros(())])  # (layers,)
        self.register_buffer("std", stds, persistent=False)
        if conditioned and config.mu == "absolute":
            self.absolute_mu = nn.Parameter(torch.tensor(config.initial_mu))
        elif conditioned:
            self.log_mu = log_scales(len(self.names), config.initial_mu)

    def mu(self) -> dict[str, float]:
        """The scale of each layer's text-conditioned delta, relative to the layer's spread or absolute."""
        if not self.decoders:
            return {}
        if self.config.mu == "absolute":
            return {name: self.absolute_mu.item() for name in self.names}
        return dict(zip(self.names, self.log_mu.exp().tolist(), strict=True))

    def forward(self, h: Float[Tensor, "K d"]) -> dict[str, Tensor]:
        deltas, said = {}, self.task(h) if self.task else h  # (r,) or (K, d)
        for i, name in enumerate(self.names):
            if self.decoders:
                delta = self.decoders[i](said)  # (M, N), Eq. 4
                if self.config.mu == "absolute":
                    deltas[name] = self.absolute_mu * functional.layer_norm(delta, delta.shape[1:])  # (M, N)
                else:
                    deltas[name] = self.log_mu[i].exp() * self.std[i] * delta  # (M, N)
            if self.log_shared_mu is not None:
                offset = shared_offset(self.shared[i], self.log_shared_mu[i], self.std[i], self.config)
                deltas[name] = deltas[name] + offset if self.decoders else offset  # (M, N)
        return deltas  # Eq. 5


class N3(Memory):
    """The meta-model with the frozen network it adapts.

    Args:
        backbone: the pretrained network, Theta.
        e: width of the token embeddings.
        vocabulary: V, number of words of the TF-IDF branch; 0 for none.
        seen: C, number of classes whose exemplars are remembered.
        config: Phi's settings.
        ways: K of the training tasks, which a positional classifier cannot exceed.
        images, sources: see `Memory`.

    Raises:
        N3Error: a setting is out of its range.
    """

    fast_parameters = ("log_word_weight",)

    def __init__(
        self,
        backbone: Backbone,
        e: int,
        vocabulary: int,
        seen: int,
        config: N3Config,
        ways: int = 0,
        images: int = 0,
        sources: int = 1,
    ) -> None:
        d, f = config.d, backbone.width
        super().__init__(seen, d, e, vocabulary, f, images, sources)
        self.backbone, self.config, self.ways = backbone, config, ways
        self.tokens2label = Tokens2Label(e, config)
        self.log_word_weight = nn.Parameter(torch.zeros(vocabulary))
        self.lexical = tfidf_branch(vocabulary, d)
        self.labels2adaptation = Labels2Adaptation(backbone, config)
        if config.classifier == "positional":
            self.generator: nn.Module = Positional(d, f, ways, config.heads)
        elif config.classifier == "equivariant":
            self.generator = Equivariant(d, f)
        else:
            self.generator = Exemplar(config.ridge, lexical=vocabulary > 0)
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.scale)))

    @property
    def equivariant(self) -> bool:
        """Whether permuting the classes only permutes the logits."""
        return self.config.classifier != "positional"

    def weigh(self, lexical: Float[Tensor, "K V"]) -> Float[Tensor, "K V"]:
        """TF-IDF features with the learned weight of each word."""
        return lexical * self.log_word_weight.exp()  # (K, V)

    def labels(self, text: Text) -> Float[Tensor, "K d"]:
        """Eq. 2: every description to a label embedding, each by itself."""
        c = in_passes(self.tokens2label, text)  # (K, d)
        return c if self.lexical is None else c + self.lexical(self.weigh(text.tfidf))  # (K, d)

    def context(self, c: Float[Tensor, "K d"]) -> Float[Tensor, "K d"]:
        """Eq. 3: every label embedding in the light of the others."""
        if isinstance(self.generator, Positional):
            if len(c) > self.ways:
                problem = f"this positional classifier was trained for {self.ways} classes, not {len(c)}"
                raise N3Error(problem, f"Train with episodes.ways={len(c)}, or another model.classifier")
            c = self.generator.mark(c)  # (K, d)
        return self.labels2adaptation.encoder(c[None])[0]  # (K, d)

    def adapt(
        self,
        text: Text,
        support: Int[Tensor, " S"] | None = None,
        c: Float[Tensor, "K d"] | None = None,
        held_out: Int[Tensor, " K"] | None = None,
    ) -> Adaptation:
        """The adaptation to these classes (Eq. 2 to 6), and their classifier.

        Args:
            text: of the K classes.
            support: indices of the seen classes that the classifier may be made from; all by default.
            c: what `labels` gives for the text, where it is known already.
            held_out: indices of the seen classes whose images must say nothing, as those of a training task.
        """
        h = self.context(self.labels(text) if c is None else c)  # (K, d)
        deltas = self.labels2adaptation(h)  # layer -> (M, N)
        known = self.statistics(held_out, isinstance(self.generator, Exemplar))
        offset: Tensor | float = 0.0
        if isinstance(self.generator, Positional):
            rows, offset = self.generator(h)  # (K, f), (K,)
        elif isinstance(self.generator, Exemplar):
            s = self.rows(support)  # (R,)
            query, seen = [text.pooled], [self.seen_pooled[s]]  # (K, e), (S, e)
            if self.lexical is not None:
                query.append(self.weigh(text.tfidf))  # (K, V)
                seen.append(self.weigh(self.seen_lexical[s]))  # (S, V)
            rows = self.generator(query, seen, known.exemplars[s % len(known.exemplars)])  # (K, f)
        else:
            rows = self.generator(h)  # (K, f)
        weight, bias = fold(self.log_scale.exp() * rows, known.center, known.transform)  # (K, f), (K,)
        return Adaptation(deltas, weight, bias + offset)

    def columns(self, deltas: dict[str, Tensor]) -> dict[str, Tensor]:
        """Eq. 6 with gamma: Theta' = gamma Theta + mu delta, layer by layer."""
        gamma = self.config.gamma
        return {name: gamma * self.backbone.columns(name) + delta for name, delta in deltas.items()}

    def logits(self, images: Float[Tensor, "B 3 H W"], adaptation: Adaptation) -> Float[Tensor, "B K"]:
        """Classify normalized images with the adapted network."""
        features = self.backbone(images, self.columns(adaptation.deltas))  # (B, f)
        return functional.linear(features, adaptation.weight, adaptation.bias)  # (B, K)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Loss and accuracy of one episode (section 3.3)."""
        adaptation = self.adapt(batch.text, batch.support, held_out=batch.held_out)
        names, tensors = list(adaptation.deltas), [*adaptation.deltas.values(), *adaptation[1:]]
        right = []

        def loss_of(tensors: Sequence[Tensor], part: slice) -> Tensor:
            """The part's share of the mean cross-entropy under these deltas, weight and bias."""
            held = Adaptation(dict(zip(names, tensors, strict=False)), *tensors[-2:])
            labels = batch.labels[part]  # (b,)
            logits = self.logits(self.backbone.preprocess(batch.images[part]), held)  # (b, K)
            right.append(logits.argmax(1) == labels)
            return len(labels) / len(batch.labels) * functional.cross_entropy(logits, labels)  # ()

        step = self.config.micro_batch
        if step and torch.is_grad_enabled():
            starts = range(0, len(batch.labels), step)
            parts = (partial(loss_of, part=slice(s, s + step)) for s in starts)
            loss = accumulate_gradients(tensors, parts)  # ()
        else:
            loss = loss_of(tensors, slice(None))  # ()
        penalty = self.config.word_penalty * self.log_word_weight.square().sum()  # ()
        return {"loss": loss + penalty, "accuracy": torch.cat(right).float().mean()}
