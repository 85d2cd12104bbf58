"""The numbers of README's tables are those of the committed results."""

from pathlib import Path

import pytest

from n3lib.experiments import birds
from n3lib.experiments.conditioning import DIALECTS
from n3lib.experiments.layer_swaps import LAYERS, swapped
from n3lib.experiments.results import Results, accuracy_cell, load_results

ROOT = Path(__file__).parents[2]
CUB = {
    "GAZSL": "gazsl",
    "PDCNN, fc + conv": "pdcnn-fc-conv",
    "ESZSL": "eszsl",
    "CorrectionNetwork": "correction",
    "WAC, linear": "wac-linear",
    "SAE": "sae",
    "EXEM, the exemplar ridge that N3 starts from": "exem",
    "N3, classifier only": "n3-classifier",
    "plain fine-tuning (control)": "finetune",
    "N3, constant adaptation (control)": "n3-constant",
    "N3, every layer": "n3",
}
OBSERVERS = {  # variant, and the control of its results
    "one adaptation for all classes (control)": ("constant", ""),
    "frozen network, classifier from the same observer's classes (control)": ("frozen", "same observer"),
    "frozen network, kernel of observer by word (control)": ("frozen", "observer by word"),
    "one adaptation per observer (control)": ("constant", "network per observer"),
    "N3, shared offset and text-conditioned": ("all", ""),
}


def rows(head: str) -> dict[str, list[str]]:
    """The table of README whose first cell is this: each row's title to its other cells, without emphasis."""
    lines = (ROOT / "README.md").read_text().split(f"| {head} |")[1].splitlines()[2:]
    table = lines[: lines.index("")]
    cells = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table]
    return {title: found for title, *found in cells}


@pytest.mark.parametrize("title", CUB)
def test_methods_on_cub(title: str) -> None:
    def cell(split: str) -> str:
        folder = ROOT / "results" / "benchmark" / "resnet18" / f"cub-{split}"
        found = load_results(folder, method=CUB[title])
        return accuracy_cell(found)

    assert rows("CUB-200-2011")[title] == [cell(split) for split in ("PS", "SS", "SCE")]


@pytest.mark.parametrize("title", OBSERVERS)
def test_adaptations_on_the_dialects(title: str) -> None:
    variant, control = OBSERVERS[title]
    found: Results = DIALECTS.by_variant(DIALECTS.measured(ROOT / "results"))[variant]
    other = accuracy_cell(swapped(found, LAYERS[1]))
    if control:
        found = [r | r["controls"][control] for r in found if control in r["controls"]]
    assert rows("dialects")[title] == [accuracy_cell(found), "" if control else other]


def test_what_the_shipped_run_reaches() -> None:
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    ten = next(row for row in birds.expected_table(ROOT / "results").rows if row[0] == "10")
    known = birds.known_table(ROOT / "results").rows[0][1]
    for cell in (ten[2], ten[4]):  # two views, of random classes and of look-alikes
        assert cell.replace(" (", " % (") in text
    assert f"{known} % on ten that it knows" in text
