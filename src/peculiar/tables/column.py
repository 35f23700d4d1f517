"""A column of a table: name, type, unit, UCD and description."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

VOTABLE_CONTENT = "IVOA.VOTable-Parquet.content"
VOTABLE_VERSION = "IVOA.VOTable-Parquet.version"
"""Keys of Parquet metadata for a VOTable without rows, which describes the columns."""


_NO_NOTES = {"ARROW:schema", "pandas", "huggingface", VOTABLE_CONTENT, VOTABLE_VERSION}

WIDTH = "table::len::"
"""Prefix of the metadata key under which astropy stores the length of a column's longest text."""
_NOTES = (("description", "doc", "comment"), ("unit", "units", "tunit"), ("ucd", "tucd"))
"""Keys of the metadata of an Arrow field."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name : str
    type : pyarrow.DataType
    description : str
    unit : str
        As the IVOA writes units; empty if there is none.
    ucd : str
        Meaning of the column as a UCD1+ of the IVOA; empty if there is none.
    """

    name: str
    type: pa.DataType
    description: str = ""
    unit: str = ""
    ucd: str = ""

    def field(self) -> pa.Field:
        """Return the column as a field of an Arrow schema, with its meaning in the metadata."""
        notes = {"description": self.description, "unit": self.unit, "ucd": self.ucd}
        return pa.field(self.name, self.type, metadata={name: text for name, text in notes.items() if text})

    @classmethod
    def of(cls, field: pa.Field) -> "Column":
        """Return the column of a field of an Arrow schema; other programs write ``units`` or ``TUNIT``."""
        notes = {name.lower(): text for name, text in texts(field.metadata).items()}
        found = (next((notes[name] for name in names if name in notes), "") for names in _NOTES)
        return cls(field.name, field.type, *found)


ID = Column("id", pa.string(), "identifier of the galaxy in its source", ucd="meta.id;meta.main")
RA = Column("ra", pa.float64(), "right ascension, ICRS", "deg", "pos.eq.ra;meta.main")
DEC = Column("dec", pa.float64(), "declination, ICRS", "deg", "pos.eq.dec;meta.main")


def notes_of(schema: pa.Schema) -> dict[str, str]:
    """Return the notes of a table, without the entries that programs keep for themselves."""
    return {
        key: text for key, text in texts(schema.metadata).items() if key not in _NO_NOTES and not key.startswith(WIDTH)
    }


def texts(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    """Return the metadata of an Arrow schema or field as text."""
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in (metadata or {}).items()}
