"""ZSLPP: its parts, and that it is ZSLNS over them."""

import numpy as np

from n3lib.baselines.base import Images, Seen
from n3lib.baselines.zslns import ZSLNS
from n3lib.baselines.zslpp import ZSLPP, parts


def test_parts_are_cells_and_the_pooled_features() -> None:
    maps = np.arange(2 * 3 * 5 * 4, dtype=np.float16).reshape(2, 3, 5, 4)
    got = parts(Images(np.ones((2, 7)), maps))
    assert [part.shape for part in got] == [(2, 3)] * 4 + [(2, 7)]
    np.testing.assert_array_equal(got[0], maps[:, :, 2, 1])  # numbers grow to the right and downward
    np.testing.assert_array_equal(got[3], maps[:, :, 4, 3])


def test_scores_are_summed_over_parts(linear_world) -> None:
    world = linear_world(maps=True)
    blocks, others = parts(world.seen.images), parts(world.images)
    mean, scale = [b.mean(0) for b in blocks], [b.std(0) for b in blocks]
    x = [(b - m) / s for b, m, s in zip(blocks, mean, scale, strict=True)]
    w = ZSLNS(0, 300.0, 2.0).weight(np.hstack(x), world.seen)
    expected, start = np.zeros((len(world.labels), 8)), 0
    for b, m, s in zip(others, mean, scale, strict=True):
        own = w[start : start + b.shape[1]]  # this part's A_p B^T
        expected += ((b - m) / s) @ own @ world.text.T
        start += b.shape[1]
    got = ZSLPP(0, 300.0, 2.0).fit(world.seen)(world.text)(world.images)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9)


def test_a_feature_that_never_stirs_does_no_harm(linear_world) -> None:
    world = linear_world(maps=True)
    maps = world.seen.images.maps.copy()
    maps[:, 0] = 0
    seen = Seen(world.seen.images._replace(maps=maps), world.seen.labels, world.seen.text)
    assert np.isfinite(ZSLPP().fit(seen)(world.text)(world.images)).all()
