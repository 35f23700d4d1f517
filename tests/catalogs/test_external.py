"""Embeddings of another network take the place of a catalogue's own, by id, and every answer says so."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.external import ExternalEmbeddings
from peculiar.catalogs.teach import teach
from peculiar.cli import app
from peculiar.errors import DataError, NotFoundError, PeculiarWarning, UsageError

COUNT, WIDTH = 120, 6


@pytest.fixture
def vectors() -> NDArray[np.float32]:
    """The first twenty of one kind, the others of another."""
    random = np.random.default_rng(222)
    kinds = np.eye(WIDTH)[(np.arange(COUNT) >= 20).astype(int)] * 4
    return (kinds + random.normal(0, 0.3, (COUNT, WIDTH)) + 3).astype(np.float32)


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalogue without embeddings of its own."""
    path = tmp_path / "catalog.parquet"
    ids = [f"G-{row:03d}.jpg" for row in range(COUNT)]
    classes = ["Other" if row < 20 else "Normal" for row in range(COUNT)]
    pa.parquet.write_table(pa.table({"id": ids, "class": classes, "p_odd": np.linspace(1, 0, COUNT)}), path)
    return path


@pytest.fixture
def table(tmp_path: Path, vectors: NDArray[np.float32]) -> Path:
    """The vectors in another order, ids without suffixes in lower case."""
    path, order = tmp_path / "zoobot.parquet", np.random.default_rng(333).permutation(COUNT)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors[order].ravel()), WIDTH)
    pa.parquet.write_table(pa.table({"objid": [f"g-{row:03d}" for row in order], "features": column}), path)
    return path


def own(catalog: Path, vectors: NDArray[np.float32]) -> Catalog:
    """The same catalogue with the vectors as its own embeddings."""
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), WIDTH)
    path = catalog.with_name("own.parquet")
    pa.parquet.write_table(pa.parquet.read_table(catalog).append_column("embedding", column), path)
    return Catalog(path)


@pytest.mark.slow
def test_searches_find_what_the_same_embeddings_of_a_catalogue_find(
    catalog: Path, table: Path, vectors: NDArray[np.float32]
) -> None:
    borrowed, mine = Catalog(catalog, embeddings=table), own(catalog, vectors)
    note = borrowed.whose["embeddings"]
    assert note.startswith("zoobot.parquet, sha256 ")
    assert "6 numbers for 120 of 120 galaxies; ids compared by folder and name of their files" in note
    some = {"where": "p_odd < 0.95", "top": 30}
    found, expected = (one.similar(["G-003.jpg"], **some) for one in (borrowed, mine))
    assert found.ids == expected.ids
    assert found.notes["embeddings"] == note
    assert "embeddings" not in expected.notes
    np.testing.assert_allclose(found.to_arrow()["score"], expected.to_arrow()["score"], atol=1e-5)
    for method in ("isolation", "neighbours"):
        assert borrowed.anomalies(method=method, top=10).ids == mine.anomalies(method=method, top=10).ids
    assert borrowed.anomalies().notes["embeddings"] == note
    laid_out = borrowed.layout(landmarks=50)
    assert laid_out.notes["embeddings"] == note
    assert borrowed.query("p_odd > 0.5").similar(["G-100.jpg"], top=3).notes["embeddings"] == note


def test_a_catalogue_in_memory_takes_a_table(catalog: Path, table: Path) -> None:
    held = Catalog(catalog).query()
    found = held.with_embeddings(table).similar(["G-003.jpg"], top=19)
    assert set(found.ids) == {f"G-{row:03d}.jpg" for row in range(20) if row != 3}
    assert "embeddings" not in held.notes
    with pytest.raises(UsageError, match="--embeddings TABLE takes those of another network"):
        held.similar(["G-003.jpg"])


def test_what_is_made_of_a_table_is_kept_by_its_content(
    catalog: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Catalog(catalog, embeddings=table).similar(["G-003.jpg"]).ids
    calls: list[Path] = []
    prepare = ExternalEmbeddings.prepare
    monkeypatch.setattr(ExternalEmbeddings, "prepare", lambda *some: (calls.append(some[1]), prepare(*some)))
    os.utime(table, (1, 1))
    assert Catalog(catalog, embeddings=table).similar(["G-003.jpg"]).ids == first
    moved = table.rename(table.with_name("moved.parquet"))
    assert Catalog(catalog, embeddings=moved).similar(["G-003.jpg"]).ids == first
    assert not calls
    changed = pa.parquet.read_table(moved).to_pydict()
    changed["features"] = [list(np.roll(one, 1) * (1 + row)) for row, one in enumerate(changed["features"])]
    pa.parquet.write_table(pa.table(changed), moved)
    assert Catalog(catalog, embeddings=moved).similar(["G-003.jpg"]).ids != first
    assert len(calls) == 1


def test_what_is_wrong_with_a_table_is_said_and_left_out(catalog: Path, vectors: NDArray[np.float32]) -> None:
    ids = [f"G-{row:03d}.jpg" for row in range(COUNT)]
    for row, value in ((0, np.nan), (1, np.inf), (2, 0), (3, 1e30)):
        vectors[row] = value
    wrong, stray = np.full((1, WIDTH), 99, dtype=np.float32), np.ones((1, WIDTH), dtype=np.float32)
    # The last row of a galaxy counts; nobody is called so; ten galaxies are not in the table.
    np.savez("v.npz", ids=["G-050.jpg", "nobody", *ids[:110]], embeddings=np.vstack([wrong, stray, vectors[:110]]))
    opened = Catalog(catalog, embeddings="v.npz")
    message = "v.npz: 10 galaxies are not in it; 4 vectors of numbers that are not finite, or all 0; 1 row with an id"
    with pytest.warns(PeculiarWarning, match=message):
        known = opened.embeddings().known
    assert np.flatnonzero(~known).tolist() == [0, 1, 2, 3, *range(110, 120)]
    np.testing.assert_allclose(opened.embeddings().raw(np.array([50])), vectors[[50]], rtol=1e-5)
    assert "for 106 of 120 galaxies" in opened.whose["embeddings"]
    assert len(opened.similar([ids[50]], top=COUNT)) == 105
    with pytest.raises(UsageError, match=r"G-000.jpg has no embedding, in v\.npz"):
        opened.similar([ids[0]])
    with warnings.catch_warnings(action="ignore"):
        assert Catalog(catalog, embeddings="v.npz").layout(landmarks=50).to_arrow()["x"].null_count == 14


def test_tables_that_do_not_fit_are_refused(catalog: Path, tmp_path: Path) -> None:
    np.savez("other.npz", ids=["x", "y"], embeddings=np.ones((2, 3)))
    with pytest.raises(DataError, match=r"none of the galaxies of .*catalog.parquet is in it; its ids look like 'x'"):
        Catalog(catalog, embeddings="other.npz").similar(["G-003.jpg"])
    np.savez("zeros.npz", ids=["G-001.jpg"], embeddings=np.zeros((1, 3)))
    with pytest.raises(DataError, match="no galaxy has a vector of finite numbers"):
        Catalog(catalog, embeddings="zeros.npz").similar(["G-003.jpg"])
    np.savez("doubtful.npz", ids=["g-001.png", "g-001.fits"], embeddings=np.ones((2, 3)))
    with pytest.raises(DataError, match="not known which belongs to which"):
        Catalog(catalog, embeddings="doubtful.npz").similar(["G-003.jpg"])
    with pytest.raises(NotFoundError):
        Catalog(catalog, embeddings="nowhere.npz")
    with pytest.raises(UsageError, match=r"another picture has no embedding by the network of other\.npz"):
        Catalog(catalog, embeddings="other.npz").similar(examples=[np.zeros((64, 64, 3), np.uint8)])


@pytest.mark.slow
def test_a_head_on_a_table_answers_for_the_whole_catalogue(catalog: Path, table: Path) -> None:
    Path("labels.csv").write_text(
        "id,kind\n" + "".join(f"G-{row:03d}.jpg,{'b' if row < 20 else 'a'}\n" for row in range(8, 40))
    )
    taught = teach("labels.csv", "kinds.parquet", catalog=catalog, embeddings=table)
    assert taught.model is None
    assert (taught.used, taught.left_out) == (32, 0)
    answers = Catalog("kinds.parquet")
    assert answers.notes["embeddings"].startswith("zoobot.parquet")
    assert list(answers.columns) == ["id", "p_b", "class", "set_90", "safe_class", "why", "entropy"]
    chances = answers.to_arrow()["p_b"].to_numpy()
    assert chances[:20].min() > chances[20:].max()
    assert answers.to_arrow()["class"].to_pylist() == ["b"] * 20 + ["a"] * 100
    evaluated = CliRunner().invoke(app, ["evaluate", "kinds.parquet", "--labels", "labels.csv", "--json"])
    assert json.loads(evaluated.stdout)["scores"]["accuracy"] == 1
    with pytest.raises(UsageError, match=r"a model file computes its answers from pictures.*kinds\.parquet"):
        teach("labels.csv", "kinds.onnx", catalog=catalog, embeddings=table)
    with pytest.raises(UsageError, match="joined to a catalogue"):
        teach("labels.csv", "kinds.parquet", embeddings=table)
    with pytest.raises(UsageError, match="leave out --from"):
        teach("labels.csv", "kinds.parquet", catalog=catalog, embeddings=table, model="any.onnx")


@pytest.mark.parametrize(
    "words",
    [
        ["similar", "--galaxy", "G-003.jpg", "--out", "found.parquet"],
        ["similar", "--galaxy", "G-003.jpg", "--json"],
        ["anomalies", "--method", "neighbours"],
        ["map", "--out", "map.parquet"],
    ],
)
def test_the_command_line_says_whose_embeddings_they_are(words: list[str], catalog: Path, table: Path) -> None:
    search, *more = words
    asked: list[Any] = ["search", search, catalog, *more, "--embeddings", table, "--embeddings-id", "objid"]
    done = CliRunner().invoke(app, list(map(str, asked)))
    assert done.exit_code == 0, done.output
    whose = json.loads(done.stdout)["embeddings"] if "--json" in words else done.stderr
    assert "zoobot.parquet, sha256" in whose
    if "--out" in words:
        assert "zoobot.parquet" in Catalog(words[-1]).notes["embeddings"]


def test_teach_on_the_command_line(catalog: Path, table: Path) -> None:
    Path("labels.csv").write_text(
        "id,kind\n" + "".join(f"G-{row:03d}.jpg,{'b' if row < 20 else 'a'}\n" for row in range(8, 40))
    )
    words = ["teach", "labels.csv", "--catalog", str(catalog), "--embeddings", str(table), "--out", "kinds.fits"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "kinds.fits has the answers to 'kind' for 120 galaxies" in done.stdout
    assert "embeddings of zoobot.parquet" in done.stderr
    Path("kinds.fits").unlink()
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told["digest"] is None
    assert told["embeddings"].startswith("zoobot.parquet")
