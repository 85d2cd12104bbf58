"""Makes the run that ships, `birds`: measured on classes that it never saw, then trained on all of CUB.

`python -m n3lib.experiments.ship DIR DESCRIPTORS` makes all of it: DIR holds CUB and its articles, and
DESCRIPTORS is a file of short descriptors of its classes (Menon and Vondrick, 2023). It trains the recipe on
150 classes and measures it on the 50 others, in tasks of 2 to 50; then on 160 without a fifth of the images,
which measures what it knows; then on all 200, and packs that run, with the temperature and the threshold for
unknown pictures of the first.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from n3lib.data import find_photographs, load_data, read_descriptions
from n3lib.data.dataset import Split
from n3lib.data.texts import read_texts
from n3lib.experiments.birds import BIRDS, card
from n3lib.experiments.runner import run_experiment
from n3lib.io import read_json, write_json
from n3lib.io.files import write_text
from n3lib.pretrained.runs import SHIPPED
from n3lib.run import Run, train
from n3lib.text.tfidf import TfIdf

CONFIGS = Path("configs")
LOOKS = 5  # sentences of an article that say most of how its class looks


def looks(
    articles: Sequence[Sequence[str]], descriptors: Sequence[Sequence[str]], count: int = LOOKS
) -> list[list[str]]:
    """The sentences of each article that share most words with what others write of looks.

    Words are those of the descriptors of at least two classes. How many of them a sentence has is divided by
    the square root of its number of words: long sentences have some of everything.
    """
    words = TfIdf.fit(descriptors)
    common = torch.from_numpy((words.transform(descriptors) > 0).sum(0) > 1)
    every = TfIdf.fit(articles)
    found = []
    for article in articles:
        about = torch.from_numpy(words.counts(article).toarray() > 0).float() @ common.float()  # (S,)
        length = torch.from_numpy((every.counts(article).toarray() > 0).sum(1)).clamp_min(6)  # (S,)
        best = (about / length.sqrt()).argsort(descending=True, stable=True)[:count]
        found.append([article[i] for i in sorted(best.tolist())])
    return found


def ship(
    root: str,
    descriptors: str,
    overrides: Sequence[str] = (),
    results: Path = Path("results"),
    runs: Path = Path("runs"),
) -> Path:
    """Measure the recipe, train it on all classes, and pack that run into the package.

    Raises:
        N3Error: as `run_experiment` and `train`.
    """
    home, given = runs / "birds", [f"--data.root={root}", *overrides]
    wanted = BIRDS.settings("unseen", CONFIGS, given).data
    source, folder = find_photographs(wanted.name, root)
    names, seen = source.index(folder).classes, source.split(wanted.split).part("trainval")
    said = read_texts(descriptors, names)
    best = looks(read_descriptions(wanted), [said[c] for c in seen])
    write_json(home / "looks.json", dict(zip(names, best, strict=True)))
    given.append(f"--data.also={json.dumps([descriptors, str(home / 'looks.json')])}")
    run_experiment("birds", results, CONFIGS, given, runs=runs)

    config = BIRDS.settings("unseen", CONFIGS, given)
    data = load_data(config.data)
    split = Split("all", tuple(range(len(data.classes))), (), ())
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, split=split.name))
    run = train(config, home / "all", dataset=dataclasses.replace(data, split=split))
    measured = next(one for one in BIRDS.measured(results) if one["variant"] == "unseen")
    kept = {name: measured[name] for name in ("temperature", "familiar", "calibration")}
    write_json(run.folder / "run.json", read_json(run.folder / "run.json") | kept)
    write_text(SHIPPED / "birds.md", card(results))
    return Run.load(run.folder).pack(SHIPPED / "birds.safetensors")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python -m n3lib.experiments.ship DIR DESCRIPTORS [--SETTING=VALUE ...]")
    ship(sys.argv[1], sys.argv[2], sys.argv[3:])
