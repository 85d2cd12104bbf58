"""What a dataset says of its images."""

import numpy as np

from n3lib.data.dataset import ZeroShotDataset


def test_labels_are_indices_of_the_classes_in_their_order(small_world: ZeroShotDataset) -> None:
    classes = (7, 2, 11)
    indices = np.random.default_rng(0).permutation(small_world.indices(classes))
    labels = small_world.labels_among(classes, indices)
    assert [classes[k] for k in labels] == small_world.labels[indices].tolist()
