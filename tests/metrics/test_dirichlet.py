"""The Dirichlet-multinomial distribution: likelihood, fit of the spread, coverage of the intervals."""

from math import comb

import numpy as np
import pytest
from scipy import stats
from scipy.special import beta

from peculiar.metrics.dirichlet import fit_factor, intervals, intervals_of_votes, log_likelihood


def test_the_likelihood_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    votes, concentrations = rng.integers(0, 20, (50, 4)).astype(float), rng.gamma(2, 3, (50, 4))
    constant = np.array([stats.multinomial.logpmf(one, one.sum(), np.full(4, 0.25)) for one in votes])
    constant += votes.sum(axis=1) * np.log(4)  # of the factorials alone
    exact = [
        stats.dirichlet_multinomial.logpmf(k.astype(int), a, int(k.sum()))
        for k, a in zip(votes, concentrations, strict=True)
    ]
    np.testing.assert_allclose(log_likelihood(votes, concentrations) + constant, exact, rtol=1e-9)


def test_two_answers_are_the_beta_binomial_distribution() -> None:
    found = np.exp(log_likelihood(np.array([[3.0, 7.0]]), np.array([[2.0, 5.0]])))[0] * comb(10, 3)
    assert found == pytest.approx(comb(10, 3) * beta(5, 12) / beta(2, 5))


def test_no_votes_say_nothing() -> None:
    assert log_likelihood(np.zeros((2, 3)), np.ones((2, 3))).tolist() == [0, 0]
    assert fit_factor(np.zeros((2, 3)), np.ones((2, 3))) == 1


@pytest.mark.parametrize("factor", [0.3, 1.0, 8.0])
def test_the_spread_of_votes_is_found(factor: float) -> None:
    rng = np.random.default_rng(2)
    ratios = rng.dirichlet([2, 3, 4], 3000)
    shares = np.array([rng.dirichlet(10 * factor * one) for one in ratios])
    votes = rng.multinomial(300, shares).astype(float)
    assert fit_factor(votes, 10 * ratios) == pytest.approx(factor, rel=0.1)


def test_nine_tenths_of_the_shares_lie_within_the_intervals() -> None:
    rng = np.random.default_rng(3)
    concentrations = rng.gamma(3, 4, (20_000, 3))
    shares = np.array([rng.dirichlet(one) for one in concentrations])
    ends = intervals(concentrations)
    inside = (shares >= ends[..., 0]) & (shares <= ends[..., 1])
    np.testing.assert_allclose(inside.mean(axis=0), 0.9, atol=0.01)
    assert ends.dtype == np.float32
    assert ends.shape == (20_000, 3, 2)


@pytest.mark.parametrize("count", [5, 40, 1000])
def test_nine_tenths_or_more_of_the_votes_lie_within_theirs(count: int) -> None:
    rng = np.random.default_rng(4)
    concentrations = rng.gamma(3, 4, (20_000, 3)) + 0.5
    shares = np.array([rng.dirichlet(one) for one in concentrations])
    fractions = rng.multinomial(count, shares) / count
    ends = intervals_of_votes(concentrations, np.full(20_000, float(count)))
    inside = ((fractions >= ends[..., 0]) & (fractions <= ends[..., 1])).mean(axis=0)
    # Fractions of few votes come in steps, so an interval holds at least that part of them.
    assert inside.min() > 0.89
    assert inside.max() < {5: 0.985, 40: 0.93, 1000: 0.91}[count]


def test_extremes_and_unknown_rows() -> None:
    ends = intervals(np.array([[np.nan, np.nan], [1e-9, 1e-9], [1e6, 1.0]]))
    assert np.isnan(ends[0]).all()
    assert np.isfinite(ends[1:]).all()
    assert (ends[1:, :, 0] <= ends[1:, :, 1]).all()
    assert ends[2, 0, 0] > 0.9999
