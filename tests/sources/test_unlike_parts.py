"""Files of one data set that state units, names of classes and kinds of labels of their own."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import DataError, PeculiarWarning
from peculiar.sources import open_source
from peculiar.tables.reader import TableReader

STATED = {"deg": 1.0, "degrees": 1.0, "": 1.0, "rad": np.pi / 180, "arcsec": 3600.0, "arcmin": 60.0}


def write(
    path: Path, pictures: Sequence[bytes], unit: str, *, names: Sequence[str] = (), first: int = 0, **columns: Any
) -> Path:
    """Two galaxies at ra 10 and 20, dec -30, in a unit; `names` are those of the classes."""
    notes = {"unit": unit} if unit else {}
    size = STATED[unit]
    position = {"ra": [10 * size, 20 * size], "dec": [-30 * size, -30 * size]}
    table = pa.table({"id": [first, first + 1], "image": list(pictures[:2]), **position, **columns})
    fields = [field.with_metadata(notes) if field.name in position else field for field in table.schema]
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": {"names": list(names)}}}})} if names else {}
    pa.parquet.write_table(table.cast(pa.schema(fields, metadata)), path)
    return path


@pytest.mark.parametrize("second", STATED)
@pytest.mark.parametrize("first", STATED)
def test_positions_are_read_in_the_unit_of_each_file(
    first: str, second: str, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    write(tmp_path / "0.parquet", plain_pictures, first)
    write(tmp_path / "1.parquet", plain_pictures, second, first=2)
    source = open_source(tmp_path)
    expected = [(10, -30), (20, -30)] * 2
    for rows in (source.rows(), [row for one in source.shards(1) for row in one.source.rows(one.start, one.stop)]):
        np.testing.assert_allclose([row.position for row in rows], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [("deg", "rad", True), ("rad", "", True), ("", "arcmin", True), ("deg", "degrees", False), ("", "deg", False)],
)
def test_a_folder_that_is_one_table_has_one_unit(
    first: str, second: str, refused: bool, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    write(tmp_path / "0.parquet", plain_pictures, first)
    write(tmp_path / "1.parquet", plain_pictures, second, first=2)
    reader = TableReader(tmp_path)
    assert reader.column("id") == [0, 1, 2, 3]
    if refused:
        with pytest.raises(DataError, match=r"1\.parquet: ra is in .* in 0\.parquet, so they are not parts of one"):
            reader.column("ra")
        with pytest.raises(DataError, match=r"1\.parquet: ra is in .* leave it out of --keep"):
            open_source(tmp_path).described(["ra"])
    else:
        assert reader.column("ra") == [10, 20, 10, 20]
        assert open_source(tmp_path).described(["ra"])[0].name == "ra"


def test_numbers_have_the_names_of_their_own_file(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    for number, names in enumerate((["Ring", "Disc"], ["Disc", "Ring"], [])):
        path = tmp_path / f"{number}.parquet"
        write(path, plain_pictures, "", names=names, first=2 * number, label=pa.array([0, 1]))
    source = open_source(tmp_path)
    expected = ["Ring", "Disc", "Disc", "Ring", "Ring", "Disc"]
    assert source.labels() == [row.label for row in source.rows()] == expected


@pytest.mark.parametrize(
    ("numbers", "names", "said"), [([0, 1], (), True), ([0, 1], ("A", "B"), False), (["A", "B"], (), False)]
)
def test_text_and_numbers_as_labels_are_named(
    numbers: list[Any], names: Sequence[str], said: bool, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    write(tmp_path / "0.parquet", plain_pictures, "", label=pa.array(["A", "B"]))
    write(tmp_path / "1.parquet", plain_pictures, "", names=names, first=2, label=pa.array(numbers))
    if said:
        with pytest.warns(PeculiarWarning, match=r"labels in 'label' are numbers in 1\.parquet and text in 0\.parquet"):
            open_source(tmp_path)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_source(tmp_path).labels() == ["A", "B", "A", "B"]
