"""Classification of galaxies in any form into a catalogue, in memory or on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray
from PIL import Image

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.predict import predict
from peculiar.errors import IncompleteError, UnknownNameError, UsageError
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.sources import open_source
from peculiar.sources.simulated import simulate


@pytest.fixture(scope="session")
def pictures() -> NDArray[np.uint8]:
    """Return eight simulated galaxies, 96 x 96, the same on every machine."""
    return simulate(8, size=96, seed=222).pictures


# What the model that ships says of `pictures`; on other processors the last digits differ.
TOLD: dict[str, list[Any]] = {
    "class": ["Merger", "Merger", "Ringed", "Ringed", "Merger", "Normal", "Normal", "Normal"],
    "set_90": [
        "Merger",
        "Ringed|Merger",
        "Ringed",
        "Ringed",
        "Ringed|Merger|Other",
        "Normal",
        "Normal|Other",
        "Normal",
    ],
    "safe_class": [None] * 8,
    "why": ["unlike the training set"] * 8,
    "flags": [0, 0, 0, 0, 0, 0, 0, 0],
    "p_merger": [0.9592, 0.6584, 0.002, 0.0005, 0.451, 0.0083, 0.0076, 0.019],
    "p_round": [0.0033, 0.0013, 0.0, 0.0, 0.0198, 0.0, 0.0003, 0.0],
    "p_odd": [0.999, 0.9956, 0.8727, 0.9799, 0.9984, 0.0068, 0.3115, 0.0008],
    "ood": [1.2762, 1.1547, 1.1679, 1.1739, 1.5205, 1.2553, 1.8814, 1.2025],
    "entropy": [0.2066, 1.0047, 0.373, 0.1407, 1.1401, 0.2706, 0.5434, 0.1799],
}
COLUMNS = (
    "id p_normal p_ringed p_merger p_other p_round p_in_between p_cigar p_edge_on p_spiral p_odd "
    "class class_four_class class_clean5 class_odd set_90 safe_class why ood entropy flags model embedding"
)


def test_the_model_that_ships_says_what_it_always_said(pictures: NDArray[np.uint8]) -> None:
    table = predict(pictures, embeddings=True, verbose=False).to_arrow()
    assert table.column_names == COLUMNS.split()
    for name, values in TOLD.items():
        if isinstance(values[0], float):
            np.testing.assert_allclose(table[name].to_numpy(), values, atol=2e-3, err_msg=name)
        else:
            assert table[name].to_pylist() == values, name


def test_every_form_gives_the_same_rows(pictures: NDArray[np.uint8], tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for number, picture in enumerate(pictures):
        (tmp_path / "folder" / f"{number}.png").write_bytes(encode_picture(picture))
    files = [tmp_path / "folder" / f"{number}.png" for number in range(8)]
    forms: dict[str, Any] = {
        "array": pictures,
        "floats": pictures / np.float32(255),
        "arrays": list(pictures),
        "generator": (picture for picture in pictures),
        "Pillow": [Image.fromarray(picture) for picture in pictures],
        "opened": [Image.open(file) for file in files],
        "folder": tmp_path / "folder",
        "text": str(tmp_path / "folder"),
        "files": files,
        "source": open_source(tmp_path / "folder"),
    }
    tables = {name: predict(form, None, tiny_model, verbose=False).to_arrow() for name, form in forms.items()}
    for name, table in tables.items():
        assert table.drop_columns(["id"]).equals(tables["array"].drop_columns(["id"])), name
    assert tables["array"]["id"].to_pylist() == [f"picture-{number}" for number in range(8)]
    assert tables["files"]["id"].to_pylist() == [f"{number}.png" for number in range(8)]
    one = predict(pictures[3], None, tiny_model, verbose=False)
    assert one.to_arrow().drop_columns(["id"]).equals(tables["array"].drop_columns(["id"]).slice(3, 1))


@pytest.mark.parametrize("options", [{}, {"embeddings": True, "views": 2, "keep": ["survey"]}, {"crop": "whole"}])
@pytest.mark.slow
def test_in_memory_as_on_the_disk(tiny_survey: Path, tiny_model: Path, options: dict[str, Any]) -> None:
    memory = predict(tiny_survey, None, tiny_model, verbose=False, **options)
    disk = predict(tiny_survey, "c.parquet", tiny_model, verbose=False, shard_rows=30, **options)
    assert (memory.path, disk.path) == (None, Path("c.parquet"))
    assert memory.to_arrow().equals(disk.to_arrow())
    for one, other in zip(memory.to_arrow().schema, disk.to_arrow().schema, strict=True):
        assert (one.metadata or {}) == (other.metadata or {})
    assert {**memory.notes, "created": ""} == {**disk.notes, "created": ""}
    assert memory.summary.tally == disk.summary.tally == Catalog("c.parquet").summary.tally
    assert memory.summary.seconds > 0
    assert len(memory.odd(top=3).show().axes) >= 3


def test_pictures_in_memory_are_written_too(pictures: NDArray[np.uint8], tiny_model: Path) -> None:
    catalog = predict(pictures, "c.fits", tiny_model, verbose=False)
    assert catalog.to_astropy()["id"].tolist() == [f"picture-{number}" for number in range(8)]
    assert catalog.path is None
    assert Path("c.fits").is_file()


def test_a_catalogue_of_another_format_can_be_asked(tiny_survey: Path, tiny_model: Path) -> None:
    catalog = predict(tiny_survey, "c.csv", tiny_model, verbose=False)
    assert len(catalog.query("p_odd > 0.3")) == len(
        predict(tiny_survey, None, tiny_model, verbose=False).query("p_odd > 0.3")
    )


def test_a_folder_of_parts_can_be_asked(tiny_survey: Path, tiny_model: Path) -> None:
    catalog = predict(tiny_survey, "parts", tiny_model, verbose=False, shard_rows=30, embeddings=True)
    assert catalog.similar(["sim-001"]).ids == Catalog("parts").similar(["sim-001"]).ids
    assert len(catalog.files) > 1


def test_broken_pictures_keep_their_rows(pictures: NDArray[np.uint8], tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(encode_picture(pictures[0])[:2000])
    with Image.open(tmp_path / "cut.png") as cut:
        catalog = predict([cut, Image.fromarray(pictures[1])], None, tiny_model, verbose=False)
    assert catalog.to_arrow()["flags"].to_pylist() == [1, 0]
    assert catalog.summary.tally.flagged["unreadable"] == 1
    assert list(catalog.summary.tally.problems) == ["picture-0"]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ([1, 2], {}, "picture 0 is int"),
        ([], {}, "no path was given"),
        (np.zeros((5, 5), np.uint8), {}, r"picture 0 has the shape \(5, 5\)"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"id": "name"}, "id: only for data that are given by their path"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"workers": 2}, "workers: only for pictures in files"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"batch_size": 0}, "batch_size has to be at least 1"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"views": 9}, "views has to be between 1 and 8"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"crop": "middle"}, "crop"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"out": "c.xlsx"}, r"received the suffix '\.xlsx'"),
    ],
)
def test_what_cannot_be_done_is_told(given: Any, options: dict[str, Any], message: str, tiny_model: Path) -> None:
    with pytest.raises(UsageError, match=message):
        predict(given, model=tiny_model, verbose=False, **options)


def test_columns_to_keep_have_to_be_there(tiny_survey: Path, tiny_model: Path) -> None:
    with pytest.raises(UnknownNameError, match="no column 'colour'"):
        predict(tiny_survey, None, tiny_model, keep=["colour"], verbose=False)


@pytest.mark.parametrize("out", [None, "c.parquet", "c.csv", "parts"])
def test_labels_of_what_is_not_a_table_are_kept(out: str | None, tiny_model: Path) -> None:
    drawn = simulate(6, size=32)
    np.savez("labelled.npz", data=drawn.pictures, labels=drawn.labels)
    catalog = predict("labelled.npz", out, tiny_model, keep=["four_class"], shard_rows=out and 4, verbose=False)
    assert catalog.to_arrow()["four_class"].to_pylist() == open_source("labelled.npz").labels()
    with pytest.raises(UnknownNameError, match=r"which is not a table\. There are: four_class"):
        predict("labelled.npz", None, tiny_model, keep=["mag"], verbose=False)


def test_what_failed_is_told_and_done_again(tiny_survey: Path, tiny_model: Path) -> None:
    Path("survey").mkdir()
    table = pa.parquet.read_table(tiny_survey)
    for part in range(2):
        pa.parquet.write_table(table.slice(50 * part, 50), f"survey/{part}.parquet")
    content = Path("survey/1.parquet").read_bytes()
    Path("survey/1.parquet").write_bytes(content[:-50])
    with pytest.raises(
        IncompleteError, match=r"1 part of the data failed: 1\.parquet: .*the same call continues"
    ) as told:
        predict("survey", "c.parquet", tiny_model, verbose=False, shard_rows=10)
    assert told.value.summary.tally.rows == 50
    assert not Path("c.parquet").exists()
    Path("survey/1.parquet").write_bytes(content)
    mended = predict("survey", "c.parquet", tiny_model, verbose=False, shard_rows=10)
    assert (mended.summary.kept, len(mended)) == (50, 100)
    Path("survey/1.parquet").write_bytes(content[:-50])
    some = predict("survey", "some.parquet", tiny_model, partial=True, verbose=False)
    assert (len(some), len(some.summary.failed)) == (50, 1)


def test_progress_is_told(pictures: NDArray[np.uint8], tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int | None]] = []
    predict(pictures, None, tiny_model, batch_size=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 8), (6, 8), (8, 8)]
    assert capsys.readouterr().err == ""
    predict(pictures, None, tiny_model)
    assert capsys.readouterr().err.startswith("classified 8 of 8 in ")


def test_stamps_are_cut_where_a_table_says(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(UsageError, match="positions"):
        predict(np.zeros((1, 8, 8, 3), np.uint8), None, tiny_model, positions=tmp_path / "t.csv")


def test_the_framing_can_be_chosen(pictures: NDArray[np.uint8], tiny_model: Path) -> None:
    whole, some = (predict(pictures, None, tiny_model, crop=crop, verbose=False) for crop in ("whole", 40))
    assert (whole.notes["crop"], some.notes["crop"]) == ("whole", "40")
    assert not np.allclose(whole.to_arrow()["p_odd"].to_numpy(), some.to_arrow()["p_odd"].to_numpy())
    assert Framing(32, 40).crop == 40
