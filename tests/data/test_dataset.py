"""What a dataset says of its images, and what it refuses."""

import dataclasses

import numpy as np
import pytest

from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.io import N3Error

OUTSIDE = np.array([0, 99])


def test_labels_are_indices_of_the_classes_in_their_order(small_world: ZeroShotDataset) -> None:
    classes = (7, 2, 11)
    indices = np.random.default_rng(0).permutation(small_world.indices(classes))
    labels = small_world.labels_among(classes, indices)
    assert [classes[k] for k in labels] == small_world.labels[indices].tolist()


@pytest.mark.parametrize("parts", [((0, 1), (), (1,)), ((0,), (2, 2), (1,)), ((), (0,), (1,))])
def test_a_split_names_every_class_once_and_has_train(parts: tuple) -> None:
    with pytest.raises(N3Error, match="own"):
        Split("own", *parts)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"texts": (("A red bird.",),)}, "descriptions"),
        ({"groups": (0, 1)}, "groups"),
        ({"labels": np.zeros(3, np.int64)}, "3 labels"),
        ({"labels": OUTSIDE, "images": np.zeros((2, 4, 4, 3), np.uint8)}, "label"),
        ({"split": Split("far", (0,), (), (99,))}, "far"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(
    small_world: ZeroShotDataset, change: dict, word: str
) -> None:
    with pytest.raises(N3Error, match=word):
        dataclasses.replace(small_world, **change)
