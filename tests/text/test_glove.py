"""GloVe: a vector per word, from a file as it is published or through gensim's downloader."""

import re
import sys
from pathlib import Path

import pytest
import torch

from n3lib.io import N3Error
from n3lib.text.encoders import make_encoder
from n3lib.text.glove import GloveEncoder

VECTORS = "the 0.5 -1 2\nblue 1 2 3\njay -0.25 0 1.5\n, 9 9 9\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_text(VECTORS)
    return path


def test_known_words_in_order_and_nothing_else(file: Path) -> None:
    encoder = GloveEncoder(file)
    assert (encoder.name, encoder.width) == ("glove:vectors.txt", 3)
    first, second, third = encoder.encode(["The Blue-Jay, unheard of", "...", "jay the"])
    assert first.words == ["the", "blue", "jay"]
    assert first.embeddings.tolist() == [[0.5, -1, 2], [1, 2, 3], [-0.25, 0, 1.5]]
    assert second.embeddings.shape == (0, 3) and second.words == []
    assert third.embeddings.tolist() == [[-0.25, 0, 1.5], [0.5, -1, 2]]
    assert first.embeddings.dtype == torch.float16


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
    with pytest.raises(N3Error, match="gensim"):
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
    with pytest.raises(N3Error, match="glove-gone"):
        make_encoder("glove:glove-gone")


@pytest.mark.parametrize("name", ["none.txt", "none.vec", "none.zip", "folder/none", ""])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(N3Error, match=re.escape(str(tmp_path / name))):
        make_encoder(f"glove:{tmp_path / name}")
    with pytest.raises(N3Error, match="vectors/none"):
        make_encoder("glove:vectors/none")


def test_the_published_vectors_know_that_birds_are_alike(pack: Path) -> None:
    encoder = GloveEncoder(pack / "weights" / "glove.6B.50d.pruned.txt.gz")
    (found,) = encoder.encode(["sparrow warbler truck"])
    sparrow, warbler, truck = found.embeddings.float()
    alike = torch.nn.functional.cosine_similarity
    assert encoder.width == 50 and alike(sparrow, warbler, 0) > 0.4 > alike(sparrow, truck, 0) + 0.1
