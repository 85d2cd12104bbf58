"""Files of word vectors as they are published.

- Text of lines `word number number ...`: GloVe (https://nlp.stanford.edu/projects/glove/) and fastText. A
  word may have spaces in it, as in glove.840B (`. . .`, `at name@domain.com`): it is what comes before the
  last numbers, of which every line has equally many.
- The same with a first line `words numbers`, and word2vec's binary form, whose vectors are float32
  (https://code.google.com/archive/p/word2vec/).

Each plain, gzipped, or alone in a .zip. The content of a file decides what it is, not its name.
"""

import gzip
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BufferedReader
from itertools import count, islice, takewhile
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float16

from n3lib.io import N3Error

WIDEST = 100_000  # numbers per word
_SAMPLE = 1000  # lines from which the number of numbers is inferred
_LONGEST = 1 << 20  # bytes of a line: 4,096 numbers of 20 digits have a tenth
_AGAIN = "Download it again, or unpack it yourself"
_FORM = "Give a text file of lines `word number number ...`; what a browser saved may be a web page instead"


class VectorFile:
    """A file of word vectors of `width` numbers, of which only the first lines are read at first.

    Raises:
        N3Error: it cannot be read, or its first lines are no word vectors.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._opened() as file:
            sample = list(islice(_lines(file), _SAMPLE))
        first = sample[0][1].split() if sample else []
        # Only word2vec's files begin with a line of their counts: how many words, how many numbers each.
        header = len(first) == 2 and all(field.isdigit() and len(field) < 20 for field in first)
        self._count = int(first[0]) if header else None
        rest = [line for _, line in sample[header:]]
        if not rest:
            raise N3Error(f"word vectors {path}: there is no word in the file", _FORM)
        # Control characters that no text has; any 1,000 bytes of float32 have some.
        self._binary = min(b"".join(rest)) < 9
        if self._binary and not header:
            raise N3Error(f"word vectors {path}: the file is neither text nor word2vec's", _FORM)
        self.width = int(first[1]) if self._binary else Counter(map(_numbers, rest)).most_common(1)[0][0]
        if not 1 <= self.width <= WIDEST:
            number, line = sample[0]
            raise self._error(f"line {number}", f"{_shown(line)} is not a word and its numbers", _FORM)
        if header and self.width != int(first[1]):
            raise self._error("line 1", f"says {int(first[1])} numbers per word, not {self.width}", _AGAIN)

    def read(self, wanted: Callable[[str], bool]) -> dict[str, Float16[np.ndarray, "e"]]:
        """The vectors of the words that are wanted; of a word that occurs twice, the first.

        The whole file is read and checked; only what is wanted needs memory.

        Raises:
            N3Error: a line is not a word and `width` finite numbers that float16 can hold, is not UTF-8, or
                the words are not as many as the file itself says.
        """
        vectors: dict[str, Float16[np.ndarray, "e"]] = {}
        total = 0
        with self._opened() as file:
            for place, word, numbers in self._binary_rows(file) if self._binary else self._text_rows(file):
                total += 1
                with np.errstate(over="ignore"):  # by way of float32, as gensim reads them
                    row = np.asarray(numbers, dtype=np.float32).astype(np.float16)
                if not np.isfinite(row).all():
                    raise self._error(place, "a number is not finite, or beyond 65,504", "Correct this line")
                try:
                    text = word.decode("utf-8")
                except UnicodeDecodeError as error:
                    remedy = "Convert the file to UTF-8, or remove this line"
                    raise self._error(place, str(error), remedy) from None
                if wanted(text):
                    vectors.setdefault(text, row)
        if self._count is not None and total != self._count:
            raise self._error("line 1", f"says {self._count:,} words, but there are {total:,}", _AGAIN)
        return vectors

    def _text_rows(self, file: BufferedIOBase) -> Iterator[tuple[str, bytes, list[float]]]:
        for number, line in islice(_lines(file), self._count is not None, None):
            word, *fields = line.rsplit(None, self.width)
            # One number more is another's mistake, not a word in two parts; `1 2` may be a word.
            *first, last = word.split()
            excess = first and _is_number(last) and not all(map(_is_number, first))
            try:
                numbers = [] if excess else list(map(float, fields))
            except ValueError:
                numbers = []
            if len(numbers) != self.width:
                problem = f"{_shown(line)} is not a word and {self.width} numbers"
                raise self._error(f"line {number}", problem, "Correct or remove this line")
            yield f"line {number}", word, numbers

    def _binary_rows(self, file: BufferedIOBase) -> Iterator[tuple[str, bytes, np.ndarray]]:
        file.readline()
        for number in count(1):
            letters = takewhile(lambda byte: byte != b" ", iter(lambda: file.read(1), b""))
            # Some programs end each vector with a line end, which then precedes the next word.
            if not (word := b"".join(islice(letters, _LONGEST)).lstrip(b"\n")):
                return
            row = file.read(4 * self.width)
            if len(row) < 4 * self.width:
                raise self._error(f"word {number}", "the file ends within it", _AGAIN)
            yield f"word {number}", word, np.frombuffer(row, dtype="<f4")

    def _error(self, place: str, problem: str, remedy: str) -> N3Error:
        return N3Error(f"word vectors {self._path}, {place}: {problem}", remedy)

    @contextmanager
    def _opened(self) -> Iterator[BufferedIOBase]:
        """What the file holds, unpacked."""
        try:
            with self._path.open("rb") as raw, self._unpacked(raw) as file:
                yield file
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
            # RuntimeError: a .zip with a password, or packed in an unknown way.
            raise N3Error(f"word vectors {self._path} cannot be read: {error}", _AGAIN) from None

    def _unpacked(self, raw: BufferedReader) -> BufferedIOBase:
        start = raw.peek(4)
        if start.startswith(b"\x1f\x8b"):
            return gzip.open(raw, "rb")
        if not start.startswith(b"PK\3\4"):
            return raw
        archive = zipfile.ZipFile(raw)
        # A name with a slash at its end is a folder; macOS adds a folder of its own.
        names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
        if len(names) != 1:
            found = f"{len(names)} files, not one: {', '.join(names) or 'none'}"
            raise N3Error(f"word vectors {self._path} holds {found}", "Unpack it and give one of them")
        return cast(BufferedIOBase, archive.open(names[0]))


def _lines(file: BufferedIOBase) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, by their number from 1; a byte order mark is not part of the first."""
    for number, line in enumerate(iter(lambda: file.readline(_LONGEST), b""), 1):
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if line.strip():
            yield number, line


def _shown(line: bytes) -> str:
    return repr(line[:60].decode("utf-8", "replace").strip())


def _numbers(line: bytes) -> int:
    """How many numbers a line ends with; its first field is a word whatever it looks like."""
    return sum(1 for _ in takewhile(_is_number, reversed(line.split()[1:])))


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
