"""Galaxies that a model was trained on: short digests of their ids in the model file."""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import ModelError
from peculiar.sources.joins import file_name, trimmed

SEEN = "seen"
"""Key of the digests in a model file's record of its training."""

_KEYS: Mapping[str, Callable[[str], str]] = {"name": file_name, "id": trimmed}


@dataclass(frozen=True, slots=True)
class Seen:
    """A set of ids that can be tested for membership, but not listed.

    Parameters
    ----------
    packs : tuple of str
        As `pack_ids` writes them. A different id matches a pack of n with a probability of n / 2^32.
    """

    packs: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether the training galaxies are known."""
        return bool(self.packs)

    def among(self, ids: Sequence[str]) -> NDArray[np.bool_]:
        """Return for each id whether it is in the set, unchanged or as a file name.

        Raises
        ------
        ModelError
            If a pack is damaged.
        """
        found = np.zeros(len(ids), dtype=bool)
        for pack in self.packs:
            kind, digests = _unpack(pack)
            found |= np.isin(_digests(_keys(ids, kind)), digests)
        return found


def pack_ids(ids: Iterable[str]) -> str:
    """Return ids as text: four bytes of the digest of each.

    Ids are compared as file names, without folders and suffixes, if these are unique; so ``100008`` and
    ``images/100008.jpg`` are the same.
    """
    different = sorted(set(ids))
    kind = "name" if len({file_name(id_) for id_ in different}) == len(different) else "id"
    digests = np.unique(_digests([_KEYS[kind](id_) for id_ in different]))
    return f"{kind}:{base64.b64encode(digests.astype('<u4').tobytes()).decode()}"


def _keys(ids: Sequence[str], kind: str) -> list[str]:
    keys = [_KEYS[kind](id_) for id_ in ids]
    # If files in different folders have the same name, the name does not identify the galaxy.
    times = Counter(key for key, _ in dict.fromkeys(zip(keys, ids, strict=True)))
    return [key if times[key] == 1 else trimmed(id_) for key, id_ in zip(keys, ids, strict=True)]


def _digests(keys: Sequence[str]) -> NDArray[np.uint32]:
    # Not the bytes that `peculiar.sources.split.part_of` uses, which are similar for all training galaxies.
    parts = b"".join(hashlib.sha256(key.encode()).digest()[8:12] for key in keys)
    return np.frombuffer(parts, dtype="<u4")


def _unpack(pack: str) -> tuple[str, NDArray[np.uint32]]:
    kind, _, text = pack.partition(":")
    try:
        content = base64.b64decode(text, validate=True)
        if kind not in _KEYS:
            raise ValueError(kind)
        return kind, np.frombuffer(content, dtype="<u4")
    except ValueError as error:
        message = f"the model's record of its training galaxies is damaged ({error}); export the model again"
        raise ModelError(message) from error
