"""Pretrain a backbone for the aviary on another generated world, as ImageNet's classes are to CUB's.

`n3 data backbone` makes the weights that ship with the package; with `--name`, those of chapter 8's networks.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from n3lib.backbone import BackboneConfig
from n3lib.data.aviary.generation import make_aviary
from n3lib.io import N3Error, check_writable, printable, tell, writing
from n3lib.io.errors import choose
from n3lib.io.tensors import read_tensors, write_tensors
from n3lib.pretrained.networks import AVIARY_WEIGHTS, architecture, fold_batchnorm

SPECIES, IMAGES, BATCH, SEED = 200, 40, 64, 1
# Epochs and peak learning rate. The large ones learn in fewer epochs; SqueezeNet has no batch norm, which a
# high rate needs.
RECIPES = {"aviary": (5, 0.1), "resnet18": (3, 0.1), "googlenet": (3, 0.1), "squeezenet1_1": (18, 0.02)}


def pretrain_backbone(path: Path | None = None, name: str = "aviary") -> float:
    """Train a network of `RECIPES` from scratch to name 200 species of the islands.

    Its folded features go to `path`, by default the package's own file, which only `aviary` may replace.

    Returns:
        Accuracy on one held-out image in eight, in 0..1.

    Raises:
        N3Error: no such recipe, no path, or one that cannot be written or holds something else.
    """
    epochs, lr = choose(name, RECIPES, "there is no recipe to pretrain")
    if path is None and name != "aviary":
        raise N3Error(f"{name} does not come with the package", "Say with -o where its weights go")
    path = path or AVIARY_WEIGHTS
    _check_place(path, name)
    torch.manual_seed(SEED)
    data = make_aviary(seed=SEED, world="islands", train=SPECIES, val=0, test=1, train_images=IMAGES)
    indices = data.indices(data.split.train)
    pixels = torch.from_numpy(data.images[indices])
    labels = torch.from_numpy(np.unique(data.labels[indices], return_inverse=True)[1])
    rows = torch.arange(len(labels))
    held, training = rows[rows % 8 == 0], rows[rows % 8 > 0]
    body, mean, std = architecture(BackboneConfig(name))
    center, scale = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    with torch.no_grad():
        width = body(torch.zeros(1, 3, *pixels.shape[1:3])).shape[1]
    body.train()
    head = nn.Linear(2 * width, SPECIES)
    parameters = [*body.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = epochs * (len(training) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)

    def logits(picks: torch.Tensor) -> torch.Tensor:
        x = pixels[picks].permute(0, 3, 1, 2).float() / 255
        maps = body((x - center) / scale)
        return head(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))

    rng = np.random.default_rng(SEED)
    orders = (training[torch.from_numpy(rng.permutation(len(training)))] for _ in range(epochs))
    batches = (batch for order in orders for batch in order.split(BATCH) if len(batch) == BATCH)
    bar = tqdm(batches, printable(name), steps)
    for batch in bar:
        loss = functional.cross_entropy(logits(batch), labels[batch], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    body.eval()
    with torch.no_grad():
        guesses = torch.cat([logits(picks).argmax(1) for picks in held.split(256)])
    accuracy = (guesses == labels[held]).float().mean().item()
    with writing(path, "Make room there, or choose another -o"):
        metadata = {"accuracy": f"{accuracy:.4f}", "network": name}
        write_tensors(path, fold_batchnorm(body).state_dict(), metadata)
    tell(f"{path}: {100 * accuracy:.1f} % of held-out images named, of {SPECIES} species")
    return accuracy


def _check_place(path: Path, name: str) -> None:
    """Refuse what could not be written, or would replace anything but earlier weights of this network."""
    check_writable(path)
    if not path.exists():
        return
    metadata = read_tensors(path)[1]
    # The first files did not say whose weights they hold.
    if "accuracy" not in metadata or metadata.get("network", name) != name:
        whose = metadata.get("network", "something else")
        raise N3Error(f"{path} holds {whose}, not {name}", "Choose another -o, or delete this file")
