"""Errors of the libraries of stores, in peculiar's words and without credentials."""

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass

from peculiar.files.addresses import where_credentials

# Classes of errors after which the same request may succeed, by their names in the libraries of the stores.
_BROKEN = re.compile(
    r"Timeout|ConnectionError|ConnectionClosed|EndpointConnection|IncompleteRead|PayloadError|Disconnected|ServerOS"
    r"|ClientConnector|ClientOSError|ResponseStreaming|HTTPClientError|ConnectError|ReadError|RemoteProtocol|CutShort"
    r"|ConnectionReset|BrokenPipe|ContentLength"
)

_BUSY = (errno.EBUSY, getattr(errno, "EREMOTEIO", errno.EBUSY))


class CutShortError(OSError):
    """An answer that ended early."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure of a store: the error in peculiar's words, and whether it may pass."""

    error: OSError
    passing: bool


def failure_of(error: BaseException, name: str) -> Failure:
    """Return an error of a library about an address as an `OSError` that shows no credentials."""
    scheme, _, rest = name.partition("://")
    where = where_credentials(scheme)
    chain = list(_causes(error))
    status = next((code for one in chain if (code := _status(one))), 0)
    text = " ".join(str(one) for one in chain)
    kinds = " ".join(type(one).__name__ for one in chain)
    if re.search(r"NoCredentials|CredentialRetrieval|DefaultCredentialsError|PartialCredentials", kinds):
        return Failure(PermissionError(errno.EACCES, f"no credentials were found; set {where}", name), False)
    if status in (401, 403) or isinstance(error, PermissionError) or "GatedRepo" in kinds:
        reason = f"access is denied; check the credentials in the environment ({where})"
        return Failure(PermissionError(errno.EACCES, reason, name), False)
    if "bucket does not exist" in text or "NoSuchBucket" in text:
        bucket = f"there is no bucket {rest.partition('/')[0]!r}; check its name and the endpoint (AWS_ENDPOINT_URL)"
        return Failure(OSError(errno.ENXIO, bucket, name), False)
    if status == 429 or status >= 500 or "SlowDown" in text or (isinstance(error, OSError) and error.errno in _BUSY):
        busy = f"the store is busy or failing (status {status or 503}), also when asked again; try later"
        return Failure(OSError(errno.EIO, busy, name), True)
    if status in (404, 410) or (isinstance(error, FileNotFoundError) and not _BROKEN.search(kinds)):
        return Failure(FileNotFoundError(errno.ENOENT, "there is no such object", name), False)
    if isinstance(error, CutShortError):
        return Failure(OSError(errno.EIO, f"{error.strerror}, also when asked again", name), True)
    if "Timeout" in kinds:
        late = "the store gave no answer in time, also when asked again; try later"
        return Failure(TimeoutError(errno.ETIMEDOUT, late, name), True)
    if _BROKEN.search(kinds):
        reason = "the connection to the store failed, also when tried again; check the address, endpoint and network"
        return Failure(OSError(errno.EIO, reason, name), True)
    said = f" ({status})" if status else ""
    return Failure(OSError(errno.EIO, f"the store answered with an error: {type(error).__name__}{said}", name), False)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int:
    """Return the status of HTTP that an error tells; 0 if none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    for holder in (error, response):
        for field in ("status", "status_code", "code"):
            value = getattr(holder, field, None)
            if isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600:
                return value
    return 0
