"""Pictures of one galaxy under different ids are on one side of every training run's split."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from peculiar.cli import app
from peculiar.exercise.run_folder import arguments
from peculiar.exercise.train import train as train_exercise
from peculiar.images import duplicates
from peculiar.images.framing import Framing
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources import open_source
from peculiar.sources.answers import Answered, read_answered
from peculiar.sources.simulated import simulate
from peculiar.sources.split import Split, keep_together
from peculiar.training.parts import check_parts, split_galaxies
from peculiar.training.recipe import Recipe

TINY = Recipe(width=8, size=32, epochs=1, batch_size=16, pretrained=False, validation_size=0.2, test_size=0.2)


def doubled(folder: Path) -> Path:
    """Two hundred simulated galaxies, and each turned or mirrored under another id, in sub-folders by class."""
    drawn = simulate(200, size=96, seed=11)
    for row, picture in enumerate(drawn.pictures):
        copy = Image.fromarray(picture)
        ways = (
            copy.rotate(90),
            copy.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            copy.rotate(180),
            copy.transpose(Image.Transpose.TRANSPOSE),
        )
        place = folder / FOUR_CLASS.answers[int(drawn.labels[row].argmax())]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"a{row}.png")
        ways[row % 4].save(place / f"b{row}.png")
    return folder


def sides(ids: Sequence[str], parts: Split) -> list[set[str]]:
    """The numbers of the galaxies in each part."""
    return [{ids[row].split("/")[1][1:] for row in rows} for rows in (parts.training, parts.validation, parts.test)]


@pytest.mark.slow
def test_turned_and_mirrored_copies_are_on_one_side(tmp_path: Path) -> None:
    source = open_source(doubled(tmp_path / "data"))
    galaxies = read_answered([source], [replace(FOUR_CLASS, column=source.label or "")], TINY.training_framing)
    parts, pairs = split_galaxies(galaxies, [source], TINY)
    assert len(galaxies.ids) == 400
    assert pairs >= 200
    training, validation, test = sides(galaxies.ids, parts)
    assert len(training) + len(validation) + len(test) == 200
    assert min(len(training), len(validation), len(test)) > 15
    # As `peculiar data check --split` sees it.
    named = (("training", parts.training), ("validation", parts.validation), ("test", parts.test))
    names = {int(row): part for part, rows in named for row in rows}
    with Path("split.csv").open("w") as file:
        file.write("id,part\n" + "".join(f"{id_},{names[row]}\n" for row, id_ in enumerate(galaxies.ids)))
    shown = CliRunner().invoke(app, ["data", "check", str(tmp_path / "data"), "--split", "split.csv", "--json"])
    assert json.loads(shown.stdout)["counts"].get("leak", 0) == 0


@pytest.mark.slow
def test_the_exercise_s_training_keeps_copies_on_one_side_too(tmp_path: Path) -> None:
    source = open_source(doubled(tmp_path / "data"))
    trained = train_exercise(source, "run", arguments(epochs=1, batch_size=20, framing=Framing(32)))
    ids = trained.data.ids
    training, validation, _ = sides(ids, trained.split)
    assert training.isdisjoint(validation)
    assert len(validation) > 3


def test_held_back_rows_move_to_the_galaxies_that_they_show() -> None:
    parts = Split(np.array([4, 0, 2]), np.array([5, 1, 3, 6]))
    # 5 shows what 3 shows, and 3 what 0 shows; 1 and 6 show one galaxy that is not trained on.
    found = keep_together(parts, [(5, 3), (3, 0), (1, 6)])
    assert (found.training.tolist(), found.validation.tolist()) == ([4, 0, 2, 5, 3], [1, 6])
    assert keep_together(parts, []).validation.tolist() == [5, 1, 3, 6]


def test_many_galaxies_are_compared_by_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(222)
    description = random.normal(size=(3000, 60)).astype(np.float32)
    description[2900:] = description[:100] + random.normal(size=(100, 60)) * 0.3
    description /= np.linalg.norm(description, axis=1, keepdims=True)
    monkeypatch.setattr(duplicates, "MOST_AT_ONCE", 1000)
    searched, found = 0, set()
    for pairs, count in duplicates._candidates(description):
        searched += count
        assert (pairs[:, 0] < pairs[:, 1]).all()
        assert found.isdisjoint(map(tuple, pairs.tolist()))
        found.update(map(tuple, pairs.tolist()))
    assert searched == 3000
    assert sum((row, 2900 + row) in found for row in range(100)) >= 97
    assert len(found) < 3000 * 20


@pytest.mark.parametrize(
    ("labels", "ids", "lonely"),
    [
        ([0, 0, 1, 1, 2], "abcde", "Merger"),
        ([0, 0, 1, 1, 2, 2], "abcdee", "Merger"),  # two pictures of one galaxy
        ([0, 0, 1, 1, 2, 2], "abcdef", ""),
        ([0, 1, 2, 3, -1], "abcde", "Normal, Ringed, Merger, Other"),
    ],
)
def test_a_class_of_one_galaxy_is_named(labels: list[int], ids: str, lonely: str) -> None:
    rows = np.arange(len(ids))
    answers = {"four_class": np.array(labels)}
    blank = np.zeros((len(ids), 4, 4, 3), dtype=np.uint8)
    data = Answered((FOUR_CLASS,), [*ids], rows, blank, answers, {}, {}, [None] * len(ids))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_parts(data, Split(rows[:-1], rows[-1:]))
    assert [str(one.message).split(": ")[1] for one in caught] == ([lonely] if lonely else [])
