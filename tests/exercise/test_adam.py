import numpy as np

from peculiar.exercise.adam import Adam


def test_steps_are_those_of_the_paper_with_epsilon_hat() -> None:
    """Kingma & Ba (2015), algorithm 1 with the order of computation that ends section 2."""
    weights = np.array([0.5, -0.3, 0.1], np.float32)
    optimizer = Adam(weights, 0.1, epsilon=1e-3)
    theta = weights.astype(np.float64)
    momentum = velocity = np.zeros(3)
    rng = np.random.default_rng(222)
    for step in range(1, 6):
        gradient = rng.normal(size=3) * [1, 1e-3, 0]
        optimizer.gradients[:] = gradient
        optimizer.step()
        momentum = 0.9 * momentum + 0.1 * gradient
        velocity = 0.999 * velocity + 0.001 * gradient**2
        size = 0.1 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        theta = theta - size * momentum / (np.sqrt(velocity) + 1e-3)
        np.testing.assert_allclose(weights, theta, rtol=1e-5)


def test_a_restored_optimiser_goes_on_as_the_old_one() -> None:
    rng = np.random.default_rng(222)
    gradients = rng.normal(size=(5, 20)).astype(np.float32)
    weights = rng.normal(size=20).astype(np.float32)
    optimizer = Adam(weights, 0.01)

    def steps(adam: Adam, *rows: int) -> None:
        for row in rows:
            adam.gradients[:] = gradients[row]
            adam.step()

    steps(optimizer, 0, 1, 2)
    copied = weights.copy()
    other = Adam(copied, 0.01)
    other.restore({name: array.copy() for name, array in optimizer.state().items()})
    steps(optimizer, 3, 4)
    assert not np.array_equal(weights, copied)
    steps(other, 3, 4)
    np.testing.assert_array_equal(weights, copied)
    assert optimizer.steps == other.steps == 5
