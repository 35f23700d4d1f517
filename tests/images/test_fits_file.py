"""FITS pixels: every number type, every way of storage and of access give the values that astropy gives."""

import bz2
import gzip
import itertools
import lzma
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

import fuzz
from peculiar.errors import DataError, PictureError
from peculiar.files.limits import PIXELS
from peculiar.images.fits import find_planes, read_bands
from peculiar.images.fits_file import FitsFile, looks_like_fits, quietly
from peculiar.images.framing import Framing
from peculiar.images.stamps import sky_centre
from peculiar.sources import open_mosaic, open_source
from skies import header, planted, positions, sky, write_bands

SHAPE = (37, 50)
WINDOW = np.s_[5:21, 30:47]
PACKED: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}

# Name of a type: what BITPIX, BSCALE, BZERO and BLANK are.
TYPES: dict[str, tuple[int, float, float, int | None]] = {
    "uint8": (8, 1, 0, None),
    "int8": (8, 1, -128, None),
    "uint8 blank": (8, 1, 0, 3),
    "uint8 scaled": (8, 0.5, 7, 3),
    "int16": (16, 1, 0, None),
    "int16 blank": (16, 1, 0, -32768),
    "int16 scaled": (16, 0.1, 500, -32768),
    "uint16": (16, 1, 2**15, None),
    "uint16 blank": (16, 1, 2**15, -32768),
    "int32": (32, 1, 0, None),
    "int32 blank": (32, 1, 0, 0),
    "int32 scaled": (32, 0.1, 500, 5),
    "uint32": (32, 1, 2**31, None),
    "uint32 blank": (32, 1, 2**31, -(2**31)),
    "int64": (64, 1, 0, None),
    "int64 scaled": (64, 0.25, 3, 5),
    "uint64": (64, 1, 2**63, None),
    "uint64 blank": (64, 1, 2**63, -(2**63)),
    "float32": (-32, 1, 0, None),
    "float32 scaled": (-32, 2.5, 1, None),
    "float64": (-64, 1, 0, None),
}
STORED = ["plain", "extension", "cube", *PACKED, "RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1", "NOCOMPRESS"]


def stored(bits: int, blank: int | None) -> NDArray[np.generic]:
    """Numbers as they lie in the file: all over the range of small types, around the zero of unsigned large ones."""
    rng = np.random.default_rng(5)
    if bits < 0:
        data = rng.normal(0, 100, SHAPE).astype(f"f{-bits // 8}")
        data[2, 3] = data[10, 40] = np.nan
        return data
    low, high = (0, 256) if bits == 8 else (-(2 ** (bits - 1)), -(2 ** (bits - 1)) + 30000)
    data = rng.integers(low, high, SHAPE).astype("u1" if bits == 8 else f"i{bits // 8}")
    if bits == 16:
        data = rng.integers(-32767, 32768, SHAPE).astype("i2")
    if blank is not None:
        data[7, 33] = data[20, 20] = blank
    return data


def values(data: NDArray[np.generic], scale: float, zero: float, blank: int | None) -> NDArray[np.float32]:
    """What they stand for, in exact arithmetic where that is possible."""
    if data.dtype.kind == "f":
        made = data if (scale, zero) == (1, 0) else data * data.dtype.type(scale) + data.dtype.type(zero)
        return made.astype(np.float32)
    if scale == 1:
        made = np.array([float(int(value) + int(zero)) for value in data.flat], np.float64).reshape(data.shape)
    else:
        kind = np.float32 if data.dtype.itemsize <= 2 else np.float64
        made = (data.astype(kind) * kind(scale) + kind(zero)).astype(np.float64)
    made = made.astype(np.float32)
    made[data == blank] = np.nan
    return made


def write(path: Path, data: NDArray[np.generic], how: str, cards: tuple[float, float, int | None]) -> None:
    """Write stored numbers as they are, with the cards that say what they stand for."""
    scale, zero, blank = cards
    content = fits.Header()
    if scale != 1 or zero != 0:
        content["BSCALE"], content["BZERO"] = scale, zero
    if blank is not None:
        content["BLANK"] = blank
    if how in {"plain", "extension", "cube", *PACKED}:
        data = np.stack([data, data[::-1]]) if how == "cube" else data
        raw = data.astype(data.dtype.newbyteorder(">")).tobytes()
        first = fits.Header([("XTENSION", "IMAGE   ")] if how == "extension" else [("SIMPLE", True)])
        first["BITPIX"] = (8 * data.dtype.itemsize) * (-1 if data.dtype.kind == "f" else 1)
        first["NAXIS"] = data.ndim
        for axis, length in enumerate(data.shape[::-1], start=1):
            first[f"NAXIS{axis}"] = length
        if how == "extension":
            first["PCOUNT"], first["GCOUNT"] = 0, 1
        first.update(content)
        written = first.tostring().encode() + raw + b"\0" * (-len(raw) % 2880)
        if how == "extension":
            written = fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0)]).tostring().encode() + written
        path.write_bytes(PACKED[how](written) if how in PACKED else written)
        return
    quantize = {"quantize_level": 0} if data.dtype.kind == "f" else {}
    tile = {"tile_shape": (16, 50)} if how == "HCOMPRESS_1" else {}
    made = fits.CompImageHDU(data, compression_type=how, **quantize, **tile)
    fits.HDUList([fits.PrimaryHDU(), made]).writeto(path)
    with fits.open(path, mode="update", disable_image_compression=True) as hdus:
        hdus[1].header.update(content)


def possible(kind: str, how: str) -> bool:
    """Tell whether a format can hold a type: PLIO knows small positive numbers, RICE and HCOMPRESS no floats."""
    bits = TYPES[kind][0]
    return {
        "PLIO_1": bits == 8,
        "RICE_1": 0 < bits < 64,
        "HCOMPRESS_1": bits in {8, 16},
        "GZIP_1": True,
        "GZIP_2": True,
        "NOCOMPRESS": True,
    }.get(how, True)


@pytest.mark.parametrize(("kind", "how"), [pair for pair in itertools.product(TYPES, STORED) if possible(*pair)])
@pytest.mark.slow
def test_every_type_by_every_way(tmp_path: Path, kind: str, how: str) -> None:
    bits, *cards = TYPES[kind]
    scale, zero, blank = cards
    data = stored(bits, blank)
    if how == "PLIO_1":
        data = np.abs(data)
    path = tmp_path / ("x.fits" + (f".{how}" if how in PACKED else ""))
    write(path, data, how, (scale, zero, blank))
    expected = values(data, scale, zero, blank)
    for file in (path, path.read_bytes()):
        with quietly(), FitsFile(file) as opened:
            planes = find_planes(opened)
            assert len(planes) == (2 if how == "cube" else 1)
            whole = planes[0].pixels().whole()
            assert whole.dtype == (np.uint8 if kind == "uint8" else np.float32)
            np.testing.assert_array_equal(whole, expected)
            if how == "cube":
                np.testing.assert_array_equal(planes[1].pixels().whole(), expected[::-1])
    for mapped in (False, True):
        with quietly(), FitsFile(path, mapped=mapped) as opened:
            window = find_planes(opened)[0].pixels()[WINDOW]
            np.testing.assert_array_equal(window.astype(np.float32), expected[WINDOW])


@pytest.mark.parametrize("kind", TYPES)
def test_the_values_are_those_of_astropy(tmp_path: Path, kind: str) -> None:
    bits, scale, zero, blank = TYPES[kind]
    if blank == 0 or (blank is not None and scale == 1 and zero):
        pytest.skip("astropy does not see BLANK of 0, nor that of whole numbers without a sign")
    write(tmp_path / "x.fits", stored(bits, blank), "plain", (scale, zero, blank))
    with fits.open(tmp_path / "x.fits", memmap=False) as hdus:
        theirs = hdus[0].data.astype(np.float32)
    np.testing.assert_array_equal(read_bands([tmp_path / "x.fits"]).planes[0], theirs)


def test_floats_that_are_quantized_keep_their_blanks(tmp_path: Path) -> None:
    data = stored(-32, None)
    made = fits.CompImageHDU(data, compression_type="RICE_1", quantize_level=16)
    fits.HDUList([fits.PrimaryHDU(), made]).writeto(tmp_path / "x.fits.fz")
    with fits.open(tmp_path / "x.fits.fz") as hdus:
        theirs = hdus[1].data
    with quietly(), FitsFile(tmp_path / "x.fits.fz", mapped=True) as opened:
        np.testing.assert_array_equal(find_planes(opened)[0].pixels()[WINDOW], theirs[WINDOW])
    np.testing.assert_array_equal(np.isnan(read_bands([tmp_path / "x.fits.fz"]).planes[0]), np.isnan(data))


@pytest.mark.parametrize("how", PACKED)
def test_packed_files_are_pictures_and_mosaics(tmp_path: Path, how: str) -> None:
    wcs = sky(shape=(60, 70))
    plain = write_bands(tmp_path / "m.fits", {"r": planted((60, 70), [(30, 30)])}, wcs)
    packed = tmp_path / f"m.fits.{how}"
    packed.write_bytes(PACKED[how](plain.read_bytes()))
    catalog = positions(tmp_path / "p.parquet", wcs, [(30, 30)])
    for one, other in zip(
        (open_source(plain), open_mosaic(plain, catalog, stamp_size="32px")),
        (open_source(packed), open_mosaic(packed, catalog, stamp_size="32px")),
        strict=True,
    ):
        (galaxy,), (same,) = one.galaxies(Framing(32)), other.galaxies(Framing(32))
        np.testing.assert_array_equal(galaxy.picture, same.picture)
        assert galaxy.position == same.position != None  # noqa: E711
    assert looks_like_fits(packed.read_bytes()[:1024])


def test_a_position_needs_no_more_than_the_headers_of_a_packed_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.fits.gz"
    fits.PrimaryHDU(planted((600, 700), []), header(sky(shape=(600, 700)))).writeto(path)
    read = 0
    original = gzip.GzipFile.read

    def counted(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        nonlocal read
        piece = original(self, size)
        read += len(piece)
        return piece

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    assert sky_centre(path) == pytest.approx((150.0, 2.0))
    assert read < 20_000


def spare(path: Path, cards: dict[str, object], size: int) -> None:
    """A header, and a hole in the file that takes no room on the disk."""
    made = fits.Header([("SIMPLE", True), ("BITPIX", -32), ("NAXIS", 2), ("NAXIS1", 5), ("NAXIS2", 5)])
    made.update(cards)
    path.write_bytes(made.tostring().encode())
    with path.open("r+b") as file:
        file.truncate(file.seek(0, 2) + size)


@pytest.mark.parametrize(
    ("cards", "size", "reason"),
    [
        ({"NAXIS1": 10**6, "NAXIS2": 10**6}, 10**9, "pixels, more than|cut short"),
        ({"NAXIS1": 30000, "NAXIS2": 30000}, 36 * 10**8 + 2880, "pixels, more than"),
        ({"NAXIS1": 2**62, "NAXIS2": 2**62}, 2880, "pixels, more than|damaged"),
        ({"NAXIS1": -5}, 2880, "FITS|image"),
        ({"NAXIS1": 3000, "NAXIS2": 3000}, 2880, "cut short"),
        ({"NAXIS": 999}, 2880, "FITS|image"),
        ({"BITPIX": 17}, 2880, "FITS|image"),
    ],
)
def test_absurd_headers_cost_nothing(tmp_path: Path, cards: dict[str, object], size: int, reason: str) -> None:
    spare(tmp_path / "x.fits", cards, size)
    started = time.monotonic()
    with pytest.raises(PictureError, match=reason):
        read_bands([tmp_path / "x.fits"], most=PIXELS)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("how", PACKED)
@pytest.mark.slow
def test_bombs_are_refused(tmp_path: Path, how: str) -> None:
    pieces = [fits.PrimaryHDU(np.zeros((9, 9), np.float32)).header.tostring().encode(), bytes(400 << 20)]
    path = tmp_path / f"x.fits.{how}"
    opener = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}[how]
    with opener(path, "wb", **({} if how == "xz" else {"compresslevel": 1})) as file:
        file.write(pieces[0])
        file.write(pieces[1])
    assert path.stat().st_size < 4 << 20
    with pytest.raises(PictureError, match="it unpacks to more than 256 MiB; unpack it first"):
        read_bands([path])
    with opener(path, "wb") as file:
        file.write(bytes(1000))
    with pytest.raises(PictureError, match="its decompressed content starts with"):
        read_bands([path])


def test_tiles_that_are_too_large_are_refused(tmp_path: Path) -> None:
    made = fits.CompImageHDU(np.zeros((40, 40), np.int16), compression_type="GZIP_1")
    path = tmp_path / "x.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), made]).writeto(path)
    with fits.open(path, mode="update", disable_image_compression=True) as hdus:
        for key in ("ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZTILE2"):
            hdus[1].header[key] = 9000
    with pytest.raises(PictureError, match="its tiles have 81,000,000 pixels, more than"):
        read_bands([path])
    made = fits.CompImageHDU(np.random.default_rng(1).integers(0, 2**31, (400, 400)).astype("i4"))
    fits.HDUList([fits.PrimaryHDU(), made]).writeto(path, overwrite=True)
    with fits.open(path, mode="update", disable_image_compression=True) as hdus:
        for key in ("ZNAXIS1", "ZNAXIS2"):
            hdus[1].header[key] = 10
    with pytest.raises(PictureError, match="longer than any image of its shape"):
        read_bands([path])


def read_file(path: Path) -> None:
    """Read a file as a cut-out and as a mosaic, all of it."""
    for galaxy in open_source(path).galaxies(threads=1):
        assert (galaxy.picture is None) == (galaxy.problem is not None)
    catalog = path.with_suffix(".parquet")
    positions(catalog, sky(shape=(40, 50)), [(20, 20), (45, 3), (400, 3)])
    for galaxy in open_mosaic(path, catalog, stamp_size="16px").galaxies(threads=1):
        assert (galaxy.picture is None) == (galaxy.problem is not None)


def good_files(folder: Path) -> list[Path]:
    wcs, images = sky(shape=(40, 50), sip=1.0), {band: planted((40, 50), [(20, 20)]) for band in "gr"}
    made = [write_bands(folder / "bands.fits", images, wcs, BUNIT="nanomaggy")]
    cube = np.rint(np.stack([*images.values()] * 2)[:3] * 100).astype(np.uint16)
    fits.PrimaryHDU(cube, header(wcs, BANDS="gri")).writeto(folder / "cube.fits")
    made.append(folder / "cube.fits")
    for number, how in enumerate(("RICE_1", "GZIP_1", "HCOMPRESS_1", "PLIO_1")):
        data = images["r"] if number < 2 else np.abs(np.rint(images["r"] * 100)).astype(np.int16)
        tile = {"tile_shape": (16, 50)} if how == "HCOMPRESS_1" else {}
        path = folder / f"{how}.fits"
        packed = fits.CompImageHDU(data, header(wcs), compression_type=how, **tile)
        fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path)
        made.append(path)
    for how, pack in PACKED.items():
        made.append(folder / f"bands.fits.{how}")
        made[-1].write_bytes(pack(made[0].read_bytes()))
    return made


TOKENS = [
    *(card.ljust(80).encode() for card in ("NAXIS1  =           2147483647", "BITPIX  =                  -64", "END")),
    *(card.ljust(80).encode() for card in ("CTYPE1  = 'RA---TPV'", "BLANK   =                    0", "NAXIS   = 999")),
    *(card.ljust(80).encode() for card in ("A_ORDER =                  999", "BSCALE  =                1E999")),
]


def fuzzed(tmp_path: Path, count: int, seed: int) -> dict[Path, str]:
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    files = fuzz.damaged(good_files(tmp_path / "good"), count, seed=seed, folder=tmp_path / "bad", tokens=TOKENS)
    return fuzz.read_all("images.test_fits_file:read_file", files, seconds=20, megabytes=1000)


@pytest.mark.slow
def test_damaged_files_are_rows_or_refused(tmp_path: Path) -> None:
    found = fuzzed(tmp_path, 90, 19)
    assert not fuzz.faults(found), fuzz.faults(found)
    assert "read" in found.values()
    assert any(told.startswith("refused") for told in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_damaged_files(tmp_path: Path, seed: int) -> None:
    found = fuzzed(tmp_path, 600, seed)
    assert not fuzz.faults(found), fuzz.faults(found)


def test_a_damaged_tile_costs_its_stamp_only(tmp_path: Path) -> None:
    wcs = sky(shape=(64, 64))
    made = fits.CompImageHDU(planted((64, 64), []), header(wcs), compression_type="GZIP_1", quantize_level=0)
    path = tmp_path / "m.fits"
    fits.HDUList([fits.PrimaryHDU(), made]).writeto(path)
    content = bytearray(path.read_bytes())
    with fits.open(path, disable_image_compression=True) as hdus:
        start = hdus[1].fileinfo()["datLoc"] + hdus[1].header["THEAP"] if "THEAP" in hdus[1].header else None
        heap = hdus[1].fileinfo()["datLoc"] + hdus[1].header["NAXIS1"] * hdus[1].header["NAXIS2"]
    content[(start or heap) : (start or heap) + 40] = b"\xff" * 40  # the first row of pixels
    path.write_bytes(bytes(content))
    catalog = positions(tmp_path / "p.parquet", wcs, [(30, 5), (30, 50)])
    lost, kept = open_mosaic(path, catalog, stamp_size="16px").galaxies()
    assert "cannot be read there" in str(lost.problem)
    assert kept.problem is None


def test_a_file_that_is_not_fits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.fits").write_bytes(b"no FITS")
    with pytest.raises(DataError, match=r"x\.fits: cannot be read as FITS \(it starts with b'no FITS'\)"):
        FitsFile(tmp_path / "x.fits")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"SIMPLE  =" + bytes(3 << 20), r"it unpacks to more than 1 MiB; unpack it first"),
        (b"id,ra,dec\n" * 100, "its decompressed content starts with b'id,ra,dec"),
    ],
)
def test_what_is_packed_is_bounded_and_fits(content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=rf"cannot be read as FITS \({said}"):
        FitsFile(gzip.compress(content), most=1 << 20)
