"""State of a scene that is being drawn: random numbers, the features to draw, and the scene so far."""

import math

import numpy as np

from peculiar.simulation.canvas import Stars
from peculiar.simulation.scene import Mark, Scene


class Sketch:
    """A scene that is being drawn.

    Attributes
    ----------
    rng : numpy.random.Generator
    scene : Scene
    names : set of str
        The features that the galaxy is to have.
    reddening : float
        Of the galaxy: extinction in r (mag) by which its colours are changed.
    angle : float
        Position angle of its major axis.
    """

    def __init__(self, rng: np.random.Generator, scene: Scene, names: set[str]) -> None:
        self.rng, self.scene, self.names = rng, scene, names
        self.reddening = float(rng.normal(0, 0.25))
        self.angle = float(rng.uniform(0, 180))

    def mark(
        self, name: str, strength: float, *, x: float = 0, y: float = 0, size: float, width: float, **more: float
    ) -> None:
        """Note the truth about a feature."""
        self.scene.marks[name] = Mark(float(strength), float(x), float(y), float(size), float(width), dict(more))

    def uniform(self, low: float, high: float) -> float:
        """Draw a number evenly."""
        return float(self.rng.uniform(low, high))

    def start(self) -> tuple[float, float]:
        """Draw where a texture starts."""
        return self.uniform(0, 1), self.uniform(0, 1)

    def stars(self, population: str, scatter: float = 0.15) -> Stars:
        """Draw the colour of a population; all of a galaxy share its reddening."""
        return Stars(population, self.reddening + float(self.rng.normal(0, scatter)))

    def tilt(self, least: float) -> float:
        """Draw the axis ratio, at least ``least``, of a disc 0.2 thick (Hubble 1926, ApJ 64, 321)."""
        return math.sqrt(0.04 + 0.96 * self.uniform(math.sqrt((least**2 - 0.04) / 0.96), 1) ** 2)

    def has(self, name: str) -> bool:
        """Return whether the galaxy has a feature."""
        return name in self.names
