"""Bounding boxes follow the picture through cutting and resizing."""

import numpy as np
import pytest
from PIL import Image

from n3lib.data.images import load_image
from n3lib.data.photographs.boxes import bird_masks, in_square
from n3lib.io import N3Error


@pytest.fixture
def cub(make_tree):
    return make_tree("cub")


def boxes(cub, *lines: str) -> None:
    (cub.folder / "bounding_boxes.txt").write_text("\n".join(lines) + "\n")


def test_a_box_in_the_middle_square_by_hand() -> None:
    """A picture of 30 by 20: the square is columns 5 to 25, 10 pixels for 20."""
    mask = in_square(np.array([[7.0, 4.0, 6.0, 8.0]]), np.array([[30.0, 20.0]]), 10)[0]
    expected = np.zeros((10, 10), bool)
    expected[2:6, 1:4] = True
    assert (mask == expected).all()


@pytest.mark.parametrize(("width", "height"), [(50, 30), (30, 50), (40, 40)])
def test_the_mask_lies_on_what_was_painted(tmp_path, width: int, height: int) -> None:
    """The bird is painted white: where the loaded picture is white, the mask is True."""
    left, top, w, h = 12, 11, 16, 14
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top : top + h, left : left + w] = 255
    Image.fromarray(picture).save(tmp_path / "bird.png")
    seen = load_image(tmp_path / "bird.png", 2 * min(width, height))[..., 0] > 127
    mask = in_square(
        np.array([[left, top, w, h]], float), np.array([[width, height]], float), 2 * min(width, height)
    )[0]
    assert mask.any() and (seen != mask).mean() < 0.01


def test_boxes_belong_to_image_ids(cub) -> None:
    full, none = "0.0 0.0 30.0 20.0", "0.0 0.0 1.0 1.0"
    boxes(cub, *(f"{i} {full if i == 3 else none}" for i in (6, 5, 4, 3, 2, 1)))
    assert bird_masks(cub.root, [1, 2, 5], 8).mean((1, 2)).tolist() == [0, 1, 0]


def test_smaller_copies(cub) -> None:
    """30 by 20 pixels are left of 500 by 333: a box of the whole picture stays one of the whole picture."""
    boxes(cub, *(f"{i} 0.0 0.0 500.0 333.4" for i in range(1, 7)))
    assert bird_masks(cub.root, range(6), 8).all()


@pytest.mark.parametrize("line", ["3 1.0 2.0 3.0", "3 1.0 2.0 3.0 wide", "3 1.0 2.0 3.0 nan"])
def test_no_box(cub, line: str) -> None:
    boxes(cub, *(line if i == 3 else f"{i} 1.0 1.0 2.0 2.0" for i in range(1, 7)))
    with pytest.raises(N3Error, match="bounding_boxes.txt.* image 3"):
        bird_masks(cub.root, [2], 8)


def test_the_list_is_missing(cub) -> None:
    with pytest.raises(N3Error, match=r"bounding_boxes.txt"):
        bird_masks(cub.root, [2], 8)
