"""ELMo. What computes runs in ELMo's own environment, in one process, and is compared here."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from n3lib.io import N3Error
from n3lib.text.cache import encode_cached
from n3lib.text.elmo import FILES, OFFICIAL, ElmoEncoder, batches, tokenize
from n3lib.text.encoders import make_encoder

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-elmo/bin/python"
SENTENCES = [
    "The blue jay's crest isn't red, but the 3.5-inch bill is.",
    "",
    "Blue",
    "blue",
    "ÉTÉ – “" + "long" * 15 + "”",  # a word of more than the 48 bytes that are read
    "It sings.",
    "A jay: it sings all day; the crest is blue, the back is blue and the tail is blue.",
]
LONG = "the jay sings and " * 500  # 2,000 tokens
CASES = ("first", "again", "reversed", "alone", "small")
# A tiny model, whose clips are so tight that they matter.
OPTIONS = {
    "lstm": {
        "use_skip_connections": True,
        "projection_dim": 6,
        "cell_clip": 0.5,
        "proj_clip": 0.6,
        "dim": 10,
        "n_layers": 2,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 4], [2, 3], [3, 5]],
        "n_highway": 2,
        "embedding": {"dim": 4},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}


def arrays():
    """Random weights under the names, and in the shapes, that AllenNLP's files have."""
    rng = np.random.default_rng(3)
    filters, width = OPTIONS["char_cnn"]["filters"], OPTIONS["char_cnn"]["embedding"]["dim"]
    dim, projection = OPTIONS["lstm"]["dim"], OPTIONS["lstm"]["projection_dim"]
    total = sum(number for _, number in filters)
    shapes = {
        "char_embed": (261, width),
        "CNN_proj/W_proj": (total, projection),
        "CNN_proj/b_proj": (projection,),
    }
    for i, (size, number) in enumerate(filters):
        shapes |= {f"CNN/W_cnn_{i}": (1, size, width, number), f"CNN/b_cnn_{i}": (number,)}
    for i in range(OPTIONS["char_cnn"]["n_highway"]):
        for kind in ("transform", "carry"):
            shapes |= {f"CNN_high_{i}/W_{kind}": (total, total), f"CNN_high_{i}/b_{kind}": (total,)}
    for direction in range(2):
        for layer in range(OPTIONS["lstm"]["n_layers"]):
            cell = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            shapes |= {
                f"{cell}/W_0": (2 * projection, 4 * dim),
                f"{cell}/B": (4 * dim,),
                f"{cell}/W_P_0": (dim, projection),
            }
    return {name: (0.6 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def in_elmos_environment(folder, out, work):
    """Runs there, as a script: it writes the model and everything that is compared."""
    import json
    from pathlib import Path

    import h5py
    import numpy as np
    import torch

    import n3lib.cli.commands  # noqa: F401  (`n3 data embed` starts there)
    from n3lib.io import N3Error
    from n3lib.text import elmo
    from n3lib.text.cache import encode_cached

    work = json.loads(work)
    sentences = work["sentences"]
    torch.set_num_threads(1)

    def write(folder, options):
        folder = Path(folder)
        folder.mkdir()
        (folder / "tiny_options.json").write_text(json.dumps(options))
        with h5py.File(folder / "tiny_weights.hdf5", "w") as file, np.load(work["arrays"]) as arrays:
            for name in arrays.files:
                file[name] = arrays[name]
        return folder

    def fault(folder):
        try:
            elmo.ElmoEncoder(folder).encode(["a"])
        except N3Error as error:
            return str(error)

    write(folder, work["options"])
    encoder = elmo.ElmoEncoder(folder)
    found = {"first": encoder.encode(sentences), "again": encoder.encode(sentences)}
    found["reversed"] = encoder.encode(sentences[::-1])[::-1]
    found["alone"] = [encoder.encode([sentence])[0] for sentence in sentences]
    found["long"] = encoder.encode([work["long"]])
    elmo.BATCH = 8
    found["small"] = encoder.encode(sentences)
    encode_cached(encoder, sentences, work["cache"])
    from allennlp.modules import elmo as allennlp_elmo  # after the encoder: it prepares the import

    tensors = {f"{case} {i}": one.embeddings.numpy() for case in found for i, one in enumerate(found[case])}
    files = f"{folder}/tiny_options.json", f"{folder}/tiny_weights.hdf5"
    model = allennlp_elmo.Elmo(*files, num_output_representations=1, dropout=0.0).eval()
    characters = allennlp_elmo.batch_to_ids([elmo.tokenize(sentences[0])])
    with torch.no_grad():
        for case in ("not reset", "carried over"):
            tensors[case] = model(characters)["elmo_representations"][0][0].numpy()
    np.savez(out + ".npz", **tensors)

    elmo.LONGEST = 5
    told = {
        "words": {case: [one.words for one in found[case]] for case in found},
        "cut": elmo.ElmoEncoder(folder).encode(sentences)[0].words,
        "revision": encoder.revision,
    }
    other = json.loads(json.dumps(work["options"]))
    other["lstm"]["dim"] += 1
    told["unlike"] = fault(write(folder + "-unlike", other))
    del other["char_cnn"]
    told["less"] = fault(write(folder + "-less", other))
    (write(folder + "-text", work["options"]) / "tiny_weights.hdf5").write_text("no weights")
    told["text"] = fault(folder + "-text")
    Path(out + ".json").write_text(json.dumps(told))


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """What ELMo's environment computed: the model's folder, the cache, arrays and words."""
    if not PYTHON.is_file():
        pytest.skip("needs ELMo's environment: make .venv-elmo/installed")
    path = tmp_path_factory.mktemp("elmo")
    np.savez(path / "arrays.npz", **arrays())
    work = {"sentences": SENTENCES, "long": LONG, "options": OPTIONS}
    work |= {"arrays": str(path / "arrays.npz"), "cache": str(path / "cache")}
    script = f"import sys\n{inspect.getsource(in_elmos_environment)}\nin_elmos_environment(*sys.argv[1:])"
    command = [PYTHON, "-W", "error", "-c", script, path / "tiny", path / "out", json.dumps(work)]
    environment = os.environ | {"ALLENNLP_CACHE_ROOT": str(path / "allennlp"), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1800)
    assert run.returncode == 0, run.stderr
    with np.load(path / "out.npz") as found:
        tensors = dict(found)
    return path / "tiny", path / "cache", tensors, json.loads((path / "out.json").read_text())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def spell(word):
    """A word as 50 symbols: begin, its bytes, end, padding. Here 1 and 2 stand for the sentence's bounds."""
    raw = [256 + word] if isinstance(word, int) else list(word.encode())[:48]
    symbols = [258, *raw, 259]
    return symbols + [260] * (50 - len(symbols))


def spelled_out(weights, words):
    """ELMo by the book, in double precision, one token and one step after another: `(L, 12)`."""
    weights = {name: array.astype(np.float64) for name, array in weights.items()}
    filters = OPTIONS["char_cnn"]["filters"]
    tokens = []
    for word in (0, *words, 1):
        letters = weights["char_embed"][spell(word)]  # (50, 4)
        parts = []
        for i, (size, _) in enumerate(filters):
            windows = np.stack([letters[at : at + size] for at in range(50 - size + 1)])  # (P, size, 4)
            convolved = np.einsum("psd,sdn->pn", windows, weights[f"CNN/W_cnn_{i}"][0])
            parts.append(np.maximum(convolved.max(axis=0) + weights[f"CNN/b_cnn_{i}"], 0))
        x = np.concatenate(parts)
        for i in range(OPTIONS["char_cnn"]["n_highway"]):
            high = {
                name: weights[f"CNN_high_{i}/{name}"]
                for name in ("W_carry", "b_carry", "W_transform", "b_transform")
            }
            carry = sigmoid(x @ high["W_carry"] + high["b_carry"])
            new = np.maximum(x @ high["W_transform"] + high["b_transform"], 0)
            x = carry * new + (1 - carry) * x
        tokens.append(x @ weights["CNN_proj/W_proj"] + weights["CNN_proj/b_proj"])

    layers = [np.concatenate([tokens, tokens], axis=1)]  # each (2 + L, 12)
    directions = ([*tokens], [*reversed(tokens)])
    for layer in range(OPTIONS["lstm"]["n_layers"]):
        read = []
        for direction, inputs in enumerate(directions):
            cell = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            read.append(run_lstm(inputs, *(weights[f"{cell}/{name}"] for name in ("W_0", "B", "W_P_0"))))
            if layer > 0:
                read[-1] = [new + old for new, old in zip(read[-1], inputs, strict=True)]
        directions = read
        layers.append(np.concatenate([read[0], read[1][::-1]], axis=1))
    return np.mean(layers, axis=0)[1:-1]


def run_lstm(inputs, kernel, bias, projection):
    """An LSTM with a projected output, clipped twice; the file's gates are input, memory, forget, output."""
    h, c, outputs = np.zeros(projection.shape[1]), np.zeros(len(projection)), []
    for x in inputs:
        i, j, f, o = np.split(np.concatenate([x, h]) @ kernel + bias, 4)
        c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j)
        c = np.clip(c, -OPTIONS["lstm"]["cell_clip"], OPTIONS["lstm"]["cell_clip"])
        h = (sigmoid(o) * np.tanh(c)) @ projection
        h = np.clip(h, -OPTIONS["lstm"]["proj_clip"], OPTIONS["lstm"]["proj_clip"])
        outputs.append(h)
    return outputs


@pytest.mark.parametrize("case", CASES)
def test_a_sentence_alone_decides_whatever_is_read_before_or_beside_it(there, case):
    _, _, tensors, told = there
    for i, sentence in enumerate(SENTENCES):
        words, embeddings = tokenize(sentence), tensors[f"{case} {i}"]
        assert told["words"][case][i] == words
        assert embeddings.dtype == np.float16 and embeddings.shape == (len(words), 12)
        if words:
            np.testing.assert_allclose(embeddings, spelled_out(arrays(), words), rtol=2e-3, atol=1e-3)


def test_the_model_itself_remembers_what_it_read_before(there):
    # Why the encoder resets it: the same sentence twice, without.
    tensors = there[2]
    assert abs(tensors["not reset"] - tensors["carried over"]).max() > 0.02
    assert abs(tensors["carried over"] - tensors["first 0"]).max() > 0.02


def test_case_and_context_matter(there):
    tensors = there[2]
    upper, lower = tensors["first 2"], tensors["first 3"]
    assert abs(upper - lower).max() > 0.02
    last = tensors["first 6"][[i for i, word in enumerate(tokenize(SENTENCES[6])) if word == "blue"]]
    assert len(last) == 3 and abs(last[0] - last[1]).max() > 0.01


def test_the_clips_of_the_tiny_model_matter(monkeypatch):
    words = tokenize(SENTENCES[0])
    expected = spelled_out(arrays(), words)
    for clip in ("cell_clip", "proj_clip"):
        with monkeypatch.context() as patch:
            patch.setitem(OPTIONS["lstm"], clip, 100)
            assert abs(spelled_out(arrays(), words) - expected).max() > 0.02


def test_long_texts_are_read_whole(there):
    _, _, tensors, told = there
    assert len(told["words"]["long"][0]) == 2000
    found = tensors["long 0"]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, spelled_out(arrays(), tokenize(LONG)), rtol=2e-3, atol=1e-3)


def test_cut_at_the_longest(there):
    assert there[3]["cut"] == ["The", "blue", "jay", "'s", "crest"]


def test_batches():
    assert batches([3, 0, 2000, 900, 900, 900, 4], 2048) == [[0, 6], [3, 4], [5], [2]]
    assert batches([0], 2048) == []


def test_what_was_put_into_the_cache_there_is_read_here(there):
    folder, cache, tensors, told = there
    encoder = make_encoder(f"elmo:{folder}")
    assert (encoder.name, encoder.width, encoder.revision) == ("elmo:tiny", 12, told["revision"])
    for i, one in enumerate(encode_cached(encoder, SENTENCES, cache)):
        assert one.words == tokenize(SENTENCES[i])
        assert torch.equal(one.embeddings, torch.from_numpy(tensors[f"first {i}"]))
    with pytest.raises(N3Error, match="make elmo"):
        encode_cached(encoder, SENTENCES[:1], cache)


@pytest.mark.parametrize("case", ["unlike", "less", "text"])
def test_files_that_do_not_fit(there, case):
    told = there[3][case]
    assert f"tiny-{case}" in told and "\n" not in told


@pytest.fixture
def folder(tmp_path):
    """All that is needed to find embeddings in the cache."""
    path = tmp_path / "some-elmo"
    path.mkdir()
    (path / "options.json").write_text(json.dumps(OPTIONS))
    (path / "weights.hdf5").write_bytes(b"weights")
    return path


def test_described_without_allennlp(folder):
    encoder = ElmoEncoder(folder)
    assert encoder.name == "elmo:some-elmo" and encoder.width == 12 and len(encoder.revision) == 64
    assert make_encoder(f"elmo:{folder}").revision == encoder.revision
    assert ElmoEncoder(f"{folder}/../some-elmo/").name == encoder.name
    assert encoder.encode([]) == []
    assert encoder.encode(["  "])[0].embeddings.shape == (0, 12)
    assert "allennlp" not in sys.modules


@pytest.mark.parametrize("file", ["options.json", "weights.hdf5"])
def test_revision_follows_the_contents_not_the_names(folder, file):
    before = ElmoEncoder(folder).revision
    path = folder / file
    path.rename(folder / f"elmo_2x4096_512_2048cnn_2xhighway_{file}")
    assert ElmoEncoder(folder).revision == before
    path = folder / f"elmo_2x4096_512_2048cnn_2xhighway_{file}"
    path.write_bytes(path.read_bytes() + b" ")
    assert ElmoEncoder(folder).revision != before


def test_refused_without_allennlp(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "allennlp", None)
    with pytest.raises(N3Error, match="make elmo"):
        ElmoEncoder(folder).encode(["A jay."])


@pytest.mark.parametrize("content", ["{", "[]", '{"lstm": {}}', '{"lstm": {"projection_dim": "6"}}',
                                     '{"lstm": {"projection_dim": 0}}'])  # fmt: skip
def test_broken_options(folder, content):
    (folder / "options.json").write_text(content)
    with pytest.raises(N3Error, match="options.json"):
        ElmoEncoder(folder)


@pytest.mark.parametrize("file", ["options.json", "weights.hdf5"])
@pytest.mark.parametrize("count", [0, 2])
def test_missing_and_ambiguous_files(folder, file, count):
    (folder / f"other_{file}").write_bytes(b"{}")
    for path in folder.glob(f"*{file}"):
        if not count:
            path.unlink()
    with pytest.raises(N3Error, match=f"some-elmo.*{file[-4:]}"):
        ElmoEncoder(folder)


def test_no_folder(tmp_path):
    with pytest.raises(N3Error, match="nowhere"):
        ElmoEncoder(tmp_path / "nowhere")


def test_the_original_model_is_downloaded_once(folder, tmp_path, monkeypatch):
    asked = []

    def download(url, target, md5=""):
        asked.append(url)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((folder / target.name.rsplit("_", 1)[1]).read_bytes())
        return target

    monkeypatch.setattr("n3lib.data.fetch.download.download_file", download)
    monkeypatch.setenv("N3_CACHE", str(tmp_path))
    encoder = make_encoder("elmo")
    assert encoder.name == "elmo" and encoder.revision == ElmoEncoder(folder).revision
    assert asked == [OFFICIAL + name for name in FILES]
    assert make_encoder("elmo").revision == encoder.revision and len(asked) == 2


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The bird's bill isn't long.", "The bird 's bill is n't long ."),
        ("I can't; it’ll DON'T", "I ca n't ; it 'll DO N'T"),
        ("O'Brien's o'clock", "O'Brien 's o'clock"),
        ("e.g. the U.S. has 1,000 (20%)", "e.g. the U.S. has 1,000 ( 20 % )"),
        ("3.5-inch, blue-gray--white...", "3.5-inch , blue-gray -- white ..."),
        ("“Blue” a_b e\u0301t\u00e9 <S>", '" Blue " a _ b été < S >'),
        (" \n", ""),
    ],
)
def test_tokenize(text, tokens):
    assert tokenize(text) == tokens.split()


def read_pins(name):
    lines = (ROOT / name).read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def test_the_environments_agree_where_allennlp_allows():
    ours, elmos = read_pins("constraints.txt"), read_pins("requirements-elmo.txt")
    differ = {name for name in ours.keys() & elmos.keys() if ours[name] != elmos[name]}
    assert differ == {"transformers", "tokenizers", "huggingface-hub", "python-dateutil"}


def test_conda_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment-elmo.yml").read_text())
    assert environment["dependencies"][-1] == {"pip": ["-r requirements-elmo.txt", "-e ."]}
