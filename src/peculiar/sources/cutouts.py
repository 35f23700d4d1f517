"""Download cut-outs at the positions of a table from a survey's service.

The output folder and the cache are the only state: a complete picture there is not requested again, so the same command
resumes. The table ``cutouts.parquet`` in the folder has one row per position and follows from the files.
"""

import hashlib
import io
import itertools
import os
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

from peculiar.errors import DownloadError, PictureError, UsageError
from peculiar.files.cache import cache_folder
from peculiar.files.places import place
from peculiar.files.writing import replacing, sweep
from peculiar.images.decode import decode_picture
from peculiar.images.framing import Framing
from peculiar.sources.http import Client, Manners, Problem
from peculiar.sources.positions import Position, Positions
from peculiar.sources.surveys import Frame, Survey
from peculiar.tables.column import DEC, ID, RA, Column
from peculiar.tables.identifiers import typed_ids
from peculiar.tables.writers import write_table
from peculiar.text import counted

INDEX = "cutouts.parquet"

COLUMNS = (
    replace(ID, description="identifier of the galaxy in the table of positions"),
    replace(RA, description="right ascension of the middle, ICRS"),
    replace(DEC, description="declination of the middle, ICRS"),
    Column("file", pa.string(), "path of the picture in this folder; null where there is none", ucd="meta.file"),
    Column(
        "status", pa.string(), "whole, outside the survey, failed, or waiting to be fetched", ucd="meta.code.status"
    ),
    Column("reason", pa.string(), "why there is no picture", ucd="meta.note"),
    Column("url", pa.string(), "where the picture was, or is to be, fetched", ucd="meta.ref.url"),
    Column("bytes", pa.int64(), "size of the file", "byte", "phys.size;meta.file"),
    Column("digest", pa.string(), "SHA-256 of the file", ucd="meta.checksum"),
)
"""The columns of the table in the folder."""

WHOLE, OUTSIDE, FAILED, WAITING = "whole", "outside", "failed", "waiting"

OUTSIDE_REASON = "outside the survey"

# Rows in progress. So many, because rows behind one that waits for its fifth try must not wait, too.
_WINDOW = 1000
_FOLDER_ROWS = 10_000
_LIMIT_OF_FAILURES = 20
_MOST_PROBLEMS = 100
_START, _END = b"\xff\xd8\xff", b"\xff\xd9"


@dataclass(slots=True)
class Fetched:
    """The outcome for the positions of a table.

    Parameters
    ----------
    folder : path
    rows : int
    there : int
        Pictures that were already in the folder.
    cached : int
        Pictures taken from the cache.
    fetched : int
        Downloaded pictures.
    outside : int
        Positions outside the survey.
    failed : Counter of str
        Positions without a picture, by kind of problem.
    waiting : int
        Positions that were not requested, because the run was stopped.
    problems : dict of str to str
        Reasons for missing pictures, by id; the first hundred.
    closed : str or None
        Why no further requests were sent.
    seconds : float
    """

    folder: Path
    rows: int = 0
    there: int = 0
    cached: int = 0
    fetched: int = 0
    outside: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    closed: str | None = None
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """True if every position has its picture or is outside the survey."""
        return not self.failed and not self.waiting

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, for JSON."""
        names = ("rows", "there", "cached", "fetched", "outside", "waiting", "problems", "closed")
        figures = {name: getattr(self, name) for name in names}
        return {"out": str(self.folder), **figures, "failed": dict(self.failed), "seconds": round(self.seconds, 3)}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The outcome for one position."""

    position: Position
    url: str
    status: str
    how: str  # there, cached, fetched, or the kind of the problem
    file: str | None = None
    reason: str | None = None
    size: int | None = None
    digest: str | None = None

    def row(self) -> dict[str, Any]:
        """Return the row of the index."""
        position = self.position
        values = (position.id, position.ra, position.dec, self.file, self.status, self.reason, self.url, self.size)
        return dict(zip((column.name for column in COLUMNS), (*values, self.digest), strict=True))


def fetch_cutouts(
    positions: Positions,
    folder: str | os.PathLike[str],
    survey: Survey,
    frame: Frame,
    *,
    manners: Manners | None = None,
    workers: int = 4,
    address: str | None = None,
    overwrite: bool = False,
    stop: threading.Event | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> Fetched:
    """Download a cut-out for every position of a table into a folder, which can then be opened as a source.

    Pictures are in ``pictures``. `INDEX` has one row per position, in the order of the table, with id, position, path,
    status, address, size and digest. Nothing is requested twice: neither complete pictures in the folder, nor pictures
    of an earlier run in the cache. After any interruption, the same call resumes.

    Parameters
    ----------
    positions : Positions
    folder : path-like
        New, empty, or of an earlier call with the same survey and frame.
    survey : Survey
    frame : Frame
        The square to cut out.
    manners : Manners, optional
        Rate and retries of requests; default: the survey's rate.
    workers : int
        Number of simultaneous requests; the rate applies to all of them together.
    address : str, optional
        Address of another service with the same query, such as a mirror; default: ``$PECULIAR_CUTOUTS_URL`` or the
        survey's own.
    overwrite : bool
        Replace the index even if it lists other positions; no picture is removed.
    stop : threading.Event, optional
        Once it is set, no further requests are sent, and the index states what is waiting.
    progress : callable
        Called with the number of positions finished since the last call.

    Returns
    -------
    Fetched

    Raises
    ------
    UsageError
        If the folder holds something else or is written to by another run, or an option is out of range.
    DownloadError
        If the folder or the cache cannot be written to.
    """
    if workers < 1:
        message = f"at least one request has to be under way, received workers={workers}"
        raise UsageError(message)
    address = address or os.environ.get("PECULIAR_CUTOUTS_URL")
    if address and not address.startswith(("http://", "https://")):
        message = f"the address of a service begins with http:// or https://, received {address!r}"
        raise UsageError(message)
    begin = time.monotonic()
    folder = place(folder)
    client = Client(manners or Manners(survey.rate), stop)
    task = _Task(folder, survey, frame, address, client)
    result = Fetched(folder)
    notes = _notes(survey, frame)
    with _locked(folder):
        _check_folder(folder, notes)
        if (folder / INDEX).exists() and not overwrite:
            _check_listed(folder / INDEX, {task.planned(one).url for one in positions})
        if not (folder / INDEX).exists():
            # After a kill, the folder still states its content: the files that exist by then.
            _write_index(folder, map(task.planned, positions), notes, positions.id_type)
        _write_index(folder, _settle(task, positions, workers, result, progress), notes, positions.id_type)
    result.closed = client.closed
    result.seconds = time.monotonic() - begin
    return result


class _Task:
    """The work for each position, in any thread."""

    def __init__(self, folder: Path, survey: Survey, frame: Frame, address: str | None, client: Client) -> None:
        self.folder, self.survey, self.frame, self.client = folder, survey, frame, client
        self._address = address
        self._cache = cache_folder() / "cutouts" / survey.name
        self._lock = threading.Lock()  # equal positions share a file in the cache
        _make_folder(self._cache, "set PECULIAR_CACHE to another folder")

    def planned(self, position: Position) -> _Outcome:
        """Return the path of the picture."""
        url = self._url(position)
        return _Outcome(position, url, WAITING, Problem.NOT_ASKED, _file_name(position, url), "not fetched yet")

    def settle(self, position: Position) -> _Outcome:
        """Find or download the picture at a position."""
        url = self._url(position)
        file = _file_name(position, url)
        path = self.folder / file
        if (content := _whole(path)) is not None:
            return _settled(position, url, file, content, "there")
        kept = self._cache_path(url)
        if (content := _whole(kept)) is not None:
            how = "cached"
        elif _is_empty(kept):
            return _Outcome(position, url, OUTSIDE, OUTSIDE, None, OUTSIDE_REASON)
        else:
            answer = self.client.get(url, self._shows_sky)
            if answer.problem is Problem.NOT_ASKED:
                return _Outcome(position, url, WAITING, answer.problem, file, answer.reason)
            outside = answer.found is False or self._says_outside(answer.content, answer.reason)
            if answer.problem and not outside:
                return _Outcome(position, url, FAILED, answer.problem, None, f"{answer.problem}: {answer.reason}")
            # An empty file marks a position outside the survey, which is not requested again either.
            self._keep(kept, b"" if outside else answer.content)
            if outside:
                return _Outcome(position, url, OUTSIDE, OUTSIDE, None, OUTSIDE_REASON)
            content, how = answer.content, "fetched"
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        return _settled(position, url, file, content, how)

    def _url(self, position: Position) -> str:
        return self.survey.url(position.ra, position.dec, self.frame, self._address)

    def _cache_path(self, url: str) -> Path:
        key = hashlib.sha256(url.encode()).hexdigest()
        return self._cache / key[:2] / f"{key[2:]}.jpg"

    def _keep(self, path: Path, content: bytes) -> None:
        with self._lock, replacing(path) as temporary:
            temporary.write_bytes(content)

    def _says_outside(self, content: bytes, reason: str) -> bool:
        words = self.survey.outside
        return bool(words) and (words in reason or words.encode() in content)

    def _shows_sky(self, content: bytes) -> bool:
        """Return whether a picture shows any sky; raises `PictureError` if it is incomplete."""
        if not content.startswith(_START):
            raise PictureError("it is empty" if not content else f"it is not a JPEG (starts with {content[:20]!r})")
        if not content.endswith(_END):
            reason = "the JPEG lacks its end"
            raise PictureError(reason)
        side = self.frame.pixels
        pixels = decode_picture(content, Framing(side))
        with Image.open(io.BytesIO(content)) as picture:
            if picture.size != (side, side):
                reason = f"it has {picture.width} x {picture.height} pixels, requested were {side} x {side}"
                raise PictureError(reason)
        one_colour = bool(np.ptp(pixels, axis=(0, 1)).max() <= 1)
        black = float((pixels.max(axis=2) == 0).mean())
        return not one_colour and black <= self.survey.black


def _settle(
    task: _Task, positions: Iterable[Position], workers: int, result: Fetched, progress: Callable[[int], object]
) -> Iterator[_Outcome]:
    """Yield the outcome for each position, in order, and count it."""
    in_a_row = 0
    for outcome in _in_order(task, positions, workers):
        result.rows += 1
        match outcome.status:
            case "whole":
                setattr(result, outcome.how, getattr(result, outcome.how) + 1)
            case "outside":
                result.outside += 1
            case "failed":
                result.failed[outcome.how] += 1
            case _:
                result.waiting += 1
        if outcome.status == FAILED:
            in_a_row += 1
            if len(result.problems) < _MOST_PROBLEMS:
                result.problems[outcome.position.id] = str(outcome.reason)
            if in_a_row >= _LIMIT_OF_FAILURES:
                task.client.close(f"{in_a_row} positions in a row failed, the last with: {outcome.reason}")
        elif outcome.how in ("fetched", OUTSIDE):
            in_a_row = 0
        progress(1)
        yield outcome


def _in_order(task: _Task, positions: Iterable[Position], workers: int) -> Iterator[_Outcome]:
    """Process positions in threads, few at a time, because there may be more than fit into memory."""
    pending: deque[Future[_Outcome]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for position in positions:
                pending.append(pool.submit(task.settle, position))
                if len(pending) > _WINDOW:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BaseException:  # a full disk, an interruption: running work ends, nothing else begins
            task.client.close("the run broke off")
            pool.shutdown(cancel_futures=True)
            raise


def _settled(position: Position, url: str, file: str, content: bytes, how: str) -> _Outcome:
    digest = hashlib.sha256(content).hexdigest()
    return _Outcome(position, url, WHOLE, how, file, None, len(content), digest)


def _whole(path: Path) -> bytes | None:
    """Return the content of a file, if it begins and ends like a JPEG."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return content if content.startswith(_START) and content.endswith(_END) else None


def _is_empty(path: Path) -> bool:
    return path.exists() and path.stat().st_size == 0


def _file_name(position: Position, url: str) -> str:
    """Return the path of a picture in the folder.

    An id may be anything: a path, a reserved name, too long. Its harmless characters are kept for people to read. The
    digest makes the name unique for each survey, frame and position.
    """
    readable = re.sub(r"[^A-Za-z0-9+._-]+", "_", position.id)[:60].strip("._-") or "galaxy"
    digest = hashlib.sha256(f"{position.id}\0{url}".encode()).hexdigest()[:12]
    return f"pictures/{position.row // _FOLDER_ROWS:04d}/{readable}-{digest}.jpg"


def _notes(survey: Survey, frame: Frame) -> dict[str, str]:
    return {
        "survey": survey.name,
        "title": survey.title,
        "pixels": str(frame.pixels),
        "pixel scale": f"{frame.scale:.6g} arcsec",
        "credit": survey.credit,
        "software": f"peculiar {metadata.version('peculiar')}",
    }


def _write_index(folder: Path, outcomes: Iterable[_Outcome], notes: dict[str, str], id_type: pa.DataType) -> None:
    columns = [replace(COLUMNS[0], type=id_type), *COLUMNS[1:]]
    schema = pa.schema([(column.name, column.type) for column in COLUMNS])
    stream = iter(outcomes)

    def batches() -> Iterator[pa.RecordBatch]:
        while rows := [outcome.row() for outcome in itertools.islice(stream, 4096)]:
            batch = pa.RecordBatch.from_pylist(rows, schema)
            yield batch.set_column(0, columns[0].field(), typed_ids(batch.column(0), id_type))

    with replacing(folder / INDEX) as temporary:
        write_table(temporary, "parquet", columns, batches(), notes)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other runs."""
    _make_folder(folder, "choose another folder (--out)")
    lock = filelock.FileLock(folder / ".cutouts.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        message = f"{folder}: another run writes to this folder; wait for it, or choose another folder (--out)"
        raise UsageError(message) from error
    try:
        yield
    finally:
        lock.release()


def _make_folder(folder: Path, advice: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        message = f"{folder}: cannot be written to ({error.strerror}); {advice}"
        raise DownloadError(message) from error
    if not writable:
        message = f"{folder}: cannot be written to; {advice}"
        raise DownloadError(message)


def _check_listed(index: Path, wanted: set[str]) -> None:
    """Refuse to replace an index that lists cut-outs at other positions."""
    try:
        listed = pa.parquet.read_table(index, columns=["url"])["url"].to_pylist()
    except (OSError, ValueError):  # damaged: it follows from the files, and is rewritten
        return
    others = [url for url in listed if url not in wanted]
    if others:
        message = (
            f"{index} also lists {counted(len(others), 'other position')}, not in this request; choose another folder "
            "(--out), or replace the list (--overwrite)"
        )
        raise UsageError(message)


def _check_folder(folder: Path, notes: dict[str, str]) -> None:
    """Refuse a folder with other content, and remove temporary files of a killed run."""
    index = folder / INDEX
    if not index.exists():
        others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if others:
            message = f"{folder}: holds something else ({', '.join(others[:3])}); choose a new or empty folder (--out)"
            raise UsageError(message)
    else:
        try:
            metadata_ = pa.parquet.read_schema(index).metadata or {}
            found = {key.decode(): value.decode() for key, value in metadata_.items()}
        except (OSError, ValueError):  # damaged: it follows from the files, and is rewritten
            found = notes if (folder / "pictures").is_dir() else {}
        if "survey" not in found:
            message = f"{index} is not an index of cut-outs; choose a new or empty folder (--out)"
            raise UsageError(message)
        for name in ("survey", "pixels", "pixel scale"):
            if found.get(name, notes[name]) != notes[name]:
                message = (
                    f"{folder}: holds cut-outs with {name} {found[name]}, but this request has {notes[name]}; choose "
                    "another folder (--out)"
                )
                raise UsageError(message)
    for one in (folder, *folder.glob("pictures/*/")):
        sweep(one, alone=True)
