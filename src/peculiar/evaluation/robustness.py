"""Robustness: scores on increasingly corrupted pictures."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, rotate, shift

from peculiar.errors import PictureError
from peculiar.images.background import noise, rim
from peculiar.images.framing import Framing, frame_pixels
from peculiar.metrics.scores import calibration_error
from peculiar.models.predict import Classifier
from peculiar.sources.stream import Row

Pixels = NDArray[np.uint8]

FALL = 0.05
"""Change of accuracy or calibration error that counts as a fall."""

# Pictures of surveys show brightness as asinh(softening * flux): nearly linear for faint light, logarithmic for bright
# light (Lupton et al. 2004).
_SOFTENING = 8.0

_NEAR = 0.05
"""Assumed redshift of the galaxies in the pictures; the median of Galaxy Zoo is 0.05 to 0.08."""

MOST = 400
"""Maximum number of galaxies: a score is then known to a few points, in minutes."""

_LARGEST = 512
"""Side to which larger pictures are reduced first, in pixels."""


@dataclass(frozen=True, slots=True)
class Shifted:
    """Scores on corrupted pictures, for one kind of corruption.

    Parameters
    ----------
    unit : str
    amounts : tuple of float
        Amounts of corruption; the first leaves pictures unchanged.
    accuracy, calibration_error : list of float
        Accuracy and calibration error at each amount.
    same : list of float
        Share of the galaxies with the same most probable class as for the original pictures.
    change : list of float
        Median over the galaxies of the largest change of a probability.
    apart : bool
        Whether the amounts number separate cases, between which there is no interpolation.
    """

    unit: str
    amounts: tuple[float, ...]
    accuracy: list[float]
    calibration_error: list[float]
    same: list[float]
    change: list[float]
    apart: bool = False

    @property
    def accuracy_falls_at(self) -> float | None:
        """The amount at which accuracy is 5 points lower; None if it is not reached."""
        return self._crossing([self.accuracy[0] - value for value in self.accuracy])

    @property
    def calibration_falls_at(self) -> float | None:
        """The amount at which the calibration error is 5 points higher; None if it is not reached."""
        return self._crossing([value - self.calibration_error[0] for value in self.calibration_error])

    def as_dict(self) -> dict[str, Any]:
        """Return a plain dictionary, for JSON."""
        found = {"accuracy_falls_at": self.accuracy_falls_at, "calibration_falls_at": self.calibration_falls_at}
        return asdict(self) | found

    def _crossing(self, worse: Sequence[float]) -> float | None:
        """Return the first amount at which a score is worse by `FALL`, interpolated between the amounts."""
        for number in range(1, len(worse)):
            if worse[number] >= FALL:
                before, at = self.amounts[number - 1 : number + 1]
                share = 1.0 if self.apart else (FALL - worse[number - 1]) / (worse[number] - worse[number - 1])
                return before + share * (at - before)
        return None


def _blur(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    """Blur by a Gaussian, with the full width at half maximum in pixels."""
    width = amount / (2 * math.sqrt(2 * math.log(2)))
    return _pixels(gaussian_filter(picture.astype(np.float32), (width, width, 0), mode="nearest"))


def _noise(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    return _pixels(picture + random.normal(0, amount, picture.shape))


def _coarse(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    """Bin pixels by a factor, in each direction."""
    height, width = picture.shape[:2]
    size = (max(8, round(width / amount)), max(8, round(height / amount)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _far(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    """Move the galaxy to a redshift.

    The size scales with the inverse of the angular diameter distance and the surface brightness with (1 + z)^-4 (Tolman
    1930); the sky and its noise stay. As in Barden, Jahnke & Häußler (2008), but without their k-correction; evolution
    is not included either.
    """
    from astropy.cosmology import Planck18

    if amount <= _NEAR:
        return picture
    shrink = float(Planck18.angular_diameter_distance(_NEAR) / Planck18.angular_diameter_distance(amount))
    dim = ((1 + _NEAR) / (1 + amount)) ** 4
    light = np.sinh(picture / 255 * np.arcsinh(_SOFTENING)) / _SOFTENING
    edge = rim(light, 4)
    sky, spread = np.median(edge, axis=0), noise(edge, axis=0)
    height, width = picture.shape[:2]
    size = (max(8, round(width * shrink)), max(8, round(height * shrink)))
    small = np.stack(
        [
            np.asarray(
                Image.fromarray((light[:, :, band] - sky[band]).astype(np.float32)).resize(size, Image.Resampling.BOX)
            )
            for band in range(3)
        ],
        axis=2,
    )
    frame = np.zeros_like(light)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = small * dim
    frame += sky + random.normal(0, 1, light.shape) * spread
    return _pixels(255 * np.arcsinh(_SOFTENING * np.maximum(frame, 0)) / np.arcsinh(_SOFTENING))


def _lose(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    """Remove one band: 1 is the reddest, 3 the bluest."""
    left = picture.copy()
    if amount:
        left[:, :, int(amount) - 1] = 0
    return left


def _turn(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    if amount % 90 == 0:
        return np.ascontiguousarray(np.rot90(picture, int(amount // 90)))
    turned = rotate(picture, amount, reshape=False, order=1, mode="nearest")
    return _pixels(turned)


def _mirror(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    """Mirror left to right (1), or top to bottom (2)."""
    return np.ascontiguousarray(picture[:, ::-1] if amount == 1 else picture[::-1] if amount == 2 else picture)


def _decentre(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    """Shift the galaxy by a share of the side of the picture, in a random direction."""
    angle = random.uniform(0, 2 * math.pi)
    step = amount * min(picture.shape[:2])
    moved = shift(picture, (step * math.sin(angle), step * math.cos(angle), 0), order=1, mode="nearest")
    return _pixels(moved)


def _compress(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    if amount >= 100:
        return picture
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=int(amount))
    return np.asarray(Image.open(buffer).convert("RGB"))


Change = Callable[[Pixels, float, np.random.Generator], Pixels]

SHIFTS: dict[str, tuple[str, tuple[float, ...], Change]] = {
    "blur": ("FWHM in pixels", (0, 1, 2, 4, 8, 16), _blur),
    "noise": ("of 255", (0, 4, 8, 16, 32, 64), _noise),
    "pixel scale": ("times as coarse", (1, 1.5, 2, 3, 4, 6, 8), _coarse),
    "redshift": ("from z = 0.05", (0.05, 0.075, 0.1, 0.15, 0.2, 0.3), _far),
    "lost band": ("1 red to 3 blue", (0, 1, 2, 3), _lose),
    "rotation": ("degrees", (0, 15, 45, 90, 135, 180, 270), _turn),
    "mirror": ("1 sides, 2 up and down", (0, 1, 2), _mirror),
    "off-centre": ("of the side", (0, 0.02, 0.05, 0.1, 0.15, 0.2), _decentre),
    "JPEG": ("quality", (100, 75, 50, 30, 15, 5), _compress),
}
"""Corruptions by name: unit, amounts (the first changes nothing) and function."""

_APART = {"lost band", "mirror"}
"""Corruptions whose amounts number separate cases."""


def shift_scores(
    model: Classifier,
    rows: Sequence[Row],
    labels: NDArray[np.integer],
    *,
    names: Sequence[str] = tuple(SHIFTS),
    progress: Callable[[int], object] = lambda done: None,
) -> dict[str, Shifted]:
    """Score a model on pictures that are increasingly corrupted before they are framed.

    Parameters
    ----------
    model : Classifier
    rows : sequence of Row
        Galaxies; pictures that cannot be read are left out.
    labels : ndarray of int, shape (n,)
        Class numbers.
    names : sequence of str
        Names in `SHIFTS`.
    progress : callable
        Called with the number of pictures classified since the last call.

    Returns
    -------
    dict of str to Shifted
    """
    pictures: list[Pixels] = []
    kept: list[int] = []
    for number, row in enumerate(rows):
        try:
            pictures.append(_read(row))
        except PictureError:
            continue
        kept.append(number)
    true = np.asarray(labels)[kept]
    straight = _classify(model, pictures, progress)
    result = {}
    for name in names:
        unit, amounts, change = SHIFTS[name]
        random = np.random.default_rng(222)
        answers = [straight]
        answers += [
            _classify(model, [change(picture, amount, random) for picture in pictures], progress)
            for amount in amounts[1:]
        ]
        result[name] = Shifted(
            unit=unit,
            amounts=amounts,
            accuracy=[float((found.argmax(axis=1) == true).mean()) for found in answers],
            calibration_error=[calibration_error(true, found) for found in answers],
            same=[float((found.argmax(axis=1) == straight.argmax(axis=1)).mean()) for found in answers],
            change=[float(np.median(np.abs(found - straight).max(axis=1))) for found in answers],
            apart=name in _APART,
        )
    return result


def _read(row: Row) -> Pixels:
    """Return the largest central square of the picture of a row."""
    pixels = row.pixels()
    return frame_pixels(pixels, Framing(min(*pixels.shape[:2], _LARGEST)))


def _classify(model: Classifier, pictures: Sequence[Pixels], progress: Callable[[int], object]) -> NDArray[np.float32]:
    parts = []
    for start in range(0, len(pictures), 64):
        some = pictures[start : start + 64]
        framed = np.stack([frame_pixels(picture, model.framing) for picture in some])
        parts.append(model.probabilities(framed, framed=True))
        progress(len(some))
    return np.concatenate(parts)


def _pixels(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)
