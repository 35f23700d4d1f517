"""Metadata files beside pictures: found, joined by file name, and carried through every command."""

import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits

from peculiar.errors import DataError, PeculiarWarning, UnknownNameError
from peculiar.sources import Source, open_source
from peculiar.sources.metadata import MetadataSource

Rows = list[dict[str, Any]]

ROWS: Rows = [
    {"file_name": "b.png", "label": "ring", "objid": 12, "mag": 17.5, "ra": 10.5, "dec": -1.0},
    {"file_name": "deep/a.png", "label": "bar", "objid": 7, "mag": None, "ra": 11.0, "dec": 2.0},
]


def as_csv(rows: Rows) -> bytes:
    lines = [",".join(rows[0]), *(",".join("" if v is None else str(v) for v in row.values()) for row in rows)]
    return "\n".join(lines).encode()


def as_jsonl(rows: Rows) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def as_parquet(rows: Rows) -> bytes:
    buffer = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[Rows], bytes]] = {"csv": as_csv, "jsonl": as_jsonl, "parquet": as_parquet}


def as_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def as_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def as_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


PLACES: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "folder": as_folder,
    "tar": as_tar,
    "tar.gz": lambda path, files: as_tar(path, files, "w:gz"),
    "zip": as_zip,
}


@pytest.fixture
def pictures(plain_pictures: list[bytes]) -> dict[str, bytes]:
    return {"b.png": plain_pictures[0], "deep/a.png": plain_pictures[1]}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("place", PLACES)
def test_columns_reach_every_place_from_every_format(
    place: str, format: str, tmp_path: Path, pictures: dict[str, bytes]
) -> None:
    source = open_source(PLACES[place](tmp_path / "data", {**pictures, f"metadata.{format}": FORMATS[format](ROWS)}))
    assert isinstance(source, MetadataSource)
    assert [(row.id, row.label, row.position) for row in source.rows()] == [
        ("b.png", "ring", (10.5, -1.0)),
        ("deep/a.png", "bar", (11.0, 2.0)),
    ]
    assert (source.label, source.positioned, source.columns) == ("label", True, tuple(ROWS[0]))
    assert source.labels() == ["ring", "bar"]
    assert source.column("mag") == ["17.5", None]
    columns = source.described(["objid", "mag"])
    assert [column.type for column in columns] == [pa.int64(), pa.float64()]
    (batch,) = source.carried(columns, 0, None)
    assert batch.to_pylist() == [{"objid": 12, "mag": 17.5}, {"objid": 7, "mag": None}]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("place", PLACES)
def test_ids_and_labels_may_be_named(place: str, format: str, tmp_path: Path, pictures: dict[str, bytes]) -> None:
    path = PLACES[place](tmp_path / "data", {**pictures, f"metadata.{format}": FORMATS[format](ROWS)})
    source = open_source(path, label="mag", id="objid")
    assert source.ids() == [row.id for row in source.rows()] == ["12", "7"]
    assert (source.id_type, source.labels()) == (pa.int64(), ["17.5", None])
    with pytest.raises(UnknownNameError, match=r"no column 'kind' in metadata\.\w+"):
        open_source(path, label="kind")


@pytest.mark.parametrize("rows", [1, 2, 10])
@pytest.mark.parametrize("place", PLACES)
def test_shards_are_the_source_also_in_another_process(
    place: str, rows: int, tmp_path: Path, pictures: dict[str, bytes]
) -> None:
    source = open_source(PLACES[place](tmp_path / "data", {**pictures, "metadata.csv": as_csv(ROWS)}), id="objid")
    columns = source.described(["mag"])

    def told(part: Source, start: int, stop: int | None) -> list[Any]:
        carried = [one for batch in part.carried(columns, start, stop) for one in batch.column(0).to_pylist()]
        return [
            (row.id, row.label, row.position, one) for row, one in zip(part.rows(start, stop), carried, strict=True)
        ]

    shards = [pickle.loads(pickle.dumps(shard)) for shard in source.shards(rows)]
    assert [one for shard in shards for one in told(shard.source, shard.start, shard.stop)] == told(source, 0, None)
    assert told(source, 1, 2) == told(source, 0, None)[1:2]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("place", PLACES)
def test_missing_and_unlisted_pictures_are_said(
    place: str, format: str, tmp_path: Path, pictures: dict[str, bytes]
) -> None:
    rows = [*ROWS[:1], {**ROWS[1], "file_name": "gone.png"}, {**ROWS[0], "label": "late"}]
    path = PLACES[place](tmp_path / "data", {**pictures, f"metadata.{format}": FORMATS[format](rows)})
    with pytest.warns(PeculiarWarning) as caught:
        source = open_source(path, id="objid")
    said = "\n".join(str(one.message) for one in caught)
    assert "1 of 3 listed files are not there; the first is 'gone.png'" in said
    assert "1 of 2 pictures are not listed, and have no metadata; the first is 'deep/a.png'" in said
    assert "1 of 3 files are listed more than once; the last row counts; the first is 'b.png'" in said
    assert [(row.id, row.label, row.position) for row in source.rows()] == [
        ("12", "late", (10.5, -1.0)),
        ("deep/a.png", None, None),
    ]
    assert source.id_type == pa.string()


@pytest.mark.parametrize(
    ("name", "column", "cell"),
    [
        ("metadata.csv", "file_name", "./deep/a.png"),
        ("metadata.csv", "image_file_name", "deep\\a.png"),
        ("deep/metadata.csv", "file_name", "a.png"),
        ("deep/er/metadata.csv", "thumb_file_name", "../a.png"),
    ],
)
def test_names_are_paths_within_the_folder_of_the_metadata(
    name: str, column: str, cell: str, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    files = {"deep/a.png": plain_pictures[0], name: f"{column},label\n{cell},ring\n".encode()}
    for place, make in PLACES.items():
        assert open_source(make(tmp_path / place, files)).labels() == ["ring"]


def test_each_part_of_a_split_may_have_its_own_metadata(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    one, two, *_ = plain_pictures
    files = {"train/a.png": one, "test/a.png": two}
    lists = {f"{part}/metadata.csv": f"file_name,label\na.png,{part}\n".encode() for part in ("train", "test")}
    for place, make in PLACES.items():
        with pytest.warns(PeculiarWarning, match="parts of a split"):
            source = open_source(make(tmp_path / place, {**files, **lists}))
        assert {row.id: row.label for row in source.rows()} == {"train/a.png": "train", "test/a.png": "test"}


@pytest.mark.parametrize(
    ("unit", "names", "said"),
    [
        ("deg", ["A", "B"], ""),
        ("rad", ["A", "B"], r"ra is in rad, but in deg in .*metadata\.parquet; write both in the same unit"),
        ("deg", ["B", "A"], r"the names of the classes in 'label' are not those of .*; write names instead of numbers"),
    ],
)
def test_metadata_files_that_mean_different_things_are_refused(
    unit: str, names: list[str], said: str, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    files = {}
    for part, of_part, classes in (("x", "deg", ["A", "B"]), ("y", unit, names)):
        table = pa.table({"file_name": ["a.png"], "ra": [1.0], "dec": [0.5], "label": pa.array([0])})
        fields = [one.with_metadata({"unit": of_part}) if one.name in ("ra", "dec") else one for one in table.schema]
        told = json.dumps({"info": {"features": {"label": {"names": classes}}}})
        buffer = io.BytesIO()
        pa.parquet.write_table(table.cast(pa.schema(fields, {"huggingface": told})), buffer)
        files |= {f"{part}/a.png": plain_pictures[0], f"{part}/metadata.parquet": buffer.getvalue()}
    for place, make in PLACES.items():
        path = make(tmp_path / place, files)
        if said:
            with pytest.raises(DataError, match=said):
                open_source(path)
        else:
            assert open_source(path).labels() == ["A", "A"]


def test_metadata_without_labels_leave_those_of_the_folders(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    files = {"ring/a.png": plain_pictures[0], "bar/b.png": plain_pictures[1]}
    source = open_source(as_folder(tmp_path, {**files, "metadata.csv": b"file_name,z\nring/a.png,1\nbar/b.png,2\n"}))
    assert (source.label, source.labels(), source.column("z")) == ("class", ["bar", "ring"], ["2", "1"])


def test_metadata_of_fits_pictures_in_one_or_several_files(tmp_path: Path) -> None:
    for name in ("a-g.fits", "a-r.fits", "b.fits"):
        fits.writeto(tmp_path / name, np.ones((8, 8), np.float32))
    (tmp_path / "metadata.csv").write_text("file_name,label\na-g.fits,ring\nb.fits,bar\n")
    source = open_source(tmp_path)
    assert [(row.id, row.label) for row in source.rows()] == [("a", "ring"), ("b.fits", "bar")]


def test_a_fingerprint_changes_with_the_metadata(tmp_path: Path, pictures: dict[str, bytes]) -> None:
    path = as_folder(tmp_path, {**pictures, "metadata.csv": as_csv(ROWS)})
    before = open_source(path).fingerprint(0, None)
    (path / "metadata.csv").write_bytes(as_csv(ROWS) + b"\n")
    assert open_source(path).fingerprint(0, None) != before


def test_a_table_that_lists_no_files_is_ignored_and_said(tmp_path: Path, pictures: dict[str, bytes]) -> None:
    for place, make in PLACES.items():
        with pytest.warns(PeculiarWarning, match=r"metadata\.csv: has no column file_name, and is ignored"):
            source = open_source(make(tmp_path / place, {**pictures, "metadata.csv": b"id,z\n1,2\n"}))
        assert not isinstance(source, MetadataSource)


def test_damaged_metadata_are_named(tmp_path: Path, pictures: dict[str, bytes]) -> None:
    for place, make in PLACES.items():
        path = make(tmp_path / place, {**pictures, "metadata.jsonl": b'{"file_name": "b.png"}\n{"file'})
        with pytest.raises(DataError, match=rf"{place}.metadata\.jsonl: line 2 is not JSON"):
            open_source(path)
        twice = b"file_name,label\nb.png,x\nfile_name,label\ndeep/a.png,y\n"
        path = make(tmp_path / f"twice-{place}", {**pictures, "metadata.csv": twice})
        with pytest.warns(PeculiarWarning, match=rf"^{path}/metadata\.csv: the header occurs again"):
            assert open_source(path).labels() == ["x", "y"]


def test_columns_of_different_types_are_refused(tmp_path: Path, pictures: dict[str, bytes]) -> None:
    files = {"metadata.csv": b"file_name,z\nb.png,1\n", "deep/metadata.jsonl": b'{"file_name": "a.png", "z": 2}'}
    with pytest.raises(DataError, match=r"metadata\.jsonl and .*metadata\.csv: their columns have different types"):
        open_source(as_folder(tmp_path, {**pictures, **files}))


def test_class_names_of_the_hub_replace_their_numbers(tmp_path: Path, pictures: dict[str, bytes]) -> None:
    features = {"label": {"_type": "ClassLabel", "names": ["bar", "ring"]}}
    table = pa.table({"file_name": ["b.png", "deep/a.png"], "label": [1, None]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    as_folder(tmp_path, pictures)
    pa.parquet.write_table(table, tmp_path / "metadata.parquet")
    assert open_source(tmp_path).labels() == ["ring", None]
