"""Discs seen edge-on, their warps and bulges."""

import numpy as np
import pytest

from peculiar.simulation.canvas import Canvas, Place, Stars
from peculiar.simulation.edge_on import BoxyBulge, DustLayer, EdgeOnDisc, Warp

BANDS = (762.0, 623.0, 477.0)
DISC = EdgeOnDisc(Place(), 0.6, 0.1, 2.4, 0.0, (0.1, 0.1), 1.0, Stars("disc"))


def painted(*parts: object) -> Canvas:
    canvas = Canvas(240, 0.04, BANDS)
    for part in parts:
        part.paint(canvas)  # type: ignore[attr-defined]
    return canvas


def test_disc_and_warped_disc_hold_their_light() -> None:
    assert painted(DISC).light[1].sum() * 0.04**2 == pytest.approx(1, rel=0.03)
    warped = painted(DISC, Warp(DISC, 0.15, 0.8, bowl=False))
    assert warped.light[1].sum() * 0.04**2 == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("bowl", [False, True])
def test_a_warp_lifts_the_ends_as_stated(bowl: bool) -> None:
    warp = Warp(DISC, 0.15, 0.8, bowl)
    canvas = painted(DISC, warp)
    for at in (-1.8, 1.8):
        column = np.abs(canvas.x[0] - at).argmin()
        light = canvas.light[1, :, column]
        height = (light * canvas.y[:, 0]).sum() / light.sum()
        assert height == pytest.approx(0.15 * 1.0 * (1 if bowl else np.sign(at)), abs=0.03)


def test_dust_lies_in_the_middle_plane() -> None:
    left = painted(DISC, DustLayer(DISC, None, 2.5)).light[1] / painted(DISC).light[1]
    middle = left[:, 110:130].mean(1)
    assert middle[118:122].mean() < 0.7
    assert middle[108] > 0.85


def test_a_boxy_bulge_is_fuller_at_its_corners_than_an_ellipse() -> None:
    boxy, round_ = (painted(BoxyBulge(Place(), 0.6, 0.5, c, 0.0, 1.0, Stars("old"))) for c in (3.6, 2.0))
    corner = np.hypot(np.abs(boxy.x) - 0.6, np.abs(boxy.y) - 0.3) < 0.08
    assert boxy.light[1][corner].mean() > 1.2 * round_.light[1][corner].mean()
