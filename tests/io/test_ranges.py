"""A number outside its range is refused by the full name of its setting."""

from dataclasses import dataclass

import pytest

from n3lib.io.errors import N3Error
from n3lib.io.ranges import Range, check_ranges


@dataclass
class Settings:
    count: int = 1
    share: float = 0.5


def check(**values: object) -> None:
    share = Range(0, 1, open=True)
    check_ranges(Settings(**values), "part", count=Range(1, 3), share=share)  # type: ignore[arg-type]


def test_numbers_within_their_ranges_pass() -> None:
    for values in ({}, {"count": 3}, {"share": 1}, {"share": 1e-300}, {"share": 1.0}):
        check(**values)


@pytest.mark.parametrize("value", [0, 4, 10**400, True, 2.0, "2", None, float("nan"), float("inf")])
def test_whole_numbers(value: object) -> None:
    with pytest.raises(N3Error, match=r"^part\.count "):
        check(count=value)


@pytest.mark.parametrize("value", [0, -0.0, 1.001, -1e-9, 10**400, True, "0.5", float("nan"), float("inf")])
def test_other_numbers(value: object) -> None:
    with pytest.raises(N3Error, match=r"^part\.share "):
        check(share=value)


def test_a_setting_without_a_section_is_named_alone() -> None:
    with pytest.raises(N3Error, match=r"^count "):
        check_ranges(Settings(0), count=Range(1, 3))
