import pytest

from n3lib.io import N3Error
from n3lib.text.encoders import at_place, make_encoder
from n3lib.text.transformer import TransformerEncoder


def test_make_encoder(bert):
    assert make_encoder("words").width == 64
    assert make_encoder("words:128").name == "words:128"
    assert isinstance(make_encoder(str(bert)), TransformerEncoder)


@pytest.mark.parametrize("spec", ["", "words:", "glove:", "elmo:", "words:0", "words:-1", "words:wide"])
def test_names_that_are_cut_short_or_have_no_width(spec):
    with pytest.raises(N3Error, match=spec or "text.encoder"):
        make_encoder(spec)


def test_the_place_of_an_encoder(bert, tmp_path, monkeypatch):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("blue 0.5 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("encoder", "words", "elmo", "glove", "bert-base-uncased"):
        (tmp_path / name).symlink_to(bert)
    for spec in ("words", "words:8", "elmo", "glove", "glove:some-name", "someone/encoder", "vectors.txt"):
        assert at_place(spec) == "", spec
    assert at_place("encoder") == at_place("~/encoder") == str(tmp_path / "encoder")
    assert at_place(str(bert)) == str(bert)
    assert at_place("bert") == str(tmp_path / "bert-base-uncased")  # as `make_encoder` has it
    assert at_place("glove:vectors.txt") == at_place("glove:~/vectors.txt") == f"glove:{vectors}"
    assert at_place("elmo:encoder") == f"elmo:{tmp_path / 'encoder'}"
    for spec in ("encoder", "bert"):
        here, there = make_encoder(spec), make_encoder(at_place(spec))
        assert (here.name, here.revision) == (there.name, there.revision)
