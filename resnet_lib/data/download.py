"""A publisher's archive from whichever of several hosts gives it: tried in turn, resumed, and held to its checksum."""

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from resnet_lib.errors import UserError, reason, tell

PATIENCE = 30  # seconds without a byte
TRIES = 20  # of one host, as long as each brings the file further
CHUNK = 1 << 18


@dataclass(frozen=True)
class Archive:
    """One file, whoever serves it."""

    name: str
    bytes: int
    sha256: str
    urls: Sequence[str]

    @property
    def megabytes(self) -> int:
        """Its size in MB, rounded."""
        return round(self.bytes / 1e6)


class _Wrong(Exception):
    """What came is not the file."""


def download(archive: Archive, path: Path) -> str:
    """Brings the archive to `path`, going on with what an earlier try left there; returns the host that gave the rest.

    What is at `path` is whole and right once this returns, and else may be the beginning of it. Hosts are tried in the
    order of `archive.urls`. One that breaks off is asked for the rest, and one that gives another file is left.

    Raises:
        UserError: no host gave the file; the line says what became of each.
    """
    failures = []
    for url in archive.urls:
        host = urlsplit(url).netloc
        for _ in range(TRIES):
            had = _size(path)
            if had < archive.bytes:
                tell(f"{archive.name} from {host}" + (f", from {had / 1e6:.0f} MB on" if had else ""))
            try:
                _continue(url, path, archive)
                return host if had < archive.bytes else "an earlier try"
            except _Wrong as error:
                path.unlink(missing_ok=True)
                failure, again = str(error), had > 0  # perhaps what was there before was wrong
            except (OSError, http.client.HTTPException) as error:
                failure, again = reason(error), _size(path) > had
            if not again:
                break
        failures.append(f"{host}: {failure}")
    raise UserError("; ".join(failures))


def _continue(url: str, path: Path, archive: Archive) -> None:
    """Appends what is missing. A host that knows no ranges sends all, and the file is begun anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    had = _size(path)
    if had < archive.bytes:
        request = urllib.request.Request(url, headers={"Range": f"bytes={had}-"} if had else {})
        with _opened(request) as answer, path.open("r+b" if had else "wb") as file:
            resumed = answer.status == http.client.PARTIAL_CONTENT
            if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
                raise _Wrong("it sends another part than it was asked for")
            file.seek(had if resumed else 0)
            while file.tell() <= archive.bytes and (chunk := answer.read(CHUNK)):
                file.write(chunk)
    if (got := _size(path)) < archive.bytes:
        raise OSError(f"it broke off after {got:,} of {archive.bytes:,} bytes")
    with path.open("rb") as file:
        if got > archive.bytes or hashlib.file_digest(file, "sha256").hexdigest() != archive.sha256:
            raise _Wrong("it gives another file")


def _opened(request: urllib.request.Request) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(request, timeout=PATIENCE)
    except HTTPError as error:
        raise OSError(f"{error.code} {error.reason}") from None
    except URLError as error:
        raise OSError(str(error.reason)) from None


def _size(path: Path) -> int:
    return os.path.getsize(path) if path.exists() else 0
