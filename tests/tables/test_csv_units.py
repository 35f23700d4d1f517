"""CSV states no units: what another command would read in another unit is named when it is written."""

import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table

from peculiar.errors import PeculiarWarning
from peculiar.tables.convert import convert
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import need_sky


def written(path: Path, names: tuple[str, str], unit: u.Unit, **more: u.Quantity) -> Path:
    position = [(np.array([one]) * u.deg).to(unit) for one in (150.0, 2.0)]
    table = Table({"id": [1], names[0]: position[0], names[1]: position[1], **more})
    table.write(path, format="votable" if path.suffix == ".vot" else None)
    return path


@pytest.mark.parametrize("suffix", ["ecsv", "fits", "vot"])
@pytest.mark.parametrize(("unit", "called"), [(u.rad, "rad"), (u.arcsec, "arcsec"), (u.arcmin, "arcmin")])
@pytest.mark.parametrize("names", [("ra", "dec"), ("RA", "DEC")])
def test_positions_in_another_unit_are_named_and_the_advice_helps(
    suffix: str, unit: u.Unit, called: str, names: tuple[str, str], tmp_path: Path
) -> None:
    path = written(tmp_path / f"p.{suffix}", names, unit)
    with pytest.warns(PeculiarWarning, match="CSV states no units") as caught:
        convert(path, tmp_path / "p.csv")
    (said,) = [str(one.message) for one in caught if "CSV states" in str(one.message)]
    advised = [f"{name}_{called}" for name in names]
    assert f"{names[0]} ({called}), {names[1]} ({called})" in said
    assert f"Call the columns {', '.join(advised)}, or write FITS" in said
    table = Table.read(tmp_path / "p.csv", format="ascii.csv")
    table.rename_columns(names, advised)
    table.write(tmp_path / "q.csv")
    reader = TableReader(tmp_path / "q.csv")
    sky = need_sky(reader)
    (batch,) = reader.batches(list(sky.names))
    np.testing.assert_allclose(sky.read(batch)[:, 0], [150, 2], rtol=1e-12)


def test_usual_units_and_names_that_state_theirs_are_written_quietly(tmp_path: Path) -> None:
    first = written(tmp_path / "a.ecsv", ("ra", "dec"), u.deg, size=[3.0] * u.arcsec, exposure=[1.0] * u.h)
    second = written(tmp_path / "b.ecsv", ("ra_rad", "dec_rad"), u.rad, error=[1.0] * u.mas, angle=[90.0] * u.deg)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(first, tmp_path / "a.csv")
        convert(second, tmp_path / "b.csv")


def test_a_radius_in_arcmin_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.ecsv", ("ra", "dec"), u.deg, R50=[0.1] * u.arcmin)
    with pytest.warns(PeculiarWarning, match=r"R50 \(arcmin\)\. Call the columns R50_arcmin, or write FITS"):
        convert(path, tmp_path / "a.csv")
