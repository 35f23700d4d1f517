"""The catalogue: rows out are rows in, in every format, with what a reader has to know."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from PIL import Image

from peculiar.catalogs.predict import predict
from peculiar.catalogs.rows import catalog_columns
from peculiar.errors import PeculiarWarning, UsageError
from peculiar.images.decode import encode_picture
from peculiar.models.model_file import load_model
from peculiar.questions.column_names import find_answer_columns
from peculiar.questions.question import ODD, Question
from peculiar.sources import open_source
from peculiar.tables.healpix import healpix_29
from peculiar.tables.reader import TableReader
from pictures import draw_galaxy

PROBABILITIES = [
    "p_normal",
    "p_ringed",
    "p_merger",
    "p_other",
    "p_round",
    "p_in_between",
    "p_cigar",
    "p_edge_on",
    "p_spiral",
    "p_odd",
]


def test_the_catalogue_has_the_stated_columns(tiny_survey: Path, tiny_model: Path) -> None:
    result = predict(open_source(tiny_survey), "c.parquet", load_model(tiny_model), embeddings=True)
    table = pa.parquet.read_table("c.parquet")
    assert table.column_names == [
        "id",
        "ra",
        "dec",
        "_healpix_29",
        *PROBABILITIES,
        "class",
        "class_four_class",
        "class_clean5",
        "class_odd",
        "entropy",
        "flags",
        "model",
        "embedding",
    ]
    assert table["id"].to_pylist() == [f"sim-{number:03d}" for number in range(100)]
    assert table["ra"][3].as_py() == pytest.approx(150.03)
    assert result.summary.tally.rows == 100
    assert sum(result.summary.tally.classes.values()) == 100
    assert len(table["embedding"][0]) == 96
    notes = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert notes["model digest"] == load_model(tiny_model).card.digest
    assert table["model"][0].as_py() == notes["model digest"][:12]
    assert notes["crop"] == "galaxy"
    assert "Willett" in notes["credits"]
    assert table.schema.field("ra").metadata == {
        b"description": b"right ascension, ICRS",
        b"unit": b"deg",
        b"ucd": b"pos.eq.ra;meta.main",
    }


def test_the_probabilities_are_the_model_s(tiny_survey: Path, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    predict(open_source(tiny_survey), "c.parquet", model, batch_size=7)
    table = pa.parquet.read_table("c.parquet")
    pictures = np.stack(
        [one.picture for one in open_source(tiny_survey).galaxies(model.framing) if one.picture is not None]
    )
    answers = model.classify(pictures, framed=True).probabilities
    found = np.stack([table[name].to_numpy() for name in PROBABILITIES], axis=1)
    expected = np.concatenate([answers["four_class"], answers["clean5"], answers["odd"][:, 1:]], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    names = model.card.questions[0].answers
    assert table["class"].to_pylist() == [names[number] for number in expected[:, :4].argmax(axis=1)]
    assert table["class_four_class"] == table["class"]
    shapes = model.card.questions[1].answers
    assert table["class_clean5"].to_pylist() == [shapes[number] for number in expected[:, 4:9].argmax(axis=1)]
    chances = expected[:, :4]
    np.testing.assert_allclose(table["entropy"].to_numpy(), -(chances * np.log(chances)).sum(axis=1), atol=1e-4)


@pytest.mark.parametrize("suffix", ["csv", "fits", "vot", "ecsv"])
def test_every_format_holds_the_same(tiny_survey: Path, tiny_model: Path, suffix: str) -> None:
    model, source = load_model(tiny_model), open_source(tiny_survey)
    predict(source, "c.parquet", model)
    predict(source, f"c.{suffix}", model)
    expected, reader = pa.parquet.read_table("c.parquet"), TableReader(f"c.{suffix}")
    assert list(reader.columns) == expected.column_names
    assert reader.column("id") == expected["id"].to_pylist()
    assert reader.column("class") == expected["class"].to_pylist()
    np.testing.assert_allclose(
        [float(value) for value in reader.column("p_odd")], expected["p_odd"].to_numpy(), rtol=1e-5
    )


def test_units_and_meanings_are_in_fits_and_votable(tiny_survey: Path, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    predict(open_source(tiny_survey), "c.fits", model)
    predict(open_source(tiny_survey), "c.vot", model)
    with fits.open("c.fits") as file:
        header = file[1].header
        assert header["TUNIT2"] == "deg"
        assert header["NOTE2"] == f"model digest = {model.card.digest}"
    table = parse_single_table("c.vot")
    field = table.get_field_by_id_or_name("p_normal")
    assert field.ucd == "stat.probability"
    assert "no identifying characteristics" in " ".join(field.description.split())


def test_what_cannot_be_read_keeps_its_row(tiny_model: Path) -> None:
    pictures = [encode_picture(np.full((40, 40, 3), 90, np.uint8)), b"", b"no picture"]
    pictures.append(encode_picture(np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8)))
    pa.parquet.write_table(pa.table({"id": list("abcd"), "image": pictures}), "t.parquet")
    result = predict(open_source("t.parquet"), "c.parquet", load_model(tiny_model), embeddings=True, batch_size=2)
    table = pa.parquet.read_table("c.parquet")
    assert table["id"].to_pylist() == list("abcd")
    assert table["flags"].to_pylist() == [2, 1, 1, 0]
    assert [value is None for value in table["p_normal"].to_pylist()] == [False, True, True, False]
    assert [value is None for value in table["entropy"].to_pylist()] == [False, True, True, False]
    assert [value is None for value in table["class"].to_pylist()] == [False, True, True, False]
    assert [value is None for value in table["embedding"].to_pylist()] == [False, True, True, False]
    assert result.summary.tally.flagged == {"unreadable": 2, "blank": 1}
    assert set(result.summary.tally.problems) == {"b", "c"}
    assert result.summary.as_dict()["rows"] == 4
    predict(open_source("t.parquet"), "c.fits", load_model(tiny_model), embeddings=True)
    with fits.open("c.fits") as file:
        assert np.isnan(file[1].data["embedding"]).all(axis=1).tolist() == [False, True, True, False]


def test_embeddings_in_csv_are_lists(tiny_survey: Path, tiny_model: Path) -> None:
    predict(open_source(tiny_survey), "c.csv", load_model(tiny_model), embeddings=True)
    assert len(json.loads(TableReader("c.csv").column("embedding")[0])) == 96


def test_an_unknown_suffix_is_refused_before_anything_is_read(tiny_survey: Path, tiny_model: Path) -> None:
    with pytest.raises(UsageError, match=r"written as \.parquet, .*received the suffix '\.xlsx'"):
        predict(open_source(tiny_survey), "c.xlsx", load_model(tiny_model))


def test_another_framing_changes_the_answers(tiny_survey: Path, tiny_model: Path) -> None:
    model, source = load_model(tiny_model), open_source(tiny_survey)
    predict(source, "own.parquet", model)
    predict(source, "whole.parquet", model, crop="whole")
    own, whole = (pa.parquet.read_table(f"{name}.parquet")["p_normal"].to_numpy() for name in ("own", "whole"))
    assert not np.allclose(own, whole)


def test_every_column_is_described(tiny_model: Path) -> None:
    for column in catalog_columns(load_model(tiny_model), positions=True, embeddings=True):
        assert column.description
        assert column.ucd or column.name == "embedding"


def test_what_people_voted_on_has_columns_by_question_and_answer(tiny_model: Path) -> None:
    model = load_model(tiny_model)
    told = (ODD, Question("disk-edge-on", ("yes", "no"), votes=("e_yes", "e_no")), Question("arms", ("no", "yes")))
    changed = model.with_card(model.card.model_copy(update={"questions": told}))
    names = [column.name for column in catalog_columns(changed, positions=False, embeddings=False)]
    assert names[1:5] == ["p_odd", "p_disk-edge-on_yes", "p_disk-edge-on_no", "p_yes"]
    assert find_answer_columns(told[1], names, {}) == names[2:4]
    assert find_answer_columns(ODD, names, {}) == ["p_not_odd", "p_odd"]


def test_the_page_lists_the_columns() -> None:
    columns = catalog_columns(load_model(), positions=True, embeddings=True)
    lines = [
        f"| `{one.name}` | `{one.type}` | {one.unit} | {f'`{one.ucd}`' if one.ucd else ''} | {one.description} |"
        for one in columns
    ]
    page = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")
    assert "\n".join(lines) in page, "the table in docs/catalog.md has to be:\n" + "\n".join(lines)


def test_impossible_positions_have_no_cell(tiny_model: Path, plain_pictures: list[bytes]) -> None:
    columns = {"id": list("abcd"), "image": plain_pictures[:4], "ra": [150.0, None, 9999, -1], "dec": [2.0, 2.0, 2, 2]}
    pa.parquet.write_table(pa.table(columns), "t.parquet")
    with pytest.warns(PeculiarWarning, match="1 of 3 positions are not on the sky"):
        source = open_source("t.parquet")
    predict(source, "c.parquet", load_model(tiny_model))
    table = pa.parquet.read_table("c.parquet")
    assert table["ra"].to_pylist() == [150.0, None, None, 359.0]
    assert [value is None for value in table["_healpix_29"].to_pylist()] == [False, True, True, False]
    assert table["_healpix_29"][0].as_py() == healpix_29(150.0, 2.0)


def odd_pictures() -> dict[str, bytes]:
    """Return pictures of every unusual kind."""
    pixels = draw_galaxy(80, 14, 40, 40)
    grey = Image.fromarray(pixels[..., 0])
    made = {
        "rgb.png": Image.fromarray(pixels),
        "grey.png": grey,
        "alpha.png": Image.fromarray(np.dstack([pixels, np.full((80, 80), 255, np.uint8)])),
        "palette.png": grey.quantize(64),
        "deep.png": Image.fromarray(pixels[..., 0].astype(np.uint16) * 257),
        "cmyk.jpg": Image.fromarray(pixels).convert("CMYK"),
        "wide.png": Image.fromarray(np.pad(pixels, ((0, 0), (60, 60), (0, 0)), mode="edge")),
        "dot.png": Image.new("RGB", (1, 1), (90, 90, 90)),
        "ribbon.png": Image.new("RGB", (20_000, 10), (20, 20, 20)),
    }
    encoded = {}
    for name, picture in made.items():
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG" if name.endswith("jpg") else "PNG")
        encoded[name] = buffer.getvalue()
    buffer = io.BytesIO()
    grey.convert("RGB").save(buffer, "GIF", save_all=True, append_images=[Image.new("RGB", (80, 80))])
    encoded["moving.gif"] = buffer.getvalue()
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(buffer, "JPEG", exif=exif, quality=98)
    encoded["turned.jpg"] = buffer.getvalue()
    return encoded


def test_pictures_of_every_kind_are_classified_alike(tiny_model: Path) -> None:
    Path("odd").mkdir()
    for name, content in odd_pictures().items():
        Path("odd", name).write_bytes(content)
    result = predict(open_source("odd"), "c.parquet", load_model(tiny_model))
    table = pa.parquet.read_table("c.parquet").to_pylist()
    rows = {row["id"]: row for row in table}
    assert set(rows) == set(odd_pictures())
    assert result.summary.tally.problems == {}
    assert {name for name, row in rows.items() if row["flags"] == 2} == {"dot.png", "ribbon.png"}
    for name in set(rows) - {"dot.png", "ribbon.png"}:
        for column in PROBABILITIES:
            assert rows[name][column] == pytest.approx(rows["rgb.png"][column], abs=0.06), (name, column)
