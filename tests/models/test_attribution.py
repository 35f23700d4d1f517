"""What in a picture speaks for an answer: on models whose reasons are known, and on galaxies whose parts are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from peculiar.errors import PictureError, UnknownNameError, UsageError
from peculiar.images.framing import Framing
from peculiar.models.attribution import PLACES, WIDTH, attribute, hide
from peculiar.models.model_file import load_model
from peculiar.sources.simulated import simulate_galaxy
from pictures import draw_galaxy
from spots import SIDE, SPOT, SpotFinder, with_spot


def peak(values: NDArray[np.floating]) -> tuple[float, float]:
    """Where a map is highest: the middle of its upper tenth of a per cent."""
    rows, columns = np.nonzero(values >= np.nanquantile(values, 0.999))
    return float(rows.mean()), float(columns.mean())


@settings(max_examples=12, deadline=None)
@given(st.floats(5, SIDE - 6), st.floats(5, SIDE - 6))
def test_the_map_peaks_at_the_only_thing_that_counts(row: float, column: float) -> None:
    told = attribute(SpotFinder(), with_spot(row, column))
    assert told.answer == "spot"
    assert told.probability > 0.9
    assert told.map.shape == (SIDE, SIDE)
    assert np.hypot(*np.subtract(peak(told.map), (row, column))) < 0.6 * WIDTH * SIDE
    # Hidden, it is as if it had never been there.
    assert told.without < 0.1
    assert told.decisive[round(row), round(column)]
    assert 0 < told.decisive.mean() < 0.11
    # Far from it nothing counts.
    rows, columns = np.indices(told.map.shape)
    assert np.abs(told.map[np.hypot(rows - row, columns - column) > 2.2 * WIDTH * SIDE]).max() < 0.05 * told.map.max()


def test_what_speaks_for_one_of_two_answers_speaks_against_the_other() -> None:
    finder, picture = SpotFinder(), with_spot(12, 30)
    one, other = (attribute(finder, picture, answer) for answer in SPOT.answers)
    np.testing.assert_allclose(one.map, -other.map, atol=1e-5)
    assert one.probabilities == other.probabilities
    # Nothing in it is decisive for an answer that everything speaks against.
    assert not one.decisive[12, 30]
    assert other.decisive[12, 30]


def test_the_fall_is_that_of_the_log_odds() -> None:
    """One place hides the whole of a spot: there the fall is that of the answer without it."""
    told = attribute(SpotFinder(), with_spot(24, 24, radius=1))
    p, q = told.probability, float(SpotFinder().probabilities(with_spot(-99, 0)[None])[0, 1])
    expected = np.log(p / (1 - p)) - np.log(q / (1 - q))
    assert 0.5 * expected < told.map.max() <= expected * 1.05


def test_the_map_lies_on_the_pixels_of_the_picture() -> None:
    """Of an oblong picture the model sees the middle square: 60 of 90 columns, magnified."""
    finder = SpotFinder(framing=Framing(SIDE, crop=60))
    told = attribute(finder, with_spot(20, 60, height=80, width=90, radius=3))
    assert told.square == (15, 10, 75, 70)
    assert told.map.shape == told.decisive.shape == (80, 90)
    seen = np.zeros((80, 90), bool)
    seen[10:70, 15:75] = True
    np.testing.assert_array_equal(np.isfinite(told.map), seen)
    assert np.hypot(*np.subtract(peak(told.map), (20, 60))) < 0.6 * WIDTH * 60
    assert not told.decisive[~seen].any()


def test_the_square_around_the_galaxy_is_undone_too() -> None:
    picture = draw_galaxy(200, 20, 120, 90)
    picture[80:84, 130:134, 1] = 255
    told = attribute(SpotFinder(framing=Framing(SIDE, crop="galaxy")), picture)
    left, upper, right, lower = told.square
    assert right - left == pytest.approx(lower - upper)
    assert right - left < 120
    assert np.hypot(*np.subtract(peak(told.map), (81.5, 131.5))) < 0.6 * WIDTH * (right - left)


def test_the_network_is_asked_in_batches() -> None:
    finder = SpotFinder()
    attribute(finder, with_spot(20, 20))
    assert max(finder.asked) == 32
    assert sum(finder.asked) == PLACES**2 + 3


def test_a_picture_in_which_nothing_counts_has_a_flat_map() -> None:
    flat = np.full((SIDE, SIDE, 3), 20, np.uint8)
    told = attribute(SpotFinder(), flat)
    assert np.abs(told.map).max() < 1e-6
    assert not told.decisive.any()
    assert told.without == pytest.approx(told.probability)


def test_a_model_without_an_answer_is_not_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpotFinder, "probabilities", lambda *_, **__: np.full((1, 2), np.nan, np.float32))
    with pytest.raises(PictureError, match="values that are not numbers"):
        attribute(SpotFinder(), with_spot(24, 24))


def test_an_answer_that_there_is_not() -> None:
    with pytest.raises(UnknownNameError, match=r"no answer 'spots' to 'spot'. Did you mean 'spot'\?"):
        attribute(SpotFinder(), with_spot(20, 20), "spots")


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (SIDE, SIDE, 4), (0, 3, 3)])
def test_a_picture_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="the picture has the shape"):
        attribute(SpotFinder(), np.zeros(shape, np.uint8))


def test_what_is_hidden_looks_like_its_surroundings() -> None:
    smooth = draw_galaxy(64, 20, 32, 32)
    spotted = smooth.copy()
    spotted[14:20, 40:46] = (30, 255, 90)
    mask = np.zeros((2, 64, 64), np.float32)
    mask[0, 11:23, 37:49] = 1
    hidden = hide(spotted, mask)
    assert hidden.dtype == np.uint8
    # What is shown stays as it is, and with nothing hidden so does all.
    np.testing.assert_array_equal(hidden[0][mask[0] == 0], spotted[mask[0] == 0])
    np.testing.assert_array_equal(hidden[1], spotted)
    inside = mask[0] == 1
    assert (
        np.abs(hidden[0][inside].astype(float) - smooth[inside]).mean()
        < 8
        < np.abs(spotted[inside].astype(float) - smooth[inside]).mean()
    )


def test_where_all_is_hidden_the_median_is_shown() -> None:
    picture = draw_galaxy(64, 12, 32, 32)
    hidden = hide(picture, np.ones((1, 64, 64), np.float32))[0]
    np.testing.assert_array_equal(hidden, np.broadcast_to(np.rint(np.median(picture, axis=(0, 1))), hidden.shape))


@pytest.mark.parametrize("seed", [3, 6, 7, 18, 21])
@pytest.mark.slow
def test_a_companion_makes_the_model_that_ships_say_merger(seed: int) -> None:
    """A simulated pair: what counts most is one of the two galaxies, and the companion at its known place counts."""
    picture, truth = simulate_galaxy("Merger", np.random.default_rng(seed), size=128)
    middle, companion = (part for part in truth["components"] if part["part"] == "disc")
    told = attribute(load_model().asking("four_class", views=1), picture)
    assert told.answer == "Merger"
    row, column = peak(told.map)
    assert min(np.hypot(row - one["y"], column - one["x"]) for one in (middle, companion)) < 5
    assert told.decisive[round(companion["y"]), round(companion["x"])]
    assert told.probability - told.without > 0.5


@pytest.mark.parametrize("seed", [2, 3, 5])
@pytest.mark.slow
def test_a_ring_makes_the_model_that_ships_say_ringed(seed: int) -> None:
    """A simulated galaxy with a ring of known place: on it hiding lowers the answer, beyond it next to nothing does."""
    picture, truth = simulate_galaxy("Ringed", np.random.default_rng(seed), size=128)
    ring = max((part for part in truth["components"] if part["part"] == "ring"), key=lambda part: part["radius"])
    told = attribute(load_model().asking("four_class", views=1), picture)
    assert told.answer == "Ringed"
    rows, columns = np.indices(told.map.shape)
    turned = np.exp(-1j * np.radians(ring["position_angle"])) * (columns - ring["x"] + 1j * (rows - ring["y"]))
    radii = np.hypot(turned.real, turned.imag / ring["axis_ratio"])
    on = np.nanmean(told.map[np.abs(radii - ring["radius"]) < ring["width"]])
    beyond = np.nanmean(told.map[radii > ring["radius"] + 5 * ring["width"]])
    assert on > 5 * abs(beyond)
