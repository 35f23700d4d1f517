"""Galaxies are reproducible, have the features asked for, and a truth that fits the table."""

import numpy as np
import pyarrow.compute as pc
import pytest

from peculiar.errors import UnknownNameError, UsageError
from peculiar.simulation import ALL_FEATURES, simulate_galaxies, simulate_views
from peculiar.simulation.truth import COLUMNS, columns_of_truth


def test_a_galaxy_follows_from_seed_and_row_alone() -> None:
    few, many = simulate_galaxies(3, size=48, seed=4), simulate_galaxies(5, size=48, seed=4)
    assert np.array_equal(few.pictures, many.pictures[:3])
    assert few.truth.equals(many.truth.slice(0, 3))
    late = simulate_galaxies(1, size=48, seed=4, first=4)
    assert np.array_equal(late.pictures[0], many.pictures[4])
    assert not np.array_equal(simulate_galaxies(1, size=48, seed=5).pictures[0], few.pictures[0])


def test_two_looks_show_the_same_galaxy() -> None:
    one, other = simulate_views(3, looks=("hsc", "sdss"), features=("arms",), size=48)
    for column in ("galaxy", "host", "bulge_fraction", "axis_ratio", "arms", "arms_number", "arms_strength"):
        assert one.truth[column] == other.truth[column]
    assert one.truth["look"] != other.truth["look"]
    assert one.truth["arms_snr"] != other.truth["arms_snr"]
    alone = simulate_views(3, looks=("hsc",), features=("arms",), size=48)[0]
    assert np.array_equal(alone.picture, one.picture)


def test_a_wider_frame_shows_the_same_galaxy_smaller() -> None:
    near, wide = simulate_views(1, looks=("decals",), features=("edge_on",), size=64, contexts=(1.0, 3.0))
    assert near.truth["radius_pixels"] == pytest.approx(3 * wide.truth["radius_pixels"])
    assert near.truth["edge_on_size"] == pytest.approx(3 * wide.truth["edge_on_size"])


@pytest.mark.parametrize("feature", ALL_FEATURES)
def test_a_feature_asked_for_is_there(feature: str) -> None:
    for row in range(2):
        (view,) = simulate_views(row, looks=("any",), features=(feature,), size=32, seed=8)
        assert view.truth[feature] is True
        assert f"{feature}_visible" in view.truth
        table = columns_of_truth([view.truth])
        assert set(view.truth) <= set(table.column_names)
        assert table[feature].to_pylist() == [True]


def test_columns_have_names_of_their_own_and_absent_features_are_false() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    table = simulate_galaxies(4, size=32, seed=1).truth
    assert table.num_columns == len(COLUMNS)
    for feature in ALL_FEATURES:
        assert table[feature].null_count == 0
        absent = pc.invert(table[feature])
        assert pc.all(pc.is_null(table.filter(absent)[f"{feature}_snr"])).as_py() in (True, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 31}, "size=31"),
        ({"seed": -1}, "seed=-1"),
        ({"contexts": (5.0,)}, "context=5"),
    ],
)
def test_numbers_out_of_range_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        simulate_views(0, **options)  # type: ignore[arg-type]


def test_unknown_features_are_named_and_none_at_all_cannot_be_asked_for() -> None:
    with pytest.raises(UnknownNameError, match=r"no feature 'ring_iner'.*Did you mean 'ring_inner'"):
        simulate_views(0, features=("ring_iner",))
    with pytest.raises(UsageError, match="count=0"):
        simulate_galaxies(0)
