"""Novelty within a catalogue: how far a galaxy lies from all kinds that the catalogue has plenty of, without labels.

The measure is the distance of a galaxy's embedding to its k-th nearest among a sample (Ramaswamy et al. 2000), k being
a small share of the sample: a kind that is rarer than this share is novel, however alike its galaxies are. The column
``ood`` compares with the training set of the model instead, and cannot rank within a survey that looks unlike it as a
whole.
"""

import numpy as np
from numpy.typing import NDArray

from peculiar.catalogs.embeddings import Embeddings
from peculiar.errors import UsageError

SAMPLE = 20_000
"""Galaxies that all others are compared with, at the most; drawn at random."""

_FEWEST = 50

# Components of the embeddings that are compared.
_COMPONENTS = 40

# The neighbour that counts: this share of the sample, and at least so many. Copies of a galaxy count once.
_SHARE, _LEAST = 0.01, 20

# Rows that are compared at once: 80 MB of distances.
_TOGETHER = 1_000


def novelty(embeddings: Embeddings, usable: NDArray[np.bool_] | None = None, *, seed: int = 222) -> NDArray[np.float32]:
    """Measure how far galaxies lie from the others of their catalogue.

    Takes a minute or two for a million galaxies, and memory for the sample, not for the catalogue.

    Parameters
    ----------
    embeddings : Embeddings
    usable : ndarray of bool, shape (n,), optional
        Which galaxies are measured and compared with; the others get NaN, as those without an embedding. For pictures
        that are broken.
    seed : int
        Decides the sample.

    Returns
    -------
    ndarray of float32, shape (n,)
        Distance to the k-th nearest galaxy of the sample along the first principal components; NaN where there is no
        embedding.

    Raises
    ------
    UsageError
        If there are fewer than fifty galaxies to compare.

    Examples
    --------
    >>> import numpy as np
    >>> from peculiar.catalogs.embeddings import Embeddings
    >>> from peculiar.catalogs.novelty import novelty
    >>> points = np.random.default_rng(222).normal(size=(1000, 8))
    >>> points[7] = 9
    >>> int(np.argmax(novelty(Embeddings.of(points))))
    7
    """
    from sklearn.decomposition import PCA  # scikit-learn takes a second to import

    known = embeddings.known if usable is None else embeddings.known & usable
    rows = np.flatnonzero(known)
    if len(rows) < _FEWEST:
        message = f"novelty compares a galaxy with fifty others or more, received {len(rows)} with an embedding"
        raise UsageError(message)
    chosen = np.sort(np.random.default_rng(seed).choice(rows, min(SAMPLE, len(rows)), replace=False))
    sample = embeddings.vectors[chosen] * embeddings.lengths[chosen, None]
    components = min(_COMPONENTS, *sample.shape)
    with np.errstate(invalid="ignore"):  # shares of no variance, if all galaxies are the same
        reduce = PCA(n_components=components, svd_solver="covariance_eigh").fit(sample).transform
    sample = _different(reduce(sample))
    # One more: most galaxies of a small catalogue are in the sample themselves.
    k = min(max(_LEAST, round(_SHARE * len(sample))) + 1, len(sample))
    squares = np.einsum("nd,nd->n", sample, sample)
    found = np.full(len(embeddings), np.nan, dtype=np.float32)
    for some, block in embeddings.blocks():
        there = np.flatnonzero(known[some])
        for start in range(0, len(there), _TOGETHER):
            part = there[start : start + _TOGETHER]
            points = reduce(block[part] * embeddings.lengths[some][part, None])
            distances = squares - 2 * points @ sample.T
            nearest = np.partition(distances, k - 1, axis=1)[:, k - 1]
            away = nearest + np.einsum("nd,nd->n", points, points)
            found[some.start + part] = np.sqrt(np.maximum(away, 0))
    return found


def _different(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return points of which copies are left out, so that a galaxy stored many times is no less novel."""
    spacing = 1e-4 * float(np.median(np.linalg.norm(points, axis=1))) or 1.0
    _, first = np.unique(np.round(points / spacing).astype(np.int64), axis=0, return_index=True)
    return points[np.sort(first)]
