"""Chapter 3: N3 trained on the aviary, measured on classes never seen."""

from n3lib.experiments.experiment import Evaluation, Experiment

_SHARED = ["--model.shared_mu=36", "--model.initial_mu=0.1"]

TRAINING = Experiment(
    "training",
    "How well does N3 classify unseen species of the aviary?",
    "aviary",
    {
        "aviary/all": [],
        "aviary/classifier": ["--model.adapt=classifier"],
        # A shared offset learns faster than the text-conditioned adaptation.
        "aviary-shared/all": _SHARED,
        "aviary-shared/constant": ["--model.adapt=constant", *_SHARED],
    },
    evaluations=(
        Evaluation("-20way", 20),
        Evaluation("-40way", 40),
        Evaluation("-40way-shuffled", 40, "shuffled", variants=("aviary/all",)),
    ),
)
