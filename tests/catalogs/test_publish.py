"""Published pages: the folder, pictures and columns, and what is refused; in a browser, filters, wall, map, keys."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image
from typer.testing import CliRunner

from browser import Browser, find_barriers, find_unreachable
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.publish import MOST, PAGE, publish
from peculiar.cli import app
from peculiar.errors import DataError, UsageError
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.sources.memory import MemorySource

HOSTILE = "</script><script>window.hacked = true</script>"
COUNT = 60


def write_catalog(path: Path, ids: Any, **columns: Any) -> Path:
    table = pa.table({"id": ids, **columns}).replace_schema_metadata({"credits": f"A survey; {HOSTILE}"})
    pa.parquet.write_table(table, path)
    return path


def pictures_of(ids: list[str]) -> MemorySource:
    pixels = np.zeros((len(ids), 48, 48, 3), np.uint8)
    pixels[:, 16:32, 16:32] = np.linspace(60, 255, len(ids)).astype(np.uint8)[:, None, None, None]
    return MemorySource(pixels, ids)


def read_columns(folder: Path) -> dict[str, Any]:
    text = (folder / "columns.js").read_text(encoding="ascii")
    found: dict[str, Any] = json.loads(text.removeprefix("window.published = ").removesuffix(";\n"))
    return found


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A page with numbers, classes, positions, hostile text, gaps, and a galaxy without a picture."""
    ids = [f"{HOSTILE} {number}" if number == 1 else f"galaxy {number}" for number in range(COUNT)]
    random = np.random.default_rng(222)
    chances = random.random(COUNT).astype(np.float32)
    catalog = write_catalog(
        tmp_path / "catalog.parquet",
        ids,
        **{
            "class": np.array(["Normal", "Ringed", "Ü & <b>|Ringed"])[np.arange(COUNT) % 3],
            "p_ringed": pa.array(
                [None if number == 2 else float(one) for number, one in enumerate(chances)], pa.float32()
            ),
            "ra": random.uniform(10, 20, COUNT),
            "dec": random.uniform(-5, 5, COUNT),
            "survey": ["one"] * COUNT,
            "note": [f"text {number}" for number in range(COUNT)],
        },
    )
    publish(
        catalog, tmp_path / "wall", pictures=pictures_of(ids[:-1]), title=f"Rings {HOSTILE}", command="peculiar ..."
    )
    return tmp_path / "wall"


@pytest.mark.parametrize("names", [("ra", "dec"), ("RAJ2000", "DEJ2000"), ("lon", "lat")])
@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.string()])
def test_ids_and_positions_of_any_table(tmp_path: Path, names: tuple[str, str], kind: pa.DataType) -> None:
    first = 2**63 - 10
    ids = pa.array([str(first + number) for number in range(3)]).cast(kind)
    table = pa.table({"id": ids, names[0]: [10.5, 11, 12], names[1]: [1.0, 2, 3], "other": ids, "count": [1, 2, 3]})
    pa.parquet.write_table(table, tmp_path / "c.parquet")
    ra, dec = names if names == ("lon", "lat") else (None, None)
    catalog = Catalog(tmp_path / "c.parquet", ra=ra, dec=dec)
    publish(catalog, tmp_path / "wall", pictures=pictures_of([str(one) for one in ids.to_pylist()]))
    found = read_columns(tmp_path / "wall")
    assert (found["axes"], found["missing"]) == ([*names], [])
    by_name = {column["name"]: column for column in found["columns"]}
    for name in ("id", "other"):  # JavaScript's numbers would lose their last digits
        column = by_name[name]
        values = (
            [column["categories"][code] for code in column["values"]] if "categories" in column else column["values"]
        )
        assert values == [str(first + number) for number in range(3)]
    assert by_name["count"]["kind"] == "number"
    assert pa.parquet.read_table(tmp_path / "wall" / "catalog.parquet")["other"].type == kind


def test_the_folder_holds_pictures_tables_and_what_to_cite(published: Path) -> None:
    assert {file.name for file in published.iterdir()} == {
        *(PAGE, "page.css", "page.js", "columns.js", "catalog.parquet", "catalog.csv", "citation.bib", "pictures")
    }
    pictures = sorted((published / "pictures" / "000").iterdir(), key=lambda file: int(file.stem))
    assert [file.name for file in pictures] == [f"{row}.jpg" for row in range(COUNT - 1)]
    sizes, middles = set(), []
    for file in pictures:
        with Image.open(file) as picture:
            sizes.add(picture.size)
            middles.append(np.asarray(picture)[96, 96].mean())
    assert sizes == {(192, 192)}
    np.testing.assert_allclose(middles, np.linspace(60, 255, COUNT - 1).astype(np.uint8), atol=4)
    assert len(pa.parquet.read_table(published / "catalog.parquet")) == COUNT
    assert len(pa.csv.read_csv(published / "catalog.csv")) == COUNT
    assert "@misc{source1" in (published / "citation.bib").read_text()
    assert HOSTILE not in (published / PAGE).read_text()


def test_columns_are_numbers_classes_or_text(published: Path) -> None:
    found = read_columns(published)
    columns = {column["name"]: column for column in found["columns"]}
    assert (found["rows"], found["missing"], found["axes"]) == (COUNT, [COUNT - 1], ["ra", "dec"])
    kinds = {name: column["kind"] for name, column in columns.items()}
    assert kinds == {
        **{"id": "text", "class": "category", "p_ringed": "number", "ra": "number", "dec": "number"},
        **{"survey": "category", "note": "category"},
    } | {"note": kinds["note"]}
    numbers = columns["p_ringed"]
    assert numbers["values"][2] is None
    known = [one for one in numbers["values"] if one is not None]
    assert (numbers["low"], numbers["high"]) == (min(known), max(known))
    names = columns["class"]
    assert [names["categories"][one] for one in names["values"][:3]] == ["Normal", "Ringed", "Ü & <b>|Ringed"]


@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.large_string(), pa.uint64()])
def test_ids_of_any_type_find_their_pictures(kind: pa.DataType, tmp_path: Path) -> None:
    ids = ["9223372036854775807", "7", "12"]
    column = pa.array(ids, pa.string()).cast(kind)
    result = publish(write_catalog(tmp_path / "c.parquet", column), tmp_path / "wall", pictures=pictures_of(ids[::-1]))
    assert (result.count, result.missing) == (3, ())
    assert read_columns(result.folder)["columns"][0]["values"] == ids


def test_pictures_in_files_named_after_the_ids_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "survey"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.full((40, 40, 3), 80 * number, np.uint8)).save(folder / f"{number}.png")
    result = publish(write_catalog(tmp_path / "c.parquet", [2, 0, 1]), tmp_path / "wall", pictures=folder)
    assert result.missing == ()
    shown = [
        np.asarray(Image.open(tmp_path / "wall" / "pictures" / "000" / f"{row}.jpg"))[96, 96, 0] for row in range(3)
    ]
    np.testing.assert_allclose(shown, [160, 0, 80], atol=3)


@pytest.mark.parametrize("values", [[1.5, None, float("nan")], [float("inf"), -1.0, 2.0], [None, None, None]])
def test_numbers_that_are_none_are_left_empty(values: list[float | None], tmp_path: Path) -> None:
    ids = ["a", "b", "c"]
    catalog = write_catalog(tmp_path / "c.parquet", ids, size=pa.array(values, pa.float64()))
    publish(catalog, tmp_path / "wall", pictures=pictures_of(ids))
    column = read_columns(tmp_path / "wall")["columns"][1]
    if column["kind"] == "number":
        finite = [None if one is None or not np.isfinite(one) else one for one in values]
        assert column["values"] == finite
    else:
        assert column["categories"] == [""]


def test_a_selection_keeps_its_order(tmp_path: Path) -> None:
    ids = [f"g{number}" for number in range(20)]
    catalog = write_catalog(tmp_path / "c.parquet", ids, score=np.arange(20.0))
    result = publish(
        Catalog(catalog), tmp_path / "wall", pictures=pictures_of(ids), where="score >= 5", by="score", top=3
    )
    assert read_columns(result.folder)["columns"][0]["values"] == ["g19", "g18", "g17"]
    assert "3 galaxies of 20" in result.page.read_text()


def test_a_repeated_id_has_its_picture_each_time(tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path / "c.parquet", ["a", "b", "a"])
    assert publish(catalog, tmp_path / "wall", pictures=pictures_of(["b", "a"])).missing == ()
    assert sorted(file.name for file in (tmp_path / "wall" / "pictures" / "000").iterdir()) == [
        "0.jpg",
        "1.jpg",
        "2.jpg",
    ]


def test_what_cannot_be_published_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    ids = ["a", "b"]
    catalog = write_catalog(tmp_path / "c.parquet", ids, score=[1.0, 2.0])
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").touch()
    for error, message, options in (
        (
            UsageError,
            "no galaxy of c.parquet meets the conditions|no galaxy of .*c.parquet meets",
            {"where": "score > 5"},
        ),
        (UsageError, r"are not known; give them \(--pictures\)", {"pictures": None}),
        (DataError, "none of the 2 galaxies has a readable picture", {"pictures": pictures_of(["x", "y"])}),
        (UsageError, "has to be new, or an empty folder", {"out": full}),
    ):
        given: dict[str, Any] = {"out": tmp_path / "wall", "pictures": pictures_of(ids), **options}
        with pytest.raises(error, match=message):
            publish(catalog, **given)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.parquet", "full"]


def test_a_page_holds_a_hundred_thousand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peculiar.catalogs.publish.MOST", 2)
    catalog = write_catalog(tmp_path / "c.parquet", ["a", "b", "c"])
    with pytest.raises(UsageError, match=r"a page holds up to 2 galaxies; choose some"):
        publish(catalog, tmp_path / "wall", pictures=pictures_of(["a"]))
    assert MOST == 100_000


def test_the_command(tiny_catalog: Path, tiny_survey: Path, tmp_path: Path) -> None:
    words = [
        "publish",
        tiny_catalog,
        "--pictures",
        tiny_survey,
        "--top",
        5,
        "--title",
        "Five",
        "--out",
        tmp_path / "five",
    ]
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    assert "5 galaxies in" in result.output
    page = (tmp_path / "five" / PAGE).read_text()
    assert "<title>Five</title>" in page
    assert "galaxy" in page
    result = CliRunner().invoke(app, [*map(str, words[:-1]), str(tmp_path / "again"), "--json"])
    assert json.loads(result.output) == {"page": str(tmp_path / "again" / PAGE), "galaxies": 5, "missing": []}


def test_the_column_of_ids_of_the_pictures_is_named(tmp_path: Path) -> None:
    ids = [2**63 - 1 - number for number in range(3)]
    catalog = write_catalog(tmp_path / "catalog.parquet", ids, p_odd=[0.1, 0.5, 0.9])
    images = [encode_picture(np.full((32, 32, 3), 60 * number + 60, np.uint8)) for number in range(3)]
    table = pa.table({"key": ids[::-1], "image": images[::-1]})
    pa.parquet.write_table(table, tmp_path / "pictures.parquet")
    words = ["publish", catalog, "--pictures", tmp_path / "pictures.parquet", "--id", "key", "--out", tmp_path / "wall"]
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["missing"] == []
    shades = [np.asarray(Image.open(tmp_path / f"wall/pictures/000/{row}.jpg")).mean() for row in range(3)]
    np.testing.assert_allclose(shades, [60, 120, 180], atol=3)


# In a browser


def open_page(browser: Browser, folder: Path, **options: Any) -> Any:
    page = browser.window(**options)
    page.goto((folder / PAGE).as_uri())
    return page


def wait_until(page: Any, script: str) -> None:
    """Wait for what a script tells; Playwright's own way needs scripts that the page forbids."""
    for _ in range(200):
        if page.evaluate(script):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never: {script}")


def names(page: Any) -> list[str]:
    places = "[...document.querySelectorAll('.tile')].sort((a, b) => a.dataset.number - b.dataset.number)"
    found: list[str] = page.evaluate(f"{places}.map(one => one.title)")
    return found


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1440, "light")])
@pytest.mark.slow
def test_the_page_is_readable(browser: Browser, published: Path, width: int, scheme: str) -> None:
    page = open_page(browser, published, width=width, scheme=scheme)
    assert page.evaluate("document.querySelector('#filters').open") == (width > 900)
    page.evaluate("document.querySelector('#filters').open = true")
    assert find_barriers(page) == []
    assert find_unreachable(page) == []
    page.locator(".tile").first.click()
    assert find_barriers(page) == []
    assert page.evaluate("window.hacked") is None
    assert all(address.startswith(published.as_uri()) for address in browser.asked)


@pytest.mark.slow
def test_filters_sorting_and_the_address(browser: Browser, published: Path) -> None:
    page = open_page(browser, published, width=1440)
    assert page.locator("#count").text_content() == "60 of 60 galaxies"
    page.get_by_role("checkbox", name=re.compile("^Ringed")).check()
    assert page.locator("#count").text_content() == "20 of 60 galaxies"
    page.get_by_label("Sorted by").select_option("p_ringed")
    values = read_columns(published)["columns"][2]["values"]
    expected = sorted(range(1, COUNT, 3), key=lambda row: -values[row])
    ids = read_columns(published)["columns"][0]["values"]
    assert names(page)[:3] == [ids[row] for row in expected[:3]]
    page.get_by_role("checkbox", name="Ü & <b>|Ringed").check()
    assert page.locator("#count").text_content() == "40 of 60 galaxies"
    again = open_page(browser, published, width=1440)
    again.goto(page.url)
    again.reload()
    assert again.locator("#count").text_content() == "40 of 60 galaxies"
    assert names(again)[:3] == names(page)[:3]
    page.get_by_role("checkbox", name="Ü & <b>|Ringed").uncheck()
    page.get_by_label("Find by id").fill("galaxy 4")
    assert set(names(page)) == {ids[row] for row in expected if "galaxy 4" in ids[row]}
    page.get_by_role("button", name="Show all").click()
    assert page.locator("#count").text_content() == "60 of 60 galaxies"
    page.get_by_label("Sorted by").select_option("p_ringed")
    page.get_by_label("lowest first").check()
    page.evaluate("document.querySelector('#wall').scrollTop = 1e6")
    wait_until(page, "document.querySelector('.tile[data-number=\"59\"]')")
    assert names(page)[-1] == "galaxy 2"  # without a value: last, whatever the order


def test_a_galaxy_is_opened_and_left_by_keys(browser: Browser, published: Path) -> None:
    page = open_page(browser, published, width=1440)
    page.locator(".tile").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#name").text_content() == "galaxy 0"
    page.keyboard.press("ArrowRight")
    assert page.locator("#name").text_content() == f"{HOSTILE} 1"
    assert page.locator("dialog img").evaluate("one => one.decode().then(() => one.naturalWidth)") == 192
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    wait_until(page, "document.activeElement.title.endsWith(' 1')")
    page.keyboard.press("End")
    wait_until(page, f"document.activeElement.title === 'galaxy {COUNT - 1}'")
    assert page.locator(".tile[tabindex='0']").count() == 1
    page.keyboard.press("Tab")  # one press leads past the wall
    assert page.evaluate("document.activeElement.textContent") == "catalog.parquet"
    assert page.evaluate("window.hacked") is None


def test_a_rectangle_on_the_map_selects(browser: Browser, published: Path) -> None:
    page = open_page(browser, published, width=1440)
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2)
    page.mouse.up()
    ra = next(column for column in read_columns(published)["columns"] if column["name"] == "ra")
    # Right ascension grows to the left.
    middle = (ra["low"] + ra["high"]) / 2
    expected = sum(value >= middle for value in ra["values"])
    assert page.locator("#count").text_content() == f"{expected} of 60 galaxies"


@pytest.mark.slow
def test_a_hundred_thousand_galaxies_scroll(browser: Browser, tmp_path: Path) -> None:
    ids = [f"g{number}" for number in range(MOST)]
    random = np.random.default_rng(222)
    chances = random.random(MOST).astype(np.float32)
    columns = {f"p_{name}": chances for name in ("normal", "ringed", "merger", "other")}
    catalog = write_catalog(tmp_path / "c.parquet", ids, **columns, ra=360 * chances, dec=90 * chances)
    publish(
        catalog,
        tmp_path / "wall",
        pictures=MemorySource(np.zeros((MOST, 32, 32, 3), np.uint8), ids),
        framing=Framing(32),
    )
    page = open_page(browser, tmp_path / "wall", width=1440)
    page.get_by_label("Sorted by").select_option("p_ringed")
    for share in (0.5, 1):
        page.evaluate(
            f"document.querySelector('#wall').scrollTop = {share} * document.querySelector('#wall').scrollHeight"
        )
        wait_until(page, f"[...document.querySelectorAll('.tile')].some(one => one.dataset.number >= {share} * 99990)")
        assert 10 < page.locator(".tile").count() < 200
    assert page.locator("#count").text_content() == "100,000 of 100,000 galaxies"
