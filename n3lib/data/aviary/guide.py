"""The English of the aviary: what a field guide says about a bird whose attributes are known.

A bird has fifteen attributes (see `n3lib.data.aviary.species.ATTRIBUTES`). They are told in units, one part
of the body each, and every unit can be worded as a noun phrase ("a rufous cap"), a clause ("the crown is
rufous") or a note ("crown rufous"). A description shuffles the units, gathers them into sentences and words
each at random, so that two authors rarely write alike, yet no attribute is ever left out."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from n3lib.io.errors import N3Error

COLOR_ATTRIBUTES = ("crown", "back", "breast", "belly", "wing", "tail", "bill")

# The first word is not special: authors choose among all of them. No word stands for two colors.
COLOR_WORDS: dict[str, tuple[str, ...]] = {
    "black": ("black", "jet", "sooty"),
    "white": ("white", "snowy", "whitish"),
    "gray": ("gray", "ashy", "slate"),
    "brown": ("brown", "umber", "chocolate"),
    "rufous": ("rufous", "chestnut", "russet"),
    "red": ("red", "scarlet", "crimson"),
    "orange": ("orange", "tangerine", "apricot"),
    "yellow": ("yellow", "golden", "lemon"),
    "green": ("green", "emerald", "verdant"),
    "blue": ("blue", "azure", "cobalt"),
    "violet": ("violet", "purple", "plum"),
    "buff": ("buff", "tan", "sandy"),
    "ink": ("inky", "ebony", "coal"),
    "ivory": ("ivory", "pearly", "chalky"),
    "maroon": ("maroon", "burgundy", "claret"),
    "ochre": ("ochre", "mustard", "amber"),
    "lime": ("lime", "chartreuse", "pistachio"),
    "teal": ("teal", "turquoise", "aqua"),
    "magenta": ("magenta", "fuchsia", "cerise"),
    "lavender": ("lavender", "lilac", "mauve"),
}

# Wordings of every other attribute: adjectives, except where `_NOUNS` below says how to build the phrase.
SHAPE_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "size": {
        "small": ("small", "tiny", "little"),
        "medium": ("medium-sized", "middle-sized", "average-sized"),
        "large": ("large", "big", "hefty"),
    },
    "build": {
        "plump": ("plump", "stocky", "rotund"),
        "slender": ("slender", "slim", "lithe"),
        "leggy": ("leggy", "stilt-legged", "rangy"),
    },
    "pattern": {
        "plain": ("plain", "unmarked", "immaculate"),
        "streaked": ("streaked", "striped", "striated"),
        "spotted": ("spotted", "speckled", "dotted"),
        "barred": ("barred", "banded", "ladder-marked"),
    },
    "bill_shape": {
        "conical": ("conical", "stubby", "wedge-shaped"),
        "straight": ("needle-like", "straight", "dagger-like"),
        "hooked": ("hooked", "raptorial", "claw-tipped"),
        "decurved": ("decurved", "sickle-shaped", "downcurved"),
    },
    "tail_shape": {
        "square": ("square", "blunt", "truncate"),
        "forked": ("forked", "cleft", "deeply notched"),
        "fan": ("fan-shaped", "flared", "spreading"),
        "pointed": ("pointed", "tapering", "lance-like"),
    },
    "wing_bars": {
        "none": ("unbarred", "barless", "unbanded"),
        "one": ("a single bar", "one bar", "a lone bar"),
        "two": ("two bars", "a double bar", "twin bars"),
    },
    "eye_mark": {
        "none": ("an unadorned face", "a featureless face", "a blank face"),
        "ring": ("a conspicuous eye ring", "a spectacled look", "a neatly encircled eye"),
        "eyebrow": ("a bold eyebrow", "a clear supercilium", "a strong brow stripe"),
    },
    "crest": {
        "none": ("a crestless head", "a sleek head", "a smoothly rounded head"),
        "crested": ("a jaunty crest", "a tufted head", "a peaked topknot"),
    },
}

PART_WORDS: dict[str, tuple[str, ...]] = {
    "crown": ("crown", "cap"),
    "back": ("back", "mantle"),
    "breast": ("breast", "chest"),
    "belly": ("belly", "abdomen"),
    "wing": ("wings",),
    "tail": ("tail",),
    "bill": ("bill", "beak"),
}

# Words of the phrases above that say nothing by themselves, or name a part of the body and not its look.
_FILLERS = """a an and with sized shaped like legged marked tipped deeply neatly smoothly head face eye look
    bar bars conspicuous bold clear strong jaunty stripe"""

HABITATS = (
    "It keeps to damp thickets and the edges of slow streams.",
    "Orchards, hedges and overgrown gardens are its favorite haunts.",
    "Found in open woodland up to the tree line.",
    "It winters in the lowlands and climbs into the hills to breed.",
    "Common on farmland wherever a few old trees are left standing.",
    "It wanders through scrub and reedbeds outside the breeding season.",
    "Locally frequent in river valleys, rarer toward the coast.",
    "It haunts quiet clearings, often near water.",
    "Most often met with along forest tracks at first light.",
    "It has lately spread into parks and suburbs.",
)
BEHAVIORS = (
    "The song is a hurried warble, delivered from a high perch at dawn.",
    "The call, an abrupt chip, is repeated when the bird is alarmed.",
    "It feeds on seeds and beetles, mostly close to the ground.",
    "Family parties roam together until late in the autumn.",
    "The nest is a cup of moss and rootlets lodged among twigs.",
    "It sallies after insects and returns to the same perch.",
    "Confiding by nature, it can be watched from a few steps away.",
    "The sexes look alike, and juveniles resemble their parents.",
    "It hops rather than walks and is seldom still for long.",
    "At dusk the birds gather noisily to roost.",
    "Berries make up much of its food in winter.",
    "Its flight is quick and undulating.",
)

_LEADS = (
    "It has {}.",
    "Look for {}.",
    "It shows {}.",
    "Field marks include {}.",
    "Note {}.",
    "The adult has {}.",
    "Good marks: {}.",
    "It can be told by {}.",
)
_OPENINGS = (
    "A {size}, {build} bird with {rest}.",
    "A {size} bird of {build} build, with {rest}.",
    "This {size}, {build} species has {rest}.",
    "{size} and {build}, with {rest}.",
    "A {build}, {size} bird; it has {rest}.",
)
_BARE_OPENINGS = (
    "A {size}, {build} bird.",
    "This is a {size} bird of {build} build.",
    "{size} for its kind, and {build}.",
    "In the field it looks {size} and {build}.",
)


def describe(attributes: Mapping[str, str], rng: np.random.Generator) -> list[str]:
    """One author's account of a bird: 6 to 9 sentences in which every attribute is told.

    Args:
        attributes: a value for each of the fifteen attributes; edit a species' values to describe another
            bird.
        rng: chooses words, order and sentences, and nothing else.

    Returns:
        Sentences; one or two of them speak of habitat or habits and say nothing about looks.

    Raises:
        N3Error: an attribute is missing or has an unknown value.
    """
    check_attributes(attributes)
    size, build = _word("size", attributes["size"], rng), _word("build", attributes["build"], rng)
    units = ["crown", "crest", "eye_mark", "back", "breast", "belly", "wing", "tail", "bill"]
    if attributes["breast"] == attributes["belly"] and rng.random() < 0.5:
        units[4:6] = ["underparts"]
    units = [units[i] for i in rng.permutation(len(units))]

    lead = int(rng.integers(0, 3))
    opening = _choose(_OPENINGS if lead else _BARE_OPENINGS, rng)
    rest = _join([_noun_phrase(unit, attributes, rng) for unit in units[:lead]])
    sentences = [opening.format(size=size, build=build, rest=rest)]
    units = units[lead:]
    for length in _chunks(len(units), rng):
        sentences.append(_sentence(units[:length], attributes, rng))
        units = units[length:]
    if rng.random() < 0.4:  # some authors come to the size late
        sentences.append(sentences.pop(0))
    extras = [_choose(HABITATS, rng), _choose(BEHAVIORS, rng)]
    keep = int(rng.integers(0, 3))
    for extra in extras if keep == 2 else extras[keep : keep + 1]:
        sentences.insert(int(rng.integers(1, len(sentences) + 1)), extra)
    return [_tidy(sentence) for sentence in sentences]


def words_for(attribute: str, value: str) -> set[str]:
    """All words, in lower case, with which a description may say that `attribute` has `value`.

    A description of a bird always holds at least one of them for each of its attributes. Colors share their
    words among the parts of the body, so `words_for("crown", "red") == words_for("tail", "red")`.

    Raises:
        N3Error: unknown attribute or value.
    """
    words = {word for phrase in _wordings(attribute, value) for word in re.findall(r"[a-z]+", phrase)}
    return words - set(_FILLERS.split())


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Refuse attributes that cannot be told or drawn."""
    wanted = (*COLOR_ATTRIBUTES, *SHAPE_WORDS)
    missing = [name for name in wanted if name not in attributes]
    if missing:
        raise N3Error(f"the bird has no {', '.join(missing)}", "Give all fifteen attributes, see ATTRIBUTES")
    for name in attributes:
        _wordings(name, attributes[name])


def _wordings(attribute: str, value: str) -> tuple[str, ...]:
    if attribute not in COLOR_ATTRIBUTES and attribute not in SHAPE_WORDS:
        raise N3Error(f"a bird has no attribute {attribute!r}", "Use one of ATTRIBUTES")
    table = COLOR_WORDS if attribute in COLOR_ATTRIBUTES else SHAPE_WORDS[attribute]
    if value not in table:
        raise N3Error(f"{attribute} cannot be {value!r}", f"Use one of {', '.join(table)}")
    return table[value]


def _choose(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(0, len(options)))]


def _word(attribute: str, value: str, rng: np.random.Generator) -> str:
    return _choose(_wordings(attribute, value), rng)


def _chunks(count: int, rng: np.random.Generator) -> list[int]:
    """Lengths of 1 to 3 that add up to `count` in 4 to 6 sentences, or as near as `count` allows."""
    pieces = min(count, int(rng.integers(4, 7)))
    lengths = [1] * pieces
    for _ in range(count - pieces):
        open_ones = [i for i, length in enumerate(lengths) if length < 3]
        lengths[open_ones[int(rng.integers(0, len(open_ones)))]] += 1
    return lengths


def _sentence(units: Sequence[str], attributes: Mapping[str, str], rng: np.random.Generator) -> str:
    form = int(rng.integers(0, 5))
    if form == 4 and len(units) == 1 and units[0] in ("eye_mark", "crest"):
        form = 0  # "With a tufted head." is no sentence
    if form < 2:
        return _choose(_LEADS, rng).format(_join([_noun_phrase(unit, attributes, rng) for unit in units]))
    if form < 4:
        clauses = [_clause(unit, attributes, rng) for unit in units]
        link = _choose((", and ", ", while ", "; "), rng)
        return ", ".join(clauses[:-1]) + link * (len(clauses) > 1) + clauses[-1] + "."
    return "; ".join(_note(unit, attributes, rng) for unit in units) + "."


def _noun_phrase(unit: str, attributes: Mapping[str, str], rng: np.random.Generator) -> str:
    """For example `a rufous cap`."""
    if unit in ("eye_mark", "crest"):
        return _word(unit, attributes[unit], rng)
    part, color, shape = _facts(unit, attributes, rng)
    if unit == "wing":
        return (
            f"{shape} {color} {part}" if attributes["wing_bars"] == "none" else f"{color} {part} with {shape}"
        )
    plural = "" if unit == "underparts" else "a "
    if shape and rng.random() < 0.3:
        return f"{plural}{color}, {shape} {part}"
    return f"{plural}{shape + ' ' if shape else ''}{color} {part}"


def _clause(unit: str, attributes: Mapping[str, str], rng: np.random.Generator) -> str:
    """For example `the crown is rufous`."""
    if unit in ("eye_mark", "crest"):
        return _choose(("the bird has", "it has", "there is"), rng) + " " + _word(unit, attributes[unit], rng)
    part, color, shape = _facts(unit, attributes, rng)
    verb = "are" if unit in ("wing", "underparts") else "is"
    if unit == "wing" and attributes["wing_bars"] != "none":
        options: tuple[str, ...] = ("the wings are {c}, crossed by {s}", "the {c} wings bear {s}")
    elif shape:
        options = ("the {p} {v} {c} and {s}", "the {c} {p} {v} {s}", "the {s} {p} {v} {c}")
    elif unit == "back":
        options = ("the {p} {v} {c}", "it is {c} on the {p}", "the nape and {p} are {c}")
    else:
        options = ("the {p} {v} {c}", "it is {c} on the {p}", "the bird wears {c} on the {p}")
    return _choose(options, rng).format(p=part, c=color, s=shape, v=verb)


def _note(unit: str, attributes: Mapping[str, str], rng: np.random.Generator) -> str:
    """For example `crown rufous`, as in the briefest of guides."""
    if unit in ("eye_mark", "crest"):
        return "with " + _word(unit, attributes[unit], rng)
    part, color, shape = _facts(unit, attributes, rng)
    if unit == "wing" and attributes["wing_bars"] != "none":
        return f"{part} {color} with {shape}"
    return f"{part} {color}, {shape}" if shape else f"{part} {color}"


def _facts(unit: str, attributes: Mapping[str, str], rng: np.random.Generator) -> tuple[str, str, str]:
    """The words for a part, its color and, where it has one, its shape or marking."""
    key = "breast" if unit == "underparts" else unit
    part = unit if unit == "underparts" else _choose(PART_WORDS[unit], rng)
    color = _word(key, attributes[key], rng)
    shaped = {"breast": "pattern", "wing": "wing_bars", "tail": "tail_shape", "bill": "bill_shape"}
    if key not in shaped:
        return part, color, ""
    shape = _word(shaped[key], attributes[shaped[key]], rng)
    if key == "breast" and attributes["pattern"] != "plain":
        shape = _choose(("", "boldly ", "heavily ", "clearly "), rng) + shape
    return part, color, shape


def _join(phrases: Sequence[str]) -> str:
    return " and ".join([", ".join(phrases[:-1])] * (len(phrases) > 1) + list(phrases[-1:]))


def _tidy(sentence: str) -> str:
    """Mend the articles and begin with a capital."""
    sentence = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", sentence)
    return sentence[0].upper() + sentence[1:]
