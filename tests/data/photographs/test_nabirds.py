import json

import pytest

from n3lib.data.photographs.classes import NABIRDS_COUNTS, NABIRDS_NAMES
from n3lib.data.photographs.nabirds import NABIRDS, species_name


@pytest.fixture
def nabirds(make_tree):
    return make_tree("nabirds")


def test_categories_are_merged(nabirds):
    """In the order of the numbers 3 (the species above 5 and 7), 6 and 8 (the categories' own)."""
    index = NABIRDS.index(nabirds.root)
    assert index.classes == ("Wood Duck", "Barn Owl", "Snowy Owl")
    assert index.labels.tolist() == [2, 0, 0, 1, 2, 0] and index.paths == nabirds.images


def test_categories_without_images_keep_their_place(nabirds):
    for name in ("images.txt", "image_class_labels.txt"):
        path = nabirds.folder / name
        path.write_text("\n".join(path.read_text().split("\n")[4:5]))
    index = NABIRDS.index(nabirds.root)
    assert index.classes == ("Wood Duck", "Barn Owl", "Snowy Owl") and index.labels.tolist() == [2]


@pytest.mark.parametrize(
    "name",
    [
        "Wood Duck",
        "Wood Duck (Breeding male)",
        "Wood Duck  (Male)",
        "Wood Duck (Adult )",
        " Wood Duck (a, b)",
    ],
)
def test_species(name):
    assert species_name(name) == "Wood Duck"


def test_published_counts():
    assert len(NABIRDS_COUNTS) == 404 and sum(NABIRDS_COUNTS) == NABIRDS.images
    counts = dict(zip(NABIRDS_NAMES, NABIRDS_COUNTS, strict=True))
    # Known apart from the published list, one category each: no such category has more than 120.
    assert counts["Mourning Dove"] == 120 and counts["Black-capped Chickadee"] == 96
    # Two: 120 males and 101 females, 103 and 91.
    assert counts["Rose-breasted Grosbeak"] == 221 and counts["Purple Finch"] == 194


def test_published_counts_beside_this_repository(pack):
    facts = json.loads((pack / "facts" / "splits.json").read_text())["NAB"]
    assert facts["counts"] == list(NABIRDS_COUNTS)
