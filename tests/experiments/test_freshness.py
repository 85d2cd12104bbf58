"""A result older than its code is told apart from one that only saw better comments."""

import subprocess
from pathlib import Path

import pytest

from n3lib.experiments import freshness
from n3lib.io.files import write_json

MODEL = '"""The model."""\n\n\ndef mu() -> float:\n    """A scale."""\n    return 0.1  # small\n'


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two files with one commit."""
    monkeypatch.setattr(freshness, "ROOT", tmp_path)
    forget()
    for name, text in {"n3lib/model.py": MODEL, "configs/aviary.yaml": "seed: 0\n"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=n", "-c", "user.email=n@example.org", "commit", "-qm", "first")
    return tmp_path


def forget() -> None:
    """What was read of files that have been changed meanwhile."""
    freshness._touched.cache_clear()
    freshness._meaning.cache_clear()


def git(folder: Path, *command: str) -> str:
    return subprocess.run(
        ["git", *command], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def result(revision: str | None, **more: str) -> dict[str, object]:
    return {
        "study": "main",
        "method": "n3",
        "dataset": "aviary",
        "environment": {"code_revision": revision},
    } | more


def test_nothing_has_changed(repository: Path) -> None:
    head = git(repository, "rev-parse", "--short", "HEAD")
    assert freshness.changed(result(head)) == []
    assert freshness.note([result(head)], "Chance is 5 %.") == "Chance is 5 %."


def test_comments_and_docstrings_do_not_count(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    (repository / "n3lib/model.py").write_text(
        MODEL.replace("A scale", "The scale mu")
        .replace("# small", "# 10 %")
        .replace("    return", "    import n3lib.io.torchvision  # noqa: F401\n\n    return")
    )
    (repository / "configs/aviary.yaml").write_text("# the aviary\nseed: 0\n")
    assert freshness.changed(result(head)) == []


def test_what_only_moved_to_another_of_the_files_has_not_changed(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    title, function = MODEL.split("\n\n\n")
    (repository / "n3lib/model.py").write_text(f"{title}\n\nfrom n3lib.classifiers import mu\n")
    (repository / "n3lib/classifiers.py").write_text(f"import math\n\n\n{function}")
    git(repository, "add", ".")
    assert freshness.changed(result(head)) == []
    # Not one of the files that N3's results hang on: what is there is not looked after.
    (repository / "n3lib/classifiers.py").rename(repository / "n3lib/charts.py")
    git(repository, "add", ".")
    forget()
    assert freshness.changed(result(head)) == ["n3lib/model.py"]


@pytest.mark.parametrize(
    ("name", "old", "new"), [("n3lib/model.py", "0.1", "0.2"), ("configs/aviary.yaml", "0", "1")]
)
def test_a_change_is_named(repository: Path, name: str, old: str, new: str) -> None:
    head = git(repository, "rev-parse", "HEAD")
    path = repository / name
    path.write_text(path.read_text().replace(old, new))
    assert freshness.changed(result(head + "-dirty")) == [name]
    assert "older than the code" in freshness.flag([result(head)])
    write_json(repository / "results/some/one.json", result(head) | {"metrics": {}})
    assert Path(name).stem in str(freshness.freshness_table(repository / "results"))
    # ESZSL reads neither the model nor the aviary's settings.
    assert freshness.changed(result(head, study="benchmark", method="eszsl")) == []


def test_without_the_revision_nothing_can_be_told(repository: Path) -> None:
    assert freshness.changed(result("0123abc")) is None
    assert freshness.changed(result(None)) is None
    assert freshness.changed({"metrics": {}}) is None


def test_the_files_named_are_there() -> None:
    """A renamed module would be compared with nothing, and never flagged."""
    for study, method in (("benchmark", "eszsl"), ("benchmark", "n3"), ("main", "n3"), ("saliency", "n3")):
        for path in freshness._made_of({"study": study, "method": method, "dataset": "aviary"}):
            assert (freshness.ROOT / path).is_file()


def test_a_table_made_with_other_settings_hangs_on_their_file() -> None:
    made = {"study": "benchmark", "method": "exem", "command": "n3 table table2 --config configs/lite.yaml"}
    assert freshness._made_of(made)[-1] == "configs/lite.yaml"
    assert freshness._made_of(made | {"command": "n3 table table2"})[-1] == "configs/benchmark.yaml"
    assert freshness._made_of(made | {"study": "ablation"})[-1] == "configs/benchmark.yaml"
