"""Campaigns of several annotators: answers per galaxy, known galaxies and a field guide, from a question's file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peculiar.errors import LabelError
from peculiar.files.places import place
from peculiar.labelling.classifications import match
from peculiar.questions.question import Question, Tree
from peculiar.questions.question_file import read_toml
from peculiar.sources.labels import LABEL_COLUMNS
from peculiar.tables.identifiers import entry_text
from peculiar.tables.key_columns import find_column
from peculiar.tables.reader import TableReader

_MOST_ANSWERS, _MOST_EVERY, _MOST_NOTE = 1_000, 1_000, 2_000


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the field guide.

    Parameters
    ----------
    question, answer : str
        What it illustrates; both are empty for a general note.
    note : str
        May be empty.
    picture : path, optional
    """

    question: str = ""
    answer: str = ""
    note: str = ""
    picture: Path | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    """Rules by which several annotators share galaxies; by default there are none.

    Parameters
    ----------
    answers : int, optional
        Number of annotators after whose answers a galaxy is no longer asked about.
    agree : int, optional
        Number of equal answers after which it is no longer asked about, even if there are fewer than `answers`.
    gold : dict of str to dict of str to str
        Known answers by the id of a galaxy, then by question.
    gold_every : int
        Of so many galaxies that an annotator is asked about, one is known.
    feedback : bool
        Tell annotators after an answer for a known galaxy whether it is right.
    guide : tuple of Entry
        The field guide.
    """

    answers: int | None = None
    agree: int | None = None
    gold: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    gold_every: int = 10
    feedback: bool = False
    guide: tuple[Entry, ...] = ()

    def note(self, question: Question, answer: str) -> str:
        """Return the note of the field guide on an answer, or its meaning if there is none, or an empty text."""
        notes = (one.note for one in self.guide if (one.question, one.answer) == (question.name, answer) and one.note)
        meanings = dict(zip(question.answers, question.meanings, strict=False))
        return next(notes, meanings.get(answer, ""))


def read_campaign(file: str, tree: Tree) -> Campaign:
    """Read the tables ``[campaign]`` and ``[[guide]]`` in the file of a question.

    ``[campaign]`` has ``answers`` and ``agree`` (whole numbers), ``gold`` (a table with ids and known answers),
    ``gold_every`` (a whole number) and ``feedback`` (true or false). Each ``[[guide]]`` has ``note``, ``picture`` or
    both, and optionally ``answer`` and ``question``. Files are named relative to the file of the question.

    Parameters
    ----------
    file : str
        Path that ends in ``.toml``.
    tree : Tree
        The questions in it.

    Raises
    ------
    LabelError
        If an entry is unknown or cannot be used.
    NotFoundError
        If there is no such file, or no table of known galaxies.
    """
    path = place(file)
    told = read_toml(path)
    rules, guide = told.get("campaign", {}), told.get("guide", [])
    problems = []
    if not isinstance(rules, dict):
        problems.append("'campaign' has to be written as [campaign]")
        rules = {}
    if not isinstance(guide, list) or not all(isinstance(one, dict) for one in guide):
        problems.append("'guide' has to be written as [[guide]], once for each entry")
        guide = []
    problems += _faults(rules)
    entries = []
    for number, one in enumerate(guide, 1):
        entry, found = _entry(one, tree, path.parent)
        entries.append(entry)
        problems += [f"guide {number}: {problem}" for problem in found]
    if problems:
        message = f"{path}: {'; '.join(problems)}"
        raise LabelError(message)
    gold = read_gold(path.parent / rules["gold"], tree) if "gold" in rules else {}
    others = {name: rules[name] for name in ("answers", "agree", "gold_every", "feedback") if name in rules}
    return Campaign(gold=gold, guide=tuple(entries), **others)


def _faults(rules: Mapping[str, Any]) -> list[str]:
    """Return the faults of the table ``[campaign]``."""
    limits = {"answers": (1, _MOST_ANSWERS), "agree": (2, _MOST_ANSWERS), "gold_every": (2, _MOST_EVERY)}
    problems = [f"{key!r} is not known in [campaign]" for key in rules if key not in (*limits, "gold", "feedback")]
    for name, (least, most) in limits.items():
        value = rules.get(name, least)
        if type(value) is not int or not least <= value <= most:
            problems.append(f"{name!r} has to be a whole number from {least} to {most}; received {value!r}")
    if not isinstance(rules.get("gold", ""), str):
        problems.append(f"'gold' has to be the path of a table; received {rules['gold']!r}")
    if not isinstance(rules.get("feedback", False), bool):
        problems.append(f"'feedback' has to be true or false; received {rules['feedback']!r}")
    problems += [
        f"{name!r} needs 'gold', a table of known galaxies"
        for name in ("gold_every", "feedback")
        if name in rules and "gold" not in rules
    ]
    if "agree" in rules and not problems and rules["agree"] >= rules.get("answers", rules["agree"] + 1):
        problems.append("'agree' has to be less than 'answers', before which it ends a galaxy")
    if "agree" in rules and "answers" not in rules:
        problems.append("'agree' needs 'answers', the number after which a galaxy ends in any case")
    return problems


def _entry(told: Mapping[str, Any], tree: Tree, folder: Path) -> tuple[Entry, list[str]]:
    """Return an entry of the guide, and what is wrong with it."""
    problems = [f"{key!r} is not known" for key in told if key not in ("question", "answer", "note", "picture")]
    texts = {name: told.get(name, "") for name in ("question", "answer", "note", "picture")}
    wrong = [name for name, text in texts.items() if not isinstance(text, str) or len(text) > _MOST_NOTE]
    problems += [f"{name!r} has to be text of at most {_MOST_NOTE} characters" for name in wrong]
    if problems:
        return Entry(), problems
    if not texts["note"].strip() and not texts["picture"]:
        problems.append("it needs a note or a picture")
    asked, answer = texts["question"], texts["answer"]
    names = [one.name for one in tree.questions]
    if asked and asked not in names:
        problems.append(f"there is no question {asked!r}; there are {', '.join(names)}")
    elif answer:
        fitting = [one.name for one in tree.questions if asked in ("", one.name) and answer in one.answers]
        if len(fitting) != 1:
            lacking = "no question has" if not fitting else f"{', '.join(fitting)} have"
            problems.append(f"{lacking} the answer {answer!r}" + ("; name one by 'question'" if fitting else ""))
        else:
            asked = fitting[0]
    picture = folder / texts["picture"] if texts["picture"] else None
    if picture is not None and not picture.is_file():
        problems.append(f"there is no picture at {picture}")
    return Entry(asked, answer, texts["note"].strip(), picture), problems


def read_gold(file: Path, tree: Tree) -> dict[str, dict[str, str]]:
    """Read the answers of known galaxies from a table with a column of ids and one for each question that is known.

    Parameters
    ----------
    file : path
        Its columns of answers have the names of the questions; for the first question a usual name of labels, such as
        ``label``, is enough. Empty entries are unknown.
    tree : Tree

    Returns
    -------
    dict of str to dict of str to str
        By id, then by question.

    Raises
    ------
    LabelError
        If no column has answers, or an entry is not an answer.
    """
    table = TableReader(file)
    ids = [entry_text(entry) for entry in table.column(table.id_column())]
    found: dict[str, dict[str, str]] = {}
    columns = {
        question.name: column
        for question in tree.questions
        if (column := find_column([question.name, question.column], table.columns)) is not None
    }
    if not columns and (column := find_column(LABEL_COLUMNS, table.columns)) is not None:
        columns[tree.root.name] = column
    if not columns:
        message = (
            f"{file}: no column has known answers; name it as the question, {tree.root.name!r}, or 'label'; there are: "
            f"{', '.join(table.columns)}"
        )
        raise LabelError(message)
    for name, column in columns.items():
        question = tree[name]
        texts = [entry_text(entry) for entry in table.column(column)]
        answers = [text if text is None else match(text, question.answers) or text for text in texts]
        question.check(answers, file)
        for id_, answer in zip(ids, answers, strict=True):
            if id_ and answer:
                found.setdefault(id_, {})[name] = answer
    return found
