"""Zooniverse's export of classifications, read as choices per task."""

import csv
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from peculiar.errors import DataError
from peculiar.files.formulas import unmarked

_COLUMNS = ("classification_id", "user_name", "created_at", "annotations", "subject_data", "subject_ids")

# Names of the entry with the galaxy's id in a manifest, in lower case and without the characters that hide an entry
# from volunteers.
_ID_NAMES = ("id", "galaxy", "iauname", "objid", "galaxy_id", "object_id", "objectid", "source_id")

_DEEPEST = 5
"""Maximum nesting of combination tasks."""

_MOST_TOLD = 60


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices in one task.

    Parameters
    ----------
    task : str
        Its key in the workflow, as in "T0".
    asks : str
        The text of the task, as it was shown.
    chosen : tuple of str
        The chosen texts: none, one, or several for a multiple-choice task or several dropdowns.
    other : str
        The kind of annotation that is not a choice: "a drawing".
    """

    task: str
    asks: str
    chosen: tuple[str, ...]
    other: str = ""


@dataclass(frozen=True, slots=True)
class Classification:
    """One classification.

    Parameters
    ----------
    number : int
    who : str
        A user's name, or a code for the address of somebody who was not logged in.
    at : datetime
    seconds : float or None
        How long it took.
    workflow, workflow_name, version : str
    choices : tuple of Choices
        One per task, including those within combination tasks.
    subject : str
        Its number.
    entries : mapping of str to object
        Its entries in the manifest.
    """

    number: int
    who: str
    at: datetime
    seconds: float | None
    workflow: str
    workflow_name: str
    version: str
    choices: tuple[Choices, ...]
    subject: str
    entries: Mapping[str, Any]

    def galaxy(self, name: str | None = None) -> str | None:
        """Return the id of the galaxy, None if the subject has none.

        Parameters
        ----------
        name : str, optional
            The entry with the id; default: the first of the usual ones.
        """
        entries = {plain_entry(key): value for key, value in self.entries.items() if value not in (None, "")}
        wanted = _ID_NAMES if name is None else (plain_entry(name),)
        return next((unmarked(str(entries[one])) for one in wanted if one in entries), None)


def plain_entry(name: str) -> str:
    """Return the name of an entry in lower case, without the characters that hide it from volunteers."""
    return name.strip().lstrip("#!/").strip().casefold()


def version_key(text: str) -> tuple[int, int]:
    """Return a version as numbers, "12.7" as (12, 7) and "12" as (12, 0); raises ValueError if it is not a version."""
    major, _, minor = text.strip().partition(".")
    return int(major), int(minor or 0)


def match(text: str, answers: Sequence[str]) -> str | None:
    """Return the answer that a text matches, None if there is none.

    The text is first compared literally, then ignoring case, spaces and underscores, then without Markdown and emoji. A
    step that would make two answers equal is skipped.
    """
    for step in (str.strip, _folded, _unmarked):
        known = {step(answer): answer for answer in answers}
        if len(known) == len(answers) and "" not in known and step(text) in known:
            return known[step(text)]
    return None


def read_classifications(path: Path) -> Iterator[Classification]:
    """Yield the classifications of an export, in its order.

    Raises
    ------
    DataError
        If it is not such an export, or a line cannot be read.
    """
    csv.field_size_limit(min(sys.maxsize, 1 << 24))  # a drawing may have thousands of points
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            lacking = [name for name in _COLUMNS if name not in (reader.fieldnames or [])]
            if lacking:
                message = f"{path}: is not an export of Zooniverse classifications; it lacks {', '.join(lacking)}"
                raise DataError(message)
            for row in reader:
                yield _read(path, reader.line_num, row)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        message = f"{path}: cannot be read as CSV ({error})"
        raise DataError(message) from error


def _read(path: Path, line: int, row: Mapping[str, str]) -> Classification:
    try:
        subjects: dict[str, dict[str, Any]] = json.loads(row["subject_data"])
        subject, entries = next(iter(subjects.items()))
        times = json.loads(row.get("metadata") or "{}")
        return Classification(
            number=int(row["classification_id"]),
            who=row["user_name"],
            at=_time(row["created_at"]),
            seconds=_seconds(times.get("started_at"), times.get("finished_at")),
            workflow=row.get("workflow_id") or "",
            workflow_name=row.get("workflow_name") or "",
            version=row.get("workflow_version") or "",
            choices=tuple(_flat(json.loads(row["annotations"]), _DEEPEST)),
            subject=subject,
            entries=dict(entries.items()),
        )
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"[:200]
        message = f"{path}, line {line}: cannot be read as a classification ({problem})"
        raise DataError(message) from error


def _flat(annotations: Sequence[Mapping[str, Any]], deep: int) -> Iterator[Choices]:
    """Yield the annotation of each task; the value of a combination task is a list of others."""
    for one in annotations:
        value = one.get("value")
        if isinstance(value, list) and value and all(isinstance(part, dict) and "task" in part for part in value):
            if deep == 0:
                raise ValueError("combination tasks are nested too deep")
            yield from _flat(value, deep - 1)
        else:
            chosen, other = _chosen(value)
            yield Choices(str(one["task"]), str(one.get("task_label") or ""), chosen, other)


def _chosen(value: Any) -> tuple[tuple[str, ...], str]:
    """Return the chosen texts, and the kind of annotation if it is not a choice."""
    if value is None or value in ("", []):
        return (), "no answer"
    texts = [_text(one) for one in (value if isinstance(value, list) else [value])]
    if None in texts:
        return (), f"no choice: {json.dumps(value)[:_MOST_TOLD]}"
    return tuple(text for text in texts if text is not None), ""


def _text(choice: Any) -> str | None:
    """Return the choice: a text, or the label of a dropdown's option; None for drawings and the like."""
    if isinstance(choice, dict) and "option" in choice:
        label = choice.get("label", choice.get("value"))
        return label if isinstance(label, str) else None
    return choice if isinstance(choice, str) else None


def _folded(text: str) -> str:
    return " ".join(text.replace("_", " ").casefold().split())


_PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_SIGNS = re.compile(r"[*~`#>]+")


def _unmarked(text: str) -> str:
    """Return the words of a text, without pictures, links, emphasis and emoji."""
    steps: tuple[tuple[Callable[..., Any], str], ...] = (
        (_PICTURE.sub, " "),
        (_LINK.sub, r"\1"),
        (_TAG.sub, " "),
        (_SIGNS.sub, ""),
    )
    for substitute, by in steps:
        text = substitute(by, text)
    # Emoji are symbols; the characters that join and colour them have other categories.
    kept = (one for one in text if unicodedata.category(one) not in ("So", "Sk", "Cf") and one not in "\ufe0e\ufe0f")
    return _folded("".join(kept))


def plain_question(text: str) -> str:
    """Return the text of a task, normalised for comparison with other versions."""
    return _unmarked(text)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text.removesuffix(" UTC"))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _seconds(started: str | None, finished: str | None) -> float | None:
    if not started or not finished:
        return None
    seconds = (_time(finished) - _time(started)).total_seconds()
    # Clocks of volunteers may be wrong.
    return seconds if 0 <= seconds < 86_400 else None
