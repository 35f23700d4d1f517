"""The temperature gives back the sureness that labels bear out."""

import numpy as np
import pytest

from peculiar.calibrate import fit_temperature
from peculiar.errors import LabelError


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found(temperature: float) -> None:
    random = np.random.default_rng(222)
    logits = random.normal(0, 2, (20_000, 4))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1)
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.05)


def test_labels_without_trust_count_nothing() -> None:
    random = np.random.default_rng(1)
    logits = random.normal(0, 1, (200, 3))
    labels = random.integers(0, 3, 200)
    trust = np.repeat([1.0, 0.0], 100)
    assert fit_temperature(logits, labels, trust) == pytest.approx(
        fit_temperature(logits[:100], labels[:100]), rel=1e-3
    )


def test_without_labels_there_is_no_temperature() -> None:
    with pytest.raises(LabelError, match="no labels"):
        fit_temperature(np.empty((0, 3)), np.empty(0, dtype=int))
