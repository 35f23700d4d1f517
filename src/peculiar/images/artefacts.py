"""Measures of a picture's pixels, to detect artefacts of detectors, readout and data transfer.

Light from a telescope is blurred, comes with noise everywhere, has its colours in register, and does not depend on the
rows and columns of the detector. Each kind of artefact violates one of these. The other measures describe how much
brightness changes over different distances, in which direction, and with which values. `peculiar.models.novelty` learns
the usual combinations of all measures from pictures, so that unforeseen artefacts are detected, too. The measures apply
to the framed picture, as the network sees it.
"""

import math

import numpy as np
from numpy.typing import NDArray

ARTEFACTS = ("lines", "steps", "sharp", "still", "colours apart")
"""The first five measures.

lines
    In a strip of four rows or columns, brightness changes more, or less, across the strip than along it: logarithm of
    the ratio.
steps
    Over half the width, one row or column differs from the next by a constant, and its neighbours do not.
sharp
    A few pixels make up most of the changes between neighbours, as if nothing had blurred them.
still
    Logarithm of the number of places of 8 x 8 pixels without noise.
colours apart
    Changes in one colour do not occur in another.
"""

_SIZES = (1, 2, 4, 8, 16, 32)

MEASURES: tuple[str, ...] = (
    *ARTEFACTS,
    *(f"{what}, {size} px" for size in _SIZES for what in ("change", "direction", "crossing")),
    "commonest value",
    "disorder",
    "values",
    "red to blue",
    "green",
)
"""In the order of `measure_artefacts`: `ARTEFACTS`, and for cells of each size, all but "direction" as logarithms,

change
    The mean difference of neighbours, down and to the right.
direction
    The absolute logarithm of the ratio of both.
crossing
    The mean difference of differences, down and to the right at once, over the mean difference: small for rows and
    columns, large for noise.

Then, of all brightness values, the share of the commonest, the entropy (in nats, not its logarithm) and the number of
values; and the mean difference of neighbours in two colours, red minus blue, and green minus the mean of both.
"""

_STRIP, _CELL, _REACH = 4, 4, 3

# In units of the sum of three colours, 0 to 765. The first keeps ratios finite; the second is below the sky noise of
# all of 3,000 galaxies.
_LEAST, _STILL = 0.05, 0.5

_COLOURS = np.array([[1, -1], [0, 2], [-1, -1]], np.float32) / _CELL**2

_Array = NDArray[np.float32]


def measure_artefacts(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the measures of framed pictures.

    Parameters
    ----------
    pictures : ndarray of uint8, shape (n, size, size, 3)

    Returns
    -------
    ndarray of float32, shape (n, 28)
        See `MEASURES`. Larger values of the first five mean stronger artefacts. Quarter turns and mirroring change only
        the last digits if the side is a multiple of 32. The batch has no influence.
    """
    # One by one: a picture fits into the processor's cache, and no sum depends on the rest of the batch.
    return np.array([_measure(picture) for picture in pictures], dtype=np.float32).reshape(-1, len(MEASURES))


def _measure(picture: NDArray[np.uint8]) -> tuple[float, ...]:
    side = len(picture) - len(picture) % _CELL
    colours = picture[:side, :side].astype(np.float32)
    light = colours @ _ones(3)
    down, right = light[1:] - light[:-1], light[:, 1:] - light[:, :-1]
    bend = np.abs((down[1:] - down[:-1])[:, 1:-1] + (right[:, 1:] - right[:, :-1])[1:-1])
    across, along = np.abs(down, out=down), np.abs(right, out=right)
    change = float(across.mean() + along.mean())
    cells = _cells(colours)
    return (
        max(_lines(across, along), _lines(along.T, across.T)),
        max(_steps(light, change), _steps(light.T, change)),
        # Gaussian noise has 1.25, the root of half of pi.
        float(np.sqrt(np.vdot(bend, bend) / bend.size) / (bend.mean() + _LEAST)),
        _still(_cells(bend[1:-1, 1:-1, None])[:, :, 0]),
        _colours_apart(cells),
        *_changes(light),
        *_values(light),
        *_colours(cells),
    )


def _lines(across: _Array, along: _Array) -> float:
    """Compare changes between rows, (rows - 1, columns), with changes between columns, (rows, columns - 1)."""
    beside = _means(along)
    ratio = (_strips(_means(across)) + _LEAST) / (_strips((beside[1:] + beside[:-1]) / 2) + _LEAST)
    return float(np.abs(np.log(ratio)).max())


def _strips(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.convolve(rows, np.full(_STRIP, 1 / _STRIP, np.float32), mode="valid")


def _steps(light: _Array, change: float) -> float:
    """Compare rows, given the mean difference of neighbours in both directions."""
    # A difference counts as one, however large it is: a star must not outweigh a row.
    most = 2 * change + 1
    changes = np.clip(light[_REACH:] - light[:-_REACH], -most, most)
    quarter = light.shape[1] // 4
    quarters = changes @ np.repeat(np.eye(4, dtype=np.float32), quarter, axis=0) / (most * quarter)
    halves = (quarters[:, 1:] + quarters[:, :-1]) / 2
    beside = (halves[2 * _REACH :] + halves[: -2 * _REACH]) / 2
    return float(np.abs(halves[_REACH:-_REACH] - beside).max())


def _still(cells: _Array) -> float:
    places = cells[1:, 1:] + cells[1:, :-1] + cells[:-1, 1:] + cells[:-1, :-1]
    return float(np.log1p(np.count_nonzero(places < _STILL * 4 * _CELL**2)))


def _colours_apart(cells: _Array) -> float:
    """Return 1 minus the lowest correlation between the changes of two colours, (rows, columns, 3)."""
    down, right = (cells[1:] - cells[:-1]).reshape(-1, 3), (cells[:, 1:] - cells[:, :-1]).reshape(-1, 3)
    products = down.T @ down + right.T @ right
    # A constant colour has no correlation with any other.
    lengths = np.sqrt(np.diag(products)) + 1
    return float(1 - (products / np.outer(lengths, lengths)).min())


def _changes(light: _Array) -> list[float]:
    """Return change, direction and crossing for each size of cells."""
    found: list[float] = []
    while len(light) >= _CELL and len(found) < 3 * len(_SIZES):
        right, down = light[:, 1:] - light[:, :-1], light[1:] - light[:-1]
        along, across, crossing = (_mean_size(one) + _LEAST for one in (right, down, right[1:] - right[:-1]))
        change = along + across
        found += [math.log(change), abs(math.log(across / along)), math.log(crossing / change)]
        even = len(light) // 2 * 2
        rows = light[0:even:2] + light[1:even:2]
        light = (rows[:, 0:even:2] + rows[:, 1:even:2]) * np.float32(0.25)
    # A small picture has no cells of this size.
    return found + [0.0] * (3 * len(_SIZES) - len(found))


def _values(light: _Array) -> tuple[float, float, float]:
    counts = np.bincount(light.ravel().astype(np.intp))
    shares = counts[counts > 0] / light.size
    return math.log(shares.max()), -float(shares @ np.log(shares)), math.log(len(shares))


def _colours(cells: _Array) -> list[float]:
    colours = np.moveaxis(cells @ _COLOURS, 2, 0)
    return [math.log(_mean_size(one[1:] - one[:-1]) + _mean_size(one[:, 1:] - one[:, :-1]) + _LEAST) for one in colours]


def _mean_size(values: _Array) -> float:
    return float(np.abs(values).sum()) / values.size


def _cells(values: _Array) -> _Array:
    """Return sums over cells of 4 x 4 pixels, (rows, columns, colours)."""
    rows = values[::4] + values[1::4] + values[2::4] + values[3::4]
    colours = rows.shape[2]
    # As a matrix product, which is ten times as fast as a sum over such a short axis.
    cells = rows.reshape(-1, _CELL * colours) @ np.tile(np.eye(colours, dtype=np.float32), (_CELL, 1))
    return cells.reshape(len(rows), -1, colours)


def _means(rows: _Array) -> _Array:
    return rows @ np.full(rows.shape[1], 1 / rows.shape[1], np.float32)


def _ones(count: int) -> _Array:
    return np.ones(count, np.float32)
