"""One class is found by every spelling of its name, and never by that of another."""

import json
import unicodedata
from pathlib import Path

import pytest

from n3lib.data import SOURCES
from n3lib.data.names import ClassNames, human_name, normal_name
from n3lib.data.photographs.classes import CUB_NAMES
from n3lib.io import N3Error

PATH = Path("birds.json")


def test_human_name():
    assert human_name("002.Black_footed_Albatross") == "Black footed Albatross"
    assert human_name("grizzly+bear") == "grizzly bear"
    assert human_name("Blue Jay") == "Blue Jay"


@pytest.mark.parametrize(
    ("official", "spelled"),
    [
        ("001.Black_footed_Albatross", "Black-footed Albatross"),
        ("001.Black_footed_Albatross", "  black footed  ALBATROSS "),
        ("001.Black_footed_Albatross", "Black‑footed\u00a0albatross"),
        ("001.Black_footed_Albatross", "7.Black_footed_Albatross"),
        ("grizzly+bear", "Grizzly_Bear"),
        ("144.Forsters_Tern", "Forster's Tern"),
        ("009.Brewer_Blackbird", "Brewer’s blackbird"),
        ("022.Chuck_will_Widow", "chuck-will's-widow"),
        ("colt's foot", "Colt’s-foot"),
        ("Western Scrub-Jay", "western scrub jay"),
        ("Café Crème", unicodedata.normalize("NFD", "café crème")),
        (unicodedata.normalize("NFD", "Café Crème"), "CAFÉ_CRÈME"),
    ],
)
def test_every_spelling(official, spelled):
    assert ClassNames(["Dodo", official]).match([spelled], PATH) == {spelled: 1}


@pytest.mark.parametrize("other", ["Black footed", "Blackfooted Albatross", "Black footed Albatrosses", ""])
def test_another_name_is_no_spelling(other):
    assert ClassNames(["001.Black_footed_Albatross", "Dodo"]).find(other) is None


def test_no_two_official_names_are_spelled_alike():
    for source in SOURCES.values():
        assert len(set(map(normal_name, source.names))) == source.classes
        found = ClassNames(source.names).match(source.names, PATH)
        assert list(found.values()) == list(range(source.classes))


def test_classes_that_are_spelled_alike_need_their_exact_names():
    exact = {"Scrub-Jay": 0, "scrub jay": 1, "1.Dodo": 2, "2.Dodo": 3}
    names = ClassNames(list(exact))
    assert names.match(exact, PATH) == exact
    for loose in ("Scrub Jay", "scrub_jay", "Dodo", "3.Dodo"):
        assert names.find(loose) is None


def test_one_class_twice_names_both_keys():
    with pytest.raises(N3Error, match="birds.json.*'Blue-Jay'.*'blue jay'"):
        ClassNames(["001.Blue_Jay", "Dodo"]).match(["Dodo", "Blue-Jay", "blue jay"], PATH)


def test_all_unknown_names_are_listed_with_what_is_like_them():
    unknown = [f"Bird {i}" for i in range(12)]
    with pytest.raises(N3Error, match="birds.json") as error:
        ClassNames(CUB_NAMES).match(["Blue Jay", "Arctic Tern", *unknown], PATH)
    assert all(repr(name) in error.value.problem for name in unknown) and "\n" not in str(error.value)
    assert "'Arctic Tern' (like Artic Tern" in error.value.problem and "'Blue Jay'" not in error.value.problem


def test_published_descriptions_of_cub(pack):
    """Those of Menon and Vondrick, 2023, have hyphens in 57 of their names."""
    names = json.loads((pack / "data" / "cub_descriptors_menon.json").read_text())
    assert sum("-" in name for name in names) == 57
    assert sorted(ClassNames(CUB_NAMES).match(names, PATH).values()) == list(range(200))
