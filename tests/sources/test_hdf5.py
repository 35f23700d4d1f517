"""HDF5 files in Galaxy10's layout."""

import gzip
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from peculiar.errors import DataError, UnknownNameError
from peculiar.images.framing import Framing
from peculiar.questions.question import GALAXY10_DECALS, GALAXY10_SDSS, GALAXY_MNIST, Question
from peculiar.sources import open_source


def write_hdf5(path: Path, **datasets: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, content in datasets.items():
            file[name] = content
    return path


def pictures(count: int, side: int = 8) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pictures of one grey each, the number of the row."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, side, side, 3))


@pytest.mark.parametrize(("side", "question"), [(256, GALAXY10_DECALS), (69, GALAXY10_SDSS)])
def test_the_size_of_the_pictures_tells_the_edition(side: int, question: Question, tmp_path: Path) -> None:
    source = open_source(write_hdf5(tmp_path / "g.h5", images=pictures(10, side), ans=np.arange(10, dtype=np.uint8)))
    assert source.label == question.name
    assert source.labels() == list(question.answers)


def test_classes_of_other_pictures_are_numbers(tmp_path: Path) -> None:
    source = open_source(write_hdf5(tmp_path / "g.h5", images=pictures(3), ans=[7, 0, 12]))
    assert (source.label, source.labels()) == ("ans", ["7", "0", "12"])


def test_numbers_that_galaxy10_lacks_stay_numbers(tmp_path: Path) -> None:
    source = open_source(write_hdf5(tmp_path / "g.h5", images=pictures(3, 69), ans=[-1, 9, 10]))
    assert source.labels() == ["-1", "loose_spiral", "10"]


def test_rows_come_in_order_across_pieces(tmp_path: Path) -> None:
    source = open_source(write_hdf5(tmp_path / "galaxy10.h5", images=pictures(150), ans=np.arange(150) % 2))
    galaxies = list(source.galaxies(Framing(8)))
    assert len(source) == 150
    assert [galaxy.id for galaxy in galaxies] == [f"galaxy10-{index}" for index in range(150)]
    assert [galaxy.picture[0, 0, 0] for galaxy in galaxies if galaxy.picture is not None] == list(range(150))
    assert [galaxy.label for galaxy in galaxies] == [str(index % 2) for index in range(150)]


def test_answers_may_be_missing(tmp_path: Path) -> None:
    source = open_source(write_hdf5(tmp_path / "g.h5", images=pictures(2)))
    assert (source.label, source.labels()) == (None, [None, None])
    assert [galaxy.label for galaxy in source.galaxies(Framing(8))] == [None, None]


@pytest.mark.parametrize(
    ("datasets", "said"),
    [
        ({"ans": [1, 2], "ra": [0.0, 1.0]}, r"has no dataset 'images'; there are: ans, ra"),
        ({}, "has no dataset 'images'; there are: none"),
        ({"images/a": [1]}, "has no dataset 'images'; there are: images"),
        ({"images": pictures(2)[..., 0, 0]}, r"'images' has to have the shape \(n, .*\), received \(2, 8\)"),
        ({"images": pictures(2) - 9.0}, r"'images': its values are float64, from -9"),
        ({"images": pictures(2), "ans": [1, 2, 3]}, r"'ans' has to hold 2 integers, is int64 \(3,\)"),
        ({"images": pictures(2), "ans": [0.5, 1]}, r"'ans' has to hold 2 integers, is float64 \(2,\)"),
        ({"images": pictures(2), "ans": np.ones((2, 2), int)}, r"'ans' has to hold 2 integers, is int64 \(2, 2\)"),
    ],
)
def test_another_layout_is_refused(datasets: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "galaxy10.h5", **datasets)
    with pytest.raises(DataError, match=rf"galaxy10\.h5: {said}"):
        open_source(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "g.h5", images=pictures(50), ans=np.zeros(50, int))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"g\.h5: cannot be read as HDF5 \(.*truncated.*; it is damaged"):
        open_source(path)


def test_damaged_pictures_are_told_with_their_row(tmp_path: Path) -> None:
    path = tmp_path / "g.h5"
    noise = np.random.default_rng(0).integers(0, 255, (128, 8, 8, 3), dtype=np.uint8)
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", data=noise, chunks=(64, 8, 8, 3), compression="gzip")
        second = images.id.get_chunk_info(1)
    content = bytearray(path.read_bytes())
    content[second.byte_offset + 100 : second.byte_offset + 200] = bytes(100)
    path.write_bytes(content)
    rows = open_source(path).rows()
    assert [next(rows).id for _ in range(64)][-1] == "g-63"
    with pytest.raises(
        DataError, match=r"g\.h5: is damaged from row 64 \(counted from 0\) on: .*; download or write it again"
    ):
        next(rows)


@pytest.mark.parametrize("side", [64, 224])
def test_galaxy_mnist_is_known_by_its_labels_and_size(side: int, tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "train_dataset.hdf5", images=pictures(4, side), labels=np.arange(4, dtype=np.uint8))
    source = open_source(path)
    assert (source.label, source.labels()) == ("galaxy_mnist", list(GALAXY_MNIST.answers))
    other = open_source(write_hdf5(tmp_path / "other.hdf5", images=pictures(4, side), labels=[0, 1, 2, 7]))
    assert other.labels() == ["0", "1", "2", "7"]


def test_datasets_with_an_entry_for_each_picture_are_columns(tmp_path: Path) -> None:
    path = write_hdf5(
        tmp_path / "g.h5",
        images=pictures(3),
        redshift=np.array([0.1, 0.2, np.nan], ">f4"),
        survey=np.array([b"sdss", b"decals", b""]),
        model=[[1, 2]] * 3,
        scale=0.262,
    )
    source = open_source(path)
    columns = source.described(["survey", "redshift"])
    (batch,) = source.carried(columns, 1, 3)
    assert batch.column("survey").to_pylist() == ["decals", None]
    assert batch.column("redshift")[0].as_py() == pytest.approx(0.2)
    assert source.column("redshift")[2] is None
    with pytest.raises(UnknownNameError, match="model"):
        source.described(["model"])
    nothing = open_source(write_hdf5(tmp_path / "h.h5", images=pictures(3)))
    assert [len(batch) for batch in nothing.carried(columns, 0, None)] == [3]


def test_positions_may_have_other_names_and_a_unit(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "g.h5", images=pictures(2), RAJ2000=np.radians([10, 20]), DEJ2000=np.radians([1, 2]))
    with h5py.File(path, "a") as file:
        for name in ("RAJ2000", "DEJ2000"):
            file[name].attrs["unit"] = "rad"
    positions = [galaxy.position for galaxy in open_source(path).galaxies(Framing(8))]
    np.testing.assert_allclose(np.array(positions), [[10, 1], [20, 2]])


def test_a_packed_file_is_told(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "train_dataset.hdf5", images=pictures(2))
    packed = tmp_path / "train_dataset.hdf5.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"compressed by gzip, and is neither a tar nor a table; unpack it"):
        open_source(packed)
