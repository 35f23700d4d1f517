"""What is wrong with a single picture, whatever the others are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from peculiar.extent import central_extent


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


# The thresholds lie beyond all of 3,000 real galaxies, save for off-centre: beyond 99.9 % of them.
RULES = {
    rule.kind: rule
    for rule in (
        Rule("tiny", 32, "pixels", "the shorter side of the picture has fewer than {threshold}"),
        Rule(
            "constant", 2, "of 255", "the largest and the smallest value differ by {threshold} or less, in each colour"
        ),
        Rule("blank", 6, "times", "nothing is brighter than the sky by more than {threshold} its scatter (smoothed)"),
        Rule("clipped", 0.1, "%", "all colours are at their largest value in more than {threshold} of the pixels"),
        Rule(
            "off-centre",
            16,
            "%",
            "uphill from the middle the light ends farther away than {threshold} of the side, or nothing lies there",
        ),
    )
}
"""The faults of single pictures by kind, the gravest first: a picture has one at the most."""

_WHITE, _FAINTEST = 254, 4.0

# Before light is followed uphill it is smoothed by this share of the side, so that noise does not stop the climb.
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
    edge = np.concatenate(
        [smooth[:rim].ravel(), smooth[-rim:].ravel(), smooth[:, :rim].ravel(), smooth[:, -rim:].ravel()]
    )
    sky = float(np.median(edge))
    scatter = float(1.4826 * np.median(np.abs(edge - sky)))
    faintest = sky + max(RULES["blank"].threshold * scatter, _FAINTEST)
    if smooth.max() <= faintest:
        return "blank", f"the brightest stands {float(smooth.max()) - sky:.1f} above a sky of {sky:.1f}, of 255"
    white = float((pixels >= _WHITE).all(axis=2).mean())
    if 100 * white > RULES["clipped"].threshold:
        return "clipped", f"{white:.1%} of its pixels are white"
    distance = _climb(ndimage.gaussian_filter(light, _SMOOTH * min(height, width)))
    if 100 * distance > RULES["off-centre"].threshold:
        return "off-centre", f"the light is brightest {distance:.0%} of the side away from the middle"
    if not central_extent(Image.fromarray(pixels)).found:
        return "off-centre", "nothing stands out in the middle"
    return None


def _climb(light: NDArray[np.float32]) -> float:
    """Go uphill from the brightest pixel of the middle fifth; return how far from the middle that ends, in sides."""
    height, width = light.shape
    top, left = height // 2 - height // 10, width // 2 - width // 10
    row, column = np.unravel_index(
        int(light[top : height - top, left : width - left].argmax()), (height - 2 * top, width - 2 * left)
    )
    row, column = int(row) + top, int(column) + left
    while True:
        upper, leftmost = max(row - 1, 0), max(column - 1, 0)
        around = light[upper : row + 2, leftmost : column + 2]
        step = np.unravel_index(int(around.argmax()), around.shape)
        higher = (int(step[0]) + upper, int(step[1]) + leftmost)
        if light[higher] <= light[row, column]:
            return float(np.hypot(row + 0.5 - height / 2, column + 0.5 - width / 2) / min(height, width))
        row, column = higher
