"""The words of the aviary: how a field guide calls each value of a bird's fifteen attributes (`words.json`).

No word says two things: colors share their words among the parts of the body, and no word means two colors.
Wordings of the other attributes are adjectives, except for wing bars, eye marks and crests, which are
phrases. The fillers are words of these phrases that say nothing by themselves, or name a part of the body and
not its look. Habitats and behaviors say nothing about looks.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from n3lib.io.errors import N3Error
from n3lib.io.files import read_json

COLOR_ATTRIBUTES = ("crown", "back", "breast", "belly", "wing", "tail", "bill")

WORDS = read_json(Path(__file__).with_name("words.json"))
# Authors choose among all words of a value; the first is not special.
COLOR_WORDS: dict[str, list[str]] = WORDS["colors"]
SHAPE_WORDS: dict[str, dict[str, list[str]]] = WORDS["shapes"]
HABITATS: list[str] = WORDS["habitats"]
BEHAVIORS: list[str] = WORDS["behaviors"]


def words_for(attribute: str, value: str) -> set[str]:
    """All words, in lower case, with which a description may say that `attribute` has `value`.

    A description of a bird always holds at least one of them for each of its attributes. Colors share their
    words among the parts of the body, so `words_for("crown", "red") == words_for("tail", "red")`.

    Raises:
        N3Error: unknown attribute or value.
    """
    words = {word for phrase in wordings(attribute, value) for word in re.findall(r"[a-z]+", phrase)}
    return words - set(WORDS["fillers"])


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Refuse attributes that cannot be described or drawn."""
    wanted = (*COLOR_ATTRIBUTES, *SHAPE_WORDS)
    missing = [name for name in wanted if name not in attributes]
    if missing:
        raise N3Error(f"the bird has no {', '.join(missing)}", "Give all fifteen attributes, see ATTRIBUTES")
    for name in attributes:
        wordings(name, attributes[name])


def wordings(attribute: str, value: str) -> list[str]:
    """All phrases with which a description may say that `attribute` has `value`.

    Raises:
        N3Error: unknown attribute or value.
    """
    if attribute not in COLOR_ATTRIBUTES and attribute not in SHAPE_WORDS:
        raise N3Error(f"a bird has no attribute {attribute!r}", "Use one of ATTRIBUTES")
    table = COLOR_WORDS if attribute in COLOR_ATTRIBUTES else SHAPE_WORDS[attribute]
    if value not in table:
        raise N3Error(f"{attribute} cannot be {value!r}", f"Use one of {', '.join(table)}")
    return table[value]
