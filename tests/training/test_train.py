"""`train` chooses where a network begins, and says what is missing."""

from pathlib import Path

import pytest

from peculiar.errors import LabelError
from peculiar.training.recipe import read_record
from peculiar.training.train import train


def test_pictures_of_another_size_do_not_go_on_from_the_model_that_ships(tiny_survey: Path) -> None:
    run = train(tiny_survey, "run", label="four_class", size=32, epochs=1, verbose=False)
    record = read_record(run.folder)
    assert (record.recipe.size, record.start) == (32, None)


def test_a_column_per_class_is_told_to_be_made_one(tiny_survey: Path) -> None:
    lines = ["id,file,Ringed,Merger", *(f"g{row},{row}.png,{row % 2},{1 - row % 2}" for row in range(4))]
    Path("t.csv").write_text("\n".join(lines))
    with pytest.raises(LabelError, match=r"2 columns hold a 1 for the class of each galaxy, 'Ringed', 'Merger': make"):
        train("t.csv", "run", verbose=False)
