"""Download a published file once, verify it, and resume after a break."""

import hashlib
import http.client
import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from peculiar.errors import DataError, DownloadError
from peculiar.files.cache import cache_folder

logger = logging.getLogger(__name__)

_CHUNK = 1 << 16


def fetch(
    url: str,
    name: str,
    *,
    check: Callable[[Path], object],
    sha256: str | None = None,
    timeout: float = 10.0,
) -> Path:
    """Return the cached copy of a published file, and download it first if there is none.

    An interrupted download is resumed, if the server still has the same file. Two processes that need the same file
    download it once.

    Parameters
    ----------
    url : str
        Address of the file (http or https).
    name : str
        Its name in the cache.
    check : callable
        Called with the path of the complete download before it is accepted; raises `DataError` if it is not the
        expected file.
    sha256 : str, optional
        The published checksum, if there is one.
    timeout : float
        Seconds without an answer after which the download fails.

    Returns
    -------
    path
        A file in `cache_folder`.

    Raises
    ------
    DownloadError
        If the cache cannot be written to, the server does not answer, the download breaks off, or the result is not the
        expected file. A partial download is kept, so that the next call resumes.
    """
    target = cache_folder() / name
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f"{name}.lock")).acquire()
    except OSError as error:
        message = f"{target.parent}: cannot be written to ({error.strerror}); set PECULIAR_CACHE to another folder"
        raise DownloadError(message) from error
    with lock:
        if target.exists():
            return target
        part = target.with_name(f"{name}.part")
        _download(url, part, timeout)
        try:
            _check_digest(part, sha256)
            check(part)
        except DataError as error:
            part.unlink()
            message = f"{url} was downloaded but is not the expected file: {error}"
            raise DownloadError(message) from error
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
        logger.info("fetched %s (%.1f MB) to %s", url, target.stat().st_size / 1e6, target)
    return target


def _download(url: str, part: Path, timeout: float) -> None:
    """Download `url` to `part`, resuming if the server's validator shows that it is the same file."""
    validator_file = part.with_name(f"{part.name}.json")
    have = part.stat().st_size if part.exists() else 0
    validator = _read_validator(validator_file) if have else None
    request = urllib.request.Request(url)  # noqa: S310 - the address is the program's own, not the user's
    if validator:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", validator)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
            validator_file.write_text(json.dumps(response.headers.get("ETag") or response.headers.get("Last-Modified")))
            expected = response.headers.get("Content-Length")
            received = 0
            with part.open("ab" if resumed else "wb") as file:
                while chunk := response.read(_CHUNK):
                    file.write(chunk)
                    received += len(chunk)
            if expected is not None and received != int(expected):
                message = f"{url}: the connection ended after {received} of {expected} bytes; call again to resume"
                raise DownloadError(message)
    except urllib.error.HTTPError as error:
        # The range starts past the end: the last attempt ended between the last byte and the check.
        if not (validator and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            message = f"{url}: the server answered {error.code} {error.reason}"
            raise DownloadError(message) from error
    except http.client.HTTPException as error:
        message = f"{url}: the connection broke off ({error!r}); call again to resume"
        raise DownloadError(message) from error
    except DownloadError:
        raise
    except OSError as error:
        message = f"{url}: could not be downloaded ({getattr(error, 'reason', None) or error})"
        raise DownloadError(message) from error
    validator_file.unlink()


def _read_validator(path: Path) -> str | None:
    try:
        validator = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return validator if isinstance(validator, str) else None


def _check_digest(path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        message = f"its SHA-256 is {found}, published is {sha256}"
        raise DataError(message)
