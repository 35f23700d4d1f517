"""Columns as quantities: every unit that is stated is converted or refused by its name."""

import numpy as np
import pyarrow as pa
import pytest

from peculiar.errors import DataError
from peculiar.tables.column import Column
from peculiar.tables.quantity import parse_unit, quantity_of, stated_unit, without_unit

DEGREES = {
    "deg": 1.0, "degree": 1.0, "degrees": 1.0, "Degrees": 1.0, "DEG": 1.0, "°": 1.0, "": 1.0, "--": 1.0,
    "rad": 180 / np.pi, "radians": 180 / np.pi, "Radian": 180 / np.pi,
    "arcmin": 1 / 60, "arcminutes": 1 / 60, "'": 1 / 60, "amin": 1 / 60,
    "arcsec": 1 / 3600, "arcseconds": 1 / 3600, '"': 1 / 3600, "asec": 1 / 3600,
    "mas": 1 / 3.6e6, "marcsec": 1 / 3.6e6, "uas": 1 / 3.6e9,
    "0.1 arcsec": 1 / 36000, "1e-3 deg": 1e-3, "10-3arcsec": 1 / 3.6e6, "0.1 Degrees": 0.1,
}  # fmt: skip
HOURS = {"h": 15.0, "hour": 15.0, "hours": 15.0, "hourangle": 15.0, "min": 0.25, "s": 15 / 3600, '"h:m:s"': 15.0}


@pytest.mark.parametrize(("unit", "factor"), DEGREES.items())
@pytest.mark.parametrize("kind", [pa.float64(), pa.int64(), pa.string()])
def test_numbers_in_every_unit_of_angles(unit: str, factor: float, kind: pa.DataType) -> None:
    for wanted, times in (("deg", 1), ("arcsec", 3600)):
        times = times if unit not in ("", "--") else 1  # without a unit they are in what is wanted
        read = quantity_of(Column("x", kind, unit=unit), wanted, where="a.fits").read(
            pa.array(["90", "-3", None]).cast(kind)
        )
        np.testing.assert_allclose(read, np.array([90, -3, np.nan]) * factor * times, rtol=1e-14)


@pytest.mark.parametrize(("unit", "factor"), HOURS.items())
def test_right_ascensions_may_be_in_hours_and_declinations_not(unit: str, factor: float) -> None:
    column = Column("ra", pa.float64(), unit=unit)
    read = quantity_of(column, "deg", where="a.fits", hours=True).read(pa.array([2.0, None]))
    np.testing.assert_allclose(read, [2 * factor, np.nan], rtol=1e-14)
    with pytest.raises(DataError, match=r"a\.fits: the column 'ra' is in"):
        quantity_of(column, "deg", where="a.fits")


@pytest.mark.parametrize("unit", ["kpc", "mag", "furlong", "rad/s", "deg2", "[deg]", "Jy", "sr", "J2000", "%"])
def test_what_is_no_angle_is_refused_by_its_name(unit: str) -> None:
    with pytest.raises(DataError) as caught:
        quantity_of(Column("R50", pa.float64(), unit=unit), "arcsec", where="a.fits")
    assert str(caught.value).startswith(f"a.fits: the column 'R50' is in {unit!r}, ")
    assert "write it in arcsec" in str(caught.value)


@pytest.mark.parametrize("unit", ["pix", "pixel", "pixels", "Pixels", "px"])
def test_pixels_are_given_as_pixels(unit: str) -> None:
    radius = quantity_of(Column("R50", pa.float64(), unit=unit), "arcsec", where="a.fits")
    assert radius.pixels
    assert radius.read(pa.array([4.5])).tolist() == [4.5]


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.binary(), pa.bool_()])
def test_what_holds_no_numbers_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(DataError, match=r"the column 'ra' holds .*, but numbers are needed"):
        quantity_of(Column("ra", kind), "deg", where="a.fits")


SEXAGESIMAL = [
    ("12:34:56.7", 188.73625, 12.58241666666667),
    ("12 34 56.7", 188.73625, 12.58241666666667),
    ("12h34m56.7s", 188.73625, None),
    ("12h 34m 56.7s", 188.73625, None),
    ("12d34m56.7s", 12.58241666666667, 12.58241666666667),
    ("12°34′56.7″", 12.58241666666667, 12.58241666666667),
    ("-00:30:00", -7.5, -0.5),
    ("−00:30:00", -7.5, -0.5),
    ("+02:12", 33.0, 2.2),
    (" 188.7 ", 188.7, 188.7),
    ("1e1", 10.0, 10.0),
    ("12:60:00", None, None),
    ("12:00:61", None, None),
    ("north", None, None),
    ("", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "ra", "dec"), SEXAGESIMAL)
def test_text_without_a_unit(text: str, ra: float | None, dec: float | None) -> None:
    for hours, wanted in ((True, ra), (False, dec)):
        read = quantity_of(Column("x", pa.string()), "deg", where="a.csv", hours=hours).read(pa.array([text, None]))
        np.testing.assert_allclose(read, [np.nan if wanted is None else wanted, np.nan], rtol=1e-13)


@pytest.mark.parametrize(
    ("unit", "degrees"),
    [('"h:m:s"', 15.0), ("hms", 15.0), ("h", 15.0), ("hourangle", 15.0), ("d:m:s", 1.0), ("deg", 1.0), ("rad", None)],
)
def test_a_stated_unit_says_what_text_begins_with(unit: str, degrees: float | None) -> None:
    column = Column("ra", pa.string(), unit=unit)
    read = quantity_of(column, "deg", where="a.csv", hours=True).read(pa.array(["10:30:00"]))
    np.testing.assert_allclose(read, [np.nan if degrees is None else 10.5 * degrees])


@pytest.mark.parametrize(
    ("name", "unit", "bare"),
    [
        ("ra_rad", "rad", "ra"),
        ("R50 [arcmin]", "arcmin", "R50"),
        ("dec(deg)", "deg", "dec"),
        ("R50_px", "px", "R50"),
        ("ra_hms", "hms", "ra"),
        ("ra (J2000)", "", "ra"),
        ("coord_ra", "", "coord_ra"),
        ("radius [kpc]", "kpc", "radius"),
    ],
)
def test_names_that_end_in_a_unit(name: str, unit: str, bare: str) -> None:
    assert (stated_unit(Column(name, pa.float64())), without_unit(name)) == (unit, bare)
    assert stated_unit(Column(name, pa.float64(), unit="mas")) == "mas"  # what the field states counts before its name


def test_units_that_are_none() -> None:
    assert parse_unit("furlong") is None
    assert str(parse_unit("arcsec")) == "arcsec"


def test_text_that_is_stored_once_for_many_rows_is_read() -> None:
    text = pa.array(["10", "x", "10", None])
    quantity = quantity_of(Column("x", pa.string(), unit="deg"), "deg", where="a.parquet")
    np.testing.assert_array_equal(quantity.read(text.dictionary_encode()), [10, np.nan, 10, np.nan])
    np.testing.assert_array_equal(quantity.read(text), [10, np.nan, 10, np.nan])


@pytest.mark.parametrize(
    ("values", "first"), [(["10", "12:30:00", "1 2 3"], "12:30:00"), (["10", None], None), ([10.0], None)]
)
def test_the_first_sexagesimal_angle_is_found(values: list[object], first: str | None) -> None:
    quantity = quantity_of(Column("x", pa.string(), unit="deg"), "deg", where="a.csv")
    assert quantity.first_sexagesimal(pa.array(values)) == first
