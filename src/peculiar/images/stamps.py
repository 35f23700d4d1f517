"""Cut stamps out of mosaics at positions on the sky, through a memory map."""

import itertools
import logging
import math
import weakref
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, PictureError
from peculiar.files.limits import MOSAIC_BYTES
from peculiar.images.coverage import lacking
from peculiar.images.fits import TWIST, choose_planes, common_unit, find_images, find_planes, open_maps
from peculiar.images.fits_file import FitsFile, Pixels, quietly
from peculiar.images.linear import Exposure, Linear
from peculiar.images.wcs import Sky, check_back, read_sky

logger = logging.getLogger(__name__)

# The noise is measured in this many windows per side, each of so many pixels.
_WINDOWS, _WINDOW = 8, 64


class Layer(NamedTuple):
    """An image extension of a file: one band, or a cube of bands."""

    path: Path
    extension: int
    weights: tuple[Path, ...] = ()
    """Its weight maps in files of their own."""
    companions: tuple[tuple[Path, tuple[str, ...]], ...] = ()
    """All companions in files of their own, with the words that name them."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Its file, and those of its companions."""
        return tuple(dict.fromkeys((self.path, *self.weights, *(path for path, _ in self.companions))))


class Stamp(NamedTuple):
    """A stamp, and how many of its pixels have no value.

    Parameters
    ----------
    pixels : ndarray of float32 or uint8, shape (bands, side, side)
        NaN for missing values. Bytes for a finished picture, with 0 outside the mosaic.
    outside : int
        Number of pixels, in all bands, outside the mosaic.
    missing : int
        Number of pixels on the mosaic without a value, or without data by a weight map or a mask.
    """

    pixels: NDArray[Any]
    outside: int
    missing: int


class Field:
    """A mosaic of one to three bands, in one file or several.

    Pixels are counted as in astropy, from 0 at the centre of the bottom left pixel.

    Parameters
    ----------
    layers : sequence of Layer
    wanted : sequence of str
        Bands, from the reddest to the bluest; default: by the names in the files.

    Attributes
    ----------
    shape : tuple of int
        Height and width.
    names : tuple of str
        The bands.
    unused : tuple of str
        Bands that exist but are not used.
    sky : Sky
        Its celestial coordinates.
    finished : bool
        Whether the pixels are bytes: a picture that somebody stretched already.
    nanomaggies : float or None
        How many nanomaggies in the area of an SDSS pixel the value 1 stands for; None where the unit is not known.

    Raises
    ------
    DataError
        If a file is damaged, has no image or no celestial coordinates, or the bands do not fit together.
    """

    def __init__(self, layers: Sequence[Layer], wanted: Sequence[str] = ()) -> None:
        files = list(dict.fromkeys(layer.path for layer in layers))
        self._layers, self._wanted = tuple(layers), tuple(wanted)
        name = files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"
        with quietly():
            opened = {path: FitsFile(path, mapped=True, most=MOSAIC_BYTES) for path in files}
            for file in opened.values():
                weakref.finalize(self, file.close)
            try:
                found = [
                    plane
                    for path, file in opened.items()
                    for plane in find_planes(file, {layer.extension for layer in layers if layer.path == path}, wanted)
                ]
                planes = choose_planes(found, wanted)
                self._planes = [plane.pixels() for plane in planes]
                beside = {
                    path: open_maps(weights, mapped=True, most=MOSAIC_BYTES)
                    for path, weights in {layer.path: layer.weights for layer in layers}.items()
                }
                for file in itertools.chain.from_iterable(beside.values()):
                    weakref.finalize(self, file.close)
                self._maps = [
                    plane.coverage(() if plane.file.path is None else beside[plane.file.path]) for plane in planes
                ]
                skies = [read_sky(plane.hdu.header, plane.file.hdus, plane.shape) for plane in planes]
            except PictureError as error:
                message = f"{name}: {error.reason}"
                raise DataError(message) from error
            except DataError:
                raise
            except Exception as error:  # of damage astropy raises whatever came first
                message = f"{name}: this file is damaged FITS, or cut short ({error}); download it again"
                raise DataError(message) from error
            pixels = [*self._planes, *(one.pixels for maps in self._maps for one in maps)]
            if not any(one.tiled for one in pixels):  # a memory map keeps its file open itself
                for file in (*opened.values(), *itertools.chain.from_iterable(beside.values())):
                    file.close()
        self.shape = planes[0].shape
        self.names = tuple(plane.name for plane in planes)
        self.unused = tuple(plane.name or plane.label for plane in found if plane not in planes)
        self.finished = all(pixels.finished for pixels in self._planes)
        self.nanomaggies = common_unit(planes)
        known = [sky for sky in skies if sky is not None]
        if not known:
            message = (
                f"{name}: this image has no celestial coordinates (WCS) in its header, so that positions cannot be "
                "found in it; solve it (astrometry.net), or give cut-outs without --catalog"
            )
            raise DataError(message)
        self.sky = known[0]
        try:
            check_back(self.sky)
        except PictureError as error:
            message = f"{name}: {error.reason}"
            raise DataError(message) from error
        self._shifts = [(0.0, 0.0) if sky is None else self._shift(sky, name) for sky in skies]

    @np.errstate(over="ignore", invalid="ignore")
    def cut(self, column: float, row: float, side: int) -> Stamp:
        """Cut out a stamp around a place, without resampling: rows from the bottom up, in the mosaic's orientation.

        Parameters
        ----------
        column, row : float
            The place for the middle, to within half a pixel.
        side : int
            Of the stamp, in pixels.
        """
        height, width = self.shape
        outside = missing = 0
        stamp: NDArray[Any] = np.empty((len(self._planes), side, side), np.uint8 if self.finished else np.float32)
        for band, (plane, (right, up)) in enumerate(zip(self._planes, self._shifts, strict=True)):
            left, bottom = math.ceil(column + right - side / 2), math.ceil(row + up - side / 2)
            first, last = max(left, 0), min(left + side, width)
            lower, upper = max(bottom, 0), min(bottom + side, height)
            inside = stamp[band]
            if last - first < side or upper - lower < side:
                stamp[band] = 0 if self.finished else np.nan
                inside = stamp[band, max(lower - bottom, 0) : upper - bottom, max(first - left, 0) : last - left]
                outside += side * side - inside.size
            if inside.size:
                window = slice(lower, upper), slice(first, last)
                inside[:] = plane[window]
                lacks = lacking(self._maps[band], window)
                # A sum is finite if all values are, and faster to compute.
                if not (self.finished or math.isfinite(inside.sum())):
                    unknown = ~np.isfinite(inside)
                    lacks = unknown if lacks is None else lacks | unknown
                missing += 0 if lacks is None else int(np.count_nonzero(lacks))
        return Stamp(stamp, outside, missing)

    @cached_property
    def exposure(self) -> Exposure:
        """One of the bands, unstretched, with its noise."""
        only: dict[Path, set[int]] = {}
        beside: dict[Path, dict[Path, Sequence[str]]] = {}
        for layer in self._layers:
            only.setdefault(layer.path, set()).add(layer.extension)
            beside.setdefault(layer.path, {}).update(layer.companions)
        opened = Exposure(list(only), self._wanted, beside, only=only, mapped=True)
        weakref.finalize(self, opened.close)
        return opened

    def linear(self, ra: float, dec: float, side: int) -> Linear:
        """Cut a stamp of one band around a position, unstretched, with its noise.

        Parameters
        ----------
        ra, dec : float
            ICRS, in degrees.
        side : int
            Of the stamp, in pixels.

        Raises
        ------
        PictureError
            If the image is damaged there.
        """
        sky = self.exposure.sky or self.sky
        ((column, row),) = sky.place(np.array([ra]), np.array([dec])).tolist()
        return self.exposure.cut(column, row, side)

    def sample(self) -> NDArray[np.float32]:
        """Return pixels from all over the mosaic, (bands, n), the same at every call."""
        starts = [
            [(2 * k + 1) * length // (2 * _WINDOWS) - _WINDOW // 2 for k in range(_WINDOWS)] for length in self.shape
        ]
        windows = [
            (slice(max(row, 0), max(row, 0) + _WINDOW), slice(max(column, 0), max(column, 0) + _WINDOW))
            for row in starts[0]
            for column in starts[1]
        ]
        sampled = [np.concatenate([_sampled(plane, window) for window in windows]) for plane in self._planes]
        return np.stack(sampled).astype(np.float32)

    def _shift(self, other: Sky, name: str) -> tuple[float, float]:
        """Return the shift of another band relative to the first, in pixels."""
        shifts = self.sky.shifts(other)
        middle = shifts[4]
        if not (np.abs(shifts - middle) <= TWIST).all():
            message = (
                f"{name}: the bands differ in scale or orientation, by {np.nanmax(np.abs(shifts - middle)):.1f} pixels "
                "at the edges; resample them to the same pixels"
            )
            raise DataError(message)
        whole = np.rint(middle)  # rounding errors must not add a pixel
        across, up = np.where(np.abs(middle - whole) < 0.01, whole, middle).tolist()
        return across, up


def _sampled(plane: Pixels, window: tuple[slice, slice]) -> NDArray[Any]:
    try:
        return plane[window].ravel()
    except PictureError:  # a damaged tile affects only the stamps on it
        sides = (len(range(*part.indices(length))) for part, length in zip(window, plane.shape, strict=True))
        return np.full(math.prod(sides), np.nan, np.float32)


def sky_centre(path: Path) -> tuple[float, float] | None:
    """Return the position of the centre of an image.

    Parameters
    ----------
    path : path
        Of a FITS file; its first image counts. Only the headers of a compressed file are decompressed.

    Returns
    -------
    tuple of float or None
        Right ascension and declination, ICRS, in degrees; None if the file does not state them, or cannot be read.
    """
    try:
        with quietly(), FitsFile(path, headers_only=True) as file:
            # Later HDUs are not read, because a compressed file would have to be decompressed for them.
            hdu = next(hdu for _, hdu in find_images(file))
            sky = read_sky(hdu.header, file.hdus, hdu.shape[-2:])
            if sky is None:
                return None
            ((ra, dec),) = sky.icrs(sky.grid()[4:5]).tolist()
    except Exception:  # a header may be wrong in any way; the damage is reported when the picture is read
        logger.debug("%s has no position", path, exc_info=True)
        return None
    return (ra, dec) if math.isfinite(ra + dec) else None
