"""GloVe: a vector per word, from a file as it is published or through gensim's downloader."""

import gzip
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from n3lib.io.errors import N3Error
from n3lib.text.encoders import make_encoder
from n3lib.text.glove import GloveEncoder
from n3lib.text.tokens import TokenEncoder

VECTORS = "the 0.5 -1 2\nblue 1 2 3\njay -0.25 0 1.5\n, 9 9 9\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_text(VECTORS)
    return path


def test_known_words_in_order_and_nothing_else(file: Path) -> None:
    encoder = GloveEncoder(file)
    assert isinstance(encoder, TokenEncoder)
    assert (encoder.name, encoder.width) == ("glove:vectors.txt", 3)
    first, second, third = encoder.encode(["The Blue-Jay, unheard of", "...", "jay the"])
    assert first.words == ["the", "blue", "jay"]
    assert first.embeddings.tolist() == [[0.5, -1, 2], [1, 2, 3], [-0.25, 0, 1.5]]
    assert second.embeddings.shape == (0, 3) and second.words == []
    assert third.embeddings.tolist() == [[-0.25, 0, 1.5], [0.5, -1, 2]]
    assert first.embeddings.dtype == torch.float16


def test_gzipped_and_with_a_header_it_says_the_same(file: Path, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "vectors.txt.gz", "wt") as packed:
        packed.write(VECTORS)
    (tmp_path / "word2vec.txt").write_text(f"4 3\n{VECTORS}")
    expected = GloveEncoder(file).encode(["the blue jay"])[0]
    for name in ("vectors.txt.gz", "word2vec.txt"):
        encoder = make_encoder(f"glove:{tmp_path / name}")
        got = encoder.encode(["the blue jay"])[0]
        assert got.words == expected.words and torch.equal(got.embeddings, expected.embeddings)


def test_the_revision_follows_the_vectors(file: Path) -> None:
    before = GloveEncoder(file).revision
    assert GloveEncoder(file).revision == before
    file.write_text(VECTORS.replace("1.5", "1.25"))
    assert GloveEncoder(file).revision != before


def test_vectors_are_read_only_to_encode(file: Path) -> None:
    encoder = GloveEncoder(file)
    file.unlink()
    with pytest.raises(N3Error, match="vectors.txt"):
        encoder.encode(["blue"])


def test_only_names_need_gensim(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gensim.downloader", None)
    assert GloveEncoder(file).encode(["blue"])[0].words == ["blue"]
    with pytest.raises(N3Error, match="pip install"):
        make_encoder("glove:glove-tiny")


def test_names_go_to_gensims_downloader(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gensim import downloader

    asked = []

    def load(name: str, return_path: bool) -> str:
        asked.append((name, return_path))
        if name != "glove-tiny":
            raise ValueError("Incorrect model/corpus name")
        return str(file)

    monkeypatch.setattr(downloader, "load", load)
    encoder = make_encoder("glove:glove-tiny")
    assert (encoder.name, encoder.width, asked) == ("glove:glove-tiny", 3, [("glove-tiny", True)])
    with pytest.raises(N3Error, match="'glove-gone' cannot be had"):
        make_encoder("glove:glove-gone")


PUBLISHED = {
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
    encoder = GloveEncoder(tmp_path / "vectors.vec")
    (found,) = encoder.encode(["the blue jay"])
    assert encoder.width == 3 and found.words == ["the", "blue", "jay"]
    assert found.embeddings.tolist() == [[0.5, -1, 2], [1, 2, 3], [-0.25, 0, 1.5]]


@pytest.mark.parametrize("pack_it", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_binary_files_of_word2vec(tmp_path: Path, pack_it) -> None:
    vectors = {"the": [0.5, -1, 2], "New_York": [1, 1, 1], "blue": [1, 2, 3], "jay": [-0.25, 0, 1.5]}
    for end in (b"", b"\n"):  # a line end after each vector: as some programs write it
        rows = [f"{word} ".encode() + struct.pack("<3f", *row) + end for word, row in vectors.items()]
        whole = b"4 3\n" + b"".join(rows)
        (tmp_path / "vectors.bin").write_bytes(pack_it(whole))
        (found,) = GloveEncoder(tmp_path / "vectors.bin").encode(["the blue jay"])
        assert found.words == ["the", "blue", "jay"]
        assert found.embeddings.tolist() == [vectors[word] for word in found.words]
        for wrong in (whole[:-9], whole.replace(b"4 3", b"9 3"), whole.replace(b"4 3", b"3 3")):
            (tmp_path / "wrong.bin").write_bytes(pack_it(wrong))
            with pytest.raises(N3Error, match="wrong.bin"):
                GloveEncoder(tmp_path / "wrong.bin").encode(["the"])


def test_zip_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "glove.one.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.one.3d.txt", VECTORS)
    (found,) = make_encoder(f"glove:{tmp_path / 'glove.one.zip'}").encode(["the jay"])
    assert found.embeddings.tolist() == [[0.5, -1, 2], [-0.25, 0, 1.5]]
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        for width in (50, 300):
            archive.writestr(f"glove.{width}d.txt", VECTORS)
    with pytest.raises(N3Error, match=r"glove.zip.*glove.50d.txt.*glove.300d.txt"):
        GloveEncoder(tmp_path / "glove.zip")


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
    (found,) = GloveEncoder(tmp_path / "vectors.txt").encode([" ".join(f"w{row}" for row in range(200))])
    assert found.embeddings.numpy().tobytes() == expected.vectors.astype(np.float16).tobytes()


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
    ],
)
def test_damaged_files_are_told(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "broken.txt"
    path.write_bytes(content)
    with pytest.raises(N3Error, match=rf"broken.txt.*\b{line}\b") as error:
        GloveEncoder(path).encode(["the blue"])
    assert error.value.remedy


def test_a_cut_archive_and_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(VECTORS.encode())[:-12])
    with pytest.raises(N3Error, match="cut.txt.gz"):
        GloveEncoder(tmp_path / "cut.txt.gz").encode(["the"])
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4" + bytes(40))
    with pytest.raises(N3Error, match="cut.zip"):
        GloveEncoder(tmp_path / "cut.zip")
    for name in ("none.txt", "none.vec", "none.zip", "folder/none", ""):
        with pytest.raises(N3Error, match="there is no file of word vectors"):
            GloveEncoder(tmp_path / name)
    with pytest.raises(N3Error, match="there is no file of word vectors"):
        make_encoder("glove:vectors/none")


def test_the_published_vectors_know_that_birds_are_alike(pack: Path) -> None:
    encoder = GloveEncoder(pack / "weights" / "glove.6B.50d.pruned.txt.gz")
    (found,) = encoder.encode(["sparrow warbler truck"])
    sparrow, warbler, truck = found.embeddings.float()
    alike = torch.nn.functional.cosine_similarity
    assert encoder.width == 50 and alike(sparrow, warbler, 0) > 0.4 > alike(sparrow, truck, 0) + 0.1
