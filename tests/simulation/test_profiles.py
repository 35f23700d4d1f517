"""Light profiles hold the light that they state."""

import numpy as np
import pytest
from scipy import integrate, special

from peculiar.simulation.profiles import sersic


@pytest.mark.parametrize("n", [0.8, 1.0, 2.5, 4.0, 5.0])
def test_half_the_light_of_a_sersic_profile_is_within_its_radius(n: float) -> None:
    def light(r: float) -> float:
        return float(2 * np.pi * r * sersic(np.float64(r), 3.0, n))  # type: ignore[arg-type]

    assert integrate.quad(light, 0, 3)[0] == pytest.approx(0.5, abs=2e-4)
    assert integrate.quad(light, 0, np.inf, limit=200)[0] == pytest.approx(1, abs=2e-4)


def test_half_light_radius_of_sersic_agrees_with_the_incomplete_gamma_function() -> None:
    # Ciotti & Bertin's series against the definition: Gamma(2n) = 2 gamma(2n, b).
    for n in (0.7, 1.0, 2.0, 4.0, 6.0):
        b = special.gammaincinv(2 * n, 0.5)
        ratio = sersic(np.array([0.0, 1.0]), 1.0, n)  # type: ignore[arg-type]
        assert np.log(ratio[0] / ratio[1]) == pytest.approx(b, abs=1e-3)


def test_a_disc_is_exponential() -> None:
    r = np.linspace(1, 30, 30, dtype=np.float32)
    slope = np.diff(np.log(sersic(r, 10.0, 1.0)))
    assert slope == pytest.approx(-1.678 / 10, rel=1e-3)
