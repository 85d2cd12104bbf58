"""The ranges of numeric settings: a number outside its range is refused before anything is done with it."""

from typing import Any, NamedTuple

from n3lib.io.errors import N3Error

# Upper ends where no natural one exists. Beyond them memory or the number types give out.
MANY = 10_000  # classes, images of a batch
LONG = 10**9  # steps
LARGE = 1e30  # of a float32
SEED = 2**32 - 1  # of NumPy's oldest generators, which optuna draws from


class Range(NamedTuple):
    """The numbers from `least` to `most`, both included unless `least` is left `open`."""

    least: float
    most: float
    open: bool = False

    def __str__(self) -> str:
        least, most = (f"{end:,}" if isinstance(end, int) else f"{end:g}" for end in self[:2])
        return f"above {least} and up to {most}" if self.open else f"from {least} to {most}"


def check_ranges(settings: Any, section: str = "", **ranges: Range) -> None:
    """Refuse, with an `N3Error`, a number outside its range in a dataclass of settings.

    `section` is its name in the configuration; a field annotated `int` takes whole numbers only.
    """
    kinds = type(settings).__annotations__
    for name, allowed in ranges.items():
        value, whole = getattr(settings, name), kinds[name] is int
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        inside = number and allowed.least <= value <= allowed.most
        if not inside or (allowed.open and value == allowed.least):
            full, kind = f"{section}.{name}".lstrip("."), "a whole number" if whole else "a number"
            raise N3Error(f"{full} cannot be {value!r}", f"Set it to {kind} {allowed}")
