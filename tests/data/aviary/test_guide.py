"""What is seen is told, and nothing else."""

import re

import numpy as np
import pytest

from n3lib.data.aviary import guide
from n3lib.data.aviary.guide import describe, words_for
from n3lib.data.aviary.species import ATTRIBUTES, make_species
from n3lib.data.aviary.worlds import WORLDS
from n3lib.io import N3Error


def words(sentences: tuple[str, ...] | list[str]) -> set[str]:
    return set(re.findall(r"[a-z]+", " ".join(sentences).lower()))


def all_value_words() -> set[str]:
    return {word for name in ATTRIBUTES for value in ATTRIBUTES[name] for word in words_for(name, value)}


@pytest.mark.parametrize("world", list(WORLDS))
def test_every_attribute_is_told(world: str) -> None:
    for one in make_species(120, seed=7, world=world):
        told = words(one.sentences)
        for name, value in one.attributes.items():
            assert words_for(name, value) & told, f"{name} {value} is not in {one.sentences}"


def test_nothing_false_is_told() -> None:
    for one in make_species(120, seed=8):
        told = words(one.sentences)
        colors = {word for name in guide.COLOR_ATTRIBUTES for word in words_for(name, one.attributes[name])}
        for color in guide.COLOR_WORDS:
            assert not (words_for("crown", color) - colors) & told
        for name in guide.SHAPE_WORDS:
            for value in ATTRIBUTES[name]:
                if value != one.attributes[name]:
                    assert not words_for(name, value) & told, f"{name} is not {value}: {one.sentences}"


def test_no_word_says_two_things() -> None:
    kinds = [("crown", color) for color in guide.COLOR_WORDS]
    kinds += [(name, value) for name in guide.SHAPE_WORDS for value in ATTRIBUTES[name]]
    seen: dict[str, tuple[str, str]] = {}
    for kind in kinds:
        assert words_for(*kind)
        for word in words_for(*kind):
            assert seen.setdefault(word, kind) == kind, f"{word}: {kind} and {seen[word]}"


def test_names_and_asides_say_nothing_about_looks() -> None:
    looks = all_value_words()
    for one in make_species(150, seed=9):
        assert not looks & words([one.name]), one.name
    assert not looks & words(guide.HABITATS + guide.BEHAVIORS)


def test_accounts_read_well_and_vary(wren: dict[str, str]) -> None:
    accounts = [describe(wren, np.random.default_rng(seed)) for seed in range(200)]
    assert len({" ".join(account) for account in accounts}) == 200
    for account in accounts:
        assert 6 <= len(account) <= 9
        for sentence in account:
            assert sentence[0].isupper() and sentence.endswith(".")
            assert "  " not in sentence and "{" not in sentence
            assert not re.search(r"\b[Aa] [aeiou]", sentence) and not re.search(r"\b[Aa]n [^aeiou]", sentence)


def test_what_no_bird_has_is_refused(wren: dict[str, str]) -> None:
    with pytest.raises(N3Error, match="crown"):
        describe({}, np.random.default_rng(0))
    with pytest.raises(N3Error, match="beige"):
        describe(wren | {"crown": "beige"}, np.random.default_rng(0))
    with pytest.raises(N3Error, match="hat"):
        words_for("hat", "red")
