"""Tables of probabilities with labels: the labels and ids that they lack."""

from pathlib import Path

import pytest

from peculiar.errors import LabelError, UnknownNameError
from peculiar.evaluation.probabilities import has_probabilities, read_table
from peculiar.questions.question import ODD, Question


def write(head: str, *rows: str) -> Path:
    path = Path("probabilities.csv")
    path.write_text("\n".join([head, *rows]))
    return path


def test_labels_without_ids_to_match_them_are_told() -> None:
    Path("labels.csv").write_text("id,odd\na,odd\nb,not_odd\n")
    with pytest.raises(UnknownNameError, match=r"no column 'id' in probabilities\.csv, to match the labels"):
        read_table(write("p_odd", "0.1", "0.9"), None, [ODD], labels=Path("labels.csv"))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("odd", "odd"), "all labels in 'ring' are 'odd', so the other classes are unknown"),
        (("", ""), "the column 'ring' holds no label"),
        (("odd", "not_odd", "", ""), "no galaxy has both a label in 'ring' and probabilities of not_odd, odd"),
    ],
)
def test_labels_that_score_nothing_are_told(labels: tuple[str, ...], said: str) -> None:
    rows = [f"g{number},{label},{'' if label else 0.5}" for number, label in enumerate(labels)]
    with pytest.raises(LabelError, match=rf"probabilities\.csv: {said}"):
        read_table(write("id,ring,p_odd", *rows), "ring", [])


def test_a_column_of_labels_has_to_be_named() -> None:
    with pytest.raises(LabelError, match=r"name the column of labels \(--label\).*columns are: id, kind, p_odd"):
        read_table(write("id,kind,p_odd", "a,odd,0.5"), None, [ODD])
    with pytest.raises(UnknownNameError, match="no column 'key'"):
        read_table(write("id,kind,p_odd", "a,odd,0.5"), "kind", [ODD], id="key")


def test_the_probability_of_the_second_answer_is_enough() -> None:
    found = read_table(write("id,ring,p_ring", "a,ring,0.75", "b,none,0.25", "c,,0.5"), "ring", [RING])
    assert found.ids == ["a", "b"]
    assert found.probabilities.tolist() == [[0.25, 0.75], [0.75, 0.25]]
    assert found.labels.tolist() == [1, 0]


@pytest.mark.parametrize(("column", "ringed"), [("p_yes", 0.75), ("p_no", 0.25), ("p_ring_no", 0.25)])
def test_the_probability_of_either_answer_is_enough_whatever_their_order(column: str, ringed: float) -> None:
    """A question of the user may be asked as yes or no; labels alone are in alphabetical order."""
    for questions in ([], [Question("ring", ("yes", "no"))], [Question("ring", ("no", "yes"))]):
        found = read_table(write(f"id,ring,{column}", f"a,yes,{ringed}", "b,no,0.5"), "ring", questions)
        yes = found.question.answers.index("yes")
        assert found.probabilities[:, yes].tolist() == [0.75, 0.5]
        assert found.labels.tolist() == [yes, 1 - yes]


RING = Question("ring", ("none", "ring"))


def test_a_table_without_pictures_has_probabilities_if_a_column_says_so() -> None:
    assert has_probabilities(write("id,p_x", "a,0.5"), None, [])
    assert not has_probabilities(write("id,x", "a,0.5"), None, [])
