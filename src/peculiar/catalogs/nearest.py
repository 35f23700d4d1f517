"""The nearest object to each of many positions, from objects that come batch by batch."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

_SLACK = 1 + 1e-9
"""By which objects are searched farther than asked, because chords are rounded; the separation decides."""


class Nearest:
    """The nearest object to each position, within a radius.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,)
        Positions, in degrees.
    radius : float
        In degrees.

    Attributes
    ----------
    separation : ndarray, shape (n,)
        Angle to the nearest object so far, in degrees; infinite without one.
    object : ndarray of int, shape (n,)
        Number of this object, counted over all batches; -1 without one.
    count : int
        Number of objects so far.
    """

    def __init__(self, ra: NDArray[np.float64], dec: NDArray[np.float64], radius: float) -> None:
        self._positions = np.stack([ra, dec])
        self._points = _unit_vectors(ra, dec)
        self._tree = KDTree(self._points)
        self._radius = radius
        self._chord = 2 * np.sin(np.radians(min(radius, 180.0)) / 2) * _SLACK + 1e-15
        self.separation = np.full(len(ra), np.inf)
        self.object = np.full(len(ra), -1)
        self.count = 0

    def add(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.intp]:
        """Compare objects with the positions; those without a position are NaN.

        Returns
        -------
        ndarray of int
            The rows of the objects that are now nearest to a position.
        """
        # Takes a third of a second to import.
        from astropy.coordinates import SkyCoord

        first, self.count = self.count, self.count + len(ra)
        there = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
        points = _unit_vectors(ra[there], dec[there])
        # Of a large catalogue few objects are near any position.
        close, _ = self._within(self._tree, points)
        there, points = there[close], points[close]
        found, nearest = self._within(KDTree(points), self._points) if len(there) else (there[:0], there[:0])
        rows = there[nearest]
        places = SkyCoord(*self._positions[:, found], unit="deg")
        angles = places.separation(SkyCoord(ra[rows], dec[rows], unit="deg")).deg
        better = (angles < self.separation[found]) & (angles <= self._radius)
        self.separation[found[better]] = angles[better]
        self.object[found[better]] = first + rows[better]
        return np.unique(rows[better])

    def _within(self, tree: KDTree, points: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the points that have one of the tree within the radius, and the nearest of the tree to each."""
        distances, nearest = (np.asarray(one) for one in tree.query(points, distance_upper_bound=self._chord))
        found = np.flatnonzero(np.isfinite(distances))
        return found, nearest[found]


def _unit_vectors(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
