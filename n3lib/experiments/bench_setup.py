"""What `n3 bench` compares: N3, plain fine-tuning and others, on made-up data of a given size."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from n3lib.backbone import Backbone, BackboneConfig, load_backbone
from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.episodes import EpisodeConfig, Episodes
from n3lib.model import N3, Batch, Labels2Adaptation, LayerDecoder, N3Config
from n3lib.text.bank import Text
from n3lib.text.encoders import make_encoder
from n3lib.text.pipeline import TextConfig, TextPipeline
from n3lib.trainer import TrainConfig, move, optimizer_for

CONFIG = TrainConfig()
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Size:
    """A problem. Every description fills all L tokens, which is the most that it can cost.

    Attributes:
        model: the meta-model's settings.
        backbone: the network that is adapted.
        ways, length, batch, pixels: K, L, B, and the side of an image.
        e: width of the token embeddings (BERT's).
        seen: C, classes with exemplars.
        vocabulary: V.
    """

    model: N3Config
    backbone: BackboneConfig
    ways: int = 50
    length: int = 128
    batch: int = 64
    pixels: int = 224
    e: int = 768
    seen: int = 150
    vocabulary: int = 0


# The paper's form (sections 3 and 4, Table 7), and the library's.
_PAPER = N3Config(
    d=768, heads=12, t2l_layers=2, classifier="positional", mu="absolute", initial_mu=1e-3
)  # fmt: skip
SIZES = {
    "paper": Size(_PAPER, BackboneConfig("resnet18", pool="avg")),
    "small": Size(N3Config(), BackboneConfig("resnet18"), vocabulary=5000),
    "aviary": Size(N3Config(), BackboneConfig(), ways=40, length=64, pixels=48, e=64, vocabulary=500),
}


class Plain(nn.Module):
    """Plain fine-tuning: every parameter of the same folded network is trained, and a linear layer."""

    def __init__(self, backbone: Backbone, ways: int) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone).requires_grad_(True)
        self.fc = nn.Linear(backbone.width, ways)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Loss of a batch; its text is not read."""
        logits = self.fc(self.backbone(self.backbone.preprocess(batch.images)))
        return {"loss": functional.cross_entropy(logits, batch.labels)}


class Flat(nn.Module):
    """What the paper rejects (section 3.2): one attention over all K L tokens."""

    def __init__(self, e: int, config: N3Config) -> None:
        super().__init__()
        self.project = nn.Linear(e, config.d)
        block = nn.TransformerEncoderLayer(
            config.d, config.heads, 4 * config.d, 0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(block, config.t2l_layers, enable_nested_tensor=False)

    def forward(self, tokens: Float[Tensor, "K L e"]) -> Float[Tensor, "K d"]:
        x = self.encoder(self.project(tokens).flatten(0, 1)[None])  # (1, K L, d)
        return x.unflatten(1, tokens.shape[:2])[0].mean(1)


def batched_deltas(writer: Labels2Adaptation, h: Float[Tensor, "K d"]) -> list[Tensor]:
    """What `writer`'s decoders give, those of equally many columns run as one batched product.

    Returns:
        The unscaled change of each layer, `(M, N)`, in the order of the layers.
    """
    decoders = [decoder for decoder in writer.decoders if isinstance(decoder, LayerDecoder)]
    out: list[Tensor] = [h] * len(decoders)
    for columns in {len(decoder.queries) for decoder in decoders}:
        places = [i for i, decoder in enumerate(decoders) if len(decoder.queries) == columns]
        queries = torch.stack([decoders[i].queries for i in places])  # (G layers, M, d)
        for i, z in zip(places, _batched_block([decoders[i].block for i in places], queries, h), strict=True):
            out[i] = decoders[i].out(decoders[i].norm(z))
    return out


def _batched_block(
    blocks: list[nn.TransformerDecoderLayer], x: Float[Tensor, "G M d"], h: Float[Tensor, "K d"]
) -> Float[Tensor, "G M d"]:
    """The transformer blocks of G layers at once."""
    own = [dict(block.named_parameters()) for block in blocks]

    def stacked(name: str) -> Tensor:
        return torch.stack([parameters[name] for parameters in own])

    def linear(x: Tensor, name: str) -> Tensor:
        weight, bias = stacked(f"{name}.weight"), stacked(f"{name}.bias")
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))

    def norm(x: Tensor, name: str) -> Tensor:
        scale, shift = stacked(f"{name}.weight")[:, None], stacked(f"{name}.bias")[:, None]
        return functional.layer_norm(x, x.shape[2:]) * scale + shift

    def attend(x: Tensor, other: Tensor, name: str) -> Tensor:
        """Multi-head attention of x to `other`, which are the same or `(G, K, d)`."""
        heads, weight = blocks[0].self_attn.num_heads, stacked(f"{name}.in_proj_weight").chunk(3, 1)
        bias = stacked(f"{name}.in_proj_bias").chunk(3, 1)
        q, k, v = (
            torch.baddbmm(b[:, None], y, w.transpose(1, 2)).unflatten(2, (heads, -1)).transpose(1, 2)
            for y, w, b in zip((x, other, other), weight, bias, strict=True)
        )  # (G, heads, M or K, d / heads)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return linear(mixed, f"{name}.out_proj")

    y = norm(x, "norm1")
    x = x + attend(y, y, "self_attn")
    x = x + attend(norm(x, "norm2"), h.expand(len(blocks), *h.shape), "multihead_attn")
    return x + linear(linear(norm(x, "norm3"), "linear1").relu(), "linear2")


class HypnetTorch(nn.Module):
    """A chunked hypernetwork of hypnettorch: label embeddings, averaged, to the change of every layer.

    Raises:
        ImportError: hypnettorch is not installed.
    """

    def __init__(self, backbone: Backbone, size: Size, chunk: int = 16_384) -> None:
        super().__init__()
        from hypnettorch.hnets.chunked_mlp_hnet import ChunkedHMLP

        self.backbone, d = backbone, size.model.d
        shapes = [list(backbone.columns(name).shape) for name in backbone.layers]
        self.embed = nn.Linear(size.e, d)
        self.writer = ChunkedHMLP(
            shapes, chunk, layers=(d, d), cond_in_size=d, no_cond_weights=True, num_cond_embs=0, verbose=False
        )
        self.fc = nn.Linear(backbone.width, size.ways)

    def deltas(self, c: Float[Tensor, "K d"]) -> dict[str, Tensor]:
        """The change of every layer, `(M, N)`."""
        return dict(zip(self.backbone.layers, self.writer(cond_input=c.mean(0, keepdim=True)), strict=True))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Loss of a batch."""
        deltas = self.deltas(self.embed(batch.text.pooled))
        columns = {name: self.backbone.columns(name) + 1e-3 * delta for name, delta in deltas.items()}
        logits = self.fc(self.backbone(self.backbone.preprocess(batch.images), columns))
        return {"loss": functional.cross_entropy(logits, batch.labels)}


def make_backbone(size: Size) -> Backbone:
    """The architecture with random weights: time does not hang on their values."""
    torch.manual_seed(0)
    return load_backbone(size.backbone, pretrained=False)


def make_n3(size: Size, backbone: Backbone, **settings: Any) -> N3:
    """An N3 of this size, training mode; `settings` are changes of its configuration."""
    torch.manual_seed(1)
    config = replace(size.model, **settings)
    return N3(backbone, size.e, size.vocabulary, size.seen, config).to(DEVICE).train()


def make_text(size: Size, ways: int = 0, length: int = 0) -> Text:
    """Noise in the shape of encoded descriptions."""
    torch.manual_seed(2)
    k, tokens = ways or size.ways, length or size.length
    lexical = torch.rand(k, size.vocabulary)
    words = [["word"] * tokens] * k
    pieces, weights = list(torch.randn(k, tokens, size.e)), list(torch.ones(k, tokens))
    text = Text(pieces, weights, torch.randn(k, size.e), lexical, words)
    return text.to(DEVICE)


def make_batch(size: Size) -> Batch:
    """A mini-batch of noise, on the device."""
    text = make_text(size)
    images = torch.randint(0, 256, (size.batch, size.pixels, size.pixels, 3), dtype=torch.uint8)
    labels = torch.randint(size.ways, (size.batch,))
    return move(Batch(text, torch.arange(size.seen), images, labels), DEVICE)


def make_episodes(size: Size) -> Episodes:
    """The library's own loader over noise in memory, images a little larger than their crops."""
    rng = np.random.default_rng(0)
    seen, side = size.ways + 10, size.pixels * 8 // 7
    images = rng.integers(0, 256, (4 * seen, side, side, 3), dtype=np.uint8)
    texts = tuple(
        (" ".join(f"word{n}" for n in rng.integers(2000, size=size.length)),) for _ in range(seen + 1)
    )
    data = ZeroShotDataset(
        "noise",
        tuple(f"class {c}" for c in range(seen + 1)),
        texts,
        images,
        np.arange(4 * seen) % seen,
        Split("noise", tuple(range(seen)), (), (seen,)),
    )
    config = TextConfig(f"words:{size.e}", tfidf=size.vocabulary > 0)
    reader = TextPipeline.fit(make_encoder(config.encoder), texts, config)
    with TemporaryDirectory() as cache:
        bank = reader.bank(texts, Path(cache))
    how = EpisodeConfig(ways=size.ways, batch_size=size.batch, crop=size.pixels)
    return Episodes(data, bank, range(seen), how, 0)


def stepper(model: nn.Module, micro: int = 0) -> Callable[[Batch], None]:
    """A training step as `n3 train` does it: forward, backward, clipping, AdamW; bf16 on a GPU.

    Args:
        model: N3 or a network.
        micro: images of a micro-batch whose gradients are summed; 0 for all at once.
    """
    optimizer = optimizer_for(model, CONFIG)

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        size = micro or len(batch.labels)
        for images, labels in zip(batch.images.split(size), batch.labels.split(size), strict=True):
            part = batch._replace(images=images, labels=labels)
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=CONFIG.bf16):
                loss = model(part)["loss"]
            (loss * (len(labels) / len(batch.labels))).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CONFIG.clip)
        optimizer.step()

    return step


def trained_numbers(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
