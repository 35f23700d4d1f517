"""The index finds what comparing all galaxies finds, save the share that it says; conditions hold; it is made once."""

import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from peculiar.catalogs import index
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.index import near
from peculiar.catalogs.search import Cone
from peculiar.cli import app
from peculiar.errors import MissingExtraError
from peculiar.files.cache import cache_folder

ROWS, WIDTH, KINDS = 20_000, 16, 60


@pytest.fixture(scope="module")
def heaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of galaxies of sixty kinds; one in fifty has no embedding."""
    random = np.random.default_rng(222)
    vectors = random.normal(size=(KINDS, WIDTH))[random.integers(0, KINDS, ROWS)] + random.normal(0, 0.3, (ROWS, WIDTH))
    flat, missing = pa.array(vectors.astype(np.float32).ravel()), pa.array(np.arange(ROWS) % 50 == 7)
    table = pa.table(
        {
            "id": [f"g{number}" for number in range(ROWS)],
            "ra": random.uniform(0, 360, ROWS),
            "dec": random.uniform(-90, 90, ROWS),
            "x": random.random(ROWS),
            "embedding": pa.FixedSizeListArray.from_arrays(flat, WIDTH, mask=missing),
        }
    )
    path = tmp_path_factory.mktemp("heaps") / "heaps.parquet"
    pa.parquet.write_table(table, path)
    return path


@pytest.fixture
def indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an index although the catalogue is small."""
    monkeypatch.setattr(index, "FEW", 500)


def nearest(cosines: NDArray[np.float32], count: int) -> set[int]:
    return set(np.argsort(-np.nan_to_num(cosines, nan=-2), kind="stable")[:count].tolist())


@pytest.mark.usefixtures("indexed")
def test_it_finds_the_share_that_it_says_and_compares_exactly(heaps: Path) -> None:
    catalog = Catalog(heaps)
    embeddings = catalog.embeddings()
    found = []
    for row in range(0, 20_000, 400):
        vector = np.array(embeddings.vectors[row])
        exact = embeddings.cosines(vector)
        cosines, recall = near(catalog, vector, 50)
        compared = ~np.isnan(cosines)
        assert 50 <= compared.sum() <= 100
        np.testing.assert_allclose(cosines[compared], exact[compared], atol=1e-5)
        found.append(len(nearest(cosines, 50) & nearest(exact, 50)) / 50)
    assert recall >= 0.98
    assert np.mean(found) == pytest.approx(recall, abs=0.02)


@pytest.mark.usefixtures("indexed")
def test_conditions_hold_however_rare_what_meets_them(heaps: Path) -> None:
    catalog = Catalog(heaps)
    for where, cone in (("x > 0.5", None), ("x < 0.06", None), ("x < 0.001", None), ("x > 0.2", Cone(150, 0, 60))):
        exact = catalog.similar(["g3"], where=where, cone=cone, top=20)
        found = catalog.similar(["g3"], where=where, cone=cone, top=20, approximate=True)
        assert len(found) == len(exact)
        assert "g3" not in found.ids
        assert len(set(found.ids) & set(exact.ids)) >= 0.9 * len(exact)
        assert set(found.ids) <= set(catalog.similar(["g3"], where=where, cone=cone, top=ROWS).ids)


@pytest.mark.usefixtures("indexed")
def test_as_many_are_found_as_are_wanted_and_none_without_an_embedding(heaps: Path) -> None:
    hits = Catalog(heaps).similar(["g0", "g1"], top=ROWS, approximate=True)
    assert len(hits) == ROWS - ROWS // 50 - 2
    assert not {"g0", "g1", "g7", "g57"} & set(hits.ids)


@pytest.mark.usefixtures("indexed")
def test_the_index_is_made_once_and_anew_for_another_catalogue(heaps: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    path.write_bytes(heaps.read_bytes())
    Catalog(path).similar(["g0"], approximate=True)
    kept = {file.suffix: file for file in cache_folder().glob("[ei]*/*")}
    assert set(kept) == {".npy", ".faiss", ".json", ".stamp"}
    changed = {file: file.stat().st_mtime_ns for file in kept.values()}
    Catalog(path).similar(["g1"], approximate=True)
    assert {file: file.stat().st_mtime_ns for file in kept.values()} == changed
    pa.parquet.write_table(pa.parquet.read_table(heaps)[5000:], path)
    os.utime(path, ns=(1, 1))
    assert "g0" not in Catalog(path).similar(["g5000"], top=1000, approximate=True).ids
    assert not any(file.exists() for file in kept.values())


def test_few_galaxies_are_all_compared_and_need_no_index(heaps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    catalog = Catalog(heaps)
    found = catalog.similar(["g0"], approximate=True)
    assert found.ids == catalog.similar(["g0"]).ids
    assert found.notes["recall"] == "1.000"


@pytest.mark.usefixtures("indexed")
def test_without_faiss_it_is_said_what_to_install(heaps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"approximate search needs .* pip install 'peculiar\[faiss\]'"):
        Catalog(heaps).similar(["g0"], approximate=True)
    result = CliRunner().invoke(app, ["search", "similar", str(heaps), "--galaxy", "g0", "--approximate"])
    assert result.exit_code == 1


@pytest.mark.usefixtures("indexed")
def test_the_command_says_what_share_it_finds(heaps: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.csv"
    command = ["search", "similar", str(heaps), "--galaxy", "g0", "--approximate", "--top", "5", "--out", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0
    assert "% of the nearest 50" in result.output
    assert len(out.read_text().splitlines()) == 6
