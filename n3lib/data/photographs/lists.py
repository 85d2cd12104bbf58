"""The lists that datasets of photographs come with, as text files: of classes, of images and of labels."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from n3lib.data.fetch.unpack import leads_out
from n3lib.io import N3Error
from n3lib.io.files import read_text, sha256


class Index(NamedTuple):
    """What the lists of a dataset say.

    Attributes:
        classes: official class names; the index in this tuple is the class id.
        labels: class ids, int64 `(N,)`.
        content: SHA-256 of the lists, wherever they lie.
    """

    folder: Path
    classes: tuple[str, ...]
    paths: list[Path]
    labels: np.ndarray
    content: str


@dataclass(frozen=True)
class Lists:
    """Reads the lists in the `folder` of a dataset, each named by its path there.

    Every method raises an N3Error where a list cannot be read or is malformed; it ends with the `remedy`.
    """

    folder: Path
    remedy: str

    @classmethod
    def find(cls, root: Path, remedy: str, lists: tuple[str, ...], *names: str) -> "Lists":
        """The lists in `root` or in the first of the folders `names` in it that has any of `lists`."""
        for folder in (root, *(root / name for name in names)):
            if any((folder / name).is_file() for name in lists):
                return cls(folder, remedy)
        raise N3Error(f"no {names[0]} in {root}: {lists[0]} is missing", remedy)

    def error(self, name: str, problem: str) -> N3Error:
        """An error that begins with the path of a list or folder."""
        return N3Error(f"{self.folder / name}{problem}", self.remedy)

    def lines(self, name: str) -> list[tuple[int, str]]:
        """The lines of a list that are not blank, stripped, with their numbers."""
        if not (self.folder / name).exists():
            raise self.error(name, " does not exist")
        lines = enumerate(read_text(self.folder / name).splitlines(), 1)
        found = [(number, line.strip()) for number, line in lines if line.strip()]
        if not found:
            raise self.error(name, " is empty")
        return found

    def pairs(self, name: str, numbered: bool = True, spaces: bool = False) -> dict[str, str]:
        """Lines of `id value` as `{id: value}`, in the order of the file; no id may be there twice.

        Ids that are `numbered` lose leading zeros; values may have `spaces` in them.
        """
        found: dict[str, str] = {}
        for number, line in self.lines(name):
            fields = line.split(maxsplit=1) if spaces else line.split()
            if len(fields) != 2 or (numbered and not fields[0].isdecimal()):
                raise self.error(name, f", line {number}: {line[:80]!r} is not `id value`")
            key = str(int(fields[0])) if numbered else fields[0]
            if key in found:
                raise self.error(name, f", line {number}: id {key} is there twice")
            found[key] = fields[1]
        return found

    def classes(self, name: str) -> tuple[str, ...]:
        """The values of a list whose ids run from 1."""
        pairs = self.pairs(name)
        if list(pairs) != [str(number) for number in range(1, len(pairs) + 1)]:
            raise self.error(name, f": class ids do not run from 1 to {len(pairs)}")
        return tuple(pairs.values())

    def labels(
        self, name: str, images: dict[str, str], numbered: bool = True, spaces: bool = False
    ) -> dict[str, str]:
        """`pairs` of a list about the images of `images.txt`, in the order of these; refused if of others."""
        pairs = self.pairs(name, numbered, spaces)
        if pairs.keys() != images.keys():
            odd = min(pairs.keys() ^ images.keys())
            raise self.error(name, f" and images.txt do not agree on image {odd}")
        return {image: pairs[image] for image in images}

    def paths(self, below: str, names: Iterable[str], listed_in: str) -> list[Path]:
        """What the list `listed_in` names in the folder `below`; refused if a name may lead out of it."""
        names = list(names)
        if odd := next(filter(leads_out, names), None):
            raise self.error(listed_in, f" has a name that leads out of {self.folder / below}: {odd[:80]!r}")
        return [self.folder / below / name for name in names]

    def index(
        self,
        classes: Iterable[str],
        paths: list[Path],
        labels: Iterable[int],
        *content: str,
        more: Iterable[str] = (),
    ) -> Index:
        """What the lists say; `content` names those that were read, `more` is what else says the same."""
        digest = sha256(*((self.folder / name).read_bytes() for name in content), *more)
        return Index(self.folder, tuple(classes), paths, np.array(list(labels), dtype=np.int64), digest)
