"""Layers of another task, and what is left of a description: against a network that is known to need them."""

import copy
import dataclasses
import types

import pytest
import torch

from n3lib.data import load_data
from n3lib.evaluation import evaluate
from n3lib.experiments import conditioning
from n3lib.experiments.conditioning import column_shares, which_words, whose_layers, word_weights
from n3lib.io.errors import N3Error
from n3lib.run import Run
from n3lib.text.bank import Text


@pytest.fixture
def moved(tiny_run: Run) -> Run:
    """The tiny run with decoders that write large changes, which hang on the text."""
    run = copy.deepcopy(tiny_run)
    with torch.no_grad():
        for decoder in run.model.labels2adaptation.decoders:
            decoder.out.weight.normal_()
        run.model.labels2adaptation.log_mu.fill_(0.0)
    return run


@pytest.fixture
def even(tiny_run: Run) -> Run:
    """The tiny run with decoders that write the same column everywhere, whatever is asked for."""
    run = copy.deepcopy(tiny_run)
    with torch.no_grad():
        for decoder in run.model.labels2adaptation.decoders:
            decoder.out.weight.zero_()
            decoder.out.bias.fill_(0.3)
    return run


def test_layers_of_a_constant_adaptation_are_the_same_for_every_task(even: Run) -> None:
    table = whose_layers(even, 3, tasks=3)
    assert [row[0] for row in table.rows] == ["this task", "another task", "the mean of other tasks"]
    for row in table.rows[1:]:
        assert [cell.lstrip("+-") for cell in row[1:]] == ["0.0 ± 0.0"] * 2


def test_layers_that_hang_on_the_text_are_told_apart(moved: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    score = conditioning.score

    def spy(model, dataset, classes, adaptation, config):  # type: ignore[no-untyped-def]
        seen.append(adaptation.deltas)
        return score(model, dataset, classes, adaptation, config)

    monkeypatch.setattr(conditioning, "score", spy)
    whose_layers(moved, 3, tasks=3)
    name = next(iter(seen[0]))
    own, other, mean = (seen[place][name] for place in range(3))
    second, third = seen[3][name], seen[6][name]
    assert (own - other).norm() > 1e-3 * own.norm()
    torch.testing.assert_close(mean, (second + third) / 2)


def test_where_there_are_groups_the_other_task_is_of_another(
    moved: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_data(moved.config.data)
    groups = tuple(c % 2 for c in range(len(data.classes)))
    asked: list[set[int]] = []
    bank = moved.pipeline.bank(data.texts)
    batch = bank.batch

    def spy(classes: list[int]) -> Text:
        asked.append({groups[c] for c in classes})
        return batch(classes)

    monkeypatch.setattr(bank, "batch", spy)
    found = conditioning.layer_swaps(moved, 3, 4, dataclasses.replace(data, groups=groups), bank)
    assert list(found) == ["random"]
    own, other = asked[:4], asked[4:]
    assert all(len(groups) == 1 for groups in asked)
    assert all(a.isdisjoint(b) for a, b in zip(own, other, strict=True))
    few = tuple(int(c in data.split.test[:2]) for c in range(len(data.classes)))
    with pytest.raises(N3Error, match="two tasks of 3 classes each") as refused:
        conditioning.layer_swaps(moved, 3, 4, dataclasses.replace(data, groups=few), bank)
    assert "Use 2 to 2 ways" in str(refused.value)
    table = whose_layers(moved, 3, tasks=2, dataset=dataclasses.replace(data, groups=groups))
    assert [len(row) for row in table.rows] == [len(table.head)] * 3


def test_columns_that_are_all_the_same_are_their_mean(even: Run) -> None:
    table = column_shares(even, 3, tasks=2)
    assert table.rows[0] == ["the same in all tasks", "100", "100", "100"]


def test_the_share_of_the_columns_mean_in_what_differs(moved: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # Columns 3 and 1, then 1 and 1: on average 2 and 1, and around it 1 and 0, then -1 and 0. The mean of the
    # former has 2 * 1.5^2 = 4.5 of 5; that of the latter 2 * 0.5^2 = 0.5 of 1, twice.
    columns = iter([[3.0, 1.0], [1.0, 1.0]])

    def written(text: Text) -> object:
        return types.SimpleNamespace(deltas={"conv": torch.tensor(next(columns))[:, None]})

    monkeypatch.setattr(moved.model, "read", written)
    table = column_shares(moved, 3, tasks=2)
    assert [row[1:] for row in table.rows] == [["90"] * 3, ["50"] * 3]


def test_with_everything_left_the_result_is_the_runs_own(tiny_run: Run) -> None:
    table = which_words([tiny_run])
    rows = {row[0]: row[1:] for row in table.rows}
    own = evaluate(tiny_run)["metrics"]["per_class_accuracy"]
    assert rows["everything"][1] == f"{own:.1f}"
    words = {name: int(row[0]) for name, row in rows.items()}
    assert words["the sentences on its looks"] < words["everything"]
    assert words["the sentences on its looks"] + words["the sentences on its habits"] >= words["everything"]
    assert words["the name"] <= 4


def test_what_is_cut_is_gone(tiny_run: Run) -> None:
    data = load_data(tiny_run.config.data)
    left = conditioning._left(data)
    place = next(i for i, text in enumerate(data.texts) if any("blue" in line for line in text))
    assert "blue" not in " ".join(left["no words of color"][place])
    assert "blue" in " ".join(left["no words of shape and pattern"][place])
    assert set(left["the sentences on its looks"][place]) < set(data.texts[place])
    assert all(text for texts in left.values() for text in texts)


def test_learned_word_weights_run_from_the_largest_to_the_smallest(tiny_run: Run) -> None:
    told = list(word_weights(tiny_run, 3).values())
    weights = tiny_run.model.log_word_weight.exp()
    assert told[0] == pytest.approx(weights.max().item())
    assert told[-1] == pytest.approx(weights.min().item())
    assert told == sorted(told, reverse=True)


def test_more_classes_than_there_are_is_refused(tiny_run: Run) -> None:
    with pytest.raises(N3Error, match="two tasks of 7 classes each.*8 test classes"):
        whose_layers(tiny_run, 7)
