"""Losses for missing answers and uncertain labels."""

import torch
from torch import Tensor
from torch.nn import functional

# Beyond that, concentrations of a distribution that is as certain as numbers can tell, or of none, would overflow.
_MOST_LOGIT = 20.0


def weighted_cross_entropy(
    logits: Tensor, answers: Tensor, trust: Tensor, class_weights: Tensor, smoothing: float
) -> Tensor:
    """Return the mean cross-entropy over a batch, without unknown answers.

    Parameters
    ----------
    logits : Tensor of float, shape (n, answers)
    answers : Tensor of int, shape (n,), or of float, shape (n, answers)
        Number of the answer, below 0 if unknown; or the vote fraction of each answer.
    trust : Tensor of float, shape (n,)
        Weight of each galaxy, 0 to 1.
    class_weights : Tensor of float, shape (answers,)
        Weight of each answer, higher for rare ones.
    smoothing : float
        Share of each answer that is spread over all answers (Szegedy et al. 2016, section 7).

    Returns
    -------
    Tensor
        A scalar: the sum over the known answers divided by n, so that a question with few known answers in a batch has
        a correspondingly small weight in the shared body.
    """
    if answers.ndim == 1:
        trust, answers = trust * (answers >= 0), answers.clamp(min=0)
    each = functional.cross_entropy(logits, answers, weight=class_weights, label_smoothing=smoothing, reduction="none")
    return (each * trust).sum() / len(logits)


def dirichlet_multinomial(logits: Tensor, shares: Tensor, counts: Tensor) -> Tensor:
    r"""Return the negative log likelihood of votes over a batch, under the Dirichlet-multinomial distribution.

    Walmsley et al. 2022, MNRAS 509, 3966, section 4: votes k of N volunteers follow a multinomial distribution whose
    fractions follow a Dirichlet distribution of the concentrations α, with the sum A:

    .. math::
        -\log P(k | α) = \log \frac{Γ(N + A)}{Γ(A)} - \sum_a \log \frac{Γ(k_a + α_a)}{Γ(α_a)} + \mathrm{const}

    The concentrations are the exponentials of the logits, so the softmax of the logits is the expected vote fraction,
    α / A, as with the cross-entropy; Walmsley et al. map the outputs of their network to 1 to 101 instead. The sum of
    the concentrations says how far volunteers will be from the expected fraction. Votes of one galaxy are correlated by
    what the picture shows alone, so they need no further weight.

    Parameters
    ----------
    logits : Tensor of float, shape (n, answers)
    shares : Tensor of float, shape (n, answers)
        Vote fractions.
    counts : Tensor of float, shape (n,)
        Numbers of votes; 0 for galaxies without any.

    Returns
    -------
    Tensor
        A scalar, in nats: the sum over the galaxies divided by n.
    """
    concentrations = logits.clamp(-_MOST_LOGIT, _MOST_LOGIT).exp()
    votes = shares * counts[:, None]
    each = (torch.lgamma(concentrations + votes) - torch.lgamma(concentrations)).sum(dim=1)
    total = concentrations.sum(dim=1)
    return (torch.lgamma(total + counts) - torch.lgamma(total) - each).sum() / len(logits)
