"""Frozen features, computed once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from n3lib.backbone import Backbone
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
    np.testing.assert_allclose(maps, backbone.features(images).numpy(), atol=2e-3, rtol=2e-3)

    monkeypatch.setattr(features, "extract", None)  # not computed again
    again = frozen_features(backbone, small_world, True)
    np.testing.assert_array_equal(again[0], pooled)
    with pytest.raises(TypeError):  # another backbone misses
        frozen_features(make_backbone("avg"), small_world, True)
