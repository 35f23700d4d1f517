"""The interface of the work that turns galaxies into rows of a table: classification, measurement."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self

import pyarrow as pa

from peculiar.catalogs.tally import Tally
from peculiar.sources.stream import Source
from peculiar.tables.column import Column


class Task(Protocol):
    """Work on each galaxy of a source. It is pickled for workers; the result depends on nothing else.

    Attributes
    ----------
    command : str
        The command that asks for it: "predict".
    digest : str
        Digest of the model; empty if there is none.
    shard_rows : tuple of int
        Least and largest default number of rows per shard: a few seconds of work.
    """

    @property
    def command(self) -> str: ...  # noqa: D102 - see above

    @property
    def digest(self) -> str: ...  # noqa: D102

    @property
    def shard_rows(self) -> tuple[int, int]: ...  # noqa: D102

    def settings(self) -> dict[str, Any]:
        """Return the settings that decide the result, by name; JSON values."""

    def columns(self, source: Source) -> list[Column]:
        """Return the columns of the result, without those copied from the source."""

    def notes(self, source: Source) -> dict[str, str]:
        """Return notes on how the result was made."""

    def rows(
        self,
        source: Source,
        tally: Tally,
        *,
        carried: Sequence[Column] = (),
        start: int = 0,
        stop: int | None = None,
        decoders: int | None = None,
        name: str = "",
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some galaxies, in order.

        Parameters
        ----------
        source : Source
        tally : Tally
            Counts the rows that were yielded.
        carried : sequence of Column
            Columns to copy from the source, which come last.
        start, stop : int
            Range of rows; default: all.
        decoders : int, optional
            Number of threads that decode pictures; default: that of the task.
        name : str
            Name of the rows, for messages.
        """

    def with_threads(self, threads: int) -> Self:
        """Return the same work for a worker with so many cores."""
