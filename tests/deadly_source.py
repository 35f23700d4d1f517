"""A source that ends the process that reads it; in a module of its own, since worker processes import it."""

import os
from collections.abc import Iterator
from pathlib import Path

from peculiar.sources.stream import Row, Source


class Deadly(Source):
    """A source whose third shard kills the process that reads it."""

    kind = "deadly"

    def __init__(self, path: Path) -> None:
        super().__init__(path, None)

    def __len__(self) -> int:
        return 30

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        if start == 10:
            os._exit(9)
        for number in range(start, 30 if stop is None else stop):
            yield Row(str(number), b"")
