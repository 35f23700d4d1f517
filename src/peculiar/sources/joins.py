"""Match ids that two files write in different ways, such as 100008 and images/100008.jpg."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from peculiar.errors import LabelError
from peculiar.images.decode import PICTURE_SUFFIXES
from peculiar.images.fits_file import FITS_SUFFIXES

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
        message = f"{where}: no id is the same in both, and {doubtful}, so that it is not known which belongs to which"
        raise LabelError(message)
    return best


def _by_key(ids: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for id_ in ids:
        found[key(id_)].append(id_)
    return found


def _listed(ids: list[str]) -> str:
    return " and ".join(repr(id_) for id_ in ids[:2])
