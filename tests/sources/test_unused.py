"""Folders that mix kinds of files: what is not read is said, whichever kinds meet."""

import itertools
import os
import re
import shutil
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits

from peculiar.errors import DataError, PeculiarWarning
from peculiar.images.decode import encode_picture
from peculiar.models.explain import explain
from peculiar.reports.drawing import save
from peculiar.reports.plots import draw_confusion
from peculiar.sources import open_source

PICTURES = np.random.default_rng(222).integers(0, 255, (3, 32, 32, 3)).astype(np.uint8)
CONTENTS = [encode_picture(picture) for picture in PICTURES]


def put_pictures(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / "classes" / name).mkdir(parents=True)
        (folder / "classes" / name / "p.png").write_bytes(CONTENTS[0])


def put_tar(folder: Path) -> None:
    put_pictures(folder)
    with tarfile.open(folder / "t.tar", "w") as archive:
        archive.add(folder / "classes", "inside")
    shutil.rmtree(folder / "classes")


def put_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("z.png", CONTENTS[0])


def put_parquet(folder: Path) -> None:
    pa.parquet.write_table(pa.table({"id": ["q"], "image": [CONTENTS[0]]}), folder / "q.parquet")


def put_fits(folder: Path) -> None:
    fits.writeto(folder / "f.fits", PICTURES[0, :, :, 0].astype(np.float32))


def put_npz(folder: Path) -> None:
    np.savez(folder / "n.npz", data=PICTURES)


def put_hdf5(folder: Path) -> None:
    with h5py.File(folder / "h.h5", "w") as file:
        file["images"] = PICTURES


def below(put: Callable[[Path], None]) -> Callable[[Path], None]:
    def into(folder: Path) -> None:
        (folder / "below").mkdir()
        put(folder / "below")

    return into


KINDS: dict[str, Callable[[Path], None]] = {
    "classes/a/p.png": put_pictures,
    "t.tar": put_tar,
    "z.zip": put_zip,
    "q.parquet": put_parquet,
    "f.fits": put_fits,
    "n.npz": put_npz,
    "h.h5": put_hdf5,
    "below/t.tar": below(put_tar),
    "below/q.parquet": below(put_parquet),
    "below/f.fits": below(put_fits),
}


# Files that alone are read by their path, not by that of their folder.
BY_PATH = {"n.npz", "h.h5"}
PAIRS = [pair for pair in itertools.combinations(KINDS, 2) if not all(name.startswith("below") for name in pair)]


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_of_two_kinds_both_are_read_or_one_is_named(pair: tuple[str, str], tmp_path: Path) -> None:
    for name in reversed(pair):  # a tar is made of pictures, and removes them
        KINDS[name](tmp_path)
    if set(pair) == BY_PATH:
        with pytest.raises(DataError, match=r"but 1 .* and 1 .*; give the path of one"):
            open_source(tmp_path)
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = open_source(tmp_path)
    told = " ".join(str(warning.message) for warning in caught)
    read = {path.relative_to(tmp_path).as_posix() for path in source.files()}
    assert read
    for name in pair:
        assert (name in read) != bool(re.search(rf"[( ]{name}\)", told)), (name, told)


def test_catalogues_tables_and_metadata_beside_pictures_are_not_missed(
    tmp_path: Path, tiny_catalog: Path, tiny_survey: Path
) -> None:
    put_pictures(tmp_path)
    shutil.copy(tiny_catalog, tmp_path / "catalog.parquet")
    pa.parquet.write_table(pa.table({"file_name": ["classes/a/p.png"], "z": [0.1]}), tmp_path / "metadata.parquet")
    fits.BinTableHDU.from_columns([fits.Column("z", "E", array=[1.0])]).writeto(tmp_path / "table.fits")
    (tmp_path / "labels.csv").write_text("id,label\na,b\n")
    with pytest.warns(PeculiarWarning, match="pictures are not listed|1 of 2 pictures") as caught:
        assert len(open_source(tmp_path)) == 2
    assert not any("but not" in str(warning.message) for warning in caught)


def test_a_table_of_labels_beside_the_pictures_does_not_take_their_place(tmp_path: Path) -> None:
    put_pictures(tmp_path)
    labels = pa.table({"id": ["classes/a/p.png", "classes/b/p.png"], "label": ["x", "y"]})
    pa.parquet.write_table(labels, tmp_path / "labels.parquet")
    with pytest.warns(PeculiarWarning, match=r"2 pictures are read, but not 1 Parquet table \(labels\.parquet\)"):
        assert open_source(tmp_path).ids() == ["classes/a/p.png", "classes/b/p.png"]
    shutil.rmtree(tmp_path / "classes")
    with pytest.raises(DataError, match=r"labels\.parquet: no column holds pictures"):
        open_source(tmp_path)
    put_parquet(tmp_path)
    with pytest.warns(PeculiarWarning, match=r"1 table is read, but not 1 Parquet table \(labels\.parquet\)"):
        assert open_source(tmp_path).ids() == ["q"]


def test_pictures_that_a_table_names_are_read(tmp_path: Path) -> None:
    put_pictures(tmp_path)
    table = pa.table({"id": ["a", "b"], "image": ["classes/a/p.png", "classes/b/p.png"]})
    pa.parquet.write_table(table, tmp_path / "galaxies.parquet")
    assert [galaxy.id for galaxy in open_source(tmp_path).galaxies() if galaxy.picture is not None] == ["a", "b"]


def test_figures_among_the_pictures_are_no_galaxies(tmp_path: Path, tiny_model: Path) -> None:
    put_pictures(tmp_path)
    before = open_source(tmp_path).ids()
    explain(tmp_path, tiny_model, tmp_path / "explained", count=1, verbose=False)
    save(draw_confusion([[1, 0], [0, 1]], ["a", "b"]), tmp_path / "sheet.png")
    assert (tmp_path / "explained" / "overview.png").exists()
    after = open_source(tmp_path)
    assert (after.ids(), set(after.labels())) == (before, {"a", "b"})


@pytest.mark.parametrize("name", ["a.png", "p.png", "p.jpg", "p.fits", "p.parquet", "p.tar", "p.zip", "p.npz", "p.h5"])
def test_a_pipe_is_not_waited_for(name: str, tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(CONTENTS[0])
    (tmp_path / "below").mkdir()
    for folder in (tmp_path, tmp_path / "below"):
        os.mkfifo(folder / name)
    opened: list[list[str]] = []
    thread = threading.Thread(target=lambda: opened.append(open_source(tmp_path).ids()), daemon=True)
    thread.start()
    thread.join(30)
    assert opened, "opening has not ended"
    assert "b.png" in opened[0]
