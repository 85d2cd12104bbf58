"""Frozen features, computed once."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from n3lib.backbone import Backbone, BackboneConfig
from n3lib.baselines import features
from n3lib.baselines.features import frozen_features
from n3lib.data.dataset import ZeroShotDataset


@torch.no_grad()
def test_features_are_the_backbones_and_are_kept(
    make_backbone: Callable[..., Backbone],
    small_world: ZeroShotDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("N3_CACHE", str(tmp_path))
    monkeypatch.setattr(features, "BATCH", 9)  # does not divide the number of images
    backbone = make_backbone()
    pooled, maps = frozen_features(backbone, small_world, True)
    images = backbone.preprocess(torch.from_numpy(small_world.images))
    expected = (backbone(images) + backbone(images.flip(3))) / 2
    np.testing.assert_allclose(pooled, expected.numpy(), atol=1e-5)
    expected = (backbone.features(images) + backbone.features(images.flip(3)).flip(3)) / 2
    np.testing.assert_allclose(maps, expected.numpy(), atol=2e-3, rtol=2e-3)
    alone = frozen_features(backbone, small_world, False)[1]
    np.testing.assert_allclose(alone, backbone.features(images).numpy(), atol=2e-3, rtol=2e-3)

    monkeypatch.setattr(features, "extract", None)  # not computed again
    again = frozen_features(backbone, small_world, True)
    np.testing.assert_array_equal(again[0], pooled)
    with pytest.raises(TypeError):  # another backbone misses
        frozen_features(make_backbone("avg"), small_world, True)


def test_cells_of_the_mirror_image_are_in_register(
    make_backbone: Callable[..., Backbone], small_world: ZeroShotDataset
) -> None:
    """Mirrored images have mirrored maps; a network that sees one pixel at a time is not blurred."""
    images = small_world.images[:, :, ::-1].copy()
    mirrored = dataclasses.replace(small_world, images=images, hashes={"text": "1" * 64})
    backbone = make_backbone()
    maps = frozen_features(backbone, small_world, True)[1]
    np.testing.assert_array_equal(frozen_features(backbone, mirrored, True)[1], maps[..., ::-1])

    by_pixel = Backbone(nn.Conv2d(3, 8, 1), BackboneConfig(), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    both, alone = (frozen_features(by_pixel, small_world, mirror)[1] for mirror in (True, False))
    np.testing.assert_allclose(both, alone, atol=2e-3, rtol=2e-3)
