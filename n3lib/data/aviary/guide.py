"""The words of the aviary: how a field guide calls each value of a bird's fifteen attributes (`words.json`).

No word says two things: colors share their words among the parts of the body, and no word means two colors.
The other attributes have adjectives, or phrases in the case of wing bars, eye marks and crests. The fillers
are words of these phrases that say nothing by themselves, or name a part of the body and not its look.
Habitats and behaviors say nothing about looks.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from n3lib.io import N3Error, read_json

COLOR_ATTRIBUTES = ("crown", "back", "breast", "belly", "wing", "tail", "bill")

WORDS = read_json(Path(__file__).with_name("words.json"))
# Authors choose among all words of a value; the first is not special.
COLOR_WORDS: dict[str, list[str]] = WORDS["colors"]
SHAPE_WORDS: dict[str, dict[str, list[str]]] = WORDS["shapes"]
HABITATS: list[str] = WORDS["habitats"]
BEHAVIORS: list[str] = WORDS["behaviors"]


def words_for(attribute: str, value: str) -> set[str]:
    """The words, in lower case, of which any description of a bird with this `value` holds at least one.

    Raises:
        N3Error: unknown attribute or value.
    """
    words = {word for phrase in wordings(attribute, value) for word in re.findall(r"[a-z]+", phrase)}
    return words - set(WORDS["fillers"])


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Refuse attributes that cannot be described or drawn."""
    missing = [name for name in (*COLOR_ATTRIBUTES, *SHAPE_WORDS) if name not in attributes]
    if missing:
        raise N3Error(f"the bird has no {', '.join(missing)}", "Give all fifteen attributes, see ATTRIBUTES")
    for name in attributes:
        wordings(name, attributes[name])


def wordings(attribute: str, value: str) -> list[str]:
    """All phrases that say that `attribute` has `value`; an N3Error if either is unknown."""
    table = COLOR_WORDS if attribute in COLOR_ATTRIBUTES else SHAPE_WORDS.get(attribute)
    if table is None:
        raise N3Error(f"a bird has no attribute {attribute!r}", "Use one of ATTRIBUTES")
    if value not in table:
        raise N3Error(f"{attribute} cannot be {value!r}", f"Use one of {', '.join(table)}")
    return table[value]


def choose(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
