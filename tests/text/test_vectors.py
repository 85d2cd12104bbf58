"""Files of word vectors as they are published, and as they are damaged."""

import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from n3lib.io import N3Error
from n3lib.text.vectors import VectorFile

VECTORS = "the 0.5 -1 2\nblue 1 2 3\njay -0.25 0 1.5\n, 9 9 9\n"
BIRDS = {"the": [0.5, -1, 2], "blue": [1, 2, 3], "jay": [-0.25, 0, 1.5]}


def zipped(*files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._glove", b"")
        for number, content in enumerate(files):
            archive.writestr(f"folder/glove.{number}.txt", content)
    return out.getvalue()


def binary(end: bytes = b"", counts: bytes = b"4 3") -> bytes:
    """In word2vec's form; `end` after each vector, as some programs write it."""
    vectors = BIRDS | {"New_York": [1, 1, 1]}
    rows = [f"{word} ".encode() + struct.pack("<3f", *row) + end for word, row in vectors.items()]
    return counts + b"\n" + b"".join(rows)


PUBLISHED = {
    "gzipped": gzip.compress(VECTORS.encode()),
    "zipped": zipped(VECTORS.encode()),
    "a header": f"4 3\n{VECTORS}".encode(),
    "binary": binary(),
    "binary, gzipped": gzip.compress(binary()),
    "binary with line ends": binary(b"\n"),
    "binary with line ends, zipped": zipped(binary(b"\n")),
    "tokens with spaces": b". . . 7 7 7\nat name@domain.com 8 8 8\n" + VECTORS.encode(),
    "numbers as words": b"3 7 7 7\n1 2 8 8 8\nnan 6 6 6\n" + VECTORS.encode(),
    "Windows line ends": VECTORS.replace("\n", "\r\n").encode(),
    "a space at the end of each line": VECTORS.replace("\n", " \n").encode(),
    "a byte order mark": b"\xef\xbb\xbf" + VECTORS.encode(),
    "a byte order mark before a header": b"\xef\xbb\xbf4 3\n" + VECTORS.encode(),
    "a blank line at the end": VECTORS.encode() + b"\n\n",
    "no line end at the end": VECTORS.encode().rstrip(),
    "a word twice: the first counts": VECTORS.encode() + b"the 7 7 7\n",
    "other line ends of Unicode in a word": "\u2028 7 7 7\n\x85 8 8 8\n".encode() + VECTORS.encode(),
}


@pytest.mark.parametrize("content", PUBLISHED.values(), ids=PUBLISHED)
def test_what_is_published_is_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vectors.vec").write_bytes(content)
    file = VectorFile(tmp_path / "vectors.vec")
    found = file.read(BIRDS.__contains__)
    assert file.width == 3 and {word: row.tolist() for word, row in found.items()} == BIRDS
    assert {row.dtype for row in found.values()} == {np.dtype(np.float16)}


@pytest.mark.filterwarnings(  # gensim leaves the file that it reads to the garbage collector
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed file"
)
@pytest.mark.parametrize("header", [True, False])
def test_numbers_are_those_of_gensim(tmp_path: Path, header: bool) -> None:
    models = pytest.importorskip("gensim.models")
    numbers = np.random.default_rng(0).normal(0, 3, (200, 25))
    lines = [
        f"w{row} " + " ".join(f"{number:.{row % 9 + 1}g}" for number in numbers[row]) for row in range(200)
    ]
    text = "\n".join([*(["200 25"] if header else []), *lines])
    (tmp_path / "vectors.txt").write_text(text + "\n")
    expected = models.KeyedVectors.load_word2vec_format(tmp_path / "vectors.txt", no_header=not header)
    found = VectorFile(tmp_path / "vectors.txt").read(lambda word: True)
    assert list(found) == expected.index_to_key
    assert np.stack([*found.values()]).tobytes() == expected.vectors.astype(np.float16).tobytes()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", ""),
        (b"\n\n", ""),
        (b"the\n", "line 1"),
        (b"<!DOCTYPE html>\n<html><head>\n", "line 1"),
        (b"\xff\xfe 1 2\n", "line 1"),
        ("the 1 2\n".encode("utf-16"), ""),
        (b"the 1 2 3\ncaf\xe9 1 2 3\n", "line 2"),
        (b"the 1 2 3\nblue 1 2\n", "line 2"),
        (b"the 1 2 3\nblue\n", "line 2"),
        (b"the 1 2 3\n1 2 3\n", "line 2"),
        (b"the 1 2 3\nblue 1 2 3 4\njay 1 2 3\n", "line 2"),
        (b"the 1 2 3\nblue 1 2 x\n", "line 2"),
        (b"the 1 2 3\nblue 1 nan 3\n", "line 2"),
        (b"the 1 2 3\nblue 1 -inf 3\n", "line 2"),
        (b"the 1 2 3\nblue 1 70000 3\n", "line 2"),  # too large for 16 bits
        (b"2 4\nthe 1 2 3\nblue 1 2 3\n", "line 1"),
        (b"2 0\nthe 1 2 3\nblue 1 2 3\n", "line 1"),
        (b"3 3\nthe 1 2 3\nblue 1 2 3\n", "line 1"),
        (b"1 3\nthe 1 2 3\nblue 1 2 3\n", "line 1"),
        (b"2 3\n", ""),
        (b"\xba\x16O/\x0c\0\0\0\x05\0\0\0", ""),  # a model of fastText
        (b"9" * 5000 + b" 3\nthe 1 2 3\n", "line"),
        (binary()[:-9], "word 4"),
        (gzip.compress(binary()[:-9]), "word 4"),
        (binary(counts=b"9 3"), ""),
        (binary(counts=b"3 3"), "line 1"),
        (gzip.compress(VECTORS.encode())[:-12], ""),
        (b"PK\3\4" + bytes(40), ""),
        (zipped(VECTORS.encode(), VECTORS.encode()), "glove.0.txt.*glove.1.txt"),
        (zipped(), "none"),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "broken.txt"
    path.write_bytes(content)
    with pytest.raises(N3Error, match=rf"broken.txt.*\b{line}\b") as error:
        VectorFile(path).read(lambda word: True)
    assert error.value.remedy
