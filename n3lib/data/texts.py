"""Class descriptions from files.

Of JSON, three forms are read, and may be mixed in one file:

- `{"Blue Jay": "A blue bird with a crest. It is noisy."}`: running text, cut into sentences here;
- `{"Blue Jay": ["A blue bird with a crest.", "It is noisy."]}`: one string per sentence;
- `{"Blue Jay": {"sentences": [...], "weights": [1, 0.5]}}`: sentences, and how much each counts beside the
  others of its class (0: not at all). Weights may be left out; other keys are ignored;
- `{"Blue Jay": null}`: a class that a run was trained on, of which it has kept what it read.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from typing import Any

from n3lib.data.class_files import MARKDOWN, TABLES, read_listed
from n3lib.data.names import ClassNames, class_name
from n3lib.io import N3Error, expand, read_json

# Weights of sentences. Ratios beyond these drown one sentence in another's rounding.
LIGHTEST, HEAVIEST = 1e-6, 1e6

_WEIGHTS = f"Give 0 to leave it out, or {LIGHTEST:g} to {HEAVIEST:,.0f}"
_FORMS = (
    'Write {"class": "text"}, {"class": [SENTENCE, ...]} or {"class": {"sentences": [...], "weights": [...]}}'
)
_KEYS = {"sentences", "weights"}
_ABBREVIATIONS = frozenset(
    ["al", "approx", "ca", "cf", "cm", "dr", "e.g", "etc", "fig", "ft", "i.e", "incl", "kg", "lb", "mm", "mr"]
    + ["mrs", "ms", "oz", "prof", "sp", "spp", "ssp", "st", "subsp", "var", "vs"]
)
# The end of a sentence, perhaps with closing quotes or brackets, and white space; or a line break.
# The second only from the start of white space on: else a long stretch would be gone through from each of it.
_BREAK = re.compile(r"""(?<=[.!?])(["'”’)\]]*)\s+|(?<!\s)\s*\n\s*""")
_LONGEST = 2 + max(map(len, _ABBREVIATIONS))  # characters that tell an abbreviation
_LAST_WORD = re.compile(r"([\w.]*)\.$")


class Sentence(str):
    """A sentence with a weight, `LIGHTEST` to `HEAVIEST`; plain strings weigh 1.

    Only the ratios of the weights within a description count: a common factor changes nothing.

    Raises:
        N3Error: another weight.
    """

    weight: float

    def __new__(cls, text: str, weight: float) -> "Sentence":
        """A string with a weight."""
        if not LIGHTEST <= weight <= HEAVIEST:
            raise N3Error(f"a sentence has the weight {weight:g}: {text[:40]!r}", _WEIGHTS)
        made = super().__new__(cls, text)
        made.weight = weight
        return made


def sentence_weights(sentences: Sequence[str]) -> list[float]:
    """The weight of each sentence."""
    return [sentence.weight if isinstance(sentence, Sentence) else 1.0 for sentence in sentences]


def check_sentences(name: str, sentences: Sequence[str]) -> None:
    """Refuse a string or a JSON object where sentences are expected: these are sequences of strings too."""
    if isinstance(sentences, str | Mapping):
        what = f"the description of {name!r} is one string or object, not a list of sentences"
        raise N3Error(what, "Cut it into sentences with n3lib.data.texts.sentences, or put it into a list")


def check_text(name: str, sentences: Sequence[str]) -> None:
    """Refuse a class whose description is missing, says nothing, or is a string instead of sentences."""
    check_sentences(name, sentences)
    if not sentences:
        raise N3Error(f"class {name!r} has no text", "Give it a description")
    if not any(map(_speaks, sentences)):
        raise N3Error(f"class {name!r} has an empty description", "Write at least one word about it")


def sentences(text: str) -> tuple[str, ...]:
    """Cut running text at `.`, `!` or `?` before white space, and at line breaks.

    Not after an initial ("J. Smith") or a common abbreviation. Pieces without letter or digit are dropped.
    """
    found: list[str] = []
    start = 0
    for match in _BREAK.finditer(text):
        end = match.start() + len(match.group(1) or "")
        last = _LAST_WORD.search(text[max(start, end - _LONGEST) : end])
        if "\n" not in match.group() and last and _abbreviated(last.group(1)):
            continue
        found.append(text[start:end])
        start = match.end()
    return _tidied([*found, text[start:]])


def read_texts(
    path: Path | str, classes: Sequence[str], others: Sequence[str] = ()
) -> tuple[tuple[str, ...], ...]:
    """Read the descriptions of known classes, in the order of `classes`.

    The file has their names in any spelling, see `n3lib.data.names`; it may describe `others` too.

    Raises:
        N3Error: it has another form, names a class twice or an unknown one, or leaves some without text.
    """
    path = expand(path)
    found = _matched(path, [*classes, *others])
    texts = tuple(found.get(k, ()) for k in range(len(classes)))
    _refuse_silent(str(path), zip(classes, texts, strict=True))
    return texts


def read_some_texts(path: Path | str, classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read the descriptions of those classes that a file describes; else as `read_texts`."""
    path = expand(path)
    texts = {classes[k]: text for k, text in _matched(path, classes).items()}
    _refuse_silent(str(path), texts.items())
    return texts


def read_classes(path: Path | str, known: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """A user's own classes, see `parse_classes`: JSON in the forms above, or what `read_listed` reads."""
    path = expand(path)
    listed = os.path.isdir(path) or path.suffix.lower() in (*TABLES, *MARKDOWN)
    return parse_classes(read_listed(path) if listed else _read_object(path), str(path), known)


def parse_classes(
    value: Mapping[str, Any], where: str = "the classes", known: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """A user's own classes in any of the forms above as `{class name: sentences}`, in their order.

    White space in names is tidied, and Unicode composed (NFC): what looks the same is the same. Errors name
    `where`, such as the file. A class that is `known`, by any spelling of `ClassNames`, needs no description,
    which may be None, empty or `()`: it is `()` then.

    Raises:
        N3Error: fewer than two classes, or a name or description that cannot be used.
    """
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise N3Error(f"{where}: not descriptions by class name", _FORMS)
    classes: dict[str, tuple[str, ...]] = {}
    names_alone = list[str]()
    for key, description in value.items():
        name = class_name(key)
        if not name:
            raise N3Error(f"{where}: a class has no name", "Name every class")
        if any(unicodedata.category(character) == "Cc" for character in key.strip()):
            raise N3Error(f"{where}: the class name {name!r} holds a control character", "Remove it")
        if name in classes:
            raise N3Error(f"{where}: class {name!r} is described twice", "Keep one of them")
        if known and (description is None or description in ((), "")):
            names_alone.append(name)
            classes[name] = ()
        else:
            classes[name] = _description(where, name, () if description is None else description)
    ClassNames(known).match(names_alone, where, "Correct these names, or describe the classes")
    if len(classes) < 2:
        raise N3Error(f"{where}: a classifier needs at least two classes", "Describe another class")
    _refuse_silent(where, ((name, text) for name, text in classes.items() if name not in names_alone))
    return classes


def _matched(path: Path, classes: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """The sentences of the classes that a file names, by class id."""
    value = _read_object(path)
    ids = ClassNames(classes).match(value, path)
    return {k: _description(str(path), name, value[name]) for name, k in ids.items()}


def _read_object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise N3Error(f"{path} holds no JSON object", _FORMS)
    return value


def _description(where: str, name: str, value: Any) -> tuple[str, ...]:
    """The sentences of one class in any of the three forms; empty if it says nothing."""
    if isinstance(value, str) and not isinstance(value, Sentence):
        return sentences(value)
    weights = None
    if isinstance(value, dict):
        for key in value.keys() - _KEYS:
            if alike := get_close_matches(str(key), _KEYS):
                raise N3Error(f"{where}: class {name!r} has {key!r}", f"Write {alike[0]!r}")
        value, weights = value.get("sentences"), value.get("weights")
    if not isinstance(value, list | tuple) or not all(isinstance(sentence, str) for sentence in value):
        raise N3Error(f"{where}: the description of {name!r} is neither text nor a list of sentences", _FORMS)
    if weights is None:
        return _tidied(value)
    listed = isinstance(weights, list | tuple) and len(weights) == len(value)
    if not listed or not all(isinstance(one, Real) and not isinstance(one, bool) for one in weights):
        what = f"{where}: class {name!r} needs one weight per sentence, a number without quotes"
        raise N3Error(what, f"Give a list of {len(value)}, or none")
    for weight in weights:
        if weight and not LIGHTEST <= weight <= HEAVIEST:
            raise N3Error(f"{where}: a sentence of class {name!r} has the weight {weight!r:.20}", _WEIGHTS)
    pairs = zip(value, weights, strict=True)
    return _tidied(text if one == 1 else Sentence(text, float(one)) for text, one in pairs if one)


def _speaks(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _tidied(pieces: Iterable[str]) -> tuple[str, ...]:
    """The pieces that hold a letter or digit, with their white space tidied."""
    # No half characters.
    pairs = [(piece, " ".join(piece.encode("utf-8", "replace").decode().split())) for piece in pieces]
    return tuple(_reworded(piece, tidy) for piece, tidy in pairs if _speaks(tidy))


def _reworded(old: str, new: str) -> str:
    return Sentence(new, old.weight) if isinstance(old, Sentence) else new


def _abbreviated(word: str) -> bool:
    """Whether a full stop after this word belongs to the word."""
    last = word.rsplit(".", 1)[-1]
    return word.lower() in _ABBREVIATIONS or (len(last) == 1 and last.isalpha())


def _refuse_silent(where: str, texts: Iterable[tuple[str, Sequence[str]]]) -> None:
    if silent := [name for name, description in texts if not description]:
        count = f"{len(silent)} {'class' if len(silent) == 1 else 'classes'}"
        raise N3Error(f"{where}: no text for {count} ({', '.join(silent)})", "Give every class a description")


def erase(sentences: Sequence[str], words: Sequence[str]) -> list[str]:
    """A description without these words, wherever they occur; the weights of its sentences stay."""
    pattern = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)
    return [_reworded(sentence, pattern.sub("", sentence)) for sentence in sentences]
