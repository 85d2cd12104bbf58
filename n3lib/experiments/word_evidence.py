"""Chapter 5's test of word evidence: do the words tell what can be seen, and are they needed?"""

import re
from collections.abc import Mapping, Sequence, Set

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from n3lib.data.texts import erase
from n3lib.experiments.interpret import TOP, differentiable, evidence, joined, share_out, top
from n3lib.experiments.results import Table, mean_and_spread
from n3lib.run import Run


def check_words(
    run: Run,
    classes: Mapping[str, Sequence[str]],
    images: UInt8[Tensor, "B H W 3"],
    labels: Int[Tensor, " B"],
    telling: Mapping[str, Set[str]],
) -> Table:
    """Do the top words of the true class name what can be seen, and does the network need them?

    Each measure picks `TOP` words of the true class's description, and so do three that look at no image:
    the largest idf, the largest learned TF-IDF weight, and chance. The table says how many of the picks are
    telling, and what probability the true class is left with when they are erased from its description.
    Percent: mean over the images of a class, then mean and standard deviation over classes.

    `labels` are the classes of the images, 0 to K - 1, in the order of `classes`; `telling` holds, for each
    class, the words that count as telling (see `telling_words`).
    """
    names, rng, found = list(classes), np.random.default_rng(0), []
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
            "weight": _by_weight(run, classes[truth]),
            "chance": rng.permutation(words)[:TOP].tolist(),
        }
        for name, chosen in picks.items():
            hit, share = float("nan"), reading.probability
            if chosen:
                changed = {**classes, truth: erase(classes[truth], chosen)}
                share = _probability(run, changed, image, label)
                hit = len(right & set(chosen)) / len(chosen)
                if name == "chance":  # known without drawing
                    hit = len(right) / len(words)
            found.append((name, label, 100 * hit, 100 * share))
    head = ["words picked by", "class", "telling (%)", "probability of the true class without them (%)"]
    by_class = pd.DataFrame(found, columns=head).groupby(head[:2], sort=False).mean()
    cells = by_class.groupby(level=0, sort=False).agg(lambda v: mean_and_spread(v.dropna().tolist()))
    return Table([head[0], *head[2:]], cells.reset_index().values.tolist())


@torch.no_grad()
def _by_weight(run: Run, sentences: Sequence[str]) -> list[str]:
    """The words of a description that weigh most in the TF-IDF branch, whatever image or task."""
    text, _, (encoded,) = differentiable(run.pipeline, [sentences])
    weights = run.model.weigh(text.tfidf)[0].tolist()
    words = [joined(one.words) for one in encoded]
    return top([w for s in words for w in s], share_out(words, weights, run.pipeline.tfidf), sum)


@torch.no_grad()
def _probability(run: Run, classes: Mapping[str, Sequence[str]], image: Tensor, label: int) -> float:
    logits = run.model.logits(run.model.backbone.preprocess(image[None]), run.model.adapt(run.text(classes)))
    return logits.softmax(1)[0, label].item()
