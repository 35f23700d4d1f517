"""Teach a model a new question from few labels: a calibrated linear head on the embeddings of a catalogue."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from peculiar.catalogs.catalog import Catalog
from peculiar.errors import LabelError, UsageError
from peculiar.metrics.calibration import fit_temperature
from peculiar.metrics.scores import Scores, class_auc, evaluate
from peculiar.models.container import split_card
from peculiar.models.linear_head import head_graph
from peculiar.models.model_file import Model, load_model, write_model
from peculiar.models.seen import SEEN, pack_ids
from peculiar.questions.question import Question, question_for
from peculiar.sources.labels import read_labels

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""How freely the weights may follow the labels (scikit-learn's C), from stiff to free; cross-validation chooses."""

LEAST_OF_A_CLASS = 5

_FOLDS, _REPEATS = 5, 8

# Of a head that is only begun with.
_FREE_ENOUGH = 0.3

# Heads that are only fitted to choose and to calibrate need no more: forty thousand labels take seconds then.
_MOST_A_FOLD = 6_000


@dataclass(frozen=True, slots=True)
class Head:
    """A linear classifier on embeddings.

    Parameters
    ----------
    question : Question
    weights : ndarray of float32, shape (d, answers)
    bias : ndarray of float32, shape (answers,)
    temperature : float
        What logits are divided by; from galaxies that each fold did not see.
    strength : float
        The one of `STRENGTHS` that was chosen.
    scores : Scores
        By cross-validation: each galaxy by a head that did not see it, at the temperature.
    """

    question: Question
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float
    strength: float
    scores: Scores

    def probabilities(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """Answer for embeddings, shape (n, d), with probabilities, shape (n, answers)."""
        logits = np.asarray(embeddings, dtype=np.float32) @ self.weights + self.bias
        return np.asarray(softmax(logits / np.float32(self.temperature), axis=1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """How the score grows with the number of labels.

    Parameters
    ----------
    labels : tuple of int
        How many a head was fitted to; the last is twice as many as there are.
    auc : tuple of float
        Mean over the answers of the area under the ROC curve, on galaxies held back; of the last extrapolated.
    low, high : tuple of float
        Between them lie 90 % of the repeats, each with another part held back.
    """

    labels: tuple[int, ...]
    auc: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, for JSON."""
        return {"labels": self.labels, "auc": self.auc, "low": self.low, "high": self.high, "extrapolated": "last"}


@dataclass(frozen=True, slots=True)
class Taught:
    """What became of labels.

    Parameters
    ----------
    model : Model
        The new file, opened.
    head : Head
    used : int
        Labels that were learned from.
    left_out : int
        Labels of galaxies that the catalogue lacks or has no embedding of.
    curve : LearningCurve or None
        If asked for.
    """

    model: Model
    head: Head
    used: int
    left_out: int
    curve: LearningCurve | None


def teach(
    labels: str | os.PathLike[str],
    catalog: str | os.PathLike[str] | Catalog,
    out: str | os.PathLike[str],
    *,
    model: Model | None = None,
    label: str | None = None,
    question: str | None = None,
    id: str | None = None,
    curve: bool = False,
    seed: int = 222,
) -> Taught:
    """Teach a model a new question from labels of galaxies in a catalogue that it made.

    Parameters
    ----------
    labels : path-like
        A table with a column ``id`` and a column of labels; empty entries are passed over.
    catalog : path-like or Catalog
        With embeddings, made by `model`.
    out : path-like
        The model file to write (``.onnx``): the old one's answers, and those to the new question.
    model : Model, optional
        By default the one that ships.
    label : str, optional
        The column of labels; by default the first of the usual names, or the only other column.
    question : str, optional
        What the question is called; by default as the column.
    id : str, optional
        The column of ids of the table of labels; by default the first of the usual names.
    curve : bool
        Also find the learning curve, which takes as long again.
    seed : int
        Decides the folds.

    Returns
    -------
    Taught

    Raises
    ------
    LabelError
        If labels are too few.
    UsageError
        If the catalogue is another model's, or the model answers a question of that name already.
    UnknownNameError
        If there is no column of that name.
    """
    model, out = model or load_model(), Path(out)
    catalog = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
    catalog.check_model(model.card.digest, "teach the model that made the catalogue, or make one anew")
    if out.suffix != ".onnx":
        message = f"{out}: a model file is called .onnx"
        raise UsageError(message)
    label, by_id = read_labels(labels, label, id)
    # A question that is known keeps the order and the meanings of its answers.
    asked = replace(question_for(label, by_id.values()), name=question or label, column=label)
    known = {one.name for one in model.card.questions}
    if asked.name in known:
        message = f"{model.path.name} already answers {asked.name!r}; give the new question another name (--question)"
        raise UsageError(message)
    rows = catalog.rows_of(list(by_id), lenient=True)
    embeddings, found = raw_embeddings(catalog, rows)
    if by_id and not len(found):
        message = (
            f"none of the {len(by_id):,} labelled galaxies is in {catalog.place} with an embedding; the first is "
            f"{next(iter(by_id), '')!r}"
        )
        raise LabelError(message)
    numbers = np.array([asked.answers.index(one) for one in by_id.values()], dtype=np.int64)[found]
    head = fit_head(embeddings, numbers, asked, seed=seed)
    taught_curve = learning_curve(embeddings, numbers, asked, head.strength, seed=seed) if curve else None
    ids = list(by_id)
    new = write_taught(model, head, out, len(numbers), seen=[ids[row] for row in found])
    return Taught(new, head, len(numbers), len(by_id) - len(numbers), taught_curve)


def raw_embeddings(catalog: Catalog, rows: NDArray[np.integer]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Read embeddings as the network gave them.

    Returns
    -------
    embeddings : ndarray of float32, shape (k, d)
    found : ndarray of int, shape (k,)
        Which of `rows` they are of; a row of -1, or without an embedding, is left out.
    """
    catalog.embeddings()  # says what is wrong where there are none
    there = np.flatnonzero(rows >= 0)
    column = catalog.take(rows[there], ["embedding"])["embedding"].combine_chunks()
    known = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    matrix = flat.reshape(len(known), column.type.list_size)
    finite = np.isfinite(matrix).all(axis=1)
    return matrix[finite], there[known[finite]]


def fit_head(
    embeddings: NDArray[np.float32], labels: NDArray[np.integer], question: Question, *, seed: int = 222
) -> Head:
    """Fit a calibrated linear head.

    Logistic regression on centred embeddings, which keep the directions in which galaxies differ most; how freely its
    weights follow the labels is chosen, and the temperature found, on galaxies that each of five folds holds back.

    Parameters
    ----------
    embeddings : ndarray of float32, shape (n, d)
    labels : ndarray of int, shape (n,)
        Number of the answer.
    question : Question
    seed : int

    Raises
    ------
    LabelError
        If there are fewer than two answers, or fewer than five galaxies of one.
    """
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(labels, minlength=len(question.answers))
    if len(question.answers) < 2 or counts.min() < LEAST_OF_A_CLASS:
        told = ", ".join(f"{answer} {count}" for answer, count in zip(question.answers, counts, strict=True))
        message = (
            f"a question needs two answers or more, and {LEAST_OF_A_CLASS} labelled galaxies of each to learn from; "
            f"received {told or 'no labels'}" + (f" of {question.name}" if question.meanings else "")
        )
        raise LabelError(message)
    centre, scale = _centre(embeddings)
    scaled = (embeddings - centre) / scale
    random = np.random.default_rng(seed)
    folds = [
        (_share_of_each(seen, labels, min(1, _MOST_A_FOLD / len(seen)), random), unseen)
        for seen, unseen in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(scaled, labels)
    ]
    least, strength, held, temperature = np.inf, STRENGTHS[0], np.empty((len(labels), len(counts))), 1.0
    for tried in STRENGTHS:
        logits = np.empty((len(labels), len(counts)))
        for seen, unseen in folds:
            weights, bias = _fit(scaled[seen], labels[seen], tried)
            logits[unseen] = scaled[unseen] @ weights + bias
        # Compared at the temperature that each would get: stiff ones are less sure than they may be.
        warmth = fit_temperature(logits, labels)
        loss = -float(log_softmax(logits / warmth, axis=1)[np.arange(len(labels)), labels].mean())
        if loss >= least:
            break  # freer ones follow the labels further still
        least, strength, held, temperature = loss, tried, logits, warmth
    weights, bias = _fit(scaled, labels, strength)
    scaled_weights = weights / scale
    return Head(
        question=question,
        weights=scaled_weights.astype(np.float32),
        bias=(bias - centre @ scaled_weights).astype(np.float32),
        temperature=temperature,
        strength=strength,
        scores=evaluate(labels, softmax(held / temperature, axis=1), question.answers),
    )


def fit_shares(
    embeddings: NDArray[np.float32], shares: NDArray[np.float32], trust: NDArray[np.float32], *, seed: int = 222
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a linear head to shares of votes, for a network to begin with.

    Parameters
    ----------
    embeddings : ndarray, shape (n, d)
    shares : ndarray, shape (n, answers)
    trust : ndarray, shape (n,)
        How far each galaxy counts.
    seed : int
        Decides which galaxies are fitted to, where there are very many.

    Returns
    -------
    weights : ndarray, shape (d, answers)
    bias : ndarray, shape (answers,)
    """
    rows = np.random.default_rng(seed).permutation(len(embeddings))[:_MOST_A_FOLD]
    answers = shares.shape[1]
    centre, scale = _centre(embeddings[rows])
    # Each galaxy once for every answer, by its share; also for those that nobody gave, next to nothing.
    scaled = ((embeddings[rows] - centre) / scale).repeat(answers, axis=0)
    counts = (np.maximum(shares[rows], 1e-6) * trust[rows, None]).ravel()
    weights, bias = _fit(scaled, np.tile(np.arange(answers), len(rows)), _FREE_ENOUGH, counts)
    return weights / scale, bias - centre @ (weights / scale)


def _centre(embeddings: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Return the mean, shape (d,), and how far from it embeddings lie, in the median."""
    centre = embeddings.mean(axis=0)
    return centre, float(np.median(np.linalg.norm(embeddings - centre, axis=1))) or 1.0


def _fit(
    scaled: NDArray[np.float32],
    labels: NDArray[np.integer],
    strength: float,
    counts: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights (d, answers) and bias (answers,) of a logistic regression."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit(scaled, labels, counts)
    weights, bias = fitted.coef_.T, fitted.intercept_
    if weights.shape[1] == 1:  # of two answers scikit-learn only keeps the second
        weights, bias = np.hstack([np.zeros_like(weights), weights]), np.array([0.0, bias[0]])
    return weights, bias


def learning_curve(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.integer],
    question: Question,
    strength: float,
    *,
    seed: int = 222,
) -> LearningCurve:
    """Find how the score grows with labels, and what twice as many would bring.

    A fifth is held back, eight times another; heads are fitted to an eighth, a quarter, a half and all of the rest.
    What the area lacks of 1 is taken to fall as a power of the number of labels, which is hopeful where it has levelled
    off.

    Parameters
    ----------
    embeddings, labels, question
        As in `fit_head`.
    strength : float
        Of the head.
    seed : int
        Decides who is held back.
    """
    from sklearn.model_selection import train_test_split

    count = len(labels)
    shares = [share for share in (1 / 8, 1 / 4, 1 / 2, 1) if np.bincount(labels).min() * 0.8 * share >= 2]
    lacking = np.full((_REPEATS, len(shares)), np.nan)
    for repeat in range(_REPEATS):
        rest, held = train_test_split(np.arange(count), test_size=0.2, stratify=labels, random_state=seed + repeat)
        random = np.random.default_rng(seed + repeat)
        for number, share in enumerate(shares):
            some = _share_of_each(rest, labels, share, random)
            centre, scale = _centre(embeddings[some])
            weights, bias = _fit((embeddings[some] - centre) / scale, labels[some], strength)
            chances = softmax(((embeddings[held] - centre) / scale) @ weights + bias, axis=1)
            areas = [class_auc(labels[held] == answer, chances[:, answer]) for answer in range(len(question.answers))]
            lacking[repeat, number] = 1 - np.mean([area for area in areas if area is not None])
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
    """Return a share of the rows of each answer, two at least."""
    some = []
    for answer in np.unique(labels):
        mine = random.permutation(rows[labels[rows] == answer])
        some.append(mine[: max(2, round(share * len(mine)))])
    return np.concatenate(some)


def write_taught(model: Model, head: Head, out: Path, count: int, *, seen: Iterable[str] = ()) -> Model:
    """Write the model file with one more question, which its catalogues are about from then on.

    `seen` are the ids of the galaxies that it learned from.
    """
    card, question = model.card, head.question
    graph, _ = split_card(model.path.read_bytes())
    graph += head_graph(f"logits_{len(card.questions)}", head.weights, head.bias)
    changed = card.model_copy(
        update={
            "name": out.stem,
            "questions": (*card.questions, question),
            "temperatures": {**card.temperatures, question.name: head.temperature},
            "about": question.name,
            "training": {
                **card.training,
                "taught": {**card.training.get("taught", {}), question.name: count},
                SEEN: [*card.training.get(SEEN, ()), pack_ids(seen)],
            },
            "scores": {**card.scores, f"taught {question.name}, by cross-validation": head.scores.as_dict()},
            "version": metadata.version("peculiar"),
        }
    )
    return write_model(graph, changed, out)
