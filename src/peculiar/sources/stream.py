"""The interface of every source: a stream of (id, picture, label)."""

import hashlib
import itertools
import stat
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.errors import PictureError, UnknownNameError
from peculiar.files.digests import digest_of_state
from peculiar.files.limits import AHEAD_BYTES
from peculiar.files.places import at_once, full, is_remote
from peculiar.images.compose import compose_picture, has_gaps, read_fits_bands
from peculiar.images.decode import decode_remarked, decode_whole
from peculiar.images.fits_file import looks_like_fits
from peculiar.images.framing import Framing, frame_pixels
from peculiar.images.linear import Linear
from peculiar.images.picture_file import read_encoded
from peculiar.images.stretch import Stretch
from peculiar.images.unstretched import Unstretched, read_unstretched
from peculiar.sources.paths import as_text, files_digest
from peculiar.tables.column import Column

Made = TypeVar("Made")

EDGE = 4
"""Flag of a picture that extends beyond its mosaic; pixels outside are black."""

OFF_MOSAIC = 8
"""Flag of a position on no mosaic."""

MISSING = 16
"""Flag of a picture in which pixels have no value (NaN, blank, a band without any) or no data by a weight map."""

GUESSED = 32
"""Flag of a picture whose bit depth is a guess; see `peculiar.images.depth`."""


class Flagged(NamedTuple):
    """Pixels, uint8 (height, width, 3), and the flags that were found when reading them."""

    pixels: NDArray[np.uint8]
    flags: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a source, its picture not yet decoded.

    Parameters
    ----------
    id : str
        Unique within the source.
    content : bytes, path, ndarray of uint8 (height, width, 3), or callable
        An encoded picture, its file, pixels, or a function that returns one of these, also `Flagged`, or raises
        `PictureError`. The function is called in the thread that frames the picture.
    label : str or None
        Its class, if known.
    position : tuple of float or None
        Right ascension and declination, ICRS, in degrees, if known.
    flags : int
        Flags known to the source: `EDGE`, `OFF_MOSAIC` and `MISSING`.
    linear : callable, optional
        Function that returns one band unstretched, or raises `PictureError`; for FITS images whose bands or companions
        the source knows.
    unstretched : callable, optional
        Function that returns the bands of a FITS picture before they are stretched, or raises `PictureError`.
    pixel : float, optional
        Side of a pixel of the picture in arcsec, where the source knows it and the picture does not tell.
    """

    id: str
    content: bytes | Path | NDArray[np.uint8] | Callable[[], bytes | NDArray[np.uint8] | Flagged]
    label: str | None = None
    position: tuple[float, float] | None = None
    flags: int = 0
    linear: Callable[[], Linear] | None = None
    unstretched: Callable[[], Unstretched] | None = None
    pixel: float | None = None

    def read(self) -> bytes | NDArray[np.uint8]:
        """Return the encoded picture, or its pixels; raises `PictureError` if this fails."""
        content = self.read_flagged()
        return content.pixels if isinstance(content, Flagged) else content

    def read_flagged(self) -> bytes | NDArray[np.uint8] | Flagged:
        """Return the result of `read`, with the flags found by reading."""
        if isinstance(self.content, Path):
            return read_encoded(self.content)
        return self.content() if callable(self.content) else self.content

    def pixels(self) -> NDArray[np.uint8]:
        """Return the unframed picture, (height, width, 3); raises `PictureError` if this fails."""
        content = self.read()
        return decode_whole(content) if isinstance(content, bytes) else content


@dataclass(frozen=True, slots=True)
class Galaxy:
    """One galaxy: a row whose picture was read.

    Parameters
    ----------
    id : str
    picture : ndarray of uint8, shape (size, size, 3), or None
        None if the picture cannot be read.
    label : str or None
        Its class, if known.
    problem : str or None
        Why the picture cannot be read.
    position : tuple of float or None
        Right ascension and declination, ICRS, in degrees, if known.
    flags : int
        The flags of its row, and those found by reading the picture.
    """

    id: str
    picture: NDArray[np.uint8] | None
    label: str | None = None
    problem: str | None = None
    position: tuple[float, float] | None = None
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Shard:
    """A piece of a source that can be sent to another process and read there.

    Parameters
    ----------
    name : str
        Unique within the source, and the same whenever the source is opened.
    source : Source
        The source of the piece; cheap to pickle.
    start, stop : int
        The rows, from `start` to before `stop`; `stop` is None if they cannot be counted, as in a damaged file.
    """

    name: str
    source: "Source"
    start: int
    stop: int | None

    def fingerprint(self) -> str:
        """Return a digest that changes when the files behind these rows do."""
        return self.source.fingerprint(self.start, self.stop)

    def content(self) -> str:
        """Return a digest of the content behind these rows; empty if that is too much to read, or no file."""
        files = self.source.behind(self.start, self.stop)
        if any(is_remote(file) for file in files):  # its tag already tells whether the content changed
            return ""
        room = _CONTENT_BYTES * ((self.stop or 0) - self.start)
        try:
            states = [(file, file.stat()) for file in files]
            # A pipe or a device may never end.
            regular = all(stat.S_ISREG(state.st_mode) for _, state in states)
            if not regular or sum(state.st_size for _, state in states) > room:
                return ""
            told = [(file.name, digest_of_state(file, state.st_size, state.st_mtime_ns)) for file, state in states]
        except OSError:
            return ""
        return hashlib.sha256(repr((self.start, self.stop, told)).encode(errors="surrogateescape")).hexdigest()


# Up to so many bytes per row, content is read to detect changes.
_CONTENT_BYTES = 1 << 22


class Source(ABC):
    """A set of galaxy pictures, read in constant memory and always in the same order.

    Parameters
    ----------
    path : path
        Its path.
    label : str or None
        Name of its labels (a column, or the question they answer); None if it has none.

    Attributes
    ----------
    kind : str
        Its kind: "npz", "folder", "table", "hdf5".
    columns : tuple of str
        The columns of a table that may hold labels.
    positioned : bool
        Whether the galaxies' positions on the sky are known.
    notes : dict of str to str
        Notes on the pictures, for the header of a catalogue.
    joined : str
        A sentence on how many galaxies were joined with a table of labels, and how; or empty.

    Examples
    --------
    >>> import peculiar
    >>> source = peculiar.open_source("pictures")
    >>> [galaxy.id for galaxy in source.galaxies(stop=2)]
    ['00.png', '01.png']
    """

    kind: ClassVar[str]
    columns: tuple[str, ...] = ()
    positioned: bool = False
    notes: Mapping[str, str] = {}
    joined: str = ""

    def __init__(self, path: Path, label: str | None) -> None:
        self.path = path
        self.label = label

    @property
    def name(self) -> str:
        """The name of the file or folder as text; for the path ".", the name of the current folder."""
        return as_text(full(self.path).name)

    @property
    def id_type(self) -> pa.DataType:
        """Type of the ids in tables made of this source: that of their column, or text."""
        return pa.string()

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield the rows from `start` to before `stop`, undecoded; all of them by default."""

    def shards(self, rows: int) -> Iterator[Shard]:
        """Yield shards of at most about so many rows, in order; together they are the source."""
        count = len(self)
        for start in range(0, count, rows):
            stop = min(start + rows, count)
            yield Shard(f"{self.name}:{start}-{stop}", self, start, stop)

    def files(self) -> Sequence[Path]:
        """Return the files that are read."""
        return [self.path]

    def behind(self, start: int, stop: int | None) -> Sequence[Path]:
        """Return the files that rows are read from, including those that a table names."""
        return self.files()

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest of the names, sizes and times of the files behind some rows."""
        return files_digest([self.path], self.path.parent, start, stop)

    def described(self, names: Sequence[str]) -> list[Column]:
        """Return the descriptions of columns, to be copied into a catalogue; of what is not a table, the labels.

        Raises
        ------
        UnknownNameError
            If there is no such column.
        """
        there = [self.label] if self.label is not None else []
        for name in names:
            if name not in there:
                raise UnknownNameError("column", name, there, where=f"in {self.path.name}, which is not a table")
        return [Column(name, pa.string(), "label of the picture", ucd="meta.code.class") for name in names]

    def carried(self, columns: Sequence[Column], start: int, stop: int | None) -> Iterator[pa.RecordBatch]:
        """Yield columns of the rows from `start` to before `stop`; null if the source has none of that name."""
        labels = [row.label for row in self.rows(start, stop)]
        entries = [pa.array(labels if one.name == self.label else [None] * len(labels), pa.string()) for one in columns]
        schema = pa.schema([column.field() for column in columns])
        arrays = [one.cast(field.type) for one, field in zip(entries, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def ids(self) -> list[str]:
        """Return the id of every row."""
        return [row.id for row in self.rows()]

    def parts(self) -> dict[str, str]:
        """Return the part of a split of each row by its id, where the source tells it beside the ids."""
        return {}

    def labels(self) -> list[str | None]:
        """Return the label of every row, without decoding a picture."""
        return [row.label for row in self.rows()]

    def column(self, name: str) -> list[str | None]:
        """Return the entries of a column as text, None where empty; all None where there is no such column."""
        return self.labels() if name == self.label else [None] * len(self)

    def galaxies(
        self,
        framing: Framing | None = None,
        *,
        labelled_only: bool = False,
        threads: int = 2,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[Galaxy]:
        """Yield every row with its picture decoded and framed.

        A picture that cannot be read keeps its row and states why.

        Parameters
        ----------
        framing : Framing, optional
            Crop and size of the pictures; default: whole pictures at 128 x 128.
        labelled_only : bool
            Skip rows without a label.
        threads : int
            Number of decoding threads. The decoders release the GIL, so two cores decode twice as fast.
        start, stop : int
            The rows to yield, from `start` to before `stop`; default: all.
        """
        framing = framing or Framing()
        found = (row for row in self.rows(start, stop) if row.label is not None or not labelled_only)
        first = next(found, None)
        if first is None:
            return
        rows, threads = itertools.chain([first], found), max(threads, at_once(first.content))
        if threads <= 1:
            yield from (decode_row(row, framing) for row in rows)
            return
        yield from in_order(lambda row: decode_row(row, framing), rows, threads)


def in_order(work: Callable[[Row], Made], rows: Iterator[Row], threads: int) -> Iterator[Made]:
    """Yield results of threads in the order of the rows; closing it ends the threads."""
    # A task has several pictures, because handing over a single one costs a tenth of decoding it. Few tasks are in
    # progress at a time, because the stream may exceed the memory.
    pending: deque[tuple[int, Future[list[Made]]]] = deque()
    waiting = 0

    def take() -> list[Made]:
        nonlocal waiting
        size, done = pending.popleft()
        waiting -= size
        return done.result()

    with ThreadPoolExecutor(threads) as pool:
        for size, some in _tasks(rows):
            while pending and waiting + size > AHEAD_BYTES:
                yield from take()
            pending.append((size, pool.submit(lambda some: [work(row) for row in some], some)))
            waiting += size
            if len(pending) > 2 * threads:
                yield from take()
        while pending:
            yield from take()


def _tasks(rows: Iterator[Row]) -> Iterator[tuple[int, list[Row]]]:
    """Yield up to 32 rows at a time, fewer if their pictures are large or in a store, and their size in bytes."""
    some: list[Row] = []
    size = 0
    for row in rows:
        some.append(row)
        size += len(row.content) if isinstance(row.content, bytes) else 0
        if len(some) * at_once(row.content) >= 32 or size > AHEAD_BYTES // 4:
            yield size, some
            some, size = [], 0
    if some:
        yield size, some


def decode_row(row: Row, framing: Framing) -> Galaxy:
    """Decode and frame the picture of a row; an unreadable one states why."""
    try:
        content, flags = row.read_flagged(), row.flags
        if isinstance(content, bytes) and looks_like_fits(content):
            content = read_flagged([content])
        if isinstance(content, Flagged):
            pixels, found = content
            content, flags = pixels, flags | found
        if isinstance(content, bytes):
            picture, guess = decode_remarked(content, framing)
            flags |= GUESSED if guess else 0
        else:
            picture = frame_pixels(content, framing)
    except PictureError as error:
        return Galaxy(row.id, None, row.label, as_text(error.reason), row.position, row.flags)
    return Galaxy(row.id, picture, row.label, None, row.position, flags)


def read_flagged(
    files: Sequence[Path | bytes],
    bands: Sequence[str] = (),
    stretch: Stretch | None = None,
    weights: Mapping[Path, Sequence[Path]] | None = None,
) -> Flagged:
    """Read FITS bands as a colour picture, flagged if pixels are missing; see `peculiar.images.fits.read_bands`."""
    found = read_fits_bands(files, bands, weights)
    return Flagged(compose_picture(found, stretch), MISSING if found.uncovered or has_gaps(found.planes) else 0)


def unstretched_of(row: Row) -> Unstretched | None:
    """Return the bands of a row's picture before they are stretched; None if it is no FITS image.

    Raises
    ------
    PictureError
        If it cannot be read.
    """
    if row.unstretched is not None:
        return row.unstretched()
    if not isinstance(row.content, bytes | Path):
        return None
    content = row.read()
    return read_unstretched([content]) if isinstance(content, bytes) and looks_like_fits(content) else None


def refuse(reason: str) -> bytes:
    """Raise `PictureError`: `partial(refuse, reason)` is the content of a row without a picture."""
    raise PictureError(reason)
