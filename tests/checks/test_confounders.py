"""Classes that go with the survey, the kind of file or the look of the pictures are reported."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.checks.check import check
from peculiar.checks.findings import Problem
from peculiar.images.decode import encode_picture
from peculiar.sources.simulated import simulate

COUNT = 80
PICTURES = simulate(COUNT, size=64, seed=222).pictures
RING = np.arange(COUNT) % 2 == 0


def write(path: Path, changed: Any, **columns: Any) -> Path:
    """Write a table whose pictures `changed` makes from those drawn and from whether they are labelled Ring."""
    content = [changed(picture, bool(ring)) for picture, ring in zip(PICTURES, RING, strict=True)]
    labels = np.where(RING, "Ring", "Disc")
    ids = [f"g{number}" for number in range(COUNT)]
    pa.parquet.write_table(pa.table({"id": ids, "image": content, "label": labels, **columns}), path)
    return path


def plain(picture: np.ndarray, ring: bool) -> bytes:
    return encode_picture(picture)


CHANGES: dict[str, tuple[Any, str]] = {
    "kind of file": (lambda picture, ring: encode_picture(picture, "JPEG" if ring else "PNG"), "kind of file JPEG"),
    "size": (lambda picture, ring: encode_picture(picture[: 56 if ring else 64]), "size in pixels"),
    "brightness": (
        lambda picture, ring: encode_picture(picture // 4 + np.uint8(60 if ring else 10)),
        "brightness",
    ),
    "noise": (
        lambda picture, ring: encode_picture(
            np.clip(
                picture + np.random.default_rng(int(picture.sum())).normal(0, 3 if ring else 12, picture.shape), 0, 255
            ).astype(np.uint8)
        ),
        "noise of the sky",
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.slow
def test_what_the_pictures_show_is_found(kind: str, tmp_path: Path) -> None:
    change, words = CHANGES[kind]
    found = check(write(tmp_path / "g.parquet", change)).of(Problem.CONFOUNDER)
    assert any(words in one.text for one in found), [one.text for one in found]
    first = next(one for one in found if words in one.text)
    assert first.score is not None
    assert first.score > 3
    assert all(RING[row] == first.text.startswith("Ring") for row in first.rows)


@pytest.mark.parametrize("name", ["survey", "Telescope", "FILTER", "field_name", "tile", "source", "image_format"])
@pytest.mark.slow
def test_a_column_of_the_origin_is_looked_at(name: str, tmp_path: Path) -> None:
    origin = np.where(RING ^ (np.arange(COUNT) % 10 == 0), "decals", "sdss")
    found = check(write(tmp_path / "g.parquet", plain, **{name: origin})).of(Problem.CONFOUNDER)
    assert any(f"Ring goes with {name} decals" in one.text for one in found), [one.text for one in found]


def test_columns_of_answers_and_balanced_sets_are_no_confounders(tmp_path: Path) -> None:
    same = np.where(RING, "yes", "no")
    survey = np.where(np.arange(COUNT) % 4 < 2, "decals", "sdss")
    found = check(write(tmp_path / "g.parquet", plain, ringed=same, survey=survey))
    assert not [one.text for one in found.of(Problem.CONFOUNDER) if "ringed" in one.text or "survey" in one.text]
