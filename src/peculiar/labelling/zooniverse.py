"""Exchange with Zooniverse: import classifications, write manifests."""

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from peculiar.errors import DataError, NotFoundError, UsageError
from peculiar.files.formulas import marked
from peculiar.files.places import place
from peculiar.files.writing import writing_folder
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.labelling.classifications import (
    Choices,
    Classification,
    match,
    plain_question,
    read_classifications,
    version_key,
)
from peculiar.labelling.database import Event, Labels
from peculiar.questions.question import Question, Tree
from peculiar.sources.stream import Source, decode_row

_AT_ONCE = 2_000

_MOST_LISTED = 8

_Asked = Sequence[tuple[str | None, Question]]
"""Questions, and the task that asked each, if known."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The outcome of an import.

    Parameters
    ----------
    new : int
        Number of stored answers.
    known : int
        Number of answers that were stored before.
    passed_over : dict of str to int
        Reasons why other classifications were skipped, with their numbers, the most frequent first.
    again : int
        Number of answers of people who had answered for the same galaxy before in this export. The last one counts.
    unnamed : int
        Number of answers for galaxies that are identified only by the number of their subject.
    """

    new: int
    known: int
    passed_over: dict[str, int]
    again: int
    unnamed: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """The selected part of an export.

    Parameters
    ----------
    tasks : mapping of str to str
        The question of each task, as in {"T0": "shell"}. May be empty for a single question, if exactly one task has
        its answers.
    workflow : str, optional
        Number or name of the workflow.
    version : str, optional
        The first version that counts, as in "12" or "12.7".
    id_name : str, optional
        The entry of a subject with the galaxy's id. Default: ``#id`` or another usual name, otherwise the number of the
        subject.
    """

    tasks: Mapping[str, str] = field(default_factory=dict)
    workflow: str | None = None
    version: str | None = None
    id_name: str | None = None

    def leaves_out(self, one: Classification) -> str | None:
        """Return why a classification is not in the selected part, None if it is."""
        if self.workflow is not None and self.workflow not in (one.workflow, one.workflow_name):
            return f"workflow {one.workflow} ({one.workflow_name})"
        if self.version is not None and _version(one) < version_key(self.version):
            return f"version {one.version or 'unknown'}"
        return None


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer to a question, and its place in the export."""

    question: str
    answer: str
    choices: Choices


def import_classifications(
    path: str | os.PathLike[str], labels: Labels, tree: Tree, chosen: Chosen | None = None
) -> Imported:
    """Store Zooniverse's classifications as answers to questions.

    A classification becomes one event per task, named by its number, so that importing a longer export adds only new
    ones. The export of a project may hold several workflows, several versions of each, and several tasks with the same
    answers. If more than one of these matches a question, nothing is stored until one is selected.

    Parameters
    ----------
    path : path-like
        The CSV of "Request new classification export".
    labels : Labels
    tree : Tree
        The questions. Answers are compared with the choices of volunteers ignoring case, spaces, underscores, Markdown
        and emoji. Combination tasks are included. In multiple-choice tasks and dropdowns, a single choice counts,
        several at once do not.
    chosen : Chosen, optional
        The selected part of the export.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If there are several questions and no tasks, or the part of the export is ambiguous.
    UnknownNameError
        If a task is assigned to an unknown question.
    DataError
        If it is not such an export, or no classification answers a question.
    """
    path, chosen = place(path), chosen or Chosen()
    if not path.is_file():
        raise NotFoundError(f"there is no export of classifications at {path}")
    if not chosen.tasks and len(tree.questions) > 1:
        message = f"{tree.name!r} has several questions; assign tasks to them, as in T0={tree.root.name}"
        raise UsageError(message)
    asked: _Asked = [(task, tree[name]) for task, name in chosen.tasks.items()] or [(None, tree.root)]
    _check_version(chosen.version)
    _check_clear(path, asked, chosen)
    labels.ask(*(question for _, question in asked))
    passed_over: Counter[str] = Counter()
    seen: set[int] = set()
    waiting: list[Event] = []
    total = new = unnamed = again = 0
    for one in read_classifications(path):
        found, reason = _read(one, asked, chosen)
        if not found:
            passed_over[reason] += 1
        galaxy = one.galaxy(chosen.id_name)
        for answer in found:
            event = _event(one, answer, galaxy or one.subject)
            waiting.append(event)
            key = hash((event.who, event.galaxy, event.question))
            again += key in seen
            unnamed += galaxy is None
            seen.add(key)
            total += 1
        if len(waiting) >= _AT_ONCE:
            new += labels.record(waiting)
            waiting = []
    new += labels.record(waiting)
    return Imported(new, total - new, dict(passed_over.most_common()), again, unnamed)


def _read(one: Classification, asked: _Asked, chosen: Chosen) -> tuple[list[_Answer], str]:
    """Return the answers of a classification, or the reason why there are none."""
    if (reason := chosen.leaves_out(one)) is not None:
        return [], reason
    if chosen.id_name is not None and one.galaxy(chosen.id_name) is None:
        return [], f"subjects without an entry {chosen.id_name!r}"
    found, reasons = [], ["no answer"]
    for task, question in asked:
        given = list(_given(one, task, question))
        if len({answer.choices.task for answer in given}) > 1:
            reasons.append("answers in several tasks: name one (--task)")
        elif len({answer.answer for answer in given}) == 1:
            # A task may occur twice: within a combination, and alone.
            found.append(given[0])
        elif given:
            reasons.append("several answers at once")
        else:
            reasons += [_other(choices) for choices in one.choices if task in (None, choices.task)]
    return found, reasons[-1]


def _given(one: Classification, task: str | None, question: Question) -> Iterator[_Answer]:
    """Yield the answers of a classification to a question; each of several choices in one task."""
    for choices in one.choices:
        if task not in (None, choices.task):
            continue
        answers = [match(text, question.answers) for text in choices.chosen]
        # An answer among other choices does not count: only a single answer does.
        if len(answers) == 1 or len({answer for answer in answers if answer}) > 1:
            yield from (_Answer(question.name, answer, choices) for answer in answers if answer)


def _other(choices: Choices) -> str:
    if len(choices.chosen) > 1:
        return "several choices at once"
    return choices.other or f"another answer: {choices.chosen[0][:60]}"


def _version(one: Classification) -> tuple[int, int]:
    try:
        return version_key(one.version)
    except ValueError:
        return (-1, 0)


def _check_version(version: str | None) -> None:
    try:
        version_key(version or "0")
    except ValueError as error:
        message = f"a version of a workflow is written as 12 or 12.7; received {version!r}"
        raise UsageError(message) from error


def _check_clear(path: Path, asked: _Asked, chosen: Chosen) -> None:
    """Raise unless the answers are from one workflow, with the same wording, and one task per question.

    Without any answer there is nothing to import, which is an error as well.
    """
    counts: Counter[tuple[str, str, str, str, str, str]] = Counter()
    other: Counter[str] = Counter()
    for one in read_classifications(path):
        found, reason = _read(one, asked, chosen)
        if not found:
            other[reason] += 1
        for answer in found:
            place = (one.workflow, one.workflow_name, one.version)
            counts[*place, answer.choices.task, answer.question, plain_question(answer.choices.asks)] += 1
    if not counts:
        seen = "; ".join(f"{reason} ({count:,})" for reason, count in other.most_common(5)) or "nothing"
        wanted = "; ".join(f"{question.name!r} by {', '.join(question.answers)}" for _, question in asked)
        message = f"{path}: no classification answers {wanted}; found: {seen}"
        raise DataError(message)
    problems = []
    if chosen.workflow is None and len({workflow for workflow, *_ in counts}) > 1:
        problems.append("several workflows answer it: name one (--workflow)")
    if not chosen.tasks and len({task for _, _, _, task, _, _ in counts}) > 1:
        problems.append("several tasks answer it: name one (--task)")
    if chosen.version is None and not problems and _reworded(counts):
        problems.append("its wording changed: name the first version that counts (--version)")
    if problems:
        listed = [
            f"workflow {workflow} ({name}), version {version}, {task} {asks!r}: {count:,}"
            for (workflow, name, version, task, _, asks), count in counts.most_common(_MOST_LISTED)
        ]
        more = f"; and {len(counts) - _MOST_LISTED} more" if len(counts) > _MOST_LISTED else ""
        message = f"{path}: {'; '.join(problems)}. There are {'; '.join(listed)}{more}"
        raise UsageError(message)


def _reworded(counts: Mapping[tuple[str, str, str, str, str, str], int]) -> bool:
    """Return whether two versions of a workflow asked a question with different wording."""
    words: dict[tuple[str, str], dict[str, set[str]]] = {}
    for workflow, _, version, _, question, asks in counts:
        if asks:
            words.setdefault((workflow, question), {}).setdefault(version, set()).add(asks)
    pairs = (pair for versions in words.values() for pair in combinations(versions.values(), 2))
    return any(one.isdisjoint(other) for one, other in pairs)


def _event(one: Classification, answer: _Answer, galaxy: str) -> Event:
    # A classification may answer several questions, which may be imported separately.
    question = hashlib.sha256(answer.question.encode()).hexdigest()[:8]
    return Event(
        event=f"zooniverse-{one.number}-{question}",
        kind="answer",
        who=one.who,
        galaxy=galaxy,
        question=answer.question,
        answer=answer.answer,
        at=one.at.isoformat(timespec="milliseconds"),
        seconds=one.seconds,
        session="zooniverse",
        chosen="zooniverse",
    )


def export_manifest(source: Source, folder: str | os.PathLike[str], *, size: int = 480) -> tuple[int, dict[str, str]]:
    """Write the galaxies of a source as pictures and a manifest for Zooniverse.

    Parameters
    ----------
    source : Source
    folder : path-like
        New or empty folder for ``manifest.csv`` and one JPEG per galaxy, named by number.
    size : int
        Side of the pictures, in pixels; 1 to 1024.

    Returns
    -------
    written : int
    problems : dict of str to str
        Galaxies that were left out because their pictures cannot be read, and why.

    Raises
    ------
    UsageError
        If the folder is not empty, or the size is out of range.
    """
    folder = place(folder)
    if not 1 <= size <= 1024:
        message = f"the side has to be from 1 to 1024 pixels; received {size}"
        raise UsageError(message)
    problems: dict[str, str] = {}
    written = 0
    with (
        writing_folder(folder) as temporary,
        (temporary / "manifest.csv").open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", "#id"])
        for number, row in enumerate(source.rows()):
            galaxy = decode_row(row, Framing(size))
            if galaxy.picture is None:
                problems[galaxy.id] = galaxy.problem or ""
                continue
            name = f"{number:07d}.jpg"
            (temporary / name).write_bytes(encode_picture(galaxy.picture, "JPEG"))
            table.writerow([name, marked(galaxy.id)])
            written += 1
    return written, problems
