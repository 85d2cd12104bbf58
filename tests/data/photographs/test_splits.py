"""The class splits: as published, or drawn by the rule that `n3lib.data.photographs.splits` tells."""

import hashlib
import json
from pathlib import Path

import pytest

from n3lib.data import SOURCES
from n3lib.data.photographs import splits
from n3lib.data.photographs.classes import AWA2_NAMES, CUB_NAMES, FLOWERS_NAMES, NABIRDS_NAMES

FILE = json.loads(Path(splits.__file__).with_name("splits.json").read_text(encoding="utf-8"))
DRAWN_FROM = FILE["drawn from"]
COUNTS = {
    ("cub", "PS"): (100, 50, 50),
    ("cub", "SS"): (100, 50, 50),
    ("cub", "SCE"): (120, 40, 40),
    ("cub", "160/40"): (120, 40, 40),
    ("awa2", "PS"): (30, 10, 10),
    ("awa2", "SS"): (30, 10, 10),
    ("nabirds", "PS"): (324, 40, 40),
    ("nabirds", "SS"): (324, 40, 40),
    ("nabirds", "SCE"): (283, 40, 81),
    ("flowers", "82/20"): (62, 20, 20),
    ("flowers-species", "PS"): (35, 10, 10),
    ("flowers-species", "SS"): (35, 10, 10),
}


def names(dataset: str, split: str, part: str) -> set[str]:
    source = SOURCES[dataset]
    return {source.names[c] for c in source.split(split).part(part)}


@pytest.mark.parametrize(("dataset", "name"), COUNTS)
def test_counts(dataset, name):
    split, counts = SOURCES[dataset].split(name), COUNTS[dataset, name]
    assert split.name == name and counts == (len(split.train), len(split.val), len(split.test))
    assert sorted(split.train + split.val + split.test) == list(range(sum(counts)))
    assert all(part == tuple(sorted(part)) for part in (split.train, split.val, split.test))


def test_every_split_is_tested():
    listed = [(source.name, name) for source in SOURCES.values() for name in source.splits]
    assert {one for one in listed if one[0] != "cub2010"} == COUNTS.keys() and len(listed) == len(COUNTS) + 4
    assert SOURCES["cub2010"].splits == SOURCES["cub"].splits


def covered(key: str) -> set[str]:
    return {name for some in DRAWN_FROM[key].values() for name in some}


def test_what_is_not_published_is_drawn_by_the_rule():
    def drawn(dataset, name, part, pool=None, without=()):
        """Whether a part of a split is what the rule draws from a pool of official ids, counted from 1."""
        source = SOURCES[dataset]
        known = FLOWERS_NAMES if dataset == "flowers-species" else source.names
        official = {known.index(one) + 1 for one in source.names}
        left = (official if pool is None else set(pool)) - set(without)
        order = sorted(left, key=lambda one: hashlib.sha256(f"{name}:{one}".encode()).digest())
        ids = [known.index(source.names[c]) + 1 for c in source.split(name).part(part)]
        assert sorted(order[: len(ids)]) == ids
        return ids

    def listed(dataset, name):
        return FILE[dataset][name]["test"]

    for dataset, name in (("cub", "SS"), ("awa2", "SS"), ("nabirds", "SCE")):
        drawn(dataset, name, "val", without=listed(dataset, name))
    drawn("awa2", "PS", "val", DRAWN_FROM["awa2 PS"])
    shared = DRAWN_FROM["nabirds SS"]
    drawn("nabirds", "SS", "val", shared, drawn("nabirds", "SS", "test", shared))
    for dataset, known in (("nabirds", NABIRDS_NAMES), ("flowers-species", FLOWERS_NAMES)):
        seen = {known.index(name) + 1 for name in covered(f"ImageNet-1K in {dataset}")}
        drawn(dataset, "PS", "val", without=drawn(dataset, "PS", "test", without=seen))
    for dataset, name in (("cub", "160/40"), ("flowers", "82/20"), ("flowers-species", "SS")):
        drawn(dataset, name, "val", without=drawn(dataset, name, "test"))


def kind(name: str) -> str:
    """The super-category of a class of CUB, such as `Warbler`."""
    return name.split("_")[-1].split(".")[-1]


def kinds(part: str) -> set[str]:
    return {kind(name) for name in names("cub", "SCE", part)}


def test_super_categories_of_cub_are_exclusive():
    """Those of validation and of test; but for the warblers, which the published ids divide."""
    assert not kinds("val") & (kinds("train") | kinds("test"))
    assert kinds("train") & kinds("test") == {"Warbler"}
    assert kinds("test") == {"Warbler", "Waterthrush", "Waxwing", "Woodpecker", "Wren", "Yellowthroat"}


def test_super_categories_of_cub_for_validation_are_drawn_by_the_rule():
    members = {name: [one for one in CUB_NAMES if kind(one) == name] for name in map(kind, CUB_NAMES)}
    drawn: set[str] = set()
    order = sorted(members, key=lambda name: hashlib.sha256(f"SCE:{name}".encode()).digest())
    for name in order:
        if name not in kinds("test") and len(drawn) + len(members[name]) <= 40:
            drawn |= set(members[name])
    assert names("cub", "SCE", "val") == drawn


def test_super_categories_of_nabirds_are_exclusive():
    """The unseen classes are whole orders and families: no woodpecker is seen, for one."""
    unseen = names("nabirds", "SCE", "test")
    for kind in ("Woodpecker", "Sapsucker", "Flicker", "Quail", "Loon", "Jay", "Vireo", "Chickadee", "Wren"):
        named = {name for name in NABIRDS_NAMES if name.split()[-1].split("-")[-1] == kind}
        assert named and named <= unseen
    assert not any(name.split()[-1] in ("Owl", "Warbler", "Hawk", "Gull", "Sparrow") for name in unseen)


def test_proposed_splits_keep_imagenet_out():
    for dataset in ("nabirds", "flowers-species"):
        known = covered(f"ImageNet-1K in {dataset}")
        assert known <= set(SOURCES[dataset].names) and not known & names(dataset, "PS", "test")
    birds = covered("ImageNet-1K in nabirds")
    kinds = ["Hummingbird", "Jay", "Scrub-Jay", "Magpie", "Chickadee", "Kite", "Vulture", "Teal", "Goose"]
    for kind in kinds:
        assert {name for name in NABIRDS_NAMES if name.split()[-1] == kind} <= birds


@pytest.fixture(scope="module")
def facts(pack):
    return json.loads((pack / "facts" / "splits.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["PS", "SS", "SCE"])
def test_cub_is_as_published(name, facts):
    for part, ids in facts["CUB"][name].items():
        assert sorted(SOURCES["cub"].split(name).part(part)) == [one - 1 for one in sorted(ids)]


def test_awa2_is_as_published(facts):
    assert facts["AWA2"]["classes"] == list(AWA2_NAMES)
    assert names("awa2", "PS", "test") == set(facts["AWA2"]["PS_test"])
    assert names("awa2", "SS", "test") == set(facts["AWA2"]["SS_test"])
    assert names("awa2", "PS", "val") < set(facts["AWA2"]["PS_val13"])
    assert names("awa2", "PS", "train") > set(facts["AWA2"]["PS_train27"])


def test_nabirds_is_as_published(facts):
    assert [c + 1 for c in SOURCES["nabirds"].split("SCE").test] == sorted(facts["NAB"]["sce_test"])
    shared = set(facts["NAB"]["scs_test"])
    split = SOURCES["nabirds"].split("SS")
    assert len(shared - {c + 1 for c in split.test + split.val}) == 1
