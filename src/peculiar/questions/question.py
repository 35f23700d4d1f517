"""Questions about a galaxy and their answers, as data.

The order of a question's answers is the order of its classes everywhere: in one-hot labels, in the outputs of a
network, in the columns of a catalogue. Questions whose answers lead to further questions form a decision tree.
"""

import difflib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, TypeGuard

from peculiar.errors import LabelError, NotFoundError, UnknownNameError
from peculiar.files.places import place
from peculiar.questions.spelling import number_meanings
from peculiar.text import counted


@dataclass(frozen=True, slots=True)
class Question:
    """One question with mutually exclusive answers.

    Parameters
    ----------
    name : str
    answers : tuple of str
        In the order of the classes.
    meanings : tuple of str
        What each answer says about a galaxy, in the same order; optional.
    column : str
        The column that holds its labels; default: the name of the question.
    silent : tuple of str
        Values of that column that are not answers.
    basis : str
        The column with the origin of a label, if there is one.
    trust : tuple of (str, float)
        Weight of the labels of each basis in training, 0 to 1; others have weight 1.
    asks : str
        The question as people read it; default: its name.
    votes : tuple of str
        For a question with votes: the column of each answer, with counts or fractions. Then there is no column of
        labels. If the first answer has none, its votes are the rest of `total`.
    total : str
        The column with the number of people asked, if the first answer has no column of votes; empty for fractions,
        whose total is 1.
    after : tuple of (str, str)
        In a decision tree, the questions and answers that lead to it; empty if everyone is asked.

    Examples
    --------
    >>> from peculiar import Question
    >>> Question("bar", ("bar", "no bar")).asks
    'bar?'
    """

    name: str
    answers: tuple[str, ...]
    meanings: tuple[str, ...] = ()
    column: str = ""
    silent: tuple[str, ...] = ()
    basis: str = ""
    trust: tuple[tuple[str, float], ...] = ()
    asks: str = ""
    votes: tuple[str, ...] = ()
    total: str = ""
    after: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Set the defaults of `column` and `asks` from the name."""
        if not self.column:
            object.__setattr__(self, "column", self.name)
        if not self.asks:
            object.__setattr__(self, "asks", self.name.replace("_", " ") + "?")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that its answers are read from: those of the votes and of their total, or that of the labels."""
        return (*self.votes, *filter(None, [self.total])) if self.votes else (self.column,)

    @property
    def yes_or_no(self) -> bool:
        """True if its answers are yes and no, which many questions have."""
        return {answer.casefold() for answer in self.answers} == {*SEVERAL}

    def check(self, labels: Iterable[str | None], path: Path) -> None:
        """Raise `LabelError` if labels, found in `path`, are not answers. None is an unknown label, and allowed."""
        strange = Counter(label for label in labels if label is not None and label not in self.answers)
        if strange:
            label, count = strange.most_common(1)[0]
            close = difflib.get_close_matches(label.strip(), self.answers, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            meanings = number_meanings(strange, self.answers)
            advice = f"; if the numbers stand for {meanings}, write these names in their place" if meanings else ""
            message = (
                f"{path}: {counted(strange.total(), 'galaxy', 'have', 'has')} labels that are not answers to "
                f"{self.name!r}; the most frequent is {label!r}, {counted(count, 'time')}{hint}. The "
                f"answers are: {', '.join(self.answers)}{advice}"
            )
            raise LabelError(message)


@dataclass(frozen=True, slots=True)
class Tree:
    """A decision tree of questions; a single question is a tree of one.

    Parameters
    ----------
    name : str
    questions : tuple of Question
        The first is asked first.
    leads : mapping of (str, str) to str
        By question and answer, the question that is asked next; other answers end the path. Several answers may lead to
        the same question, so that branches meet again.

    Raises
    ------
    LabelError
        If two questions have the same name, an answer leads nowhere or in a circle, or a question cannot be reached.
    """

    name: str
    questions: tuple[Question, ...]
    leads: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that every path begins at the first question and ends."""
        names = [question.name for question in self.questions]
        problems = [f"two questions are called {name!r}" for name, count in Counter(names).items() if count > 1]
        if not names:
            problems.append("there is no question")
        for (asked, answer), to in self.leads.items():
            if asked not in names or answer not in self[asked].answers:
                problems.append(f"{asked!r} has no answer {answer!r} that could lead to {to!r}")
            if to not in names:
                problems.append(f"{answer!r} to {asked!r} leads to {to!r}, and there is no such question")
        if not problems:
            following = {name: {to for (asked, _), to in self.leads.items() if asked == name} for name in names}
            problems += _circles(following) + _lost(names, following)
        if problems:
            message = f"the questions of {self.name!r} do not form a tree: {'; '.join(problems)}"
            raise LabelError(message)

    @property
    def root(self) -> Question:
        """The question that is asked first."""
        return self.questions[0]

    def __getitem__(self, name: str) -> Question:
        """Return a question by its name; raises `UnknownNameError` if there is none."""
        for question in self.questions:
            if question.name == name:
                return question
        raise UnknownNameError("question", name, [question.name for question in self.questions])

    def after(self, name: str, answer: str) -> Question | None:
        """Return the question after an answer; None if the path ends.

        An empty answer (unsure) leads on if all answers lead to the same question.
        """
        reached = {self.leads.get((name, one)) for one in ([answer] if answer else self[name].answers)}
        following = reached.pop() if len(reached) == 1 else None
        return None if following is None else self[following]


def _circles(following: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(following).prepare()
    except CycleError as error:
        return [f"they form a circle: {' > '.join(reversed(error.args[1]))}"]
    return []


def _lost(names: list[str], following: Mapping[str, set[str]]) -> list[str]:
    reached, waiting = set(names[:1]), names[:1]
    while waiting:
        new = following[waiting.pop()] - reached
        reached |= new
        waiting += new
    return [f"no answer leads to {name!r}" for name in names if name not in reached]


SEVERAL = ("no", "yes")
"""Answers to the question whether an answer is among several that people gave at once."""


FOUR_CLASS = Question(
    "four_class",
    ("Normal", "Ringed", "Merger", "Other"),
    (
        "no identifying characteristics",
        "a ring around or within the galaxy",
        "two or more galaxies merging",
        "irregular: disturbed, lensing, a dust lane or another oddity",
    ),
    asks="What kind of galaxy is this?",
    basis="four_class_basis",
    # Only some of the DECaLS galaxies with a ring have the tag: plain rings and disturbed galaxies are among the
    # untagged. Automated looks agree with volunteers at 86-90 % if they were certain, and at 60-80 % if not.
    trust=(("ring_tag", 0.5), ("no_ring_tag", 0.5), ("two_looks", 0.8), ("weak_looks", 0.35)),
)
"""The exercise's four classes."""

KINDS_OF_ODD = FOUR_CLASS.answers[1:]
"""The answers to `FOUR_CLASS` that mean that a galaxy is odd."""

CLEAN5 = Question(
    "clean5",
    ("round", "in_between", "cigar", "edge_on", "spiral"),
    (
        "smooth and round",
        "smooth, between round and cigar-shaped",
        "smooth and cigar-shaped",
        "a disc seen edge-on",
        "a disc with spiral arms",
    ),
    asks="What shape does the galaxy have?",
)
"""Five-way morphology of galaxies that Galaxy Zoo 2 volunteers agreed on (Willett et al. 2013)."""

ODD = Question(
    "odd",
    ("not_odd", "odd"),
    ("nothing odd about it", "something odd: a ring, a merger, a disturbance, a lens, a dust lane"),
    asks="Is there anything odd about the galaxy?",
    column="gz2_argmax",
    silent=("smooth", "features", "artifact"),
)
"""Whether Galaxy Zoo 2 volunteers agreed that something about a galaxy is odd (Willett et al. 2013, task 06)."""

GALAXY10_DECALS = Question(
    "galaxy10_decals",
    (
        "disturbed",
        "merging",
        "round_smooth",
        "in_between_round_smooth",
        "cigar_shaped_smooth",
        "barred_spiral",
        "unbarred_tight_spiral",
        "unbarred_loose_spiral",
        "edge_on_without_bulge",
        "edge_on_with_bulge",
    ),
    asks="What shape does the galaxy have?",
)
"""The classes of Galaxy10 DECaLS, in the order of its numbers 0 to 9 (Leung & Bovy; Walmsley et al. 2022)."""

GALAXY10_SDSS = Question(
    "galaxy10_sdss",
    (
        "face_on_no_spiral",
        "completely_round_smooth",
        "in_between_round_smooth",
        "cigar_shaped_smooth",
        "edge_on_rounded_bulge",
        "edge_on_boxy_bulge",
        "edge_on_no_bulge",
        "tight_spiral",
        "medium_spiral",
        "loose_spiral",
    ),
    asks="What shape does the galaxy have?",
)
"""The classes of Galaxy10 SDSS, in the order of its numbers 0 to 9 (Leung & Bovy; Lintott et al. 2011)."""

GALAXY_MNIST = Question(
    "galaxy_mnist",
    ("smooth_round", "smooth_cigar", "edge_on_disk", "unbarred_spiral"),
    (
        "smooth and round",
        "smooth and cigar-shaped",
        "a disc seen edge-on",
        "a disc with spiral arms and without a bar",
    ),
    asks="What shape does the galaxy have?",
)
"""The classes of GalaxyMNIST, in the order of its numbers 0 to 3 (Walmsley et al. 2022, MNRAS 509, 3966)."""

QUESTIONS = {question.name: question for question in (FOUR_CLASS, CLEAN5, GALAXY10_DECALS, GALAXY10_SDSS, GALAXY_MNIST)}

_PACKAGED = {**QUESTIONS, ODD.name: ODD}


def question_for(name: str, labels: Iterable[str]) -> Question:
    """Find the question that labels answer.

    Parameters
    ----------
    name : str
        Name of the column, or another name of the labels.
    labels : iterable of str
        The labels that occur.

    Returns
    -------
    Question
        A question of this module whose answers include the labels (one of that name first), otherwise a new one with
        the labels in alphabetical order.
    """
    found = set(labels)
    for question in sorted(QUESTIONS.values(), key=lambda question: question.name != name):
        if found and found <= set(question.answers):
            return question
    return Question(name, tuple(sorted(found)))


def answering(
    questions: Sequence[Question],
    column: str | None,
    labels: Iterable[str | None],
    *,
    taught: Question | None = None,
) -> Question | None:
    """Return the question that a column of labels answers; None if there is none.

    Among the questions whose answers include all labels, it is the one that a model was taught last, otherwise the one
    with the name of the column, otherwise the first. If there is none, it is the question with the name of the column.
    Yes and no do not tell questions apart: if these were taught, the question with the name of the column comes first.

    Parameters
    ----------
    questions : sequence of Question
    column : str or None
    labels : iterable of (str or None)
        Values of the column; None is an unknown label.
    taught : Question, optional
        Which of them a model was taught last.
    """
    found = {label for label in labels if label is not None}
    called = [one for one in questions if column in (one.name, one.column)]
    last = [] if taught is None or (called and taught.yes_or_no) else [taught]
    fitting = [one for one in (*last, *called, *questions) if found and found <= {*one.answers, *one.silent}]
    return next(iter((*fitting, *called)), None)


def is_file(name: object) -> TypeGuard[str]:
    """Return whether the name of a question is the path of a TOML file."""
    return isinstance(name, str) and name.lower().endswith(".toml")


def find_tree(name: str) -> Tree:
    """Return questions by name: a question of this module, a decision tree of the package, or a TOML file.

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


LABELLING = ("campaign", "guide")
"""Tables in the file of a question that only labelling uses."""

_NAMED = "'name' has to be text of up to 64 letters, digits, spaces, hyphens and underscores"


def _is_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w[\w -]{0,63}", value) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= 200 and value.isprintable()


def _faults(table: Mapping[str, Any], *, alone: bool) -> list[str]:
    """Return what is wrong with the description of one question."""
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


_TREES = Path(__file__).parent / "trees"

TREES = (
    *("gz2", "gz_decals", "gz_desi", "gz_hubble", "gz_candels"),
    *("gz_cosmic_dawn", "gz_euclid", "gz_jwst"),
)
"""Names of the decision trees of the package, which are those of Galaxy Zoo's campaigns."""
