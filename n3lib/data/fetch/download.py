"""A file from the web: a cut loses nothing, and it has its name only when it is whole and its hash is right.

Until then it is `NAME.part`, and is taken up where it stopped.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import httpx
from tenacity import RetryCallState
from tqdm import tqdm

from n3lib.data.fetch.retries import Passing, check_status, retrying
from n3lib.io import N3Error, printable, read_json, write_json, writing
from n3lib.io.files import check_space

_CHUNK = 1 << 20


def download_file(url: str, target: Path, md5: str = "") -> None:
    """Fetch `url` into the file `target`.

    An earlier attempt is taken up where it stopped if the server can do that and its file is still the same.
    Cuts and server errors are tried again, up to `retries.TRIES` times in a row without progress. A `target`
    that is there already is verified and kept. An empty `md5` accepts any hash.

    Raises:
        N3Error: no such address, no answer, no space, a wrong hash, or `target` cannot be written.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise N3Error(f"{url!r} is no address: {error}", "Correct it") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise N3Error(f"{url!r} is no http or https address", "Correct it")
    if target.is_file():
        return verify(target, md5)
    part = target.with_name(f"{target.name}.part")
    note = part.with_name(f"{part.name}.json")
    with writing(target, "Choose a writable folder"):
        target.parent.mkdir(parents=True, exist_ok=True)
        _collect(url, part, note, bool(md5))
        remedy = "Try again; if it stays so, its publisher has changed it"
        try:
            verify(part, md5, f"{url} arrived with", remedy)
        except N3Error:
            part.unlink()
            raise
        finally:
            note.unlink(missing_ok=True)
        part.replace(target)


def verify(path: Path, md5: str, what: str = "", remedy: str = "It is not whole: fetch it again") -> None:
    """Refuse a file whose MD5 is not the one that its publisher gives, which guards against accidents only.

    `what` begins the error; without an `md5`, nothing is checked.
    """
    if not md5:
        return
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise N3Error(f"{path} cannot be read: {error.strerror}", "Check the file") from None
    if found != md5.lower():
        raise N3Error(f"{what or f'{path} has'} MD5 {found} instead of {md5.lower()}", remedy)


def _collect(url: str, part: Path, note: Path, hashed: bool) -> None:
    """Receive into `part` until it is whole."""
    size = _size(part)

    def forgive(state: RetryCallState) -> None:
        """A long download may be cut many times; only cuts without progress count."""
        nonlocal size
        before, size = size, _size(part)
        if size >= before + _CHUNK:
            state.attempt_number = 1

    def receive() -> None:
        try:
            _receive(client, url, part, note, hashed)
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise N3Error(f"{url} leads nowhere: {error}", "Fetch the file by hand") from None

    with httpx.Client(timeout=30, follow_redirects=True, headers={"User-Agent": "n3lib"}) as client:
        retrying(f"{url} cannot be fetched", "what has arrived", forgive)(receive)


def _receive(client: httpx.Client, url: str, part: Path, note: Path, hashed: bool) -> None:
    """One request: the rest of the file if that can be had, else the whole."""
    have, known = _resumable(url, part, note, hashed)
    if have and have == known["length"]:
        return  # all had arrived, only the name was missing
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if known["validator"]:
            headers["If-Range"] = known["validator"]
    with client.stream("GET", url, headers=headers) as response:
        status = response.status_code
        check_status(response)
        if have and (status == 416 or (status == 206 and not _continues(response, have, known))):
            note.unlink(missing_ok=True)  # the next try starts afresh
            raise Passing("the file has changed on the server")
        if status != 200 and not (have and status == 206):
            raise N3Error(f"{url} cannot be fetched: the server says {status}", "Fetch the file by hand")
        if response.headers.get("Content-Type", "").startswith("text/html") and ".htm" not in part.name:
            raise N3Error(f"{url} is a web page, not the file", "Open it and fetch the file by hand")
        if status == 200:
            have = 0
            length = int(response.headers.get("Content-Length", -1))
            known = {"url": url, "validator": _validator(response), "length": length}
        total = known["length"]
        check_space(part.parent, max(0, total - have))
        with part.open("ab" if have else "wb") as file:
            if not have:
                write_json(note, known)
            with tqdm(
                desc=printable(part.stem), total=max(total, have) or None, initial=have, unit="B",
                unit_scale=True, disable=None,
            ) as bar:  # fmt: skip
                # As the pieces come: collecting them into larger ones would lose the last one to a cut.
                for chunk in response.iter_raw():
                    file.write(chunk)
                    bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    if total >= 0 and _size(part) != total:
        raise Passing(f"{_size(part)} of {total} bytes arrived")


def _resumable(url: str, part: Path, note: Path, hashed: bool) -> tuple[int, dict[str, Any]]:
    """How many bytes of the file are there, and what is known of it; 0 if they cannot be relied on."""
    have = _size(part)
    try:
        known = read_json(note)
        usable = known["url"] == url and known["length"] >= have and (known["validator"] or hashed)
    except (N3Error, KeyError, TypeError):
        return 0, {}
    return (have, known) if usable else (0, {})


def _continues(response: httpx.Response, have: int, known: dict[str, Any]) -> bool:
    """Whether a partial answer is the rest of the same file."""
    rest = f"bytes {have}-{known['length'] - 1}/{known['length']}"
    # Some servers send a range of the new file where If-Range asked for the old one.
    same = _validator(response) in ("", known["validator"])
    return same and response.headers.get("Content-Range") == rest


def _validator(response: httpx.Response) -> str:
    """What tells this version of the file from another: a strong ETag, or its date."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
