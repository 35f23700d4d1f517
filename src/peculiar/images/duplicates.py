"""Find pictures of the same galaxy, also turned, mirrored, rescaled or cropped differently.

There are three steps, each with fewer pairs than the last. First, a portrait of each galaxy is made, whose size follows
the galaxy, so that scale and centring no longer matter. Along rings around its middle, the amplitudes of the Fourier
series of the light do not change with rotation and mirroring: galaxies with similar amplitudes are candidates. Second,
the phases of two candidates give the angle between them. Third, after alignment, the two have to agree in their fine
structure: stars, companions, knots, even the noise.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from peculiar.images.background import noise

PORTRAIT = 64
"""Side of a portrait, in pixels."""

# The bright part of a galaxy ends at the first share of its peak; a portrait extends this many times as far. Its middle
# is that of the core above the last share, because the bright part may touch a star in one picture and just not in the
# other.
_EDGE, _REACH, _CORE = 0.2, 2.6, 0.35

# Smoothing before the search for the peak, as a share of the side, and the share of the picture that is searched.
_SMOOTH, _MIDDLE = 0.012, 0.28

# A pixel of a portrait is valid if at least this share of it lies inside the picture, and the second share after the
# portrait is turned. Both portraits need valid pixels in this share of the disc that is compared.
_SHOWN, _WHOLLY, _ENOUGH = 0.5, 0.99, 0.15

# Empty corners of a turned picture are darker than this, and touch its rim.
_EMPTY = 2.0

# Logarithmic rings around the middle, in pixels of the portrait; points per ring; harmonics that are kept.
_INNER, _OUTER, _RINGS, _POINTS, _HARMONICS = 3.0, 31.0, 24, 64, 24
_DESCRIBED = 16  # harmonics whose amplitudes describe a galaxy
_STEP = np.log(_OUTER / _INNER) / (_RINGS - 1)

# Allowed difference in the sizes of two portraits, in rings of 10 %.
_RING_SHIFTS = range(-2, 3)

# Required correlations of a pair: in the rings; aligned, more and more finely; and in the part that changes under half
# a turn, where different galaxies of 7,000 real ones reach 0.2, and copies are at 0.6 or above.
_RINGS_AGREE, _ROUGHLY, _BETTER, _FINELY, _UNEVENLY = 0.38, 0.15, 0.35, 0.45, 0.52

# Before the fine alignment, copies have at least 0.16 in that part (1,659 of 280 real galaxies: turned, mirrored,
# rescaled, cropped, compressed). Most pairs of smooth galaxies have less than this, and need not be aligned.
_UNEVENLY_AT_FIRST = 0.1

# How far two portraits may be shifted against each other, in pixels.
_REACHED = 5

_BLOCK = 1000

# Number of candidates that are compared with each galaxy.
_NEIGHBOURS = 20

MOST_AT_ONCE = 50_000
"""Up to this number, all pairs of galaxies are candidates; beyond it, only those near the same landmarks."""

# Number of landmarks, as a multiple of the square root of the number of galaxies; landmarks per galaxy.
_LANDMARKS, _NEAR_LANDMARKS = 1.0, 24


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two pictures of one galaxy.

    Parameters
    ----------
    first, second : int
        Their rows, the smaller first.
    likeness : float
        Correlation of the part that changes under half a turn, after alignment: up to 1.
    turned : float
        Rotation in degrees, from -180 to 180.
    mirrored : bool
    """

    first: int
    second: int
    likeness: float
    turned: float
    mirrored: bool


def portrait(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frame the galaxy in the middle of a picture by its bright part.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        The whole picture.

    Returns
    -------
    ndarray of uint8, shape (2, PORTRAIT, PORTRAIT)
        The grey portrait, and 1 inside the picture, 0 outside, where its rim fades into its sky.
    """
    from scipy import ndimage

    picture = Image.fromarray(pixels)
    reduction = max(1, min(picture.size) // 128)
    light = np.asarray(picture.reduce(reduction) if reduction > 1 else picture, dtype=np.float32).mean(axis=2)
    sky, empty = _fill_corners(light)
    height, width = light.shape
    smooth = ndimage.gaussian_filter(light - sky, _SMOOTH * min(light.shape))
    top, left = round(height * (1 - _MIDDLE) / 2), round(width * (1 - _MIDDLE) / 2)
    middle = smooth[top : height - top, left : width - left]
    peak = np.unravel_index(int(middle.argmax()), middle.shape)
    peak_row, peak_column = int(peak[0]) + top, int(peak[1]) + left
    bright, core = (_around(smooth, (peak_row, peak_column), share) for share in (_EDGE, _CORE))
    rows, columns = np.nonzero(core)
    weights = np.maximum(smooth[rows, columns], 1e-3)
    row, column = (float(np.average(axis, weights=weights)) + 0.5 for axis in (rows, columns))
    reach = max(_REACH * np.sqrt(bright.sum() / np.pi), 4.0)
    rim = int(max(0, reach - column, reach - row, column + reach - width, row + reach - height)) + 2
    # It fades into the sky, because a sharp rim beside a bright star would itself correlate.
    padded = Image.fromarray(np.pad(light, rim, mode="linear_ramp", end_values=sky))
    shown = Image.fromarray(np.pad((~empty).astype(np.float32), rim))
    box = (column - reach + rim, row - reach + rim, column + reach + rim, row + reach + rim)
    method = Image.Resampling.BOX if 2 * reach > PORTRAIT else Image.Resampling.BILINEAR
    framed, inside = (np.asarray(one.resize((PORTRAIT, PORTRAIT), method, box=box)) for one in (padded, shown))
    return np.stack([framed.clip(0, 255), inside > _SHOWN]).astype(np.uint8)


def _around(light: NDArray[np.float32], peak: tuple[int, int], share: float) -> NDArray[np.bool_]:
    """Return the region connected to a peak that is brighter than a share of it."""
    from scipy import ndimage

    regions, _ = ndimage.label(light > share * light[peak])
    joined: NDArray[np.bool_] = regions == regions[peak]
    return joined


def _fill_corners(light: NDArray[np.float32]) -> tuple[float, NDArray[np.bool_]]:
    """Fill empty corners at the rim of a picture with the brightness of the sky, in place; return it, and a mask."""
    from scipy import ndimage

    regions, _ = ndimage.label(ndimage.uniform_filter(light, 3) < _EMPTY)
    rim = max(1, min(light.shape) // 10)
    on_rim = np.ones(light.shape, dtype=bool)
    on_rim[rim:-rim, rim:-rim] = False
    touching = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    empty = np.isin(regions, touching[touching > 0])
    if not empty.any():
        return float(np.median(light[on_rim])), empty
    empty = ndimage.binary_dilation(empty, iterations=2)
    rest = light[on_rim & ~empty]
    sky = float(np.median(rest)) if len(rest) > 50 else 0.0
    light[empty] = sky
    return sky, empty


def find_duplicates(
    portraits: NDArray[np.uint8], *, progress: Callable[[int], object] = lambda done: None
) -> list[Duplicate]:
    """Find pictures of the same galaxy, also if turned, mirrored, rescaled or centred differently.

    Parameters
    ----------
    portraits : ndarray of uint8, shape (n, 2, PORTRAIT, PORTRAIT)
        See `portrait`.
    progress : callable
        Called with the number of galaxies compared since the last call.

    Returns
    -------
    list of Duplicate
        Sorted by rows. The time of the comparison grows as n, that of the search as the square of n up to
        `MOST_AT_ONCE`, and as its power 3/2 above.
    """
    if len(portraits) < 2:
        return []
    rings = np.concatenate([_rings(portraits[start : start + _BLOCK, 0]) for start in range(0, len(portraits), _BLOCK)])
    waves = np.fft.rfft(rings, axis=2)[:, :, 1 : _HARMONICS + 1].astype(np.complex64)
    spread = np.sqrt((np.abs(waves) ** 2).mean(axis=0))
    description = _description(waves)
    # Many galaxies are similarly round or elongated, so a harmonic counts by how far it exceeds what is usual.
    waves /= np.maximum(spread, 1e-6)
    duplicates: list[Duplicate] = []
    for pairs, compared in _candidates(description):
        fits = _fit_rings(waves, pairs)
        likely = np.flatnonzero(fits.agreement > _RINGS_AGREE)
        duplicates += [
            duplicate
            for row in likely
            if (
                duplicate := _lay_over(
                    portraits, pairs[row], fits.turned[row], fits.scale[row], bool(fits.mirrored[row])
                )
            )
        ]
        progress(compared)
    return sorted(duplicates, key=lambda duplicate: (duplicate.first, duplicate.second))


def _rings(portraits: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the changes of light along rings around the middle, in units of its scatter: (n, rings, points)."""
    from scipy import ndimage

    radius = np.geomspace(_INNER, _OUTER, _RINGS)[:, None]
    angle = np.arange(_POINTS) * 2 * np.pi / _POINTS
    middle = (PORTRAIT - 1) / 2
    places = [middle + radius * np.sin(angle), middle + radius * np.cos(angle)]
    light = np.log(portraits.astype(np.float32) + 16)
    rings = np.stack([ndimage.map_coordinates(one, places, order=1) for one in light])
    rings -= rings.mean(axis=2, keepdims=True)
    # A bright star must not count more than other differences.
    scatter = noise(rings.reshape(len(rings), -1), 0, axis=1) + 0.01
    clipped: NDArray[np.float32] = np.clip(rings / scatter[:, None, None], -4, 4)
    return clipped


def _description(waves: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return descriptors that do not change with rotation and mirroring, as vectors of length 1: (n, d)."""
    from scipy import ndimage

    # Smoothed over neighbouring rings, because two portraits differ a little in scale.
    amplitudes = ndimage.gaussian_filter1d(np.abs(waves[:, :, :_DESCRIBED]), 1, axis=1)
    values = np.sqrt(amplitudes).reshape(len(waves), -1)
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-6)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
    return np.asarray(values, dtype=np.float32)


def _candidates(description: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Yield pairs of rows (n, 2), the smaller first, each once, and the number of rows that were searched."""
    seen: set[int] = set()
    for rows, others in _regions(description):
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            alike = description[some] @ description[others].T
            alike[some[:, None] == others] = -np.inf
            # Fewer in a small region, so that no row is its own neighbour.
            fewer = min(_NEIGHBOURS, len(others) - 1)
            near = np.argpartition(-alike, fewer - 1, axis=1)[:, :fewer]
            pairs = np.stack([np.repeat(some, near.shape[1]), others[near].ravel()], axis=1)
            keys = np.unique(pairs.min(axis=1) * len(description) + pairs.max(axis=1))
            fresh = np.array([key for key in keys.tolist() if key not in seen], dtype=np.intp)
            seen.update(fresh.tolist())
            yield np.stack(np.divmod(fresh, len(description)), axis=1), len(some)


def _regions(description: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield rows, each once, with the rows among which their neighbours are searched.

    For moderate numbers, all among all. Otherwise random galaxies serve as landmarks: a row belongs to its nearest
    landmark, and its neighbours are searched among the rows that have this landmark among their nearest. The number of
    landmarks makes the time grow as the power 3/2 of the number of rows.
    """
    count = len(description)
    if count <= MOST_AT_ONCE:
        yield np.arange(count), np.arange(count)
        return
    random = np.random.default_rng(222)
    landmarks = description[random.choice(count, round(_LANDMARKS * count**0.5), replace=False)]
    nearest = np.empty((count, _NEAR_LANDMARKS), dtype=np.int32)
    for start in range(0, count, _BLOCK):
        alike = description[start : start + _BLOCK] @ landmarks.T
        some = np.argpartition(-alike, _NEAR_LANDMARKS - 1, axis=1)[:, :_NEAR_LANDMARKS]
        order = np.argsort(-np.take_along_axis(alike, some, axis=1), axis=1)
        nearest[start : start + _BLOCK] = np.take_along_axis(some, order, axis=1)
    flat = np.argsort(nearest, axis=None, kind="stable")
    ends = np.searchsorted(nearest.ravel()[flat], np.arange(len(landmarks) + 1))
    for number in range(len(landmarks)):
        places = flat[ends[number] : ends[number + 1]]
        others = np.sort(places // _NEAR_LANDMARKS)
        rows = np.sort(places[places % _NEAR_LANDMARKS == 0] // _NEAR_LANDMARKS)
        if len(rows) and len(others) > 1:
            yield rows, others


@dataclass(frozen=True, slots=True)
class _Fits:
    """The best alignment of each pair: correlation, rotation in degrees, mirrored or not, relative scale."""

    agreement: NDArray[np.float32]
    turned: NDArray[np.float32]
    mirrored: NDArray[np.bool_]
    scale: NDArray[np.float32]


def _fit_rings(waves: NDArray[np.complex64], pairs: NDArray[np.intp]) -> _Fits:
    """Correlate pairs over all angles, with and without mirroring, and over a few scales."""
    count, fine = len(pairs), 2 * _POINTS
    fits = _Fits(*(np.zeros(count, dtype=kind) for kind in (np.float32, np.float32, bool, np.float32)))
    for start in range(0, count, _BLOCK):
        some = slice(start, min(start + _BLOCK, count))
        first, second = waves[pairs[some, 0]], waves[pairs[some, 1]]
        for shift in _RING_SHIFTS:
            one, other = (
                first[:, max(shift, 0) : _RINGS + min(shift, 0)],
                second[:, max(-shift, 0) : _RINGS - max(shift, 0)],
            )
            norm = np.linalg.norm(one.reshape(len(one), -1), axis=1) * np.linalg.norm(
                other.reshape(len(other), -1), axis=1
            )
            for mirrored in (False, True):
                product = np.zeros((len(one), fine // 2 + 1), dtype=np.complex64)
                product[:, 1 : _HARMONICS + 1] = (one * (other if mirrored else other.conj())).sum(axis=1)
                correlation = np.fft.irfft(product, fine, axis=1) * (fine / 2)
                best = correlation.argmax(axis=1)
                agreement = correlation[np.arange(len(one)), best] / np.maximum(norm, 1e-6)
                better = np.flatnonzero(agreement > fits.agreement[some])
                rows = better + start
                fits.agreement[rows] = agreement[better]
                fits.turned[rows] = best[better] * (360 / fine)
                fits.mirrored[rows] = mirrored
                fits.scale[rows] = np.exp(-shift * _STEP)
    return fits


def _lay_over(
    portraits: NDArray[np.uint8], pair: NDArray[np.intp], turned: float, scale: float, mirrored: bool
) -> Duplicate | None:
    """Align the second portrait with the first by rotation, scale and shift, and decide."""
    first, second = (portraits[row].astype(np.float32) for row in pair)
    fixed = _Fixed(_fine(first[None])[0])
    planes = [Image.fromarray(plane) for plane in second]

    def laid(tried: list[tuple[float, float]]) -> NDArray[np.float32]:
        return _fine(np.stack([_turned(planes, *one, mirrored=mirrored) for one in tried]))

    (roughly,), aligned = fixed.shifted(laid([(turned, scale)]))
    if fixed.unevenness(aligned[0]) < _UNEVENLY_AT_FIRST:
        return None
    best = (roughly, turned, scale)
    for enough, degrees, factors in (
        (_ROUGHLY, 3.0, (-0.07, 0, 0.07)),
        (_BETTER, 1.5, (-0.035, -0.0175, 0, 0.0175, 0.035)),
    ):
        if best[0] < enough:
            return None
        _, angle, size = best
        tried = [(angle + step * degrees, size * float(np.exp(factor))) for step in (-1, 0, 1) for factor in factors]
        agreements = fixed.shifted(laid(tried))[0]
        best = max(best, *((agreement, *one) for agreement, one in zip(agreements, tried, strict=True)))
    finely, angle, size = best
    if finely < _FINELY:
        return None
    likeness = fixed.unevenness(fixed.shifted(laid([(angle, size)]))[1][0])
    if likeness < _UNEVENLY:
        return None
    degrees = round(180 - (180 - float(angle)) % 360, 1)
    return Duplicate(int(pair[0]), int(pair[1]), round(likeness, 3), degrees, mirrored)


def _turned(planes: list[Image.Image], angle: float, size: float, *, mirrored: bool) -> NDArray[np.float32]:
    """Turn a portrait about its middle and enlarge it; pixels from outside are invalid."""
    cosine, sine = np.cos(np.deg2rad(angle)) * size, np.sin(np.deg2rad(angle)) * size
    down = -1 if mirrored else 1
    middle = PORTRAIT / 2
    # Column and row in the portrait for each pixel of the result.
    across = (cosine, sine, middle * (1 - cosine - sine))
    along = (-down * sine, down * cosine, middle * (1 + down * (sine - cosine)))
    side, data = (PORTRAIT, PORTRAIT), (*across, *along)
    turned = [plane.transform(side, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR) for plane in planes]
    return np.stack([np.asarray(plane) for plane in turned])


def _fine(portraits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return portraits (n, 2, side, side) minus their smooth part, in units of their scatter; NaN for invalid pixels.

    Only a disc counts, because rotation does not change it.
    """
    from scipy import ndimage

    logarithm, shown = np.log(portraits[:, 0] + 16), portraits[:, 1] > _WHOLLY
    # Invalid pixels do not contribute to the smooth light.
    weight = ndimage.gaussian_filter(shown.astype(np.float32), (0, 2, 2))
    fine = logarithm - ndimage.gaussian_filter(logarithm * shown, (0, 2, 2)) / np.maximum(weight, 1e-3)
    shown &= _DISC
    scatter = np.array([noise(one[valid], 0) if valid.any() else 1 for one, valid in zip(fine, shown, strict=True)])
    in_scatters = fine / (scatter.astype(np.float32) + np.float32(0.005))[:, None, None]
    return np.where(shown, np.clip(in_scatters, -5, 5), np.float32(np.nan))


def _uneven(fine: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the part that changes under half a turn; if only one of two opposite pixels is valid, that pixel."""
    opposite = fine[::-1, ::-1]
    nowhere = np.isnan(fine) & np.isnan(opposite)
    return np.where(nowhere, np.nan, np.nan_to_num(fine) - np.nan_to_num(opposite))


_DISC = np.hypot(*(np.indices((PORTRAIT, PORTRAIT)) - (PORTRAIT - 1) / 2)) < 30


_SHIFTS = np.arange(-_REACHED, _REACHED + 1)


class _Fixed:
    """The fine structure of a portrait, shape (side, side), with which that of others is compared."""

    def __init__(self, fine: NDArray[np.float32]) -> None:
        self.fine = fine
        self._valid = (~np.isnan(fine)).astype(np.float32)
        self._filled = np.nan_to_num(fine)
        self._spectrum = np.fft.rfft2(self._filled).conj()

    def shifted(self, others: NDArray[np.float32]) -> tuple[list[float], NDArray[np.float32]]:
        """Shift others by up to `_REACHED` pixels to the best correlation; return the correlations, and the others."""
        product = self._spectrum * np.fft.rfft2(np.nan_to_num(others))
        correlation = np.fft.irfft2(product, s=self.fine.shape)[:, _SHIFTS[:, None], _SHIFTS]
        down, across = np.divmod(correlation.reshape(len(others), -1).argmax(axis=1), len(_SHIFTS))
        along = np.arange(len(self.fine))
        rows, columns = ((along + _SHIFTS[by][:, None]) % len(along) for by in (down, across))
        laid = others[np.arange(len(others))[:, None, None], rows[:, :, None], columns[:, None, :]]
        return self.agreements(laid), laid

    def agreements(self, others: NDArray[np.float32]) -> list[float]:
        """Return the correlation with each over pixels valid in both; 0 if these are too few."""
        filled, valid = (
            one.reshape(len(others), -1) for one in (np.nan_to_num(others), (~np.isnan(others)).astype(np.float32))
        )
        product = filled @ self._filled.ravel()
        norms = np.sqrt((valid @ self._filled.ravel() ** 2) * (filled**2 @ self._valid.ravel()))
        enough = valid @ self._valid.ravel() >= _ENOUGH * _DISC.sum()
        agreements: list[float] = np.where(enough, product / np.maximum(norms, 1e-6), 0).tolist()
        return agreements

    def unevenness(self, other: NDArray[np.float32]) -> float:
        """Return the correlation of the parts that change under half a turn.

        Two discs seen edge-on agree in everything else.
        """
        hidden = np.isnan(self.fine) | np.isnan(other)
        one, another = (_uneven(np.where(hidden, np.nan, fine)) for fine in (self.fine, other))
        return _Fixed(one).agreements(another[None])[0]
