"""What holds for methods of any kind."""

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from n3lib.baselines import baselines, correction

METHODS = baselines()
# Those that are fitted in no time, away from their defaults where these are for real texts.
QUICK: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("da", "eszsl", "exem", "exem-rbf", "nearest", "sae", "zslns", "zslpp")},
    **{name: {} for name in ("wac-linear", "wac-kernel", "correction")},
    **{name: {"sigma": 1.0} for name in ("sync-ovo", "sync-fast")},
}
CASES = [*QUICK.items(), ("sae", {"direction": "text"})]
# WAC up to where L-BFGS stops, as it works on all classes at once.
TOLERANCE = {"wac-linear": 1e-2, "wac-kernel": 1e-2, "correction": 1e-4}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction, "STEPS", 100)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_beats_chance_where_texts_tell_and_not_where_they_do_not(
    name: str, settings: dict, linear_world: Callable
) -> None:
    method, maps = METHODS[name](**settings), METHODS[name].uses_maps

    def accuracy(related: bool, seed: int = 0) -> float:
        world = linear_world(related, seed, maps)
        return world.accuracy(method.fit(world.seen)(world.text)(world.images))

    assert accuracy(related=True) > 0.5
    assert np.mean([accuracy(False, seed) for seed in range(3)]) < 0.35  # chance is 1/8


@pytest.mark.parametrize("name", QUICK)
def test_the_seed_decides_all_and_permuting_the_classes_permutes_the_scores(
    name: str, linear_world: Callable
) -> None:
    method = METHODS[name](seed=3, **QUICK[name])
    world, state = linear_world(maps=method.uses_maps), torch.get_rng_state()
    writer, order = method.fit(world.seen), [3, 0, 7, 1, 2, 6, 4, 5]
    scores = writer(world.text)(world.images)
    turned = writer(world.text[order])(world.images)
    atol = TOLERANCE.get(name, 1e-5 * np.abs(scores).max())
    np.testing.assert_allclose(turned, scores[:, order], atol=atol)
    np.testing.assert_array_equal(method.fit(world.seen)(world.text)(world.images), scores)
    assert torch.equal(torch.get_rng_state(), state)  # nobody else's random numbers are touched


def test_another_seed_is_another_correction(linear_world: Callable) -> None:
    world = linear_world()
    one, other = (METHODS["correction"](seed).fit(world.seen)(world.text)(world.images) for seed in (3, 4))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", METHODS)
def test_the_search_space_follows_the_seed_and_comes_back_from_its_values(name: str) -> None:
    def drawn(seed: int) -> tuple:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
        trial = study.ask()
        return METHODS[name].draw(trial, 5), trial.params

    method, values = drawn(1)
    assert method == drawn(1)[0] != drawn(2)[0]
    assert method == METHODS[name].draw(optuna.trial.FixedTrial(values), 5)
    assert method.seed == 5
    assert 1 <= len(values) <= 5
