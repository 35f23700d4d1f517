"""Ids, labels and parts of pictures by their paths: the same in folders, tars and zips."""

import io
import os
import shutil
import tarfile
import unicodedata
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from peculiar.errors import DataError, PeculiarWarning
from peculiar.sources import Source, open_source
from peculiar.sources.names import Naming, clean, part_of
from peculiar.sources.paths import is_litter

KINDS = ["folder", "tar", "tar below ./", "tar.gz", "zip"]


def lay(kind: str, root: Path, files: dict[str, bytes]) -> Path:
    """Put files into a folder or an archive."""
    if kind == "folder":
        for name, content in files.items():
            path = root / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return root / "data"
    path = root / f"data.{kind.partition(' ')[0]}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}" if "below" in kind else name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def opened(path: Path) -> tuple[Source, list[str]]:
    """Open a source, and return what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = open_source(path)
    assert all(issubclass(one.category, PeculiarWarning) for one in caught)
    return source, [str(one.message) for one in caught]


# Paths of pictures, their labels, and the parts that a warning names.
LAYOUTS: dict[str, tuple[dict[str, str | None], str]] = {
    "flat": ({"a.png": None, "b.jpg": None, "C.PNG": None}, ""),
    "flat below a folder": ({"pictures/a.png": None, "pictures/b.png": None}, ""),
    "one class": ({"Ringed/a.png": "Ringed", "Ringed/b.png": "Ringed"}, ""),
    "one class in groups": ({"Ringed/1/a.png": "Ringed", "Ringed/2/b.png": "Ringed"}, ""),
    "one class of one's own": ({"spiral arms/a.png": "spiral arms", "spiral arms/b.png": "spiral arms"}, ""),
    "classes": ({"Ringed/a.png": "Ringed", "Merger/b.PNG": "Merger", "Merger/c.Jpg": "Merger"}, ""),
    "classes and loose": ({"Ringed/a.png": "Ringed", "Merger/b.png": "Merger", "c.png": None}, ""),
    "classes below a folder": ({"mine/Ringed/a.png": "Ringed", "mine/Merger/b.png": "Merger"}, ""),
    "classes and loose below a folder": (
        {"mine/Ringed/a.png": "Ringed", "mine/Merger/b.png": "Merger", "mine/c.png": None},
        "",
    ),
    "classes below two folders": ({"set/images/ring/a.png": "ring", "set/images/bar/b.png": "bar"}, ""),
    "deeper": ({"ring/2011/x/a.png": "ring", "ring/2012/b.png": "ring", "bar/c.png": "bar"}, ""),
    "blanks and accents": ({"edge on/a b.png": "edge on", "ovál/ü.png": "ovál", "银河/1.png": "银河"}, ""),
    "parts and classes": (
        {"train/Ringed/a.png": "Ringed", "train/Merger/b.png": "Merger", "test/Ringed/c.png": "Ringed"},
        "test, train",
    ),
    "parts in capitals": (
        {"TRAIN/ring/a.png": "ring", "Valid/bar/b.png": "bar", "Test/ring/c.png": "ring"},
        "TRAIN, Test, Valid",
    ),
    "other names of parts": (
        {"training_set/ring/a.png": "ring", "validation_set/bar/b.png": "bar", "testing/bar/c.png": "bar"},
        "testing, training_set, validation_set",
    ),
    "parts with numbers": (
        {"train2017/ring/a.png": "ring", "val2017/bar/b.png": "bar", "dev-1/bar/c.png": "bar"},
        "dev-1, train2017, val2017",
    ),
    "folds": ({"fold1/ring/a.png": "ring", "fold2/bar/b.png": "bar"}, "fold1, fold2"),
    "one part": ({"test/Ringed/a.png": "Ringed", "test/Merger/b.png": "Merger"}, ""),
    "parts without classes": ({"train/a.png": None, "test/b.png": None}, "test, train"),
    "parts and images": ({"train/images/ring/a.png": "ring", "test/images/bar/b.png": "bar"}, "test, train"),
    "parts below a folder": ({"set/train/ring/a.png": "ring", "set/test/bar/b.png": "bar"}, "test, train"),
    "classes and parts": (
        {"ring/train/a.png": "ring", "ring/test/b.png": "ring", "bar/train/c.png": "bar"},
        "test, train",
    ),
    "parts beside classes": (
        {"train/ring/a.png": "ring", "test/bar/b.png": "bar", "ring/c.png": "ring"},
        "test, train",
    ),
    "classes that begin as parts do": ({"trained/a.png": "trained", "test pattern/b.png": "test pattern"}, ""),
}

LITTER = {
    "nothing": {},
    "macOS": {
        "{folder}/._{name}": b"\0\x05\x16\x07\0\x02\0\0Mac OS X",
        "{folder}/.DS_Store": b"\0\0\0\1Bud1",
        "__MACOSX/{folder}/._{name}": b"\0\x05\x16\x07",
        "__MACOSX/{folder}/{name}": b"\x89PNG\r\n\x1a\n",
    },
    "Jupyter": {
        "{folder}/.ipynb_checkpoints/{name}": b"\x89PNG\r\n\x1a\n",
        ".ipynb_checkpoints/x.jpg": b"\xff\xd8\xff",
    },
    "Windows": {"{folder}/Thumbs.db": b"\xd0\xcf\x11\xe0", "{folder}/desktop.ini": b"[.ShellClassInfo]"},
    "a disk station": {"{folder}/@eaDir/{name}/SYNOPHOTO_THUMB_M.jpg": b"\xff\xd8\xff"},
    "other files": {
        "README.txt": b"About",
        "{folder}/labels.csv": b"id\n",
        "{folder}/.hidden.png": b"\x89PNG\r\n\x1a\n",
    },
}


@pytest.mark.parametrize("litter", LITTER)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_labels_and_ids_are_the_same_everywhere(
    kind: str, layout: str, litter: str, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    labels, parts = LAYOUTS[layout]
    files = dict(zip(labels, plain_pictures, strict=False))
    for path in labels:
        folder, _, name = path.rpartition("/")
        files |= {clean(more.format(folder=folder, name=name)): content for more, content in LITTER[litter].items()}
    source, warned = opened(lay(kind, tmp_path, files))
    assert {row.id: row.label for row in source.rows()} == labels
    assert len(source) == len(labels)
    assert len(set(source.ids())) == len(labels)
    assert {galaxy.id for galaxy in source.galaxies() if galaxy.picture is None} == set()
    assert [told.partition(": ")[2].partition(" are taken for parts of a split")[0] for told in warned] == (
        [parts] if parts else []
    )
    pieces = [row for shard in source.shards(2) for row in shard.source.rows(shard.start, shard.stop)]
    assert {row.id: row.label for row in pieces} == labels


@pytest.mark.parametrize("kind", KINDS)
def test_letters_with_accents_make_one_class_in_either_form(
    kind: str, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    forms = [unicodedata.normalize(form, "barrée") for form in ("NFC", "NFD")]
    files = {f"{form}/{number}.png": plain_pictures[number] for number, form in enumerate([*forms, "autre"])}
    source, _ = opened(lay(kind, tmp_path, files))
    assert {row.id: row.label for row in source.rows()} == {
        f"{forms[0]}/0.png": forms[0],
        f"{forms[1]}/1.png": forms[0],
        "autre/2.png": "autre",
    }


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *((name, "train") for name in ("train", "Train", "TRAINING", "train_images", "images_training_rev1", "train2")),
        *((name, "validation") for name in ("val", "valid", "Validation", "dev", "val-set")),
        *((name, "test") for name in ("test", "testing", "images_test_rev1", "test-00000-of-00002", "Test Set")),
        *(("fold 3", "fold 3"), ("fold_03", "fold 3")),
        *((name, None) for name in ("trained", "tests on sky", "Ringed", "fold", "images", "2017", "", "train test")),
    ],
)
def test_names_of_parts(name: str, part: str | None) -> None:
    assert part_of(name) == part


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [("a/b.jpg", "a/b.jpg"), ("./a//b.jpg", "a/b.jpg"), ("/a/./b.jpg", "a/b.jpg"), ("../a.jpg", "../a.jpg")],
)
def test_paths_are_cleaned(path: str, cleaned: str) -> None:
    assert clean(path) == cleaned


def test_litter() -> None:
    assert all(is_litter(path) for path in ("a/.b.jpg", "__MACOSX/a.jpg", "a/@eaDir/b/c.jpg", "a/thumbs.DB"))
    assert not any(is_litter(path) for path in ("a/b.jpg", "../a.jpg", "./a.jpg", "a.b/c.jpg", "MACOSX/a.jpg"))


def test_the_rule_needs_no_pictures() -> None:
    assert Naming.of([]) == Naming()


def test_archives_named_as_parts_are_told(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    for number, name in enumerate(("train-000", "test-000")):
        path = lay("tar", tmp_path, {f"ring/{number}.png": plain_pictures[number]})
        path.rename(tmp_path / f"{name}.tar")
    source, (told,) = opened(tmp_path)
    assert source.labels() == ["ring", "ring"]
    assert "test-000, train-000 are taken for parts of a split" in told


def test_folders_of_fits_are_named_by_the_same_rule(tmp_path: Path) -> None:
    from astropy.io import fits

    for name in ("train/ring/a.fits", "test/bar/b.fits", "test/.hidden/c.fits", "__MACOSX/train/ring/._a.fits"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        fits.writeto(tmp_path / name, np.random.default_rng(1).normal(size=(32, 32)).astype("f4"))
    source, (told,) = opened(tmp_path)
    assert {row.id: row.label for row in source.rows()} == {"test/bar/b.fits": "bar", "train/ring/a.fits": "ring"}
    assert "test, train are taken for parts of a split" in told


def test_macos_zips_name_in_utf_8_without_saying_so(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("galaxXe.png".replace("X", "\u00e9"), plain_pictures[0])
        archive.writestr("b\\c.png", plain_pictures[1])
    content = path.read_bytes()
    # The bit that tells of UTF-8, in the local header and in the directory.
    at, then = content.index(b"PK\3\4") + 7, content.index(b"PK\1\2") + 9
    changed = bytearray(content)
    changed[at] &= ~8
    changed[then] &= ~8
    path.write_bytes(changed)
    assert open_source(path).ids() == ["galaxée.png", "b/c.png"]


def test_links_in_circles_and_pipes_end_no_run(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    root = lay("folder", tmp_path, {"one/a.png": plain_pictures[0], "two/b.png": plain_pictures[1]})
    (root / "self.png").symlink_to("self.png")
    (root / "round").symlink_to("there")
    (root / "there").symlink_to("round")
    (root / "one/link.png").symlink_to("a.png")
    (root / "one/other.png").symlink_to("../two/b.png")
    (root / "one/two").symlink_to("../two")
    (root / "two/one").symlink_to("../one")
    (root / "two/nowhere.png").symlink_to("gone.png")
    (root / "folder.png").mkdir()
    os.mkfifo(root / "two/pipe.png")
    os.mkfifo(root / "two/pipe")
    source = open_source(root)
    problems = {galaxy.id: galaxy.problem for galaxy in source.galaxies()}
    assert {id_ for id_, problem in problems.items() if problem is None} == {"one/a.png", "one/other.png", "two/b.png"}
    assert problems.keys() == {
        *("one/a.png", "one/other.png", "self.png", "two/b.png", "two/nowhere.png", "two/pipe.png"),
    }


def test_many_folders_that_link_to_each_other_are_entered_once(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    names = [f"f{number}" for number in range(12)]
    root = lay("folder", tmp_path, {f"{name}/a.png": plain_pictures[0] for name in names})
    for name in names:
        for other in names:
            (root / name / f"to-{other}").symlink_to(f"../{other}")
    assert open_source(root).ids() == sorted(f"{name}/a.png" for name in names)


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, plain_pictures: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lay("folder", tmp_path, {"ring/a.png": plain_pictures[0], "bar/b.png": plain_pictures[1]})
    scandir, closed = os.scandir, "bar"

    def refuse(path: Path | int) -> object:
        if not isinstance(path, int) and Path(path).name == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    source, told = opened(root)
    assert source.ids() == ["ring/a.png"]
    assert all("bar: this folder cannot be read (Permission denied) and is skipped" in one for one in told)
    assert told
    closed = "data"
    with pytest.raises(DataError, match=r"data: this folder cannot be read"):
        open_source(root)


def test_the_litter_of_an_operating_system_beside_archives_is_no_archive(
    tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    archive = lay("tar", tmp_path, {"ring/a.png": plain_pictures[0], "bar/b.png": plain_pictures[1]})
    folder = tmp_path / "archives"
    folder.mkdir()
    shutil.copy(archive, folder / "galaxies.tar")
    (folder / "._galaxies.tar").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    assert open_source(folder).ids() == open_source(archive).ids()


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "galaxies.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        import socket

        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.close()
    with pytest.raises(DataError, match=rf"cannot be opened \(it is a (named )?{kind}\)"):
        open_source(path)
