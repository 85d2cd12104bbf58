"""The experiments that `n3 study` runs, by name."""

from n3lib.experiments.ablation import ABLATION
from n3lib.experiments.base_networks import BASE_NETWORKS
from n3lib.experiments.birds import BIRDS
from n3lib.experiments.conditioning import CONDITIONING, DIALECTS, EQUIVALENCE
from n3lib.experiments.gamma_mu import GAMMA_MU
from n3lib.experiments.selection import SELECTION
from n3lib.experiments.text_encoders import TEXT_ENCODERS
from n3lib.experiments.training import TRAINING

_ALL = (TRAINING, SELECTION, ABLATION, TEXT_ENCODERS, GAMMA_MU, BASE_NETWORKS)
EXPERIMENTS = {one.name: one for one in (*_ALL, CONDITIONING, DIALECTS, EQUIVALENCE, BIRDS)}
