"""A scene: a galaxy, the features that it has, and how it is painted."""

from dataclasses import dataclass, field

from peculiar.simulation.canvas import Canvas
from peculiar.simulation.discs import Part


@dataclass(frozen=True, slots=True)
class Mark:
    """The truth about one feature of a scene.

    Attributes
    ----------
    strength : float
        Its flux in r as a share of the galaxy's; of dust, the optical depth in r; of a low-surface-brightness disc and
        of the bulge, see the documentation.
    x, y, size : float
        Position and extent, in radii: of a ring its radius, of a bar its length, of a lens the Einstein radius.
    width : float
        The smallest length by which it is recognised, in radii.
    more : dict of str to float
        Further truth, such as the number of arms.
    """

    strength: float
    x: float
    y: float
    size: float
    width: float
    more: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Scene:
    """A galaxy and its surroundings, in lengths of the galaxy's half-light radius; painted at any resolution.

    Attributes
    ----------
    host : str
        elliptical, lenticular, spiral, edge_on, irregular or dwarf.
    surface_brightness : float
        Mean within the half-light radius, in r, at redshift 0, in mag/arcsec^2.
    rank : float
        Size among galaxies of its survey, in standard deviations.
    parts : list of (str or None, Part)
        In the order in which they are painted, each with the feature that it belongs to.
    marks : dict of str to Mark
        The features.
    bulge_fraction, axis_ratio, angle : float
    crowded : bool
        Whether the field around it is full of stars.
    """

    host: str
    surface_brightness: float
    rank: float
    axis_ratio: float = 1.0
    angle: float = 0.0
    bulge_fraction: float = 0.0
    crowded: bool = False
    parts: list[tuple[str | None, Part]] = field(default_factory=list)
    marks: dict[str, Mark] = field(default_factory=dict)

    def add(self, feature: str | None, *parts: Part) -> None:
        """Add parts on top."""
        self.parts += [(feature, part) for part in parts]

    def paint(self, canvas: Canvas) -> None:
        """Paint all parts."""
        for feature, part in self.parts:
            with canvas.feature(feature):
                part.paint(canvas)
