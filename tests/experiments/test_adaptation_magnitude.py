"""How far each layer moves: a panel per quantity, and only of what was measured."""

from typing import Any

from n3lib.experiments.adaptation_magnitude import by_layer


def told(norm: float, **more: float) -> dict[str, Any]:
    return {"adaptation": {"a": {"norm": norm, "relative": 5.0, **more}}}


def test_each_quantity_has_a_panel() -> None:
    several = [told(2.0, varies=1.0), told(3.0, varies=1.0), {"metrics": {}}]  # the last was not measured
    figure = by_layer({"N3": several})
    assert [axis.lines[0].get_ydata().tolist() for axis in figure.axes] == [[2.5], [5.0], [1.0]]
    one_task = [told(2.0), told(3.0)]
    assert len(by_layer({"N3": one_task}).axes) == 2
    both = by_layer({"control": one_task, "none": [], "N3": several[:1]})
    assert [len(axis.get_lines()) for axis in both.axes] == [5, 5, 2]  # a mean and the seeds
    assert both.axes[2].lines[0].get_color() == both.axes[0].lines[3].get_color()


def test_without_results_there_is_a_line() -> None:
    assert "no results" in by_layer({"N3": []}).note
