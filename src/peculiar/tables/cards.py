"""Text in the headers of FITS tables: how characters beyond ASCII are written and read."""

import re
from collections.abc import Mapping

ESCAPED = "ESCAPED"
"""Keyword of a header with escaped text; without it, backslashes are literal."""

NOTE = re.compile(r"NOTE[1-9][0-9]*")
"""Keywords for notes whose name is not a valid keyword: the value is the name, an equals sign and the text."""


EQUALS = r"\x3d"
"""An equals sign in the name of a note, escaped."""


def escaped(text: str) -> str:
    r"""Return text for a header: escaped as in Python, with ``\x20`` for blanks at its ends, which FITS drops."""
    found = text.encode("unicode_escape").decode("ascii")
    inner = found.strip(" ")
    before = len(found) - len(found.lstrip(" "))
    after = len(found) - before - len(inner)
    return r"\x20" * before + inner + r"\x20" * after


def unescaped(text: str) -> str:
    """Return the original of escaped text."""
    return text.encode("ascii", "backslashreplace").decode("unicode_escape")


def read_notes(cards: Mapping[str, str]) -> dict[str, str]:
    """Return the notes of a header by name, also those in NOTE1, NOTE2 ..."""
    marked = ESCAPED in cards
    notes = {}
    for key, value in cards.items():
        name, text = key.lower(), str(value)
        if NOTE.fullmatch(key) and " = " in f"{text} ":  # FITS drops blanks at the end
            name, _, text = f"{text} ".partition(" = ")
            text = text.removesuffix(" ")
        if key != ESCAPED:
            notes[unescaped(name) if marked else name] = unescaped(text) if marked else text
    return notes
