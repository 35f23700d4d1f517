"""Checks of columns: copies, constants, impossible values; pairs on the sky at the poles and across 0 h."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy import units
from astropy.coordinates import SkyCoord, search_around_sky
from hypothesis import given, settings
from hypothesis import strategies as st

from peculiar.checks.columns import as_numbers, column_faults, read_columns, sky_pairs, sky_positions
from peculiar.errors import DataError

RANDOM = np.random.default_rng(5)
RA, DEC = RANDOM.uniform(0, 360, 100).tolist(), RANDOM.uniform(-80, 80, 100).tolist()


def faults(columns: dict[str, Any]) -> list[tuple[str, str, tuple[int, ...]]]:
    return list(column_faults(columns, sky_positions(columns)))


def test_a_sound_catalogue_has_no_faults() -> None:
    columns = {
        "id": [f"g{row}" for row in range(100)],
        "ra": RA,
        "dec": DEC,
        "redshift": RANDOM.uniform(0, 0.2, 100).tolist(),
        "mag_r": RANDOM.uniform(12, 18, 100).tolist(),
        "empty_here_and_there": [None, *RANDOM.normal(0, 50, 99).tolist()],
    }
    assert faults(columns) == []


@pytest.mark.parametrize("as_text", [False, True])
def test_a_copy_is_found_also_as_text(as_text: bool) -> None:
    copy = [str(value) for value in DEC] if as_text else DEC
    (fault,) = faults({"ra": RA, "dec": DEC, "size": copy})
    assert fault[0] == "copied column"
    assert fault[1] == "size is equal to dec in 100 of 100 rows"


@pytest.mark.parametrize(("values", "word"), [([3] * 100, "always 3"), ([None] * 100, "empty")])
def test_a_constant_column_is_found(values: list[Any], word: str) -> None:
    assert faults({"x": values}) == [("constant column", f"x is {word}", ())]


@pytest.mark.parametrize("stand_in", [-9999, -99, 999, 99999])
def test_a_sign_for_not_known_is_found(stand_in: float) -> None:
    values = RANDOM.uniform(12, 18, 100).tolist()
    values[7] = values[60] = stand_in
    (fault,) = faults({"mag_r": values})
    assert fault[0] == "impossible value"
    assert fault[2] == (7, 60)
    assert f"{stand_in:g}" in fault[1]


def test_a_number_that_only_looks_like_a_sign_is_left_alone() -> None:
    assert faults({"counts": [*range(90, 110), 99]}) == []


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("redshift", -0.5, "negative"),
        ("z", -0.5, "negative"),
        ("mag_g", 80.0, "outside"),
        ("petromag_r", -40.0, "outside"),
        ("size", float("inf"), "infinite"),
    ],
)
def test_an_impossible_value_is_found(name: str, value: float, word: str) -> None:
    values = RANDOM.uniform(0.1, 0.2, 100).tolist()
    values[4] = value
    (fault,) = faults({name: values})
    assert fault[0] == "impossible value"
    assert word in fault[1]
    assert fault[2] == (4,)


def test_positions_outside_the_sky_and_swapped_ones() -> None:
    (outside,) = faults({"RA": [-0.5, *RA[1:-1], 361.0], "DEC": DEC})  # -0.5 is 359.5
    assert outside[2] == (99,)
    assert "swapped" not in outside[1]
    (swapped,) = faults({"ra": RANDOM.uniform(-80, 80, 100).tolist(), "dec": RANDOM.uniform(100, 300, 100).tolist()})
    assert "they look swapped" in swapped[1]
    assert len(swapped[2]) == 100


def test_words_are_no_numbers() -> None:
    assert as_numbers(["1", "two"]) is None
    assert as_numbers([None, ""]) is None
    assert as_numbers([True, False]) is None
    assert sky_positions({"ra": ["a"], "dec": [1.0]}) is None


def test_columns_are_read_from_tables_folders_and_hdf5(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"], "ra": [1.0, 2.0], "image": [b"x", b"y"]})
    (tmp_path / "parts").mkdir()
    for name in ("parts/0.parquet", "parts/1.parquet"):
        pa.parquet.write_table(table, tmp_path / name)
    assert read_columns(sorted((tmp_path / "parts").iterdir()), "table") == {"id": ["a", "b"] * 2, "ra": [1.0, 2.0] * 2}
    with h5py.File(tmp_path / "g.h5", "w") as file:
        file["images"], file["redshift"] = np.zeros((2, 8, 8, 3), np.uint8), np.array([0.1, 0.2])
        file["bins"] = np.arange(10)
    assert read_columns([tmp_path / "g.h5"], "hdf5") == {"redshift": [0.1, 0.2]}
    assert read_columns([tmp_path / "g.h5"], "folder") == {}
    (tmp_path / "g.h5").write_bytes(b"\x89HDF\r\n\x1a\nno more")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        read_columns([tmp_path / "g.h5"], "hdf5")


def test_columns_that_some_parts_lack_keep_their_rows(tmp_path: Path) -> None:
    for name, columns in {
        "0": {"id": ["a", "b"], "image": [b"x", b"y"]},
        "1": {"id": ["c"], "image": [b"z"], "mag": [17.5]},
        "2": {"image": [b"u", b"v"], "mag": [18.5, 19.5]},
    }.items():
        pa.parquet.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    columns = read_columns(sorted(tmp_path.iterdir()), "table")
    assert columns == {"id": ["a", "b", "c", None, None], "mag": [None, None, 17.5, 18.5, 19.5]}
    assert not list(column_faults(columns))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), pole=st.sampled_from([-90.0, 0.0, 90.0]), radius=st.floats(1, 5000))
def test_pairs_are_those_that_astropy_finds(seed: int, pole: float, radius: float) -> None:
    random = np.random.default_rng(seed)
    ra = random.uniform(0, 360, 60) if abs(pole) == 90 else random.normal(0, 0.5, 60) % 360
    dec = (pole - np.sign(pole) * random.uniform(0, 1, 60)) if pole else random.normal(0, 0.5, 60)
    sky = SkyCoord(ra * units.deg, dec * units.deg)
    first, second, distances, _ = search_around_sky(sky, sky, radius * units.arcsec)
    expected = {
        (int(one), int(other)): float(distance)
        for one, other, distance in zip(first, second, distances.arcsec, strict=True)
        if one < other
    }
    found = {(one, other): distance for one, other, distance in sky_pairs(ra, dec, radius)}
    assert found == pytest.approx(expected, abs=1e-4)


def test_positions_that_are_not_known_are_passed_over() -> None:
    nan = float("nan")
    assert sky_pairs(np.array([nan, 10, 10, 10]), np.array([nan, 5, 5, 95]), 1) == [(1, 2, 0.0)]
    assert sky_pairs(np.array([1.0]), np.array([1.0]), 1) == []
