"""Observe a scene: point spread function, pixels, noise, defects, picture, and the visibility of its features."""

import io
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage

from peculiar.simulation.canvas import Canvas, Floats
from peculiar.simulation.defects import draw_defects
from peculiar.simulation.field import Field
from peculiar.simulation.looks import Sight, display
from peculiar.simulation.scene import Scene

Rng = np.random.Generator

# Lower bounds of `Seen` for a visible feature, chosen on some 280 pictures of features in DECaLS's look.
_LEAST_SNR, _LEAST_CONTRAST, _LEAST_RESOLVED = 12.0, 0.1, 0.8


@dataclass(frozen=True, slots=True)
class Seen:
    """Visibility of a feature.

    Attributes
    ----------
    snr : float
        Signal-to-noise ratio of its light within the picture, of an ideal filter: sqrt(sum (light / noise)^2).
    contrast : float
        Share of the light where it is, weighted by its light: 0 to 1. Of dust, the share that is missing.
    resolved : float
        The length by which it is recognised, relative to the width of the point spread function with pixels.
    """

    snr: float
    contrast: float
    resolved: float

    @property
    def visible(self) -> bool:
        """True if a person would see it."""
        enough = self.snr >= _LEAST_SNR and self.contrast >= _LEAST_CONTRAST
        return enough and self.resolved >= _LEAST_RESOLVED


@dataclass(frozen=True, slots=True)
class Exposure:
    """A scene on the detector: surface brightness without noise, its noise, and its features.

    Attributes
    ----------
    light : ndarray of float32, shape (bands, size, size)
        In nMgy per arcsec^2, blurred by telescope, atmosphere and pixels.
    noise : ndarray of float32, shape (bands, size, size)
        Standard deviation.
    step : float
        Side of its pixels, in arcsec.
    seen : dict of str to Seen
    """

    light: Floats
    noise: Floats
    step: float
    seen: dict[str, Seen]


def moffat(size: int, step: float, fwhm: float, beta: float, spikes: int = 0) -> Floats:
    """Point spread function of sum 1, its centre at [0, 0], for convolution by FFT.

    (1 + (r / alpha)^2)^-beta with FWHM = 2 alpha sqrt(2^(1/beta) - 1): Moffat (1969, A&A 3, 455). The struts of a
    telescope in space add spikes, which fall as r^-2.
    """
    alpha = fwhm / (2 * math.sqrt(2 ** (1 / beta) - 1))
    at = (fft.fftfreq(size, 1 / size) * step).astype(np.float32)
    r2 = at[:, None] ** 2 + at**2
    psf = np.exp(np.float32(-beta) * np.log1p(r2 / np.float32(alpha**2)))
    if spikes:
        width = np.float32(max(0.25 * fwhm, 0.6 * step))
        for k in range(spikes // 2):
            angle = math.pi * k * 2 / spikes + (math.pi / 4 if spikes == 4 else math.pi / 6)
            across = at * math.sin(angle) - at[:, None] * math.cos(angle)
            psf += np.float32(0.012) * np.exp(-0.5 * (across / width) ** 2) / (1 + r2 / np.float32(fwhm**2))
    return np.asarray(psf / psf.sum())


def grid(sight: Sight, size: int) -> tuple[int, float, int]:
    """Return the pixels a side in which a frame is exposed, their side in arcsec, and cells a pixel to paint in.

    These are the detector's pixels, or those of the picture if they are larger.
    """
    side = sight.frame * sight.radius
    pixels = size if side / size >= sight.pixel_scale else max(24, round(side / sight.pixel_scale))
    step = side / pixels
    return pixels, step, 2 if sight.fwhm < 2.6 * step and pixels <= 192 else 1


def expose(scene: Scene, field: Field, sight: Sight, size: int) -> Exposure:
    """Expose a scene without noise."""
    pixels, step, fine = grid(sight, size)
    margin = min(math.ceil(2.5 * sight.fwhm / step) + 3, 24)
    whole = fft.next_fast_len((pixels + 2 * margin) * fine, real=True)
    whole += -(whole - pixels * fine) % (2 * fine)
    cell = step / fine
    rest = tuple(one / (1 + sight.redshift) for one in sight.wavelengths)
    canvas = Canvas(whole, cell / sight.radius, rest)
    scene.paint(canvas)
    galaxy = canvas.light[canvas.middle].copy() if "low_surface_brightness" in scene.marks else None
    with canvas.feature("crowded" if scene.crowded else None):
        field.paint(canvas)
    if galaxy is not None:
        canvas.added["low_surface_brightness"] = galaxy
    names = list(canvas.added)
    # From shares of the galaxy's flux per radius^2 to nMgy per arcsec^2: flux = 2 pi R^2 I (Graham & Driver 2005).
    mean = 10 ** (0.4 * (22.5 - scene.surface_brightness - sight.dimming))
    layers = np.concatenate([canvas.light, *(canvas.added[name][None] for name in names)]) * np.float32(
        2 * math.pi * mean
    )
    psf = fft.rfft2(moffat(whole, cell, sight.fwhm, sight.beta, sight.spikes))
    layers = fft.irfft2(fft.rfft2(layers) * psf, s=(whole, whole))
    edge = (whole - pixels * fine) // 2
    inner = layers[:, edge : edge + pixels * fine, edge : edge + pixels * fine]
    if fine > 1:
        inner = inner.reshape(len(inner), pixels, fine, pixels, fine).mean((2, 4))
    bands = len(sight.wavelengths)
    light = np.asarray(inner[:bands], np.float32)
    deviation = np.array([10 ** (0.4 * (22.5 - one)) for one in sight.depth], np.float32)[:, None, None] / np.float32(
        step
    )
    sky = np.array([10 ** (0.4 * (22.5 - one)) for one in sight.sky], np.float32)[:, None, None]
    noise = deviation * np.sqrt(1 + np.maximum(light, 0) / sky)
    blur = math.hypot(sight.fwhm, step) / sight.radius
    middle = bands // 2
    seen = {
        name: _seen(added, light[middle], noise[middle], scene.marks[name].width / blur if name in scene.marks else 1.0)
        for name, added in zip(names, inner[bands:], strict=True)
    }
    return Exposure(light, noise, step, seen)


def _seen(added: Floats, light: Floats, noise: Floats, resolved: float) -> Seen:
    size = np.abs(added)
    total = float(size.sum())
    share = size / (np.maximum(light, 0) + np.maximum(-added, 0) + 0.3 * noise)
    contrast = float((size * share).sum()) / total if total > 0 else 0.0
    return Seen(float(np.sqrt(((added / noise) ** 2).sum())), min(contrast, 1.0), resolved)


def grainy(rng: Rng, shape: tuple[int, ...], sigma: float) -> Floats:
    """Noise of deviation 1 with neighbours correlated, as after resampling: white noise through a Gaussian."""
    white = rng.standard_normal(shape, np.float32)
    if sigma < 0.15:
        return white
    reach = max(1, round(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).astype(np.float32)
    kernel /= np.sqrt((kernel**2).sum())
    rows = ndimage.correlate1d(white, kernel, axis=1, mode="wrap")
    return np.asarray(ndimage.correlate1d(rows, kernel, axis=2, mode="wrap"))


def observe(
    scene: Scene,
    field: Field,
    sight: Sight,
    size: int,
    rng: Rng,
    *,
    wanted: frozenset[str] = frozenset(),
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Take a picture of a scene.

    Parameters
    ----------
    scene : Scene
    field : Field
    sight : Sight
    size : int
        Side of the picture, in pixels.
    rng : numpy.random.Generator
        Of the noise and the defects.
    wanted : frozenset of str
        Defects that there have to be.

    Returns
    -------
    picture : ndarray of uint8, shape (size, size, 3)
    truth : dict
        Columns of the truth: of the sight, and of each feature.
    """
    exposure = expose(scene, field, sight, size)
    light, noise = exposure.light, exposure.noise
    pixels = light.shape[-1]
    bands = light + noise * grainy(rng, light.shape, sight.grain * min(sight.pixel_scale / exposure.step, 1.0))
    deviation = noise.min((1, 2))
    defects = draw_defects(rng, len(light), pixels, sight.fwhm / exposure.step, often=sight.defects, wanted=set(wanted))
    seen = dict(exposure.seen)
    for name, defect in defects.items():
        extra = defect.light * deviation[:, None, None]
        bands += extra
        middle = int(np.argmax(defect.light.sum((1, 2))))
        seen[name] = _seen(extra[middle], light[middle] + extra[middle], noise[middle], 2.0)
    if pixels != size:
        bands = np.stack(
            [np.asarray(Image.fromarray(band).resize((size, size), Image.Resampling.BICUBIC)) for band in bands]
        )
    picture = compressed(display(bands, deviation, sight), sight)
    zoom = size / sight.frame  # pixels a radius
    middle_of = (size - 1) / 2
    truth: dict[str, Any] = {
        name: getattr(sight, name) for name in ("look", "pixel_scale", "fwhm", "redshift", "frame", "stretch", "jpeg")
    }
    truth |= {
        "bands": len(sight.wavelengths),
        "blue_first": len(sight.wavelengths) > 1 and sight.wavelengths[0] < sight.wavelengths[-1],
        "radius_arcsec": sight.radius,
        "radius_pixels": zoom,
        "surface_brightness": scene.surface_brightness + sight.dimming,
        "sky_noise": float(deviation[len(deviation) // 2]),
    }
    for name, mark in scene.marks.items():
        truth |= {
            name: True,
            f"{name}_strength": mark.strength,
            f"{name}_x": middle_of + mark.x * zoom,
            f"{name}_y": middle_of + mark.y * zoom,
            f"{name}_size": mark.size * zoom,
            **{f"{name}_{key}": value * zoom if key in _LENGTHS else value for key, value in mark.more.items()},
            **_of(name, seen.get(name)),
        }
    for name, defect in defects.items():
        truth |= {
            name: True, f"{name}_strength": defect.strength, f"{name}_x": middle_of + defect.x * size,
            f"{name}_y": middle_of + defect.y * size, f"{name}_size": defect.size * size, **_of(name, seen[name]),
        }  # fmt: skip
    if scene.crowded:
        truth |= {"crowded": True, **_of("crowded", seen.get("crowded"))}
    return picture, truth


_LENGTHS = {"source_x", "source_y", "height", "separation"}
"""Further truths that are lengths, in radii in a scene and in pixels in a picture."""


def _of(name: str, seen: Seen | None) -> dict[str, Any]:
    if seen is None:
        seen = Seen(0.0, 0.0, 0.0)
    return {
        f"{name}_snr": seen.snr, f"{name}_contrast": seen.contrast, f"{name}_resolved": seen.resolved,
        f"{name}_visible": seen.visible,
    }  # fmt: skip


def compressed(picture: NDArray[np.uint8], sight: Sight) -> NDArray[np.uint8]:
    """Return a picture as it is after JPEG compression."""
    if not sight.jpeg:
        return picture
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=sight.jpeg, subsampling=2 if sight.subsampled else 0)
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def wider(sight: Sight, context: float) -> Sight:
    """Return the same sight with a wider frame."""
    return replace(sight, frame=sight.frame * context)
