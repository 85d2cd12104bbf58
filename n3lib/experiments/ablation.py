"""Chapter 4: what each of the benchmark's settings is worth on photographs of birds."""

from functools import partial
from pathlib import Path

from n3lib.experiments.benchmark import N3_FORMS
from n3lib.experiments.experiment import ADAPTATIONS, FROZEN, Experiment, accuracy_cell
from n3lib.experiments.layer_swaps import measure_swaps
from n3lib.experiments.results import Table, lead

_LAST_STAGE = [f"layer3.{name}" for name in ("0.conv1", "0.conv2", "0.downsample.0", "1.conv1", "1.conv2")]
# Variant to what it changes, in words and in settings.
_CHANGES = {
    "all": (f"nothing: {ADAPTATIONS['all']}", []),
    # Which layers change, and how.
    "constant": (ADAPTATIONS["constant"], N3_FORMS["n3-constant"]),
    "finetune": (ADAPTATIONS["finetune"], N3_FORMS["finetune"]),
    "written": (ADAPTATIONS["written"], ["--model.shared_mu=0"]),
    "classifier": ("classifier and word weights alone", N3_FORMS["n3-classifier"]),
    "frozen": ("no training", FROZEN),
    "last-stage": ("the last stage's layers alone", [f"--model.layers=[{','.join(_LAST_STAGE)}]"]),
    # The text.
    "fixed-words": ("no learned word weights", ["--train.fast_lr=0"]),
    "words-alone": ("no sentence encoder", ["--text.encoder=words"]),
    "encoder-alone": ("no TF-IDF features", ["--text.tfidf=false", "--model.ridge=0.3"]),
    # The images.
    "no-mirror": ("no mirrored copies", ["--mirror=false"]),
    "no-crop": ("whole images in training", ["--episodes.crop=0"]),
    "average-pooling": ("no maximum pooling", ["--backbone.pool=avg"]),
    "small-images": ("112 pixels instead of 144", ["--data.size=112", "--episodes.crop=88"]),
    # The tasks, and the number of steps.
    "ways-10": ("10 query classes instead of 30", ["--episodes.ways=10"]),
    "ways-50": ("50 query classes", ["--episodes.ways=50"]),
    "look-alikes": ("half the tasks of look-alikes", ["--episodes.alike=0.5"]),
    "renewed": ("exemplars renewed every 50 steps", ["--train.every=50"]),
    "long": ("twice the steps", ["--train.steps=400", "--train.every=400"]),
}

ABLATION = Experiment(
    "ablation",
    "What of the benchmark's settings helps on photographs?",
    "benchmark",
    {name: settings for name, (_, settings) in _CHANGES.items()},
    common=["--fit=train"],
    part="val",
    also=partial(measure_swaps, variants=("all",), ways=10, tasks=8, part="val"),
    folder="benchmark/ablation",
)


def ablation_table(folder: Path) -> Table:
    """A row per variant: accuracy on validation classes, and the points ahead of the first, seed by seed."""
    results = ABLATION.measured(folder)
    found = ABLATION.by_variant(results)
    rows = [
        [_CHANGES[v][0], accuracy_cell(own), "" if v == "all" else lead(own, found["all"])]
        for v, own in found.items()
    ]
    head = ["what is changed", "accuracy (%)", "ahead of the first (points)"]
    return Table(head, rows, ABLATION.note(results))
