"""Every method on the same features, text and splits: searched on validation classes, then measured.

The search is done once per method and split: 10 random trials, fitted on the training classes and measured on
the validation classes. The best is fitted again on both, with each seed, and measured on the test classes.
"""

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int

from n3lib.baselines import baselines
from n3lib.baselines.base import Baseline, Images, Seen, moments, unit
from n3lib.baselines.features import frozen_features
from n3lib.config import RunConfig
from n3lib.data import load_data
from n3lib.data.dataset import ZeroShotDataset
from n3lib.evaluation import derangement, evaluate, result
from n3lib.experiments.layer_swaps import measure_conditioning
from n3lib.experiments.results import METRICS
from n3lib.io import N3Error
from n3lib.metrics import class_accuracies, class_metrics
from n3lib.pretrained.networks import load_backbone
from n3lib.run import train
from n3lib.text.encoders import make_encoder
from n3lib.text.pipeline import TextPipeline, arranged
from n3lib.text.tfidf import TfIdf

TRIALS = 10
# What each form of N3 changes in the configuration; {K} is the number of test classes.
N3_FORMS = {
    "n3": [],
    "n3-classifier": ["--model.adapt=classifier"],
    "n3-constant": ["--model.adapt=constant"],
    "finetune": ["--model.adapt=finetune", "--model.shared_mu=0.1"],
    # As configs/paper-cpu.yaml: the paper's own form, at the size of the others.
    "n3-paper": [
        *("--text.context=paragraph", "--text.pooling=tokens", "--text.max_tokens=256", "--text.tfidf=false"),
        *("--backbone.pool=avg", "--model.classifier=positional", "--model.scale=0.1"),
        *("--model.t2l_layers=2", "--model.mu=absolute", "--model.initial_mu=1e-3", "--model.shared_mu=0"),
        *("--episodes.kind=paper", "--episodes.ways={K}"),
        *("--train.lr=1e-3", "--mirror=false"),
    ],
}
# Their text comes from an encoder, as in the paper (section 4.3); the others have TF-IDF features.
READ_BY_ENCODER = ("megazsl",)
Control = Literal["own", "shuffled", "random", "names", "own name removed", "all names removed"]
# The controls that cut the descriptions need another fit: they are for the methods whose fit takes no time.
TEXT_CONTROLS: tuple[Control, ...] = ("names", "own name removed", "all names removed")
TEXT_CONTROLLED = ("eszsl", "exem", "nearest")


class Problem(NamedTuple):
    """Seen classes to learn from, and the query classes."""

    seen: Seen
    text: Float64[np.ndarray, "K a"]
    images: Images
    labels: Int[np.ndarray, " B"]  # 0 to K - 1


class Benchmark:
    """A dataset and split, its frozen features and its texts, on which methods are measured.

    `config` has the backbone, the text encoder and mirroring, and all that N3 is trained with; `dataset` is
    its data where they are loaded already.

    Raises:
        N3Error: the split has no validation classes.
    """

    def __init__(self, config: RunConfig, dataset: ZeroShotDataset | None = None) -> None:
        self.config = config
        self.dataset: ZeroShotDataset = dataset or load_data(config.data)
        if not self.dataset.split.val:
            raise N3Error(f"split {self.dataset.split.name} has no validation classes to choose on")

    @cached_property
    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Pooled features and maps of all images."""
        return frozen_features(load_backbone(self.config.backbone), self.dataset, self.config.mirror)

    def rows(self, known: Sequence[int], encoder: bool, control: Control, seed: int) -> np.ndarray:
        """The text of every class as numbers `(classes, a)`; all sentences have the same weight.

        TF-IDF features are fitted on the `known` classes; with `encoder` they are the configured encoder's.
        `control` says what is done to the texts first, and `seed` is that of random ones.
        """
        texts = controlled_texts(self.dataset, control)
        if encoder:
            pipeline = TextPipeline.fit(
                make_encoder(self.config.text.encoder), [texts[c] for c in known], self.config.text
            )
            rows = pipeline.bank(texts).pooled.numpy()
        else:
            pieces = arranged(texts, self.config.text)
            rows = TfIdf.fit([pieces[c] for c in known], self.config.text.ngrams).transform(pieces)
        if control == "random":
            rows = np.random.default_rng([seed, 13]).standard_normal(rows.shape)
        return rows.astype(np.float64)

    def problem(
        self, known: str, query: str, rows: Float64[np.ndarray, "classes a"], maps: bool = False
    ) -> Problem:
        """Parts of the split, standardized by the statistics of the known one; feature maps for `maps`."""
        pooled, cells = self.features
        parts = [list(self.dataset.split.part(part)) for part in (known, query)]
        picks = [self.dataset.indices(ids) for ids in parts]
        mean, scale = moments(pooled[picks[0]].astype(np.float64))
        center = rows[parts[0]].mean(0)
        texts = [unit(rows[ids] - center) for ids in parts]
        images = [
            Images(
                (pooled[some].astype(np.float64) - mean) / scale, np.asarray(cells[some]) if maps else None
            )
            for some in picks
        ]
        labels = [self.dataset.labels_among(*both) for both in zip(parts, picks, strict=True)]
        return Problem(Seen(images[0], labels[0], texts[0]), texts[1], images[1], labels[1])

    def measure(
        self, name: str, seed: int = 0, trials: int = TRIALS, earlier: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """A baseline's result: searched on the validation classes, refitted, measured on the test classes.

        `earlier` is its result with another seed, whose search is used again.
        """
        started = time.perf_counter()
        kind, encoder = baselines()[name], name in READ_BY_ENCODER

        def problem(known: str, query: str, control: Control) -> Problem:
            ids = self.dataset.split.part(known)
            return self.problem(known, query, self.rows(ids, encoder, control, seed), kind.uses_maps)

        if earlier:
            method, searched = kind(seed=seed, **earlier["hyperparameters"]), earlier["search"]
        else:
            method, searched = search(kind, problem("train", "val", "own"), seed, trials)
        final, classes = problem("trainval", "test", "own"), self.dataset.split.test
        writer, others = method.fit(final.seen), derangement(np.random.default_rng([seed, 17]), len(classes))
        found = scores(writer(final.text)(final.images), final.labels, classes)
        controls = {"shuffled": scores(writer(final.text[others])(final.images), final.labels, classes)}
        for control in ("random", *(TEXT_CONTROLS if name in TEXT_CONTROLLED else ())):
            other = problem("trainval", "test", control)
            controls[control] = scores(
                method.fit(other.seen)(other.text)(other.images), other.labels, classes
            )
        return self._result(name, seed, found, started) | {
            "reader": self.config.text.encoder if encoder else "words counted",
            "hyperparameters": {k: v for k, v in dataclasses.asdict(method).items() if k != "seed"},
            "search": searched,
            "controls": controls,
        }

    def measure_n3(self, name: str, seed: int, folder: Path) -> dict[str, Any]:
        """The result of a form of N3, trained into a run folder (an unfinished run goes on)."""
        started = time.perf_counter()
        run = train(self.config, folder, dataset=self.dataset)
        own, controls = evaluate(run, self.dataset), {}
        if name == "n3":  # the classifiers of the others depend on the text in the same way
            shuffled = evaluate(run, self.dataset, permutations=1, control="shuffled")
            controls["shuffled"] = {**shuffled["metrics"], "per_class": shuffled["per_class"]}
        found = {**own["metrics"], "per_class": own["per_class"]}
        return self._result(name, seed, found, started) | {
            "spread": own["spread"],
            **measure_conditioning(run, self.dataset, run.pipeline.bank(self.dataset.texts)),
            "reader": ("words counted and " if self.config.text.tfidf else "") + self.config.text.encoder,
            "controls": controls,
        }

    def _result(self, name: str, seed: int, found: Mapping[str, Any], started: float) -> dict[str, Any]:
        split = self.dataset.split
        return result(
            **question(self.config, name),
            dataset=self.config.data.name,
            split=split.name,
            ways=len(split.test),
            chance=100 / len(split.test),
            text="own",
            seed=seed,
            metrics={metric: found[metric] for metric in METRICS},
            per_class=found["per_class"],
            hashes=self.dataset.hashes,
            started=started,
        )


def question(config: RunConfig, name: str) -> dict[str, Any]:
    """What decides a method's result, except for its seed, under the names of the result."""
    training, shared = dataclasses.asdict(config), ("data", "text", "backbone", "mirror")
    asked = {"study": "benchmark", "method": name, "config": {part: training.pop(part) for part in shared}}
    if name in N3_FORMS:
        asked["training"] = {part: value for part, value in training.items() if part != "seed"}
    return asked


def scores(
    given: Float64[np.ndarray, "B K"], labels: Int[np.ndarray, " B"], classes: Sequence[int]
) -> dict[str, Any]:
    """The metrics of a method and its `per_class`; one whose scores are not finite is wrong everywhere."""
    if not np.isfinite(given).all():
        given = -np.eye(given.shape[1])[labels]
    logits, truth = torch.from_numpy(given), torch.from_numpy(labels)
    return class_metrics(logits, truth) | {"per_class": [class_accuracies(classes, logits, truth)]}


def search(kind: type[Baseline], problem: Problem, seed: int, trials: int) -> tuple[Baseline, dict[str, Any]]:
    """The method with the best per-class accuracy on the query classes, and all trials, whatever the seed."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))

    def objective(trial: "optuna.Trial") -> float:
        write = kind.draw(trial, seed).fit(problem.seen)
        given = write(problem.text)(problem.images)
        return scores(given, problem.labels, range(given.shape[1]))["per_class_accuracy"]

    study.optimize(objective, n_trials=trials)
    method = kind.draw(optuna.trial.FixedTrial(study.best_params), seed)
    tried = [{"parameters": t.params, "validation": round(t.value or 0.0, 3)} for t in study.trials]
    return method, {"validation": study.best_value, "trials": tried}


def controlled_texts(dataset: ZeroShotDataset, control: Control) -> tuple[tuple[str, ...], ...]:
    """The descriptions of all classes, or what a control leaves of them.

    A class's `own name` is removed from its text word by word, `all names` from every text.
    """
    if control in ("own", "random", "shuffled"):
        return dataset.texts
    if control == "names":
        return tuple((name,) for name in dataset.classes)
    words = [set(re.findall(r"\w+", name.lower())) for name in dataset.classes]
    if control == "all names removed":
        words = [set().union(*words)] * len(words)
    gone = [  # in the plural too
        re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, own)))})s?\b", re.IGNORECASE) for own in words
    ]
    return tuple(
        tuple(pattern.sub(" ", sentence) for sentence in sentences)
        for sentences, pattern in zip(dataset.texts, gone, strict=True)
    )
