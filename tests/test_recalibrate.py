"""A model file anew: the same answers, and the means for prediction sets; and what cannot be recalibrated."""

from pathlib import Path

import numpy as np
import pytest

from peculiar.batch import predict_catalog
from peculiar.catalog import catalog_columns
from peculiar.errors import LabelError, ModelError
from peculiar.flaws import MEASURES
from peculiar.model import load_model
from peculiar.ood import fit_familiar
from peculiar.recalibrate import recalibrate
from peculiar.sources import open_source
from peculiar.table import TableReader


def test_a_model_file_gets_sets_and_keeps_its_answers(tmp_path: Path, tiny_survey: Path, tiny_model: Path) -> None:
    model, source = load_model(tiny_model), open_source(tiny_survey)
    found = recalibrate(model, [source], tmp_path / "new.onnx")
    assert set(found.card.sets) <= {"four_class", "clean5", "odd"}
    assert all(set(levels) == {"80", "90", "95", "99"} for levels in found.card.sets.values())
    assert found.card.familiar is None  # a hundred galaxies do not tell what is familiar
    assert found.card.digest != model.card.digest


def test_catalogues_have_what_the_model_file_has_the_means_for(
    tmp_path: Path, tiny_survey: Path, tiny_model: Path
) -> None:
    model = load_model(tiny_model)
    assert "ood" not in {column.name for column in catalog_columns(model, positions=False, embeddings=False)}
    random = np.random.default_rng(1)
    training, held_back = (
        (random.normal(size=(count, model.embedding_size)), random.random((count, len(MEASURES))))
        for count in (1000, 50)
    )
    familiar = fit_familiar(training, held_back)
    sets = {model.card.questions[0].name: {"90": (0.0, 0.0, 1.0, 1.0)}}
    able = model.with_card(model.card.model_copy(update={"familiar": familiar, "sets": sets}))
    predict_catalog(open_source(tiny_survey), tmp_path / "c.parquet", able)
    table = TableReader(tmp_path / "c.parquet")
    assert set(table.column("set_90")) == {"Normal|Ringed"}
    assert min(table.column("ood")) > 0


def test_what_cannot_be_recalibrated(tmp_path: Path, tiny_survey: Path, tiny_model: Path) -> None:
    model, source = load_model(tiny_model), open_source(tiny_survey)
    with pytest.raises(LabelError, match="no galaxy of the validation part answers four_class"):
        recalibrate(model, [], tmp_path / "new.onnx")
    unknown = model.with_card(model.card.model_copy(update={"training": {}}))
    with pytest.raises(ModelError, match="tells of no validation part"):
        recalibrate(unknown, [source], tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()
