"""The programs of the field read what peculiar writes: STILTS, which is TOPCAT's command line, astropy, and LSDB."""

import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from peculiar.tables.column import DEC, ID, RA, Column
from peculiar.tables.convert import convert
from peculiar.tables.healpix import HEALPIX, healpix_29
from peculiar.tables.writers import format_to_write, write_table

STILTS = shutil.which("stilts")
needs_stilts = pytest.mark.skipif(STILTS is None, reason="STILTS is not installed")

IDS = [9223372036854775807, 1237649770260463687, 1237649770260463688, -42, 0]
BIG = [2**64 - 1, 2**63, 2**63 - 1, 7, 0]

NOTES = {
    "creator": "peculiar 0.1.0",
    "model digest": "0123abcd" * 8,
    "credits": "Galaxy Zoo 2: Willett et al. 2013; " * 6 + "Walmsley et al. 2022",
    "source": "it's here.fits",
    "stretch": '{"kind": "asinh", "softening": 0.5}',
}

COLUMNS = [
    Column("id", pa.int64(), ID.description, ucd=ID.ucd),
    Column("big", pa.uint64(), "unsigned"),
    RA,
    DEC,
    Column("p_odd", pa.float32(), "probability of 'odd', which is " + "very " * 30 + "long", ucd="stat.probability"),
    Column("class", pa.string(), "most probable answer", ucd="meta.code.class"),
    Column("flags", pa.int32(), "bits", ucd="meta.code.qual"),
    Column("speed", pa.float64(), "away from us", "km.s**-1", "spect.dopplerVeloc"),
    Column("vector", pa.list_(pa.float32(), 3), "three numbers"),
    Column("matrix", pa.list_(pa.list_(pa.int32(), 2), 3), "six numbers"),
]
ROWS: list[list[Any]] = [
    IDS,
    BIG,
    [10.5, 20.25, 30.0, None, 359.5],
    [-5.0, 0.0, 80.5, None, -89.0],
    [0.5, None, 0.25, 1.0, 0.0],
    ["Ringed", None, "Other", "Normal", "Merger"],
    [0, 1, 4, 8, 2**31 - 1],
    [1.5, -2.5, None, 0.0, 3e5],
    [[1, 2, 3], None, [0, 0, 0], [4, 5, 6], [7, 8, 9]],
    [[[1, 2], [3, 4], [5, 6]]] * 5,
]


def write(path: Path) -> Path:
    arrays = [pa.array(values, column.type) for values, column in zip(ROWS, COLUMNS, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in COLUMNS])
    write_table(path, format_to_write(path), COLUMNS, [batch], NOTES)
    return path


def stilts(*arguments: str) -> str:
    done = subprocess.run([str(STILTS), *arguments], capture_output=True, text=True, timeout=120, check=False)
    if "parquet" in " ".join(arguments) and (  # which takes a jar of its own
        "Can't make StarTable" in done.stderr or "Unknown format parquet" in done.stderr
    ):
        pytest.skip("this STILTS has no reader of Parquet")
    assert done.returncode == 0, done.stderr
    return done.stdout


def parameters(text: str) -> dict[str, str]:
    """Read what STILTS lists below "Parameters": names at the margin, values below, indented."""
    lines = text.split("Parameters\n----------\n")[1].split("\nColumns\n")[0].splitlines()
    found, name = {}, ""
    for line in lines:
        if line.endswith(":") and not line.startswith(" "):
            name = line[:-1]
            found[name] = ""
        else:
            found[name] += line[4:]
    return found


@needs_stilts
@pytest.mark.parametrize("suffix", ["fits", "vot", "parquet"])
@pytest.mark.slow
def test_stilts_reads_all_of_a_table(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"t.{suffix}")
    told = stilts("tpipe", f"in={path}", "omode=meta")
    columns = told.split("Columns\n-------\n")[1]
    types = dict(line.split(": ")[1].split("(")[0:2] for line in columns.splitlines() if "(" in line)
    assert list(types) == [column.name for column in COLUMNS]
    assert types["id"].startswith("Long)")
    assert "km" in types["speed"]
    assert types["matrix"].startswith("int[2,3])" if suffix == "vot" else "int[")
    found = {name.lower(): value for name, value in parameters(told).items()}
    if suffix == "fits":
        numbered = dict(value.split(" = ", 1) for name, value in found.items() if name.startswith("note"))
        found = {name: value for name, value in found.items() if not name.startswith("note")} | numbered
    assert {name: " ".join(text.split()) for name, text in found.items()} == {
        name: " ".join(text.split()) for name, text in NOTES.items()
    }
    listed = stilts("tpipe", f"in={path}", "cmd=meta name class ucd units description", "ofmt=csv-noheader", "out=-")
    described = {line.split(",")[0]: line for line in listed.splitlines()}
    assert "meta.id;meta.main" in described["id"]
    assert "very very" in described["p_odd"]
    assert described["p_odd"].rstrip('"').endswith("long")
    rows = stilts("tpipe", f"in={path}", "cmd=keepcols 'id big ra p_odd class flags'", "ofmt=csv-noheader", "out=-")
    read = [line.split(",") for line in rows.splitlines()]
    assert [int(one[0]) for one in read] == IDS
    assert [int(one[1]) for one in read] == BIG
    assert [one[2] for one in read][3] == ""
    assert [one[3] for one in read][1] == ""
    assert [one[4] for one in read] == ["Ringed", "", "Other", "Normal", "Merger"]
    assert [int(one[5]) for one in read] == ROWS[6]


@needs_stilts
@pytest.mark.parametrize("suffix", ["fits", "vot", "csv", "ecsv", "parquet"])
@pytest.mark.slow
def test_stilts_joins_on_ids_of_nineteen_digits(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"t.{suffix}")
    Table({"objid": np.array(IDS[::-1]), "mag": [15.0, 16, 17, 18, 19]}).write(tmp_path / "other.fits")
    joined = stilts(
        *("tmatch2", f"in1={path}", f"in2={tmp_path / 'other.fits'}", "matcher=exact", "values1=id", "values2=objid"),
        *(f"ifmt1={ {'vot': 'votable'}.get(suffix, suffix) }", "ocmd=keepcols 'id objid mag'", "ofmt=csv", "out=-"),
    )
    rows = [line.split(",") for line in joined.splitlines()[1:]]
    assert sorted(int(one[0]) for one in rows) == sorted(IDS)
    assert all(one[0] == one[1] for one in rows)


@pytest.mark.parametrize("format", ["parquet", "parquet.votable"])
def test_astropy_reads_parquet_with_text_that_is_null(format: str, tmp_path: Path) -> None:
    columns, values = COLUMNS[:8], ROWS[:8]
    arrays = [pa.array(some, column.type) for some, column in zip(values, columns, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
    path = tmp_path / "t.parquet"
    write_table(path, "parquet", columns, [batch], NOTES)
    table = Table.read(path, format=format)
    assert table["id"].tolist() == IDS
    assert table["big"].tolist() == BIG
    assert table["class"][[0, 2]].tolist() == ["Ringed", "Other"]
    if format == "parquet.votable":
        assert str(table["ra"].unit) == "deg"
        assert table["p_odd"].description.endswith("long")


def test_astropy_reads_parquet_of_no_rows_and_of_text_alone(tmp_path: Path) -> None:
    columns = [Column("class", pa.string())]
    for values in ([], [None], ["天 🌌", None]):
        batch = pa.RecordBatch.from_arrays([pa.array(values, pa.string())], names=["class"])
        write_table(tmp_path / "t.parquet", "parquet", columns, [batch], {})
        table = Table.read(tmp_path / "t.parquet", format="parquet")
        assert table["class"].tolist() == [str(value) for value in values]


@pytest.mark.parametrize("suffix", ["fits", "vot", "ecsv"])
def test_astropy_reads_all_of_a_table(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"t.{suffix}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", AstropyUserWarning)
        table = Table.read(path, format={"vot": "votable", "ecsv": "ascii.ecsv"}.get(suffix, suffix))
    assert table["id"].tolist() == IDS
    assert [int(one) for one in table["big"]] == BIG
    assert list(table["class"][[0, 2, 3, 4]]) == ["Ringed", "Other", "Normal", "Merger"]
    assert np.asarray(table["matrix"]).tolist() == ROWS[9]
    assert str(table["speed"].unit) == "km / s"


def test_lsdb_joins_on_ids_of_nineteen_digits(tmp_path: Path) -> None:
    lsdb = pytest.importorskip("lsdb", reason="LSDB is not installed")
    ra, dec = np.array([10.0, 10.1, 10.2, 200.0, 300.0]), np.array([0.0, 0.1, 0.2, -40.0, 60.0])
    table = {"id": pa.array(IDS), "ra": ra, "dec": dec, HEALPIX.name: healpix_29(ra, dec)}
    pa.parquet.write_table(pa.table(table), tmp_path / "c.parquet")
    convert(tmp_path / "c.parquet", tmp_path / "c_hats", as_hats=True)
    found = lsdb.open_catalog(tmp_path / "c_hats").compute()
    other = pa.table({"objid": pa.array(IDS)}).to_pandas()
    assert len(found.merge(other, left_on="id", right_on="objid")) == len(IDS)


def test_hats_keeps_the_type_of_ids(tmp_path: Path) -> None:
    for type, ids in ((pa.int64(), IDS), (pa.uint64(), BIG), (pa.string(), ["007", "7", "a", "b", "c"])):
        table = {"id": pa.array(ids, type), "ra": [10.0] * 5, "dec": [0.0] * 5}
        pa.parquet.write_table(pa.table(table), tmp_path / "c.parquet")
        folder = tmp_path / f"{type}_hats"
        convert(tmp_path / "c.parquet", folder, as_hats=True)
        (part,) = folder.glob("dataset/Norder=*/**/*.parquet")
        found = pa.parquet.ParquetFile(part).read()["id"]
        assert (found.type, found.to_pylist()) == (type, ids)
