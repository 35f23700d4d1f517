"""Read one band of a FITS image unstretched, with its noise, masks, segments and point spread function."""

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import PictureError
from peculiar.files.limits import MOSAIC_BYTES, PICTURE_BYTES, PIXELS
from peculiar.images.companions import header_words
from peculiar.images.coverage import lacking, names_weight
from peculiar.images.fits import (
    PER_PIXEL,
    Plane,
    choose_planes,
    find_planes,
    nanomaggies_of,
    open_maps,
    reporting_damage,
)
from peculiar.images.fits_file import FitsFile, Pixels, quietly
from peculiar.images.wcs import Sky, read_sky

logger = logging.getLogger(__name__)

_END = r"(map|maps|image|img|\d)?"
_ROLES = {
    # The noise of a pixel, the most direct statement first.
    "deviation": re.compile(rf"(err(ors?)?|unc(ert(ainty|ainties)?)?|rms|sig(ma)?|std(dev)?|stdev|noise){_END}"),
    "variance": re.compile(rf"var(iances?)?{_END}"),
    "inverse variance": re.compile(rf"(inv|i)var(iances?)?{_END}"),
    "weight": re.compile(rf"m?(2d)?(w(ei?gh)?ts?|wht|wei|conf(idence)?){_END}"),
    "mask": re.compile(rf"(masks?|msk|bpm|bad(pix)?|dq|dqf){_END}"),
    "segments": re.compile(rf"seg(m(ent(s|ation)?)?)?{_END}"),
    "psf": re.compile(rf"psf{_END}"),
}
_NOISE = ("deviation", "variance", "inverse variance", "weight")

# Parts of a variance.
_PARTS = {"poisson", "rnoise", "flat"}

# Kinds of uncertainty as astropy's CCDData names them in UTYPE.
_UTYPES = {"stddevuncertainty": "deviation", "varianceuncertainty": "variance", "inversevariance": "inverse variance"}

# Keywords of the gain, which apply to units that are counted; and of the value at which a pixel is saturated.
_GAIN, _SATURATION = ("GAIN", "EGAIN", "CCDGAIN"), ("SATURATE", "SATURLEV", "SATLEVEL")
_COUNTED = re.compile(r"(adu|dn|counts?|ct|cts|electrons?|e-?)", re.IGNORECASE)

_MOST_PSF = 512
"""Side of an image of a point spread function, in pixels."""

Beside = Mapping[Path, Mapping[Path, Sequence[str]]]
"""By file, its companions in files of their own, with the words that name them."""


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """One band of a galaxy, unstretched: rows from the bottom up.

    Parameters
    ----------
    pixels : ndarray of float32, shape (height, width)
        NaN for missing values and outside the image.
    band : str
        Name in the file; may be empty.
    unit : str
        Unit of the pixels as the file states it; may be empty.
    nanomaggies : float or None
        Nanomaggies for the value 1; None if the unit is unknown.
    noise : ndarray of float32, shape (height, width), or None
        Standard deviation of each pixel; NaN or infinite where it is unknown.
    noise_kind : str
        Origin of the noise: "deviation", "variance", "inverse variance", or "weight", of which only the ratios of
        pixels count; empty if there is none.
    gain : float or None
        Electrons for the value 1, if the header states it and the unit is counted.
    lacks : ndarray of bool, shape (height, width), or None
        Pixels without data by a weight map or a mask.
    segments : ndarray of int, shape (height, width), or None
        Number of the object that each pixel belongs to; 0 for the sky.
    psf : ndarray of float64, shape (height, width), or None
        Point spread function, on the same pixels; sums to 1.
    saturation : float or None
        Value from which pixels are saturated.
    sky : Sky or None
        Celestial coordinates of the whole image.
    corner : tuple of int
        Column and row of the first pixel in the whole image.
    finished : bool
        Whether the pixels are bytes: a picture that somebody stretched already.
    """

    pixels: NDArray[np.float32]
    band: str = ""
    unit: str = ""
    nanomaggies: float | None = None
    noise: NDArray[np.float32] | None = None
    noise_kind: str = ""
    gain: float | None = None
    lacks: NDArray[np.bool_] | None = None
    segments: NDArray[np.int64] | None = None
    psf: NDArray[np.float64] | None = None
    saturation: float | None = None
    sky: Sky | None = None
    corner: tuple[int, int] = (0, 0)
    finished: bool = False


class _Companion(NamedTuple):
    """A companion image, and its role."""

    role: str
    pixels: Pixels


class Exposure:
    """One band of an image, of which windows are read; open until `close`.

    Of several bands the middle one is taken, of two the redder one.

    Parameters
    ----------
    files : sequence of path or bytes
        FITS files, or their content.
    wanted : sequence of str
        Bands, from the reddest to the bluest; default: by the names in the files.
    beside : mapping, optional
        Companions in files of their own.
    only : mapping of path to container of int, optional
        Numbers of the images of each file to consider; default: all.
    mapped : bool
        Map uncompressed files into memory.

    Raises
    ------
    PictureError
        If there is no image, or it is damaged.
    """

    def __init__(
        self,
        files: Sequence[Path | bytes],
        wanted: Sequence[str] = (),
        beside: Beside | None = None,
        *,
        only: Mapping[Path, set[int]] | None = None,
        mapped: bool = False,
    ) -> None:
        most = MOSAIC_BYTES if mapped else PICTURE_BYTES
        self._opened = ExitStack()
        try:
            with reporting_damage(), quietly():
                found: list[Plane] = []
                for one in files:
                    file = self._opened.enter_context(FitsFile(one, mapped=mapped, most=most))
                    numbers = None if only is None or file.path is None else only[file.path]
                    found += find_planes(file, numbers, wanted)
                planes = choose_planes(found, wanted)
                self._plane = planes[(len(planes) - 1) // 2]
                path = self._plane.file.path
                words = {} if path is None else (beside or {}).get(path, {})
                maps = [self._opened.enter_context(file) for file in open_maps([*words], mapped=mapped, most=most)]
                self._pixels = self._plane.pixels()
                self._coverage = self._plane.coverage(_weights(maps, words))
                self._companions = list(_companions(self._plane, maps, words))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._opened.close()

    @cached_property
    def sky(self) -> Sky | None:
        """Celestial coordinates; None if there are none, or they cannot be understood."""
        try:
            sky = read_sky(self._plane.hdu.header, self._plane.file.hdus, self._plane.shape)
            return sky if sky is not None and math.isfinite(sky.pixel) and sky.pixel > 0 else None
        except Exception:  # a header may be wrong in any way; the pixels can be measured all the same
            logger.debug("%s has no usable coordinates", self._plane.label, exc_info=True)
            return None

    @cached_property
    def _unit(self) -> str:
        return str(self._plane.hdu.header.get("BUNIT", "")).strip()

    @cached_property
    def _nanomaggies(self) -> float | None:
        return nanomaggies_of(self._unit, None if self.sky is None else self.sky.pixel) if self._unit else None

    @cached_property
    def _gain(self) -> float | None:
        return self._number(_GAIN) if _COUNTED.fullmatch(PER_PIXEL.sub("", self._unit)) else None

    @cached_property
    def _psf(self) -> NDArray[np.float64] | None:
        found = next((one.pixels for one in self._companions if one.role == "psf"), None)
        return None if found is None or max(found.shape) > _MOST_PSF else usable_psf(found.whole())

    def _number(self, names: Sequence[str]) -> float | None:
        header = self._plane.hdu.header
        for name in names:
            value = header.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
                return float(value)
        return None

    def whole(self) -> Linear:
        """Return the whole image.

        Raises
        ------
        PictureError
            If it is damaged or too large.
        """
        height, width = self._plane.shape
        if height * width > PIXELS:
            reason = (
                f"it has {width} x {height} pixels, more than {PIXELS / 1e6:.0f} million; cut stamps out of it at the "
                "positions of galaxies (--catalog)"
            )
            raise PictureError(reason)
        return self.window(0, 0, height, width)

    def cut(self, column: float, row: float, side: int) -> Linear:
        """Cut out a stamp around a place, without resampling; see `peculiar.images.stamps.Field.cut`."""
        return self.window(math.ceil(column - side / 2), math.ceil(row - side / 2), side, side)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self._plane.shape

    def window(self, left: int, bottom: int, height: int, width: int) -> Linear:
        """Return a window, NaN beyond the edges of the image.

        Parameters
        ----------
        left, bottom : int
            Its first column and row.
        height, width : int
        """
        with reporting_damage(), quietly(), np.errstate(all="ignore"):
            window = _Window(left, bottom, height, width, self._plane.shape)
            pixels = window.fill(self._pixels, np.nan)
            pixels[~np.isfinite(pixels)] = np.nan
            inside = lacking(self._coverage, window.inside)
            lacks = None if inside is None else window.place(inside, False)
            noise, kind, segments = None, "", None
            for role, found in self._companions:
                if role in _NOISE and noise is None:
                    noise, kind = _deviation(role, window.fill(found, np.nan)), role
                elif role == "mask":
                    bad = _bad(window.fill(found, 0, np.float64))
                    lacks = bad if lacks is None else lacks | bad
                elif role == "segments" and segments is None:
                    segments = np.nan_to_num(window.fill(found, 0, np.float64)).astype(np.int64)
        return Linear(
            pixels,
            self._plane.name,
            self._unit,
            self._nanomaggies,
            noise,
            kind,
            self._gain,
            lacks,
            segments,
            self._psf,
            self._number(_SATURATION),
            self.sky,
            (left, bottom),
            self._pixels.finished,
        )


class _Window:
    """A window of an image, which may extend beyond it."""

    def __init__(self, left: int, bottom: int, height: int, width: int, shape: tuple[int, int]) -> None:
        rows = slice(min(max(bottom, 0), shape[0]), max(min(bottom + height, shape[0]), 0))
        columns = slice(min(max(left, 0), shape[1]), max(min(left + width, shape[1]), 0))
        self.inside = rows, columns
        self._shape = height, width
        self._there = (
            slice(rows.start - bottom, max(rows.stop, rows.start) - bottom),
            slice(columns.start - left, max(columns.stop, columns.start) - left),
        )

    def fill(self, pixels: Pixels, outside: float, kind: type[np.floating] = np.float32) -> NDArray[Any]:
        """Return the values of the window; single precision holds only 24 bits of a mask."""
        return self.place(pixels[self.inside].astype(kind), outside)

    def place(self, values: NDArray[Any], outside: float) -> NDArray[Any]:
        """Return values of the part inside the image, with others around them."""
        if values.shape == self._shape:
            return values
        placed = np.full(self._shape, outside, values.dtype)
        placed[self._there] = values
        return placed


def read_linear(files: Sequence[Path | bytes], wanted: Sequence[str] = (), beside: Beside | None = None) -> Linear:
    """Read one band of a FITS image unstretched; see `Exposure`.

    Raises
    ------
    PictureError
        If there is no image, or it is damaged or too large.
    """
    with Exposure(files, wanted, beside) as exposure:
        return exposure.whole()


def usable_psf(values: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return a point spread function as an image with odd sides that sums to 1; None if that is not possible."""
    psf = np.nan_to_num(np.asarray(values, dtype=np.float64))
    # An even side has no middle pixel; the convolution would shift the model by half a pixel.
    psf = psf[: psf.shape[0] - (psf.shape[0] + 1) % 2, : psf.shape[1] - (psf.shape[1] + 1) % 2]
    total = psf.sum()
    return psf / total if psf.size and math.isfinite(total) and total > 0 else None


def _weights(files: Sequence[FitsFile], words: Mapping[Path, Sequence[str]]) -> list[FitsFile]:
    """Return the files among companions whose zeros mean that there are no data."""
    return [file for file in files if file.path is not None and names_weight(words.get(file.path, ()))]


def _companions(plane: Plane, files: Sequence[FitsFile], words: Mapping[Path, Sequence[str]]) -> Iterator[_Companion]:
    """Yield the companions of an image with their roles: noise first, in the order of `_NOISE`."""
    found = []
    for file, hdu in plane.companions(files):
        named = header_words(hdu.header)
        if file is not plane.file and file.path is not None:
            named = [*named, *words.get(file.path, ())]
        role = _role(hdu.header, named)
        if not role or (role != "psf" and hdu.shape[-2:] != plane.shape):
            continue
        planes = math.prod(hdu.shape[:-2])
        if planes not in (1, math.prod(plane.hdu.shape[:-2])):
            continue
        try:
            found.append(_Companion(role, file.pixels(hdu, plane.index if planes > 1 else 0)))
        except PictureError:  # the image itself may be whole
            continue
    order = list(_ROLES)
    yield from sorted(found, key=lambda one: order.index(one.role))


def _role(header: Any, words: Sequence[str]) -> str:
    utype = str(header.get("UTYPE", "")).lower()
    if utype in _UTYPES and words:
        return _UTYPES[utype]
    for role, pattern in _ROLES.items():
        if any(pattern.fullmatch(word) for word in words):
            parts = set(re.split(r"[^a-z0-9]+", str(header.get("EXTNAME", "")).lower()))
            return "" if role in _NOISE and parts & _PARTS else role
    return ""


def _deviation(role: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the standard deviation; NaN where a map states none."""
    values = np.where(values > 0, values, np.nan)
    if role == "deviation":
        return values
    return np.asarray(np.sqrt(values) if role == "variance" else 1 / np.sqrt(values))


def _bad(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return the bad pixels of a mask: ones, or with further bits those whose first bit is set, as JWST's DQ has it."""
    numbers = np.nan_to_num(values).astype(np.int64)
    return np.asarray(numbers & 1 == 1)
