"""Numbers in sentences: one galaxy is, two galaxies are; lower and higher by."""

import math


def counted(count: int, noun: str, verb: str = "", verb_of_one: str = "") -> str:
    """Return a number of things in words, such as "1 galaxy is" and "1,200 galaxies are".

    Parameters
    ----------
    count : int
    noun : str
        Of one thing.
    verb, verb_of_one : str, optional
        That follows, of several things and of one.
    """
    if count == 1:
        return f"1 {noun} {verb_of_one}".rstrip()
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith(("s", "x")) else f"{noun}s"
    return f"{count:,} {plural} {verb}".rstrip()


def changed(by: float, *, digits: int = 4) -> str:
    """Return how a value changes by a difference, such as "lower by 0.0362"; the sign decides the word."""
    if not math.isfinite(by):
        return "changed by an undefined amount"
    text = f"{abs(by):.{digits}f}"
    if not float(text):
        return "unchanged"
    return f"{'higher' if by > 0 else 'lower'} by {text}"


def format_score(value: float | None) -> str:
    """Return a score with three digits, or that it is undefined."""
    return "undefined" if value is None or not math.isfinite(value) else f"{value:.3f}"
