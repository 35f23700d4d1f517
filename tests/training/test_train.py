"""`train` chooses where a network begins, and says what is missing."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from peculiar.errors import LabelError, UnreadablePictureWarning
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


@pytest.mark.parametrize("start", ["scratch", "galaxy"])
def test_pictures_that_cannot_be_read_are_nothing_to_learn_from(start: str) -> None:
    rows = "".join(f"g{row},none/{row}.png,{'ab'[row % 2]}\n" for row in range(12))
    Path("t.csv").write_text(f"id,file,label\n{rows}")
    warned = pytest.warns(UnreadablePictureWarning) if start == "scratch" else nullcontext()
    with warned, pytest.raises(LabelError, match="none of the pictures can be read, so there is nothing to learn from"):
        train("t.csv", "run", start=start, verbose=False, **({"width": 8, "size": 32} if start == "scratch" else {}))
    assert not Path("run").exists()
