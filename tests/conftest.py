"""What every test gets: fixed seeds, one thread, and a cache folder of its own."""

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn

from n3lib.backbone import Backbone, BackboneConfig
from n3lib.config import RunConfig
from n3lib.data import DataConfig, load_data
from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.episodes import EpisodeConfig
from n3lib.io.tensors import write_tensors
from n3lib.model import N3, N3Config
from n3lib.pretrained.networks import SmallResNet, fold_batchnorm, trace
from n3lib.run import Run, train
from n3lib.text.bank import TextBank
from n3lib.text.pipeline import TextConfig, TextPipeline
from n3lib.text.words import WordEncoder
from n3lib.trainer import TrainConfig

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def _session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One thread, so that numbers do not depend on the machine, and never the user's cache."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("N3_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture
def unannotated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library as users run it: nothing checks the annotated types and shapes."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def pack() -> Path:
    """The folder of real data that lies beside the repository on development machines."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"needs the development data in {path}: this test runs only where that folder exists")
    return path


# Small things for the tests of the core: a backbone of three blocks, a world of 14 classes, a tiny run.
WORDS = ["red", "blue", "green", "tail", "wing", "crown", "bill", "spotted", "plain", "long", "short", "dull"]


@pytest.fixture(scope="session")
def small_world() -> ZeroShotDataset:
    """14 classes (8 train, 3 val, 3 test) of 4 or 5 noise images; the red channel is the class id."""
    rng = np.random.default_rng(5)
    labels = np.concatenate([np.repeat(np.arange(14), 4), np.arange(7)])
    images = rng.integers(0, 256, (len(labels), 16, 16, 3)).astype(np.uint8)
    images[..., 0] = labels[:, None, None]
    texts = tuple(
        tuple(f"The {' '.join(rng.choice(WORDS, 3))} bird." for _ in range(1 + c % 3)) for c in range(14)
    )
    split = Split("small", train=tuple(range(6, 14)), val=(3, 4, 5), test=(0, 1, 2))
    classes = tuple(f"bird {chr(97 + c)}" for c in range(14))
    return ZeroShotDataset("small", classes, texts, images, labels, split, {"text": "0" * 64})


@pytest.fixture(scope="session")
def small_bank(small_world: ZeroShotDataset) -> TextBank:
    seen = [small_world.texts[c] for c in small_world.split.train]
    return TextPipeline.fit(WordEncoder(8), seen, TextConfig()).bank(small_world.texts)


def shake_norms(network: nn.Module) -> nn.Module:
    """Batch norms as after training: no scale, shift or statistic at its neutral start."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return network.eval()


@pytest.fixture(scope="session")
def shaken() -> Callable[[nn.Module], nn.Module]:
    return shake_norms


@pytest.fixture
def make_backbone() -> Callable[..., Backbone]:
    """A backbone of random weights, wide enough to have three stages."""

    def make(pool: Literal["avg", "avg+max"] = "avg+max") -> Backbone:
        # Multiples of 8: on processors with AVX2 only, PyTorch 2.13 corrupts memory in narrower convolutions.
        features = fold_batchnorm(trace(shake_norms(SmallResNet((8, 16, 24)))))
        return Backbone(features, BackboneConfig(pool=pool), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    return make


@pytest.fixture
def make_n3(make_backbone: Callable[..., Backbone], small_bank: TextBank) -> Callable[..., N3]:
    """An N3 that knows 8 classes, in evaluation mode; `moved`: away from every neutral start."""

    def make(moved: bool = True, ways: int = 14, images: int = 0, **settings: Any) -> N3:
        config = N3Config(**{"d": 16, "heads": 2, "shared_mu": 0.1, **settings})
        sizes = (small_bank.pooled.shape[1], small_bank.tfidf.shape[1], 8)
        model = N3(make_backbone(), *sizes, config, ways, images).eval()
        with torch.no_grad():
            for name in ("center", "exemplars", "seen_pooled"):
                getattr(model, name).normal_()
            model.seen_lexical.copy_(small_bank.batch(range(6, 14)).tfidf)
            model.transform.add_(torch.randn_like(model.transform), alpha=0.1)
            if moved:
                for parameter in model.parameters():
                    if parameter.requires_grad:
                        parameter.add_(torch.randn_like(parameter), alpha=0.1)
        return model

    return make


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights, in a folder as transformers writes it."""
    importlib.import_module("n3lib.io.torchvision")  # before transformers
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoders") / "tiny-bert"
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "blue", "jay", "##jay", "the", "is"]
    vocabulary += ["noisy", "and", "crest", ",", "."]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights for the aviary's network, batch norm not folded."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    write_tensors(path, shake_norms(SmallResNet()).state_dict())
    return path


@pytest.fixture(scope="session")
def tiny_config(tiny_weights: Path) -> RunConfig:
    """Three steps on the tiny aviary, fast enough to move every layer."""
    return RunConfig(
        data=DataConfig(preset="tiny"),
        backbone=BackboneConfig(weights=str(tiny_weights)),
        model=N3Config(d=8, heads=2),
        episodes=EpisodeConfig(ways=4, batch_size=8),
        train=TrainConfig(steps=3, lr=1e-2, warmup=1, every=2),
        fit="trainval",  # the last state is kept, whatever three steps do to the accuracy
        exemplar_images=2,
    )


@pytest.fixture
def small_config(tiny_config: RunConfig) -> RunConfig:
    """Three steps on the small world, the best of them kept."""
    small = dataclasses.replace(tiny_config.episodes, ways=3, batch_size=4)
    return dataclasses.replace(tiny_config, episodes=small, fit="train")


@pytest.fixture(scope="session")
def tiny_run(tiny_config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on the aviary from start to end. Not to be changed."""
    return train(tiny_config, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture
def unseen(tiny_run: Run) -> dict[str, tuple[str, ...]]:
    """Five classes (training had tasks of four) that the tiny run never saw."""
    data = load_data(tiny_run.config.data)
    return {data.classes[c]: data.texts[c] for c in data.split.test[:5]}


@pytest.fixture(scope="module")
def known_code() -> Iterator[None]:
    """Results get their fingerprint without the seconds that computing it takes."""
    fingerprints = importlib.import_module("n3lib.experiments.fingerprints")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprints, "numbers", lambda name: fingerprints.known().get(name, [0.0]))
        yield
