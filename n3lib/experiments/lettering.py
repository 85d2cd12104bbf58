"""Text in figures: any name or sentence, drawn literally and cut to the available width.

Users choose the names of classes and files. Matplotlib reads `$` as mathematics, warns of characters that its
font lacks, and lets a long text push everything else out of the figure.
"""

import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from matplotlib import rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from n3lib.io import read_json

MISSING = "\N{REPLACEMENT CHARACTER}"
# Fonts for the scripts that Matplotlib's own lacks, on Linux, macOS and Windows. None with colors: Matplotlib
# cannot draw them.
_FALLBACKS: list[str] = read_json(Path(__file__).with_name("fonts.json"))
_MOST = 5000  # characters that are looked at; no picture has room for so many
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


def families() -> list[str]:
    """The installed fonts that are searched for a character, in this order."""
    installed = {font.name for font in fontManager.ttflist}
    # DejaVu Sans comes with Matplotlib and has `MISSING` and the ellipsis.
    return [*rcParams["font.family"], "DejaVu Sans", *(name for name in _FALLBACKS if name in installed)]


def literal(texts: Iterable[Text]) -> None:
    """Draw these texts as they are written, without mathematics."""
    for text in texts:
        text.set(parse_math=False, fontfamily=families())


def plain(text: str, inches: float, size: float = 9.0, lines: int = 1) -> str:
    """A text that can be drawn: `MISSING` for a character without a glyph, an ellipsis for what does not fit.

    Its own line breaks and control characters are ignored. A line is `inches` wide, in a font of `size`
    points, and there are at most `lines`.
    """
    return _fitted(_drawable(text), "", inches, size, lines)


def apart(texts: Sequence[str], inches: float, size: float = 9.0, lines: int = 1) -> list[str]:
    """Several texts as `plain` gives them, so that they can be told apart.

    A text that looks like another one, or of which no letter can be drawn, gets its number, from 1.
    """
    shown = [plain(text, inches, size, lines) for text in texts]
    meant = Counter(drawn for _, drawn in set(zip(texts, shown, strict=True)))  # different texts
    return [
        _fitted(_drawable(text), f" ({number})", inches, size, lines)
        if meant[drawn] > 1 or (MISSING in drawn and not any(map(str.isalnum, drawn)))
        else drawn
        for number, (text, drawn) in enumerate(zip(texts, shown, strict=True), 1)
    ]


def width(text: str, size: float = 9.0) -> float:
    """The width of a line in inches."""
    font = FontProperties(family=families(), size=size)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def _drawable(text: str) -> str:
    """One line, every character of which some font has."""
    line = unicodedata.normalize("NFC", " ".join(text[:_MOST].split()))
    known = _glyphs(tuple(families()))
    seen = "".join(
        char if ord(char) in known and unicodedata.category(char) not in ("Cc", "Cs") else MISSING
        for char in line
        if not _invisible(char)
    )
    return seen if seen.strip(_JOINERS) or not text else MISSING  # never invisible


def _invisible(char: str) -> bool:
    """Marks of direction and variants: they have no glyph, or change the text around them."""
    return (unicodedata.category(char) == "Cf" and char not in _JOINERS) or (
        "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    )


@cache
def _glyphs(families: tuple[str, ...]) -> frozenset[int]:
    """The characters that some font has."""
    paths = [findfont(FontProperties(family=[name])) for name in families]
    return frozenset().union(*(get_font(path).get_charmap() for path in paths))


def _fitted(text: str, end: str, inches: float, size: float, lines: int) -> str:
    """A text and an `end` that is always kept, broken into lines."""
    broken: list[str] = []
    while width(text + end, size) > inches:
        last = len(broken) == lines - 1
        fits = _fitting(text, "…" + end if last else "", inches, size)
        if last:
            text = text[:fits].rstrip() + ("…" if fits < len(text) else "")
            break
        at = max(text.rfind(" ", 0, fits + 1), text.rfind("-", 0, fits) + 1)
        at = at if at > 0 and fits < len(text) else fits
        broken.append(text[:at].rstrip())
        text = text[at:].lstrip()
    return "\n".join([*broken, (text + end).lstrip()])


def _fitting(text: str, tail: str, inches: float, size: float) -> int:
    """How many of the first characters fit with a `tail` behind them; at least one."""
    longer = range(2, len(text) + 1)
    fits = 1 + bisect_right(longer, inches, key=lambda count: width(text[:count] + tail, size))
    while 1 < fits < len(text) and (text[fits] in _JOINERS or unicodedata.category(text[fits])[0] == "M"):
        fits -= 1  # an accent stays with its letter
    return fits
