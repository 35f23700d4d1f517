"""FITS images: the bands of a file, their order and units. Rows stay in FITS order, from the bottom up.

Bands are in extensions, in the planes of a cube (bands, height, width), or in separate files.
"""

import logging
import math
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, PictureError
from peculiar.files.limits import PICTURE_BYTES
from peculiar.images.companions import companion_kind
from peculiar.images.coverage import Map, is_weight, lacking, mask_bits
from peculiar.images.fits_file import FITS_SUFFIXES, FitsFile, Pixels, quietly
from peculiar.images.stretch import SDSS_PIXEL
from peculiar.images.wcs import pixel_side, read_sky, same_cards

logger = logging.getLogger(__name__)

# Wavelengths in nm, by which bands are ordered. Case does not matter: bands with the same letter are close.
_WAVELENGTHS = {
    **{"u": 355, "b": 445, "g": 475, "v": 550, "r": 625, "vis": 700, "i": 765, "z": 905, "y": 1000},
    **{"j": 1230, "h": 1640, "k": 2180, "ks": 2160},
}

# Names of extensions that hold a picture of any band.
_NO_NAMES = {"sci", "science", "image", "data", "primary", "compressed_image"}

_COMPOSITES = (("i", "r", "g"), ("z", "r", "g"))

PER_PIXEL = re.compile(r"\s*(/\s*pix(el)?|pix(el)?\s*(\^|\*\*)?-1)$", re.IGNORECASE)
"""End of a unit per pixel."""

_NANOMAGGIES = {"nanomaggy", "nanomaggies", "nmgy", "nmaggy", "nmaggies", "nanomaggie"}
_NANOMAGGY_JANSKY = 3.631e-6

# Bands may be shifted against each other, as those of SDSS are, but not turned or scaled: not by more pixels than this
# at the corners.
TWIST = 0.5

# Largest ratio of the units of bands that count as one.
_ALIKE = 1.01


@dataclass(frozen=True, slots=True)
class Bands:
    """The one to three bands of a picture.

    Parameters
    ----------
    planes : ndarray of float32 or uint8, shape (1 to 3, height, width)
        From the reddest to the bluest, rows from the bottom up. Bytes are a finished picture.
    names : tuple of str
        Names in the file; empty if it has none.
    nanomaggies : float or None
        Nanomaggies per area of an SDSS pixel for the value 1; None if the unit is unknown.
    uncovered : bool
        Whether a weight map or a mask declares pixels to be without data.
    """

    planes: NDArray[Any]
    names: tuple[str, ...]
    nanomaggies: float | None
    uncovered: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """One two-dimensional image of an open FITS file.

    Parameters
    ----------
    name : str
        Name of its band in the file; may be empty.
    hdu : astropy HDU
    index : int
        Number of the plane in the cube.
    file : FitsFile
    """

    name: str
    hdu: Any
    index: int
    file: FitsFile

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.hdu.shape[-2], self.hdu.shape[-1]

    @property
    def band(self) -> int | str:
        """Its band: a wavelength in nm, or a name in lower case; may be empty."""
        return wavelength(self.name) or ("" if self.name.lower() in _NO_NAMES else self.name.lower())

    @property
    def label(self) -> str:
        """Its name in messages: its extension, or its band."""
        extension = str(self.hdu.header.get("EXTNAME", "")).strip()
        version = self.hdu.header.get("EXTVER")
        return (f"{extension},{version}" if extension and version else extension) or self.name or "one"

    @property
    def compressed(self) -> bool:
        """True if it is compressed by tiles."""
        return hasattr(self.hdu, "compression_type")

    @property
    def primary(self) -> bool:
        """True if it is the primary image of its file, or a plane of it."""
        return self.hdu is self.file.hdus[0]

    def pixels(self) -> Pixels:
        """Return its pixels."""
        return self.file.pixels(self.hdu, self.index)

    def coverage(self, beside: Sequence[FitsFile] = ()) -> list[Map]:
        """Return the maps that declare its pixels to be without data.

        Parameters
        ----------
        beside : sequence of FitsFile
            Weight maps of this image in files of their own.

        Returns
        -------
        list of Map
            Weight maps, and masks with bits for missing data, of the same shape: extensions of its file for its band,
            its ``EXTVER`` or the only image, and those of the other files. One that is damaged is left out.
        """
        found = []
        for file, hdu in self.companions(beside):
            bits = mask_bits(hdu.header)
            weight = is_weight(hdu.header) if file is self.file else not bits
            fits = hdu.shape[-2:] == self.shape and math.prod(hdu.shape[:-2]) in (1, math.prod(self.hdu.shape[:-2]))
            if fits and (bits or weight):
                try:
                    pixels = file.pixels(hdu, self.index if math.prod(hdu.shape[:-2]) > 1 else 0)
                except PictureError:  # the image itself may be whole
                    logger.debug("a companion of %s is damaged", self.label, exc_info=True)
                else:
                    found.append(Map(pixels, bits))
        return found

    def companions(self, beside: Sequence[FitsFile] = ()) -> Iterator[tuple[FitsFile, Any]]:
        """Yield the other images of its file that belong to it, and those of companion files, with their files."""
        for file in (self.file, *beside):
            for number, hdu in enumerate(file.hdus):
                if not hdu.is_image or not _has_data(hdu) or hdu is self.hdu:
                    continue
                if self._has_companion(hdu) if file is self.file else self._has_partner(file, number):
                    yield file, hdu

    def _has_companion(self, hdu: Any) -> bool:
        """Return whether an extension of its file is a companion of this image rather than of another one."""
        said = (str(hdu.header.get(key, "")) for key in ("BAND", "FILTER", "EXTNAME"))
        band = next((length for text in said if (length := wavelength(text))), None)
        if band is not None and isinstance(self.band, int):
            return band == self.band
        version, mine = hdu.header.get("EXTVER"), self.hdu.header.get("EXTVER")
        if version is not None and mine is not None:
            return bool(version == mine)
        return sum(1 for _ in find_images(self.file)) == 1

    def _has_partner(self, file: FitsFile, number: int) -> bool:
        """Return whether an image of another file is the counterpart of this one: the only one, or at its place."""
        there = [place for place, hdu in enumerate(file.hdus) if hdu.is_image and _has_data(hdu)]
        return there == [number] or (number < len(self.file.hdus) and self.file.hdus[number] is self.hdu)

    def nanomaggies(self) -> float | None:
        """Return the nanomaggies per area of an SDSS pixel for the value 1, if the unit is known."""
        said = str(self.hdu.header.get("BUNIT", ""))
        pixel = pixel_side(self.hdu.header) if said else None
        unit = nanomaggies_of(said, pixel)
        return None if unit is None else unit * (SDSS_PIXEL / (pixel or SDSS_PIXEL)) ** 2


def holds_image(path: Path) -> bool:
    """Return whether the first HDU with data is an image, not a table; True for a damaged file."""
    try:
        with quietly(), FitsFile(path, headers_only=True) as file:
            return next((bool(hdu.is_image) for hdu in file.hdus if _has_data(hdu)), False)
    except DataError:
        return False
    except Exception:  # the damage is reported when the picture is read
        logger.debug("%s is damaged", path, exc_info=True)
        return True


def read_bands(
    files: Sequence[Path | bytes],
    wanted: Sequence[str] = (),
    *,
    weights: Mapping[Path, Sequence[Path]] | None = None,
    most: int = 10**9,
) -> Bands:
    """Read the bands of one picture.

    Parameters
    ----------
    files : sequence of path or bytes
        FITS files, or their content; several hold different bands of the same pixels.
    wanted : sequence of str
        Bands, from the reddest to the bluest: names, or numbers of planes from 1 on. Default: by the names in the
        files.
    weights : mapping of path to sequence of path, optional
        By file, its weight maps in files of their own.
    most : int
        Maximum number of pixels of all bands together.

    Returns
    -------
    Bands

    Raises
    ------
    PictureError
        If there is no image, it is damaged, or the bands do not fit together.
    """
    with reporting_damage(), quietly(), ExitStack() as opened:
        found = [plane for file in files for plane in find_planes(opened.enter_context(FitsFile(file)), wanted=wanted)]
        if not wanted:
            _check_same_sky(found)
        planes = choose_planes(found, wanted)
        _check_same_sky(planes)
        if len(planes) * math.prod(planes[0].shape) > most:
            bands = f" in {len(planes)} bands" if len(planes) > 1 else ""
            reason = (
                f"it has {planes[0].shape[1]} x {planes[0].shape[0]} pixels{bands}, more than "
                f"{most / 1e6:.0f} million; cut stamps out of it at the positions of galaxies (--catalog)"
            )
            raise PictureError(reason)
        uncovered = any(_lacks_data(plane, weights or {}) for plane in planes)
        return read_planes(planes, uncovered=uncovered)


def read_planes(planes: Sequence[Plane], *, uncovered: bool = False) -> Bands:
    """Return planes of open files, of one shape, as the bands of a picture."""
    values = [plane.pixels().whole() for plane in planes]
    kind = np.uint8 if all(plane.dtype == np.uint8 for plane in values) else np.float32
    return Bands(np.stack(values, dtype=kind), tuple(plane.name for plane in planes), common_unit(planes), uncovered)


def common_unit(planes: Sequence[Plane]) -> float | None:
    """Return the nanomaggies per area of an SDSS pixel for the value 1, if bands agree; None if not, or if unknown.

    Pixels of the bands of a survey may differ a little in size, by which surface brightness hardly changes.
    """
    units = [unit for plane in planes if (unit := plane.nanomaggies()) is not None]
    return units[0] if len(units) == len(planes) and max(units) <= _ALIKE * min(units) else None


@contextmanager
def reporting_damage() -> Iterator[None]:
    """Turn any error in reading a FITS file into a `PictureError`."""
    try:
        yield
    except PictureError:
        raise
    except DataError as error:
        raise PictureError(str(error)) from error
    except Exception as error:  # astropy reports damage with various exceptions
        raise PictureError(f"it is damaged FITS, or cut short ({error})") from error


def _lacks_data(plane: Plane, weights: Mapping[Path, Sequence[Path]]) -> bool:
    beside = () if plane.file.path is None else weights.get(plane.file.path, ())
    height, width = plane.shape
    with ExitStack() as opened:
        maps = plane.coverage([opened.enter_context(file) for file in open_maps(beside)])
        lacks = lacking(maps, (slice(0, height), slice(0, width)))
    return lacks is not None and bool(lacks.any())


def open_maps(files: Sequence[Path], *, mapped: bool = False, most: int = PICTURE_BYTES) -> list[FitsFile]:
    """Open the weight maps of an image, without damaged ones: the image itself may be whole; see `FitsFile`."""
    opened = []
    for file in files:
        try:
            opened.append(FitsFile(file, mapped=mapped, most=most))
        except DataError as error:
            logger.warning("a weight map is not used: %s", error)
    return opened


def find_images(file: FitsFile) -> Iterator[tuple[int, Any]]:
    """Yield the images of an open FITS file, each with its number: (height, width), or (bands, height, width).

    Companions are skipped, and HDUs that have the form of an image but are not one.
    """
    for number, hdu in enumerate(file.hdus):
        if hdu.is_image and _has_data(hdu) and _is_picture(hdu.shape) and not companion_kind(hdu.header):
            yield number, hdu


def find_planes(file: FitsFile, only: Container[int] | None = None, wanted: Sequence[str] = ()) -> list[Plane]:
    """Return the bands of an open FITS file, in their order.

    Parameters
    ----------
    file : FitsFile
    only : container of int, optional
        Numbers of the images to consider; default: all.
    wanted : sequence of str
        Further names of bands that may occur in its name.

    Raises
    ------
    PictureError
        If all its images are companions, or do not have the shape of an image.
    """
    images = [hdu for number, hdu in find_images(file) if only is None or number in only]
    if not images:
        _refuse(file)
    planes = []
    for hdu in images:
        count = math.prod(hdu.shape[:-2])
        for index in range(count):
            names = _cube_names(hdu.header, index, count) if count > 1 else _names(hdu, file, len(images), wanted)
            named = [name for name in names if name]
            name = next((name for name in named if wavelength(name)), named[0] if named else "")
            planes.append(Plane(name, hdu, index, file))
    return planes


def _refuse(file: FitsFile) -> None:
    """Raise the reason why a file with images has no picture."""
    for hdu in file.hdus:
        if not hdu.is_image or not _has_data(hdu):
            continue
        if kind := companion_kind(hdu.header):
            raise PictureError(f"it holds no picture, only a companion image ({kind})")
        # SDSS files also hold a list of numbers in the form of an image.
        reason = f"an image of shape {hdu.shape} is not a picture; expected (height, width) or (bands, height, width)"
        raise PictureError(reason)


def _check_same_sky(planes: Sequence[Plane]) -> None:
    """Check that images are bands of one picture, not chips of a camera side by side."""
    hdus = {id(plane.hdu): plane for plane in planes}
    first, *others = hdus.values() if planes else (None,)
    if first is None or all(same_cards(first.hdu.header, plane.hdu.header) for plane in others):
        return
    skies = [read_sky(plane.hdu.header, plane.file.hdus, plane.shape) for plane in (first, *others)]
    known = [sky for sky in skies if sky is not None]
    if not all(known[0].shape != sky.shape or known[0].aligned(sky, TWIST) for sky in known[1:]):
        listed = ", ".join(plane.label for plane in (first, *others))
        raise PictureError(
            f"its images ({listed}) do not show the same sky, so they are chips, not bands; cut stamps out of them at "
            "the positions of galaxies (--catalog), or name one of them (--bands)"
        )


def choose_planes(planes: Sequence[Plane], wanted: Sequence[str] = ()) -> list[Plane]:
    """Choose one to three bands, and order them from the reddest to the bluest.

    Named bands are ordered by wavelength. Of more than three, i, r, g are taken, or z, r, g, or the reddest, the middle
    and the bluest. Bands without names are assumed to run from blue to red, as surveys write them, except three planes
    of bytes, which are a finished RGB picture.

    Raises
    ------
    PictureError
        If there is none, or the choice is unclear.
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
    """Return the wavelength of a band in nm, if its name is known: "r", "SDSS r", "HSC-R", "sdss_r"."""
    tokens = re.split(r"[^a-z0-9]+", name.lower())
    return next((_WAVELENGTHS[token] for token in tokens if token in _WAVELENGTHS), None)


def nanomaggies_of(unit: str, pixel: float | None = None) -> float | None:
    """Return a unit of flux in nanomaggies.

    Parameters
    ----------
    unit : str
        As in ``BUNIT``: nanomaggy, nMgy, Jy, uJy, MJy/sr ...
    pixel : float, optional
        Side of a pixel in arcsec, for units of surface brightness.
    """
    plain = PER_PIXEL.sub("", unit.strip())
    if not plain or plain.lower() in _NANOMAGGIES:
        return 1.0 if plain else None
    from astropy import units

    parsed = units.Unit(plain, parse_strict="silent")
    if parsed.is_equivalent(units.Jy):
        return float(parsed.to(units.Jy)) / _NANOMAGGY_JANSKY
    if pixel is not None and parsed.is_equivalent(units.Jy / units.sr):
        return float((parsed * (pixel * units.arcsec) ** 2).to_value(units.Jy)) / _NANOMAGGY_JANSKY
    return None


def _has_data(hdu: Any) -> bool:
    return bool(hdu.header.get("NAXIS", 0)) if not hasattr(hdu, "shape") else bool(hdu.shape)


def _is_picture(shape: tuple[int, ...]) -> bool:
    """Return whether an image has the shape (height, width) or (bands, height, width), after axes of length 1."""
    return len(shape) >= 2 and 0 not in shape and all(length == 1 for length in shape[:-3])


def _cube_names(header: Any, index: int, count: int) -> list[str]:
    """Return the names that a cube's header may give to a plane: BANDS = 'grz', BAND0 = 'g', FILTER1 = 'g'."""
    bands = str(header.get("BANDS", "")).strip()
    listed = re.split(r"[\s,]+", bands)
    listed = listed if len(listed) == count else list(bands)
    first = 0 if "BAND0" in header or "FILTER0" in header else 1
    numbered = [str(header.get(f"{key}{index + first}", "")).strip() for key in ("BAND", "FILTER")]
    return [listed[index] if len(listed) == count else "", *numbered]


def _names(hdu: Any, file: FitsFile, images: int, wanted: Sequence[str]) -> list[str]:
    """Return the names that a file may give to the band of an image, the most reliable first."""
    headers = [hdu.header, *([file.hdus[0].header] if images == 1 else [])]
    said = [str(header.get(key, "")).strip() for header in headers for key in ("BAND", "FILTER")]
    extension = str(hdu.header.get("EXTNAME", "")).strip()
    named = file_band(file.path, wanted) if file.path is not None and images == 1 else ""
    # The name that tile compression gives to its tables is not a band.
    return [*said, "" if extension in {"COMPRESSED_IMAGE", "PRIMARY"} else extension, named]


def known_bands(wanted: Sequence[str] = ()) -> set[str]:
    """Return the names of bands in the name of a file, in lower case."""
    return {*_WAVELENGTHS, *(band.lower() for band in wanted)}


def file_band(path: Path, wanted: Sequence[str] = ()) -> str:
    """Return the band in the name of a file, also if the name has nothing else ("A/g.fits"); may be empty."""
    stem, split = split_suffix(path.name), split_band(path.name, wanted)
    return split[1] if split else stem if stem.lower() in known_bands(wanted) else ""


def split_suffix(name: str) -> str:
    """Return a file's name without the suffix of FITS."""
    suffixes = (suffix for suffix in sorted(FITS_SUFFIXES, key=len, reverse=True) if name.lower().endswith(suffix))
    return name[: -len(next(suffixes, "")) or None]


def split_band(name: str, wanted: Sequence[str] = ()) -> tuple[str, str] | None:
    """Split a file's name into the galaxy's and the band's: "ngc7-g.fits" into ("ngc7", "g").

    The band is the last word between ``-``, ``_`` and ``.`` that is the name of a band (or one of `wanted`). None if
    there is no such word, or no other word.
    """
    stem = split_suffix(name)
    known = known_bands(wanted)
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
    for number, plane in enumerate(planes, start=1):
        band = plane.band or f" {number}"
        if band in unique and unique[band].primary and not plane.primary:
            continue  # another image in the band of the primary image is its companion
        if band in unique:
            raise PictureError(
                f"it has two images in the band {plane.name} ({unique[band].label} and {plane.label}), and it is "
                "unclear which is meant; name the bands by their numbers (--bands 1)"
            )
        unique[band] = plane
    named = {name: plane for name, plane in unique.items() if isinstance(name, int)}
    if not named:
        rest = list(unique.values())
        return rest if len(rest) == 3 and all(plane.pixels().finished for plane in rest) else rest[::-1]
    if len(named) > 3:
        for composite in _COMPOSITES:
            lengths = [_WAVELENGTHS[band] for band in composite]
            if all(length in named for length in lengths):
                return [named[length] for length in lengths]
    ordered = [named[length] for length in sorted(named, reverse=True)]
    return ordered if len(ordered) <= 3 else [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
