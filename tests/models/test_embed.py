"""Embeddings of labelled pictures: which rows they are of, and which are left out."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from peculiar.models.embed import embed_labelled
from peculiar.models.model_file import load_model
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources import open_source
from peculiar.training.fine_tuning import Task, _answers
from peculiar.training.recipe import make_recipe
from peculiar.training.watch import Watcher


def test_a_galaxy_whose_picture_in_one_set_is_broken_keeps_that_in_another(tiny_survey: Path, tiny_model: Path) -> None:
    rows = pa.parquet.read_table(tiny_survey, columns=["id", "image", "four_class"]).slice(0, 5).to_pylist()
    for row in rows:
        row["four_class"] = "Normal"
    broken = rows[0] | {"image": {"bytes": b"no picture", "path": None}}
    unlabelled = rows[1] | {"four_class": None}
    for name, some in (("one", [broken, *rows[1:3]]), ("other", [unlabelled, rows[0], *rows[3:]])):
        pa.parquet.write_table(pa.Table.from_pylist(some), f"{name}.parquet")
    model, sources = load_model(tiny_model), [open_source("one.parquet"), open_source("other.parquet")]
    found = embed_labelled(sources, FOUR_CLASS, model)
    assert found.ids == [rows[number]["id"] for number in (1, 2, 0, 3, 4)]
    assert found.rows.tolist() == [1, 2, 4, 5, 6]
    assert list(found.problems) == [rows[0]["id"]]

    task = Task(sources, FOUR_CLASS, Path("run"), model, make_recipe(), Watcher())
    galaxies = open_source(tiny_survey).galaxies(model.framing, stop=5)
    framed = np.stack([galaxy.picture for galaxy in galaxies if galaxy.picture is not None])
    expected = model.classify(framed[[1, 2, 0, 3, 4]], framed=True).probabilities["four_class"]
    np.testing.assert_allclose(_answers(task, model, found, np.arange(5)), expected, atol=1e-6)
    np.testing.assert_allclose(_answers(task, model, found, np.array([1, 4])), expected[[1, 4]], atol=1e-6)
