"""An error is one line that is safe to print, whatever is quoted in it."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from n3lib.io.errors import N3Error, choose_all, printable

ANY = st.text(st.characters(exclude_categories=()))  # lone surrogates too

LEFT = {
    "Persian with a joiner": "می\u200cخواهم",
    "Hindi with a joiner": "क्\u200dष",
    "combining mark": "e\u0301",
    "non-breaking space": "5\u00a0%",
    "emoji of several": "👩\u200d🔬 🏴\U000e0067\U000e0062\U000e007f",
    "marks of direction": "\u200fא\u200e",
    "backslash": "C:\\birds\\new",
}


@pytest.mark.parametrize("text", LEFT.values(), ids=LEFT)
def test_writing_of_all_scripts_is_left_as_it_is(text: str) -> None:
    assert printable(text) == text


ESCAPED = {
    "color": ("\x1b[31mred", "\\x1b[31mred"),
    "line breaks": ("a\nb\r\nc\td", "a\\nb\\r\\nc\\td"),
    "8-bit control": ("\x9b31m", "\\x9b31m"),
    "separators": ("a\u2028b\u2029c\x85", "a\\u2028b\\u2029c\\x85"),
    "right to left": ("photo\u202egnp.exe", "photo\\u202egnp.exe"),
    "isolate": ("\u2066a\u2069", "\\u2066a\\u2069"),
    "no UTF-8": (os.fsdecode(b"\xff.png"), "\\udcff.png"),
}


@pytest.mark.parametrize(("text", "told"), ESCAPED.values(), ids=ESCAPED)
def test_what_steers_a_terminal_is_escaped(text: str, told: str) -> None:
    assert printable(text) == told


@given(ANY)
def test_any_text_becomes_one_line(text: str) -> None:
    line = printable(text)
    assert len((line + ".").splitlines()) == 1
    assert not {unicodedata.category(c) for c in line} & {"Cc", "Cs", "Zl", "Zp"}
    assert printable(line) == line


def test_errors_are_one_sentence_each_in_one_line() -> None:
    error = N3Error("no weights: proxy\nrefused.", "Connect once.")
    assert str(error) == "no weights: proxy refused. Connect once."
    assert str(N3Error("too large")) == "too large."
    assert error.remedy == "Connect once"


def test_names_are_chosen_from_what_is_known() -> None:
    known = {"a": 1, "b": 2, "c": 3}
    assert choose_all(["c", "a"], known, "no letter") == {"c": 3, "a": 1}
    assert choose_all([], known, "no letter") == known
    with pytest.raises(N3Error, match="'d'.*a, b, c"):
        choose_all(["a", "d"], known, "no letter")
