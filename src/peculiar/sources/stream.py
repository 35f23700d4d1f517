"""The interface of every source: a stream of (id, picture, label)."""

import functools
import hashlib
import os
import stat
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.errors import (
    DataError,
    LabelError,
    PeculiarWarning,
    PictureError,
    UnknownNameError,
    UnreadablePictureWarning,
)
from peculiar.files.limits import AHEAD_BYTES
from peculiar.images.decode import (
    Framing,
    compose_picture,
    decode_remarked,
    decode_whole,
    encode_picture,
    frame_pixels,
    has_gaps,
    read_encoded,
    read_fits_bands,
)
from peculiar.images.fits_file import looks_like_fits
from peculiar.images.stretch import Stretch
from peculiar.notebook import Markup, bar, card, escaped, table, thumbnail
from peculiar.questions.question import QUESTIONS, Question, question_for
from peculiar.questions.spelling import odd_names, one_hot
from peculiar.tables.column import Column
from peculiar.text import counted, shown

Made = TypeVar("Made")

# Number of columns of a table without labels that are checked for labels.
_MOST_COLUMNS = 60

# Examples of a class that a notebook shows.
_SHOWN = 6

EDGE = 4
"""Flag of a picture that extends beyond its mosaic; pixels outside are black."""

OFF_MOSAIC = 8
"""Flag of a position on no mosaic."""

MISSING = 16
"""Flag of a picture in which pixels have no value (NaN, blank, or a band without any)."""

GUESSED = 32
"""Flag of a picture whose bit depth is a guess; see `peculiar.images.depth`."""

_LITTER = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "thumbs.db", "desktop.ini"}


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
    """

    id: str
    content: bytes | Path | NDArray[np.uint8] | Callable[[], bytes | NDArray[np.uint8] | Flagged]
    label: str | None = None
    position: tuple[float, float] | None = None
    flags: int = 0

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
        room = _CONTENT_BYTES * ((self.stop or 0) - self.start)
        try:
            states = [(file, file.stat()) for file in files]
            # A pipe or a device may never end.
            regular = all(stat.S_ISREG(state.st_mode) for _, state in states)
            if not regular or sum(state.st_size for _, state in states) > room:
                return ""
            told = [(file.name, _digest(file, state.st_size, state.st_mtime_ns)) for file, state in states]
        except OSError:
            return ""
        return hashlib.sha256(repr((self.start, self.stop, told)).encode(errors="surrogateescape")).hexdigest()


# Up to so many bytes per row, content is read to detect changes.
_CONTENT_BYTES = 1 << 22


@functools.lru_cache(maxsize=64)
def _digest(file: Path, size: int, time: int) -> str:
    """Return the digest of a file of this size and time; read once for all of its shards."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


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
        return as_text(Path(os.path.abspath(self.path)).name)  # noqa: PTH100 - a link keeps its own name

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
        """Return the descriptions of columns of a table, to be copied into a catalogue.

        Raises
        ------
        UnknownNameError
            If there is no such column.
        """
        for name in names:
            raise UnknownNameError("column", name, [], where=f"in {self.path.name}, which is not a table")
        return []

    def carried(self, columns: Sequence[Column], start: int, stop: int | None) -> Iterator[pa.RecordBatch]:
        """Yield columns of the rows from `start` to before `stop`; null if the source has none of that name."""
        count = max((len(self) if stop is None else min(stop, len(self))) - start, 0)
        schema = pa.schema([column.field() for column in columns])
        yield pa.RecordBatch.from_arrays([pa.nulls(count, field.type) for field in schema], schema=schema)

    def ids(self) -> list[str]:
        """Return the id of every row."""
        return [row.id for row in self.rows()]

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
        rows = (row for row in self.rows(start, stop) if row.label is not None or not labelled_only)
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
    """Yield up to 32 rows at a time, fewer if their pictures are large, and their size in bytes."""
    some: list[Row] = []
    size = 0
    for row in rows:
        some.append(row)
        size += len(row.content) if isinstance(row.content, bytes) else 0
        if len(some) == 32 or size > AHEAD_BYTES // 4:
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


def read_flagged(files: Sequence[Path | bytes], bands: Sequence[str] = (), stretch: Stretch | None = None) -> Flagged:
    """Read FITS bands as a colour picture, flagged if pixels are missing; see `read_fits_picture`."""
    found = read_fits_bands(files, bands)
    return Flagged(compose_picture(found, stretch), MISSING if has_gaps(found.planes) else 0)


def as_text(name: str) -> str:
    r"""Return the name of a file as text that can be stored and shown: bytes that are not UTF-8 become ``\xff``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def refuse(reason: str) -> bytes:
    """Raise `PictureError`: `partial(refuse, reason)` is the content of a row without a picture."""
    raise PictureError(reason)


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, except hidden ones and those of operating systems.

    Every folder is entered once, even if links form circles, and under its own name if it has one here. A link to a
    file beside it is skipped, because the file itself is read.

    Raises
    ------
    DataError
        If the folder itself cannot be read.

    Warns
    -----
    PeculiarWarning
        If a folder below it cannot be read.
    """
    entered: set[tuple[int, int]] = set()
    folders, links = deque([folder]), deque[Path]()
    while folders or links:
        if not folders:
            link = links.popleft()
            if link.is_dir():
                folders.append(link)
            elif not _leads_beside(link):
                yield link
            continue
        here = folders.popleft()
        try:
            state = here.stat()
            if (state.st_dev, state.st_ino) in entered:
                continue
            entered.add((state.st_dev, state.st_ino))
            with os.scandir(here) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            message = f"{here}: this folder cannot be read ({error.strerror})"
            if here == folder:
                raise DataError(message) from error
            warnings.warn(f"{message} and is skipped", PeculiarWarning, stacklevel=2)
            continue
        for entry in found:
            if is_litter(entry.name):
                continue
            if entry.is_symlink():
                links.append(Path(entry.path))
            elif entry.is_dir():
                folders.append(Path(entry.path))
            else:
                yield Path(entry.path)


def is_litter(path: str) -> bool:
    """Return whether a file or folder in a path is hidden, or belongs to an operating system."""
    return any(
        (piece.startswith(".") and piece not in {".", ".."}) or piece in _LITTER for piece in path.lower().split("/")
    )


def _leads_beside(link: Path) -> bool:
    """Return whether a link leads to a file in its own folder; False for a broken link."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        return False
    return target.parent == link.parent.resolve() and not is_litter(target.name)


def files_digest(files: Iterable[Path], root: Path, *more: object) -> str:
    """Return a digest of the names (within `root`), sizes and times of files, and of further values."""
    digest = hashlib.sha256(repr(more).encode())
    for file in files:
        name = as_text(os.path.relpath(file, root))
        try:
            state = file.stat()
        except OSError:  # a broken link, or a removed file: its row reports it
            digest.update(f"{name}\0\n".encode())
        else:
            digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, repr=False)
class Dataset:
    """Labelled galaxies in memory, ready for training.

    Parameters
    ----------
    question : Question
        Its answers are the classes.
    ids : list of str
    pictures : ndarray of uint8, shape (n, size, size, 3)
    labels : ndarray of int, shape (n,)
        Number of the class, in the order of the question's answers.
    problems : dict of str to str
        Labelled galaxies that were left out, and why.

    Examples
    --------
    >>> import numpy as np
    >>> from peculiar import FOUR_CLASS, Dataset
    >>> pictures = np.zeros((2, 128, 128, 3), np.uint8)
    >>> len(Dataset(FOUR_CLASS, ["a", "b"], pictures, np.array([0, 3]), {}))
    2
    """

    question: Question
    ids: list[str]
    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    problems: dict[str, str]

    def __len__(self) -> int:
        """Return the number of galaxies."""
        return len(self.ids)

    def counts(self) -> dict[str, int]:
        """Return the number of galaxies of each class, in the order of the question's answers."""
        numbers = np.bincount(self.labels, minlength=len(self.question.answers)).tolist()
        return dict(zip(self.question.answers, numbers, strict=True))

    def __repr__(self) -> str:
        """Return the galaxies in a few lines: how many, of which classes and size."""
        classes = ", ".join(f"{shown(name)} {count:,}" for name, count in self.counts().items())
        height, width = self.pictures.shape[1:3]
        left = f"\n  {len(self.problems):,} left out, since their pictures cannot be read" if self.problems else ""
        return (
            f"Dataset: {counted(len(self), 'galaxy')}, pictures of {width} x {height} pixels\n"
            f"  {shown(self.question.name)}: {classes}{left}"
        )

    def _repr_html_(self) -> str:
        """Return the galaxies for a notebook: the number of each class with a bar, and some of its pictures."""
        most = max(self.counts().values(), default=0) or 1
        rows = []
        for number, (name, count) in enumerate(self.counts().items()):
            some = np.flatnonzero(self.labels == number)[:_SHOWN]
            pictures = (thumbnail(encode_picture(self.pictures[row], "JPEG"), self.ids[row]) for row in some)
            rows.append([escaped(name), bar(count / most, f"{count:,}"), Markup("".join(pictures))])
        title = repr(self).partition("\n")[0]
        return card(title, [table([self.question.name, "galaxies", "examples"], rows)])

    def take(self, rows: NDArray[np.intp]) -> Iterator[Galaxy]:
        """Yield the galaxies of rows."""
        for row in rows:
            yield Galaxy(self.ids[row], self.pictures[row], self.question.answers[self.labels[row]])


def warn_of_names(path: Path, labels: Sequence[str | None], name: str) -> None:
    """Warn of suspicious class names; see `peculiar.questions.spelling`."""
    meant = QUESTIONS.get(name)
    for sentence in odd_names(labels, name, meant.answers if meant else ()):
        warnings.warn(f"{path}: {sentence}", PeculiarWarning, stacklevel=3)


def how_to_label(source: Source) -> str:
    """Return how labels can be given to a source that has none, as part of a sentence."""
    if hint := one_hot({name: source.column(name) for name in source.columns[:_MOST_COLUMNS]}):
        return hint
    if source.columns:
        return f"name the column that holds them (--label); there are: {', '.join(source.columns)}"
    return "put the pictures into one sub-folder per class, or give a table with a column of labels"


def read_dataset(
    source: Source, framing: Framing | None = None, *, progress: Callable[[int, int], object] = lambda done, total: None
) -> Dataset:
    """Read the labelled galaxies of a source into memory, 49 kB each at 128 x 128.

    Parameters
    ----------
    source : Source
    framing : Framing, optional
        Crop and size of the pictures.
    progress : callable
        Called regularly with the numbers of galaxies read and to read.

    Returns
    -------
    Dataset

    Raises
    ------
    LabelError
        If there are no labels, or fewer than two classes.

    Warns
    -----
    UnreadablePictureWarning
        If pictures cannot be read; they are left out.

    Examples
    --------
    >>> import peculiar
    >>> dataset = peculiar.read_dataset(peculiar.open_source("my_classes"))
    >>> dataset.pictures.shape, dataset.question.answers
    ((24, 128, 128, 3), ('edge_on', 'face_on'))
    """
    framing = framing or Framing()
    known = [label for label in source.labels() if label is not None]
    if not known:
        message = f"{source.path}: no galaxy has a label; {how_to_label(source)}"
        raise LabelError(message)
    warn_of_names(source.path, known, source.label or "label")
    question = question_for(source.label or "label", known)
    if len(set(known)) < 2:
        message = f"{source.path}: all {len(known)} labels are {known[0]!r}; at least two classes are needed"
        raise LabelError(message)
    pictures = np.empty((len(known), framing.size, framing.size, 3), dtype=np.uint8)
    numbers = {answer: number for number, answer in enumerate(question.answers)}
    ids: list[str] = []
    labels: list[int] = []
    problems: dict[str, str] = {}
    for galaxy in source.galaxies(framing, labelled_only=True):
        if galaxy.picture is None or galaxy.label is None:
            problems[galaxy.id] = galaxy.problem or ""
            continue
        pictures[len(ids)] = galaxy.picture
        ids.append(galaxy.id)
        labels.append(numbers[galaxy.label])
        if len(ids) % 100 == 0 or len(ids) == len(known):
            progress(len(ids), len(known))
    if problems:
        first = next(iter(problems))
        message = (
            f"{len(problems)} of {len(known)} pictures cannot be read and are left out; the first is {first}: "
            f"{problems[first]}"
        )
        warnings.warn(message, UnreadablePictureWarning, stacklevel=2)
    if len(set(labels)) < 2:
        message = (
            f"{source.path}: only {len(ids)} of {len(known)} labelled pictures can be read, and they have fewer than "
            "two classes; at least two are needed"
        )
        raise LabelError(message)
    return Dataset(question, ids, pictures[: len(ids)], np.array(labels, dtype=np.int64), problems)
