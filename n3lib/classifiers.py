"""Class weights from label embeddings: positional, equivariant and exemplar.

Each generator turns K encoded labels into the rows of one linear layer over standardized features
`z = transform (f - center)`; `fold` makes of them an ordinary `fc` over the raw features f.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

WITHIN_SHRINKAGE = 0.3  # share of the mean within-class variance added before whitening


class Statistics(NamedTuple):
    """What the seen images say about the feature space."""

    center: Tensor  # (f,), mean feature
    transform: Tensor  # (f, f), to standardized (and whitened) features
    exemplars: Tensor  # (C, f), mean standardized feature of each class


class SeenFeatures:
    """Features of N images of C classes, and their statistics with or without some of the classes.

    Every class has features. Statistics are computed in the features' precision.
    """

    def __init__(self, features: Float[Tensor, "N f"], labels: Int[Tensor, " N"], classes: int) -> None:
        self.labels, self.classes, self.middle = labels, classes, features.mean(0)
        x = features - self.middle  # squares of small numbers keep their digits
        self.count = torch.bincount(labels, minlength=classes).to(x)  # (C,)
        self.sums, self.squares = (
            torch.zeros(classes, x.shape[1]).to(x).index_add(0, labels, y) for y in (x, x.square())
        )  # (C, f)
        self.around = x - (self.sums / self.count[:, None])[labels]  # (N, f)
        self.scatter = self.around.T @ self.around  # (f, f)

    def statistics(self, whiten: bool, held_out: Int[Tensor, " K"] | None = None) -> Statistics:
        """Standardize, whiten within classes, and average each class; images of `held_out` classes count
        for nothing but their own rows of the exemplars.

        With S_w the within-class covariance of the standardized features and
        `L L^T = S_w + 0.3 mean(diag S_w) I`, the whitening is `L^-1`: class weights of unit length give the
        same logits under any other root.
        """
        kept = torch.ones(self.classes, dtype=torch.bool, device=self.labels.device)  # (C,)
        if held_out is not None:
            kept[held_out] = False
        n = self.count[kept].sum()
        center = self.sums[kept].sum(0) / n
        scale = ((self.squares[kept].sum(0) - n * center.square()).clamp_min(0) / (n - 1)).sqrt()  # (f,)
        # Divided by almost nothing, a constant feature would drown all others as soon as it varies.
        scale = torch.where(scale > 1e-6, scale, 1.0)
        exemplars = (self.sums / self.count[:, None] - center) / scale  # (C, f)
        transform = torch.diag(1 / scale)
        if whiten:
            left_out = self.around[~kept[self.labels]]
            within = (self.scatter - left_out.T @ left_out) / (n * scale * scale[:, None])  # (f, f)
            within.diagonal().add_(WITHIN_SHRINKAGE * within.diagonal().mean())
            root, failed = torch.linalg.cholesky_ex(within)
            root = root.where(failed == 0, torch.nan)  # where no image differs from its class's mean
            transform = torch.linalg.solve_triangular(root, transform, upper=False)
            exemplars = torch.linalg.solve_triangular(root, exemplars.T, upper=False).T
        return Statistics(center + self.middle, transform, exemplars)


def feature_statistics(
    features: Float[Tensor, "N f"], labels: Int[Tensor, " N"], classes: int, whiten: bool
) -> Statistics:
    """`SeenFeatures.statistics` of all classes, computed in float64."""
    found = SeenFeatures(features.double(), labels, classes).statistics(whiten)
    return Statistics(*(tensor.to(features.dtype) for tensor in found))


def ridge(
    kernel: Float[Tensor, "K S"], gram: Float[Tensor, "S S"], targets: Float[Tensor, "S f"], strength: float
) -> Float[Tensor, "K f"]:
    """Kernel ridge regression, `kernel (gram + strength I)^-1 (targets - mean)`: from label embeddings to
    exemplars, as predicted exemplars are (Changpinyo et al., 2017)."""
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return kernel @ torch.linalg.solve(gram + strength * identity, targets - targets.mean(0))


def fold(
    rows: Float[Tensor, "K f"], center: Float[Tensor, " f"], transform: Float[Tensor, "f f"]
) -> tuple[Float[Tensor, "K f"], Float[Tensor, " K"]]:
    """Rows over standardized features to weight and bias over raw ones."""
    weight = rows @ transform
    return weight, -(weight @ center)


def within_variance(transform: Float[Tensor, "f f"]) -> Float[Tensor, " f"]:
    """The variance of each feature within classes, from what whitens them (or standardizes them alone)."""
    root, failed = torch.linalg.inv_ex(transform.double())  # of the covariance, root root^T
    return root.where(failed == 0, torch.nan).square().sum(1).to(transform)


def familiarity(
    logits: Float[Tensor, "B K"],
    features: Float[Tensor, "B f"],
    center: Float[Tensor, " f"],
    variance: Float[Tensor, " f"],
) -> Float[Tensor, " B"]:
    """How much an image is like one of the K classes, and like the images of training at all.

    `ln mean_k exp(logits_k) - 2 mean_j (f_j - center_j)^2 / variance_j`. The first term is the energy score
    (Liu et al., 2020, NeurIPS) less ln K, so that one threshold holds for every K. It tells other classes,
    and little of pictures of another kind; the second one tells these. AUROC of the two alone and together on
    CUB's proposed split (constant adaptation, seed 0, tasks of 10 unseen classes): other birds 65, 49, 66;
    flowers 70, 91, 91; noise 65, 100, 100.
    """
    surprise = ((features - center).square() / variance).mean(1)  # (B,)
    return logits.logsumexp(1) - math.log(logits.shape[1]) - 2 * surprise


class Positional(nn.Module):
    """The paper's literal form: the classifier is one more layer, a sequence of at most `slots` columns.

    Column k is decoded from query k, which attends to all encoded labels: a class's weights depend on its
    position in the list, and permutations of the classes are distinct tasks.
    """

    def __init__(self, d: int, width: int, slots: int, heads: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(slots, d) * d**-0.5)
        self.queries = nn.Parameter(torch.randn(slots, d))  # as large as what attention adds to them
        self.decoder = nn.TransformerDecoderLayer(d, heads, 4 * d, 0.0, batch_first=True, norm_first=True)
        self.out = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, width + 1))

    def mark(self, c: Float[Tensor, "K d"]) -> Float[Tensor, "K d"]:
        """Label embeddings that know their position."""
        return c + self.places[: len(c)]

    def forward(self, h: Float[Tensor, "K d"]) -> tuple[Float[Tensor, "K f"], Float[Tensor, " K"]]:
        columns = self.out(self.decoder(self.queries[None, : len(h)], h[None])[0])  # (K, f + 1)
        return columns[:, :-1], columns[:, -1]


class Equivariant(nn.Module):
    """Class k's weights from its own encoded label: permuting the classes permutes the logits."""

    def __init__(self, d: int, width: int) -> None:
        super().__init__()
        self.out = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.GELU(), nn.Linear(d, width))

    def forward(self, h: Float[Tensor, "K d"]) -> Float[Tensor, "K f"]:
        return nn.functional.normalize(self.out(h), dim=1)


class Exemplar(nn.Module):
    """Class k's weights from the exemplars of the seen classes, by kernel ridge on the label embeddings.

    The S support classes have texts and exemplars, the K query classes only texts. Texts come in parts (mean
    token embedding, and with `lexical` TF-IDF features), each centered on the support classes and brought to
    unit length; the kernel is their inner product weighted by `mix`. Nothing here can learn a class by heart:
    a correction decoded from the encoded labels did (on the aviary, 40-way: 24 % with it, 47 % without).
    """

    def __init__(self, strength: float, lexical: bool) -> None:
        super().__init__()
        self.strength = strength
        # Training starts near the closed form on words, which is strong; the other part earns its share.
        self.mix = nn.Parameter(torch.tensor([0.02, 0.98] if lexical else [1.0]).log())

    def forward(
        self, query: list[Tensor], support: list[Tensor], exemplars: Float[Tensor, "S f"]
    ) -> Float[Tensor, "K f"]:
        # Closed form in float32 even where the rest runs in bf16.
        with torch.autocast(exemplars.device.type, enabled=False):
            x = []
            for share, *texts in zip(self.mix.float().softmax(0), query, support, strict=True):
                mean = texts[1].float().mean(0)
                x.append([share.sqrt() * unit(text.float() - mean) for text in texts])
            x_k, x_s = (torch.cat(parts, 1) for parts in zip(*x, strict=True))  # (K, n), (S, n)
            return unit(ridge(x_k @ x_s.T, x_s @ x_s.T, exemplars.float(), self.strength))


def unit(x: Tensor) -> Tensor:
    """Rows brought to unit length; a zero row stays zero."""
    return nn.functional.normalize(x, dim=1)
