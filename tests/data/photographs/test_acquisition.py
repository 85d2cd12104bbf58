"""Datasets that are brought onto the disk, whole or not."""

import shutil
from pathlib import Path

import pytest

from n3lib.data.photographs import acquisition
from n3lib.data.photographs.acquisition import fetch_dataset, verify
from n3lib.io import N3Error


def test_verify_a_sound_dataset(tree):
    assert tree.problems() == []


def test_verify_against_the_official_numbers(tree):
    problems = verify(tree.source, tree.root)
    assert f"{tree.folder} has {len(tree.images)} images listed, not {tree.source.images:,}" in problems


def test_verify_finds_every_fault(make_tree):
    tree = make_tree("cub")
    tree.images[0].unlink()
    tree.images[2].write_bytes(b"")
    tree.images[5].write_bytes(tree.images[5].read_bytes()[:-200])
    problems = verify(tree.source, tree.root)
    assert len(problems) == 5
    for problem, part in zip(
        problems, ("3 classes", "6 images", "0001.jpg", "zero", "0006.jpg"), strict=True
    ):
        assert part in problem


def test_verify_does_not_go_on_for_ever(tree, monkeypatch):
    monkeypatch.setattr(acquisition, "MAX_PROBLEMS", 3)
    for path in tree.images:
        path.write_bytes(b"")
    problems = verify(tree.whole(), tree.root)
    wrong = len(tree.images) + tree.source.name.startswith("flowers")  # which have classes without images
    assert len(problems) == 4 and problems[-1] == f"... and {wrong - 3} more"


def packed(tree, kind):
    """The small dataset packed anew."""
    return Path(shutil.make_archive(str(tree.root.parent / "mine"), kind, tree.root, tree.folder.name))


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_a_dataset_that_was_packed_anew(make_tree, tmp_path, kind):
    tree = make_tree("cub")
    (odd,) = fetch_dataset(tree.whole(), tmp_path / "new", packed(tree, kind))
    assert "mine" in odd and tree.source.archives[0].md5 in odd
    assert verify(tree.whole(), tmp_path / "new") == []


def test_a_dataset_that_was_packed_anew_and_is_not_whole(make_tree, tmp_path):
    tree = make_tree("cub")
    with pytest.raises(N3Error, match="mine.zip.* 3 .*200"):
        fetch_dataset(tree.source, tmp_path / "new", packed(tree, "zip"))
    source = tree.whole()
    tree.images[3].write_bytes(b"")
    with pytest.raises(N3Error, match=f"mine.zip.*{tree.images[3].name}"):
        fetch_dataset(source, tmp_path / "other", packed(tree, "zip"))


def test_an_unpacked_dataset_needs_no_fetching(tree, tmp_path):
    for folder in (tree.root, tree.folder):
        with pytest.raises(N3Error, match=f"--root {folder}\\."):
            fetch_dataset(tree.source, tmp_path / "new", folder)
    shutil.rmtree(tree.folder)
    with pytest.raises(N3Error, match=tree.source.archives[0].filename) as error:
        fetch_dataset(tree.source, tmp_path / "new", tree.root)
    assert str(tree.root) in error.value.problem
    assert not (tmp_path / "new").exists()
