"""Blemishes: each fault has its name, and a galaxy without one has none."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.images.defects import Defect, find_defect
from pictures import draw_galaxy


def noise(level: float, scatter: float) -> NDArray[np.uint8]:
    return np.random.default_rng(1).normal(level, scatter, (96, 96, 3)).clip(0, 255).astype(np.uint8)


FAULTY = {
    "tiny": draw_galaxy(31, 5, 15, 15),
    "constant": np.full((64, 64, 3), (9, 0, 200), dtype=np.uint8),
    "blank": noise(20, 5),
    "clipped": (draw_galaxy(96, 20, 48, 48).astype(int) * 4).clip(0, 255).astype(np.uint8),
    "off-centre": draw_galaxy(96, 12, 20, 48),
    "uneven sky": np.maximum(draw_galaxy(96, 10, 48, 48), np.linspace(0, 150, 96).astype(np.uint8)[:, None]),
}


@pytest.mark.parametrize("kind", Defect)
def test_a_fault_is_named(kind: str) -> None:
    found = find_defect(FAULTY[kind])
    assert found is not None
    assert found[0] == kind
    assert found[1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [32, 69, 160])
def test_a_galaxy_in_the_middle_has_no_fault(size: int, seed: int) -> None:
    assert find_defect(draw_galaxy(size, size / 8, size / 2, size / 2, seed=seed)) is None


def test_a_picture_that_shows_a_star_far_brighter_than_its_middle_is_off_centre() -> None:
    picture = np.maximum(draw_galaxy(96, 6, 48, 48) // 4, draw_galaxy(96, 10, 12, 12, seed=1))
    assert (find_defect(picture) or ("", ""))[0] == "off-centre"


def test_faint_noise_is_not_constant() -> None:
    assert (find_defect(noise(3, 2)) or ("", ""))[0] == "blank"


def test_the_docs_have_every_rule() -> None:
    from peculiar.checks.findings import KINDS

    page = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
    remedies = {"drop": "left out", "keep first": "the first is kept", "": "kept"}
    rows = [f"| `{kind}` | {kind.description} | {remedies[kind.remedy]} |" for kind in KINDS]
    assert not [row for row in rows if row not in page]
