"""The nearest description."""

from collections.abc import Callable

import numpy as np

from n3lib.baselines.nearest import NearestText


def test_scores_are_cosines_of_predicted_and_given_texts(linear_world: Callable) -> None:
    world = linear_world()
    x, t = world.seen.images.pooled, world.seen.text[world.seen.labels]
    strength = 0.05 * len(x)
    centered = x - x.mean(0)
    mapping = np.linalg.solve(centered.T @ centered + strength * np.eye(16), centered.T @ (t - t.mean(0)))
    predicted = (world.images.pooled - x.mean(0)) @ mapping + t.mean(0)
    expected = np.array(
        [[p @ q / np.linalg.norm(p) / np.linalg.norm(q) for q in world.text] for p in predicted]
    )
    got = NearestText(strength=0.05).fit(world.seen)(world.text)(world.images)
    np.testing.assert_allclose(got, expected, atol=1e-9)
