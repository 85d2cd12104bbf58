"""Articles of Wikipedia as plain text, cut into sections and sentences."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from n3lib.data.texts import sentences

ALL = "all"
# Headings under which articles without a "Description" describe what their subject looks like, best first.
ALIKE = (
    "identification", "appearance", "characteristics", "morphology",
    "plumage", "anatomy", "features", "biology",
)  # fmt: skip
_HEADING = re.compile(r"^(={2,6})[ \t]*(.+?)[ \t]*\1[ \t]*$", re.MULTILINE)
# Sections that do not speak of the subject.
_APPARATUS = re.compile(
    r"(cited |end|explanatory |external |foot|further |general |works? )?"
    r"(bibliography|citations?|cited|gallery|links?|literature|notes?|reading|references?|see also|sources)"
    r"( and .*| & .*)?",
    re.IGNORECASE,
)
_REMAINS = re.compile(r"\[(?:\d+|edit|citation needed|note \d+|[a-z])\]|\(\s*[;,:]*\s*\)|\u00ad|\u200b")


class _Section(NamedTuple):
    level: int
    heading: str
    text: str


def pick_section(extract: str, wanted: str) -> tuple[str, tuple[str, ...]]:
    """The heading and the sentences of one section of an article; no sentences if there is none.

    `extract` is the article as plain text, with the headings of wikitext. For `wanted`, see
    `descriptions.describe`; `ALL` is for all that is no apparatus.
    """
    sections = _sections(extract)
    if wanted.lower() == ALL:
        kept: list[_Section] = []
        hidden = 10  # the level of the apparatus that we are in
        for section in sections:
            if section.level <= hidden:
                hidden = section.level if _APPARATUS.fullmatch(section.heading) else 10
            if hidden == 10:
                kept.append(section)
        return ALL, _clean(kept)
    for index in _ranked(sections, wanted):
        section, *after = sections[index:]
        end = next((i for i, other in enumerate(after) if other.level <= section.level), None)
        if text := _clean([section, *after[:end]]):
            return section.heading, text
    return "", ()


def _sections(extract: str) -> list[_Section]:
    """The sections in order; what precedes the first heading has none."""
    found = list(_HEADING.finditer(extract))
    starts = [match.start() for match in found] + [len(extract)]
    pairs = zip(found, starts[1:], strict=True)
    sections = [_Section(len(match[1]), match[2], extract[match.end() : end]) for match, end in pairs]
    return [_Section(9, "", extract[: starts[0]]), *sections]


def _ranked(sections: Sequence[_Section], wanted: str) -> list[int]:
    """Indices of the sections that will do, best first: by the word, then the start, then the level."""
    words = [wanted.lower(), *(ALIKE if wanted.lower() == "description" else ())]
    ranked = []
    for index, section in enumerate(sections):
        heading = section.heading.lower()
        for rank, word in enumerate(words):
            if match := re.search(rf"(?<!\w){re.escape(word)}(?!\w)", heading):
                ranked.append((rank, heading != word, match.start() > 0, section.level, index))
                break
    return [index for *_, index in sorted(ranked)]


def _clean(sections: Iterable[_Section]) -> tuple[str, ...]:
    """The sentences of sections, without what a plain text leaves of notes and pronunciations."""
    text = _REMAINS.sub("", "\n".join(section.text for section in sections))
    text = re.sub(r"\(\s*[;,]\s*", "(", text)
    return sentences(re.sub(r"[ \t]+([,.;:])", r"\1", text))
