import dataclasses

import numpy as np
import pytest

from n3lib.data.dataset import Split
from n3lib.data.photographs import acquisition, source
from n3lib.data.photographs.acquisition import verify
from n3lib.data.photographs.classes import CUB_NAMES
from n3lib.data.photographs.cub import CUB, CUB2010
from n3lib.data.photographs.source import load
from n3lib.io import N3Error


@pytest.fixture
def cub(make_tree):
    return make_tree("cub")


def test_names(cub):
    index = CUB.index(cub.root)
    assert index.classes == ("001.Blue_Jay", "002.Black_footed_Albatross", "003.Cardinal")
    assert index.paths == cub.images
    data = load(CUB, cub.root, Split("own", (0,), (1,), (2,)), size=8)
    assert data.classes == ("Blue Jay", "Black footed Albatross", "Cardinal")


def test_labels_follow_the_image_ids_not_the_lines(cub):
    path = cub.folder / "image_class_labels.txt"
    path.write_text("\n".join(reversed(path.read_text().split("\n"))))
    assert CUB.index(cub.root).labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_class_too_many(cub):
    cub.edit("classes.txt", "3 003.Cardinal", "3 003.Cardinal\n4 004.Dodo")
    assert "without any image: 1 class (004.Dodo)" in verify(CUB, cub.root)
    with pytest.raises(N3Error, match="004.Dodo"):
        load(CUB, cub.root, Split("own", (0,), (1,), (2,)))


def test_names_of_2010_become_those_of_2011(tmp_path):
    lists = tmp_path / "CUB_200" / "lists"
    lists.mkdir(parents=True)
    spelled = [name.replace("Artic_Tern", "Arctic_Tern") for name in CUB_NAMES]
    assert tuple(spelled) != CUB_NAMES
    (lists / "classes.txt").write_text("\n".join(spelled))
    (lists / "files.txt").write_text("141.Arctic_Tern/Arctic_Tern_0001_1.jpg")
    index = CUB2010.index(tmp_path)
    assert index.classes == CUB_NAMES and index.labels.tolist() == [140]
    assert index.paths == [lists.parent / "images/141.Arctic_Tern/Arctic_Tern_0001_1.jpg"]
    (lists / "classes.txt").write_text("\n".join(f"{i:03}.Bird_{i}" for i in range(1, 201)))
    (lists / "files.txt").write_text("001.Bird_1/1.jpg")
    assert CUB2010.index(tmp_path).classes[0] == "001.Bird_1"


@pytest.fixture
def undecoded(monkeypatch):
    """Images are looked up but not decoded: all of CUB would take a minute."""

    def listed(paths, size, key):
        assert all(path.suffix == ".jpg" for path in paths)
        return np.empty((len(paths), 1, 1, 3), np.uint8)

    monkeypatch.setattr(source, "image_array", listed)


def test_all_of_cub(pack, undecoded):
    data = load(CUB, pack / "data", "PS")
    assert len(data.images) == CUB.images == 11_788 and len(data.classes) == CUB.classes == 200
    assert data.classes[0] == "Black footed Albatross"
    counts = np.bincount(data.labels)
    assert counts.min() == 41 and counts.max() == 60
    assert sum(len(text) for text in data.texts) > 8000
    parts = [len(data.indices(data.split.part(part))) for part in ("train", "val", "test")]
    assert parts == [5875, 2946, 2967]


def test_all_of_cub_without_a_fifth(pack, undecoded):
    whole = np.bincount(load(CUB, pack / "data", "PS").labels)
    data = load(CUB, pack / "data", "160/40")
    expected = whole.copy()
    for label in data.split.part("trainval"):
        expected[label] -= whole[label] // 5
    assert np.bincount(data.labels).tolist() == expected.tolist()


def test_verify_all_of_cub(pack, monkeypatch):
    monkeypatch.setattr(acquisition, "load_image", lambda path, size: path.stat())
    assert verify(CUB, pack / "data") == []
    assert verify(dataclasses.replace(CUB, images=11_789), pack / "data") == [
        f"{pack / 'data' / 'CUB_200_2011'} has 11,788 images listed, not 11,789"
    ]
