"""A header with a negative size ends the reading of a FITS file, whatever is read from it."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from peculiar.errors import DataError, PictureError
from peculiar.files.fits_order import in_order
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
