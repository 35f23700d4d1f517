"""Encoded pictures become square RGB pixels, and damaged or hostile ones a `PictureError`."""

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from peculiar.errors import PictureError, UsageError
from peculiar.images import decode, jpeg
from peculiar.images.decode import decode_picture, encode_picture, read_picture
from peculiar.images.framing import Framing, frame_pixels, kept_square, parse_crop
from peculiar.images.picture_file import looks_like_picture
from pictures import draw_galaxy

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
ORIENTATION = 0x0112


def encoded(picture: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference, of 255."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def smooth(height: int = 240, width: int = 320) -> NDArray[np.uint8]:
    """A smooth picture with different colours everywhere."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(3 * x + 5 * y), np.cos(7 * x), np.sin(4 * y - 2 * x)]
    return (127.5 + 120 * np.stack(waves, axis=2)).astype(np.uint8)


SMOOTH = smooth()
MIDDLE = SMOOTH[88:152, 128:192]
UNCHANGED = Framing(64, crop=64)
"""Keeps the middle 64 x 64 pixels as they are."""


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 2),
        ("PNG", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 90}, 3),
        ("BMP", {}, 0),
        ("PPM", {}, 0),
        ("JPEG2000", {}, 0),
    ],
)
def test_every_format_gives_its_pixels(format: str, options: dict[str, object], tolerance: float) -> None:
    pixels = decode_picture(encoded(Image.fromarray(SMOOTH), format, **options), UNCHANGED)
    assert pixels.dtype == np.uint8
    assert difference(pixels, MIDDLE) <= tolerance


def test_gif_gives_the_colours_of_its_palette() -> None:
    palette = Image.fromarray(SMOOTH).quantize(256)
    pixels = decode_picture(encoded(palette, "GIF"), UNCHANGED)
    np.testing.assert_array_equal(pixels, np.asarray(palette.convert("RGB"))[88:152, 128:192])


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000"])
def test_every_format_is_recognised_by_its_beginning(format: str) -> None:
    assert looks_like_picture(encoded(Image.fromarray(SMOOTH), format)[:16])


@pytest.mark.parametrize("head", [b"", b"PK\x03\x04", b"RIFF\0\0\0\0WAVE", b"PAR1", b"id,image"])
def test_other_files_do_not_look_like_pictures(head: bytes) -> None:
    assert not looks_like_picture(head)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize("fast", [False, True])
def test_grey_becomes_three_equal_colours(format: str, fast: bool) -> None:
    grey = SMOOTH[..., 0]
    pixels = decode_picture(encoded(Image.fromarray(grey), format), Framing(64, crop=64, fast=fast))
    assert np.ptp(pixels, axis=2).max() == 0
    assert difference(pixels[..., 0], grey[88:152, 128:192]) <= 2


@pytest.mark.parametrize("fast", [False, True])
def test_cmyk_jpeg_becomes_rgb(fast: bool) -> None:
    content = encoded(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG", quality=95)
    assert difference(decode_picture(content, Framing(64, crop=64, fast=fast)), MIDDLE) < 4


@pytest.mark.parametrize(("format", "order"), [("PNG", "="), ("TIFF", "="), ("TIFF", ">")])
def test_16_bit_grey_keeps_the_upper_eight_bits(format: str, order: str) -> None:
    values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    content = encoded(Image.fromarray(values.astype(np.dtype(np.uint16).newbyteorder(order))), format)
    expected = np.repeat((values // 256).astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(decode_picture(content, Framing(64)), expected)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_half_transparent_white_over_black_is_grey(format: str) -> None:
    picture = Image.new("RGBA", (8, 8), (255, 255, 255, 128))
    options = {"lossless": True} if format == "WEBP" else {}
    assert decode_picture(encoded(picture, format, **options), Framing(8)).tolist() == [[[128] * 3] * 8] * 8


def test_grey_with_alpha_lies_over_black() -> None:
    picture = Image.new("LA", (8, 8), (200, 0))
    assert decode_picture(encoded(picture, "PNG"), Framing(8)).max() == 0


@pytest.mark.parametrize("transparency", [0, b"\0"], ids=["index", "a value an entry"])
def test_transparent_palette_entry_becomes_black(transparency: int | bytes) -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([*RED, *GREEN])
    picture.paste(1, (4, 0, 8, 8))
    pixels = decode_picture(encoded(picture, "PNG", transparency=transparency), Framing(8))
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[0, 7].tolist() == list(GREEN)


def test_transparent_colour_of_an_rgb_picture_becomes_black() -> None:
    picture = Image.new("RGB", (8, 8), RED)
    picture.paste(GREEN, (4, 0, 8, 8))
    pixels = decode_picture(encoded(picture, "PNG", transparency=RED), Framing(8))
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[0, 7].tolist() == list(GREEN)


def test_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_picture(content, Framing(8))[4, 4].tolist() == list(RED)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("fast", [False, True])
def test_orientation_of_exif_is_applied(format: str, fast: bool) -> None:
    picture = Image.new("RGB", (32, 32), RED)
    picture.paste(BLUE, (16, 0, 32, 32))
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the left edge is up
    pixels = decode_picture(encoded(picture, format, exif=exif), Framing(32, fast=fast)).astype(int)
    assert np.abs(pixels[4, [4, 28]] - RED).max() < 30
    assert np.abs(pixels[28, [4, 28]] - BLUE).max() < 30


def test_a_strange_entry_of_exif_does_not_keep_a_picture_from_being_read() -> None:
    picture = Image.new("RGB", (32, 32), RED)
    picture.paste(BLUE, (16, 0, 32, 32))
    # The orientation, and the width as text.
    entries = struct.pack("<HHIHH HHI4s", ORIENTATION, 3, 1, 6, 0, 0x100, 2, 4, b"abc\0")
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + entries + bytes(4)
    pixels = decode_picture(encoded(picture, "JPEG", exif=exif), Framing(32)).astype(int)
    assert np.abs(pixels[28, [4, 28]] - BLUE).max() < 30


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_exif_that_is_cut_short(format: str) -> None:
    content = encoded(Image.new("RGB", (32, 32), RED), format, exif=b"Exif\0\0II*\0\x08")
    with pytest.raises(PictureError, match="damaged or cut short"):
        decode_picture(content, Framing(32))


@pytest.mark.parametrize("fast", [False, True])
def test_a_single_pixel_is_magnified(fast: bool) -> None:
    content = encoded(Image.new("RGB", (1, 1), (90, 90, 90)), "JPEG")
    pixels = decode_picture(content, Framing(16, fast=fast))
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.astype(int) - 90).max() <= 1


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("size", [(20_000, 10), (10, 20_000)], ids=["wide", "high"])
def test_the_middle_of_an_extremely_long_picture_is_kept(size: tuple[int, int], fast: bool) -> None:
    picture = Image.new("RGB", size, RED)
    picture.paste(GREEN, tuple(side // 2 - 40 for side in size) + tuple(side // 2 + 40 for side in size))
    pixels = decode_picture(encoded(picture, "JPEG"), Framing(32, fast=fast))
    assert pixels.shape == (32, 32, 3)
    assert np.abs(pixels.astype(int) - GREEN).max() < 10


@pytest.mark.parametrize(("size", "box"), [((300, 100), (100, 0, 200, 100)), ((100, 300), (0, 100, 100, 200))])
def test_the_largest_middle_square_is_kept_without_a_crop(
    size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    picture = Image.new("RGB", size, RED)
    picture.paste(GREEN, box)
    pixels = decode_picture(encoded(picture, "PNG"), Framing(25))
    assert (pixels[2:-2, 2:-2] == GREEN).all()  # bicubic interpolation takes in a little of what lies beyond


def test_crop_keeps_the_middle_of_the_original() -> None:
    picture = Image.new("RGB", (200, 200), RED)
    picture.paste(GREEN, (50, 50, 150, 150))
    content = encoded(picture, "PNG")
    assert (decode_picture(content, Framing(20, crop=100))[2:-2, 2:-2] == GREEN).all()
    assert (decode_picture(content, Framing(20, crop=160))[:2, :2] == RED).all()


def test_a_picture_smaller_than_the_crop_is_kept_whole() -> None:
    content = encode_picture(SMOOTH)
    whole = decode_picture(content, Framing(64))
    np.testing.assert_array_equal(decode_picture(content, Framing(64, crop=1000)), whole)


@pytest.mark.parametrize("simplejpeg", [True, False], ids=["simplejpeg", "Pillow"])
@pytest.mark.parametrize("crop", [None, 200, 77, 3000])
@pytest.mark.parametrize("quality", [75, 95])
def test_fast_decoding_is_close_to_exact(
    simplejpeg: bool, crop: int | None, quality: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if simplejpeg:
        pytest.importorskip("simplejpeg")
    else:
        monkeypatch.setattr(jpeg, "jpeg_decoder", lambda: None)
    content = encoded(Image.fromarray(smooth(640, 801)), "JPEG", quality=quality)
    exact = decode_picture(content, Framing(48, crop))
    assert difference(decode_picture(content, Framing(48, crop, fast=True)), exact) < 1


@pytest.mark.parametrize("installed", [True, False])
def test_simplejpeg_is_optional(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if installed:
        expected = pytest.importorskip("simplejpeg").decode_jpeg
    else:
        monkeypatch.setitem(sys.modules, "simplejpeg", None)
        expected = None
    assert jpeg.jpeg_decoder.__wrapped__() is expected


@pytest.mark.parametrize("way", ["exact", "simplejpeg", "Pillow"])
def test_truncated_jpeg_is_refused(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "Pillow":
        monkeypatch.setattr(jpeg, "jpeg_decoder", lambda: None)
    content = encode_picture(SMOOTH, "JPEG")
    with pytest.raises(PictureError, match="it is damaged or cut short"):
        decode_picture(content[: len(content) // 2], Framing(fast=way != "exact"))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000"])
def test_truncated_picture_is_refused(format: str) -> None:
    content = encoded(Image.fromarray(SMOOTH), format)
    with pytest.raises(PictureError, match=r"damaged or cut short|not a picture of a known format"):
        decode_picture(content[: len(content) // 2], Framing())


@pytest.mark.parametrize(("format", "position", "value"), [("PNG", 36, 0), ("PNG", 11, 0), ("PPM", 9, 255)])
def test_a_picture_with_impossible_numbers_in_its_header_is_refused(format: str, position: int, value: int) -> None:
    content = bytearray(encoded(Image.fromarray(smooth(24, 32)), format))
    content[position] = value  # in PNG the length of a chunk, in PPM the largest value
    with pytest.raises(PictureError, match=r"it is damaged or cut short \(|not a picture of a known format"):
        decode_picture(bytes(content), Framing())


def test_text_is_refused_and_its_beginning_shown() -> None:
    with pytest.raises(PictureError, match=r"it is not a picture of a known format \(starts with b'<!doctyp'\)"):
        decode_picture(b"<!doctype html><title>404</title>", Framing())


def test_no_bytes_are_refused_as_empty() -> None:
    with pytest.raises(PictureError, match="it is empty"):
        decode_picture(b"", Framing())


def test_a_format_that_no_photograph_of_the_sky_comes_in_is_refused() -> None:
    with pytest.raises(PictureError, match="not a picture of a known format"):
        decode_picture(encoded(Image.new("RGB", (8, 8)), "PCX"), Framing())


def bomb(width: int, height: int) -> bytes:
    """A valid black PNG with one bit a pixel: a few kilobytes, whatever its size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)

    header = width.to_bytes(4) + height.to_bytes(4) + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes(height * (1 + -(-width // 8))), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_hand_made_png_of_moderate_size_is_read() -> None:
    assert decode_picture(bomb(64, 32), Framing(32)).max() == 0


def test_200_megapixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    if not Path("/proc/self/status").is_file():
        pytest.skip("the peak of a process's memory is read from /proc")
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(20_000, 10_000))
    # In a process of its own, whose peak of memory nothing else has raised.
    program = """
import json, sys, time
from pathlib import Path
from peculiar.errors import PictureError
from peculiar.images.decode import decode_picture, encode_picture
from peculiar.images.framing import Framing
import numpy as np
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
decode_picture(encode_picture(np.zeros((8, 8, 3), np.uint8)), Framing())
content, before, start = Path(sys.argv[1]).read_bytes(), peak(), time.process_time()
try:
    decode_picture(content, Framing())
except PictureError as error:
    print(json.dumps([error.reason, peak() - before, time.process_time() - start]))
"""
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    reason, kilobytes, seconds = json.loads(done.stdout)
    assert "more than 89 million pixels" in reason
    assert kilobytes < 20_000
    assert seconds < 0.2


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_just_over_the_limit_is_refused_with_its_size() -> None:
    with pytest.raises(PictureError, match="it has 10000 x 10000 pixels, more than 89 million"):
        decode_picture(bomb(10_000, 10_000), Framing())


def test_a_picture_just_over_the_limit_is_refused_where_warnings_are_errors() -> None:
    with pytest.raises(PictureError, match="more than 89 million"):
        decode_picture(bomb(10_000, 10_000), Framing())


@pytest.mark.parametrize(
    ("options", "said"),
    [({"size": 0}, "size"), ({"size": 4097}, "size"), ({"crop": 0}, "crop"), ({"crop": -5}, "crop")],
)
def test_framing_out_of_range_is_refused(options: dict[str, int], said: str) -> None:
    value = next(iter(options.values()))
    with pytest.raises(UsageError, match=f"{said} has to be between 1 and 4096 pixels, received {value}"):
        Framing(**options)


def test_framing_takes_the_ends_of_its_range() -> None:
    assert (Framing(1, 4096).size, Framing(4096, 1).crop) == (1, 1)


def test_pixels_that_fit_are_returned_as_they_are() -> None:
    pixels = smooth(64, 64)
    assert frame_pixels(pixels, Framing(64)) is pixels
    assert frame_pixels(pixels, Framing(64, crop=64)) is pixels
    assert frame_pixels(pixels, Framing(64, crop=100)) is pixels


@pytest.mark.parametrize(
    "framing", [Framing(32), Framing(32, crop=20), Framing(32, crop="galaxy"), Framing(32, crop=20, margin=2.0)]
)
def test_the_square_that_is_kept_is_told(framing: Framing) -> None:
    picture = draw_galaxy(90, 12, 50, 40)[:60]
    left, upper, right, lower = kept_square(picture, framing)
    assert right - left == pytest.approx(lower - upper)
    # A spot, as bright as what it lies on, is found in the framed picture where the square says.
    picture[33:35, 47:49] = picture[33:35, 47:49] * np.array([1.5, 0, 1.5])
    framed = frame_pixels(picture, framing).astype(float)
    purple = framed[..., 0] - framed[..., 1]
    rows, columns = np.nonzero(purple > purple.max() / 2)
    where = np.array([rows.mean() + 0.5, columns.mean() + 0.5]) / 32
    np.testing.assert_allclose(where, [(34 - upper) / (lower - upper), (48 - left) / (right - left)], atol=0.03)


def test_the_square_of_what_is_no_picture() -> None:
    with pytest.raises(PictureError, match="pixels have to be uint8"):
        kept_square(np.zeros((4, 4), np.uint8), Framing())


def test_pixels_are_framed_like_a_decoded_picture() -> None:
    for framing in (Framing(32), Framing(32, crop=100), Framing(64, crop=40), UNCHANGED):
        expected = decode_picture(encode_picture(SMOOTH), framing)
        np.testing.assert_array_equal(frame_pixels(SMOOTH, framing), expected)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["grey", "four colours", "float", "empty"],
)
def test_pixels_of_another_shape_or_type_are_refused(pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(PictureError) as caught:
        frame_pixels(pixels, Framing())
    assert f"received {pixels.dtype} {pixels.shape}" in caught.value.reason


def test_encoding_gives_png_without_loss_and_jpeg_with_little() -> None:
    png, jpeg = encode_picture(SMOOTH), encode_picture(SMOOTH, "JPEG")
    np.testing.assert_array_equal(decode_picture(png, UNCHANGED), MIDDLE)
    assert jpeg.startswith(b"\xff\xd8\xff")
    assert difference(decode_picture(jpeg, UNCHANGED), MIDDLE) < 2


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "galaxy.png"
    path.write_bytes(encode_picture(SMOOTH))
    np.testing.assert_array_equal(read_picture(path, UNCHANGED), MIDDLE)
    np.testing.assert_array_equal(read_picture(str(path), UNCHANGED), MIDDLE)


@pytest.mark.parametrize(
    ("name", "said"), [("none.jpg", "No such file"), (".", "Is a directory"), ("a\0b.jpg", "null (byte|character)")]
)
def test_a_file_that_cannot_be_opened_is_named(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=f"cannot be opened .*{said}") as caught:
        read_picture(tmp_path / name, Framing())
    assert str(tmp_path) in caught.value.reason


SMALL = Image.fromarray(smooth(24, 32))
VALID = {
    "JPEG": encoded(SMALL, "JPEG", exif=Image.Exif()),
    "progressive JPEG": encoded(SMALL, "JPEG", progressive=True),
    "PNG": encoded(SMALL, "PNG"),
    "palette PNG": encoded(SMALL.quantize(16), "PNG", transparency=3),
    "GIF": encoded(SMALL, "GIF"),
    "TIFF": encoded(SMALL, "TIFF", compression="tiff_lzw"),
    "WebP": encoded(SMALL, "WEBP"),
    "BMP": encoded(SMALL, "BMP"),
}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    content = bytearray(VALID[draw(st.sampled_from(sorted(VALID)))])
    for position in draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[position] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(content)) | st.just(len(content)))])


def check_that_it_is_read_or_refused(content: bytes, fast: bool) -> None:
    try:
        pixels = decode_picture(content, Framing(16, fast=fast))
    except PictureError:
        return
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on damaged EXIF and TIFF
@settings(max_examples=400, deadline=None)
@given(content=damaged(), fast=st.booleans())
def test_damaged_pictures_are_read_or_refused(content: bytes, fast: bool) -> None:
    check_that_it_is_read_or_refused(content, fast)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=200, deadline=None)
@given(head=st.sampled_from([b"", *(content[:20] for content in VALID.values())]), tail=st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(head: bytes, tail: bytes) -> None:
    check_that_it_is_read_or_refused(head + tail, fast=False)


@pytest.mark.parametrize(("text", "crop"), [("whole", None), ("galaxy", "galaxy"), ("200", 200)])
def test_crops_as_they_are_typed(text: str, crop: int | str | None) -> None:
    assert parse_crop(text) == crop


@pytest.mark.parametrize("text", ["half", "", "-3", "1.5"])
def test_crops_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="whole, galaxy or a number of pixels"):
        parse_crop(text)


def test_framings_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="number of pixels or 'galaxy', received 'star'"):
        Framing(crop="star")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="margin has to be between 1 and 4"):
        Framing(margin=0.5)


@pytest.mark.parametrize("simplejpeg", [True, False])
def test_fast_decoding_finds_the_same_galaxy(simplejpeg: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not simplejpeg:
        monkeypatch.setattr(jpeg, "jpeg_decoder", lambda: None)
    content = encode_picture(draw_galaxy(1024, 90, 520, 500), "JPEG")
    exact, fast = (decode_picture(content, Framing(64, crop="galaxy", fast=fast)).astype(int) for fast in (False, True))
    assert np.abs(exact - fast).mean() < 3


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_both_decoders_give_the_same_pixels(mode: str, subsampling: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(222).integers(0, 256, (77, 91, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", quality=90, subsampling=subsampling)
    with_simplejpeg = decode_picture(buffer.getvalue(), Framing(64))
    monkeypatch.setattr(jpeg, "jpeg_decoder", lambda: None)
    np.testing.assert_array_equal(decode_picture(buffer.getvalue(), Framing(64)), with_simplejpeg)


def test_a_jpeg_that_simplejpeg_refuses_is_judged_by_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("premature end")

    content = encode_picture(draw_galaxy(64, 10, 32, 32), "JPEG")
    expected = decode_picture(content, Framing(32))
    monkeypatch.setattr(jpeg, "jpeg_decoder", lambda: refuse)
    np.testing.assert_array_equal(decode_picture(content, Framing(32)), expected)


def test_a_large_jpeg_is_decoded_alone_and_with_few_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.fromarray(draw_galaxy(32, 6, 16, 16, seed=1)).save(file, "JPEG", progressive=True)
    before = decode.decode_whole(file.getvalue())
    monkeypatch.setattr(decode, "LARGE_PIXELS", 1000)
    np.testing.assert_array_equal(decode.decode_whole(file.getvalue()), before)
    monkeypatch.setattr(decode, "SCANS", 3)
    with pytest.raises(PictureError, match="it is a JPEG of more than 3 scans; save it again"):
        decode.decode_whole(file.getvalue())


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_framed_jpeg_keeps_no_memory_of_the_next_one(mode: str) -> None:
    pytest.importorskip("simplejpeg")
    first, second = (
        encoded(Image.fromarray(draw_galaxy(side, 20, side / 2, side / 2, seed=side)).convert(mode), "JPEG")
        for side in (120, 97)
    )
    for framing in (
        Framing(64, crop="galaxy"),
        Framing(64, crop="galaxy", margin=2),
        Framing(90, crop=90),
        Framing(97),
    ):
        shown = decode_picture(first, framing)
        kept = shown.copy()
        decode_picture(second, framing)
        np.testing.assert_array_equal(shown, kept)
        np.testing.assert_array_equal(shown, frame_pixels(decode.decode_whole(first), framing))


def test_large_jpegs_do_not_keep_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("simplejpeg")
    monkeypatch.setattr(jpeg, "_KEPT_PIXELS", 64 * 64)
    monkeypatch.setattr(jpeg, "_memory", jpeg._Memory())
    content = encode_picture(draw_galaxy(65, 10, 32, 32), "JPEG")
    np.testing.assert_array_equal(decode_picture(content, Framing(65)), decode.decode_whole(content))
    assert jpeg._memory.pixels.size == 0
