"""Damaged, hostile and odd tables of every format: rows or an error, in little memory and time; nothing is fetched."""

import gzip
import io
import os
import socket
from collections.abc import Callable
from itertools import product
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.table import Table

import fuzz
from peculiar.catalogs.catalog import Catalog
from peculiar.checks.check import check
from peculiar.errors import DataError, PeculiarWarning, UnknownNameError
from peculiar.sources import open_source
from peculiar.tables.column import VOTABLE_CONTENT
from peculiar.tables.convert import convert
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import find_sky

FORMATS = ("csv", "tsv", "ecsv", "vot", "fits", "parquet", "txt")
TOKENS = {
    "csv": [b'"', b",", b"\n", b"\r", b"#", b"\0", b"null", b"\xff\xfe", b"sep=;\n", b"-" * 9],
    "ecsv": [b"&a ", b"*a", b"!!python/object:os.system ", b"datatype: ", b"null", b"subtype: json"],
    "vot": [b'<STREAM href="http://127.0.0.1:9/"/>', b"<!ENTITY a 'b'>", b"&a;", b"<TABLE>", b"</TR>", b"<TD/>"],
    "fits": [b"END" + b" " * 77, b"1PD(9)  ", b"99999999J"],
    "parquet": [b"PAR1", b"\x15\xff\xff\xff\xff\x7f"],
}


def corpus(folder: Path) -> list[Path]:
    """Write a small table in every format; no two columns of one type."""
    rng = np.random.default_rng(7)
    table = Table(
        {
            "id": [f"g{row}" for row in range(20)],
            "ra": rng.uniform(0, 6, 20) * u.rad,
            "dec": rng.uniform(-80, 80, 20) * u.deg,
            "count": np.arange(20, dtype=np.int16),
            "bright": np.arange(20) % 3 == 0,
            "R50": np.ma.masked_less(rng.uniform(0, 9, 20).astype(np.float32), 1) * u.arcsec,
        }
    )
    table.meta = {"SURVEY": "none", "notes": "a few words"}
    for name, format in (("csv", "ascii.csv"), ("tsv", "ascii.tab"), ("txt", "ascii.commented_header")):
        table.write(folder / f"a.{name}", format=format)
    table.write(folder / "a.ecsv")
    table.write(folder / "a.vot", format="votable")
    table["spectrum"] = rng.normal(0, 1, (20, 3))
    table.write(folder / "a.fits")
    table.write(folder / "a2.vot", format="votable", tabledata_format="binary2")
    table.remove_column("spectrum")
    table.write(folder / "a.parquet")
    pictures = pa.array([b"x" * 50] * 20)
    plain = pa.parquet.read_table(folder / "a.parquet").append_column("image", pictures)
    pa.parquet.write_table(plain.replace_schema_metadata({}), folder / "a2.parquet", row_group_size=7)
    (folder / "a2.csv").write_bytes(gzip.compress((folder / "a.csv").read_bytes()))
    return sorted(folder.glob("a*"))


def read(path: Path) -> None:
    """Read a table as commands do: its length, its positions, all its columns."""
    reader = TableReader(path)
    if len(reader) > 10_000_000:
        raise DataError("more rows than the corpus can hold")
    find_sky(reader)
    for name in dict.fromkeys(reader.columns):
        for batch in reader.batches([name]):
            batch.column(0).to_pylist()


def run(folder: Path, count: int, seed: int) -> None:
    good = folder / "good"
    good.mkdir()
    files: dict[str, list[Path]] = {}
    for path in corpus(good):
        read(path)
        kind = path.suffix.removeprefix(".")
        made = folder / path.name
        made.mkdir()
        tokens = TOKENS.get(kind, TOKENS["csv"])
        files[path.name] = [*fuzz.damaged([path], count, seed=seed, folder=made, tokens=tokens)]
    found = fuzz.read_all(
        "test_fuzz_tables:read", [one for some in files.values() for one in some], seconds=20, megabytes=1000
    )
    assert not fuzz.faults(found), fuzz.faults(found)
    for name, some in files.items():
        assert len(some) == count
        assert sum(found[one] == "read" for one in some) < count, name  # some were damaged indeed


@pytest.mark.filterwarnings("ignore")
def test_damaged_tables_give_rows_or_an_error(tmp_path: Path) -> None:
    run(tmp_path, 12, seed=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_damaged_tables_give_rows_or_an_error(seed: int, tmp_path: Path) -> None:
    run(tmp_path, 400, seed=seed)


VOTABLE = (
    '<?xml version="1.0"?>{}<VOTABLE version="1.3"><RESOURCE><TABLE><FIELD name="id" datatype="int"/>'
    "<DATA>{}</DATA></TABLE></RESOURCE></VOTABLE>"
)


# What stands before a VOTable, and in it.
REFERENCES = [
    ("", '<BINARY><STREAM href="{}"/></BINARY>'),
    ("", "<BINARY2><STREAM encoding='gzip'\n href = '{}'></STREAM></BINARY2>"),
    ("", '<FITS><STREAM href="{}"/></FITS>'),
    ('<!DOCTYPE x [<!ENTITY a SYSTEM "{}">]>', "<TABLEDATA><TR><TD>&a;</TD></TR></TABLEDATA>"),
    ('<!DOCTYPE x [<!ENTITY a "{}">]>', "<TABLEDATA><TR><TD>&a;</TD></TR></TABLEDATA>"),
]


@pytest.mark.parametrize("inside", [False, True], ids=["votable", "parquet"])
@pytest.mark.slow
def test_nothing_is_fetched_for_a_table(inside: bool, tmp_path: Path) -> None:
    addresses = ("http://127.0.0.1:9/rows", "file:///etc/hostname", "ftp://127.0.0.1:9/rows")
    paths = []
    for number, ((prologue, data), address) in enumerate(product(REFERENCES, addresses)):
        content = VOTABLE.format(prologue, data).replace("{}", address).encode()
        paths.append(tmp_path / f"a{number}")
        if inside:
            table = pa.table({"id": [1]}).replace_schema_metadata({VOTABLE_CONTENT: content})
            pa.parquet.write_table(table, paths[-1])
        else:
            paths[-1].write_bytes(content)
    found = fuzz.read_all("test_fuzz_tables:read", paths, seconds=30)
    assert len(found) == 15
    for path, told in found.items():
        assert "nothing is fetched" in told, (path.read_bytes(), told)


def yaml_bomb(merge: bool) -> bytes:
    lines = ["# %ECSV 1.0", "# ---", "# meta:", "#   a0: &a0 {x: lol}"]
    for level in range(1, 40):
        value = f"{{<<: [*a{level - 1}, *a{level - 1}], y{level}: 1}}" if merge else f"[*a{level - 1}, *a{level - 1}]"
        lines.append(f"#   a{level}: &a{level} {value}")
    return "\n".join([*lines, "# datatype:", "# - {name: id, datatype: int64}", "id", "1", ""]).encode()


def wide_dictionary(path: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), pa.array(["x" * 20_000_000]))
    pa.parquet.write_table(pa.table({"id": column}), path, dictionary_pagesize_limit=1 << 30)


def varint(number: int) -> bytes:
    """Return a number as Thrift writes it, after the mark of a field of 64 bits."""
    rest, found = 2 * number, bytearray(b"\x16")
    while rest > 127:
        found.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*found, rest])


def claim_rows(path: Path, rows: int, lies: slice = slice(None)) -> None:
    """Write a table of 1,000 rows whose footer states another number, in the places that hold it."""
    content = io.BytesIO()
    table = pa.table({"id": range(1000), "ra": np.arange(1000.0), "dec": np.zeros(1000), "image": [b"x"] * 1000})
    pa.parquet.write_table(table, content, compression="none", store_schema=False)
    whole = content.getvalue()
    begin = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    pieces = whole[begin:-8].split(varint(1000))
    numbers = [1000] * (len(pieces) - 1)
    numbers[lies] = [rows] * len(numbers[lies])
    footer = pieces[0] + b"".join(varint(one) + piece for one, piece in zip(numbers, pieces[1:], strict=True))
    path.write_bytes(whole[:begin] + footer + len(footer).to_bytes(4, "little") + b"PAR1")


@pytest.mark.parametrize("use", [TableReader, open_source, Catalog, check])
@pytest.mark.parametrize("rows", [10**9, 10**12, 2**62])
@pytest.mark.parametrize("lies", [slice(1), slice(1, None), slice(None)], ids=["file", "groups", "both"])
def test_a_number_of_rows_that_the_bytes_cannot_hold_is_refused(
    use: Callable[[Path], object], rows: int, lies: slice, tmp_path: Path
) -> None:
    claim_rows(tmp_path / "a.parquet", rows, lies)
    with pytest.raises(DataError, match=r"a\.parquet.*says that it has [\d,]+ rows"):
        use(tmp_path / "a.parquet")
    claim_rows(tmp_path / "a.parquet", 1000)
    assert len(TableReader(tmp_path / "a.parquet")) == 1000  # which only the number spoils


BOMBS: dict[str, Callable[[Path], object]] = {
    "gzip of lines": lambda path: path.write_bytes(gzip.compress(b"id,ra\n" + b"7,1\n" * 80_000_000, 1)),
    "gzip of one line": lambda path: path.write_bytes(gzip.compress(b"id,ra\n" + b"7" * 400_000_000, 1)),
    "aliases in YAML": lambda path: path.write_bytes(yaml_bomb(merge=False)),
    "merges in YAML": lambda path: path.write_bytes(yaml_bomb(merge=True)),
    "a wide dictionary": wide_dictionary,
    "10^12 rows in the footer": lambda path: claim_rows(path, 10**12),
    "astropy's YAML in Parquet": lambda path: pa.parquet.write_table(
        pa.table({"id": [1]}).replace_schema_metadata({"table_meta_yaml": yaml_bomb(merge=True)}), path
    ),
}


def first_rows(path: Path) -> None:
    reader = TableReader(path)
    len(reader)
    for name in reader.columns:
        next(reader.batches([name]), None)


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_what_is_built_to_fill_the_memory_does_not(bomb: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    BOMBS[bomb](path)
    found = fuzz.read_all("test_fuzz_tables:first_rows", [path], seconds=60, megabytes=1400)
    assert not fuzz.faults(found), found
    if bomb != "a wide dictionary":
        assert found[path].startswith("refused: "), found


@pytest.mark.parametrize("use", [TableReader, open_source, Catalog, check])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_pipes_sockets_and_devices_are_no_tables(use: Callable[[Path], object], kind: str, tmp_path: Path) -> None:
    path = Path("given")  # relative, since the address of a socket is short
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(DataError, match=f"given.* {kind}"):
        use(path)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "ecsv", "fits", "vot"])
@pytest.mark.parametrize("name", ["a:b", "http:x", "s3:x"])
def test_a_colon_in_a_relative_path_is_no_address(suffix: str, name: str) -> None:
    table = Table({"id": [1, 2], "ra": [1.0, 2.0] * u.deg, "dec": [1.0, 2.0] * u.deg})
    format = {"vot": "votable", "csv": "ascii.csv", "ecsv": "ascii.ecsv"}.get(suffix, suffix)
    table.write(Path("plain").absolute(), format=format)
    path = Path("plain").rename(f"{name}.{suffix}")
    assert [str(value) for value in TableReader(path).column("id")] == ["1", "2"]
    assert convert(path, "out.parquet").rows == 2
    if suffix == "parquet":
        assert len(Catalog(path)) == 2


@pytest.mark.parametrize("write", ["parquet", "csv"])
def test_two_columns_of_one_name_are_told(write: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{write}"
    if write == "csv":
        path.write_text("id,x,x\n1,2,3\n4,5,6\n")
    else:
        pa.parquet.write_table(
            pa.Table.from_arrays([pa.array([1, 4]), *[pa.array([2, 5])] * 2], ["id", "x", "x"]), path
        )
    reader = TableReader(path)
    assert len(reader) == 2
    assert [str(value) for value in reader.column("id")] == ["1", "4"]
    for use in (reader.column, lambda _: check(path)):
        with pytest.raises(DataError, match="several columns have the name 'x'; rename them"):
            use("x")


TWO = (
    '<?xml version="1.0"?><VOTABLE version="1.3"><RESOURCE><TABLE name="info"><FIELD name="key" datatype="int"/><DATA>'
    '<TABLEDATA><TR><TD>1</TD></TR></TABLEDATA></DATA></TABLE><TABLE name="galaxies"><FIELD name="id" datatype="int"/>'
    "<DATA><TABLEDATA><TR><TD>7</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
)


def two_tables(folder: Path, format: str) -> Path:
    path = folder / f"two.{format}"
    if format == "vot":
        path.write_text(TWO)
    else:
        from astropy.io import fits

        tables = [
            fits.BinTableHDU(Table({"key": [1]}), name="info"),
            fits.BinTableHDU(Table({"id": [7]}), name="galaxies"),
        ]
        fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)
    return path


@pytest.mark.parametrize("format", ["vot", "fits"])
def test_which_of_several_tables_is_read_is_said(format: str, tmp_path: Path) -> None:
    path = two_tables(tmp_path, format)
    with pytest.warns(
        PeculiarWarning, match=r"(?i)2 tables \(info, galaxies\), of which the first is read.*--table NAME"
    ):
        assert [name.lower() for name in TableReader(path).columns] == ["key"]
    for name in ("galaxies", "GALAXIES", "2"):
        assert TableReader(path, name).column("id") == [7]
    with pytest.raises(UnknownNameError, match=r"(?i)no table 'galaxy'.*Did you mean 'galaxies'"):
        TableReader(path, "galaxy")


def test_a_service_says_itself_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "error.vot"
    path.write_text(
        '<?xml version="1.0"?><VOTABLE version="1.3"><RESOURCE type="results"><INFO name="QUERY_STATUS" value="ERROR">'
        "Unknown column\n raj</INFO></RESOURCE></VOTABLE>"
    )
    with pytest.raises(DataError, match=r"error\.vot: .*error message of a service: Unknown column raj"):
        TableReader(path)


@pytest.mark.parametrize("pack", [lambda content: content, gzip.compress])
def test_null_in_ecsv_is_null(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    header = "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n# - {name: source_id, datatype: int64}\n"
    header += "# - {name: parallax, datatype: float64}\n# - {name: nobs, datatype: int32}\nsource_id,parallax,nobs\n"
    (tmp_path / "gaia.csv.gz").write_bytes(pack(f"{header}4295806720,null,12\n34361129088,1.25,null\n".encode()))
    reader = TableReader(tmp_path / "gaia.csv.gz")
    assert reader.column("source_id") == [4295806720, 34361129088]
    assert reader.column("parallax") == [None, 1.25]
    assert reader.column("nobs") == [12, None]
