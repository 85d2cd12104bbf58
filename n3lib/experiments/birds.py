"""What can be expected of the run that ships: the experiment, its tables, and the model card made of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from n3lib.experiments import charts
from n3lib.experiments.expectations import SENTENCES, TASKS, WAYS, expectations
from n3lib.experiments.experiment import Experiment
from n3lib.experiments.results import Table, accuracy_cell, interval, lead

_LOOKS, _DESCRIPTORS = "five sentences about looks", "descriptors"
_TEXTS = {
    "article": "Wikipedia article",
    "article, first 1": "its first sentence",
    **{f"article, first {count}": f"its first {count} sentences" for count in SENTENCES[1:]},
    "further text 1": _DESCRIPTORS,
    "article and further text 1": f"article and {_DESCRIPTORS}",
    "further text 2": _LOOKS,
    "article and further text 2": f"article and {_LOOKS}",
    "name": "name alone",
}
_ADAPTED = {
    "all": "Every layer is adapted, to the text and in one way for all tasks.",
    "classifier": "The text decides the last layer; the others are as pretrained.",
    "constant": "Every layer is adapted in one way for all tasks; the text decides the last one.",
    "finetune": "Every layer was trained further; the text decides the last one.",
}


BIRDS = Experiment(
    "birds",
    "What can be expected of the run that ships?",
    "birds",
    {"unseen": [], "known": ["--data.split=160/40"]},
    ways=WAYS,
    alike=True,
    tasks=TASKS,
    seeds=(0,),
    also=expectations,
)


def _measured(results: Path) -> dict[str, Mapping[str, Any]]:
    return {one["variant"]: one for one in BIRDS.measured(results)}


def _cell(one: Mapping[str, Any]) -> str:
    return accuracy_cell([{"seed": 0, **one}])


def expected_table(results: Path) -> Table:
    """Accuracy on unseen classes by their number, of random ones and look-alikes, in one view and two."""
    unseen = _measured(results)["unseen"]
    views = {"two views": "measured", "one view": "one_view"}
    at = {(view, one["tasks"], one["ways"]): one for view in views.values() for one in unseen[view]}
    kinds = [(kind, view) for kind in ("random", "look-alikes") for view in views]
    rows = [
        [str(ways), f"{100 / ways:.0f}", *(_cell(at[views[view], kind, ways]) for kind, view in kinds)]
        for ways in WAYS
    ]
    return Table(["classes", "chance", *(f"{kind}, {view}" for kind, view in kinds)], rows)


def expected_chart(results: Path) -> Figure:
    """`expected_table` in two views as lines, in bands of the 95 % interval."""
    shown: dict[str, dict[int, tuple[float, float, float]]] = {}
    for one in _measured(results)["unseen"]["measured"]:
        found = interval([{"seed": 0, **one}])
        assert found
        shown.setdefault(one["tasks"], {})[one["ways"]] = found
    shown["chance"] = {ways: (100 / ways,) * 3 for ways in WAYS}
    return charts.lines({"unseen species": shown}, "classes", "per-class accuracy (%)", log=True)


def texts_table(results: Path) -> Table:
    """Accuracy by what describes the unseen classes, of ten and of all; of ten, the lead over the article."""
    texts = [{"seed": 0, **one} for one in _measured(results)["unseen"]["texts"]]
    ten, every = ({one["text"]: one for one in texts if (one["ways"] == 10) == few} for few in (True, False))
    article, rows = ten["article"], []
    for name, one in ten.items():
        ahead = lead([one], [article]) if one is not article else ""
        cells = (accuracy_cell([one]), ahead, accuracy_cell([every[name]]))
        rows.append([_TEXTS.get(name, name), f"{one['words']:.0f}", *cells])
    return Table(["text", "words", "of 10 classes", "lead over the article", "of 50 classes"], rows)


def known_table(results: Path) -> Table:
    """Accuracy on other pictures of known classes, which are asked for by name."""
    rows = [
        [one["tasks"], *(f"{one[name]:.1f}" for name in ("accuracy", "restricted"))]
        for one in _measured(results)["known"]["known"]
    ]
    return Table(["ten known species", "network of the ten", "network of all 160, asked for the ten"], rows)


def unknown_table(results: Path) -> Table:
    """How well networks of unseen classes tell pictures of something else."""
    rows = [
        [
            str(one["ways"]),
            one["pictures"],
            *(f"{one[name]:.1f}" for name in ("auroc", "rejected", "accepted")),
        ]
        for one in _measured(results)["unseen"]["unknown"]
    ]
    return Table(["classes", "pictures", "AUROC", "own rejected (%)", "others accepted (%)"], rows)


def card(results: Path = Path("results")) -> str:
    """The model card, in Markdown; a `KeyError` where the results are not there."""
    unseen = _measured(results)["unseen"]
    before, after = unseen["calibration"]["error"]
    tables = {
        "expected": expected_table,
        "texts": texts_table,
        "known": known_table,
        "unknown": unknown_table,
    }
    return (
        Path(__file__)
        .with_name("birds_card.md")
        .read_text("utf-8")
        .format(
            adapted=_ADAPTED[unseen["config"]["model"]["adapt"]],
            tasks=unseen["permutations"],
            familiar=f"{unseen['familiar']:.2f}",
            temperature=f"{unseen['temperature']:.2f}",
            ways=unseen["calibration"]["ways"],
            before=f"{before:.1f}",
            after=f"{after:.1f}",
            **{name: str(table(results)) for name, table in tables.items()},
        )
    )
