"""Text that others wrote, as it is shown: ids, labels, paths, and what libraries say of errors."""

import re
import unicodedata
from itertools import takewhile

_MOST_TOLD = 300
"""Characters of what a library says that a message repeats."""

_PATH = re.compile(r"(?:Pure)?(?:Posix|Windows)Path\((['\"])(.*?)\1\)")

# What a library advises its own callers: arguments of its functions, its options, its documentation.
_ADVICE = re.compile(
    r"\b[a-z_]+=[\w'\"]+|^(?:if this|to figure|consider|please|use|set|see|try|pass|specify)\b|https?://", re.IGNORECASE
)

_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")


def shown(text: str) -> str:
    """Return a text with what is not printable written as escapes, a line feed as a backslash and an n.

    Nothing in an id or a path can then command a terminal, turn the direction of what follows, or begin a line.
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide characters take two, combining ones none."""
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(unicodedata.combining(one) > 0 or unicodedata.category(one) == "Me" for one in text)


def reason(error: BaseException) -> str:
    """Return why something failed, from what a library says: in one line, without its advice to its own callers."""
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
