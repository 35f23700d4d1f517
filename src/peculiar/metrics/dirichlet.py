"""Vote fractions with their spread: the Dirichlet-multinomial distribution, its fit, its intervals.

A network predicts concentrations for the answers to a question. Their ratios are the expected vote fractions, and their
sum says how certain these are: Walmsley et al. 2022, MNRAS 509, 3966, section 4.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, gammaln

LEVEL = 0.9
"""Probability of the intervals that are written."""

_FACTORS = (1e-2, 1e3)

# A sum of concentrations below that is no distribution that can be told from the extremes.
_LEAST_TOTAL = 1e-3


def log_likelihood(votes: NDArray[np.floating], concentrations: NDArray[np.floating]) -> NDArray[np.float64]:
    r"""Return the log likelihood of votes under the Dirichlet-multinomial distribution, without its constant.

    With votes k of N volunteers and concentrations α with the sum A, the vote fractions ρ are drawn from a Dirichlet
    distribution, and the votes from a multinomial one (Walmsley et al. 2022, MNRAS 509, 3966, section 4):

    .. math::
        P(k | α) = \int \mathrm{Multi}(k | ρ, N)\, \mathrm{Dirichlet}(ρ | α)\, dρ
        = \frac{N!\, Γ(A)}{Γ(N + A)} \prod_a \frac{Γ(k_a + α_a)}{k_a!\, Γ(α_a)}

    The factorials do not depend on α and are left out, so votes need not be whole numbers.

    Parameters
    ----------
    votes : ndarray, shape (n, answers)
        Numbers of votes, 0 or more.
    concentrations : ndarray, shape (n, answers)
        Above 0.

    Returns
    -------
    ndarray of float64, shape (n,)
        In nats; 0 without votes.

    Examples
    --------
    >>> import numpy as np
    >>> from peculiar.metrics.dirichlet import log_likelihood
    >>> log_likelihood(np.array([[1.0, 0.0]]), np.array([[3.0, 1.0]])).round(4)  # the probability of one vote is 3/4
    array([-0.2877])
    """
    votes, concentrations = votes.astype(np.float64), concentrations.astype(np.float64)
    each = gammaln(votes + concentrations) - gammaln(concentrations)
    total = gammaln(concentrations.sum(axis=1)) - gammaln((votes + concentrations).sum(axis=1))
    return np.asarray(each.sum(axis=1) + total)


def fit_factor(votes: NDArray[np.floating], concentrations: NDArray[np.floating]) -> float:
    """Return the factor of all concentrations under which votes are most likely, 0.01 to 1,000; 1 without votes.

    It leaves the expected fractions as they are, and corrects how certain they are.

    Parameters
    ----------
    votes, concentrations : ndarray, shape (n, answers)
        As for `log_likelihood`.
    """
    from scipy.optimize import minimize_scalar  # takes a tenth of a second to import, and classifying does not need it

    known = votes.sum(axis=1) > 0
    if not known.any():
        return 1.0
    votes, concentrations = votes[known], concentrations[known]

    def loss(exponent: float) -> float:
        return -float(log_likelihood(votes, np.exp(exponent) * concentrations).mean())

    least, most = (float(np.log(one)) for one in _FACTORS)
    return float(np.exp(minimize_scalar(loss, bounds=(least, most), method="bounded").x))


def intervals(concentrations: NDArray[np.floating], level: float = LEVEL) -> NDArray[np.float32]:
    """Return central intervals of the fractions that very many volunteers would give.

    A single fraction of a Dirichlet distribution follows the beta distribution of α and A - α.

    Parameters
    ----------
    concentrations : ndarray, shape (n, answers)
        Above 0; NaN gives NaN.
    level : float
        Probability of the intervals.

    Returns
    -------
    ndarray of float32, shape (n, answers, 2)
        Their lower and upper ends, 0 to 1.
    """
    alpha = np.maximum(concentrations.astype(np.float64), _LEAST_TOTAL)
    rest = np.maximum(alpha.sum(axis=1, keepdims=True) - alpha, _LEAST_TOTAL)
    outside = (1 - level) / 2
    return np.stack([betaincinv(alpha, rest, one) for one in (outside, 1 - outside)], axis=2).astype(np.float32)


def intervals_of_votes(
    concentrations: NDArray[np.floating], counts: NDArray[np.floating], level: float = LEVEL
) -> NDArray[np.float32]:
    """Return central intervals of the fractions that given numbers of volunteers would give.

    They are wider than those of `intervals`, because a few volunteers are a sample. The fractions follow a
    beta-binomial distribution; here the beta distribution of the same mean and variance is taken, A' = N (A + 1) / (A +
    N) - 1, and half a vote is added on each side, because fractions of votes come in steps.

    Parameters
    ----------
    concentrations : ndarray, shape (n, answers)
    counts : ndarray, shape (n,)
        Numbers of votes, above 0.
    level : float

    Returns
    -------
    ndarray of float32, shape (n, answers, 2)
    """
    total = concentrations.sum(axis=1).astype(np.float64)
    fewer = np.maximum(counts * (total + 1) / (total + counts) - 1, _LEAST_TOTAL)
    ends = intervals(concentrations / total[:, None] * fewer[:, None], level)
    half = (0.5 / counts)[:, None, None] * np.array([-1, 1])
    return np.asarray(np.clip(ends + half, 0, 1), np.float32)
