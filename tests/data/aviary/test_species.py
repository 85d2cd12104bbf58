"""Species: what there is in a guide follows from the seed."""

import numpy as np
import pytest

from n3lib.data.aviary.species import ATTRIBUTES, make_species
from n3lib.data.aviary.worlds import WORLDS, World
from n3lib.io import N3Error


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


def test_families_share_shapes() -> None:
    species = make_species(200, seed=4)
    families = {one.family for one in species}
    assert families == set(range(len(families)))
    assert 3 < len(species) / len(families) < 9
    for family in families:
        members = [one for one in species if one.family == family]
        for name in ("build", "bill_shape", "tail_shape", "crest"):
            assert len({one.attributes[name] for one in members}) == 1


def test_a_world_of_ones_own() -> None:
    plain = {name: values[:1] for name, values in WORLDS["aviary"].values.items()}
    values = plain | {"crown": ("red", "blue"), "size": ("small", "large")}
    world = World(**(vars(WORLDS["aviary"]) | {"name": "four", "stream": 9, "values": values}))
    four = make_species(4, world=world)
    assert len({(one.attributes["crown"], one.attributes["size"]) for one in four}) == 4
    with pytest.raises(N3Error, match="4 combinations"):
        make_species(5, world=world)


def test_bad_input_is_refused() -> None:
    for count, options, word in [
        (3, {"world": "moon"}, "moon"),
        (0, {}, "count"),
        (1, {"seed": -1}, "seed"),
        (30_000, {"world": "islands"}, "30000"),
    ]:
        with pytest.raises(N3Error, match=word):
            make_species(count, **options)
