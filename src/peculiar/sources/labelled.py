"""A source whose labels lie elsewhere: in a table with an id a row, as the labelling desk writes it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from peculiar.errors import LabelError
from peculiar.sources.stream import Row, Source


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
        if not any(id_ in by_id for id_ in ids):
            message = (
                f"{source.path}: none of its {len(ids):,} galaxies has one of the {len(by_id):,} labels; its ids are "
                f"such as {next(iter(ids), '')!r}, those of the labels such as {next(iter(by_id), '')!r}"
            )
            raise LabelError(message)

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

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when the files behind some rows do."""
        return self._source.fingerprint(start, stop)
