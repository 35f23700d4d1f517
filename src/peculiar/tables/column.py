"""A column of a table: name, type, unit, UCD and description."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

VOTABLE_CONTENT = "IVOA.VOTable-Parquet.content"
VOTABLE_VERSION = "IVOA.VOTable-Parquet.version"
"""Keys of a Parquet file's metadata under which a VOTable without rows says what its columns mean."""


_NO_NOTES = {"ARROW:schema", "pandas", "huggingface", VOTABLE_CONTENT, VOTABLE_VERSION}

WIDTH = "table::len::"
"""How a key of that metadata begins under which astropy keeps the length of a column's longest text."""
_NOTES = (("description", "doc", "comment"), ("unit", "units", "tunit"), ("ucd", "tucd"))
"""What the metadata of an Arrow field are called."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name : str
    type : pyarrow.DataType
    description : str
    unit : str
        As the IVOA writes units; empty where there is none.
    ucd : str
        What the column means, as a UCD1+ word of the IVOA; empty where there is none.
    """

    name: str
    type: pa.DataType
    description: str = ""
    unit: str = ""
    ucd: str = ""

    def field(self) -> pa.Field:
        """Return the column as a field of an Arrow schema; what is known of it is the field's metadata."""
        notes = {"description": self.description, "unit": self.unit, "ucd": self.ucd}
        return pa.field(self.name, self.type, metadata={name: text for name, text in notes.items() if text})

    @classmethod
    def of(cls, field: pa.Field) -> "Column":
        """Return the column that a field of an Arrow schema describes; others write ``units``, or ``TUNIT``."""
        notes = {name.lower(): text for name, text in texts(field.metadata).items()}
        found = (next((notes[name] for name in names if name in notes), "") for names in _NOTES)
        return cls(field.name, field.type, *found)


ID = Column("id", pa.string(), "identifier of the galaxy in its source", ucd="meta.id;meta.main")
RA = Column("ra", pa.float64(), "right ascension, ICRS", "deg", "pos.eq.ra;meta.main")
DEC = Column("dec", pa.float64(), "declination, ICRS", "deg", "pos.eq.dec;meta.main")


def notes_of(schema: pa.Schema) -> dict[str, str]:
    """Return what a table says of the whole, without what programs keep there for themselves."""
    return {
        key: text for key, text in texts(schema.metadata).items() if key not in _NO_NOTES and not key.startswith(WIDTH)
    }


def texts(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    """Return the metadata of an Arrow schema or field as text."""
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in (metadata or {}).items()}
