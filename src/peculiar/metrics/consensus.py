"""Consensus of people who differ in skill, and of a model if there is one: the method of Dawid and Skene."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, ndtri

from peculiar.metrics.intervals import CONFIDENCE

_CROWD = 4.0
"""Galaxies by which the skill of the whole crowd counts for each person."""

_EVEN = 10.0
"""Galaxies by which a person's own skill, with all errors equally frequent, counts for each row of the errors."""

_CLOSE = 1e-5
_MOST_ROUNDS = 500
_LEAST = 1e-6
"""Least probability that a model may give to an answer, so that it never decides alone."""


@dataclass(frozen=True, slots=True)
class RaterSkill:
    """Accuracy of a person, or of a model.

    Parameters
    ----------
    answers : int
        Number of galaxies that have the person's answer.
    compared : int
        Of these, the number for which there is other evidence: answers of others, or a model's.
    accuracy : float or None
        Expected share of right answers among those compared; None if there are none.
    low, high : float or None
        Ends of its interval at 95 %.
    """

    answers: int
    compared: int
    accuracy: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Consensus and skills; see `estimate_consensus`.

    Parameters
    ----------
    probabilities : ndarray, shape (galaxies, classes)
        Each row sums to 1.
    errors : ndarray, shape (people, classes, classes)
        Probability that a person gives an answer (columns) if another is right (rows).
    skills : list of RaterSkill
        In the order of the people.
    model : RaterSkill or None
        The same of the model; None without one.
    """

    probabilities: NDArray[np.float64]
    errors: NDArray[np.float64]
    skills: list[RaterSkill]
    model: RaterSkill | None


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of people, one a row: the numbers of the galaxy, the person and the answer, each from 0 on.

    Parameters
    ----------
    galaxy, person, answer : ndarray of int, shape (n,)
    galaxies, people, classes : int
        Numbers of each.
    """

    galaxy: NDArray[np.int64]
    person: NDArray[np.int64]
    answer: NDArray[np.int64]
    galaxies: int
    people: int
    classes: int


def estimate_consensus(given: Answers, model: NDArray[np.floating] | None = None) -> Estimate:
    """Estimate the right answer for each galaxy, and the errors of each person, without knowing the truth.

    Expectation and maximisation by turns (Dawid & Skene 1979, Applied Statistics 28, 20): the probability of each
    answer follows from the people's errors, and these from the probabilities. The errors of a person are drawn towards
    errors that are all equally frequent, and the skill of a person towards that of all, so that few answers say little.
    Errors are learned from galaxies with other evidence only. The frequency of each class is learned as well.

    The probabilities of a model take the place of these frequencies (Raykar et al. 2010, JMLR 11, 1297): their
    logarithms are multiplied by a factor and shifted for each class, both learned from the same answers. So a model
    that is too sure of itself counts for less.

    Parameters
    ----------
    given : Answers
        At most one answer of a person for a galaxy.
    model : ndarray, shape (galaxies, classes), optional
        Probabilities of a model that did not learn from these answers; NaN where it has none.

    Returns
    -------
    Estimate
    """
    known = np.zeros(given.galaxies, dtype=bool) if model is None else np.asarray(np.isfinite(model).all(axis=1))
    logs = np.zeros((given.galaxies, given.classes))
    if model is not None:
        logs[known] = np.log(np.clip(model[known], _LEAST, 1))
    compared = (np.bincount(given.galaxy, minlength=given.galaxies) > 1)[given.galaxy] | known[given.galaxy]
    # At first, all people have equal weight, and the model that of one person.
    chances = np.where(known[:, None], np.exp(logs), 1 / given.classes)
    np.add.at(chances, (given.galaxy, given.answer), 1.0)
    chances /= chances.sum(axis=1, keepdims=True)
    scale = np.zeros(given.classes)
    scale[0] = 1.0
    for _ in range(_MOST_ROUNDS):
        errors = _errors(given, compared, chances)
        prior = np.broadcast_to(np.log((chances.sum(axis=0) + 1) / (given.galaxies + given.classes)), logs.shape).copy()
        if known.any():
            scale = _fit_scale(logs[known], chances[known], scale)
            prior[known] = _scaled(logs[known], scale)
        before, chances = chances, np.exp(log_softmax(prior + _evidence(given, np.log(errors)), axis=1))
        if np.abs(chances - before).max(initial=0.0) < _CLOSE:
            break
    of_answers = chances[given.galaxy, given.answer]
    order = np.argsort(given.person[compared], kind="stable")
    ends = np.bincount(given.person[compared], minlength=given.people).cumsum()
    of_people = np.split(of_answers[compared][order], ends[:-1])
    answered = np.bincount(given.person, minlength=given.people)
    skills = [_skill(int(count), right) for count, right in zip(answered, of_people, strict=False)]
    called = logs[known].argmax(axis=1)
    right = chances[known, called] if known.any() else np.empty(0)
    return Estimate(chances, errors, skills, _skill(len(right), right) if len(right) else None)


def _errors(given: Answers, compared: NDArray[np.bool_], chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of each answer (last axis) of each person for each right answer."""
    classes = given.classes
    cell = (given.person * classes + given.answer)[compared]
    weights = chances[given.galaxy[compared]]
    size = given.people * classes
    counts = np.stack([np.bincount(cell, weights[:, right], minlength=size) for right in range(classes)])
    counts = counts.reshape(classes, given.people, classes).transpose(1, 0, 2)
    right, total = np.einsum("pkk->p", counts), counts.sum(axis=(1, 2))
    crowd = (right.sum() + 2) / (total.sum() + 3)
    skill = ((right + _CROWD * crowd) / (total + _CROWD))[:, None, None]
    even = np.where(np.eye(classes, dtype=bool), skill, (1 - skill) / (classes - 1))
    counts = counts + _EVEN * even
    return np.asarray(counts / counts.sum(axis=2, keepdims=True))


def _evidence(given: Answers, logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of the logarithms of the people's errors for each galaxy and right answer."""
    of_answers = logs[given.person, :, given.answer]
    sums = [np.bincount(given.galaxy, one, minlength=given.galaxies) for one in of_answers.T]
    return np.stack(sums, axis=1)


def _scaled(logs: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of a model's probabilities with their factor, and a shift of every class but the first."""
    return np.asarray(log_softmax(scale[0] * logs + np.concatenate([[0.0], scale[1:]]), axis=1))


def _fit_scale(
    logs: NDArray[np.float64], chances: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Improve factor and shifts; few galaxies leave them near 1 and 0."""

    def loss(one: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        found = _scaled(logs, one)
        away = one - start
        slope = np.exp(found) - chances
        gradient = np.concatenate([[(slope * logs).sum()], slope.sum(axis=0)[1:]]) + 5 * away
        return float(-(chances * found).sum() + 2.5 * (away**2).sum()), gradient

    start = np.zeros_like(scale)
    start[0] = 1.0
    bounds = [(0.0, None), *[(None, None)] * (len(scale) - 1)]
    # A few steps are enough, because the next round continues here.
    return np.asarray(minimize(loss, scale, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5}).x)


def _skill(answers: int, right: NDArray[np.float64]) -> RaterSkill:
    """Return the skill from the probabilities that the answers are right.

    The interval is Wilson's, for a number of answers that is reduced by the missing information (Louis 1982, JRSS B 44,
    226), because nobody knows which answers are right.
    """
    if not len(right):
        return RaterSkill(answers, 0, None, None, None)
    z2 = float(ndtri((1 + CONFIDENCE) / 2)) ** 2
    share, total = float(right.mean()), len(right)
    # At the middle of the interval, because the variance of a share of 1 would be 0.
    middle = (share * total + z2 / 2) / (total + z2)
    count = total * max(1 - float((right * (1 - right)).mean()) / (middle * (1 - middle)), 0.0)
    middle = (share * count + z2 / 2) / (count + z2)
    half = np.sqrt(z2 * (count * share * (1 - share) + z2 / 4)) / (count + z2)
    return RaterSkill(answers, total, share, float(max(0.0, middle - half)), float(min(1.0, middle + half)))
