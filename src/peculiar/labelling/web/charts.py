"""The two maps of a catalogue as pictures. No web code.

A picture shows the number of galaxies in each of its pixels, so a million galaxies need no more space than a hundred.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import UsageError
from peculiar.images.decode import encode_picture
from peculiar.reports.drawing import COLOURS

WIDTH, HEIGHT = 720, 450
"""Sides of a picture, in pixels."""

PALETTE = ("#9aa7c4", *COLOURS[1:], COLOURS[0])
"""Colours of classes, the most frequent first; they repeat if there are more classes."""

_PAPER, _UNCHOSEN = np.array([7, 10, 20]), np.array([74, 86, 118])

# Radius of a galaxy, in pixels, if so many or fewer are drawn.
_REACHES = ((1_000, 4), (10_000, 2.3), (100_000, 1))

_STEPS = (45, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)

EXAMPLES = {"sky": "150.1,150.6,1.5,2.5", "map": "0.2,0.4,0.5,0.8"}
"""Text form of rectangles, by the name of the map."""

Places = tuple[NDArray[np.floating], NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a map. On the sky `right` may be smaller, if the rectangle crosses 0 h."""

    left: float
    right: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Lasso:
    """A closed line around galaxies on a map: its corners, each two coordinates, joined by straight lines."""

    corners: tuple[tuple[float, float], ...]


Shape = Box | Lasso


def parse_shape(text: str, kind: str) -> Shape:
    """Parse a rectangle on a map, "sky" or "map", or a lasso.

    Parameters
    ----------
    text : str
        A rectangle is four numbers, two for each axis; a lasso six or more, the coordinates of its corners by turns.
    kind : {"sky", "map"}

    Raises
    ------
    UsageError
        If it is neither.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not all(map(math.isfinite, numbers)) or len(numbers) < 4 or len(numbers) % 2:
        message = (
            f"a rectangle on the {kind} is four numbers, as in {EXAMPLES[kind]}, and a lasso two for each of its "
            f"corners; received {text!r}"
        )
        raise UsageError(message)
    if len(numbers) > 4:
        return Lasso(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    left, right, low, high = numbers
    return Box(left, right, min(low, high), max(low, high))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a map, as points of a drawing, with its label and the place of the label."""

    points: str
    name: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Sky:
    """A part of the sky in the projection of Sanson and Flamsteed: areas are equal, parallels are straight.

    Parameters
    ----------
    middle : float
        Right ascension of the meridian in the middle, in degrees.
    x, y : float
        Centre of the picture: degrees west of that meridian along the parallel, and declination.
    scale : float
        Pixels per degree.
    """

    middle: float
    x: float
    y: float
    scale: float

    @classmethod
    def around(cls, ra: NDArray[np.floating], dec: NDArray[np.floating]) -> "Sky":
        """Return the part of the sky that contains galaxies; the whole sky if there are none."""
        known = np.isfinite(ra) & np.isfinite(dec)
        ra, dec = ra[known] % 360, dec[known]
        if not len(ra):
            return cls(0, 0, 0, min(WIDTH / 370, HEIGHT / 185))
        # The galaxies surround the middle of the complement of the widest empty range.
        taken = np.flatnonzero(np.bincount((ra * 10).astype(int) % 3600, minlength=3600)) / 10
        gaps = np.diff(np.append(taken, taken[0] + 360))
        widest = int(np.argmax(gaps))
        middle = (taken[widest] + gaps[widest] / 2 + 180) % 360 if gaps[widest] > 5 else 180.0
        x = _turned(middle - ra) * np.cos(np.radians(dec))
        spans = [max(float(np.ptp(one)), 0.01) * 1.12 for one in (x, dec)]
        scale = min(WIDTH / spans[0], HEIGHT / spans[1])
        return cls(float(middle), float(x.min() + x.max()) / 2, float(dec.min() + dec.max()) / 2, scale)

    def place(self, ra: NDArray[np.floating], dec: NDArray[np.floating]) -> Places:
        """Return the places of galaxies on the picture, in pixels from its top left."""
        x = _turned(self.middle - ra) * np.cos(np.radians(dec))
        return WIDTH / 2 + (x - self.x) * self.scale, HEIGHT / 2 - (dec - self.y) * self.scale

    def holds(self, shape: Shape, ra: NDArray[np.floating], dec: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return a mask of the galaxies in a lasso as this view draws it, or in a rectangle.

        A rectangle is a range of right ascension, eastwards from left to right, and one of declination.
        """
        return _surrounds(self, shape, ra, dec) if isinstance(shape, Lasso) else self._within(shape, ra, dec)

    @staticmethod
    def _within(box: Box, ra: NDArray[np.floating], dec: NDArray[np.floating]) -> NDArray[np.bool_]:
        inside = (dec >= box.low) & (dec <= box.high)
        if abs(box.right - box.left) < 360:
            inside &= (ra - box.left) % 360 <= (box.right - box.left) % 360
        return inside

    def outline(self, shape: Shape) -> str:
        """Return a rectangle or a lasso as points of a drawing."""
        if isinstance(shape, Lasso):
            return _drawn(self, shape.corners)
        box = shape
        width = 360 if abs(box.right - box.left) >= 360 else (box.right - box.left) % 360
        middle = (box.left + width / 2) % 360
        # Angles are measured from the middle of the rectangle, so that it stays in one piece.
        away = float(_turned(np.array([self.middle - middle]))[0]) if width < 360 else 0.0
        dec = np.linspace(box.low, box.high, 25).clip(-90, 90)
        sides = [(away + half, order) for half, order in ((width / 2, dec), (-width / 2, dec[::-1]))]
        points = [(x * math.cos(math.radians(y)), y) for x, order in sides for y in order]
        return self._points(points)

    def _points(self, points: Sequence[tuple[float, float]]) -> str:
        return " ".join(
            f"{WIDTH / 2 + (x - self.x) * self.scale:.1f},{HEIGHT / 2 - (y - self.y) * self.scale:.1f}"
            for x, y in points
        )

    def graticule(self) -> list[Line]:
        """Return meridians and parallels, with labels at the edges."""
        low, high = (self.y + sign * HEIGHT / 2 / self.scale for sign in (-1, 1))
        left, right = (self.x + sign * WIDTH / 2 / self.scale for sign in (-1, 1))
        lines = []
        step = _step(high - low, 4)
        # For the whole sky its rim is drawn; for a part, the lines continue to the edge.
        for number in range(math.ceil(max(low, -90) / step), math.floor(min(high, 90) / step) + 1):
            dec = number * step
            reach = 180 * math.cos(math.radians(dec))
            ends = max(left, -reach), min(right, reach)
            y = HEIGHT / 2 - (dec - self.y) * self.scale
            if ends[0] < ends[1]:
                x = WIDTH / 2 + (ends[0] - self.x) * self.scale
                lines.append(
                    Line(
                        self._points([(end, dec) for end in ends]),
                        _degrees(dec, step) if 24 < y < HEIGHT - 36 else "",
                        x + 6,
                        y - 6,
                        "start",
                    )
                )
        # Meridians are labelled where they are farthest apart: at the visible parallel nearest to the equator.
        at = min(max(0.0, low), high)
        along = np.linspace(max(low, -90), min(high, 90), 40)
        shrink = max(math.cos(math.radians(at)), 0.02)
        step = _step(min((right - left) / shrink, 360), 5)
        first = math.ceil((self.middle - min(right / shrink, 180)) / step)
        last = math.floor((self.middle - max(left / shrink, -180)) / step)
        # Their labels are at the bottom of the picture, unless they are too close there.
        named = float(along[0]) if math.cos(math.radians(along[0])) > 0.8 * shrink else at
        meridians = [
            (self.middle - number * step, _degrees(number * step % 360, step)) for number in range(first, last + 1)
        ]
        # The rim of the sky has no label.
        for away, name in [(-180.0, ""), (180.0, ""), *meridians]:
            points = self._points([(away * math.cos(math.radians(dec)), dec) for dec in along])
            x = WIDTH / 2 + (away * math.cos(math.radians(named)) - self.x) * self.scale
            y = min(HEIGHT / 2 - (named - self.y) * self.scale, HEIGHT) - 8
            lines.append(Line(points, name if 30 < x < WIDTH - 30 else "", x, y, "middle"))
        return lines


@dataclass(frozen=True, slots=True)
class Plane:
    """The similarity map: 0 to 1, upwards and to the right."""

    margin: float = 14

    def place(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> Places:
        """Return the places of galaxies on the picture, in pixels from its top left."""
        wide, tall = WIDTH - 2 * self.margin, HEIGHT - 2 * self.margin
        return self.margin + x * wide, HEIGHT - self.margin - y * tall

    def holds(self, shape: Shape, x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return a mask of the galaxies in a rectangle or a lasso."""
        if isinstance(shape, Lasso):
            return _surrounds(self, shape, x, y)
        box = shape
        return (x >= min(box.left, box.right)) & (x <= max(box.left, box.right)) & (y >= box.low) & (y <= box.high)

    def outline(self, shape: Shape) -> str:
        """Return a rectangle or a lasso as points of a drawing."""
        if isinstance(shape, Lasso):
            return _drawn(self, shape.corners)
        low, high = shape.low, shape.high
        return _drawn(self, [(shape.left, low), (shape.left, high), (shape.right, high), (shape.right, low)])

    def graticule(self) -> list[Line]:
        """Return no lines: the axes have no meaning."""
        return []


View = Sky | Plane


def _drawn(view: View, corners: Sequence[tuple[float, float]]) -> str:
    x, y = view.place(*np.array(corners).T)
    return " ".join(f"{one:.1f},{other:.1f}" for one, other in zip(x, y, strict=True))


def _surrounds(view: View, lasso: Lasso, *places: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return a mask of the galaxies that lie in a lasso as a view draws it."""
    from matplotlib.path import Path  # importing it takes time

    corners = np.column_stack(view.place(*np.array(lasso.corners).T))
    points = np.column_stack(view.place(*(one.astype(np.float64) for one in places)))
    inside = ((points >= corners.min(axis=0)) & (points <= corners.max(axis=0))).all(axis=1)
    inside[inside] = Path(corners).contains_points(points[inside])
    return np.asarray(inside)


@dataclass(frozen=True, slots=True)
class Colouring:
    """Values by which galaxies are coloured.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Numbers of classes, the most frequent first; or, if `names` is empty, positions on the scale from 0 to 1, NaN if
        unknown.
    names : tuple of str
        Names of the classes.
    ends : tuple of float
        Values at 0 and 1 of the scale.
    """

    values: NDArray[np.floating] | NDArray[np.integer]
    names: tuple[str, ...] = ()
    ends: tuple[float, float] = (0, 1)

    @classmethod
    def of_classes(cls, codes: NDArray[np.integer], names: Sequence[str]) -> "Colouring":
        """Return the colours of classes that are numbered in any order; -1 means none."""
        counts = np.bincount(codes[codes >= 0], minlength=len(names))
        order = np.argsort(-counts, kind="stable")
        ranks = np.full(len(names) + 1, -1)
        ranks[order] = np.arange(len(names))
        return cls(ranks[codes].astype(np.int16), tuple(names[number] for number in order))

    @classmethod
    def of_numbers(cls, values: NDArray[np.floating]) -> "Colouring":
        """Return the colours of numbers; the scale covers 98 % of them."""
        known = values[np.isfinite(values)]
        low, high = (float(end) for end in np.quantile(known, (0.01, 0.99))) if len(known) else (0.0, 1.0)
        return cls(((values - low) / max(high - low, 1e-12)).clip(0, 1).astype(np.float32), ends=(low, high))

    def codes(self) -> NDArray[np.uint8]:
        """Return the colours as bytes: the class from 1 on, or 1 to 255 on the scale; 0 if unknown."""
        if self.names:
            return (np.asarray(self.values) + 1).astype(np.uint8)
        values = np.asarray(self.values, dtype=np.float64)
        return np.where(np.isfinite(values), 1 + np.round(254 * values), 0).astype(np.uint8)


def scale_colours(steps: int = 256) -> NDArray[np.uint8]:
    """Return the colours of a scale of numbers, dark to light, shape (steps, 3)."""
    from matplotlib import colormaps  # importing its registry takes time

    return np.asarray(255 * colormaps["plasma"](np.linspace(0.15, 1, steps))[:, :3]).astype(np.uint8)


def paint(places: Places, chosen: NDArray[np.bool_] | None, colouring: Colouring | None) -> bytes:
    """Draw galaxies on a picture.

    Parameters
    ----------
    places : pair of ndarray, each of shape (n,)
        In pixels from the top left; galaxies at NaN are not drawn.
    chosen : ndarray of bool, shape (n,), optional
        Galaxies in colour, above the others, which are grey; default: all.
    colouring : Colouring, optional
        Default: the colour shows the number of galaxies.

    Returns
    -------
    bytes
        PNG of `WIDTH` times `HEIGHT`.
    """
    x, y = places
    seen = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
    picture = np.broadcast_to(_PAPER, (HEIGHT * WIDTH, 3)).astype(np.float32)
    reach = next((reach for most, reach in _REACHES if int(seen.sum()) <= most), 0)
    if chosen is not None:
        cells, _ = _cells(x, y, seen & ~chosen, reach)
        counts = np.bincount(cells, minlength=HEIGHT * WIDTH)
        there = counts > 0
        picture[there] = _UNCHOSEN * _light(counts[there], 0.55)[:, None]
        seen &= chosen
    cells, rows = _cells(x, y, seen, reach)
    counts = np.bincount(cells, minlength=HEIGHT * WIDTH)
    there = counts > 0
    least = 0.65 if chosen is None else 0.9
    if colouring is None:
        picture[there] = scale_colours()[(255 * _light(counts[there], least - 0.3)).astype(int)]
    elif colouring.names:
        kinds = np.asarray(colouring.values)[rows]
        colours = np.array([_rgb(PALETTE[number % len(PALETTE)]) for number in range(len(colouring.names))])
        picture[there] = _UNCHOSEN
        # Frequent classes are drawn first, so that rare ones stay visible.
        for kind, colour in enumerate(colours):
            picture[cells[kinds == kind]] = colour
        picture[there] *= _light(counts[there], least)[:, None]
    else:
        values = np.asarray(colouring.values, dtype=np.float64)[rows]
        known = np.isfinite(values)
        sums = np.bincount(cells[known], values[known], minlength=HEIGHT * WIDTH)
        many = np.bincount(cells[known], minlength=HEIGHT * WIDTH)
        picture[there] = _UNCHOSEN
        picture[many > 0] = scale_colours()[(255 * sums[many > 0] / many[many > 0]).astype(int)]
    return encode_picture(picture.clip(0, 255).astype(np.uint8).reshape(HEIGHT, WIDTH, 3))


def legend(colouring: Colouring, rows: NDArray[np.integer]) -> Mapping[str, tuple[str, int]]:
    """Return the colour of each class, and its number of galaxies."""
    kinds = np.asarray(colouring.values)[rows]
    counts = np.bincount(kinds[kinds >= 0], minlength=len(colouring.names))
    return {name: (PALETTE[number % len(PALETTE)], int(counts[number])) for number, name in enumerate(colouring.names)}


def _cells(
    x: NDArray[np.floating], y: NDArray[np.floating], seen: NDArray[np.bool_], reach: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pixels covered by galaxies, each a disc, and the galaxy of each pixel."""
    rows = np.flatnonzero(seen)
    column, line = x[rows].astype(np.int64), y[rows].astype(np.int64)
    if not reach:
        return line * WIDTH + column, rows
    steps = np.arange(-int(reach), int(reach) + 1)
    down, right = (one.ravel() for one in np.meshgrid(steps, steps, indexing="ij"))
    disc = np.hypot(down, right) <= reach
    columns, lines = column[:, None] + right[disc], line[:, None] + down[disc]
    inside = (columns >= 0) & (columns < WIDTH) & (lines >= 0) & (lines < HEIGHT)
    return (lines * WIDTH + columns)[inside], np.broadcast_to(rows[:, None], columns.shape)[inside]


def _light(counts: NDArray[np.integer], least: float) -> NDArray[np.floating]:
    """Return the brightness of pixels, `least` to 1, by the logarithm of their number of galaxies."""
    if not len(counts):
        return np.empty(0)
    # One pixel in a thousand may saturate: otherwise a single crowded one would leave all others dark.
    most = max(float(np.quantile(counts, 0.999)), 2.0)
    return np.asarray(least + (1 - least) * (np.log(counts) / math.log(most)).clip(0, 1))


def _turned(degrees: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return angles in -180 to 180 degrees."""
    return np.asarray((degrees + 180) % 360 - 180)


def _step(span: float, lines: int) -> float:
    """Return the largest step that gives at least so many lines."""
    return next((step for step in _STEPS if span / step >= lines), _STEPS[-1])


def _degrees(value: float, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step)))
    return f"{value:.{digits}f}°".replace("-", "−")


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:], 16)
