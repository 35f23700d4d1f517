"""Formats in which astronomers share pictures: read, predicted, and read damaged; see `field_formats`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import peculiar
from field_formats import COUNT, DEC, FORMATS, IDS, RA, Format, pictures
from peculiar.errors import DataError
from peculiar.images.framing import Framing
from peculiar.sources import open_source

pytestmark = pytest.mark.filterwarnings("ignore::peculiar.errors.PeculiarWarning")


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> Format:
    chosen = FORMATS[request.param]
    if chosen.needs:
        pytest.importorskip(chosen.needs, reason=f"{chosen.needs} is not installed")
    return chosen


def place(format: Format, number: int, id_: str) -> int:
    """The number of the galaxy in `field_formats`: by its id, or by its row."""
    return IDS.index(int(id_)) if format.ids else number


def test_the_format_is_read(format: Format, tmp_path: Path) -> None:
    source = open_source(format.write(tmp_path))
    galaxies = list(source.galaxies(Framing(48)))
    places = [place(format, number, galaxy.id) for number, galaxy in enumerate(galaxies)]
    assert sorted(places) == list(range(COUNT)) == list(range(len(source)))
    assert source.positioned == format.positions
    for at, galaxy in zip(places, galaxies, strict=True):
        assert galaxy.label == (format.classes[at % 4] if format.labels else None)
        if format.positions:
            np.testing.assert_allclose(np.array(galaxy.position), (RA[at], DEC[at]), atol=1e-9)
        assert galaxy.picture is not None, galaxy.problem
        assert np.abs(galaxy.picture.astype(int) - pictures()[at]).max() <= (0 if format.exact else 64)


@pytest.mark.slow
def test_the_format_is_listed_and_predicted(format: Format, tmp_path: Path, peculiar_command: Any) -> None:
    path = format.write(tmp_path)
    status, told, _ = peculiar_command("data", "list", path)
    assert (status, f"{COUNT} galaxies" in told) == (0, True)
    status, _, said = peculiar_command("predict", path, "--out", tmp_path / "catalog.parquet")
    assert status == 0, said
    catalog = peculiar.Catalog(tmp_path / "catalog.parquet").to_arrow()
    assert catalog["class"].null_count == 0 == catalog["p_ringed"].null_count
    assert catalog.num_rows == COUNT
    if format.ids:
        assert sorted(map(int, catalog["id"].to_pylist())) == IDS
    assert ("ra" in catalog.column_names) == format.positions


@pytest.mark.slow
def test_a_damaged_file_of_the_format_is_named(format: Format, tmp_path: Path, peculiar_command: Any) -> None:
    path = format.write(tmp_path)
    damaged = format.damage(path)
    if format.lost:
        galaxies = list(open_source(path).galaxies(Framing(48)))
        assert len(galaxies) == COUNT
        assert [galaxy.picture is None for galaxy in galaxies].count(True) == format.lost
        status, _, said = peculiar_command("predict", path, "--out", tmp_path / "catalog.parquet")
        assert (status, "is damaged" in said) == (0, True)
        return
    with pytest.raises(DataError, match=damaged.name):
        list(open_source(path).galaxies(Framing(48)))
    status, _, said = peculiar_command("data", "list", path)
    assert (status, damaged.name in said) == (1, True)
