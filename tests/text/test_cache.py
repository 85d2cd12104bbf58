from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from n3lib.io import N3Error
from n3lib.io.tensors import read_tensors
from n3lib.text.bank import Encoded
from n3lib.text.cache import encode_cached, encode_texts
from n3lib.text.words import WordEncoder

TEXT = ["A blue jay.", "...", "It sings."]


class Counting(WordEncoder):
    """Notes which sentences it was asked for."""

    def __init__(self, width: int = 8) -> None:
        super().__init__(width)
        self.asked: list[str] = []

    def encode(self, sentences):
        self.asked += sentences
        return super().encode(sentences)


@pytest.fixture
def encoder():
    return Counting()


def same(one: list[Encoded], other: list[Encoded]) -> bool:
    return all(
        a.words == b.words
        and a.embeddings.dtype == b.embeddings.dtype
        and torch.equal(a.embeddings, b.embeddings)
        for a, b in zip(one, other, strict=True)
    )


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_second_time_from_disk(encoder, tmp_path):
    first = encode_cached(encoder, TEXT, tmp_path)
    second = encode_cached(encoder, TEXT, tmp_path)
    assert encoder.asked == TEXT and same(first, second)
    (file,) = files(tmp_path)
    tensors, _ = read_tensors(file)
    assert tensors["embeddings"].dtype == torch.float16


def test_tokens(encoder, tmp_path):
    assert same(encode_cached(encoder, TEXT, tmp_path), WordEncoder(8).encode(TEXT))


def test_whatever_changes_misses(encoder, tmp_path):
    encode_cached(encoder, TEXT, tmp_path)
    for sentences in [["A blue jays.", *TEXT[1:]], TEXT[:2], ["A blue jay....", TEXT[2]], TEXT[::-1]]:
        encoder.asked.clear()
        encode_cached(encoder, sentences, tmp_path)
        assert encoder.asked == sentences


@pytest.mark.parametrize("attribute", ["name", "revision"])
def test_another_encoder_never_reads_the_entry(tmp_path, attribute):
    encode_cached(Counting(), TEXT, tmp_path)
    other = Counting()
    setattr(other, attribute, "other")
    encode_cached(other, TEXT, tmp_path)
    assert other.asked == TEXT and len(files(tmp_path)) == 2


def test_an_entry_under_a_wrong_name_is_not_read(encoder, tmp_path):
    encode_cached(encoder, TEXT, tmp_path)
    (file,) = files(tmp_path)
    encode_cached(encoder, TEXT[:1], tmp_path)
    (other,) = set(files(tmp_path)) - {file}
    other.write_bytes(file.read_bytes())
    assert same(encode_cached(encoder, TEXT[:1], tmp_path), WordEncoder(8).encode(TEXT[:1]))


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "flipped bit"])
def test_a_damaged_file_is_made_again(encoder, tmp_path, damage):
    first = encode_cached(encoder, TEXT, tmp_path)
    (file,) = files(tmp_path)
    raw = file.read_bytes()
    flipped = raw[:-1] + bytes([raw[-1] ^ 1])
    file.write_bytes({"empty": b"", "cut": raw[:-5], "text": b"{}", "flipped bit": flipped}[damage])
    assert same(encode_cached(encoder, TEXT, tmp_path), first)
    assert encoder.asked == TEXT * 2 and len(files(tmp_path)) == 1


def test_many_writers(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        all_of_them = list(pool.map(lambda _: encode_cached(Counting(), TEXT, tmp_path), range(24)))
    assert all(same(one, all_of_them[0]) for one in all_of_them)
    assert len(files(tmp_path)) == 1


def test_all_classes(encoder, tmp_path):
    encoded = encode_texts(encoder, [TEXT, ["Red."], []], tmp_path)
    assert [[one.words for one in sentences] for sentences in encoded] == [
        [["a", "blue", "jay"], [], ["it", "sings"]],
        [["red"]],
        [],
    ]


def test_default_folder(encoder, tmp_path, monkeypatch):
    monkeypatch.setenv("N3_CACHE", str(tmp_path))
    encode_cached(encoder, TEXT)
    assert len(files(tmp_path / "text")) == 1


def test_faults(encoder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(N3Error, match="N3_CACHE"):
        encode_cached(encoder, TEXT, tmp_path / "file")
