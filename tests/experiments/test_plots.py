"""Pictures: what they show, that axes say what they are, and that nothing happens outside a notebook."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot, rc_context
from matplotlib.figure import Figure

from n3lib.experiments import plots
from n3lib.run import Run
from n3lib.synthesis import synthesize
from n3lib.trainer import Progress

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3)).astype(np.uint8)


def labels(figure: Figure) -> list[str]:
    return [label for axis in figure.axes for label in (axis.get_xlabel(), axis.get_ylabel()) if label]


def is_jpeg(picture: plots.Picture) -> bool:
    return picture._repr_jpeg_().startswith(b"\xff\xd8")


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    logged = [{"step": 0, "validation": 20.0}]
    logged += [{"step": s, "loss": 3.0 / s, "accuracy": s / 30, "seconds": 0.1} for s in range(1, 31)]
    logged += [{"step": 30, "validation": 40.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in logged))
    return tmp_path


def test_style_makes_light_figures_that_the_color_blind_can_read() -> None:
    with rc_context():
        plots.style()
        assert pyplot.rcParams["figure.facecolor"] == pyplot.rcParams["savefig.facecolor"] == "#ffffff"
        assert pyplot.rcParams["axes.prop_cycle"].by_key()["color"][0] == plots.BLUE


def test_a_gallery_shows_every_image_with_its_title() -> None:
    picture = plots.gallery(IMAGES, [f"bird {i}" for i in range(7)], columns=4)
    assert is_jpeg(picture)
    assert [axis.get_title() for axis in picture.figure.axes] == [f"bird {i}" for i in range(7)] + [""]
    assert sum(len(axis.images) for axis in picture.figure.axes) == 7


def test_predictions_are_the_networks_probabilities(
    tiny_run: Run, unseen: dict[str, tuple[str, ...]]
) -> None:
    network = synthesize(tiny_run, unseen)
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8))
    first = network.labels[0]
    picture = plots.predictions(network, images, [first, 1, None])
    assert is_jpeg(picture)
    drawn = [bar.get_width() for bar in picture.figure.axes[3].patches]
    assert drawn == pytest.approx((100 * network.probabilities(images)[0]).tolist())
    green = [[bar.get_facecolor() for bar in axis.patches] for axis in picture.figure.axes[3:]]
    expected = pyplot.matplotlib.colors.to_rgba(plots.GREEN)  # type: ignore[attr-defined]
    assert [colors.count(expected) for colors in green] == [1, 1, 0]
    assert "%" in picture.figure.get_supxlabel()


def test_curves_show_loss_accuracy_and_validation_with_units(lines: Path) -> None:
    figure = plots.curves(lines, window=10)
    assert labels(figure) == ["step", "loss (nats)", "step", "accuracy (%)"]
    _, smooth, checked = figure.axes[1].lines
    assert smooth.get_ydata()[-1] == pytest.approx(np.mean(np.arange(21, 31)) / 30 * 100)
    assert list(checked.get_ydata()) == [20.0, 40.0]


def test_curves_of_a_run_without_steps_are_empty(tmp_path: Path) -> None:
    assert len(plots.curves(tmp_path).axes) == 2


def test_live_loss_is_quiet_outside_a_notebook() -> None:
    watch = plots.LiveLoss(every=1)
    watch(Progress(1, {"loss": 1.0, "accuracy": 0.5}))
    assert watch.lines == []


def test_live_loss_redraws_every_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, figure: Figure) -> None:
            shown.append("again")

    def display(figure: Figure, display_id: bool) -> Handle:
        shown.append("first")
        return Handle()

    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", display)
    watch = plots.LiveLoss(every=2)
    for step in range(1, 8):
        watch(Progress(step, {"loss": 1.0 / step, "accuracy": 0.5}))
    assert shown == ["first", "again", "again"]


def test_confusion_groups_look_alikes_side_by_side() -> None:
    counts = [[4, 0, 0], [0, 3, 1], [2, 0, 2]]
    result = {"confusion": {"classes": [7, 5, 6], "counts": counts}}
    figure = plots.confusion(result, groups=[0, 0, 0, 0, 0, 1, 2, 1])
    shares = figure.axes[0].images[0].get_array()
    assert np.allclose(shares, [[100, 0, 0], [0, 75, 25], [50, 0, 50]])  # 7 and 5 are one group
    assert len(figure.axes[0].patches) == 2
    assert "%" in figure.axes[1].get_ylabel()


@pytest.mark.parametrize("zero", [False, True])
def test_columns_stand_upright(zero: bool) -> None:
    matrix = torch.zeros(5, 9) if zero else torch.randn(5, 9)
    picture = plots.columns({"conv1": matrix})
    assert is_jpeg(picture)
    assert picture.figure.axes[0].images[0].get_array().shape == (9, 5)


def test_bars_and_histogram_say_what_they_measure() -> None:
    assert labels(plots.bars({"a": 1.0, "b": 2.0}, "length (cm)")) == ["length (cm)"]
    drawn = plots.histogram({"a": [1, 2, 3], "b": [2.0]}, "length (words)", "classes")
    assert labels(drawn) == ["length (words)", "share of the classes (%)"]


ODD = ["$100 bill_or_$50", "日本の鳥", "🐦 robin", "_hidden", "two\nlines\x00", "$", "x" * 200, "W" * 200]


def shown(figure: Figure) -> list[str]:
    """The names beside the first bars, as they are drawn."""
    axis = next(axis for axis in figure.axes if axis.patches)
    assert not any(text.get_parse_math() for text in axis.get_yticklabels())
    return [text.get_text() for text in axis.get_yticklabels()]


def test_names_are_text_wherever_they_are_drawn() -> None:
    figure = plots.bars(dict.fromkeys(ODD, 1.0), "cost ($5 or $10)", "from $5 to $10")
    figure.draw_without_rendering()
    names, axis = shown(figure), figure.axes[0]
    assert names[0] == ODD[0] and names[3] == "_hidden" and len(set(names)) == len(ODD)
    assert (axis.get_xlabel(), axis.get_title()) == ("cost ($5 or $10)", "from $5 to $10")
    assert not axis.title.get_parse_math() and not axis.xaxis.label.get_parse_math()
    figure = plots.histogram({name: [1, 2] for name in ODD}, "$5 or $10", "$1 and $2")
    figure.draw_without_rendering()
    (legend,) = [axis.get_legend() for axis in figure.axes]
    assert [text.get_text() for text in legend.get_texts()][:4:3] == [ODD[0], "_hidden"]
    assert is_jpeg(plots.gallery(IMAGES, ODD[:7], columns=4))
    assert is_jpeg(plots.columns({name: torch.randn(3, 4) for name in ODD[:2]}))


def test_long_names_leave_room_for_the_bars(tiny_run: Run, unseen: dict[str, tuple[str, ...]]) -> None:
    texts = list(unseen.values())
    network = synthesize(tiny_run, dict(zip(["W" * 200, "W" * 199 + "V", "x $1 y $2"], texts, strict=False)))
    figure = plots.predictions(network, torch.zeros(1, 32, 32, 3, dtype=torch.uint8), [None]).figure
    figure.draw_without_rendering()
    first, second, third = shown(figure)
    assert first != second and third == "x $1 y $2"
    assert figure.axes[1].get_window_extent().width > figure.dpi  # an inch
    assert figure.get_size_inches()[0] < 4.5


def test_a_title_stays_above_its_image() -> None:
    figure = plots.gallery(IMAGES[:3], ["a bird " * 30, "w" * 200, "wren"]).figure
    figure.draw_without_rendering()
    left, middle, right = (axis.title.get_window_extent() for axis in figure.axes)
    assert left.x1 < middle.x0 and middle.x1 < right.x0
    assert figure.get_size_inches()[1] < 2.0


@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.lists(st.text(st.characters()), min_size=2, max_size=4, unique=True))
def test_any_name_is_drawn(tiny_run: Run, names: list[str]) -> None:
    network = synthesize(tiny_run, {str(k): ("A red bird.",) for k in range(len(names))})
    network.labels = tuple(names)
    image = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    assert is_jpeg(plots.predictions(network, image, [names[0]]))
    assert is_jpeg(plots.gallery(IMAGES[: len(names)], names))
    plots.bars(dict.fromkeys(names, 1.0), names[0], names[1]).draw_without_rendering()
