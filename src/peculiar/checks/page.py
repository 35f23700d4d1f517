"""The findings of a check as a page with pictures, as JSON, and as a cleaned list."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.checks.check import open_examined
from peculiar.checks.findings import CheckResult, Finding
from peculiar.errors import DataError, LabelError
from peculiar.files.writing import writing
from peculiar.images.defects import Rule
from peculiar.images.framing import Framing
from peculiar.questions.question import QUESTIONS, question_for
from peculiar.questions.question_file import question_file
from peculiar.reports.page import Section, Strip, embedded, write_page
from peculiar.sources.stream import decode_row
from peculiar.tables.identifiers import typed_ids
from peculiar.tables.writers import write_csv
from peculiar.text import counted, nth_row

# Number of findings shown of each kind, and of pictures shown of each finding.
MOST_SHOWN, MOST_PICTURES = 24, 3

_SIDE = 112


def write_report(found: CheckResult, folder: Path) -> Path:
    """Write all findings as JSON and CSV, and ``index.html``, one file that shows the first of each kind.

    ``findings.csv`` has a row for each galaxy of a finding, in their order, for ``peculiar label --only``, and
    ``question.toml`` the classes as answers, unless a known question has them.

    Parameters
    ----------
    found : CheckResult
    folder : path
        Created if it is missing; existing files are replaced.

    Returns
    -------
    path
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder / "check.json") as temporary:
        temporary.write_text(json.dumps(found.as_dict(), indent=1) + "\n", encoding="utf-8")
    table = _write_findings(found, folder / "findings.csv")
    counts = found.counts()
    shown = {kind: found.of(kind)[:MOST_SHOWN] for kind in counts}
    wanted = {row for some in shown.values() for one in some for row in one.rows[:MOST_PICTURES]}
    pictures = _pictures(found, wanted)
    summary = Section(
        "In short",
        text=[_summary(found), *(f"Not looked for: {what} ({why})." for what, why in found.skipped.items())],
        table=[["finding", "count"], *([kind, f"{count:,}"] for kind, count in counts.items())] if counts else (),
    )
    if table and "pictures" not in found.skipped:
        asked = _write_question(found, folder / "question.toml")
        words = ["peculiar", "label", str(found.data), *asked, "--only", str(table), "--in-order"]
        text = "Answer for the galaxies of these findings one by one, in this order"
        text += ":" if asked else ", with a question of your own (--question):"
        summary = replace(summary, text=[*summary.text, text], code=shlex.join(words))
    sections = [_section(kind, some, counts[kind], found, pictures) for kind, some in shown.items()]
    lead = f"{counted(len(found.ids), 'galaxy')}, looked at in {counted(round(found.seconds), 'second')}."
    return write_page(folder / "index.html", f"Check of {found.data.name}", lead, [summary, *sections])


def _write_question(found: CheckResult, path: Path) -> list[str]:
    """Return the option with the question that the labels answer, written as a file unless it is a known one."""
    question = question_for(found.label or "class", {text for text in found.labels if text is not None})
    if question.name in QUESTIONS:
        return ["--question", question.name]
    try:
        text = question_file(question)
    except LabelError:  # a single class, too many, or names that cannot be answers
        return []
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return ["--question", str(path)]


def _write_findings(found: CheckResult, path: Path) -> Path | None:
    """Write a row for each galaxy of a finding; return the path, None if there are none."""
    listed = [(row, one) for one in found.findings for row in one.rows]
    if not listed:
        path.unlink(missing_ok=True)
        return None
    ids = typed_ids(found.ids, found.id_type)
    values = {
        "id": ids.take(pa.array([row for row, _ in listed])),
        "row": pa.array([row for row, _ in listed], pa.int64()),
        "finding": pa.array([str(one.kind) for _, one in listed]),
        "what": pa.array([one.text for _, one in listed]),
        "score": pa.array([one.score for _, one in listed], pa.float64()),
    }
    write_csv(path, values)
    return path


def write_cleaned(found: CheckResult, path: Path) -> Path:
    """Write a list of all galaxies as CSV: row, id, kept (yes or no), reason. The data are not changed."""
    dropped = found.dropped()
    rows = range(len(found.ids))
    values = {
        "row": pa.array(rows, pa.int64()),
        "id": typed_ids(found.ids, found.id_type),
        "kept": pa.array(["no" if row in dropped else "yes" for row in rows], pa.string()),
        "reason": pa.array([dropped.get(row) for row in rows], pa.string()),
    }
    write_csv(path, values)
    return path


def _summary(found: CheckResult) -> str:
    if not found.findings:
        return "Nothing is wrong."
    dropped = len(found.dropped())
    return (
        f"{counted(len(found.findings), 'finding')}. A cleaned list (--fix) leaves out {dropped:,} of "
        f"{counted(len(found.ids), 'galaxy')}: those whose picture shows nothing, all duplicates but the first, and "
        "duplicates whose labels contradict each other. Suspect labels and neighbours are for people to judge."
    )


def _section(
    kind: Rule, some: Sequence[Finding], count: int, found: CheckResult, pictures: dict[int, NDArray[np.uint8]]
) -> Section:
    text = [f"{kind.description[:1].upper()}{kind.description[1:]}."]
    if count > len(some):
        text.append(f"{len(some)} of {count:,} are shown; check.json has all.")
    strips = [strip for one in some if (strip := _strip(one, found, pictures)).pictures]
    plain = [one for one in some if not any(row in pictures for row in one.rows[:MOST_PICTURES])]
    table = [["galaxies", "what"], *([_names(one.rows, found), one.text] for one in plain)] if plain else []
    return Section(f"{kind[:1].upper()}{kind[1:]} ({count:,})", text=text, table=table, text_columns=2, gallery=strips)


def _strip(one: Finding, found: CheckResult, pictures: dict[int, NDArray[np.uint8]]) -> Strip:
    rows = one.rows[:MOST_PICTURES]
    return Strip([embedded(pictures[row]) for row in rows if row in pictures], f"{_names(one.rows, found)}: {one.text}")


def _names(rows: Sequence[int], found: CheckResult) -> str:
    names = [found.ids[row] for row in rows[:MOST_PICTURES]]
    more = len(rows) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "") if names else "all"


def _pictures(found: CheckResult, wanted: set[int]) -> dict[int, NDArray[np.uint8]]:
    """Read the whole pictures of rows again; unreadable ones are missing."""
    if "pictures" in found.skipped:
        return {}
    pictures: dict[int, NDArray[np.uint8]] = {}
    framing = Framing(_SIDE)
    for number, row in enumerate(open_examined(found.data, found.label, found.keys).rows()):
        if number not in wanted:
            continue
        if row.id != found.ids[number]:
            message = f"{found.data} has changed since it was checked: {nth_row(number)} is now {row.id}"
            raise DataError(message)
        galaxy = decode_row(row, framing)
        if galaxy.picture is not None:
            pictures[number] = galaxy.picture
    return pictures
