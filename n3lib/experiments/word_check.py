"""Word evidence, tested: do the words that it names tell what can be seen, and does the network need them?"""

import re
from collections.abc import Mapping, Sequence, Set

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from n3lib.data.aviary.species import words_for
from n3lib.data.texts import Sentence
from n3lib.experiments.interpret import TOP, differentiable, evidence, hand_on, joined, top
from n3lib.experiments.results import Table, mean_and_spread
from n3lib.run import Run


def telling_words(birds: Mapping[str, Mapping[str, str]]) -> dict[str, set[str]]:
    """For each bird, the words that may tell its marks; none of a mark that most of the others share.

    Args:
        birds: the attributes of each bird of the aviary.
    """
    telling: dict[str, set[str]] = {}
    for name, own in birds.items():
        others = [bird for other, bird in birds.items() if other != name]
        marks = [a for a in own if 2 * sum(bird[a] == own[a] for bird in others) <= len(others)]
        telling[name] = set().union(*(words_for(a, own[a]) for a in marks))
    return telling


def erase(sentences: Sequence[str], words: Sequence[str]) -> list[str]:
    """A description without these words, wherever they stand in it."""
    pattern = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)
    texts = [pattern.sub("", sentence) for sentence in sentences]
    pairs = zip(sentences, texts, strict=True)
    return [Sentence(new, old.weight) if isinstance(old, Sentence) else new for old, new in pairs]


def check_words(
    run: Run,
    classes: Mapping[str, Sequence[str]],
    images: UInt8[Tensor, "B H W 3"],
    labels: Int[Tensor, " B"],
    telling: Mapping[str, Set[str]],
) -> Table:
    """Do the top words of the true class name what can be seen, and does the network need them?

    Each measure picks `TOP` words of the true class's description, and so do three that look at no image:
    the largest idf, the largest learned TF-IDF weight, and chance. The table tells how many of the picks are
    telling, and what probability the true class is left with when they are erased from its description.
    Percent: mean over the images of a class, then mean and standard deviation over classes.

    Args:
        classes: the descriptions of K classes.
        labels: the class of each image, 0 to K - 1.
        telling: for each class, the words that count as telling (see `telling_words`).
    """
    names, rng = list(classes), np.random.default_rng(0)
    hits: dict[str, dict[int, list[float]]] = {}
    left: dict[str, dict[int, list[float]]] = {}
    for image, label in zip(images, labels.tolist(), strict=True):
        truth = names[label]
        reading = evidence(run, classes, image, truth).readings[truth]
        words = sorted(set(reading.words))
        right = {word for word in words if telling[truth] & set(re.findall(r"\w+", word))}
        picks: dict[str, list[str]] = {
            "nothing": [],
            "influence": reading.top("influence"),
            "gradient": reading.top("gradient"),
            "idf": top(words, run.pipeline.token_idf(words), max),
            "weight": heaviest(run, classes[truth]),
            "chance": rng.permutation(words)[:TOP].tolist(),
        }
        for name, chosen in picks.items():
            share = reading.probability
            if chosen:
                changed = {**classes, truth: erase(classes[truth], chosen)}
                share = _probability(run, changed, image, label)
                hit = len(right & set(chosen)) / len(chosen)
                if name == "chance":  # known without drawing
                    hit = len(right) / len(words)
                hits.setdefault(name, {}).setdefault(label, []).append(100 * hit)
            left.setdefault(name, {}).setdefault(label, []).append(100 * share)
    rows = [[name, _over_classes(hits.get(name, {})), _over_classes(left[name])] for name in left]
    return Table(["words picked by", "telling (%)", "probability of the true class without them (%)"], rows)


@torch.no_grad()
def heaviest(run: Run, sentences: Sequence[str]) -> list[str]:
    """The words of a description that weigh most on the lexical path, whatever image or task."""
    text, _, (encoded,) = differentiable(run.pipeline, [sentences])
    weights = run.model.weigh(text.tfidf)[0].tolist()
    words = [joined(one.words) for one in encoded]
    return top([w for s in words for w in s], hand_on(words, weights, run.pipeline.tfidf), sum)


@torch.no_grad()
def _probability(run: Run, classes: Mapping[str, Sequence[str]], image: Tensor, label: int) -> float:
    logits = run.model.logits(run.model.backbone.preprocess(image[None]), run.model.read(run.text(classes)))
    return logits.softmax(1)[0, label].item()


def _over_classes(values: Mapping[int, Sequence[float]]) -> str:
    """Mean and standard deviation over classes of what each class's images give on average."""
    return mean_and_spread([float(np.mean(found)) for found in values.values()])
