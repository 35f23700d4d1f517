"""Suspicious class names: two spellings of one name, words for "not known", numbers, one column per class."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from peculiar.text import counted

_UNKNOWN = {"?", "??", "-", "--", "n/a", "na", "nan", "null", "unknown", "unclassified", "unlabeled", "unlabelled"}
"""Words that tables hold in the place of a class that nobody knows."""

_NUMBER = re.compile(r"\d+(\.0*)?")


def alike(labels: Iterable[str | None]) -> list[dict[str, int]]:
    """Return labels that differ only in case or blanks, with the count of each; a blank label is returned alone."""
    spellings: dict[str, dict[str, int]] = defaultdict(dict)
    for label, count in Counter(label for label in labels if label is not None).most_common():
        spellings[" ".join(label.split()).casefold()][label] = count
    return [found for plain, found in spellings.items() if len(found) > 1 or not plain]


def spelled(found: Mapping[str, int]) -> str:
    """Return the result of `alike` as text."""
    listed = ", ".join(f"{label!r} ({count:,})" for label, count in found.items())
    return f"{listed}: {'the label is blank' if len(found) == 1 else 'probably one class'}"


def unknown_names(labels: Iterable[str | None], answers: Sequence[str] = ()) -> dict[str, int]:
    """Return labels that stand for "not known", with the count of each; answers of the question are meant so."""
    counts = Counter(label for label in labels if label is not None and label not in answers)
    return {label: count for label, count in counts.most_common() if label.strip().casefold() in _UNKNOWN}


def told_unknown(found: Mapping[str, int]) -> str:
    """Return the result of `unknown_names` as text."""
    listed = ", ".join(f"{label!r} ({count:,})" for label, count in found.items())
    return f"{listed}: a class like any other, which probably stands for 'not known'; leave such labels empty"


def odd_names(labels: Sequence[str | None], name: str, answers: Sequence[str] = ()) -> list[str]:
    """Return probable mistakes in the names of classes, as sentences.

    Parameters
    ----------
    labels : sequence of (str or None)
    name : str
        Of the column that holds them.
    answers : sequence of str
        Those of the question with this name, in order, if there is one.
    """
    told = []
    if several := alike(labels):
        listed = "; ".join(spelled(one) for one in several)
        told.append(f"labels that differ only in case or blanks are separate classes: {listed}")
    if unknown := unknown_names(labels, answers):
        told.append(told_unknown(unknown))
    if number_meanings(labels, answers):
        told.append(
            f"the classes are called by the numbers that the column {name!r} holds; if they stand for "
            f"{number_meanings(labels, answers)}, write these names in their place"
        )
    return told


def number_meanings(labels: Iterable[str | None], answers: Sequence[str]) -> str:
    """Return the meaning of class numbers, such as "0 Normal, 1 Ringed"; empty if the labels are not such numbers."""
    found = {label for label in labels if label is not None}
    if not found or not all(_NUMBER.fullmatch(label) for label in found):
        return ""
    numbers = {int(float(label)) for label in found}
    if not answers or max(numbers) >= len(answers):
        return ""
    return ", ".join(f"{number} {answer}" for number, answer in enumerate(answers))


def one_hot(columns: Mapping[str, Sequence[str | None]]) -> str:
    """Return advice for one-hot columns, how to turn them into labels; empty if there are none."""
    names = [name for name, entries in columns.items() if {_bit(entry) for entry in entries} == {0, 1}]
    rows = zip(*(columns[name] for name in names), strict=True)
    if len(names) < 2 or not all(sum(_bit(entry) or 0 for entry in row) == 1 for row in rows):
        return ""
    listed = ", ".join(repr(name) for name in names)
    return (
        f"{counted(len(names), 'column')} hold a 1 for the class of each galaxy, {listed}: make one column of them, "
        f"with pandas: table['class'] = table[[{listed}]].idxmax(axis=1)"
    )


def _bit(entry: str | None) -> int | None:
    return {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1}.get(entry or "")
