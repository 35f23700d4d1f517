"""Questions about a galaxy and their answers, as data.

The order of a question's answers is the order of its classes everywhere: in one-hot labels, in a network's outputs, in
the columns of a catalogue.
"""

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from peculiar.errors import LabelError, NotFoundError, UnknownNameError


@dataclass(frozen=True, slots=True)
class Question:
    """One question with mutually exclusive answers.

    Parameters
    ----------
    name : str
    answers : tuple of str
        In the order of the classes.
    meanings : tuple of str
        What each answer says about a galaxy, in the same order; may be empty.
    column : str
        The column that holds its labels; the question's name by default.
    silent : tuple of str
        Entries of that column that say nothing about the question.
    basis : str
        The column that says where a label comes from, if there is one.
    trust : tuple of (str, float)
        How far a label of each basis counts in training, 0 to 1; others count fully.
    """

    name: str
    answers: tuple[str, ...]
    meanings: tuple[str, ...] = ()
    column: str = ""
    silent: tuple[str, ...] = ()
    basis: str = ""
    trust: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        """Let the column be called as the question unless told otherwise."""
        if not self.column:
            object.__setattr__(self, "column", self.name)

    def check(self, labels: Iterable[str | None], path: Path) -> None:
        """Raise `LabelError` if labels, found in `path`, are none of the answers; None is not known, and fine."""
        strange = Counter(label for label in labels if label is not None and label not in self.answers)
        if strange:
            label, count = strange.most_common(1)[0]
            close = difflib.get_close_matches(label, self.answers, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            message = (
                f"{path}: {strange.total():,} galaxies have labels that are no answers to {self.name!r}; the most "
                f"frequent is {label!r}, {count:,} times{hint}. The answers are: {', '.join(self.answers)}"
            )
            raise LabelError(message)


FOUR_CLASS = Question(
    "four_class",
    ("Normal", "Ringed", "Merger", "Other"),
    (
        "no identifying characteristics",
        "a ring around or within the galaxy",
        "two or more galaxies merging",
        "irregular: disturbed, lensing, a dust lane or another oddity",
    ),
    basis="four_class_basis",
    # Untagged DECaLS galaxies hold disturbed ones too; automated looks agree with volunteers at 86-90 % where they were
    # sure, and at 60-80 % where not.
    trust=(("no_ring_tag", 0.8), ("two_looks", 0.8), ("weak_looks", 0.35)),
)
"""The exercise's four classes."""

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
)
"""Five-way morphology of galaxies that Galaxy Zoo 2 volunteers agreed on (Willett et al. 2013)."""

ODD = Question(
    "odd",
    ("not_odd", "odd"),
    ("nothing odd about it", "something odd: a ring, a merger, a disturbance, a lens, a dust lane"),
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
)
"""The classes of Galaxy10 SDSS, in the order of its numbers 0 to 9 (Leung & Bovy; Lintott et al. 2011)."""

QUESTIONS = {question.name: question for question in (FOUR_CLASS, CLEAN5, GALAXY10_DECALS, GALAXY10_SDSS)}


def question_for(name: str, labels: Iterable[str]) -> Question:
    """Find the question that labels answer.

    Parameters
    ----------
    name : str
        Name of the column, or whatever else the labels are known as.
    labels : iterable of str
        The labels that occur.

    Returns
    -------
    Question
        A question of this module where the labels are among its answers (one of that name first), else a new one with
        the labels in alphabetical order.
    """
    found = set(labels)
    for question in sorted(QUESTIONS.values(), key=lambda question: question.name != name):
        if found and found <= set(question.answers):
            return question
    return Question(name, tuple(sorted(found)))


def find_question(name: str) -> Question:
    """Return a question of this module by its name, or that which a small TOML file describes.

    The file has ``name``, ``answers`` (a list of texts) and perhaps ``meanings`` (as many).

    Parameters
    ----------
    name : str
        A name, or the path of a file that ends in ``.toml``.

    Raises
    ------
    UnknownNameError
        If there is no question of this name.
    NotFoundError
        If there is no such file.
    LabelError
        If the file describes no question.
    """
    known = {**QUESTIONS, ODD.name: ODD}
    if not name.lower().endswith(".toml"):
        if name not in known:
            raise UnknownNameError("question", name, known, "; one's own is a TOML file")
        return known[name]
    path = Path(name)
    if not path.is_file():
        raise NotFoundError(
            f"there is no question at {path}; write name, answers and perhaps meanings into it, as TOML"
        )
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        message = f"{path}: cannot be read as TOML ({error})"
        raise LabelError(message) from error
    asked, answers, meanings = (told.get(key, []) for key in ("name", "answers", "meanings"))
    problems = [f"{key!r} is not known" for key in told if key not in ("name", "answers", "meanings")]
    if not isinstance(asked, str) or not re.fullmatch(r"\w[\w -]{0,63}", asked):
        problems.append("'name' has to be a text of up to 64 letters, digits, spaces, hyphens and underscores")
    for key, values in (("answers", answers), ("meanings", meanings)):
        if not isinstance(values, list) or not all(isinstance(one, str) and one.strip() for one in values):
            problems.append(f"{key!r} has to be a list of texts")
        elif any(len(one) > 200 or not one.isprintable() for one in values):
            problems.append(f"{key!r} has to be of printable characters, 200 at the most each")
    if not problems:
        if not 2 <= len(set(answers)) == len(answers) <= 10:
            problems.append(f"2 to 10 different answers are needed, received {len(answers)}")
        if meanings and len(meanings) != len(answers):
            problems.append(f"there are {len(answers)} answers and {len(meanings)} meanings")
    if problems:
        message = f"{path}: {'; '.join(problems)}"
        raise LabelError(message)
    return Question(asked, tuple(answers), tuple(meanings))
