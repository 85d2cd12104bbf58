"""The aviary: what is drawn can be seen, what is seen is told, and all of it follows from the seed."""

import re
import subprocess
import sys

import numpy as np
import pytest

from n3lib.data.aviary import guide
from n3lib.data.aviary.species import (
    ATTRIBUTES,
    PRESETS,
    WORLDS,
    aviary,
    contact_sheet,
    describe,
    draw,
    draw_with_mask,
    make_species,
    picture,
    words_for,
)
from n3lib.data.aviary.worlds import World
from n3lib.io.errors import N3Error
from n3lib.io.files import sha256

WREN = {
    "crown": "rufous",
    "back": "gray",
    "breast": "yellow",
    "belly": "white",
    "wing": "blue",
    "tail": "black",
    "bill": "orange",
    "size": "medium",
    "build": "plump",
    "pattern": "plain",
    "bill_shape": "conical",
    "tail_shape": "square",
    "wing_bars": "none",
    "eye_mark": "none",
    "crest": "none",
}

FINGERPRINT = """
from n3lib.data.aviary.species import aviary
from n3lib.io.files import sha256
data = aviary("tiny", seed=3, train=3, val=1, test=2)
print(sha256(data.images.tobytes()), sha256(repr((data.classes, data.texts, data.hashes))))
"""


def words(sentences: tuple[str, ...] | list[str]) -> set[str]:
    return set(re.findall(r"[a-z]+", " ".join(sentences).lower()))


def all_value_words() -> set[str]:
    return {word for name in ATTRIBUTES for value in ATTRIBUTES[name] for word in words_for(name, value)}


def test_same_in_a_fresh_process() -> None:
    command = [sys.executable, "-c", FINGERPRINT]
    elsewhere = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    data = aviary("tiny", seed=3, train=3, val=1, test=2)
    here = [sha256(data.images.tobytes()), sha256(repr((data.classes, data.texts, data.hashes)))]
    assert elsewhere == here


def test_the_draws_are_pinned() -> None:
    """Text and attributes are the same on every platform; if this changes on purpose, raise VERSION."""
    one = make_species(3, seed=0)[2]
    assert (one.name, one.family, one.sentences[0]) == (
        "Haxley's Wren",
        1,
        "A small, lithe bird with a scarlet cap.",
    )


@pytest.mark.parametrize("world", list(WORLDS))
def test_species_differ_in_two_attributes(world: str) -> None:
    species = make_species(150, seed=1, world=world)
    table = np.array([[one.attributes[name] for name in ATTRIBUTES] for one in species])
    differences = (table[:, None] != table[None]).sum(-1) + 99 * np.eye(len(species), dtype=int)
    assert differences.min() >= 2
    assert len({one.name for one in species}) == len(species)


def test_a_longer_guide_extends_a_shorter_one() -> None:
    assert make_species(40, seed=2)[:15] == make_species(15, seed=2)
    assert make_species(5, seed=2) != make_species(5, seed=3)
    few, more = aviary("tiny", train=2, val=1, test=2), aviary("tiny", train=4, val=1, test=2, train_images=9)
    assert (few.images == more.images[: len(few.images)]).mean() > 0.7  # test and validation come first
    held_out = few.indices(few.split.test + few.split.val)
    assert np.array_equal(few.images[held_out], more.images[held_out])


def test_families_share_shapes() -> None:
    species = make_species(200, seed=4)
    families = {one.family for one in species}
    assert families == set(range(len(families)))
    assert 3 < len(species) / len(families) < 9
    for family in families:
        members = [one for one in species if one.family == family]
        for name in ("build", "bill_shape", "tail_shape", "crest"):
            assert len({one.attributes[name] for one in members}) == 1


@pytest.mark.parametrize("name", list(ATTRIBUTES))
@pytest.mark.parametrize("base", [0, 1, 2])
def test_every_attribute_can_be_seen(name: str, base: int) -> None:
    """Change one attribute, all else equal: some pixels of the bird change by much."""
    bird = [
        WREN,
        WREN | {"build": "leggy", "pattern": "streaked"},
        WREN | {"build": "slender", "size": "small"},
    ][base]
    values = ATTRIBUTES[name]
    pictures = [draw(bird | {name: value}, np.random.default_rng([5, base]), 64) for value in values]
    for i in range(len(values)):
        for j in range(i):
            change = np.abs(pictures[i].astype(int) - pictures[j].astype(int)).max(-1)
            assert (change > 30).sum() >= 6, f"{name}: {values[i]} looks like {values[j]}"


def test_the_scene_does_not_depend_on_the_bird() -> None:
    one, other = (
        draw_with_mask(WREN | {"crown": color}, np.random.default_rng(6), 64)[0] for color in ("red", "green")
    )
    changed = (one != other).any(-1)
    mask = draw_with_mask(WREN, np.random.default_rng(6), 64)[1]
    assert changed.any()
    grown = mask | np.roll(mask, 1, 0) | np.roll(mask, -1, 0) | np.roll(mask, 1, 1) | np.roll(mask, -1, 1)
    assert not (changed & ~grown).any()


@pytest.mark.parametrize("world", list(WORLDS))
def test_every_attribute_is_told(world: str) -> None:
    for one in make_species(120, seed=7, world=world, accounts=2):
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


def test_accounts_read_well_and_vary() -> None:
    accounts = [describe(WREN, np.random.default_rng(seed)) for seed in range(200)]
    assert len({" ".join(account) for account in accounts}) == 200
    for account in accounts:
        assert 6 <= len(account) <= 9
        for sentence in account:
            assert sentence[0].isupper() and sentence.endswith(".")
            assert "  " not in sentence and "{" not in sentence
            assert not re.search(r"\b[Aa] [aeiou]", sentence) and not re.search(r"\b[Aa]n [^aeiou]", sentence)
    assert len(make_species(1, accounts=3)[0].sentences) > 2 * len(make_species(1)[0].sentences)


@pytest.mark.parametrize("world", list(WORLDS))
def test_pictures_and_masks(world: str) -> None:
    shares = []
    for k, one in enumerate(make_species(12, seed=10, world=world)):
        image, mask = draw_with_mask(one.attributes, np.random.default_rng(k), 48, world)
        assert image.shape == (48, 48, 3) and image.dtype == np.uint8
        assert mask.shape == (48, 48) and mask.dtype == np.bool_
        assert image.std() > 10
        shares.append(mask.mean())
    assert min(shares) > 0.03 and max(shares) < 0.5
    assert 0.08 < np.mean(shares) < 0.35


def test_the_same_picture_at_any_size() -> None:
    large, small = (draw(WREN, np.random.default_rng(11), size).astype(float) for size in (128, 32))
    shrunk = large.reshape(32, 4, 32, 4, 3).mean((1, 3))
    assert np.abs(shrunk - small).mean() < 8
    assert draw(WREN, np.random.default_rng(0), 1).shape == (1, 1, 3)


def test_tiny_dataset() -> None:
    data = aviary("tiny", seed=12)
    numbers = PRESETS["tiny"]
    assert [len(data.split.part(part)) for part in ("train", "val", "test")] == [24, 8, 8]
    assert data.images.shape == (40 * 6, 32, 32, 3) and data.images.dtype == np.uint8
    assert data.labels.dtype == np.int64 and np.bincount(data.labels).tolist() == [6] * 40
    assert data.split.name == data.name == "aviary"
    assert np.array_equal(
        data.images[data.indices([5])[2]], picture(make_species(6, 12)[5], 5, 2, 12, numbers["size"])
    )


def test_hashes_follow_text_and_settings() -> None:
    base, size, islands = (
        aviary("tiny", train=1, val=0, test=1, train_images=1, eval_images=1, **more)  # type: ignore[arg-type]
        for more in ({}, {"size": 16}, {"world": "islands"})
    )
    assert base.hashes["text"] == size.hashes["text"] != islands.hashes["text"]
    assert len({data.hashes["generator"] for data in (base, size, islands)}) == 3
    assert islands.name == "islands" and not islands.split.val


def test_contact_sheet() -> None:
    figure = contact_sheet(make_species(2, seed=13), seed=13, size=16, images=3)
    assert len(figure.axes) == 6
    assert "".join(text.get_text() for text in figure.texts).startswith(make_species(1, seed=13)[0].name)


def test_bad_input_is_refused() -> None:
    with pytest.raises(N3Error, match="no preset 'huge'"):
        aviary("huge")
    with pytest.raises(N3Error, match="no world 'moon'"):
        make_species(3, world="moon")
    with pytest.raises(N3Error, match="size cannot be 0"):
        aviary("tiny", size=0)
    with pytest.raises(N3Error, match="count cannot be 0"):
        make_species(0)
    with pytest.raises(N3Error, match="seed cannot be -1"):
        make_species(1, seed=-1)
    with pytest.raises(N3Error, match="cannot be -2 pixels"):
        draw(WREN, np.random.default_rng(0), -2)
    with pytest.raises(N3Error, match="no crown"):
        describe({}, np.random.default_rng(0))
    with pytest.raises(N3Error, match="crown cannot be 'beige'"):
        draw(WREN | {"crown": "beige"}, np.random.default_rng(0))
    with pytest.raises(N3Error, match="has no crown 'rufous'"):
        draw(WREN, np.random.default_rng(0), world="islands")
    with pytest.raises(N3Error, match="no attribute 'hat'"):
        words_for("hat", "red")
    with pytest.raises(N3Error, match="combinations of attributes"):
        make_species(30_000, world="islands")


def test_a_world_of_ones_own() -> None:
    plain = {name: values[:1] for name, values in WORLDS["aviary"].values.items()}
    values = plain | {"crown": ("red", "blue"), "size": ("small", "large")}
    world = World(**(vars(WORLDS["aviary"]) | {"name": "four", "stream": 9, "values": values}))
    four = make_species(4, world=world)
    assert len({(one.attributes["crown"], one.attributes["size"]) for one in four}) == 4
    with pytest.raises(N3Error, match="4 combinations"):
        make_species(5, world=world)
