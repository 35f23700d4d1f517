"""Active learning: choose the galaxies whose answers improve a linear head most, score the head, advise when to stop.

A committee of linear heads, each fitted to a different bootstrap sample of the answers, gives the uncertainty and the
disagreement for every galaxy. A random sample of the galaxies is held out: they are shown in random order and never
used for fitting, so their score is an unbiased estimate for all galaxies.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax, xlogy

from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.store import BLOCK
from peculiar.errors import UnknownNameError, UsageError

STRATEGIES = ("margin", "entropy", "bald", "rare", "random")
"""Choose galaxies whose two most probable answers are close, whose entropy is high, on which the members disagree,
that probably have the rarest answer, or at random."""

MEMBERS, APART = 8, 0.2

# Size of the pool of most informative galaxies, relative to the number wanted, from which a diverse set is taken.
_POOL = 4

# scikit-learn's C for vectors of length about 1. Regularised more strongly than for random galaxies, for which
# cross-validation would choose 1: the chosen galaxies lie between two answers and have more leverage, and an oddity of
# a single one does not generalise.
_STRENGTH = 0.1

# Bootstrap samples of the interval of a score.
_RESAMPLES = 400

# With fewer galaxies of an answer in the random sample a score means nothing, or too little to advise stopping.
_FEWEST_TO_SCORE, _FEWEST_TO_STOP = 5, 10

# Increase of the score below which more answers hardly help.
_ENOUGH = 0.01

# Number of galaxies that are chosen ahead: enough for several annotators while the committee is fitted.
_AHEAD = 200


@dataclass(frozen=True, slots=True)
class Committee:
    """Linear heads on embeddings, fitted to bootstrap draws of the same answers.

    Parameters
    ----------
    weights : ndarray of float32, shape (members, d, answers)
    bias : ndarray of float32, shape (members, 1, answers)
        Minus infinity for answers that nobody gave.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def chances(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of each member for vectors of shape (n, d), shape (members, n, answers)."""
        return np.asarray(softmax(vectors @ self.weights + self.bias, axis=-1), dtype=np.float32)

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean over the members, shape (n, answers)."""
        return np.asarray(self.chances(vectors).mean(axis=0))


def features(embeddings: Embeddings, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> NDArray[np.float32]:
    """Return the input of the heads, shape (k, d): centred embeddings, scaled to a median length of 1."""
    lengths = embeddings.lengths
    scale = np.nanmedian(lengths[:: max(1, len(lengths) // 10_000)]) or np.nanmax(lengths)
    return np.asarray(embeddings.vectors[rows] * (lengths[rows] / scale)[:, None], dtype=np.float32)


def fit_committee(
    vectors: NDArray[np.float32], labels: NDArray[np.integer], answers: int, *, members: int = MEMBERS, seed: int = 222
) -> Committee:
    """Fit a committee.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n, d)
        As returned by `features`.
    labels : ndarray of int, shape (n,)
        Number of the answer.
    answers : int
        Number of possible answers; those that do not occur get the probability 0.
    members : int
    seed : int
        Seed of the bootstrap samples, which are drawn with replacement within each answer.

    Raises
    ------
    UsageError
        If fewer than two different answers were given.
    """
    from sklearn.linear_model import LogisticRegression

    given = np.unique(labels)
    if len(given) < 2:
        message = f"a head needs galaxies of two answers or more; received {len(labels)} of {len(given)}"
        raise UsageError(message)
    random = np.random.default_rng(seed)
    groups = [np.flatnonzero(labels == answer) for answer in given]
    weights = np.zeros((members, vectors.shape[1], answers), dtype=np.float32)
    bias = np.full((members, 1, answers), -np.inf, dtype=np.float32)
    for member in range(members):
        drawn = np.concatenate([random.choice(group, len(group)) for group in groups])
        fitted = LogisticRegression(C=_STRENGTH, max_iter=200, tol=1e-3).fit(vectors[drawn], labels[drawn])
        bias[member, 0, given] = 0
        # For two answers scikit-learn only keeps the coefficients of the second.
        which = given[1:] if len(given) == 2 else given
        weights[member][:, which], bias[member, 0, which] = fitted.coef_.T, fitted.intercept_
    return Committee(weights, bias)


def informativeness(chances: NDArray[np.float32], strategy: str, rare: int = 0) -> NDArray[np.float32]:
    """Return the informativeness of an answer for each galaxy, shape (n,); the highest is the most informative.

    Parameters
    ----------
    chances : ndarray, shape (members, n, answers)
    strategy : {"margin", "entropy", "bald", "rare"}
    rare : int
        The answer that "rare" looks for.
    """
    mean = chances.mean(axis=0)
    if strategy == "margin":
        ordered = np.sort(mean, axis=1)
        return np.asarray(ordered[:, -2] - ordered[:, -1])
    if strategy == "entropy":
        return np.asarray(-xlogy(mean, mean).sum(axis=1))
    if strategy == "bald":
        return np.asarray(-xlogy(mean, mean).sum(axis=1) + xlogy(chances, chances).sum(axis=2).mean(axis=0))
    if strategy == "rare":
        return np.asarray(mean[:, rare])
    raise UnknownNameError("strategy", strategy, STRATEGIES)


def k_centre(vectors: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Choose vectors that differ from each other by greedy k-centre selection, starting with the first.

    Parameters
    ----------
    vectors : ndarray, shape (n, d)
        Of length 1, the most informative first.
    count : int

    Returns
    -------
    ndarray of int, shape (min(count, n),)
    """
    chosen = [0] if len(vectors) and count else []
    nearest = vectors @ vectors[0] if chosen else np.empty(0)
    while len(chosen) < min(count, len(vectors)):
        nearest[chosen[-1]] = np.inf
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return np.array(chosen, dtype=np.intp)


def choose(
    embeddings: Embeddings,
    free: NDArray[np.bool_],
    committee: Committee | None,
    count: int,
    *,
    strategy: str = "margin",
    rare: int = 0,
    seed: int = 222,
) -> NDArray[np.intp]:
    """Choose galaxies to ask about.

    Parameters
    ----------
    embeddings : Embeddings
    free : ndarray of bool, shape (n,)
        Galaxies that may be chosen.
    committee : Committee or None
        None while there are too few answers; a diverse set of randomly drawn galaxies is then returned.
    count : int
    strategy : str
        One of `STRATEGIES`.
    rare : int
        The answer that "rare" looks for.
    seed : int

    Returns
    -------
    ndarray of int
        Rows, the most informative first; fewer than `count` if fewer are left.
    """
    if strategy not in STRATEGIES:
        raise UnknownNameError("strategy", strategy, STRATEGIES)
    rows = np.flatnonzero(free & embeddings.known)
    if committee is None or strategy == "random":
        rows = np.random.default_rng(seed).permutation(rows)[: count if strategy == "random" else _POOL * count]
        return rows if strategy == "random" else rows[k_centre(embeddings.vectors[rows], count)]
    scores = np.full(len(embeddings), -np.inf, dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        scores[some] = informativeness(committee.chances(features(embeddings, some)), strategy, rare)
    best = rows[np.argsort(-scores[rows], kind="stable")[: _POOL * count]]
    kept = best[k_centre(embeddings.vectors[best], count)]
    return kept[np.argsort(-scores[kept], kind="stable")]


@dataclass(frozen=True, slots=True)
class Progress:
    """Quality of a head fitted to the answers, measured on the random sample.

    Parameters
    ----------
    learned : int
        Number of answers that the head was fitted to.
    tested : int
        Number of answers that it is scored on.
    advice : str
        Whether to go on, and why, as a sentence.
    score : float, optional
        Average precision, mean over the answers in `scored`; None if undefined.
    low, high : float, optional
        Its 95 % bootstrap interval.
    gain, gain_high : float, optional
        Increase of the score from the second half of the answers, and the upper end of its interval.
    may_stop : bool
        True if the second half of the answers raised the score by at most 0.01: as many answers again would hardly
        help.
    scored : tuple of str
        The answers that the score is the mean of: those that the head was fitted to and of which the random sample has
        enough.
    """

    learned: int
    tested: int
    advice: str
    score: float | None = None
    low: float | None = None
    high: float | None = None
    gain: float | None = None
    gain_high: float | None = None
    may_stop: bool = False
    scored: tuple[str, ...] = ()


def measure(
    vectors: NDArray[np.float32],
    labels: NDArray[np.integer],
    apart: NDArray[np.float32],
    apart_labels: NDArray[np.integer],
    answers: Sequence[str],
    committee: Committee | None,
    *,
    seed: int = 222,
) -> Progress:
    """Score a committee on the galaxies kept apart, and estimate whether more answers would help.

    Parameters
    ----------
    vectors, labels : ndarray
        The data that it was fitted to, in the order of answering.
    apart, apart_labels : ndarray
        The galaxies of the random sample, and their answers.
    answers : sequence of str
    committee : Committee or None
    seed : int
        Of the bootstrap.
    """
    learned, tested = len(labels), len(apart_labels)
    counts = np.bincount(apart_labels, minlength=len(answers))
    if committee is None:
        return Progress(learned, tested, "two different answers are needed to fit a head")
    asked = np.unique(labels)
    rarest = int(asked[np.argmin(counts[asked])])
    early = f"too early to say: {counts[rarest]} of the {tested} in the random sample are {answers[rarest]}"
    scored = asked[(counts[asked] >= _FEWEST_TO_SCORE) & (tested - counts[asked] >= _FEWEST_TO_SCORE)]
    if not len(scored):
        advice = f"{early}; a score needs {_FEWEST_TO_SCORE} of one answer and {_FEWEST_TO_SCORE} of others"
        return Progress(learned, tested, advice)
    half = labels[: len(labels) // 2]
    before = fit_committee(vectors[: len(half)], half, len(answers)) if len(np.unique(half)) > 1 else None
    chances = [one.probabilities(apart) for one in (committee, before) if one is not None]
    random = np.random.default_rng(seed)
    draws = [np.arange(len(apart_labels))]
    draws += [random.integers(0, len(apart_labels), len(apart_labels)) for _ in range(_RESAMPLES)]
    found = np.array([[mean_precision(apart_labels[one], each[one], scored) for each in chances] for one in draws])
    score = float(found[0, 0])
    low, high = (float(end) for end in np.nanquantile(found[1:, 0], (0.025, 0.975)))
    gain = gain_high = None
    if before is not None:
        gains = found[:, 0] - found[:, 1]
        gain, gain_high = float(gains[0]), float(np.nanquantile(gains[1:], 0.975))
    may_stop = False
    if counts[rarest] < _FEWEST_TO_STOP:
        advice = f"{early}; the advice to stop needs {_FEWEST_TO_STOP} of each answer"
    elif gain is None or gain_high is None:
        advice = "go on"
    elif gain_high > _ENOUGH:
        advice = f"go on: the second half of the answers may have raised the score by up to {gain_high:.3f}"
    else:
        may_stop = True
        advice = (
            f"you may stop: the second half of the answers changed the score by {gain:+.3f}, at most {gain_high:+.3f}"
        )
    names = tuple(answers[one] for one in scored)
    return Progress(learned, tested, advice, score, low, high, gain, gain_high, may_stop, names)


def mean_precision(labels: NDArray[np.integer], chances: NDArray[np.floating], answers: Iterable[int]) -> float:
    """Return the mean average precision of some answers, each against the rest; NaN if one is missing."""
    found = []
    for answer in answers:
        hits = labels[np.argsort(-chances[:, answer], kind="stable")] == answer
        ranks = np.flatnonzero(hits) + 1
        found.append(float(np.mean(np.arange(1, len(ranks) + 1) / ranks)) if len(ranks) else float("nan"))
    return float(np.mean(found))


class Loop:
    """The loop of active learning: choose galaxies, refit in the background, choose again. Thread-safe.

    Parameters
    ----------
    embeddings : Embeddings
    answers : sequence of str
        Of the question.
    strategy : str
        One of `STRATEGIES`.
    apart : float
        Share of the galaxies in the random sample, and share of the questions spent on them.
    every : int
        Number of new answers after which the heads are refitted.
    seed : int
        Decides the random sample; keep it the same in all sessions.

    Attributes
    ----------
    apart : ndarray of int
        Rows of the random sample, in the order in which they are shown.
    kept : ndarray of bool, shape (n,)
        True for galaxies of the random sample.
    progress : list of Progress
        One entry per fit, the latest last.
    committee : Committee or None
        The latest.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        answers: Sequence[str],
        *,
        strategy: str = "margin",
        apart: float = APART,
        every: int = 20,
        seed: int = 222,
    ) -> None:
        if strategy not in STRATEGIES:
            raise UnknownNameError("strategy", strategy, STRATEGIES)
        if not 0 <= apart < 1 or every < 1:
            message = f"apart has to be from 0 to below 1 and every at least 1; received {apart} and {every}"
            raise UsageError(message)
        self.embeddings, self.answers, self.strategy = embeddings, answers, strategy
        self._share, self._every, self._seed = apart, every, seed
        order = np.random.default_rng(seed).permutation(np.flatnonzero(embeddings.known))
        self.apart = order[: round(apart * len(order))]
        self.kept = np.zeros(len(embeddings), dtype=bool)
        self.kept[self.apart] = True
        self.progress: list[Progress] = []
        self.committee: Committee | None = None
        self._rarest = 0
        self._queue = self._choose(~self.kept, _AHEAD, None, 0, seed)
        self._learned = 0
        self._worker: threading.Thread | None = None
        self._lock = threading.Lock()

    def next(self, done: NDArray[np.bool_], number: int, elsewhere: NDArray[np.bool_]) -> tuple[int, str] | None:
        """Return the row of the next galaxy for an annotator, and how it was chosen; None if none is left.

        Parameters
        ----------
        done : ndarray of bool, shape (n,)
            Galaxies that the annotator has seen, or is being shown.
        number : int
            Number of the question, from 0; the random sample is spread evenly among the questions.
        elsewhere : ndarray of bool, shape (n,)
            Galaxies that another annotator has answered for. They are not shown again, except those of the random
            sample, on which annotators are compared.
        """
        kept = next((int(row) for row in self.apart if not done[row]), None)
        if kept is not None and int((number + 1) * self._share) > int(number * self._share):
            return kept, "random"
        with self._lock:
            queue, committee, rarest = self._queue, self.committee, self._rarest
        row = next((int(row) for row in queue if not (done[row] or elsewhere[row])), None)
        if row is None:
            left = self._choose(~(self.kept | done | elsewhere), 1, committee, rarest, self._seed)
            row = int(left[0]) if len(left) else None
        if row is not None:
            return row, self.strategy
        return None if kept is None else (kept, "random")

    def _choose(
        self, free: NDArray[np.bool_], count: int, committee: Committee | None, rarest: int, seed: int
    ) -> NDArray[np.intp]:
        return choose(self.embeddings, free, committee, count, strategy=self.strategy, rare=rarest, seed=seed)

    def learn(self, rows: NDArray[np.integer], labels: NDArray[np.integer]) -> None:
        """Refit the committee to all answers, shape (k,), in the order of answering, and choose the next galaxies."""
        kept = self.kept[rows]
        vectors, taught = features(self.embeddings, rows[~kept]), labels[~kept]
        given, counts = np.unique(taught, return_counts=True)
        committee, rarest = None, 0
        if len(given) > 1:
            committee = fit_committee(vectors, taught, len(self.answers), seed=self._seed)
            # An answer that was never given has no probability, so that nothing could be chosen by it.
            rarest = int(given[np.argmin(counts)])
        free = ~self.kept
        free[rows] = False
        queue = self._choose(free, _AHEAD, committee, rarest, self._seed + len(rows))
        apart = features(self.embeddings, rows[kept])
        progress = measure(vectors, taught, apart, labels[kept], self.answers, committee, seed=self._seed)
        with self._lock:
            self.committee, self._queue, self._rarest = committee, queue, rarest
            self.progress.append(progress)

    def learn_in_background(self, rows: NDArray[np.integer], labels: NDArray[np.integer]) -> bool:
        """Refit in a thread if there are enough new answers and no fit is running; return True if one was started."""
        with self._lock:
            busy = self._worker is not None and self._worker.is_alive()
            if busy or abs(len(rows) - self._learned) < self._every:
                return False
            self._learned = len(rows)
            self._worker = threading.Thread(target=self.learn, args=(rows, labels), name="learning", daemon=True)
            self._worker.start()
        return True

    def wait(self) -> None:
        """Wait until a running fit is done."""
        if self._worker is not None:
            self._worker.join()
