"""The two maps of the gallery: what lies where, what a rectangle holds, what ticks lead to."""

import html
import io
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from browser import Browser
from labelling_pages import HERE, form, shown
from labelling_server import Servers
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.embeddings import Embeddings
from peculiar.errors import UsageError
from peculiar.labelling.database import Labels
from peculiar.labelling.web import gallery as gallery_module
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.charts import HEIGHT, PALETTE, WIDTH, Box, Colouring, Plane, Sky, legend, paint, parse_shape
from peculiar.labelling.web.gallery import Gallery, Selection
from peculiar.labelling.web.guard import MOST_OF_BODY, Guard
from peculiar.labelling.web.id_index import IdIndex
from peculiar.labelling.web.serve import open_gallery, open_session
from peculiar.labelling.web.session import Session


@pytest.fixture
def gallery(session: Session, tiny_catalog: Path) -> Iterator[Gallery]:
    assert session.loop is not None
    opened = open_gallery(session, Catalog(tiny_catalog))
    yield opened
    opened.layout.wait()


@pytest.fixture
def session(tiny_catalog: Path, tiny_survey: Path, tmp_path: Path) -> Iterator[Session]:
    with Labels(tmp_path / "labels.db") as labels:
        opened = open_session(tiny_catalog, labels, pictures=tiny_survey, question="odd")
        yield opened
        assert opened.loop is not None
        opened.loop.wait()
        opened.pictures.close()


@pytest.fixture
def client(session: Session, gallery: Gallery) -> Iterator[TestClient]:
    with TestClient(Guard(make_app(session, gallery)), base_url=HERE, follow_redirects=False) as opened:
        yield opened


def laid_out(gallery: Gallery) -> NDArray[np.float32]:
    """Wait for the map, and return the places."""
    assert gallery.layout.places is not None or gallery.layout.problem == ""
    gallery.layout.wait()
    assert gallery.layout.places is not None
    return gallery.layout.places


def pixels(content: bytes) -> NDArray[np.int64]:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.int64)


def rgb(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


@pytest.mark.parametrize(
    ("ra", "dec", "middle"),
    [
        ([150.0, 151.0], [1.0, 2.0], 150.5),
        ([359.0, 1.0], [-1.0, 1.0], 0.0),
        ([10.0, 350.0, 20.0, 340.0], [60.0] * 4, 0.0),
    ],
)
def test_the_sky_is_shown_where_the_galaxies_are(ra: list[float], dec: list[float], middle: float) -> None:
    sky = Sky.around(np.array(ra), np.array(dec))
    assert abs((sky.middle - middle + 180) % 360 - 180) < 0.2
    x, y = sky.place(np.array(ra), np.array(dec))
    assert ((x > 0) & (x < WIDTH) & (y > 0) & (y < HEIGHT)).all()
    assert max(np.ptp(x) / WIDTH, np.ptp(y) / HEIGHT) > 0.85
    east, west = sky.place(np.array([middle + 0.4, middle - 0.4]), np.array(dec[:2]))[0]
    assert east < west


def test_the_sky_has_equal_areas() -> None:
    random = np.random.default_rng(222)
    ra, dec = random.uniform(0, 360, 400_000), np.degrees(np.arcsin(random.uniform(-1, 1, 400_000)))
    x, y = Sky.around(ra, dec).place(ra, dec)
    counts = np.histogram2d(y, x, bins=(15, 24), range=((0, HEIGHT), (0, WIDTH)))[0]
    inside = counts[counts > 0.9 * counts.max()]
    assert len(inside) > 80  # most of the cells are wholly within the sky, and as full as any
    assert np.isfinite(counts).all()


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0, 360),
    st.floats(0.5, 90),
    st.floats(-80, 60),
    st.floats(0.5, 20),
)
@example(0.0, 84.0, 0.0, 0.5)  # on the drawing it is a pixel high
def test_what_a_rectangle_holds_lies_in_its_outline(left: float, width: float, low: float, height: float) -> None:
    box = Box(left, (left + width) % 360, low, low + height)
    random = np.random.default_rng(1)
    ra = (left - width + random.uniform(0, 3 * width, 300)) % 360
    dec = (low - height / 2 + random.uniform(0, 2 * height, 300)).clip(-90, 90)
    sky = Sky.around(ra, dec)
    outline = Outline([tuple(map(float, one.split(","))) for one in sky.outline(box).split()])
    places = np.column_stack(sky.place(ra, dec))
    # Numbers of the drawing are rounded, and its sides have corners: what lies on an edge may go either way.
    pixel = 1 / sky.scale
    along = (np.abs((ra - edge + 180) % 360 - 180) * np.cos(np.radians(dec)) for edge in (box.left, box.right))
    across = (np.abs(dec - edge) for edge in (box.low, box.high))
    sure = np.min([*along, *across], axis=0) > 0.2 * pixel
    assert sure.mean() > 0.5
    assert (outline.contains_points(places) == sky.holds(box, ra, dec))[sure].all()


def test_a_rectangle_may_be_the_whole_sky_or_cross_the_origin() -> None:
    ra, dec = np.array([359.5, 0.5, 180.0, np.nan]), np.array([0.0, 0, 0, 0])
    sky = Sky.around(ra, dec)
    assert sky.holds(Box(0, 360, -90, 90), ra, dec).tolist()[:3] == [True] * 3
    assert sky.holds(Box(359, 1, -1, 1), ra, dec).tolist() == [True, True, False, False]
    assert sky.holds(Box(-1, 1, -1, 1), ra, dec).tolist() == [True, True, False, False]
    assert parse_shape("1, 2, 9, 3", "sky") == Box(1, 2, 3, 9)


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,3,nan", "1,2,3,inf"])
def test_what_is_no_rectangle_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"four numbers, as in 150.*; received"):
        parse_shape(text, "sky")


@pytest.mark.parametrize("spread", [0.0005, 0.3, 40, 179])
def test_the_graticule_is_named_and_lies_on_the_picture(spread: float) -> None:
    random = np.random.default_rng(2)
    ra, dec = 180 + random.uniform(-spread, spread, 500), random.uniform(-spread, spread, 500).clip(-88, 88)
    lines = Sky.around(ra, dec).graticule()
    names = [line.name for line in lines if line.name]
    assert 5 <= len(names) <= 40
    assert len(set(names)) >= len(names) - 3  # of the whole sky both ends are named, and 0 is on both axes
    for line in lines:
        if line.name:
            assert 0 <= line.x <= WIDTH
            assert 0 <= line.y <= HEIGHT


def test_a_picture_shows_the_rare_above_the_frequent_and_the_others_grey() -> None:
    x, y = np.array([100.0, 100, 100, 300, 500, np.nan, -5]), np.array([50.0, 50, 50, 50, 50, 50, 50])
    colouring = Colouring.of_classes(np.array([1, 1, 0, 1, -1, 1, 1]), ["rare", "usual"])
    assert colouring.names == ("usual", "rare")
    picture = pixels(paint((x, y), None, colouring))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    rare, usual = picture[50, 100], picture[50, 300]
    for pixel, kind in ((rare, 1), (usual, 0)):
        colour = np.array(rgb(PALETTE[kind]))
        assert pixel @ colour / np.linalg.norm(pixel) / np.linalg.norm(colour) > 0.999
    # More lie there, so that it is brighter than its class would be alone.
    assert rare.max() / max(rgb(PALETTE[1])) > usual.max() / max(rgb(PALETTE[0]))
    assert np.ptp(picture[50, 500]) > 0  # of no class, but there
    assert (picture != picture[0, 0]).any(axis=2).sum() == 3 * 49
    grey = pixels(paint((x, y), np.arange(7) == 3, colouring))
    assert grey[50, 300].sum() >= picture[50, 300].sum()
    assert grey[50, 100].sum() < picture[50, 100].sum()
    assert legend(colouring, np.array([0, 2, 3]))["usual"] == (PALETTE[0], 2)


def test_a_picture_of_numbers_and_of_nothing() -> None:
    x, y = np.array([100.0, 300, 500]), np.array([50.0, 50, 50])
    picture = pixels(paint((x, y), None, Colouring.of_numbers(np.array([0.0, 1.0, np.nan]))))
    assert picture[50, 100].sum() < picture[50, 300].sum()
    assert (picture[50, 500] != picture[0, 0]).any()
    assert Colouring.of_numbers(np.array([np.nan])).ends == (0.0, 1.0)
    empty = pixels(paint((x[:0], y[:0]), None, None))
    assert (empty == empty[0, 0]).all()
    crowded = pixels(paint((np.full(200_000, 100.2), np.full(200_000, 50.4)), None, None))
    assert np.argwhere((crowded != crowded[0, 0]).any(axis=2)).tolist() == [[50, 100]]


@pytest.mark.parametrize(
    "asked",
    [
        {"where": "p_odd > 0.3"},
        {"by": "p_odd"},
        {"by": "-entropy", "where": "dec < 1.8"},
        {"cone": "150.3,1.7,0.1"},
        {"cone": "150.3,1.7,0.1", "by": "entropy", "where": "p_odd > 0.1"},
        {},
    ],
)
def test_the_wall_finds_what_a_search_finds(gallery: Gallery, asked: dict[str, str]) -> None:
    rows = gallery.rows(Selection(**asked))
    cone = gallery_module.parse_cone(asked["cone"]) if "cone" in asked else None
    hits = gallery.catalog.query(asked.get("where"), cone=cone, by=asked.get("by"), top=None)
    assert [gallery.ids[row] for row in rows] == hits.ids
    table = gallery.table(Selection(**asked))
    assert table.to_arrow().equals(hits.to_arrow())
    assert list(table.columns) == list(hits.columns)


def test_nulls_come_last_on_the_wall(tiny_catalog: Path, tmp_path: Path) -> None:
    table = pa.parquet.read_table(tiny_catalog)
    values = [None if row % 10 == 0 else float("nan") if row % 10 == 1 else row / 100 for row in range(100)]
    table = table.append_column("score", pa.array(values))
    pa.parquet.write_table(table, tmp_path / "nulls.parquet")
    catalog = Catalog(tmp_path / "nulls.parquet")
    gallery = Gallery(catalog, catalog.embeddings(), table["id"].to_pylist())
    for by in ("score", "-score"):
        rows = gallery.rows(Selection(by=by))
        assert sorted(rows.tolist()) == list(range(100))
        assert set(rows[-20:] % 10) == {0, 1}
    assert gallery.rows(Selection(by="-score"))[:2].tolist() == [2, 3]


def test_rectangles_narrow_the_wall_together(client: TestClient, gallery: Gallery) -> None:
    places = laid_out(gallery)
    ra, dec = 150 + np.arange(100) / 100, 2 - np.arange(100) / 100
    left, right, low, high = (round(float(end), 4) for end in np.quantile(places, (0.2, 0.8), axis=0).T.ravel())
    sky, map_ = {"sky": "150.195,150.605,1.0,1.9"}, {"map": f"{left},{right},{low},{high}"}
    on_sky = (ra > 150.195) & (ra < 150.605) & (dec < 1.9)
    on_map = (places >= (left, low)).all(axis=1) & (places <= (right, high)).all(axis=1)
    assert 5 < (on_sky & on_map).sum() < on_sky.sum() == 41
    for asked, expected in ((sky, on_sky), (map_, on_map), ({**sky, **map_}, on_sky & on_map)):
        for page in ("/map", "/gallery"):
            assert shown(client.get(page, params=asked).text) == np.flatnonzero(expected).tolist()
    asked = {**sky, **map_, "where": "p_odd > 0.2", "by": "p_odd", "colour": "class"}
    page = client.get("/map", params=asked).text
    table = client.get("/gallery/found.csv", params={name: asked[name] for name in asked if name != "colour"}).text
    ids = [line.split(",")[0].strip('"') for line in table.splitlines()[1:]]
    assert ids == [f"sim-{row:03d}" for row in shown(page)]
    # The page shows the rectangles, and its links keep what was asked.
    assert f'value="{sky["sky"]}"' in page
    closer = html.unescape(re.search(r'href="(/map\?[^"]+)">Zoom to it', page)[1])  # type: ignore[index]
    assert shown(client.get(closer).text) == shown(page)


def test_a_rectangle_on_one_map_lights_the_same_galaxies_on_the_other(client: TestClient, gallery: Gallery) -> None:
    places = laid_out(gallery)
    few = {"sky": "150.295,150.345,0,3"}
    picture = pixels(client.get("/map/map.png", params=few).content)
    x, y = (one.astype(int) for one in Plane().place(*places.T))
    grey = picture[y, x, 1] > picture[y, x, 0]
    assert not grey[30:35].any()
    assert grey.mean() > 0.5  # some lie under the discs of those that are lit
    bright = pixels(client.get("/map/sky.png", params=few).content).sum(axis=2)
    assert (bright > 350).sum() < 0.2 * (pixels(client.get("/map/sky.png").content).sum(axis=2) > 350).sum()


@pytest.mark.parametrize(
    "asked",
    [
        {"sky": "1,2,3"},
        {"map": "a,b,c,d"},
        {"where": "pp > 1"},
        {"cone": "north"},
        {"by": "embedding"},
        {"colour": "id"},
        {"colour": "embedding"},
    ],
)
@pytest.mark.slow
def test_the_maps_say_what_they_do_not_understand(client: TestClient, gallery: Gallery, asked: dict[str, str]) -> None:
    laid_out(gallery)
    page = client.get("/map", params=asked)
    assert page.status_code == 200
    assert 'role="alert">' in page.text
    assert client.get("/map/sky.png", params=asked).status_code == 400


def test_the_maps_are_coloured(client: TestClient, gallery: Gallery) -> None:
    laid_out(gallery)
    page = client.get("/map", params={"colour": "class", "who": "Ada"}).text
    told = dict(re.findall(r"</svg> ([\w ]+) <span class=\"soft\">([\d,]+)<", page))
    assert sum(int(count) for count in told.values()) == 100
    assert not re.findall(r'\bon\w+="|style="|<script>|(?:src|href)="(?!/|#)', page)
    pictures = {client.get("/map/sky.png", params={"colour": name}).content for name in ("", "class", "p_odd")}
    assert len(pictures) == 3


def test_the_map_is_laid_out_behind_the_pages(
    client: TestClient, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, made = threading.Event(), []

    def slowly(catalog: Catalog, _: Embeddings) -> NDArray[np.float32]:
        made.append(catalog)
        go.wait(20)
        return np.full((100, 2), 0.5, dtype=np.float32)

    monkeypatch.setattr(gallery_module, "find_places", slowly)
    page = client.get("/map").text
    assert "being computed" in page
    assert 'data-kind="sky"' in page
    assert len(shown(client.get("/gallery", params={"where": "p_odd >= 0"}).text)) == 60
    assert client.get("/map/map.png").status_code == 404
    assert "try again in a minute" in client.get("/map", params={"map": "0,1,0,1"}).text
    go.set()
    gallery.layout.wait()
    assert "100 galaxies" in client.get("/map", params={"map": "0,1,0,1"}).text
    assert len(made) == 1


def test_the_layout_is_kept(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    places = laid_out(gallery)
    monkeypatch.setattr("peculiar.catalogs.layout.lay_out", lambda *_, **__: pytest.fail("it was made again"))
    again = gallery_module.Layout(Catalog(gallery.catalog.path), gallery.embeddings)
    assert again.places is not None
    assert (again.places == places).all()


def test_a_catalogue_may_have_no_map_and_no_positions(
    tiny_catalog: Path, tiny_survey: Path, tmp_path: Path, session: Session
) -> None:
    few = tmp_path / "few.parquet"
    hostile = "<script>alert(1)</script>"
    table = pa.parquet.read_table(tiny_catalog).slice(0, 20).drop_columns(["ra", "dec", "class"])
    pa.parquet.write_table(table.append_column("class", pa.array([hostile] * 19 + [None])), few)
    catalog = Catalog(few)
    gallery = Gallery(catalog, catalog.embeddings(), table["id"].to_pylist())
    with TestClient(Guard(make_app(session, gallery)), base_url=HERE) as client:
        client.get("/map")  # begins the map
        gallery.layout.wait()
        page = client.get("/map", params={"colour": "class"}).text
        assert "a map needs 50 galaxies" in page
        assert 'data-kind="sky"' not in page
        assert "&lt;script&gt;alert" in page
        assert hostile not in page
        assert client.get("/map/sky.png").status_code == 404
        assert "the catalogue has no positions" in client.get("/map", params={"sky": "1,2,3,4"}).text
        assert "a map needs 50" in html.unescape(client.get("/gallery", params={"map": "0,1,0,1"}).text)


def test_a_wall_is_entered_anywhere(client: TestClient) -> None:
    page = client.get("/gallery", params={"by": "p_odd", "start": 60}).text
    assert len(shown(page)) == 40
    assert "From 61 of 100" in page
    earlier = html.unescape(re.search(r'href="([^"]+)">Earlier', page)[1])  # type: ignore[index]
    assert shown(client.get(earlier).text) == shown(client.get("/gallery", params={"by": "p_odd"}).text)
    assert shown(client.get("/gallery", params={"by": "p_odd", "start": 10**9}).text) == shown(page)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=3), unique=True), st.text(max_size=3))
def test_ids_are_found_by_row_and_rows_by_id(names: list[str], other: str) -> None:
    ids = IdIndex(names)
    assert list(ids) == names
    assert ids[:2] == names[:2]
    assert [ids.get(name) for name in names] == list(range(len(names)))
    assert ids.get(other, -1) == (names.index(other) if other in names else -1)


def ticks(client: TestClient, **changed: Any) -> dict[str, Any]:
    client.get("/?who=Ada")
    return form(client.get("/gallery").text, "/gallery/ticked.csv") | changed


def test_ticked_galaxies_are_a_table(client: TestClient) -> None:
    sent = ticks(client, rows=["7 3", "90"])
    got = client.post("/gallery/ticked.csv", data=sent)
    assert [line.split(",")[0] for line in got.text.splitlines()[1:]] == ['"sim-003"', '"sim-007"', '"sim-090"']
    assert 'filename="ticked.csv"' in got.headers["content-disposition"]
    got = client.post("/gallery/ticked.parquet", data=sent)
    assert pa.parquet.read_table(io.BytesIO(got.content))["id"].to_pylist() == ["sim-003", "sim-007", "sim-090"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"csrf": "guessed"}, 403),
        ({"rows": []}, 400),
        ({"rows": ["100"]}, 400),
        ({"rows": [" ".join(map(str, range(6_000)))]}, 400),
        ({"rows": ["-1"]}, 422),
        ({"rows": ["1,2"]}, 422),
        ({"rows": ["1", "../../etc/passwd"]}, 422),
        ({"rows": ["9" * 13]}, 422),
        ({"rows": ["1 " * 30_001 + "1"]}, 422),
        ({"rows": ["1 " * MOST_OF_BODY]}, 413),
        ({"ids": ["sim-003"], "rows": ["1"]}, 422),
    ],
)
@pytest.mark.slow
def test_ticks_that_cannot_be_are_refused(client: TestClient, changed: dict[str, Any], status: int) -> None:
    sent = ticks(client) | {"rows": ["1"]} | changed
    for path in ("/gallery/ticked.csv", "/gallery/ask"):
        assert client.post(path, data=sent).status_code == status


def test_as_many_as_may_be_ticked_fit_into_a_request(client: TestClient) -> None:
    assert len("+".join(["99999999"] * 5_000)) + 1_000 < MOST_OF_BODY
    sent = ticks(client, rows=[" ".join([*map(str, range(100)), *["99"] * 4_900])])
    assert len(client.post("/gallery/ticked.csv", data=sent).text.splitlines()) == 101


def test_ticked_galaxies_are_asked_about_first(client: TestClient, session: Session) -> None:
    sent = ticks(client, rows=["42 17 5"])
    done = client.post("/gallery/ask", data=sent)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    asked = []
    for choice in ("1", "0", "skip", "1"):
        page = client.get("/?who=Ada").text
        fields = form(page)
        asked.append((int(fields["row"]), fields["chosen"]))
        client.post("/answer", data=fields | {"choice": choice})
    assert asked[:3] == [(5, "asked for"), (17, "asked for"), (42, "asked for")]
    assert asked[3][0] not in (5, 17, 42)
    assert asked[3][1] != "asked for"
    client.post("/gallery/ask", data=sent)  # those that were seen are passed over
    assert int(form(client.get("/?who=Ada").text)["row"]) not in (5, 17, 42)
    assert client.post("/gallery/ask", data={name: sent[name] for name in ("csrf", "rows")}).status_code == 400
    # Somebody else's answer does not keep a galaxy from who asked for it.
    client.post("/gallery/ask", data=sent | {"who": "Bob"})
    assert form(client.get("/?who=Bob").text)["row"] == "5"


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_maps_and_ticks_in_a_browser(
    browser: Browser, tiny_catalog: Path, tiny_survey: Path, tmp_path: Path, servers: Servers
) -> None:
    server = servers(tiny_catalog, tmp_path, "--pictures", tiny_survey, "--question", "odd", "--port", 0)
    page = browser.window(width=1200)
    page.goto(f"{server.address}/?who=Ada")
    page.goto(f"{server.address}/map")
    page.wait_for_selector('.field[data-kind="map"]', timeout=60_000)

    def rows() -> list[int]:
        return [int(one) for one in page.eval_on_selector_all(".tiles input", "all => all.map((one) => one.value)")]

    # A rectangle is dragged on the sky: the gallery has the galaxies in it, the address says so.
    field = page.locator('.field[data-kind="sky"]').bounding_box()
    left, top = field["x"] + field["width"] * 0.3, field["y"] + field["height"] * 0.2
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + 50, top + 150)
    page.mouse.move(left + 80, top + 120)
    page.mouse.up()
    page.wait_for_url("**sky=*")
    page.wait_for_function("() => document.activeElement.dataset.kind === 'sky'")
    chosen = rows()
    assert 5 < len(chosen) < 60
    assert chosen == list(range(chosen[0], chosen[-1] + 1))
    assert page.locator("h1").inner_text() == f"{len(chosen)} galaxies"
    # The outline that the server draws is the one that was dragged.
    outline = page.get_attribute('.field[data-kind="sky"] .box', "points")
    corners = np.array([tuple(map(float, one.split(","))) for one in outline.split()])
    scale = WIDTH / field["width"]
    dragged = np.array([left - field["x"], top - field["y"], left + 80 - field["x"], top + 120 - field["y"]]) * scale
    np.testing.assert_allclose([*corners.min(axis=0), *corners.max(axis=0)], dragged, atol=4)
    # By keyboard: one step to the right and one back is where it was; narrower holds fewer.
    for key in ("ArrowRight", "ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowLeft", "Enter"):
        page.keyboard.press(key)
    page.wait_for_function("count => document.querySelectorAll('.tiles input').length < count", arg=len(chosen))
    assert set(rows()) < set(chosen)
    page.reload()
    assert set(rows()) < set(chosen)
    page.wait_for_selector('.field[data-kind="sky"]')
    page.focus('.field[data-kind="sky"]')
    page.keyboard.press("Delete")
    page.wait_for_function("() => document.querySelector('h1').textContent === '100 galaxies'")
    # Ticks: one, a row of them with Shift, one by keyboard; they outlast a filter.
    boxes = page.locator(".tiles input")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    boxes.nth(8).focus()
    page.keyboard.press("Space")
    assert page.locator("#ticked output").inner_text() == "5 ticked"
    page.goto(f"{server.address}/gallery?where=ra+%3E+150.9")
    assert page.locator("#ticked output").inner_text() == "5 ticked"
    with page.expect_download() as download:
        page.click("#ticked button:has-text('CSV')")
    lines = Path(download.value.path()).read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [f'"sim-{row:03d}"' for row in (1, 2, 3, 4, 8)]
    page.click("#ticked button:has-text('Clear')")
    page.wait_for_function("() => document.querySelector('#ticked output').textContent.startsWith('Tick')")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_map_that_fails_unexpectedly_is_reported(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(gallery_module, "find_places", fail)
    assert gallery.layout.places is None
    gallery.layout.wait()
    assert "the reason is on the terminal" in gallery.layout.problem
