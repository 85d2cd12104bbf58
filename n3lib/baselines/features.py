"""Features of the frozen network for every image of a dataset, computed once and kept on disk."""

import numpy as np
import torch
from jaxtyping import Float16, Float32
from torch import Tensor
from tqdm import tqdm

from n3lib.backbone import Backbone
from n3lib.data.dataset import ZeroShotDataset
from n3lib.io import writing
from n3lib.io.files import atomic, cache_dir, sha256
from n3lib.metrics import BATCH, extract


def frozen_features(
    backbone: Backbone, dataset: ZeroShotDataset, mirror: bool
) -> tuple[Float32[np.ndarray, "N f"], Float16[np.ndarray, "N c h w"]]:
    """Pooled features and last feature maps of all images, in image order.

    With `mirror`, both are averaged with those of the mirror image, whose map is mirrored back first.
    """
    weights = [t.contiguous().numpy().tobytes() for t in backbone.features.state_dict().values()]
    images = (dataset.name, str(dataset.images.shape), str(sorted(dataset.hashes.items())))
    how = (backbone.config.pool, str(mirror), *weights)
    folder = cache_dir() / "features" / sha256("features-2", *images, *how)
    paths = (folder / "pooled.npy", folder / "maps.npy")
    if not all(path.is_file() for path in paths):
        pooled, maps, passes = list[Tensor](), list[Tensor](), list[Tensor]()
        parts = np.split(np.arange(len(dataset.images)), range(BATCH, len(dataset.images), BATCH))
        with backbone.features.register_forward_hook(lambda module, args, out: passes.append(out)):
            for part in tqdm(parts, desc="frozen features", disable=None):
                pooled.append(extract(backbone, dataset.images, part, mirror=mirror))
                mirrored = [out.flip(3) for out in passes[1:]]  # cell by cell where the image has its own
                maps.append(torch.stack([passes[0], *mirrored]).mean(0).half())
                passes.clear()
        with writing(folder, "Set N3_CACHE to a writable folder"):
            for path, batches in zip(paths, (pooled, maps), strict=True):
                with atomic(path) as temporary, temporary.open("wb") as file:
                    np.save(file, torch.cat(batches).numpy())
    kept = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    return np.asarray(kept[0]), kept[1]
