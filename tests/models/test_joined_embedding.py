"""An embedding that joins earlier maps: the answers of before, to the bit, and questions taught before and after."""

from pathlib import Path

import numpy as np
import pytest
import torch

from peculiar.catalogs.predict import predict
from peculiar.catalogs.teach import teach
from peculiar.errors import LabelError, ModelError, UsageError
from peculiar.models.calibrate import calibrate
from peculiar.models.joined_embedding import fit_join
from peculiar.models.model_file import Answers, Model, load_model
from peculiar.sources import open_source
from peculiar.training.restore import restore

SIZE = 12

# Most galaxies are held back: as many as an embedding of this length needs.
PARTS = {f"sim-{number:03d}": "validation" if number % 3 else "training" for number in range(100)}


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory, tiny_survey: Path, tiny_model: Path) -> Model:
    out = tmp_path_factory.mktemp("joined") / "joined.onnx"
    return calibrate(tiny_survey, out, tiny_model, embedding=SIZE, parts=PARTS)


def read(path: Path, model: Model) -> np.ndarray:
    return np.stack([one.picture for one in open_source(path).galaxies(model.framing) if one.picture is not None])


def earlier_means(model: Model, pictures: np.ndarray) -> np.ndarray:
    """The means of the last maps, and behind the last shortcut of each number of channels, as PyTorch computes them."""
    net, _ = restore(model, model.card.questions)
    maps, means = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255, {}
    with torch.inference_mode():
        for layer in net.body.eval():
            maps = layer(maps)
            if getattr(layer, "residual", False):
                means[maps.shape[1]] = maps.mean(dim=(2, 3))
        return torch.cat([maps.mean(dim=(2, 3)), *means.values()], dim=1).numpy()


def without_scalings(model: Model) -> Model:
    """The same model without what calibration may add to its answers."""
    return model.with_card(model.card.model_copy(update={"scalings": {}}))


def assert_same_answers(one: Answers, other: Answers) -> None:
    for name, chances in one.probabilities.items():
        np.testing.assert_array_equal(other.probabilities[name], chances)


def test_answers_stay_to_the_bit_and_the_card_says_what_the_embedding_is(
    tiny_survey: Path, tiny_model: Path, joined: Model
) -> None:
    model = load_model(tiny_model)
    pictures = read(tiny_survey, model)
    old, new = (without_scalings(one).classify(pictures, framed=True) for one in (model, joined))
    assert_same_answers(old, new)
    assert new.embedding.shape == (len(pictures), SIZE) != old.embedding.shape
    assert joined.embedding_size == SIZE
    assert f"{SIZE} principal components" in joined.card.embedding
    assert joined.card.digest != model.card.digest
    again = load_model(joined.path)
    np.testing.assert_array_equal(again.classify(pictures, framed=True).embedding, new.embedding)


def test_it_is_the_principal_components_of_the_standardised_means(
    tiny_survey: Path, tiny_model: Path, joined: Model
) -> None:
    model = load_model(tiny_model)
    pictures = read(tiny_survey, model)
    means = earlier_means(model, pictures)
    held_back = np.array([PARTS[one] == "validation" for one in open_source(tiny_survey).ids()])
    # A picture and its views have means that differ, and those of the views are averaged.
    views = [earlier_means(model, np.rot90(pictures, view, axes=(1, 2)).copy()) for view in range(model.card.views)]
    join = fit_join(np.mean(views, axis=0)[held_back], model.embedding_size, SIZE)
    found = joined.classify(pictures, views=1, framed=True).embedding
    np.testing.assert_allclose(found, join(means), atol=1e-3 * np.abs(found).max())
    ours = joined.classify(pictures[held_back], framed=True).embedding
    covariance = np.cov(ours.T)
    spread = np.diag(covariance)
    assert (np.diff(spread) < 0).all()
    assert np.abs(covariance - np.diag(spread)).max() < 0.01 * spread[0]
    assert np.abs(ours.mean(axis=0)).max() < 0.01 * np.sqrt(spread[0])


@pytest.mark.slow
def test_with_eight_bits_in_one_command(tmp_path: Path, tiny_survey: Path, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    pictures = read(tiny_survey, model)
    plain = calibrate(tiny_survey, tmp_path / "plain.onnx", tiny_model, eight_bits=True, parts=PARTS)
    found = calibrate(tiny_survey, tmp_path / "small.onnx", tiny_model, eight_bits=True, embedding=SIZE, parts=PARTS)
    assert_same_answers(plain.classify(pictures, framed=True), found.classify(pictures, framed=True))
    assert found.card.sets == plain.card.sets
    assert found.embedding_size == SIZE
    # A file in eight bits gets it later, too: the means and the layer are the same.
    later = calibrate(tiny_survey, tmp_path / "later.onnx", plain, embedding=SIZE, parts=PARTS)
    assert later.card.digest == found.card.digest


def test_questions_taught_before_and_after(
    tmp_path: Path, tiny_survey: Path, tiny_model: Path, tiny_catalog: Path
) -> None:
    labels = tmp_path / "labels.csv"
    rows = [f"sim-{number:03d},{'ab'[number % 2]}" for number in range(60)]
    labels.write_text("\n".join(["id,mine", *rows, ""]), encoding="utf-8")
    before = teach(labels, tmp_path / "before.onnx", catalog=tiny_catalog, model=tiny_model).model
    pictures = read(tiny_survey, before)
    found = calibrate(tiny_survey, tmp_path / "joined.onnx", before, embedding=SIZE, parts=PARTS)
    old, new = (without_scalings(one).classify(pictures, framed=True) for one in (before, found))
    assert "mine" in new.probabilities
    assert_same_answers(old, new)
    catalog = tmp_path / "after.parquet"
    predict(open_source(tiny_survey), catalog, found, embeddings=True, views=1)
    after = teach(labels, tmp_path / "after.onnx", catalog=catalog, model=found, question="yours").model
    assert (after.embedding_size, after.card.embedding) == (SIZE, found.card.embedding)
    again = after.classify(pictures, framed=True)
    assert_same_answers(found.classify(pictures, framed=True), again)
    assert again.probabilities["yours"].shape == (len(pictures), 2)


def test_it_can_be_trained_further(tiny_model: Path, joined: Model) -> None:
    model = load_model(tiny_model)
    old, new = (restore(one, model.card.questions)[0].state_dict() for one in (model, joined))
    for name, values in old.items():
        torch.testing.assert_close(new[name], values, rtol=0, atol=0)


def test_what_cannot_be_joined(tmp_path: Path, tiny_survey: Path, tiny_model: Path, joined: Model) -> None:
    out = tmp_path / "new.onnx"
    with pytest.raises(ModelError, match="has an embedding that joins earlier maps already"):
        calibrate(tiny_survey, out, joined, embedding=SIZE)
    with pytest.raises(UsageError, match=r"has \d+ features to make an embedding of, fewer than 500"):
        calibrate(tiny_survey, out, tiny_model, embedding=500)
    with pytest.raises(UsageError, match="between 2 and 512 numbers, received 513"):
        calibrate(tiny_survey, out, tiny_model, embedding=513)
    with pytest.raises(LabelError, match=r"needs more than 100 galaxies of .* part, received \d+;"):
        calibrate(tiny_survey, out, tiny_model, embedding=100)
    assert not list(tmp_path.iterdir())


def test_a_number_that_hardly_changes_does_not_outweigh_the_others() -> None:
    values = np.random.default_rng(222).normal(size=(200, 6)) * [1, 1, 1, 1, 1, 1e-6]
    lengths = np.linalg.norm(fit_join(values, 2, 6).weights.astype(float), axis=1)
    np.testing.assert_allclose(lengths[:5], np.array([2, 2, 1, 1, 1]) / values[:, :5].std(axis=0), rtol=2e-3)
    assert lengths[5] < 50
