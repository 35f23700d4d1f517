"""Zooniverse: classifications that were exported there, as answers; galaxies to be classified there, as a manifest."""

import csv
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from peculiar.cache import writing
from peculiar.errors import DataError, NotFoundError, UsageError
from peculiar.image import Framing, encode_picture
from peculiar.labels import Event, Labels
from peculiar.schema import Question, Tree
from peculiar.sources.stream import Source, decode_row

_COLUMNS = ("classification_id", "user_name", "created_at", "annotations", "subject_data", "subject_ids")

# Under which names a subject of a manifest may say which galaxy it is; a # hides the entry from volunteers.
_ID_NAMES = ("#id", "id", "!id", "//id", "#galaxy", "galaxy", "iauname", "#iauname", "objid", "#objid")

_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the classifications.

    Parameters
    ----------
    new : int
        Answers that were stored.
    known : int
        Those that were stored before.
    passed_over : dict of str to int
        What the other classifications said that is no answer to the question, and how often.
    """

    new: int
    known: int
    passed_over: dict[str, int]


def import_classifications(
    path: str | os.PathLike[str], labels: Labels, tree: Tree, *, tasks: Mapping[str, str] | None = None
) -> Imported:
    """Store the classifications that Zooniverse exported as answers to questions.

    A classification is an event a task under its number, so that importing a longer export again adds what is new. A
    galaxy is known by the subject's ``#id`` or ``id``, else by the subject's number.

    Parameters
    ----------
    path : path-like
        The CSV of "Request new classification export".
    labels : Labels
    tree : Tree
        What was asked. Answers are compared with what volunteers chose without regard to case, spaces and underscores.
    tasks : mapping of str to str, optional
        Which tasks of the workflow ("T0") asked which of its questions. May be left out for a single question: it is
        then whichever task has one of the answers.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If there are several questions, and no tasks.
    UnknownNameError
        If a task is said to ask what is no question of the tree.
    DataError
        If it is no such export, or not one classification answers a question.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"there is no export of classifications at {path}")
    if not tasks and len(tree.questions) > 1:
        message = f"{tree.name!r} has several questions; say which task asked which, as in T0={tree.root.name}"
        raise UsageError(message)
    asked = [(task, tree[name]) for task, name in tasks.items()] if tasks else [(None, tree.root)]
    labels.ask(*(question for _, question in asked))
    passed_over: Counter[str] = Counter()
    waiting: list[Event] = []
    total = new = 0
    for number, row in _rows(path):
        try:
            annotations = json.loads(row["annotations"])
            found = [(question, _answer(annotations, question, task)) for task, question in asked]
            events = [_event(row, question.name, answer[0]) for question, answer in found if isinstance(answer, tuple)]
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
            message = f"{path}, line {number}: cannot be read as a classification ({error!r})"
            raise DataError(message) from error
        if not events:
            passed_over[str(found[0][1])] += 1
        waiting += events
        total += len(events)
        if len(waiting) >= _AT_ONCE:
            new += labels.record(waiting)
            waiting = []
    new += labels.record(waiting)
    if not total:
        seen = ", ".join(repr(text) for text, _ in passed_over.most_common(5)) or "nothing"
        answers = "; ".join(f"{question.name!r} by {', '.join(question.answers)}" for _, question in asked)
        message = f"{path}: no classification answers {answers}; found: {seen}"
        raise DataError(message)
    return Imported(new, total - new, dict(passed_over.most_common()))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    csv.field_size_limit(min(sys.maxsize, 1 << 24))  # a drawing may have thousands of points
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            lacking = [name for name in _COLUMNS if name not in (reader.fieldnames or [])]
            if lacking:
                message = f"{path}: is no export of Zooniverse classifications; it lacks the columns {lacking}"
                raise DataError(message)
            for row in reader:
                yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        message = f"{path}: cannot be read as CSV ({error})"
        raise DataError(message) from error


def _answer(annotations: list[dict[str, Any]], question: Question, task: str | None) -> tuple[str] | str:
    """Return the answer, as a tuple of one; or what was said that is none."""
    answers = {_plain(answer): answer for answer in question.answers}
    said = "nothing"
    for one in annotations:
        if task is None or one["task"] == task:
            value = one.get("value")
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and _plain(text) in answers:
                    return (answers[_plain(text)],)
                said = str(text)[:80]
    return said


def _event(row: dict[str, str], question: str, answer: str) -> Event:
    subjects: dict[str, dict[str, Any]] = json.loads(row["subject_data"])
    subject, told = next(iter(subjects.items()))
    galaxy = next((str(told[name]) for name in _ID_NAMES if told.get(name) not in (None, "")), subject)
    times = json.loads(row.get("metadata") or "{}")
    seconds = None
    if times.get("started_at") and times.get("finished_at"):
        seconds = (_time(times["finished_at"]) - _time(times["started_at"])).total_seconds()
    return Event(
        # A classification may answer several questions, which may be imported one after the other.
        event=f"zooniverse-{int(row['classification_id'])}-{hashlib.sha256(question.encode()).hexdigest()[:8]}",
        kind="answer",
        who=row["user_name"],
        galaxy=galaxy,
        question=question,
        answer=answer,
        at=_time(row["created_at"]).isoformat(timespec="milliseconds"),
        # Clocks of volunteers run as they like.
        seconds=seconds if seconds is not None and 0 <= seconds < 86_400 else None,
        session="zooniverse",
        chosen="zooniverse",
    )


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text.removesuffix(" UTC"))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").replace("*", " ").lower().split())


def export_manifest(source: Source, folder: str | os.PathLike[str], *, size: int = 480) -> tuple[int, dict[str, str]]:
    """Write the galaxies of a source as pictures and a manifest that Zooniverse takes.

    Parameters
    ----------
    source : Source
    folder : path-like
        New or empty: ``manifest.csv``, and a JPEG a galaxy, named by number.
    size : int
        Side of the pictures, in pixels; 1 to 1024.

    Returns
    -------
    written : int
    problems : dict of str to str
        Galaxies that were left out since their pictures cannot be read, and why.

    Raises
    ------
    UsageError
        If the folder holds something, or the size is out of range.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = f"{folder} has to be new or empty"
        raise UsageError(message)
    if not 1 <= size <= 1024:
        message = f"the side has to be 1 to 1024 pixels, received {size}"
        raise UsageError(message)
    problems: dict[str, str] = {}
    written = 0
    with writing(folder / "manifest.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", "#id"])
        for number, row in enumerate(source.rows()):
            galaxy = decode_row(row, Framing(size))
            if galaxy.picture is None:
                problems[galaxy.id] = galaxy.problem or ""
                continue
            name = f"{number:07d}.jpg"
            with writing(folder / name) as picture:
                picture.write_bytes(encode_picture(galaxy.picture, "JPEG"))
            table.writerow([name, galaxy.id])
            written += 1
    return written, problems
