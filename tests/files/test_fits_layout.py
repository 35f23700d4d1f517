"""Sizes and places in a FITS file that cannot be: an error, whatever is read from it."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from peculiar.errors import DataError, PictureError
from peculiar.files.fits_layout import in_order
from peculiar.sources import open_mosaic, open_source
from peculiar.tables.convert import convert


def broken(key: str, *hdus: fits.hdu.base.ExtensionHDU) -> bytes:
    """A FITS file in which the last header states -5 for a size."""
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(np.zeros((3, 64, 64), np.float32)), *hdus]).writeto(buffer)
    content = buffer.getvalue()
    start = content.rindex(f"{key:8}=".encode())
    return content[:start] + f"{key:8}= {-5:>20}".ljust(80).encode() + content[start + 80 :]


FILES = {
    "the picture": broken("NAXIS1"),
    "an extension": broken("NAXIS2", fits.ImageHDU(np.zeros((64, 64), np.float32))),
    "a table": broken("NAXIS2", fits.BinTableHDU(np.rec.array([(1, 2.0)] * 9, names="id,ra"))),
}


def read_picture() -> None:
    problem = next(open_source("x.fits").galaxies()).problem
    if problem is not None:
        raise PictureError(problem)


def read_mosaic() -> None:
    Path("t.csv").write_text("id,ra,dec\na,1,2\n")
    open_mosaic("x.fits", "t.csv", stamp_size="9px")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("read", [read_picture, read_mosaic, lambda: convert("x.fits", "x.csv")])
def test_it_is_an_error(read: Callable[[], object], file: str) -> None:
    Path("x.fits").write_bytes(FILES[file])
    with pytest.raises((DataError, PictureError), match="negative size" if file == "the picture" else None):
        read()


def test_a_whole_file_is_read_to_its_end() -> None:
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((4, 4)))]).writeto(buffer)
    assert len(in_order(fits.open(io.BytesIO(buffer.getvalue())))) == 2


PLACES = {
    "behind": (3, 2_000_000_000),
    "before": (1, -671_088_639),
    "too many": (536_870_913, 0),
    "fewer than none": (-5, 4),
}


def misplaced(place: str, content: bytes, at: int) -> bytes:
    with fits.open(io.BytesIO(content), disable_image_compression=True) as hdus:
        start = hdus[1].fileinfo()["datLoc"] + at
    return content[:start] + struct.pack(">ii", *PLACES[place]) + content[start + 8 :]


@pytest.mark.parametrize("place", PLACES)
def test_lists_outside_a_table_are_refused(place: str) -> None:
    lists = np.array([np.arange(3.0), np.arange(5.0)], dtype=object)
    columns = [fits.Column("id", "K", array=[1, 2]), fits.Column("v", "PD()", array=lists)]
    buffer = io.BytesIO()
    fits.BinTableHDU.from_columns(columns).writeto(buffer)
    Path("x.fits").write_bytes(buffer.getvalue())
    assert convert("x.fits", "whole.parquet").rows == 2
    Path("x.fits").write_bytes(misplaced(place, buffer.getvalue(), 8))
    with pytest.raises(DataError, match=r"x\.fits: its lists of variable length lie outside the file"):
        convert("x.fits", "x.parquet")


@pytest.mark.parametrize("how", ["GZIP_1", "GZIP_2", "RICE_1", "HCOMPRESS_1", "PLIO_1"])
@pytest.mark.parametrize("place", PLACES)
def test_tiles_outside_the_file_are_refused(how: str, place: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 99, (64, 64), dtype=np.int16)
    buffer = io.BytesIO()
    packed = fits.CompImageHDU(pixels, compression_type=how, tile_shape=(16, 64))
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(buffer)
    Path("x.fits").write_bytes(misplaced(place, buffer.getvalue(), 0))
    problem = next(open_source("x.fits").galaxies()).problem
    assert "compressed tiles lie outside the file" in str(problem)
