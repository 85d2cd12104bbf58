"""Folding batch norm changes nothing, replacing columns changes what it should, weights are checked."""

from collections.abc import Callable
from pathlib import Path

from n3lib.io.torchvision import models

import pytest
import torch
from torch import Tensor, nn

from n3lib.backbone import (
    Backbone,
    BackboneConfig,
    SmallResNet,
    fold_batchnorm,
    from_columns,
    load_backbone,
    pool,
    trace,
)
from n3lib.io.errors import N3Error
from n3lib.io.tensors import read_tensors, write_tensors

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


def test_columns_round_trip(make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone()
    # The stem; then two convolutions a block, and a shortcut where it widens.
    assert len(backbone.layers) == 1 + 2 + 3 + 3
    for name in backbone.layers:
        layer = backbone.features.get_submodule(name)
        columns = backbone.columns(name)
        assert columns.shape == (layer.out_channels, layer.weight[0].numel() + 1)
        # Column 1 is output channel 1: its flattened filter, then its bias.
        assert torch.equal(columns[1], torch.cat([layer.weight[1].reshape(-1), layer.bias[1:2]]))
        state = from_columns(columns, layer)
        assert torch.equal(state["weight"], layer.weight)
        assert torch.equal(state["bias"], layer.bias)


@torch.no_grad()
def test_zero_change_gives_the_base_network_exactly(make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone()
    columns = {name: backbone.columns(name) + 0.0 for name in backbone.layers}
    assert torch.equal(backbone(IMAGES, columns), backbone(IMAGES))


@torch.no_grad()
def test_replaced_columns_change_that_layer_alone(make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone()
    name = "layer1.conv2"
    columns = torch.randn_like(backbone.columns(name))
    outputs: dict[str, list[Tensor]] = {}
    for layer in backbone.layers:
        backbone.features.get_submodule(layer).register_forward_hook(
            lambda module, args, out, layer=layer: outputs.setdefault(layer, []).append(out)
        )
    plain, changed = backbone(IMAGES), backbone(IMAGES, {name: columns})
    same = {layer for layer, (before, after) in outputs.items() if torch.equal(before, after)}
    assert same == {"conv1", "layer1.conv1"}  # what comes before it
    assert torch.equal(backbone(IMAGES), plain)  # nothing stays behind

    layer = backbone.features.get_submodule(name)
    layer.load_state_dict(from_columns(columns, layer))
    assert torch.equal(backbone(IMAGES), changed)


@pytest.mark.parametrize(("how", "width"), [("avg", 24), ("avg+max", 48)])
@torch.no_grad()
def test_pooling(how: str, width: int, make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone(pool=how)
    assert backbone.width == width
    assert backbone(IMAGES).shape == (2, width)
    maps = torch.tensor([[[[1.0, 2], [3, 6]], [[0, 0], [0, -4]]]])
    assert pool(maps, how).tolist() == [[3, -1, 6, 0][: width // 12]]


def test_it_stays_frozen_and_in_evaluation_mode(make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone()
    nn.Sequential(backbone).train()
    assert not any(module.training for module in backbone.modules())
    assert not any(p.requires_grad for p in backbone.parameters())


def test_pixels_are_normalized_per_channel(make_backbone: Callable[..., Backbone]) -> None:
    backbone = Backbone(make_backbone().features, BackboneConfig(), (0.0, 0.5, 1.0), (1.0, 0.5, 0.25))
    image = torch.tensor([0, 255, 51], dtype=torch.uint8).expand(1, 2, 3, 3)
    got = backbone.preprocess(image)
    assert got.shape == (1, 3, 2, 3)
    torch.testing.assert_close(got[0, :, 1, 2], torch.tensor([0.0, 1.0, -3.2]))


BAD_CONFIGS = {
    "unknown backbone 'alexnet'": {"name": "alexnet"},
    "unknown pooling 'max'": {"pool": "max"},
}


@pytest.mark.parametrize(("message", "settings"), BAD_CONFIGS.items())
def test_bad_configurations(message: str, settings: dict) -> None:
    config = object.__new__(BackboneConfig)  # past the type checks that only tests have
    for key, value in {"name": "aviary", "stages": 4, "pool": "avg", "weights": "", **settings}.items():
        object.__setattr__(config, key, value)
    with pytest.raises(N3Error, match=message):
        load_backbone(config)


def other_network(path: Path) -> None:
    write_tensors(path, SmallResNet((32, 64, 96)).state_dict())


def another_architecture(path: Path) -> None:
    write_tensors(path, models.squeezenet1_1().state_dict())


def truncated(path: Path) -> None:
    write_tensors(path, SmallResNet().state_dict())
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (other_network, "another shape for layer3"),
        (another_architecture, "it lacks conv1.weight"),
        (truncated, "not a readable safetensors file"),
    ],
)
def test_bad_weights_are_named(make: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    make(path)
    with pytest.raises(N3Error, match=message) as caught:
        load_backbone(BackboneConfig(weights=str(path)))
    assert str(path) in str(caught.value)


def test_weights_of_too_few_stages(tmp_path: Path) -> None:
    three = load_backbone(BackboneConfig("resnet18", 3), pretrained=False)
    write_tensors(tmp_path / "three", three.features.state_dict())
    with pytest.raises(N3Error, match="lacks layer4.0.conv1.weight"):
        load_backbone(BackboneConfig("resnet18", 4, weights=str(tmp_path / "three")))


def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(N3Error, match="weights of squeezenet1_1 could not be downloaded: no route to host"):
        load_backbone(BackboneConfig("squeezenet1_1"))


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
    timm = pytest.importorskip("timm")
    network = shaken(timm.create_model("tf_efficientnet_lite0"))
    write_tensors(tmp_path / "w", network.state_dict())
    backbone = load_backbone(BackboneConfig("timm:tf_efficientnet_lite0", weights=str(tmp_path / "w")))
    assert relative(backbone.features(IMAGES), network.forward_features(IMAGES)) < 1e-4
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    assert backbone.mean.flatten().tolist() == backbone.std.flatten().tolist() == [0.5, 0.5, 0.5]
    bare = load_backbone(BackboneConfig("timm:tf_efficientnet_lite0"), pretrained=False)
    assert bare.layers == backbone.layers
    with pytest.raises(N3Error, match="timm has no model 'dodo'"):
        load_backbone(BackboneConfig("timm:dodo"))


@torch.no_grad()
def test_efficientnet_of_the_pack(pack: Path) -> None:
    timm = pytest.importorskip("timm")
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
