"""Check that files are complete and unchanged: catalogues, ledgers, model files, databases of answers."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from peculiar.catalogs.ledger import FILE, Entry, read_entries
from peculiar.errors import DataError, NotFoundError, PeculiarError
from peculiar.files.claims import recorded
from peculiar.files.digests import file_digest
from peculiar.files.places import place
from peculiar.models.model_file import load_model
from peculiar.tables.formats import parts_below, table_format
from peculiar.tables.reader import TableReader
from peculiar.text import counted

_SQLITE = b"SQLite format 3\0"


@dataclass(slots=True)
class CheckedFile:
    """Result of checking a file.

    Parameters
    ----------
    path : path
    kind : str
        "table", "part", "ledger", "model", "answers", or "file" for other files that peculiar wrote.
    rows : int or None
        Number of rows of a table.
    checksum : bool
        Whether there was a checksum to compare.
    problems : list of str
        Empty if nothing is wrong.
    """

    path: Path
    kind: str
    rows: int | None = None
    checksum: bool = False
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the result, for JSON."""
        return {
            "path": str(self.path),
            "kind": self.kind,
            "rows": self.rows,
            "checksum": self.checksum,
            "problems": self.problems,
        }


def check_files(
    path: str | os.PathLike[str], *, progress: Callable[[int], object] = lambda done: None
) -> list[CheckedFile]:
    """Check that a file is complete and unchanged, or the files that peculiar wrote into a folder.

    A table is read from beginning to end. In a folder with a ledger, the size, checksum and rows of each part are
    compared with the ledger. A model file is compared with its own digest, and the integrity of a database is checked.
    Files written on this machine are compared with the checksum recorded then.

    Parameters
    ----------
    path : path-like
    progress : callable
        Called with the number of files checked since the last call.

    Raises
    ------
    NotFoundError
        If `path` does not exist.

    Examples
    --------
    >>> import peculiar
    >>> (found,) = peculiar.check_files("galaxies.parquet")
    >>> found.rows, found.problems
    (60, [])
    """
    path = place(path)
    if not path.exists():
        raise NotFoundError(
            f"there is nothing at {path}; give a catalogue, a folder of parts, a model file or a database"
        )
    if not path.is_dir():
        found = [_file(path)]
        progress(1)
        return found
    if (path / FILE).exists():
        return _ledger(path, progress)
    found = []
    for one in sorted(path.iterdir()):
        if one.is_file() and not one.name.startswith(".") and (_kind(one) != "file" or recorded(one)):
            found.append(_file(one))
            progress(1)
    return found or [CheckedFile(path, "folder", problems=["holds nothing that can be checked"])]


def _ledger(folder: Path, progress: Callable[[int], object]) -> list[CheckedFile]:
    """Check a ledger and its parts."""
    ledger = CheckedFile(folder / FILE, "ledger", checksum=True)
    try:
        entries = read_entries(folder)
    except PeculiarError as error:
        ledger.problems.append(str(error))
        return [ledger]
    ledger.rows = sum(entry.rows for entry in entries)
    strangers = {part.name for part in parts_below(folder)} - {entry.part for entry in entries}
    ledger.problems += [f"{name} is in the folder, but not in the ledger" for name in sorted(strangers)]
    found = [ledger]
    for entry in entries:
        found.append(_part(folder, entry))
        progress(1)
    return found


def _part(folder: Path, entry: Entry) -> CheckedFile:
    found = CheckedFile(folder / entry.part, "part", checksum=True)
    if not found.path.exists():
        found.problems.append("is gone")
        return found
    size = found.path.stat().st_size
    if size != entry.size:
        found.problems.append(f"has {size:,} bytes; {entry.size:,} were written")
    elif file_digest(found.path) != entry.sha256:
        found.problems.append("has changed since it was written: its checksum differs")
    _read(found)
    if found.rows is not None and found.rows != entry.rows:
        found.problems.append(f"has {counted(found.rows, 'row')}; {entry.rows:,} were written")
    return found


def _file(path: Path) -> CheckedFile:
    found = CheckedFile(path, _kind(path))
    record = recorded(path)
    if record is not None:
        found.checksum = True
        if record["size"] != path.stat().st_size or record["sha256"] != file_digest(path):
            found.problems.append(f"has changed since `peculiar {record['command']}` wrote it")
    match found.kind:
        case "table":
            _read(found)
        case "model":
            _open_model(found)
        case "answers":
            _ask_database(found)
        case _ if record is None:
            found.problems.append(
                "is of no kind that can be checked, and peculiar recorded no checksum for it on this machine"
            )
    return found


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(len(_SQLITE))
    if head == _SQLITE:
        return "answers"
    if path.suffix.lower() == ".onnx":
        return "model"
    texts = {".csv", ".ecsv", ".vot", ".xml"}
    known = table_format(path)
    return "table" if known and (known != "csv" or path.suffix.lower() in texts) else "file"


def _read(found: CheckedFile) -> None:
    """Read a table from beginning to end, and count its rows."""
    try:
        reader = TableReader(found.path)
        if reader.format == "parquet":
            file = pa.parquet.ParquetFile(found.path, pre_buffer=False, page_checksum_verification=True)
            counts = (batch.num_rows for batch in file.iter_batches())
        else:
            counts = (batch.num_rows for batch in reader.batches(reader.columns))
        found.rows = sum(counts)
    except (DataError, pa.ArrowException, OSError) as error:
        found.problems.append(f"cannot be read to its end ({error})")


def _open_model(found: CheckedFile) -> None:
    try:
        load_model(found.path)
    except PeculiarError as error:
        found.problems.append(str(error).removeprefix(f"{found.path} "))


def _ask_database(found: CheckedFile) -> None:
    address = f"{found.path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            said = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            astray = connection.execute("PRAGMA foreign_key_check").fetchall()
            found.rows = int(connection.execute("SELECT count(*) FROM events").fetchone()[0])
    except sqlite3.Error as error:
        found.problems.append(f"cannot be read as a database of answers ({error})")
        return
    found.problems += [] if said == ["ok"] else said[:5]
    if astray:
        strangers = counted(len(astray), "answer", "belong", "belongs")
        found.problems.append(f"{strangers} to questions that it does not contain")
