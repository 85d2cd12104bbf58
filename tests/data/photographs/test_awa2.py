import shutil

import pytest

from n3lib.data.dataset import Split
from n3lib.data.photographs.awa2 import AWA2
from n3lib.data.photographs.source import load
from n3lib.io import N3Error


@pytest.fixture
def awa2(make_tree):
    return make_tree("awa2")


def test_index(awa2):
    index = AWA2.index(awa2.root)
    assert index.classes == ("antelope", "grizzly+bear", "killer+whale")
    assert index.paths == awa2.images
    data = load(AWA2, awa2.root, Split("own", (0,), (1,), (2,)), size=8)
    assert data.classes == ("antelope", "grizzly bear", "killer whale")


def test_what_is_no_image_is_passed_over(awa2):
    for name in (".DS_Store", "._antelope_10001.jpg", "Thumbs.db", "antelope.txt"):
        (awa2.folder / "JPEGImages/antelope" / name).write_bytes(b"x")
        (awa2.folder / "JPEGImages" / name).write_bytes(b"x")
    (awa2.folder / "JPEGImages/.thumbnails").mkdir()
    assert AWA2.index(awa2.root).paths == awa2.images


def test_folders(awa2):
    for path in awa2.images[:2]:
        path.unlink()
    with pytest.raises(N3Error, match="antelope"):
        AWA2.index(awa2.root)
    shutil.rmtree(awa2.folder / "JPEGImages")
    with pytest.raises(N3Error, match="JPEGImages"):
        AWA2.index(awa2.root)
