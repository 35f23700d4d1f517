"""NPZ files in the exercise's layout, and everything that can be wrong with one."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from peculiar.errors import DataError, LabelError, PeculiarError, PeculiarWarning
from peculiar.images.framing import Framing
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources import open_source
from peculiar.sources.npz import NpzSource, write_npz


def pictures(count: int) -> NDArray[np.uint8]:
    """Pictures of 6 x 4 of one grey each, the number of the row."""
    return np.repeat(np.arange(count, dtype=np.uint8), 6 * 4 * 3).reshape(count, 6, 4, 3)


def one_hot(count: int, classes: int = 4) -> NDArray[np.float32]:
    return np.eye(classes, dtype=np.float32)[np.arange(count) % classes]


def write(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_ids_are_text_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = write(tmp_path / os.fsdecode(b"caf\xe9.npz"), data=pictures(2), labels=one_hot(2))
    assert open_source(path).ids() == [r"caf\xe9-0", r"caf\xe9-1"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_pictures_and_labels_come_in_order_across_pieces(order: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "galaxies.npz", data=np.asarray(pictures(150), order=order), labels=one_hot(150))
    source = open_source(path)
    assert isinstance(source, NpzSource)
    assert (len(source), source.shape, source.label) == (150, (150, 6, 4, 3), "four_class")
    rows = list(source.rows())
    assert [row.id for row in rows] == [f"galaxies-{index}" for index in range(150)]
    assert [row.label for row in rows] == source.labels() == [FOUR_CLASS.answers[index % 4] for index in range(150)]
    np.testing.assert_array_equal(np.stack([np.asarray(row.content) for row in rows]), pictures(150))
    np.testing.assert_array_equal(source.pixels(), pictures(150))
    np.testing.assert_array_equal(source.one_hot, one_hot(150))


def test_classes_other_than_four_are_numbered(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.npz", data=pictures(5), labels=one_hot(5, 3)))
    assert (source.label, source.labels()) == ("labels", ["class_0", "class_1", "class_2", "class_0", "class_1"])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float64])
def test_one_hot_labels_may_be_of_any_number_type(dtype: type, tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.npz", data=pictures(4), labels=one_hot(4).astype(dtype)))
    assert source.labels() == list(FOUR_CLASS.answers)


def test_an_uncompressed_file_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=pictures(3), labels=one_hot(3))
    assert len(list(open_source(tmp_path / "a.npz").galaxies(Framing(2)))) == 3


def test_further_arrays_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", data=pictures(2), labels=one_hot(2), names=np.array(["a", None]))
    assert open_source(path).labels() == ["Normal", "Ringed"]


def test_what_write_npz_writes_is_read_with_the_truth(tmp_path: Path) -> None:
    path = tmp_path / "simulated.npz"
    truth = [{"class": "Ringed", "radius": 3.5}, {"class": "Müll"}]
    write_npz(path, pictures(2), one_hot(2), parameters=truth)
    assert open_source(path).labels() == ["Normal", "Ringed"]
    with np.load(path) as file:
        assert [json.loads(one) for one in file["parameters"]] == truth


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"labels": one_hot(2)}, "has no array 'data' with pictures; .* there are: labels.* np.savez_compressed"),
        ({}, "has no array 'data' with pictures; .* there are: none"),
        ({"data": pictures(2)[..., 0, 0], "labels": one_hot(2)}, r"'data' .* received \(2, 6\)"),
        ({"data": pictures(2)[..., :2], "labels": one_hot(2)}, r"'data' .* received \(2, 6, 4, 2\)"),
        ({"data": pictures(0), "labels": one_hot(0)}, r"'data' .* received \(0, 6, 4, 3\)"),
        ({"data": pictures(2) - 3.0}, r"'data': its values are float64, from -3 .*\* 255\)\.round\(\)"),
        ({"data": pictures(2) * 1j}, r"'data' has to hold numbers, .* received complex128"),
        ({"data": pictures(2).astype(str)}, r"'data' has to hold numbers, .* received <U"),
    ],
)
def test_other_data_are_refused(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=rf"a\.npz: .*{said}"):
        open_source(path)


def changed(row: int, values: list[float]) -> NDArray[np.float32]:
    labels = one_hot(8)
    labels[row] = values
    return labels


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.arange(8) % 4, r"are integers of shape \(8,\).* np\.eye"),
        (one_hot(7), r"shape \(8, classes\) to fit 'data', received \(7, 4\)"),
        (np.ones((8, 1)), r"received \(8, 1\)"),
        (np.linspace(0, 1, 8), r"received \(8,\)"),
        (one_hot(8).astype(str), "have to be numbers, received <U"),
        (one_hot(8).astype("f4,f4")[:, :2], r"have to be numbers, received \[\("),
        (
            changed(5, [np.nan, 1, 0, 0]),
            r"not one-hot in 1 of 8 rows, the first of them row 5 \(counted from 0\): \[nan, 1",
        ),
        (changed(3, [0.5, 0.5, 0, 0]), "row 3"),
        (changed(2, [1, 1, 0, 0]), "row 2"),
        (changed(1, [0, 0, 0, 0]), "row 1"),
        (changed(7, [2, -1, 0, 0]), "row 7"),
        (one_hot(8) * 0, "not one-hot in 8 of 8 rows"),
    ],
)
def test_labels_that_are_not_one_hot_are_refused(labels: NDArray[Any], said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", data=pictures(8), labels=labels)
    with pytest.raises(LabelError, match=rf"a\.npz: 'labels' .*{said}"):
        open_source(path)


class Trap:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("sprung"),)


@pytest.mark.parametrize("name", ["data", "labels"])
@pytest.mark.parametrize("structured", [False, True])
def test_pickled_objects_are_refused_and_not_run(name: str, structured: bool, tmp_path: Path) -> None:
    trap = np.empty(2, dtype=[("number", int), ("thing", object)] if structured else object)
    (trap["thing"] if structured else trap)[:] = Trap()
    path = write(tmp_path / "a.npz", **{"data": pictures(2), "labels": one_hot(2), name: trap})
    with pytest.raises(DataError, match=rf"a\.npz: '{name}' holds pickled Python objects, which can run any program"):
        open_source(path)
    assert not Path("sprung").exists()


def test_a_single_array_is_pictures_without_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pictures(150))
    source = open_source(tmp_path / "a.npy")
    assert (len(source), source.label, source.labels()[0]) == (150, None, None)
    assert [row.id for row in source.rows(148)] == ["a-148", "a-149"]
    np.testing.assert_array_equal(np.stack([np.asarray(row.content) for row in source.rows()]), pictures(150))


def test_pictures_without_labels_are_read_and_other_arrays_told(tmp_path: Path) -> None:
    assert open_source(write(tmp_path / "a.npz", data=pictures(2))).label is None
    with pytest.warns(PeculiarWarning, match=r"b\.npz: has no array 'labels', .* not used: y"):
        source = open_source(write(tmp_path / "b.npz", data=pictures(2), y=one_hot(2)))
    assert source.labels() == [None, None]


def test_another_zip_file_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("galaxies/a.jpg", b"")
    with pytest.raises(DataError, match=r"a\.npz: has no array 'data' with .* there are: galaxies/a\.jpg"):
        open_source(tmp_path / "a.npz")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", data=pictures(20), labels=one_hot(20))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"a\.npz: cannot be read as zip or NPZ \(.*cut short"):
        open_source(path)


def member(array: NDArray[Any], *, cut: int = 0) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()[: len(buffer.getvalue()) - cut]


def zip_of(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_data_that_hold_fewer_pictures_than_they_say_are_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.npz", data=member(pictures(100), cut=6 * 4 * 3), labels=member(one_hot(100)))
    source = open_source(path)
    with pytest.raises(DataError, match=r"a\.npz: is damaged \(.*; download or write it again"):
        list(source.rows())


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x93NUMPY\x01\0\x10\0{'descr': ", b"\x93NUMPY\x02\0\xff\xff\xff\xff"]
)
@pytest.mark.parametrize("name", ["data", "labels"])
def test_a_damaged_header_is_told_with_the_array(content: bytes, name: str, tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.npz", **{"data": member(pictures(2)), "labels": member(one_hot(2)), name: content})
    with pytest.raises(DataError, match=rf"a\.npz: '{name}' is damaged \("):
        open_source(path)


def test_labels_of_impossible_size_are_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_2_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15, 4)})
    path = zip_of(tmp_path / "a.npz", data=member(pictures(2)), labels=header.getvalue())
    with pytest.raises(DataError, match=r"a\.npz: is damaged"):
        open_source(path)


def flip(content: bytes, position: int, value: int) -> bytes:
    changed = bytearray(content)
    changed[position] = value
    return bytes(changed)


def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", data=pictures(2), labels=one_hot(2))
    content = path.read_bytes()
    path.write_bytes(flip(content, content.index(b"PK\1\2") + 8, 1))
    with pytest.raises(DataError, match=r"a\.npz: is damaged \(.*password"):
        open_source(path)


def valid_file(save: Any) -> bytes:
    buffer = io.BytesIO()
    save(buffer, data=pictures(6), labels=one_hot(6))
    return buffer.getvalue()


VALID = [valid_file(np.savez), valid_file(np.savez_compressed)]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    content = draw(st.sampled_from(VALID))
    for position in draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content = flip(content, position, draw(st.integers(0, 255)))
    return content[: draw(st.integers(0, len(content)) | st.just(len(content)))]


@pytest.mark.filterwarnings("ignore::peculiar.errors.PeculiarWarning")  # the name of an array may be damaged
# Each example overwrites the file of the one before, so that they can share a folder.
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=damaged())
def test_damaged_files_are_read_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    try:
        source = NpzSource(path)
        rows = list(source.rows())
        pixels = source.pixels()
    except PeculiarError:
        return
    assert len(rows) == len(source) == len(source.labels()) == len(pixels)


def test_pictures_that_lie_column_by_column_and_are_too_many_are_told(
    tmp_path: Path, fake_pictures: NDArray[np.uint8], fake_labels: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, data=np.asfortranarray(fake_pictures[:4]), labels=fake_labels[:4])
    assert [one.picture.sum() for one in open_source(path).galaxies() if one.picture is not None] == [
        picture.sum() for picture in fake_pictures[:4]
    ]
    monkeypatch.setattr("peculiar.sources.npz.WHOLE_BYTES", 1000)
    with pytest.raises(DataError, match=r"a\.npz: 'data' lies column by column.*np\.ascontiguousarray"):
        list(open_source(path).galaxies())


def test_ids_that_are_python_objects_are_not_unpickled(tmp_path: Path, fake_pictures: NDArray[np.uint8]) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, data=fake_pictures[:2], id=np.array(["x", None], dtype=object))
    with pytest.warns(PeculiarWarning, match="their rows serve as ids"):
        source = open_source(path)
    assert source.ids() == ["a-0", "a-1"]
