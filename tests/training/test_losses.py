"""The loss counts what is known, and as far as it is trusted."""

import pytest
import torch
from torch.nn import functional

from peculiar.metrics.dirichlet import log_likelihood
from peculiar.training.losses import dirichlet_multinomial, weighted_cross_entropy

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.1, 0.0], [-1.0, 1.0, 3.0], [0.0, 0.0, 0.0]])
EVEN = torch.ones(3)


def test_with_all_known_and_trusted_it_is_cross_entropy() -> None:
    labels = torch.tensor([0, 2, 2, 1])
    found = weighted_cross_entropy(LOGITS, labels, torch.ones(4), EVEN, 0.0)
    torch.testing.assert_close(found, functional.cross_entropy(LOGITS, labels))


def test_unknown_labels_count_nothing_and_have_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    weighted_cross_entropy(logits, torch.tensor([0, -1, 2, -1]), torch.ones(4), EVEN, 0.1).backward()
    assert logits.grad is not None
    assert (logits.grad[[1, 3]] == 0).all()
    assert (logits.grad[[0, 2]] != 0).all()


def test_half_trusted_labels_count_half() -> None:
    labels = torch.tensor([0, -1, -1, -1])
    whole = weighted_cross_entropy(LOGITS, labels, torch.ones(4), EVEN, 0.0)
    half = weighted_cross_entropy(LOGITS, labels, torch.full((4,), 0.5), EVEN, 0.0)
    assert float(half) == pytest.approx(float(whole) / 2)


def test_shares_of_votes_are_what_probabilities_are_pulled_to() -> None:
    shares = torch.tensor([[0.5, 0.25, 0.25]] * 4)
    logits = torch.log(shares).requires_grad_()
    weighted_cross_entropy(logits, shares, torch.tensor([1.0, 0.5, 0.0, 1.0]), EVEN, 0.0).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros(4, 3), atol=1e-7, rtol=0)
    whole = weighted_cross_entropy(
        LOGITS, functional.one_hot(torch.tensor([0, 2, 2, 1])).float(), torch.ones(4), EVEN, 0.1
    )
    assert float(whole) == pytest.approx(
        float(weighted_cross_entropy(LOGITS, torch.tensor([0, 2, 2, 1]), torch.ones(4), EVEN, 0.1))
    )


def test_rare_classes_count_more() -> None:
    labels = torch.tensor([0, -1, -1, -1])
    even = weighted_cross_entropy(LOGITS, labels, torch.ones(4), EVEN, 0.0)
    more = weighted_cross_entropy(LOGITS, labels, torch.ones(4), torch.tensor([3.0, 1.0, 1.0]), 0.0)
    assert float(more) == pytest.approx(3 * float(even))


def test_a_batch_without_labels_has_no_loss() -> None:
    assert float(weighted_cross_entropy(LOGITS, torch.full((4,), -1), torch.ones(4), EVEN, 0.1)) == 0


def test_the_likelihood_of_votes_is_that_of_the_metrics() -> None:
    shares, counts = torch.tensor([[0.5, 0.25, 0.25], [1, 0, 0], [0, 0, 1], [0, 0, 0]]), torch.tensor([40.0, 3, 200, 0])
    found = dirichlet_multinomial(LOGITS, shares, counts)
    exact = log_likelihood((shares * counts[:, None]).numpy(), LOGITS.exp().numpy())
    assert float(found) == pytest.approx(-exact.sum() / 4, rel=1e-5)
    assert exact[3] == 0


def test_the_likelihood_of_votes_pulls_to_shares_and_certainty() -> None:
    shares, counts = torch.tensor([[0.6, 0.3, 0.1]] * 200), torch.full((200,), 40.0)
    logits = torch.zeros(200, 3, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        dirichlet_multinomial(logits, shares, counts).backward()
        optimizer.step()
    torch.testing.assert_close(torch.softmax(logits, dim=1), shares, atol=0.01, rtol=0)
    assert float(logits.detach().exp().sum(dim=1).min()) > 100  # all galaxies have exactly these shares


@pytest.mark.parametrize("size", [50.0, -50.0])
def test_the_likelihood_of_votes_stays_a_number(size: float) -> None:
    logits = torch.full((2, 3), size, requires_grad=True)
    loss = dirichlet_multinomial(logits, torch.tensor([[1.0, 0, 0]] * 2), torch.tensor([40.0, 0]))
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
