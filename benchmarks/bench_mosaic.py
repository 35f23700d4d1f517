"""Measure stamps cut from a memory-mapped mosaic of three bands, per second on one core, against a loop with astropy.

``python benchmarks/bench_mosaic.py [SIDE]`` makes a mosaic of SIDE x SIDE x 3 float32 (10,000: 1.2 GB) in a temporary
folder, and deletes it afterwards. CPU and wall-clock times are given; on a busy machine rely on the CPU time.
"""

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.visualization import make_lupton_rgb
from astropy.wcs import WCS

from machine import describe, make_parser, record
from peculiar.sources import open_mosaic

COUNT, PLAIN, SIDES = 5000, 300, (64, 128)


def make(folder: Path, side: int) -> WCS:
    """Write mosaic and positions; the noise repeats every 500 rows, which does not affect the timing."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.0, 2.0], [side / 2, side / 2]
    wcs.wcs.cd = np.array([[-1, 0], [0, 1]]) * 0.396 / 3600
    header = wcs.to_header()
    header["BUNIT"], header["BANDS"] = "nanomaggy", "gri"
    cards = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 3, "NAXIS1": side, "NAXIS2": side, "NAXIS3": 3})
    cards.extend(header.cards, unique=True)
    stream = fits.StreamingHDU(folder / "mosaic.fits", cards)
    rng = np.random.default_rng(222)
    rows = rng.normal(0, 0.05, (500, side)).astype(">f4") + rng.gamma(0.01, 20, (500, side)).astype(">f4")
    for _ in range(3):
        for start in range(0, side, 500):
            stream.write(rows[: min(500, side - start)].astype(">f4"))
    stream.close()
    pixels = rng.uniform(70, side - 70, (COUNT, 2))
    ra, dec = wcs.all_pix2world(pixels, 0).T
    pa.parquet.write_table(pa.table({"id": np.arange(COUNT), "ra": ra, "dec": dec}), folder / "positions.parquet")
    return wcs


def timed(work: Callable[[], Iterable[object]]) -> tuple[float, float]:
    """Return results per CPU-second and per wall-clock second, the best of three rounds."""
    rates = []
    for _ in range(3):
        cpu, clock = time.process_time(), time.perf_counter()
        count = sum(1 for _ in work())
        rates.append((count / (time.process_time() - cpu), count / (time.perf_counter() - clock)))
    return max(rate for rate, _ in rates), max(rate for _, rate in rates)


def plain(path: Path, ra: np.ndarray, dec: np.ndarray, side: int) -> Iterable[np.ndarray]:
    """Cut and stretch each stamp separately, as most scripts do."""
    with fits.open(path, memmap=True) as hdus:
        wcs = WCS(hdus[0].header, naxis=2)
        for place in zip(ra, dec, strict=True):
            position = wcs.all_world2pix(*place, 0)
            g, r, i = (Cutout2D(hdus[0].data[band], position, side, wcs=wcs).data for band in range(3))
            yield make_lupton_rgb(i, 1.2 * r, 1.85 * g, minimum=-0.02, stretch=0.8, Q=6)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("side", type=int, nargs="?", default=10_000)
    length = parser.parse_args().side
    machine = describe("astropy", "numpy")
    rows: list[tuple[str, float, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wcs = make(folder, length)
        path, catalog = folder / "mosaic.fits", folder / "positions.parquet"
        positions = pa.parquet.read_table(catalog)
        ra, dec = (positions[column].to_numpy()[:PLAIN] for column in ("ra", "dec"))
        assert wcs.has_celestial
        for side in SIDES:
            source = open_mosaic(path, catalog, stamp_size=f"{side}px")
            cut = timed(source.rows)
            pictures = timed(lambda source=source: (row.content() for row in source.rows()))
            loop = timed(lambda side=side: plain(path, ra, dec, side))
            for what, (cpu, clock) in (
                (f"{side} px, cut", cut),
                (f"{side} px, cut and stretched", pictures),
                (f"{side} px, Cutout2D and make_lupton_rgb", loop),
            ):
                rows += [(what, cpu, "stamps/CPU-s"), (what, clock, "stamps/s")]
            rows.append((f"{side} px, over Cutout2D and make_lupton_rgb", pictures[0] / loop[0], "times"))
    record(machine, *rows)


if __name__ == "__main__":
    main()
