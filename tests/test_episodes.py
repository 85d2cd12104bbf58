"""What is drawn in training, and what must never be."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from n3lib.data.dataset import ZeroShotDataset
from n3lib.episodes import EpisodeConfig, Episodes, draw_task, of_another_group
from n3lib.io import N3Error
from n3lib.model import N3, Batch
from n3lib.text.bank import TextBank

STEPS = range(60)


@pytest.fixture
def episodes(small_world: ZeroShotDataset, small_bank: TextBank) -> Callable[..., Episodes]:
    def make(seed: int = 3, dataset: ZeroShotDataset = small_world, **settings: Any) -> Episodes:
        config = EpisodeConfig(**{"ways": 3, "batch_size": 12, **settings})
        return Episodes(dataset, small_bank, small_world.split.train, config, seed)

    return make


def same(a: Batch, b: Batch) -> bool:
    pairs = [(a.text.tokens, b.text.tokens), *zip(a[1:4], b[1:4], strict=True)]
    return a.classes == b.classes and all(x.shape == y.shape and torch.equal(x, y) for x, y in pairs)


def queries(batch: Batch) -> torch.Tensor:
    """Class ids of the images, which their red channel holds."""
    ids = batch.images[:, :, :, 0].flatten(1).long()
    assert (ids == ids[:, :1]).all()
    return ids[:, 0]


@pytest.mark.parametrize(("support", "count"), [(0, 5), (2, 2)])
def test_query_and_support_are_disjoint(support: int, count: int, episodes: Callable[..., Episodes]) -> None:
    draw = episodes(support=support)
    for step in STEPS:
        query, others = draw.classes(np.random.default_rng([3, step]))
        assert len(set(query)) == 3
        assert len(set(others)) == count
        assert not set(query) & set(others)
        batch = draw(step)
        places = {draw.seen.index(c) for c in queries(batch).tolist()}
        assert places <= set(query.tolist())
        assert batch.support.tolist() == others.tolist()


def test_in_the_papers_episodes_classes_support_themselves(episodes: Callable[..., Episodes]) -> None:
    query, support = episodes(kind="paper").classes(np.random.default_rng(0))
    assert query.tolist() == support.tolist()


@torch.no_grad()
def test_nothing_of_a_query_class_reaches_its_classifier(
    episodes: Callable[..., Episodes], make_n3: Callable[..., N3]
) -> None:
    draw, model = episodes(), make_n3()
    remembered = {name: getattr(model, name) for name in ("exemplars", "seen_pooled", "seen_lexical")}
    for step in range(3):
        expected = model(draw(step))["loss"]
        query, _ = draw.classes(np.random.default_rng([3, step]))
        for name, value in remembered.items():
            spoiled = value.clone()
            spoiled[query] = torch.nan
            setattr(model, name, spoiled)
        assert torch.equal(model(draw(step))["loss"], expected)
        for name, value in remembered.items():
            setattr(model, name, value)


@torch.no_grad()
def test_of_several_texts_of_a_class_one_is_drawn_and_none_reaches_its_classifier(
    episodes: Callable[..., Episodes], make_n3: Callable[..., N3], small_bank: TextBank
) -> None:
    draw, model, drawn = episodes(), make_n3(), set[int]()
    both = small_bank.joined(small_bank.batch(range(13, -1, -1)))  # text 14 + c is that of class 13 - c
    draw.bank = TextBank(*(getattr(both, field.name) for field in dataclasses.fields(both)))
    stored = ("seen_labels", "seen_pooled", "seen_lexical")
    for name in stored:
        setattr(model, name, torch.randn(16, getattr(model, name).shape[1]).abs())
    for step in STEPS:
        batch, (query, _) = draw(step), draw.classes(np.random.default_rng([3, step]))
        assert same(draw(step), batch)
        for c, pooled in zip(batch.classes, batch.text.pooled, strict=True):
            (source,) = [
                k for k, row in enumerate((c, 13 - c)) if torch.equal(pooled, small_bank.pooled[row])
            ]
            drawn.add(source)
        if step < 3:
            expected, kept = model(batch)["loss"], {name: getattr(model, name).clone() for name in stored}
            for name in stored:
                getattr(model, name)[[*query, *(query + 8)]] = torch.nan
            assert torch.equal(model(batch)["loss"], expected)
            model.seen_lexical[int(batch.support[0]) + 8] += 1
            assert not torch.equal(model(batch)["loss"], expected)
            for name, value in kept.items():
                setattr(model, name, value)
    assert drawn == {0, 1}


@torch.no_grad()
def test_images_of_query_classes_do_not_reach_their_classifier(
    episodes: Callable[..., Episodes], make_n3: Callable[..., N3]
) -> None:
    draw, model = episodes(), make_n3(images=40)
    features, labels = torch.randn(40, model.backbone.width), torch.arange(8).repeat(5)
    for step in range(3):
        batch = draw(step)
        query, _ = draw.classes(np.random.default_rng([3, step]))
        mine = torch.isin(labels, torch.from_numpy(query))
        losses = []
        for noise in (0.0, 3.0):
            model.remember(features + noise * torch.randn_like(features) * mine[:, None], labels, whiten=True)
            losses.append(model(batch)["loss"].item())
        assert losses[1] == pytest.approx(losses[0], rel=1e-4)
        spoiled = features + 3 * torch.randn_like(features) * ~mine[:, None]
        model.remember(spoiled, labels, whiten=True)  # those of support classes do count
        assert abs(model(batch)["loss"].item() - losses[0]) > 1e-3


@pytest.mark.parametrize("settings", [{}, {"kind": "paper"}, {"crop": 9, "alike": 0.5}])
def test_a_batch_is_a_function_of_seed_and_step(settings: dict, episodes: Callable[..., Episodes]) -> None:
    draw, again = episodes(**settings), episodes(**settings)
    again(0)
    again(9)
    assert all(same(draw(step), again(step)) for step in (5, 2))
    assert not same(draw(5), draw(6))
    assert not same(draw(5), episodes(seed=4, **settings)(5))


def test_labels_are_places_of_the_images_classes_among_the_texts(
    episodes: Callable[..., Episodes], small_bank: TextBank
) -> None:
    draw, seen_labels = episodes(), set()
    for step in STEPS:
        batch = draw(step)
        for label, class_id in zip(batch.labels.tolist(), queries(batch).tolist(), strict=True):
            seen_labels.add(label)
            row = small_bank.batch([class_id])
            length = row.tokens.shape[1]
            assert torch.equal(batch.text.tokens[label, :length], row.tokens[0])
            assert (batch.text.weight[label] > 0).sum() == length
    assert seen_labels == {0, 1, 2}


def test_only_training_classes_appear_and_all_of_them_do(
    episodes: Callable[..., Episodes], small_world: ZeroShotDataset
) -> None:
    draw = episodes()
    appeared = {c for step in STEPS for c in queries(draw(step)).tolist()}
    assert appeared == set(small_world.split.train)


def test_ranks_share_the_images_and_all_read_the_same_texts(episodes: Callable[..., Episodes]) -> None:
    draw = episodes(batch_size=10)
    whole, parts = draw(4), [draw(4, rank, 3) for rank in range(3)]
    assert [len(part.images) for part in parts] == [4, 3, 3]
    for rank, part in enumerate(parts):
        assert torch.equal(part.images, whole.images[rank::3])
        assert torch.equal(part.labels, whole.labels[rank::3])
        assert torch.equal(part.text.tokens, whole.text.tokens)


@pytest.fixture
def maps(small_world: ZeroShotDataset) -> ZeroShotDataset:
    """Images of 16 x 20 whose green is the row and whose blue is the column, both from 1."""
    images = np.zeros((len(small_world.labels), 16, 20, 3), np.uint8)
    images[..., 1] = np.arange(1, 17)[:, None]
    images[..., 2] = np.arange(1, 21)
    return dataclasses.replace(small_world, images=images)


@pytest.mark.parametrize("side", [0, 1, 9, 16])
def test_crops_and_mirrors_are_pieces_of_the_image(
    side: int, maps: ZeroShotDataset, episodes: Callable[..., Episodes]
) -> None:
    draw, height, width = episodes(dataset=maps, crop=side), side or 16, side or 20
    tops, lefts, mirrored = set(), set(), set()
    for step in STEPS:
        for image in draw(step).images.long():
            assert image.shape == (height, width, 3)
            top, columns = image[0, 0, 1].item(), image[0, :, 2]
            assert torch.equal(image[:, 0, 1], torch.arange(top, top + height))
            assert image[-1, 0, 1] <= 16
            mirror = width > 1 and bool(columns[0] > columns[-1])
            left = columns.min().item()
            expected = torch.arange(left, left + width)
            assert torch.equal(columns, expected.flip(0) if mirror else expected)
            assert left >= 1
            assert columns.max() <= 20
            tops.add(top)
            lefts.add(left)
            mirrored.add(mirror)
    assert tops == set(range(1, 16 - height + 2))  # every place is reached
    assert lefts == set(range(1, 20 - width + 2))
    assert mirrored == ({False, True} if width > 1 else {False})


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"ways": 8}, "8"),
        ({"ways": 5, "support": 4}, "4"),
        ({"ways": 9, "kind": "paper"}, "9"),
        ({"crop": 17}, "crop"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    settings: dict, word: str, episodes: Callable[..., Episodes]
) -> None:
    with pytest.raises(N3Error, match=word):
        episodes(**settings)


def test_the_papers_episodes_may_use_every_class(episodes: Callable[..., Episodes]) -> None:
    assert len(episodes(kind="paper", ways=8)(0).text) == 8


def test_a_class_without_images_is_named(
    small_world: ZeroShotDataset, episodes: Callable[..., Episodes]
) -> None:
    keep = small_world.labels != 7
    without = dataclasses.replace(
        small_world, images=small_world.images[keep], labels=small_world.labels[keep]
    )
    with pytest.raises(N3Error, match="bird h"):
        episodes(dataset=without)


def test_look_alikes_are_those_nearest_by_text(
    small_world: ZeroShotDataset, small_bank: TextBank, episodes: Callable[..., Episodes]
) -> None:
    draw, seen = episodes(alike=1.0), list(small_world.split.train)
    rows = small_bank.tfidf.numpy()[seen]
    rows = rows - rows.mean(0)
    cosine = rows @ rows.T / np.outer(np.linalg.norm(rows, axis=1), np.linalg.norm(rows, axis=1))
    drawn = set()
    for step in STEPS:
        query, support = draw.classes(np.random.default_rng([3, step]))
        nearest = sorted((k for k in range(8) if k != query[0]), key=lambda k: -cosine[query[0], k])
        assert query[1:].tolist() == nearest[:2]
        assert sorted([*query, *support]) == list(range(8))
        shuffled = np.random.default_rng([3, step]).permutation(8).tolist()
        assert support.tolist() == [k for k in shuffled if k not in query]
        drawn.add(int(query[0]))
    assert drawn == set(range(8))


def test_a_share_of_the_tasks_are_look_alikes(episodes: Callable[..., Episodes]) -> None:
    def tasks(alike: float) -> list[tuple[int, ...]]:
        draw = episodes(alike=alike)
        return [tuple(draw.classes(np.random.default_rng([3, step]))[0]) for step in range(400)]

    alike, mixed = set(tasks(1.0)), tasks(0.5)
    assert len(alike) == 8
    assert 0.4 < sum(task in alike for task in mixed) / 400 < 0.62


def test_a_task_is_of_one_group_and_its_support_of_all(
    episodes: Callable[..., Episodes], small_world: ZeroShotDataset
) -> None:
    groups = tuple(c % 2 for c in range(14))
    grouped = dataclasses.replace(small_world, groups=groups)
    draw, met, supported = episodes(dataset=grouped, support=4), set(), set()
    for step in STEPS:
        query, support = draw.classes(np.random.default_rng([3, step]))
        asked = {groups[draw.seen[p]] for p in query}
        assert len(asked) == 1
        met |= asked
        supported |= {groups[draw.seen[p]] for p in support}
        assert not set(query) & set(support)
        assert len(set(support)) == 4
    assert met == supported == {0, 1}
    with pytest.raises(N3Error, match="group"):
        episodes(dataset=grouped, ways=5, support=1)


def test_look_alikes_are_of_one_group(
    episodes: Callable[..., Episodes], small_world: ZeroShotDataset, small_bank: TextBank
) -> None:
    groups = tuple(c % 2 for c in range(14))
    draw = episodes(dataset=dataclasses.replace(small_world, groups=groups), alike=1.0)
    cosine = small_bank.similarity(draw.seen)
    for step in STEPS:
        query, _ = draw.classes(np.random.default_rng([3, step]))
        mates = [k for k in range(8) if (k - query[0]) % 2 == 0 and k != query[0]]
        assert query[1:].tolist() == sorted(mates, key=lambda k: -cosine[query[0], k])[:2]


def test_another_task_is_of_one_other_group() -> None:
    groups = np.arange(12) % 3
    for seed in range(20):
        task, rest = draw_task(np.random.default_rng(seed), 3, groups)
        assert sorted([*task, *rest]) == list(range(12))
        other = of_another_group(rest, task, groups)
        assert len(set(groups[task])) == len(set(groups[other])) == 1
        assert groups[task[0]] != groups[other[0]]
        assert len(set(other)) == 3
