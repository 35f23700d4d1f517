"""A model file in eight bits: small, of nearly the same answers, calibrated as it then answers."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from peculiar.errors import ModelError
from peculiar.models.calibrate import calibrate
from peculiar.models.model_file import Model, load_model
from peculiar.models.quantize import pictures_for_ranges, quantize
from peculiar.sources import open_source
from peculiar.sources.split import part_rule


def read(model: Model, path: Path) -> np.ndarray:
    return np.stack([one.picture for one in open_source(path).galaxies(model.framing) if one.picture is not None])


def test_it_answers_nearly_the_same(tmp_path: Path, tiny_survey: Path, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    found = calibrate([open_source(tiny_survey)], tmp_path / "small.onnx", model, eight_bits=True)
    pictures = read(model, tiny_survey)
    before, after = (one.classify(pictures, framed=True) for one in (model, found))
    for name, chances in before.probabilities.items():
        if name not in found.card.scalings:
            assert np.abs(after.probabilities[name] - chances).max() < 0.05
    cosines = (before.embedding * after.embedding).sum(axis=1)
    cosines /= np.linalg.norm(before.embedding, axis=1) * np.linalg.norm(after.embedding, axis=1)
    assert cosines.min() > 0.99
    assert found.card.digest != calibrate([open_source(tiny_survey)], tmp_path / "same.onnx", model).card.digest
    assert (tmp_path / "small.onnx").stat().st_size < 0.75 * tiny_model.stat().st_size


@pytest.mark.slow
def test_weights_are_bytes_and_the_batch_changes_nothing(tmp_path: Path, tiny_survey: Path, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    pictures = read(model, tiny_survey)
    graph = quantize(model, pictures[:40])
    kinds = {weights.name: weights.data_type for weights in graph.graph.initializer}
    assert not [name for name, kind in kinds.items() if kind == onnx.TensorProto.FLOAT16]
    bytes_ = [onnx.numpy_helper.to_array(one) for one in graph.graph.initializer if kinds[one.name] == 3]
    assert sum(one.size for one in bytes_) > 1000
    assert max(np.abs(one.astype(int)).max() for one in bytes_ if one.ndim == 4) <= 64  # seven bits
    found = calibrate([open_source(tiny_survey)], tmp_path / "small.onnx", model, eight_bits=True)
    whole = found.classify(pictures, framed=True)
    one_by_one = [found.classify(pictures[row : row + 1], framed=True) for row in range(len(pictures))]
    for name, chances in whole.probabilities.items():
        np.testing.assert_array_equal(np.concatenate([one.probabilities[name] for one in one_by_one]), chances)


def test_ranges_are_those_of_training_pictures(tiny_survey: Path, tiny_model: Path) -> None:
    model, source = load_model(tiny_model), open_source(tiny_survey)
    part_in = part_rule({}, validation_size=0.3, test_size=0.3)
    training = [part_in(id_) == "training" for id_ in source.ids()]
    np.testing.assert_array_equal(pictures_for_ranges(model, [source], part_in), read(model, tiny_survey)[training])


def test_what_is_in_eight_bits_already(tmp_path: Path, tiny_survey: Path, tiny_model: Path) -> None:
    source = open_source(tiny_survey)
    small = calibrate([source], tmp_path / "small.onnx", load_model(tiny_model), eight_bits=True)
    with pytest.raises(ModelError, match="is in eight bits already"):
        calibrate([source], tmp_path / "again.onnx", small, eight_bits=True)
    assert not (tmp_path / "again.onnx").exists()
