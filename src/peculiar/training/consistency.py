"""Self-supervised loss: two looks of one galaxy get the same embedding, different galaxies different ones."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_EPSILON = 1e-4

# Weights of invariance, variance and covariance in the paper (section 4.2).
INVARIANCE, _VARIANCE, _COVARIANCE = 25.0, 25.0, 1.0


@dataclass(frozen=True, slots=True)
class Consistency:
    """The three terms of VICReg (Bardes, Ponce & LeCun 2022, arXiv:2105.04906, eqs. 1 to 6), each a scalar."""

    invariance: Tensor
    variance: Tensor
    covariance: Tensor

    def loss(self) -> Tensor:
        """Return the sum of the terms, with the weights of the paper."""
        return INVARIANCE * self.invariance + _VARIANCE * self.variance + _COVARIANCE * self.covariance


def vicreg(one: Tensor, other: Tensor) -> Consistency:
    """Compare the embeddings of two looks of the same galaxies.

    With embeddings ``z`` and ``z'`` of shape (n, d), invariance is the mean square of ``z - z'`` (eq. 5, divided by d
    as in the authors' code). Variance is the mean over the dimensions of ``max(0, 1 - sqrt(var + 0.0001))`` (eq. 1), so
    that embeddings cannot all become equal. Covariance is the sum of the squares of the covariances of different
    dimensions, over d (eq. 4), so that dimensions do not repeat each other. The last two are summed over both looks
    (eq. 6).

    Parameters
    ----------
    one, other : Tensor of float, shape (n, d)
        Row by row the same galaxies; n is at least 2.

    Returns
    -------
    Consistency

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.randn(64, 8, generator=torch.Generator().manual_seed(222))
    >>> float(vicreg(embeddings, embeddings).invariance)
    0.0
    """
    terms = [_spread(embeddings) for embeddings in (one, other)]
    variance, covariance = (torch.stack(term).sum() for term in zip(*terms, strict=True))
    return Consistency(functional.mse_loss(one, other), variance, covariance)


def _spread(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variance and covariance terms of one look."""
    count, size = embeddings.shape
    centred = embeddings - embeddings.mean(dim=0)
    covariance = centred.T @ centred / (count - 1)
    variances = covariance.diagonal()
    variance = functional.relu(1 - (variances + _EPSILON).sqrt()).mean()
    return variance, (covariance.square().sum() - variances.square().sum()) / size
