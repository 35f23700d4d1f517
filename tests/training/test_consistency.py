"""VICReg: equal looks cost nothing but what keeps embeddings apart."""

import pytest
import torch

from peculiar.training.consistency import vicreg


def embeddings(seed: int = 222) -> torch.Tensor:
    return torch.randn(4000, 6, generator=torch.Generator().manual_seed(seed))


def test_independent_numbers_of_spread_one_cost_nothing() -> None:
    terms = vicreg(embeddings(), embeddings())
    assert terms.invariance == 0
    assert float(terms.variance) < 0.03
    assert float(terms.covariance) < 0.01


def test_embeddings_that_all_became_equal_cost_most_by_their_variance() -> None:
    terms = vicreg(torch.ones(50, 4), torch.ones(50, 4))
    assert float(terms.variance) == pytest.approx(2 * (1 - 0.01))  # the root of epsilon
    assert float(terms.loss()) == pytest.approx(25 * 2 * 0.99)


def test_numbers_that_repeat_each_other_cost_covariance() -> None:
    doubled = torch.cat([embeddings()[:, :3]] * 2, dim=1)
    # Three pairs of dimensions, both ways, of covariance 1, over six dimensions, for each look.
    assert float(vicreg(doubled, doubled).covariance) == pytest.approx(2, rel=0.1)


def test_looks_are_compared_row_by_row() -> None:
    one = embeddings()
    assert float(vicreg(one, one + 2).invariance) == pytest.approx(4)
    assert float(vicreg(one, one.flip(0)).invariance) == pytest.approx(2, rel=0.1)


def test_a_linear_map_learns_what_two_looks_share() -> None:
    torch.manual_seed(222)
    shared, mine, other = (torch.randn(500, 3) for _ in range(3))
    one, two = torch.cat([shared, mine], dim=1), torch.cat([shared, other], dim=1)
    layer = torch.nn.Linear(6, 3)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = vicreg(layer(one), layer(two)).loss()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 5
    kept = layer.weight.detach().norm(dim=0)
    assert kept[:3].min() > 5 * kept[3:].max()
