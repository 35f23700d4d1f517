"""Searches: conditions, cones, similarity and oddness; tables and sheets of the results."""

import json
import math
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.coordinates import angular_separation
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.search import Cone, added_column, embed, find_rows, odd_column, parse_cone, selected
from peculiar.catalogs.sheet import draw_sheet, find_pictures
from peculiar.catalogs.sql import run_sql
from peculiar.cli import app
from peculiar.errors import DataError, NotFoundError, PictureError, UnknownNameError, UsageError
from peculiar.images.framing import Framing
from peculiar.labelling.web.gallery import Gallery, Selection
from peculiar.models.model_file import load_model
from peculiar.reports.drawing import save
from peculiar.sources import open_source
from peculiar.tables.column import Column
from peculiar.tables.reader import TableReader


def sky(path: Path, ra: list[float], dec: list[float]) -> Path:
    ids = [f"g{number}" for number in range(len(ra))]
    pa.parquet.write_table(pa.table({"id": ids, "ra": ra, "dec": dec}), path, row_group_size=50)
    return path


def test_a_condition_selects_and_a_column_orders(tiny_catalog: Path) -> None:
    rows = pa.parquet.read_table(tiny_catalog).to_pylist()
    expected = sorted(
        (row for row in rows if row["p_odd"] > 0.3 and row["entropy"] < 1.3), key=lambda row: (-row["p_odd"], row["id"])
    )
    hits = Catalog(tiny_catalog).query("p_odd > 0.3 and entropy < 1.3", by="p_odd", top=7)
    assert hits.ids == [row["id"] for row in expected[:7]]
    assert "embedding" not in hits.to_arrow().column_names
    assert hits.notes["where"] == "p_odd > 0.3 and entropy < 1.3"
    lowest = Catalog(tiny_catalog).query(by="-entropy", top=3, columns=["entropy"])
    assert lowest.to_arrow().column_names == ["id", "entropy"]
    assert lowest.ids == [row["id"] for row in sorted(rows, key=lambda row: row["entropy"])[:3]]
    assert len(Catalog(tiny_catalog).query(top=None)) == 100
    assert Catalog(tiny_catalog).query(top=4).ids == ["sim-000", "sim-001", "sim-002", "sim-003"]
    assert len(Catalog(tiny_catalog).query("p_odd > 2")) == 0


def test_which_rows_meet_a_condition_keeps_their_order(tmp_path: Path) -> None:
    numbers = np.random.default_rng(222).random(5000)
    table = pa.table({"id": [str(n) for n in range(5000)], "x": pa.array(numbers, mask=numbers > 0.9)})
    pa.parquet.write_table(table, tmp_path / "c.parquet", row_group_size=64)
    found = selected(Catalog(tmp_path / "c.parquet"), "x > 0.5")
    np.testing.assert_array_equal(found, (numbers > 0.5) & (numbers <= 0.9))


def test_whole_numbers_of_nineteen_digits_are_compared_exactly(tmp_path: Path) -> None:
    first = 1237648720693755918  # as SDSS and Gaia number theirs
    numbers = pa.array([first + more for more in range(4)])
    pa.parquet.write_table(pa.table({"id": numbers.cast(pa.string()), "objid": numbers}), tmp_path / "c.parquet")
    assert Catalog(tmp_path / "c.parquet").query(f"objid = {first}").ids == [str(first)]
    assert Catalog(tmp_path / "c.parquet").query(f"objid > {first + 1}").ids == [str(first + 2), str(first + 3)]
    assert len(Catalog(tmp_path / "c.parquet").query(f"objid > -{1 << 63} and objid < {'9' * 5_000}")) == 4


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("p > 0.5", "ce"),
        ("0.5 < p", "ce"),
        ("p >= -1", "ace"),
        ("p - 2 * p < 2 and 3 - 2 * p > 1.5", "a"),
        ("1 - p <= 0.3", "ce"),
        ("p between 0 and 9e99", "ac"),
        ("isnan(p)", "b"),
        ("p > q", "c"),
        ("p < q or q > 0.05", "abc"),
    ],
)
def test_what_is_no_number_meets_no_comparison(tmp_path: Path, where: str, found: str) -> None:
    nan, values = float("nan"), [0.1, float("nan"), 0.9, None, float("inf")]
    pa.parquet.write_table(
        pa.table({"id": list("abcde"), "p": values, "q": [0.2, 0.1, 0.3, 0, nan]}), tmp_path / "c.parquet"
    )
    assert "".join(Catalog(tmp_path / "c.parquet").query(where).ids) == found


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("ln(1 - n) > 0.5", ""),
        ("sqrt(1 - n) >= 0", "ab"),
        ("(n - n) / (n - n) > 0", ""),
        ("n % (n - 1) = 0", "ac"),
        ("6 % n > 0 or n = 0", "a"),
    ],
)
def test_whole_numbers_may_lead_to_what_is_no_number(tmp_path: Path, where: str, found: str) -> None:
    pa.parquet.write_table(pa.table({"id": list("abcd"), "n": [0, 1, 2, 3]}), tmp_path / "c.parquet")
    assert "".join(Catalog(tmp_path / "c.parquet").query(where).ids) == found


def test_positions_that_are_text_are_no_cone(tmp_path: Path) -> None:
    columns = {"id": ["a", "b"], "ra": ["1.0", "2.0"], "dec": [0.0, 0.0]}
    pa.parquet.write_table(pa.table(columns), tmp_path / "c.parquet")
    with pytest.raises(UsageError, match=r"column 'ra' of c\.parquet holds string, and numbers are needed"):
        Catalog(tmp_path / "c.parquet").query(cone=Cone(1, 0, 1))
    assert Gallery(Catalog(tmp_path / "c.parquet"), Embeddings.of(np.eye(2)), ["a", "b"]).sky is None


@pytest.mark.parametrize(("by", "order"), [("p", "ecabd"), ("-p", "acebd")])
def test_what_is_no_number_comes_last(tmp_path: Path, by: str, order: str) -> None:
    values = [0.1, float("nan"), 0.9, None, float("inf")]
    pa.parquet.write_table(pa.table({"id": list("abcde"), "p": values}), tmp_path / "c.parquet")
    assert "".join(Catalog(tmp_path / "c.parquet").query(by=by).ids) == order
    rows, _ = find_rows(Catalog(tmp_path / "c.parquet"), by=by)
    assert sorted(rows[3:].tolist()) == [1, 3]
    assert "".join("abcde"[row] for row in rows[:3]) == order[:3]


def test_units_and_meanings_are_kept(tiny_catalog: Path, tmp_path: Path) -> None:
    hits = Catalog(tiny_catalog).query(cone=Cone(150.3, 1.7, 0.1))
    hits.write(tmp_path / "found.parquet")
    schema = pa.parquet.read_schema(tmp_path / "found.parquet")
    assert schema.field("ra").metadata[b"unit"] == b"deg"
    assert schema.field("distance").metadata[b"ucd"] == b"pos.angDistance"
    assert schema.metadata[b"model digest"] == pa.parquet.read_schema(tiny_catalog).metadata[b"model digest"]


@pytest.mark.parametrize("suffix", ["csv", "fits", "vot", "ecsv"])
def test_what_was_found_is_written_in_every_format(tiny_catalog: Path, tmp_path: Path, suffix: str) -> None:
    hits = Catalog(tiny_catalog).similar(["sim-003"], top=5)
    hits.write(tmp_path / f"found.{suffix}")
    reader = TableReader(tmp_path / f"found.{suffix}")
    assert reader.column("id") == hits.ids
    scores = [float(one) for one in reader.column("score")]
    np.testing.assert_allclose(scores, hits.to_arrow()["score"].to_numpy(), rtol=1e-5)


@settings(deadline=None, max_examples=30)
@given(
    ra=st.floats(0, 360),
    dec=st.sampled_from([-90.0, -89.9, -30.0, 0.0, 45.0, 89.99, 90.0]),
    radius=st.sampled_from([0.0003, 0.01, 1.0, 12.0, 90.0, 179.0]),
    seed=st.integers(0, 1000),
)
def test_a_cone_holds_what_lies_within(
    tmp_path_factory: pytest.TempPathFactory, ra: float, dec: float, radius: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    # Some galaxies anywhere, some about the edge of the cone, on both sides of 0 and 360 degrees.
    angles, distances = random.uniform(0, 2 * np.pi, 150), np.radians(radius) * random.uniform(0, 2, 150)
    near_dec = np.arcsin(
        np.clip(
            np.sin(np.radians(dec)) * np.cos(distances) + np.cos(np.radians(dec)) * np.sin(distances) * np.cos(angles),
            -1,
            1,
        )
    )
    near_ra = np.radians(ra) + np.arctan2(
        np.sin(angles) * np.sin(distances) * np.cos(np.radians(dec)),
        np.cos(distances) - np.sin(np.radians(dec)) * np.sin(near_dec),
    )
    ras = np.r_[random.uniform(0, 360, 100), np.degrees(near_ra) % 360]
    decs = np.r_[np.degrees(np.arcsin(random.uniform(-1, 1, 100))), np.degrees(near_dec)]
    path = sky(tmp_path_factory.mktemp("sky") / "c.parquet", ras.tolist(), decs.tolist())
    true = np.degrees(angular_separation(*np.radians([ra, dec]), np.radians(ras), np.radians(decs)))
    hits = Catalog(path).query(cone=Cone(ra, dec, radius), top=None)
    found = {int(id_[1:]) for id_ in hits.ids}
    assert set(np.flatnonzero(true < radius - 1e-6)) <= found <= set(np.flatnonzero(true < radius + 1e-6))
    distances = hits.to_arrow()["distance"].to_numpy()
    np.testing.assert_allclose(distances, true[[int(id_[1:]) for id_ in hits.ids]], atol=1e-5)
    assert (np.diff(distances) >= 0).all()


def test_what_a_cone_found_can_be_searched_by_another_cone(tmp_path: Path) -> None:
    Catalog(sky(tmp_path / "c.parquet", [1, 2, 3, 4], [0, 0, 0, 0])).query(cone=Cone(1, 0, 5)).write(
        tmp_path / "first.parquet"
    )
    catalog = Catalog(tmp_path / "first.parquet")
    again = catalog.query("distance > 0", cone=Cone(4, 0, 1.5))
    assert list(again.columns) == again.to_arrow().column_names == ["id", "ra", "dec", "distance"]
    np.testing.assert_allclose(again.to_arrow()["distance"].to_numpy(), [0, 1], atol=1e-9)
    again.write(tmp_path / "again.fits")
    gallery = Gallery(catalog, Embeddings.of(np.eye(4)), again.ids).table(Selection(cone="4,0,1.5"))
    np.testing.assert_allclose(gallery.to_arrow()["distance"].to_numpy(), [0, 1], atol=1e-9)


def test_a_cone_across_the_meridian_and_over_a_pole(tmp_path: Path) -> None:
    path = sky(tmp_path / "c.parquet", [359.99, 0.01, 180.0, 90.0, math.nan], [0.0, 0.0, 89.9, 89.9, 0.0])
    assert sorted(Catalog(path).query(cone=Cone(0, 0, 0.02)).ids) == ["g0", "g1"]
    assert sorted(Catalog(path).query(cone=Cone(360, 0, 0.02)).ids) == ["g0", "g1"]
    assert Catalog(path).query(cone=Cone(-0.01, 0, 0.001)).ids == ["g0"]
    assert sorted(Catalog(path).query(cone=Cone(0, 90, 0.2)).ids) == ["g2", "g3"]
    assert Catalog(path).query(cone=Cone(0, 89.9, 0.2001)).ids == ["g3", "g2"]


@pytest.mark.parametrize(
    ("text", "cone"),
    [
        ("150.1,2.2,0.5", Cone(150.1, 2.2, 0.5)),
        (" 150.1, -2.2 , 30arcsec", Cone(150.1, -2.2, 30 / 3600)),
        ("1e2,+2,3 ArcMin", Cone(100, 2, 0.05)),
        ("10deg,2deg,1deg", Cone(10, 2, 1)),
        ("10,-.5,.25", Cone(10, -0.5, 0.25)),
    ],
)
def test_cones_as_people_type_them(text: str, cone: Cone) -> None:
    assert parse_cone(text) == cone


@pytest.mark.parametrize("text", ["150.1,2.2", "a,b,c", "1,2,3 parsec", "1 2 3", "1,2,nan", ""])
def test_what_is_no_cone(text: str) -> None:
    with pytest.raises(UsageError, match="a cone is RA,DEC,RADIUS"):
        parse_cone(text)


def test_cones_outside_the_sky(tiny_catalog: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="are right ascension and declination swapped"):
        parse_cone("2.2,150.1,1")
    with pytest.raises(UsageError, match="a radius up to 180"):
        parse_cone("2.2,15,200")
    with pytest.raises(UsageError, match="received 1, 2, -1"):
        parse_cone("1,2,-1")
    pa.parquet.write_table(pa.table({"id": ["a"]}), tmp_path / "c.parquet")
    with pytest.raises(UnknownNameError, match="no column 'ra'"):
        Catalog(tmp_path / "c.parquet").query(cone=Cone(1, 2, 3))


def test_conditions_that_do_not_fit_the_catalogue(tiny_catalog: Path) -> None:
    with pytest.raises(UsageError, match=r"the condition 'class > 3' does not fit the columns of tiny\.parquet"):
        Catalog(tiny_catalog).query("class > 3")
    with pytest.raises(UsageError, match="top has to be at least 1; received 0"):
        Catalog(tiny_catalog).query(top=0)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'entropy'"):
        Catalog(tiny_catalog).query(by="-entropie")
    with pytest.raises(UnknownNameError, match=r"no column 'p_od'"):
        Catalog(tiny_catalog).query(columns=["p_od"])
    with pytest.raises(UsageError, match="cannot be sorted by"):
        Catalog(tiny_catalog).query(by="embedding")


@pytest.mark.parametrize(
    "hostile",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/hostname')",
        "ATTACH '{folder}/x.db'",
        "COPY catalog TO '{folder}/x.csv'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM secret",
        "SELECT getenv('HOME')",
    ],
)
def test_what_got_past_the_grammar_would_reach_nothing(tiny_catalog: Path, tmp_path: Path, hostile: str) -> None:
    secret = pa.table({"x": [1]})  # DuckDB would otherwise find Python's variables by name
    catalog = Catalog(tiny_catalog)
    with pytest.raises((DataError, UsageError, duckdb.Error)):
        run_sql(catalog, hostile.format(folder=tmp_path), [], None)
    assert secret.num_rows == 1
    assert not list(tmp_path.glob("x*"))


def test_similar_galaxies_have_the_same_shape(tiny_catalog: Path) -> None:
    # Every fourth of the drawn galaxies has the same shape.
    hits = Catalog(tiny_catalog).similar(["sim-002", "sim-006"], top=10)
    assert not {"sim-002", "sim-006"} & set(hits.ids)
    assert sum(int(id_[4:]) % 4 == 2 for id_ in hits.ids) >= 8
    scores = hits.to_arrow()["score"].to_numpy()
    assert (np.diff(scores) <= 0).all()
    assert scores.max() <= 1.0001
    raw = np.stack(pa.parquet.read_table(tiny_catalog)["embedding"].to_numpy())
    unit = raw - raw.mean(axis=0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    mean = unit[[2, 6]].mean(axis=0)
    exact = unit @ mean / np.linalg.norm(mean)
    exact[[2, 6]] = -2
    assert hits.ids[0] == f"sim-{exact.argmax():03d}"
    np.testing.assert_allclose(scores[0], exact.max(), atol=1e-4)


def test_similar_galaxies_among_some(tiny_catalog: Path) -> None:
    hits = Catalog(tiny_catalog).similar(["sim-002"], where="id < 'sim-050'", cone=Cone(150.0, 2.0, 0.4), top=100)
    assert 0 < len(hits) < 50
    assert all(id_ < "sim-050" for id_ in hits.ids)


def test_a_picture_of_one_s_own(tiny_catalog: Path, tiny_survey: Path, tiny_model: Path, tmp_path: Path) -> None:
    row = next(row for row in open_source(tiny_survey).rows(7, 8))
    assert isinstance(row.content, bytes)
    (tmp_path / "mine.png").write_bytes(row.content)
    catalog, model = Catalog(tiny_catalog), load_model(tiny_model)
    hits = catalog.similar(examples=[tmp_path / "mine.png"], model=model, top=1)
    assert hits.ids == ["sim-007"]
    assert hits.to_arrow()["score"][0].as_py() == pytest.approx(1, abs=1e-3)
    with pytest.raises(UsageError, match="was made by the model"):
        embed(catalog, load_model(), [tmp_path / "mine.png"])
    with pytest.raises(NotFoundError, match="there is no picture at"):
        embed(catalog, model, [tmp_path / "other.png"])
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"bad\.png cannot be read"):
        embed(catalog, model, [tmp_path / "bad.png"])


def test_examples_that_are_none(tiny_catalog: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give at least one example"):
        Catalog(tiny_catalog).similar()
    with pytest.raises(UnknownNameError, match="no galaxy 'sim-200'"):
        Catalog(tiny_catalog).similar(["sim-200"])
    with pytest.raises(UsageError, match="top has to be"):
        Catalog(tiny_catalog).similar(["sim-002"], top=0)
    table = pa.table({"id": ["a", "b"], "embedding": pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))})
    pa.parquet.write_table(table, tmp_path / "c.parquet")
    with pytest.raises(UsageError, match="b has no embedding"):
        Catalog(tmp_path / "c.parquet").similar(["b"])


def test_odd_by_class_and_by_uncertainty(tiny_catalog: Path, tmp_path: Path) -> None:
    table = pa.parquet.read_table(tiny_catalog)
    assert Catalog(tiny_catalog).odd(top=1).ids[0] == table["id"][int(np.argmax(table["p_odd"].to_numpy()))].as_py()
    unsure = Catalog(tiny_catalog).odd("uncertainty", top=1).ids[0]
    assert unsure == table["id"][int(np.argmax(table["entropy"].to_numpy()))].as_py()
    pa.parquet.write_table(table.drop_columns(["p_odd"]), tmp_path / "c.parquet")
    least = Catalog(tmp_path / "c.parquet").odd(top=1).ids[0]
    assert least == table["id"][int(np.argmin(table["p_normal"].to_numpy()))].as_py()
    with pytest.raises(UnknownNameError, match="no way to be odd 'colour'"):
        Catalog(tiny_catalog).odd("colour")


def test_pictures_in_files_named_after_the_ids_are_found(tiny_survey: Path, tmp_path: Path) -> None:
    ids = ["sim-003", "sim-001"]
    for row in pa.parquet.read_table(tiny_survey).slice(0, 5).to_pylist():
        (tmp_path / f"{row['id'].upper()}.png").write_bytes(row["image"]["bytes"])
    named, exact = (find_pictures(open_source(one), ids, Framing(32)) for one in (tmp_path, tiny_survey))
    assert set(named) == set(ids)
    for id_ in ids:
        np.testing.assert_array_equal(named[id_], exact[id_])


def test_a_sheet_shows_the_pictures_and_names_those_that_are_missing(
    tiny_catalog: Path, tiny_survey: Path, tmp_path: Path
) -> None:
    found = Catalog(tiny_catalog).query(top=7)
    figure, missing = draw_sheet(found, open_source(tiny_survey), Framing(32), "p_odd")
    assert missing == []
    save(figure, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.width > picture.height > 300
    renamed = found.with_column(found.columns["id"], pa.array(["sim-000", *(f"lost-{n}" for n in range(6))]))
    assert draw_sheet(renamed, open_source(tiny_survey), Framing(32))[1] == [f"lost-{n}" for n in range(6)]
    alone = renamed.query("id <> 'sim-000'")
    with pytest.raises(DataError, match="none of the 6 galaxies found has a readable picture"):
        draw_sheet(alone, open_source(tiny_survey), Framing(32))


def test_json_holds_what_json_has_no_word_for(tmp_path: Path) -> None:
    values = {
        "id": ["a"],
        "p": [math.nan],
        "q": [0.5],
        "n": [3],
        "at": pa.array([0], pa.timestamp("s")),
        "far": [math.inf],
    }
    pa.parquet.write_table(pa.table(values), tmp_path / "c.parquet")
    told = CliRunner().invoke(app, ["search", str(tmp_path / "c.parquet"), "--json"]).stdout
    (found,) = json.loads(told, parse_constant=lambda text: pytest.fail(text))["found"]
    assert found == {"id": "a", "p": None, "q": 0.5, "n": 3, "at": "1970-01-01 00:00:00", "far": None}


@pytest.mark.slow
def test_the_commands(tiny_catalog: Path, tiny_survey: Path) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["search", *words])
        assert result.exit_code == 0, f"{words}\n{result.output}\n{result.exception!r}"
        return result.stdout

    catalog, survey = str(tiny_catalog), str(tiny_survey)
    short = run(catalog, "--where", "p_odd > 0.1", "--by", "p_odd", "--top", "3")
    assert short == run("query", catalog, "--where", "p_odd > 0.1", "--by", "p_odd", "--top", "3")
    assert short == run("--where", "p_odd > 0.1", "--by", "p_odd", "--top", "3", catalog)
    assert "3 galaxies" in short
    named = run(catalog, "--where", "p_odd > 0.1 and entropy > 0", "--by", "p_odd", "--top", "3")
    assert named.split()[:4] == ["id", "p_odd", "class", "entropy"]
    assert run(catalog, "--columns", "id,p_ringed", "--top", "3").split()[:2] == ["id", "p_ringed"]
    assert '"without_picture": []' in run(catalog, "--top", "1", "--json")
    assert "sim-000" in run(catalog, "--cone", "150,2,1arcsec")
    run("similar", catalog, "--galaxy", "sim-001", "--out", "s.csv", "--sheet", "s.png", "--pictures", survey)
    assert Path("s.csv").is_file()
    assert Path("s.png").is_file()
    assert "entropy" in run("odd", catalog, "--by", "uncertainty")
    assert "score" in run("anomalies", catalog, "--out", "a.csv", "--top", "4") + Path("a.csv").read_text()
    lines = Path("a.csv").read_text().splitlines()
    Path("mine.csv").write_text("id,interesting\n" + lines[1].split(",")[0] + ",yes\n")
    assert "3 galaxies" in run("anomalies", catalog, "--interesting", "mine.csv", "--new", "--top", "3")
    assert "100 galaxies" in run("map", catalog, "--out", "m.parquet", "--sheet", "m.png", "--pictures", survey)
    assert "no_such" in CliRunner().invoke(app, ["search", catalog, "--where", "no_such = 1"]).exception.args[0]
    for words in (["--sheet", "x.png"], ["--pictures", survey]):
        assert isinstance(CliRunner().invoke(app, ["search", catalog, *words]).exception, UsageError)
    assert isinstance(CliRunner().invoke(app, ["search", "map", catalog]).exception, UsageError)
    mistyped = CliRunner().invoke(app, ["search", "simlar", catalog])
    assert mistyped.exit_code == 2
    assert "simlar" in mistyped.output


def test_columns_that_differ_in_case_alone_are_told_apart(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b", "c"], "g": [1.0, 2.0, 3.0], "G": [30.0, 20.0, 10.0], "G 2": [7.0, 8.0, 9.0]})
    pa.parquet.write_table(table, tmp_path / "catalog.parquet")
    found = Catalog(tmp_path / "catalog.parquet").query("G < 25", by="g")
    assert found.to_arrow().to_pydict() == {"id": ["c", "b"], "g": [3.0, 2.0], "G": [10.0, 20.0], "G 2": [9.0, 8.0]}
    rows, _ = find_rows(Catalog(tmp_path / "catalog.parquet"), "g > 1", by="G")
    assert rows.tolist() == [1, 2]


def test_a_column_of_the_catalogue_is_not_replaced_by_one_of_a_search(tmp_path: Path) -> None:
    known = Column("Similarity", pa.float32(), ucd="stat.value")
    path = tmp_path / "c.parquet"
    schema = pa.schema([pa.field("id", pa.string()), known.field()])
    pa.parquet.write_table(pa.table([["g"], pa.array([0.5], pa.float32())], schema=schema), path)
    catalog = Catalog(path)
    added = Column("similarity", pa.float32(), ucd="stat.correlation")
    assert added_column(added, catalog).name == "similarity_2"
    assert added_column(Column("distance", pa.float32()), catalog).name == "distance"
    assert selected(catalog).tolist() == [True]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["p_odd", "p_normal"], "p_odd"),
        (["p_odd_odd", "p_mine_odd", "p_normal"], "p_odd_odd"),
        (["p_normal"], "-p_normal"),
        (["p_four_class_normal", "p_mine_normal"], "-p_four_class_normal"),
        (["p_other"], "p_odd"),
    ],
)
def test_the_odd_are_found_if_a_taught_question_has_an_answer_of_that_name(
    columns: list[str], expected: str, tmp_path: Path
) -> None:
    pa.parquet.write_table(pa.table({"id": ["a"], **{name: [0.5] for name in columns}}), tmp_path / "c.parquet")
    assert odd_column(Catalog(tmp_path / "c.parquet"), "class") == expected
