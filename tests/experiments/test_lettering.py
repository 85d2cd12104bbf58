"""Text in pictures: drawn as written, in the room there is, whatever a stranger's file calls its classes."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from n3lib.experiments.lettering import MISSING, apart, literal, plain, width

ODD = [
    "$100 bill_or_$50",
    "日本の鳥",
    "Cafe\u0301",
    "🐦 robin",
    "طائر",
    "a\nb\x00\x1b[31m",
    "\ud83d",
    "x" * 200,
]


@pytest.mark.parametrize(
    ("written", "drawn"),
    [
        ("$100 bill_or_$50", "$100 bill_or_$50"),
        ("Cafe\u0301", "Café"),
        ("طائر", "طائر"),
        ("a\n b\r\n\tc\u2028d", "a b c d"),
        ("a\x00b\x1b[31m", f"a{MISSING}b{MISSING}[31m"),
        ("\ud83d", MISSING),  # half of a pair, as JSON can hold it
        ("\U00010ffff", f"{MISSING}f"),  # a character that no font has
        ("a\u202eb\ufeffc\u00add\ufe0f", "abcd"),  # direction, byte order, soft hyphen, variant
        ("\u200d\u200b", MISSING),  # nothing to see, but not nothing
        ("", ""),
    ],
)
def test_text_is_drawn_as_it_is_written(written: str, drawn: str) -> None:
    assert plain(written, 5.0) == drawn


def test_a_long_text_is_broken_and_then_cut() -> None:
    text = "A small bird with a red-capped head, a short bill and long brown wings that reach the tail"
    assert plain(text, 99.0) == text
    lines = plain(text, 1.5, lines=3).split("\n")
    assert len(lines) == 3 and lines[2].endswith("…")
    assert all(width(line) <= 1.5 for line in lines)
    assert text.startswith(" ".join(lines).replace("- ", "-").removesuffix("…"))
    assert " ".join(plain(text, 1.5, lines=9).split("\n")).replace("- ", "-") == text
    assert plain("x" * 1_000_000, 2.0).endswith("…")
    assert plain("W", 0.001) == "W"


def test_an_accent_stays_with_its_letter() -> None:
    letter = "x\u0302\u0323"  # there is no such letter in one
    for inches in (0.2, 0.3, 0.4, 0.5):
        cut = plain(letter * 20, inches).removesuffix("…")
        assert cut and cut.replace(unicodedata.normalize("NFC", letter), "") == ""


def test_names_that_read_the_same_are_numbered() -> None:
    long = ["a very long name of a bird that comes first", "a very long name of a bird that comes second"]
    assert apart(["wren", "wren", "robin"], 2.0) == ["wren", "wren", "robin"]  # one and the same
    first, wren, second = apart([long[0], "wren", long[1]], 1.5)
    assert first.endswith("… (1)") and second.endswith("… (3)") and wren == "wren"
    assert max(width(first), width(second)) <= 1.5
    assert apart(["wren", "\U000f0000"], 2.0) == ["wren", f"{MISSING} (2)"]  # no letter of it can be read
    assert apart(["\U000f0000", "\U000f0001"], 2.0) == [f"{MISSING} (1)", f"{MISSING} (2)"]


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.text(st.characters()), st.floats(0.5, 4.0), st.integers(1, 3))
@example("ก็็็็็็็็็", 0.5, 1)
@example("\u0301a", 0.5, 1)
@example("-" * 200, 0.5, 2)
def test_any_text_is_drawn_without_a_warning(text: str, inches: float, lines: int) -> None:
    drawn = plain(text, inches, lines=lines)
    assert bool(drawn) == bool(text) or text.isspace()
    assert drawn.count("\n") < lines
    assert all(width(line) <= inches for line in drawn.split("\n") if len(line) > 2)
    figure = Figure(dpi=20)
    literal([figure.text(0, 0, drawn)])
    figure.draw_without_rendering()


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(st.text(st.characters()), min_size=2, max_size=5))
def test_any_two_names_can_be_told_apart(texts: list[str]) -> None:
    shown = dict(zip(texts, apart(texts, 2.0), strict=True))
    assert len(set(shown.values())) == len(shown)
