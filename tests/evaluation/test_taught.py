"""Catalogues of a model that was taught its old classes again: their figures are those of what was taught last."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.catalogs.catalog import Catalog
from peculiar.errors import UnknownNameError
from peculiar.evaluation.agreement import compare_classes
from peculiar.evaluation.compare import compare
from peculiar.evaluation.evaluate import evaluate
from peculiar.questions.column_names import answer_columns
from peculiar.questions.question import FOUR_CLASS, Question, answering
from peculiar.tables.convert import convert

COUNT = 24
TRUTHS = [FOUR_CLASS.answers[row % 4] for row in range(COUNT)]
AGAIN = Question("again", FOUR_CLASS.answers)

Form = Callable[[Path], Any]
FORMS: dict[str, Form] = {
    "parquet": lambda path: path,
    "fits": lambda path: convert(path, path.with_suffix(".fits")).path,
    "vot": lambda path: convert(path, path.with_suffix(".vot")).path,
    "memory": Catalog,
}


def write(path: Path, *questions: Question) -> Path:
    """Write a catalogue: right in what was asked last, wrong in a quarter of the rest."""
    columns: dict[str, Any] = {"id": [f"g{row}" for row in range(COUNT)]}
    noted = answer_columns(questions)
    for question in questions:
        called = [(row + (question != questions[-1] and row < COUNT / 4)) % 4 for row in range(COUNT)]
        values = np.full((COUNT, 4), 0.1)
        values[range(COUNT), called] = 0.7
        columns |= dict(zip(noted[question.name].values(), values.T, strict=True))
        columns["class"] = columns[f"class_{question.name}"] = [question.answers[one] for one in called]
    columns["four_class"] = TRUTHS
    notes = {"question": questions[-1].name, "answer columns": json.dumps(noted)}
    pa.parquet.write_table(pa.table(columns).replace_schema_metadata(notes), path)
    return path


@pytest.fixture
def taught(tmp_path: Path) -> Path:
    return write(tmp_path / "taught.parquet", FOUR_CLASS, AGAIN)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.slow
def test_a_catalogue_is_scored_by_what_was_taught_last(form: str, taught: Path) -> None:
    data = FORMS[form](taught)
    found = evaluate(data, label="four_class", verbose=False)
    assert (found.question.name, found.scores.accuracy) == ("again", 1.0)
    for name, accuracy in (("again", 1.0), ("four_class", 0.75)):
        found = evaluate(data, label="four_class", question=name, verbose=False)
        assert (found.question.name, found.scores.accuracy) == (name, accuracy)
    with pytest.raises(UnknownNameError, match=r"no question 'shape'.*There are: again, four_class"):
        evaluate(data, label="four_class", question="shape", verbose=False)


@pytest.mark.parametrize("form", FORMS)
def test_old_and_new_are_compared_by_their_own_questions(form: str, taught: Path, tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.parquet", Question("before", FOUR_CLASS.answers), FOUR_CLASS), FORMS[form](taught)
    worse = write(tmp_path / "worse.parquet", FOUR_CLASS)
    assert compare(old, new, label="four_class", verbose=False).changed == []
    assert compare_classes(old, new).changed == []
    assert len(compare(old, new, label="four_class", question="four_class", verbose=False).changed) == COUNT / 4
    assert len(compare_classes(old, new, question="four_class").changed) == COUNT / 4
    assert compare_classes(worse, new).changed == []


def test_of_yes_and_no_the_name_of_the_labels_counts() -> None:
    ring, bar = Question("ring", ("no", "yes")), Question("bar", ("no", "yes"))
    assert answering([ring, bar], "ring", ["yes", "no"], taught=bar) is ring
    assert answering([ring, bar], "label", ["yes", "no"], taught=bar) is bar
    assert answering([FOUR_CLASS, AGAIN], "four_class", TRUTHS, taught=AGAIN) is AGAIN
    assert answering([FOUR_CLASS, AGAIN], "four_class", TRUTHS) is FOUR_CLASS
