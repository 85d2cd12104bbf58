"""Printing on any console: no text steers it, and no encoding refuses a character."""

import codecs
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from n3lib.io.errors import printable

_ERRORS = "n3lib.io.console"  # the name under which `codecs` finds `_replace`


def tell(line: object) -> None:
    """Print one line, made `printable`."""
    print(printable(line))


def warn(line: object) -> None:
    """Print one line to the standard error, as `n3` does, made `printable`."""
    print(f"n3: {printable(line)}", file=sys.stderr)


@contextmanager
def anywhere() -> Iterator[Any]:
    """Within the block, `sys.stdout` and `sys.stderr` take any text, also where there is no console.

    Of several processes, as under torchrun, only the first's output is shown; the given stream shows all.
    """
    first = os.environ.get("WORLD_SIZE", "1") in ("", "1") or os.environ.get("RANK") == "0"
    with ExitStack() as after:
        # PyTorch's core warns past Python's streams.
        if not first and "TORCH_CPP_LOG_LEVEL" not in os.environ:
            os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"
            after.callback(os.environ.pop, "TORCH_CPP_LOG_LEVEL", None)
        nowhere = after.enter_context(open(os.devnull, "w", encoding="utf-8"))
        for name in ("stdout", "stderr"):
            before = getattr(sys, name)
            stream = nowhere if before is None or before.closed else before
            if isinstance(before, io.TextIOWrapper) and stream is before:
                after.callback(_leave, stream, stream.errors)
                stream.reconfigure(errors=_ERRORS)
            after.callback(setattr, sys, name, before)
            setattr(sys, name, stream if first else nowhere)
        yield stream


@contextmanager
def noted(*signals: int, raised: bool) -> Iterator[list[int]]:
    """Note these signals within the block; a list of those that came is given.

    `raised`: they raise `KeyboardInterrupt` besides, of which some libraries make another error. Otherwise
    the block goes on, and a second signal does what it did before.
    """
    caught: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: Any) -> None:
        caught.append(number)
        if raised:
            signal.default_int_handler(number, frame)
        signal.signal(number, before[number])

    for number in signals if threading.current_thread() is threading.main_thread() else ():
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and a background job have it
            before[number] = signal.signal(number, note) or signal.SIG_DFL
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(stream: io.TextIOWrapper, errors: str | None) -> None:
    try:
        stream.reconfigure(errors=errors)  # it flushes first
    except OSError:  # nobody reads on, or the disk is full: Python would try again at its end, and complain
        with suppress(OSError):
            os.dup2(nowhere := os.open(os.devnull, os.O_WRONLY), stream.fileno())
            os.close(nowhere)
            stream.reconfigure(errors=errors)


def _replace(error: UnicodeError) -> tuple[str, int]:
    """What is printed for characters that a console does not have."""
    assert isinstance(error, UnicodeEncodeError)
    missing = error.object[error.start : error.end].replace("±", "+/-")
    return missing.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error(_ERRORS, _replace)
