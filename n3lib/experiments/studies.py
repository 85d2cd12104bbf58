"""The book's ablations: what each one asks, and the variants of one configuration that answer it."""

import dataclasses
from pathlib import Path
from typing import Any

from n3lib.experiments.benchmark import N3_FORMS
from n3lib.experiments.results import load_results
from n3lib.io.errors import N3Error

SEEDS = (0, 1, 2)


@dataclasses.dataclass(frozen=True)
class Study:
    """An ablation.

    Attributes:
        title: what is asked, and where in the paper.
        config: YAML file in `configs/` that the variants start from.
        common: what all variants change of it.
        variants: name to what each changes of it.
        ways: classes of the test tasks, 0 for all; a result each.
        alike: whether tasks of look-alikes are measured beside random ones.
        tasks: drawn of each kind.
        swapped: variants on which layers that N3 wrote for another task are tried, with the classes of a task
            and the number of tasks of each kind.
        part: whose classes are asked for, `test` or `val`.
    """

    title: str
    config: str
    variants: dict[str, list[str]]
    common: list[str] = dataclasses.field(default_factory=list)
    ways: tuple[int, ...] = (0,)
    alike: bool = False
    tasks: int = 10
    swapped: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    part: str = "test"


# The paper's pairs of gamma and initial mu (Table 3), and the 1 and 0.001 of its main experiments.
PAIRS = ((1.0, 0.001), (0.999, 0.001), (0.99, 0.01), (0.9, 0.1), (0.5, 0.5), (0.1, 0.9), (0.01, 0.99))

# The network as it came, with the exemplar classifier: nothing is learned.
FROZEN = ["--model.adapt=classifier", "--train.steps=0"]

SPECIES = (500, 2000)  # training species of the conditioning study

# Base networks (appendix A, Table 5) and their weights, which `n3 data backbone` pretrains; the aviary's own
# come with the package.
NETWORKS = {
    "googlenet": "runs/backbones/googlenet.safetensors",
    "resnet18": "runs/backbones/resnet18.safetensors",
    "squeezenet1_1": "runs/backbones/squeezenet1_1.safetensors",
    "aviary": "",
}


def _mu() -> dict[str, list[str]]:
    return {
        f"{form}-{gamma:g}-{mu:g}": [
            f"--model.mu={form}", f"--model.gamma={gamma:g}", f"--model.initial_mu={mu:g}"
        ]
        for gamma, mu in PAIRS
        for form in ("absolute", "relative")
    }  # fmt: skip


def _conditioning() -> dict[str, list[str]]:
    forms = {
        "all": ["--model.shared_mu=36", "--model.initial_mu=0.1"],
        "constant": ["--model.adapt=constant", "--model.shared_mu=36"],
        "finetune": ["--model.adapt=finetune", "--model.shared_mu=1"],
        "frozen": FROZEN,
        "written": [],
    }
    return {
        f"{form}-{species}": [*settings, f"--data.species={species}"]
        for species in SPECIES
        for form, settings in forms.items()
    }


def _dialects() -> dict[str, list[str]]:
    return {
        # A shared change that learns faster than the written one finds a network that is blind to color.
        "all": ["--model.shared_mu=4", "--model.initial_mu=3"],
        "constant": ["--model.adapt=constant", "--model.shared_mu=36"],
        "written": [],
        "frozen": FROZEN,
    }


def _backbones() -> dict[str, list[str]]:
    forms = {"all": [], "frozen": FROZEN}
    return {
        f"{name}-{form}": [f"--backbone.name={name}", f"--backbone.weights={weights}", *settings]
        for name, weights in NETWORKS.items()
        for form, settings in forms.items()
    }


def _ablation() -> dict[str, list[str]]:
    last = [f"layer3.{name}" for name in ("0.conv1", "0.conv2", "0.downsample.0", "1.conv1", "1.conv2")]
    return {
        "all": [],
        # What may change the layers.
        "constant": N3_FORMS["n3-constant"],
        "finetune": N3_FORMS["finetune"],
        "written": ["--model.shared_mu=0"],
        "classifier": N3_FORMS["n3-classifier"],
        "frozen": FROZEN,
        "last-stage": [f"--model.layers=[{','.join(last)}]"],
        # The text.
        "fixed-words": ["--train.fast_lr=0"],
        "words-alone": ["--text.encoder=words"],
        "encoder-alone": ["--text.tfidf=false", "--model.ridge=0.3"],
        # The images.
        "no-mirror": ["--mirror=false"],
        "no-crop": ["--episodes.crop=0"],
        "average-pooling": ["--backbone.pool=avg"],
        "small-images": ["--data.size=112", "--episodes.crop=88"],
        # The tasks, and how long to train.
        "ways-10": ["--episodes.ways=10"],
        "ways-50": ["--episodes.ways=50"],
        "look-alikes": ["--episodes.alike=0.5"],
        "renewed": ["--train.every=50"],
        "long": ["--train.steps=400", "--train.every=400"],
    }


STUDIES = {
    "mu": Study(
        "How far may the text move the pretrained parameters? (section 5.4, Table 3)",
        "aviary",
        _mu(),
        common=["--train.steps=200", "--train.every=50"],
    ),
    # `all` writes a change beside a shared one, `written` has no shared one, as in the paper; in `constant`
    # and `finetune` there is only what all tasks share, in `frozen` nothing is learned. All scales were
    # chosen on validation classes; `written` keeps the aviary's own 2.
    "conditioning": Study(
        "Does it pay to adapt the layers to the text, and not in one way for all classes?",
        "aviary",
        _conditioning(),
        common=[
            "--episodes.ways=10",
            "--episodes.alike=0.5",
            "--episodes.support=400",
            "--train.steps=300",
            "--train.every=300",
        ],
        ways=(0, 2, 5, 10, 20, 50),
        alike=True,
        tasks=8,
        swapped={f"{form}-{species}": (10, 20) for form in ("written", "all") for species in SPECIES},
    ),
    "dialects": Study(
        "Does reading the task pay where no one network can serve all tasks?",
        "aviary",
        _dialects(),
        common=[
            "--data.name=dialects",
            "--model.scale=0.5",  # the frozen network's classifier is mostly wrong here
            "--episodes.ways=20",
            "--episodes.support=300",
            "--train.steps=400",
            "--train.every=50",
        ],
        ways=(20,),
        tasks=20,
        swapped={"all": (20, 20), "written": (20, 20)},
    ),
    "backbones": Study(
        "How does accuracy depend on the base network, and does adapting help each? (appendix A, Table 5)",
        "aviary",
        _backbones(),
        # At the 2 that is the aviary's own network's, ResNet-18 learned nothing.
        common=["--model.initial_mu=0.1", "--train.steps=200", "--train.every=200"],
    ),
    "ablation": Study(
        "What of the benchmark's settings helps on photographs?",
        "benchmark",
        _ablation(),
        common=["--fit=train"],
        swapped={"all": (10, 8)},
        part="val",
    ),
}


def find_study(name: str) -> Study:
    """The study of this name.

    Raises:
        N3Error: there is none.
    """
    if name not in STUDIES:
        raise N3Error(f"there is no study {name!r}", f"Use one of {', '.join(STUDIES)}")
    return STUDIES[name]


def measured(folder: Path, name: str) -> list[dict[str, Any]]:
    """The results of a study, in the order of its variants."""
    order = list(find_study(name).variants)
    found = load_results(folder / name, study=name)
    return sorted(found, key=lambda result: (order.index(result["variant"]), result["seed"]))
