"""The experiments that `n3 study` runs, by name."""

from n3lib.experiments.ablation import ABLATION
from n3lib.experiments.base_networks import BASE_NETWORKS
from n3lib.experiments.conditioning import CONDITIONING, DIALECTS
from n3lib.experiments.experiment import Experiment
from n3lib.experiments.gamma_mu import GAMMA_MU
from n3lib.experiments.text_encoders import TEXT_ENCODERS
from n3lib.experiments.training import PHOTOGRAPHS, TRAINING
from n3lib.io.errors import N3Error

_ALL = (TRAINING, PHOTOGRAPHS, ABLATION, TEXT_ENCODERS, GAMMA_MU, BASE_NETWORKS, CONDITIONING, DIALECTS)
EXPERIMENTS = {one.name: one for one in _ALL}


def find_experiment(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        N3Error: there is none.
    """
    if name not in EXPERIMENTS:
        raise N3Error(f"there is no study {name!r}", f"Use one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
