"""Three observers who name colors differently."""

import collections
import re

import numpy as np
import pytest

from n3lib.data import DataConfig, load_data
from n3lib.data.aviary.dialects import COLORS, OBSERVERS, WORLD, in_words_of
from n3lib.data.aviary.generation import make_aviary
from n3lib.data.aviary.guide import COLOR_ATTRIBUTES, COLOR_WORDS, words_for
from n3lib.data.aviary.species import make_species
from n3lib.data.dataset import ZeroShotDataset


@pytest.fixture(scope="module")
def data() -> ZeroShotDataset:
    return load_data(DataConfig(name="dialects", preset="tiny"))


def test_every_sentence_says_whose_it_is(data: ZeroShotDataset) -> None:
    for sentences, observer in zip(data.texts, data.groups, strict=True):
        assert all(sentence.startswith(f"{OBSERVERS[observer]}: ") for sentence in sentences)
    assert collections.Counter(data.groups) == {0: 20, 1: 10, 2: 10}


def test_observers_name_each_color_differently_and_all_colors() -> None:
    for color in COLORS:
        named = [in_words_of(observer, {"crown": color, "size": "small"}) for observer in range(3)]
        assert {one["crown"] for one in named} == set(COLORS)
        assert {one["size"] for one in named} == {"small"}
    assert in_words_of(0, {"crown": "blue"}) == {"crown": "blue"}
    assert in_words_of(1, {"crown": "blue"}) == {"crown": "red"}


def test_a_description_tells_the_birds_colors_in_the_observers_words(data: ZeroShotDataset) -> None:
    for k, one in enumerate(make_species(len(data.classes), 0, WORLD)):
        told = set(re.findall("[a-z]+", " ".join(data.texts[k]).lower()))
        named = {COLORS[(COLORS.index(one.attributes[a]) + data.groups[k]) % 3] for a in COLOR_ATTRIBUTES}
        for color in COLORS:
            # Words of red, green and blue stand for nothing else.
            assert bool(told & words_for("crown", color)) == (color in named)
    assert not {word for color in COLORS for word in COLOR_WORDS[color]} & set(OBSERVERS)


def test_pictures_do_not_depend_on_who_describes_them(data: ZeroShotDataset) -> None:
    plain = make_aviary("tiny", world=WORLD)
    assert np.array_equal(data.images, plain.images)
    assert data.classes == plain.classes
    assert data.split == plain.split
    assert data.hashes["text"] != plain.hashes["text"]
