"""What the notebooks share."""

import pytest
import torch

from n3lib.book import lesson
from n3lib.data import load_data
from n3lib.data.aviary.species import make_species
from n3lib.pretrained.networks import SmallResNet
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


def test_cub_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("N3_DATA_ROOT", raising=False)
    assert lesson.cub() is None


def test_a_task_holds_its_classes_in_order(tiny_run: Run) -> None:
    data = load_data(tiny_run.config.data)
    task = lesson.task(data, [3, 1], images=2)
    assert list(task.classes) == [data.classes[3], data.classes[1]]
    assert task.labels.tolist() == [0, 0, 1, 1]
    assert torch.equal(task.images[2], torch.from_numpy(data.images[data.indices([1])[0]].copy()))
    assert len(lesson.task(data, [3, 1]).images) == len(data.indices([3, 1]))
    assert lesson.ways(data, 4, 20, 40) == [4, 8]


def test_tables_of_the_data(tiny_run: Run) -> None:
    data = load_data(tiny_run.config.data)
    assert [row[:3] for row in lesson.counts(data).rows] == [
        ["train", "24", "144"], ["val", "8", "48"], ["test", "8", "48"],
    ]  # fmt: skip
    assert set(lesson.shared_classes(data).values()) == {0}
    assert lesson.attribute_table({"size": ("small", "large")}).rows == [["size", "small, large"]]


def test_one_edited_attribute_changes_one_sentence_and_the_bird_alone() -> None:
    bird = make_species(1)[0].attributes
    edited = {**bird, "wing": "red"}
    before, after = lesson.account(bird), lesson.account(edited)
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 1
    assert lesson.changed(before, after).count("before: ") == 1
    first, second = lesson.drawings(bird, 2, 32), lesson.drawings(edited, 2, 32)
    # The mask ends where a pixel is half covered; the bird's edge fades over one more.
    mask = torch.from_numpy(lesson.mask(bird, 32)).float()
    background = torch.nn.functional.max_pool2d(mask[None], 3, 1, 1)[0] == 0
    assert first.shape == (2, 32, 32, 3)
    assert (first[0] != second[0]).any() and torch.equal(first[0][background], second[0][background])


def test_episodes_are_those_of_the_run(tiny_run: Run) -> None:
    tasks = lesson.episodes(load_data(tiny_run.config.data), tiny_run.config)
    pairs, support = lesson.query_and_support(tasks, 0, show=3)
    assert len(pairs) == 3
    assert len(support) == len(tasks(0).support)
    assert not {text for _, text in pairs} & set(support)


def test_numbers_about_the_model(tiny_run: Run, unseen: dict[str, tuple[str, ...]]) -> None:
    model, text = tiny_run.model, tiny_run.text(unseen)
    images = torch.randn(3, 3, 32, 32)
    gaps = {
        k: lesson.order_gap(lesson.untrained(tiny_run, k), text, images) for k in ("positional", "exemplar")
    }
    assert gaps["exemplar"] < 1e-4 < gaps["positional"]
    norms, error = lesson.folding_error(SmallResNet, images)
    assert norms == 9 and error < 1e-5
    rows = {row[0]: row[-1] for row in lesson.parameter_table(model).rows}
    total = sum(p.numel() for p in model.parameters())
    assert sum(int(count.replace(",", "")) for count in rows.values()) == total
    assert len(lesson.layer_table(model.backbone).rows) == 9


def test_committed_results_are_shown_or_how_to_make_them() -> None:
    assert "n3 evaluate" in str(lesson.committed("no such dataset", ["method"]))
    shown = lesson.committed("cub-ps", ["method", "dataset"])
    assert list(shown.head)[:2] == ["method", "dataset"] and {row[1] for row in shown.rows} == {"cub"}
