"""Approximate nearest neighbours among many millions of embeddings, with `faiss`.

The embeddings are quantized to one byte per value and divided into cells by k-means. A search visits the few cells with
the nearest centres and compares the candidates exactly. The number of cells to visit is tuned on galaxies of the
catalogue when the index is built, which also measures the recall.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.store import BLOCK
from peculiar.catalogs.table import GalaxyTable
from peculiar.errors import MissingExtraError

FEW = 100_000
"""Number of galaxies up to which all are compared, which takes less than a tenth of a second."""

# Cells are added until a search finds this share of the fifty nearest neighbours, on average over so many galaxies.
_WANTED, _NEAREST, _TRIED = 0.98, 50, 200

# Values of one byte change the order slightly, so more candidates than requested are compared exactly.
_MORE = 2

# Galaxies per cell that k-means is fitted to; faiss warns of fewer than 39.
_SEEN_A_CELL = 64


def near(
    catalog: GalaxyTable, vector: NDArray[np.float32], count: int, allowed: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float32], float]:
    """Compare a direction with its probable nearest neighbours.

    The first call for a catalogue of more than `FEW` galaxies builds the index and stores it in the cache.

    Parameters
    ----------
    catalog : GalaxyTable
        With embeddings.
    vector : ndarray of float32, shape (d,)
        Of length 1, from the centre of the catalogue.
    count : int
        Number of neighbours wanted.
    allowed : ndarray of bool, shape (n,), optional
        Mask of the rows that may be found.

    Returns
    -------
    cosines : ndarray of float32, shape (n,)
        Cosine of the angle to `vector`, exact; NaN for galaxies that were not compared.
    recall : float
        Share of the fifty nearest neighbours that such a search finds, as measured when the index was built; 1 if all
        galaxies were compared.

    Raises
    ------
    MissingExtraError
        If an index is needed and faiss is not installed.
    UsageError, DataError
        If the catalogue has no embeddings.
    """
    embeddings = catalog.embeddings()
    rows = np.arange(len(embeddings)) if allowed is None else np.flatnonzero(allowed)
    recall = 1.0
    if len(rows) > FEW:
        index, facts = _open(catalog, embeddings)
        recall = float(facts["recall"])
        # To see as many galaxies that meet a condition, proportionally more cells are visited.
        probes = math.ceil(facts["probes"] * len(embeddings) / len(rows))
        found = _candidates(index, vector[None], count, probes, allowed)[0]
        if (found < 0).any():
            found = _candidates(index, vector[None], count, index.nlist, allowed)[0]
        rows = np.sort(found[found >= 0])
    cosines = np.full(len(embeddings), np.nan, dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        cosines[some] = embeddings.vectors[some] @ vector
    return cosines, recall


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("approximate search", "faiss") from error
    return faiss


def _open(catalog: GalaxyTable, embeddings: Embeddings) -> tuple[Any, dict[str, float]]:
    """Return the memory-mapped index, with the number of cells to visit and the recall."""
    faiss = _faiss()
    file = catalog.cached("indices", ".faiss", lambda temporary: _build(embeddings, temporary))
    index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP)
    facts = catalog.cached(
        "indices", ".json", lambda temporary: temporary.write_text(json.dumps(_try(index, embeddings)))
    )
    return index, json.loads(facts.read_text())


def _build(embeddings: Embeddings, file: Path) -> None:
    """Divide the embeddings into cells; there are as many cells as galaxies per cell."""
    faiss = _faiss()
    known, width = np.flatnonzero(embeddings.known), embeddings.vectors.shape[1]
    cells = max(1, round(math.sqrt(len(known))))
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(width), width, cells, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.seed = 222
    seen = np.random.default_rng(222).choice(known, min(_SEEN_A_CELL * cells, len(known)), replace=False)
    index.train(np.ascontiguousarray(embeddings.vectors[np.sort(seen)]))
    for rows, block in embeddings.blocks():
        there = np.flatnonzero(embeddings.known[rows])
        if len(there):
            index.add_with_ids(np.ascontiguousarray(block[there]), rows.start + there)
    faiss.write_index(index, str(file))


def _try(index: Any, embeddings: Embeddings) -> dict[str, float]:
    """Visit more and more cells until enough of the nearest neighbours of some galaxies are found."""
    known = np.flatnonzero(embeddings.known)
    tried = np.sort(np.random.default_rng(222).choice(known, min(_TRIED, len(known)), replace=False))
    vectors = np.array(embeddings.vectors[tried])
    nearest, cosines = np.empty((len(tried), 0), dtype=np.int64), np.empty((len(tried), 0), dtype=np.float32)
    for rows, block in embeddings.blocks():
        nearest = np.hstack([nearest, np.broadcast_to(np.arange(rows.start, rows.stop), (len(tried), len(block)))])
        cosines = np.hstack([cosines, np.nan_to_num(vectors @ block.T, nan=-2)])
        best = np.argsort(-cosines, axis=1, kind="stable")[:, : _NEAREST + 1]
        nearest, cosines = np.take_along_axis(nearest, best, axis=1), np.take_along_axis(cosines, best, axis=1)
    probes, recall = 1, 0.0
    while True:
        found = _candidates(index, vectors, _NEAREST + 1, probes)
        # The galaxy itself does not count.
        recall = float(
            np.mean(
                [
                    np.isin(truth[truth != row], some).mean()
                    for row, truth, some in zip(tried, nearest, found, strict=True)
                ]
            )
        )
        if recall >= _WANTED or probes >= index.nlist:
            return {"probes": probes, "recall": recall}
        probes *= 2


def _candidates(
    index: Any, vectors: NDArray[np.float32], count: int, probes: int, allowed: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Return rows of the probable nearest neighbours, shape (k, `_MORE` times count); -1 if there are no more."""
    faiss = _faiss()
    # Passed to the constructor, which keeps a reference to the bits; setting the attribute later does not.
    only = {} if allowed is None else {"sel": faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))}
    settings = faiss.SearchParametersIVF(nprobe=min(probes, index.nlist), **only)
    return np.asarray(index.search(np.ascontiguousarray(vectors), _MORE * count, params=settings)[1])
