"""Pretrain the aviary's backbone on another generated world, as ImageNet's classes are to CUB's.

`n3 data backbone` makes the weights that ship with the package.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

from n3lib.backbone import AVIARY_WEIGHTS, HALF, SmallResNet, fold_batchnorm, trace
from n3lib.data.aviary import aviary
from n3lib.files import write_tensors

SPECIES, IMAGES, EPOCHS, BATCH, LR, SEED = 200, 40, 5, 64, 0.1, 1


def pretrain(path: Path | None = None) -> float:
    """Train a small ResNet to name 200 species of the islands, and write its folded features.

    Args:
        path: where the weights go; the package's own file by default.

    Returns:
        Accuracy on one held-out image in eight, in 0..1.
    """
    torch.manual_seed(SEED)
    data = aviary(seed=SEED, world="islands", train=SPECIES, val=0, test=1, train_images=IMAGES)
    indices = data.indices(data.split.train)
    pixels = torch.from_numpy(data.images[indices])
    labels = torch.from_numpy(np.unique(data.labels[indices], return_inverse=True)[1])
    held = torch.arange(len(labels)) % 8 == 0
    body = SmallResNet()
    head = nn.Linear(256, SPECIES)
    parameters = [*body.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, LR, momentum=0.9, nesterov=True, weight_decay=5e-4)
    training = (~held).nonzero()[:, 0]
    steps = EPOCHS * (len(training) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)

    def logits(picks: torch.Tensor) -> torch.Tensor:
        x = pixels[picks].permute(0, 3, 1, 2).float() / 255
        maps = body((x - HALF[0][0]) / HALF[1][0])
        return head(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))

    rng = np.random.default_rng(SEED)
    bar = tqdm(total=steps, desc="backbone")
    for _ in range(EPOCHS):
        order = training[torch.from_numpy(rng.permutation(len(training)))]
        for batch in order[: len(order) // BATCH * BATCH].split(BATCH):
            loss = functional.cross_entropy(logits(batch), labels[batch], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.update()
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    bar.close()
    body.eval()
    with torch.no_grad():
        guesses = torch.cat([logits(picks).argmax(1) for picks in held.nonzero()[:, 0].split(256)])
    accuracy = (guesses == labels[held]).float().mean().item()
    features = fold_batchnorm(trace(body))
    write_tensors(path or AVIARY_WEIGHTS, features.state_dict(), {"accuracy": f"{accuracy:.4f}"})
    print(f"{path or AVIARY_WEIGHTS}: {100 * accuracy:.1f} % of held-out images named, of {SPECIES} species")
    return accuracy
