"""What FITS files hold: every way that bands are stored, named, scaled and compressed."""

import gzip
from pathlib import Path

import astropy
import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from peculiar.errors import PictureError
from peculiar.images.decode import decode_picture
from peculiar.images.fits import holds_image, nanomaggies_of, read_bands, split_band, wavelength
from peculiar.images.fits_file import looks_like_fits
from peculiar.images.framing import Framing
from peculiar.images.wcs import pixel_side
from skies import header, sky, write_bands

ONE, TWO, THREE, FOUR = (np.full((6, 8), value, np.float32) for value in (1, 2, 3, 4))


def values(path: Path | bytes, *wanted: str) -> list[float]:
    """The value of each band, where each is filled with one."""
    planes = read_bands([path], wanted).planes
    return [float(np.unique(plane).item()) for plane in planes]


@pytest.mark.parametrize(
    ("bands", "expected"),
    [
        ({"g": ONE, "r": TWO, "i": THREE}, [3, 2, 1]),
        ({"i": THREE, "g": ONE, "r": TWO}, [3, 2, 1]),
        ({"r": TWO, "i": THREE, "z": FOUR}, [4, 3, 2]),
        ({"g": ONE, "r": TWO, "z": FOUR}, [4, 2, 1]),
        ({"g": ONE, "r": TWO, "i": THREE, "z": FOUR}, [3, 2, 1]),
        ({"SDSS g": ONE, "HSC-R": TWO, "i.MP9703": THREE}, [3, 2, 1]),
        ({"B": ONE, "V": TWO}, [2, 1]),
        ({"r DECam SDSS c0002 6415.0 1480.0": TWO}, [2]),
        ({"g": ONE, "J": TWO, "H": THREE, "K": FOUR}, [4, 2, 1]),
        ({"one": ONE, "two": TWO, "three": THREE}, [3, 2, 1]),
    ],
)
def test_redder_is_red(tmp_path: Path, bands: dict[str, NDArray[np.float32]], expected: list[float]) -> None:
    assert values(write_bands(tmp_path / "x.fits", bands)) == expected


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({}, [3, 2, 1]),
        ({"BANDS": "grz"}, [3, 2, 1]),
        ({"BANDS": "z,r,g"}, [1, 2, 3]),
        ({"BANDS": "i r g"}, [1, 2, 3]),
        ({"BAND0": "z", "BAND1": "r", "BAND2": "g"}, [1, 2, 3]),
        ({"FILTER1": "r", "FILTER2": "i", "FILTER3": "g"}, [2, 1, 3]),
    ],
)
def test_planes_of_a_cube(tmp_path: Path, cards: dict[str, str], expected: list[float]) -> None:
    path = tmp_path / "cube.fits"
    fits.PrimaryHDU(np.stack([ONE, TWO, THREE]), header(None, **cards)).writeto(path)
    assert values(path) == expected
    assert read_bands([path]).planes.shape == (3, 6, 8)


def test_bands_that_are_named(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "x.fits", {"F444W": FOUR, "F277W": THREE, "F150W": TWO, "F090W": ONE})
    assert values(path, "F444W", "f277w", "4") == [4, 3, 1]
    assert values(path, "2") == [3]
    with pytest.raises(PictureError, match=r"it has 4 bands \(F090W, F150W, F277W, F444W\); name up to three"):
        values(path)
    with pytest.raises(PictureError, match=r"it has no band 'K'; there are: F444W, F277W, F150W, F090W"):
        values(path, "K")


def test_names_of_extensions_and_companions(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    hdus = [
        fits.ImageHDU(data, name=name)
        for data, name in ((ONE, "g"), (FOUR, "IVAR_G"), (TWO, "r"), (FOUR, "MASK"), (THREE, "i"))
    ]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    assert values(path) == [3, 2, 1]


def test_a_frame_as_sdss_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "frame-r-000094-1-0100.fits"
    frame = fits.PrimaryHDU(TWO, header(sky(pixel=0.396), FILTER="r", BUNIT="nanomaggy"))
    table = fits.BinTableHDU.from_columns([fits.Column("ALLSKY", "E", array=[1.0])])
    fits.HDUList([frame, fits.ImageHDU(np.ones(8, np.float32)), table]).writeto(path)
    bands = read_bands([path])
    assert bands.names == ("r",)
    assert bands.nanomaggies == pytest.approx(1)
    np.testing.assert_array_equal(bands.planes, [TWO])


def test_the_name_of_one_image_may_stand_in_the_first_header(tmp_path: Path) -> None:
    files = []
    for name, data in (("r", TWO), ("g", ONE)):
        files.append(tmp_path / f"{name}.fits")
        fits.HDUList([fits.PrimaryHDU(header=header(None, FILTER=name)), fits.ImageHDU(data, name="SCI")]).writeto(
            files[-1]
        )
    assert read_bands(files[::-1]).names == ("r", "g")
    assert read_bands(files[::-1]).planes[:, 0, 0].tolist() == [2, 1]


@pytest.mark.parametrize("type_", ["u1", "i2", "i4", "i8", "f4", "f8", ">f4", "<f4", "u2", "u4"])
def test_every_type_of_number(tmp_path: Path, type_: str) -> None:
    data = np.arange(48).reshape(6, 8).astype(type_)
    fits.PrimaryHDU(data).writeto(tmp_path / "x.fits")
    planes = read_bands([tmp_path / "x.fits"]).planes
    assert planes.dtype == (np.uint8 if type_ == "u1" else np.float32)
    np.testing.assert_array_equal(planes[0], np.arange(48).reshape(6, 8))


def test_scaled_integers_and_blanks(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(np.arange(48, dtype=np.int16).reshape(6, 8))
    hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["BLANK"] = 0.5, 10, 7
    hdu.writeto(tmp_path / "x.fits")
    # The cards are written as given only over data that is not scaled once more.
    with fits.open(tmp_path / "x.fits", mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header.update(BSCALE=0.5, BZERO=10.0, BLANK=7)
    (plane,) = read_bands([tmp_path / "x.fits"]).planes
    expected = np.arange(48).reshape(6, 8) * 0.5 + 10
    expected[0, 7] = np.nan
    np.testing.assert_array_equal(plane, expected)


@pytest.mark.parametrize("kind", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "NOCOMPRESS"])
def test_tile_compression(tmp_path: Path, kind: str) -> None:
    data = np.random.default_rng(1).integers(0, 900, (40, 50)).astype(np.int32)
    hdus = [
        fits.CompImageHDU(data + shift, header(None, FILTER=name), compression_type=kind)
        for shift, name in ((0, "r"), (7, "g"))
    ]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "x.fits.fz")
    bands = read_bands([tmp_path / "x.fits.fz"])
    assert bands.names == ("r", "g")
    np.testing.assert_array_equal(bands.planes, [data, data + 7])
    assert holds_image(tmp_path / "x.fits.fz")


@pytest.mark.parametrize("name", ["m13.fits", "m13_rice.fits", "m13_gzip.fits", "m13_hcomp.fits", "m13_plio.fits"])
def test_real_photographs_of_a_cluster_as_they_are_compressed(name: str) -> None:
    path = Path(astropy.__file__).parent / "io/fits/hdu/compressed/tests/data" / name
    if not path.is_file():
        pytest.skip("astropy is installed without the files of its tests")
    planes = read_bands([path]).planes
    with fits.open(path) as hdus:
        expected = next(hdu.data for hdu in hdus if hdu.data is not None)
    assert planes.shape == (1, *expected.shape)
    np.testing.assert_array_equal(planes[0], expected.astype(np.float32))


def test_gzip_as_file_and_as_bytes(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "x.fits", {"g": ONE, "r": TWO, "i": THREE})
    packed = tmp_path / "x.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert values(packed) == [3, 2, 1]
    assert values(packed.read_bytes()) == [3, 2, 1]
    assert looks_like_fits(packed.read_bytes()[:1024])
    assert holds_image(packed)
    assert not looks_like_fits(gzip.compress(b"something else"))


def test_damaged_gzip_is_no_fits() -> None:
    damaged = gzip.compress(b"")[:10] + b"\xff" * 40
    assert not looks_like_fits(damaged)
    with pytest.raises(PictureError, match="not a picture of a known format"):
        decode_picture(damaged, Framing(16))


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("nanomaggy", 1),
        ("nMgy", 1),
        ("nanomaggies", 1),
        ("nmgy / pix", 1),
        ("Jy", 1e9 / 3631),
        ("uJy", 1e3 / 3631),
        ("nJy/pixel", 1 / 3631),
        ("MJy/sr", 1e15 / 3631 * (0.4 / 3600 * np.pi / 180) ** 2),
        ("adu", None),
        ("electron / s", None),
        ("", None),
        ("no such unit", None),
    ],
)
def test_units_of_flux(unit: str, expected: float | None) -> None:
    found = nanomaggies_of(unit, 0.4)
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-6))


def test_brightness_is_by_area_of_an_sdss_pixel(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "x.fits", {"r": TWO}, sky(pixel=0.198), BUNIT="nanomaggy")
    assert read_bands([path]).nanomaggies == pytest.approx(4)
    without = write_bands(tmp_path / "y.fits", {"r": TWO}, BUNIT="nanomaggy")
    assert read_bands([without]).nanomaggies == 1
    mixed = [write_bands(tmp_path / f"{unit}.fits", {unit: TWO}, BUNIT=unit) for unit in ("Jy", "adu")]
    assert read_bands(mixed).nanomaggies is None
    # As in the frames of SDSS, whose bands have pixels of slightly different sizes.
    frames = [
        write_bands(tmp_path / f"frame-{band}.fits", {band: TWO}, sky(pixel=pixel), BUNIT="nanomaggy")
        for band, pixel in (("g", 0.39601), ("r", 0.396), ("i", 0.39599))
    ]
    assert read_bands(frames).nanomaggies == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("turn", [0, 30, 200])
def test_side_of_a_pixel(turn: float) -> None:
    assert pixel_side(header(sky(turn=turn, pixel=0.25))) == pytest.approx(0.25)
    old = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -0.0001, "CDELT2": 0.0001})
    assert pixel_side(old) == pytest.approx(0.36)
    assert pixel_side(fits.Header()) is None


def test_wavelengths() -> None:
    assert wavelength("SDSS r") == wavelength("r") == wavelength("R")
    assert (wavelength("z") or 0) > (wavelength("i") or 0) > (wavelength("g") or 0) > (wavelength("u") or 0)
    assert wavelength("clear") is None


@pytest.mark.parametrize(
    ("name", "wanted", "expected"),
    [
        ("ngc7-g.fits", (), ("ngc7", "g")),
        ("ngc7_i.fits.gz", (), ("ngc7", "i")),
        ("ngc7.r.fit", (), ("ngc7", "r")),
        ("frame-g-006174-2-0094.fits.fz", (), ("frame-006174-2-0094", "g")),
        ("g_ngc7.fits", (), ("ngc7", "g")),
        ("x-F444W.fits", ("F444W", "F150W"), ("x", "F444W")),
        ("x-F444W.fits", (), None),
        ("r.fits", (), None),
        ("ngc7.fits", (), None),
    ],
)
def test_bands_in_names_of_files(name: str, wanted: tuple[str, ...], expected: tuple[str, str] | None) -> None:
    assert split_band(name, wanted) == expected


def test_bands_of_different_shape(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "x.fits", {"g": ONE, "r": TWO[:4]})
    with pytest.raises(PictureError, match=r"different shapes \(height, width\): r \(4, 8\), g \(6, 8\); resample"):
        read_bands([path])


def test_four_planes_without_a_name(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.stack([ONE, TWO, THREE, FOUR])).writeto(tmp_path / "x.fits")
    with pytest.raises(PictureError, match=r"it has 4 bands \(1, 2, 3, 4\)|it has 4 bands \(4, 3, 2, 1\)"):
        read_bands([tmp_path / "x.fits"])
    assert values(tmp_path / "x.fits", "4", "3", "2") == [4, 3, 2]


def test_what_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    fits.PrimaryHDU().writeto(path)
    with pytest.raises(PictureError, match="it holds no image"):
        read_bands([path])
    fits.PrimaryHDU(np.zeros(5)).writeto(path, overwrite=True)
    with pytest.raises(PictureError, match=r"shape \(5,\) is not a picture"):
        read_bands([path])
    fits.PrimaryHDU(np.zeros((2, 3, 4, 5))).writeto(path, overwrite=True)
    with pytest.raises(PictureError, match=r"shape \(2, 3, 4, 5\) is not a picture"):
        read_bands([path])
    with pytest.raises(PictureError, match="cannot be read as FITS"):
        read_bands([tmp_path / "nothing.fits"])
    path.write_bytes(b"SIMPLE  = but no more")
    with pytest.raises(PictureError, match="FITS"):
        read_bands([path])


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.9])
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_cut_short(tmp_path: Path, share: float, packed: bool) -> None:
    path = tmp_path / "x.fits"
    noise = np.random.default_rng(1).normal(size=(90, 90)).astype(np.float32)
    fits.PrimaryHDU(noise).writeto(path)
    content = gzip.compress(path.read_bytes()) if packed else path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(PictureError, match=r"FITS|no image"):
        read_bands([path])
    with pytest.raises(PictureError, match=r"FITS|no image"):
        read_bands([path.read_bytes()])


@pytest.mark.parametrize("packed", [False, True])
def test_no_band_is_lost_with_the_end_of_a_file(tmp_path: Path, packed: bool) -> None:
    noise = np.random.default_rng(1).normal(size=(60, 60)).astype(np.float32)
    whole = write_bands(tmp_path / "x.fits", {"g": noise, "r": noise, "i": noise}).read_bytes()
    last = whole.index(b"XTENSION", whole.index(b"XTENSION", whole.index(b"XTENSION") + 1) + 1)
    for end in (last + 100, last + 1000, last + 4000, last + 12_000):
        content = gzip.compress(whole)[: -(len(whole) - end) // 2] if packed else whole[:end]
        (tmp_path / "x.fits").write_bytes(content)
        with pytest.raises(PictureError, match="FITS"):
            read_bands([tmp_path / "x.fits"])
        with pytest.raises(PictureError, match="FITS"):
            read_bands([content])


def test_too_large_a_picture_is_not_read(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "x.fits", {"r": TWO})
    with pytest.raises(PictureError, match=r"it has 8 x 6 pixels, more than .*--catalog"):
        read_bands([path], most=40)


def test_a_table_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])]).writeto(path)
    assert looks_like_fits(path.read_bytes()[:1024])
    assert not holds_image(path)
    fits.HDUList([fits.PrimaryHDU(TWO), fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])]).writeto(
        path, overwrite=True
    )
    assert holds_image(path)
