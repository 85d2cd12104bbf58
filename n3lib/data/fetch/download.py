"""A file from the web: a cut loses nothing, and it has its name only when it is whole and its hash is right.

Until then it is `NAME.part`, and is taken up where it stopped.
"""

import email.utils
import hashlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from n3lib.io.errors import N3Error, printable
from n3lib.io.files import check_space, read_json, write_json, writing

TRIES = 5
# The longest wait, in seconds, that a server is granted before the call gives up.
PATIENCE = 60.0

_CHUNK = 1 << 20


def download(url: str, target: Path, md5: str = "") -> Path:
    """Fetch `url` into the file `target`, which appears only when it is whole and its hash is right.

    An earlier attempt is taken up where it stopped if the server can do that and its file is still the same.
    Cuts and server errors are tried again, up to `TRIES` times in a row without progress.

    Args:
        url: an http or https address.
        target: the file to write; one that is there already is verified and kept.
        md5: the expected hash in hexadecimal; empty to accept any.

    Returns:
        `target`.

    Raises:
        N3Error: no such address, no answer, no space, a wrong hash, or `target` cannot be written.
    """
    target = Path(target)
    _check_address(url)
    if target.is_file():
        verify(target, md5)
        return target
    part = target.with_name(f"{target.name}.part")
    note = part.with_name(f"{part.name}.json")
    with writing(target, "Choose a writable folder"):
        target.parent.mkdir(parents=True, exist_ok=True)
        _collect(url, part, note, bool(md5))
        found = md5_file(part)
        if md5 and found != md5.lower():
            part.unlink()
            note.unlink(missing_ok=True)
            raise N3Error(
                f"{url} arrived with MD5 {found} instead of {md5.lower()}",
                "Try again; if it stays so, the publisher has changed the file",
            )
        part.replace(target)
        note.unlink(missing_ok=True)
    return target


def md5_file(path: Path) -> str:
    """MD5 of a file in hexadecimal: what publishers of datasets give. It guards against accidents only."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def verify(path: Path, md5: str) -> None:
    """Hold a file against the hash that its publisher gives; none is given where `md5` is empty.

    Raises:
        N3Error: it has another, or cannot be read.
    """
    if not md5:
        return
    try:
        found = md5_file(path)
    except OSError as error:
        raise N3Error(f"{path} cannot be read: {error.strerror}", "Check the file") from None
    if found != md5.lower():
        raise N3Error(f"{path} has MD5 {found} instead of {md5.lower()}", "It is not whole: fetch it again")


def wait(attempt: int, retry_after: str = "") -> None:
    """Wait before the next try: 1, 2, 4, ... seconds, or what the server asks for.

    Args:
        attempt: how many tries have failed, from 1.
        retry_after: the server's `Retry-After`, in seconds or as a date; empty if it gave none.

    Raises:
        N3Error: the server asks for more than `PATIENCE` seconds.
    """
    seconds = 2.0 ** (attempt - 1)
    if retry_after.strip().isdecimal():
        seconds = float(retry_after)
    elif retry_after:
        try:
            date = email.utils.parsedate_to_datetime(retry_after)
            seconds = max(0.0, (date - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            pass  # not a date either: wait as if it had said nothing
    if seconds > PATIENCE:
        raise N3Error(
            f"the server asks to wait {seconds:.0f} seconds", "Call again then: what is done so far is kept"
        )
    time.sleep(seconds)


class _Failure(Exception):
    """A request that is worth trying again."""

    def __init__(self, problem: str, retry_after: str = "") -> None:
        super().__init__(problem)
        self.retry_after = retry_after


def _check_address(url: str) -> None:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise N3Error(f"{url!r} is no address: {error}", "Correct it") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise N3Error(f"{url!r} is no http or https address", "Correct it")


def _collect(url: str, part: Path, note: Path, hashed: bool) -> None:
    """Receive into `part` until it is whole."""
    failures = 0
    with httpx.Client(timeout=30, follow_redirects=True, headers={"User-Agent": "n3lib"}) as client:
        while True:
            before = _size(part)
            try:
                _receive(client, url, part, note, hashed)
                return
            except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
                raise N3Error(f"{url} leads nowhere: {error}", "Fetch the file by hand") from None
            except (_Failure, httpx.TransportError) as error:
                # A long download may be cut many times; only cuts without progress count.
                failures = 1 if _size(part) >= before + _CHUNK else failures + 1
                if failures >= TRIES:
                    raise N3Error(
                        f"{url} cannot be fetched: {error or type(error).__name__} ({TRIES} tries)",
                        "Call again later: what has arrived is kept",
                    ) from None
                wait(failures, getattr(error, "retry_after", ""))


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
        if status == 429 or status >= 500:
            raise _Failure(f"the server says {status}", response.headers.get("Retry-After", ""))
        if have and (status == 416 or (status == 206 and not _continues(response, have, known))):
            note.unlink(missing_ok=True)  # the next try starts afresh
            raise _Failure("the file has changed on the server")
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
            size = max(total, have) or None
            with tqdm(
                desc=printable(part.stem), total=size, initial=have, unit="B", unit_scale=True, disable=None
            ) as bar:
                # As the pieces come: collecting them into larger ones would lose the last one to a cut.
                for chunk in response.iter_raw():
                    file.write(chunk)
                    bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    if total >= 0 and _size(part) != total:
        raise _Failure(f"{_size(part)} of {total} bytes arrived")


def _resumable(url: str, part: Path, note: Path, hashed: bool) -> tuple[int, dict[str, Any]]:
    """How many bytes of the file are there, and what is known of it; 0 if they cannot be relied on."""
    have = _size(part)
    if not have or not note.is_file():
        return 0, {}
    try:
        known = read_json(note)
        usable = known["url"] == url and known["length"] >= have and (known["validator"] or hashed)
    except (N3Error, KeyError, TypeError):
        return 0, {}
    return (have, known) if usable else (0, {})


def _continues(response: httpx.Response, have: int, known: dict[str, Any]) -> bool:
    """Whether a partial answer is the rest of the same file."""
    rest = f"bytes {have}-{known['length'] - 1}/{known['length']}"
    if response.headers.get("Content-Range") != rest:
        return False
    # Some servers send a range of the new file where If-Range asked for the old one.
    return _validator(response) in ("", known["validator"])


def _validator(response: httpx.Response) -> str:
    """What tells this version of the file from another: a strong ETag, or its date."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
