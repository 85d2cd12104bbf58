"""Replacing columns changes what it should and nothing else."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from n3lib.backbone import Backbone, BackboneConfig, from_columns, pool

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))


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
        state = from_columns({name: columns}, backbone.features)
        assert torch.equal(state[f"{name}.weight"], layer.weight)
        assert torch.equal(state[f"{name}.bias"], layer.bias)


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

    backbone.features.load_state_dict(from_columns({name: columns}, backbone.features), strict=False)
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
