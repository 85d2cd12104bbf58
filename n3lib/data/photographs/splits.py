"""The class splits of the datasets (`splits.json`, with sources); what is not listed is trained on.

Numbers in the file are class ids, counted from 1: of NABirds' 404 merged species, of Flowers-Species' 55
labels.

What is not published was drawn for this library by one fixed rule: put the classes to choose from in order of
the SHA-256 of "<split>:<official id>" and take as many as needed (what the paper's Table 1 says, if it does).
The official id of a label of Flowers-Species is that of Oxford Flowers. For SCE of CUB the rule draws whole
super-categories, the last words of names, in that order and none of them tested, as long as their classes fit
in 40. For SCE of NABirds it draws species, so that some have relatives in training: its super-categories are
in its hierarchy.txt, which is not part of this library. The tests draw all of them again, from what the file
has under "drawn from".
"""

from pathlib import Path

from n3lib.data.dataset import Split
from n3lib.io import read_json


def read_splits(dataset: str, classes: int) -> dict[str, Split]:
    """The splits of a dataset of so many classes, by their names."""
    ids = set(range(classes))
    splits = {}
    for name, parts in read_json(Path(__file__).with_name("splits.json"))[dataset].items():
        val, test = ({number - 1 for number in parts[part]} for part in ("val", "test"))
        splits[name] = Split(name, *(tuple(sorted(part)) for part in (ids - val - test, val, test)))
    return splits
