"""Labels of one's own: a column of the data, or a table with an id a row, as the labelling desk writes it."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from peculiar.errors import LabelError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.schema import RESERVED, Question, question_for
from peculiar.sources.stream import Row, Source
from peculiar.table import ID_COLUMNS, TableReader, entry_text, find_column

_LABEL_COLUMNS = ("label", "labels", "class", "answer", "target")


class LabelledSource(Source):
    """Another source, with labels by id.

    Parameters
    ----------
    source : Source
        Its own labels are no longer seen; its columns are.
    label : str
        What the labels are called.
    by_id : mapping of str to str
        Galaxies that are not in it have no label.

    Raises
    ------
    LabelError
        If no galaxy of the source is in `by_id`.
    """

    def __init__(self, source: Source, label: str, by_id: Mapping[str, str]) -> None:
        super().__init__(source.path, label)
        self._source, self._by_id = source, by_id
        self.columns, self.positioned, self.notes = source.columns, source.positioned, source.notes
        ids = source.ids()
        check_labels(source.path, ids, by_id)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._source)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield the rows from `start` to before `stop`, undecoded, with their labels."""
        return (replace(row, label=self._by_id.get(row.id)) for row in self._source.rows(start, stop))

    def ids(self) -> list[str]:
        """Return the id of every row."""
        return self._source.ids()

    def labels(self) -> list[str | None]:
        """Return the label of every row."""
        return [self._by_id.get(id_) for id_ in self.ids()]

    def column(self, name: str) -> list[str | None]:
        """Return the entries of a column as text, those of the labels among them."""
        return self.labels() if name == self.label else self._source.column(name)

    def files(self) -> Sequence[Path]:
        """Return the files that are read, without the table of labels."""
        return self._source.files()

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when the files behind some rows do."""
        return self._source.fingerprint(start, stop)


def read_labels(path: str | os.PathLike[str], label: str | None = None) -> tuple[str, dict[str, str]]:
    """Read labels by id; the column is the one named, the first of the usual names, or the only other one.

    Of several labels of one galaxy the last counts, with a warning if they differ.
    """
    reader = TableReader(path)
    column = find_column(ID_COLUMNS, reader.columns) or "id"
    reader.check_column(column)
    if label is None:
        others = [name for name in reader.columns if name != column]
        usual = [name for name in _LABEL_COLUMNS if name in others]
        if not usual and len(others) != 1:
            raise UnknownNameError("column", "label", others, where=f"in {reader.path.name}; name it by --label")
        label = (usual or others)[0]
    reader.check_column(label)
    pairs = zip(reader.column(column), reader.column(label), strict=True)
    told = ((entry_text(id_), entry_text(one)) for id_, one in pairs)
    by_id: dict[str, str] = {}
    contradicted: dict[str, str] = {}
    for id_, one in told:
        if id_ and one and one.strip():
            if by_id.setdefault(id_, one) != one:
                contradicted[id_] = by_id[id_]
            by_id[id_] = one
    if contradicted:
        id_, earlier = next(iter(contradicted.items()))
        message = (
            f"{path}: galaxies with labels that differ: {len(contradicted):,}; the last counts. The first is {id_!r} "
            f"with {earlier!r} and {by_id[id_]!r}"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=2)
    return label, by_id


def check_labels(path: str | os.PathLike[str], ids: Sequence[str], by_id: Mapping[str, str]) -> None:
    """Raise `LabelError` if no galaxy has one of the labels."""
    if by_id.keys().isdisjoint(ids):
        message = (
            f"{path}: none of its {len(ids):,} galaxies has one of the {len(by_id):,} labels; its ids are such as "
            f"{next(iter(ids), '')!r}, those of the labels such as {next(iter(by_id), '')!r}"
        )
        raise LabelError(message)


def warn_of_strangers(labels: str | os.PathLike[str], by_id: Mapping[str, str], *ids: Sequence[str]) -> None:
    """Warn of labels of galaxies that are not there."""
    strangers = set(by_id).difference(*ids)
    if strangers:
        message = (
            f"{labels}: {len(strangers):,} of {len(by_id):,} labels are of galaxies that are not there; the first is "
            f"{min(strangers)!r}"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=3)


def own_question(
    sources: Sequence[Source], label: str | None = None, labels: str | os.PathLike[str] | None = None
) -> tuple[list[Source], Question]:
    """Return the question that labels of one's own answer, and sources that have these labels.

    Parameters
    ----------
    sources : sequence of Source
    label : str, optional
        The column of labels. It may be left out where there is a table of labels, as in `read_labels`.
    labels : path-like, optional
        A table with a column ``id`` and one of labels, for sources without; as the labelling desk writes it.

    Returns
    -------
    sources : list of Source
    question : Question
        Called as the column.

    Raises
    ------
    UnknownNameError
        If there is no such column.
    LabelError
        If no galaxy of a source is in the table of labels.
    UsageError
        If the column is called as something in a model file that is no question.
    """
    found: list[Source] = list(sources)
    if labels is not None:
        label, by_id = read_labels(labels, label)
        found = [LabelledSource(source, label, by_id) for source in sources]
        warn_of_strangers(labels, by_id, *(source.ids() for source in sources))
    there = list(dict.fromkeys(name for source in found for name in (*source.columns, *filter(None, [source.label]))))
    if label not in there:
        raise UnknownNameError("column", label or "", there, where=f"in {' and '.join(one.path.name for one in found)}")
    if label in RESERVED:
        message = f"a question cannot be called {label!r}, as something else in a model file is; rename the column"
        raise UsageError(message)
    entries = [entry for source in found for entry in source.column(label) if entry is not None]
    return found, replace(question_for(label, entries), name=label, column=label, basis="", silent=())
