"""What is wrong with a set of galaxies: its pictures, its labels, its columns, its split."""

import hashlib
import itertools
import os
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.checks.columns import column_faults, described_columns, read_columns, sky_pairs, sky_positions
from peculiar.checks.findings import IMBALANCE, KINDS, Diagnosis, Finding
from peculiar.checks.label_issues import LEAST_OF_A_CLASS, Suspect, rank_labels
from peculiar.errors import DataError, NotFoundError, PeculiarWarning, PictureError, UsageError
from peculiar.images.decode import decode_remarked
from peculiar.images.defects import blemish
from peculiar.images.duplicates import find_twins, portrait
from peculiar.models.model_file import load_model
from peculiar.models.predict import readable_batches
from peculiar.questions.spelling import alike, spelled
from peculiar.sources import Source, open_source
from peculiar.sources.stream import Row, in_order
from peculiar.tables.identifiers import type_of_ids
from peculiar.tables.reader import FOUND, ID_COLUMNS, Keys, TableReader, entry_text, find_column, find_id, is_table


def check(
    data: str | os.PathLike[str],
    *,
    label: str | None = None,
    radius: float = 1.0,
    split: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    id: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    threads: int = 2,
    progress: Callable[[str, int], object] = lambda stage, done: None,
) -> Diagnosis:
    """Look for what is wrong with a set of galaxies. The data are never changed.

    Parameters
    ----------
    data : path-like
        What `open_source` takes, or a table without pictures, of which only the columns are looked at.
    label : str, optional
        Column that holds the labels; by default the first of the usual names.
    radius : float
        Positions closer than this, in arcseconds, are neighbours.
    split : str or path-like, optional
        The column that names the part each galaxy is in, or a table with the columns ``id`` and ``part``, or the folder
        of a training run that has one.
    model : path-like, optional
        Model file whose embeddings judge the labels; by default the one that ships.
    id, ra, dec : str, optional
        The columns of a table that hold ids and positions; by default those of the usual names.
    threads : int
        That decode.
    progress : callable
        Called with the stage and the number of galaxies done since the last call.

    Returns
    -------
    Diagnosis

    Raises
    ------
    NotFoundError, DataError, UnknownNameError
        If the data, the split or the label's column cannot be read.
    UsageError
        If the radius is negative.
    """
    if not 0 <= radius < 3600 * 180:
        message = f"the radius has to be 0 arcseconds or more, received {radius}"
        raise UsageError(message)
    started, path = time.perf_counter(), Path(data)
    keys = Keys(id, ra, dec)
    source, reason = _open(path, label, keys)
    columns = read_columns(path, source.kind if source else "table")
    if source is None:
        rows = _catalogue_rows(path, columns, keys)
    else:
        rows = _examined(source, threads, lambda done: progress("looking at pictures", done))
    result = Diagnosis(path, [row.id for row in rows], [row.label for row in rows])
    result.id_type = _type_of_ids(path, keys) if source is None else source.id_type
    parts = _parts(split, columns, result.ids)
    if reason:
        result.skipped["pictures"] = reason
    found = result.findings
    found += [Finding(row.fault[0], (number,), row.fault[1]) for number, row in enumerate(rows) if row.fault]
    same, exact = _Groups(len(rows)), _Groups(len(rows))
    found += _exact(rows, exact)
    found += _near(rows, exact, lambda done: progress("comparing pictures", done))
    sky = _positions(path, source.kind if source else "table", columns, result, keys)
    found += _neighbours(sky, radius)
    for pair in result.pairs():
        same.join(pair)
    found += _contradictions(found, result.labels)
    twice = list(_duplicate_ids(result.ids))
    found += _leaks(same, twice, parts)
    found += _imbalance(result.labels)
    found += [_spelling(result.labels, one) for one in alike(result.labels)]
    if source is not None:
        _suspects(source, model, same, result, lambda done: progress("judging labels", done))
    found += twice
    found += [Finding(kind, rows_, text) for kind, text, rows_ in column_faults(columns, sky)]
    order = list(KINDS)
    found.sort(key=lambda one: (order.index(one.kind), -(one.score or 0) if one.kind == "near duplicate" else 0))
    result.seconds = time.perf_counter() - started
    return result


@dataclass(frozen=True, slots=True)
class _Examined:
    """A row and what its picture alone tells."""

    id: str
    label: str | None
    fault: tuple[str, str] | None = None
    file: bytes = b""
    pixels: bytes = b""
    portrait: NDArray[np.uint8] | None = None


def _open(path: Path, label: str | None, keys: Keys) -> tuple[Source | None, str]:
    """Open a source; a table without pictures is None, and why."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", ".*ids that occur more than once", PeculiarWarning
            )  # a finding of its own
            return open_source(path, label=label, id=keys.id, ra=keys.ra, dec=keys.dec), ""
    except DataError as error:
        if not is_table(path):
            raise
        table = TableReader(path)
        for name in keys.given():
            table.check_column(name)
        return None, str(error)


def _type_of_ids(path: Path, keys: Keys) -> pa.DataType:
    table = TableReader(path)
    return type_of_ids(table, find_id(table.schema, keys.id))


def open_examined(path: Path, label: str | None, keys: Keys = FOUND) -> Source:
    """Open a source without a warning of ids that occur more than once, which is a finding of its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*ids that occur more than once", PeculiarWarning)
        return open_source(path, label=label, id=keys.id, ra=keys.ra, dec=keys.dec)


def _catalogue_rows(path: Path, columns: Mapping[str, Sequence[Any]], keys: Keys) -> list[_Examined]:
    count = max((len(values) for values in columns.values()), default=0)
    name = keys.id or find_column(ID_COLUMNS, list(columns))
    ids = [None] * count if name is None else columns[name]
    return [_Examined(entry_text(id_) or f"{path.stem}-{row}", None) for row, id_ in enumerate(ids)]


def _examined(source: Source, threads: int, progress: Callable[[int], object]) -> list[_Examined]:
    """Look at every picture of a source, a few at a time."""
    found = []
    for one in in_order(_examine, source.rows(), threads):
        found.append(one)
        progress(1)
    return found


def _examine(row: Row) -> _Examined:
    file, guess = b"", ""
    try:
        content = row.read()
        if isinstance(content, bytes):
            file = hashlib.blake2b(content, digest_size=16).digest()
            content, guess = decode_remarked(content)
    except PictureError as error:
        return _Examined(row.id, row.label, ("unreadable", error.reason), file)
    fault = blemish(content) or (("bit depth", guess) if guess else None)
    shape = repr(content.shape).encode()
    pixels = hashlib.blake2b(shape + np.ascontiguousarray(content).tobytes(), digest_size=16).digest()
    # Pictures in which nothing can be seen resemble each other, and are no duplicates.
    seen = fault is None or fault[0] in {"bit depth", "clipped", "off-centre", "uneven sky"}
    return _Examined(row.id, row.label, fault, file, pixels if seen else b"", portrait(content) if seen else None)


def same_galaxies(
    sources: Sequence[Source],
    ids: Collection[str],
    *,
    threads: int = 2,
    progress: Callable[[int], object] = lambda done: None,
) -> list[tuple[str, str]]:
    """Find pictures of the same galaxy under different ids: copies, also turned, mirrored, rescaled or cut anew.

    Parameters
    ----------
    sources : sequence of Source
    ids : collection of str
        Of the galaxies to compare; of several rows of one id the first counts.
    threads : int
        That read pictures.
    progress : callable
        Called with the number of galaxies compared since the last call.

    Returns
    -------
    list of (str, str)
        Ids of pairs. See `peculiar.images.duplicates.find_twins` for the time it takes.
    """
    wanted = set(ids)

    def firsts() -> Iterator[Row]:
        for row in itertools.chain.from_iterable(source.rows() for source in sources):
            if row.id in wanted:
                wanted.remove(row.id)
                yield row

    rows = list(in_order(_examine, firsts(), threads))
    exact = _Groups(len(rows))
    pairs = [(one.rows[0], other) for one in _exact(rows, exact) for other in one.rows[1:]]
    pairs += [(one.rows[0], one.rows[1]) for one in _near(rows, exact, progress)]
    return [(rows[first].id, rows[second].id) for first, second in pairs]


class _Groups:
    """Rows that belong together, joined pair by pair."""

    def __init__(self, count: int) -> None:
        self._leader = list(range(count))

    def leader(self, row: int) -> int:
        while self._leader[row] != row:
            self._leader[row] = self._leader[self._leader[row]]
            row = self._leader[row]
        return row

    def join(self, rows: Iterable[int]) -> None:
        leaders = sorted({self.leader(row) for row in rows})
        for other in leaders[1:]:
            self._leader[other] = leaders[0]

    def all(self) -> Iterator[tuple[int, ...]]:
        """Yield the rows of each group; one that belongs to no other is a group too."""
        members: dict[int, list[int]] = defaultdict(list)
        for row in range(len(self._leader)):
            members[self.leader(row)].append(row)
        yield from map(tuple, members.values())


def _exact(rows: Sequence[_Examined], exact: _Groups) -> Iterator[Finding]:
    for kind in ("file", "pixels"):
        groups: dict[bytes, list[int]] = defaultdict(list)
        for number, row in enumerate(rows):
            # An empty cell is unreadable, and no duplicate of the next one.
            if row.pixels and getattr(row, kind):
                groups[getattr(row, kind)].append(number)
        for members in groups.values():
            if len({exact.leader(row) for row in members}) > 1:
                exact.join(members)
                yield Finding(f"same {kind}", tuple(members), f"{len(members)} rows")


def _near(rows: Sequence[_Examined], exact: _Groups, progress: Callable[[int], object]) -> Iterator[Finding]:
    firsts = [number for number, row in enumerate(rows) if row.portrait is not None and exact.leader(number) == number]
    if not firsts:
        return
    portraits = np.stack([picture for number in firsts if (picture := rows[number].portrait) is not None])
    for twin in find_twins(portraits, progress=progress):
        how = [f"turned by {twin.turned:.0f}°"] if abs(twin.turned) >= 1 else []
        how += ["mirrored"] if twin.mirrored else []
        text = f"the same galaxy, {', '.join(how) or 'neither turned nor mirrored'}; likeness {twin.likeness:.2f}"
        yield Finding("near duplicate", (firsts[twin.first], firsts[twin.second]), text, twin.likeness)


def _positions(
    path: Path, kind: str, columns: Mapping[str, Sequence[Any]], result: Diagnosis, keys: Keys
) -> tuple[tuple[str, str], NDArray[np.float64]] | None:
    """Return what `sky_positions` does; say in the result why there are none."""
    try:
        described = described_columns(path, kind)
        found = sky_positions(columns, described, keys.ra, keys.dec, where=str(path))
    except DataError as error:
        result.skipped["neighbours"] = str(error)
        return None
    if found is None:
        result.skipped["neighbours"] = "no columns ra and dec with numbers"
    return found


def _neighbours(sky: tuple[tuple[str, str], NDArray[np.float64]] | None, radius: float) -> Iterator[Finding]:
    if sky is not None:
        for first, second, distance in sky_pairs(sky[1][0], sky[1][1], radius):
            yield Finding("neighbours", (first, second), f"{distance:.2f} arcseconds apart", round(distance, 3))


def _contradictions(findings: Sequence[Finding], labels: Sequence[str | None]) -> list[Finding]:
    """Look at the labels of duplicates; neighbours on the sky may be two galaxies."""
    groups = _Groups(len(labels))
    for finding in findings:
        if KINDS[finding.kind].remedy == "keep first":
            groups.join(finding.rows)
    found = []
    for rows in groups.all():
        given = sorted({label for row in rows if (label := labels[row]) is not None})
        if len(given) > 1:
            found.append(Finding("contradiction", rows, f"labelled {' and '.join(given)}"))
    return found


def _parts(
    split: str | os.PathLike[str] | None, columns: Mapping[str, Sequence[Any]], ids: list[str]
) -> list[set[str]] | None:
    """Return the parts that each row is in: none where the split does not tell, several where it names an id twice."""
    if split is None:
        return None
    if str(split) in columns:
        return [{part} if (part := entry_text(entry)) else set() for entry in columns[str(split)]]
    path = Path(split)
    path = path / "split.csv" if path.is_dir() else path
    if not path.is_file():
        there = ", ".join(columns) or "none"
        message = f"{split} is neither a column nor a table with the columns id and part; columns: {there}"
        raise NotFoundError(message)
    table = TableReader(path)
    key = find_id(table.schema) or "id"
    for name in (key, "part"):
        table.check_column(name)
    parts_of: dict[str, set[str]] = defaultdict(set)
    for id_, entry in zip(table.column(key), table.column("part"), strict=True):
        parts_of[entry_text(id_) or ""] |= {part} if (part := entry_text(entry)) else set()
    if not any(id_ in parts_of for id_ in ids):
        message = (
            f"{path}: none of its ids is in the data; its first is {next(iter(parts_of), 'none')!r}, theirs {ids[:1]}"
        )
        raise DataError(message)
    return [parts_of.get(id_, set()) for id_ in ids]


def _leaks(same: _Groups, twice: Sequence[Finding], parts: Sequence[set[str]] | None) -> Iterator[Finding]:
    """Look for galaxies in several parts: what is alike, or near, and what has one id."""
    if parts is None:
        return
    groups = _Groups(len(parts))
    for rows in (*same.all(), *(one.rows for one in twice)):
        groups.join(rows)
    for rows in groups.all():
        named = set().union(*(parts[row] for row in rows))
        if len(named) > 1:
            yield Finding("leak", rows, f"in the parts {' and '.join(sorted(named))}")


def _imbalance(labels: Iterable[str | None]) -> Iterator[Finding]:
    counts = Counter(label for label in labels if label is not None).most_common()
    if len(counts) > 1 and counts[0][1] > IMBALANCE * counts[-1][1]:
        (most, many), (least, few) = counts[0], counts[-1]
        yield Finding("imbalance", (), f"{many:,} are {most}, {few:,} {least}", round(many / few, 1))


def _spelling(labels: Sequence[str | None], spellings: Mapping[str, int]) -> Finding:
    rows = tuple(row for row, label in enumerate(labels) if label in spellings)
    return Finding("label spelling", rows, spelled(spellings))


def _duplicate_ids(ids: Sequence[str]) -> Iterator[Finding]:
    rows: dict[str, list[int]] = defaultdict(list)
    for number, id_ in enumerate(ids):
        rows[id_].append(number)
    for id_, numbers in rows.items():
        if len(numbers) > 1:
            yield Finding("duplicate id", tuple(numbers), f"{len(numbers)} rows have the id {id_}")


def _suspects(
    source: Source,
    model: str | os.PathLike[str] | None,
    same: _Groups,
    result: Diagnosis,
    progress: Callable[[int], object],
) -> None:
    """Rank the labels by how suspect they are, into `result`."""
    broken = {
        row
        for one in result.findings
        if KINDS[one.kind].remedy == "drop"
        for row in one.rows
        if one.kind != "contradiction"
    }
    # Copies of a galaxy count once.
    galaxies = {(label, same.leader(row)) for row, label in enumerate(result.labels) if label and row not in broken}
    counts = Counter(label for label, _ in galaxies)
    classes = {label for label, count in counts.items() if count >= LEAST_OF_A_CLASS}
    if len(classes) < 2:
        result.skipped["suspect label"] = f"fewer than two classes have {LEAST_OF_A_CLASS} different galaxies"
        return
    opened = load_model(model)
    rows: list[int] = []
    embeddings: list[NDArray[np.float32]] = []
    number = 0
    for batch, readable, pictures in readable_batches(source.galaxies(opened.framing), 64):
        wanted = [
            at
            for at, place in enumerate(readable)
            if result.labels[number + place] in classes and number + place not in broken
        ]
        if pictures is not None and wanted:
            embeddings.append(opened.classify(pictures[wanted], views=1, framed=True).embedding)
            rows += [number + readable[at] for at in wanted]
        number += len(batch)
        progress(len(batch))
    labels = [str(result.labels[row]) for row in rows]
    groups = [same.leader(row) for row in rows]
    try:
        ranked = rank_labels(np.concatenate(embeddings), labels, groups)
    except ImportError as error:
        result.skipped["suspect label"] = str(error)
        return
    result.ranking = [Suspect(rows[one.row], one.label, one.better, one.quality, one.doubted) for one in ranked]
    result.findings += [
        Finding("suspect label", (one.row,), f"labelled {one.label}, looks like {one.better}", one.quality)
        for one in result.ranking
        if one.doubted
    ]
