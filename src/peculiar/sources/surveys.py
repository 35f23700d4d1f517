"""Surveys that offer colour cut-outs: addresses, limits and credits, as data."""

from dataclasses import dataclass
from urllib.parse import quote

from peculiar.errors import UnknownNameError, UsageError

PIXELS = 256
"""Default side of a cut-out, in pixels."""


@dataclass(frozen=True, slots=True)
class Survey:
    """A survey with a service for cut-outs.

    Parameters
    ----------
    name : str
        Name for the command line.
    title : str
    address : str
        Address of the service, without the query.
    query : str
        Template of the query: ``ra`` and ``dec`` (degrees, ICRS), ``pixels`` (the side), ``scale`` (arcsec a pixel),
        ``degrees`` (the side) and ``layer``.
    layer : str
        The service's name of the survey; empty if it has only one.
    colours : str
        The bands for red, green and blue.
    pixel_scale : float
        Native pixel scale, in arcsec.
    pixels : tuple of int
        Smallest and largest side.
    coverage : str
        Coverage of the sky, in words.
    rate : float
        Default number of requests per second.
    credit : str
    black : float
        A picture with a larger share of black pixels shows no sky.
    outside : str
        The service's answer outside the survey; empty if it sends a picture of one colour.
    """

    name: str
    title: str
    address: str
    query: str
    layer: str
    colours: str
    pixel_scale: float
    pixels: tuple[int, int]
    coverage: str
    rate: float
    credit: str
    black: float = 1.0
    outside: str = ""

    def url(self, ra: float, dec: float, frame: "Frame", address: str | None = None) -> str:
        """Return the address of the cut-out at a position, at the survey's service or a mirror."""
        query = self.query.format(
            ra=f"{ra:.7f}",
            dec=f"{dec:.7f}",
            pixels=frame.pixels,
            scale=f"{frame.scale:.6g}",
            degrees=f"{frame.size / 3600:.8f}",
            layer=quote(self.layer, safe=""),
        )
        return f"{address or self.address}?{query}"


@dataclass(frozen=True, slots=True)
class Frame:
    """The square to cut out: its side in pixels, and their scale in arcsec."""

    pixels: int
    scale: float

    @property
    def size(self) -> float:
        """The side in arcsec."""
        return self.pixels * self.scale


_HIPS = "https://alasky.cds.unistra.fr/hips-image-services/hips2fits"
_HIPS_QUERY = (
    "hips={layer}&width={pixels}&height={pixels}&fov={degrees}&ra={ra}&dec={dec}"
    "&projection=TAN&coordsys=icrs&format=jpg"
)
_HIPS_CREDIT = "This research made use of hips2fits, a service provided by CDS."

SURVEYS = (
    Survey(
        name="sdss",
        title="Sloan Digital Sky Survey, DR18 (SkyServer)",
        address="https://skyserver.sdss.org/dr18/SkyServerWS/ImgCutout/getjpeg",
        query="ra={ra}&dec={dec}&scale={scale}&width={pixels}&height={pixels}",
        layer="",
        colours="i, r, g",
        pixel_scale=0.396,
        pixels=(64, 2048),
        coverage="14,555 square degrees, most of them north of the equator and far from the Milky Way",
        rate=2.0,
        credit="Sloan Digital Sky Survey (www.sdss.org); Almeida et al. 2023, ApJS 267, 44; "
        "colours: Lupton et al. 2004, PASP 116, 133.",
        # Outside the survey, the service writes white text on black. A real field has few black pixels.
        black=0.5,
        outside="outside the SDSS footprint",
    ),
    Survey(
        name="legacy",
        title="DESI Legacy Imaging Surveys, DR10 (Sky Viewer)",
        address="https://www.legacysurvey.org/viewer/cutout.jpg",
        query="ra={ra}&dec={dec}&layer={layer}&pixscale={scale}&size={pixels}",
        layer="ls-dr10-grz",
        colours="z, r, g",
        pixel_scale=0.262,
        pixels=(16, 512),
        coverage="more than 20,000 square degrees far from the Milky Way, from the far south to declination +84",
        rate=5.0,
        credit="Legacy Surveys / D. Lang (Perimeter Institute); Dey et al. 2019, AJ 157, 168; "
        "full text at www.legacysurvey.org/acknowledgment.",
    ),
    Survey(
        name="panstarrs",
        title="Pan-STARRS1, DR1 (CDS hips2fits)",
        address=_HIPS,
        query=_HIPS_QUERY,
        layer="CDS/P/PanSTARRS/DR1/color-i-r-g",
        colours="i, r, g",
        pixel_scale=0.25,
        pixels=(16, 2048),
        coverage="three quarters of the sky, declination above -30",
        rate=5.0,
        credit=f"Pan-STARRS1 Surveys; Chambers et al. 2016, arXiv:1612.05560. {_HIPS_CREDIT}",
    ),
    Survey(
        name="des",
        title="Dark Energy Survey, DR2 (CDS hips2fits)",
        address=_HIPS,
        query=_HIPS_QUERY,
        layer="CDS/P/DES-DR2/ColorIRG",
        colours="i, r, g",
        pixel_scale=0.263,
        pixels=(16, 2048),
        coverage="5,000 square degrees around the southern galactic cap, declination below +5",
        rate=5.0,
        credit=f"Dark Energy Survey; Abbott et al. 2021, ApJS 255, 20. {_HIPS_CREDIT}",
    ),
    Survey(
        name="dss",
        title="Digitized Sky Survey 2 (CDS hips2fits)",
        address=_HIPS,
        query=_HIPS_QUERY,
        layer="CDS/P/DSS2/color",
        colours="photographic plates: red, their mean, blue",
        pixel_scale=1.0,
        pixels=(16, 2048),
        coverage="the whole sky",
        rate=5.0,
        credit=f"Digitized Sky Survey, STScI/NASA, coloured and healpixed by CDS. {_HIPS_CREDIT}",
    ),
)
"""The known surveys."""


def find_survey(name: str) -> Survey:
    """Return a survey by its name.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    known = {survey.name: survey for survey in SURVEYS}
    if name not in known:
        raise UnknownNameError("survey", name, known)
    return known[name]


def choose_frame(
    survey: Survey, *, size_arcsec: float | None = None, pixels: int | None = None, pixel_scale: float | None = None
) -> Frame:
    """Return the square for up to two of three numbers.

    Missing numbers are the native pixel scale, then `PIXELS`.

    Parameters
    ----------
    survey : Survey
    size_arcsec : float, optional
        Side on the sky, in arcsec.
    pixels : int, optional
        Side in pixels.
    pixel_scale : float, optional
        Arcsec per pixel.

    Raises
    ------
    UsageError
        If a number is not above 0, all three are given and disagree, or the service does not offer such pictures.
    """
    for name, value in (("size", size_arcsec), ("number of pixels", pixels), ("pixel scale", pixel_scale)):
        if value is not None and not 0 < value < float("inf"):
            message = f"the {name} has to be above 0, received {value:g}"
            raise UsageError(message)
    if size_arcsec is not None and pixels is not None and pixel_scale is not None:
        message = (
            f"{pixels} pixels of {pixel_scale:g} arcsec make {pixels * pixel_scale:g} arcsec, received a size of "
            f"{size_arcsec:g} too; give two of the three"
        )
        if abs(pixels * pixel_scale - size_arcsec) > pixel_scale / 2:
            raise UsageError(message)
    scale = pixel_scale or (size_arcsec / pixels if size_arcsec and pixels else survey.pixel_scale)
    side = pixels or (round(size_arcsec / scale) if size_arcsec else PIXELS)
    least, most = survey.pixels
    if not least <= side <= most:
        message = (
            f"a picture of {side} x {side} pixels was asked for ({side * scale:g} arcsec at {scale:g} arcsec a pixel); "
            f"{survey.name} gives {least} to {most}: choose another number of pixels (--pixels), with the same size on "
            "the sky (--size-arcsec) if that matters"
        )
        raise UsageError(message)
    return Frame(side, scale)
