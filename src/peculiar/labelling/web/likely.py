"""The galaxies that are most likely to have an answer, among those that nobody has answered for. No web code."""

import numpy as np
from numpy.typing import NDArray

from peculiar.catalogs.active import features
from peculiar.labelling.web.session import Session

CHOSEN = "likely"
"""How such a galaxy was chosen, as stored in the database."""

_BLOCK = 65_536


def chances(session: Session, answer: int) -> NDArray[np.float32] | None:
    """Return the probability of an answer for each galaxy, shape (n,), NaN if unknown; None if no model gives one.

    The head that was learned from the answers counts, or the catalogue's model as long as there is none.

    Parameters
    ----------
    session : Session
    answer : int
        Number of the answer.
    """
    committee = None if session.loop is None else session.loop.committee
    if session.loop is None or committee is None:
        return _of_model(session, answer)
    found = np.full(len(session), np.nan, dtype=np.float32)
    for start in range(0, len(session), _BLOCK):
        rows = slice(start, start + _BLOCK)
        found[rows] = committee.probabilities(features(session.loop.embeddings, rows))[:, answer]
    return found


def _of_model(session: Session, answer: int) -> NDArray[np.float32] | None:
    known, count = list(session.predictions.values()), len(session.question.answers)
    if len(known) == count:
        return np.asarray(known[answer], dtype=np.float32)
    if count == 2 and len(known) == 1:
        return np.asarray(known[0] if answer else 1 - known[0], dtype=np.float32)
    return None


def find_likely(session: Session, who: str, answer: int, count: int) -> list[tuple[int, float]]:
    """Return the rows that most probably have an answer, and how probable it is, the most probable first.

    Parameters
    ----------
    session : Session
    who : str
        The annotator, who is not shown again what they have seen.
    answer : int
        Number of the answer.
    count : int
    """
    probable = chances(session, answer)
    if probable is None:
        return []
    rows = np.flatnonzero(session.untouched(who) & np.isfinite(probable))
    if len(rows) > count:
        rows = rows[np.argpartition(-probable[rows], count - 1)[:count]]
    rows = rows[np.argsort(-probable[rows], kind="stable")]
    return [(int(row), float(probable[row])) for row in rows]
