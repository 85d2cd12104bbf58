"""What N3 does differently from the paper, and the settings of both; `n3lib.model` is the paper.

- Shared offset: beside the text-conditioned delta of Eq. 4, every layer has one that all tasks share.
- Deviation decoder: beside a shared offset, Eq. 4 decodes only how a task differs from the tasks of training.
- Relative mu: the mu of Eq. 6 is one number per layer, learned in log space, in units of the layer's spread.
- TF-IDF branch: the label embedding of Eq. 2 also reads TF-IDF features with one learned weight per word.
- Gradient accumulation: the images of a mini-batch are classified a few at a time; the gradient is the same.

The classifiers other than the paper's are in `n3lib.classifiers`, zero-shot tasks in `n3lib.episodes`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from n3lib.classifiers import SeenFeatures, Statistics, feature_statistics
from n3lib.io import N3Error, Range, check_ranges
from n3lib.io.ranges import MANY
from n3lib.text.bank import Text

PASS_TOKENS = 2**15  # that Eq. 2 reads in one forward pass, padding included
WIDEST = 4096  # d: one decoder per layer, each of 16 d^2 numbers
DIRECTIONS = 8  # along which the covariance of a task's labels is read
MOMENTUM = 0.02  # of the running statistics over training tasks: they reach back about 50 steps


@dataclass(frozen=True)
class N3Config:
    """The meta-model Phi.

    Attributes:
        d: width of Phi (768 in the paper).
        heads: attention heads.
        t2l_layers, l2a_layers: transformer blocks of Tokens2Label and of the Labels2Adaptation encoder
            (the paper's Table 7: 2 and 1).
        adapt: `all` layers, the `classifier` alone, or two controls that adapt every layer in one way,
            whatever the classes are: `constant`, the shared offset of `all` alone, and `finetune`, plain
            fine-tuning.
        layers: names of the layers to adapt instead of all; empty for all.
        classifier: `exemplar`, `equivariant` or `positional` (the paper's literal form).
        mu: `relative`: exp(log mu) std(Theta) in each layer, log mu learned; `absolute`: Eq. 6 as the paper
            has it, one plain parameter mu on layer-normalized deltas.
        initial_mu: its start.
        shared_mu: start of the relative scale of the shared offset; 0 for no offset, as in the paper. With
            one, the decoders are `DeviationDecoder`s. The two controls need it; that of `finetune` is fixed
            and absolute, a factor on the learning rate.
        rank: of a layer's text-conditioned delta beside a shared offset; 0 for d.
        gains: whether that delta is one gain per column, a multiple of the pretrained column.
        gamma: weight of the pretrained parameters (section 5.4).
        ridge: strength of the exemplar classifier's regression; choose it on validation classes (dense
            embeddings want more than words).
        scale: start of the factor of the logits. The closed form is sure of itself: where it is mostly wrong
            at first, 1 lets the loss begin far above chance.
        word_penalty: pull of the learned word weights towards 1.
        micro_batch: images that are classified at a time in training, 0 for all: the same gradient with
            the memory of so many.
    """

    d: int = 128
    heads: int = 4
    t2l_layers: int = 1
    l2a_layers: int = 1
    adapt: Literal["all", "classifier", "constant", "finetune"] = "all"
    layers: list[str] = field(default_factory=list)
    classifier: Literal["exemplar", "equivariant", "positional"] = "exemplar"
    mu: Literal["relative", "absolute"] = "relative"
    initial_mu: float = 0.1
    shared_mu: float = 0.0
    rank: int = 0
    gains: bool = False
    gamma: float = 1.0
    ridge: float = 0.1
    scale: float = 1.0
    word_penalty: float = 1e-3
    micro_batch: int = 0

    def __post_init__(self) -> None:
        width, blocks = Range(1, WIDEST), Range(1, 100)
        size, positive = Range(0, 1e6), Range(0, 1e6, open=True)
        check_ranges(self, "model", d=width, heads=width, t2l_layers=blocks, l2a_layers=blocks)
        check_ranges(self, "model", initial_mu=positive, scale=positive, ridge=size, word_penalty=size)
        check_ranges(self, "model", shared_mu=size, gamma=positive, micro_batch=Range(0, MANY))
        check_ranges(self, "model", rank=Range(0, WIDEST))
        if self.d % self.heads:
            problem = f"model.d={self.d} cannot be divided among model.heads={self.heads}"
            raise N3Error(problem, "Set model.d to a multiple of model.heads")
        if self.adapt in ("constant", "finetune") and not self.shared_mu:
            problem = f"model.adapt={self.adapt} has nothing to learn with model.shared_mu=0"
            raise N3Error(problem, "Set model.shared_mu: 4 to 36 for constant, 0.1 to 1 for finetune")
        if self.adapt == "all" and self.mu == "absolute" and self.shared_mu:
            raise N3Error("model.mu=absolute has no shared offset", "Set model.shared_mu to 0")
        if (self.rank or self.gains) and not self.decodes_deviations:
            problem = "model.rank and model.gains are for text-conditioned deltas beside a shared offset"
            raise N3Error(problem, "Set model.adapt=all and model.shared_mu above 0, or leave them out")

    @property
    def decodes_deviations(self) -> bool:
        """Whether text-conditioned deltas come on top of a shared offset."""
        return self.adapt == "all" and self.shared_mu > 0


def log_scales(count: int, start: float) -> nn.Parameter:
    """Scales learned in log space, one per layer."""
    return nn.Parameter(torch.full((count,), math.log(start)))


def shared_offset(
    offset: Float[Tensor, "M N"], log_mu: Float[Tensor, ""], std: Float[Tensor, ""], config: N3Config
) -> Float[Tensor, "M N"]:
    """The scaled delta of one layer that all tasks share: relative, or under plain fine-tuning absolute."""
    return config.shared_mu * offset if config.adapt == "finetune" else log_mu.exp() * std * offset


class TaskStatistics(nn.Module):
    """What tells a task from the other tasks of training: the input of every `DeviationDecoder`.

    Of the K encoded labels h of Eq. 3 it reads the mean, the spread of every coordinate, and the covariance
    along a few learned directions (eigenvectors would do, but for their signs and their order). All are
    standardized by running moments over the training tasks, which every step brings up to date: an average
    task reads as zero. Two kinds of variance add up, as in an analysis of variance: that between tasks, and
    that of drawing K classes, which is divided by K. So what is read shrinks with K neither where tasks are
    drawn at random nor where they differ in kind.
    """

    mean: Tensor
    variance: Tensor
    sampling: Tensor
    ways: Tensor

    def __init__(self, d: int) -> None:
        super().__init__()
        along = min(DIRECTIONS, d)
        self.directions = nn.Parameter(torch.linalg.qr(torch.randn(d, along)).Q.T)  # (D, d)
        self.width = 2 * d + along * (along + 1) // 2
        self.register_buffer("mean", torch.zeros(self.width))
        self.register_buffer("variance", torch.ones(self.width))
        self.register_buffer("sampling", torch.zeros(self.width))  # K times the variance of drawing K classes
        self.register_buffer("ways", torch.tensor(2.0))  # K of the training tasks

    def read(self, h: Float[Tensor, "K d"]) -> tuple[Float[Tensor, " r"], Float[Tensor, " r"]]:
        """A task's statistics as they are, and K times the variance of each that comes of drawing K classes.

        The latter as for normally distributed labels.
        """
        around = h - h.mean(0)  # (K, d)
        spread = (around.square().mean(0) + 1e-6).sqrt()  # (d,)
        along = around @ self.directions.T  # (K, D)
        covariance = along.T @ along / len(h)  # (D, D)
        rows, columns = torch.tril_indices(*covariance.shape)
        own = covariance.diagonal()
        of_covariance = own[rows] * own[columns] + covariance[rows, columns].square()
        sampling = torch.cat([spread.square(), spread.square() / 2, of_covariance])
        return torch.cat([h.mean(0), spread, covariance[rows, columns]]), sampling.detach()  # (r,), (r,)

    def forward(self, h: Float[Tensor, "K d"]) -> Float[Tensor, " r"]:
        found, sampling = self.read(h)
        between = (self.variance - self.sampling / self.ways).clamp_min(0)  # (r,)
        std = (between + self.sampling / len(h)).clamp_min(1e-12).sqrt()  # (r,)
        task = (found - self.mean) / std  # (r,)
        if self.training:
            with torch.no_grad():
                self.variance.lerp_((found - self.mean).square(), MOMENTUM)
                self.mean.lerp_(found, MOMENTUM)
                self.sampling.lerp_(sampling, MOMENTUM)
        return task

    @torch.no_grad()
    def renew(self, tasks: Iterable[Float[Tensor, "K d"]]) -> None:
        """Take the moments from the encoded labels of many tasks of one K."""
        found = []
        for h in tasks:
            self.ways.fill_(len(h))
            found.append(self.read(h))
        rows, sampling = map(torch.stack, zip(*found, strict=True))  # (tasks, r), (tasks, r)
        self.mean.copy_(rows.mean(0))
        self.variance.copy_(rows.var(0))
        self.sampling.copy_(sampling.mean(0))


class DeviationDecoder(nn.Module):
    """Beside a shared offset, how a task differs: a query per column times what `TaskStatistics` reads.

    Eq. 4 adds what is read to the queries and normalizes the sum, in which that which tells tasks apart is
    faint beside what they share. Here the delta is linear in the standardized statistics: the mean over the
    training tasks is zero. Its rank is at most `rank`; with `gains` each column gets one number, by which
    the pretrained column is multiplied.
    """

    unit: Tensor

    def __init__(self, theta: Float[Tensor, "M N"], reads: int, config: N3Config) -> None:
        super().__init__()
        rank, (columns, size) = config.rank or config.d, theta.shape
        self.queries = nn.Parameter(torch.randn(columns, rank))
        self.read = nn.Linear(reads, rank, bias=False)
        self.out = nn.Linear(rank, 1 if config.gains else size, bias=False)
        nn.init.zeros_(self.out.weight)
        # In units of the layer's spread, as every relative delta.
        self.register_buffer("unit", theta / theta.std() if config.gains else torch.ones(1), persistent=False)

    def forward(self, task: Float[Tensor, " r"]) -> Float[Tensor, "M N"]:
        return self.out(self.queries * self.read(task)) * self.unit  # (M, N)


class Memory(nn.Module):
    """What N3 keeps of the C = `seen` classes: with it, synthesis needs none of their texts and images.

    A class has as many texts as there are `sources`: of what is kept of texts, row j C + s is text j of
    class s.

    During zero-shot training it also holds the features of `images` of their images, so that a task's
    classifier can do without the statistics of its query classes.
    """

    center: Tensor
    transform: Tensor
    exemplars: Tensor
    seen_labels: Tensor
    seen_pooled: Tensor
    seen_lexical: Tensor
    image_features: Tensor
    image_labels: Tensor

    def __init__(
        self, seen: int, d: int, e: int, vocabulary: int, features: int, images: int, sources: int
    ) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("transform", torch.eye(features))
        self.register_buffer("exemplars", torch.zeros(seen, features))
        self.register_buffer("seen_labels", torch.zeros(sources * seen, d))
        self.register_buffer("seen_pooled", torch.zeros(sources * seen, e))
        self.register_buffer("seen_lexical", torch.zeros(sources * seen, vocabulary))
        if images:
            self.register_buffer("image_features", torch.zeros(images, features))
            self.register_buffer("image_labels", torch.zeros(images, dtype=torch.int64))
        self._images: SeenFeatures | None = None  # what follows from these two

    @torch.no_grad()
    def remember_text(self, text: Text, c: Float[Tensor, "R d"]) -> None:
        """Store what the seen classes' texts say, and their label embeddings `c`."""
        self.seen_labels.copy_(c)
        self.seen_pooled.copy_(text.pooled)
        self.seen_lexical.copy_(text.tfidf)

    def rows(self, support: Int[Tensor, " S"] | None) -> Int[Tensor, " R"]:
        """The rows of all texts of these seen classes, or of all."""
        classes = len(self.exemplars)
        s = torch.arange(classes, device=self.center.device) if support is None else support  # (S,)
        return torch.cat([s + first for first in range(0, len(self.seen_pooled), classes)])  # (R,)

    def stored_text(self) -> Text:
        """What is stored of the seen classes' texts; of their tokens, nothing is."""
        seen, none = len(self.seen_pooled), self.seen_pooled[:0]
        return Text([none] * seen, [none[:, 0]] * seen, self.seen_pooled, self.seen_lexical, [[]] * seen)

    @torch.no_grad()
    def remember(self, features: Float[Tensor, "N f"], labels: Int[Tensor, " N"], whiten: bool) -> None:
        """Store what images of the seen classes say; where their features are held, N is `images`."""
        found = feature_statistics(features, labels, len(self.exemplars), whiten)
        for name, value in found._asdict().items():
            getattr(self, name).copy_(value)
        if self.holds_images:
            self.image_features.copy_(features)
            self.image_labels.copy_(labels)
            self._images = None

    @property
    def holds_images(self) -> bool:
        """Whether features of seen images are held, as in zero-shot training."""
        return "image_features" in self._buffers

    def forget_images(self) -> None:
        """Drop the features of seen images, which a finished run does not keep."""
        if self.holds_images:
            del self.image_features, self.image_labels
            self._images = None

    @torch.no_grad()
    def statistics(self, held_out: Int[Tensor, " K"] | None, whiten: bool) -> Statistics:
        """What is stored; without the images of the `held_out` classes, where features are held."""
        if held_out is None or not self.holds_images:
            return Statistics(self.center, self.transform, self.exemplars)
        if self._images is None:
            self._images = SeenFeatures(self.image_features, self.image_labels, len(self.exemplars))
        return self._images.statistics(whiten, held_out)


def tfidf_branch(vocabulary: int, d: int) -> nn.Linear | None:
    """From weighted TF-IDF features to what they add to a label embedding; none without a vocabulary."""
    if not vocabulary:
        return None
    branch = nn.Linear(vocabulary, d, bias=False)
    nn.init.normal_(branch.weight)  # unit rows in, unit variance out
    return branch


def in_passes(tokens2label: nn.Module, text: Text) -> Float[Tensor, "K d"]:
    """Eq. 2; without gradients, in passes of descriptions of like length: a long one pads no others."""
    if torch.is_grad_enabled():  # a task of training, or one whose words are to be explained
        return tokens2label(text.tokens, text.weight)
    parts = text.parts(PASS_TOKENS)
    rows = [tokens2label(part.tokens, part.weight) for part in map(text.batch, parts)]
    order = torch.tensor([k for part in parts for k in part], device=rows[0].device)
    return torch.cat(rows)[order.argsort()]  # (K, d)


def accumulate_gradients(
    adaptation: Sequence[Tensor], losses: Iterable[Callable[[Sequence[Tensor]], Tensor]]
) -> Tensor:
    """The sum of several losses of one adaptation, with the memory of one of them at a time.

    Each loss, a function of the adaptation's tensors, goes back to these only, where gradients add up, and
    its activations are freed. From there the caller's `backward` of the sum enters the meta-model, once.
    """
    leaves = [tensor.detach().requires_grad_() for tensor in adaptation]
    total = torch.zeros((), device=leaves[0].device)
    for loss_of in losses:
        loss = loss_of(leaves)
        loss.backward(inputs=leaves)
        total = total + loss.detach()
    # Worth nothing, but its gradient by the adaptation is the one that was collected.
    pairs = zip(adaptation, leaves, strict=True)
    parts = [(tensor * leaf.grad).sum().float() for tensor, leaf in pairs if leaf.grad is not None]
    through = torch.stack(parts).sum()
    return total + (through - through.detach())
