"""Where the birds of CUB-200-2011 are, by the dataset's bounding boxes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from n3lib.data.photographs.cub import CUB, find_lists
from n3lib.data.photographs.lists import Lists
from n3lib.io import expand

LONGER = 500  # pixels of the longer side of the published pictures, nearly all of them
_LIST = "bounding_boxes.txt"


def bird_masks(root: Path | str, images: Sequence[int], size: int) -> Bool[np.ndarray, "B H W"]:
    """The boxes of some images, in the square that `n3lib.data.images.load_image` cuts from each.

    A mask is True where the middle of a pixel lies within the box. Boxes count pixels of the published
    pictures. Where they do not fit into the files, the files are smaller copies: their longer side is then
    taken to have been `LONGER` pixels, as it is in nearly all.

    Raises:
        N3Error: `bounding_boxes.txt` is missing, malformed, or not about the dataset's images.
    """
    root = expand(root)
    index, lists = CUB.index(root), find_lists(root)
    boxes_of = lists.labels(_LIST, lists.pairs("images.txt"), spaces=True)
    keys = list(boxes_of)
    boxes = np.array([_box(boxes_of[keys[i]], lists, keys[i]) for i in images])  # (B, 4)
    sizes = np.array([_size(index.paths[i]) for i in images], dtype=np.float64)  # (B, 2): width, height
    if (boxes[:, :2] + boxes[:, 2:] > sizes + 1).any():
        boxes *= sizes.max(1, keepdims=True) / LONGER
    return in_square(boxes, sizes, size)


def in_square(
    boxes: Float[np.ndarray, "B 4"], sizes: Float[np.ndarray, "B 2"], size: int
) -> Bool[np.ndarray, "B H W"]:
    """Boxes (left, top, width, height) in the middle square of pictures (width, height), `size` pixels."""
    side = sizes.min(1, keepdims=True)
    corner = (boxes[:, :2] - (sizes - side) / 2) * size / side  # (B, 2): left, top
    far = corner + boxes[:, 2:] * size / side
    middle = np.arange(size) + 0.5
    inside = (corner[..., None] <= middle) & (middle < far[..., None])  # (B, 2, size)
    return inside[:, 1, :, None] & inside[:, 0, None, :]


def _box(line: str, lists: Lists, image: str) -> list[float]:
    try:
        box = [float(number) for number in line.split()]
    except ValueError:
        box = []
    if len(box) != 4 or not np.isfinite(box).all():
        raise lists.error(_LIST, f": {line[:80]!r} of image {image} is no box")
    return box


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size
