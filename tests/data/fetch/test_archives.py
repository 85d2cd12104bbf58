import hashlib
import shutil
from dataclasses import replace

import pytest

from n3lib.data.fetch import Archive
from n3lib.data.fetch.archives import fetch_archives
from n3lib.io import N3Error


def fetch(archives, root, given=None, terms="Agree", prove=lambda: ["not whole"]):
    return fetch_archives(archives, root, given, terms, prove)


pytestmark = pytest.mark.usefixtures("slept")


@pytest.fixture
def tgz(tmp_path, make_archive):
    return make_archive(tmp_path / "birds.tgz")


@pytest.fixture
def birds(tgz, site):
    site.body = tgz.read_bytes()
    tgz.unlink()
    return Archive("birds.tgz", site.url, hashlib.md5(site.body).hexdigest(), into="in")


UNPACKED = ["in/birds/jay/1.jpg", "in/birds/jay/2.jpg", "in/classes.txt"]


def test_fetch(birds, site, tmp_path, names):
    root = tmp_path / "root"
    assert fetch([birds], root) == []
    assert names(root) == [".birds.tgz.done", "birds.tgz", *UNPACKED]
    (root / "birds.tgz").unlink()
    fetch([birds], root)
    assert len(site.requests) == 1 and names(root) == [".birds.tgz.done", *UNPACKED]
    # What is gone, or another version of the archive, is brought again.
    (root / "in/classes.txt").unlink()
    fetch([birds], root)
    assert len(site.requests) == 2 and names(root)[2:] == UNPACKED
    (root / "birds.tgz").unlink()
    with pytest.raises(N3Error, match="000"):
        fetch([replace(birds, md5="0" * 32)], root)


def test_fetch_after_an_interruption(birds, tmp_path, monkeypatch, names):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch([birds], tmp_path / "root")
    assert names(tmp_path / "root") == ["birds.tgz"]
    fetch([birds], tmp_path / "root")
    assert names(tmp_path / "root")[2:] == UNPACKED


@pytest.mark.parametrize("place", ["root", "folder", "file", "file of another name"])
def test_fetch_from_the_disk(birds, site, tmp_path, place, names):
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir(), other.mkdir()
    path = {"root": root / "birds.tgz", "file of another name": other / "copy.tgz"}.get(
        place, other / "birds.tgz"
    )
    path.write_bytes(site.body)
    source = None if place == "root" else other if place == "folder" else path
    fetch([birds], root, source)
    assert site.requests == [] and [name for name in names(root) if "in/" in name] == UNPACKED
    assert path.read_bytes() == site.body


# The content of `birds`, in another order.
TURNED = [("classes.txt", b"1 jay"), ("birds/jay/2.jpg", b""), ("./birds/jay/1.jpg", b"one")]
REPACKED = ["birds.zip", "birds.tar", "birds.tgz", "birds (1).tgz", "birds(2).tar.gz"]


@pytest.mark.parametrize("name", REPACKED)
@pytest.mark.parametrize("in_folder", [True, False])
def test_an_archive_that_was_packed_anew_is_taken_if_it_proves_whole(
    birds, site, tmp_path, name, in_folder, make_archive, names
):
    """There are two archives, so that the name alone tells which one it is."""
    root, other, labels = tmp_path / "root", tmp_path / "other", Archive("labels.tgz", site.url, birds.md5)
    other.mkdir()
    path = make_archive(other / name, TURNED)
    (root / "labels").mkdir(parents=True)
    proved = []

    def prove():
        proved.append([part for part in names(root) if part.startswith("in/")])
        assert ".birds.tgz.done" not in names(root)
        return []

    (odd,) = fetch([birds, labels], root, other if in_folder else path, prove=prove)
    assert str(path) in odd and birds.md5 in odd and proved == [UNPACKED]
    assert fetch([birds, labels], root, path, prove=prove) == [] and len(proved) == 1


def test_an_archive_that_was_packed_anew_and_does_not_prove_whole(birds, site, tmp_path, make_archive, names):
    path, root = make_archive(tmp_path / "mine.zip"), tmp_path / "root"
    for _ in range(2):  # it is not taken for done
        with pytest.raises(N3Error, match=f"mine.zip.*{birds.md5}.*3 classes") as error:
            fetch([birds], root, path, prove=lambda: ["3 classes, not 4", "..."])
    assert str(root / "in/birds") in error.value.remedy and ".birds.tgz.done" not in names(root)
    assert site.requests == [] and path.exists()


def test_only_what_the_user_names_may_have_another_hash(birds, site, tmp_path, make_archive):
    root = tmp_path / "root"
    root.mkdir()
    left = make_archive(root / "birds.tgz", TURNED)
    with pytest.raises(N3Error, match="birds.tgz.*MD5"):
        fetch([birds], root, prove=lambda: [])
    left.unlink()
    site.body = b"another file"
    with pytest.raises(N3Error, match="birds.tgz.*MD5"):
        fetch([birds], root, prove=lambda: [])
    labels = Archive("labels.mat", site.url, "0" * 32, unpack=False)
    (tmp_path / "labels.mat").write_bytes(b"other labels")
    with pytest.raises(N3Error, match="labels.mat"):
        fetch([labels], root, tmp_path, prove=lambda: [])


def test_a_folder_without_the_archive_is_refused(birds, site, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "cats.tgz").write_bytes(b"")
    dogs = Archive("dogs.tgz", site.url)
    with pytest.raises(N3Error, match="folder .*birds.tgz, dogs.tgz"):
        fetch([birds, dogs], tmp_path / "root", tmp_path / "folder")
    assert site.requests == [] and not (tmp_path / "root").exists()


def test_a_folder_whose_archive_is_done_still_serves(birds, site, tmp_path):
    """Such as when the download of the other one was cut, and the same call is repeated."""
    (tmp_path / "birds.tgz").write_bytes(site.body)
    labels = Archive("labels.mat", site.url, unpack=False)
    fetch([birds], tmp_path / "root", tmp_path)
    assert fetch([birds, labels], tmp_path / "root", tmp_path) == [] and len(site.requests) == 1


def test_by_hand(birds, site, tmp_path, make_archive, names):
    hand = Archive("nabirds.tgz", into="nabirds")
    terms = "Agree to the terms at https://dl.allaboutbirds.org/nabirds"
    with pytest.raises(N3Error) as error:
        fetch([birds, hand], tmp_path / "root", terms=terms)
    for word in ("nabirds.tgz", str(tmp_path / "root"), terms):
        assert word in str(error.value)
    assert site.requests == [], "found out before anything is downloaded"
    make_archive(tmp_path / "nabirds.tgz")
    fetch([birds, hand], tmp_path / "root", tmp_path, terms)
    fetch([birds, hand], tmp_path / "root")
    assert len(site.requests) == 1 and "nabirds/classes.txt" in names(tmp_path / "root")


def test_files_that_are_no_archives(site, tmp_path, names):
    site.body = b"labels"
    labels, splits = (
        Archive(name, site.url, into="flowers", unpack=False) for name in ("labels.mat", "splits.mat")
    )
    (tmp_path / "splits.mat").write_bytes(b"splits")
    for _ in range(2):
        fetch([labels, splits], tmp_path / "root", tmp_path)
    root = tmp_path / "root" / "flowers"
    assert names(root) == ["labels.mat", "splits.mat"] and len(site.requests) == 1
    assert (root / "labels.mat").read_bytes() == b"labels" and (root / "splits.mat").read_bytes() == b"splits"


def test_source_that_is_not_there(birds, tmp_path):
    with pytest.raises(N3Error, match="none"):
        fetch([birds], tmp_path / "root", tmp_path / "none")
    (tmp_path / "cats.tgz").write_bytes(b"")
    with pytest.raises(N3Error, match="cats.tgz.* birds.tgz, dogs.tgz"):
        fetch([birds, Archive("dogs.tgz", birds.url)], tmp_path / "root", tmp_path / "cats.tgz")


def test_root_cannot_be_written(birds, tmp_path, site):
    (tmp_path / "birds.tgz").write_bytes(site.body)
    (tmp_path / "root").write_text("")
    with pytest.raises(N3Error, match="root"):
        fetch([birds], tmp_path / "root", tmp_path)
