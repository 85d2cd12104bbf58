"""The test of word evidence: which words tell, and a planted model whose words are known."""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from n3lib.backbone import Backbone
from n3lib.experiments.word_evidence import check_words
from n3lib.model import N3, Adaptation, N3Config
from n3lib.run import Run
from n3lib.text.bank import Text
from n3lib.text.pipeline import TextConfig, TextPipeline
from n3lib.text.words import WordEncoder


class Counting(N3):
    """A class's score is a weighted sum of its TF-IDF row, and nothing else."""

    def __init__(self, backbone: Backbone, weight: Tensor) -> None:
        nn.Module.__init__(self)
        self.backbone, self.config, self.weight = backbone, N3Config(), weight

    def weigh(self, lexical: Tensor) -> Tensor:
        return lexical * self.weight

    def adapt(self, text: Text, support: Tensor | None = None) -> Adaptation:
        return Adaptation({}, torch.zeros(len(text), self.backbone.width), self.weigh(text.tfidf).sum(1))


def test_the_check_finds_planted_words(make_backbone: Callable[..., Backbone], tiny_run: Run) -> None:
    """The model listens to three words per class: they are picked, and without them nothing is left."""
    texts = {
        "ruby": ["Crimson cap, long tail.", "The wings are streaked."],
        "jet": ["Black, dull, plain bird."],
    }
    telling = {"ruby": {"crimson", "long", "streaked", "red"}, "jet": {"black", "dull"}}
    reader = TextPipeline.fit(WordEncoder(8), list(texts.values()), TextConfig())
    heard = {"crimson", "long", "streaked", "black", "dull", "plain"}
    weight = torch.tensor([9.0 if word in heard else 0.1 for word in reader.tfidf.vocabulary])
    run = dataclasses.replace(tiny_run, model=Counting(make_backbone(), weight), pipeline=reader)
    images = torch.zeros(3, 16, 16, 3, dtype=torch.uint8)
    found = check_words(run, texts, images, torch.tensor([0, 0, 1]), telling)
    rows = {row[0]: row[1:] for row in found.rows}
    assert list(rows) == ["nothing", "influence", "gradient", "idf", "weight", "chance"]
    # All three of ruby's words are telling, two of jet's; of all words, 3 of 8 and 2 of 4.
    assert rows["influence"][0] == rows["weight"][0] == "83.3 ± 23.6"
    assert rows["chance"][0] == "43.8 ± 8.8"
    before, after = (float(rows[name][1].split()[0]) for name in ("nothing", "influence"))
    assert before == 50 and after < 1  # the shares of the two classes add up to one
