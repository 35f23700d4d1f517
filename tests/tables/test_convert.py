"""Tables from one format to another: nothing is lost that both can hold; sorting; HATS, as LSDB reads it."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from all_columns import COLUMNS, NOTES, ROWS, read, write
from peculiar.cli import app
from peculiar.errors import DataError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.tables.column import Column
from peculiar.tables.convert import convert
from peculiar.tables.healpix import HEALPIX, healpix_29
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import hats, stream

SUFFIXES = ("parquet", "fits", "vot", "ecsv")


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(SUFFIXES, 2)))
def test_every_format_to_every_other(first: str, second: str, tmp_path: Path) -> None:
    write(tmp_path / f"a.{first}", ROWS)
    assert convert(tmp_path / f"a.{first}", tmp_path / f"b.{second}").rows == len(ROWS)
    before, after = read(tmp_path / f"a.{first}"), read(tmp_path / f"b.{second}")
    for column in COLUMNS:
        assert repr(after[column.name].to_pylist()) == repr(before[column.name].to_pylist()), column.name
        old, new = (Column.of(one.schema.field(column.name)) for one in (before, after))
        assert (new.type, new.unit, new.ucd) == (old.type, old.unit, old.ucd)
        assert new.description.split() == old.description.split()
    assert after.schema.metadata[b"model digest"].decode() == NOTES["model digest"]
    assert not [key for key in after.schema.metadata if b"IVOA" in key and second != "parquet"]


def test_csv_gets_the_types_that_its_values_have(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "id,objid,run,z,seen,name,blank,big,mixed\n"
        "17,587722981736251392,0017,+0.5,True,a,,1,1\n"
        "1e5,-1,18,.25e1,false,NA,,18446744073709551615,2.5\n"
        ",0,19,,,,,,x\n",
        encoding="utf-8",
    )
    assert convert(path, tmp_path / "a.parquet").rows == 3
    table = pa.parquet.read_table(tmp_path / "a.parquet")
    assert table.to_pydict() == {
        "id": ["17", "1e5", None],
        "objid": [587722981736251392, -1, 0],
        "run": ["0017", "18", "19"],
        "z": [0.5, 2.5, None],
        "seen": [True, False, None],
        "name": ["a", None, None],
        "blank": [None, None, None],
        "big": [1, 18446744073709551615, None],
        "mixed": ["1", "2.5", "x"],
    }
    assert table.schema.field("objid").type == pa.int64()
    assert table.schema.field("blank").type == pa.string()


def test_words_that_a_dictionary_holds_are_sorted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "GROUP_ROWS", 2)
    kind = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([("ra", pa.float64()), ("dec", pa.float64()), ("survey", kind)])
    with pa.parquet.ParquetWriter(tmp_path / "a.parquet", schema) as parquet:
        for ra, words in (([200.0, 20.0], ["sdss", "des"]), ([100.0, 10.0], ["des", None])):
            survey = pa.array(words).dictionary_encode()
            parquet.write_table(pa.table({"ra": ra, "dec": [0.0, 0.0], "survey": survey}, schema=schema))
    convert(tmp_path / "a.parquet", tmp_path / "b.parquet", sort=True)
    table = pa.parquet.read_table(tmp_path / "b.parquet")
    assert dict(zip(*(table[name].to_pylist() for name in ("ra", "survey")), strict=True)) == {
        200.0: "sdss",
        20.0: "des",
        100.0: "des",
        10.0: None,
    }
    assert convert(tmp_path / "a.parquet", tmp_path / "hats", as_hats=True).rows == 4


def test_columns_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,ra,ra\n7,1,2\n")
    with pytest.raises(UsageError, match=r"a\.csv: several columns have the name 'ra'; .* --column"):
        convert(tmp_path / "a.csv", tmp_path / "a.parquet")
    assert convert(tmp_path / "a.csv", tmp_path / "a.parquet", columns=["id"]).rows == 1


def test_csv_there_and_back(tmp_path: Path) -> None:
    columns = [column for column in COLUMNS if not pa.types.is_fixed_size_list(column.type)]
    rows = [row[: len(columns)] for row in ROWS]
    write(tmp_path / "a.parquet", rows, columns)
    convert(tmp_path / "a.parquet", tmp_path / "b.csv")
    convert(tmp_path / "b.csv", tmp_path / "c.parquet")
    before, after = read(tmp_path / "a.parquet"), read(tmp_path / "c.parquet")
    for column in columns:
        assert after[column.name].cast(column.type).to_pylist() == before[column.name].to_pylist()


def test_only_some_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ROWS)
    convert(tmp_path / "a.parquet", tmp_path / "b.fits", columns=["p", "id"])
    assert TableReader(tmp_path / "b.fits").columns == ("p", "id")
    with pytest.raises(UnknownNameError, match=r"no column 'idd' in a\.parquet\. Did you mean 'id'"):
        convert(tmp_path / "a.parquet", tmp_path / "b.fits", columns=["idd"])


def test_a_table_is_not_written_over_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", ROWS)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"a\.parquet is the input of this command and would be lost"):
        convert(path, path, columns=["id"])
    assert path.read_bytes() == before


SKY = [
    Column("name", pa.string()),
    Column("RA", pa.float64(), "right ascension", "deg", "pos.eq.ra;meta.main"),
    Column("Dec", pa.float64(), "declination", "deg", "pos.eq.dec;meta.main"),
    Column("embedding", pa.list_(pa.float32(), 4)),
]


def sky_rows(count: int, *, unknown: int = 0) -> list[list[object]]:
    rng = np.random.default_rng(222)
    ra, dec = rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    # A crowded field, so that the sky is divided unevenly.
    ra[: count // 2], dec[: count // 2] = rng.normal(150, 0.5, count // 2), rng.normal(2, 0.5, count // 2)
    rows = [[f"g{n}", ra[n], dec[n], rng.random(4).tolist()] for n in range(count)]
    for n in range(unknown):
        rows[5 * n][1 + n % 2] = None
        rows[5 * n][3] = None
    return rows


@pytest.mark.parametrize("share", [1 << 26, 1000])
@pytest.mark.parametrize("suffix", ["parquet", "fits", "csv"])
def test_sorted_by_place(suffix: str, share: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peculiar.tables.convert.SHARE_BYTES", share)
    rows = sky_rows(500, unknown=4)
    rows += [[f"duplicate of {row[0]}", *row[1:]] for row in rows[20:40]]
    path = write(tmp_path / f"a.{suffix}", rows, SKY)
    convert(path, tmp_path / "b.parquet", sort=True)
    table = pa.parquet.read_table(tmp_path / "b.parquet")
    assert table.column_names == ["name", "RA", "Dec", "_healpix_29", "embedding"]
    assert Column.of(table.schema.field(HEALPIX.name)) == HEALPIX
    cells = [-1 if row[1] is None or row[2] is None else int(healpix_29(row[1], row[2])) for row in rows]
    order = sorted(range(len(rows)), key=lambda n: (cells[n] < 0, cells[n], n))
    assert table["name"].to_pylist() == [rows[n][0] for n in order]
    assert table["_healpix_29"].to_pylist() == [None if cells[n] < 0 else cells[n] for n in order]
    if suffix != "csv":
        assert table["embedding"].null_count == 4
        assert table.schema.field("embedding").type == pa.list_(pa.float32(), 4)
        assert table.schema.metadata[b"model digest"].decode() == NOTES["model digest"]
    # What has cells is sorted by those, and needs no positions.
    convert(tmp_path / "b.parquet", tmp_path / "c.parquet", sort=True, columns=["name", "_healpix_29"])
    assert pa.parquet.read_table(tmp_path / "c.parquet")["name"].to_pylist() == table["name"].to_pylist()
    assert {one.name for one in tmp_path.iterdir()} == {f"a.{suffix}", "b.parquet", "c.parquet"}


MEMORY = """
import resource, sys
from peculiar.tables.convert import convert
convert(sys.argv[1], "out.parquet", sort=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_the_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(222)
    peaks = []
    for groups in (12, 48):  # of 10 MB
        with pa.parquet.ParquetWriter(tmp_path / "a.parquet", pa.schema([(one.name, one.type) for one in SKY])) as file:
            for _ in range(groups):
                sky = [pa.array(rng.uniform(0, 360, 10_000)), pa.array(rng.uniform(-90, 90, 10_000))]
                numbers = pa.array(rng.random(40_000, np.float32))
                embedding = pa.FixedSizeListArray.from_arrays(numbers, 4)
                names = pa.array(["x" * 1000] * 10_000)
                file.write_batch(pa.record_batch([names, *sky, embedding], names=[one.name for one in SKY]))
        peaks.append(int(subprocess.check_output([sys.executable, "-c", MEMORY, "a.parquet"])))
    # The larger table is of half a gigabyte.
    assert peaks[1] < 1.25 * peaks[0]


def test_nothing_to_sort_by(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ROWS)
    for arguments in ({"sort": True}, {"as_hats": True}):
        with pytest.raises(UsageError, match=r"a\.parquet: there is nothing to sort by: neither _healpix_29, nor col"):
            convert(tmp_path / "a.parquet", tmp_path / "b.parquet", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "b.parquet").exists()


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", sky_rows(100), SKY)
    path.write_bytes(path.read_bytes().replace(b"g77", b"\xff77"))
    for name, arguments in (("b.parquet", {}), ("b.vot", {}), ("c.parquet", {"sort": True}), ("d", {"as_hats": True})):
        with pytest.raises(DataError, match=r"a\.fits: .* cannot be read"):
            convert(path, tmp_path / name, **arguments)  # type: ignore[arg-type]
    assert [one.name for one in tmp_path.iterdir()] == ["a.fits"]


def test_hats_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sky_rows(3000, unknown=3)
    write(tmp_path / "a.parquet", rows, SKY)
    monkeypatch.setitem(hats.write.__kwdefaults__, "rows", 200)
    result = convert(tmp_path / "a.parquet", tmp_path / "sky", as_hats=True)
    assert (result.rows, result.left_out) == (3000, 3)
    properties = dict(line.split("=") for line in (tmp_path / "sky" / "properties").read_text().splitlines())
    assert properties["hats_nrows"] == "2997"
    assert (properties["hats_col_ra"], properties["hats_col_dec"]) == ("RA", "Dec")
    names = set()
    for line in (tmp_path / "sky" / "partition_info.csv").read_text().splitlines()[1:]:
        order, pixel = map(int, line.split(","))
        table = pa.parquet.read_table(
            tmp_path
            / "sky"
            / "dataset"
            / f"Norder={order}"
            / f"Dir={pixel // 10_000 * 10_000}"
            / f"Npix={pixel}.parquet"
        )
        assert 0 < table.num_rows <= 200
        cells = table[HEALPIX.name].to_numpy()
        assert (cells >> 2 * (29 - order) == pixel).all()
        assert (np.diff(cells) >= 0).all()
        names |= set(table["name"].to_pylist())
    assert len(names) == 2997
    feet = pa.parquet.read_metadata(tmp_path / "sky" / "dataset" / "_metadata")
    assert feet.num_rows == 2997
    with pytest.raises(UsageError, match=r"sky has to be new, or an empty folder"):
        convert(tmp_path / "a.parquet", tmp_path / "sky", as_hats=True)


# LSDB and what it stands on, not we, use what is deprecated.
@pytest.mark.filterwarnings("ignore")
def test_lsdb_opens_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lsdb = pytest.importorskip("lsdb")
    rows = sky_rows(1000)
    path = write(tmp_path / "a.parquet", rows, SKY)
    monkeypatch.setitem(hats.write.__kwdefaults__, "rows", 100)
    convert(path, tmp_path / "sky", as_hats=True)
    catalog = lsdb.open_catalog(tmp_path / "sky")
    found = catalog.compute()
    known = {row[0]: row for row in rows}
    assert len(found) == 1000
    for name, ra, dec, embedding in zip(found["name"], found["RA"], found["Dec"], found["embedding"], strict=True):
        assert [ra, dec] == known[name][1:3]
        assert np.asarray(embedding, np.float32).tobytes() == np.asarray(known[name][3], np.float32).tobytes()
    assert found.index.name == HEALPIX.name
    near = catalog.cone_search(150, 2, 3600).compute()
    ra, dec = (np.radians(np.array([row[column] for row in rows], float)) for column in (1, 2))
    away = np.cos(dec) * np.cos(np.radians(2)) * np.cos(ra - np.radians(150)) + np.sin(dec) * np.sin(np.radians(2))
    assert sorted(near["name"]) == sorted(
        row[0] for row, one in zip(rows, away, strict=True) if one >= np.cos(np.radians(1))
    )


def test_hats_of_no_rows_and_of_one(tmp_path: Path) -> None:
    for count in (0, 1):
        write(tmp_path / "a.parquet", sky_rows(count), SKY)
        assert convert(tmp_path / "a.parquet", tmp_path / f"sky{count}", as_hats=True).rows == count
        lines = (tmp_path / f"sky{count}" / "partition_info.csv").read_text().splitlines()
        assert len(lines) == 1 + count


def test_the_command(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", sky_rows(50, unknown=2), SKY)
    run = CliRunner().invoke(
        app, ["data", "convert", "a.parquet", "b.fits", "--sort", "--column", "RA", "--column", "Dec"]
    )
    assert run.exit_code == 0, run.output
    assert "50 rows are in b.fits" in run.output
    assert TableReader("b.fits").columns == ("RA", "Dec", HEALPIX.name)
    run = CliRunner().invoke(app, ["data", "convert", "a.parquet", "sky", "--hats"])
    assert "of which 2 were left out, because they have no position" in run.output


def test_bad_input(tmp_path: Path) -> None:
    (tmp_path / "no.bin").write_bytes(b"\0\1\2")
    with pytest.raises(DataError, match=r"no\.bin: not a known kind of table"):
        convert(tmp_path / "no.bin", tmp_path / "a.fits")
    with pytest.raises(FileNotFoundError):
        convert(tmp_path / "none.fits", tmp_path / "a.fits")
    path = write(tmp_path / "a.parquet", ROWS)
    with pytest.raises(UsageError, match=r"received the suffix '\.xlsx'"):
        convert(path, tmp_path / "a.xlsx")


@pytest.mark.filterwarnings("ignore")
def test_the_page_of_the_catalogue_is_right_about_pandas_and_lsdb(tmp_path: Path) -> None:
    """Its other commands run with those of all pages; these need what is no dependency."""
    pytest.importorskip("pandas")
    pytest.importorskip("lsdb")
    write(
        Path("catalog.parquet"),
        [[f"g{n}", 150.0, 2.0, 0.9] for n in range(9)],
        [
            Column("id", pa.string()),
            Column("ra", pa.float64()),
            Column("dec", pa.float64()),
            Column("p_odd", pa.float32()),
        ],
    )
    convert("catalog.parquet", "catalog_hats", as_hats=True)
    page = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```py\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    assert len(snippets) == 2
    for snippet in snippets:
        namespace: dict[str, object] = {}
        exec(snippet, namespace)
        assert len(namespace["odd"]) == 9  # type: ignore[arg-type]


def test_an_empty_table_is_mentioned() -> None:
    Path("t.csv").write_text("id,file\n")
    with pytest.warns(PeculiarWarning, match=r"t\.csv holds no rows; t\.fits has columns alone"):
        assert convert("t.csv", "t.fits").rows == 0
