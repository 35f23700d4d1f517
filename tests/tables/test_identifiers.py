"""IdIndex leave in the type that they came with, digit by digit, whatever lies between."""

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.table import Table

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.predict import predict
from peculiar.checks.findings import CheckResult
from peculiar.checks.page import write_cleaned
from peculiar.labelling.database import Event, Labels
from peculiar.labelling.export import export_answers
from peculiar.labelling.web.id_index import IdIndex
from peculiar.models.model_file import load_model
from peculiar.questions.question import Question
from peculiar.sources import Source, open_mosaic, open_source
from peculiar.sources.labels import LabelledSource, read_labels
from peculiar.sources.pack import pack
from peculiar.tables.convert import convert
from peculiar.tables.identifiers import id_texts, typed_ids, whole_type, widest
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import FORMATS
from skies import header, planted, positions, sky

LARGEST = 2**63 - 1
KINDS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "int32": (pa.int32(), [2**31 - 1, -5, 0]),
    "int64": (pa.int64(), [LARGEST, -1237649770260463687, 1237649770260463688]),
    "uint64": (pa.uint64(), [2**64 - 1, 2**63 + 1237, 7]),
    "text": (pa.string(), ["007", "7", "J1234+05"]),
    "digits": (pa.string(), ["12", "34", "56"]),
}
"""Types of ids, and some of each."""


@pytest.fixture
def files(tmp_path: Path, plain_pictures: list[bytes]) -> list[str]:
    """Names of three pictures in the folder of the test."""
    for number, picture in enumerate(plain_pictures[:3]):
        (tmp_path / f"{number}.png").write_bytes(picture)
    return [f"{number}.png" for number in range(3)]


def write(path: Path, values: list[Any], type: pa.DataType, files: list[str], name: str = "id") -> Path:
    """Write a table of pictures as other programs do."""
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.table({name: pa.array(values, type), "file": files}), path)
        return path
    table = Table({name: np.array(values, None if type == pa.string() else type.to_pandas_dtype()), "file": files})
    formats = {".vot": "votable", ".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits"}
    table.write(path, format=formats[path.suffix])
    return path


SUFFIXES = (".parquet", ".fits", ".vot", ".ecsv", ".csv")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_source_knows_the_type_of_its_ids(kind: str, suffix: str, tmp_path: Path, files: list[str]) -> None:
    type, values = KINDS[kind]
    if (kind, suffix) == ("uint64", ".vot"):
        pytest.skip("VOTable has no unsigned integers of 64 bits")
    source = open_source(write(tmp_path / f"t{suffix}", values, type, files))
    assert source.ids() == [str(value) for value in values]
    # CSV has no types: whole numbers are of 64 bits.
    expected = {"int32": pa.int64(), "digits": pa.int64()}.get(kind, type) if suffix == ".csv" else type
    assert source.id_type == expected
    assert LabelledSource(source, {"label": {source.ids()[0]: "x"}}, "label").id_type == expected


def catalogue(source: Source, out: Path, **more: Any) -> pa.Table:
    predict(source, out, load_model(), views=1, **more)
    reader = TableReader(out)
    return pa.Table.from_batches(list(reader.batches(reader.columns)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_a_catalogue_keeps_the_type_through_all_formats(kind: str, tmp_path: Path, files: list[str]) -> None:
    type, values = KINDS[kind]
    source = open_source(write(tmp_path / "t.parquet", values, type, files))
    made = catalogue(source, tmp_path / "c.parquet", workers=2 if kind == "uint64" else 1, shard_rows=2)
    assert (made.schema.field("id").type, made["id"].to_pylist()) == (type, values)
    found = Catalog(tmp_path / "c.parquet").query(top=None)
    catalog = Catalog(tmp_path / "c.parquet")
    assert found.ids == [str(value) for value in values]
    assert catalog.rows_of([str(values[2])]).tolist() == [2]
    for suffix in dict.fromkeys(FORMATS):
        found.write(tmp_path / f"hits{suffix}")
        convert(tmp_path / "c.parquet", tmp_path / f"converted{suffix}")
        for path in (tmp_path / f"hits{suffix}", tmp_path / f"converted{suffix}"):
            reader = TableReader(path)
            ids = pa.concat_arrays([batch.column(0) for batch in reader.batches(["id"])])
            texts = (kind == "uint64" and suffix in {".vot", ".xml"}) or suffix == ".csv"
            assert ids.type == (pa.string() if texts else type), path
            assert id_texts(ids).to_pylist() == [str(value) for value in values], path
            convert(path, tmp_path / "again.parquet")
            again = pa.parquet.read_table(tmp_path / "again.parquet")["id"]
            assert [str(one) for one in again.to_pylist()] == [str(value) for value in values]


@pytest.mark.parametrize("kind", KINDS)
def test_packed_pictures_and_cleaned_lists_keep_it(kind: str, tmp_path: Path, files: list[str]) -> None:
    type, values = KINDS[kind]
    source = open_source(write(tmp_path / "t.parquet", values, type, files))
    pack(source, tmp_path / "packed.parquet")
    packed = pa.parquet.read_table(tmp_path / "packed.parquet")["id"]
    assert (packed.type, packed.to_pylist()) == (type, values)
    found = CheckResult(tmp_path / "t.parquet", source.ids(), [None] * 3, id_type=source.id_type)
    lines = write_cleaned(found, tmp_path / "cleaned.csv").read_text().splitlines()
    quote = '"' if pa.types.is_string(type) else ""
    assert lines[1:] == [f'{row},{quote}{value}{quote},"yes",' for row, value in enumerate(values)]


@pytest.mark.parametrize("name", ["ids", "objid", "ID"])
@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_ids_lie_beside_the_pictures(kind: str, suffix: str, name: str, tmp_path: Path) -> None:
    type, values = KINDS[kind]
    numbers = np.array(values, "S12" if pa.types.is_string(type) else type.to_pandas_dtype())
    pictures = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)
    path = tmp_path / f"g{suffix}"
    if suffix == ".npz":
        np.savez(path, data=pictures, labels=np.eye(4)[:3], **{name: numbers})
    else:
        with h5py.File(path, "w") as file:
            file["images"], file["ans"], file[name] = pictures, [0, 1, 2], numbers
    source = open_source(path)
    assert source.ids() == [row.id for row in source.rows()] == [str(value) for value in values]
    assert [row.id for row in source.rows(1, 2)] == [str(values[1])]
    assert source.id_type == type
    assert pickle.loads(pickle.dumps(source)).ids() == source.ids()


def test_arrays_that_hold_no_id_a_picture_are_none(tmp_path: Path) -> None:
    pictures = np.zeros((3, 32, 32, 3), np.uint8)
    for number, ids in enumerate((np.zeros((3, 2), int), np.zeros(2, int), np.zeros(3), np.array(["a", "", "b"]))):
        np.savez(tmp_path / f"g{number}.npz", data=pictures, labels=np.eye(4)[:3], id=ids)
        told = open_source(tmp_path / f"g{number}.npz").ids()
        assert told == (["a", "g3-1", "b"] if number == 3 else [f"g{number}-{row}" for row in range(3)])


@pytest.mark.slow
def test_stamps_of_a_mosaic_have_the_ids_of_their_table(tmp_path: Path) -> None:
    shape, places = (200, 200), [(60.0, 50.0), (150.0, 160.0)]
    fits.PrimaryHDU(planted(shape, places), header(sky(shape=shape), BUNIT="nanomaggy", FILTER="r")).writeto(
        tmp_path / "m.fits"
    )
    table = positions(tmp_path / "p.parquet", sky(shape=shape), places, id=[LARGEST, -3])
    source = open_mosaic(tmp_path / "m.fits", table)
    made = catalogue(source, tmp_path / "c.parquet", workers=2, shard_rows=1)
    assert (made.schema.field("id").type, made["id"].to_pylist()) == (pa.int64(), [LARGEST, -3])


def test_a_row_without_an_id_has_none_in_a_column_of_numbers(tmp_path: Path, files: list[str]) -> None:
    source = open_source(write(tmp_path / "t.parquet", [5, None, 7], pa.int64(), files))
    assert source.ids() == ["5", "t-1", "7"]
    assert catalogue(source, tmp_path / "c.parquet")["id"].to_pylist() == [5, None, 7]
    named = open_source(write(tmp_path / "s.parquet", ["a", None, "b"], pa.string(), files))
    assert catalogue(named, tmp_path / "d.parquet")["id"].to_pylist() == ["a", "s-1", "b"]


def test_ids_that_pandas_made_floats_are_whole_inside_and_floats_outside(tmp_path: Path, files: list[str]) -> None:
    source = open_source(write(tmp_path / "t.parquet", [12.0, 1e15, None], pa.float64(), files))
    assert source.ids() == ["12", "1000000000000000", "t-2"]
    made = catalogue(source, tmp_path / "c.parquet")
    assert (made.schema.field("id").type, made["id"].to_pylist()) == (pa.float64(), [12.0, 1e15, None])
    assert Catalog(tmp_path / "c.parquet").rows_of(["1000000000000000"]).tolist() == [1]


def test_parts_of_several_types_have_the_widest(tmp_path: Path, files: list[str]) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for file in files:
        (tmp_path / file).rename(folder / file)
    write(folder / "a.parquet", [1, 2, 3], pa.int32(), files)
    write(folder / "b.parquet", [LARGEST, 5, 6], pa.int64(), files)
    made = catalogue(open_source(folder), tmp_path / "c.parquet", shard_rows=2)
    assert (made.schema.field("id").type, made["id"].to_pylist()) == (pa.int64(), [1, 2, 3, LARGEST, 5, 6])
    write(folder / "c.parquet", ["x", "007", "9"], pa.string(), files)
    made = catalogue(open_source(folder), tmp_path / "d.parquet", shard_rows=2)
    assert made["id"].to_pylist() == ["1", "2", "3", str(LARGEST), "5", "6", "x", "007", "9"]


def test_dictionaries_are_text_and_blanks_of_fits_are_none(tmp_path: Path, files: list[str]) -> None:
    ids = pa.array(["a", "b", "c"]).dictionary_encode()
    pa.parquet.write_table(pa.table({"id": ids, "file": files}), tmp_path / "d.parquet")
    assert open_source(tmp_path / "d.parquet").id_type == pa.string()
    columns = [fits.Column("id", "24A", array=["J1", "J2 x", "J3"]), fits.Column("file", "8A", array=files)]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "p.fits")
    content = (tmp_path / "p.fits").read_bytes()
    (tmp_path / "p.fits").write_bytes(content.replace(b"J1" + b"\0" * 22, b"J1" + b" " * 22))
    made = catalogue(open_source(tmp_path / "p.fits"), tmp_path / "c.parquet")
    assert made["id"].to_pylist() == ["J1", "J2 x", "J3"]


SHELL = Question("shell", ("no", "yes"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["votes", "labels", "events"])
def test_answers_are_exported_with_the_ids_of_the_catalogue(kind: str, what: str, tmp_path: Path) -> None:
    type, values = KINDS[kind]
    with Labels(tmp_path / "labels.db") as labels:
        labels.ask(SHELL, id_type=type)
        for number, value in enumerate(values):
            labels.record(Event(f"event-{number:04d}", "answer", "Ada", str(value), "shell", "yes"))
        export_answers(labels, tmp_path / "l.parquet", "shell", what)
    ids = pa.parquet.read_table(tmp_path / "l.parquet")["galaxy" if what == "events" else "id"]
    assert (ids.type, ids.to_pylist()) == (type, values)
    if what == "labels":
        assert read_labels(tmp_path / "l.parquet")[1] == {str(value): "yes" for value in values}


@pytest.mark.parametrize(
    ("asked", "galaxies", "type"),
    [
        ([None], ["1", "-2"], pa.int64()),  # an import of text
        ([None], ["1", "x"], pa.string()),
        ([pa.int64(), pa.string()], ["1", "2"], pa.string()),
        ([pa.int32(), pa.int64()], ["1", "2"], pa.int64()),
        ([pa.int64()], ["1", "t-5"], pa.string()),  # a row without an id: its name is not lost
    ],
)
def test_answers_on_several_tables_have_the_widest_type(
    asked: list[pa.DataType | None], galaxies: list[str], type: pa.DataType, tmp_path: Path
) -> None:
    with Labels(tmp_path / "labels.db") as labels:
        for one in asked:
            labels.ask(SHELL, id_type=one)
        for number, galaxy in enumerate(galaxies):
            labels.record(Event(f"event-{number:04d}", "answer", "Ada", galaxy, "shell", "yes"))
        export_answers(labels, tmp_path / "l.parquet", "shell")
    ids = pa.parquet.read_table(tmp_path / "l.parquet")["id"]
    assert (ids.type, [str(one) for one in ids.to_pylist()]) == (type, galaxies)


@pytest.mark.parametrize(
    ("texts", "type"),
    [
        (["1", None, "-5"], pa.int64()),
        ([str(LARGEST)], pa.int64()),
        ([str(2**63)], pa.uint64()),
        ([str(2**64)], pa.string()),
        (["-1", str(2**63)], pa.string()),
        (["007", "8"], pa.string()),
        (["+1"], pa.string()),
        (["-0"], pa.string()),
        (["1.0"], pa.string()),
        (["1e5"], pa.string()),
        ([None], pa.string()),
    ],
)
def test_text_is_whole_numbers_only_where_it_comes_back(texts: list[str | None], type: pa.DataType) -> None:
    array = pa.array(texts, pa.string())
    assert whole_type([array]) == whole_type(array[row : row + 1] for row in range(len(array))) == type
    assert id_texts(typed_ids(array, type)).to_pylist() == texts


def test_the_widest_type_holds_all() -> None:
    assert widest([]) == widest([pa.string(), pa.int64()]) == widest([pa.int64(), pa.uint64()]) == pa.string()
    assert widest([pa.int16(), pa.uint16()]) == pa.int32()
    assert widest([pa.int32(), pa.float64()]) == pa.float64()
    assert widest([pa.int64(), pa.float64()]) == pa.string()
    assert widest([pa.uint64(), pa.uint64()]) == pa.uint64()


def test_the_id_index_finds_numbers_by_their_text() -> None:
    ids = IdIndex(id_texts(pa.array([LARGEST, None, 12], pa.int64())))
    assert (ids.get(str(LARGEST)), ids.get("12"), ids.get("12.0"), ids.repeated) == (0, 2, None, [1])


def test_whole_numbers_beyond_64_bits_lose_no_digit(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("objid,n\n18446744073709551616,123456789012345678901\n18446744073709551617,5\n")
    convert(tmp_path / "t.csv", tmp_path / "t.parquet")
    table = pa.parquet.read_table(tmp_path / "t.parquet")
    assert table["objid"].to_pylist() == ["18446744073709551616", "18446744073709551617"]
    assert table["n"].to_pylist() == ["123456789012345678901", "5"]


def test_a_condition_compares_ids_of_twenty_digits(tmp_path: Path) -> None:
    ids = pa.array([2**63 + 1, 2**63 + 2, 2**64 - 1], pa.uint64())
    pa.parquet.write_table(pa.table({"id": ids, "p": [0.1, 0.2, 0.3]}), tmp_path / "c.parquet")
    assert Catalog(tmp_path / "c.parquet").query(f"id = {2**63 + 2}").ids == [str(2**63 + 2)]
    assert Catalog(tmp_path / "c.parquet").query(f"id = '{2**64 - 1}'").ids == [str(2**64 - 1)]
