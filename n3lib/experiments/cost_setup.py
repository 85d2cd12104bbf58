"""What the cost study compares: N3, plain fine-tuning and others, on synthetic data of a given size."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from n3lib.backbone import Backbone, BackboneConfig
from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.episodes import EpisodeConfig, Episodes
from n3lib.model import N3, Batch, N3Config
from n3lib.pretrained.networks import load_backbone
from n3lib.text.bank import Text
from n3lib.text.encoders import make_encoder
from n3lib.text.pipeline import TextConfig, TextPipeline
from n3lib.trainer import TrainConfig, move, optimizer_for

CONFIG = TrainConfig()
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Size:
    """A problem. Every description fills all L tokens, which is the most that it can cost."""

    model: N3Config
    backbone: BackboneConfig
    ways: int = 50  # K
    length: int = 128  # L
    batch: int = 64  # B
    pixels: int = 224  # the side of an image
    e: int = 768  # width of the token embeddings, BERT's
    seen: int = 150  # C, classes with exemplars
    vocabulary: int = 0  # V


# The paper's form (sections 3 and 4, Table 7), and the library's.
_PAPER = N3Config(d=768, heads=12, t2l_layers=2, classifier="positional", mu="absolute", initial_mu=1e-3)
_RESNET = BackboneConfig("resnet18", pool="avg")
SIZES = {
    "paper": Size(_PAPER, _RESNET),
    # The same width, with what all tasks share beside a text-conditioned part of low rank.
    "rank-4": Size(replace(_PAPER, mu="relative", initial_mu=0.1, shared_mu=1.0, rank=4), _RESNET),
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
        """Loss of a batch; its text is not used."""
        logits = self.fc(self.backbone(self.backbone.preprocess(batch.images)))
        return {"loss": functional.cross_entropy(logits, batch.labels)}


def make_backbone(size: Size) -> Backbone:
    """The architecture with random weights: time does not depend on their values."""
    torch.manual_seed(0)
    return load_backbone(size.backbone, pretrained=False).to(DEVICE)


def make_n3(size: Size, backbone: Backbone, **settings: Any) -> N3:
    """An N3 of this size, training mode; `settings` are changes of its configuration."""
    torch.manual_seed(1)
    config = replace(size.model, **settings)
    return N3(backbone, size.e, size.vocabulary, size.seen, config, size.ways).to(DEVICE).train()


def make_text(size: Size) -> Text:
    """Noise in the shape of encoded descriptions."""
    torch.manual_seed(2)
    k, tokens = size.ways, size.length
    lexical = torch.rand(k, size.vocabulary)
    pieces, weights = list(torch.randn(k, tokens, size.e)), list(torch.ones(k, tokens))
    return Text(pieces, weights, torch.randn(k, size.e), lexical, [["word"] * tokens] * k).to(DEVICE)


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
    names, ids = tuple(f"class {c}" for c in range(seen + 1)), tuple(range(seen))
    split = Split("noise", ids, (), (seen,))
    data = ZeroShotDataset("noise", names, texts, images, np.arange(4 * seen) % seen, split)
    config = TextConfig(f"words:{size.e}", tfidf=size.vocabulary > 0)
    pipeline = TextPipeline.fit(make_encoder(config.encoder), texts, config)
    how = EpisodeConfig(ways=size.ways, batch_size=size.batch, crop=size.pixels)
    return Episodes(data, pipeline.bank(texts), range(seen), how, 0)


def stepper(model: nn.Module, micro: int = 0) -> Callable[[Batch], None]:
    """A training step as `n3 train` does it, with `micro` images per micro-batch; 0 for all at once."""
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


def both_sides(
    size: Size, micro: int = 0, plain_micro: int = 0
) -> Iterator[tuple[str, nn.Module, Callable[[], None]]]:
    """N3 and plain fine-tuning of one network: the name, the model and a training step (see `stepper`)."""
    backbone, batch = make_backbone(size), make_batch(size)
    n3 = make_n3(size, backbone, micro_batch=micro)
    yield "n3", n3, partial(stepper(n3), batch)
    del n3
    plain = Plain(backbone, size.ways).to(DEVICE)
    yield "plain", plain, partial(stepper(plain, plain_micro), batch)


def trained_numbers(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
