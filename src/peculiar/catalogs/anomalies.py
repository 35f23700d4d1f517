"""Rank galaxies by how much they differ from the others, and correct the ranks with ratings.

First an outlier detector of scikit-learn ranks all galaxies by their embeddings. Then people rate some of them as
interesting or not, and the ranks near the rated galaxies are corrected, as in Astronomaly (Lochner & Bassett 2021). The
correction is a Gaussian process fitted to the differences between ratings and ranks. It fades with the distance from
the rated galaxies; galaxies far from all of them keep their first rank. The highest ranks are often similar, so rating
varied galaxies among them finds kinds that the detector ranks lower.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.catalogs.active import k_centre
from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.novelty import novelty
from peculiar.catalogs.search import Cone, Kind, among, best, own
from peculiar.catalogs.table import GalaxyTable
from peculiar.catalogs.tally import BROKEN
from peculiar.errors import LabelError, UnknownNameError, UsageError
from peculiar.files.places import place
from peculiar.tables.column import Column
from peculiar.tables.identifiers import entry_text
from peculiar.tables.reader import TableReader

METHODS = ("isolation", "neighbours")

# Maximum number of randomly drawn galaxies that the detectors are fitted to.
_FITTED, _NEIGHBOURHOODS, _COMPONENTS = 20_000, 4_000, 40

# Size of the pool of highest ranks, relative to the number wanted, from which varied galaxies are taken.
_POOL = 10

# Length scale of the kernel (vectors have length 1) and noise of the ratings, chosen on SDSS and DECaLS galaxies.
_REACH, _NOISE = 1.0, 0.1

_YES, _NO = ("yes", "y", "true", "t"), ("no", "n", "false", "f")


def find_anomalies(
    catalog: Kind,
    answers: Mapping[str, float] | None = None,
    *,
    method: str = "isolation",
    novel: bool = False,
    new: bool = False,
    varied: bool = False,
    where: str | None = None,
    cone: Cone | None = None,
    top: int = 50,
    seed: int = 222,
) -> Kind:
    """Find the galaxies that differ most from the others, or resemble those rated as interesting.

    See `peculiar.catalogs.catalog.Catalog.anomalies`.

    Parameters
    ----------
    catalog : GalaxyTable
        With embeddings.
    answers : mapping of str to float, optional
        Ratings of some galaxies by id, 0 to 1; see `read_answers`.
    method, novel, new, varied, where, cone, top, seed
        As there, the cone as a `Cone`. Novelty is that of `peculiar.catalogs.novelty`.

    Returns
    -------
    GalaxyTable
        Of the same class as `catalog`.

    Raises
    ------
    UnknownNameError
        If an id is not in the catalogue, or there is no such method.
    UsageError
        If the catalogue has no embeddings, or another method is asked for with `novel`.
    """
    if novel and method != METHODS[0]:
        message = f"novelty has a measure of its own; leave out the method {method!r} (--method), or novelty (--novel)"
        raise UsageError(message)
    answers, root = dict(answers or {}), catalog.root
    embeddings = root.embeddings()
    rows = root.rows_of(list(answers), lenient=True)
    if (rows < 0).any():
        root.rows_of([id_ for id_, row in zip(answers, rows.tolist(), strict=True) if row < 0])  # raises an error
    notes = {"anomalies by": "novelty" if novel else method, "answers": str(len(answers)), **root.whose}
    if novel:
        broken = _broken(root)
        notes["broken pictures left out"] = str(int((broken & embeddings.known).sum()))
        scores = _ranked(novelty(embeddings, ~broken, seed=seed))
    else:
        scores = outlier_ranks(embeddings, method=method, seed=seed)
    before = scores.copy()
    if answers:
        scores = learn(embeddings, scores, rows, np.array(list(answers.values())))
    allowed = among(catalog, where, cone)
    if allowed is not None:
        scores[~allowed] = np.nan
    if new:
        scores[rows] = np.nan
    if varied:
        chosen = choose_varied(embeddings, scores, top)
        kept = np.full_like(scores, np.nan)
        kept[chosen] = scores[chosen]
        scores = kept
    found = best(catalog, own(catalog, scores), top, "how unlike the others, or like the interesting ones", notes)
    if novel:
        text = "share of the galaxies of the catalogue that are less novel"
        ranks = pa.array(before[found.rows], pa.float32(), from_pandas=True)
        found = found.with_column(Column("novelty", pa.float32(), text, ucd="stat.rank"), ranks)
    rated = dict(zip(rows.tolist(), answers.values(), strict=True))
    given = [rated.get(row, answers.get(id_)) for row, id_ in zip(found.rows.tolist(), found.ids, strict=True)]
    return found.with_column(
        Column("interesting", pa.float32(), "how interesting people found it, 0 to 1"), pa.array(given, pa.float32())
    )


def _broken(catalog: GalaxyTable) -> NDArray[np.bool_]:
    """Return whose picture is broken, as the column ``flags`` says, shape (n,)."""
    if not catalog.numeric("flags"):
        return np.zeros(len(catalog), dtype=bool)
    flags = [batch.column(0).fill_null(0).to_numpy(zero_copy_only=False) for batch in catalog.batches(["flags"])]
    return np.asarray(np.concatenate([np.empty(0, np.int64), *flags]).astype(np.int64) & BROKEN, dtype=bool)


def choose_varied(embeddings: Embeddings, scores: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Choose galaxies of high scores that differ from each other.

    Parameters
    ----------
    embeddings : Embeddings
    scores : ndarray of float32, shape (n,)
        NaN for galaxies that cannot be chosen.
    count : int

    Returns
    -------
    ndarray of int
        Rows, `count` of the ten times as many with the highest scores; fewer if fewer are left.
    """
    left = np.flatnonzero(~np.isnan(scores))
    first = left[np.argsort(-scores[left], kind="stable")[: _POOL * max(count, 0)]]
    return np.asarray(first[k_centre(embeddings.vectors[first], count)])


def read_answers(paths: Iterable[str | os.PathLike[str]], id: str | None = None) -> dict[str, float]:
    """Read ratings of galaxies from tables with the columns ``id`` and ``interesting``.

    Parameters
    ----------
    paths : iterable of path-like
        Tables of any format; where they differ, the later one counts. Rows without a rating are skipped. A rating is
        yes, no, or a number from 0 to 1.
    id : str, optional
        The column of ids; default: found by name.

    Returns
    -------
    dict of str to float

    Raises
    ------
    UnknownNameError
        If there is no column of a name.
    LabelError
        If an entry is not a rating, or there are no ratings.
    """
    answers: dict[str, float] = {}
    files = [place(path) for path in paths]
    for path in files:
        reader = TableReader(path)
        if id is not None:
            reader.check_column(id)
        for id_, entry in zip(reader.column(reader.id_column(id)), reader.column("interesting"), strict=True):
            name = entry_text(id_) or ""
            if entry is not None and str(entry).strip():
                answers[name] = _answer(entry, name, path)
    if not answers:
        message = (
            f"{', '.join(map(str, files))}: no galaxy is rated; fill in the column 'interesting' (yes, no, or 0 to 1)"
        )
        raise LabelError(message)
    return answers


def _answer(entry: object, id_: str, path: Path) -> float:
    text = str(entry).strip().lower()
    if text in _YES + _NO:
        return float(text in _YES)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        message = f"{path}: the rating of {id_} has to be yes, no, or a number from 0 to 1; received {entry!r}"
        raise LabelError(message)
    return value


def outlier_ranks(embeddings: Embeddings, *, method: str = "isolation", seed: int = 222) -> NDArray[np.float32]:
    """Rank galaxies by how much they differ from the others.

    Parameters
    ----------
    embeddings : Embeddings
    method : {"isolation", "neighbours"}
    seed : int

    Returns
    -------
    ndarray of float32, shape (n,)
        From 0 to 1, where 1 differs most; NaN for galaxies without an embedding.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    UsageError
        If there are fewer than ten galaxies to compare.
    """
    from sklearn.decomposition import PCA  # scikit-learn takes a second to import

    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    known = np.flatnonzero(embeddings.known)
    if len(known) < 10:
        message = f"outlier detection needs ten galaxies or more with an embedding; received {len(known)}"
        raise UsageError(message)
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(known, min(_FITTED, len(known)), replace=False))
    # Without their lengths, the vectors near the centre, which are the most ordinary galaxies, would be scattered.
    sample = embeddings.vectors[chosen] * embeddings.lengths[chosen, None]
    components = min(_COMPONENTS, *sample.shape)
    reduce = PCA(n_components=components, svd_solver="covariance_eigh").fit(sample).transform
    judge = _detector(method, reduce(sample), random)
    scores = np.full(len(embeddings), np.nan)
    for rows, block in embeddings.blocks():
        there = embeddings.known[rows]
        if there.any():
            centred = block[there] * embeddings.lengths[rows][there, None]
            scores[np.arange(rows.start, rows.stop)[there]] = judge(reduce(centred))
    return _ranked(scores)


def _ranked(scores: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return scores as ranks from 0 to 1, the highest 1; NaN stays NaN."""
    known = np.flatnonzero(~np.isnan(scores))
    ranks = np.full(len(scores), np.nan, dtype=np.float32)
    ranks[known] = scores[known].argsort(kind="stable").argsort(kind="stable") / (len(known) - 1)
    return ranks


def _detector(
    method: str, sample: NDArray[np.floating], random: np.random.Generator
) -> Callable[[NDArray[np.floating]], NDArray[np.floating]]:
    """Fit a detector and return its score function, which is higher for outliers."""
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor

    if method == "isolation":
        forest = IsolationForest(n_estimators=200, random_state=int(random.integers(1 << 31))).fit(sample)
        return lambda block: -forest.score_samples(block)
    # The distances from each galaxy to the whole sample are computed, so the sample has to be smaller here.
    fewer = sample[:_NEIGHBOURHOODS] if len(sample) <= _NEIGHBOURHOODS else random.permutation(sample)[:_NEIGHBOURHOODS]
    factor = LocalOutlierFactor(n_neighbors=min(30, len(fewer) - 1), novelty=True).fit(fewer)
    return lambda block: -factor.score_samples(block)


def learn(
    embeddings: Embeddings, ranks: NDArray[np.float32], rows: NDArray[np.integer], interest: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Correct the ranks near the rated galaxies.

    Parameters
    ----------
    embeddings : Embeddings
    ranks : ndarray of float32, shape (n,)
        As returned by `outlier_ranks`.
    rows : ndarray of int, shape (k,)
        The rated galaxies; those without an embedding are skipped.
    interest : ndarray, shape (k,)
        0 to 1.

    Returns
    -------
    ndarray of float32, shape (n,)
        Rank plus the mean of a Gaussian process fitted to the differences between ratings and ranks.
    """
    usable = embeddings.known[rows]
    rows, interest = rows[usable], interest[usable]
    answered = embeddings.vectors[rows]
    inner = _kernel(answered, answered) + _NOISE * np.eye(len(rows))
    weights = np.linalg.solve(inner, interest - ranks[rows])
    corrected = ranks.copy()
    for block_rows, block in embeddings.blocks():
        corrected[block_rows] += (_kernel(block, answered) @ weights).astype(np.float32)
    return corrected


def _kernel(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the Gaussian kernel between vectors of length 1, shape (n, m)."""
    squares = 2 - 2 * (one @ other.T).astype(np.float64)
    return np.asarray(np.exp(-squares / (2 * _REACH**2)))
