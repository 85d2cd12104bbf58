"""What is measured of the run that ships: as its networks answer."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from n3lib.config import RunConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.evaluation import drawn_tasks
from n3lib.experiments.birds import expectations
from n3lib.run import train
from n3lib.synthesis import synthesize


@pytest.mark.parametrize("adapt", ["all", "constant"])
def test_what_is_expected_is_what_networks_do(
    adapt: str, small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    model = dataclasses.replace(small_config.model, adapt=adapt, shared_mu=1.0)
    config = dataclasses.replace(small_config, model=model, fit="trainval", mirror=True)
    run = train(config, tmp_path, dataset=small_world)
    found = expectations(run, small_world)
    assert [(one["tasks"], one["ways"]) for one in found["one_view"]] == [
        (kind, ways) for kind in ("random", "look-alikes") for ways in (2, 3)
    ]
    everyone = {small_world.classes[c]: small_world.texts[c] for c in small_world.split.test}
    plain = synthesize(dataclasses.replace(run, config=dataclasses.replace(config, mirror=False)), everyone)
    indices = small_world.indices(small_world.split.test)
    right = plain.probabilities(torch.from_numpy(small_world.images[indices])).argmax(1).numpy()
    accuracy = [100 * (right[small_world.labels[indices] == k] == k).mean() for k in range(3)]
    assert found["one_view"][1]["metrics"]["per_class_accuracy"] == pytest.approx(np.mean(accuracy), abs=0.1)

    assert {one["pictures"] for one in found["unknown"]} == {"other classes", "drawings", "noise"}
    told = next(one for one in found["unknown"] if one["pictures"] == "other classes")
    ready = dataclasses.replace(run, temperature=found["temperature"], familiar=found["familiar"])
    classes, rejected, accepted = np.array(small_world.split.test), [], []
    for _, task, _ in drawn_tasks(config.seed, classes, np.zeros(3, int), 2, 10):
        network = synthesize(ready, {small_world.classes[c]: small_world.texts[c] for c in task})
        own, rest = (
            network.judge(torch.from_numpy(small_world.images[small_world.indices(some)]))[1].float().mean()
            for some in (task.tolist(), np.setdiff1d(classes, task).tolist())
        )
        rejected.append(100 - 100 * own.item())
        accepted.append(100 * rest.item())
    assert told["rejected"] == pytest.approx(np.mean(rejected), abs=0.1)
    assert told["accepted"] == pytest.approx(np.mean(accepted), abs=0.1)
    assert 0 <= told["auroc"] <= 100
