"""What holds for every source: recognised by content, one stream in one order, and labelled galaxies in memory."""

import errno
import gzip
import io
import os
import pickle
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.table import Table

from peculiar.errors import (
    DataError,
    LabelError,
    NotFoundError,
    UnknownNameError,
    UnreadablePictureWarning,
    UsageError,
)
from peculiar.images.decode import decode_picture, encode_picture
from peculiar.images.framing import Framing
from peculiar.questions.question import FOUR_CLASS, Question
from peculiar.sources import Galaxy, MemorySource, Row, Source, open_mosaic, open_source
from peculiar.sources.dataset import read_dataset
from peculiar.tables.column import Column

GREYS = [0, 40, 80, 120, 160, 200]
LABELS = ["Merger", "Merger", "Normal", "Other", "Ringed", "Ringed"]
KINDS = ["npz", "hdf5", "folder", "parquet", "parts", "csv", "ecsv", "fits", "votable", "tar", "tgz", "zip"]


def write_source(kind: str, path: Path, pictures: list[bytes]) -> Path:
    """Write `pictures` with `LABELS`, in this order, as a source of some kind that does not show in its name."""
    pixels = np.stack([decode_picture(picture, Framing(16)) for picture in pictures])
    if kind == "npz":
        with path.open("wb") as file:
            np.savez(file, data=pixels, labels=np.eye(4)[[FOUR_CLASS.answers.index(label) for label in LABELS]])
        return path
    if kind == "hdf5":
        with h5py.File(path, "w") as file:
            file["images"], file["ans"] = pixels, [FOUR_CLASS.answers.index(label) for label in LABELS]
        return path
    if kind == "folder":
        for index, (picture, label) in enumerate(zip(pictures, LABELS, strict=True)):
            (path / label).mkdir(parents=True, exist_ok=True)
            (path / label / f"{index}.png").write_bytes(picture)
        return path
    if kind in {"tar", "tgz"}:
        with tarfile.open(path, "w:gz" if kind == "tgz" else "w") as archive:
            for index, (picture, label) in enumerate(zip(pictures, LABELS, strict=True)):
                member = tarfile.TarInfo(f"{label}/{index}.png")
                member.size = len(picture)
                archive.addfile(member, io.BytesIO(picture))
        return path
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for index, (picture, label) in enumerate(zip(pictures, LABELS, strict=True)):
                archive.writestr(f"{label}/{index}.png", picture)
        return path
    if kind in {"parquet", "parts"}:
        table = pa.table({"id": list("abcdef"), "image": pictures, "label": LABELS})
        if kind == "parquet":
            pa.parquet.write_table(table, path)
        else:
            path.mkdir()
            for part, start in (("b", 4), ("a", 0)):
                pa.parquet.write_table(table.slice(start, 4), path / f"{part}.parquet")
        return path
    for index, picture in enumerate(pictures):
        (path.parent / f"{index}.png").write_bytes(picture)
    table = Table({"id": list("abcdef"), "path": [f"{index}.png" for index in range(6)], "label": LABELS})
    table.write(path, format={"ecsv": "ascii.ecsv", "csv": "ascii.csv"}.get(kind, kind))
    return path


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path, plain_pictures: list[bytes]) -> Source:
    """The six plain pictures as a source of every kind."""
    (tmp_path / "data").mkdir()
    return open_source(write_source(request.param, tmp_path / "data" / "galaxies", plain_pictures))


def greys(stream: Iterator[Galaxy]) -> list[int]:
    return [int(galaxy.picture.mean()) for galaxy in stream if galaxy.picture is not None]


def write_table(path: Path, **columns: list[Any]) -> Path:
    pa.parquet.write_table(pa.table(columns), path)
    return path


def test_every_source_gives_its_pictures_in_order(source: Source) -> None:
    assert len(source) == 6
    assert greys(source.galaxies(Framing(8))) == GREYS


def test_ids_are_unique_and_the_same_every_time(source: Source) -> None:
    ids = [galaxy.id for galaxy in source.galaxies(Framing(8))]
    assert len(set(ids)) == 6
    assert ids == [row.id for row in source.rows()]


def test_labels_come_with_the_pictures_and_without(source: Source) -> None:
    expected = ["2", "2", "0", "3", "1", "1"] if source.kind == "hdf5" else LABELS
    assert source.labels() == expected
    assert [galaxy.label for galaxy in source.galaxies(Framing(8))] == expected


def test_labels_are_read_without_decoding_a_picture(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a picture was decoded")

    for name in ("decode_remarked", "read_encoded", "frame_pixels"):
        monkeypatch.setattr(f"peculiar.sources.stream.{name}", refuse)
    assert len(source.labels()) == 6
    with pytest.raises(AssertionError, match="decoded"):
        next(source.galaxies(threads=1))


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_the_stream_is_the_same_for_any_number_of_threads(source: Source, threads: int) -> None:
    two = list(source.galaxies(Framing(8)))
    for one, other in zip(source.galaxies(Framing(8), threads=threads), two, strict=True):
        assert (one.id, one.label) == (other.id, other.label)
        np.testing.assert_array_equal(one.picture, other.picture)


def test_pictures_are_128_pixels_wide_by_default(source: Source) -> None:
    galaxy = next(source.galaxies())
    assert galaxy.picture is not None
    assert galaxy.picture.shape == (128, 128, 3)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("npz", "galaxies.csv", "npz"),
        ("hdf5", "galaxies.npz", "hdf5"),
        ("parquet", "galaxies.jpg", "table"),
        ("csv", "galaxies.parquet", "table"),
        ("ecsv", "galaxies.fits", "table"),
        ("fits", "galaxies.h5", "table"),
        ("votable", "galaxies.txt", "table"),
        ("folder", "galaxies.npz", "folder"),
        ("parts", "galaxies.h5", "table"),
    ],
)
def test_content_decides_not_the_name(
    kind: str, name: str, expected: str, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    source = open_source(write_source(kind, tmp_path / name, plain_pictures))
    assert source.kind == expected
    assert greys(source.galaxies(Framing(8))) == GREYS


def test_one_picture_is_a_source_of_its_own(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    path = tmp_path / "galaxies.csv"
    path.write_bytes(plain_pictures[3])
    source = open_source(str(path))
    assert (source.kind, source.label, len(source)) == ("folder", None, 1)
    assert greys(source.galaxies()) == [120]


@pytest.mark.parametrize("kind", ["folder", "parquet", "tar", "zip"])
@pytest.mark.filterwarnings("ignore:.*ids that occur more than once")
@pytest.mark.filterwarnings("ignore:.*begin with the names of the archives")
def test_several_files_are_read_as_if_they_lay_alone(
    kind: str, plain_pictures: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix = "" if kind == "folder" else f".{kind}"
    for number in range(2):
        write_source(kind, tmp_path / f"part-{number}{suffix}", plain_pictures)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    (tmp_path / "notes.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    several = open_source([os.path.relpath(path) for path in reversed([*files, files[0]])])
    whole = open_source(tmp_path)
    assert several.ids() == whole.ids()
    assert several.labels() == whole.labels()
    assert several.path == tmp_path
    assert greys(several.galaxies()) == greys(whole.galaxies())
    assert sorted(several.files()) == sorted(files)


def test_several_fits_images_are_galaxies_by_their_bands(tmp_path: Path) -> None:
    for name in ("a-g", "a-r", "b-g", "b-r"):
        fits.PrimaryHDU(np.ones((8, 8), np.float32)).writeto(tmp_path / f"{name}.fits")
    source = open_source([tmp_path / "a-g.fits", tmp_path / "a-r.fits"])
    assert source.ids() == ["a"]


def test_a_damaged_file_among_several_keeps_its_row(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    (tmp_path / "0.jpg").write_bytes(plain_pictures[0])
    (tmp_path / "1.jpg").write_bytes(b"")
    source = open_source([tmp_path / "0.jpg", tmp_path / "1.jpg"])
    assert [galaxy.picture is None for galaxy in source.galaxies()] == [False, True]


def test_several_files_have_to_be_of_one_kind(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    (tmp_path / "0.jpg").write_bytes(plain_pictures[0])
    (tmp_path / "1.csv").write_text("id\n1\n")
    with pytest.raises(UsageError, match=r"received .*0\.jpg \(a picture\) and .* \(a folder\)"):
        open_source([tmp_path / "0.jpg", tmp_path])
    with pytest.raises(UsageError, match=r"several paths have to be of one kind .pictures.*1\.csv \(none of these\)"):
        open_source([tmp_path / "1.csv", tmp_path / "1.csv"])
    with pytest.raises(NotFoundError, match=r"there is nothing at .*2\.jpg"):
        open_source([tmp_path / "0.jpg", tmp_path / "2.jpg"])
    with pytest.raises(UsageError, match="no path was given"):
        open_source([])


def test_nothing_at_a_path_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is nothing at .*none; give the path of"):  # noqa: RUF043
        open_source(tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\x7fELF\0\0", r"is of an unknown kind .* starts with b'\\x7fELF"),
        (gzip.compress(b"id,file", mtime=0)[:-9], "is compressed by gzip"),
        (gzip.compress(b"", mtime=0)[:10] + b"\xff" * 40, "is compressed by gzip"),
    ],
)
def test_an_unknown_file_is_told_with_what_is_known(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "galaxies.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"galaxies\.npz: this file {said}.*Known are pictures, NPZ, HDF5, Parquet"):
        open_source(path)


def test_a_file_that_cannot_be_opened_is_told() -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("galaxies.npz")  # a socket cannot be opened, not even by the administrator
        with pytest.raises(DataError, match=r"galaxies\.npz: cannot be opened \(it is a socket\)"):
            open_source("galaxies.npz")


def test_a_file_that_may_not_be_opened_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "galaxies.npz").write_bytes(b"PK")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"galaxies\.npz: cannot be opened \(Permission denied\)"):
        open_source(tmp_path / "galaxies.npz")


@pytest.mark.parametrize("pattern", ["*.jpg", "*/g?.jpg", "*/[a-z]/*.png"])
def test_a_pattern_is_told_to_be_a_folder(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"; give the folder, [^*?[]*pictures, all of .* pattern without quotes"):
        open_source(tmp_path / "pictures" / pattern)


def test_standard_input_is_told_to_be_saved() -> None:
    with pytest.raises(NotFoundError, match="nothing at -; give a path: standard input is not read, so save it"):
        open_source("-")


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"bands": "i,r,g"}, UsageError, "bands and a stretch apply to FITS images, .* of the kind 'folder'"),
        ({"bands": " , "}, UsageError, "bands are named as in i,r,g, the reddest first; received ' , '"),
        ({"id": "name"}, UnknownNameError, "no column 'name' in pictures, which is not a table"),
    ],
)
def test_options_for_other_kinds_are_refused(
    options: dict[str, str], kind: type[Exception], said: str, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(plain_pictures[0])
    with pytest.raises(kind, match=said):
        open_source(tmp_path / "pictures", **options)


def test_mosaics_need_files_and_a_table(tmp_path: Path) -> None:
    (tmp_path / "positions.csv").write_text("id,ra,dec\n")
    with pytest.raises(UsageError, match="no mosaic was given"):
        open_mosaic([], tmp_path / "positions.csv")
    with pytest.raises(NotFoundError, match=r"nothing at .*none\.csv; give a FITS mosaic and a table of positions"):
        open_mosaic([], tmp_path / "none.csv")


@pytest.mark.parametrize("kind", ["parquet", "tar", "zip"])
def test_a_data_set_may_lie_below_a_folder(kind: str, tmp_path: Path, plain_pictures: list[bytes]) -> None:
    (tmp_path / "set" / "data").mkdir(parents=True)
    write_source(kind, tmp_path / "set" / "data" / f"a.{kind}", plain_pictures)
    (tmp_path / "set" / "README.md").write_text("About")
    source = open_source(tmp_path / "set")
    assert source.kind == ("table" if kind == "parquet" else kind)
    assert greys(source.galaxies()) == GREYS


def test_a_label_that_a_source_has_may_be_named(source: Source) -> None:
    assert open_source(source.path, label=source.label).labels() == source.labels()


def test_a_label_that_a_source_lacks_is_told_with_those_it_has(source: Source) -> None:
    with pytest.raises(UnknownNameError, match=rf"no column '{source.label}s' in .*Did you mean '{source.label}'"):
        open_source(source.path, label=f"{source.label}s")


def test_a_label_is_refused_where_there_are_none(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(plain_pictures[0])
    with pytest.raises(UnknownNameError, match=r"no column 'label' in a\.png.*There are: none"):
        open_source(path, label="label")


@pytest.mark.parametrize("threads", [1, 2])
def test_an_unreadable_picture_keeps_its_row_and_says_why(
    threads: int, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    pictures = [plain_pictures[1], b"", b"no picture", plain_pictures[2][:-30], plain_pictures[5]]
    source = open_source(write_table(tmp_path / "a", image=pictures, label=["a", "b", "a", "b", "a"]))
    galaxies = list(source.galaxies(Framing(8), threads=threads))
    assert [galaxy.picture is not None for galaxy in galaxies] == [True, False, False, False, True]
    assert [galaxy.label for galaxy in galaxies] == ["a", "b", "a", "b", "a"]
    assert galaxies[0].problem is None
    assert galaxies[1].problem == "it is empty"
    assert galaxies[2].problem == "it is not a picture of a known format (starts with b'no pictu')"
    assert galaxies[3].problem is not None
    assert galaxies[3].problem.startswith("it is damaged or cut short (")


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_without_a_label_can_be_passed_over(threads: int, tmp_path: Path, plain_pictures: list[bytes]) -> None:
    labels = ["a", None, "", "b", None, "a"]
    source = open_source(write_table(tmp_path / "a", image=plain_pictures, label=labels))
    assert source.labels() == ["a", None, None, "b", None, "a"]
    assert greys(source.galaxies(Framing(8), labelled_only=True, threads=threads)) == [0, 120, 200]
    assert greys(source.galaxies(Framing(8), threads=threads)) == GREYS


@pytest.fixture
def long_source(tmp_path: Path, plain_pictures: list[bytes]) -> Source:
    return open_source(write_table(tmp_path / "long", image=plain_pictures * 500))


def test_a_stream_of_many_rows_keeps_their_order(long_source: Source) -> None:
    assert greys(long_source.galaxies(Framing(1))) == GREYS * 500


def test_only_a_few_rows_are_read_ahead(long_source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Row] = []
    rows = long_source.rows

    def counted(start: int = 0, stop: int | None = None) -> Iterator[Row]:
        for row in rows():
            read.append(row)
            yield row

    monkeypatch.setattr(long_source, "rows", counted)
    stream = long_source.galaxies(Framing(1), threads=2)
    next(stream)
    assert 1 <= len(read) <= 6 * 32
    stream.close()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stream_that_is_abandoned_ends_its_threads(long_source: Source, threads: int) -> None:
    before, start = threading.active_count(), time.perf_counter()
    stream = long_source.galaxies(Framing(64), threads=threads)
    for _ in range(10):
        next(stream)
    # The pool starts a thread only when it has no idle one.
    assert threading.active_count() - before in ({1, 2} if threads == 2 else {0})
    stream.close()
    assert threading.active_count() == before
    assert time.perf_counter() - start < 5
    with pytest.raises(StopIteration):
        next(stream)


def test_a_dataset_holds_the_galaxies_in_order(source: Source) -> None:
    dataset = read_dataset(source, Framing(8))
    assert len(dataset) == 6
    assert dataset.ids == [row.id for row in source.rows()]
    assert dataset.pictures.shape == (6, 8, 8, 3)
    assert dataset.pictures.mean(axis=(1, 2, 3)).tolist() == GREYS
    assert dataset.problems == {}
    assert [dataset.question.answers[number] for number in dataset.labels] == source.labels()
    if source.kind != "hdf5":
        assert dataset.question is FOUR_CLASS
        assert dataset.labels.tolist() == [2, 2, 0, 3, 1, 1]


def test_galaxies_can_be_taken_from_a_dataset(source: Source) -> None:
    dataset = read_dataset(source, Framing(8))
    taken = list(dataset.take(np.array([4, 0])))
    assert [galaxy.id for galaxy in taken] == [dataset.ids[4], dataset.ids[0]]
    assert [galaxy.label for galaxy in taken] == [source.labels()[4], source.labels()[0]]
    assert greys(iter(taken)) == [160, 0]


def test_pictures_of_a_dataset_are_128_pixels_wide_by_default(source: Source) -> None:
    assert read_dataset(source).pictures.shape == (6, 128, 128, 3)


def test_a_dataset_leaves_out_rows_without_a_label(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    labels = ["spiral", None, "bar", "", "spiral", None]
    path = write_table(tmp_path / "a", id=list("abcdef"), image=plain_pictures, label=labels)
    dataset = read_dataset(open_source(path), Framing(8))
    assert dataset.ids == ["a", "c", "e"]
    assert dataset.question == Question("label", ("bar", "spiral"))
    assert dataset.labels.tolist() == [1, 0, 1]


def test_a_dataset_leaves_out_unreadable_pictures_with_a_warning(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    pictures = [plain_pictures[0], b"", plain_pictures[2], plain_pictures[3], b"text"]
    path = write_table(tmp_path / "a", id=list("abcde"), image=pictures, label=list("xyxyx"))
    with pytest.warns(
        UnreadablePictureWarning, match="2 of 5 pictures cannot be read and are left out; the first is b: it is empty"
    ) as caught:
        dataset = read_dataset(open_source(path), Framing(8))
    assert caught[0].filename == __file__
    assert dataset.ids == ["a", "c", "d"]
    assert dataset.labels.tolist() == [0, 0, 1]
    assert dataset.pictures.mean(axis=(1, 2, 3)).tolist() == [0, 80, 120]
    assert list(dataset.problems) == ["b", "e"]


def test_a_dataset_reports_its_progress(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    path = write_table(tmp_path / "a", image=plain_pictures * 40, label=["x", "y"] * 120)
    calls: list[tuple[int, int]] = []
    read_dataset(open_source(path), Framing(1), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(100, 240), (200, 240), (240, 240)]


def test_a_dataset_needs_labels(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    path = write_table(tmp_path / "a", image=plain_pictures)
    with pytest.raises(LabelError, match=r"a: no galaxy has a label; name the column .*--label.*there are: image"):
        read_dataset(open_source(path))
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "one.png").write_bytes(plain_pictures[0])
    with pytest.raises(
        LabelError, match="loose: no galaxy has a label; put the pictures into one sub-folder per class"
    ):
        read_dataset(open_source(tmp_path / "loose"))


def test_a_dataset_needs_two_classes(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    path = write_table(tmp_path / "a", image=plain_pictures, label=["bar"] * 5 + [None])
    with pytest.raises(LabelError, match="a: all 5 labels are 'bar'; at least two classes are needed"):
        read_dataset(open_source(path))


@pytest.mark.filterwarnings("ignore::peculiar.errors.UnreadablePictureWarning")
@pytest.mark.parametrize("unreadable", [1, 6])
def test_a_dataset_needs_two_classes_that_can_be_read(
    unreadable: int, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    pictures = [b""] * unreadable + plain_pictures[unreadable:]
    path = write_table(tmp_path / "a", image=pictures, label=["ring"] + ["bar"] * 5)
    with pytest.raises(LabelError, match=f"a: only {6 - unreadable} of 6 labelled pictures can be read"):
        read_dataset(open_source(path))


@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 3), (2, 5), (4, None), (5, 100), (7, 7)])
def test_any_stretch_of_rows_can_be_read(source: Source, start: int, stop: int | None) -> None:
    expected = [row.id for row in source.rows()][start:stop]
    assert [row.id for row in source.rows(start, stop)] == expected


def test_shards_are_the_source_also_in_another_process(source: Source) -> None:
    shards = [pickle.loads(pickle.dumps(shard)) for shard in source.shards(3)]
    ids = [row.id for shard in shards for row in shard.source.rows(shard.start, shard.stop)]
    assert ids == [row.id for row in source.rows()]
    assert len({shard.name for shard in shards}) == len(shards)
    assert len({shard.fingerprint() for shard in shards}) == len(shards)


def test_a_fingerprint_changes_with_the_file(source: Source) -> None:
    (before, *_) = (shard.fingerprint() for shard in source.shards(100))
    for file in [source.path] if source.path.is_file() else source.path.rglob("*"):
        if file.is_file():
            os.utime(file, ns=(0, 0))
    (after, *_) = (shard.fingerprint() for shard in source.shards(100))
    assert before != after


@pytest.mark.parametrize("other", ["pipe", "device"])
def test_only_files_are_read_for_their_content(other: str) -> None:
    Path("pictures").mkdir()
    Path("pictures/a.png").write_bytes(encode_picture(np.zeros((8, 8, 3), np.uint8)))
    piece = next(open_source("pictures").shards(10))
    assert piece.content()
    if other == "pipe":
        os.mkfifo("pictures/b.png")
    else:
        Path("pictures/b.png").symlink_to("/dev/zero")
    assert next(open_source("pictures").shards(10)).content() == ""


@pytest.mark.parametrize(("start", "stop", "count"), [(0, None, 3), (1, None, 2), (1, 2, 1), (2, 9, 1), (5, None, 0)])
def test_a_source_without_columns_carries_nulls(start: int, stop: int | None, count: int) -> None:
    source = MemorySource(np.zeros((3, 8, 8, 3), np.uint8))
    (batch,) = source.carried([Column("z", pa.float64())], start, stop)
    assert batch.to_pydict() == {"z": [None] * count}
    assert batch.schema.field("z").type == pa.float64()
