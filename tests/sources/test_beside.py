"""Columns of another table, joined by id: to a catalogue, and to what is scored."""

from pathlib import Path

import pyarrow as pa
import pytest

from peculiar.catalogs.catalog import Catalog
from peculiar.errors import DataError, NotFoundError, UnknownNameError
from peculiar.sources.beside import columns_beside
from peculiar.tables.column import ID, Column


@pytest.fixture
def catalog() -> Catalog:
    rows = {"id": ["1", "2", "3"], "p_merger": [0.9, 0.2, 0.1], "flags": [0, 4, 0]}
    columns = [ID, Column("p_merger", pa.float64()), Column("flags", pa.int64())]
    return Catalog.of_rows(columns, pa.table(rows))


def test_columns_are_joined_by_id_and_searched(catalog: Catalog, tmp_path: Path) -> None:
    table = tmp_path / "measures.ecsv"
    table.write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: id, datatype: string}\n"
        "# - {name: radius, unit: arcsec, datatype: float64}\n# - {name: flags, datatype: int64}\n"
        "id radius flags\n3.jpg 2.5 7\n1.jpg 1.5 7\n9.jpg 9.5 7\n"
    )
    joined = catalog.join(table)
    assert joined.to_arrow().to_pydict() == {
        **{"id": ["1", "2", "3"], "p_merger": [0.9, 0.2, 0.1], "flags": [0, 4, 0]},
        "radius": [1.5, None, 2.5],
    }
    assert joined.columns["radius"].unit == "arcsec"
    assert joined.query("radius > 2 and p_merger < 0.5").ids == ["3"]
    assert joined.query("flags = 4").ids == ["2"]


def test_a_table_that_cannot_be_joined_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("id,radius\na,1\nb,2\n")
    with pytest.raises(
        DataError, match="none of the galaxies of the catalogue in memory is in it; its ids look like 'a'"
    ):
        catalog.join(table)
    with pytest.raises(UnknownNameError, match="there is no column 'key'"):
        catalog.join(table, "key")
    table.write_text("x,radius\n1,1\n2,2\n")
    with pytest.raises(UnknownNameError, match="by which it could be joined"):
        catalog.join(table)
    assert catalog.join(table, "x").to_arrow()["radius"].to_pylist() == [1, 2, None]
    with pytest.raises(NotFoundError):
        columns_beside(tmp_path / "nothing.csv", lambda: iter([["1"]]), "these", [])
