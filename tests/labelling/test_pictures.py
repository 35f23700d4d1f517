"""Pictures for the browser: read by row, and a reason where one cannot be read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import PictureError
from peculiar.labelling.web.pictures import Pictures
from peculiar.sources import open_source


@pytest.fixture
def table(tmp_path: Path, plain_pictures: list[bytes]) -> Path:
    path = tmp_path / "a.parquet"
    columns = {"id": ["a", "b"], "image": [{"bytes": one, "path": None} for one in plain_pictures[:2]]}
    pa.parquet.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def pictures(table: Path) -> Iterator[Pictures]:
    opened = Pictures(open_source(table), np.array([1, -1]))
    yield opened
    opened.close()


def test_each_row_has_its_own_picture(pictures: Pictures) -> None:
    assert int(pictures.pixels(0).mean()) == 40
    assert pictures.show(0).content.startswith(b"\xff\xd8")


def test_a_row_without_a_picture_says_so(pictures: Pictures) -> None:
    assert pictures.show(1).problem == "it is not among the pictures"
    with pytest.raises(PictureError, match="it is not among the pictures"):
        pictures.pixels(1)


def test_a_file_that_went_away_is_told(pictures: Pictures, table: Path) -> None:
    table.unlink()
    assert str(table) in pictures.show(0).problem
    with pytest.raises(PictureError, match="its file cannot be read"):
        pictures.pixels(0)
