"""GloVe: a vector per word, from a file as it is published or through gensim's downloader."""

import gzip
import sys
from pathlib import Path

import pytest
import torch

from n3lib.errors import N3Error
from n3lib.text.encoders import make_encoder
from n3lib.text.glove import GloveEncoder
from n3lib.text.tokens import TokenEncoder

# gensim leaves the file that it reads to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed file"
)

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


def test_vectors_are_read_only_to_encode(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = GloveEncoder(file)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(N3Error, match="GloVe needs gensim.*pip install"):
        encoder.encode(["blue"])


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read: the first line holds no vector"),
        (b"the\n", "cannot be read"),
        (b"\xff\xfe 1 2\n", "cannot be read"),
        (b"the 1 2 3\nblue 1 2\n", "cannot be read"),
        (b"the 1 2 3\nblue 1 2 x\n", "cannot be read"),
    ],
)
def test_damaged_files_are_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.txt"
    path.write_bytes(content)
    with pytest.raises(N3Error, match=f"broken.txt {message}"):
        GloveEncoder(path).encode(["the blue"])


def test_a_cut_archive_and_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(VECTORS.encode())[:-12])
    with pytest.raises(N3Error, match="cut.txt.gz cannot be read"):
        GloveEncoder(tmp_path / "cut.txt.gz").encode(["the"])
    with pytest.raises(N3Error, match="there is no file of word vectors"):
        GloveEncoder(tmp_path / "none.txt")


def test_the_published_vectors_know_that_birds_are_alike(pack: Path) -> None:
    encoder = GloveEncoder(pack / "weights" / "glove.6B.50d.pruned.txt.gz")
    (found,) = encoder.encode(["sparrow warbler truck"])
    sparrow, warbler, truck = found.embeddings.float()
    alike = torch.nn.functional.cosine_similarity
    assert encoder.width == 50 and alike(sparrow, warbler, 0) > 0.4 > alike(sparrow, truck, 0) + 0.1
