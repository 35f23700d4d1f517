"""A rank within the catalogue, without labels: rare kinds first, whatever their number of copies."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from peculiar.catalogs import novelty as module
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.novelty import novelty
from peculiar.catalogs.tally import Flag
from peculiar.cli import app
from peculiar.errors import UsageError

COUNT, PLANTED = 1000, 8


@pytest.fixture
def points() -> NDArray[np.float32]:
    """Two common kinds, one wide and one narrow, and the last few of a rare one that lies away from both."""
    random = np.random.default_rng(222)
    centres = np.eye(12)[[0, 1, 2]] * 8
    kinds = np.repeat([0, 1, 2], [600, COUNT - 600 - PLANTED, PLANTED])
    widths = np.array([1.0, 0.3, 0.1])[kinds]
    return (centres[kinds] + random.normal(size=(COUNT, 12)) * widths[:, None]).astype(np.float32)


def first(values: NDArray[np.float32], count: int = PLANTED) -> set[int]:
    return set(np.argsort(-np.nan_to_num(values, nan=-1), kind="stable")[:count].tolist())


def test_a_rare_kind_is_novel_however_alike_its_galaxies_are(points: NDArray[np.float32]) -> None:
    values = novelty(Embeddings.of(points))
    assert first(values) == set(range(COUNT - PLANTED, COUNT))
    np.testing.assert_array_equal(values, novelty(Embeddings.of(points)))


@pytest.mark.parametrize(("copies", "noise"), [(10, 0), (10, 1e-6), (10, 1e-3), (100, 0), (100, 1e-6)])
def test_copies_do_not_hide_a_novelty(points: NDArray[np.float32], copies: int, noise: float) -> None:
    again = np.repeat(points[-1:], copies, axis=0)
    again += np.random.default_rng(333).normal(0, noise, again.shape).astype(np.float32)
    values = novelty(Embeddings.of(np.vstack([points[: COUNT - PLANTED], again])))
    assert first(values, copies) == set(range(COUNT - PLANTED, COUNT - PLANTED + copies))


def test_a_sample_of_a_large_catalogue_is_enough(points: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE", 200)
    monkeypatch.setattr(module, "_TOGETHER", 64)
    assert first(novelty(Embeddings.of(points))) == set(range(COUNT - PLANTED, COUNT))


def test_what_is_not_usable_is_neither_measured_nor_compared_with(points: NDArray[np.float32]) -> None:
    points[5] = np.nan
    usable = np.arange(COUNT) < COUNT - PLANTED
    values = novelty(Embeddings.of(points), usable)
    assert np.flatnonzero(np.isnan(values)).tolist() == [5, *range(COUNT - PLANTED, COUNT)]
    alone = Embeddings.of(points).take(np.flatnonzero(usable))
    np.testing.assert_allclose(values[usable], novelty(alone), rtol=1e-5)


@pytest.mark.parametrize(
    "points", [np.ones((60, 3)), np.tile([1.0, 0.0], (60, 1)), np.random.default_rng(1).normal(size=(50, 1))]
)
def test_flat_catalogues_are_measured(points: NDArray[np.float64]) -> None:
    assert np.isfinite(novelty(Embeddings.of(points))).all()


def test_few_galaxies_are_refused(points: NDArray[np.float32]) -> None:
    with pytest.raises(UsageError, match="fifty others or more, received 49"):
        novelty(Embeddings.of(points[:49]))


@pytest.fixture
def catalog(points: NDArray[np.float32], tmp_path: Path) -> Path:
    """The points as a catalogue; one of the rare kind and one of the others have broken pictures."""
    flags = np.zeros(COUNT, dtype=np.int32)
    flags[[3, COUNT - 1]] = Flag.EDGE, Flag.MISSING
    flags[4] = Flag.GUESSED
    columns = {
        "id": [f"g{row}" for row in range(COUNT)],
        "ood": np.linspace(0, 3, COUNT, dtype=np.float32),
        "flags": flags,
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(points.ravel()), 12),
    }
    pa.parquet.write_table(pa.table(columns), tmp_path / "c.parquet")
    return tmp_path / "c.parquet"


def test_a_catalogue_is_ranked_by_novelty(catalog: Path) -> None:
    opened = Catalog(catalog)
    found = opened.anomalies(novel=True, top=COUNT)
    assert set(found.ids[: PLANTED - 1]) == {f"g{row}" for row in range(COUNT - PLANTED, COUNT - 1)}
    assert {"g3", f"g{COUNT - 1}"}.isdisjoint(found.ids)
    assert len(found) == COUNT - 2
    assert found.notes["anomalies by"] == "novelty"
    assert found.notes["broken pictures left out"] == "2"
    ranks = found.to_arrow()["novelty"].to_numpy()
    np.testing.assert_allclose(ranks, np.linspace(1, 0, COUNT - 2), atol=1e-6)
    some = opened.anomalies(novel=True, where="ood < 1", top=5)
    assert all(int(id_[1:]) < 334 for id_ in some.ids)
    assert some.to_arrow()["novelty"].to_numpy().max() < 1
    answered = opened.anomalies({found.ids[0]: 0.0, "g0": 1.0}, novel=True, top=20)
    assert found.ids[0] not in answered.ids
    assert answered.to_arrow()["novelty"].to_numpy().max() <= 1
    with pytest.raises(UsageError, match="a measure of its own"):
        opened.anomalies(novel=True, method="neighbours")


def test_novelty_on_the_command_line(catalog: Path) -> None:
    done = CliRunner().invoke(app, ["search", "anomalies", str(catalog), "--novel", "--top", "3"])
    assert done.exit_code == 0, done.output
    assert "2 galaxies are left out because of a broken picture (flags)" in done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["id", "novelty", "ood"]
    assert rows[0].split()[1] == "1"
