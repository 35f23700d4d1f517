"""Questions by name: those of the package, its decision trees, and TOML files."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

from peculiar.errors import LabelError, NotFoundError, UnknownNameError
from peculiar.files.places import place
from peculiar.questions.question import ODD, QUESTIONS, SEVERAL, Question, Tree

_TREES = Path(__file__).parent / "trees"

TREES = (
    *("gz2", "gz_decals", "gz_desi", "gz_hubble", "gz_candels"),
    *("gz_cosmic_dawn", "gz_euclid", "gz_jwst"),
)
"""Names of the decision trees of the package, which are those of Galaxy Zoo's campaigns."""

_PACKAGED = {**QUESTIONS, ODD.name: ODD}

LABELLING = ("campaign", "guide")
"""Tables in the file of a question that only labelling uses."""

_NAMED = "'name' has to be text of up to 64 letters, digits, spaces, hyphens and underscores"


def is_file(name: object) -> TypeGuard[str]:
    """Return True if the name of a question is the path of a TOML file."""
    return isinstance(name, str) and name.lower().endswith(".toml")


def find_tree(name: str) -> Tree:
    """Return questions by name: a question or decision tree of the package, or those of a TOML file.

    A file of one question has ``name``, ``answers`` (a list of texts) and optionally ``asks``, ``meanings`` and
    ``votes`` (lists as long as ``answers``; the latter are columns of votes). A file of several has ``name`` and, for
    each question, a table ``[[question]]`` with the same entries and optionally ``then``: the name of the next
    question, or a table of such names by answer. With ``several = true`` people may give several answers at once: each
    becomes a question of its own, named after both, with the answers "no" and "yes"; ``total`` names the column with
    the number of people asked. A file with ``name`` and ``like`` has the questions of the package that ``like`` names.
    The tables ``[campaign]`` and ``[[guide]]`` are for the labelling pages; see `peculiar.labelling.campaign`.

    Parameters
    ----------
    name : str
        A name, or the path of a file that ends in ``.toml``.

    Raises
    ------
    UnknownNameError
        If there is no question or decision tree of this name.
    NotFoundError
        If there is no such file.
    LabelError
        If the file does not describe a question, or its questions do not form a tree.
    """
    if is_file(name):
        return _read_tree(place(name))
    if (tree := _packaged(name)) is None:
        raise UnknownNameError("question", name, [*_PACKAGED, *TREES], "(for a question of your own, give a TOML file)")
    return tree


def _packaged(name: str) -> Tree | None:
    """Return a question or decision tree of the package; None if there is none of this name."""
    if name in TREES:
        return _read_tree(_TREES / f"{name}.toml")
    return Tree(name, (_PACKAGED[name],)) if name in _PACKAGED else None


def question_file(question: Question) -> str:
    """Return the name and the answers of a question as TOML, which `find_tree` reads.

    Raises
    ------
    LabelError
        If a file cannot hold them: a single answer, more than ten, or texts that are too long.
    """
    told = {"name": question.name, "answers": list(question.answers)}
    if problems := _faults(told, alone=True):
        raise LabelError("; ".join(problems))
    # JSON texts and lists of texts are TOML, too, except that TOML refuses a character escaped as two surrogates.
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in told.items())


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of the file of a question; raises `NotFoundError` or `LabelError` if it cannot be read."""
    if not path.is_file():
        raise NotFoundError(
            f"there is no question at {path}; write name, answers and perhaps meanings into it, as TOML"
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        message = f"{path}: cannot be read as TOML ({error})"
        raise LabelError(message) from error


def _read_tree(path: Path) -> Tree:
    told = {key: value for key, value in read_toml(path).items() if key not in LABELLING}
    if isinstance(like := told.get("like"), str) and set(told) == {"name", "like"} and _is_name(told["name"]):
        if (tree := _packaged(like)) is None:
            known = ", ".join([*_PACKAGED, *TREES])
            message = f"{path}: no question or tree of the package is called {like!r}; there are: {known}"
            raise LabelError(message)
        return replace(tree, name=told["name"])
    if "question" not in told:
        tables, problems = [told], []
    else:
        tables = told["question"]
        problems = [f"{key!r} is not known" for key in told if key not in ("name", "question")]
        if not _is_name(told.get("name")):
            problems.append(_NAMED)
        if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            problems.append("'question' has to be written as [[question]], once for each")
            tables = []
    for number, table in enumerate(tables, 1):
        found = _faults(table, alone="question" not in told)
        where = f"question {number} ({str(table.get('name'))[:80]}): " if "question" in told else ""
        problems += [where + one for one in found]
    if problems:
        message = f"{path}: {'; '.join(problems)}"
        raise LabelError(message)
    try:
        return _tree_of(told["name"], tables)
    except LabelError as error:
        message = f"{path}: {error}"
        raise LabelError(message) from error


def _tree_of(name: str, tables: Sequence[Mapping[str, Any]]) -> Tree:
    """Return the tree of checked descriptions of questions."""
    leads: dict[tuple[str, str], str] = {}
    # Several answers at once are asked for one after the other; the first stands for all.
    first = {
        one["name"]: _part_name(one["name"], one["answers"][0]) if one.get("several") else one["name"] for one in tables
    }
    questions: list[Question] = []
    for table in tables:
        asks = table.get("asks", "")
        if not table.get("several"):
            leads |= {way: first.get(to, to) for way, to in _ways(table).items()}
            answers, meanings = tuple(table["answers"]), tuple(table.get("meanings", ()))
            questions.append(Question(table["name"], answers, meanings, asks=asks, votes=tuple(table.get("votes", ()))))
            continue
        parts = [_part_name(table["name"], answer) for answer in table["answers"]]
        then = table.get("then") or ""
        following = [*parts[1:], first.get(then, then)]
        for number, (part, answer, to) in enumerate(zip(parts, table["answers"], following, strict=True)):
            called = f"{asks or table['name'].replace('_', ' ') + '?'} {answer}?"
            votes, total = table.get("votes", ()), table.get("total", f"{table['name']}_total-votes")
            meant = ("", *table["meanings"][number : number + 1]) if table.get("meanings") else ()
            one = Question(part, SEVERAL, meant, asks=called, votes=tuple(votes[number : number + 1]), total=total)
            questions.append(one)
            leads |= dict.fromkeys(((part, one) for one in SEVERAL), to) if to else {}
    after = {one.name: tuple(way for way, to in leads.items() if to == one.name) for one in questions}
    return Tree(name, tuple(replace(one, after=after[one.name]) for one in questions), leads)


def _part_name(name: str, answer: str) -> str:
    """Return the name of the question whether an answer is among several."""
    return f"{name}_{answer}"


def _ways(table: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    then = table.get("then", {})
    by_answer = dict.fromkeys(table["answers"], then) if isinstance(then, str) else then
    return {(table["name"], answer): following for answer, following in by_answer.items()}


def _is_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w[\w -]{0,63}", value) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= 200 and value.isprintable()


def _faults(table: Mapping[str, Any], *, alone: bool) -> list[str]:
    """Return the faults in the description of one question."""
    several = table.get("several", False)
    allowed = ("name", "answers", "meanings", "votes", "asks", "several", "total", *(() if alone else ("then",)))
    problems = [f"{key!r} is not known" for key in table if key not in allowed]
    if not _is_name(table.get("name")):
        problems.append(_NAMED)
    answers, meanings, then = table.get("answers", []), table.get("meanings", []), table.get("then", {})
    votes = table.get("votes", [])
    for key, values in (("answers", answers), ("meanings", meanings), ("votes", votes)):
        if not isinstance(values, list) or not all(_is_text(one) for one in values):
            problems.append(f"{key!r} has to be a list of texts of at most 200 printable characters each")
    if not _is_text(table.get("asks", "x")):
        problems.append("'asks' has to be text of at most 200 printable characters")
    if not isinstance(then, str) and not (isinstance(then, dict) and all(isinstance(to, str) for to in then.values())):
        problems.append("'then' has to be the name of the next question, or a table of such names by answer")
    if not isinstance(several, bool):
        problems.append("'several' has to be true or false")
    elif several and not isinstance(then, str) and then:
        problems.append("with several answers at once, 'then' has to be the name of the next question")
    if "total" in table and not (several and _is_text(table["total"])):
        problems.append("'total' is the column with the number of people asked, for several answers at once")
    if not problems:
        if not 2 <= len(set(answers)) == len(answers) <= 10:
            problems.append(f"2 to 10 different answers are needed, received {len(answers)}")
        if meanings and len(meanings) != len(answers):
            problems.append(f"there are {len(answers)} answers and {len(meanings)} meanings")
        if votes and not len(set(votes)) == len(votes) == len(answers):
            problems.append(f"there are {len(answers)} answers and {len(set(votes))} different columns of votes")
    return problems
