"""Losses for missing answers and uncertain labels."""

from torch import Tensor
from torch.nn import functional


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
