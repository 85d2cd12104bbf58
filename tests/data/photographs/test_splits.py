import json

import pytest

from n3lib.data.photographs import splits
from n3lib.data.photographs.classes import AWA2_NAMES, FLOWERS_NAMES, FLOWERS_SPECIES_NAMES, NABIRDS_NAMES
from n3lib.data.photographs.splits import (
    IMAGENET_FLOWERS,
    IMAGENET_NABIRDS,
    awa2_split,
    cub_split,
    flowers_species_split,
    flowers_split,
    nabirds_split,
)
from n3lib.io.errors import N3Error

COUNTS = [
    (cub_split, "PS", (100, 50, 50)),
    (cub_split, "SS", (100, 50, 50)),
    (cub_split, "SCE", (120, 40, 40)),
    (cub_split, "160/40", (120, 40, 40)),
    (awa2_split, "PS", (30, 10, 10)),
    (awa2_split, "SS", (30, 10, 10)),
    (nabirds_split, "PS", (324, 40, 40)),
    (nabirds_split, "SS", (324, 40, 40)),
    (nabirds_split, "SCE", (283, 40, 81)),
    (flowers_split, "82/20", (62, 20, 20)),
    (flowers_species_split, "PS", (35, 10, 10)),
    (flowers_species_split, "SS", (35, 10, 10)),
]


@pytest.mark.parametrize("make, name, counts", COUNTS)
def test_counts(make, name, counts):
    split = make(name)
    assert split == make(name) and split.name == name
    assert (len(split.train), len(split.val), len(split.test)) == counts
    assert sorted(split.train + split.val + split.test) == list(range(sum(counts)))
    assert all(part == tuple(sorted(part)) for part in (split.train, split.val, split.test))


def test_every_split_is_tested():
    listed = [
        *(("cub", name) for name in splits.CUB_SPLITS),
        *(("awa2", name) for name in splits.AWA2_SPLITS),
        *(("nabirds", name) for name in splits.NABIRDS_SPLITS),
        *(("flowers", name) for name in splits.FLOWERS_SPLITS),
        *(("flowers_species", name) for name in splits.FLOWERS_SPECIES_SPLITS),
    ]
    assert listed == [(make.__name__.removesuffix("_split"), name) for make, name, _ in COUNTS]


def test_the_drawn_classes_are_always_the_same():
    assert cub_split("SS").val[:5] == (1, 2, 4, 9, 14)
    assert cub_split("SCE").val[:5] == (5, 13, 15, 22, 23)
    assert cub_split("160/40").test[:5] == (11, 16, 21, 25, 26)
    assert [NABIRDS_NAMES[c] for c in nabirds_split("PS").test[:2]] == [
        "Broad-winged Hawk",
        "Rough-legged Hawk",
    ]
    assert [NABIRDS_NAMES[c] for c in nabirds_split("SS").test[:2]] == ["Bald Eagle", "Anna's Hummingbird"]
    assert [FLOWERS_NAMES[c] for c in flowers_split("82/20").test[:2]] == ["sweet pea", "king protea"]
    species = [FLOWERS_SPECIES_NAMES[c] for c in flowers_species_split("PS").test[:2]]
    assert species == ["tiger lily", "balloon flower"]


@pytest.mark.parametrize("make", [cub_split, awa2_split, nabirds_split, flowers_split, flowers_species_split])
def test_unknown_split(make):
    with pytest.raises(N3Error, match="no split 'ps'.*Use one of"):
        make("ps")


def test_super_categories_of_nabirds_are_exclusive():
    """The unseen classes are whole orders and families: no woodpecker is seen, for one."""
    split = nabirds_split("SCE")
    unseen = {NABIRDS_NAMES[c] for c in split.test}
    for kind in ("Woodpecker", "Sapsucker", "Flicker", "Quail", "Loon", "Jay", "Vireo", "Chickadee", "Wren"):
        named = {name for name in NABIRDS_NAMES if name.split()[-1].split("-")[-1] == kind}
        assert named and named <= unseen
    assert not any(name.split()[-1] in ("Owl", "Warbler", "Hawk", "Gull", "Sparrow") for name in unseen)


def test_proposed_splits_keep_imagenet_out():
    birds = {bird for covered in IMAGENET_NABIRDS.values() for bird in covered}
    assert birds <= set(NABIRDS_NAMES)
    assert not birds & {NABIRDS_NAMES[c] for c in nabirds_split("PS").test}
    for kind in (
        "Hummingbird",
        "Jay",
        "Scrub-Jay",
        "Magpie",
        "Chickadee",
        "Kite",
        "Vulture",
        "Teal",
        "Goose",
    ):
        assert {name for name in NABIRDS_NAMES if name.split()[-1] == kind} <= birds
    labels = {label for covered in IMAGENET_FLOWERS.values() for label in covered}
    assert labels <= set(FLOWERS_SPECIES_NAMES)
    assert not labels & {FLOWERS_SPECIES_NAMES[c] for c in flowers_species_split("PS").test}


@pytest.fixture(scope="module")
def facts(pack):
    return json.loads((pack / "facts" / "splits.json").read_text())


@pytest.mark.parametrize("name", ["PS", "SS", "SCE"])
def test_cub_is_as_published(name, facts):
    for part, ids in facts["CUB"][name].items():
        assert sorted(cub_split(name).part(part)) == [one - 1 for one in sorted(ids)]


def test_awa2_is_as_published(facts):
    assert facts["AWA2"]["classes"] == list(AWA2_NAMES)
    named = {
        (name, part): {AWA2_NAMES[c] for c in awa2_split(name).part(part)}
        for name in ("PS", "SS")
        for part in ("train", "val", "test")
    }
    assert named["PS", "test"] == set(facts["AWA2"]["PS_test"])
    assert named["SS", "test"] == set(facts["AWA2"]["SS_test"])
    assert named["PS", "val"] < set(facts["AWA2"]["PS_val13"])
    assert named["PS", "train"] > set(facts["AWA2"]["PS_train27"])


def test_nabirds_is_as_published(facts):
    assert [c + 1 for c in nabirds_split("SCE").test] == sorted(facts["NAB"]["sce_test"])
    shared = set(facts["NAB"]["scs_test"])
    split = nabirds_split("SS")
    assert len(shared - {c + 1 for c in split.test + split.val}) == 1
