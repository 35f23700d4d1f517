"""Values of tables that cannot be right are named, whatever holds them; nothing else is said."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.table import Table

from peculiar.errors import PeculiarWarning
from peculiar.images.decode import encode_picture
from peculiar.sources import Source, open_source
from peculiar.sources.labels import read_labels
from pictures import draw_galaxy

COUNT = 24
DRAWN = draw_galaxy(16, 5, 8, 8)
PICTURE = encode_picture(DRAWN)
EVERYWHERE = np.linspace(-80, 80, COUNT)


def packed(folder: Path, columns: dict[str, Any]) -> Path:
    pa.parquet.write_table(pa.table({**columns, "image": [PICTURE] * COUNT}), folder / "a.parquet")
    return folder / "a.parquet"


def listed(folder: Path, columns: dict[str, Any], name: str = "a.csv", key: str = "image") -> Path:
    for row in range(COUNT):
        (folder / f"{row:02d}.png").write_bytes(PICTURE)
    table = Table({**columns, key: [f"{row:02d}.png" for row in range(COUNT)]})
    table.write(folder / name, **({"format": "ascii.csv"} if name.endswith(".csv") else {}))
    return folder / name


def beside(folder: Path, columns: dict[str, Any]) -> Path:
    return listed(folder, columns, "metadata.csv", "file_name").parent


def stacked(folder: Path, columns: dict[str, Any]) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["images"] = np.stack([DRAWN] * COUNT)
        for name, values in columns.items():
            file[name] = np.array(values)
    return folder / "a.h5"


HOLDERS: dict[str, Callable[[Path, dict[str, Any]], Path]] = {
    "Parquet": packed,
    "CSV": listed,
    "FITS": lambda folder, columns: listed(folder, columns, "a.fits"),
    "ECSV": lambda folder, columns: listed(folder, columns, "a.ecsv"),
    "metadata": beside,
    "HDF5": stacked,
}


def opened(path: Path, **options: Any) -> tuple[Source, str]:
    """Open galaxies; return them, and what was said."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", PeculiarWarning)
        source = open_source(path, **options)
    return source, "\n".join(str(one.message) for one in told)


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize(
    ("ra", "dec", "kept", "said"),
    [
        (150.0, 2.0, (150, 2), ""),
        (-10.0, 2.0, (350, 2), ""),
        (-999.0, -999.0, None, "1 of 24 positions are not on the sky (such as: dec -999 is not between"),
        (
            370.0,
            2.0,
            None,
            "1 of 24 positions are not on the sky (such as: ra 370 is not between -180 and 360 degrees)",
        ),
        (20.0, 99.0, None, "ra and dec look swapped"),
        (99.99, 9999.0, None, "1 of 24 positions are not on the sky"),
    ],
)
def test_positions_that_are_not_on_the_sky_are_named_and_unknown(
    holder: str, ra: float, dec: float, kept: tuple[float, float] | None, said: str, tmp_path: Path
) -> None:
    columns = {"ra": np.linspace(150, 151, COUNT), "dec": np.linspace(2, 3, COUNT)}
    columns["ra"][5], columns["dec"][5] = ra, dec
    source, told = opened(HOLDERS[holder](tmp_path, columns))
    positions = [row.position for row in source.rows()]
    assert positions[5] == kept
    assert None not in positions[:5] + positions[6:]
    assert said in told
    assert bool(told) == bool(said)


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize(
    ("ra", "dec", "said"),
    [
        (np.linspace(0.1, 23.9, COUNT), EVERYWHERE, "If these are hours, state it in the name of the column: ra_hours"),
        (np.linspace(0.1, 6.2, COUNT), np.radians(EVERYWHERE), "ra_radians"),
        (np.linspace(0.1, 359, COUNT), EVERYWHERE, ""),
        (np.linspace(0.1, 40, COUNT), EVERYWHERE, ""),
        (np.linspace(10, 23.9, COUNT), EVERYWHERE / 10, ""),
        (np.linspace(0.1, 6.2, COUNT), EVERYWHERE, ""),
    ],
)
def test_right_ascensions_that_look_like_another_unit_are_told(
    holder: str, ra: Any, dec: Any, said: str, tmp_path: Path
) -> None:
    _, told = opened(HOLDERS[holder](tmp_path, {"ra": ra, "dec": dec}))
    assert said in told
    assert bool(told) == bool(said)


def test_a_name_that_states_the_unit_is_believed(tmp_path: Path) -> None:
    source, told = opened(packed(tmp_path, {"ra_hours": np.linspace(0.1, 23.9, COUNT), "dec": EVERYWHERE}))
    assert told == ""
    assert [row.position for row in source.rows()][-1] == pytest.approx((358.5, 80))


LONG = 1_237_649_770_260_463_687 + 4096 * np.arange(COUNT)


@pytest.mark.parametrize(
    ("holder", "ids", "said"),
    [
        ("Parquet", LONG, False),
        ("Parquet", LONG.astype(float), True),
        ("Parquet", np.arange(COUNT) * 1000.0, False),
        ("Parquet", [None, *np.arange(1.0, COUNT)], False),
        ("FITS", LONG.astype(float), True),
        ("FITS", LONG, False),
        ("CSV", [f"{one:.6e}" for one in LONG], True),
        ("CSV", ["1.23765E+18"] * COUNT, True),
        ("CSV", [str(one) for one in LONG], False),
        ("CSV", [f"{one:x}e15" for one in range(COUNT)], False),  # hexadecimal
        ("CSV", [f"J1.{one}e-15" for one in range(COUNT)], False),
        ("metadata", [f"{one:.5e}" for one in LONG], True),
    ],
)
def test_ids_that_were_rounded_are_told(holder: str, ids: Any, said: bool, tmp_path: Path) -> None:
    path = HOLDERS[holder](tmp_path, {"objid": ids, "label": ["a", "b"] * (COUNT // 2)})
    _, told = opened(path, id="objid")
    assert ("the ids in 'objid' were rounded" in told) == said
    if path.is_file():  # the same table as one of labels
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PeculiarWarning)
            read_labels(path, "label")
        assert any("were rounded" in str(one.message) for one in caught) == said


def test_a_column_without_a_name_is_shown(tmp_path: Path) -> None:
    listed(tmp_path, {"x": range(COUNT)})
    path = tmp_path / "a.csv"
    path.write_text(path.read_text().removeprefix("x"))
    assert opened(path)[1].endswith("There are: ''")
