import time

import httpx
import pytest

from n3lib.data.fetch.retries import TRIES, Passing, retrying
from n3lib.io import N3Error


def failing(*failures):
    """A function that raises these, then answers."""
    left = list(failures)

    def call():
        if left:
            raise left.pop(0)
        return "answer"

    return call


def test_it_waits_longer_each_time_or_as_long_as_the_server_asks(slept):
    asked = ("", "0", "soon", "Thu, 01 Jan 1970 00:00:00 GMT")
    failures = [Passing("busy", one) for one in asked]
    assert retrying("", "")(failing(*failures)) == "answer" and slept == [1, 0, 4, 0]


@pytest.mark.parametrize("failure", [Passing("busy"), httpx.ConnectError("no route"), httpx.ReadTimeout("")])
def test_it_gives_up(slept, failure):
    with pytest.raises(N3Error, match=f"birds.*{str(failure) or 'ReadTimeout'}.*{TRIES}.*what is here"):
        retrying("birds", "what is here")(failing(*[failure] * TRIES))
    assert slept == [1, 2, 4, 8]


def test_other_errors_are_not_tried_again(slept):
    with pytest.raises(KeyError):
        retrying("", "")(failing(KeyError()))
    assert slept == []


def test_nobody_waits_for_an_hour(slept):
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600))
    for asked in ("3600", date):
        with pytest.raises(N3Error, match=r"3\d\d\d seconds"):
            retrying("", "")(failing(Passing("busy", asked)))
    assert slept == []
