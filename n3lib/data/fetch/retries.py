"""Asking servers politely: what one refused for now is repeated, a few times and no sooner than it asks."""

import email.utils
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, after_nothing, retry_if_exception_type, stop_after_attempt

from n3lib.io import N3Error

TRIES = 5
PATIENCE = 60.0  # seconds: the longest wait that a server is granted


class Passing(Exception):
    """A failure that may pass; `retry_after` is the server's `Retry-After`, empty if it gave none."""

    def __init__(self, problem: str, retry_after: str = "") -> None:
        super().__init__(problem)
        self.retry_after = retry_after


def check_status(response: httpx.Response) -> None:
    """Raise `Passing` where the server is busy or broken for now."""
    if response.status_code == 429 or response.status_code >= 500:
        retry_after = response.headers.get("Retry-After", "")
        raise Passing(f"the server says {response.status_code}", retry_after)


def retrying(problem: str, kept: str, after: Callable[[RetryCallState], Any] = after_nothing) -> Retrying:
    """What calls a function again while it raises `Passing` or an error of the transport, `TRIES` times.

    It waits 1, 2, 4, ... seconds, or as long as the server asks. The error says `problem`, and that what is
    `kept` is not lost; `after` is called with each failure.

    Raises:
        N3Error: it failed `TRIES` times, or the server asks for more than `PATIENCE` seconds.
    """

    def give_up(state: RetryCallState) -> None:
        error = _error(state)
        what = f"{problem}: {str(error) or type(error).__name__} ({TRIES} tries)"
        raise N3Error(what, f"Call again later: {kept} is kept") from None

    return Retrying(
        retry=retry_if_exception_type((Passing, httpx.TransportError)),
        stop=stop_after_attempt(TRIES),
        wait=_pause,
        after=after,
        before_sleep=_check_patience,
        retry_error_callback=give_up,
    )


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _pause(state: RetryCallState) -> float:
    """The seconds before the next try; `Retry-After` gives them as a number or as a date."""
    retry_after = getattr(_error(state), "retry_after", "")
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        date = email.utils.parsedate_to_datetime(retry_after)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # neither: as if the server had said nothing
        return 2.0 ** (state.attempt_number - 1)


def _check_patience(state: RetryCallState) -> None:
    if state.upcoming_sleep > PATIENCE:
        what = f"the server asks to wait {state.upcoming_sleep:.0f} seconds"
        raise N3Error(what, "Call again then: what is done so far is kept")
