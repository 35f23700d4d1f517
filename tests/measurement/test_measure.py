"""Measures of whole sources: stamps, mosaics and pictures, with every kind of damage, in every table format."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table

import peculiar
from peculiar.errors import DataError, MissingExtraError, UnknownNameError, UsageError
from peculiar.images.decode import encode_picture
from peculiar.measurement import galaxy, rows
from peculiar.measurement.columns import MEASURES, UNMEASURED, Flag
from peculiar.measurement.measure import parse_psf
from peculiar.tables.reader import TableReader
from pictures import draw_galaxy
from sersic_galaxies import PIXEL, SIDE, draw_sersic, header, write_stamp


class Quick:
    """In the place of statmorph: its attributes, without its computation."""

    flag, flag_sersic = 0, 0

    def __init__(self, light: Any, segments: Any, label: int, **_: Any) -> None:
        inside = np.argwhere(segments.data == label)
        self.yc_asymmetry, self.xc_asymmetry = inside.mean(axis=0)
        self.orientation_asymmetry, self.sersic_theta, self.rhalf_ellip = 0.5, 0.5, 4.0
        self.sersic_xc, self.sersic_yc, self.flux_ellip = self.xc_asymmetry, self.yc_asymmetry, 1000.0

    def __getattr__(self, name: str) -> float:
        return 1.0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galaxy, "_morphology", lambda _: Quick)


@pytest.fixture
def stamps(tmp_path: Path) -> Path:
    """Stamps with and without coordinates, and four that cannot be measured."""
    folder = tmp_path / "stamps"
    folder.mkdir()
    light = draw_sersic(4)
    write_stamp(folder / "good.fits", light)
    write_stamp(folder / "nowhere.fits", light, wcs=False)
    (folder / "damaged.fits").write_bytes((folder / "good.fits").read_bytes()[:9000])
    fits.writeto(folder / "empty.fits", np.full((SIDE, SIDE), np.nan, np.float32), header())
    fits.writeto(folder / "noise.fits", np.random.default_rng(0).normal(size=(SIDE, SIDE)), header())
    fits.writeto(folder / "tiny.fits", light[:8, :8].astype(np.float32), header())
    return folder


def by_id(catalog: Any) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in catalog}


def test_a_galaxy_is_measured_and_what_cannot_be_keeps_its_row(
    stamps: Path, peculiar_command: Any, tmp_path: Path
) -> None:
    status, told, errors = peculiar_command("measure", stamps, "--workers", 1, "--out", tmp_path / "m.parquet")
    assert status == 0
    assert "6 galaxies" in told
    assert "flagged: unreadable 1, blank 1, too_small 1, no_galaxy 1" in told
    # Nothing that statmorph says, only what is wrong with four of them.
    assert errors.count("cannot be measured: ") == len(errors.splitlines()) == 4
    assert "tiny.fits cannot be measured: it has 8 x 8 pixels; at least 16 a side are needed" in errors
    rows = by_id(peculiar.Catalog(tmp_path / "m.parquet"))
    assert [*rows] == [f"{name}.fits" for name in ("damaged", "empty", "good", "noise", "nowhere", "tiny")]
    good, nowhere = rows["good.fits"], rows["nowhere.fits"]
    assert good["sersic_n"] == pytest.approx(1, abs=0.1)
    assert good["sersic_radius_arcsec"] == pytest.approx(4 * PIXEL, rel=0.03)
    assert good["magnitude"] == pytest.approx(22.5 - 2.5 * 4, abs=0.05)
    # East is left: the angle from the rows, 30 degrees, is a position angle of 120.
    assert good["position_angle"] == pytest.approx(120, abs=3)
    assert (good["ra_centre"], good["dec_centre"]) == pytest.approx((150, 2), abs=1e-5)
    assert (good["x"], good["y"]) == pytest.approx(((SIDE - 1) / 2,) * 2, abs=0.1)
    assert (good["measured_on"], good["band"], good["noise"], good["psf"]) == ("flux", "r", "sky", "none")
    assert (good["sky"], good["sky_noise"]) == pytest.approx((5, 0.5), rel=0.1)
    assert nowhere["half_light_radius"] == pytest.approx(4, rel=0.05)
    assert {nowhere["half_light_radius_arcsec"], nowhere["ra_centre"], nowhere["magnitude"] and "known"} <= {
        None,
        "known",
    }
    for name in ("damaged", "empty", "noise", "tiny"):
        row = rows[f"{name}.fits"]
        assert {row[column.name] for column in MEASURES if column.name != "measure_flags"} == {None}
        assert str(Flag(row["measure_flags"]).name).lower() in UNMEASURED


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".fits", ".vot", ".ecsv", ""])
def test_every_format_has_units_and_the_same_values(stamps: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"measures{suffix}"
    peculiar.measure(stamps, out, verbose=False)
    plain = by_id(peculiar.measure(stamps, verbose=False))
    table = TableReader(out)
    entries = [None if one in (None, "") else float(one) for one in table.column("half_light_radius_arcsec")]
    values = dict(zip(table.column("id"), entries, strict=True))
    assert values["good.fits"] == pytest.approx(plain["good.fits"]["half_light_radius_arcsec"]) == pytest.approx(2)
    assert [values[name] for name in ("empty.fits", "nowhere.fits")] == [None, None]
    if suffix != ".csv":
        field = table.schema.field("half_light_radius_arcsec")
        assert field.metadata[b"unit"] == b"arcsec"
    if suffix in (".fits", ".vot", ".ecsv"):
        assert Table.read(out)["angle"].unit == "deg"


@pytest.mark.usefixtures("quick")
def test_pictures_are_measured_on_their_brightness_with_rows_from_the_top(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").write_bytes(encode_picture(draw_galaxy(64, 6, 30, 20)))
    (tmp_path / "pictures/b.png").write_bytes(b"no picture")
    one, other = peculiar.measure(tmp_path / "pictures", verbose=False)
    assert (one["measured_on"], one["band"]) == ("picture", "brightness")
    column, row = one["x"], one["y"]
    assert sorted([round(column), round(row)]) == [20, 30]
    light = draw_galaxy(64, 6, 30, 20).mean(axis=2)
    assert light[round(row), round(column)] > 0.9 * light.max()
    assert one["magnitude"] is None
    assert other["measure_flags"] == Flag.UNREADABLE
    arrays = peculiar.measure(np.stack([draw_galaxy(64, 6, 32, 32)] * 2), verbose=False)
    assert [one["measured_on"] for one in arrays] == ["picture"] * 2


@pytest.mark.usefixtures("quick")
def test_mosaics_are_measured_at_positions_and_only_their_pixels_count(tmp_path: Path) -> None:
    write_stamp(tmp_path / "mosaic.fits", draw_sersic(4))
    (tmp_path / "positions.csv").write_text("id,ra,dec,z\nmiddle,150,2,0.1\noff,151,2,0.2\nedge,150.0066,2,0.3\n")
    options: dict[str, Any] = {"positions": tmp_path / "positions.csv", "stamp_size": "64px", "verbose": False}
    peculiar.measure(tmp_path / "mosaic.fits", tmp_path / "m.fits", keep=["z"], **options)
    rows = TableReader(tmp_path / "m.fits")
    assert list(rows.column("z")) == [0.1, 0.2, 0.3]
    x, ra, flags = rows.column("x"), rows.column("ra_centre"), rows.column("measure_flags")
    assert x[0] == pytest.approx((SIDE - 1) / 2, abs=0.3)
    assert ra[0] == pytest.approx(150, abs=1e-4)
    assert flags[0] == 0
    assert flags[1] == Flag.OFF_MOSAIC | Flag.UNREADABLE
    assert flags[2] & Flag.EDGE


@pytest.mark.usefixtures("quick")
def test_the_same_call_continues_and_other_settings_start_over(stamps: Path, tmp_path: Path) -> None:
    out = tmp_path / "measures.csv"
    first = peculiar.measure(stamps, out, shard_rows=2, verbose=False)
    assert not first.summary.already
    before = out.read_bytes()
    assert peculiar.measure(stamps, out, shard_rows=2, verbose=False).summary.already
    assert out.read_bytes() == before
    with pytest.raises(UsageError, match="--overwrite"):
        peculiar.measure(stamps, out, deblend=0.1, verbose=False)


def test_a_run_that_was_stopped_goes_on(stamps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galaxy, "_morphology", lambda _: Quick)
    measured: list[str] = []
    real = rows.Measurement._measured

    def stop(self: Any, row: Any) -> Any:
        measured.append(row.id)
        if len(measured) == 5:
            raise KeyboardInterrupt
        return real(self, row)

    monkeypatch.setattr(rows.Measurement, "_measured", stop)
    out = tmp_path / "measures.parquet"
    with pytest.raises(KeyboardInterrupt):
        peculiar.measure(stamps, out, shard_rows=2, verbose=False)
    assert not out.exists()
    monkeypatch.setattr(rows.Measurement, "_measured", lambda self, row: real(self, measured.append(row.id) or row))
    summary = peculiar.measure(stamps, out, shard_rows=2, verbose=False).summary
    assert (summary.kept, summary.tally.rows) == (4, 6)
    assert len(measured) == 5 + 2
    assert pa.parquet.read_table(out).num_rows == 6


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"deblend": 2.0}, UsageError, "deblend is a contrast from 0 to 1; received 2"),
        ({"psf": "1.2"}, UsageError, "is given as 1.2arcsec or 3px; received '1.2'"),
        ({"psf": "0px"}, UsageError, "received '0px'"),
        ({"keep": ["z"]}, UnknownNameError, "there is no column 'z'"),
        ({"keep": ["asymmetry"]}, UsageError, "has a column 'asymmetry' of its own"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    stamps: Path, options: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        peculiar.measure(stamps, verbose=False, **options)


def test_a_mosaic_without_coordinates_or_without_positions_is_refused(tmp_path: Path) -> None:
    write_stamp(tmp_path / "mosaic.fits", draw_sersic(4), wcs=False)
    table = tmp_path / "positions.csv"
    table.write_text("id,ra,dec\na,150,2\n")
    with pytest.raises(DataError, match="no celestial coordinates"):
        peculiar.measure(tmp_path / "mosaic.fits", positions=table, verbose=False)
    write_stamp(tmp_path / "solved.fits", draw_sersic(4))
    table.write_text("id,name\na,b\n")
    with pytest.raises((DataError, UnknownNameError), match="ra"):
        peculiar.measure(tmp_path / "solved.fits", positions=table, verbose=False)


def test_without_the_extra_it_is_said_what_to_install(stamps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "statmorph", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'peculiar\[measure\]'"):
        peculiar.measure(stamps, verbose=False)


def test_widths_of_point_spread_functions() -> None:
    assert parse_psf("1.2arcsec") == (1.2, "arcsec")
    assert parse_psf(" 3 px ") == (3, "px")
    assert galaxy.Settings(psf=3).psf_unit == "arcsec"


@pytest.mark.slow
def test_workers_measure_the_same(stamps: Path, tmp_path: Path) -> None:
    one = peculiar.measure(stamps, tmp_path / "one.parquet", verbose=False)
    two = peculiar.measure(stamps, tmp_path / "two.parquet", workers=2, shard_rows=2, verbose=False)
    assert one.to_arrow().equals(two.to_arrow())


@pytest.mark.slow
def test_the_reference_values_of_statmorph_are_measured(tmp_path: Path) -> None:
    """From a file with an image, segments and a mask; in single precision, as their pixels are."""
    from statmorph.tests.test_statmorph import TestSourceMorphology as Reference

    reference: Any = Reference()
    reference.setup_class()
    image = fits.PrimaryHDU(reference.image, fits.Header({"BUNIT": "electron", "GAIN": 1.0}))
    companions = {"SEGMAP": reference.segmap, "MASK": reference.mask.astype(np.uint8)}
    fits.HDUList([image, *(fits.ImageHDU(values, name=name) for name, values in companions.items())]).writeto(
        tmp_path / "slice.fits"
    )
    (row,) = peculiar.measure(tmp_path / "slice.fits", subtract_sky=False, multimode=True, verbose=False)
    for column, name in galaxy._NAMES.items():
        # statmorph fits the pixels in single precision, as they are there.
        tolerance = 2e-4 if column.startswith("sersic") else 1e-5
        assert row[column] == pytest.approx(reference.correct_values[name], rel=tolerance), column
