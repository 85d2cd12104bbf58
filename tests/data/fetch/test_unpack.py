import gzip
import os
import stat
import tarfile
import zipfile

import pytest

from n3lib.data.fetch import unpack
from n3lib.data.fetch.unpack import extract
from n3lib.io import N3Error


def tar_entry(kind, link=""):
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, link
    return info


@pytest.fixture(params=["birds.tgz", "birds.tar.gz", "birds.TAR", "birds.zip"])
def archive(request, tmp_path, make_archive):
    folders = [("./", tar_entry(tarfile.DIRTYPE)), ("birds", tar_entry(tarfile.DIRTYPE))]
    files = [("./birds/jay/1.jpg", b"one"), ("birds/jay/2.jpg", b""), ("classes.txt", b"1 jay")]
    folders = [("birds/", b"")] if request.param.endswith(".zip") else folders
    return make_archive(tmp_path / request.param, folders + files)


def test_extract(archive, names, tmp_path):
    folder = tmp_path / "deep" / "root"
    assert extract(archive, folder) == ["birds", "classes.txt"]
    assert names(folder) == ["birds/jay/1.jpg", "birds/jay/2.jpg", "classes.txt"]
    assert (folder / "birds/jay/1.jpg").read_bytes() == b"one"
    mode = stat.S_IMODE((folder / "birds/jay/1.jpg").stat().st_mode)
    assert not mode & 0o7111, "neither executable nor set-user-id, whatever the archive says"


def test_extract_again_only_what_is_missing(archive, tmp_path):
    extract(archive, tmp_path / "root")
    one, classes = tmp_path / "root/birds/jay/1.jpg", tmp_path / "root/classes.txt"
    one.write_bytes(b"cut")  # the right size: taken for the file
    classes.write_bytes(b"1 j")
    extract(archive, tmp_path / "root")
    assert one.read_bytes() == b"cut" and classes.read_bytes() == b"1 jay"


def test_interruption_leaves_no_half_file(archive, names, tmp_path, monkeypatch):
    def cut(source, target, _):
        target.write(source.read(2))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(unpack.shutil, "copyfileobj", cut)
        with pytest.raises(KeyboardInterrupt):
            extract(archive, tmp_path / "root")
    assert names(tmp_path / "root") == []
    extract(archive, tmp_path / "root")
    assert len(names(tmp_path / "root")) == 3


UNSAFE = {
    "parent": ([("good", b""), ("../evil", b"x")], None),
    "parent inside": ([("a/../../evil", b"x")], None),
    "absolute": ([("/tmp/evil", b"x")], "out of its folder"),
    "windows": ([("C:\\evil", b"x")], "out of its folder"),
    "windows drive": ([("C:evil", b"x")], "out of its folder"),
    "backslash": ([("..\\evil", b"x")], "out of its folder"),
    "symbolic link": ([("link", tar_entry(tarfile.SYMTYPE, "/etc"))], "a symbolic link: 'link'"),
    "hard link": ([("a", b"x"), ("link", tar_entry(tarfile.LNKTYPE, "a"))], "a hard link: 'link'"),
    "device": ([("null", tar_entry(tarfile.CHRTYPE))], "a device: 'null'"),
    "pipe": ([("pipe", tar_entry(tarfile.FIFOTYPE))], "a device: 'pipe'"),
    "twice": ([("a/b", b"x"), ("./a//b", b"y")], "'./a//b' twice"),
    "file as folder": ([("a", b"x"), ("a/b", b"y")], "'a/b' twice"),
    "folder as file": ([("a/b", b"y"), ("a", b"x")], "'a' twice"),
    "folder of a file": ([("a", b"y"), ("a", tar_entry(tarfile.DIRTYPE))], "'a' twice"),
    "no name": ([(".", b"x")], "twice|out of"),
}


@pytest.mark.parametrize("members, problem", UNSAFE.values(), ids=UNSAFE)
def test_unsafe_tar(members, problem, make_archive, names, tmp_path):
    path = make_archive(tmp_path / "evil.tgz", members)
    with pytest.raises(N3Error, match=problem or "safe|out of its folder") as error:
        extract(path, tmp_path / "in" / "root")
    assert "evil.tgz" in str(error.value) and "its publisher" in str(error.value)
    assert names(tmp_path) == ["evil.tgz"], "nothing is written, in the folder or out of it"


@pytest.mark.parametrize(
    "case", ["parent", "parent inside", "absolute", "backslash", "windows drive", "file as folder"]
)
def test_unsafe_zip(case, make_archive, names, tmp_path):
    with pytest.raises(N3Error, match=UNSAFE[case][1] or "out of its folder"):
        extract(make_archive(tmp_path / "evil.zip", UNSAFE[case][0]), tmp_path / "root")
    assert names(tmp_path) == ["evil.zip"]


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_in_the_folder_leads_nothing_out(archive, names, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "root" / "birds").symlink_to(tmp_path / "out")
    with pytest.raises(N3Error, match="out of its folder"):
        extract(archive, tmp_path / "root")
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("kind, name", [(stat.S_IFLNK, "symbolic link"), (stat.S_IFCHR, "device")])
def test_links_and_devices_in_a_zip(tmp_path, make_archive, kind, name):
    info = zipfile.ZipInfo("link")
    info.external_attr = (kind | 0o777) << 16
    with pytest.raises(N3Error, match=name):
        extract(make_archive(tmp_path / "evil.zip", [(info, "/etc/passwd")]), tmp_path / "root")


def test_bombs(tmp_path, make_archive, monkeypatch):
    zeros = make_archive(tmp_path / "zeros.zip", [("zeros", b"0" * 20_000_000)])
    tar = make_archive(tmp_path / "zeros.tgz", [("zeros", b"0" * 20_000_000)])
    for path in (zeros, tar):  # 20 MB from 20 kB: more than 100 times its size and 10 MB
        with pytest.raises(N3Error, match="0.01 GB"):
            extract(path, tmp_path / "root")
    many = make_archive(tmp_path / "many.zip", [(str(i), b"") for i in range(11)])
    with monkeypatch.context() as patch:
        patch.setattr(unpack, "MAX_MEMBERS", 10)
        with pytest.raises(N3Error, match="10 files"):
            extract(many, tmp_path / "root")
    monkeypatch.setattr(unpack, "MAX_BYTES", 5)
    with pytest.raises(N3Error, match="six.tar"):
        extract(make_archive(tmp_path / "six.tar", [("six", b"123456")]), tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_damage(tmp_path, make_archive, names):
    good = make_archive(tmp_path / "good.tgz", [("noise", os.urandom(50_000))]).read_bytes()
    zipped = make_archive(tmp_path / "good.zip", [("noise", os.urandom(50_000))]).read_bytes()
    flipped = zipped[:1000] + bytes([zipped[1000] ^ 1]) + zipped[1001:]
    cases = {"cut.tgz": good[:30_000], "cut.zip": zipped[:30_000], "flipped.zip": flipped}
    cases |= {"not.tgz": b"not an archive", "not.zip": b"", "half.tar": gzip.decompress(good)[:20_000]}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(N3Error, match="damaged"):
            extract(tmp_path / name, tmp_path / "root")
    assert not (tmp_path / "root").exists() or names(tmp_path / "root") == []


def test_no_archive(tmp_path, make_archive):
    (tmp_path / "birds.rar").write_bytes(b"")
    with pytest.raises(N3Error, match="birds.rar"):
        extract(tmp_path / "birds.rar", tmp_path)
    with pytest.raises(N3Error, match="none.zip"):
        extract(tmp_path / "none.zip", tmp_path)
    path = make_archive(tmp_path / "birds.zip", [("a", b"x")])
    with pytest.raises(N3Error, match="birds.zip"):
        extract(path, path)
    path.write_bytes(path.read_bytes().replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"))
    with pytest.raises(N3Error, match="encrypted"):
        extract(path, tmp_path / "root")
