"""The aviary as a dataset: all of it follows from the seed."""

import subprocess
import sys

import numpy as np
import pytest

from n3lib.data.aviary.generation import PRESETS, make_aviary
from n3lib.data.aviary.species import make_species, picture
from n3lib.io import N3Error
from n3lib.io.files import sha256

FINGERPRINT = """
from n3lib.data.aviary.generation import make_aviary
from n3lib.io.files import sha256
data = make_aviary("tiny", seed=3, train=3, val=1, test=2)
print(sha256(data.images.tobytes()), sha256(repr((data.classes, data.texts, data.hashes))))
"""


def test_same_in_a_fresh_process() -> None:
    command = [sys.executable, "-c", FINGERPRINT]
    elsewhere = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    data = make_aviary("tiny", seed=3, train=3, val=1, test=2)
    here = [sha256(data.images.tobytes()), sha256(repr((data.classes, data.texts, data.hashes)))]
    assert elsewhere == here


def test_tiny_dataset() -> None:
    data = make_aviary("tiny")
    assert [len(data.split.part(part)) for part in ("train", "val", "test")] == [24, 8, 8]
    assert data.images.shape == (40 * 6, 32, 32, 3) and data.images.dtype == np.uint8
    assert data.labels.dtype == np.int64 and np.bincount(data.labels).tolist() == [6] * 40
    assert data.split.name == data.name == "aviary"


def test_pictures_are_those_of_the_species_of_the_seed() -> None:
    data = make_aviary("tiny", seed=12, test=4, val=1, train=1)
    species = make_species(6, 12)
    assert data.classes == tuple(one.name for one in species)
    for k in (0, 5):
        drawn = picture(species[k], k, 2, 12, PRESETS["tiny"]["size"])
        assert np.array_equal(data.images[data.indices([k])[2]], drawn)


def test_hashes_follow_text_and_settings() -> None:
    base, size, islands = (
        make_aviary("tiny", train=1, val=0, test=1, train_images=1, eval_images=1, **more)  # type: ignore[arg-type]
        for more in ({}, {"size": 16}, {"world": "islands"})
    )
    assert base.hashes["text"] == size.hashes["text"] != islands.hashes["text"]
    assert len({data.hashes["generator"] for data in (base, size, islands)}) == 3
    assert islands.name == "islands" and not islands.split.val


def test_more_training_species_leave_the_others_as_they_are() -> None:
    few, more = (
        make_aviary("tiny", train=2, val=1, test=2),
        make_aviary("tiny", train=4, val=1, test=2, train_images=9),
    )
    assert (few.images == more.images[: len(few.images)]).mean() > 0.7  # test and validation come first
    held_out = few.indices(few.split.test + few.split.val)
    assert np.array_equal(few.images[held_out], more.images[held_out])


def test_bad_numbers_are_refused() -> None:
    for options, word in [
        ({"preset": "huge"}, "huge"),
        ({"size": 0}, "size"),
        ({"val": -1}, "val"),
        ({"pages": 3}, "pages"),
        ({"world": "moon"}, "moon"),
    ]:
        with pytest.raises(N3Error, match=word):
            make_aviary(**({"preset": "tiny"} | options))
