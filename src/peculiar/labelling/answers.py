"""Answers in a database: written as tables, read from Zooniverse, compared between annotators."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from peculiar.errors import UsageError
from peculiar.files.places import place
from peculiar.labelling.consensus import consensus
from peculiar.labelling.database import Event, Labels
from peculiar.labelling.export import export_answers, export_wide
from peculiar.labelling.gold import gold_lines, gold_skills
from peculiar.labelling.zooniverse import Chosen, Imported, import_classifications
from peculiar.metrics.agreement import Skill, kappas, krippendorff_alpha, skills
from peculiar.questions.question_file import find_tree
from peculiar.text import counted, shown


def export_labels(
    db: str | os.PathLike[str], out: str | os.PathLike[str], what: str = "labels", *, question: str | None = None
) -> int:
    """Write the answers of a database as a table.

    Parameters
    ----------
    db : path-like
        The database, as written by `label`.
    out : path-like
        Its suffix decides the format: ``.parquet``, ``.csv``, ``.fits``, ``.vot`` or ``.ecsv``.
    what : {"labels", "votes", "events", "wide", "consensus"}
        Majority answers, counts of each answer, all events, counts of the answers to all questions (of a decision
        tree), or what `consensus` returns without a catalogue.
    question : str, optional
        Name of the question; default: the only one.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    NotFoundError
        If the database does not exist.
    UnknownNameError
        If the question is unknown.
    UsageError
        If the database has several questions and none is named, or holds no answers.
    LabelError
        If there is nothing to make a consensus of.

    Examples
    --------
    >>> import peculiar
    >>> peculiar.export_labels("labels.db", "labels.csv")
    2
    """
    if what == "consensus":
        return consensus(db, question=question).write(out)
    with Labels(db, create=False) as labels:
        if what == "wide":
            if question is not None:
                message = f"a wide table has all questions; received {question!r} for one of them"
                raise UsageError(message)
            return export_wide(labels, out)
        return export_answers(labels, out, labels.only(question).name, what)


def import_labels(
    file: str | os.PathLike[str],
    db: str | os.PathLike[str] = "labels.db",
    question: str = "four_class",
    *,
    tasks: Mapping[str, str] | None = None,
    workflow: str | None = None,
    version: str | None = None,
    id: str | None = None,
) -> Imported:
    """Store classifications from Zooniverse as answers; known ones are not stored again.

    Parameters
    ----------
    file : path-like
        The CSV file of classifications that Zooniverse exported.
    db : path-like
        The database of answers; created if it does not exist.
    question : str
        Name of a question or a tree, or a TOML file.
    tasks : mapping of str to str, optional
        Names of questions by task of the workflow, as in ``{"T0": "smooth"}``; an empty name is the tree's first.
    workflow : str, optional
        Number or name of the workflow, if several answer the question.
    version : str, optional
        First version of the workflow that counts, as in "12" or "12.7".
    id : str, optional
        Entry of a subject with the id of the galaxy; default: the first of the usual names, else the number of the
        subject.

    Returns
    -------
    Imported
        Numbers of new, known and skipped answers.

    Raises
    ------
    LabelError
        If the file is not such an export, or its answers are not those of the question.
    UsageError
        If several workflows answer the question and none is named.

    Examples
    --------
    >>> import peculiar
    >>> peculiar.import_labels("classifications.csv", "answers.db", "odd").new
    2
    """
    tree = find_tree(question)
    asked = {task: name or tree.root.name for task, name in (tasks or {}).items()}
    with Labels(db) as labels:
        return import_classifications(place(file), labels, tree, Chosen(asked, workflow, version, id))


@dataclass(frozen=True, slots=True, repr=False)
class Agreement:
    """Agreement of annotators; see `agreement`.

    Parameters
    ----------
    question : str
    galaxies, several : int
        Number of galaxies with an answer, and with answers of several annotators.
    alpha : float or None
        Krippendorff's alpha; None if undefined.
    kappas : dict of (str, str) to (float or None, int)
        Cohen's kappa by pair of annotators, and the number of galaxies that both answered for.
    skills : list of Skill
        How often each annotator agrees with the majority of the others.
    gold : list of Skill
        How often each annotator is right on known galaxies; empty without such galaxies.
    """

    question: str
    galaxies: int
    several: int
    alpha: float | None
    kappas: dict[tuple[str, str], tuple[float | None, int]] = field(default_factory=dict)
    skills: list[Skill] = field(default_factory=list)
    gold: list[Skill] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the agreement as text, one line per figure."""
        lines = [
            f"{self.question}: {counted(self.galaxies, 'galaxy')}, {self.several:,} with answers of several annotators",
            f"Krippendorff's alpha: {_figure(self.alpha)}",
        ]
        for (one, other), (kappa, count) in self.kappas.items():
            lines.append(f"Cohen's kappa of {one} and {other} ({counted(count, 'galaxy')}): {_figure(kappa)}")
        for skill in self.skills:
            interval = "" if skill.low is None else f" ({skill.low:.2f} to {skill.high:.2f})"
            lines.append(f"{skill.who} agrees with the majority of the others: {_figure(skill.agreed)}{interval}")
        return lines + gold_lines(self.gold)

    def __repr__(self) -> str:
        """Return the agreement as text."""
        return "\n".join(map(shown, self.lines()))


def agreement(db: str | os.PathLike[str], *, question: str | None = None) -> Agreement:
    """Measure how far annotators agree: Krippendorff's alpha, Cohen's kappa, agreement with the majority of the others.

    Parameters
    ----------
    db : path-like
        The database, as written by `label`.
    question : str, optional
        Name of the question; default: the only one.

    Returns
    -------
    Agreement

    Raises
    ------
    NotFoundError
        If the database does not exist.
    UnknownNameError
        If the question is unknown.
    UsageError
        If the database has several questions and none is named, or holds no answers.

    Examples
    --------
    >>> import peculiar
    >>> found = peculiar.agreement("labels.db")
    >>> found.galaxies, found.several
    (2, 1)
    """
    with Labels(db, create=False) as labels:
        asked = labels.only(question).name
        found = agreement_of(asked, labels.current(asked))
        known = labels.gold(asked)
        return (
            replace(found, gold=gold_skills((event for _, event in labels.history(asked)), known)) if known else found
        )


def agreement_of(question: str, events: Iterable[Event]) -> Agreement:
    """Measure the agreement of the answers among events, of which an annotator has at most one for a galaxy."""
    ratings: dict[str, dict[str, str]] = {}
    for one in events:
        if one.kind == "answer":
            ratings.setdefault(one.galaxy, {})[one.who] = one.answer
    several = {galaxy: given for galaxy, given in ratings.items() if len(given) > 1}
    alpha = krippendorff_alpha(given.values() for given in several.values())
    return Agreement(question, len(ratings), len(several), alpha, kappas(several), skills(several))


def _figure(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.2f}"
