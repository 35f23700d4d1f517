"""Labels and votes from columns of the data, or from a table with ids."""

import os
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from peculiar.errors import LabelError, PeculiarWarning, UnknownNameError
from peculiar.files.places import place
from peculiar.questions.question import Question, question_for
from peculiar.questions.votes import find_votes
from peculiar.sources import as_source
from peculiar.sources.answers import answers_to
from peculiar.sources.columns import LABEL_COLUMNS as LABELS_OF_DATA
from peculiar.sources.dataset import how_to_label, warn_of_names
from peculiar.sources.joins import Join, join_ids
from peculiar.sources.stream import Row, Source
from peculiar.tables.column import Column
from peculiar.tables.formats import is_table
from peculiar.tables.identifiers import entry_text
from peculiar.tables.reader import TableReader
from peculiar.text import counted

LABEL_COLUMNS = (*LABELS_OF_DATA, "answer", "target")
"""Usual names of columns of labels in a table of ids and labels."""


class LabelledSource(Source):
    """A source with further columns from another table, joined by id, one of which may be labels.

    Parameters
    ----------
    source : Source
        Its own labels are replaced; its columns remain.
    told : mapping of str to mapping of str to str
        By column and id. Galaxies that are not in it have no value. Ids may be written differently; see
        `peculiar.sources.joins`.
    label : str, optional
        The column of labels.
    beside : mapping of str to mapping of str to str, optional
        Other columns of the same table, by column and id, used if the source has no column of that name.

    Attributes
    ----------
    join : Join
        The ids of the source and of the table that match.
    joined : str
        The number of galaxies that were joined, and how, as a sentence.

    Raises
    ------
    LabelError
        If no galaxy of the source is in `told`, or the matches are ambiguous.
    """

    kind = "pictures with labels"

    def __init__(
        self,
        source: Source,
        told: Mapping[str, Mapping[str, str]],
        label: str | None = None,
        beside: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__(source.path, label)
        self._source, self._ids = source, source.ids()
        self._beside = {} if beside is None else beside
        self.columns = tuple(dict.fromkeys([*source.columns, *told, *self._beside]))
        self.positioned, self.notes = source.positioned, source.notes
        self.join = join_labels(source.path, self._ids, dict.fromkeys(id_ for by_id in told.values() for id_ in by_id))
        self.joined = joined_text(source.path, self._ids, self.join)
        self._told = {column: self._by_own_id(by_id) for column, by_id in told.items()}

    @property
    def id_type(self) -> pa.DataType:
        """Type that the ids have in tables made of the other source."""
        return self._source.id_type

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._source)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield the rows from `start` to before `stop`, undecoded, with their labels."""
        labels = self._told.get(self.label or "", {})
        return (replace(row, label=labels.get(row.id)) for row in self._source.rows(start, stop))

    def ids(self) -> list[str]:
        """Return the id of every row."""
        return self._ids

    def parts(self) -> dict[str, str]:
        """Return the part of a split of each row by its id, where the source tells it beside the ids."""
        return self._source.parts()

    def labels(self) -> list[str | None]:
        """Return the label of every row."""
        return [None] * len(self) if self.label is None else self.column(self.label)

    def column(self, name: str) -> list[str | None]:
        """Return the values of a column as text; the other table takes precedence over the source."""
        if name in self._told:
            return [self._told[name].get(id_) for id_ in self._ids]
        if name in self._beside and name not in self._source.columns:
            entries = self._by_own_id(self._beside[name])
            return [entries.get(id_) for id_ in self._ids]
        return self._source.column(name)

    def _by_own_id(self, entries: Mapping[str, str]) -> dict[str, str]:
        """Return values by the ids of the source rather than those of the table."""
        return {mine: entries[its] for mine, its in self.join.partners.items() if its in entries}

    def files(self) -> Sequence[Path]:
        """Return the files that are read, without the table of labels."""
        return self._source.files()

    def behind(self, start: int, stop: int | None) -> Sequence[Path]:
        """Return the files that some rows are read from."""
        return self._source.behind(start, stop)

    def described(self, names: Sequence[str]) -> list[Column]:
        """Return the descriptions of columns of the source."""
        return self._source.described(names)

    def carried(self, columns: Sequence[Column], start: int, stop: int | None) -> Iterator[pa.RecordBatch]:
        """Yield some columns of the source."""
        return self._source.carried(columns, start, stop)

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when the files behind some rows do."""
        return self._source.fingerprint(start, stop)


def open_labelled(
    data: Any,
    *,
    label: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    id: str | None = None,
) -> Source:
    """Open a source whose labels may lie in a table of their own.

    Parameters
    ----------
    data : path-like, Source, or pictures
        As `peculiar.sources.as_source` takes them.
    label : str, optional
        Column of labels.
    labels : path-like, optional
        Table with ids and labels, or labelled pictures; the labels are joined by `own_question`, not here.
    id : str, optional
        Column of ids of the source; with `labels` it may be one of that table alone.

    Raises
    ------
    UnknownNameError
        If there is no such column.
    """
    if labels is None:
        return as_source(data, label=label, id=id)
    there = isinstance(data, str | os.PathLike) and is_table(place(data)) and id in TableReader(data).columns
    if id is not None and not there:
        label_table(labels, id=id).check_column(id)
    return as_source(data, id=id if there else None)


def label_table(path: str | os.PathLike[str], label: str | None = None, id: str | None = None) -> TableReader:
    """Open a table with ids and labels; of labelled pictures, such as a folder of classes, their ids and columns.

    Parameters
    ----------
    path : path-like
    label, id : str, optional
        Columns of labels and ids.

    Raises
    ------
    LabelError
        If they are pictures without labels.
    """
    path = place(path)
    if not path.exists() or is_table(path):
        return TableReader(path)
    source = as_source(path, label=label, id=id)
    if source.label is None:
        raise LabelError(f"{path}: these pictures have no labels; {how_to_label(source)}")
    key = id or "id"
    names = [name for name in dict.fromkeys([source.label, *source.columns]) if name != key]
    return TableReader.of(pa.table({key: source.ids(), **{name: source.column(name) for name in names}}), str(path))


def read_labels(
    path: str | os.PathLike[str], label: str | None = None, id: str | None = None
) -> tuple[str, dict[str, str]]:
    """Read labels by id; the column is the one named, the first of the usual names, or the only other one.

    If a galaxy has several labels, the last counts, with a warning if they differ.
    """
    reader = label_table(path, label, id)
    column = reader.id_column(id)
    if label is None:
        others = [name for name in reader.columns if name != column]
        usual = [name for name in LABEL_COLUMNS if name in others]
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
            f"{path}: galaxies with different labels: {len(contradicted):,}; the last one counts. The first is {id_!r} "
            f"with {earlier!r} and {by_id[id_]!r}"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=2)
    return label, by_id


class ColumnsById(Mapping[str, Mapping[str, str]]):
    """The columns of a table by id, read on demand; the last of several rows of an id counts."""

    def __init__(self, path: str | os.PathLike[str], id: str | None = None) -> None:
        self.reader = label_table(path, id=id)
        self._key = self.reader.id_column(id)

    def ids(self) -> list[str]:
        """Return the id of every row, empty where there is none."""
        return [entry_text(one) or "" for one in self.reader.column(self._key)]

    def __getitem__(self, name: str) -> Mapping[str, str]:
        """Return the values of a column by id, without empty ones."""
        if name not in self.reader.columns:
            raise KeyError(name)
        told = zip(self.ids(), map(entry_text, self.reader.column(name)), strict=True)
        return {id_: entry for id_, entry in told if id_ and entry is not None}

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the columns, except that of the ids."""
        return (name for name in self.reader.columns if name != self._key)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self.reader.columns) - 1


def join_labels(path: str | os.PathLike[str], ids: Sequence[str], labelled: Collection[str]) -> Join:
    """Match galaxies with labels by their ids.

    Raises
    ------
    LabelError
        If there are no labels, none of the galaxies has one, or the matches are ambiguous.
    """
    if not labelled:
        message = f"{path}: the table of its labels has no row with an id and a label; give one that has"
        raise LabelError(message)
    found = join_ids(ids, labelled, f"{path} and the table of its labels")
    if not found.partners:
        message = (
            f"{path}: none of its {len(ids):,} galaxies has one of the {len(labelled):,} labels; its ids look like "
            f"{next(iter(ids), '')!r}, those of the labels like {next(iter(labelled), '')!r}. Name another column of "
            "ids with --id"
        )
        raise LabelError(message)
    return found


def joined_text(path: str | os.PathLike[str], ids: Sequence[str], join: Join) -> str:
    """Return the number of galaxies that were joined with a table, and how, as a sentence."""
    there = sum(id_ in join.partners for id_ in ids)
    return f"{path}: {there:,} of {counted(len(ids), 'galaxy')} joined by id; ids were compared {join.way}."


def warn_of_strangers(labels: str | os.PathLike[str], labelled: Collection[str], *joins: Join) -> None:
    """Warn of labels whose galaxies are not in the data."""
    strangers = set(labelled).difference(*(join.partners.values() for join in joins))
    if strangers:
        message = (
            f"{labels}: labels of galaxies that are not in the data: {len(strangers):,} of {len(labelled):,}; "
            f"the first is {min(strangers)!r}"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=3)


def find_question(
    sources: Sequence[Source],
    taken: Collection[str] = (),
    *,
    label: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    id: str | None = None,
    question: str | None = None,
) -> tuple[list[Source], Question]:
    """Return the question that the labels answer, and sources with these labels.

    Its name is `question`, or the name of the column of labels. If neither is given and the name of the column is
    taken, it is the name of the first source.

    Parameters
    ----------
    sources : sequence of Source
    taken : collection of str
        Names of the questions that the model to be taught keeps.
    label, labels, id
        See `own_question`.
    question : str, optional
        Name of the question.

    Raises
    ------
    LabelError
        If there are no labels.
    UnknownNameError
        If the column does not exist.
    """
    column = found_label(sources) if label is None and labels is None else label
    found, asked = own_question(sources, column, labels, id)
    name = asked.name if label is not None or asked.name not in taken else Path(found[0].name).stem
    return found, replace(asked, name=question or name)


def found_label(sources: Sequence[Source]) -> str:
    """Return the name of the labels that sources come with.

    Raises
    ------
    LabelError
        If they have no labels.
    """
    label = next((source.label for source in sources if source.label is not None), None)
    if label is None:
        message = (
            f"{' and '.join(str(source.path) for source in sources)}: no labels to learn from; "
            f"{how_to_label(sources[0])}. A table of ids and labels is given by --labels"
        )
        raise LabelError(message)
    return label


def own_question(
    sources: Sequence[Source],
    label: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    id: str | None = None,
) -> tuple[list[Source], Question]:
    """Return the question of user-supplied labels, and sources with these labels.

    Parameters
    ----------
    sources : sequence of Source
    label : str, optional
        The column of labels. Optional with a table of labels, as in `read_labels`.
    labels : path-like, optional
        A table with a column ``id`` and one of labels, for sources without labels; as `peculiar labels export` writes
        it.
    id : str, optional
        The column of ids of that table; by default the first of the usual names.

    Returns
    -------
    sources : list of Source
    question : Question
        With the name of the column.

    Raises
    ------
    UnknownNameError
        If there is no such column.
    LabelError
        If no galaxy of a source is in the table of labels.
    """
    found: list[Source] = list(sources)
    if labels is not None:
        label, by_id = read_labels(labels, label, id)
        beside = ColumnsById(labels, id)
        joined = [LabelledSource(source, {label: by_id}, label, beside) for source in sources]
        warn_of_strangers(labels, by_id, *(one.join for one in joined))
        found = list(joined)
    there = list(dict.fromkeys(name for source in found for name in (*source.columns, *filter(None, [source.label]))))
    if label not in there:
        raise UnknownNameError("column", label or "", there, where=f"in {' and '.join(one.path.name for one in found)}")
    entries = [entry for source in found for entry in source.column(label) if entry is not None]
    warn_of_names(found[0].path if labels is None else place(labels), entries, label)
    return found, question_of(label, entries)


def question_of(label: str, entries: Collection[str]) -> Question:
    """Return the question that a column of labels answers, with the answers that occur and no others.

    A known question keeps the order and the meanings of its answers.
    """
    known, there = question_for(label, entries), set(entries)
    kept = [number for number, answer in enumerate(known.answers) if answer in there]
    meanings = tuple(known.meanings[number] for number in kept) if known.meanings else ()
    return Question(label, tuple(known.answers[number] for number in kept), meanings)


def told_questions(
    sources: Sequence[Source],
    questions: Sequence[Question],
    table: str | os.PathLike[str] | None = None,
    id: str | None = None,
) -> tuple[list[Source], list[Question]]:
    """Return the questions that have votes or labels, and sources with these.

    Parameters
    ----------
    sources : sequence of Source
    questions : sequence of Question
        Columns of votes are found by `peculiar.questions.votes.find_votes`; a column of labels has the name of the
        question.
    table : path-like, optional
        A table with the columns, and a column of ids, for sources without them.
    id : str, optional
        The column of ids of that table; by default the first of the usual names.

    Returns
    -------
    sources : list of Source
    questions : list of Question
        With the names of their columns.

    Raises
    ------
    LabelError
        If no question has columns, or no galaxy of a source is in the table.
    """
    beside = None if table is None else ColumnsById(table, id)
    columns = [name for source in sources for name in source.columns] if beside is None else list(beside)
    voted = {question.name: question for question in find_votes(questions, columns)}
    told = [voted.get(one.name, one) for one in questions if one.name in voted or one.column in columns]
    if not told:
        where = table or " and ".join(str(source.path) for source in sources)
        first = questions[0]
        message = (
            f"{where}: has no columns of votes on {', '.join(one.name for one in questions)}, such as "
            f"{first.name}_{first.answers[0]}, and no columns of labels with these names; there are: "
            f"{', '.join(columns) or 'none'}. Name other columns with votes = [...] in the TOML file of the question"
        )
        raise LabelError(message)
    if beside is None:
        return list(sources), told
    ids = [id_ for id_ in beside.ids() if id_]
    if len(set(ids)) < len(ids):
        message = f"{table}: some galaxies have several rows; the last of each counts"
        warnings.warn(message, PeculiarWarning, stacklevel=2)
    wanted = dict.fromkeys(name for one in told for name in one.columns)
    for name in wanted:
        beside.reader.check_column(name)
    by_column = {name: beside[name] for name in wanted}
    joined = [LabelledSource(source, by_column, beside=beside) for source in sources]
    warn_of_strangers(beside.reader.path, dict.fromkeys(ids), *(one.join for one in joined))
    return list(joined), told


def with_most(
    source: Source, question: Question, table: str | os.PathLike[str] | None = None, id: str | None = None
) -> tuple[Source, Question]:
    """Return a source whose labels are the majority answers to a question, and the question with its columns.

    The votes are in the source, or in a table by id.

    Raises
    ------
    LabelError
        If there are no columns of votes, or a value is not a number of votes.
    """
    (voted,), (told,) = told_questions([source], [question], table, id)
    answers = {id_: one for id_, one in zip(voted.ids(), answers_to(voted, told), strict=True) if one is not None}
    found = LabelledSource(voted, {question.name: answers}, question.name)
    found.joined = voted.joined
    return found, told
