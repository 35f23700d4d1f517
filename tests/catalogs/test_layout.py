"""The map: what is alike lies together, whether it is a landmark or not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.layout import CELLS, lay_out
from peculiar.errors import UsageError
from peculiar.reports.drawing import save


def test_kinds_lie_apart_and_those_between_landmarks_with_their_like() -> None:
    random = np.random.default_rng(222)
    kinds = random.integers(0, 3, 400)
    points = np.eye(6)[kinds] * 6 + random.normal(0, 0.4, (400, 6))
    points[7] = np.nan
    places = lay_out(Embeddings.of(points), landmarks=80)
    assert np.isnan(places[7]).all()
    known = np.arange(400) != 7
    assert places[known].min() >= 0
    assert places[known].max() <= 1
    middles = np.array([places[known & (kinds == kind)].mean(axis=0) for kind in range(3)])
    nearest = np.linalg.norm(places[known, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == kinds[known]).mean() > 0.98


def test_a_catalogue_s_map_keeps_rows_and_is_drawn(tiny_catalog: Path, tiny_survey: Path, tmp_path: Path) -> None:
    hits = Catalog(tiny_catalog).layout(landmarks=60)
    assert hits.to_arrow().column_names == ["id", "ra", "dec", "class", "x", "y"]
    assert hits.ids == [f"sim-{number:03d}" for number in range(100)]
    again = Catalog(tiny_catalog).layout(landmarks=60)
    assert hits.to_arrow().equals(again.to_arrow())
    save(hits.show(), tmp_path / "dots.png")
    save(hits.show(tiny_survey), tmp_path / "pictures.png")
    with Image.open(tmp_path / "dots.png") as dots, Image.open(tmp_path / "pictures.png") as pictures:
        assert dots.width == dots.height
        assert pictures.width >= CELLS * 60
        # Galaxies are brighter than the night between them.
        assert np.asarray(pictures.convert("L")).max() > 150


def test_too_few_for_a_map(tiny_catalog: Path) -> None:
    with pytest.raises(UsageError, match="a map needs 50 galaxies with an embedding, and 50 landmarks"):
        Catalog(tiny_catalog).layout(landmarks=10)
