import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
import threading
import time
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from n3lib.data.fetch import download as module
from n3lib.data.fetch import unpack
from n3lib.data.fetch.archives import Archive, fetch
from n3lib.data.fetch.download import download, wait
from n3lib.data.fetch.unpack import extract
from n3lib.io import files
from n3lib.io.errors import N3Error

BODY = bytes(range(256)) * 40  # 10,240 bytes
MD5 = hashlib.md5(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Sends `site.body`; each request first takes the next instruction from `site.script`.

    An instruction is a status to answer with, `("cut", n)` to break off after n bytes, or None.
    """

    def do_GET(self):
        site = self.server.site
        range_, condition = self.headers.get("Range"), self.headers.get("If-Range")
        site.requests.append((range_, condition))
        step = site.script.pop(0) if site.script else None
        if isinstance(step, int):
            self.send_response(step)
            for name, value in site.failure.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body, start = site.body, 0
        honors = site.ranges and (condition in (None, site.tag) or site.stubborn)
        if range_ and honors:
            start = int(range_.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        if site.tag:
            self.send_header("ETag", site.tag)
        if site.type:
            self.send_header("Content-Type", site.type)
        self.end_headers()
        rest = body[start:]
        if step:
            rest = rest[: step[1]]
        self.wfile.write(rest)
        if step:
            self.close_connection = True

    def log_message(self, *_):
        pass


class Site:
    def __init__(self, url):
        self.url, self.body, self.tag, self.type = url, BODY, '"one"', ""
        self.ranges, self.stubborn = True, False
        self.script, self.requests, self.failure = [], [], {}


@pytest.fixture
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.site = Site(f"http://127.0.0.1:{server.server_port}/birds.tgz")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def slept(monkeypatch):
    """The seconds that would have been slept."""
    seconds = []
    monkeypatch.setattr(module.time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "birds.tgz"


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# Downloading.


def test_download(site, target):
    assert download(site.url, target, MD5) == target
    assert target.read_bytes() == BODY and names(target.parent) == ["birds.tgz"]
    assert download(site.url, target, MD5.upper()) == target
    assert site.requests == [(None, None)]  # the second call asked for nothing
    target.write_bytes(b"other")
    with pytest.raises(N3Error, match=f"MD5 [0-9a-f]+ instead of {MD5}"):
        download(site.url, target, MD5)
    assert target.read_bytes() == b"other"  # not ours to delete


def test_a_cut_is_taken_up_where_it_happened(site, target, slept):
    site.script = [("cut", 4000), ("cut", 1000)]
    download(site.url, target, MD5)
    assert site.requests == [(None, None), ("bytes=4000-", '"one"'), ("bytes=5000-", '"one"')]
    assert slept == [1, 2] and target.read_bytes() == BODY


def test_a_later_call_takes_up_too(site, target):
    site.script = [("cut", 100)] + [("cut", 0)] * 4
    with pytest.raises(N3Error, match=r"5 tries\)\. Call again later"):
        download(site.url, target)
    assert names(target.parent) == ["birds.tgz.part", "birds.tgz.part.json"]
    site.requests.clear()
    download(site.url, target)
    assert site.requests == [("bytes=100-", '"one"')]
    assert target.read_bytes() == BODY and names(target.parent) == ["birds.tgz"]


def test_cuts_with_progress_do_not_count(site, target, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 500)
    site.script = [("cut", 600)] * 12
    download(site.url, target, MD5)
    assert len(site.requests) == 13


def test_server_ignores_range(site, target):
    site.ranges, site.script = False, [("cut", 4000)]
    download(site.url, target, MD5)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("stubborn", [False, True])
def test_file_changes_between_tries(site, target, stubborn):
    """With If-Range the server sends the new file; a stubborn one sends a piece of it, which is not taken."""
    site.script = [("cut", 4000)] + [("cut", 0)] * 4
    with pytest.raises(N3Error):
        download(site.url, target)
    site.body, site.tag, site.stubborn = BODY[::-1], '"two"', stubborn
    download(site.url, target)
    assert target.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("body", [BODY[:3000], BODY + b"more"])
def test_length_changes_between_tries(site, target, body):
    """Without an ETag, the length tells."""
    site.tag, site.script = "", [("cut", 4000)] + [("cut", 0)] * 4
    md5 = hashlib.md5(body).hexdigest()
    with pytest.raises(N3Error):
        download(site.url, target, md5)
    site.body = body
    download(site.url, target, md5)
    assert target.read_bytes() == body


def test_nothing_is_pieced_together_unchecked(site, target):
    """With neither an ETag nor a hash there is no telling: start afresh."""
    site.tag, site.script = "", [("cut", 4000)]
    download(site.url, target)
    assert site.requests == [(None, None), (None, None)] and target.read_bytes() == BODY


def test_whole_part_only_needs_its_name(site, target):
    target.parent.mkdir()
    target.with_name("birds.tgz.part").write_bytes(BODY)
    note = {"url": site.url, "validator": '"one"', "length": len(BODY)}
    target.with_name("birds.tgz.part.json").write_text(json.dumps(note))
    download(site.url, target, MD5)
    assert site.requests == [] and names(target.parent) == ["birds.tgz"]


@pytest.mark.parametrize(
    "note", ["{", "[]", "{}", '{"url": "http://other", "validator": "a", "length": 9999999}']
)
def test_part_of_something_else(site, target, note):
    target.parent.mkdir()
    target.with_name("birds.tgz.part").write_bytes(b"something else")
    target.with_name("birds.tgz.part.json").write_text(note)
    download(site.url, target)
    assert site.requests == [(None, None)] and target.read_bytes() == BODY


def test_wrong_hash(site, target):
    wrong = "0" * 32
    with pytest.raises(N3Error, match=f"with MD5 {MD5} instead of {wrong}"):
        download(site.url, target, wrong)
    assert names(target.parent) == []


def test_busy_server(site, target, slept):
    site.script, site.failure = [503, 429], {"Retry-After": "7"}
    download(site.url, target, MD5)
    assert slept == [7, 7] and target.read_bytes() == BODY


def test_server_fails_for_good(site, target, slept):
    site.script = [503] * 9
    with pytest.raises(N3Error, match="the server says 503"):
        download(site.url, target)
    assert len(site.requests) == 5 and slept == [1, 2, 4, 8]


def test_server_refuses(site, target, slept):
    site.script = [404]
    with pytest.raises(N3Error, match="says 404. Fetch the file by hand"):
        download(site.url, target)
    assert len(site.requests) == 1 and slept == []


def test_web_page_instead_of_the_file(site, target):
    site.type = "text/html; charset=utf-8"
    with pytest.raises(N3Error, match="is a web page"):
        download(site.url, target)


def test_only_over_the_web(site, target):
    for url in ("file:///etc/passwd", "ftp://host/file", "birds.tgz", "http://", "http://a:b", ""):
        with pytest.raises(N3Error, match="address"):
            download(url, target)
    site.script, site.failure = [302], {"Location": "ftp://host/file"}
    with pytest.raises(N3Error, match="leads nowhere"):
        download(site.url, target)
    assert not target.exists()


def test_redirect(site, target):
    site.script, site.failure = [302], {"Location": site.url + "?other"}
    download(site.url, target, MD5)
    assert target.read_bytes() == BODY


def test_no_space_or_no_right(site, target, monkeypatch, tmp_path):
    usage = type("Usage", (), {"free": 10_000})
    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(N3Error, match="GB free. Make room there"):
            download(site.url, target)
    (tmp_path / "file").write_text("")
    with pytest.raises(N3Error, match="cannot be written.* Choose a writable folder"):
        download(site.url, tmp_path / "file" / "birds.tgz")


def test_waiting(slept):
    wait(1), wait(4), wait(3, "0"), wait(2, "soon")
    wait(1, "Thu, 01 Jan 1970 00:00:00 GMT")
    assert slept == [1, 8, 0, 2, 0]
    for asked in ("3600", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600))):
        with pytest.raises(N3Error, match=r"to wait 3\d\d\d seconds"):
            wait(1, asked)


# Unpacking.


def make_tar(path, members, mode="w:gz"):
    """A tar of `{name: content}`; a TarInfo instead of content goes in as it is."""
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            if isinstance(content, bytes):
                info.size, info.mode = len(content), 0o6777
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def tar_entry(kind, link=""):
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, link
    return info


FILES = [("./birds/jay/1.jpg", b"one"), ("birds/jay/2.jpg", b""), ("classes.txt", b"1 jay")]


@pytest.fixture(params=["birds.tgz", "birds.tar.gz", "birds.TAR", "birds.zip"])
def archive(request, tmp_path):
    path = tmp_path / request.param
    if path.suffix == ".zip":
        return make_zip(path, [("birds/", b""), *FILES])
    mode = "w" if path.suffix == ".TAR" else "w:gz"
    return make_tar(
        path, [("./", tar_entry(tarfile.DIRTYPE)), ("birds", tar_entry(tarfile.DIRTYPE)), *FILES], mode
    )


def test_extract(archive, tmp_path):
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


def test_interruption_leaves_no_half_file(archive, tmp_path, monkeypatch):
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
def test_unsafe_tar(members, problem, tmp_path):
    path = make_tar(tmp_path / "evil.tgz", members)
    with pytest.raises(N3Error, match=problem or "safe|out of its folder") as error:
        extract(path, tmp_path / "in" / "root")
    assert "evil.tgz" in str(error.value) and "its publisher" in str(error.value)
    assert names(tmp_path) == ["evil.tgz"], "nothing is written, in the folder or out of it"


@pytest.mark.parametrize(
    "case", ["parent", "parent inside", "absolute", "backslash", "windows drive", "file as folder"]
)
def test_unsafe_zip(case, tmp_path):
    with pytest.raises(N3Error, match=UNSAFE[case][1] or "out of its folder"):
        extract(make_zip(tmp_path / "evil.zip", UNSAFE[case][0]), tmp_path / "root")
    assert names(tmp_path) == ["evil.zip"]


@pytest.mark.parametrize("kind, name", [(stat.S_IFLNK, "symbolic link"), (stat.S_IFCHR, "device")])
def test_links_and_devices_in_a_zip(tmp_path, kind, name):
    info = zipfile.ZipInfo("link")
    info.external_attr = (kind | 0o777) << 16
    with pytest.raises(N3Error, match=name):
        extract(make_zip(tmp_path / "evil.zip", [(info, "/etc/passwd")]), tmp_path / "root")


def test_bombs(tmp_path, monkeypatch):
    zeros = make_zip(tmp_path / "zeros.zip", [("zeros", b"0" * 20_000_000)])
    tar = make_tar(tmp_path / "zeros.tgz", [("zeros", b"0" * 20_000_000)])
    for path in (zeros, tar):  # 20 MB from 20 kB: more than 100 times its size and 10 MB
        with pytest.raises(N3Error, match="would unpack into more than 0.01 GB"):
            extract(path, tmp_path / "root")
    many = make_zip(tmp_path / "many.zip", [(str(i), b"") for i in range(11)])
    with monkeypatch.context() as patch:
        patch.setattr(unpack, "MAX_MEMBERS", 10)
        with pytest.raises(N3Error, match="or 10 files"):
            extract(many, tmp_path / "root")
    monkeypatch.setattr(unpack, "MAX_BYTES", 5)
    with pytest.raises(N3Error, match="would unpack"):
        extract(make_tar(tmp_path / "six.tar", [("six", b"123456")], "w"), tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_damage(tmp_path):
    good = make_tar(tmp_path / "good.tgz", [("noise", os.urandom(50_000))]).read_bytes()
    zipped = make_zip(tmp_path / "good.zip", [("noise", os.urandom(50_000))]).read_bytes()
    flipped = zipped[:1000] + bytes([zipped[1000] ^ 1]) + zipped[1001:]
    cases = {"cut.tgz": good[:30_000], "cut.zip": zipped[:30_000], "flipped.zip": flipped}
    cases |= {"not.tgz": b"not an archive", "not.zip": b"", "half.tar": gzip.decompress(good)[:20_000]}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(N3Error, match="is damaged or no such archive.* Delete it and fetch it again"):
            extract(tmp_path / name, tmp_path / "root")
    assert not (tmp_path / "root").exists() or names(tmp_path / "root") == []


def test_no_archive(tmp_path):
    (tmp_path / "birds.rar").write_bytes(b"")
    with pytest.raises(N3Error, match="no archive by its name"):
        extract(tmp_path / "birds.rar", tmp_path)
    with pytest.raises(N3Error, match="none.zip does not exist"):
        extract(tmp_path / "none.zip", tmp_path)
    path = make_zip(tmp_path / "birds.zip", [("a", b"x")])
    with pytest.raises(N3Error, match="cannot unpack"):
        extract(path, path)
    path.write_bytes(path.read_bytes().replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"))
    with pytest.raises(N3Error, match="encrypted"):
        extract(path, tmp_path / "root")


# Both.


@pytest.fixture
def tgz(tmp_path):
    return make_tar(tmp_path / "birds.tgz", FILES)


@pytest.fixture
def birds(tgz, site):
    site.body = tgz.read_bytes()
    tgz.unlink()
    return Archive("birds.tgz", site.url, hashlib.md5(site.body).hexdigest(), into="in")


UNPACKED = ["in/birds/jay/1.jpg", "in/birds/jay/2.jpg", "in/classes.txt"]


def test_fetch(birds, site, tmp_path):
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
    with pytest.raises(N3Error, match="instead of 000"):
        fetch([replace(birds, md5="0" * 32)], root)


def test_fetch_after_an_interruption(birds, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(unpack, "_place", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch([birds], tmp_path / "root")
    assert names(tmp_path / "root") == ["birds.tgz"]
    fetch([birds], tmp_path / "root")
    assert names(tmp_path / "root")[2:] == UNPACKED


@pytest.mark.parametrize("place", ["root", "folder", "file", "file of another name"])
def test_fetch_from_the_disk(birds, site, tmp_path, place):
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


def test_wrong_hash_on_the_disk(birds, tmp_path):
    path = make_zip(tmp_path / "birds.tgz", [])
    with pytest.raises(N3Error, match=f"has MD5 .* instead of {birds.md5}"):
        fetch([birds], tmp_path / "root", path)
    assert path.exists() and not (tmp_path / "root").exists()


REPACKED = {
    "birds.zip": lambda path: make_zip(path, FILES),
    "birds.tar": lambda path: make_tar(path, FILES, "w"),
    "birds.tgz": lambda path: make_tar(path, FILES[::-1]),
    "birds (1).tgz": lambda path: make_tar(path, FILES[::-1]),
    "birds(2).tar.gz": lambda path: make_tar(path, FILES[::-1]),
}


@pytest.mark.parametrize("name", REPACKED)
@pytest.mark.parametrize("in_folder", [True, False])
def test_an_archive_that_was_packed_anew_is_taken_if_it_proves_whole(birds, site, tmp_path, name, in_folder):
    """There are two archives, so that the name alone tells which one it is."""
    root, other, labels = tmp_path / "root", tmp_path / "other", Archive("labels.tgz", site.url, birds.md5)
    other.mkdir()
    path = REPACKED[name](other / name)
    (root / "labels").mkdir(parents=True)
    proved = []

    def prove():
        proved.append([part for part in names(root) if part.startswith("in/")])
        assert ".birds.tgz.done" not in names(root)
        return []

    (odd,) = fetch([birds, labels], root, other if in_folder else path, prove=prove)
    assert str(path) in odd and birds.md5 in odd and proved == [UNPACKED]
    assert fetch([birds, labels], root, path, prove=prove) == [] and len(proved) == 1


def test_an_archive_that_was_packed_anew_and_does_not_prove_whole(birds, site, tmp_path):
    path, root = make_zip(tmp_path / "mine.zip", FILES), tmp_path / "root"
    for _ in range(2):  # it is not taken for done
        with pytest.raises(N3Error, match=f"mine.zip has MD5 .* instead of {birds.md5}.*3 classes") as error:
            fetch([birds], root, path, prove=lambda: ["3 classes, not 4", "..."])
    assert str(root / "in/birds") in error.value.remedy and ".birds.tgz.done" not in names(root)
    assert site.requests == [] and path.exists()


def test_only_what_the_user_names_may_have_another_hash(birds, site, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    left = make_tar(root / "birds.tgz", FILES[::-1])
    with pytest.raises(N3Error, match="has MD5"):
        fetch([birds], root, prove=lambda: [])
    left.unlink()
    site.body = b"another file"
    with pytest.raises(N3Error, match="arrived with MD5"):
        fetch([birds], root, prove=lambda: [])
    labels = Archive("labels.mat", site.url, "0" * 32, unpack=False)
    (tmp_path / "labels.mat").write_bytes(b"other labels")
    with pytest.raises(N3Error, match="labels.mat has MD5"):
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


def test_by_hand(birds, site, tmp_path):
    hand = Archive("nabirds.tgz", into="nabirds")
    terms = "Agree to the terms at https://dl.allaboutbirds.org/nabirds"
    with pytest.raises(N3Error) as error:
        fetch([birds, hand], tmp_path / "root", terms=terms)
    assert str(error.value) == (
        f"nabirds.tgz must be fetched by hand and is not in {tmp_path / 'root'}. {terms}. "
        f"Put it in {tmp_path / 'root'}, or name the folder that holds it."
    )
    assert site.requests == [], "found out before anything is downloaded"
    make_tar(tmp_path / "nabirds.tgz", FILES)
    fetch([birds, hand], tmp_path / "root", tmp_path, terms)
    fetch([birds, hand], tmp_path / "root")
    assert len(site.requests) == 1 and "nabirds/classes.txt" in names(tmp_path / "root")


def test_files_that_are_no_archives(site, tmp_path):
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
    with pytest.raises(N3Error, match="does not exist"):
        fetch([birds], tmp_path / "root", tmp_path / "none")
    (tmp_path / "cats.tgz").write_bytes(b"")
    with pytest.raises(N3Error, match="cats.tgz is none of birds.tgz, dogs.tgz"):
        fetch([birds, Archive("dogs.tgz", birds.url)], tmp_path / "root", tmp_path / "cats.tgz")


def test_root_cannot_be_written(birds, tmp_path, site):
    (tmp_path / "birds.tgz").write_bytes(site.body)
    (tmp_path / "root").write_text("")
    with pytest.raises(N3Error, match="cannot unpack .*root"):
        fetch([birds], tmp_path / "root", tmp_path)
