"""Addresses in stores, without their credentials: user name and password, or a signed query, are kept apart."""

import re

from peculiar.errors import MissingExtraError, UsageError

WEB = ("http", "https")

_SIGNATURE = re.compile(
    r"(X-(Amz|Goog)-[^=]*|Signature|sig|se|sp|sv|sr|st|sks|skt|ske|skv|skoid|sktid|spr|Expires|Policy|Key-Pair-Id"
    r"|AWSAccessKeyId|GoogleAccessId|[a-z_]*token|download)(=|$)",
    re.IGNORECASE,
)
"""Entries of a query that sign it, or do not say which file is meant."""

_LACKS = {
    "s3": "bucket",
    "s3a": "bucket",
    "gs": "bucket",
    "gcs": "bucket",
    "http": "host",
    "https": "host",
    "hf": "repository",
}

_WHERE = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or ~/.aws; for a public bucket FSSPEC_S3_ANON=true",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS or gcloud auth application-default login",
    "hf": "HF_TOKEN or hf auth login",
    "https": "~/.netrc, or a signed address",
}
"""Sources of credentials, by scheme."""

# The parts of addresses that no message shows, by the addresses without them. They are pickled with a path, so that
# worker processes can read.
_hidden: dict[str, str] = {}


def check_scheme(scheme: str) -> None:
    """Check that the packages for a scheme are installed.

    Raises
    ------
    UsageError
        If fsspec does not know the scheme.
    MissingExtraError
        If fsspec, or its package for the scheme, is not installed.
    """
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError(f"reading {scheme}:// addresses", "remote") from error
    try:
        fsspec.get_filesystem_class(scheme)
    except ValueError as error:
        message = (
            f"addresses of the kind {scheme}:// are unknown; give one that begins with s3://, gs://, https:// or "
            "hf://datasets/, or a path"
        )
        raise UsageError(message) from error
    except ImportError as error:
        raise MissingExtraError(f"reading {scheme}:// addresses", "remote") from error


def remember(scheme: str, rest: str) -> str:
    """Return an address without user name, password and query, which are remembered.

    Raises
    ------
    UsageError
        If it names no bucket, host or repository, or has credentials where the store does not take them.
    """
    host, slash, path = rest.lstrip("/").partition("/")
    user, at, host = host.rpartition("@")
    query = ""
    if scheme in WEB:
        path, sign, query = path.partition("?")
        query = sign + query
        path = path.partition("#")[0]
    elif at:
        message = (
            f"{scheme}://{host}/{path}: credentials in an address would be seen by others; set them in the "
            f"environment ({where_credentials(scheme)})"
        )
        raise UsageError(message)
    if not host:
        message = f"{scheme}:// names no {_LACKS.get(scheme, 'folder')}; give an address such as {_example(scheme)}"
        raise UsageError(message)
    plain = f"{scheme}://{host}{slash}{path}".rstrip("/")
    if scheme in WEB:
        _hide(plain, f"{scheme}://{user}{at}{host}{slash}{path}{query}")
    return plain


def full_address(plain: str) -> str:
    """Return an address with the credentials that are remembered for it."""
    return _hidden.get(plain, plain)


def restore(plain: str, full: str) -> None:
    """Remember the credentials of an address that comes from another process."""
    if full != plain:
        _hidden[plain] = full


def _hide(plain: str, address: str) -> None:
    """Remember an address with its credentials; a path of `pathlib` has lost one of two slashes in a row."""
    known = _hidden.get(plain)
    if known is not None and _shortened(known) == address:
        return
    if known is not None and _file_query(known) != _file_query(address):
        message = f"{plain} is given for two files that differ only in its query; download them, and give their paths"
        raise UsageError(message)
    _hidden[plain] = address


def _shortened(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{re.sub('/+', '/', rest)}"


def _file_query(address: str) -> list[str]:
    """Return the part of a query that is no signature and may say which file is meant."""
    return sorted(one for one in address.partition("?")[2].split("&") if one and not _SIGNATURE.match(one))


def _example(scheme: str) -> str:
    examples = {"s3": "s3://bucket/folder", "gs": "gs://bucket/folder", "hf": "hf://datasets/owner/name"}
    return examples.get(scheme, f"{scheme}://host/file")


def where_credentials(scheme: str) -> str:
    """Return where the credentials for a scheme are set."""
    return _WHERE.get({"s3a": "s3", "gcs": "gs", "http": "https"}.get(scheme, scheme), "see fsspec")
