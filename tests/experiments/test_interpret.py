"""Word evidence: gradients against finite differences, a planted model, and what a page shows."""

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from n3lib.backbone import Backbone
from n3lib.data.texts import Sentence
from n3lib.experiments import interpret
from n3lib.experiments.interpret import Evidence, Reading, evidence
from n3lib.io import N3Error
from n3lib.model import N3, Adaptation, N3Config
from n3lib.run import Run
from n3lib.text.bank import Encoded, Text
from n3lib.text.pipeline import TextConfig, TextPipeline
from n3lib.text.tfidf import TfIdf

IMAGE = torch.zeros(16, 16, 3, dtype=torch.uint8)


class Pieces:
    """An encoder with word pieces of three letters, each with a vector drawn from its letters."""

    name, revision, width = "pieces", "1", 5

    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        encoded = []
        for sentence in sentences:
            words = re.findall(r"\w+", sentence.lower())
            tokens = [("##" if i else "") + w[i : i + 3] for w in words for i in range(0, len(w), 3)]
            rows = [np.random.default_rng(list(t.encode())).standard_normal(5) for t in tokens]
            encoded.append(Encoded(torch.from_numpy(np.array(rows)).half().reshape(-1, 5), tokens))
        return encoded


class Planted(N3):
    """A class's score is linear in its text: `a` of the tokens' sum, `b` of their average, `c` of TF-IDF."""

    def __init__(self, backbone: Backbone, a: Tensor, b: Tensor, c: Tensor) -> None:
        nn.Module.__init__(self)
        self.backbone, self.config, self.abc = backbone, N3Config(), (a, b, c)

    def adapt(self, text: Text, support: Tensor | None = None) -> Adaptation:
        a, b, c = self.abc
        score = text.tokens.sum(1) @ a + text.pooled @ b + text.tfidf @ c
        return Adaptation({}, torch.zeros(len(text), self.backbone.width), score)


TEXTS = {
    "ruby": ["A crimson cap.", "The tail is long."],
    "jet": ["A black cap and a black tail."],
    "dun": ["The cap is brown, the long tail is brown."],
}


@pytest.fixture
def planted(make_backbone: Callable[..., Backbone], tiny_run: Run) -> Callable[..., Run]:
    """A run with a planted model; `terms` are the only words that count, with their weight."""

    def make(a: float = 0.0, b: float = 0.0, terms: dict[str, float] | None = None) -> Run:
        reader = TextPipeline.fit(Pieces(), list(TEXTS.values()), TextConfig(ngrams=2))
        c = torch.tensor([(terms or {}).get(word, 0.0) for word in reader.tfidf.vocabulary])
        model = Planted(make_backbone(), a * torch.randn(5), b * torch.randn(5), c)
        return dataclasses.replace(tiny_run, model=model, pipeline=reader)

    return make


@pytest.mark.parametrize("pooling", ["tokens", "sentence"])
def test_values_follow_from_the_planted_scores(planted: Callable[..., Run], pooling: str) -> None:
    run = planted(0.3, 0.5, {"long": 0.7, "crimson cap": 2.0})
    tokens = run.text(TEXTS)
    run.pipeline = dataclasses.replace(run.pipeline, config=TextConfig(pooling=pooling, ngrams=2))
    found = evidence(run, TEXTS, IMAGE, "ruby")
    a, b, c = run.model.abc
    text = run.text(TEXTS)
    slopes = run.model.adapt(text).bias.softmax(0)  # dE/dscore: p - y
    torch.testing.assert_close(
        torch.tensor([reading.probability for reading in found.readings.values()]),
        slopes,
        rtol=1e-3,
        atol=1e-4,
    )
    slopes = slopes - torch.tensor([1.0, 0.0, 0.0])
    for k, (name, reading) in enumerate(found.readings.items()):
        pieces = tokens.words[k]
        # How often a token counts in the sum that `a` reads.
        sizes = [len(one.words) for one in Pieces().encode(TEXTS[name])]
        counts = [1 / n if pooling == "sentence" else 1.0 for n in sizes for _ in range(n)]
        idf = run.pipeline.token_idf(pieces)
        lexical = dict(zip(run.pipeline.tfidf.vocabulary, (text.tfidf[k] * c).tolist(), strict=True))
        embedded: list[list[float]] = []
        for j, piece in enumerate(pieces):
            toward = slopes[k] * (counts[j] * a + idf[j] / sum(idf) * b)  # dE/dD_kj
            value = -(toward @ tokens.tokens[k, j]).item()
            if piece.startswith("##"):
                embedded[-1][0] += value
                embedded[-1][1] = max(embedded[-1][1], toward.norm().item())
            else:
                embedded.append([value, toward.norm().item()])
        words = re.findall(r"\w+", " ".join(TEXTS[name]).lower())
        assert reading.words == words
        for word, influence, gradient, (value, length) in zip(
            words, reading.influence, reading.gradient, embedded, strict=True
        ):
            counted = lexical["long"] if word == "long" else 0.0
            counted += lexical["crimson cap"] / 2 if word in ("crimson", "cap") else 0.0
            assert influence == pytest.approx(value - slopes[k].item() * counted, abs=1e-4)
            assert gradient == pytest.approx(length, abs=1e-4)


def test_totals_agree_with_finite_differences(tiny_run: Run, unseen: dict[str, tuple[str, ...]]) -> None:
    """All inputs of a description times 1 + h: E changes by h times minus the sum of the influences."""
    names = list(unseen)
    image = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8)
    found = evidence(tiny_run, unseen, image, names[1])
    text, model = tiny_run.text(unseen), tiny_run.model

    @torch.no_grad()
    def loss(k: int, factor: float) -> float:
        scale = torch.ones(len(names), 1)
        scale[k] = factor
        pieces = [piece * factor for piece, factor in zip(text.pieces, scale, strict=True)]
        parts = (pieces, text.weights, text.pooled * scale, text.tfidf * scale)
        logits = model.logits(model.backbone.preprocess(image[None]), model.adapt(Text(*parts, text.words)))
        return cross_entropy(logits.double(), torch.tensor([1])).item()

    for k, name in enumerate(names):
        slope = (loss(k, 1.01) - loss(k, 0.99)) / 0.02
        assert sum(found.readings[name].influence) == pytest.approx(-slope, rel=0.02, abs=0.005)


def test_running_text_is_evidence_as_its_sentences_are(tiny_run: Run, unseen: dict) -> None:
    image = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8)
    running = {name: " ".join(text) for name, text in unseen.items()}
    one, other = (evidence(tiny_run, texts, image, next(iter(unseen))) for texts in (unseen, running))
    assert one.readings == other.readings


def test_gradient_of_a_word_agrees_with_finite_differences(
    tiny_run: Run, unseen: dict[str, tuple[str, ...]]
) -> None:
    image = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8)
    names = list(unseen)
    reading = evidence(tiny_run, unseen, image, names[0], "gradient").readings[names[0]]
    text, model = tiny_run.text(unseen), tiny_run.model
    x = model.backbone.preprocess(image[None])
    idf = tiny_run.pipeline.token_idf(reading.words)
    place = 4

    @torch.no_grad()
    def loss(shift: Tensor) -> float:
        pieces, pooled = [piece.float() for piece in text.pieces], text.pooled.clone()
        pieces[0][place] += shift
        pooled[0] += idf[place] / sum(idf) * shift
        read = model.adapt(Text(pieces, text.weights, pooled, text.tfidf, text.words))
        return cross_entropy(model.logits(x, read).double(), torch.tensor([0])).item()

    step = 0.2 * torch.eye(tiny_run.pipeline.encoder.width)
    slopes = torch.tensor([(loss(s) - loss(-s)) / 0.4 for s in step])
    assert reading.gradient[place] == pytest.approx(slopes.norm().item(), rel=0.02)


def test_words_behind_max_tokens_count_in_the_average(planted: Callable[..., Run]) -> None:
    run = planted(a=0.3, b=0.5)
    reader = dataclasses.replace(run.pipeline, config=TextConfig(ngrams=2, max_tokens=3))
    short = dataclasses.replace(run, pipeline=reader)
    text, inputs, _ = interpret.differentiable(reader, list(TEXTS.values()))
    torch.testing.assert_close(text.pooled, run.text(TEXTS).pooled)
    assert text.tokens.shape == (3, 3, 5) and inputs[0].shape[1] > 3
    reading = evidence(short, TEXTS, IMAGE, "jet").readings["jet"]
    assert len(reading.words) == 7 and min(reading.gradient) > 0


@pytest.mark.parametrize("pooling", ["tokens", "sentence"])
def test_the_text_is_that_of_the_text_pipeline(planted: Callable[..., Run], pooling: str) -> None:
    texts = [[Sentence("A crimson cap.", 0.25), "...", "The tail is long."], TEXTS["jet"]]
    reader = dataclasses.replace(planted().pipeline, config=TextConfig(pooling=pooling, max_tokens=4))
    text, _, encoded = interpret.differentiable(reader, texts)
    expected = reader.bank(texts).batch([0, 1])
    for name in ("tokens", "weight", "pooled", "tfidf"):
        torch.testing.assert_close(getattr(text, name), getattr(expected, name), rtol=2e-3, atol=1e-3)
    assert [interpret.joined(one.words) for one in encoded[0]] == [
        ["a", "crimson", "cap"],
        ["the", "tail", "is", "long"],
    ]


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["ru", "##fo", "##us", "cap"], ["rufous", "cap"]),
        (["##us", "#", "##", "a"], ["##us", "#", "##", "a"]),  # nothing before it; not pieces
    ],
)
def test_word_pieces_are_joined(tokens: list[str], words: list[str]) -> None:
    assert interpret.joined(tokens) == words


def test_the_influence_of_a_term_is_shared_by_the_places_where_it_occurs() -> None:
    texts = [["The blue wings."], ["Blue tail, blue-gray wings."]]
    tfidf = TfIdf.fit(texts, ngrams=2)
    terms = {"blue": 1.0, "blue wings": 8.0, "wings": 0.5}
    values = [terms.get(word, 0.0) for word in tfidf.vocabulary]
    # "The" is a stop word; "blue" of the second sentence is no part of "blue wings".
    sentences = [["the", "blue", "wings"], ["a", "blue", "tail"]]
    shared = interpret.share_out(sentences, values, tfidf)
    assert shared == pytest.approx([0, 0.5 + 4, 0.5 + 4, 0, 0.5, 0])


def readings() -> dict[str, Reading]:
    return {
        "a": Reading("a", 0.6, ["red", "cap", "red"], [0.3, 0.4, 0.2], [0.1, 0.9, 0.2]),
        "b <script>": Reading("b <script>", 0.3, ["<b>", "x"], [0.3, -0.6], [0.3, 0.1]),
        "c": Reading("c", 0.01, ["y"], [0.02], [0.02]),
        "d": Reading("d", 0.09, ["z"], [-0.5], [0.5]),
        "e": Reading("e", 0.0, ["v"], [1e-9], [0.0]),
    }


def test_top_evidence_by_hand() -> None:
    found = Evidence(IMAGE, "a", readings())
    assert found.positive() == ["red", "cap"]  # 0.5 in its two places
    # 1e-9 / 1e-12, 0.02 / 0.01, 0.3 / 0.3, -0.5 / 0.09
    assert found.negative() == {"e": ["v"], "c": ["y"], "b <script>": ["<b>", "x"]}
    assert str(found).startswith("a: red, cap\nnot e: v\n")
    paper = dataclasses.replace(found, by="gradient")
    assert paper.positive() == ["cap", "red"]
    assert list(paper.negative()) == ["d", "c", "b <script>"]


def test_a_page_is_escaped_and_readable_on_any_background() -> None:
    page = Evidence(IMAGE, "a", readings())._repr_html_()
    assert "<script>" not in page and "<b>x" not in page
    assert "b &lt;script&gt;" in page and "&lt;b&gt;" in page
    assert page.startswith('<div style="background:#ffffff;color:#111')
    assert "mathjax_ignore" in page.partition(">")[0]  # JupyterLab looks for "$" in pages
    assert 'src="data:image/png;base64,' in page
    spans = dict(re.findall(r'<span style="background:(#\w+)[^"]*">(cap|x|y)</span>', page))
    assert spans == {"#56B4E9ff": "y", "#E69F00ff": "x"}  # the largest of each description, for and against
    assert "speaks against it" in page
    assert "speaks" not in Evidence(IMAGE, "a", readings(), "gradient")._repr_html_()


def test_a_class_without_description_is_refused(planted: Callable[..., Run]) -> None:
    with pytest.raises(N3Error, match="'emu'"):
        evidence(planted(), TEXTS, IMAGE, "emu")


@pytest.mark.parametrize(
    ("image", "told"), [(IMAGE / 255, "float32"), (IMAGE[None], "(1, 16, 16, 3)"), (IMAGE.numpy(), "ndarray")]
)
@pytest.mark.usefixtures("unannotated")
def test_an_image_that_is_not_pixels_is_refused(
    image: object, told: str, planted: Callable[..., Run]
) -> None:
    with pytest.raises(N3Error, match=re.escape(told)):
        evidence(planted(), TEXTS, image, "ruby")
