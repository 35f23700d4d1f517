"""Tables of FITS, VOTable and ECSV that are damaged, hostile, or none."""

import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table

from peculiar.errors import DataError, PeculiarWarning, UnknownNameError
from peculiar.tables.column import Column
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import write_table


def fits_bytes(rows: int = 3) -> bytes:
    file = io.BytesIO()
    Table({"id": np.arange(rows), "ra": np.linspace(0, 1, rows)}).write(file, format="fits")
    return file.getvalue()


def test_a_compressed_fits_table_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(fits_bytes()))
    assert TableReader(tmp_path / "a.fits.gz").column("id") == [0, 1, 2]


def test_a_boolean_is_null_whatever_its_name_and_wherever_it_lies(tmp_path: Path) -> None:
    (name, values), path = ("größe", [True, None, False]), tmp_path / "a.fits"
    array = pa.array(values)
    write_table(path, "fits", [Column(name, pa.bool_())], [pa.record_batch({name: array})], {})
    path.with_suffix(".fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    for one in (path, path.with_suffix(".fits.gz")):
        assert TableReader(one).column(name) == values


@pytest.mark.parametrize(("scale", "zero"), [(1, 0), (1, 2**15), (0.5, 0), (0.5, 100)])
@pytest.mark.parametrize("lists", [False, True])
def test_an_integer_is_null_whatever_its_scale(scale: float, zero: float, lists: bool, tmp_path: Path) -> None:
    stored = np.array([1, 2, -9], np.int16)
    columns = [fits.Column("n", "I", array=stored, null=-9)]
    if lists:
        columns.append(fits.Column("lists", "PD()", array=np.array([[1.0], [2.0, 3.0], []], dtype=object)))
    hdu = fits.BinTableHDU.from_columns(columns)
    for key, value in (("TSCAL1", scale), ("TZERO1", zero)):
        hdu.header[key] = value
    path = tmp_path / "a.fits"
    hdu.writeto(path)
    path.with_suffix(".fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    for one in (path, path.with_suffix(".fits.gz")):
        assert TableReader(one).column("n") == [1 * scale + zero, 2 * scale + zero, None]


def card(name: str, value: int) -> bytes:
    return f"{name:8}= {value:>20}".encode()


def test_a_fits_table_of_more_rows_than_bytes_is_refused(tmp_path: Path) -> None:
    content = fits_bytes().replace(card("NAXIS2", 3), card("NAXIS2", 10**11))
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=r"a\.fits\.gz: .*ends before the last of its 100,000,000,000 rows"):
        TableReader(tmp_path / "a.fits.gz").column("id")


def test_rows_without_columns_are_refused(tmp_path: Path) -> None:
    content = fits_bytes().replace(card("NAXIS1", 16), card("NAXIS1", 0))[:-2880]
    (tmp_path / "a.fits").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.fits: .*says that it has 3 rows of 0 bytes"):
        TableReader(tmp_path / "a.fits").column("id")


def test_a_table_that_an_image_lacks_is_told(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "a.fits")
    with pytest.raises(UnknownNameError, match="there is no table 'STARS'"):
        TableReader(tmp_path / "a.fits", table="STARS")


DOCUMENT = (
    '<?xml version="1.0" encoding="{encoding}"?>{before}<VOTABLE version="1.4" '
    'xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>{content}</RESOURCE></VOTABLE>'
)
FETCHED = (
    '<TABLE><FIELD name="id" datatype="int"/><DATA><FITS><STREAM href="http://127.0.0.1/a.fits"/></FITS></DATA></TABLE>'
)


@pytest.mark.parametrize(
    ("encoding", "before", "content", "said"),
    [
        ("utf-16", "", "", "is in the encoding utf-16; write it in UTF-8"),
        ("utf-8", "", FETCHED, "refers to another file for its rows"),
        ("utf-8", '<!DOCTYPE VOTABLE [<!ENTITY a "aaaa">]>', "", "or defines entities"),
        ("utf-8", "", "", "holds no table"),
        ("utf-8", "", '<INFO name="QUERY_STATUS" value="ERROR">no such  column</INFO>', "service: no such column"),
    ],
)
def test_a_votable_that_is_none_says_why(encoding: str, before: str, content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.vot").write_text(DOCUMENT.format(encoding=encoding, before=before, content=content))
    with pytest.raises(DataError, match=rf"a\.vot: .*{said}"):
        TableReader(tmp_path / "a.vot").column("id")


def test_a_description_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    aliases = "".join(f"# - {{name: a{number}, datatype: *x}}\n" for number in range(30))
    (tmp_path / "a.ecsv").write_text(f"# %ECSV 1.0\n# ---\n# datatype:\n{aliases}a0\n1\n")
    with pytest.raises(DataError, match=r"a\.ecsv: .*has too many aliases"):
        TableReader(tmp_path / "a.ecsv").column("a0")


def test_a_table_that_a_service_cut_off_is_told(tmp_path: Path) -> None:
    rows = '<TABLE><FIELD name="id" datatype="int"/><DATA><TABLEDATA><TR><TD>7</TD></TR></TABLEDATA></DATA></TABLE>'
    content = rows + '<INFO name="QUERY_STATUS" value="OVERFLOW"/>'
    (tmp_path / "a.vot").write_text(DOCUMENT.format(encoding="UTF-8", before="", content=content))
    with pytest.warns(PeculiarWarning, match=r"a\.vot: the service that made it left out rows beyond 1; ask"):
        assert TableReader(tmp_path / "a.vot").column("id") == [7]
