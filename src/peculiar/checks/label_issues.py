"""Labels that are probably wrong, ranked by confident learning."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import LabelError, MissingExtraError

FOLDS = 5
LEAST_OF_A_CLASS = 2 * FOLDS
"""Minimum number of galaxies of a class for its labels to be judged."""

SEED = 222


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label, and how far to trust it.

    Parameters
    ----------
    row : int
    label : str
    better : str
        The most probable other class.
    quality : float
        Between 0 and 1; smaller is more suspect.
    doubted : bool
        Whether it is probably wrong by confident learning (Northcutt et al. 2021).
    """

    row: int
    label: str
    better: str
    quality: float
    doubted: bool


def rank_labels(embeddings: NDArray[np.float32], labels: Sequence[str], groups: Sequence[int]) -> list[Suspect]:
    """Rank labels by the disagreement of a classifier that has not seen them.

    The classifier is a logistic regression on embeddings, trained on four fifths of the galaxies and applied to the
    last fifth.

    Parameters
    ----------
    embeddings : ndarray, shape (n, d)
    labels : sequence of str, length n
        Labels of at least two classes with `LEAST_OF_A_CLASS` galaxies each.
    groups : sequence of int, length n
        Duplicates have the same number, so that a galaxy is not judged by its copies.

    Returns
    -------
    list of Suspect
        All of them, the most suspect first.

    Raises
    ------
    LabelError
        If there are too few classes, or too few galaxies in one.
    MissingExtraError
        If cleanlab is not installed.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ModuleNotFoundError as error:
        raise MissingExtraError("ranking suspect labels", "check") from error
    counts = Counter(labels)
    if len(counts) < 2 or min(counts.values()) < LEAST_OF_A_CLASS:
        message = (
            f"labels are judged among two or more classes of {LEAST_OF_A_CLASS} galaxies each; received {dict(counts)}"
        )
        raise LabelError(message)
    classes, numbers = np.unique(np.asarray(labels), return_inverse=True)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    # One scale for all directions: each at a scale of its own, noise would count as much as galaxies do.
    centred = embeddings - embeddings.mean(axis=0)
    scaled = centred / max(float(centred.std()), 1e-12)
    classifier = LogisticRegression(C=0.01, max_iter=200)
    with warnings.catch_warnings():
        # The last digits of a probability do not affect the ranking.
        warnings.simplefilter("ignore", ConvergenceWarning)
        chances = cross_val_predict(classifier, scaled, numbers, groups=groups, cv=folds, method="predict_proba")
    quality = get_label_quality_scores(numbers, chances, method="normalized_margin")
    doubted = find_label_issues(numbers, chances, n_jobs=1)
    others = chances.copy()
    others[np.arange(len(numbers)), numbers] = -1
    better = classes[others.argmax(axis=1)]
    return [
        Suspect(int(row), str(labels[row]), str(better[row]), round(float(quality[row]), 4), bool(doubted[row]))
        for row in np.argsort(quality, kind="stable")
    ]
