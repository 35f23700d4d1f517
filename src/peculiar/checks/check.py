"""Check a data set: its pictures, labels, columns and split."""

import os
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.checks.columns import column_faults, described_columns, read_columns, sky_pairs, sky_positions
from peculiar.checks.confounders import confounders
from peculiar.checks.duplicates import Examined, duplicates_among, examine
from peculiar.checks.findings import KINDS, CheckResult, Finding, Problem
from peculiar.checks.label_issues import LEAST_OF_A_CLASS, Suspect, rank_labels
from peculiar.errors import DataError, NotFoundError, PeculiarWarning, UsageError
from peculiar.files.places import place
from peculiar.images.defects import Remedy
from peculiar.models.model_file import load_model
from peculiar.models.predict import readable_batches
from peculiar.questions.spelling import alike, spelled, told_unknown, unknown_names
from peculiar.sources import Source, open_source
from peculiar.sources.columns import LABEL_COLUMNS
from peculiar.sources.joins import join_ids
from peculiar.sources.split import connected
from peculiar.sources.stream import in_order
from peculiar.tables.formats import is_table, parts_below
from peculiar.tables.identifiers import entry_text, type_of_ids
from peculiar.tables.key_columns import ID_COLUMNS, Keys, find_column, find_id
from peculiar.tables.reader import TableReader


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
) -> CheckResult:
    """Find problems in a set of galaxies. The data are never changed.

    Parameters
    ----------
    data : path-like
        As for `open_source`, or a table without pictures, of which only the columns are checked.
    label : str, optional
        Column of labels; default: the first of the usual names.
    radius : float
        Positions closer than this, in arcseconds, are neighbours.
    split : str or path-like, optional
        The column with the part of each galaxy, or a table with the columns ``id`` and ``part``, or the folder of a
        training run with a split.
    model : path-like, optional
        Model file whose embeddings judge the labels; default: the one that ships.
    id, ra, dec : str, optional
        The columns of ids and positions of a table; default: those with the usual names.
    threads : int
        Number of decoding threads.
    progress : callable
        Called with the stage and the number of galaxies done since the last call.

    Returns
    -------
    CheckResult

    Raises
    ------
    NotFoundError, DataError, UnknownNameError
        If the data, the split or the column of labels cannot be read.
    UsageError
        If the radius is negative.

    Examples
    --------
    >>> import peculiar
    >>> found = peculiar.check("my_classes")
    >>> len(found.ids), found.of("unreadable")
    (24, [])
    """
    if not 0 <= radius < 3600 * 180:
        message = f"the radius has to be 0 arcseconds or more, received {radius}"
        raise UsageError(message)
    started, path = time.perf_counter(), place(data)
    keys, asked = Keys(id, ra, dec), label
    source, reason = _open(path, label, keys)
    # A folder may hold a catalogue among its tables, which the source leaves out.
    files = source.files() if source else parts_below(path) if path.is_dir() else [path]
    columns = read_columns(files, source.kind if source else "table")
    if source is None:
        label = label or _label_of(columns)
        rows = _catalogue_rows(path, columns, keys, label)
    else:
        rows = _examined(source, threads, lambda done: progress("looking at pictures", done))
    if not rows:
        warnings.warn(f"{path} holds no rows; there is nothing to check", PeculiarWarning, stacklevel=2)
    result = CheckResult(path, [row.id for row in rows], [row.label for row in rows], label=asked, keys=keys)
    result.id_type = _type_of_ids(path, keys) if source is None else source.id_type
    parts = _parts(split, columns, result.ids, id)
    if reason:
        result.skipped["pictures"] = reason
    found = result.findings
    found += [Finding(row.fault[0], (number,), row.fault[1]) for number, row in enumerate(rows) if row.fault]
    found += duplicates_among(rows, progress=lambda done: progress("comparing pictures", done))
    sky = _positions(path, files, source.kind if source else "table", columns, result, keys)
    found += _neighbours(sky, radius)
    found += _contradictions(found, result.labels)
    twice = list(_duplicate_ids(result.ids))
    found += _leaks([*result.pairs(), *(pair for one in twice for pair in one.pairs)], parts)
    found += _imbalance(result.labels)
    found += confounders(rows, columns, label or (source.label if source else None))
    found += [_spelling(result.labels, one, spelled(one)) for one in alike(result.labels)]
    if unknown := unknown_names(result.labels):
        found.append(_spelling(result.labels, unknown, told_unknown(unknown)))
    if source is not None:
        _suspects(source, model, result, lambda done: progress("judging labels", done))
    found += twice
    found += [Finding(kind, rows_, text) for kind, text, rows_ in column_faults(columns, sky)]
    found.sort(key=lambda one: (KINDS.index(one.kind), -(one.score or 0) if one.kind is Problem.NEAR_DUPLICATE else 0))
    result.seconds = time.perf_counter() - started
    return result


def _open(path: Path, label: str | None, keys: Keys) -> tuple[Source | None, str]:
    """Open a source; return None and the reason for a table without pictures."""
    try:
        return open_examined(path, label, keys), ""
    except DataError as error:
        if not is_table(path):
            raise
        table = TableReader(path)
        for name in (*table.columns, *keys.given(), *filter(None, [label])):
            table.check_column(name)
        return None, str(error)


def _type_of_ids(path: Path, keys: Keys) -> pa.DataType:
    table = TableReader(path)
    return type_of_ids(table, find_id(table.schema, keys.id))


def open_examined(path: Path, label: str | None, keys: Keys) -> Source:
    """Open a source without the warning about repeated ids, which are a finding of their own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*ids that occur more than once", PeculiarWarning)
        return open_source(path, label=label, id=keys.id, ra=keys.ra, dec=keys.dec)


def _label_of(columns: Mapping[str, Sequence[Any]]) -> str | None:
    """Return the column of labels; the class beside probabilities is the answer of a model."""
    return None if any(name.startswith("p_") for name in columns) else find_column(LABEL_COLUMNS, list(columns))


def _catalogue_rows(path: Path, columns: Mapping[str, Sequence[Any]], keys: Keys, label: str | None) -> list[Examined]:
    """Return the rows of a table without pictures."""
    count = max((len(values) for values in columns.values()), default=0)
    name = keys.id or find_column(ID_COLUMNS, list(columns))
    ids, labels = ([None] * count if one is None else columns[one] for one in (name, label))
    return [
        Examined(entry_text(id_) or f"{path.stem}-{row}", entry_text(entry))
        for row, (id_, entry) in enumerate(zip(ids, labels, strict=True))
    ]


def _examined(source: Source, threads: int, progress: Callable[[int], object]) -> list[Examined]:
    """Examine every picture of a source, a few at a time."""
    found = []
    for one in in_order(examine, source.rows(), threads):
        found.append(one)
        progress(1)
    return found


def _positions(
    path: Path,
    files: Sequence[Path],
    kind: str,
    columns: Mapping[str, Sequence[Any]],
    result: CheckResult,
    keys: Keys,
) -> tuple[tuple[str, str], NDArray[np.float64]] | None:
    """Return the result of `sky_positions`; record in the result of the check why there are none."""
    try:
        described = described_columns(files, kind)
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
            yield Finding(Problem.NEIGHBOURS, (first, second), f"{distance:.2f} arcseconds apart", round(distance, 3))


def _contradictions(findings: Sequence[Finding], labels: Sequence[str | None]) -> list[Finding]:
    """Compare the labels of duplicates; neighbours on the sky may be different galaxies."""
    found = []
    for rows in connected(pair for one in findings if one.kind.remedy is Remedy.KEEP_FIRST for pair in one.pairs):
        given = sorted({label for row in rows if (label := labels[row]) is not None})
        if len(given) > 1:
            found.append(Finding(Problem.CONTRADICTION, rows, f"labelled {' and '.join(given)}"))
    return found


def _parts(
    split: str | os.PathLike[str] | None, columns: Mapping[str, Sequence[Any]], ids: list[str], id: str | None
) -> list[set[str]] | None:
    """Return the parts of each row: none if the split does not contain it, several if the split names its id twice."""
    if split is None:
        return None
    if str(split) in columns:
        return [{part} if (part := entry_text(entry)) else set() for entry in columns[str(split)]]
    path = place(split)
    path = path / "split.csv" if path.is_dir() else path
    if not path.is_file():
        there = ", ".join(columns) or "none"
        message = f"{split} is neither a column nor a table with the columns id and part; columns: {there}"
        raise NotFoundError(message)
    table = TableReader(path)
    key = table.id_column(id)
    table.check_column("part")
    parts_of: dict[str, set[str]] = defaultdict(set)
    for id_, entry in zip(table.column(key), table.column("part"), strict=True):
        parts_of[entry_text(id_) or ""] |= {part} if (part := entry_text(entry)) else set()
    partners = join_ids(ids, parts_of, f"{path} and the data").partners
    if not partners:
        message = (
            f"{path}: none of its ids is in the data; its first is {next(iter(parts_of), 'none')!r}, that of the data "
            f"{next(iter(ids), 'none')!r}"
        )
        raise DataError(message)
    return [parts_of[partners[id_]] if id_ in partners else set() for id_ in ids]


def _leaks(same: Iterable[tuple[int, int]], parts: Sequence[set[str]] | None) -> Iterator[Finding]:
    """Find galaxies in several parts, given pairs of rows that are duplicates, neighbours, or have one id."""
    if parts is None:
        return
    groups = connected(same)
    together = {row for rows in groups for row in rows}
    groups += [(row,) for row in range(len(parts)) if row not in together]
    for rows in sorted(groups):
        named = set().union(*(parts[row] for row in rows))
        if len(named) > 1:
            yield Finding(Problem.LEAK, rows, f"in the parts {' and '.join(sorted(named))}")


def _imbalance(labels: Iterable[str | None]) -> Iterator[Finding]:
    counts = Counter(label for label in labels if label is not None).most_common()
    if len(counts) > 1 and counts[0][1] > Problem.IMBALANCE.threshold * counts[-1][1]:
        (most, many), (least, few) = counts[0], counts[-1]
        yield Finding(Problem.IMBALANCE, (), f"{many:,} are {most}, {few:,} {least}", round(many / few, 1))


def _spelling(labels: Sequence[str | None], spellings: Mapping[str, int], text: str) -> Finding:
    rows = tuple(row for row, label in enumerate(labels) if label in spellings)
    return Finding(Problem.LABEL_SPELLING, rows, text)


def _duplicate_ids(ids: Sequence[str]) -> Iterator[Finding]:
    rows: dict[str, list[int]] = defaultdict(list)
    for number, id_ in enumerate(ids):
        rows[id_].append(number)
    for id_, numbers in rows.items():
        if len(numbers) > 1:
            yield Finding(Problem.DUPLICATE_ID, tuple(numbers), f"{len(numbers)} rows have the id {id_}")


def _suspects(
    source: Source,
    model: str | os.PathLike[str] | None,
    result: CheckResult,
    progress: Callable[[int], object],
) -> None:
    """Rank the labels by how suspect they are, and store this in `result`."""
    broken = {
        row
        for one in result.findings
        if one.kind.remedy is Remedy.DROP and one.kind is not Problem.CONTRADICTION
        for row in one.rows
    }
    # Copies of a galaxy count once.
    first = {row: rows[0] for rows in connected(result.pairs()) for row in rows}
    galaxies = {(label, first.get(row, row)) for row, label in enumerate(result.labels) if label and row not in broken}
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
            embedding = opened.classify(pictures[wanted], views=1, framed=True).embedding
            finite = np.isfinite(embedding).all(axis=1)
            embeddings.append(embedding[finite])
            rows += (number + np.array(readable)[wanted][finite]).tolist()
        number += len(batch)
        progress(len(batch))
    labels = [str(result.labels[row]) for row in rows]
    groups = [first.get(row, row) for row in rows]
    try:
        ranked = rank_labels(np.concatenate(embeddings), labels, groups)
    except ImportError as error:
        result.skipped["suspect label"] = str(error)
        return
    result.ranking = [Suspect(rows[one.row], one.label, one.better, one.quality, one.doubted) for one in ranked]
    result.findings += [
        Finding(Problem.SUSPECT_LABEL, (one.row,), f"labelled {one.label}, looks like {one.better}", one.quality)
        for one in result.ranking
        if one.doubted
    ]
