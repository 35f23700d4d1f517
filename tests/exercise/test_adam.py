import numpy as np
import torch
from torch import nn

from peculiar.exercise.adam import Adam
from peculiar.training.networks.exercise import ReferenceNet


def test_steps_are_those_of_the_paper_with_epsilon_hat() -> None:
    """Kingma & Ba (2015), algorithm 1 with the order of computation that ends section 2."""
    net = nn.Linear(3, 1, bias=False)
    optimizer = Adam(net, 0.1, epsilon=1e-3)
    theta = net.weight.detach().numpy().astype(np.float64).ravel()
    momentum = velocity = np.zeros(3)
    rng = np.random.default_rng(222)
    for step in range(1, 6):
        gradient = rng.normal(size=3) * [1, 1e-3, 0]
        optimizer.zero_grad()
        net.weight.grad += torch.from_numpy(gradient.astype(np.float32))
        optimizer.step()
        momentum = 0.9 * momentum + 0.1 * gradient
        velocity = 0.999 * velocity + 0.001 * gradient**2
        size = 0.1 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        theta = theta - size * momentum / (np.sqrt(velocity) + 1e-3)
        np.testing.assert_allclose(net.weight.detach().numpy().ravel(), theta, rtol=1e-5)


def test_weights_keep_values_shapes_and_memory_order() -> None:
    torch.manual_seed(5)
    net = ReferenceNet(size=32)
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    strides = {name: parameter.stride() for name, parameter in net.named_parameters()}
    optimizer = Adam(net, 0.001)
    assert optimizer.weights.numel() == sum(parameter.numel() for parameter in net.parameters())
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.stride() == parameter.grad.stride() == strides[name]
        assert parameter.untyped_storage().data_ptr() == optimizer.weights.untyped_storage().data_ptr()


def test_gradients_reach_the_one_vector_and_are_forgotten() -> None:
    net = ReferenceNet(size=32)
    optimizer = Adam(net, 0.001)
    net(torch.rand(2, 3, 32, 32)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad.any(), name
    found = torch.cat([parameter.grad.flatten() for parameter in net.parameters()])
    assert torch.equal(found.sort().values, optimizer.gradients.sort().values)
    optimizer.zero_grad()
    assert not optimizer.gradients.any()


def test_a_restored_optimiser_goes_on_as_the_old_one() -> None:
    torch.manual_seed(5)
    first = ReferenceNet(size=32)
    second = ReferenceNet(size=32)
    pictures = torch.rand(4, 3, 32, 32)

    def steps(net: ReferenceNet, optimizer: Adam, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            net(pictures).square().sum().backward()
            optimizer.step()

    optimizer = Adam(first, 0.01)
    steps(first, optimizer, 3)
    second.load_state_dict(first.state_dict())
    other = Adam(second, 0.01)
    other.restore({name: tensor.clone() for name, tensor in optimizer.state().items()})
    steps(first, optimizer, 2)
    steps(second, other, 2)
    assert torch.equal(optimizer.weights, other.weights)
