import json
import shutil

import huggingface_hub.constants
import numpy as np
import pytest
import torch

from n3lib.io import torchvision  # noqa: F401
from n3lib.io.errors import N3Error
from n3lib.text.encoders import at_place, make_encoder
from n3lib.text.transformer import TransformerEncoder
from n3lib.text.words import WordEncoder

SENTENCES = [
    "A blue jay .",
    "blue",
    "",
    "the blue jay is a noisy bluejay and the crest is blue , blue .",
    "?",
]


@pytest.fixture(scope="module")
def encoder(bert):
    return TransformerEncoder(bert)


@pytest.fixture
def copy(bert, tmp_path):
    return shutil.copytree(bert, tmp_path / bert.name)


def test_words():
    encoder = WordEncoder(8)
    first, second = encoder.encode(["The Bird's blue-gray bird, 3 m; ÉTÉ_x 'quoted'", "..."])
    assert first.words == ["the", "bird's", "blue-gray", "bird", "3", "m", "été", "x", "quoted"]
    assert first.embeddings.shape == (9, 8) and first.embeddings.dtype == torch.float16
    assert second.words == [] and second.embeddings.shape == (0, 8)
    assert encoder.encode([]) == []


def test_a_word_has_one_vector_everywhere():
    one, two = (WordEncoder(64).encode([text])[0].embeddings for text in ("blue jay", "A BLUE bird"))
    torch.testing.assert_close(one[0], two[1], rtol=0, atol=0)
    assert one[0, :4].tolist() == [-0.51220703125, 0.130615234375, -0.416015625, 0.28173828125]


def test_word_vectors_are_unit_gaussian_and_nearly_orthogonal():
    vectors = (
        WordEncoder(256).encode([" ".join(f"word{i}" for i in range(400))])[0].embeddings.float().numpy()
    )
    assert abs(vectors.mean()) < 0.02 and abs(vectors.std() - 1) < 0.02
    cosines = np.corrcoef(vectors) - np.eye(400)
    assert abs(cosines).max() < 0.35


def test_word_revision_follows_the_width():
    assert WordEncoder(8).revision == WordEncoder(8).revision != WordEncoder(9).revision


def test_make_encoder(bert):
    assert make_encoder("words").width == 64
    assert make_encoder("words:128").name == "words:128"
    assert isinstance(make_encoder(str(bert)), TransformerEncoder)
    for spec in ("words:", "glove:", "elmo:"):
        with pytest.raises(N3Error, match="is cut short"):
            make_encoder(spec)
    for spec in ("words:0", "words:-1", "words:wide"):
        with pytest.raises(N3Error, match="width.*words:128"):
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


def test_transformer(encoder):
    encoded = encoder.encode(SENTENCES)
    assert encoder.name == "tiny-bert" and encoder.width == 16
    assert [one.words for one in encoded[:3]] == [["a", "blue", "jay", "."], ["blue"], []]
    assert encoded[3].words[4:8] == ["a", "noisy", "blue", "##jay"]
    assert encoded[4].words == ["[UNK]"]  # unknown, but not special: it stands for a word
    for one in encoded:
        assert one.embeddings.shape == (len(one.words), 16) and one.embeddings.dtype == torch.float16
        assert not one.embeddings.requires_grad
    assert encoder.encode([]) == []


def test_special_tokens_are_dropped_and_the_rest_is_what_the_model_says(bert, encoder):
    from transformers import AutoModel, AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(bert)("a blue jay", return_tensors="pt")
    with torch.no_grad():
        expected = AutoModel.from_pretrained(bert).eval()(**inputs).last_hidden_state[0, 1:-1]
    torch.testing.assert_close(
        encoder.encode(["a blue jay"])[0].embeddings.float(), expected, rtol=0, atol=2e-3
    )


@pytest.mark.parametrize("batch", [1, 2, 32])
def test_batching_changes_nothing(encoder, batch, monkeypatch):
    monkeypatch.setattr(encoder, "batch", batch)
    together = encoder.encode(SENTENCES * 2)
    alone = [encoder.encode([sentence])[0] for sentence in SENTENCES]
    for one, other in zip(together, alone * 2, strict=True):
        assert one.words == other.words
        torch.testing.assert_close(one.embeddings, other.embeddings, rtol=1e-3, atol=1e-3)


def test_long_texts_are_read_in_windows(encoder):
    long = "a noisy blue jay . " * 10  # 50 pieces; the model reads 22 at once, besides [CLS] and [SEP]
    words = encoder.encode([long])[0].words
    assert words == ["a", "noisy", "blue", "jay", "."] * 10
    together = encoder.encode(["blue", long, "jay"])[1]
    assert together.words == words and together.embeddings.shape == (len(words), 16)
    for start in range(0, len(words), 22):
        window = encoder.encode([encoder._tokenizer.convert_tokens_to_string(words[start : start + 22])])[0]
        torch.testing.assert_close(
            together.embeddings[start : start + 22], window.embeddings, rtol=0, atol=2e-3
        )


def test_weights_are_loaded_only_to_encode(bert):
    encoder = TransformerEncoder(bert)
    assert encoder._model is None
    encoder.encode(["a"])
    assert encoder._model is not None


def test_half_precision_weights_run_in_float32(copy, encoder):
    from transformers import AutoModel

    AutoModel.from_pretrained(copy).half().save_pretrained(copy)
    half = TransformerEncoder(copy)
    one, other = half.encode(SENTENCES)[3], encoder.encode(SENTENCES)[3]
    assert next(half._model.parameters()).dtype == torch.float32
    torch.testing.assert_close(one.embeddings, other.embeddings, rtol=0, atol=1e-2)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_revision_follows_the_files_not_the_place(copy, encoder, file):
    assert TransformerEncoder(copy).revision == encoder.revision
    raw = (copy / file).read_bytes()
    (copy / file).write_bytes(raw[:-1] + b"\x01" if file.startswith("model") else raw + b"\n")
    assert TransformerEncoder(copy).revision != encoder.revision


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_folder_without_its_files(copy, file):
    (copy / file).unlink()
    with pytest.raises(N3Error, match="has no (config|weights).*Give a folder with config.json"):
        TransformerEncoder(copy)


def test_broken_folder(copy):
    (copy / "config.json").write_text(json.dumps({"model_type": "no such model"}))
    with pytest.raises(N3Error, match="cannot be loaded") as error:
        TransformerEncoder(copy)
    assert "\n" not in str(error.value)


def test_broken_weights(copy):
    (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(N3Error, match="cannot be loaded"):
        TransformerEncoder(copy).encode(["a"])


def test_no_folder(tmp_path):
    with pytest.raises(N3Error, match="nowhere is no folder"):
        TransformerEncoder(tmp_path / "nowhere")


def test_unknown_name_without_network(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(N3Error, match="n3lib/no-such-encoder cannot be loaded.*or use `words`") as error:
        make_encoder("n3lib/no-such-encoder")
    assert "\n" not in str(error.value)


def test_a_name_on_the_hub_is_pinned_to_its_commit(bert, monkeypatch):
    from transformers import AutoConfig

    asked = []

    def from_pretrained(name, **options):
        asked.append((name, options))
        config = original(bert)
        config._commit_hash = "c0ffee"
        return config

    original = AutoConfig.from_pretrained
    monkeypatch.setattr(AutoConfig, "from_pretrained", from_pretrained)
    encoder = TransformerEncoder("someone/encoder")
    assert encoder.name == "someone/encoder" and len(encoder.revision) == 64
    assert asked == [("someone/encoder", {"trust_remote_code": False})]
    assert encoder._options == {"revision": "c0ffee"}


def test_minilm(pack):
    encoder = make_encoder(str(pack / "weights" / "minilm-l6-bert"))
    texts = ["a blue bird with a crest .", "a yellow-bellied flycatcher"]
    encoded = encoder.encode(texts)
    assert encoder.width == 384
    assert [one.embeddings.shape for one in encoded] == [(7, 384), (len(encoded[1].words), 384)]
    alone = encoder.encode(texts[:1])[0]
    torch.testing.assert_close(encoded[0].embeddings, alone.embeddings, rtol=1e-3, atol=1e-3)
