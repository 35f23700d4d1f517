"""Names of people become names of columns: plain, different, and found again."""

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peculiar.questions.column_names import COLUMNS_NOTE, answer_columns, class_columns, find_answer_columns, plain
from peculiar.questions.question import CLEAN5, FOUR_CLASS, ODD, QUESTIONS, Question

NAMES = st.text(max_size=300) | st.sampled_from(
    ["", " ", "a b", "A_B", "ü", "Ü", "u", "0", "1", "p_a", "a/b", "class", "環"]
)


@st.composite
def asked(draw: st.DrawFn) -> list[Question]:
    """Questions of one model: any names, which differ."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    return [
        Question(
            name,
            tuple(draw(st.lists(NAMES, min_size=2, max_size=6, unique=True))),
            votes=("a", "b") if draw(st.booleans()) else (),
        )
        for name in names
    ]


@pytest.mark.parametrize("answer", [one for question in (FOUR_CLASS, CLEAN5, ODD) for one in question.answers])
@pytest.mark.parametrize("spelt", [str.upper, str.lower])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("more", [(), ("third",)])
def test_an_answer_of_two_questions_has_no_column_that_could_be_taken_for_either(
    answer: str, spelt: Callable[[str], str], first: bool, more: tuple[str, ...]
) -> None:
    # Of two answers, the first has no column: p_edge_on would still be read as its probability.
    taught = Question("mine", (spelt(answer), "new", *more) if first else ("new", spelt(answer), *more))
    found = answer_columns([FOUR_CLASS, CLEAN5, ODD, taught])
    names = [name for columns in found.values() for name in columns.values()]
    assert f"p_{plain(answer)}" not in names
    if not first or more:
        assert f"p_mine_{plain(answer)}" in names
    for question in (FOUR_CLASS, CLEAN5, ODD, taught):
        assert find_answer_columns(question, names, {}, [FOUR_CLASS, CLEAN5, ODD, taught])[1:] == [
            found[question.name][one] for one in question.answers[1:]
        ]


@given(questions=asked())
def test_columns_are_plain_different_and_found_again(questions: list[Question]) -> None:
    found = answer_columns(questions)
    columns = [*(name for one in found.values() for name in one.values()), *class_columns(questions).values()]
    assert len({name.casefold() for name in columns}) == len(columns)
    for name in columns:
        assert re.fullmatch(r"(p|class)_[a-z0-9_-]+", name)
        assert len(name) <= 63
    note = {COLUMNS_NOTE.upper(): json.dumps(found)}
    for question in questions:
        last = len(question.answers) == 2 and not question.votes
        answers = question.answers[last:]
        expected = [found[question.name][answer] for answer in answers]
        assert find_answer_columns(question, columns, note)[last:] == expected
        assert find_answer_columns(question, columns, {}, questions)[last:] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ringed", "ringed"),
        ("a b", "a_b"),
        ("ü", "u"),
        ("Straße", "strasse"),
        ("p.x", "p_x"),
        ("a/b\\c", "a_b_c"),
        ('it\'s "odd"\n', "it_s_odd"),
        ("smooth-or-featured", "smooth-or-featured"),
        ("環", ""),
        ("", ""),
        (" ?! ", ""),
        ("x" * 200, "x" * 24),
        ("Robert'); DROP TABLE students;--", "robert_drop_table_studen"),
    ],
)
def test_names_become_plain(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_names_of_the_model_that_ships_and_of_a_taught_one() -> None:
    shape = Question("shape", ("flat", "round"))
    found = answer_columns([FOUR_CLASS, CLEAN5, ODD, shape])
    assert list(found["four_class"].values()) == ["p_normal", "p_ringed", "p_merger", "p_other"]
    assert list(found["clean5"].values()) == ["p_clean5_round", "p_in_between", "p_cigar", "p_edge_on", "p_spiral"]
    assert found["odd"] == {"odd": "p_odd"}
    assert found["shape"] == {"round": "p_shape_round"}
    assert answer_columns([FOUR_CLASS, CLEAN5, ODD])["clean5"]["round"] == "p_round"
    assert class_columns([FOUR_CLASS, Question("Four class", ("a", "b"))]) == {
        "four_class": "class_four_class",
        "Four class": "class_four_class_2",
    }


def test_a_question_of_another_name_with_the_same_answers_is_found() -> None:
    shape = Question("shape", ("flat", "round"))
    questions = [FOUR_CLASS, CLEAN5, ODD, shape]
    found = answer_columns(questions)
    columns = [name for one in found.values() for name in one.values()]
    label = Question("label", ("flat", "round"))
    for notes, known in (({COLUMNS_NOTE: json.dumps(found)}, ()), ({}, questions)):
        assert find_answer_columns(label, columns, notes, known)[1] == "p_shape_round"
    # Three answers are no question with two, of which the second is one of the three.
    other = Question("other", ("flat", "round", "spiral"))
    assert find_answer_columns(other, columns, {COLUMNS_NOTE: json.dumps(found)})[1:] == ["p_round", "p_spiral"]


@pytest.mark.parametrize("note", ["", "[]", "3", '{"shape": 3}', '{"shape": {"flat": 3}}', "{", '{"shape": {}}'])
def test_a_note_of_somebody_else_is_passed_over(note: str) -> None:
    assert find_answer_columns(FOUR_CLASS, ["p_normal"], {COLUMNS_NOTE: note})[0] == "p_normal"


def test_tables_of_other_programs_are_read_by_the_answers() -> None:
    question = Question("bar", ("strong bar", "no bar"))
    assert find_answer_columns(question, ["p_strong bar", "p_bar_no_bar"], {}) == ["p_strong bar", "p_bar_no_bar"]
    for known in QUESTIONS.values():
        columns = list(answer_columns([known])[known.name].values())
        assert find_answer_columns(known, columns, {}) == columns
