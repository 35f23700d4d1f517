"""Read the WCS of an image with astropy, and check it for contradictions."""

import math
import re
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import PictureError
from peculiar.images.fits_file import quietly

# Coefficients of the SIP distortion, which apply if CTYPE ends with -SIP.
_SIP = re.compile(r"(A|B|AP|BP)_(ORDER|DMAX|\d_\d)")

# Scale and orientation: PC with CDELT, the keywords that may repeat them, and those that these replace.
_PC = re.compile(r"PC\d_\d")
_RIVALS = {r"CD\d_\d": re.compile(r"PC\d_\d|CDELT\d|CROTA\d"), r"CROTA\d": re.compile(r"PC\d_\d|CD\d_\d")}

# Keywords on which the scale depends; TPV is TAN with a distortion.
_SCALE = re.compile(r"CTYPE\d|CUNIT\d|CDELT\d|CROTA\d|CD\d_\d|PC\d_\d")
_COORDINATES = re.compile(_SCALE.pattern + r"|CRPIX\d|CRVAL\d|LONPOLE|LATPOLE|PV\d_\d+|" + _SIP.pattern)

_NUMBERS = re.compile(r"(CRPIX|CRVAL|CDELT|CROTA)[12]|(CD|PC)[12]_[12]|PV[12]_\d+")

# Two matrices of a header may differ by this share; a round trip to the sky by so many pixels.
_ROUNDING, _THERE_AND_BACK = 1e-3, 0.5

# Images wider than this, in arcsec, may wrap around the sky.
_WHOLE_SKY = 170 * 3600

_SAME_SIZE, _NEAR = 0.02, 0.25


class Sky:
    """The celestial coordinates of an image.

    Pixels are counted as astropy does, from 0 in the middle of the bottom left one.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Of two axes, longitude first.
    shape : tuple of int
        Height and width.
    """

    def __init__(self, wcs: Any, shape: tuple[int, int]) -> None:
        self.wcs, self.shape = wcs, shape
        self._frame = _other_frame(wcs)

    @cached_property
    def pixel(self) -> float:
        """Side of a pixel in arcsec: the root of its area."""
        return _pixel_side(self.wcs)

    def place(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the pixels (n, 2) of positions (ICRS, degrees): column and row; NaN if far off."""
        with quietly():
            return self._place(ra, dec)

    def _place(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
        height, width = self.shape
        if self._frame is not None:
            from astropy.coordinates import SkyCoord

            there = SkyCoord(ra, dec, unit="deg").transform_to(self._frame).spherical
            ra, dec = there.lon.deg, there.lat.deg
        # First without distortions: their inverse is iterative, and does not converge far from the mosaic.
        rough = np.stack(self.wcs.wcs_world2pix(ra, dec, 0), axis=-1)
        margin = 0.25 * max(height, width)
        with np.errstate(invalid="ignore"):
            near = ((rough >= -margin) & (rough < np.array([width, height]) + margin)).all(axis=-1)
        placed = np.full((len(ra), 2), np.nan)
        if near.any():
            placed[near] = np.stack(self.wcs.all_world2pix(ra[near], dec[near], 0, quiet=True), axis=-1)
        return placed

    def holds(self, pixels: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which pixels (n, 2) lie on the image."""
        with np.errstate(invalid="ignore"):
            inside = (pixels >= -0.5) & (pixels < np.array([self.shape[1], self.shape[0]]) - 0.5)
        return np.asarray(inside.all(axis=-1))

    def grid(self) -> NDArray[np.float64]:
        """Return nine pixels (column, row): corners, middles of the sides, and the middle, which is the fifth."""
        height, width = self.shape
        return np.array([(x, y) for y in (0, (height - 1) / 2, height - 1) for x in (0, (width - 1) / 2, width - 1)])

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Positions (9, 2) of the grid, ICRS, in degrees."""
        return self.icrs(self.grid())

    def icrs(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the positions (n, 2) of pixels, ICRS, in degrees."""
        with quietly():
            ra, dec = self.wcs.all_pix2world(*pixels.T, 0)
            if self._frame is not None:
                from astropy.coordinates import SkyCoord

                there = SkyCoord(ra, dec, unit="deg", frame=self._frame).icrs
                ra, dec = there.ra.deg, there.dec.deg
        return np.stack([np.mod(ra, 360), dec], axis=-1)

    def shifts(self, other: "Sky") -> NDArray[np.float64]:
        """Return the shifts of another image relative to this one, in pixels (9, 2), at the grid of this one."""
        if self.wcs is other.wcs:
            return np.zeros((9, 2))
        return other.place(*self.positions.T) - self.grid()

    def aligned(self, other: "Sky", twist: float) -> bool:
        """Return whether another image has the same pixels on the sky, shifted by at most a quarter of its side.

        Parameters
        ----------
        other : Sky
        twist : float
            Allowed difference of shifts, in pixels.
        """
        if self.shape != other.shape:
            return False
        shifts = self.shifts(other)
        return bool(
            (np.abs(shifts - shifts[4]) <= twist).all() and (np.abs(shifts[4]) <= _NEAR * min(self.shape)).all()
        )

    def covers_the_same(self, other: "Sky") -> bool:
        """Return whether another image, with any pixels, has the same edges as this one."""
        return all(_same_box(one, two) for one, two in ((self, other), (other, self)))


def _same_box(one: Sky, other: Sky) -> bool:
    placed = one.place(*other.positions.T)
    size = np.array([one.shape[1], one.shape[0]])
    low, high = placed.min(axis=0), placed.max(axis=0) - (size - 1)
    return bool(np.isfinite(placed).all() and (np.abs([low, high]) <= np.maximum(_SAME_SIZE * size, 1.5)).all())


def read_sky(header: Any, hdus: Any, shape: tuple[int, int]) -> Sky | None:
    """Return the celestial coordinates in the header of an image, or None if there are none.

    Parameters
    ----------
    header : astropy.io.fits.Header
    hdus : HDUList
        Of the same file, which may hold tables of distortions.
    shape : tuple of int
        Height and width of the image.

    Raises
    ------
    PictureError
        If they cannot be understood or are contradictory.
    """
    with quietly():
        wcs = _read_wcs(_without_contradictions(header), hdus)
        if wcs is None:
            return None
        _check_matrices(header, hdus, wcs)
        return Sky(wcs, shape)


def pixel_side(header: Any) -> float | None:
    """Return the side of a pixel in arcsec, from the WCS of a header; None if there is no valid WCS.

    The keywords are the same in all cut-outs of a survey, so they are evaluated once.
    """
    return _cached_side(tuple((key, header[key]) for key in header if _SCALE.fullmatch(key)))


@lru_cache(maxsize=64)
def _cached_side(cards: tuple[tuple[str, Any], ...]) -> float | None:
    from astropy.io import fits

    try:
        with quietly():
            header = fits.Header(cards)
            wcs = _read_wcs(header, None)
            if wcs is None:
                return None
            _check_matrices(header, None, wcs)
            return _pixel_side(wcs)
    except (PictureError, ValueError):
        return None


def _pixel_side(wcs: Any) -> float:
    from astropy.wcs.utils import proj_plane_pixel_area

    return math.sqrt(proj_plane_pixel_area(wcs)) * 3600


def same_cards(one: Any, other: Any) -> bool:
    """Return whether two headers have identical WCS keywords."""
    first, second = ({key: header[key] for key in header if _COORDINATES.fullmatch(key)} for header in (one, other))
    return first == second


def _read_wcs(header: Any, hdus: Any) -> Any:
    from astropy.wcs import WCS, WcsError

    try:
        wcs = WCS(header, hdus, naxis=2)  # the axes of the picture; a third numbers the bands
        if wcs.has_celestial:
            _check_numbers(header)
    except (WcsError, ValueError, KeyError, TypeError, AssertionError, MemoryError) as error:
        # wcslib begins each line with a place in its own source code.
        lines = [line for line in str(error).splitlines() if line and not re.match(r"ERROR \d+ in \w+\(\)", line)]
        reason = f"its celestial coordinates (WCS) cannot be understood ({' '.join(lines) or error})"
        raise PictureError(reason) from error
    if wcs.has_celestial and wcs.wcs.lng != 0:
        raise PictureError("its first coordinate (CTYPE1) is the latitude; write it with the longitude first")
    return wcs if wcs.has_celestial else None


def _without_contradictions(header: Any) -> Any:
    """Return a header in which CTYPE decides which distortion applies."""
    types = [str(header.get(f"CTYPE{axis}", "")).strip() for axis in (1, 2)]
    sip = [kind.endswith("-SIP") for kind in types]
    if any(sip) != all(sip):
        raise PictureError(f"its header contradicts itself: CTYPE is {types[0]!r} and {types[1]!r}, SIP for one axis")
    unused = [] if all(sip) else [key for key in header if _SIP.fullmatch(key)]
    missing = [f"PV{axis}_1" for axis in (1, 2) if types[axis - 1].endswith("-TPV") and f"PV{axis}_1" not in header]
    if not unused and not missing:
        return header
    header = header.copy()
    for key in unused:
        header.remove(key, ignore_missing=True, remove_all=True)
    for key in missing:  # by the definition of TPV this is 1, not 0 as in wcslib
        header[key] = 1.0
    return header


def _check_numbers(header: Any) -> None:
    """Check that no number is a text, for which wcslib would take its default: 1 degree for the side of a pixel."""
    for key in header:
        if _NUMBERS.fullmatch(key) and isinstance(header[key], str):
            raise PictureError(f"its celestial coordinates (WCS) need a number for {key}, received {header[key]!r}")


def _check_matrices(header: Any, hdus: Any, wcs: Any) -> None:
    """Check that CD, or CROTA, agrees with PC and CDELT if a header has both, which FITS forbids.

    astropy uses PC. With CD and without PC, FITS allows CDELT and CROTA, which are then ignored.
    """
    if not any(_PC.fullmatch(key) for key in header):
        return
    for rival, out_of_force in _RIVALS.items():
        if not any(re.fullmatch(rival, key) and header[key] for key in header):
            continue
        alone = header.copy()
        for key in [key for key in header if out_of_force.fullmatch(key)]:
            alone.remove(key, ignore_missing=True, remove_all=True)
        matrix = _read_wcs(alone, hdus).pixel_scale_matrix
        if not np.allclose(matrix, wcs.pixel_scale_matrix, rtol=0, atol=_ROUNDING * np.abs(matrix).max()):
            name = rival.partition("\\")[0]
            raise PictureError(
                f"its header contradicts itself: scale and orientation differ by {name} than by PC and CDELT; "
                "remove the cards that are wrong"
            )


def check_back(sky: Sky) -> None:
    """Check that pixels survive the round trip to the sky, which folding distortions prevent. Not for all-sky images.

    Raises
    ------
    PictureError
        If they do not.
    """
    if sky.pixel * max(sky.shape) > _WHOLE_SKY:
        return
    known = np.isfinite(sky.positions).all(axis=1)
    shifts = sky.place(*sky.positions[known].T) - sky.grid()[known]
    if not known.any() or not (np.abs(shifts) <= _THERE_AND_BACK).all():
        raise PictureError(
            "its celestial coordinates (WCS) do not lead from the sky back to the pixels; its distortion or projection "
            "is wrong"
        )


def _other_frame(wcs: Any) -> Any:
    """Return the frame of an image's coordinates, or None for ICRS (FK5 J2000 is close enough to it)."""
    from astropy.coordinates import FK5, ICRS
    from astropy.wcs.utils import wcs_to_celestial_frame

    frame = wcs_to_celestial_frame(wcs)
    alike = isinstance(frame, ICRS) or (isinstance(frame, FK5) and frame.equinox.jyear == 2000)
    return None if alike else frame
