"""Looks: how surveys of the sky and of space take and show a galaxy.

A look is a region in a space of some twenty dimensions: pixels, point spread function, bands, depth, size and distance
of its galaxies, noise, stretch, compression. Every galaxy gets a point in it, a `Sight`. The named surveys are small
regions; "random" covers the space.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import UnknownNameError

Rng = np.random.Generator
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Sight:
    """One way to see a scene.

    Attributes
    ----------
    look : str
    pixel_scale : float
        Side of a pixel of the detector, in arcsec.
    fwhm : float
        Full width at half maximum of the point spread function, in arcsec.
    beta : float
        Exponent of its Moffat wings.
    spikes : int
        Diffraction spikes of bright stars: 0, 4 or 6.
    wavelengths : tuple of float
        Of the bands, in nm, as they become red, green and blue; one makes a grey picture.
    depth : tuple of float
        Noise of the sky in each band: the surface brightness of one standard deviation in 1 arcsec^2.
    sky : tuple of float
        Surface brightness of the sky, by which the noise of bright light follows.
    radius : float
        Half-light radius of the galaxy, in arcsec.
    frame : float
        Side of the picture, in half-light radii.
    redshift : float
    grain : float
        Correlation of the noise, from resampling exposures: the width of a Gaussian, in pixels.
    weights : tuple of float
        By which bands are multiplied for the picture.
    stretch : str
        "asinh", "log", "sqrt" or "linear".
    by_band : bool
        Stretch each band by itself, so that bright parts become white; otherwise their colour is kept.
    counts : float
        Noise of the sky in the picture, of 255.
    black : float
        Level of the sky above black, in units of its noise.
    softening : float
        Contrast of the stretch: the higher, the fainter is what becomes visible.
    saturation : float
        Saturation of colours; 0 is grey.
    faint_grey : float
        Brightness, in units of the noise, below which colours fade.
    jpeg : int
        Quality of the compression; 0 for none.
    subsampled : bool
        Whether the JPEG's colours have half the resolution.
    defects : float
        How often there are defects, relative to one picture in twenty.
    """

    look: str
    pixel_scale: float
    fwhm: float
    beta: float
    spikes: int
    wavelengths: tuple[float, ...]
    depth: tuple[float, ...]
    sky: tuple[float, ...]
    radius: float
    frame: float
    redshift: float
    grain: float
    weights: tuple[float, ...]
    stretch: str
    by_band: bool
    counts: float
    black: float
    softening: float
    saturation: float
    faint_grey: float
    jpeg: int
    subsampled: bool
    defects: float

    @property
    def dimming(self) -> float:
        """Magnitudes by which surface brightness is fainter than at redshift 0.

        10 log10(1 + z) (Tolman 1930), less the younger stars: about 1 mag a unit of redshift (Barden et al. 2005, ApJ
        635, 959).
        """
        return 10 * math.log10(1 + self.redshift) - self.redshift

    @property
    def limit(self) -> float:
        """Magnitude of a point source at 5 standard deviations, in the middle band."""
        return self.depth[len(self.depth) // 2] - 2.5 * math.log10(5 * 1.5 * max(self.fwhm, self.pixel_scale))


@dataclass(frozen=True, slots=True)
class Look:
    """A region of sights: ranges to draw from; widths, frames, noise and softening evenly in the logarithm."""

    name: str
    pixel_scale: float
    fwhm: Range
    beta: Range
    wavelengths: tuple[float, ...]
    depth: tuple[float, ...]
    sky: tuple[float, ...]
    radius: Range
    frame: Range
    weights: tuple[float, ...]
    counts: Range
    black: Range
    softening: Range
    redshift: Range = (0.0, 0.1)
    grain: Range = (0.3, 0.6)
    spikes: int = 0
    stretch: str = "asinh"
    saturation: Range = (1.0, 1.0)
    faint_grey: Range = (0.0, 0.0)
    jpeg: Range = (75, 95)

    def draw(self, rng: Rng, rank: float) -> Sight:
        """Draw a sight of a galaxy whose size has a rank, in standard deviations, among those of the survey."""
        low, high = self.radius
        middle, spread = math.log(low * high) / 2, math.log(high / low) / 4
        return Sight(
            self.name, self.pixel_scale, _log(rng, self.fwhm), _even(rng, self.beta), self.spikes, self.wavelengths,
            tuple(one + float(rng.normal(0, 0.12)) for one in self.depth), self.sky,
            math.exp(middle + spread * rank), _log(rng, self.frame), _even(rng, self.redshift), _even(rng, self.grain),
            tuple(weight * float(rng.lognormal(0, 0.03)) for weight in self.weights), self.stretch, False,
            _log(rng, self.counts), _even(rng, self.black), _log(rng, self.softening), _even(rng, self.saturation),
            _even(rng, self.faint_grey), round(_even(rng, self.jpeg)), bool(rng.random() < 0.7), 1.0,
        )  # fmt: skip


def _even(rng: Rng, between: Range) -> float:
    return float(rng.uniform(*between))


def _log(rng: Rng, between: Range) -> float:
    return math.exp(float(rng.uniform(math.log(between[0]), math.log(between[1]))))


_IRG, _ZRG = (748.0, 623.0, 477.0), (913.0, 640.0, 480.0)

# Pixels, seeing and depth: SDSS, York et al. (2000, AJ 120, 1579); DECaLS, Dey et al. (2019, AJ 157, 168), Table 4;
# HSC wide, Aihara et al. (2018, PASJ 70, S4); Pan-STARRS1, Chambers et al. (2016, arXiv:1612.05560), Table 11; Euclid
# VIS, Cropper et al. (2025, A&A 697, A2); GOODS ACS, Giavalisco et al. (2004, ApJ 600, L93); CEERS NIRCam, Bagley et
# al. (2023, ApJ 946, L12). Sizes, noise and stretch are those of published colour pictures.
LOOKS = {
    look.name: look
    for look in (
        Look(
            "sdss", 0.396, (1.1, 1.6), (2.5, 4.5), _IRG, (25.0, 25.4, 26.0), (20.3, 20.9, 21.9), (1.8, 9.0),
            (5.5, 10.0), (1.0, 1.2, 1.85), (3.0, 6.0), (0.4, 1.0), (4.5, 7.0),
        ),
        Look(
            "decals", 0.262, (1.0, 1.6), (2.5, 4.5), _ZRG, (24.9, 25.9, 26.5), (18.5, 20.8, 22.0), (2.0, 9.0),
            (5.5, 10.0), (0.62, 1.0, 1.6), (6.0, 12.0), (1.6, 2.6), (5.0, 8.0), saturation=(0.2, 0.45),
            faint_grey=(3.0, 8.0),
        ),
        Look(
            "hsc", 0.168, (0.55, 0.9), (2.5, 4.0), _IRG, (27.5, 27.8, 28.3), (19.9, 20.7, 21.9), (1.0, 5.0),
            (5.5, 12.0), (0.75, 1.0, 1.7), (2.0, 6.0), (0.8, 2.0), (6.0, 12.0), redshift=(0.02, 0.3),
        ),
        Look(
            "panstarrs", 0.25, (1.0, 1.5), (2.3, 4.0), _IRG, (25.2, 25.5, 25.8), (19.8, 20.9, 21.9), (1.2, 7.0),
            (5.5, 13.0), (0.8, 1.0, 1.6), (6.0, 12.0), (0.9, 1.6), (4.5, 8.0), grain=(0.2, 0.5),
        ),
        Look(
            "cfhtls", 0.186, (0.65, 1.0), (2.5, 4.0), _IRG, (26.9, 27.4, 27.8), (20.0, 20.9, 21.8), (0.5, 2.5),
            (11.0, 30.0), (0.85, 1.2, 2.3), (4.0, 9.0), (0.8, 1.6), (5.0, 9.0), redshift=(0.2, 0.7),
        ),
        Look(
            "euclid_vis", 0.1, (0.16, 0.18), (2.2, 3.0), (715.0,), (28.4,), (22.3,), (0.25, 1.0), (5.0, 15.0), (1.0,),
            (6.0, 26.0), (1.8, 3.2), (0.8, 4.0), redshift=(0.2, 1.0), grain=(0.3, 0.5), spikes=6, jpeg=(90, 98),
        ),
        Look(
            "hst", 0.03, (0.09, 0.12), (2.0, 3.0), (850.0, 775.0, 606.0), (28.2, 28.7, 29.3), (22.3, 22.5, 22.7),
            (0.2, 0.9), (7.0, 20.0), (1.0, 1.0, 1.7), (2.5, 6.0), (1.2, 3.0), (6.0, 12.0), redshift=(0.3, 1.2),
            grain=(0.6, 0.9), spikes=4, jpeg=(85, 97),
        ),
        Look(
            "jwst", 0.03, (0.05, 0.10), (2.0, 3.0), (2770.0, 1500.0, 1150.0), (29.1, 29.0, 28.9), (22.6, 22.5, 22.3),
            (0.15, 0.8), (7.0, 18.0), (0.8, 1.0, 1.5), (2.0, 5.0), (1.0, 2.5), (6.0, 12.0), redshift=(0.4, 2.5),
            grain=(0.5, 0.9), spikes=6, jpeg=(85, 97),
        ),
    )
}  # fmt: skip
"""The named looks."""

NAMES = (*LOOKS, "random", "any")
"""Names of looks: "random" is anywhere in the space, "any" is one of the surveys or random, drawn for each galaxy."""


def draw_sight(name: str, rng: Rng, rank: float) -> Sight:
    """Draw a sight of a look for a galaxy.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    rng : numpy.random.Generator
    rank : float
        Size of the galaxy among those of its survey, in standard deviations.

    Raises
    ------
    UnknownNameError
        If there is no such look.
    """
    if name not in NAMES:
        raise UnknownNameError("look", name, NAMES)
    if name == "any":
        name = str(rng.choice([*LOOKS, "random", "random"]))
    return random_sight(rng, rank) if name == "random" else LOOKS[name].draw(rng, rank)


def random_sight(rng: Rng, rank: float) -> Sight:
    """Draw a sight anywhere: pixels of 0.03 to 0.6 arcsec, seeing of 0.05 to 1.8 arcsec, one to three bands."""
    pixel = _log(rng, (0.03, 0.6))
    fwhm = float(np.clip(pixel * _log(rng, (1.4, 5.5)), 0.05, 1.8))
    space = fwhm < 0.3
    bands = int(rng.choice([1, 2, 3], p=[0.25, 0.05, 0.7]))
    reddest, bluest = _log(rng, (720, 1100)), _log(rng, (420, 560))
    middle = math.sqrt(reddest * bluest)
    wavelengths = {1: (middle,), 2: (reddest, bluest)}.get(bands, (reddest, middle, bluest))
    # Depth in step with resolution: a pixel of the sky has a noise of some 24 to 27.5 mag/arcsec^2.
    depth = tuple(
        float(rng.uniform(24, 26.6)) - 1.2 * math.log10(fwhm) + float(rng.normal(0, 0.3)) for _ in wavelengths
    )
    # Weights that make an intermediate galaxy nearly white.
    weights = tuple((one / 623) ** -1.0 * float(rng.lognormal(0, 0.2)) for one in wavelengths)
    if bands == 3 and rng.random() < 0.08:  # bluest band as red
        wavelengths, depth, weights = wavelengths[::-1], depth[::-1], weights[::-1]
    grey = rng.random() < 0.3
    return Sight(
        "random", pixel, fwhm, _even(rng, (2.0, 4.5)), int(rng.choice([0, 4, 6])) if space else 0, wavelengths, depth,
        tuple(_even(rng, (20, 22.5)) for _ in wavelengths),
        fwhm * math.exp(math.log(4) + 0.45 * rank), _log(rng, (6.0, 22.0)), _even(rng, (0, 1.2 if space else 0.3)),
        _even(rng, (0.0, 0.9)), weights, str(rng.choice(["asinh", "log", "sqrt", "linear"], p=[0.6, 0.2, 0.1, 0.1])),
        bool(rng.random() < 0.3), _log(rng, (2.0, 18.0)), _even(rng, (0.2, 3.0)), _log(rng, (3.0, 12.0)),
        _even(rng, (0.15, 0.6)) if grey else _even(rng, (0.8, 1.4)), _even(rng, (0, 6)) if grey else 0.0,
        round(_even(rng, (60, 98))) if rng.random() < 0.8 else 0, bool(rng.random() < 0.6), 2.0,
    )  # fmt: skip


def display(bands: NDArray[np.float32], noise: NDArray[np.floating], sight: Sight) -> NDArray[np.uint8]:
    """Turn bands into a picture.

    Parameters
    ----------
    bands : ndarray of float32, shape (bands, height, width)
        Surface brightness.
    noise : ndarray of float, shape (bands,)
        Standard deviation of the sky in a pixel.
    sight : Sight

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Notes
    -----
    The mean of the weighted bands I becomes f(I), and every band becomes band * f(I) / I (Lupton et al. 2004, PASP 116,
    133), with f(I) = asinh(s I) / s, log(1 + s I) / log(1 + s) / s, sqrt or linear; s is the softening.
    """
    weights = np.array(sight.weights, np.float32)
    weights /= weights.mean()
    spread = float(np.sqrt(np.sum((weights * noise) ** 2)) / len(weights)) or 1.0
    scale = sight.counts / 255 / spread
    weighted = bands * (weights * np.float32(scale))[:, None, None]
    unit = np.float32(sight.counts / 255)
    weighted += np.float32(sight.black) * unit
    if sight.by_band:
        shown = np.maximum(_stretched(weighted, sight), 0)
    else:
        intensity = np.maximum(weighted.mean(0), np.float32(1e-4))
        ratio = _stretched(intensity, sight) / intensity
        shown = np.maximum(weighted * ratio, 0)
    if len(shown) > 1 and (sight.saturation != 1 or sight.faint_grey):
        grey = shown.mean(0)
        keep = np.float32(sight.saturation)
        if sight.faint_grey:
            above = weighted.mean(0) / unit - np.float32(sight.black)
            keep = keep * (0.25 + 0.75 * np.clip(above / sight.faint_grey, 0, 1))
        shown = np.maximum(grey + (shown - grey) * keep, 0)
    if not sight.by_band:
        shown /= np.maximum(shown.max(0), 1)
    if len(shown) == 2:
        shown = np.stack([shown[0], shown.mean(0), shown[1]])
    if len(shown) == 1:
        shown = np.broadcast_to(shown, (3, *shown.shape[1:]))
    picture: NDArray[np.uint8] = (np.moveaxis(np.minimum(shown, 1), 0, -1) * 255 + np.float32(0.5)).astype(np.uint8)
    return picture


def _stretched(values: NDArray[np.float32], sight: Sight) -> NDArray[np.float32]:
    """Stretch so that the slope at zero is 1, but for sqrt, which has none."""
    s = np.float32(sight.softening)
    if sight.stretch == "asinh":
        return np.asarray(np.arcsinh(values * s) / s)
    if sight.stretch == "log":
        return np.asarray(np.log1p(np.maximum(values, 0) * s) / s)
    if sight.stretch == "sqrt":
        return np.asarray(np.sqrt(np.maximum(values, 0) / s))
    return np.asarray(values / (1 + s / 10))
