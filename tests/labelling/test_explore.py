"""The screen of a catalogue: facets, arrays of the maps, lasso, what is sought, the way through a selection."""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from matplotlib.path import Path as Outline
from starlette.testclient import TestClient

from browser import Browser, find_barriers
from labelling_pages import HERE, shown
from labelling_server import Servers
from peculiar.catalogs.catalog import Catalog
from peculiar.errors import UsageError
from peculiar.labelling.database import Labels
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.charts import HEIGHT, WIDTH, Lasso, Sky, parse_shape
from peculiar.labelling.web.explore import parse_position
from peculiar.labelling.web.facets import BINS, Counts, Facets, Histogram
from peculiar.labelling.web.gallery import Gallery
from peculiar.labelling.web.guard import Guard
from peculiar.labelling.web.selection import Selection
from peculiar.labelling.web.serve import open_gallery, open_session
from peculiar.labelling.web.session import Session

COLUMN = 'it\'s "odd" é'


@pytest.fixture(scope="module")
def rich_catalog(tmp_path_factory: pytest.TempPathFactory, drawn_catalog: Path) -> Path:
    """A catalogue with classes, flags, whole numbers, a null in ten and a column of a hostile name."""
    table = pa.parquet.read_table(drawn_catalog)
    row = np.arange(len(table))
    kinds = [["plain", "it's ringed", "<b>"][number % 3] for number in row]
    more = {
        "class": pa.array([None if number % 10 == 0 else kinds[number] for number in row]),
        "flags": pa.array(np.select([row % 4 == 0, row % 7 == 0], [4, 20], 0), pa.int32()),
        "count": pa.array(row % 5, pa.int16()),
        COLUMN: pa.array([None if number % 10 == 1 else number - 50.5 for number in row]),
        "name": pa.array([f"NGC {1000 + number}" for number in row]),
        "empty": pa.array([None] * len(table), pa.float64()),
    }
    for name, values in more.items():
        table = table.append_column(name, values)
    path = tmp_path_factory.mktemp("rich") / "rich.parquet"
    pa.parquet.write_table(table, path)
    return path


@pytest.fixture(scope="module")
def session(rich_catalog: Path, tiny_survey: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("session")
    with pytest.MonkeyPatch.context() as patch, Labels(folder / "labels.db") as labels:
        patch.setenv("PECULIAR_CACHE", str(folder / "cache"))
        opened = open_session(rich_catalog, labels, pictures=tiny_survey, question="odd")
        yield opened
        assert opened.loop is not None
        opened.loop.wait()
        opened.pictures.close()


@pytest.fixture(scope="module")
def gallery(session: Session, rich_catalog: Path) -> Iterator[Gallery]:
    opened = open_gallery(session, Catalog(rich_catalog))
    yield opened
    opened.layout.wait()


@pytest.fixture(scope="module")
def client(session: Session, gallery: Gallery) -> Iterator[TestClient]:
    with TestClient(Guard(make_app(session, gallery)), base_url=HERE, follow_redirects=False) as opened:
        yield opened


def narrowed(**columns: Any) -> Selection:
    return Selection(narrow=json.dumps(columns))


@pytest.mark.parametrize(
    ("narrow", "rows"),
    [
        ({"count": [1, 3]}, [row for row in range(100) if row % 5 in (1, 2)]),
        ({"count": [None, None]}, list(range(100))),
        ({COLUMN: [None, -40.5]}, [row for row in range(10) if row % 10 != 1]),
        ({"class": ["it's ringed"]}, [row for row in range(100) if row % 3 == 1 and row % 10]),
        ({"class": []}, []),
        ({"flags": ["0"]}, [row for row in range(100) if row % 4 and row % 7]),
        ({"flags": ["16", "0"]}, [row for row in range(100) if row % 4]),
        (
            {"class": ["<b>", "plain"], "count": [4, None]},
            [r for r in range(100) if r % 3 != 1 and r % 5 == 4 and r % 10],
        ),
    ],
)
def test_conditions_on_columns_narrow_the_gallery(gallery: Gallery, narrow: dict[str, Any], rows: list[int]) -> None:
    assert gallery.rows(narrowed(**narrow)).tolist() == rows


@pytest.mark.parametrize("text", ["x", "[]", '{"a": 1}', '{"a": [1]}', '{"a": [1, "b"]}', '{"a": [NaN, 1]}'])
def test_what_is_no_condition_on_columns_is_refused(gallery: Gallery, client: TestClient, text: str) -> None:
    with pytest.raises(UsageError, match="narrow holds conditions"):
        gallery.rows(Selection(narrow=text))
    for page in ("/gallery", "/facets"):
        got = client.get(page, params={"narrow": text})
        assert got.status_code == 200
        assert "narrow holds conditions" in got.text


def test_facets_count_what_a_click_finds(gallery: Gallery) -> None:
    selection = Selection(where="p_odd > 0.2", narrow=json.dumps({"class": ["plain"], "count": [1, None]}))
    found = {one.name: one for one in Facets(gallery).of(selection)}
    assert list(found) == ["class", "flags", "p_not_odd", "p_odd", "entropy", "count", COLUMN]
    counts = found["class"]
    assert isinstance(counts, Counts)
    assert [(entry.value, entry.chosen) for entry in counts.entries if entry.chosen] == [("plain", True)]
    for facet in (counts, found["flags"]):
        assert isinstance(facet, Counts)
        for entry in facet.entries:
            alone = selection.narrowing({**selection.narrowed(), facet.name: [entry.value]})
            assert entry.count == len(gallery.rows(alone)) > 0
            assert entry.value in str(entry.leads.narrowed().get(facet.name)) or entry.chosen
    assert "class" not in next(one for one in counts.entries if one.chosen).leads.narrowed()
    for name in ("p_odd", "count", COLUMN):
        histogram = found[name]
        assert isinstance(histogram, Histogram)
        assert len(histogram.counts) == BINS
        for low, high in ((0, BINS), (3, 20), (0, 9), (25, BINS)):
            ends = [histogram.edges[low] if low else None, histogram.edges[high] if high < BINS else None]
            rows = gallery.rows(selection.narrowing({**selection.narrowed(), name: tuple(ends)}))
            assert len(rows) == sum(histogram.counts[low:high])
    assert isinstance(found["count"], Histogram)
    assert found["count"].edges[found["count"].low] == pytest.approx(1, abs=0.15)


def test_facets_are_a_fragment_or_a_page(client: TestClient) -> None:
    part = client.get("/facets", params={"on": "map"}, headers={"HX-Request": "true"}).text
    page = client.get("/facets", params={"on": "map"}).text
    assert "<html" not in part
    assert part.strip() in page
    assert "<b>" not in part
    links = [html.unescape(one) for one in re.findall(r'href="(/map\?[^"]+)"', part)]
    assert len(links) == 3 + 3
    assert len(shown(client.get(links[0]).text)) == min(60, int(re.findall(r'soft">(\d+)<', part)[0]))


def test_the_arrays_of_a_map_are_what_is_drawn(client: TestClient, gallery: Gallery) -> None:
    sky = np.frombuffer(client.get("/points/sky.bin").content, "<f4").reshape(-1, 2)
    ra, dec = 150 + np.arange(100) / 100, 2 - np.arange(100) / 100
    frame = gallery.frame("sky")
    np.testing.assert_allclose(sky, np.column_stack(frame.place(ra, dec)), rtol=1e-6)
    assert ((sky >= 0) & (sky <= (WIDTH, HEIGHT))).all()
    bits = np.unpackbits(np.frombuffer(client.get("/map/chosen.bin", params={"where": "count = 3"}).content, np.uint8))
    assert np.flatnonzero(bits[:100]).tolist() == [row for row in range(100) if row % 5 == 3]
    classes = np.frombuffer(client.get("/map/colour.bin", params={"colour": "class"}).content, np.uint8)
    assert len(classes) == 100
    assert (classes == 0).tolist() == [row % 10 == 0 for row in range(100)]
    assert len({classes[row] for row in range(100) if row % 3 == 1 and row % 10}) == 1
    scale = np.frombuffer(client.get("/map/colour.bin", params={"colour": COLUMN}).content, np.uint8)
    known = scale[scale > 0]
    assert (scale == 0).sum() == 10
    assert (np.diff(known.astype(int)) >= 0).all()
    assert (known[0], known[-1]) == (1, 255)
    gallery.layout.wait()
    assert client.get("/points/map.bin").status_code in (200, 404)
    assert client.get("/map/chosen.bin", params={"where": "nonsense"}).status_code == 400


def test_a_lasso_holds_what_lies_within_its_drawing() -> None:
    random = np.random.default_rng(222)
    ra, dec = (random.normal(0, 3, 4000)) % 360, random.normal(60, 3, 4000)
    sky = Sky.around(ra, dec)
    lasso = parse_shape("358,58,2,57,1,60,3,63,359,64,0,61", "sky")
    assert isinstance(lasso, Lasso)
    outline = Outline([tuple(map(float, one.split(","))) for one in sky.outline(lasso).split()])
    held = sky.holds(lasso, ra, dec)
    places = np.column_stack(sky.place(ra, dec))
    # Numbers of the drawing are rounded to a tenth of a pixel.
    clear = outline.contains_points(places, radius=0.2) == outline.contains_points(places, radius=-0.2)
    assert 100 < held.sum() < 2000
    assert (held == outline.contains_points(places))[clear].all()
    assert not sky.holds(lasso, np.array([np.nan]), np.array([60.0])).any()


def test_a_lasso_is_part_of_an_address(client: TestClient) -> None:
    around = "150.095,1.5,150.355,1.5,150.355,2.2,150.095,2.2,150.09,1.9"
    for page in ("/map", "/gallery"):
        got = client.get(page, params={"sky": around})
        assert shown(got.text) == list(range(10, 36))
        assert f'value="{around}"' in got.text
    assert "Zoom to it" not in client.get("/map", params={"sky": around}).text
    assert client.get("/map/sky.png", params={"sky": around}).status_code == 200
    assert client.get("/gallery", params={"sky": "1," * 500 + "1"}).status_code == 422


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("150.1 2.2", (150.1, 2.2)),
        ("150.1, -2.2", (150.1, -2.2)),
        ("150.1 deg −2.2", (150.1, -2.2)),
        ("10:00:24 +02:12:00", (150.1, 2.2)),
        ("10h00m24s -00d12m00s", (150.1, -0.2)),
        ("10 00 24.0 02 12 00", (150.1, 2.2)),
        ("400 2", None),
        ("150.1", None),
        ("NGC 1433", None),
        ("", None),
    ],
)
def test_positions_are_understood(text: str, position: tuple[float, float] | None) -> None:
    assert parse_position(text) == (None if position is None else pytest.approx(position))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("150.1 1.9", [9, 10, 11]),
        ("10:00:24 +01:54:00", [9, 10, 11]),
        ("sim-04", list(range(40, 50))),
        ("ngc 107", list(range(70, 80))),
        ("no such '; drop", []),
        ("  ", list(range(60))),
    ],
)
def test_galaxies_are_found_by_name_and_position(client: TestClient, text: str, rows: list[int]) -> None:
    led = client.get("/find", params={"text": text, "on": "map"})
    assert led.status_code == 303
    assert led.headers["location"].startswith("/map?")
    assert sorted(shown(client.get(led.headers["location"]).text)) == rows


def test_a_galaxy_is_found_by_its_id(client: TestClient) -> None:
    assert client.get("/find", params={"text": " sim-042 "}).headers["location"] == "/galaxy/42"


def test_a_galaxy_knows_the_way_through_its_selection(client: TestClient) -> None:
    selection = {"where": "count = 2", "by": "-entropy", "size": "l"}
    wall = client.get("/gallery", params=selection).text
    order = shown(wall)
    links = [html.unescape(one) for one in re.findall(r'href="(/galaxy/[^"]+)"', wall)]
    page = client.get(links[4]).text
    assert "5 of 20" in page
    lead = {
        rel: html.unescape(one) for one, rel in re.findall(r'href="([^"]+)" rel="(\w+)"', page) if rel != "noreferrer"
    }
    assert [int(re.findall(r"/galaxy/(\d+)", lead[rel])[0]) for rel in ("prev", "next")] == [order[3], order[5]]
    back = html.unescape(re.search(r'href="(/gallery[^"]+)" data-key="escape"', page)[1])  # type: ignore[index]
    assert back.endswith(f"#g{order[4]}")
    assert shown(client.get(back).text) == order
    assert f'id="g{order[4]}"' in wall
    # At the ends there is one way only; a galaxy that the selection no longer holds has none.
    assert 'rel="prev"' not in client.get(links[0]).text
    assert "of 20" not in client.get(links[4].replace("count+%3D+2", "count+%3D+3")).text


def test_tiles_say_what_they_are_sorted_by(client: TestClient) -> None:
    table = client.get("/gallery/found.csv", params={"by": "entropy"}).text.splitlines()
    column = table[0].replace('"', "").split(",").index("entropy")
    first = float(table[1].split(",")[column])
    assert (
        re.search(r"<small>([^<]*)", client.get("/gallery", params={"by": "entropy"}).text)[1] == f"entropy {first:.3g}"
    )  # type: ignore[index]
    assert "away</small>" in client.get("/gallery", params={"cone": "150.1,1.9,1"}).text
    assert "<small>" not in client.get("/gallery").text
    large = client.get("/gallery", params={"size": "l"}).text
    assert 'class="tiles" data-size="l"' in large
    assert "/large?" in large


def test_a_card_is_short(client: TestClient) -> None:
    card = client.get("/galaxy/13/card").text
    assert "<html" not in card
    assert "sim-013" in card
    assert ">150.13000<" in card
    assert "it&#39;s ringed" in card
    assert client.get("/galaxy/100/card").status_code == 400


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_the_screen_in_a_browser(
    browser: Browser, rich_catalog: Path, tiny_survey: Path, tmp_path: Path, servers: Servers
) -> None:
    server = servers(rich_catalog, tmp_path, "--pictures", tiny_survey, "--question", "odd", "--port", 0)
    page = browser.window(width=1440)
    page.goto(f"{server.address}/?who=Ada")
    page.goto(f"{server.address}/map?colour=class")
    for kind in ("sky", "map"):
        page.wait_for_selector(f'.field[data-kind="{kind}"][data-ready]', timeout=60_000)
    page.wait_for_selector("fieldset.facet")
    assert find_barriers(page) == []

    def place(row: int) -> tuple[float, float]:
        """Return where a galaxy lies on the map of the sky, in the window."""
        x, y = np.frombuffer(page.request.get(f"{server.address}/points/sky.bin").body(), "<f4").reshape(-1, 2)[row]
        box = page.locator('.field[data-kind="sky"]').bounding_box()
        return box["x"] + float(x) / WIDTH * box["width"], box["y"] + float(y) / HEIGHT * box["height"]

    def total() -> int:
        return int(page.inner_text("h1").split()[0])

    # Hover shows the galaxy on the map, in the gallery and beside them.
    page.mouse.move(*place(17))
    page.wait_for_function("() => document.querySelector('.card-name')?.textContent === 'sim-017'")
    assert page.get_attribute(".tiles .pointed", "data-row") == "17"
    assert float(page.get_attribute('.field[data-kind="map"] .here', "r")) > 0
    page.hover(".tiles [data-row='5'] img")
    page.wait_for_function("() => document.querySelector('.card-name')?.textContent === 'sim-005'")
    # A lasso around the galaxies 20 to 29.
    page.click('[data-mode="lasso"]')
    (left, top), (right, bottom) = place(29), place(20)
    half_x, half_y = abs(right - left) / 18, abs(bottom - top) / 18
    corners = [(left - half_x, max(top, bottom) + half_y), (left - half_x, min(top, bottom) - half_y)]
    corners += [(right + half_x, min(top, bottom) - half_y), (right + half_x, max(top, bottom) + half_y)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
    page.wait_for_url("**sky=*")
    page.wait_for_function("() => document.querySelector('h1').textContent === '10 galaxies'")
    rows = page.eval_on_selector_all(".tiles [data-row]", "all => all.map((one) => Number(one.dataset.row))")
    assert rows == list(range(20, 30))
    # Back is where it was before; a slider narrows, by keyboard, and keeps the focus.
    page.go_back()
    page.wait_for_function("() => document.querySelector('h1').textContent === '100 galaxies'")
    slider = "fieldset[data-column='count'] input"
    page.wait_for_selector(slider)
    page.focus(slider)
    for _ in range(BINS // 2):
        page.keyboard.press("ArrowRight")
    # Half way from 0 to 4 is 2, which three in five galaxies have or exceed.
    page.wait_for_function("() => document.querySelector('h1').textContent === '60 galaxies'")
    page.wait_for_function("() => document.activeElement.id === 'low-count'")
    page.wait_for_function("() => !document.querySelector('.htmx-request')")
    page.click("text=Remove all of these")
    page.wait_for_function("() => document.querySelector('h1').textContent === '100 galaxies'")
    # An entry of the legend hides its class: its galaxies are no longer found under the cursor.
    page.wait_for_selector('.field[data-kind="sky"][data-ready]')
    codes = np.frombuffer(page.request.get(f"{server.address}/map/colour.bin?colour=class").body(), np.uint8)
    page.click(f'.legend [data-code="{codes[55]}"]')
    find = """([x, y]) => {
        const field = document.querySelector('.field'), box = field.getBoundingClientRect();
        return window.maps.under(field, x - box.x, y - box.y);
    }"""
    assert page.evaluate(find, place(55)) != 55
    page.click(f'.legend [data-code="{codes[55]}"]')
    assert page.evaluate(find, place(55)) == 55
    # The wheel zooms about the cursor, so that what is there stays there.
    here = place(55)
    page.mouse.move(*here)
    page.mouse.wheel(0, -600)
    page.wait_for_function("() => !document.querySelector('.field .over').getAttribute('viewBox').startsWith('0 0')")
    assert page.evaluate(find, here) == 55
    # Back from a galaxy leads to its tile, and next and previous work by keyboard.
    page.click(".tiles [data-row='50'] a")
    page.wait_for_url("**/galaxy/50**")
    page.wait_for_load_state()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/galaxy/51**")
    page.wait_for_load_state()
    page.keyboard.press("Escape")
    page.wait_for_url("**#g51")
    assert total() == 100
    assert page.locator("#g51").bounding_box()["y"] < 900
    # A view is saved under a name, and found again.
    page.goto(f"{server.address}/map?where=count+%3D+2&colour=class")
    page.click(".views summary")
    page.fill("#view-name", "twos <b>")
    page.keyboard.press("Enter")
    page.goto(f"{server.address}/map")
    page.click(".views summary")
    page.click("#views a")
    page.wait_for_url("**where=count*")
    assert total() == 20
