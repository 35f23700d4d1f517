"""Pictures of more than 8 bits a colour become 8 bits as they were meant, and what is guessed is said."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from peculiar.catalogs.tally import Flag
from peculiar.checks.check import check
from peculiar.errors import PictureError
from peculiar.images.decode import decode_remarked
from peculiar.images.depth import to_bytes, white_of
from peculiar.images.framing import Framing
from peculiar.sources import open_source
from pictures import draw_galaxy, png16, tiff

GALAXY = draw_galaxy(64, 12, 32, 32)
GREY: NDArray[np.uint16] = GALAXY[..., 0].astype(np.uint16)
COLOURS = np.stack([GREY, GREY // 2, GREY // 3], axis=2)


def encoded(picture: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def decoded(content: bytes) -> tuple[NDArray[np.uint8], str]:
    return decode_remarked(content, Framing(64))


def said(bits: int) -> str:
    return f"its values go up to {int(GREY.max()) << (bits - 8)} and are taken for {bits} bits"


def grey_in(container: str, bits: int) -> bytes:
    """The galaxy with so many bits, in a container of 16 or 32."""
    values = GREY << (bits - 8)
    match container:
        case "PNG":
            return png16(values)
        case "TIFF":
            return tiff(values)
        case "TIFF, big-endian":
            return tiff(values, order=">")
        case "TIFF, LZW":
            return encoded(Image.fromarray(values), "TIFF", compression="tiff_lzw")
        case "TIFF, 32 bits":
            return encoded(Image.fromarray(values.astype(np.int32)), "TIFF")
        case "TIFF, float":
            return encoded(Image.fromarray(values.astype(np.float32)), "TIFF")
        case _:
            raise KeyError(container)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("container", ["PNG", "TIFF", "TIFF, big-endian", "TIFF, LZW", "TIFF, 32 bits", "TIFF, float"])
def test_grey_of_any_depth_looks_alike_and_a_guess_is_said(container: str, bits: int) -> None:
    pixels, guess = decoded(grey_in(container, bits))
    np.testing.assert_allclose(pixels, GALAXY, atol=1 if container == "TIFF, float" else 0)
    full = bits == 16 and container in {"PNG", "TIFF", "TIFF, big-endian", "TIFF, LZW"}
    assert guess == (
        "" if full else f"its values go up to {int(GREY.max()) << (bits - 8)} and are taken for {bits} bits"
    )


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("colours", ["RGB", "RGBA"])
@pytest.mark.parametrize("container", ["PNG", "TIFF", "TIFF, big-endian"])
def test_colours_of_any_depth_look_alike_and_a_guess_is_said(container: str, colours: str, bits: int) -> None:
    values = COLOURS << (bits - 8)
    if colours == "RGBA":
        values = np.concatenate([values, np.full((64, 64, 1), 65535, np.uint16)], axis=2)
    order = ">" if "big" in container else "<"
    extra = {"t338": 2} if colours == "RGBA" else {}
    content = png16(values) if container == "PNG" else tiff(values, order=order, **extra)
    pixels, guess = decoded(content)
    np.testing.assert_array_equal(pixels, COLOURS)
    assert bool(guess) == (bits < 16)
    assert bits == 16 or guess.endswith(f"are taken for {bits} bits")


def test_colours_in_a_compressed_tiff(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pillow writes no colours of 16 bits; what it reads of them is asked of libtiff in the order of this machine.
    from PIL import TiffImagePlugin

    monkeypatch.setattr(TiffImagePlugin, "READ_LIBTIFF", True)
    pixels, guess = decoded(tiff(COLOURS << 4))
    np.testing.assert_array_equal(pixels, COLOURS)
    assert "taken for 12 bits" in guess
    assert sys.byteorder == "little" or guess


def test_what_a_file_states_is_no_guess() -> None:
    for content in (
        png16(GREY << 4, significant=12),
        png16(COLOURS << 4, significant=12),
        tiff(GREY << 4, bits=12),
        tiff(GREY << 4, t281=4095),
        tiff(COLOURS << 4, t281=4095),
    ):
        pixels, guess = decoded(content)
        assert guess == ""
        np.testing.assert_array_equal(pixels[..., 0], GREY)


def test_a_statement_that_says_nothing_is_none() -> None:
    # The values exceed what is stated; the largest value is that of the type, which many programs write.
    for content in (png16(GREY << 8, significant=12), tiff(GREY << 8, t281=300)):
        assert decoded(content)[1] == ""
        np.testing.assert_array_equal(decoded(content)[0], GALAXY)
    assert "taken for 12 bits" in decoded(tiff(GREY << 4, t281=65535))[1]


def test_dark_pictures_of_8_bits_stay_dark() -> None:
    dark = (GALAXY // 16).astype(np.uint8)
    for content in (encoded(Image.fromarray(dark), "PNG"), encoded(Image.fromarray(dark[..., 0]), "TIFF")):
        pixels, guess = decoded(content)
        assert guess == ""
        np.testing.assert_array_equal(pixels, dark)


def test_black_stays_black_without_a_remark() -> None:
    for content in (png16(GREY * 0), png16(COLOURS * 0), encoded(Image.fromarray(GREY.astype("f4") * 0), "TIFF")):
        pixels, guess = decoded(content)
        assert (int(pixels.max()), guess) == (0, "")


def test_floats_from_0_to_1_are_full() -> None:
    pixels, guess = decoded(encoded(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF"))
    assert guess == ""
    np.testing.assert_array_equal(pixels, GALAXY)


@pytest.mark.parametrize("format", ["PPM"])
@pytest.mark.parametrize("largest", [255, 1023, 4095, 65535])
def test_ppm_states_its_largest_value(format: str, largest: int) -> None:
    values = (GREY.astype(float) / 255 * largest).round().astype(">u2" if largest > 255 else "u1")
    content = b"P5\n64 64\n%d\n" % largest + values.tobytes()
    pixels, guess = decoded(content)
    assert guess == ""
    np.testing.assert_allclose(pixels.astype(int), GALAXY, atol=1)


def test_tiff_in_which_white_is_zero_is_turned_over() -> None:
    pixels, _ = decoded(tiff(65535 - (GREY << 8), photometric=0))
    np.testing.assert_allclose(pixels.astype(int), GALAXY, atol=1)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            GREY.astype(np.int32) - 100,
            "are int32, from -.* the value of white is unknown; save it with 8 bits a colour",
        ),
        (GREY.astype(np.float32) * 1e6, "are float32"),
        (GREY.astype(np.float32) - 100, "are float32, from -"),
        (np.full((8, 8), np.nan, np.float32), "not all of them numbers"),
        (np.full((8, 8), np.inf, np.float32), "not all of them numbers"),
    ],
)
def test_values_without_a_white_are_refused(values: NDArray[Any], said: str) -> None:
    with pytest.raises(PictureError, match=said):
        decoded(encoded(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize(
    ("dtype", "high", "white"),
    [
        *((np.uint8, high, 255) for high in (1, 255)),
        *((np.uint16, high, white) for high, white in ((200, 255), (1023, 1023), (1024, 4095), (9000, 16383))),
        *((np.float64, high, white) for high, white in ((0.5, 1), (1, 1), (1.5, 255), (255, 255), (4095, 4095))),
        (bool, 1, 1),
        (np.int64, 65535, 65535),
        (np.int32, 206_000, 2**18 - 1),
        (np.uint32, 2**32 - 1, 2**32 - 1),
    ],
)
def test_white_by_the_range(dtype: type, high: float, white: float) -> None:
    values = np.linspace(0, high, 50).astype(dtype)
    assert white_of(values).value == white
    shown = to_bytes(values, white)
    assert shown.dtype == np.uint8
    assert abs(int(shown[-1]) - 255 * (float(values[-1]) / white)) <= 1


def test_a_guess_is_flagged_and_found(tmp_path: Path) -> None:
    (tmp_path / "full.png").write_bytes(png16(COLOURS << 8))
    (tmp_path / "twelve.png").write_bytes(png16(COLOURS[::-1] << 4))
    flags = {galaxy.id: galaxy.flags for galaxy in open_source(tmp_path).galaxies()}
    assert flags == {"full.png": 0, "twelve.png": Flag.GUESSED}
    found = check(tmp_path).of("bit depth")
    assert [(one.rows, one.text) for one in found] == [((1,), said(12))]
