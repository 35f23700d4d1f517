"""The columns of a table of measures, and its flags."""

import enum
from dataclasses import replace

import pyarrow as pa

from peculiar.catalogs.tally import FLAG_MEANINGS
from peculiar.catalogs.tally import Flag as PictureFlag
from peculiar.sources.stream import Source
from peculiar.tables.column import DEC, ID, RA, Column
from peculiar.tables.healpix import HEALPIX

FLUX, PICTURE = "flux", "picture"
"""Values of the column ``measured_on``."""


class Flag(enum.IntFlag):
    """Problems of a measurement, as bits of the column ``measure_flags``; the first are those of a catalogue."""

    UNREADABLE = PictureFlag.UNREADABLE
    BLANK = PictureFlag.BLANK
    EDGE = PictureFlag.EDGE
    OFF_MOSAIC = PictureFlag.OFF_MOSAIC
    MISSING = PictureFlag.MISSING
    GUESSED = PictureFlag.GUESSED
    TOO_SMALL = 128
    NO_GALAXY = 256
    CUT_OFF = 512
    SATURATED = 1024
    FAILED = 2048
    NO_FIT = 4096
    TOO_LARGE = 8192


UNMEASURED = ("unreadable", "blank", "too_small", "too_large", "no_galaxy", "failed")
"""Names of the flags of galaxies without measures."""

MEANINGS = {
    Flag.UNREADABLE: "the picture cannot be read",
    **{Flag(flag): FLAG_MEANINGS[flag] for flag in PictureFlag if 1 < flag < 64},
    Flag.TOO_SMALL: "the picture is too small to measure",
    Flag.NO_GALAXY: "no galaxy is found in the middle",
    Flag.CUT_OFF: "the galaxy reaches the edge of the picture",
    Flag.SATURATED: "pixels of the galaxy are saturated",
    Flag.FAILED: "the measurement failed",
    Flag.NO_FIT: "the Sersic fit failed or did not converge",
    Flag.TOO_LARGE: "the picture is too large to measure",
}


_F, _TEXT, _BITS = pa.float64(), pa.string(), pa.int32()

_PLACE = (
    Column(
        "x", _F, "column of the centre, from 0 at the middle of the first pixel", "pix", "pos.cartesian.x;instr.pixel"
    ),
    Column(
        "y",
        _F,
        "row of the centre: from the bottom of FITS images, the top of pictures",
        "pix",
        "pos.cartesian.y;instr.pixel",
    ),
    Column("ra_centre", _F, "right ascension of the centre, ICRS", "deg", "pos.eq.ra"),
    Column("dec_centre", _F, "declination of the centre, ICRS", "deg", "pos.eq.dec"),
)

_LIGHT = (
    Column("flux", _F, "flux within two Petrosian radii, in the unit of the image", ucd="phot.flux"),
    Column("flux_unit", _TEXT, "unit of the image, from its header", ucd="meta.unit"),
    Column("magnitude", _F, "AB magnitude of the flux, if its unit is known", "mag", "phot.mag"),
    Column("signal_to_noise", _F, "mean signal to noise of the pixels of the galaxy", ucd="stat.snr"),
)

RADII = {
    "half_light_radius": ("semi-major axis of the ellipse with half of the flux", "phys.angSize.smajAxis"),
    "petrosian_radius": ("semi-major Petrosian radius (eta = 0.2)", "phys.angSize.smajAxis"),
    "r20": ("radius of the circle with 20 % of the flux", "phys.angSize"),
    "r80": ("radius of the circle with 80 % of the flux", "phys.angSize"),
    "sersic_radius": ("semi-major half-light radius of the Sersic fit", "phys.angSize.smajAxis"),
}
"""Radii, which have a column in pixels and one in arcsec, with meaning and UCD."""


def _radius(name: str) -> tuple[Column, Column]:
    text, ucd = RADII[name]
    return Column(name, _F, text, "pix", ucd), Column(f"{name}_arcsec", _F, text, "arcsec", ucd)


_SHAPE = (
    Column("ellipticity", _F, "1 minus the ratio of the axes, from second moments", ucd="src.ellipticity"),
    Column(
        "angle", _F, "angle of the major axis, anticlockwise from the row of pixels", "deg", "pos.posAng;instr.pixel"
    ),
    Column("position_angle", _F, "position angle of the major axis, from north through east", "deg", "pos.posAng"),
    Column("concentration", _F, "5 log10(r80 / r20)", ucd="src.morph.param"),
    Column("asymmetry", _F, "asymmetry under a turn by 180 degrees, that of the sky subtracted", ucd="src.morph.param"),
    Column("smoothness", _F, "clumpiness of the light", ucd="src.morph.param"),
    Column("gini", _F, "Gini coefficient of the fluxes of the pixels", ucd="src.morph.param"),
    Column("m20", _F, "second moment of the brightest 20 % of the light, logarithmic", ucd="src.morph.param"),
    Column("gini_m20_bulge", _F, "bulge statistic F of Gini and M20", ucd="src.morph.param"),
    Column("gini_m20_merger", _F, "merger statistic S of Gini and M20; mergers are above 0", ucd="src.morph.param"),
    Column(
        "multimode",
        _F,
        "multimode statistic M, if requested: ratio of the two largest regions",
        ucd="src.morph.param",
    ),
    Column("intensity", _F, "intensity statistic I: ratio of the two brightest peaks", ucd="src.morph.param"),
    Column("deviation", _F, "deviation statistic D: distance of the peak from the centroid", ucd="src.morph.param"),
    Column("outer_asymmetry", _F, "asymmetry outside the half-light ellipse", ucd="src.morph.param"),
    Column("shape_asymmetry", _F, "asymmetry of the outline", ucd="src.morph.param"),
)

_SERSIC = (
    Column("sersic_n", _F, "index of the Sersic fit", ucd="src.morph.param"),
    Column(
        "sersic_amplitude", _F, "brightness at the half-light radius of the Sersic fit, a pixel", ucd="phot.flux.sb"
    ),
    Column("sersic_x", _F, "column of the centre of the Sersic fit", "pix", "pos.cartesian.x;instr.pixel"),
    Column("sersic_y", _F, "row of the centre of the Sersic fit", "pix", "pos.cartesian.y;instr.pixel"),
    Column("sersic_ellipticity", _F, "1 minus the ratio of the axes of the Sersic fit", ucd="src.ellipticity"),
    Column(
        "sersic_angle",
        _F,
        "angle of the Sersic fit, anticlockwise from the row of pixels",
        "deg",
        "pos.posAng;instr.pixel",
    ),
    Column("sersic_chi2", _F, "chi squared per degree of freedom of the Sersic fit", ucd="stat.fit.chi2"),
)

_SKY = (
    Column("sky", _F, "sky level that was subtracted", ucd="instr.skyLevel"),
    Column("sky_noise", _F, "standard deviation of the sky, a pixel", ucd="stat.stdev;instr.skyLevel"),
    Column("pixel", _F, "side of a pixel", "arcsec", "instr.scale;instr.pixel"),
)

_HOW = (
    Column(
        "measured_on",
        _TEXT,
        f"{FLUX}: linear pixels; {PICTURE}: brightness of a picture, which is not linear",
        ucd="meta.note",
    ),
    Column("band", _TEXT, "band of the image; empty if it has no name", ucd="meta.id;instr.bandpass"),
    Column(
        "noise", _TEXT, "origin of the noise: deviation, variance, inverse variance, weight, gain, sky", ucd="meta.note"
    ),
    Column("psf", _TEXT, "point spread function of the Sersic fit: image, given, none", ucd="meta.code"),
    Column("quality", _BITS, "statmorph's flag: 0 good, 1 suspect, 2 bad, 4 nothing measured", ucd="meta.code.qual"),
    Column("sersic_quality", _BITS, "statmorph's flag of the Sersic fit: 0 good, 1 bad", ucd="meta.code.qual"),
    Column(
        "measure_flags",
        _BITS,
        "what is wrong with the measurement, bits: "
        + "; ".join(f"{flag.value} {text}" for flag, text in MEANINGS.items()),
        ucd="meta.code.qual",
    ),
)

MEASURES = (
    *_PLACE,
    *_LIGHT,
    *(column for name in ("half_light_radius", "petrosian_radius", "r20", "r80") for column in _radius(name)),
    *_SHAPE,
    *_radius("sersic_radius"),
    *_SERSIC,
    *_SKY,
    *_HOW,
)
"""The columns after id and position."""


def measure_columns(source: Source) -> list[Column]:
    """Return the columns of the measures of a source."""
    return [replace(ID, type=source.id_type), *((RA, DEC, HEALPIX) if source.positioned else ()), *MEASURES]
