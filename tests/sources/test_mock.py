"""Mock observations as a table that every command reads."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from peculiar.errors import UnknownNameError, UsageError
from peculiar.simulation import simulate_views
from peculiar.sources import open_source
from peculiar.sources.get import get


def test_mock_observations_are_written_with_their_truth(tmp_path: Path) -> None:
    counted: list[int] = []
    options = {"count": 3, "size": 40, "seed": 5, "looks": ("sdss", "hst"), "features": ("bar",)}
    path = get("mock", tmp_path / "mock.parquet", **options, progress=counted.append)  # type: ignore[arg-type]
    table = pq.read_table(path)
    assert table["id"].to_pylist()[:3] == ["mock-000000-0", "mock-000000-1", "mock-000001-0"]
    assert table["galaxy"].to_pylist() == [0, 0, 1, 1, 2, 2]
    assert table["bar"].to_pylist() == [True] * 6
    assert table.schema.field("fwhm").metadata[b"unit"] == b"arcsec"
    assert sum(counted) == 3
    source = open_source(path, label="look")
    assert (len(source), source.label) == (6, "look")
    (view, _) = simulate_views(2, size=40, seed=5, looks=("sdss", "hst"), features=("bar",))
    pixels = list(source.rows())[4].pixels()
    np.testing.assert_array_equal(pixels, view.picture)


def test_what_cannot_be_simulated_is_told(tmp_path: Path) -> None:
    out = tmp_path / "mock.parquet"
    with pytest.raises(
        UsageError, match=r"mock\.npz: the output has another format; give a name that ends in \.parquet"
    ):
        get("mock", tmp_path / "mock.npz")
    with pytest.raises(UsageError, match="count=0"):
        get("mock", out, count=0)
    with pytest.raises(UnknownNameError, match="no look 'sds'"):
        get("mock", out, count=1, looks=("sds",))
    assert not out.exists()
