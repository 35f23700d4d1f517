"""A model file anew: the same answers, and the means for prediction sets; and what cannot be calibrated."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

from peculiar.catalogs.predict import predict
from peculiar.catalogs.rows import catalog_columns
from peculiar.errors import LabelError, ModelError
from peculiar.images.artefacts import MEASURES
from peculiar.metrics.calibration import Scaling
from peculiar.metrics.prediction_sets import Thresholds, fit_sets
from peculiar.models.calibrate import calibrate
from peculiar.models.model_file import Answers, Model, load_model
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


def test_pictures_without_an_answer_do_not_count(
    tmp_path: Path, tiny_survey: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify = Model.classify

    def without_some(self: Model, pictures: Any, **how: Any) -> Answers:
        answers = classify(self, pictures, **how)
        if len(pictures) > 1:  # opening a file asks about one
            for values in (answers.embedding, *answers.probabilities.values()):
                values[::3] = np.nan
        return answers

    given: list[NDArray[np.floating]] = []

    def fit(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> Thresholds:
        given.append(probabilities)
        return fit_sets(labels, probabilities)

    monkeypatch.setattr(Model, "classify", without_some)
    monkeypatch.setattr("peculiar.models.calibrate.fit_sets", fit)
    calibrate([open_source(tiny_survey)], tmp_path / "new.onnx", load_model(tiny_model))
    assert given
    assert all(np.isfinite(one).all() for one in given)


def test_questions_without_labels_keep_their_calibration(tmp_path: Path, tiny_survey: Path, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    own = {"scalings": {"odd": Scaling((1.0, 2.0), (0.0, 0.5))}, "sets": {"odd": {"90": (0.1, 0.2)}}}
    able = model.with_card(model.card.model_copy(update=own))
    table = pa.parquet.read_table(tiny_survey)
    pa.parquet.write_table(table.select(["id", "image", "four_class"]), tmp_path / "four.parquet")
    card = calibrate([open_source(tmp_path / "four.parquet")], tmp_path / "new.onnx", able).card
    assert (card.scalings["odd"], card.sets["odd"]) == (own["scalings"]["odd"], {"90": (0.1, 0.2)})
    assert set(card.sets) == {"four_class", "odd"}


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
