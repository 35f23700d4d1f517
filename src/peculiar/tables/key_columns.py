"""Find the columns of a table by their usual names, and which of them hold ids and positions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from peculiar.tables.column import Column

ID_COLUMNS = (
    *("id", "id_str", "object_id", "objid", "dr7objid", "dr8objid", "source_id", "target_id", "galaxy_id", "asset_id"),
    *("spec_obj_id", "photo_obj_id", "best_obj_id", "coadd_object_id", "coadd_objects_id", "ls_id", "unique_id"),
    *("dia_object_id", "ss_object_id", "dia_source_id", "forced_source_id"),
    *("iauname", "dr9_iauname", "cata_id", "catalog_id", "cat_id", "gal_id", "src_id", "obj_no", "plate_ifu"),
    *("mangaid", "subject_id", "main_id", "designation", "objname", "object_name", "galaxy_name", "source_name"),
    *("name", "number", "recno"),
)
"""Names of columns of ids, the most usual first; case and characters such as _ do not matter."""

_ID_WORDS = ("meta.id;meta.main", "id_main")
"""UCDs of such columns."""


def simple_name(name: str) -> str:
    """Return the name of a column for comparison: without case, blanks and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_column(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """Return the first of `names` that is a column, ignoring case and characters such as _."""
    simple = {simple_name(column): column for column in reversed(columns)}
    exact = dict.fromkeys(columns)
    return next(
        (name if name in exact else simple[key] for name in names if (key := simple_name(name)) in simple), None
    )


def find_id(schema: pa.Schema, given: str | None = None) -> str | None:
    """Return the column of ids of a table: the given one, or the first with a usual name or UCD."""
    if given is not None:
        return given
    meanings = {Column.of(field).ucd.lower().replace(" ", ""): field.name for field in reversed(list(schema))}
    return find_column(ID_COLUMNS, schema.names) or next(
        (meanings[word] for word in _ID_WORDS if word in meanings), None
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """The columns of ids and positions of a table; None means to find them by the usual names."""

    id: str | None = None
    ra: str | None = None
    dec: str | None = None

    def given(self) -> list[str]:
        """Return the given names."""
        return [name for name in (self.id, self.ra, self.dec) if name is not None]


FOUND = Keys()
"""All columns are found by the usual names."""
