"""Folding batch norm changes nothing, and weights are checked."""

from collections.abc import Callable
from pathlib import Path

from n3lib.io.torchvision import models

import pytest
import timm
import torch
from torch import Tensor, nn

from n3lib.backbone import BackboneConfig
from n3lib.io import N3Error
from n3lib.io.tensors import read_tensors, write_tensors
from n3lib.pretrained.networks import SmallResNet, fold_batchnorm, load_backbone, trace

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
NETWORKS = {
    "resnet18": models.resnet18,
    "googlenet": lambda: models.googlenet(aux_logits=False, transform_input=True, init_weights=False),
    "squeezenet1_1": models.squeezenet1_1,
    "aviary": SmallResNet,
}
# Backbone, stages, and the module of the original network whose output is the feature map.
CUTS = [
    *(("resnet18", stages, f"layer{stages}") for stages in (1, 2, 3, 4)),
    ("googlenet", 4, "inception5b"),
    ("squeezenet1_1", 4, "features"),
    ("aviary", 4, ""),
]


def relative(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize(("name", "stages", "cut"), CUTS)
@torch.no_grad()
def test_folded_network_computes_what_the_original_does_at_the_cut(
    name: str, stages: int, cut: str, shaken: Callable, tmp_path: Path
) -> None:
    network = shaken(NETWORKS[name]())
    seen = []
    network.get_submodule(cut).register_forward_hook(lambda module, args, out: seen.append(out))
    write_tensors(tmp_path / "w", network.state_dict())
    network(IMAGES)

    config = BackboneConfig(name, stages, weights=str(tmp_path / "w"))
    backbone = load_backbone(config)
    assert relative(backbone.features(IMAGES), seen[0]) < 1e-4
    kinds = [type(m) for m in backbone.modules()]
    assert nn.BatchNorm2d not in kinds
    assert len(backbone.layers) == kinds.count(nn.Conv2d) + kinds.count(nn.Linear)


@pytest.mark.parametrize("name", ["squeezenet1_1", "aviary"])
@torch.no_grad()
def test_folded_weights_are_weights_too_also_in_half_precision(
    name: str, shaken: Callable, tmp_path: Path
) -> None:
    write_tensors(tmp_path / "w", shaken(NETWORKS[name]()).state_dict())
    backbone = load_backbone(BackboneConfig(name, weights=str(tmp_path / "w")))
    write_tensors(tmp_path / "f", backbone.features.state_dict())
    write_tensors(tmp_path / "h", {k: v.half() for k, v in backbone.features.state_dict().items()})
    again = load_backbone(BackboneConfig(name, weights=str(tmp_path / "f")))
    assert torch.equal(again(IMAGES), backbone(IMAGES))
    half = load_backbone(BackboneConfig(name, weights=str(tmp_path / "h")))
    assert next(half.parameters()).dtype == torch.float32
    assert 0 < relative(half(IMAGES), backbone(IMAGES)) < 1e-2


BAD = {
    "alexnet": {"name": "alexnet"},
    "max": {"pool": "max"},
}


@pytest.mark.parametrize(("word", "settings"), BAD.items())
def test_bad_configurations(word: str, settings: dict) -> None:
    config = object.__new__(BackboneConfig)  # past the type checks that only tests have
    for key, value in {"name": "aviary", "stages": 4, "pool": "avg", "weights": "", **settings}.items():
        object.__setattr__(config, key, value)
    with pytest.raises(N3Error, match=word):
        load_backbone(config)


def other_network(path: Path) -> None:
    write_tensors(path, SmallResNet((32, 64, 96)).state_dict())


def another_architecture(path: Path) -> None:
    write_tensors(path, models.squeezenet1_1().state_dict())


def truncated(path: Path) -> None:
    write_tensors(path, SmallResNet().state_dict())
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda path: None, "exist"),
        (other_network, "layer3"),
        (another_architecture, "conv1.weight"),
        (truncated, "safetensors"),
    ],
)
def test_bad_weights_are_named(make: Callable[[Path], None], word: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    make(path)
    with pytest.raises(N3Error, match=word) as caught:
        load_backbone(BackboneConfig(weights=str(path)))
    assert str(path) in str(caught.value)


def test_weights_of_too_few_stages(tmp_path: Path) -> None:
    three = load_backbone(BackboneConfig("resnet18", 3), pretrained=False)
    write_tensors(tmp_path / "three", three.features.state_dict())
    with pytest.raises(N3Error, match="layer4.0.conv1.weight"):
        load_backbone(BackboneConfig("resnet18", 4, weights=str(tmp_path / "three")))


def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(N3Error, match="squeezenet1_1") as caught:
        load_backbone(BackboneConfig("squeezenet1_1"))
    assert "\n" not in str(caught.value)


@torch.no_grad()
def test_resnet18_c4_of_the_pack(pack: Path) -> None:
    path = pack / "weights" / "resnet18_imagenet_bnfolded_conv1_to_layer3.safetensors"
    backbone = load_backbone(BackboneConfig("resnet18", 3, "avg+max", str(path)))
    assert len(backbone.layers) == 15
    assert backbone.width == 512
    tensors, _ = read_tensors(path)
    assert all(torch.equal(value, tensors[name]) for name, value in backbone.features.state_dict().items())


@torch.no_grad()
def test_timm_keeps_activations_and_loses_its_norms(shaken: Callable, tmp_path: Path) -> None:
    network = shaken(timm.create_model("tf_efficientnet_lite0"))
    write_tensors(tmp_path / "w", network.state_dict())
    backbone = load_backbone(BackboneConfig("timm:tf_efficientnet_lite0", weights=str(tmp_path / "w")))
    assert relative(backbone.features(IMAGES), network.forward_features(IMAGES)) < 1e-4
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    assert backbone.mean.flatten().tolist() == backbone.std.flatten().tolist() == [0.5, 0.5, 0.5]
    bare = load_backbone(BackboneConfig("timm:tf_efficientnet_lite0"), pretrained=False)
    assert bare.layers == backbone.layers
    with pytest.raises(N3Error, match="dodo"):
        load_backbone(BackboneConfig("timm:dodo"))


@torch.no_grad()
def test_efficientnet_of_the_pack(pack: Path) -> None:
    path = pack / "weights" / "tf_efficientnet_lite0_imagenet_fp16.safetensors"
    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(read_tensors(path)[0])
    backbone = load_backbone(BackboneConfig("timm:tf_efficientnet_lite0", weights=str(path)))
    assert relative(backbone.features(IMAGES), network.forward_features(IMAGES)) < 1e-3


def test_a_norm_that_follows_no_convolution_is_kept() -> None:
    network = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1, bias=False)).eval()
    expected = network(IMAGES)
    folded = fold_batchnorm(trace(network))
    torch.testing.assert_close(folded(IMAGES), expected)
    assert any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
