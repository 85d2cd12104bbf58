import json

import pytest

from n3lib.data.splits import CUB_SPLITS, cub_split
from n3lib.errors import N3Error


@pytest.mark.parametrize(
    "name, counts", [("PS", (100, 50, 50)), ("SS", (100, 50, 50)), ("SCE", (120, 40, 40))]
)
def test_counts(name, counts):
    split = cub_split(name)
    assert (len(split.train), len(split.val), len(split.test)) == counts
    assert sorted(split.train + split.val + split.test) == list(range(200))


def test_the_drawn_classes_are_always_the_same():
    assert cub_split("SS") == cub_split("SS")
    assert cub_split("SS").val[:5] == (1, 2, 4, 9, 14)
    assert cub_split("SCE").val[:5] == (5, 13, 15, 22, 23)


def test_unknown_split():
    with pytest.raises(N3Error, match="no split 'ps'.*PS, SS, SCE"):
        cub_split("ps")


@pytest.mark.parametrize("name", CUB_SPLITS)
def test_equal_to_the_published_lists(name, pack):
    official = json.loads((pack / "facts" / "splits.json").read_text())["CUB"][name]
    for part, ids in official.items():
        assert sorted(cub_split(name).part(part)) == [one - 1 for one in sorted(ids)]
