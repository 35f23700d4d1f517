"""Tables of pictures, or of paths to pictures."""

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.table import Table

from peculiar.errors import DataError, PeculiarWarning, UnknownNameError
from peculiar.images.framing import Framing
from peculiar.sources import Source, open_source
from peculiar.sources.labels import read_labels
from peculiar.tables.reader import BATCH_ROWS


def write(path: Path, metadata: dict[str, Any] | None = None, /, **columns: Any) -> Path:
    """Write Parquet, with Hugging Face's description of the columns if one is given."""
    table = pa.table(columns)
    if metadata:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": metadata}})})
    pa.parquet.write_table(table, path)
    return path


def read(source: Source) -> list[tuple[str, int | str | None, str | None]]:
    """Id, grey (or the problem) and label of every row."""
    return [
        (galaxy.id, galaxy.problem if galaxy.picture is None else int(galaxy.picture.mean()), galaxy.label)
        for galaxy in source.galaxies(Framing(8))
    ]


@pytest.fixture
def files(tmp_path: Path, plain_pictures: list[bytes]) -> Path:
    """A folder of the plain pictures as ``0.png`` ... ``5.png``."""
    for index, picture in enumerate(plain_pictures):
        (tmp_path / f"{index}.png").write_bytes(picture)
    return tmp_path


LABEL = {"_type": "ClassLabel", "names": ["bar", "ring"]}


def test_the_hugging_face_layout_is_read(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    images = [{"bytes": picture, "path": None} for picture in plain_pictures[:4]]
    path = write(tmp_path / "train.parquet", {"label": LABEL}, image=images, label=[1, 0, None, -1])
    source = open_source(path)
    assert (len(source), source.label) == (4, "label")
    assert source.labels() == ["ring", "bar", None, None]
    assert read(source) == [
        ("train-0", 0, "ring"),
        ("train-1", 40, "bar"),
        ("train-2", 80, None),
        ("train-3", 120, None),
    ]


def test_a_struct_may_hold_a_path_instead_of_bytes(files: Path, plain_pictures: list[bytes]) -> None:
    images = [
        {"bytes": None, "path": "5.png"},
        {"bytes": plain_pictures[1], "path": "gone.png"},
        {"bytes": None, "path": None},
        None,
    ]
    assert [row[1] for row in read(open_source(write(files / "a", image=images)))] == [
        200,
        40,
        "it is empty",
        "it is empty",
    ]


@pytest.mark.parametrize(
    "metadata", [{"label": {"_type": "Value", "dtype": "int64"}}, {"other": LABEL}, {"label": None}, None]
)
def test_numbers_without_names_are_their_own_names(
    metadata: dict[str, Any] | None, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    path = write(tmp_path / "a", metadata, image=plain_pictures[:2], label=[1, 0])
    assert open_source(path).labels() == ["1", "0"]


def test_metadata_that_are_no_json_do_no_harm(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    table = pa.table({"image": plain_pictures[:2], "label": [1, 0]}).replace_schema_metadata({"huggingface": "{"})
    pa.parquet.write_table(table, tmp_path / "a")
    assert open_source(tmp_path / "a").labels() == ["1", "0"]


@pytest.mark.parametrize("type_", [pa.binary(), pa.large_binary()])
def test_plain_binary_columns_hold_pictures_under_any_name(
    type_: pa.DataType, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    path = write(tmp_path / "a", path=["x", "y"], cutout=pa.array(plain_pictures[1:3], type_))
    assert [row[1] for row in read(open_source(path))] == [40, 80]


def test_the_usual_name_is_preferred_among_columns_of_bytes(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    path = write(tmp_path / "a", mask=[b"", b""], Image=plain_pictures[1:3])
    assert [row[1] for row in read(open_source(path))] == [40, 80]


@pytest.mark.parametrize("format", ["csv", "ecsv", "fits", "votable"])
def test_paths_are_relative_to_the_table(format: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"objid": ["0017", "0018"], "file_loc": ["3.png", str(files / "1.png")], "class": ["ring", "bar"]}
    (files / "elsewhere").mkdir()
    Table(columns).write(files / "catalogue", format={"ecsv": "ascii.ecsv", "csv": "ascii.csv"}.get(format, format))
    monkeypatch.chdir(files / "elsewhere")
    source = open_source("../catalogue")
    assert (len(source), source.label) == (2, "class")
    assert read(source) == [("0017", 120, "ring"), ("0018", 40, "bar")]


def test_a_missing_file_is_named_and_the_rest_goes_on(files: Path) -> None:
    path = files / "a.csv"
    path.write_text("id,path\na,0.png\nb,gone.png\nc,\nd,.\ne,2.png\n", encoding="utf-8")
    assert read(open_source(path)) == [
        ("a", 0, None),
        ("b", f"{files / 'gone.png'} cannot be opened (No such file or directory)", None),
        ("c", "it is empty", None),
        ("d", f"{files} cannot be opened (Is a directory)", None),
        ("e", 80, None),
    ]


@pytest.mark.parametrize("cell", [5, -1, 10**12, 0.5, "a\0b.png"])
def test_a_cell_that_is_no_path_is_an_unreadable_picture(cell: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a", path=[cell])
    assert "cannot be opened" in str(read(open_source(path))[0][1])


@pytest.mark.parametrize("format", ["parquet", "fits", "votable"])
def test_a_missing_id_is_replaced_by_the_row(format: str, files: Path) -> None:
    path = files / f"survey.{format}"
    columns = {"id": ["a", "" if format != "parquet" else None, "c"], "path": ["0.png", "1.png", "2.png"]}
    if format == "parquet":
        write(path, **columns)
    else:
        Table(columns).write(path, format=format)
    assert [row.id for row in open_source(path).rows()] == ["a", "survey-1", "c"]


@pytest.mark.parametrize("ids", [[b"7", b"12", None], [7.0, 12.0, None]], ids=["bytes", "numbers"])
def test_ids_of_other_types_are_read_as_people_write_them(
    ids: list[Any], tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    source = open_source(write(tmp_path / "survey.parquet", objid=ids, image=plain_pictures[:3]))
    assert [row.id for row in source.rows()] == source.ids() == ["7", "12", "survey-2"]


def test_missing_labels_are_none_in_every_guise(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    numbers = write(tmp_path / "a", image=plain_pictures[:3], label=[1.0, float("nan"), None])
    words = write(tmp_path / "b", image=plain_pictures[:3], label=["ring", "", None])
    assert open_source(numbers).labels() == ["1", None, None]
    assert open_source(words).labels() == ["ring", None, None]


def test_columns_are_found_in_any_case_and_in_order_of_preference(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    columns = {"name": ["n"], "Object_ID": ["o"], "class": ["c"], "Four_Class": ["Merger"], "IMG": plain_pictures[:1]}
    source = open_source(write(tmp_path / "a", **columns))
    assert source.label == "Four_Class"
    assert read(source) == [("o", 0, "Merger")]


def test_the_column_of_labels_can_be_chosen(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    path = write(tmp_path / "a", image=plain_pictures[:2], label=["x", "y"], survey=["sdss", "decals"])
    assert open_source(path, label="survey").labels() == ["sdss", "decals"]
    assert [label for *_, label in read(open_source(path, label="survey"))] == ["sdss", "decals"]
    with pytest.raises(UnknownNameError, match=r"no column 'surwey' in a\. Did you mean 'survey'\? There are: image"):
        open_source(path, label="surwey")


def test_one_column_may_be_id_and_label(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    path = write(tmp_path / "a", image=plain_pictures[:2], id=["x", "y"])
    assert read(open_source(path, label="id")) == [("x", 0, "x"), ("y", 40, "y")]


def test_a_table_without_pictures_is_told_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,flux\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.csv: no column holds pictures\. .* there are: id, flux"):
        open_source(tmp_path / "a.csv")


def test_parts_are_one_source_in_the_order_of_their_names(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    folder = tmp_path / "stamps"
    folder.mkdir()
    for number in (1, 0):
        start = 3 * number
        columns = {"image": plain_pictures[start : start + 3], "label": [f"class {number}"] * 3}
        write(folder / f"part-{number}.parquet", **dict(reversed(columns.items())) if number else columns)
    (folder / "README.md").write_text("About")
    (folder / ".part-0.parquet.swp.parquet").write_bytes(b"half-written")
    source = open_source(folder)
    assert len(source) == 6
    assert source.labels() == ["class 0"] * 3 + ["class 1"] * 3
    assert read(source) == [(f"part-{index // 3}-{index % 3}", 40 * index, f"class {index // 3}") for index in range(6)]


def test_parts_with_other_columns_are_refused(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    write(tmp_path / "a.parquet", id=["x"], image=plain_pictures[:1], label=["ring"])
    write(tmp_path / "b.parquet", id=["x"], img=plain_pictures[:1])
    with pytest.raises(DataError, match=r"b\.parquet: lacks the columns \['image', 'label'\] that a\.parquet has"):
        list(open_source(tmp_path).rows())


def test_a_damaged_part_is_named(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    write(tmp_path / "a.parquet", image=plain_pictures)
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    with pytest.raises(DataError, match=r"b\.parquet: cannot be read as parquet"):
        list(open_source(tmp_path).rows())
    with pytest.raises(DataError, match=r"b\.parquet"):
        len(open_source(tmp_path))


def test_a_damaged_first_part_does_not_block_the_others(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    write(tmp_path / "b.parquet", image=plain_pictures)
    (tmp_path / "a.parquet").write_bytes((tmp_path / "b.parquet").read_bytes()[:-20])
    assert [shard.stop for shard in open_source(tmp_path).shards(9)] == [None, 6]


def test_ids_number_the_rows_across_batches(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    count = 2 * BATCH_ROWS + 5
    source = open_source(write(tmp_path / "a", image=(plain_pictures * count)[:count]))
    assert [row.id for row in source.rows()] == [f"a-{index}" for index in range(count)]
    assert source.labels() == [None] * count


def test_shards_end_with_row_groups_and_a_damaged_part_is_one_of_its_own(
    tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    table = pa.table({"image": plain_pictures})
    pa.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    pa.parquet.write_table(table, tmp_path / "c.parquet", row_group_size=2)
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    shards = list(open_source(tmp_path).shards(5))
    assert [(shard.name, shard.stop) for shard in shards] == [
        ("a.parquet:0-4", 4),
        ("a.parquet:4-6", 6),
        ("b.parquet", None),
        ("c.parquet:0-4", 4),
        ("c.parquet:4-6", 6),
    ]
    assert [row.id for row in shards[4].source.rows(4, 6)] == ["c-4", "c-5"]


def test_large_row_groups_are_cut(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    write(tmp_path / "a.parquet", image=plain_pictures)
    shards = list(open_source(tmp_path / "a.parquet").shards(4))
    assert [(shard.start, shard.stop) for shard in shards] == [(0, 4), (4, 6)]
    assert [row.id for shard in shards for row in shard.source.rows(shard.start, shard.stop)] == [
        f"a-{number}" for number in range(6)
    ]


def test_rows_know_their_positions(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    positions = [(10.0, -5.0), (20.0, 5.0)]
    write(tmp_path / "a", image=plain_pictures[:3], RA=[10.0, None, 20.0], Dec=[-5.0, 1.0, 5.0])
    source = open_source(tmp_path / "a")
    assert source.positioned
    assert [row.position for row in source.rows()] == [positions[0], None, positions[1]]
    assert [galaxy.position for galaxy in source.galaxies(Framing(8))] == [positions[0], None, positions[1]]


def test_positions_are_found_by_their_usual_names(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    (tmp_path / "0.jpg").write_bytes(plain_pictures[0])
    (tmp_path / "a.csv").write_text("path,RAJ2000,DEJ2000\n0.jpg,10.5,-3\n")
    source = open_source(tmp_path / "a.csv")
    assert source.positioned
    assert [row.position for row in source.rows()] == [(10.5, -3.0)]


def test_positions_that_are_no_degrees_are_told(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    (tmp_path / "0.jpg").write_bytes(plain_pictures[0])
    (tmp_path / "a.csv").write_text("path,ra,dec\n0.jpg,,\n0.jpg,north,2:03:04\n")
    with pytest.warns(PeculiarWarning, match=r"a\.csv: ra and dec are not angles .*'north'.*; give degrees"):
        assert not open_source(tmp_path / "a.csv").positioned


def test_text_columns_are_no_positions(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    write(tmp_path / "a", image=plain_pictures[:1], ra=["10h"], dec=["-5d"])
    with pytest.warns(PeculiarWarning, match="such as '10h'"):
        assert not open_source(tmp_path / "a").positioned


def test_what_the_first_part_decides_holds_for_its_pieces_elsewhere(
    tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    one, two, *_ = plain_pictures
    pa.parquet.write_table(pa.table({"image": [one], "ra": [1.0], "dec": [2.0]}), tmp_path / "a.parquet")
    pa.parquet.write_table(pa.table({"image": [two]}), tmp_path / "b.parquet")
    first, second = (pickle.loads(pickle.dumps(shard)) for shard in open_source(tmp_path).shards(10))
    assert [row.position for row in first.source.rows()] == [(1.0, 2.0)]
    assert second.source.positioned
    with pytest.raises(DataError, match=r"b\.parquet: lacks the columns \['dec', 'ra'\] that a\.parquet has"):
        list(second.source.rows())


def test_a_csv_file_with_two_columns_of_one_name(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    (tmp_path / "x.png").write_bytes(plain_pictures[0])
    (tmp_path / "a.csv").write_text("id,file,ra,ra,dec\n7,x.png,1,2,3\n")
    with pytest.warns(PeculiarWarning, match=r"a\.csv: several columns have the name 'ra'.*No position is known"):
        (galaxy,) = open_source(tmp_path / "a.csv").galaxies()
    assert (galaxy.id, galaxy.problem, galaxy.position) == ("7", None, None)


def test_labels_of_one_galaxy_that_differ_are_told_and_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("objid,label,note\n7,odd,\n8,odd,\n7,odd,\n", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_labels(path) == ("label", {"7": "odd", "8": "odd"})
    path.write_text("id,label\n7,odd\n8,odd\n7,not\n7,\n", encoding="utf-8")
    with pytest.warns(PeculiarWarning, match=r"different labels: 1; the last one.*'7' with 'odd' and 'not'"):
        assert read_labels(path) == ("label", {"7": "not", "8": "odd"})
