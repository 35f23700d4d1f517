"""Text for people: numbers in sentences, and safe display of ids, labels, paths and errors of libraries."""

import math
import re
import unicodedata
from collections.abc import Sequence
from itertools import takewhile

_MOST_TOLD = 300
"""Maximum length of a library's text in a message, in characters."""

_PATH = re.compile(r"(?:Pure)?(?:Posix|Windows)Path\((['\"])(.*?)\1\)")

# Advice of a library to its own callers: arguments of its functions, its options, its documentation.
_ADVICE = re.compile(
    r"\b[a-z_]+=[\w'\"]+|^(?:if this|to figure|consider|please|use|set|see|try|pass|specify)\b|https?://", re.IGNORECASE
)

_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")


def shown(text: str) -> str:
    """Return a text with unprintable characters, also line feeds, as escapes.

    Nothing in an id or a path can then control a terminal, change the direction of text, or begin a line.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def shown_lines(text: str) -> str:
    """Return a text of several lines, each as `shown` returns it."""
    return "\n".join(map(shown, text.split("\n")))


def in_template(value: object) -> object:
    """Return a value as a template of a page prints it: text as `shown`, markup and other values as they are.

    It is the ``finalize`` of a Jinja environment.
    """
    return shown(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def width(text: str) -> int:
    """Return the width of a text in terminal columns: wide characters take two, combining ones none."""
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(unicodedata.combining(one) > 0 or unicodedata.category(one) == "Me" for one in text)


def reason(error: BaseException) -> str:
    """Return the reason of a failure from the text of a library, in one line, without its advice to its own callers."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    sentences = [one.strip(" *\t\r-") for one in _SENTENCE.split(plain(str(text)))]
    kept = list(takewhile(lambda one: not _ADVICE.search(one), filter(None, sentences))) or sentences[:1]
    told = shown(" ".join(" ".join(kept).split())).rstrip(".;")
    told = told if len(told) <= _MOST_TOLD else f"{told[:_MOST_TOLD]}..."
    return told or type(error).__name__


def plain(text: str) -> str:
    """Return a message with paths as they are typed, not as Python writes them."""
    return _PATH.sub(r"\2", text)


def counted(count: int, noun: str, verb: str = "", verb_of_one: str = "") -> str:
    """Return a number of things in words, such as "1 galaxy is" and "1,200 galaxies are".

    Parameters
    ----------
    count : int
    noun : str
        Singular of the thing.
    verb, verb_of_one : str, optional
        The verb, in the plural and the singular.
    """
    if count == 1:
        return f"1 {noun} {verb_of_one}".rstrip()
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith(("s", "x")) else f"{noun}s"
    return f"{count:,} {plural} {verb}".rstrip()


def nth_row(number: int) -> str:
    """Return a row in words: "row 3 (counted from 0)". Rows are counted as in ids made of them, such as galaxies-3."""
    return f"row {number:,} (counted from 0)"


def changed(by: float, *, digits: int = 4) -> str:
    """Return how a value changes by a difference, such as "lower by 0.0362"; the sign decides the word."""
    if not math.isfinite(by):
        return "changed by an undefined amount"
    text = f"{abs(by):.{digits}f}"
    if not float(text):
        return "unchanged"
    return f"{'higher' if by > 0 else 'lower'} by {text}"


def format_score(value: float | None) -> str:
    """Return a score with three digits, or "undefined"."""
    return "undefined" if value is None or not math.isfinite(value) else f"{value:.3f}"


def format_interval(interval: Sequence[float] | None) -> str:
    """Return an interval with three digits, or an empty text if there is none."""
    return "" if interval is None else f"{interval[0]:.3f}\u2013{interval[1]:.3f}"
