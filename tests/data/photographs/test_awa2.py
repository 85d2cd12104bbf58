import shutil

import pytest

from n3lib.data.dataset import Split
from n3lib.data.photographs.awa2 import AWA2
from n3lib.data.photographs.source import load
from n3lib.io.errors import N3Error


@pytest.fixture
def awa2(make_tree):
    return make_tree("awa2")


def test_index(awa2):
    index = AWA2.index(awa2.root)
    assert index.classes == ("antelope", "grizzly+bear", "killer+whale")
    assert index.paths == awa2.images
    data = load(AWA2, awa2.root, Split("own", (0,), (1,), (2,)), size=8, cache=awa2.root)
    assert data.classes == ("antelope", "grizzly bear", "killer whale")


def test_what_is_no_image_is_passed_over(awa2):
    for name in (".DS_Store", "._antelope_10001.jpg", "Thumbs.db", "antelope.txt"):
        (awa2.folder / "JPEGImages/antelope" / name).write_bytes(b"x")
        (awa2.folder / "JPEGImages" / name).write_bytes(b"x")
    (awa2.folder / "JPEGImages/.thumbnails").mkdir()
    assert AWA2.index(awa2.root).paths == awa2.images


@pytest.mark.parametrize(
    "old, new, problem",
    [
        ("2\tgrizzly+bear", "5\tgrizzly+bear", "class ids do not run from 1 to 3"),
        ("2\tgrizzly+bear", "1\tgrizzly+bear", "line 2: id 1 stands there twice"),
        ("2\tgrizzly+bear", "2\tgrizzly bear", "line 2: .* is not `id value`"),
        ("2\tgrizzly+bear", "2\tantelope", "names a class twice"),
        ("2\tgrizzly+bear", "2\tpolar+bear", "JPEGImages/grizzly.bear is no class in classes.txt"),
        ("3\tkiller+whale", "3\tkiller+whale\n4\tdodo", "JPEGImages/dodo is missing or holds no .jpg"),
        ("     3\tkiller+whale\n", "", "JPEGImages/killer.whale is no class in classes.txt"),
    ],
)
def test_faults(awa2, old, new, problem):
    awa2.edit("classes.txt", old, new)
    with pytest.raises(N3Error, match=problem):
        AWA2.index(awa2.root)


def test_folders(awa2):
    for path in awa2.images[:2]:
        path.unlink()
    with pytest.raises(N3Error, match="antelope is missing or holds no .jpg"):
        AWA2.index(awa2.root)
    shutil.rmtree(awa2.folder / "JPEGImages")
    with pytest.raises(N3Error, match="JPEGImages cannot be read"):
        AWA2.index(awa2.root)
