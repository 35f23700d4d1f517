"""Colours of populations and of dust."""

import numpy as np
import pytest

from peculiar.simulation.stars import POPULATIONS, R_BAND, colours, extinction

GRI = (762.0, R_BAND, 477.0)


def test_flux_in_r_is_the_unit_of_every_population_at_any_reddening() -> None:
    for population in POPULATIONS:
        for reddening in (-0.5, 0.0, 2.0):
            assert colours(population, GRI, reddening)[1] == pytest.approx(1)


def test_old_stars_have_the_colours_of_ellipticals() -> None:
    i, r, g = colours("old", GRI)
    assert 2.5 * np.log10(r / g) == pytest.approx(0.77, abs=0.01)
    assert 2.5 * np.log10(i / r) == pytest.approx(0.39, abs=0.01)


def test_populations_get_bluer_from_old_to_clumps_and_dust_reddens() -> None:
    ratio = [colours(name, GRI)[2] / colours(name, GRI)[0] for name in ("old", "disc", "young", "clump")]
    assert ratio == sorted(ratio)
    assert colours("disc", GRI, 1.0)[2] < colours("disc", GRI)[2]
    assert colours("disc", GRI, 1.0)[0] > colours("disc", GRI)[0]


def test_extinction_follows_schlegel_et_al() -> None:
    published = np.array([2.086, 2.751, 3.793]) / 2.751  # i, r, g: Table 6
    assert extinction(np.array([748.0, 623.0, 477.0])) == pytest.approx(published, rel=0.06)
