"""What holds for methods of any kind."""

from collections.abc import Callable

import numpy as np
import optuna
import pytest

from n3lib.baselines import baselines

METHODS = baselines()
CLOSED = ("eszsl", "exem", "exem-rbf", "nearest")  # the others' own files test the same


@pytest.mark.parametrize("name", CLOSED)
def test_beats_chance_where_texts_tell_and_not_where_they_do_not(name: str, linear_world: Callable) -> None:
    def accuracy(related: bool) -> float:
        worlds = [linear_world(related, seed) for seed in range(3)]
        return np.mean([w.accuracy(METHODS[name]().fit(w.seen)(w.text)(w.images)) for w in worlds])

    assert accuracy(related=True) > 0.5
    assert accuracy(related=False) < 0.35  # chance is 1/8; three worlds leave it some play


@pytest.mark.parametrize("name", CLOSED)
def test_permuting_the_classes_permutes_the_scores(name: str, linear_world: Callable) -> None:
    world = linear_world()
    writer, order = METHODS[name]().fit(world.seen), [3, 0, 7, 1, 2, 6, 4, 5]
    straight, turned = writer(world.text)(world.images), writer(world.text[order])(world.images)
    np.testing.assert_allclose(turned, straight[:, order], atol=1e-5 * np.abs(straight).max())


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
