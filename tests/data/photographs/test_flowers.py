import n3lib.io.torchvision  # noqa: F401

from n3lib.data.photographs.acquisition import verify
from n3lib.data.photographs.classes import FLOWERS_NAMES, FLOWERS_SPECIES_NAMES, NOT_SPECIES
from n3lib.data.photographs.flowers import FLOWERS, FLOWERS_SPECIES


def test_whole(make_tree):
    tree = make_tree("flowers")
    index = FLOWERS.index(tree.root)
    assert index.classes == FLOWERS_NAMES and index.paths == tree.images
    assert index.labels.tolist() == [0, 0, 7, 1, 2, 2]


def test_species(make_tree):
    tree = make_tree("flowers-species")
    index = FLOWERS_SPECIES.index(tree.root)
    assert index.classes == FLOWERS_SPECIES_NAMES and index.labels.tolist() == [0, 0, 1, 2, 2]
    assert [path.name for path in index.paths] == [f"image_{i:05}.jpg" for i in (1, 2, 4, 5, 6)]
    assert f"{tree.folder} has 5 images listed, not 3,545" in verify(FLOWERS_SPECIES, tree.root)


def test_fifty_five_labels_are_species():
    assert set(NOT_SPECIES) <= set(FLOWERS_NAMES)
    assert len(FLOWERS_SPECIES_NAMES) == 55 and len(NOT_SPECIES) == 47
    assert "anthurium" in NOT_SPECIES and "artichoke" not in NOT_SPECIES


def test_they_have_as_many_images_as_the_paper_says():
    assert len(COUNTS) == 102 and sum(COUNTS) == FLOWERS.images
    assert min(COUNTS) == 40 and max(COUNTS) == 258
    counts = dict(zip(FLOWERS_NAMES, COUNTS, strict=True))
    assert counts["anthurium"] == 105  # so says the paper
    assert sum(counts[name] for name in FLOWERS_SPECIES_NAMES) == FLOWERS_SPECIES.images == 3_545


def test_same_names_and_files_as_torchvision():
    from torchvision.datasets import Flowers102

    assert tuple(name.rstrip("?") for name in Flowers102.classes) == FLOWERS_NAMES
    found = {archive.filename: archive.md5 for archive in FLOWERS.archives}
    assert found == dict(Flowers102._file_dict.values())


# Images of the labels 1 to 102.
# fmt: off
COUNTS = (
    40, 60, 40, 56, 65, 45, 40, 85, 46, 45, 87, 87, 49, 48, 49, 41, 85, 82, 49, 56, 40, 59, 91, 42, 41,
    41, 40, 66, 78, 85, 52, 45, 46, 40, 43, 75, 108, 56, 41, 67, 127, 59, 130, 93, 40, 196, 67, 71, 49,
    92, 258, 85, 93, 61, 71, 109, 67, 114, 67, 109, 50, 55, 54, 52, 102, 61, 42, 54, 54, 62, 78, 96,
    194, 171, 120, 107, 251, 137, 41, 105, 166, 112, 131, 86, 63, 58, 63, 154, 184, 82, 76, 66, 46, 162,
    128, 91, 66, 82, 63, 49, 58, 48,
)
# fmt: on
