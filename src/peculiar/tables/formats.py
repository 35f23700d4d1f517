"""Recognise the format of a table by its content."""

import os
import re
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from peculiar.errors import DataError, NotFoundError
from peculiar.files.places import arrow_file, place
from peculiar.tables import hats
from peculiar.tables.byte_streams import open_unpacked
from peculiar.tables.delimited import decoded

MODEL_NOTE = "model digest"
"""Note of a catalogue with the digest of its model."""

_HEAD_BYTES = 1 << 12

_FORMATS = "a Parquet, CSV, ECSV, FITS, VOTable or JSON lines file"


def table_format(path: str | os.PathLike[str]) -> str | None:
    """Recognise a table by the beginning of its file, decompressed if necessary.

    Returns
    -------
    {"parquet", "fits", "votable", "ecsv", "ipac", "mrt", "jsonl", "csv"} or None
        None for a file that is not text either. Text in another encoding than UTF-8 is "csv", too.
    """
    path = place(path)
    if not path.is_file():
        return None
    try:
        with open_unpacked(path) as file:
            head = file.read(_HEAD_BYTES)
    except DataError:  # damaged
        return None
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"SIMPLE  ="):
        return "fits"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return "votable" if b"VOTABLE" in head else None
    if text.startswith(b"# %ECSV"):
        return "ecsv"
    if re.match(rb"(\\[^\n]*\n|\|[^\n]*\|[ \r]*\n){2}", text):
        return "ipac"
    if b"Byte-by-byte Description" in head:
        return "mrt"
    if re.match(rb'\{\s*("|\}\s*$)', text):
        return "jsonl"
    return "csv" if decoded(head) else None


def check_file(path: Path) -> None:
    """Raise `NotFoundError` if nothing is at a path, and `DataError` if it is a pipe, a device or a socket.

    Opening a pipe may take forever, and a device may return any number of bytes.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"there is no table at {path}; give the path of {_FORMATS}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
        kind = next((name for test, name in kinds.items() if test(mode)), "no file")
        message = f"{path}: is {kind}, which cannot be read more than once; save its output to a file first"
        raise DataError(message)


def is_catalog(path: Path) -> bool:
    """Return True if a Parquet file is a catalogue of a model; False for a damaged file."""
    try:
        return MODEL_NOTE.encode() in (pyarrow.parquet.read_schema(arrow_file(path)).metadata or {})
    except (pa.ArrowException, OSError):
        return False


def parts_below(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder, in the order of their names; of a HATS catalogue, in that of the sky."""
    if hats.is_hats(folder):
        return hats.parts_of(folder)
    return sorted(one for one in folder.glob("*.parquet") if one.is_file() and not one.name.startswith("."))


def is_table(path: Path) -> bool:
    """Return True if a path is a table that `TableReader` accepts, judged by its beginning."""
    return bool(parts_below(path)) if path.is_dir() else path.is_file() and table_format(path) is not None


def why_no_table(path: Path) -> str:
    """Return the reason why a file is no table, and what to do."""
    try:
        with open_unpacked(path) as file:
            head = file.read(1024).lstrip().lower()
    except DataError as error:  # compressed and damaged
        return str(error)
    if not head:
        return "this file is empty; download or write it again"
    if head.startswith(b"<"):
        return (
            "is a web page or XML, not a table, perhaps the error message of a server; look at it in a browser, and "
            "download the table again"
        )
    return "not a known kind of table (Parquet, FITS, VOTable, JSON lines, or CSV or ECSV in UTF-8)"
