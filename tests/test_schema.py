"""Questions, their answers, and finding the question that labels answer."""

from pathlib import Path

import pytest

from peculiar.errors import LabelError
from peculiar.schema import CLEAN5, FOUR_CLASS, GALAXY10_DECALS, GALAXY10_SDSS, ODD, QUESTIONS, Question, question_for

PATH = Path("galaxies.csv")


def test_the_exercise_s_classes_are_in_the_order_of_its_labels() -> None:
    assert FOUR_CLASS.answers == ("Normal", "Ringed", "Merger", "Other")


@pytest.mark.parametrize("question", [GALAXY10_DECALS, GALAXY10_SDSS], ids=lambda question: question.name)
def test_galaxy10_has_ten_classes(question: Question) -> None:
    assert len(question.answers) == 10


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_questions_are_consistent(question: Question) -> None:
    assert QUESTIONS[question.name] is question
    assert len(set(question.answers)) == len(question.answers)
    assert len(question.meanings) in (0, len(question.answers))


def test_labels_that_are_answers_or_unknown_pass_the_check() -> None:
    assert FOUR_CLASS.check(["Normal", None, "Merger"], PATH) is None


def test_strange_labels_are_counted_and_the_most_frequent_named() -> None:
    with pytest.raises(LabelError) as caught:
        FOUR_CLASS.check(["Merger", "merger", "merger", "spiral", None], PATH)
    assert str(caught.value) == (
        "galaxies.csv: 3 galaxies have labels that are no answers to 'four_class'; the most frequent is 'merger', 2 "
        "times (did you mean 'Merger'?). The answers are: Normal, Ringed, Merger, Other"
    )


def test_a_strange_label_without_a_close_answer_gets_no_hint() -> None:
    with pytest.raises(LabelError, match=r"'xyz', 1 times\. The answers"):
        FOUR_CLASS.check(["xyz"], PATH)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_the_question_of_a_column_is_found_by_its_name(question: Question) -> None:
    assert question_for(question.name, question.answers[:2]) is question


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_the_question_of_a_column_is_found_by_its_labels(question: Question) -> None:
    assert question_for("label", question.answers) is question


def test_labels_decide_where_the_name_is_that_of_another_question() -> None:
    assert question_for("four_class", ["round", "spiral"]) is CLEAN5


def test_a_name_decides_between_questions_that_share_answers() -> None:
    shared = ["in_between_round_smooth", "cigar_shaped_smooth"]
    assert question_for("galaxy10_decals", shared) is not question_for("galaxy10_sdss", shared)
    assert question_for("galaxy10_sdss", [*shared[:1]]) is GALAXY10_SDSS


def test_other_labels_make_a_question_of_their_own_in_alphabetical_order() -> None:
    assert question_for("gz2_argmax", ["smooth", "odd", "smooth", "features"]) == Question(
        "gz2_argmax", ("features", "odd", "smooth")
    )


def test_no_labels_make_a_question_without_answers() -> None:
    assert question_for("four_class", []) == Question("four_class", ())


def test_a_question_s_column_is_called_as_the_question_unless_told() -> None:
    assert FOUR_CLASS.column == "four_class"
    assert (ODD.column, ODD.answers[1]) == ("gz2_argmax", "odd")
    assert not set(ODD.silent) & set(ODD.answers)
    assert all(0 < value < 1 for _, value in FOUR_CLASS.trust)
