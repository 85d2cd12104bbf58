"""Which words of the descriptions decided about an image (section 5.2, Figure 3).

E is the cross entropy, in nats, of one image under the network that N3 synthesizes from K descriptions. The
paper ranks a word by the length of its gradient, ||dE/dD_ij||, with D_ij the embedding of word j of
description i. Here that is one of two measures, because of what it cannot see:

- through an average of the words (`Text.pooled`), the gradient of every word of a description is one and the
  same vector times the word's idf: its length says how rare a word is, not what it did;
- the TF-IDF branch has no embedding in it at all.

The other measure, a word's influence, is minus the gradient times the input, summed over all paths: D_ij on
the way through Tokens2Label and through the average, the TF-IDF weight on the TF-IDF branch. To first order
it is the rise of E if the word's inputs were set to zero. It has a sign: above 0, the word speaks for the
true class.
"""

import base64
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain, pairwise
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from n3lib.data.images import check_pixels
from n3lib.data.names import class_name
from n3lib.data.texts import parse_classes
from n3lib.experiments.plots import ORANGE, PAPER, SKY
from n3lib.io import N3Error
from n3lib.run import Run
from n3lib.text.bank import Encoded, Text
from n3lib.text.cache import encode_texts
from n3lib.text.pipeline import TextPipeline, arranged
from n3lib.text.tfidf import TfIdf, stop_words

Measure = Literal["influence", "gradient"]
TOP = 3  # words named per class
REJECTED = 3  # classes named as most firmly rejected

# How the values of a word's pieces become the word's, and those of its places in a text one value.
_MERGE: dict[str, Callable[[list[float]], float]] = {"influence": sum, "gradient": max}


@dataclass(frozen=True)
class Reading:
    """What the words of one description do to E."""

    name: str  # of the class
    probability: float  # that the network gives it, 0 to 1
    words: list[str]  # in order, word pieces joined
    influence: list[float]  # of each word, in nats; above 0 where it speaks for the true class
    gradient: list[float]  # ||dE/dD_ij|| of each word, the paper's measure; of a word in pieces, the largest

    def values(self, by: Measure) -> list[float]:
        """One value per word."""
        return self.influence if by == "influence" else self.gradient

    def top(self, by: Measure) -> list[str]:
        """The `TOP` different words with the largest values."""
        return top(self.words, self.values(by), _MERGE[by])


def top(words: Sequence[str], values: Sequence[float], merge: Callable[[list[float]], float]) -> list[str]:
    """The `TOP` different words with the largest values, those of a word's places merged."""
    places: dict[str, list[float]] = {}
    for word, value in zip(words, values, strict=True):
        places.setdefault(word, []).append(value)
    return sorted(places, key=lambda word: -merge(places[word]))[:TOP]


@dataclass(frozen=True, repr=False)
class Evidence:
    """The words that decided about one image; a notebook shows them colored in their descriptions."""

    image: UInt8[Tensor, "H W 3"]
    truth: str  # its class
    readings: dict[str, Reading]  # of all K descriptions, by class name
    by: Measure = "influence"  # ranks and colors

    def positive(self) -> list[str]:
        """Top positive evidence: words of the true class's description."""
        return self.readings[self.truth].top(self.by)

    def negative(self) -> dict[str, list[str]]:
        """Top negative evidence: the classes most firmly rejected, with words of their descriptions.

        Classes are ranked by the largest value of a word divided by the probability of the class.
        """

        def rank(name: str) -> float:
            reading = self.readings[name]
            return max(reading.values(self.by)) / max(reading.probability, 1e-12)

        firm = sorted(self.readings.keys() - {self.truth}, key=rank, reverse=True)[:REJECTED]
        return {name: self.readings[name].top(self.by) for name in firm}

    def __repr__(self) -> str:
        lines = [f"not {name}: {', '.join(words)}" for name, words in self.negative().items()]
        return "\n".join([f"{self.truth}: {', '.join(self.positive())}", *lines])

    def _repr_html_(self) -> str:
        from PIL import Image

        png = io.BytesIO()
        Image.fromarray(self.image.numpy()).save(png, "PNG")
        shown = {self.truth: "True class", **dict.fromkeys(self.negative(), "Rejected")}
        texts = "".join(_html(self.readings[name], self.by, role) for name, role in shown.items())
        colors = {"speaks for the true class": SKY, "speaks against it": ORANGE}
        if self.by == "gradient":
            colors = {"large gradient": SKY}
        style = "background:{};padding:0 .4em"
        swatches = [f'<span style="{style.format(c)}">{label}</span>' for label, c in colors.items()]
        # Dark on light, whatever the page around it is.
        return (
            f'<div style="background:{PAPER};color:#111;padding:.6em;display:flex;gap:1em"'
            ' class="tex2jax_ignore mathjax_ignore">'  # a "$" in a text is no mathematics
            f'<div><img src="data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}" width="128"'
            f' alt="the image"></div><div>{texts}<p style="margin:0;font-size:85%">{" ".join(swatches)} The'
            " stronger the color, the more; each description has its own scale. Underlined: its top"
            f" {TOP} words.</p></div></div>"
        )


def evidence(
    run: Run,
    classes: Mapping[str, Any],
    image: UInt8[Tensor, "H W 3"],
    truth: str,
    by: Measure = "influence",
) -> Evidence:
    """What every word of K descriptions does to the loss of one image.

    `classes` are the descriptions, in any form of `n3lib.data.texts.parse_classes`; `truth` names the image's
    class; `by` ranks and colors the words (see the top of this file).

    Raises:
        N3Error: the true class is not among those described, or the image is not uint8 or of another shape.
    """
    classes = parse_classes(classes)
    names, truth = list(classes), class_name(truth)
    if truth not in names:
        raise N3Error(f"the true class {truth!r} has no description", f"Name one of {', '.join(names)}")
    check_pixels(image, Tensor, rank=3, what="image")
    model = run.model
    text, inputs, encoded = differentiable(run.pipeline, list(classes.values()))
    logits = model.logits(model.backbone.preprocess(image[None]), model.adapt(text)).double()  # (1, K)
    loss = cross_entropy(logits, torch.tensor([names.index(truth)]))
    # An N3 without the TF-IDF branch does not use its input: the gradient is then zero.
    slopes = torch.autograd.grad(loss, inputs, materialize_grads=True)
    with torch.no_grad():
        embedded = -(slopes[0] * inputs[0]).sum(2)  # (K, T)
        counted = -(slopes[1] * inputs[1])  # (K, V)
        lengths, shares = slopes[0].norm(dim=2), logits.softmax(1)[0]  # (K, T), (K)
    readings = {}
    for k, name in enumerate(names):
        sentences = [joined(one.words) for one in encoded[k]]
        sizes = [len(word) for one in encoded[k] for word in _words(one.words)]
        of_tokens, of_lengths = (values[k, : sum(sizes)].split(sizes) for values in (embedded, lengths))
        of_terms = share_out(sentences, counted[k].tolist(), run.pipeline.tfidf)
        influence = [sum(part.tolist()) + term for part, term in zip(of_tokens, of_terms, strict=True)]
        gradient = [max(part.tolist()) for part in of_lengths]
        readings[name] = Reading(name, shares[k].item(), [*chain(*sentences)], influence, gradient)
    return Evidence(image, truth, readings, by)


def differentiable(
    pipeline: TextPipeline, texts: Sequence[Sequence[str]]
) -> tuple[Text, tuple[Float[Tensor, "K T e"], Float[Tensor, "K V"]], list[list[Encoded]]]:
    """Descriptions as functions of the embeddings D of all their tokens and of their TF-IDF rows.

    Unlike `Text.tokens`, D has every token: those behind `max_tokens` count in the average, and where
    Tokens2Label gets one embedding per sentence, that is the mean of its tokens.

    Returns:
        The text, D with the rows, and the sentences' tokens in the order of D.
    """
    pieces = arranged(texts, pipeline.config)
    read = encode_texts(pipeline.encoder, pieces)
    rows = [torch.cat([one.embeddings for one in sentences]).float() for sentences in read]  # (T, e) each
    d = pad_sequence(rows, batch_first=True).requires_grad_()  # (K, T, e)
    leaves = []
    for row, sentences in zip(d, read, strict=True):
        sizes = [len(one.words) for one in sentences]
        parts = row[: sum(sizes)].split(sizes)
        leaves.append([Encoded(part, one.words) for part, one in zip(parts, sentences, strict=True)])
    text = pipeline.assemble(pieces, leaves, [str(k) for k in range(len(texts))])
    text.tfidf.requires_grad_()
    return text, (d, text.tfidf), [[one for one in sentences if one.words] for sentences in read]


def joined(tokens: Sequence[str]) -> list[str]:
    """Tokens as words: a piece that BERT's vocabulary writes as `##us` continues the one before it."""
    return [first + "".join(one.removeprefix("##") for one in rest) for first, *rest in _words(tokens)]


def _words(tokens: Sequence[str]) -> list[Sequence[str]]:
    """The tokens of each word."""
    starts = [i for i, token in enumerate(tokens) if i == 0 or not re.match("##.", token)]
    return [tokens[start:end] for start, end in pairwise([*starts, len(tokens)])]


def share_out(sentences: Sequence[Sequence[str]], values: Sequence[float], tfidf: TfIdf) -> list[float]:
    """Values of the V terms of `tfidf` as values of the words of a description, given sentence by sentence.

    A term's value is shared equally by the places where the term occurs, and at each by its words.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    analyze = CountVectorizer(stop_words=stop_words()).build_analyzer()  # as the terms were found
    of_term = dict(zip(tfidf.vocabulary, values, strict=True))
    places: dict[str, list[list[int]]] = {}
    count = 0
    for words in sentences:
        parts = [(part, count + w) for w, word in enumerate(words) for part in analyze(word)]
        count += len(words)
        for n in range(1, tfidf.ngrams + 1):
            for i in range(len(parts) - n + 1):
                term = " ".join(part for part, _ in parts[i : i + n])
                places.setdefault(term, []).append([w for _, w in parts[i : i + n]])
    shared = [0.0] * count
    for term in places.keys() & of_term.keys():
        for place in places[term]:
            for w in place:
                shared[w] += of_term[term] / len(places[term]) / len(place)
    return shared


def _html(reading: Reading, by: Measure, role: str) -> str:
    """A description with colored words: the full color for the largest value, white for 0."""
    values, named, spans = reading.values(by), reading.top(by), []
    largest = max(map(abs, values)) or 1.0
    for word, value in zip(reading.words, values, strict=True):
        color, opacity = SKY if value > 0 else ORANGE, round(255 * abs(value / largest))
        line = ";text-decoration:underline" if word in named else ""
        spans.append(f'<span style="background:{color}{opacity:02x}{line}">{escape(word)}</span>')
    title = f"<b>{role}: {escape(reading.name)}</b> (probability {reading.probability:.1%})"
    scroll = "margin:0 0 .6em;max-height:15em;overflow:auto"  # for whole articles
    return f'<p style="{scroll}">{title}<br>{" ".join(spans)}</p>'
