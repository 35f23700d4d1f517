"""Names of catalogue columns, made from the names of questions and answers.

Names consist of lower-case ASCII letters, digits, hyphens and underscores, so that every format, SQL and FITS headers
can hold them. No two columns have the same name, not even with different case. The catalogue notes which column holds
which answer.
"""

import itertools
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pydantic import TypeAdapter, ValidationError

from peculiar.questions.question import Question

COLUMNS_NOTE = "answer columns"
"""Note of a catalogue, JSON: by question and answer, the column of the probability."""

MAIN_NOTE = "question"
"""Note of a catalogue: the question that its column ``class`` answers."""

_LONGEST = 24
"""Characters that are kept of a question or an answer: a FITS header has room for two such names and more."""

_LONGEST_COUNT = 60
"""Characters of an answer in the name of a column of votes, as FITS headers write it."""

Columns = dict[str, dict[str, str]]
"""Names of columns, by question and answer."""

_NOTE = TypeAdapter(Columns)


def plain(text: str) -> str:
    """Return a name as part of a column name, such as ``edge-on`` or ``a_b``; empty if nothing remains.

    Accents are dropped (``ü`` becomes ``u``); every run of other characters becomes an underscore.
    """
    letters = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9_-]+", "_", letters)[:_LONGEST].strip("_")


def answer_columns(questions: Sequence[Question]) -> Columns:
    """Name the columns of probabilities.

    A column is ``p_`` and the answer. If several questions have an answer of that name, and for questions with votes,
    the question comes before the answer, as in Galaxy Zoo's catalogues: ``p_shape_round``. No column is called
    ``p_round`` then, because it could be taken for either question's. If a name is taken, a number follows:
    ``p_shape_round_2``. A question or answer of which nothing remains becomes its number, counted from 0.

    Parameters
    ----------
    questions : sequence of Question
        Of one model, in its order; their names differ.

    Returns
    -------
    dict of str to dict of str to str
        By question and answer. A question with two answers and without votes for both has a column for the second only.
    """
    taken: set[str] = set()
    found: Columns = {}
    shared = _shared(questions)
    for place, question in enumerate(questions):
        whole = len(question.answers) != 2 or len(question.votes) == 2
        columns = found[question.name] = {}
        for number, answer in enumerate(question.answers):
            if number or whole:
                short = _short(answer, number)
                long = f"p_{plain(question.name) or place}_{short}"
                columns[answer] = _free([long] if question.votes or short in shared else [f"p_{short}", long], taken)
    return found


def _short(answer: str, number: int) -> str:
    """Return the part of a column name that stands for an answer: its plain name or, if that is empty, its number."""
    return plain(answer) or str(number)


def _shared(questions: Sequence[Question]) -> set[str]:
    """Return the names of answers that several questions without votes have, with a column or not."""
    counts = Counter(
        short
        for question in questions
        if not question.votes
        for short in {_short(answer, number) for number, answer in enumerate(question.answers)}
    )
    return {short for short, count in counts.items() if count > 1}


def derived_columns(questions: Sequence[Question], prefix: str) -> Columns:
    """Name columns that belong to those of the probabilities, such as ``p_joint_bar_strong`` to ``p_bar_strong``.

    Parameters
    ----------
    questions : sequence of Question
        Of one model, in its order.
    prefix : {"p_joint_", "low_", "high_"}
        The beginning of their names, in place of ``p_``.

    Returns
    -------
    dict of str to dict of str to str
        By question and answer, as `answer_columns`.
    """
    known = answer_columns(questions)
    taken = {name for columns in known.values() for name in columns.values()}
    return {
        question: {answer: _free([prefix + name.removeprefix("p_")], taken) for answer, name in columns.items()}
        for question, columns in known.items()
    }


def class_columns(questions: Sequence[Question]) -> dict[str, str]:
    """Name the columns of the most probable answers, by question: ``class_`` and the question."""
    taken: set[str] = set()
    return {
        question.name: _free([f"class_{plain(question.name) or place}"], taken)
        for place, question in enumerate(questions)
    }


def count_columns(answers: Sequence[str]) -> dict[str, str]:
    """Name the columns of votes of a single question: ``n_`` and the answer.

    An answer that a FITS header cannot hold, or that differs from another one only in case, is replaced by its plain
    name and a checksum. So the name does not depend on the order of the answers.

    Parameters
    ----------
    answers : sequence of str

    Returns
    -------
    dict of str to str
        By answer.
    """
    folded = Counter(answer.casefold() for answer in answers)

    def name(answer: str) -> str:
        written = len(answer.encode("ascii", "backslashreplace")) + answer.count("'")  # headers double it
        if answer == answer.strip() and folded[answer.casefold()] == 1 and written <= _LONGEST_COUNT:
            return f"n_{answer}"
        return f"n_{plain(answer)}_{zlib.crc32(answer.encode()):08x}"

    return {answer: name(answer) for answer in answers}


def find_answer_columns(
    question: Question, columns: Sequence[str], notes: Mapping[str, str], questions: Sequence[Question] = ()
) -> list[str]:
    """Return the columns of a table with the probabilities of the answers to a question, in their order.

    They are those that the table notes for a question with these answers; or those of a model; or those named like the
    answers, with or without the question. The first of two answers may have no column, because the second determines
    it. A returned name need not exist.

    Parameters
    ----------
    question : Question
    columns : sequence of str
        That the table has.
    notes : mapping of str to str
        Of the table.
    questions : sequence of Question
        Of the model that may have made it.
    """
    asked = [one for one in questions if set(one.answers) == set(question.answers)]
    asked.sort(key=lambda one: one.name != question.name)
    of_model = answer_columns(questions)
    for known in (_noted(question, notes), *(of_model[one.name] for one in asked)):
        if known and set(known.values()) <= set(columns):
            return [known.get(answer, f"p_{plain(answer)}") for answer in question.answers]
    found = []
    for number, answer in enumerate(question.answers):
        short = _short(answer, number)
        called = (f"p_{plain(question.name)}_{short}", f"p_{short}", f"p_{answer.lower()}")
        found.append(next((name for name in called if name in columns), called[1]))
    return found


def noted_columns(notes: Mapping[str, str]) -> Columns:
    """Return the columns of probabilities that a table notes; empty if it notes none."""
    try:
        return _NOTE.validate_json(_note(notes, COLUMNS_NOTE) or "{}")
    except ValidationError:  # a note of this name from elsewhere
        return {}


def main_question(notes: Mapping[str, str]) -> str:
    """Return the name of the question that a table is about; empty if it notes none."""
    return _note(notes, MAIN_NOTE)


def taught_question(notes: Mapping[str, str]) -> str | None:
    """Return the name of the question that the model of a catalogue was taught last; None if it was taught none."""
    noted, name = noted_columns(notes), main_question(notes)
    return name if name in noted and name != next(iter(noted)) else None


def is_for(question: Question, columns: Mapping[str, str]) -> bool:
    """Return whether columns, by answer, are those of a question: all, or the one that one of two answers has."""
    needed = {len(question.answers), len(question.answers) - (len(question.answers) == 2)}
    return set(columns) <= set(question.answers) and len(columns) in needed


def _note(notes: Mapping[str, str], name: str) -> str:
    # FITS headers write their keywords in capitals.
    return next((text for key, text in notes.items() if key.lower() == name), "")


def _noted(question: Question, notes: Mapping[str, str]) -> Mapping[str, str]:
    """Return the columns that a table notes for a question of this name, or for the last one with the same answers."""
    alike = {name: one for name, one in noted_columns(notes).items() if is_for(question, one)}
    return alike.get(question.name) or next(reversed(alike.values()), {})


def _free(names: Sequence[str], taken: set[str]) -> str:
    """Return the first of the names that is free, or the last with a number, and mark it as taken."""
    numbered: Iterator[str] = (f"{names[-1]}_{number}" for number in itertools.count(2))
    name = next(name for name in itertools.chain(names, numbered) if name not in taken)
    taken.add(name)
    return name
