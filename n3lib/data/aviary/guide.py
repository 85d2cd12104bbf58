"""The English of the aviary: what a field guide says about a bird whose attributes are known (`words.json`).

A bird's fifteen attributes are described in units of one part of the body each, as a noun phrase, a clause or
a note. A description shuffles the units, gathers them into sentences and words each at random, so that two
authors rarely write alike, yet no attribute is ever left out.

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

_PHRASES = ("eye_mark", "crest")  # their words are phrases already: "a bold eyebrow"
# The attribute that goes with the color of a part.
_SHAPES = {"breast": "pattern", "wing": "wing_bars", "tail": "tail_shape", "bill": "bill_shape"}


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


def describe(attributes: Mapping[str, str], rng: np.random.Generator) -> list[str]:
    """One author's account of a bird: 6 to 9 sentences that describe every attribute.

    `rng` chooses words, order and sentences. One or two sentences speak of habitat or habits, not of looks.

    Raises:
        N3Error: an attribute is missing or has an unknown value.
    """
    check_attributes(attributes)
    size, build = _word("size", attributes, rng), _word("build", attributes, rng)
    units = ["crown", "crest", "eye_mark", "back", "breast", "belly", "wing", "tail", "bill"]
    if attributes["breast"] == attributes["belly"] and rng.random() < 0.5:
        units[4:6] = ["underparts"]
    units = [units[i] for i in rng.permutation(len(units))]

    lead = int(rng.integers(0, 3))
    opening = choose(WORDS["openings" if lead else "bare openings"], rng)
    rest = _join([_noun_phrase(unit, attributes, rng) for unit in units[:lead]])
    sentences = [opening.format(size=size, build=build, rest=rest)]
    units = units[lead:]
    for length in _chunks(len(units), rng):
        sentences.append(_sentence(units[:length], attributes, rng))
        units = units[length:]
    if rng.random() < 0.4:  # some authors come to the size late
        sentences.append(sentences.pop(0))
    extras = [choose(HABITATS, rng), choose(BEHAVIORS, rng)]
    keep = int(rng.integers(0, 3))
    for extra in extras if keep == 2 else extras[keep : keep + 1]:
        sentences.insert(int(rng.integers(1, len(sentences) + 1)), extra)
    articles = [re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", sentence) for sentence in sentences]
    return [sentence[0].upper() + sentence[1:] for sentence in articles]


def _word(attribute: str, attributes: Mapping[str, str], rng: np.random.Generator) -> str:
    return choose(wordings(attribute, attributes[attribute]), rng)


def _chunks(count: int, rng: np.random.Generator) -> list[int]:
    """Lengths of 1 to 3 that add up to `count` in 4 to 6 sentences, or as near as `count` allows."""
    pieces = min(count, int(rng.integers(4, 7)))
    lengths = [1] * pieces
    for _ in range(count - pieces):
        open_ones = [i for i, length in enumerate(lengths) if length < 3]
        lengths[open_ones[rng.integers(len(open_ones))]] += 1
    return lengths


def _sentence(units: Sequence[str], attributes: Mapping[str, str], rng: np.random.Generator) -> str:
    form = int(rng.integers(0, 5))
    if form == 4 and len(units) == 1 and units[0] in _PHRASES:
        form = 0  # "With a tufted head." is no sentence
    if form < 2:
        lead = choose(WORDS["leads"], rng)
        return lead.format(_join([_noun_phrase(unit, attributes, rng) for unit in units]))
    if form < 4:
        clauses = [_clause(unit, attributes, rng) for unit in units]
        link = choose((", and ", ", while ", "; "), rng)
        return ", ".join(clauses[:-1]) + link * (len(clauses) > 1) + clauses[-1] + "."
    return "; ".join(_note(unit, attributes, rng) for unit in units) + "."


def _noun_phrase(unit: str, attributes: Mapping[str, str], rng: np.random.Generator) -> str:
    """For example `a rufous cap`."""
    if unit in _PHRASES:
        return _word(unit, attributes, rng)
    part, color, shape = _facts(unit, attributes, rng)
    if unit == "wing":
        bars = attributes["wing_bars"] != "none"
        return f"{color} {part} with {shape}" if bars else f"{shape} {color} {part}"
    article = "" if unit == "underparts" else "a "
    if shape and rng.random() < 0.3:
        return f"{article}{color}, {shape} {part}"
    return f"{article}{shape + ' ' if shape else ''}{color} {part}"


def _clause(unit: str, attributes: Mapping[str, str], rng: np.random.Generator) -> str:
    """For example `the crown is rufous`."""
    if unit in _PHRASES:
        return choose(WORDS["phrase clauses"], rng) + " " + _word(unit, attributes, rng)
    part, color, shape = _facts(unit, attributes, rng)
    kind = "back" if unit == "back" else "shape" if shape else "color"
    if unit == "wing" and attributes["wing_bars"] != "none":
        kind = "wing bars"
    verb = "are" if unit in ("wing", "underparts") else "is"
    return choose(WORDS["clauses"][kind], rng).format(part=part, color=color, shape=shape, verb=verb)


def _note(unit: str, attributes: Mapping[str, str], rng: np.random.Generator) -> str:
    """For example `crown rufous`, as in the briefest of guides."""
    if unit in _PHRASES:
        return "with " + _word(unit, attributes, rng)
    part, color, shape = _facts(unit, attributes, rng)
    if unit == "wing" and attributes["wing_bars"] != "none":
        return f"{part} {color} with {shape}"
    return f"{part} {color}, {shape}" if shape else f"{part} {color}"


def _facts(unit: str, attributes: Mapping[str, str], rng: np.random.Generator) -> tuple[str, str, str]:
    """The words for a part, its color and, where it has one, its shape or marking."""
    key = "breast" if unit == "underparts" else unit
    part = unit if unit == "underparts" else choose(WORDS["parts"][unit], rng)
    color = _word(key, attributes, rng)
    if key not in _SHAPES:
        return part, color, ""
    shape = _word(_SHAPES[key], attributes, rng)
    if key == "breast" and attributes["pattern"] != "plain":
        shape = choose(("", "boldly ", "heavily ", "clearly "), rng) + shape
    return part, color, shape


def _join(phrases: Sequence[str]) -> str:
    return " and ".join([", ".join(phrases[:-1])] * (len(phrases) > 1) + list(phrases[-1:]))
