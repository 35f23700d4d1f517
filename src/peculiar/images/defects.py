"""What is wrong with a single picture, whatever the others are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault of a picture, and where it begins.

    Parameters
    ----------
    kind : str
    threshold : float
    unit : str
        Of the threshold.
    text : str
        The rule in words, with ``{threshold}`` where the number goes.
    """

    kind: str
    threshold: float
    unit: str
    text: str

    @property
    def sentence(self) -> str:
        """The rule in words."""
        return self.text.format(threshold=f"{self.threshold:g} {self.unit}".strip())


# How many times as bright as the middle something else may be: a star beside a galaxy often is.
_BRIGHTER = 2.5

# The thresholds lie beyond all of 3,000 real galaxies, save that of off-centre, which lies beyond 99 % of them.
RULES = {
    rule.kind: rule
    for rule in (
        Rule("tiny", 32, "pixels", "the shorter side of the picture has fewer than {threshold}"),
        Rule(
            "constant", 2, "of 255", "the largest and the smallest value differ by {threshold} or less, in each colour"
        ),
        Rule("blank", 8, "times", "nothing is brighter than the sky by more than {threshold} its noise (smoothed)"),
        Rule("clipped", 1.2, "%", "a colour is at its largest value in more than {threshold} of the pixels"),
        Rule(
            "off-centre",
            20,
            "%",
            "the light that the middle belongs to is brightest farther away than {threshold} of the side, something "
            f"elsewhere is over {_BRIGHTER:g} times as bright, or nothing is there",
        ),
        Rule(
            "uneven sky",
            6,
            "times",
            "the brightest place stands above the sky by less than {threshold} the scatter of brightness along the "
            "edges, as beside a bright star",
        ),
    )
}
"""The faults of single pictures by kind, the gravest first: a picture has one at the most."""

# JPEG makes 254 of 255 here and there.
_FULL, _FAINTEST = 254, 4.0

# Noise is what differs from place to place over so many pixels; other light changes over more.
_NEAR = 15

# Before the brightest place is sought, light is smoothed by this share of the side.
_SMOOTH = 0.02


def blemish(pixels: NDArray[np.uint8]) -> tuple[str, str] | None:
    """Judge one picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        The whole picture.

    Returns
    -------
    (str, str) or None
        Which of `RULES` it breaks, and what was measured.
    """
    from scipy import ndimage

    height, width = pixels.shape[:2]
    if min(height, width) < RULES["tiny"].threshold:
        return "tiny", f"{width} x {height} pixels"
    spread = int(np.ptp(pixels.reshape(-1, 3), axis=0).max())
    if spread <= RULES["constant"].threshold:
        return "constant", f"its values differ by {spread} of 255"
    light = pixels.astype(np.float32).mean(axis=2)
    rim = max(1, min(height, width) // 10)
    smooth = ndimage.uniform_filter(light, 3)
    edge = _edge(smooth, rim)
    sky = float(np.median(edge))
    noise = 1.4826 * float(np.median(np.abs(_edge(smooth - ndimage.uniform_filter(smooth, _NEAR), rim))))
    brightest = float(smooth.max()) - sky
    if brightest <= max(RULES["blank"].threshold * noise, _FAINTEST):
        return "blank", f"the brightest place stands {brightest:.1f} above a sky of {sky:.1f}, of 255"
    full = float((pixels >= _FULL).any(axis=2).mean())
    if 100 * full > RULES["clipped"].threshold:
        return "clipped", f"{full:.1%} of its pixels have a colour at its largest value"
    wrong = _off_centre(ndimage.gaussian_filter(light, _SMOOTH * min(height, width)), sky, noise)
    if wrong is not None:
        return wrong
    scatter = 1.4826 * float(np.median(np.abs(edge - sky)))
    if brightest <= RULES["uneven sky"].threshold * scatter:
        return (
            "uneven sky",
            f"brightness along the edges scatters by {scatter:.1f}, the brightest place stands {brightest:.1f} above",
        )
    return None


def _edge(light: NDArray[np.float32], rim: int) -> NDArray[np.float32]:
    """Return what lies along the four edges, in one row."""
    sides = (light[:rim], light[-rim:], light[:, :rim], light[:, -rim:])
    return np.concatenate([side.ravel() for side in sides])


def _off_centre(light: NDArray[np.float32], sky: float, noise: float) -> tuple[str, str] | None:
    """Ask whether what lies in the middle is the picture's galaxy, or its flank, or sky."""
    from scipy import ndimage

    height, width = light.shape
    top, left = height // 2 - height // 10, width // 2 - width // 10
    middle = light[top : height - top, left : width - left]
    row, column = divmod(int(middle.argmax()), middle.shape[1])
    row, column = row + top, column + left
    above = float(light[row, column]) - sky
    if above < max(RULES["blank"].threshold * noise, _FAINTEST) / 2:
        return "off-centre", "nothing stands out in the middle"
    brighter = (float(light.max()) - sky) / above
    if brighter > _BRIGHTER:
        return "off-centre", f"something elsewhere is {brighter:.1f} times as bright as the middle"
    # A middle on the galaxy's flank is joined to its peak by light that is half as bright at the least.
    regions, _ = ndimage.label(light > sky + above / 2)
    peak_row, peak_column = divmod(
        int(np.where(regions == regions[row, column], light, -np.inf).argmax()), light.shape[1]
    )
    distance = np.hypot(peak_row + 0.5 - height / 2, peak_column + 0.5 - width / 2) / min(height, width)
    if 100 * distance > RULES["off-centre"].threshold:
        return "off-centre", f"the light is brightest {distance:.0%} of the side away from the middle"
    return None
