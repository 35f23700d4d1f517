"""Positions of a table: read from every format, and what is none is named by row."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import DataError, NotFoundError, UnknownNameError
from peculiar.sources.positions import Position, Positions


def table(rows: list[tuple[object, object, object]]) -> Path:
    path = Path("positions.csv")
    path.write_text("id,ra,dec\n" + "".join(f"{id_},{ra},{dec}\n" for id_, ra, dec in rows))
    return path


@pytest.mark.parametrize(
    ("ra", "dec", "said"),
    [
        ("", 1, "ra is empty"),
        (1, "", "dec is empty"),
        ("nan", 1, "ra is empty"),  # a CSV file says so of what is missing
        ("inf", 1, "ra is inf"),
        (1, "-inf", "dec is -inf"),
        ("north", 1, "ra 'north' is not a number of degrees"),
        (-181, 1, "ra -181 is not between -180 and 360 degrees"),
        (360.5, 1, "ra 360.5 is not between -180 and 360 degrees"),
        (1, 90.5, "dec 90.5 is not between -90 and 90 degrees; ra and dec look swapped"),
        (200, 91, "dec 91 is not between -90 and 90 degrees"),
    ],
)
def test_a_position_that_is_none_is_named(ra: object, dec: object, said: str) -> None:
    path = table([("good", 1, 1), ("bad one", ra, dec)])
    with pytest.raises(DataError) as caught:
        Positions(path)
    assert str(caught.value).splitlines() == [
        "positions.csv: positions that are not on the sky: 1 of 2, so nothing was downloaded; correct or remove these "
        "rows (counted from 0):",
        f"  row 1 (bad one): {said}",
    ]


def test_negative_right_ascensions_wrap() -> None:
    first, second = Positions(table([("a", -0.5, 1), ("b", 359.5, 1)]))
    assert first.ra == second.ra == 359.5


def test_nan_in_a_parquet_file_is_named() -> None:
    pa.parquet.write_table(pa.table({"ID": [7, 8], "RA": [1.0, float("nan")], "Dec": [1.0, 2.0]}), "positions.parquet")
    with pytest.raises(DataError, match=r"row 1 \(8\): ra is nan"):
        Positions("positions.parquet")


def test_of_many_bad_positions_ten_are_named() -> None:
    path = table([(row, row, 95) for row in range(25)])
    with pytest.raises(DataError, match=r"not on the sky: 25 of 25") as caught:
        Positions(path)
    assert str(caught.value).count("row ") == 10
    assert str(caught.value).endswith("and 15 more")


def test_ids_that_occur_twice_are_named() -> None:
    path = table([("a", 1, 1), ("b", 2, 2), ("a", 3, 3)])
    with pytest.raises(
        DataError, match=r"1 id occurs more than once.*of its own\. Rows, counted from 0: row 0 \(a\), row 2 \(a\)"
    ):
        Positions(path)


def test_a_table_without_positions_or_none_at_all() -> None:
    Path("other.csv").write_text("id,x,y\n1,2,3\n")
    with pytest.raises(UnknownNameError, match=r"there is no column 'ra' in other.csv"):
        Positions("other.csv")
    with pytest.raises(NotFoundError, match=r"there is no file nowhere\.csv; give a table with the columns ra and dec"):
        Positions("nowhere.csv")


def test_rows_without_an_id_get_one() -> None:
    Path("sky.csv").write_text("ra,dec\n1,2\n3,4\n")
    assert list(Positions("sky.csv")) == [Position(0, "sky-0", 1.0, 2.0), Position(1, "sky-1", 3.0, 4.0)]


@pytest.mark.parametrize("format", ["fits", "votable", "ascii.ecsv", "parquet"])
def test_positions_of_any_format(format: str) -> None:
    from astropy.table import Table

    columns = {"id": ["a", "b"], "RA": [1.5, 2.5], "DEC": [-1.0, 1.0]}
    if format == "parquet":
        pa.parquet.write_table(pa.table(columns), "positions")
    else:
        Table(columns).write("positions", format=format)
    assert list(Positions("positions")) == [Position(0, "a", 1.5, -1.0), Position(1, "b", 2.5, 1.0)]
