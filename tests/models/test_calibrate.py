"""A model file anew: the same answers, and the means for prediction sets; and what cannot be calibrated."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.catalogs.predict import predict
from peculiar.catalogs.rows import catalog_columns
from peculiar.errors import LabelError, ModelError
from peculiar.images.artefacts import MEASURES
from peculiar.models.calibrate import calibrate
from peculiar.models.model_file import load_model
from peculiar.models.novelty import Novelty, fit_novelty
from peculiar.sources import open_source
from peculiar.tables.reader import TableReader

Measured = tuple[NDArray[np.floating], NDArray[np.floating]]


def test_a_model_file_gets_sets_and_keeps_its_answers(tmp_path: Path, tiny_survey: Path, tiny_model: Path) -> None:
    model, source = load_model(tiny_model), open_source(tiny_survey)
    found = calibrate([source], tmp_path / "new.onnx", model)
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
    familiar = fit_novelty(training, held_back)
    sets = {model.card.questions[0].name: {"90": (0.0, 0.0, 1.0, 1.0)}}
    able = model.with_card(model.card.model_copy(update={"familiar": familiar, "sets": sets}))
    predict(open_source(tiny_survey), tmp_path / "c.parquet", able)
    table = TableReader(tmp_path / "c.parquet")
    expected = {"Merger": "Normal|Ringed|Merger", "Other": "Normal|Ringed|Other"}
    for called, inside in zip(table.column("class"), table.column("set_90"), strict=True):
        assert inside == expected.get(called, "Normal|Ringed")
    assert min(table.column("ood")) > 0


def test_every_survey_of_every_file_counts(
    tmp_path: Path, tiny_survey: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[Measured, Measured, list[str]]] = []

    def fit(training: Measured, held_back: Measured, surveys: list[str]) -> Novelty:
        given.append((training, held_back, surveys))
        size = training[0].shape[1]
        return fit_novelty(*((np.eye(1000, size), np.eye(1000, len(MEASURES))) for _ in range(2)))

    monkeypatch.setattr("peculiar.models.calibrate._MOST_TRAINING", 20)
    monkeypatch.setattr("peculiar.models.calibrate.DIRECTIONS", 1)
    monkeypatch.setattr("peculiar.models.calibrate.fit_novelty", fit)
    copy = tmp_path / "again.parquet"
    copy.write_bytes(tiny_survey.read_bytes())
    found = calibrate([open_source(tiny_survey), open_source(copy)], tmp_path / "new.onnx", load_model(tiny_model))
    assert found.card.familiar is not None
    [(training, held_back, surveys)] = given
    assert set(Counter(surveys).values()) == {20}
    assert sorted(set(surveys)) == sorted(
        f"{name} in {path}" for name in ("sdss", "decals") for path in (tiny_survey, copy)
    )
    assert [len(one) for one in training] == [80, 80]
    assert len(held_back[0]) == len(held_back[1]) > 0
    assert training[1].shape[1] == len(MEASURES)


def test_what_cannot_be_calibrated(tmp_path: Path, tiny_survey: Path, tiny_model: Path) -> None:
    model, source = load_model(tiny_model), open_source(tiny_survey)
    with pytest.raises(LabelError, match="the validation part has fewer than two different answers to four_class"):
        calibrate([], tmp_path / "new.onnx", model)
    with pytest.raises(LabelError, match="none of the pictures belongs to the model's training part"):
        calibrate([], tmp_path / "new.onnx", model, eight_bits=True)
    unknown = model.with_card(model.card.model_copy(update={"training": {}}))
    with pytest.raises(ModelError, match="has no validation part"):
        calibrate([source], tmp_path / "new.onnx", unknown)
    training = {**model.card.training, "recipe": {**model.card.training["recipe"], "body": "timm:convnext_nano"}}
    encoder = model.with_card(model.card.model_copy(update={"training": training}))
    with pytest.raises(ModelError, match="has the body timm:convnext_nano, whose answers may change in eight bits"):
        calibrate([source], tmp_path / "new.onnx", encoder, eight_bits=True)
    assert not (tmp_path / "new.onnx").exists()
