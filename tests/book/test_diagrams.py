"""The drawings of N3 and of an episode."""

import numpy as np
import pytest
import torch

from n3lib.book.diagrams import diagram, task_diagram
from n3lib.book.lesson import Task

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8))


def test_the_diagram_names_the_parts() -> None:
    assert any("Tokens2Label" in text.get_text() for text in diagram().axes[0].texts)


@pytest.mark.parametrize("text", ["A small bird.", "$100 bill_or_$50", "日本の鳥", "x" * 999])
def test_any_task_is_drawn(text: str) -> None:
    task = Task({"a": (text,), "b": ("A large one.",)}, IMAGES, torch.arange(2))
    figure = task_diagram(task, ["c", text]).figure
    figure.draw_without_rendering()
    assert sum(len(axis.images) for axis in figure.axes) == 2
    assert [len(axis.texts) for axis in figure.axes[2:]] == [1, 1]
