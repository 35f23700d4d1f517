"""FITS images: which bands a file holds, in which order, in which unit. Rows stay as FITS has them, from the bottom up.

Bands lie in extensions, in the planes of a cube (bands, height, width), or in files of their own.
"""

import gzip
import io
import math
import re
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, PictureError
from peculiar.stretch import SDSS_PIXEL

if TYPE_CHECKING:
    from astropy.io.fits import HDUList

FITS_SUFFIXES = (".fits", ".fit", ".fts", ".fits.fz", ".fits.gz", ".fit.gz", ".fts.gz")

# Wavelengths in nm, by which bands are ordered. Capitals do not matter: the bands that share a letter lie close.
_WAVELENGTHS = {
    **{"u": 355, "b": 445, "g": 475, "v": 550, "r": 625, "vis": 700, "i": 765, "z": 905, "y": 1000},
    **{"j": 1230, "h": 1640, "k": 2180, "ks": 2160},
}
_COMPOSITES = (("i", "r", "g"), ("z", "r", "g"))

# Extensions that go with an image and are none.
_COMPANIONS = re.compile(
    r"(inv)?var|i?var(iance)?|err(or)?|unc(ert(ainty)?)?|rms|sigma|wht|weight|mask|flags?|dq|"
    r"psf|exp(osure|time|map)?|nexp|bkg|sky|background|seg(map)?|con|ctx"
)

_NANOMAGGIES = {"nanomaggy", "nanomaggies", "nmgy", "nmaggy", "nmaggies", "nanomaggie"}
_NANOMAGGY_JANSKY = 3.631e-6

_GZIP = b"\x1f\x8b"
_START = b"SIMPLE  ="

# Python's filters of warnings are shared by all threads.
_lock = threading.RLock()


@dataclass(frozen=True, slots=True)
class Bands:
    """The one to three bands of a picture.

    Parameters
    ----------
    planes : ndarray of float32 or uint8, shape (1 to 3, height, width)
        From the redder to the bluer, rows from the bottom up. Bytes are a finished picture.
    names : tuple of str
        As the file calls them; empty where it does not.
    nanomaggies : float or None
        How many nanomaggies in the area of an SDSS pixel the value 1 stands for; None where the unit is not known.
    """

    planes: NDArray[Any]
    names: tuple[str, ...]
    nanomaggies: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """One two-dimensional image of a FITS file that is open.

    Parameters
    ----------
    name : str
        What the file calls its band; may be empty.
    hdu : astropy HDU
    index : int
        Number of the plane in the cube.
    origin : path or None
        The file.
    """

    name: str
    hdu: Any
    index: int
    origin: Path | None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.hdu.shape[-2], self.hdu.shape[-1]

    @property
    def finished(self) -> bool:
        """Whether the pixels are bytes: a picture that somebody stretched already."""
        return bool(self.hdu.header["BITPIX"] == 8 and scaling(self.hdu.header) == (1, 0, None))

    def read(self) -> NDArray[Any]:
        """Read the pixels, float32 (height, width), NaN where they are blank; or uint8 of a finished picture."""
        plane: NDArray[Any] = np.asarray(self.hdu.data).reshape(-1, *self.shape)[self.index]
        return plane.astype(np.uint8 if self.finished else np.float32)

    def nanomaggies(self) -> float | None:
        """Return how many nanomaggies in the area of an SDSS pixel the value 1 stands for, where the unit is known."""
        pixel = pixel_side(self.hdu.header)
        unit = nanomaggies_of(str(self.hdu.header.get("BUNIT", "")), pixel)
        return None if unit is None else unit * (SDSS_PIXEL / (pixel or SDSS_PIXEL)) ** 2


def looks_like_fits(head: bytes) -> bool:
    """Tell from how a file begins (its first kilobyte will do) whether it is FITS, compressed by gzip or not."""
    if head.startswith(_GZIP):
        try:
            head = gzip.GzipFile(fileobj=io.BytesIO(head)).read(len(_START))
        except (OSError, EOFError, zlib.error):
            return False
    return head.startswith(_START)


def holds_image(path: Path) -> bool:
    """Tell whether the first part of a FITS file that has data is an image, and not a table."""
    try:
        with quietly(), open_fits(path) as hdus:
            return next((bool(hdu.is_image) for hdu in hdus if _has_data(hdu)), False)
    except DataError:
        return False


def read_bands(files: Sequence[Path | bytes], wanted: Sequence[str] = (), *, most: int = 10**9) -> Bands:
    """Read the bands of one picture.

    Parameters
    ----------
    files : sequence of path or bytes
        FITS files, or their content; several hold different bands of the same pixels.
    wanted : sequence of str
        Which bands, from the redder to the bluer: names, or numbers of planes from 1 on. By default by the names that
        the files give them.
    most : int
        The largest number of pixels.

    Returns
    -------
    Bands

    Raises
    ------
    PictureError
        If there is no image, a damaged one, or bands that do not fit together.
    """
    try:
        with quietly(), ExitStack() as opened:
            planes = [
                plane
                for file in files
                for plane in find_planes(
                    opened.enter_context(open_fits(file)), file if isinstance(file, Path) else None
                )
            ]
            planes = choose_planes(planes, wanted)
            if math.prod(planes[0].shape) > most:
                reason = (
                    f"it has {planes[0].shape[1]} x {planes[0].shape[0]} pixels, more than {most / 1e6:.0f} million; "
                    "cut stamps out of it at the positions of galaxies (--catalog)"
                )
                raise PictureError(reason)
            pixels = [plane.read() for plane in planes]
            units = {plane.nanomaggies() for plane in planes}
    except PictureError:
        raise
    except DataError as error:
        raise PictureError(str(error)) from error
    except Exception as error:  # of damage astropy raises whatever came first
        raise PictureError(f"it is damaged FITS, or cut short ({error})") from error
    unit = units.pop() if len(units) == 1 else None
    return Bands(np.stack(pixels), tuple(plane.name for plane in planes), unit)


def find_planes(hdus: "HDUList", origin: Path | None = None) -> list[Plane]:
    """Return the images of an open FITS file, in their order; weights, masks and the like are passed over."""
    found = [hdu for hdu in hdus if hdu.is_image and _has_data(hdu) and not _is_companion(hdu)]
    # Beside the picture, SDSS has a list of numbers in the form of an image.
    images = [hdu for hdu in found if _is_picture(hdu.shape)]
    if found and not images:
        reason = f"an image of shape {found[0].shape} is no picture; expected (height, width) or (bands, height, width)"
        raise PictureError(reason)
    planes = []
    for hdu in images:
        count = math.prod(hdu.shape[:-2])
        for index in range(count):
            names = _cube_names(hdu.header, index, count) if count > 1 else _names(hdu, hdus, len(images), origin)
            named = [name for name in names if name]
            name = next((name for name in named if wavelength(name)), named[0] if named else "")
            planes.append(Plane(name, hdu, index, origin))
    return planes


def choose_planes(planes: Sequence[Plane], wanted: Sequence[str] = ()) -> list[Plane]:
    """Choose one to three bands, and order them from the redder to the bluer.

    Those named are ordered by wavelength; of more than three, i, r, g are taken, or z, r, g, or else the reddest, the
    middle and the bluest. Without names a file is taken to hold bluer bands before redder ones, as surveys write them,
    but for three planes of bytes, which are a finished picture of red, green and blue.

    Raises
    ------
    PictureError
        If there is none, or which to take is not known.
    """
    if not planes:
        raise PictureError("it holds no image")
    chosen = [_wanted(planes, name) for name in wanted] if wanted else _by_wavelength(planes)
    if len(chosen) > 3:
        listed = ", ".join(plane.name or str(number) for number, plane in enumerate(chosen, start=1))
        raise PictureError(f"it has {len(chosen)} bands ({listed}); name up to three, the reddest first (--bands)")
    shapes = {plane.shape for plane in chosen}
    if len(shapes) > 1:
        listed = ", ".join(f"{plane.name or 'one'} {plane.shape}" for plane in chosen)
        raise PictureError(
            f"its bands have different shapes (height, width): {listed}; resample them to the same pixels"
        )
    return chosen


def wavelength(name: str) -> int | None:
    """Return the wavelength of a band in nm, where its name is known: "r", "SDSS r", "HSC-R", "sdss_r"."""
    tokens = re.split(r"[^a-z0-9]+", name.lower())
    return next((_WAVELENGTHS[token] for token in tokens if token in _WAVELENGTHS), None)


def pixel_side(header: Any) -> float | None:
    """Return the side of a pixel in arcsec from a header's celestial coordinates; None where it has none."""
    if "RA" not in str(header.get("CTYPE1", "")) + str(header.get("CTYPE2", "")):
        return None
    if any(f"CD{i}_{j}" in header for i in (1, 2) for j in (1, 2)):
        matrix = [[float(header.get(f"CD{i}_{j}", 0)) for j in (1, 2)] for i in (1, 2)]
    else:
        matrix = [
            [float(header.get(f"CDELT{i}", 1)) * float(header.get(f"PC{i}_{j}", i == j)) for j in (1, 2)]
            for i in (1, 2)
        ]
    area = abs(matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0])
    return math.sqrt(area) * 3600 if area > 0 else None


def nanomaggies_of(unit: str, pixel: float | None = None) -> float | None:
    """Return how many nanomaggies a unit is, where it is one of flux.

    Parameters
    ----------
    unit : str
        As ``BUNIT`` has it: nanomaggy, nMgy, Jy, uJy, MJy/sr ...
    pixel : float, optional
        Side of a pixel in arcsec, for units of surface brightness.
    """
    plain = re.sub(r"\s*(/\s*pix(el)?|pix(el)?\s*(\^|\*\*)?-1)$", "", unit.strip(), flags=re.IGNORECASE)
    if not plain or plain.lower() in _NANOMAGGIES:
        return 1.0 if plain else None
    from astropy import units

    parsed = units.Unit(plain, parse_strict="silent")
    if parsed.is_equivalent(units.Jy):
        return float(parsed.to(units.Jy)) / _NANOMAGGY_JANSKY
    if pixel is not None and parsed.is_equivalent(units.Jy / units.sr):
        return float((parsed * (pixel * units.arcsec) ** 2).to_value(units.Jy)) / _NANOMAGGY_JANSKY
    return None


def scaling(header: Any) -> tuple[float, float, int | None]:
    """Return BSCALE, BZERO and BLANK of an image that is not compressed."""
    return float(header.get("BSCALE", 1)), float(header.get("BZERO", 0)), header.get("BLANK")


@contextmanager
def quietly() -> Iterator[None]:
    """Keep astropy from warning of cards and coordinates that are written in an unusual way; one thread at a time.

    That it passes over the rest of a damaged file is no warning here, but an error: a band would be missing.
    """
    from astropy.utils.exceptions import AstropyWarning

    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        warnings.filterwarnings("error", "Error validating header", AstropyWarning)
        yield


def open_fits(file: Path | bytes, *, memory_map: bool = False) -> "HDUList":
    """Open a FITS file, or its content.

    Raises
    ------
    DataError
        If it cannot be opened, or is no FITS file.
    """
    from astropy.io import fits

    name = f"{file}: " if isinstance(file, Path) else ""
    try:
        if isinstance(file, bytes):
            return fits.open(io.BytesIO(_unpacked(file)), memmap=False)
        if is_gzip(file):  # astropy passes over what is missing at its end
            return fits.open(io.BytesIO(_unpacked(file.read_bytes(), 2**35 if memory_map else 2**31)), memmap=False)
        opened = file.open("rb")
        try:
            return fits.open(opened, memmap=memory_map)
        except BaseException:
            opened.close()
            raise
    except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        message = f"{name}cannot be read as FITS ({getattr(error, 'strerror', None) or error})"
        raise DataError(message) from error


def is_gzip(path: Path) -> bool:
    """Tell whether a file is compressed by gzip."""
    with path.open("rb") as file:
        return file.read(len(_GZIP)) == _GZIP


def _unpacked(content: bytes, most: int = 2**31) -> bytes:
    if not content.startswith(_GZIP):
        return content
    unpacked = io.BytesIO()
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        while piece := file.read(1 << 24):
            if unpacked.tell() + len(piece) > most:
                message = f"it unpacks to more than {most >> 30} GiB"
                raise DataError(message)
            unpacked.write(piece)
    return unpacked.getvalue()


def _has_data(hdu: Any) -> bool:
    return bool(hdu.header.get("NAXIS", 0)) if not hasattr(hdu, "shape") else bool(hdu.shape)


def _is_picture(shape: tuple[int, ...]) -> bool:
    """Tell whether an image has the shape (height, width) or (bands, height, width), perhaps with ones before."""
    return len(shape) >= 2 and 0 not in shape and all(length == 1 for length in shape[:-3])


def _is_companion(hdu: Any) -> bool:
    words = re.split(r"[^a-z]+", str(hdu.header.get("EXTNAME", "")).lower())
    return any(_COMPANIONS.fullmatch(word) for word in words)


def _cube_names(header: Any, index: int, count: int) -> list[str]:
    """Return what a cube's header may call one of its planes: BANDS = 'grz', BAND0 = 'g', FILTER1 = 'g'."""
    bands = str(header.get("BANDS", "")).strip()
    listed = re.split(r"[\s,]+", bands)
    listed = listed if len(listed) == count else list(bands)
    first = 0 if "BAND0" in header or "FILTER0" in header else 1
    numbered = [str(header.get(f"{key}{index + first}", "")).strip() for key in ("BAND", "FILTER")]
    return [listed[index] if len(listed) == count else "", *numbered]


def _names(hdu: Any, hdus: "HDUList", images: int, origin: Path | None) -> list[str]:
    """Return what a file may call the band of one image, the surest first."""
    headers = [hdu.header, *([hdus[0].header] if images == 1 else [])]
    said = [str(header.get(key, "")).strip() for header in headers for key in ("BAND", "FILTER")]
    extension = str(hdu.header.get("EXTNAME", "")).strip()
    named = split_band(origin.name) if origin is not None and images == 1 else None
    # What tile compression calls its tables is no name.
    return [*said, "" if extension in {"COMPRESSED_IMAGE", "PRIMARY"} else extension, named[1] if named else ""]


def split_band(name: str, wanted: Sequence[str] = ()) -> tuple[str, str] | None:
    """Split a file's name into the galaxy's and the band's: "ngc7-g.fits" into ("ngc7", "g").

    The band is the last of the words between ``-``, ``_`` and ``.`` that is a band's name (or one of `wanted`). None
    where there is none, or nothing else.
    """
    stem = next(
        (name[: -len(s)] for s in sorted(FITS_SUFFIXES, key=len, reverse=True) if name.lower().endswith(s)), name
    )
    known = {*_WAVELENGTHS, *(band.lower() for band in wanted)}
    words = re.split(r"([-_.])", stem)
    at = next((place for place in range(len(words) - 1, -1, -2) if words[place].lower() in known), None)
    if at is None or len(words) == 1:
        return None
    rest = words[: at - 1] + words[at + 1 :] if at else words[2:]
    return "".join(rest), words[at]


def _wanted(planes: Sequence[Plane], name: str) -> Plane:
    for plane in planes:
        if plane.name.lower() == name.lower():
            return plane
    if name.isdecimal() and 1 <= int(name) <= len(planes):
        return planes[int(name) - 1]
    for plane in planes:
        if wavelength(name) is not None and wavelength(plane.name) == wavelength(name):
            return plane
    there = ", ".join(plane.name or str(number) for number, plane in enumerate(planes, start=1))
    raise PictureError(f"it has no band {name!r}; there are: {there}")


def _by_wavelength(planes: Sequence[Plane]) -> list[Plane]:
    unique: dict[str | int, Plane] = {}
    for number, plane in enumerate(planes):
        unique.setdefault(wavelength(plane.name) or plane.name or f" {number}", plane)
    named = {name: plane for name, plane in unique.items() if isinstance(name, int)}
    if not named:
        rest = list(unique.values())
        return rest if len(rest) == 3 and all(plane.finished for plane in rest) else rest[::-1]
    if len(named) > 3:
        for composite in _COMPOSITES:
            lengths = [_WAVELENGTHS[band] for band in composite]
            if all(length in named for length in lengths):
                return [named[length] for length in lengths]
    ordered = [named[length] for length in sorted(named, reverse=True)]
    return ordered if len(ordered) <= 3 else [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
