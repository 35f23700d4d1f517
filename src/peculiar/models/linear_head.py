"""A linear head on embeddings: fitted to labels, calibrated by cross-validation, and added to a model file.

An ONNX file is a protocol buffer, in which a message may come in several parts that a reader merges. So a question is
added as a second part of the graph: weights, a Gemm on ``embedding``, an output. The existing bytes do not change, and
the ``onnx`` package is not needed.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from peculiar.errors import LabelError
from peculiar.metrics.calibration import fit_temperature
from peculiar.metrics.intervals import group_numbers
from peculiar.metrics.prediction_sets import Thresholds, fit_sets
from peculiar.metrics.scores import Scores, class_auc, evaluate
from peculiar.models.container import number, piece, text
from peculiar.questions.question import Question

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Inverse strengths of regularisation (scikit-learn's C), among which cross-validation chooses."""

LEAST_OF_A_CLASS = 5

# The bias of an answer that no galaxy of a fold has lies this far below the lowest: a ratio of odds of 0.0003.
_NEVER = 8.0

_FOLDS, _REPEATS = 5, 8

# Strength of a head that a network begins with.
_FREE_ENOUGH = 0.3

# Most galaxies that heads are fitted to for the choice and the calibration, so that 40,000 labels take seconds.
_MOST_A_FOLD = 6_000


# Numbers of the fields, from onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_FLOAT = 1


@dataclass(frozen=True, slots=True)
class Head:
    """A linear classifier on embeddings.

    Parameters
    ----------
    question : Question
    weights : ndarray of float32, shape (d, answers)
    bias : ndarray of float32, shape (answers,)
    temperature : float
        Divides the logits; fitted to the galaxies that each fold holds back.
    strength : float
        The chosen one of `STRENGTHS`.
    scores : Scores
        Scores of `held_out`.
    held_out : ndarray of float, shape (n, answers)
        Cross-validated probabilities, at the temperature: of each galaxy by a head that was not fitted to it.
    sets : dict of str to tuple of float
        Thresholds of prediction sets, by level; fitted to `held_out`.
    """

    question: Question
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float
    strength: float
    scores: Scores
    held_out: NDArray[np.float64]
    sets: Thresholds

    def probabilities(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """Answer for embeddings, shape (n, d), with probabilities, shape (n, answers)."""
        logits = np.asarray(embeddings, dtype=np.float32) @ self.weights + self.bias
        return np.asarray(softmax(logits / np.float32(self.temperature), axis=1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Scores by number of labels.

    Parameters
    ----------
    labels : tuple of int
        Numbers of labels that heads were fitted to; the last is twice as many as there are.
    auc : tuple of float
        Mean over the answers of the area under the ROC curve, on galaxies held back; the last is extrapolated.
    low, high : tuple of float
        Ends of the range of 90 % of the repeats, each with another part held back.
    """

    labels: tuple[int, ...]
    auc: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, for JSON."""
        return {"labels": self.labels, "auc": self.auc, "low": self.low, "high": self.high, "extrapolated": "last"}


def fit_head(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.integer],
    question: Question,
    *,
    groups: Sequence[object] | None = None,
    resamples: int = 0,
    seed: int = 222,
) -> Head:
    """Fit a calibrated linear head.

    Logistic regression on centred embeddings. They have one scale, so the directions in which galaxies differ most keep
    their weight. Regularisation and temperature are chosen on the galaxies that each of five folds holds back.

    Parameters
    ----------
    embeddings : ndarray of float32, shape (n, d)
    labels : ndarray of int, shape (n,)
        Number of the answer.
    question : Question
    groups : sequence, optional
        Rows with the same entry show the same galaxy: they are in the same fold.
    resamples : int
        Bootstrap samples for the intervals of the scores.
    seed : int

    Raises
    ------
    LabelError
        If there are fewer than two answers, or fewer than five galaxies of one.
    """
    different = group_numbers(len(labels), groups)
    pairs = np.unique(np.column_stack([labels, different]), axis=0)
    counts = np.bincount(pairs[:, 0], minlength=len(question.answers))
    _check_counts(question, counts)
    centre, scale = _centre(embeddings)
    scaled = (embeddings - centre) / scale
    random = np.random.default_rng(seed)
    folds = [
        (_share_of_each(seen, labels, min(1, _MOST_A_FOLD / len(seen)), random), unseen)
        for seen, unseen in _folds(labels, None if groups is None else different, seed)
    ]
    least, strength, held, temperature = np.inf, STRENGTHS[0], np.empty((len(labels), len(counts))), 1.0
    for tried in STRENGTHS:
        logits = np.empty((len(labels), len(counts)))
        for seen, unseen in folds:
            weights, bias = _fit(scaled[seen], labels[seen], tried, answers=len(counts))
            logits[unseen] = scaled[unseen] @ weights + bias
        # Compared at the temperature that each would get, because strong regularisation makes a head underconfident.
        warmth = fit_temperature(logits, labels)
        loss = -float(log_softmax(logits / warmth, axis=1)[np.arange(len(labels)), labels].mean())
        if loss >= least:
            break  # less regularisation would overfit more
        least, strength, held, temperature = loss, tried, logits, warmth
    weights, bias = _fit(scaled, labels, strength)
    scaled_weights = weights / scale
    held_out = softmax(held / temperature, axis=1)
    return Head(
        question=question,
        weights=scaled_weights.astype(np.float32),
        bias=(bias - centre @ scaled_weights).astype(np.float32),
        temperature=temperature,
        strength=strength,
        scores=evaluate(labels, held_out, question.answers, resamples=resamples, groups=groups, seed=seed),
        held_out=held_out,
        sets=fit_sets(labels, held_out),
    )


def _check_counts(question: Question, counts: NDArray[np.integer]) -> None:
    """Refuse a question with fewer than two answers, or too few different galaxies of one."""
    told = ", ".join(f"{answer} {count}" for answer, count in zip(question.answers, counts, strict=True))
    few = [answer for answer, count in zip(question.answers, counts, strict=True) if count < LEAST_OF_A_CLASS]
    if len(question.answers) < 2:
        message = f"at least two classes are needed, received {told or 'no labels'} for {question.name!r}"
        raise LabelError(message)
    if few:
        message = (
            f"{LEAST_OF_A_CLASS} different galaxies of each class are needed to learn from and to check, and "
            f"{', '.join(few)} {'has' if len(few) == 1 else 'have'} fewer: received {told} for {question.name!r}. "
            "Add some, or leave the class out"
        )
        raise LabelError(message)


def _folds(
    labels: NDArray[np.integer], groups: NDArray[np.integer] | None, seed: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the rows to fit to and those to hold back, with the classes' shares kept and groups in one fold."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    yield from kind(_FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels, groups)


def fit_shares(
    embeddings: NDArray[np.float32], shares: NDArray[np.float32], trust: NDArray[np.float32], *, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a linear head to vote fractions, for a network to begin with.

    Parameters
    ----------
    embeddings : ndarray, shape (n, d)
    shares : ndarray, shape (n, answers)
    trust : ndarray, shape (n,)
        Weight of each galaxy.
    seed : int
        Seed of the choice of galaxies, if there are very many.

    Returns
    -------
    weights : ndarray, shape (d, answers)
    bias : ndarray, shape (answers,)
    """
    rows = np.random.default_rng(seed).permutation(len(embeddings))[:_MOST_A_FOLD]
    answers = shares.shape[1]
    centre, scale = _centre(embeddings[rows])
    # Each galaxy occurs once per answer, weighted by its share; an answer that nobody gave has next to no weight.
    scaled = ((embeddings[rows] - centre) / scale).repeat(answers, axis=0)
    counts = (np.maximum(shares[rows], 1e-6) * trust[rows, None]).ravel()
    weights, bias = _fit(scaled, np.tile(np.arange(answers), len(rows)), _FREE_ENOUGH, counts)
    return weights / scale, bias - centre @ (weights / scale)


def _centre(embeddings: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Return the mean, shape (d,), and the median distance of the embeddings from it."""
    centre = embeddings.mean(axis=0)
    return centre, float(np.median(np.linalg.norm(embeddings - centre, axis=1))) or 1.0


def _fit(
    scaled: NDArray[np.float32],
    labels: NDArray[np.integer],
    strength: float,
    counts: NDArray[np.floating] | None = None,
    *,
    answers: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights (d, answers) and bias (answers,) of a logistic regression."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit(scaled, labels, counts)
    weights, bias = fitted.coef_.T, fitted.intercept_
    if weights.shape[1] == 1:  # of two answers, scikit-learn keeps only the second
        weights, bias = np.hstack([np.zeros_like(weights), weights]), np.array([0.0, bias[0]])
    if answers > len(bias):  # a fold may hold back all galaxies of an answer
        there = fitted.classes_
        every, offsets = np.zeros((len(weights), answers)), np.full(answers, bias.min() - _NEVER)
        every[:, there], offsets[there] = weights, bias
        return every, offsets
    return weights, bias


def learning_curve(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.integer],
    question: Question,
    strength: float,
    *,
    groups: Sequence[object] | None = None,
    seed: int = 222,
) -> LearningCurve:
    """Measure the score by number of labels, and extrapolate it to twice as many.

    A fifth is held back, eight times another; heads are fitted to an eighth, a quarter, a half and all of the rest.
    The difference of the area from 1 is assumed to fall as a power of the number of labels, which is too hopeful where
    it has levelled off.

    Parameters
    ----------
    embeddings, labels, question, groups
        As in `fit_head`.
    strength : float
        That of the head.
    seed : int
        Seed of the choice of galaxies that are held back.
    """
    from sklearn.model_selection import train_test_split

    count = len(labels)
    numbers = group_numbers(count, groups)
    members = np.split(np.argsort(numbers, kind="stable"), np.bincount(numbers).cumsum()[:-1])
    first = labels[[rows[0] for rows in members]]
    shares = [share for share in (1 / 8, 1 / 4, 1 / 2, 1) if np.bincount(labels).min() * 0.8 * share >= 2]
    lacking = np.full((_REPEATS, len(shares)), np.nan)
    for repeat in range(_REPEATS):
        parts = train_test_split(np.arange(len(first)), test_size=0.2, stratify=first, random_state=seed + repeat)
        rest, held = (np.concatenate([members[galaxy] for galaxy in part]) for part in parts)
        random = np.random.default_rng(seed + repeat)
        for place, share in enumerate(shares):
            some = _share_of_each(rest, labels, share, random)
            centre, scale = _centre(embeddings[some])
            weights, bias = _fit((embeddings[some] - centre) / scale, labels[some], strength)
            chances = softmax(((embeddings[held] - centre) / scale) @ weights + bias, axis=1)
            areas = [class_auc(labels[held] == answer, chances[:, answer]) for answer in range(len(question.answers))]
            lacking[repeat, place] = 1 - np.mean([area for area in areas if area is not None])
    sizes = np.array([share * 0.8 * count for share in shares])
    logs = np.log(np.maximum(lacking, 1e-4))
    slopes, starts = np.polyfit(np.log(sizes), logs.T, 1) if len(sizes) > 1 else (np.zeros(_REPEATS), logs[:, -1])
    ahead = np.exp(starts + np.minimum(slopes, 0) * np.log(2 * count))
    found = 1 - np.column_stack([lacking, ahead])
    return LearningCurve(
        labels=(*(round(float(size)) for size in sizes), 2 * count),
        auc=tuple(round(float(one), 4) for one in found.mean(axis=0)),
        low=tuple(round(float(one), 4) for one in np.quantile(found, 0.05, axis=0)),
        high=tuple(round(float(one), 4) for one in np.quantile(found, 0.95, axis=0)),
    )


def _share_of_each(
    rows: NDArray[np.intp], labels: NDArray[np.integer], share: float, random: np.random.Generator
) -> NDArray[np.intp]:
    """Return a share of the rows of each answer, at least two."""
    some = []
    for answer in np.unique(labels):
        mine = random.permutation(rows[labels[rows] == answer])
        some.append(mine[: max(2, round(share * len(mine)))])
    return np.concatenate(some)


def head_graph(name: str, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """Return the part of the graph for one more question: ``name`` = ``embedding`` @ weights + bias.

    Parameters
    ----------
    name : str
        Name of the output.
    weights : ndarray of float32, shape (d, answers)
    bias : ndarray of float32, shape (answers,)

    Returns
    -------
    bytes
        A field ``graph`` of ONNX's ModelProto.
    """
    names = (f"{name}.weights", f"{name}.bias")
    node = b"".join(text(1, one) for one in ("embedding", *names)) + text(2, name) + text(3, f"{name}.gemm")
    graph = piece(_GRAPH_NODE, node + text(4, "Gemm"))
    graph += piece(_GRAPH_INITIALIZER, _tensor(names[0], weights)) + piece(_GRAPH_INITIALIZER, _tensor(names[1], bias))
    dimensions = piece(1, text(2, "n")) + piece(1, number(1, len(bias)))
    tensor_type = number(1, _FLOAT) + piece(2, dimensions)
    graph += piece(_GRAPH_OUTPUT, text(1, name) + piece(2, piece(1, tensor_type)))
    return piece(_MODEL_GRAPH, graph)


def _tensor(name: str, values: NDArray[np.float32]) -> bytes:
    flat = struct.pack(f"<{values.size}f", *values.ravel().tolist())
    return b"".join(number(1, side) for side in values.shape) + number(2, _FLOAT) + text(8, name) + piece(9, flat)
