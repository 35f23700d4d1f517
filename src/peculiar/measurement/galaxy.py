"""Measure the galaxy in the middle of an image with statmorph."""

import functools
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.images.linear import Linear
from peculiar.measurement.columns import FLUX, PICTURE, RADII, Flag
from peculiar.measurement.segments import Found, central_label, find_objects

# Sides of images that are measured, in pixels; statmorph needs some hundred bytes per pixel.
_SMALLEST, _LARGEST = 16, 4096

# Noise of rounding to whole numbers.
_ROUNDING = 1 / math.sqrt(12)

# Pixels of the galaxy that are at the edge of the picture, as a share of its outline.
_AT_EDGE = 0.05

# Saturated pixels that are too many.
_SATURATED = 4

_SAME = (
    *("concentration", "asymmetry", "smoothness", "gini", "m20", "gini_m20_bulge"),
    *("gini_m20_merger", "multimode", "intensity", "deviation", "outer_asymmetry", "shape_asymmetry"),
    *("sersic_n", "sersic_amplitude"),
)
_NAMES = {
    **{name: name for name in _SAME},
    **{"ellipticity": "ellipticity_asymmetry", "flux": "flux_ellip", "signal_to_noise": "sn_per_pixel"},
    **{"half_light_radius": "rhalf_ellip", "petrosian_radius": "rpetro_ellip", "r20": "r20", "r80": "r80"},
    **{"sersic_radius": "sersic_rhalf", "sersic_ellipticity": "sersic_ellip", "sersic_chi2": "sersic_chi2_dof"},
}
"""Columns that are attributes of statmorph's result."""

_NOTHING = -99.0
"""Value of statmorph for a quantity that it could not measure."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that decide the measures.

    Parameters
    ----------
    deblend : float or None
        Contrast above which touching objects are separated, 0 to 1; None: they are not.
    subtract_sky : bool
        Subtract the sky.
    psf : float or None
        Full width at half maximum of a Gaussian point spread function, for images that do not have one of their own.
    psf_unit : {"px", "arcsec"}
    multimode : bool
        Compute the multimode statistic, which takes as long as all others together.
    """

    deblend: float | None = None
    subtract_sky: bool = True
    psf: float | None = None
    psf_unit: str = "arcsec"
    multimode: bool = False


class Unmeasured(Exception):
    """An image that cannot be measured: why, and the flag."""

    def __init__(self, reason: str, flag: Flag) -> None:
        super().__init__(reason)
        self.flag = flag


def measure_image(image: Linear, settings: Settings) -> dict[str, Any]:
    """Measure the galaxy in the middle of an image.

    Parameters
    ----------
    image : Linear
    settings : Settings

    Returns
    -------
    dict of str to object
        Values by column (see `peculiar.measurement.columns`); a value that could not be measured is missing.

    Raises
    ------
    Unmeasured
        If nothing can be measured.
    """
    values: dict[str, Any] = {
        "measured_on": PICTURE if image.finished else FLUX,
        "band": image.band,
        "flux_unit": image.unit or None,
        "pixel": None if image.sky is None else image.sky.pixel,
    }
    height, width = image.pixels.shape
    if min(height, width) < _SMALLEST:
        reason = f"it has {width} x {height} pixels; at least {_SMALLEST} a side are needed"
        raise Unmeasured(reason, Flag.TOO_SMALL)
    if max(height, width) > _LARGEST:
        reason = f"it has {width} x {height} pixels; at most {_LARGEST:,} a side can be measured, so cut it out"
        raise Unmeasured(reason, Flag.TOO_LARGE)
    light = image.pixels.astype(np.float64)
    bad = ~np.isfinite(light)
    if image.lacks is not None:
        bad |= image.lacks
    if bad.all():
        raise Unmeasured("no pixel has a value", Flag.BLANK)
    if np.ptp(light[~bad]) == 0:
        raise Unmeasured("all pixels have the same value", Flag.BLANK)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = find_objects(light, bad, least_noise=_ROUNDING if image.finished else 0.0, deblend=settings.deblend)
            found = _given(image, found)
            if not found.label:
                raise Unmeasured("no galaxy is found in the middle", Flag.NO_GALAXY)
            level = found.level if settings.subtract_sky else 0.0
            values |= {"sky": level, "sky_noise": found.noise}
            psf = _psf(image, settings)
            made = _statmorph(_morphology(settings.multimode), image, light - level, bad, found, psf, values)
            values |= _results(made, image)
            values["psf"] = "none" if psf is None else "given" if image.psf is None else "image"
        except Unmeasured:
            raise
        except Exception as error:  # statmorph and its fits fail in many ways, also by assertions
            raise Unmeasured(f"the measurement failed ({_told(error)})", Flag.FAILED) from error
    flags = _flags(image, light, bad, found) | (Flag.MISSING if bad.any() else Flag(0))
    if values.get("sersic_quality") != 0 or values.get("sersic_n") is None:
        flags |= Flag.NO_FIT
    if values["quality"] == 4:
        flags |= Flag.FAILED
    return values | {"measure_flags": int(flags)}


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _given(image: Linear, found: Found) -> Found:
    """Return the objects of the image's own map of segments, if there is one with a galaxy in the middle."""
    if image.segments is None:
        return found
    # Numbers may be huge, as in catalogues; statmorph's tables are as long as the highest.
    _, numbers = np.unique(np.maximum(image.segments, 0), return_inverse=True)
    segments = numbers.reshape(image.segments.shape).astype(np.int32) + (0 if (image.segments <= 0).any() else 1)
    label = central_label(segments)
    return Found(found.level, found.noise, segments, label) if label else found


@functools.cache
def _morphology(multimode: bool) -> Any:
    """Return statmorph's class, on request without its slowest statistic."""
    import statmorph

    if multimode:
        return statmorph.SourceMorphology
    return type("SourceMorphology", (statmorph.SourceMorphology,), {"multimode": math.nan})


def _statmorph(
    morphology: Any,
    image: Linear,
    light: NDArray[np.float64],
    bad: NDArray[np.bool_],
    found: Found,
    psf: NDArray[np.float64] | None,
    values: dict[str, Any],
) -> Any:
    from photutils.segmentation import SegmentationImage

    gain, weights = None, None
    if image.noise is not None:
        weights, kind = _noise_of(image, bad, found), image.noise_kind
        bad = bad | ~np.isfinite(weights)
    elif image.gain is not None:
        gain, kind = image.gain, "gain"
    else:
        weights, kind = np.full(light.shape, found.noise), "sky"
    values["noise"] = kind
    if not (found.segments[~bad] == found.label).any():
        raise Unmeasured("no pixel of the galaxy has a value and a noise", Flag.MISSING)
    return morphology(
        np.where(bad, 0.0, light),
        SegmentationImage(found.segments),
        found.label,
        mask=bad,
        weightmap=weights,
        gain=gain,
        psf=psf,
    )


def _noise_of(image: Linear, bad: NDArray[np.bool_], found: Found) -> NDArray[np.float64]:
    """Return the standard deviation of each pixel; weights are scaled to the noise of the sky."""
    deviation = np.asarray(image.noise, np.float64)
    deviation = np.where(np.isfinite(deviation) & (deviation > 0), deviation, np.nan)
    if image.noise_kind == "weight":
        outside = deviation[(found.segments == 0) & ~bad & np.isfinite(deviation)]
        deviation = deviation * found.noise / (np.median(outside) if len(outside) else np.nanmedian(deviation))
    return deviation


def _psf(image: Linear, settings: Settings) -> NDArray[np.float64] | None:
    if image.psf is not None or settings.psf is None:
        return image.psf
    width = settings.psf
    if settings.psf_unit == "arcsec":
        if image.sky is None:
            return None
        width /= image.sky.pixel
    sigma = width / (2 * math.sqrt(2 * math.log(2)))
    reach = min(max(2, math.ceil(4 * sigma)), min(image.pixels.shape) // 2)
    offsets = np.arange(-reach, reach + 1) ** 2
    psf = np.exp(-(offsets[:, np.newaxis] + offsets) / (2 * sigma**2))
    return np.asarray(psf / psf.sum())


def _results(found: Any, image: Linear) -> dict[str, Any]:
    """Return the columns of a result of statmorph."""
    values: dict[str, Any] = {column: _number(found, name) for column, name in _NAMES.items()}
    values |= {"quality": int(found.flag), "sersic_quality": int(found.flag_sersic)}
    if found.flag == 4:
        return dict.fromkeys(values) | {"quality": 4, "sersic_quality": int(found.flag_sersic)}
    for prefix, x, y in (("", "xc_asymmetry", "yc_asymmetry"), ("sersic_", "sersic_xc", "sersic_yc")):
        column, row = _number(found, x), _number(found, y)
        if column is not None and row is not None:
            values |= {f"{prefix}x": column + image.corner[0], f"{prefix}y": row + image.corner[1]}
    for name, attribute in (("angle", "orientation_asymmetry"), ("sersic_angle", "sersic_theta")):
        turn = _number(found, attribute)
        values[name] = None if turn is None else math.degrees(turn) % 180
    for name in RADII:
        if values.get(name) is not None and not values[name] > 0:
            values[name] = None
    if image.sky is not None:
        pixel = image.sky.pixel
        values |= {f"{name}_arcsec": values[name] * pixel for name in RADII if values.get(name) is not None}
        values |= _on_sky(values, image)
    if image.nanomaggies is not None and (values["flux"] or 0) > 0:
        values["magnitude"] = 22.5 - 2.5 * math.log10(values["flux"] * image.nanomaggies)
    return values


def _number(found: Any, name: str) -> float | None:
    value = float(getattr(found, name))
    return value if math.isfinite(value) and value != _NOTHING else None


def _on_sky(values: dict[str, Any], image: Linear) -> dict[str, float]:
    """Return the position of the centre on the sky, and the position angle of the major axis."""
    sky = image.sky
    if sky is None or values.get("x") is None or values.get("angle") is None:
        return {}
    turn = math.radians(values["angle"])
    centre = np.array([values["x"], values["y"]])
    along = centre + np.array([math.cos(turn), math.sin(turn)])
    (ra, dec), (other_ra, other_dec) = sky.icrs(np.stack([centre, along])).tolist()
    east = (other_ra - ra + 180) % 360 - 180
    angle = math.degrees(math.atan2(east * math.cos(math.radians(dec)), other_dec - dec)) % 180
    found = {"ra_centre": ra, "dec_centre": dec, "position_angle": angle}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _flags(image: Linear, light: NDArray[np.float64], bad: NDArray[np.bool_], found: Found) -> Flag:
    galaxy = found.segments == found.label
    flags = Flag(0)
    rim = np.concatenate([galaxy[0], galaxy[-1], galaxy[:, 0], galaxy[:, -1]])
    if np.count_nonzero(rim) > _AT_EDGE * 4 * math.sqrt(np.count_nonzero(galaxy)):
        flags |= Flag.CUT_OFF
    if image.saturation is not None:
        top = light[galaxy & ~bad] >= image.saturation
        flags |= Flag.SATURATED if np.count_nonzero(top) else Flag(0)
    elif image.finished and np.count_nonzero(light[galaxy & ~bad] >= 254.5) >= _SATURATED:
        flags |= Flag.SATURATED
    return flags
