"""An index of many ids, in a tenth of the memory of a list and a dictionary."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import overload

import numpy as np
import pyarrow as pa

_BLOCK = 65_536


class IdIndex(Sequence[str]):
    """Ids by row, and rows by id.

    Parameters
    ----------
    ids : iterable of str

    Attributes
    ----------
    texts : pyarrow.StringArray
    """

    def __init__(self, ids: Iterable[str] | pa.Array) -> None:
        self.texts = ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string())
        hashes = np.empty(len(self.texts), dtype=np.int64)
        for start in range(0, len(self.texts), _BLOCK):
            some = self.texts[start : start + _BLOCK].to_pylist()
            hashes[start : start + len(some)] = [hash(id_) for id_ in some]
        self._order = np.argsort(hashes, kind="stable").astype(np.int32)
        self._hashes = hashes[self._order]

    @cached_property
    def repeated(self) -> list[int]:
        """Rows without an id, or with the id of an earlier row; they cannot be found by id."""
        same = np.flatnonzero(self._hashes[1:] == self._hashes[:-1])
        seen: set[str] = set()
        found = np.flatnonzero(self.texts.is_null().to_numpy(zero_copy_only=False)).tolist()
        for row in np.unique(self._order[np.union1d(same, same + 1)]).tolist():
            if self.texts[row].is_valid:
                if self[row] in seen:
                    found.append(row)
                seen.add(self[row])
        return found

    def __len__(self) -> int:
        """Return the number of galaxies."""
        return len(self.texts)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        """Return the id of a row, or the ids of several."""
        if isinstance(row, slice):
            return [str(id_) for id_ in self.texts[row].to_pylist()]
        return str(self.texts[row].as_py())

    @overload
    def get(self, id_: str) -> int | None: ...
    @overload
    def get(self, id_: str, default: int) -> int: ...
    def get(self, id_: str, default: int | None = None) -> int | None:
        """Return the first row of an id; `default` if there is none."""
        place = int(np.searchsorted(self._hashes, hash(id_)))
        while place < len(self) and self._hashes[place] == hash(id_):
            row = int(self._order[place])
            if self[row] == id_:
                return row
            place += 1
        return default
