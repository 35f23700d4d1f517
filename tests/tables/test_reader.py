"""Tables of every format: recognised by content, read in batches, and damage told with the file's name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.time import Time

from peculiar.errors import DataError, NotFoundError, UnknownNameError, UsageError
from peculiar.tables.formats import table_format
from peculiar.tables.reader import BATCH_ROWS, TableReader

FORMATS = ("parquet", "csv", "ecsv", "fits", "votable")
IDS = ["0017", "NGC 1300", "587722981736251392"]
IDS_OF_PARTS = list("abcdefghi")
NAMES = ["Möri", "Arp 220", "天"]


def write_table(path: Path, format: str, columns: dict[str, list[Any]]) -> Path:
    """Write columns of text or numbers, None for a missing value."""
    if format in {"parquet", "csv"}:
        table = pa.table(
            {name: pa.array(values, pa.string() if not values else None) for name, values in columns.items()}
        )
        if format == "parquet":
            pa.parquet.write_table(table, path)
        else:
            pa.csv.write_csv(table, path)
        return path
    masked = {}
    for name, values in columns.items():
        filler = next((type(value)() for value in values if value is not None), "")
        filled = [filler if value is None else value for value in values]
        missing = [value is None for value in values]
        if format == "fits" and isinstance(filler, str):
            filled = [value.encode() for value in filled]  # FITS has bytes only
        kind = None if values else ("S1" if format == "fits" else "U1")
        # A missing text of FITS or VOTable is an empty one.
        masks = any(missing) and not (format in {"fits", "votable"} and isinstance(filler, str))
        masked[name] = (
            MaskedColumn(filled, mask=missing, dtype=kind) if masks else filled if values else np.array([], kind)
        )
    Table(masked).write(path, format={"ecsv": "ascii.ecsv"}.get(format, format))
    return path


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_back_what_was_written(format: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / "galaxies.xyz", format, {"id": IDS, "name": NAMES, "count": [1, None, 3]})
    assert table_format(path) == format
    table = TableReader(path)
    assert table.columns == ("id", "name", "count")
    assert len(table) == 3
    assert table.column("id") == IDS
    assert table.column("name") == NAMES
    assert table.column("count") == (["1", None, "3"] if format == "csv" else [1, None, 3])


@pytest.mark.parametrize("format", FORMATS)
def test_missing_text_is_null(format: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / "galaxies", format, {"id": IDS, "label": ["Merger", None, "Other"]})
    assert TableReader(path).column("label") == ["Merger", None, "Other"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_table_without_rows_has_its_columns(format: str, tmp_path: Path) -> None:
    table = TableReader(write_table(tmp_path / "galaxies", format, {"id": [], "name": []}))
    assert table.columns == ("id", "name")
    assert len(table) == 0
    assert table.column("name") == []


@pytest.mark.parametrize("format", FORMATS)
def test_rows_come_in_small_batches_in_the_order_of_the_file(format: str, tmp_path: Path) -> None:
    count = 2 * BATCH_ROWS + 7
    table = TableReader(write_table(tmp_path / "galaxies", format, {"n": list(range(count)), "m": [5] * count}))
    batches = list(table.batches(["n"]))
    assert len(table) == count
    assert max(batch.num_rows for batch in batches) <= BATCH_ROWS
    assert [int(value) for batch in batches for value in batch.column("n").to_pylist()] == list(range(count))
    assert all(batch.schema.names == ["n"] for batch in batches)


@pytest.mark.parametrize("format", FORMATS)
def test_an_unknown_column_is_told_the_closest(format: str, tmp_path: Path) -> None:
    table = TableReader(write_table(tmp_path / "galaxies", format, {"id": IDS, "label": IDS}))
    for ask in (table.check_column, table.column):
        with pytest.raises(UnknownNameError, match=r"no column 'lable' in galaxies\. Did you mean 'label'\?"):
            ask("lable")


def test_csv_values_are_text_whatever_they_look_like(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,flux,when\n0017,1.50,2020-01-01\n1e5,,true\n", encoding="utf-8")
    table = TableReader(path)
    assert table.column("id") == ["0017", "1e5"]
    assert table.column("flux") == ["1.50", None]
    assert table.column("when") == ["2020-01-01", "true"]


def test_csv_words_for_a_missing_value_are_null(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,label\n1,NA\n2,NaN\n3,null\n4,""\n5,None of these\n', encoding="utf-8")
    assert TableReader(path).column("label") == [None, None, None, None, "None of these"]


def test_csv_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text("id,label\n1,Merger\n", encoding="utf-8-sig")
    assert TableReader(path).columns == ("id", "label")


@pytest.mark.parametrize(("sign", "comma"), [("\t", ","), (";", ","), (",", ";")])
def test_text_is_parted_by_what_its_header_has(tmp_path: Path, sign: str, comma: str) -> None:
    path = tmp_path / "a.csv"
    lines = ['id,"a,b;c\td"' if sign == "," else 'id,"a,b"', f'1,"x{sign}y"', f"2,p{comma}q"]
    path.write_text("\n".join(line.replace(",", sign, 1) for line in lines), encoding="utf-8")
    table = TableReader(path)
    assert table.columns == ("id", "a,b;c\td" if sign == "," else "a,b")
    assert table.column("id") == ["1", "2"]
    assert table.column(table.columns[1]) == [f"x{sign}y", f"p{comma}q"]
    assert len(table) == 2


def test_ids_that_turn_into_text_late_in_a_csv_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id\n" + "1\n" * 600_000 + "NGC 1300\n", encoding="utf-8")  # more than the reader's first block
    table = TableReader(path)
    assert len(table) == 600_001
    assert list(table.batches(["id"]))[-1].column(0)[-1].as_py() == "NGC 1300"


def test_names_with_dots_are_columns_of_their_own(tmp_path: Path) -> None:
    path = write_table(tmp_path / "votes.parquet", "parquet", {"Class1": [0.0], "Class1.1": [0.25], "Class1.2": [0.75]})
    table = TableReader(path)
    assert [table.column(name) for name in ("Class1.2", "Class1", "Class1.1")] == [[0.75], [0.0], [0.25]]
    assert next(table.batches(["Class1.2", "Class1"])).schema.names == ["Class1.2", "Class1"]


def test_sky_coordinates_and_times_become_plain_columns(tmp_path: Path) -> None:
    path = tmp_path / "sky.ecsv"
    sky = SkyCoord([150.0, 151.5], [2.0, -3.25], unit="deg")
    Table({"id": ["a", "b"], "sky": sky, "seen": Time([2450000.5, 2450001.5], format="jd")}).write(path)
    table = TableReader(path)
    assert table.column("id") == ["a", "b"]
    assert table.column("sky.ra") == [150.0, 151.5]
    assert table.column("sky.dec") == [2.0, -3.25]


def test_vectors_and_masked_numbers_of_fits(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    Table({"flux": [[1.0, 2.0], [3.0, 4.0]], "z": [0.5, np.nan], "name": [b"M 51   ", b"M 101"]}).write(path)
    table = TableReader(path)
    assert table.column("flux") == [[1.0, 2.0], [3.0, 4.0]]
    assert table.column("z") == [0.5, None]
    assert table.column("name") == ["M 51", "M 101"]


def test_units_that_a_catalogue_misspells_give_no_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    hdu = fits.BinTableHDU.from_columns([fits.Column("flux", "E", unit="erggs", array=np.array([1.0]))])
    hdu.writeto(path)
    assert TableReader(path).column("flux") == [1.0]


VOTABLE = """<?xml version="1.0"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>
<FIELD ID="col1" name="id" datatype="char" arraysize="*"/><FIELD ID="col2" name="z" datatype="float" unit="nonsense"/>
<DATA><TABLEDATA><TR><TD>0017  </TD><TD>0.5</TD></TR><TR><TD>18</TD><TD/></TR></TABLEDATA></DATA>
</TABLE></RESOURCE></VOTABLE>
"""


def test_columns_of_a_votable_are_called_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(VOTABLE, encoding="utf-8")
    table = TableReader(path)
    assert table.columns == ("id", "z")
    assert table.column("id") == ["0017", "18"]
    assert table.column("z") == [0.5, None]


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def half_a_votable(content: bytes) -> bytes:
    return VOTABLE.encode()[: len(VOTABLE) // 2]


@pytest.mark.parametrize(
    ("format", "damage"),
    [
        ("parquet", truncate),
        ("parquet", lambda content: b"PAR1"),
        ("parquet", lambda content: content.replace("Möri".encode(), b"M\xff\xfe\xffi")),
        ("csv", lambda content: content + b"1,2\n"),
        ("csv", lambda content: content + b'"' + b"x" * 3_000_000),
        ("csv", lambda content: content + b"1,2,3\n" * 500 + b"1,\xff\xfe,3\n"),
        ("ecsv", truncate),
        ("ecsv", lambda content: content.replace(b"datatype: string", b"datatipe: string", 1)),
        ("ecsv", lambda content: b"# %ECSV 1.0\n# ---\n# datatype: [\n"),
        ("fits", lambda content: content[:1000]),
        ("fits", lambda content: content[:-2880]),
        ("fits", lambda content: content.replace(b"TFORM2  = '", b"TFORM2  = \x7f")),
        ("fits", lambda content: content.replace(b"BITPIX  =", b"BITPIY  =")),
        ("votable", half_a_votable),
        ("votable", lambda content: b"<?xml version='1.0'?><VOTABLE><RESOURCE></VOTABLE>"),
        ("votable", lambda content: b"<VOTABLE/>"),
    ],
)
def test_a_damaged_table_is_named(format: str, damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = write_table(tmp_path / "galaxies", format, {"id": IDS, "name": NAMES, "count": [1, 2, 3]})
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    with pytest.raises(DataError) as caught:
        TableReader(path).column("name")
    assert str(caught.value).startswith(f"{path}: ")


def test_a_table_that_is_not_there_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"there is no table at .*labels\.csv; give the path") as caught:
        TableReader(tmp_path / "labels.csv")
    assert caught.value.exit_status == 2
    with pytest.raises(UsageError, match=f"{tmp_path.name} is a folder without Parquet files"):
        TableReader(tmp_path)


def test_a_folder_of_parts_is_one_table(tmp_path: Path) -> None:
    for part, start in (("b", 4), ("a", 0), ("c", 5)):
        rows = pa.table({"id": IDS_OF_PARTS[start : {0: 4, 4: 5, 5: 9}[start]]})
        pa.parquet.write_table(rows, tmp_path / f"{part}.parquet", row_group_size=2)
    (tmp_path / ".d.part.parquet").write_bytes(b"half written")
    reader = TableReader(tmp_path)
    assert (reader.columns, len(reader)) == (("id",), 9)
    assert reader.column("id") == IDS_OF_PARTS
    for start in range(10):
        for stop in (*range(start, 10), None):
            found = [id_ for batch in reader.batches(["id"], start, stop, rows=3) for id_ in batch["id"].to_pylist()]
            assert found == IDS_OF_PARTS[start:stop]


def test_parts_that_are_no_parts_of_one_table_are_named(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"id": ["x"]}), tmp_path / "a.parquet")
    pa.parquet.write_table(pa.table({"id": [1]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: its columns differ from those of a\.parquet"):
        TableReader(tmp_path).column("id")


def test_a_fits_image_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(path)
    with pytest.raises(DataError, match=r"image\.fits: holds no table; images are given as DATA"):
        TableReader(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\1\2\3" * 100, b"<html><body>404</body></html>", b"\x89PNG\r\n", b"  \n"],
    ids=["empty", "binary", "html", "png", "blank"],
)
def test_a_file_that_is_no_table_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "galaxies.csv"
    path.write_bytes(content)
    assert table_format(path) is None
    with pytest.raises(
        DataError, match=r"galaxies\.csv: (this file is empty|not a known kind of table \(Parquet|is a web page)"
    ):
        TableReader(path)


@pytest.mark.parametrize("cut", range(1, 5))
def test_a_character_that_the_sample_cuts_in_two_is_text(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * (1024 - cut) + "🌌".encode() + b"\n")
    assert table_format(path) == "csv"


def test_latin_1_late_in_the_sample_is_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 1000 + b"\xe9" + b"y" * 500)
    assert table_format(path) is None


def test_units_stay_out_of_values(tmp_path: Path) -> None:
    path = tmp_path / "a.ecsv"
    Table({"radius": [1.5, 2.5] * u.arcsec}).write(path)
    assert TableReader(path).column("radius") == [1.5, 2.5]
