"""Folders of pictures: what is taken, what is passed over, and what the classes are."""

import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import DataError, PeculiarWarning
from peculiar.images.framing import Framing
from peculiar.questions.question import CLEAN5
from peculiar.sources import open_source
from peculiar.sources.dataset import read_dataset


def put(root: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_sub_folders_are_the_classes(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    one, two, three, *_ = plain_pictures
    folder = put(tmp_path, {"Merger/b.png": two, "Merger/a.png": one, "Normal/deep/er/c.png": three})
    source = open_source(folder)
    assert source.label == "four_class"
    assert [(row.id, row.label) for row in source.rows()] == [
        ("Merger/a.png", "Merger"),
        ("Merger/b.png", "Merger"),
        ("Normal/deep/er/c.png", "Normal"),
    ]


def test_loose_pictures_have_no_label(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    source = open_source(put(tmp_path, {"b.png": plain_pictures[0], "a.PNG": plain_pictures[1]}))
    assert source.label is None
    assert [(row.id, row.label) for row in source.rows()] == [("a.PNG", None), ("b.png", None)]


def test_loose_pictures_beside_classes_are_unlabelled(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    source = open_source(put(tmp_path, {"z.png": plain_pictures[0], "Ringed/a.png": plain_pictures[1]}))
    assert source.label == "four_class"
    assert source.labels() == ["Ringed", None]


def test_classes_of_another_known_question_are_recognised(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    source = open_source(put(tmp_path, {"round/a.png": plain_pictures[0], "spiral/a.png": plain_pictures[1]}))
    assert source.label == "clean5"
    assert read_dataset(source, Framing(8)).question is CLEAN5


def test_classes_of_one_s_own_make_a_question_of_their_own(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    source = open_source(put(tmp_path, {"ring/a.png": plain_pictures[0], "bar/a.png": plain_pictures[1]}))
    question = read_dataset(source, Framing(8)).question
    assert (question.name, question.answers) == ("class", ("bar", "ring"))


def test_other_and_hidden_files_are_passed_over(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    picture = plain_pictures[0]
    folder = put(
        tmp_path, {"README.txt": b"About", ".hidden.png": picture, "Normal/a.png": picture, "Normal/.DS.Store": picture}
    )
    put(folder, {".cache/a.png": picture, "Normal/table.csv": b"id\n", "Normal/empty": b""})
    assert [row.id for row in open_source(folder).rows()] == ["Normal/a.png"]


def test_a_picture_without_a_suffix_is_known_by_its_beginning(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    source = open_source(put(tmp_path, {"galaxy": plain_pictures[2], "notes.txt": plain_pictures[3]}))
    assert [int(galaxy.picture.mean()) for galaxy in source.galaxies() if galaxy.picture is not None] == [80, 120]


def test_text_called_jpg_is_unreadable_while_the_rest_goes_on(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    first, last = plain_pictures[0], plain_pictures[5]
    galaxies = list(open_source(put(tmp_path, {"a.png": first, "b.jpg": b"404 not found", "c.png": last})).galaxies())
    assert [galaxy.picture is None for galaxy in galaxies] == [False, True, False]
    assert galaxies[1].problem == "it is not a picture of a known format (starts with b'404 not ')"


def test_a_truncated_picture_in_the_middle_is_unreadable(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    folder = put(tmp_path, {"a.png": plain_pictures[0], "b.png": plain_pictures[1][:50], "c.png": plain_pictures[2]})
    problems = [galaxy.problem for galaxy in open_source(folder).galaxies()]
    assert problems[0] is problems[2] is None
    assert "damaged or cut short" in (problems[1] or "")


def test_a_broken_link_is_an_unreadable_picture(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    put(tmp_path, {"b.png": plain_pictures[0]})
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "notes").symlink_to(tmp_path / "gone.txt")
    broken, whole = open_source(tmp_path).galaxies()
    assert broken.problem == f"{tmp_path / 'a.png'} cannot be opened (No such file or directory)"
    assert whole.picture is not None


def test_a_picture_that_vanishes_is_unreadable(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    source = open_source(put(tmp_path, {"a.png": plain_pictures[0], "b.png": plain_pictures[1]}))
    (tmp_path / "a.png").unlink()
    assert [galaxy.picture is None for galaxy in source.galaxies()] == [True, False]


def test_the_fingerprint_tells_of_a_link_to_nowhere(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    put(tmp_path, {"b.png": plain_pictures[0]})
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    source = open_source(tmp_path)
    before = source.fingerprint(0, None)
    assert source.fingerprint(0, None) == before
    (tmp_path / "gone.png").write_bytes(plain_pictures[1])
    assert source.fingerprint(0, None) != before


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    one, two, three, *_ = plain_pictures
    put(tmp_path, {"data/Merger/a.png": one, "data/Normal/b.png": two, "more/c.png": three})
    (tmp_path / "data/Merger/up").symlink_to(tmp_path / "data")
    (tmp_path / "data/Odd").symlink_to(tmp_path / "more")
    (tmp_path / "more/back").symlink_to(tmp_path / "data/Odd")
    source = open_source(tmp_path / "data")
    assert source.ids() == ["Merger/a.png", "Normal/b.png", "Odd/c.png"]


def test_a_catalogue_among_the_pictures_is_none_of_them(
    tiny_catalog: Path, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    put(tmp_path, {"a.png": plain_pictures[0], "catalog.parquet": tiny_catalog.read_bytes()})
    assert open_source(tmp_path).ids() == ["a.png"]
    pa.parquet.write_table(pa.table({"id": ["b"], "image": [plain_pictures[1]]}), tmp_path / "part.parquet")
    with pytest.warns(PeculiarWarning, match=r"read, but not 1 picture \(a\.png\)"):
        assert open_source(tmp_path).ids() == ["b"]


@pytest.mark.parametrize("files", [{}, {"README.txt": b"About", "sub/data.csv": b"id\n1\n"}], ids=["empty", "text"])
def test_a_folder_without_a_picture_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "galaxies").mkdir()
    with pytest.raises(DataError, match=r"galaxies: there is no picture in this folder; expected JPEG"):
        open_source(put(tmp_path / "galaxies", files))


def test_a_single_picture_is_called_by_its_name(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    (row,) = open_source(put(tmp_path, {"a.png": plain_pictures[0]}) / "a.png").rows()
    assert (row.id, row.label, row.content) == ("a.png", None, tmp_path / "a.png")


def test_names_that_are_no_text_become_some(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    folder = put(tmp_path / "p", {os.fsdecode(b"caf\xe9/\xff.png"): plain_pictures[0], "café/1.png": plain_pictures[1]})
    source = open_source(folder)
    assert {(row.id, row.label) for row in source.rows()} == {
        ("caf\\xe9/\\xff.png", "caf\\xe9"),
        ("café/1.png", "café"),
    }
    assert len(source.fingerprint(0, None)) == 64
    with tarfile.open(tmp_path / "p.tar", "w") as archive:
        archive.add(folder, arcname=".")
    assert {row.id.removeprefix("./") for row in open_source(tmp_path / "p.tar").rows()} == set(source.ids())


def test_the_name_of_a_folder_is_text_and_known_from_within(
    tmp_path: Path, plain_pictures: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(tmp_path / os.fsdecode(b"caf\xe9"), {"a.png": plain_pictures[0]})
    (folder / os.fsdecode(b"\xe8.png")).symlink_to("gone")
    source = open_source(folder)
    assert source.name == r"caf\xe9"
    assert [shard.name for shard in source.shards(10)] == [r"caf\xe9:0-2"]
    assert str(list(source.galaxies())[1].problem).endswith(r"\xe8.png cannot be opened (No such file or directory)")
    monkeypatch.chdir(folder)
    assert open_source(".").name == r"caf\xe9"
