"""The asinh stretch of Lupton et al. (2004, PASP 116, 133), from brightness to colour.

The mean intensity I of the weighted bands becomes f(I) = asinh(Q I / stretch) * 0.1 / asinh(0.1 Q), and every band
becomes band * f(I) / I, so that bright places keep their colour. A pixel above 1 is divided by its largest band. This
is the definition of ``astropy.visualization.make_lupton_rgb``, in a third of its time.
"""

import functools
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.images.background import noise

NAME = "Lupton et al. 2004 asinh, version 1"

SDSS_PIXEL = 0.396
"""Side of the pixels, in arcsec, to which the weights below apply."""

# The look of the SDSS colour pictures, in nanomaggies per SDSS pixel: softening, black level, and the weights of i, r
# and g, which make a sun-like spectrum nearly white. The simulated galaxies vary around the same values.
_STRETCH, _Q, _MINIMUM = 0.8, 6.0, -0.02
_WEIGHTS = {1: (1.2,), 2: (1.0, 1.85), 3: (1.0, 1.2, 1.85)}

# The sky noise of SDSS after these weights: about the same in the three bands.
_NOISE = 0.035

# Sky and noise are measured on at most so many values.
_SAMPLE = 2**22

# If a picture has no noise, its brightest pixel becomes this value, which is nearly white.
_BRIGHTEST = 10.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Parameters that turn the brightness of one to three bands into a colour picture.

    Parameters
    ----------
    scales : tuple of float
        Factor of each band, from the reddest to the bluest.
    skies : tuple of float
        Value that is first subtracted from each band, in the unit of the file.
    stretch, q : float
        ``stretch`` and ``Q`` of the asinh.
    minimum : float
        The value of black, after the scales.
    chosen : str
        How these numbers were chosen: "nanomaggies", "noise" or "given".
    """

    scales: tuple[float, ...]
    skies: tuple[float, ...]
    stretch: float = _STRETCH
    q: float = _Q
    minimum: float = _MINIMUM
    chosen: str = "given"

    def __call__(self, bands: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """Turn bands into colours.

        Parameters
        ----------
        bands : ndarray of float, shape (1 to 3, height, width)
            From the reddest to the bluest. One band gives a grey picture; the mean of two becomes green.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            Red, green, blue; black where a band is NaN. Rows keep their order.
        """
        # Band by band: small arrays stay in the processor's cache.
        minimum = np.float32(self.minimum)
        lifted = [
            (band.astype(np.float32, copy=False) - np.float32(sky)) * np.float32(scale) - minimum
            for band, sky, scale in zip(bands, self.skies, self.scales, strict=True)
        ]
        intensity = sum(lifted[1:], lifted[0]) / np.float32(len(lifted))
        unknown = ~np.isfinite(intensity)
        if unknown.any():
            for band in (*lifted, intensity):
                band[unknown] = 0
        bright = np.maximum(intensity, np.float32(1e-12))
        ratio = np.arcsinh(bright * np.float32(self.q / self.stretch))
        ratio *= np.float32(255 * 0.1 / np.arcsinh(0.1 * self.q))
        ratio /= bright
        ratio *= intensity > 0
        shown = [np.maximum(band * ratio, 0) for band in lifted]
        if len(shown) == 2:
            shown.insert(1, (shown[0] + shown[1]) / 2)
        dim = np.float32(255) / np.maximum(functools.reduce(np.maximum, shown), 255)
        picture = np.empty((*intensity.shape, 3), np.uint8)
        for colour in range(3):
            picture[..., colour] = shown[colour % len(shown)] * dim + np.float32(0.5)
        return picture

    def of_bands(self, taken: Sequence[bool]) -> "Stretch":
        """Return the same stretch for some of its bands."""
        scales, skies = (tuple(itertools.compress(values, taken)) for values in (self.scales, self.skies))
        return replace(self, scales=scales, skies=skies)

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters and the name of the formula, for JSON and for headers."""
        return {"name": NAME, **asdict(self)}


def automatic() -> dict[str, Any]:
    """Return the record for pictures whose stretch depends on their unit or noise."""
    return {**sdss_stretch(3).as_dict(), "chosen": f"nanomaggies; where the unit is unknown, noise to {_NOISE}"}


def notes_of_fits(bands: Sequence[str], stretch: Stretch | None) -> dict[str, str]:
    """Return the notes of a catalogue on bands and stretch; without a stretch, each picture has its own."""
    return {
        "bands": ", ".join(bands) or "by name",
        "stretch": json.dumps(stretch.as_dict() if stretch else automatic()),
    }


def sdss_stretch(count: int, nanomaggies: float = 1.0) -> Stretch:
    """Return the stretch that makes calibrated bands look like SDSS colour pictures.

    Parameters
    ----------
    count : int
        Number of bands, 1 to 3.
    nanomaggies : float
        Nanomaggies per area of an SDSS pixel for the value 1.
    """
    scales = tuple(weight * nanomaggies for weight in _WEIGHTS[count])
    return Stretch(scales, (0.0,) * count, chosen="nanomaggies")


def noise_stretch(samples: NDArray[np.floating[Any]]) -> Stretch:
    """Choose a stretch for bands of an unknown unit: sky to black, and its noise as strong as that of SDSS.

    Parameters
    ----------
    samples : ndarray of float, shape (1 to 3, n)
        Values that are mostly sky. NaN and zeros, which mean missing data in many files, are ignored.
    """
    measured = [_sky(band) for band in samples]
    return Stretch(tuple(scale for _, scale in measured), tuple(sky for sky, _ in measured), chosen="noise")


def border(bands: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return the values on the outer eighth of bands (n, height, width), as (n, values): mostly sky."""
    height, width = bands.shape[1:]
    rim = np.ones((height, width), bool)
    high, wide = -(-height // 8), -(-width // 8)
    rim[high : height - high, wide : width - wide] = False
    return bands[:, rim]


def _sky(values: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Return the level of the sky, and the scale that makes its noise equal to that of SDSS."""
    values = values[:: -(-values.size // _SAMPLE) or 1]
    values = values[np.isfinite(values) & (values != 0)].astype(np.float64)
    if not values.size:
        return 0.0, 1.0
    kept, sky, scatter = values, 0.0, 0.0
    for _ in range(5):  # clip stars and galaxies, more tightly in each round
        sky = float(np.median(kept))
        scatter = float(noise(kept, sky))
        within = kept[np.abs(kept - sky) <= 3 * scatter]
        if scatter == 0 or within.size == kept.size:
            break
        kept = within
    if scatter > 0:
        return sky, _NOISE / scatter
    highest = float(values.max()) - sky
    return sky, _BRIGHTEST / highest if highest > 0 else 1.0
