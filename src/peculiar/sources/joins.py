"""Match ids that two files write in different ways, such as 100008 and images/100008.jpg."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, LabelError
from peculiar.images.fits_file import FITS_SUFFIXES
from peculiar.images.picture_file import PICTURE_SUFFIXES

_ENDINGS = tuple(sorted({*PICTURE_SUFFIXES, *FITS_SUFFIXES}, key=len, reverse=True))

# Text forms of bytes in Python, and of integers that were floats.
_BYTES, _WHOLE = re.compile(r"""b(['"])(.*)\1"""), re.compile(r"(-?\d+)\.0*")


def trimmed(id_: str) -> str:
    """Return an id without surrounding blanks, in lower case; ``b'7'`` and ``7.0`` become 7."""
    text = id_.strip()
    if found := _BYTES.fullmatch(text):
        text = found[2].strip()
    if found := _WHOLE.fullmatch(text):
        text = found[1]
    return text.casefold()


def file_name(id_: str, folders: int = 0) -> str:
    """Return an id as a file name, with at most the last few folders, and without the suffix of a picture."""
    text = trimmed(id_).replace("\\", "/")
    ending = next((ending for ending in _ENDINGS if text.endswith(ending)), "")
    return "/".join(text.removesuffix(ending).split("/")[-1 - folders :])


WAYS: Mapping[str, Callable[[str], str]] = {
    "as they are": str,
    "without regard to case, blanks and decimals": trimmed,
    "by folder and name of their files, without suffixes": lambda id_: file_name(id_, 1),
    "by the names of their files, without folders and suffixes": file_name,
}
"""Ways to compare ids, the strictest first; each way finds all matches of the ways before."""


@dataclass(frozen=True, slots=True)
class Join:
    """Matching ids of two files; see `join_ids`.

    Parameters
    ----------
    partners : dict of str to str
        By id of the first file, the id of the other.
    way : str
        The way of comparison, one of `WAYS`.
    """

    partners: dict[str, str]
    way: str


def join_ids(ids: Iterable[str], others: Collection[str], where: str = "the two files") -> Join:
    """Match ids in the strictest way that gives the most matches.

    Parameters
    ----------
    ids, others : collection of str
    where : str
        Name of the two files in messages.

    Raises
    ------
    LabelError
        If every way with matches is ambiguous.
    """
    best, doubtful = Join({}, next(iter(WAYS))), ""
    different = dict.fromkeys(ids)
    for way, key in WAYS.items():
        mine, its = _by_key(different, key), _by_key(others, key)
        both = [name for name in mine if name in its]
        several = next(((mine[name], its[name]) for name in both if len(mine[name]) > 1 or len(its[name]) > 1), None)
        if several is not None:
            doubtful = doubtful or f"{way}, {_listed(several[0])} would be {_listed(several[1])}"
        elif len(both) > len(best.partners):
            best = Join({mine[name][0]: its[name][0] for name in both}, way)
    if doubtful and not best.partners:
        raise LabelError(_unclear(where, doubtful))
    return best


def partners_of(ids: Sequence[str], wanted: Collection[str], where: str = "the two files") -> dict[str, str]:
    """Return the ids that match some wanted ones, each with that one, in the strictest way that gives the most matches.

    Parameters
    ----------
    ids : sequence of str
        All ids of a file.
    wanted : collection of str
    where : str
        Name of the two files in messages.

    Raises
    ------
    LabelError
        If every way with matches is ambiguous.
    """
    exact = set(wanted).intersection(ids)
    if len(exact) == len(set(wanted)):  # no way finds more
        return {id_: id_ for id_ in exact}
    return join_ids(ids, wanted, where).partners


def _unclear(where: str, doubtful: str) -> str:
    return f"{where}: no id is the same in both, and {doubtful}, so that it is not known which belongs to which"


Ids = Callable[[], Iterable[Sequence[str | None]]]
"""Reads ids batch by batch, as often as it is called."""


@dataclass(frozen=True, slots=True)
class RowJoin:
    """Matching rows of two files; see `join_rows`.

    Parameters
    ----------
    partners : ndarray of int, shape (n,)
        For each row of the first file the row of the other, the last with that id; -1 if there is none.
    way : str
        The way of comparison, one of `WAYS`.
    rows : int
        Number of rows of the other file.
    doubled : int
        Number of rows of the other file that have the id of a later one.
    """

    partners: NDArray[np.int64]
    way: str
    rows: int
    doubled: int


def join_rows(ids: Ids, others: Ids, where: str = "the two files") -> RowJoin:
    """Match the rows of two files of many millions: as `join_ids`, in some 50 bytes a row.

    Parameters
    ----------
    ids, others : callable
        Read the ids of the files; None if a row has none.
    where : str
        Name of the two files in messages.

    Raises
    ------
    DataError
        If every way with matches is ambiguous.
    """
    exact, its_exact = _digests(ids, str), _digests(others, str)
    doubled = len(its_exact) - len(np.unique(its_exact)) - max(int((its_exact == 0).sum()) - 1, 0)
    best, most, doubtful = RowJoin(np.full(len(exact), -1), next(iter(WAYS)), len(its_exact), doubled), 0, ""
    for way, key in WAYS.items():
        first = key is str
        mine, its = (exact, its_exact) if first else (_digests(ids, key), _digests(others, key))
        names, last, various = _last_rows(its, its_exact)
        if not len(names):
            break
        place = np.minimum(np.searchsorted(names, mine), len(names) - 1)
        hit = (names[place] == mine) & (mine != 0)
        own, _, own_various = _last_rows(mine[hit], exact[hit])
        unclear = np.isin(mine, own[own_various]) & hit | (hit & various[place])
        if unclear.any():
            row = int(np.argmax(unclear))
            several = [_texts(read, rows == mine[row]) for read, rows in ((ids, mine), (others, its))]
            doubtful = doubtful or f"{way}, {_listed(several[0])} would be {_listed(several[1])}"
        elif len(own) > most:
            best, most = RowJoin(np.where(hit, last[place], -1), way, len(its_exact), doubled), len(own)
        if hit.all() or most == len(names):
            break  # no way finds more
    if doubtful and not most:
        raise DataError(_unclear(where, doubtful))
    return best


def _digests(read: Ids, key: Callable[[str], str]) -> NDArray[np.int64]:
    """Return eight bytes of each id by which two can be compared, 0 for none."""
    parts = [np.fromiter((hash(key(id_)) if id_ else 0 for id_ in some), np.int64, len(some)) for some in read()]
    return np.concatenate([np.empty(0, np.int64), *parts])


def _last_rows(
    keys: NDArray[np.int64], exact: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the different keys in order, the last row of each, and whether different ids share it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    if not len(starts):
        return ordered, order, np.empty(0, bool)
    ends = np.append(starts[1:], len(ordered)) - 1
    least, most = (one.reduceat(exact[order], starts) for one in (np.minimum, np.maximum))
    return ordered[starts], order[ends], least != most


def _texts(read: Ids, wanted: NDArray[np.bool_]) -> list[str]:
    """Return the first different ids of some rows."""
    found: dict[str, None] = {}
    start = 0
    for some in read():
        found.update((some[row] or "", None) for row in np.flatnonzero(wanted[start : start + len(some)]).tolist())
        start += len(some)
        if len(found) > 1:
            break
    return list(found)


def _by_key(ids: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for id_ in ids:
        found[key(id_)].append(id_)
    return found


def _listed(ids: list[str]) -> str:
    return " and ".join(repr(id_) for id_ in ids[:2])
