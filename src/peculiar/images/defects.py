"""Defects of a single picture."""

import math
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from peculiar.images import background


class Remedy(StrEnum):
    """Treatment of the galaxies of a finding in a cleaned list."""

    DROP = "drop"
    KEEP_FIRST = "keep first"
    NONE = ""


class Rule(StrEnum):
    """A rule of the checks: its name, description, remedy and threshold.

    Attributes
    ----------
    description : str
        The rule in words, with its threshold.
    remedy : Remedy
    threshold : float or None
        Value from which the rule applies.
    """

    description: str
    remedy: Remedy
    threshold: float

    def __new__(
        cls, name: str, description: str, remedy: Remedy = Remedy.NONE, threshold: float | None = None, unit: str = ""
    ) -> Self:
        """Make a member; ``{threshold}`` in the description stands for the number with its unit."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.threshold = math.nan if threshold is None else threshold
        member.description = description.format(threshold=f"{member.threshold:g} {unit}".strip())
        member.remedy = remedy
        return member


# Allowed brightness of another object relative to the middle: stars beside galaxies are often brighter.
_BRIGHTER = 2.5


class Defect(Rule):
    """Defects of single pictures, the most severe first: a picture has at most one.

    None of 3,000 real galaxies reaches the thresholds, except 1 % that reach the threshold of off-centre.
    """

    TINY = "tiny", "the shorter side of the picture has fewer than {threshold}", Remedy.DROP, 32, "pixels"
    CONSTANT = (
        "constant",
        "the largest and the smallest value differ by {threshold} or less, in each colour",
        Remedy.DROP,
        2,
        "of 255",
    )
    BLANK = (
        "blank",
        "nothing exceeds the sky by more than {threshold} its noise (after smoothing)",
        Remedy.DROP,
        8,
        "times",
    )
    CLIPPED = (
        "clipped",
        "a colour is at its largest value in more than {threshold} of the pixels",
        Remedy.DROP,
        1.2,
        "%",
    )
    # A galaxy beside a bright star, or one of two galaxies, may be worth keeping.
    OFF_CENTRE = (
        "off-centre",
        "the bright region in the middle peaks farther than {threshold} of the side from the centre, something "
        f"elsewhere is over {_BRIGHTER:g} times as bright, or the middle is empty",
        Remedy.NONE,
        20,
        "%",
    )
    UNEVEN_SKY = (
        "uneven sky",
        "the brightest place exceeds the sky by less than {threshold} the scatter of brightness along the edges, as "
        "beside a bright star",
        Remedy.NONE,
        6,
        "times",
    )


# JPEG turns some 255 into 254.
_FULL, _FAINTEST = 254, 4.0

# Noise changes within so many pixels; other light changes over longer distances.
_NEAR = 15

# Smoothing before the search for the brightest place, as a share of the side.
_SMOOTH = 0.02


def find_defect(pixels: NDArray[np.uint8]) -> tuple[Defect, str] | None:
    """Judge one picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        The whole picture.

    Returns
    -------
    (Defect, str) or None
        The defect, and what was measured.
    """
    from scipy import ndimage

    height, width = pixels.shape[:2]
    if min(height, width) < Defect.TINY.threshold:
        return Defect.TINY, f"{width} x {height} pixels"
    spread = int(np.ptp(pixels.reshape(-1, 3), axis=0).max())
    if spread <= Defect.CONSTANT.threshold:
        return Defect.CONSTANT, f"its values differ by {spread} of 255"
    light = pixels.astype(np.float32).mean(axis=2)
    smooth = ndimage.uniform_filter(light, 3)
    edge = background.rim(smooth)
    sky = float(np.median(edge))
    noise = float(background.noise(background.rim(smooth - ndimage.uniform_filter(smooth, _NEAR)), 0))
    brightest = float(smooth.max()) - sky
    if brightest <= max(Defect.BLANK.threshold * noise, _FAINTEST):
        return Defect.BLANK, f"the brightest place is {brightest:.1f} above a sky of {sky:.1f}, of 255"
    full = float((pixels >= _FULL).any(axis=2).mean())
    if 100 * full > Defect.CLIPPED.threshold:
        return Defect.CLIPPED, f"{full:.1%} of its pixels have a colour at its largest value"
    wrong = _off_centre(ndimage.gaussian_filter(light, _SMOOTH * min(height, width)), sky, noise)
    if wrong is not None:
        return wrong
    scatter = float(background.noise(edge, sky))
    if brightest <= Defect.UNEVEN_SKY.threshold * scatter:
        return (
            Defect.UNEVEN_SKY,
            f"brightness along the edges scatters by {scatter:.1f}, the brightest place is {brightest:.1f} above sky",
        )
    return None


def _off_centre(light: NDArray[np.float32], sky: float, noise: float) -> tuple[Defect, str] | None:
    """Decide whether the middle shows the galaxy of the picture, its flank, or sky."""
    from scipy import ndimage

    height, width = light.shape
    top, left = height // 2 - height // 10, width // 2 - width // 10
    middle = light[top : height - top, left : width - left]
    row, column = divmod(int(middle.argmax()), middle.shape[1])
    row, column = row + top, column + left
    above = float(light[row, column]) - sky
    if above < max(Defect.BLANK.threshold * noise, _FAINTEST) / 2:
        return Defect.OFF_CENTRE, "the middle is empty"
    brighter = (float(light.max()) - sky) / above
    if brighter > _BRIGHTER:
        return Defect.OFF_CENTRE, f"something elsewhere is {brighter:.1f} times as bright as the middle"
    # On the flank of a galaxy, light at least half as bright connects the middle to the peak.
    regions, _ = ndimage.label(light > sky + above / 2)
    peak_row, peak_column = divmod(
        int(np.where(regions == regions[row, column], light, -np.inf).argmax()), light.shape[1]
    )
    distance = np.hypot(peak_row + 0.5 - height / 2, peak_column + 0.5 - width / 2) / min(height, width)
    if 100 * distance > Defect.OFF_CENTRE.threshold:
        return Defect.OFF_CENTRE, f"the light peaks {distance:.0%} of the side away from the middle"
    return None
