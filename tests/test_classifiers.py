"""Statistics and closed forms against NumPy and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from torch import nn

from n3lib.classifiers import (
    WITHIN_SHRINKAGE,
    Equivariant,
    Exemplar,
    Positional,
    SeenFeatures,
    familiarity,
    feature_statistics,
    fold,
    ridge,
    unit,
    within_variance,
)

LABELS = torch.tensor([0, 2, 1, 1, 2, 0, 2, 2, 1, 0, 0, 2, 2, 1] * 3)


def features() -> torch.Tensor:
    """42 features of width 4 with different scales, correlated, around three class means."""
    noise = torch.randn(len(LABELS), 4) @ torch.randn(4, 4)
    return (noise + 3 * torch.randn(3, 4)[LABELS]) * torch.tensor([1.0, 10.0, 0.1, 5.0]) + 7


def test_statistics_without_whitening() -> None:
    x = features().double().numpy()
    got = feature_statistics(torch.from_numpy(x), LABELS, 3, whiten=False)
    z = (x - x.mean(0)) / x.std(0, ddof=1)
    np.testing.assert_allclose(got.center, x.mean(0))
    np.testing.assert_allclose(got.transform, np.diag(1 / x.std(0, ddof=1)), rtol=1e-9)
    np.testing.assert_allclose(got.exemplars, [z[c == LABELS].mean(0) for c in range(3)], atol=1e-12)


def test_whitened_within_class_covariance_is_identity_up_to_the_shrinkage() -> None:
    x = features().double().numpy()
    got = feature_statistics(torch.from_numpy(x), LABELS, 3, whiten=True)
    transform = got.transform.numpy()
    w = (x - x.mean(0)) @ transform.T
    np.testing.assert_allclose(got.exemplars, [w[c == LABELS].mean(0) for c in range(3)], atol=1e-9)

    def within(values: np.ndarray) -> np.ndarray:
        classes = [values[c == LABELS] for c in range(3)]
        return sum(len(rows) * np.cov(rows.T, bias=True) for rows in classes) / len(LABELS)

    # Whitened, S_w + s I becomes the identity: what the shrinkage s adds is moved, too.
    scale = np.diag(1 / x.std(0, ddof=1))
    standardized = within(x @ scale)
    shrinkage = WITHIN_SHRINKAGE * np.trace(standardized) / 4
    root = transform @ np.linalg.inv(scale)
    np.testing.assert_allclose(within(w) + shrinkage * root @ root.T, np.eye(4), atol=1e-9)


@pytest.mark.parametrize("whiten", [False, True])
def test_held_out_classes_do_not_count(whiten: bool) -> None:
    x, kept = features().double(), LABELS != 1
    spoiled = torch.where(kept[:, None], x, 50 * torch.randn_like(x))
    alone = feature_statistics(x[kept], LABELS[kept] // 2, 2, whiten)
    for images in (x, spoiled):
        got = SeenFeatures(images, LABELS, 3).statistics(whiten, held_out=torch.tensor([1]))
        for one, other in zip(got[:2], alone[:2], strict=True):
            torch.testing.assert_close(one, other)
        torch.testing.assert_close(got.exemplars[[0, 2]], alone.exemplars)
    torch.testing.assert_close(
        SeenFeatures(x, LABELS, 3).statistics(whiten).transform,
        feature_statistics(x, LABELS, 3, whiten).transform,
    )


def test_statistics_keep_the_precision_and_survive_a_dead_feature() -> None:
    x = features()
    x[:, 2] = 4.0
    got = feature_statistics(x, LABELS, 3, whiten=True)
    assert got.transform.dtype == torch.float32
    assert all(t.isfinite().all() for t in got)
    # Should it stir in an unseen image, it must not drown the others.
    assert got.transform[2].abs().max() < 10


def test_ridge_is_kernel_ridge_regression() -> None:
    seen, new = torch.randn(7, 5).double(), torch.randn(4, 5).double()
    targets = torch.randn(7, 3).double()
    got = ridge(new @ seen.T, seen @ seen.T, targets, 0.4)
    centered = targets - targets.mean(0)
    model = KernelRidge(alpha=0.4, kernel="precomputed").fit(seen @ seen.T, centered)
    np.testing.assert_allclose(got, model.predict(new @ seen.T), atol=1e-10)
    # The primal form's normal equation, (X'X + a I) B = X' Y, gives the same predictions.
    x, y = seen.numpy(), centered.numpy()
    b = np.linalg.solve(x.T @ x + 0.4 * np.eye(5), x.T @ y)
    np.testing.assert_allclose(got, new.numpy() @ b, atol=1e-10)


def test_gradient_of_ridge() -> None:
    inputs = [torch.randn(*shape).double().requires_grad_() for shape in ((2, 3), (3, 3), (3, 2))]

    def through(new: torch.Tensor, root: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return ridge(unit(new) @ root.T, root @ root.T, targets, 0.1)

    assert torch.autograd.gradcheck(through, inputs)


def test_folded_rows_give_the_same_logits() -> None:
    rows, center, transform, f = (torch.randn(*s).double() for s in ((3, 5), (5,), (5, 5), (9, 5)))
    weight, bias = fold(rows, center, transform)
    expected = [[row @ (transform @ (one - center)) for row in rows] for one in f]
    torch.testing.assert_close(nn.functional.linear(f, weight, bias), torch.tensor(expected).double())


def test_exemplar_is_the_closed_form_of_the_words() -> None:
    k, s, v, width = 3, 6, 10, 4
    generator = Exemplar(0.2, lexical=True)
    with torch.no_grad():
        generator.mix.copy_(torch.tensor([-torch.inf, 0.0]))  # all lexical
    exemplars = torch.randn(s, width)
    asked, known = [torch.randn(k, 2), torch.rand(k, v)], [torch.randn(s, 2), torch.rand(s, v)]
    got = generator(asked, known, exemplars)

    def rows(x: np.ndarray) -> np.ndarray:
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    seen, new = known[1].double().numpy(), asked[1].double().numpy()
    new, seen = rows(new - seen.mean(0)), rows(seen - seen.mean(0))
    p = exemplars.double().numpy()
    w = new @ seen.T @ np.linalg.inv(seen @ seen.T + 0.2 * np.eye(s)) @ (p - p.mean(0))
    np.testing.assert_allclose(got.detach(), rows(w), atol=1e-5)


def test_exemplar_kernel_is_the_weighted_sum_of_both_kernels() -> None:
    generator = Exemplar(0.2, lexical=True)
    with torch.no_grad():
        generator.mix.copy_(torch.tensor([0.3, 0.7]).log())
    exemplars = torch.randn(6, 4)
    asked, known = [torch.randn(3, 2), torch.rand(3, 9)], [torch.randn(6, 2), torch.rand(6, 9)]
    kernel, gram = torch.zeros(3, 6), torch.zeros(6, 6)
    for share, new, seen in zip((0.3, 0.7), asked, known, strict=True):
        new, seen = unit(new - seen.mean(0)), unit(seen - seen.mean(0))
        kernel, gram = kernel + share * new @ seen.T, gram + share * seen @ seen.T
    expected = unit(ridge(kernel, gram, exemplars, 0.2))
    torch.testing.assert_close(generator(asked, known, exemplars), expected, atol=1e-5, rtol=1e-4)


def test_permuting_the_classes_permutes_the_rows_and_the_support_changes_nothing() -> None:
    order, mixed = torch.tensor([2, 0, 3, 1]), torch.randperm(6)
    h, exemplars = torch.randn(4, 8), torch.randn(6, 5)
    asked, known = [torch.randn(4, 2), torch.rand(4, 9)], [torch.randn(6, 2), torch.rand(6, 9)]
    equivariant, exemplar = Equivariant(8, 5), Exemplar(0.2, lexical=True)
    torch.testing.assert_close(equivariant(h[order]), equivariant(h)[order])
    got = exemplar([p[order] for p in asked], [p[mixed] for p in known], exemplars[mixed])
    torch.testing.assert_close(got, exemplar(asked, known, exemplars)[order], atol=1e-5, rtol=1e-4)


def test_equivariant_rows_have_unit_length() -> None:
    torch.testing.assert_close(Equivariant(8, 5)(torch.randn(4, 8)).norm(dim=1), torch.ones(4))


@torch.no_grad()
def test_positional_rows_differ_before_training() -> None:
    """What all rows have in common tells no class from another."""
    rows, _ = Positional(128, 256, slots=64, heads=4).eval()(torch.randn(20, 128))
    common = len(rows) * rows.mean(0).square().sum() / rows.square().sum()
    assert common < 0.2


@torch.no_grad()
def test_positional_hangs_on_the_order() -> None:
    generator = Positional(8, 5, slots=6, heads=2).eval()
    h, order = torch.randn(4, 8), torch.tensor([2, 0, 3, 1])
    marked = [generator(generator.mark(x)) for x in (h, h[order])]
    assert marked[0][0].shape == (4, 5)
    assert marked[0][1].shape == (4,)
    assert not torch.allclose(marked[1][0], marked[0][0][order], atol=1e-3)


def test_zero_rows_stay_zero() -> None:
    assert unit(torch.zeros(2, 3)).eq(0).all()


def test_autocast_does_not_touch_the_closed_form() -> None:
    generator = Exemplar(0.2, lexical=True)
    arguments = (
        [torch.randn(3, 2), torch.rand(3, 9)],
        [torch.randn(6, 2), torch.rand(6, 9)],
        torch.randn(6, 4),
    )
    expected = generator(*arguments)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(generator(*arguments), expected)


def test_the_variance_within_classes_follows_from_what_whitens_them() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(600, 3, generator=generator) * torch.tensor([1.0, 0.1, 20.0])
    labels = torch.arange(600) % 3
    features += 5 * labels[:, None]
    plain = within_variance(feature_statistics(features, labels, 3, whiten=False).transform)
    torch.testing.assert_close(plain, features.var(0))
    within = torch.stack([features[labels == k].var(0, correction=0) for k in range(3)]).mean(0)
    share = (within / features.var(0)).mean()  # each is shrunk towards the mean of all, standardized
    expected = within + WITHIN_SHRINKAGE * share * features.var(0)
    whitened = within_variance(feature_statistics(features, labels, 3, whiten=True).transform)
    torch.testing.assert_close(whitened, expected, rtol=1e-3, atol=0)


def test_familiarity_by_hand() -> None:
    logits = torch.tensor([[1.0, 3.0], [1.0, 1.0]])
    features, center, variance = (
        torch.tensor([[1.0, 4.0], [1.0, 1.0]]),
        torch.ones(2),
        torch.tensor([1.0, 9.0]),
    )
    expected = torch.tensor(
        [float(np.log((np.e + np.e**3) / 2)) - 2 * 0.5, 1.0]
    )  # (0 + 3^2 / 9) / 2 deviations
    torch.testing.assert_close(familiarity(logits, features, center, variance), expected)
    # Twice as many classes of the same kind change nothing.
    doubled = familiarity(torch.cat([logits, logits], 1), features, center, variance)
    torch.testing.assert_close(doubled, expected)
