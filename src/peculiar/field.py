"""Where the pixels of an image lie on the sky, and stamps cut out of a mosaic by memory map."""

import logging
import math
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from peculiar.bands import Plane, choose_planes, find_planes, is_gzip, open_fits, quietly, scaling
from peculiar.errors import DataError, PictureError

logger = logging.getLogger(__name__)

# Bands may be shifted against each other, as those of SDSS are, but not turned or enlarged: at the corners by not more
# pixels than this.
_TWIST = 0.5

# A sample of this many windows a side, each of so many pixels, says what the noise is.
_WINDOWS, _WINDOW = 8, 64


class Pixels(Protocol):
    """What gives a window of pixels when it is indexed with two slices."""

    def __getitem__(self, window: tuple[slice, slice], /) -> NDArray[Any]:
        """Return the pixels of a window, (rows, columns)."""


class Field:
    """One mosaic of one to three bands, in one file or in several.

    Pixels are counted as astropy does, from 0 in the middle of the bottom left one.

    Parameters
    ----------
    files : sequence of path
    wanted : sequence of str
        Which bands, from the redder to the bluer; by default by the names that the files give them.

    Attributes
    ----------
    shape : tuple of int
        Height and width.
    names : tuple of str
        The bands.
    pixel : float
        Side of a pixel in arcsec, in the middle of the mosaic.
    finished : bool
        Whether the pixels are bytes: a picture that somebody stretched already.
    nanomaggies : float or None
        How many nanomaggies in the area of an SDSS pixel the value 1 stands for; None where the unit is not known.

    Raises
    ------
    DataError
        If a file is damaged or holds no image, has no celestial coordinates, or the bands do not fit together.
    """

    def __init__(self, files: Sequence[Path], wanted: Sequence[str] = ()) -> None:
        name = files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"
        with quietly():
            opened = {file: open_fits(file, memory_map=True) for file in files}
            for hdus in opened.values():
                weakref.finalize(self, hdus.close)
            try:
                planes = choose_planes([plane for file in files for plane in find_planes(opened[file], file)], wanted)
                where = [plane.origin or files[0] for plane in planes]
                self._planes = [_pixels(plane, file) for plane, file in zip(planes, where, strict=True)]
                systems = [
                    _celestial(plane.hdu.header, opened[file]) for plane, file in zip(planes, where, strict=True)
                ]
            except PictureError as error:
                message = f"{name}: {error.reason}"
                raise DataError(message) from error
            except DataError:
                raise
            except Exception as error:  # of damage astropy raises whatever came first
                message = f"{name}: this file is damaged FITS, or cut short ({error}); fetch it again"
                raise DataError(message) from error
            for file, hdus in opened.items():
                if not any(
                    isinstance(plane, _Tiles) for plane, at in zip(self._planes, where, strict=True) if at == file
                ):
                    hdus.close()  # a map holds its file by itself
        self.shape = planes[0].shape
        self.names = tuple(plane.name for plane in planes)
        self.finished = all(plane.finished for plane in planes)
        units = {plane.nanomaggies() for plane in planes}
        self.nanomaggies = units.pop() if len(units) == 1 else None
        known = [system for system in systems if system is not None]
        if not known:
            message = (
                f"{name}: this image has no celestial coordinates (WCS) in its header, so that positions cannot be "
                "found in it; solve it (astrometry.net), or give cut-outs without --catalog"
            )
            raise DataError(message)
        self._wcs = known[0]
        self._shifts = [(0, 0) if system is None else self._shift(system, name) for system in systems]
        self._frame = _other_frame(self._wcs)
        self.pixel = self._pixel_side()

    def place(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the pixels (n, 2) at which positions (ICRS, degrees) lie: column and row; NaN where far off."""
        with quietly():
            return self._place(ra, dec)

    def _place(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
        height, width = self.shape
        if self._frame is not None:
            from astropy.coordinates import SkyCoord

            there = SkyCoord(ra, dec, unit="deg").transform_to(self._frame).spherical
            ra, dec = there.lon.deg, there.lat.deg
        # Without distortions first: their inverse is found by steps, which lead nowhere far from the mosaic.
        rough = np.stack(self._wcs.wcs_world2pix(ra, dec, 0), axis=-1)
        margin = 0.25 * max(height, width)
        with np.errstate(invalid="ignore"):
            near = ((rough >= -margin) & (rough < np.array([width, height]) + margin)).all(axis=-1)
        placed = np.full((len(ra), 2), np.nan)
        if near.any():
            placed[near] = np.stack(self._wcs.all_world2pix(ra[near], dec[near], 0, quiet=True), axis=-1)
        return placed

    def holds(self, pixels: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which pixels (n, 2) lie on the mosaic."""
        with np.errstate(invalid="ignore"):
            inside = (pixels >= -0.5) & (pixels < np.array([self.shape[1], self.shape[0]]) - 0.5)
        return np.asarray(inside.all(axis=-1))

    def cut(self, column: float, row: float, side: int) -> tuple[NDArray[Any], bool]:
        """Cut a stamp out around a place, its pixels as they are: rows from the bottom up, in the mosaic's orientation.

        Parameters
        ----------
        column, row : float
            What is to come to the middle, within half a pixel.
        side : int
            Of the stamp, in pixels.

        Returns
        -------
        stamp : ndarray of float32, shape (bands, side, side)
            NaN outside the mosaic. Of a finished picture uint8, and 0 outside.
        whole : bool
            Whether it lies on the mosaic wholly.
        """
        height, width = self.shape
        whole = True
        stamp: NDArray[Any] = np.empty((len(self._planes), side, side), np.uint8 if self.finished else np.float32)
        for band, (plane, (right, up)) in enumerate(zip(self._planes, self._shifts, strict=True)):
            left, bottom = math.ceil(column + right - side / 2), math.ceil(row + up - side / 2)
            first, last = max(left, 0), min(left + side, width)
            lower, upper = max(bottom, 0), min(bottom + side, height)
            if last - first == side and upper - lower == side:
                stamp[band] = plane[bottom:upper, left:last]
                continue
            whole = False
            stamp[band] = 0 if self.finished else np.nan
            if last > first and upper > lower:
                stamp[band, lower - bottom : upper - bottom, first - left : last - left] = plane[
                    lower:upper, first:last
                ]
        return stamp, whole

    def sample(self) -> NDArray[np.float32]:
        """Return pixels of all over the mosaic, (bands, n), the same at every call."""
        starts = [
            [(2 * k + 1) * length // (2 * _WINDOWS) - _WINDOW // 2 for k in range(_WINDOWS)] for length in self.shape
        ]
        windows = [
            (slice(max(row, 0), max(row, 0) + _WINDOW), slice(max(column, 0), max(column, 0) + _WINDOW))
            for row in starts[0]
            for column in starts[1]
        ]
        return np.stack(
            [np.concatenate([plane[window].ravel() for window in windows]).astype(np.float32) for plane in self._planes]
        )

    def corners(self) -> NDArray[np.float64]:
        """Return positions (9, 2) of the corners, the middles of the sides, and the middle: for messages."""
        return np.stack(self._wcs.all_pix2world(*self._grid().T, 0), axis=-1)

    def _grid(self) -> NDArray[np.float64]:
        height, width = self.shape
        return np.array([(x, y) for y in (0, (height - 1) / 2, height - 1) for x in (0, (width - 1) / 2, width - 1)])

    def _shift(self, system: Any, name: str) -> tuple[float, float]:
        """Return by how many pixels another band is shifted against the first."""
        if system is self._wcs:
            return 0, 0
        with quietly():
            shifts = np.stack(system.all_world2pix(*self.corners().T, 0, quiet=True), axis=-1) - self._grid()
        middle = shifts[4]
        if not (np.abs(shifts - middle) <= _TWIST).all():
            message = (
                f"{name}: the bands differ in scale or orientation, by {np.nanmax(np.abs(shifts - middle)):.1f} pixels "
                "at the edges; resample them to the same pixels"
            )
            raise DataError(message)
        whole = np.rint(middle)  # which rounding errors must not make a pixel more of
        across, up = np.where(np.abs(middle - whole) < 0.01, whole, middle).tolist()
        return across, up

    def _pixel_side(self) -> float:
        from astropy.wcs.utils import proj_plane_pixel_scales

        across, up = proj_plane_pixel_scales(self._wcs)
        return float(math.sqrt(across * up) * 3600)


class _Scaled:
    """Integers on disk that stand for other numbers: BZERO, BSCALE, BLANK."""

    def __init__(self, raw: NDArray[Any], scale: float, zero: float, blank: int | None) -> None:
        self._raw, self._scale, self._zero, self._blank = raw, scale, zero, blank

    def __getitem__(self, window: tuple[slice, slice]) -> NDArray[Any]:
        raw = self._raw[window]
        values = raw * self._scale + self._zero
        if self._blank is not None:
            values[raw == self._blank] = np.nan
        return values


class _Tiles:
    """A compressed image, of which the tiles that a window touches are unpacked."""

    def __init__(self, hdu: Any, index: int) -> None:
        self._section, self._leading = hdu.section, (0,) * (len(hdu.shape) - 3)
        self._index = (*self._leading, index) if len(hdu.shape) > 2 else ()

    def __getitem__(self, window: tuple[slice, slice]) -> NDArray[Any]:
        return np.asarray(self._section[(*self._index, *window)])


def _pixels(plane: Plane, path: Path) -> Pixels:
    """Return the pixels of a band, mapped into memory where the file is plain."""
    hdu, shape = plane.hdu, plane.shape
    if hasattr(hdu, "compression_type"):
        logger.warning("%s is compressed: stamps are cut faster out of a plain file (funpack)", path)
        return _Tiles(hdu, plane.index)
    if is_gzip(path):
        logger.warning("%s is compressed: it is unpacked into memory as a whole (gunzip it to save that)", path)
        whole: NDArray[Any] = plane.read()
        return whole
    header, count = hdu.header, math.prod(hdu.shape)
    dtype = np.dtype({8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}[header["BITPIX"]])
    offset = hdu.fileinfo()["datLoc"]
    if path.stat().st_size < offset + count * dtype.itemsize:
        message = (
            f"{path}: this file is cut short: {path.stat().st_size:,} bytes, and its header tells of "
            f"{offset + count * dtype.itemsize:,}; fetch it again"
        )
        raise DataError(message)
    mapped: NDArray[Any] = np.memmap(path, dtype, "r", offset, (math.prod(hdu.shape[:-2]), *shape))[plane.index].view(
        np.ndarray
    )
    scale, zero, blank = scaling(header)
    if (scale, zero) == (1, 0) and (blank is None or dtype.kind == "f"):
        return mapped
    return _Scaled(mapped, scale, zero, blank if dtype.kind != "f" else None)


def sky_centre(file: Path) -> tuple[float, float] | None:
    """Return where the middle of an image lies.

    Parameters
    ----------
    file : path
        Of FITS; its first image counts.

    Returns
    -------
    tuple of float or None
        Right ascension and declination, ICRS, in degrees; None of a file that does not say, or cannot be read.
    """
    from astropy.coordinates import SkyCoord

    try:
        with quietly(), open_fits(file, memory_map=True) as hdus:
            plane = find_planes(hdus)[0]
            wcs = _celestial(plane.hdu.header, hdus)
            if wcs is None:
                return None
            height, width = plane.shape
            ra, dec = map(float, wcs.all_pix2world((width - 1) / 2, (height - 1) / 2, 0))
            frame = _other_frame(wcs)
            if frame is not None:
                there = SkyCoord(ra, dec, unit="deg", frame=frame).icrs
                ra, dec = float(there.ra.deg), float(there.dec.deg)
    except Exception:  # a header may be wrong in any way; whether the picture can be read is told when it is
        logger.debug("%s tells no position", file, exc_info=True)
        return None
    return (ra % 360, dec) if math.isfinite(ra + dec) else None


def _celestial(header: Any, hdus: Any) -> Any:
    """Return the celestial coordinates of an image, or None where it has none."""
    from astropy.wcs import WCS, WcsError

    try:
        wcs = WCS(header, hdus, naxis=2)  # the axes of the picture; a third numbers the bands
    except (WcsError, ValueError, KeyError, TypeError, AssertionError) as error:
        reason = f"its celestial coordinates (WCS) cannot be understood ({error})"
        raise PictureError(reason) from error
    if wcs.has_celestial and wcs.wcs.lng != 0:
        raise PictureError("its first coordinate (CTYPE1) is the latitude; write it with the longitude first")
    return wcs if wcs.has_celestial else None


def _other_frame(wcs: Any) -> Any:
    """Return the frame of a mosaic's coordinates, or None where ICRS serves: FK5 of J2000 is as good as the same."""
    from astropy.coordinates import FK5, ICRS
    from astropy.wcs.utils import wcs_to_celestial_frame

    frame = wcs_to_celestial_frame(wcs)
    alike = isinstance(frame, ICRS) or (isinstance(frame, FK5) and frame.equinox.jyear == 2000)
    return None if alike else frame
