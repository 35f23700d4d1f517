"""Every format that is written holds what was put in, for us and for the programs that its users take."""

import io
import math
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits, votable
from astropy.table import Table
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from all_columns import COLUMNS, NAN, NOTES, ROWS, read, rows_to_batch, write
from peculiar.errors import DataError, UsageError
from peculiar.tables.column import Column
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import format_to_write, write_table
from peculiar.tables.writers.stream import GROUP_ROWS

SUFFIXES = ("parquet", "csv", "fits", "vot", "ecsv")


def bits(values: list[float | None], kind: type[np.floating[Any]]) -> list[bytes | None]:
    return [None if value is None else kind(value).tobytes() for value in values]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read(suffix: str, tmp_path: Path) -> None:
    found = read(write(tmp_path / f"t.{suffix}", ROWS))
    expected = rows_to_batch(ROWS)
    assert found.column_names == expected.schema.names
    for column in COLUMNS:
        left, right = found[column.name].to_pylist(), expected.column(column.name).to_pylist()
        if suffix == "csv":  # all is text; numbers and lists are as JSON writes them
            left = [of_csv(value, column.type) for value in left]
        if pa.types.is_floating(column.type):
            kind = column.type.to_pandas_dtype()
            assert bits(left, kind) == bits(right, kind), column.name
        elif column.name == "embedding":
            assert [value is None for value in left] == [value is None for value in right]
            for one, other in zip(left, right, strict=True):
                assert one is None or bits(one, np.float32) == bits(other, np.float32)
        else:
            assert left == right, column.name
        if suffix != "csv":
            assert found.schema.field(column.name).type == column.type


def of_csv(value: str | None, type: pa.DataType) -> Any:
    import json

    if value is None or pa.types.is_string(type):
        return value
    if pa.types.is_boolean(type):
        return {"True": True, "False": False}[value]
    return json.loads(value) if pa.types.is_fixed_size_list(type) else type.to_pandas_dtype()(value)


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix != "csv"])
def test_units_meanings_descriptions_and_notes_are_kept(suffix: str, tmp_path: Path) -> None:
    schema = TableReader(write(tmp_path / f"t.{suffix}", ROWS)).schema
    for field, column in zip(schema, COLUMNS, strict=True):
        found = Column.of(field)
        assert (found.name, found.unit, found.ucd) == (column.name, column.unit, column.ucd)
        assert found.description == " ".join(column.description.split()) or suffix == "parquet"
    notes = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    for name, text in NOTES.items():
        assert notes[name] == text


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("count", [0, 1])
def test_no_rows_and_one_row(suffix: str, count: int, tmp_path: Path) -> None:
    found = read(write(tmp_path / f"t.{suffix}", ROWS[:count]))
    assert found.num_rows == count
    assert found.column_names == [column.name for column in COLUMNS]
    assert found["id"].to_pylist() == ["a"][:count]
    if suffix != "csv":
        # astropy cannot read lists from an ECSV file without rows.
        count = len(COLUMNS) - 2 * (suffix == "ecsv" and count == 0)
        assert found.schema.types[:count] == [column.type for column in COLUMNS[:count]]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_of_one_column_keeps_its_empty_rows(suffix: str, tmp_path: Path) -> None:
    for column, values in (
        (Column("id", pa.string()), ["a", None, "b", None]),
        (Column("n", pa.int32()), [1, None, 3, None]),
    ):
        path = write(tmp_path / f"{column.name}.{suffix}", [[value] for value in values], [column])
        found = read(path)[column.name].to_pylist()
        assert [None if one is None else column.type.to_pandas_dtype()(one) for one in found] == values


SIGNS = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
TEXTS = st.text(st.one_of(SIGNS, st.sampled_from(",;\"'\n#\\|\t ")), max_size=12).map(str.strip)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
FLOATS32 = st.floats(width=32, allow_nan=True, allow_infinity=True)
INTEGERS = {width: st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1) for width in (16, 32, 64)}
RANDOM_ROWS = st.lists(
    st.tuples(
        st.none() | TEXTS,
        st.none() | FLOATS,
        st.none() | FLOATS32,
        st.none() | INTEGERS[64],
        st.none() | INTEGERS[32],
        st.none() | INTEGERS[16],
        st.none() | st.booleans(),
        st.none() | st.lists(FLOATS32, min_size=3, max_size=3),
        st.none() | st.lists(INTEGERS[32], min_size=2, max_size=2),
    ),
    max_size=6,
)


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def known(value: Any, suffix: str) -> Any:
    """Return a value with the one rule of all formats but Parquet: empty text and NaN are null."""
    if suffix == "parquet":
        return repr(value)
    if value == "" or is_nan(value):
        return repr(None)
    if isinstance(value, list) and all(map(is_nan, value)):
        return repr(None)
    return repr(value)


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix != "csv"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(
    rows=[("NA", NAN, NAN, 0, 0, 0, False, [NAN] * 3, [0, 0]), ("", -0.0, -0.0, None, None, None, None, None, None)]
)
@example(rows=[("--", 1.0, 1.0, -1, -1, -1, True, [1.0, NAN, NAN], [-(2**31), 2**31 - 1]), (None,) * 9])
@given(rows=RANDOM_ROWS)
@pytest.mark.slow
def test_any_rows_survive(suffix: str, rows: list[tuple[Any, ...]], tmp_path: Path) -> None:
    found = read(write(tmp_path / f"t.{suffix}", rows)).to_pydict()
    expected = rows_to_batch(rows).to_pydict()
    for name, values in expected.items():
        assert [known(one, suffix) for one in found[name]] == [known(one, suffix) for one in values], name


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(texts=["NA", "null", "", None, "nan"])
@given(texts=st.lists(st.none() | st.text(st.one_of(SIGNS, st.sampled_from(",\"'\n\r\t ")), max_size=12), max_size=6))
def test_any_text_survives_csv(texts: list[str | None], tmp_path: Path) -> None:
    columns = [Column("id", pa.string()), Column("n", pa.int32())]
    found = read(write(tmp_path / "t.csv", [[text, 1] for text in texts], columns))
    assert found["id"].to_pylist() == [text or None for text in texts]


def test_what_the_formats_cannot_tell_apart(tmp_path: Path) -> None:
    """The table of docs/catalog.md, line by line."""
    columns = [Column("id", pa.string()), Column("p", pa.float32())]
    rows = [["", NAN], [None, None], [" a ", 1.0], ["b\n", 2.0], ["c\u2028d", 3.0]]
    expected = {
        "parquet": ["", None, " a ", "b\n", "c\u2028d"],
        "csv": [None, None, " a ", "b\n", "c\u2028d"],
        "fits": [None, None, " a", "b", "c\u2028d"],
        "vot": [None, None, " a", "b\n", "c\u2028d"],
        "ecsv": [None, None, "a", "b\n", "c\nd"],
    }
    for suffix, texts in expected.items():
        found = read(write(tmp_path / f"t.{suffix}", rows, columns))
        assert found["id"].to_pylist() == texts, suffix
        first = found["p"].to_pylist()[0]
        assert np.isnan(first) if suffix == "parquet" else first is None
        assert found["p"].to_pylist()[1] is None


def test_astropy_reads_fits(tmp_path: Path) -> None:
    path = write(tmp_path / "t.fits", ROWS)
    with fits.open(path) as file:
        file.verify("exception")
        header = file[1].header
        assert header["TUNIT2"] == "deg"
        assert header["TUNIT4"] == "km s-1"
        assert header["TUCD2"] == "pos.eq.ra;meta.main"
        assert header["TCOMM3"] == "probability of 'odd'"
        for one in (file[0].header, header):
            assert one["NOTE1"] == f"model digest = {NOTES['model digest']}"
            assert one["CREATOR"] == NOTES["creator"]
        # The file is as long as FITS wants it, and no longer.
        size = header["NAXIS1"] * header["NAXIS2"]
        assert path.stat().st_size == file[1].fileinfo()["datLoc"] + size + -size % 2880
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Column 'seen' contains NULL")  # astropy takes an unknown truth for False
        table = Table.read(path)
    assert table["id"][3] == "天 🌌 Möri"
    assert table["speed"].tolist() == [2**63 - 1, -(2**63), None, 0, 1]
    assert table["flags"].tolist() == [2**31 - 1, -(2**31), None, 0, 1]
    assert str(table["speed"].unit) == "km / s"
    assert np.isnan(np.ma.getdata(table["embedding"])[2]).all()


def test_astropy_validates_and_reads_votable(tmp_path: Path) -> None:
    path = write(tmp_path / "t.vot", ROWS)
    report = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert votable.validate(path, report), report.getvalue()
        document = votable.parse(path, verify="exception")
    table = document.get_first_table()
    for column in COLUMNS:
        field = table.get_field_by_id_or_name(column.name)
        assert (field.ucd or "") == column.ucd
        assert (str(field.unit.to_string("vounit")) if field.unit else "") == column.unit
    assert table.array["speed"].tolist() == [2**63 - 1, -(2**63), None, 0, 1]
    assert table.array["ra"].tolist() == [150.25, 0.0, None, 359.99999999999994, 5e-324]
    assert table.array["id"].tolist()[3] == "天 🌌 Möri"
    assert {info.name: info.value for info in document.resources[0].infos}["model digest"] == NOTES["model digest"]


def test_astropy_reads_ecsv(tmp_path: Path) -> None:
    table = Table.read(write(tmp_path / "t.ecsv", ROWS), format="ascii.ecsv")
    assert table["speed"].tolist() == [2**63 - 1, -(2**63), None, 0, 1]
    assert str(table["ra"].unit) == "deg"
    assert table["ra"].meta["ucd"] == "pos.eq.ra;meta.main"
    assert table.meta["model digest"] == NOTES["model digest"]
    assert table["embedding"].shape == (5, 3)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_duckdb_reads_parquet_and_csv(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"t.{suffix}", ROWS)
    with duckdb.connect() as database:
        rows = database.execute(f"SELECT id, ra, speed, seen FROM '{path}'").fetchall()
    assert rows == [(row[0], row[1], row[3], row[6]) for row in ROWS]


def test_parquet_says_what_its_columns_mean_as_topcat_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", ROWS)
    content = pa.parquet.read_schema(path).metadata[b"IVOA.VOTable-Parquet.content"]
    assert pa.parquet.read_schema(path).metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    fields = votable.parse(io.BytesIO(content), verify="exception").get_first_table().fields
    assert [field.name for field in fields] == [column.name for column in COLUMNS]
    assert [field.ucd or "" for field in fields] == [column.ucd for column in COLUMNS]
    # A file of TOPCAT has nothing else.
    bare = pa.parquet.read_table(path)
    plain = pa.schema([field.remove_metadata() for field in bare.schema])
    pa.parquet.write_table(
        bare.cast(plain).replace_schema_metadata({"IVOA.VOTable-Parquet.content": content}), tmp_path / "topcat.parquet"
    )
    found = [Column.of(field) for field in TableReader(tmp_path / "topcat.parquet").schema]
    assert [(one.unit, one.ucd, one.type) for one in found] == [(one.unit, one.ucd, one.type) for one in COLUMNS]


def test_row_groups_do_not_depend_on_the_batches(tmp_path: Path) -> None:
    count = GROUP_ROWS + 1000
    columns = [Column("n", pa.int32())]
    numbers = pa.RecordBatch.from_arrays([pa.array(np.arange(count, dtype=np.int32))], names=["n"])
    batches = (numbers.slice(first, 32) for first in range(0, count, 32))
    write_table(tmp_path / "t.parquet", "parquet", columns, batches, {})
    metadata = pa.parquet.read_metadata(tmp_path / "t.parquet")
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [GROUP_ROWS, 1000]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_how_rows_come_in_batches_changes_no_byte(suffix: str, tmp_path: Path) -> None:
    whole = rows_to_batch(ROWS * 3)
    files = []
    for size in (1, 4, 15):
        path = tmp_path / f"{size}.{suffix}"
        batches = [whole.slice(first, size) for first in range(0, 15, size)]
        write_table(path, format_to_write(path), COLUMNS, batches, NOTES)
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]


def test_types_that_only_parquet_has(tmp_path: Path) -> None:
    for type, value in ((pa.binary(), b"x"), (pa.struct({"a": pa.int32()}), {"a": 1})):
        columns = [Column("image", type)]
        assert read(write(tmp_path / "t.parquet", [[value]], columns))["image"].to_pylist() == [value]
        for suffix in ("fits", "vot", "csv", "ecsv"):
            with pytest.raises(
                UsageError, match=r"the column 'image' holds .*, which this format cannot hold; write Parquet, or"
            ):
                write(tmp_path / f"t.{suffix}", [[value]], columns)


@pytest.mark.parametrize(
    ("type", "value", "found"),
    [
        (pa.uint8(), 255, 255),
        (pa.int8(), -128, -128),
        (pa.uint32(), 2**32 - 1, 2**32 - 1),
        (pa.uint64(), 2**63 - 1, 2**63 - 1),
        (pa.dictionary(pa.int8(), pa.string()), "odd", "odd"),
        (pa.large_string(), "odd", "odd"),
        (pa.date32(), np.datetime64("2026-01-02").item(), "2026-01-02"),
        (pa.float16(), np.float16(0.5), 0.5),
    ],
)
@pytest.mark.parametrize("suffix", ["fits", "vot", "ecsv"])
def test_types_that_the_formats_lack_become_others(
    type: pa.DataType, value: Any, found: Any, suffix: str, tmp_path: Path
) -> None:
    assert read(write(tmp_path / f"t.{suffix}", [[value]], [Column("x", type)]))["x"].to_pylist() == [found]


def test_a_number_too_large_for_the_format(tmp_path: Path) -> None:
    columns = [Column("n", pa.list_(pa.uint64(), 1))]
    with pytest.raises(DataError, match=r"the column 'n' holds lists of integers beyond 9223372036854775807"):
        write(tmp_path / "t.vot", [[[2**64 - 1]]], columns)
    with pytest.raises(DataError, match=r"the column 'n' cannot be written: .*18446744073709551615.* as Parquet"):
        write(tmp_path / "t.fits", [[[2**64 - 1]], [None]], columns)


def test_no_integer_is_left_for_null(tmp_path: Path) -> None:
    every = [[number] for number in range(-(2**15), 2**15)]
    column = Column("n", pa.int16())
    assert read(write(tmp_path / "t.fits", every, [column])).num_rows == 2**16
    with pytest.raises(DataError, match="the column 'n' holds nulls and every int16 that could stand for them in FITS"):
        write(tmp_path / "t.fits", [*every, [None]], [column])


def test_null_within_a_list_of_integers(tmp_path: Path) -> None:
    columns = [Column("counts", pa.list_(pa.int32(), 2))]
    assert read(write(tmp_path / "t.fits", [[[1, None]]], columns))["counts"].to_pylist() == [[1, None]]
    with pytest.raises(DataError, match="'counts' holds lists of integers of which some are null"):
        write(tmp_path / "t.vot", [[[1, None]]], columns)


def test_units_and_signs_that_the_formats_do_not_know(tmp_path: Path) -> None:
    columns = [Column("flux", pa.float32(), "in \x01 Möri's\nunit", "nanomaggyish")]
    for suffix in ("fits", "vot", "ecsv"):
        found = Column.of(TableReader(write(tmp_path / f"t.{suffix}", [[1.0]], columns)).schema.field("flux"))
        assert found.unit == "nanomaggyish"
        assert found.description.startswith("in ")


def test_names_of_columns_that_headers_of_fits_cannot_hold(tmp_path: Path) -> None:
    columns = [Column("μ_e", pa.float64(), unit="deg"), Column("it's", pa.int32())]
    written = write(tmp_path / "a.fits", [[1.5, 2]], columns)
    assert read(written).to_pydict() == {"μ_e": [1.5], "it's": [2]}
    assert fits.getheader(written, 1)["TTYPE1"] == "\\u03bc_e"
    for name in ("", "x" * 69, "'" * 35, "天" * 12):
        with pytest.raises(
            UsageError, match=r"has a name that (FITS|this format) cannot hold.* the others by --column"
        ):
            write(tmp_path / "b.fits", [[1.5]], [Column(name, pa.float64())])


ODD_NOTES = (
    "end",
    "continue",
    "comment",
    "a=b",
    "a = b",
    "ObsDate",
    "k" * 70,
    "天",
    "note1",
    "simple",
    "naxis",
    "ttype1",
)
TEXTS = ("v" * 20, "v" * 300, "it's", " blank ", "line\nend", r"C:\new\x41", "Möri 天 🌌", "a = b", "")


@pytest.mark.parametrize("suffix", ["parquet", "fits", "vot", "ecsv"])
@pytest.mark.parametrize("name", ODD_NOTES)
@pytest.mark.slow
def test_notes_come_back_whatever_they_are_called(name: str, suffix: str, tmp_path: Path) -> None:
    columns = [Column("x", pa.int32())]
    for text in TEXTS:
        path, notes = tmp_path / f"a.{suffix}", {"creator": "peculiar", name: text, "source": "s.fits"}
        write_table(path, format_to_write(path), columns, [rows_to_batch([[7]], columns)], notes)
        schema = TableReader(path).schema
        found = {key.decode(): value.decode() for key, value in schema.metadata.items()}
        assert {key: found.get(key) for key in notes} == notes
        assert Table.read(path, format={"vot": "votable", "ecsv": "ascii.ecsv"}.get(suffix))["x"].tolist() == [7]


def test_backslashes_in_headers_of_others_mean_themselves(tmp_path: Path) -> None:
    table = fits.BinTableHDU.from_columns([fits.Column(r"a\x41", "J", array=[1])])
    table.header["ORIGIN"], table.header["NOTE1"] = r"C:\new", "no sign"
    table.writeto(tmp_path / "a.fits")
    schema = TableReader(tmp_path / "a.fits").schema
    assert schema.names == [r"a\x41"]
    assert schema.metadata == {b"origin": rb"C:\new", b"note1": b"no sign"}


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        write(tmp_path / f"t.{suffix}", ROWS)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"t.{suffix}" for suffix in SUFFIXES)


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np, pyarrow as pa
import astropy.io.fits, astropy.io.votable, astropy.table
from peculiar.tables.column import Column
from peculiar.tables.writers import format_to_write, write_table

def batches(count):
    for first in range(0, count, 8192):
        numbers = np.arange(first, min(first + 8192, count))
        values = [pa.array(numbers).cast(pa.string()), pa.array(numbers / 7), pa.array(numbers, mask=numbers % 3 == 0)]
        yield pa.RecordBatch.from_arrays(values, names=["id", "ra", "n"])

path, count = Path(sys.argv[1]), int(sys.argv[2])
columns = [Column("id", pa.string()), Column("ra", pa.float64(), unit="deg"), Column("n", pa.int64())]
write_table(path, format_to_write(path), columns, batches(count), {})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.slow
def test_the_memory_does_not_grow_with_the_rows(suffix: str, tmp_path: Path) -> None:
    few, many = (
        int(subprocess.check_output([sys.executable, "-c", MEMORY, tmp_path / f"t.{suffix}", str(count)]))
        for count in (200_000, 1_000_000)
    )
    # A million rows in memory, as lists of Python, would take 200 MB more.
    assert many < 1.1 * few


def test_an_unknown_suffix() -> None:
    with pytest.raises(UsageError, match=r"written as \.parquet, .*received the suffix '\.xlsx'"):
        format_to_write("t.xlsx")


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(UsageError, match=r"t\.csv: a table is to be written here, but there is a folder"):
        format_to_write(tmp_path / "t.csv")


def fits_rows(path: Path) -> NDArray[Any]:
    with fits.open(path) as file:
        return np.array(file[1].data["n"])


def test_rows_of_fits_are_read_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.fits", [[number] for number in range(100)], [Column("n", pa.int32())])
    monkeypatch.setattr("peculiar.tables.astropy_io.PART_ROWS", 7)
    reader = TableReader(path)
    assert len(reader) == 100
    assert reader.column("n") == fits_rows(path).tolist()
    part = [value for batch in reader.batches(["n"], 33, 58, rows=4) for value in batch.column(0).to_pylist()]
    assert part == list(range(33, 58))


def test_a_huge_votable_is_refused_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix, format in (("vot", "votable"), ("ecsv", "ecsv")):
        path = write(tmp_path / f"t.{suffix}", ROWS)
        monkeypatch.setattr("peculiar.tables.reader.WHOLE_BYTES", path.stat().st_size - 1)
        with pytest.raises(DataError, match=rf"stilts tcopy in=t\.{suffix} ifmt={format} out=t\.fits ofmt=fits-basic"):
            TableReader(path)
        monkeypatch.setattr("peculiar.tables.reader.WHOLE_BYTES", path.stat().st_size)
        assert len(TableReader(path)) == len(ROWS)


def test_the_advice_about_a_huge_fits_table_does_not_overwrite_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = fits.Column("lists", "PD()", array=np.array([[1.0], [2.0, 3.0]], dtype=object))
    fits.BinTableHDU.from_columns([lists]).writeto(tmp_path / "t.fits")
    monkeypatch.setattr("peculiar.tables.reader.WHOLE_BYTES", 10)
    with pytest.raises(DataError, match=r"in=t\.fits ifmt=fits out=basic_t\.fits ofmt=fits-basic"):
        TableReader(tmp_path / "t.fits")
