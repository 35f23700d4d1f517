"""Rows that show the same galaxy: equal files, equal pixels, or copies turned, mirrored or cropped differently.

This is the only finder of duplicates: checks report its pairs, and training keeps them in one part of the split.
"""

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from peculiar.checks.findings import Finding, Problem
from peculiar.errors import PictureError
from peculiar.images.background import sky
from peculiar.images.decode import decode_remarked
from peculiar.images.defects import Defect, Rule, find_defect
from peculiar.images.duplicates import find_duplicates, portrait
from peculiar.images.picture_file import kind_of_picture
from peculiar.sources.stream import Row, Source, in_order

# Pictures with one of these defects show enough to find duplicates; those with other defects resemble each other.
_SEEN = {Problem.BIT_DEPTH, Defect.CLIPPED, Defect.OFF_CENTRE, Defect.UNEVEN_SKY}


@dataclass(frozen=True, slots=True)
class Examined:
    """A row, and properties of its picture.

    Parameters
    ----------
    id : str
    label : str or None
    fault : (Rule, str) or None
        The defect of the picture, and what was measured.
    file, pixels : bytes
        Digests of the file and of the pixels; empty if duplicates cannot be found.
    portrait : ndarray of uint8 or None
        See `peculiar.images.duplicates.portrait`.
    traits : dict of str to (str or float)
        Properties of the picture that no class should go with: kind of file, size, brightness, noise.
    """

    id: str
    label: str | None
    fault: tuple[Rule, str] | None = None
    file: bytes = b""
    pixels: bytes = b""
    portrait: NDArray[np.uint8] | None = None
    traits: Mapping[str, str | float] = field(default_factory=dict)


def examine(row: Row) -> Examined:
    """Decode the picture of a row, and look for defects."""
    file, guess, kind = b"", "", ""
    try:
        content = row.read()
        if isinstance(content, bytes):
            file, kind = _digest(content), kind_of_picture(content)
            content, guess = decode_remarked(content)
    except PictureError as error:
        return Examined(row.id, row.label, (Problem.UNREADABLE, error.reason))
    fault = find_defect(content) or ((Problem.BIT_DEPTH, guess) if guess else None)
    if fault is not None and fault[0] not in _SEEN:
        return Examined(row.id, row.label, fault)
    pixels = _digest(repr(content.shape).encode() + np.ascontiguousarray(content).tobytes())
    return Examined(row.id, row.label, fault, file, pixels, portrait(content), _traits(content, kind))


def _traits(picture: NDArray[np.uint8], kind: str) -> dict[str, str | float]:
    light = picture.mean(axis=2, dtype=np.float32)
    found: dict[str, str | float] = {"kind of file": kind} if kind else {}
    return found | {
        "size in pixels": float(min(light.shape)),
        "brightness": float(light.mean()),
        "noise of the sky": sky(light)[1],
    }


def duplicates_among(
    rows: Sequence[Examined], *, progress: Callable[[int], object] = lambda done: None
) -> Iterator[Finding]:
    """Find the pictures of the same galaxy.

    Parameters
    ----------
    rows : sequence of Examined
    progress : callable
        Called with the number of galaxies compared since the last call.

    Yields
    ------
    Finding
        First same files, then same pixels in different files, then near duplicates, pair by pair.
    """
    same_file = _groups([row.file for row in rows])
    same_pixels = _groups([row.pixels for row in rows])
    for members in same_file:
        yield Finding(Problem.SAME_FILE, members, f"{len(members)} rows")
    for members in same_pixels:
        if len({rows[row].file for row in members}) > 1 or not rows[members[0]].file:
            yield Finding(Problem.SAME_PIXELS, members, f"{len(members)} rows")
    copies = {row for members in same_pixels for row in members[1:]}
    firsts = [number for number in range(len(rows)) if rows[number].portrait is not None and number not in copies]
    if not firsts:
        return
    portraits = np.stack([picture for number in firsts if (picture := rows[number].portrait) is not None])
    for pair in find_duplicates(portraits, progress=progress):
        how = [f"turned by {pair.turned:.0f}°"] if abs(pair.turned) >= 1 else []
        how += ["mirrored"] if pair.mirrored else []
        text = f"the same galaxy, {', '.join(how) or 'neither turned nor mirrored'}; likeness {pair.likeness:.2f}"
        yield Finding(Problem.NEAR_DUPLICATE, (firsts[pair.first], firsts[pair.second]), text, pair.likeness)


def same_galaxies(
    sources: Sequence[Source],
    ids: Collection[str],
    *,
    threads: int = 2,
    progress: Callable[[int], object] = lambda done: None,
) -> list[tuple[str, str]]:
    """Find pictures of the same galaxy under different ids, also turned, mirrored, rescaled or cropped differently.

    Parameters
    ----------
    sources : sequence of Source
    ids : collection of str
        Ids of the galaxies to compare; the first of several rows with one id counts.
    threads : int
        Number of threads that read pictures.
    progress : callable
        Called with the number of galaxies compared since the last call.

    Returns
    -------
    list of (str, str)
        Pairs of ids. See `peculiar.images.duplicates.find_duplicates` for the time it takes.
    """
    wanted = set(ids)

    def firsts() -> Iterator[Row]:
        for row in itertools.chain.from_iterable(source.rows() for source in sources):
            if row.id in wanted:
                wanted.remove(row.id)
                yield row

    rows = list(in_order(examine, firsts(), threads))
    found = duplicates_among(rows, progress=progress)
    return [(rows[first].id, rows[second].id) for one in found for first, second in one.pairs]


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _groups(digests: Sequence[bytes]) -> list[tuple[int, ...]]:
    """Return groups of rows with the same digest; empty digests are ignored."""
    rows: dict[bytes, list[int]] = defaultdict(list)
    for number, digest in enumerate(digests):
        if digest:
            rows[digest].append(number)
    return [tuple(members) for members in rows.values() if len(members) > 1]
