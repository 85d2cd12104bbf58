import shutil

import huggingface_hub.constants
import pytest
import torch

from n3lib.io import N3Error, torchvision  # noqa: F401
from n3lib.text.encoders import make_encoder
from n3lib.text.transformer import TransformerEncoder

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
    monkeypatch.setattr("n3lib.text.transformer.BATCH", batch)
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
        window = encoder.encode([" ".join(words[start : start + 22])])[0]
        torch.testing.assert_close(
            together.embeddings[start : start + 22], window.embeddings, rtol=0, atol=2e-3
        )


def test_weights_are_loaded_only_to_encode(copy):
    encoder = TransformerEncoder(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(N3Error, match="tiny-bert"):
        encoder.encode(["a"])


def test_half_precision_weights_run_in_float32(copy, encoder, monkeypatch):
    from transformers import AutoModel, BertModel

    AutoModel.from_pretrained(copy).half().save_pretrained(copy)
    computed, forward = [], BertModel.forward

    def watched(*given, **named):
        found = forward(*given, **named)
        computed.append(found.last_hidden_state.dtype)
        return found

    monkeypatch.setattr(BertModel, "forward", watched)
    one, other = TransformerEncoder(copy).encode(SENTENCES)[3], encoder.encode(SENTENCES)[3]
    assert set(computed) == {torch.float32}
    torch.testing.assert_close(one.embeddings, other.embeddings, rtol=0, atol=1e-2)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_revision_follows_the_files_not_the_place(copy, encoder, file):
    assert TransformerEncoder(copy).revision == encoder.revision
    raw = (copy / file).read_bytes()
    (copy / file).write_bytes(raw[:-1] + b"\x01" if file.startswith("model") else raw + b"\n")
    assert TransformerEncoder(copy).revision != encoder.revision


@pytest.mark.parametrize(
    ("file", "content", "word"),
    [
        ("config.json", None, "config.json"),
        ("model.safetensors", None, "safetensors"),
        ("config.json", b'{"model_type": "no such model"}', "tiny-bert"),
        ("model.safetensors", b"nothing", "tiny-bert"),
    ],
)
def test_faults_of_a_folder(copy, file, content, word):
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_bytes(content)
    with pytest.raises(N3Error, match=word) as error:
        TransformerEncoder(copy).encode(["a"])
    assert "model.safetensors" in error.value.remedy and "\n" not in str(error.value)


def test_no_folder(tmp_path):
    with pytest.raises(N3Error, match="nowhere"):
        TransformerEncoder(tmp_path / "nowhere")


def test_unknown_name_without_network(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(N3Error, match="n3lib/no-such-encoder.*`words`") as error:
        make_encoder("n3lib/no-such-encoder")
    assert "\n" not in str(error.value)


def test_a_name_on_the_hub_is_pinned_to_its_commit(bert, monkeypatch):
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    asked = []

    def pretend(part, found):
        def from_pretrained(name, **options):
            asked.append((part.__name__, name, options))
            return found

        monkeypatch.setattr(part, "from_pretrained", from_pretrained)

    loaded = [(part, part.from_pretrained(bert)) for part in (AutoConfig, AutoModel, AutoTokenizer)]
    loaded[0][1]._commit_hash = "c0ffee"
    for part, found in loaded:
        pretend(part, found)
    encoder = TransformerEncoder("someone/encoder")
    assert encoder.name == "someone/encoder" and len(encoder.revision) == 64
    assert asked == [("AutoConfig", "someone/encoder", {"trust_remote_code": False})]
    encoder.encode(["a"])
    assert {name for _, name, _ in asked} == {"someone/encoder"}
    for part, _, options in asked[1:]:
        assert options["revision"] == "c0ffee" and not options["trust_remote_code"]
        assert part != "AutoModel" or options["use_safetensors"]


def test_minilm(pack):
    encoder = make_encoder(str(pack / "weights" / "minilm-l6-bert"))
    texts = ["a blue bird with a crest .", "a yellow-bellied flycatcher"]
    encoded = encoder.encode(texts)
    assert encoder.width == 384
    assert [one.embeddings.shape for one in encoded] == [(7, 384), (len(encoded[1].words), 384)]
    alone = encoder.encode(texts[:1])[0]
    torch.testing.assert_close(encoded[0].embeddings, alone.embeddings, rtol=1e-3, atol=1e-3)
