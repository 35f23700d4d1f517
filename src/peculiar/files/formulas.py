"""Mark text in CSV that a spreadsheet would evaluate, and unmark it on reading.

Spreadsheets evaluate text that begins with one of = + - @, a tab or a line end, even in quotes. Such text gets an
apostrophe in front, which marks text in spreadsheets. Numbers with a sign stay as they are.
"""

import pyarrow as pa
import pyarrow.compute as pc

_FORMULA = r"^'*[=+\-@\t\r\n]"
_NUMBER = r"^[+-]([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def marked(text: str) -> str:
    """Return one text that is not evaluated as a formula."""
    return str(with_marks(pa.array([text], pa.string()))[0])


def unmarked(text: str) -> str:
    """Return one text as it was before `marked`."""
    return str(without_marks(pa.array([text], pa.string()))[0]) if text.startswith("'") else text


def with_marks(texts: pa.Array) -> pa.Array:
    """Return text that is not evaluated as a formula."""
    formula = pc.match_substring_regex(texts, _FORMULA)
    if not pc.any(formula).as_py():
        return texts
    formula = pc.and_not(formula, pc.match_substring_regex(texts, _NUMBER))
    return pc.if_else(formula, pc.binary_join_element_wise("'", texts, ""), texts)


def without_marks(texts: pa.Array) -> pa.Array:
    """Return text as it was before `with_marks`."""
    if not pc.any(pc.starts_with(texts, "'")).as_py():
        return texts
    return pc.replace_substring_regex(texts, r"^'('*[=+\-@\t\r\n])", r"\1")
