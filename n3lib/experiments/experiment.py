"""What experiments share: a question, the variants of a configuration that answer it, the results."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from n3lib.config import RunConfig, read_config
from n3lib.data.dataset import ZeroShotDataset
from n3lib.evaluation import TextControl
from n3lib.experiments import provenance
from n3lib.experiments.results import Results, load_results
from n3lib.io import read_json
from n3lib.run import Run

SEEDS = (0, 1, 2)

# The pretrained network as it is, with the exemplar classifier: nothing is learned.
FROZEN = ["--model.adapt=classifier", "--train.steps=0"]

# The forms of adaptation that experiments compare, by the name of their variants.
ADAPTATIONS = {
    "frozen": "none: exemplar ridge",
    "finetune": "plain fine-tuning",
    "constant": "constant adaptation",
    "written": "N3, text-conditioned alone",
    "all": "N3, shared offset and text-conditioned",
}


# Finished run and its data, to further fields of the run's result.
Measurement = Callable[[Run, ZeroShotDataset], dict[str, Any]]


def selected_scales(config: str | Path, dataset: str, split: str) -> dict[str, list[str]]:
    """Form of N3 to what `n3 study selection` chose for it on a split, from the file beside a config."""
    path = Path(config).with_suffix(".selected.json")
    return read_json(path).get(dataset, {}).get(split, {}) if path.is_file() else {}


class Evaluation(NamedTuple):
    """A result of its own for every run, as `n3 evaluate` measures it."""

    end: str = ""  # of the file's name
    ways: int = 0  # number of classes of the test tasks, 0 for all
    control: TextControl = "own"  # whose texts describe the classes
    variants: tuple[str, ...] = ()  # those that have this result; all where empty


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A question, and the variants of one configuration that answer it."""

    name: str  # of `n3 study NAME`; also the `study` of its results, but those of `evaluations` have `main`
    title: str  # the question, and the section of the paper
    config: str  # YAML file in `configs/` that the variants start from
    variants: dict[str, list[str]]  # name to the settings that it changes; a name may begin with a folder
    common: list[str] = dataclasses.field(default_factory=list)  # settings that all variants change
    ways: tuple[int, ...] = (0,)  # numbers of classes of the test tasks, 0 for all; each is measured
    alike: bool = False  # whether tasks of look-alikes are measured too, beside random ones
    tasks: int = 10  # drawn of each kind
    part: str = "test"  # of the split that the query classes are from, or `val`
    swaps: tuple[int, int] = (10, 8)  # classes of the tasks whose layers are exchanged, tasks of each kind
    seeds: tuple[int, ...] = SEEDS
    also: Measurement | None = None  # further fields of every result
    folder: str = ""  # of its results in `results/`; the name where it is empty
    selected: dict[str, str] = dataclasses.field(default_factory=dict)  # to the form whose scales they have
    evaluations: tuple[Evaluation, ...] = ()  # instead of `ways`, `alike` and `tasks`

    def settings(self, variant: str, folder: Path, overrides: Sequence[str] = (), seed: int = 0) -> RunConfig:
        """The configuration of a variant; `overrides` do not change what the variant is about."""
        path, own, scales = folder / f"{self.config}.yaml", self.variants[variant], list[str]()
        if form := self.selected.get(variant):
            data = read_config(path, [*self.common, *own]).data
            scales = selected_scales(path, data.name, data.split).get(form, [])
        searched = {setting.partition("=")[0] for setting in scales}  # in place of a form's own value
        kept = [setting for setting in own if setting.partition("=")[0] not in searched]
        return read_config(path, [*self.common, *scales, *overrides, *kept, f"--seed={seed}"])

    def home(self, folder: Path) -> Path:
        """The folder of its own results in the folder of all."""
        return folder / (self.folder or self.name)

    def measured(self, folder: Path) -> list[dict[str, Any]]:
        """The results, in the order of the variants, in the folder of all."""
        order = list(self.variants)
        found = load_results(self.home(folder), study=self.name)
        return sorted(found, key=lambda result: (order.index(result["variant"]), result["seed"]))

    def by_variant(self, results: Results) -> dict[str, list[Mapping[str, Any]]]:
        """Every variant, also one without results, to its results, one per seed."""
        return {variant: [r for r in results if r["variant"] == variant] for variant in self.variants}

    def note(self, results: Results, task: str = "") -> str:
        """The note below a table: the number of classes and chance, or `task`, and the seeds.

        Where there are no results, the command that makes them.
        """
        if not results:
            return f"There are no results yet: `n3 study {self.name}` makes them."
        one = next((r for r in results if r["metrics"]), None)
        if one and not task:
            task = f"{one['ways']} classes, chance {one['chance']:.1f} %; "
        seeds = sorted({r["seed"] for r in results})
        return provenance.note(results, f"{task}seeds {', '.join(map(str, seeds))}.")
