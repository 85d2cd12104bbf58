"""What the notebooks share."""

from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from n3lib.book import lesson
from n3lib.data import load_data
from n3lib.data.aviary.drawing import draw_with_mask
from n3lib.data.aviary.species import make_species
from n3lib.run import Run


@pytest.mark.parametrize(
    ("ci", "preset", "folder"), [("1", "tiny", "aviary-tiny"), ("", "default", "aviary")]
)
def test_sizes_follow_one_variable(
    monkeypatch: pytest.MonkeyPatch, ci: str, preset: str, folder: str
) -> None:
    monkeypatch.setenv("N3_CI", ci)
    assert lesson.config("aviary").data.preset == preset
    assert lesson.run_folder("aviary").resolve() == lesson.ROOT / "runs" / folder


def test_a_task_holds_its_classes_in_order(tiny_run: Run) -> None:
    data = load_data(tiny_run.config.data)
    task = lesson.task(data, [3, 1], images=2)
    assert list(task.classes) == [data.classes[3], data.classes[1]]
    assert task.labels.tolist() == [0, 0, 1, 1]
    assert torch.equal(task.images[2], torch.from_numpy(data.images[data.indices([1])[0]].copy()))
    assert len(lesson.task(data, [3, 1]).images) == len(data.indices([3, 1]))
    assert lesson.ways(data, 4, 20, 40) == [4, 8]


def test_parts_of_the_split_are_counted(tiny_run: Run) -> None:
    data = load_data(tiny_run.config.data)
    assert [row[:3] for row in lesson.counts(data).rows] == [
        ["train", "24", "144"], ["val", "8", "48"], ["test", "8", "48"],
    ]  # fmt: skip


def test_one_edited_attribute_changes_one_sentence_and_the_bird_alone() -> None:
    bird = make_species(1)[0].attributes
    edited = {**bird, "wing": "red"}
    before, after = lesson.account(bird), lesson.account(edited)
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 1
    first, second = lesson.drawings(bird, 2, 32), lesson.drawings(edited, 2, 32)
    assert first.shape == (2, 32, 32, 3)
    # The mask ends where a pixel is half covered; the bird's edge fades over one more.
    mask = torch.from_numpy(draw_with_mask(bird, np.random.default_rng([0, 0]), 32)[1]).float()
    background = torch.nn.functional.max_pool2d(mask[None], 3, 1, 1)[0] == 0
    assert (first[0] != second[0]).any() and torch.equal(first[0][background], second[0][background])


def test_episodes_are_those_of_the_run(tiny_run: Run) -> None:
    data = load_data(tiny_run.config.data)
    batch, again = (lesson.episodes(data, tiny_run.config)(0) for _ in range(2))
    assert torch.equal(batch.images, again.images)
    support = {data.split.part(tiny_run.config.fit)[k] for k in batch.support}
    assert support and not support & set(batch.classes)


def test_an_untrained_model_is_the_pretrained_network(
    tiny_run: Run, unseen: dict[str, tuple[str, ...]]
) -> None:
    text = tiny_run.text(unseen)
    for classifier in ("positional", "equivariant", "exemplar"):
        model = lesson.untrained(tiny_run, classifier)
        assert not model.training
        assert all(not delta.any() for delta in model.adapt(text).deltas.values())
        assert torch.equal(model.exemplars, tiny_run.model.exemplars)


def test_committed_results_are_shown_or_how_to_make_them() -> None:
    assert "n3 evaluate" in str(lesson.committed("no such dataset", ["method"]))
    shown = lesson.committed("training/aviary", ["method", "dataset"])
    assert list(shown.head)[:2] == ["method", "dataset"] and {row[1] for row in shown.rows} == {"aviary"}


@pytest.mark.parametrize("text", ["A small bird.", "$100 bill_or_$50", "日本の鳥", "x" * 999])
def test_any_task_is_drawn(text: str) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8))
    task = lesson.Task({"a": (text,), "b": ("A large one.",)}, images, torch.arange(2))
    figure = lesson.task_diagram(task, ["c", text]).figure
    figure.draw_without_rendering()
    assert sum(len(axis.images) for axis in figure.axes) == 2
    assert [len(axis.texts) for axis in figure.axes[2:]] == [1, 1]


def test_the_drawing_of_n3_names_the_parts() -> None:
    drawing = ElementTree.parse(lesson.ROOT / "book" / "images" / "n3.svg")
    assert {"Tokens2Label", "Labels2Adaptation", "classifier generator"} <= set(drawing.getroot().itertext())
