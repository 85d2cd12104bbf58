"""n3lib: written descriptions in, neural network out.

The whole way:

    import n3lib as n3

    run = n3.train(n3.read_config("configs/aviary.yaml"), "runs/aviary")
    network = n3.synthesize(run, {"a": ["A small bird with a red crown."], "b": ["A large gray bird."]})
"""

from n3lib.config import RunConfig, read_config
from n3lib.data import load_data
from n3lib.errors import N3Error
from n3lib.evaluation import evaluate
from n3lib.run import Run, train
from n3lib.synthesis import classify, load, save, synthesize

__all__ = [
    "N3Error",
    "Run",
    "RunConfig",
    "classify",
    "evaluate",
    "load",
    "load_data",
    "read_config",
    "save",
    "synthesize",
    "train",
]
