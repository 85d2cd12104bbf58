import pytest

from n3lib.data.photographs.classes import NABIRDS_COUNTS, NABIRDS_NAMES
from n3lib.data.photographs.nabirds import NABIRDS, species
from n3lib.io.errors import N3Error


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
    assert species(name) == "Wood Duck"


@pytest.mark.parametrize(
    "name, old, new, problem",
    [
        ("classes.txt", "6 Barn", "x Barn", "classes.txt, line 7: .* is not `id value`"),
        ("classes.txt", "6 Barn", "5 Barn", "classes.txt, line 7: id 5 stands there twice"),
        ("classes.txt", "6 Barn Owl\n", "", "hierarchy.txt: category 6 is not in classes.txt"),
        ("hierarchy.txt", "6 4", "6 44", "hierarchy.txt: category 44 is not in classes.txt"),
        ("hierarchy.txt", "6 4", "6", "hierarchy.txt, line 6: '6' is not `id value`"),
        ("images.txt", "c821", "c820", "images.txt, line 2: id 0000139e-.* stands there twice"),
        (
            "images.txt",
            "c821",
            "c829",
            "image_class_labels.txt and images.txt do not agree on image 0000139e",
        ),
        ("image_class_labels.txt", "c823 6", "c823 4", "label '4' of image .*c823 is no category"),
        ("image_class_labels.txt", "c823 6", "c823 77", "label '77' of image .*c823 is no category"),
    ],
)
def test_faults(nabirds, name, old, new, problem):
    nabirds.edit(name, old, new)
    with pytest.raises(N3Error, match=problem):
        NABIRDS.index(nabirds.root)


def test_published_counts():
    assert len(NABIRDS_COUNTS) == 404 and sum(NABIRDS_COUNTS) == NABIRDS.images
    counts = dict(zip(NABIRDS_NAMES, NABIRDS_COUNTS, strict=True))
    # Known apart from the published list, one category each: no such category has more than 120.
    assert counts["Mourning Dove"] == 120 and counts["Black-capped Chickadee"] == 96
    # Two: 120 males and 101 females, 103 and 91.
    assert counts["Rose-breasted Grosbeak"] == 221 and counts["Purple Finch"] == 194


def test_published_counts_beside_this_repository(pack):
    import json

    facts = json.loads((pack / "facts" / "splits.json").read_text())["NAB"]
    assert facts["counts"] == list(NABIRDS_COUNTS)
