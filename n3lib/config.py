"""What makes a run: one dataclass, read from YAML, overridden on the command line, checked by its types."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from n3lib.backbone import BackboneConfig
from n3lib.data import DataConfig
from n3lib.episodes import EpisodeConfig
from n3lib.errors import N3Error
from n3lib.model import N3Config
from n3lib.text.reader import TextConfig
from n3lib.train import TrainConfig


@dataclass(frozen=True)
class RunConfig:
    """Everything that makes a run.

    Attributes:
        fit: `train` chooses the best state on the validation classes; `trainval` trains on both and keeps
            the last.
        exemplar_images: images a class from which exemplars are renewed at a checkpoint; all at the end.
        mirror: average each image's features with its mirror image's, in exemplars and in evaluation.
        seed: of weights, episodes and dropout.
    """

    data: DataConfig = field(default_factory=DataConfig)
    text: TextConfig = field(default_factory=TextConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    model: N3Config = field(default_factory=N3Config)
    episodes: EpisodeConfig = field(default_factory=EpisodeConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    fit: Literal["train", "trainval"] = "train"
    exemplar_images: int = 20
    mirror: bool = False
    seed: int = 0


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """A configuration from a YAML file.

    Args:
        path: the file; settings that it leaves out keep their defaults.
        overrides: such as `["--model.d=64", "--seed=1"]`.

    Raises:
        N3Error: no such file, no such setting, or a value of the wrong kind.
    """
    if not Path(path).is_file():
        raise N3Error(f"there is no configuration {path}", "See the files in configs/")
    return _parse(lambda parser: parser.parse_args([f"--config={path}", *overrides]), str(path))


def config_from_dict(value: Mapping[str, Any], where: str) -> RunConfig:
    """A configuration from plain values, as a run's `config.json` holds it."""
    return _parse(lambda parser: parser.parse_object(dict(value)), where)


def settings() -> list[str]:
    """Every setting with its default, as it is written on the command line."""
    lines = []
    for name, value in dataclasses.asdict(RunConfig()).items():
        if isinstance(value, dict):
            lines += [f"--{name}.{inner}={default}" for inner, default in value.items()]
        else:
            lines.append(f"--{name}={value}")
    return lines


def _parse(parse: Any, where: str) -> RunConfig:
    import jsonargparse

    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RunConfig)
    parser.add_argument("--config", action="config")
    try:
        values = parser.instantiate(parse(parser))
    except (jsonargparse.ArgumentError, TypeError, KeyError) as error:
        told = " ".join(str(error).split())
        raise N3Error(f"{where}: {told}", "Correct the setting; n3 train --help lists them") from None
    values.pop("config", None)
    return RunConfig(**vars(values))
