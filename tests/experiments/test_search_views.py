"""Tables and figure of a random search."""

from pathlib import Path
from typing import Any

import pytest

from n3lib.experiments import search_views
from n3lib.experiments.results import Table
from n3lib.experiments.search import SPACE, draw
from n3lib.io.files import write_json


@pytest.fixture
def result() -> dict[str, Any]:
    drawn = draw(list(SPACE), 0, 4)
    trials = [
        {"trial": k, "parameters": p, "validation": v}
        for k, (p, v) in enumerate(zip([{}, *drawn], [41.0, 39.0, 43.04, None, 40.0], strict=True))
    ]
    told = {"space": {name: list(some) for name, some in SPACE.items()}, "trials": trials, "best": 2}
    told |= {"configured": {"per_class_accuracy": 30.0}, "configured_values": dict.fromkeys(SPACE, 0.1)}
    return {"search": told, "metrics": {"per_class_accuracy": 31.0}, "ways": 100, "chance": 1.0}


def test_the_chosen_trial_is_marked(result: dict[str, Any]) -> None:
    table = search_views.trial_table(result)
    assert [row[0] for row in table.rows] == ["0", "1", "**2**", "3", "4"]
    assert [row[-1] for row in table.rows] == ["41.0", "39.0", "**43.0**", "diverged", "40.0"]
    assert table.rows[0][1:-1] == ["0.1"] * len(SPACE)
    assert not any("." in name for name in table.head)  # "train.lr" was taken for an address on the web
    choice = search_views.choice_table(result)
    assert [row[1:] for row in choice.rows] == [["41.0", "30.0"], ["43.0", "31.0"]]
    assert choice.rows[1][0] == "best of 4 random trials"


def test_a_panel_for_each_hyperparameter(result: dict[str, Any]) -> None:
    figure: Any = search_views.search_figure(result)
    axes = dict(zip(SPACE, figure.axes, strict=True))
    assert {name: axis.get_xscale() == "log" for name, axis in axes.items()} == {
        name: isinstance(some, tuple) for name, some in SPACE.items()
    }
    trials, chosen, level = axes["train.lr"].lines
    assert len(trials.get_xdata()) == 3  # what diverged has no place
    best = result["search"]["trials"][2]
    assert chosen.get_xydata().tolist() == [[best["parameters"]["train.lr"], best["validation"]]]
    assert level.get_ydata()[0] == 41.0
    figure.canvas.draw()


def test_what_is_drawn() -> None:
    rows = search_views.space_table(SPACE).rows
    assert rows[0] == ["`train.lr`", "0.0001 to 0.003, on a log scale"]
    assert rows[2] == ["`model.t2l_layers`", "one of 1, 2"]


def test_without_a_result_the_command_is_told(tmp_path: Path) -> None:
    assert search_views.committed(tmp_path / "none.json") is None
    for view in (search_views.trial_table, search_views.choice_table, search_views.search_figure):
        shown = view(None)
        assert isinstance(shown, Table) and "n3 search configs/aviary.yaml" in str(shown)
    write_json(tmp_path / "some.json", {"search": {}})
    assert search_views.committed(tmp_path / "some.json") == {"search": {}}
