"""Paths as people write them."""

from pathlib import Path

from n3lib.io.errors import N3Error


def expand(path: str | Path) -> Path:
    """A path in which `~` stands for the home folder.

    Raises:
        N3Error: there is no home folder, or no user of that name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise N3Error(f"{path}: there is no such home folder", "Write the path without ~") from None
