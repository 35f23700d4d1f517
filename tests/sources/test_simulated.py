"""Simulated galaxies: reproducible, in proportion, and what their parameters say is what the pictures hold."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from scipy import stats

from geometry import plane
from peculiar.errors import UnknownNameError, UsageError
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources import simulated
from peculiar.sources.observation import expose
from peculiar.sources.simulated import simulate, simulate_galaxy


@pytest.fixture(scope="module")
def many() -> simulated.Simulation:
    return simulate(280, size=48, seed=5)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stars or background galaxies, and no atmosphere: the galaxy itself."""
    monkeypatch.setattr(simulated, "_field", lambda frame, scale: 0)
    monkeypatch.setattr(simulated, "blur", lambda light, fwhm, beta: light)


def scenes(answer: str, kind: str | None, count: int, size: int = 128) -> list[tuple[Any, dict[str, Any]]]:
    """Noise-free galaxies of a class, and of a kind if one is given, without a neighbour."""
    drawn = (simulated._scene(answer, np.random.default_rng([8, i]), size) for i in itertools.count())
    lone = (
        (light, truth)
        for light, truth in drawn
        if kind in (None, truth["kind"]) and truth["components"][-1]["part"] != "neighbour"
    )
    return list(itertools.islice(lone, count))


# ------------------------------------------------------------------ seeds, shapes, proportions


def test_the_same_seed_gives_the_same_galaxies_and_another_gives_others() -> None:
    one, two, other = simulate(6, size=32), simulate(6, size=32), simulate(6, size=32, seed=223)
    assert np.array_equal(one.pictures, two.pictures)
    assert np.array_equal(one.labels, two.labels)
    assert one.parameters == two.parameters
    assert not np.array_equal(one.pictures, other.pictures)


def test_a_galaxy_does_not_depend_on_how_many_are_drawn() -> None:
    few, more = simulate(8, size=32, seed=9), simulate(25, size=32, seed=9)
    for simulation in (few, more):
        for i, picture in enumerate(simulation.pictures):
            answer = FOUR_CLASS.answers[simulation.labels[i].argmax()]
            alone, truth = simulate_galaxy(answer, np.random.default_rng([9, i]), size=32)
            assert np.array_equal(picture, alone)
            assert simulation.parameters[i] == truth
    same = np.flatnonzero(few.labels.argmax(1) == more.labels[:8].argmax(1))
    assert same.size > 0
    assert np.array_equal(few.pictures[same], more.pictures[same])


def test_pictures_differ_from_each_other(many: simulated.Simulation) -> None:
    assert len(np.unique(many.pictures.reshape(len(many.pictures), -1), axis=0)) == len(many.pictures)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1400, [487, 291, 371, 251]),
        (2800, [974, 582, 742, 502]),
        (1, [1, 0, 0, 0]),
        (4, [1, 1, 1, 1]),
        (10, [3, 2, 3, 2]),
    ],
)
def test_classes_are_in_the_proportions_of_the_exercise(count: int, expected: list[int]) -> None:
    assert np.bincount(simulated._classes(count), minlength=4).tolist() == expected


@pytest.mark.parametrize("count", range(1, 40, 3))
def test_classes_add_up_to_any_count_within_one_of_their_share(count: int) -> None:
    found = np.bincount(simulated._classes(count), minlength=4)
    assert found.sum() == count
    assert np.abs(found - np.array([487, 291, 371, 251]) * count / 1400).max() < 1


def test_labels_are_one_hot_in_the_order_of_the_schema_and_shuffled(many: simulated.Simulation) -> None:
    assert many.labels.shape == (280, 4)
    assert many.labels.dtype == np.float32
    assert np.array_equal(np.sort(many.labels, axis=1), np.tile([0, 0, 0, 1], (280, 1)))
    classes = many.labels.argmax(1)
    assert [FOUR_CLASS.answers[k] for k in classes] == [truth["class"] for truth in many.parameters]
    assert np.bincount(classes).tolist() == np.bincount(simulated._classes(280)).tolist()
    assert 100 < np.count_nonzero(np.diff(classes)) < 280


@pytest.mark.parametrize("size", [16, 17, 63, 200])
@pytest.mark.parametrize("answer", FOUR_CLASS.answers)
def test_a_picture_has_the_size_asked_for(size: int, answer: str) -> None:
    picture, truth = simulate_galaxy(answer, np.random.default_rng(3), size=size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    assert truth["size"] == size
    assert picture.std() > 1


def test_truth_survives_json(many: simulated.Simulation) -> None:
    assert json.loads(json.dumps(many.parameters, allow_nan=False)) == many.parameters


def test_every_kind_of_galaxy_is_drawn(many: simulated.Simulation) -> None:
    kinds = {(truth["class"], truth["kind"]) for truth in many.parameters}
    assert len(kinds) == 5 + 4 + 4 + 4


@pytest.mark.parametrize(("arguments", "said"), [({"count": 0}, "count=0"), ({"count": -3}, "count=-3")])
def test_no_galaxies_cannot_be_asked_for(arguments: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        simulate(**arguments)


def test_bad_sizes_seeds_and_classes_are_named() -> None:
    with pytest.raises(UsageError, match="size=15"):
        simulate(1, size=15)
    with pytest.raises(UsageError, match="size=8"):
        simulate_galaxy("Normal", np.random.default_rng(1), size=8)
    with pytest.raises(UsageError, match="seed=-1"):
        simulate(1, seed=-1)
    with pytest.raises(UnknownNameError, match=r"'Merged'.*Did you mean 'Merger'"):
        simulate_galaxy("Merged", np.random.default_rng(1))


# ------------------------------------------------------------------ formulas


def test_the_sky_of_a_simulated_galaxy_has_the_noise_stated() -> None:
    for answer in FOUR_CLASS.answers:
        rng = np.random.default_rng(12)
        light, truth = simulated._scene(answer, rng, 128)
        bands, stated = expose(light, truth["pixel_scale"], rng)
        outer = np.r_[:30, -30:0]
        # Where the galaxy adds less than a twentieth of the sky's light, and so of its variance, in all bands.
        sky = 10 ** (0.4 * (22.5 - np.array([20.3, 20.9, 21.9]))) * truth["pixel_scale"] ** 2
        dark = (light[:, outer] < 0.05 * sky[:, None, None]).all(0)
        assert dark.sum() > 2000
        assert (bands - light)[:, outer][:, dark].std(1) == pytest.approx(stated, rel=0.08)
        assert simulate_galaxy(answer, np.random.default_rng(12))[1]["sky_noise"] == stated


# ------------------------------------------------------------------ what the truth says is in the picture


@pytest.mark.usefixtures("alone")
def test_an_elliptical_has_the_place_shape_and_size_stated() -> None:
    for light, truth in scenes("Normal", "elliptical", 6):
        (part,) = truth["components"]
        r_band = light[1]
        u, v = plane(part, 128)
        r = np.hypot(u, v)
        assert r_band[r < part["radius"]].sum() / part["flux"][1] == pytest.approx(0.5, abs=0.02)
        # Centroid and second moments within the stated ellipse: biased if centre, ratio or angle are wrong.
        inside = np.where(r < 2 * part["radius"], r_band, 0)
        total = inside.sum()
        assert abs((inside * u).sum() / total) < 0.1
        assert abs((inside * v * part["axis_ratio"]).sum() / total) < 0.1
        assert (inside * u * u).sum() / (inside * v * v).sum() == pytest.approx(1, abs=0.05)
        assert abs((inside * u * v).sum() / (inside * u * u).sum()) < 0.03


@pytest.mark.usefixtures("alone")
def test_a_bright_elliptical_measures_as_stated_without_knowing_the_truth() -> None:
    # Moments of the pixels above an isophote depend on nothing that was stated.
    for light, truth in scenes("Normal", "elliptical", 6):
        (part,) = truth["components"]
        y, x = np.nonzero(light[1] > np.quantile(light[1], 0.96))
        covariance = np.cov(np.stack([x, y]))
        values, vectors = np.linalg.eigh(covariance)
        assert (x.mean(), y.mean()) == pytest.approx((part["x"], part["y"]), abs=0.5)
        assert np.sqrt(values[0] / values[1]) == pytest.approx(part["axis_ratio"], abs=0.04)
        if part["axis_ratio"] < 0.85:
            angle = np.rad2deg(np.arctan2(vectors[1, 1], vectors[0, 1]))
            assert abs((angle - part["position_angle"] + 90) % 180 - 90) < 5


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("answer", FOUR_CLASS.answers)
def test_the_fluxes_of_the_parts_add_up_to_the_magnitude(answer: str) -> None:
    for light, truth in scenes(answer, None, 12, size=64):
        flux = sum(part["flux"][1] for part in truth["components"])
        assert 22.5 - 2.5 * np.log10(flux) == pytest.approx(truth["magnitude_r"], abs=1e-3)
        if truth["kind"] != "dust_lane":
            assert 0.55 * flux < light[1].sum() < 1.03 * flux


@pytest.mark.usefixtures("alone")
def test_young_parts_are_bluer_than_old_ones() -> None:
    def g_i(truths: list[dict[str, Any]], part: str) -> list[float]:
        return [c["flux"][2] / c["flux"][0] for t in truths for c in t["components"] if c["part"] == part]

    truths = [truth for _, truth in scenes("Normal", "spiral", 12, size=32)]
    assert min(g_i(truths, "arms")) > max(g_i(truths, "bulge"))
    assert np.median(g_i(truths, "clumps")) > np.median(g_i(truths, "arms"))


def bump(light: Any, part: dict[str, Any], width: float) -> float:
    """How far log brightness at a radius stands out from that a little way in and out: 0 for an exponential disc."""
    r = np.hypot(*plane(part, light.shape[-1]))
    at = [light[1][np.abs(r - part["radius"] - step * width) < 0.5].mean() for step in (-2.2, 0, 2.2)]
    return float(np.log(at[1] / np.sqrt(at[0] * at[2])))


@pytest.mark.usefixtures("alone")
def test_a_ringed_galaxy_is_brighter_at_its_ring_and_a_normal_disc_is_not() -> None:
    rings = [
        bump(light, part, part["width"])
        for light, truth in scenes("Ringed", None, 40)
        for part in truth["components"]
        if part["part"] == "ring" and part["radius"] + 2.2 * part["width"] < 60 and part["width"] > 0.6
    ]
    discs = [
        bump(light, part, 0.13 * part["radius"])
        for light, truth in scenes("Normal", "lenticular", 12)
        for part in truth["components"]
        if part["part"] == "disc"
    ]
    assert len(rings) > 35
    assert np.mean(np.array(rings) > 0.05) > 0.9
    assert np.median(rings) > 0.2
    assert np.max(discs) < 0.05


@pytest.mark.usefixtures("alone")
def test_a_merger_has_two_galaxies_and_debris() -> None:
    for light, truth in scenes("Merger", None, 20):
        nuclei = {(c["x"], c["y"]) for c in truth["components"] if c["part"] in ("bulge", "elliptical")}
        assert len(nuclei) == 2
        assert {"tail", "bridge", "shell"} & {c["part"] for c in truth["components"]}
        for x, y in nuclei:
            column, row = round(x), round(y)
            if min(column, row) > 6 and max(column, row) < 121:
                around = light[1, row - 6 : row + 7, column - 6 : column + 7]
                assert light[1, row, column] > 2 * np.median(light[1])
                assert light[1, row, column] > around[[0, 0, -1, -1], [0, -1, 0, -1]].min()


@pytest.mark.usefixtures("alone")
def test_dust_dims_blue_light_most() -> None:
    for answer_light, truth in scenes("Other", "dust_lane", 4):
        lane = truth["components"][-1]
        u, v = plane(lane, 128)
        across = v * lane["axis_ratio"] - lane["offset"]
        middle, off = (np.abs(across) < 0.5) & (np.abs(u) < 5), (np.abs(across) > 4 * lane["width"]) & (np.abs(u) < 15)
        red = [answer_light[0][where].sum() / answer_light[2][where].sum() for where in (middle, off)]
        assert red[0] > 1.15 * red[1]


# ------------------------------------------------------------------ nothing but shape tells the classes apart


@pytest.mark.parametrize(
    "name", ["magnitude_r", "pixel_scale", "seeing", "black", "stretch", "softening", "field_objects"]
)
def test_what_is_not_the_galaxy_is_alike_in_all_classes(many: simulated.Simulation, name: str) -> None:
    values = [[t[name] for t in many.parameters if t["class"] == answer] for answer in FOUR_CLASS.answers]
    assert stats.kruskal(*values).pvalue > 0.001


def test_brightness_colour_and_background_overlap_across_classes(many: simulated.Simulation) -> None:
    pictures, classes = many.pictures.astype(float), many.labels.argmax(1)
    middle = pictures[:, 12:36, 12:36].mean((1, 2))
    corner = pictures[:, :6, :6].reshape(len(pictures), -1)
    for value in (pictures.mean((1, 2, 3)), middle[:, 2] / middle[:, 0], np.median(corner, 1), corner.std(1)):
        for one, two in itertools.combinations(range(4), 2):
            rank = stats.mannwhitneyu(value[classes == one], value[classes == two])
            # The chance that a galaxy of one class exceeds one of the other: 0.5 where the class does not matter.
            chance = rank.statistic / ((classes == one).sum() * (classes == two).sum())
            assert 0.25 < chance < 0.75


def test_pictures_are_dark_at_the_edge_noisy_and_bright_in_the_middle(many: simulated.Simulation) -> None:
    middle = many.pictures[:, 20:28, 20:28].mean((1, 2, 3))
    edge = np.median(many.pictures[:, :4].reshape(280, -1), axis=1)
    assert np.mean(middle > 3 * edge) > 0.9
    assert np.mean(edge < 40) > 0.95
    assert np.median(many.pictures[:, :6, :6].astype(float).std((1, 2, 3))) > 2
