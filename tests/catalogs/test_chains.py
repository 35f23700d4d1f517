"""Chained searches, on disk and in memory: the result of a search is a catalogue."""

import gc
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy import units
from matplotlib.figure import Figure

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.search import Cone
from peculiar.errors import DataError, UsageError
from peculiar.files.cache import cache_folder
from peculiar.tables.column import Column
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import write_table

WHERE, CONE = "p_odd > 0.4", Cone(150.5, 1.5, 0.4)


def in_memory(path: Path) -> Catalog:
    table = pa.parquet.read_table(path)
    return Catalog.of_rows([Column.of(field) for field in table.schema], table, {"made": "by hand"})


@pytest.fixture(params=[Catalog, in_memory], ids=["on the disk", "in memory"])
def catalog(request: pytest.FixtureRequest, drawn_catalog: Path) -> Catalog:
    """Open `drawn_catalog` either way."""
    opened: Catalog = request.param(drawn_catalog)
    return opened


SEARCHES: dict[str, Callable[..., Catalog]] = {
    "similar": lambda catalog, **more: catalog.similar(["sim-001", "sim-007"], top=12, **more),
    "odd": lambda catalog, **more: catalog.odd(top=12, **more),
    "uncertain": lambda catalog, **more: catalog.odd("uncertainty", top=12, **more),
    "anomalies": lambda catalog, **more: catalog.anomalies(top=12, **more),
    "varied": lambda catalog, **more: catalog.anomalies({"sim-003": 1.0}, varied=True, new=True, top=5, **more),
    "query": lambda catalog, **more: catalog.query(by="-p_odd", top=7, **more),
}


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.slow
def test_a_search_among_what_was_found_is_a_search_with_that_condition(catalog: Catalog, search: str) -> None:
    find = SEARCHES[search]
    expected = find(catalog, where=WHERE, cone=CONE)
    assert len(expected) > 3
    for among in (catalog.query(WHERE, cone=CONE), catalog.query(cone=CONE, by="entropy").query(WHERE)):
        found = find(among)
        if search in {"odd", "uncertain", "query"}:  # the distance was found by the first search
            assert set(found.columns) == set(expected.columns)
        names = [name for name in expected.columns if name != "distance"]
        assert found.to_arrow().select(names).equals(expected.to_arrow().select(names))
        assert found.rows.tolist() == catalog.rows_of(found.ids).tolist()
        assert found.notes["where"] == WHERE


def test_examples_need_not_be_among_what_was_found(catalog: Catalog) -> None:
    few = catalog.query("id > 'sim-090'")
    found = few.similar(["sim-001"])
    assert sorted(found.ids) == sorted(few.ids)
    assert found.ids == catalog.similar(["sim-001"], where="id > 'sim-090'").ids
    assert few.similar(["sim-095"]).ids == catalog.similar(["sim-095"], where="id > 'sim-090'").ids


def test_scores_of_a_search_can_be_asked_for_by_the_next(catalog: Catalog) -> None:
    first = catalog.similar(["sim-001"], top=20)
    scores = first.to_arrow()["score"].to_numpy()
    second = first.query(f"score > {scores[9]}", by="-score")
    assert second.ids == first.ids[:9][::-1]
    third = second.similar(["sim-002"])
    assert sorted(third.ids) == sorted(second.ids)
    assert list(third.columns).count("score") == 1


def test_a_map_is_that_of_the_whole(catalog: Catalog) -> None:
    whole, few = catalog.layout(), catalog.query(WHERE, by="p_odd").layout()
    assert list(few.columns) == ["id", "ra", "dec", "x", "y"]
    assert few.to_arrow().equals(whole.to_arrow().take(pa.array(few.rows)))
    assert isinstance(few.show(), Figure)


def test_rows_of_one_id_are_told_apart(tmp_path: Path) -> None:
    vectors = pa.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]], pa.list_(pa.float32(), 2))
    table = pa.table({"id": ["a", "b", "b", None], "x": [1.0, 2, 3, 4], "row": [0, 0, 0, 0], "embedding": vectors})
    pa.parquet.write_table(table, tmp_path / "c.parquet")
    found = Catalog(tmp_path / "c.parquet").query("x > 1", by="x")
    assert found.rows.tolist() == [3, 2, 1]
    assert found.similar(["a"]).to_arrow()["score"].to_pylist() == pytest.approx([0, 0, -1], abs=1e-6)
    assert found.similar(["a"]).to_arrow()["x"].to_pylist() == [4, 2, 3]
    assert found.embeddings().vectors.tolist() == pytest.approx(np.array([[0, -1], [-1, 0], [0, 1]]))
    assert found.take(np.array([1]), ["embedding"])["embedding"].to_pylist() == [[-1, 0]]


def test_rows_are_in_their_order_however_many_there_are(tmp_path: Path) -> None:
    count = 300_000  # so many that DuckDB reads them with several threads
    order = np.random.default_rng(222).permutation(count)
    table = pa.table({"id": [f"g{number}" for number in range(count)], "x": order})
    pa.parquet.write_table(table, tmp_path / "c.parquet", row_group_size=20_000)
    found = Catalog(tmp_path / "c.parquet").query(f"x >= {count - 1000}", by="x")
    assert found.rows.tolist() == np.argsort(-order)[:1000].tolist()


def test_a_file_that_changed_meanwhile_is_told_by_the_next_search(tmp_path: Path, drawn_catalog: Path) -> None:
    path = tmp_path / "c.parquet"
    path.write_bytes(drawn_catalog.read_bytes())
    found = Catalog(path).query(WHERE)
    pa.parquet.write_table(pa.parquet.read_table(path).slice(1), path)
    assert len(found.query("p_odd > 0.5"))  # rows in memory stay
    with pytest.raises(DataError, match=r"c\.parquet has changed since it was opened"):
        found.similar(["sim-001"])


def test_what_is_made_of_a_catalogue_in_memory_goes_with_it(
    drawn_catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    catalog = in_memory(drawn_catalog)
    assert catalog.similar(["sim-001"], approximate=True).ids == catalog.similar(["sim-001"]).ids
    assert [file.name for file in (tmp_path / "temporary").rglob("*.npy")] == ["memory.npy"]
    assert not (cache_folder() / "embeddings").exists()
    del catalog
    gc.collect()
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("suffix", ["parquet", "csv", "fits", "vot", "ecsv"])
def test_catalogues_are_written_as_tables(catalog: Catalog, suffix: str, tmp_path: Path) -> None:
    found = catalog.query(WHERE, cone=CONE)
    found.write(tmp_path / f"found.{suffix}")
    read = TableReader(tmp_path / f"found.{suffix}")
    assert read.column("id") == found.ids
    assert read.columns == tuple(found.columns)
    if suffix != "csv":
        assert found.notes["where"] == WHERE
        assert {Column.of(field).unit for field in read.schema if field.name == "distance"} == {"deg"}
    catalog.write(tmp_path / "whole.parquet")
    assert Catalog(tmp_path / "whole.parquet").to_arrow().equals(catalog.to_arrow())


def test_what_is_read_is_not_written_over(drawn_catalog: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    path.write_bytes(drawn_catalog.read_bytes())
    with pytest.raises(UsageError, match="is the input of this command and would be lost"):
        Catalog(path).write(path)


def test_rows_as_others_have_them(catalog: Catalog) -> None:
    found = catalog.query(WHERE, cone=(150.5, 1.5, 0.4))
    assert found.ids == catalog.query(WHERE, cone="150.5,1.5,24arcmin").ids
    arrow, rows = found.to_arrow(), list(found)
    assert [row["id"] for row in rows] == found.ids
    assert rows == arrow.to_pylist()
    table = found.to_astropy()
    assert table["distance"].unit == units.deg
    assert table["distance"].description == "distance from the centre of the cone"
    np.testing.assert_array_equal(table["p_odd"], arrow["p_odd"].to_numpy())
    assert catalog.to_astropy()["embedding"].shape == (100, 8)
    frame = found.to_pandas()
    assert frame["id"].tolist() == found.ids
    assert frame["p_odd"].dtype == np.float32


def test_null_values_of_every_type_are_masked() -> None:
    values: dict[str, list[Any]] = {
        "id": ["a", "b"],
        "text": ["x", None],
        "whole": [1, None],
        "real": [0.5, None],
        "yes": [True, None],
        "pair": [[1.0, 2.0], None],
        "bytes": [b"x", None],
        "lists": [[1], [2, 3]],
    }
    types = {"pair": pa.list_(pa.float32(), 2)}
    arrow = pa.table({name: pa.array(of, types.get(name)) for name, of in values.items()})
    columns = [Column.of(field) for field in arrow.schema]
    table = Catalog.of_rows(columns, arrow).to_astropy()
    for name in ("text", "whole", "real", "yes", "bytes"):
        assert table[name][0] == values[name][0]
        assert table[name].mask.tolist() == [False, True], name
    assert table["pair"].mask.tolist() == [[False, False], [True, True]]
    assert table["lists"].tolist() == [[1], [2, 3]]


def test_classes_are_counted(tiny_catalog: Path) -> None:
    catalog = Catalog(tiny_catalog)
    classes = pa.parquet.read_table(tiny_catalog)["class"].to_pylist()
    assert catalog.counts == {name: classes.count(name) for name in sorted(set(classes))} | {}
    assert list(catalog.counts.values()) == sorted(catalog.counts.values(), reverse=True)
    assert catalog.query("p_odd > 2").counts == {}
    assert math.fsum(catalog.query("p_odd > 0.3").counts.values()) == len(catalog.query("p_odd > 0.3"))


def test_pictures_are_shown_where_it_is_known_where_they_are(tiny_catalog: Path, tiny_survey: Path) -> None:
    catalog = Catalog(tiny_catalog, pictures=tiny_survey)
    figure = catalog.query("p_odd > 0.3").odd(top=5).show(by="p_odd")
    assert len([axes for axes in figure.axes if axes.get_visible()]) == 5
    assert isinstance(Catalog(tiny_catalog).show([tiny_survey], count=2), Figure)
    with pytest.raises(UsageError, match="give the pictures of these galaxies"):
        Catalog(tiny_catalog).show()


def test_a_catalogue_needs_ids() -> None:
    with pytest.raises(DataError, match="the catalogue in memory has no column 'id'"):
        Catalog.of_rows([Column("x", pa.float64())], pa.table({"x": [1.0]}))


def test_a_catalogue_of_another_format_is_read_when_it_is_asked(drawn_catalog: Path, tmp_path: Path) -> None:
    catalog = Catalog(drawn_catalog)
    path = tmp_path / "c.fits"
    write_table(path, "fits", list(catalog.columns.values()), catalog.batches(list(catalog.columns)), {"made": "so"})
    later = Catalog.of_file(path)
    assert (len(later), later.notes["made"]) == (100, "so")
    assert later.query(WHERE).ids == catalog.query(WHERE).ids
    assert later.similar(["sim-001"]).ids == catalog.similar(["sim-001"]).ids
