"""FITS files of simulated galaxies at known positions on the sky."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray


def sky(
    ra: float = 150.0,
    dec: float = 2.0,
    *,
    shape: tuple[int, int] = (400, 500),
    pixel: float = 0.4,
    turn: float = 0.0,
    sip: float = 0.0,
) -> WCS:
    """A tangential projection with its reference at the middle; ``sip`` is a distortion in pixels at the edge."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"] if sip else ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra, dec], [shape[1] / 2 + 0.5, shape[0] / 2 + 0.5]
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.cd = np.array([[-c, s], [s, c]]) * pixel / 3600
    if sip:
        from astropy.wcs import Sip

        a, b = np.zeros((3, 3)), np.zeros((3, 3))
        a[2, 0] = b[0, 2] = sip / (shape[1] / 2) ** 2
        wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.wcs.radesys = "ICRS"
    wcs.pixel_shape = shape[::-1]
    wcs.wcs.set()
    return wcs


def planted(
    shape: tuple[int, int], places: Sequence[tuple[float, float]], *, flux: float = 30.0, seed: int = 222
) -> NDArray[np.float32]:
    """Return SDSS noise with round galaxies at (column, row), Gaussians of two pixels."""
    rows, columns = np.indices(shape)
    image = np.random.default_rng(seed).normal(0, 0.03, shape)
    for column, row in places:
        image += flux / (8 * np.pi) * np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / 8)
    return image.astype(np.float32)


def header(wcs: WCS | None, **cards: object) -> fits.Header:
    made = wcs.to_header(relax=True) if wcs is not None else fits.Header()
    for key, value in cards.items():
        made[key] = value
    return made


def write_bands(path: Path, bands: dict[str, NDArray[np.generic]], wcs: WCS | None = None, **cards: object) -> Path:
    """Write one extension per band, with its name in FILTER."""
    hdus = [fits.ImageHDU(data, header(wcs, FILTER=name, **cards)) for name, data in bands.items()]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


def centroid(picture: NDArray[np.uint8]) -> tuple[float, float]:
    """Return column and row of the centroid of the light above a quarter of the peak."""
    light = picture.astype(float).sum(axis=2)
    light = np.maximum(light - light.max() / 4, 0)
    rows, columns = np.indices(light.shape)
    return float((light * columns).sum() / light.sum()), float((light * rows).sum() / light.sum())


def positions(path: Path, wcs: WCS, places: Sequence[tuple[float, float]], **columns: list[object]) -> Path:
    """A table of the positions on the sky of places (column, row)."""
    ra, dec = wcs.all_pix2world(np.array(places), 0).T
    table = pa.table({"id": [f"g{n}" for n in range(len(places))], "ra": ra, "dec": dec, **columns})
    pa.parquet.write_table(table, path)
    return path


def two_tiles(folder: Path, side: int = 500, count: int = 60) -> Path:
    """Write two tiles that overlap by a fifth, in three bands: ``west`` (TAN-SIP) and ``east`` (TAN).

    Each file has its image, and extensions MASK and VARIANCE. West has a gap of NaN all through the overlap and beyond,
    east a hole where west has none. The table beside the folder has galaxies all over the tiles and around them; its
    ids are 64-bit integers up to the largest, and one is negative. Returns the path of the table.
    """
    folder.mkdir()
    pixel = 0.4
    apart = 0.8 * side * pixel / 3600
    skies = {
        "west": sky(150.0, 2.0, shape=(side, side), sip=side / 250),
        "east": sky(150.0 + apart, 2.0, shape=(side, side)),
    }
    gaps = {
        "west": np.s_[side * 3 // 10 : side * 4 // 10, : side // 2],
        "east": np.s_[side * 6 // 10 : side * 7 // 10, side * 3 // 4 :],
    }
    for name, wcs in skies.items():
        for number, band in enumerate("gri"):
            rng = np.random.default_rng([number, name == "west"])
            image = rng.normal(0, 0.03, (side, side)).astype(np.float32)
            image[gaps[name]] = np.nan
            cards = header(wcs, FILTER=band, BUNIT="nanomaggy")
            mask = fits.ImageHDU(np.isnan(image).astype(np.int16), header(wcs), name="MASK")
            variance = fits.ImageHDU(np.full_like(image, 9e-4), header(wcs), name="VARIANCE")
            fits.HDUList([fits.PrimaryHDU(image, cards), mask, variance]).writeto(folder / f"{name}-{band}.fits")
    rng = np.random.default_rng(222)
    places = rng.uniform((-0.9 * side, -0.05 * side), (1.05 * side, 1.05 * side), (count, 2))
    ra, dec = sky(150.0, 2.0, shape=(side, side)).all_pix2world(places, 0).T
    ids = [-1, *range(2**63 - count + 1, 2**63)]
    table = folder.parent / "galaxies.parquet"
    pa.parquet.write_table(pa.table({"id": pa.array(ids, pa.int64()), "ra": ra, "dec": dec}), table)
    return table
