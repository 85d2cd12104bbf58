"""Any text can be printed: one line stays one line, and no console's encoding breaks it."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from n3lib.io.console import anywhere, tell

ANY = st.text(st.characters(exclude_categories=()))  # lone surrogates too

ENCODINGS = ("ascii", "cp1252", "latin-1", "utf-8", "utf-16", "cp437", "shift_jis")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_any_text_is_printed_in_any_encoding(
    encoding: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, name, stream)
    with anywhere():
        print("8.2 ± 0.1 Café مرغ 🐦 \udcff", file=getattr(sys, name))
    told = raw.getvalue().decode(encoding)
    assert told.startswith(("8.2 ± 0.1 Caf", "8.2 +/- 0.1 Caf"))
    assert told.rstrip("\r\n").endswith("\\udcff")
    assert stream.errors == "strict"  # as it was


@given(ANY)
def test_no_text_breaks_an_ascii_console(text: str) -> None:
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="ascii")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        with anywhere():
            tell(text)
    assert raw.getvalue().decode("ascii").count("\n") == 1


def closed() -> io.TextIOWrapper:
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, closed(), io.StringIO()], ids=["none", "closed", "notebook"])
def test_a_stream_may_be_missing_or_of_another_kind(
    stream: io.TextIOBase | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    with anywhere() as errors:
        tell("wren")
        print("jay", file=sys.stderr)
        print("crow", file=errors)
        sys.stdout.flush()
    assert sys.stdout is sys.stderr is stream
    if isinstance(stream, io.StringIO):
        assert stream.getvalue() == "wren\njay\ncrow\n"


@pytest.mark.parametrize(
    ("rank", "ranks", "out"), [("0", "2", "wren\n"), ("1", "2", ""), ("1", "1", "wren\n")]
)
def test_of_several_processes_the_first_is_heard_and_errors_of_all(
    rank: str, ranks: str, out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", ranks)
    with anywhere() as errors:
        tell("wren")
        print("wren", file=sys.stderr)
        print("owl", file=errors)
    assert capsys.readouterr() == (out, f"{out}owl\n")
