"""Charts: the mean and the band over seeds, and axes that say what they are."""

import numpy as np
from matplotlib.colors import to_hex

from n3lib.experiments import charts, plots


def test_a_line_is_the_mean_of_its_seeds_in_a_band_from_lowest_to_highest() -> None:
    seeds = [{1: 1.0, 2: 5.0, 9: 0.0}, {1: 3.0, 2: 6.0}]  # 9 was measured with one seed only
    panels = {"left": {"own": charts.over_seeds(seeds)}, "right": {"other": charts.over_seeds(seeds[:1])}}
    figure = charts.lines(panels, "step", "loss (nats)", level=(0.5, "guess"))
    left, right = figure.axes
    own, guess = left.lines
    assert own.get_xydata().tolist() == [[1, 2], [2, 5.5]]
    (band,) = left.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    assert {(1, 1), (1, 3), (2, 5), (2, 6)} <= corners
    assert not right.collections  # one seed has no spread
    assert list(guess.get_ydata()) == [0.5, 0.5]
    assert (left.get_title(), left.get_xlabel(), left.get_ylabel()) == ("left", "step", "loss (nats)")
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["own", "guess", "other"]


def test_a_band_is_drawn_as_it_is_given() -> None:
    nan = float("nan")
    figure = charts.lines(
        {"": {"a": {2: (1.0, -1.0, 4.0), 1: (3.0, 2.0, 5.0)}, "b": {1: (1.0, nan, nan)}}}, "x", "y"
    )
    assert [line.get_xydata().tolist() for line in figure.axes[0].lines] == [[[1, 3], [2, 1]], [[1, 1]]]
    (band,) = figure.axes[0].collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    assert {(1, 2), (1, 5), (2, -1), (2, 4)} <= corners


def test_a_name_keeps_its_color_and_ordered_names_run_from_dark_to_light() -> None:
    one = charts.over_seeds([{1: 1.0, 2: 2.0}])
    figure = charts.lines({"a": {"x": one, "y": one}, "b": {"y": one}}, "x", "y")
    first, second = figure.axes
    assert first.lines[1].get_color() == second.lines[0].get_color() == plots.ORANGE
    figure = charts.lines({"": {"1": one, "2": one, "3": one}}, "x", "y", ordered=True)
    light = [np.mean([int(to_hex(line.get_color())[i : i + 2], 16) for i in (1, 3, 5)])
             for line in figure.axes[0].lines]  # fmt: skip
    assert light == sorted(light)


def test_a_logarithmic_axis_has_a_tick_where_something_was_measured() -> None:
    figure = charts.lines(
        {"": {"x": charts.over_seeds([{2: 1.0, 50: 2.0, 10: 3.0}])}}, "classes", "accuracy (%)", log=True
    )
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["2", "10", "50"]


def test_layers_stand_in_the_order_of_the_network_with_a_mark_a_seed() -> None:
    seeds = [{"stem": 1.0, "block": 4.0, "a": 2.0}, {"stem": 3.0, "block": 4.0, "a": 2.0}]
    figure = charts.layers({"norm": {"all": seeds, "constant": seeds[:1]}, "share (%)": {"all": seeds}})
    norm, share = figure.axes
    mean, *marks = norm.lines
    assert mean.get_ydata().tolist() == [2.0, 4.0, 2.0]
    assert [line.get_linestyle() for line in marks] == ["None", "None", "-", "None"]
    assert [text.get_text() for text in share.get_xticklabels()] == ["stem", "block", "a"]
    assert (norm.get_ylabel(), share.get_ylabel()) == ("norm", "share (%)")
    assert norm.get_ylim()[0] == 0


def test_a_logarithmic_y_axis_reaches_zero_only_where_there_are_zeros() -> None:
    scale = {
        low: charts.lines({"": {"x": {1: (low, low, low)}}}, "x", "y", log_y=True).axes[0].get_yscale()
        for low in (0.0, 2.0)
    }
    assert scale == {0.0: "symlog", 2.0: "log"}


def test_names_in_charts_are_text() -> None:
    one = [{"$a_$b": 1.0, "日": 2.0}]
    figure = charts.layers({"$a_$b": {"_x": one, "$a_$b": one}})
    figure.draw_without_rendering()
    (axis,) = figure.axes
    ticks = axis.get_xticklabels()
    assert ticks[0].get_text() == axis.get_ylabel() == "$a_$b"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["_x", "$a_$b"]
    one = charts.over_seeds([{1: 1.0, 2: 900.0}])
    figure = charts.lines(
        {"$a_$b": {"_x": one, "$a_$b": one}}, "$a_$b", "$c_$d", level=(5.0, "日"), log_y=True
    )
    figure.draw_without_rendering()
    (axis,) = figure.axes
    assert (axis.get_title(), axis.get_xlabel(), axis.get_ylabel()) == ("$a_$b", "$a_$b", "$c_$d")
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["_x", "$a_$b"]
    assert all(text.get_parse_math() for text in axis.get_yticklabels())  # powers of ten


def test_lines_of_a_title_stay_lines() -> None:
    figure = charts.lines({"a\nb": {"x": charts.over_seeds([{1: 1.0}])}}, "x", "y")
    assert figure.axes[0].get_title() == "a\nb"
