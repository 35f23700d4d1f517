"""The bands of a FITS picture before they are stretched, to show them in other ways; its scale and its orientation."""

import itertools
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import PictureError
from peculiar.files.limits import PIXELS
from peculiar.images.compose import compose_picture
from peculiar.images.fits import Bands, choose_planes, find_planes, read_planes, reporting_damage, wavelength
from peculiar.images.fits_file import FitsFile, quietly
from peculiar.images.stretch import Stretch, border, noise_stretch, sdss_stretch
from peculiar.images.wcs import Sky, read_sky

Look = Literal["", "faint", "bright", "linear"]
"""Stretch of a picture: as usual, deeper for faint light, shallower for bright light, or linear."""

_TIMES = {"faint": 6.0, "bright": 1 / 6}

# The value that becomes white in the linear stretch, as a percentile.
_WHITE = 99.5

_MOST_OFFERED = 24


class Compass(NamedTuple):
    """Directions of north and east in a picture, in degrees clockwise from up."""

    north: float
    east: float


@dataclass(frozen=True, eq=False)
class Unstretched:
    """The bands of a picture, which are read when they are asked for.

    Parameters
    ----------
    names : tuple of str
        Of all bands; a band without a name has its number, from 1.
    taken : tuple of int
        Bands of the usual picture, counted from 0, from the reddest to the bluest.
    read : callable
        Returns the `Bands` of given numbers; raises `PictureError` if this fails.
    sky : Sky or None
        Celestial coordinates.
    centre : tuple of float
        Column and row of the middle of the picture in the pixels of `sky`.
    """

    names: tuple[str, ...]
    taken: tuple[int, ...]
    read: Callable[[Sequence[int]], Bands]
    sky: Sky | None = None
    centre: tuple[float, float] = (0.0, 0.0)

    def offered(self) -> list[tuple[str, ...]]:
        """Return the choices of bands besides the usual picture: each band, then those of two or three for colours."""
        if len(self.names) < 2:
            return []
        single = [(name,) for name in self.names]
        usual = tuple(self.names[number] for number in self.taken)
        orders = [one for one in itertools.permutations(usual) if len(usual) > 1]
        known = sorted((name for name in self.names if wavelength(name)), key=lambda name: -(wavelength(name) or 0))
        triples = [tuple(known[at : at + 3]) for at in range(len(known) - 2)]
        return [one for one in dict.fromkeys([*single, *triples, *orders]) if one != usual][:_MOST_OFFERED]

    def picture(self, bands: Sequence[str] = (), look: Look = "") -> NDArray[np.uint8]:
        """Return a picture of some bands, uint8 (height, width, 3), its origin at the top left.

        Parameters
        ----------
        bands : sequence of str
            One to three names; the first is shown in red. Default, and for unknown names: those of the usual picture.
        look : {"", "faint", "bright", "linear"}
            Bytes are a finished picture and keep their stretch.

        Raises
        ------
        PictureError
            If they cannot be read.
        """
        known = 1 <= len(bands) <= 3 and set(bands) <= set(self.names)
        found = self.read([self.names.index(name) for name in bands] if known else self.taken)
        if found.planes.dtype == np.uint8:
            return compose_picture(found)
        return compose_picture(found, _stretch(found, look))

    @cached_property
    def pixel(self) -> float | None:
        """Side of a pixel in arcsec; None if unknown."""
        found = None if self.sky is None else self.sky.pixel
        return found if found is not None and math.isfinite(found) and found > 0 else None

    @cached_property
    def compass(self) -> Compass | None:
        """North and east at the middle of the picture; None if unknown."""
        if self.sky is None or self.pixel is None:
            return None
        column, row = self.centre
        ((ra, dec),) = self.sky.icrs(np.array([self.centre])).tolist()
        step = 2 * self.pixel / 3600
        # Towards the equator, because a pole may be near.
        up = -1 if dec > 0 else 1
        away = self.sky.place(
            np.array([ra, ra + step / max(math.cos(math.radians(dec)), 1e-6)]), np.array([dec + up * step, dec])
        ) - np.array([column, row])
        if not np.isfinite(away).all() or not np.abs(away).sum(axis=1).all():
            return None
        north, east = (math.degrees(math.atan2(x, y)) for x, y in away * np.array([[up], [1]]))
        return Compass(north, east)


def _stretch(bands: Bands, look: Look) -> Stretch | None:
    """Return the stretch of a look; None for the usual one."""
    if not look:
        return None
    if bands.nanomaggies is not None:
        usual = sdss_stretch(len(bands.planes), bands.nanomaggies)
    else:
        usual = noise_stretch(border(bands.planes))
    if look != "linear":
        times = _TIMES[look]
        return replace(usual, scales=tuple(scale * times for scale in usual.scales), minimum=usual.minimum * times)
    lifted = [
        (band[np.isfinite(band)] - sky) * scale
        for band, sky, scale in zip(bands.planes, usual.skies, usual.scales, strict=True)
    ]
    whites = [float(np.percentile(values, _WHITE)) for values in lifted if values.size]
    # With a small Q the asinh is linear; `stretch` is then the value that becomes white.
    return replace(usual, q=1e-3, stretch=max([*whites, 0.0]) - usual.minimum)


def read_unstretched(files: Sequence[Path | bytes], wanted: Sequence[str] = ()) -> Unstretched:
    """Return the bands of FITS files, of which only the headers are read.

    Parameters
    ----------
    files : sequence of path or bytes
    wanted : sequence of str
        Bands of the usual picture; see `peculiar.images.fits.read_bands`.

    Raises
    ------
    PictureError
        If there is no image, or it is damaged.
    """
    with reporting_damage(), quietly(), ExitStack() as opened:
        found = [plane for file in files for plane in find_planes(opened.enter_context(FitsFile(file)), wanted=wanted)]
        taken = choose_planes(found, wanted)
        names = tuple(plane.name or str(number) for number, plane in enumerate(found, start=1))
        if len(set(names)) < len(names):
            names = tuple(map(str, range(1, len(names) + 1)))
        height, width = taken[0].shape
        try:
            sky = read_sky(taken[0].hdu.header, taken[0].file.hdus, (height, width))
        except PictureError:  # the pixels can be shown all the same
            sky = None
        numbers = tuple(found.index(plane) for plane in taken)
    return Unstretched(names, numbers, partial(_read, files, wanted), sky, ((width - 1) / 2, (height - 1) / 2))


def _read(files: Sequence[Path | bytes], wanted: Sequence[str], numbers: Sequence[int]) -> Bands:
    with reporting_damage(), quietly(), ExitStack() as opened:
        found = [plane for file in files for plane in find_planes(opened.enter_context(FitsFile(file)), wanted=wanted)]
        planes = [found[number] for number in numbers]
        if len({plane.shape for plane in planes}) > 1 or len(planes) * math.prod(planes[0].shape) > PIXELS:
            raise PictureError("its bands differ in shape, or have too many pixels to be shown")
        return read_planes(planes)
