"""Features of the frozen network for every image of a dataset, computed once and kept on disk."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float16, Float32
from tqdm import tqdm

from n3lib.backbone import Backbone, pool
from n3lib.data.dataset import ZeroShotDataset
from n3lib.io.errors import N3Error
from n3lib.io.files import atomic, cache_dir, sha256

BATCH = 64


def frozen_features(
    backbone: Backbone, dataset: ZeroShotDataset, mirror: bool, cache: Path | str | None = None
) -> tuple[Float32[np.ndarray, "N f"], Float16[np.ndarray, "N c h w"]]:
    """Pooled features and last feature maps of all images, in image order.

    Args:
        backbone: the network as it was pretrained.
        dataset: its images are hashed in `dataset.hashes`.
        mirror: average the pooled features with those of the mirror image; maps are of the image itself.
        cache: see `n3lib.io.files.cache_dir`.

    Raises:
        N3Error: the cache cannot be written.
    """
    weights = [t.contiguous().numpy().tobytes() for t in backbone.features.state_dict().values()]
    images = (dataset.name, str(dataset.images.shape), str(sorted(dataset.hashes.items())))
    how = (backbone.config.pool, str(mirror), *weights)
    folder = cache_dir(cache) / "features" / sha256("features-1", *images, *how)
    names = (folder / "pooled.npy", folder / "maps.npy")
    if not all(name.is_file() for name in names):
        pooled, maps = _compute(backbone, dataset, mirror)
        try:
            for name, array in zip(names, (pooled, maps), strict=True):
                with atomic(name) as temporary, temporary.open("wb") as file:
                    np.save(file, array)
        except OSError as error:
            raise N3Error(f"cannot write {folder}: {error}", "Set N3_CACHE to a writable folder") from None
    pooled, maps = (np.load(name, mmap_mode="r", allow_pickle=False) for name in names)
    return np.asarray(pooled), maps


@torch.no_grad()
def _compute(backbone: Backbone, dataset: ZeroShotDataset, mirror: bool) -> tuple[np.ndarray, np.ndarray]:
    pooled, maps = [], []
    for start in tqdm(range(0, len(dataset.images), BATCH), desc="frozen features", disable=None):
        images = backbone.preprocess(torch.from_numpy(np.array(dataset.images[start : start + BATCH])))
        last = backbone.features(images)  # (B, c, h, w)
        features = pool(last, backbone.config.pool)  # (B, f)
        if mirror:
            features = (features + pool(backbone.features(images.flip(3)), backbone.config.pool)) / 2
        pooled.append(features)
        maps.append(last.half())
    return torch.cat(pooled).numpy(), torch.cat(maps).numpy()
