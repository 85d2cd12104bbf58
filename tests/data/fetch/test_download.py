import hashlib
import json

import pytest

from n3lib.data.fetch.download import download_file
from n3lib.io import N3Error, files

BODY = bytes(range(256)) * 40  # what the site sends
MD5 = hashlib.md5(BODY).hexdigest()
pytestmark = pytest.mark.usefixtures("slept")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "birds.tgz"


def test_download(site, target, names):
    download_file(site.url, target, MD5)
    assert target.read_bytes() == BODY and names(target.parent) == ["birds.tgz"]
    download_file(site.url, target, MD5.upper())
    assert site.requests == [(None, None)]  # the second call asked for nothing
    target.write_bytes(b"other")
    with pytest.raises(N3Error, match=MD5):
        download_file(site.url, target, MD5)
    assert target.read_bytes() == b"other"  # not ours to delete


def test_a_cut_is_taken_up_where_it_happened(site, target, slept):
    site.script = [("cut", 4000), ("cut", 1000)]
    download_file(site.url, target, MD5)
    assert site.requests == [(None, None), ("bytes=4000-", '"one"'), ("bytes=5000-", '"one"')]
    assert slept == [1, 2] and target.read_bytes() == BODY


def test_a_later_call_takes_up_too(site, target, names):
    site.script = [("cut", 100)] + [("cut", 0)] * 4
    with pytest.raises(N3Error, match="5 tries"):
        download_file(site.url, target)
    assert names(target.parent) == ["birds.tgz.part", "birds.tgz.part.json"]
    site.requests.clear()
    download_file(site.url, target)
    assert site.requests == [("bytes=100-", '"one"')]
    assert target.read_bytes() == BODY and names(target.parent) == ["birds.tgz"]


def test_cuts_with_progress_do_not_count(site, target, slept):
    site.body, site.script = BODY * 1024, [("cut", 1_100_000)] * 8  # a megabyte counts
    download_file(site.url, target)
    assert len(site.requests) == 9 and slept == [1] * 8 and target.read_bytes() == site.body


def test_server_ignores_range(site, target):
    site.ranges, site.script = False, [("cut", 4000)]
    download_file(site.url, target, MD5)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("stubborn", [False, True])
def test_file_changes_between_tries(site, target, stubborn):
    """With If-Range the server sends the new file; a stubborn one sends a piece of it, which is not taken."""
    site.script = [("cut", 4000)] + [("cut", 0)] * 4
    with pytest.raises(N3Error):
        download_file(site.url, target)
    site.body, site.tag, site.stubborn = BODY[::-1], '"two"', stubborn
    download_file(site.url, target)
    assert target.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("body", [BODY[:3000], BODY + b"more"])
def test_length_changes_between_tries(site, target, body):
    """Without an ETag, the length tells."""
    site.tag, site.script = "", [("cut", 4000)] + [("cut", 0)] * 4
    md5 = hashlib.md5(body).hexdigest()
    with pytest.raises(N3Error):
        download_file(site.url, target, md5)
    site.body = body
    download_file(site.url, target, md5)
    assert target.read_bytes() == body


def test_nothing_is_pieced_together_unchecked(site, target):
    """With neither an ETag nor a hash there is no telling: start afresh."""
    site.tag, site.script = "", [("cut", 4000)]
    download_file(site.url, target)
    assert site.requests == [(None, None), (None, None)] and target.read_bytes() == BODY


def test_whole_part_only_needs_its_name(site, target, names):
    target.parent.mkdir()
    target.with_name("birds.tgz.part").write_bytes(BODY)
    note = {"url": site.url, "validator": '"one"', "length": len(BODY)}
    target.with_name("birds.tgz.part.json").write_text(json.dumps(note))
    download_file(site.url, target, MD5)
    assert site.requests == [] and names(target.parent) == ["birds.tgz"]


@pytest.mark.parametrize(
    "note", ["{", "[]", "{}", '{"url": "http://other", "validator": "a", "length": 9999999}']
)
def test_part_of_something_else(site, target, note):
    target.parent.mkdir()
    target.with_name("birds.tgz.part").write_bytes(b"something else")
    target.with_name("birds.tgz.part.json").write_text(note)
    download_file(site.url, target)
    assert site.requests == [(None, None)] and target.read_bytes() == BODY


def test_wrong_hash(site, target, names):
    wrong = "0" * 32
    with pytest.raises(N3Error, match=f"{MD5}.*{wrong}"):
        download_file(site.url, target, wrong)
    assert names(target.parent) == []


def test_busy_server(site, target, slept):
    site.script, site.failure = [503, 429], {"Retry-After": "7"}
    download_file(site.url, target, MD5)
    assert slept == [7, 7] and target.read_bytes() == BODY


def test_server_fails_for_good(site, target, slept):
    site.script = [503] * 9
    with pytest.raises(N3Error, match="503"):
        download_file(site.url, target)
    assert len(site.requests) == 5 and slept == [1, 2, 4, 8]


def test_server_refuses(site, target, slept):
    site.script = [404]
    with pytest.raises(N3Error, match="404"):
        download_file(site.url, target)
    assert len(site.requests) == 1 and slept == []


def test_web_page_instead_of_the_file(site, target):
    site.type = "text/html; charset=utf-8"
    with pytest.raises(N3Error, match="web page"):
        download_file(site.url, target)


def test_only_over_the_web(site, target):
    for url in ("file:///etc/passwd", "ftp://host/file", "birds.tgz", "http://", "http://a:b", ""):
        with pytest.raises(N3Error, match="address"):
            download_file(url, target)
    site.script, site.failure = [302], {"Location": "ftp://host/file"}
    with pytest.raises(N3Error, match="ftp"):
        download_file(site.url, target)
    assert not target.exists()


def test_redirect(site, target):
    site.script, site.failure = [302], {"Location": site.url + "?other"}
    download_file(site.url, target, MD5)
    assert target.read_bytes() == BODY


def test_no_space_or_no_right(site, target, monkeypatch, tmp_path):
    usage = type("Usage", (), {"free": 10_000})
    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(N3Error, match="GB free"):
            download_file(site.url, target)
    (tmp_path / "file").write_text("")
    with pytest.raises(N3Error, match="birds.tgz"):
        download_file(site.url, tmp_path / "file" / "birds.tgz")
