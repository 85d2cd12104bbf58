"""n3lib: written descriptions in, neural network out.

The whole way:

    import n3lib as n3

    run = n3.train(n3.read_config("configs/aviary.yaml"), "runs/aviary")
    network = n3.synthesize(run, {"a": ["A small bird with a red crown."], "b": ["A large gray bird."]})
"""

from typing import TYPE_CHECKING

from n3lib.io import N3Error

__all__ = ["N3Error", "Run", "RunConfig", "classify", "evaluate", "load", "load_data", "read_config"]
__all__ += ["save", "synthesize", "train"]

if TYPE_CHECKING:
    from n3lib.config import RunConfig, read_config
    from n3lib.data import load_data
    from n3lib.evaluation import evaluate
    from n3lib.run import Run, train
    from n3lib.synthesis import classify, load, save, synthesize
else:
    # The names are imported when they are asked for: `n3 --help` does not wait for PyTorch.
    _MODULES = {
        "config": ("RunConfig", "read_config"),
        "data": ("load_data",),
        "evaluation": ("evaluate",),
        "run": ("Run", "train"),
        "synthesis": ("classify", "load", "save", "synthesize"),
    }

    def __getattr__(name):
        from importlib import import_module

        for module, names in _MODULES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=None)

    def __dir__():
        return sorted({*globals(), *__all__})
