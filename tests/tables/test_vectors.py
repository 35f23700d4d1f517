"""Vectors and ids from every kind of file, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.table import Table
from numpy.typing import NDArray

from peculiar.errors import DataError, NotFoundError, PeculiarError, UnknownNameError, UsageError
from peculiar.tables.vectors import open_vectors

COUNT, WIDTH = 23, 5

IDS: dict[str, list[Any]] = {
    "text": [f"g{row}" for row in range(COUNT)],
    "numbers": [10**18 + row for row in range(COUNT)],
    "zeros": [f"{row:04d}" for row in range(COUNT)],
}


def values(kind: type = np.float32) -> NDArray[Any]:
    """Whole numbers, which every type holds."""
    return np.random.default_rng(222).integers(-50, 50, (COUNT, WIDTH)).astype(kind)


def fixed(path: Path, ids: list[Any], vectors: NDArray[Any]) -> None:
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), WIDTH)
    pa.parquet.write_table(pa.table({"id": ids, "embedding": column}), path)


def varying(path: Path, ids: list[Any], vectors: NDArray[Any]) -> None:
    offsets = np.arange(COUNT + 1) * WIDTH
    column = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(vectors.ravel()))
    pa.parquet.write_table(pa.table({"mag": np.zeros(COUNT), "features": column, "objid": ids}), path)


def tensor(path: Path, ids: list[Any], vectors: NDArray[Any]) -> None:
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(vectors))
    pa.parquet.write_table(pa.table({"object_id": ids, "z_image": column}), path)


def columns(path: Path, ids: list[Any], vectors: NDArray[Any]) -> None:
    table = {f"e{number}": vectors[:, number] for number in reversed(range(WIDTH))}
    pa.parquet.write_table(pa.table({"id": ids, "flux_1": np.ones(COUNT), "flux_2": np.ones(COUNT), **table}), path)


def for_fits(vectors: NDArray[Any]) -> NDArray[Any]:
    """FITS has neither halves nor signed bytes."""
    return vectors.astype({"float16": np.float32, "int8": np.int16}.get(vectors.dtype.name, vectors.dtype))


def fits(path: Path, ids: list[Any], vectors: NDArray[Any]) -> None:
    Table({"ID": ids, "VECTOR": for_fits(vectors)}).write(path)


def fits_columns(path: Path, ids: list[Any], vectors: NDArray[Any]) -> None:
    table = {f"dim_{number + 1:03d}": for_fits(vectors[:, number]) for number in range(WIDTH)}
    Table({"ID": ids, **table}).write(path)


def csv(path: Path, ids: list[Any], vectors: NDArray[Any]) -> None:
    lines = [",".join(["id_str", *(f"feat_{number}" for number in range(WIDTH))])]
    lines += [",".join(map(str, [id_, *row])) for id_, row in zip(ids, vectors.tolist(), strict=True)]
    path.write_text("\n".join(lines) + "\n")


def npz(path: Path, ids: list[Any], vectors: NDArray[Any]) -> None:
    np.savez(path, ids=np.array(ids), embeddings=vectors)


def packed(path: Path, ids: list[Any], vectors: NDArray[Any]) -> None:
    np.savez_compressed(path, objid=np.array(ids), anything=np.asfortranarray(vectors))


def npy(path: Path, ids: list[Any], vectors: NDArray[Any]) -> None:
    np.save(path, vectors)
    pa.parquet.write_table(pa.table({"id": ids, "ra": np.zeros(COUNT)}), path.with_suffix(".parquet"))


def npy_csv(path: Path, ids: list[Any], vectors: NDArray[Any]) -> None:
    np.save(path, vectors)
    path.with_suffix(".csv").write_text("\n".join(["id", *map(str, ids)]) + "\n")


LAYOUTS: list[tuple[Callable[[Path, list[Any], NDArray[Any]], None], str]] = [
    *((fixed, ".parquet"), (varying, ".parquet"), (tensor, ".parquet"), (columns, ".parquet")),
    *((fits, ".fits"), (fits_columns, ".fits"), (csv, ".csv"), (npz, ".npz"), (packed, ".npz")),
    *((npy, ".npy"), (npy_csv, ".npy")),
]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8])
@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize(("write", "suffix"), LAYOUTS, ids=[one.__name__ for one, _ in LAYOUTS])
def test_vectors_of_every_layout_are_read(
    write: Callable[..., None], suffix: str, ids: str, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peculiar.tables.vectors.ROWS", 7)
    path = tmp_path / f"zoobot{suffix}"
    write(path, IDS[ids], values(kind))
    found = open_vectors(path)
    assert found.width == WIDTH
    assert [one for some in found.ids() for one in some.to_pylist()] == [str(one) for one in IDS[ids]]
    blocks = list(found.blocks())
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(np.concatenate(blocks), values())


def test_parts_of_a_folder_are_read_in_order(tmp_path: Path) -> None:
    whole = values()
    for part, rows in (("b", slice(12, None)), ("a", slice(12))):
        column = pa.FixedSizeListArray.from_arrays(pa.array(whole[rows].ravel()), WIDTH)
        (tmp_path / "parts").mkdir(exist_ok=True)
        pa.parquet.write_table(pa.table({"id": IDS["text"][rows], "v": column}), tmp_path / "parts" / f"{part}.parquet")
    found = open_vectors(tmp_path / "parts")
    np.testing.assert_array_equal(np.concatenate(list(found.blocks())), whole)
    assert [file.name for file in found.files] == ["a.parquet", "b.parquet"]


def test_missing_vectors_are_nan(tmp_path: Path) -> None:
    lists = [None, [], [1.0, None], [2.0, 3.0]]
    pa.parquet.write_table(pa.table({"id": list("abcd"), "v": pa.array(lists, pa.list_(pa.float32()))}), "v.parquet")
    expected = [[np.nan, np.nan], [np.nan, np.nan], [1, np.nan], [2, 3]]
    np.testing.assert_array_equal(next(open_vectors(Path("v.parquet")).blocks()), np.array(expected, np.float32))
    Path("v.csv").write_text("id,e0,e1\na,1e-3,+2\nb,,NaN\n")
    np.testing.assert_array_equal(
        next(open_vectors(Path("v.csv")).blocks()), np.array([[1e-3, 2], [np.nan, np.nan]], np.float32)
    )


def test_the_column_of_a_usual_name_is_taken_of_several(tmp_path: Path) -> None:
    lists = {name: pa.array([[float(number)] * 2] * 3) for number, name in enumerate(("other", "Embedding", "more"))}
    pa.parquet.write_table(pa.table({"id": list("abc"), **lists}), "v.parquet")
    assert next(open_vectors(Path("v.parquet")).blocks()).tolist() == [[1, 1]] * 3
    pa.parquet.write_table(pa.table({"id": list("abc"), "other": lists["other"], "more": lists["more"]}), "w.parquet")
    with pytest.raises(UsageError, match=r"several columns of vectors .other, more.; keep one, or call it 'embedding'"):
        open_vectors(Path("w.parquet"))


def saved(path: Path, **arrays: Any) -> None:
    """Save arrays without the suffix that NumPy would add."""
    with path.open("wb") as file:
        np.savez(file, **arrays)


def lists_of(*rows: Any) -> pa.Table:
    return pa.table({"id": [str(number) for number in range(len(rows))], "v": pa.array(rows, pa.list_(pa.float64()))})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: None, NotFoundError, "there is no table at"),
        (lambda path: pa.parquet.write_table(lists_of(None, []), path), DataError, "'v' has no vector in any row"),
        (
            lambda path: pa.parquet.write_table(lists_of([1, 2], [1]), path),
            DataError,
            "2 numbers in the first, 1 in row 1",
        ),
        (lambda path: path.write_text("id,ra,dec\na,1,2\n"), DataError, "no column of vectors.*id, ra, dec"),
        (lambda path: path.write_text("id,e0,e1\na,1,x\n"), DataError, "'e1' holds a value that is no number"),
        (lambda path: path.write_text("id,a0,a1,b0,b1\na,1,2,3,4\n"), UsageError, "a0 to a1 or b0 to b1"),
        (lambda path: path.write_text("galaxie,e0,e1\na,1,2\n"), UnknownNameError, "no column 'id'.*--embeddings-id"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), DataError, "is damaged"),
        (lambda path: path.write_bytes(b"\x93NUMPY" + bytes(100)), UsageError, "an NPY file holds no ids"),
        (lambda path: path.write_bytes(bytes(100)), DataError, "not a known kind of table"),
        (lambda path: saved(path, embeddings=np.ones((2, 2))), UnknownNameError, "no array 'ids'"),
        (lambda path: saved(path, ids=[1, 2]), DataError, "holds no vectors; write them with np.savez"),
        (
            lambda path: saved(path, ids=[1], embeddings=np.ones((2, 2))),
            DataError,
            "has 2 rows, but 1 id is there",
        ),
        (
            lambda path: saved(path, ids=np.array(["a", None]), embeddings=np.ones((2, 2))),
            DataError,
            "pickled Python objects",
        ),
        (
            lambda path: saved(path, ids=[1, 2], a=np.ones((2, 2)), b=np.ones((2, 2))),
            UsageError,
            "several arrays of vectors",
        ),
    ],
)
def test_what_holds_no_vectors_is_refused(
    make: Callable[[Path], object], error: type[PeculiarError], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "table"
    make(path)
    with pytest.raises(error, match=message):
        list(open_vectors(path).blocks())


def test_an_npy_file_needs_one_table_of_as_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    np.save(path, values())
    path.with_suffix(".csv").write_text("id\na\nb\n")
    with pytest.raises(DataError, match="'v' has 23 rows, but 2 ids are there"):
        open_vectors(path)
    pa.parquet.write_table(pa.table({"id": IDS["text"]}), path.with_suffix(".parquet"))
    with pytest.raises(UsageError, match=r"v\.parquet or v\.csv"):
        open_vectors(path)


def test_another_column_of_ids_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text("id,mine,e0,e1\na,x,1,2\n")
    assert next(open_vectors(path, "mine").ids()).to_pylist() == ["x"]
    with pytest.raises(UnknownNameError, match="no column 'min'"):
        open_vectors(path, "min")


def test_a_cut_short_array_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    np.save(path, values())
    path.write_bytes(path.read_bytes()[:-4])
    path.with_suffix(".csv").write_text("\n".join(["id", *IDS["text"]]))
    with pytest.raises(DataError, match="is damaged"):
        list(open_vectors(path).blocks())
