"""Positions in any unit, of any format, wherever they are used."""

from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.known import known
from peculiar.catalogs.search import parse_cone
from peculiar.checks.columns import described_columns, read_columns, sky_positions
from peculiar.errors import DataError, PeculiarWarning, UnknownNameError
from peculiar.sources import open_mosaic, open_source
from peculiar.sources.positions import Positions
from peculiar.tables.column import Column
from peculiar.tables.convert import convert
from peculiar.tables.healpix import healpix_29
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import find_sky, need_sky, sky_names

RA, DEC = np.array([150.1, 210.2, 330.3]), np.array([2.2, -10.5, 40.25])
UNITS = [(u.deg, u.deg), (u.rad, u.rad), (u.hourangle, u.deg), (u.arcsec, u.arcmin), (u.mas, u.rad)]
FORMATS = ["fits", "votable", "ecsv", "parquet", "parquet of astropy", "parquet with units", "csv"]


def written(folder: Path, format: str, ra: Any = u.deg, dec: Any = u.deg, **others: Any) -> Path:
    """Write the positions in some units."""
    first, second = (RA * u.deg).to(ra), (DEC * u.deg).to(dec)
    table = Table({"id": ["a", "b", "c"], "ra": first, "dec": second, **others})
    path = folder / f"sky.{format.split()[0]}"
    if format == "csv":
        table.rename_columns(["ra", "dec"], [f"ra [{ra}]", f"dec [{dec}]"])
        table.write(path, format="ascii.csv")
    elif format == "parquet of astropy":
        table.write(path, format="parquet")
    elif format.startswith("parquet"):
        key = "unit" if format == "parquet" else "units"
        fields = [pa.field("id", pa.string())]
        fields += [pa.field(name, pa.float64(), metadata={key: str(unit)}) for name, unit in (("ra", ra), ("dec", dec))]
        arrays = [pa.array(["a", "b", "c"]), pa.array(first.value), pa.array(second.value)]
        fields += [pa.field(name, pa.array(list(values)).type) for name, values in others.items()]
        arrays += [pa.array(list(values)) for values in others.values()]
        pa.parquet.write_table(pa.table(arrays, schema=pa.schema(fields)), path)
    else:
        table.write(path, format={"ecsv": "ascii.ecsv"}.get(format, format))
    return path


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("ra", "dec"), UNITS)
def test_units_travel_from_every_format(format: str, ra: Any, dec: Any, tmp_path: Path) -> None:
    if format == "fits" and ra == u.hourangle:
        pytest.skip("FITS has no hour angles")
    reader = TableReader(written(tmp_path, format, ra, dec))
    sky = need_sky(reader)
    (batch,) = reader.batches(sky.names)
    np.testing.assert_allclose(sky.read(batch), [RA, DEC], rtol=1e-12)


def places_of_pictures(path: Path, folder: Path) -> Any:
    return [row.position for row in open_source(path).rows()]


def places_of_positions(path: Path, folder: Path) -> Any:
    return [(one.ra, one.dec) for one in Positions(path)]


def places_of_check(path: Path, folder: Path) -> Any:
    found = sky_positions(read_columns([path], "table"), described_columns([path], "table"), where=str(path))
    assert found is not None
    return found[1].T


def places_of_search(path: Path, folder: Path) -> Any:
    found = []
    for ra, dec in zip(RA, DEC, strict=True):
        hits = Catalog(path).query(cone=parse_cone(f"{ra},{dec},1arcsec"))
        assert len(hits) == 1
        found.append((ra, dec) if hits.to_arrow()["distance"][0].as_py() < 1e-8 else None)
    return found


def places_of_cells(path: Path, folder: Path) -> Any:
    convert(path, folder / "sorted.parquet", sort=True)
    cells = sorted(pa.parquet.read_table(folder / "sorted.parquet")["_healpix_29"].to_pylist())
    assert cells == sorted(healpix_29(RA, DEC).tolist())
    return np.stack([RA, DEC], axis=1)


def places_of_hats(path: Path, folder: Path) -> Any:
    convert(path, folder / "hats", as_hats=True)
    parts = (folder / "hats" / "dataset").rglob("Npix=*.parquet")
    table = pa.concat_tables([pa.parquet.ParquetFile(part).read() for part in parts]).sort_by("id")
    assert Column.of(table.schema.field("ra")).unit == "deg"
    return np.stack([table["ra"], table["dec"]], axis=1)


def places_of_known(path: Path, folder: Path) -> Any:
    """As the catalogue, and as the table that it is compared with."""
    plain = folder / "plain.parquet"
    pa.parquet.write_table(pa.table({"id": ["a", "b", "c"], "ra": RA, "dec": DEC}), plain)
    assert known(plain, tables=[path], radius=0.001, verbose=False).listed.all()
    found = known(path, tables=[plain], radius=0.001, verbose=False)
    assert found.listed.all()
    return np.stack([found.ra, found.dec], axis=1)


USES = [
    places_of_pictures, places_of_positions, places_of_check, places_of_search, places_of_cells, places_of_hats,
    places_of_known,
]  # fmt: skip


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(("ra", "dec"), [(u.rad, u.rad), (u.hourangle, u.arcmin)])
def test_units_are_converted_wherever_positions_are_used(use: Any, ra: Any, dec: Any, tmp_path: Path) -> None:
    path = written(tmp_path, "parquet", ra, dec, image=[b"x", b"y", b"z"])
    np.testing.assert_allclose(use(path, tmp_path), np.stack([RA, DEC], axis=1), rtol=1e-9)


@pytest.mark.parametrize(
    "use", [places_of_positions, places_of_check, places_of_search, places_of_cells, places_of_hats, places_of_known]
)
def test_a_unit_that_is_no_angle_is_refused_wherever_positions_are_used(use: Any, tmp_path: Path) -> None:
    path = tmp_path / "sky.parquet"
    fields = [
        pa.field("id", pa.string()),
        *(pa.field(name, pa.float64(), metadata={"unit": "kpc"}) for name in ("ra", "dec")),
    ]
    pa.parquet.write_table(pa.table([["a"], [1.0], [2.0]], schema=pa.schema(fields)), path)
    with pytest.raises(DataError, match=r"sky\.parquet: the column 'ra' is in 'kpc', which is not an angle"):
        use(path, tmp_path)


def test_pictures_with_positions_in_another_unit_keep_none(tmp_path: Path) -> None:
    fields = [pa.field("id", pa.string()), pa.field("image", pa.binary())]
    fields += [pa.field(name, pa.float64(), metadata={"unit": "furlong"}) for name in ("ra", "dec")]
    path = tmp_path / "sky.parquet"
    pa.parquet.write_table(pa.table([["a"], [b"x"], [1.0], [2.0]], schema=pa.schema(fields)), path)
    with pytest.warns(PeculiarWarning, match="'ra' is in 'furlong'.*No position is known"):
        source = open_source(path)
    assert [row.position for row in source.rows()] == [None]


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mosaic of 0.36 arcsec a pixel."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (
        ["RA---TAN", "DEC--TAN"],
        [150, 2],
        [200, 200],
        [-1e-4, 1e-4],
    )
    path = tmp_path_factory.mktemp("sky") / "m.fits"
    fits.writeto(path, np.random.default_rng(0).normal(0, 1, (400, 400)).astype("f4"), wcs.to_header())
    return path


@pytest.mark.parametrize(
    ("radius", "side"),
    [
        (3.6 * u.arcsec, 80), (0.06 * u.arcmin, 80), (0.001 * u.deg, 80), (3600 * u.mas, 80), (10 * u.pix, 80),
        (1.7453292519943296e-05 * u.rad, 80), (3.6 * u.one, 80),
    ],
)  # fmt: skip
@pytest.mark.parametrize("format", ["ecsv", "fits", "votable"])
def test_radii_in_every_unit_give_the_same_stamp(
    field: Path, radius: Any, side: int, format: str, tmp_path: Path
) -> None:
    values = [radius.value] if radius.unit == u.one else [radius.value] * radius.unit
    table = Table({"id": ["a"], "ra": [np.radians(150)] * u.rad, "dec": [2 * 60.0] * u.arcmin, "R50": values})
    table.write(tmp_path / "c", format={"ecsv": "ascii.ecsv"}.get(format, format))
    (row,) = open_mosaic(field, tmp_path / "c", stamp_size="8xR50").rows()
    assert row.read().shape[:2] == (side, side)


def test_radii_that_are_no_angle_are_refused(field: Path, tmp_path: Path) -> None:
    Table({"id": ["a"], "ra": [150.0], "dec": [2.0], "R50": [4.0] * u.kpc}).write(tmp_path / "c.ecsv")
    with pytest.raises(DataError, match=r"c\.ecsv: the column 'R50' is in 'kpc', which is not an angle"):
        open_mosaic(field, tmp_path / "c.ecsv", stamp_size="8xR50")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("id ra dec", ("ra", "dec")),
        ("RA DEC", ("RA", "DEC")),
        ("RAJ2000 DEJ2000", ("RAJ2000", "DEJ2000")),
        ("_RAJ2000 _DEJ2000", ("_RAJ2000", "_DEJ2000")),
        ("RA_ICRS DE_ICRS", ("RA_ICRS", "DE_ICRS")),
        ("ALPHA_J2000 DELTA_J2000", ("ALPHA_J2000", "DELTA_J2000")),
        ("raMean decMean", ("raMean", "decMean")),
        ("ra_deg dec_deg", ("ra_deg", "dec_deg")),
        ("TARGET_RA TARGET_DEC", ("TARGET_RA", "TARGET_DEC")),
        ("coord_ra coord_dec", ("coord_ra", "coord_dec")),
        ("dec RAJ2000 DEJ2000", ("RAJ2000", "DEJ2000")),
        ("right_ascension dec", ("right_ascension", "dec")),
        ("x y", None),
        ("l b", None),
    ],
)
def test_names_of_positions(names: str, found: tuple[str, str] | None) -> None:
    assert sky_names([Column(name, pa.float64()) for name in names.split()]) == found


def test_ucds_tell_what_names_do_not() -> None:
    columns = [Column("X", pa.float64(), ucd="pos.eq.ra;meta.main"), Column("Y", pa.float64(), ucd="POS_EQ_DEC_MAIN")]
    assert sky_names(columns) == ("X", "Y")


def test_columns_that_are_named_count_and_others_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,east,north,ra,dec\na,10,20,1,2\n")
    reader = TableReader(tmp_path / "a.csv")
    sky = find_sky(reader, "east", "north")
    assert sky is not None
    assert sky.names == ("east", "north")
    with pytest.raises(UnknownNameError, match=r"no column 'esat'.*Did you mean 'east'"):
        find_sky(reader, "esat", "north")
    path = tmp_path / "c.parquet"
    pa.parquet.write_table(pa.table({"id": ["a"], "east": [10.0], "north": [20.0]}), path)
    assert len(Catalog(path, ra="east", dec="north").query(cone=parse_cone("10,20,1arcsec"))) == 1
    with pytest.raises(UnknownNameError, match=r"no column 'ra' in c\.parquet.*--ra COLUMN and --dec COLUMN"):
        Catalog(path).query(cone=parse_cone("10,20,1arcsec"))


def test_sexagesimal_text_is_read_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,ra,dec\na,10:00:24.0,+02:12:00\nb,14 00 48,-10 30 00\n")
    with pytest.warns(PeculiarWarning, match="ra is read as hours, minutes and seconds, such as '10:00:24.0'"):
        positions = list(Positions(tmp_path / "a.csv"))
    np.testing.assert_allclose([(one.ra, one.dec) for one in positions], [[150.1, 2.2], [210.2, -10.5]])


def test_columns_that_are_radians_elsewhere_are_told_where_they_state_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("objectId,coord_ra,coord_dec\n7,150.1,2.2\n")
    with pytest.warns(PeculiarWarning, match="states no unit for coord_ra and coord_dec; degrees are assumed"):
        (position,) = Positions(tmp_path / "a.csv")
    assert (position.id, position.ra) == ("7", 150.1)
