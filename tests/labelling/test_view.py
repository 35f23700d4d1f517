"""The view of a picture: the whole of it, its own pixels when zoomed, by wheel, fingers, mouse and keys."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browser import Browser
from labelling_server import Server, serving
from peculiar.images.decode import encode_picture
from peculiar.labelling.web.pictures import NATIVE, Pictures
from peculiar.sources import open_source

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wide picture, larger than the screen's."""
    folder = tmp_path_factory.mktemp("wide")
    noise = np.random.default_rng(222).integers(0, 120, (400, 1200, 3), dtype=np.uint8)
    noise[100:300, 500:700] = 220
    for name in ("a", "b"):
        (folder / f"{name}.png").write_bytes(encode_picture(noise))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch, serving() as start:
        patch.setenv("no_proxy", "127.0.0.1")
        yield start(folder, tmp_path_factory.mktemp("view"), "--question", "odd", "--port", 0)


@pytest.fixture
def page(browser: Browser, server: Server) -> Any:
    opened = browser.window(has_touch=True)
    opened.goto(f"{server.address}/?who=Ada&row=0")
    opened.wait_for_load_state("networkidle")
    return opened


def transform(page: Any) -> tuple[float, float, float]:
    """Return by how much a picture is moved, and its zoom."""
    style = page.get_attribute("#galaxy", "style")
    x, y, zoom = map(float, re.search(r"translate\((\S+)px, (\S+)px\) scale\(([^)]+)\)", style).groups())  # type: ignore[union-attr]
    return x, y, zoom


def under(page: Any, x: float, y: float) -> tuple[float, float]:
    """Return the place of the picture under a point of the window, as shares of its sides."""
    box = page.locator("#galaxy").bounding_box()
    return (x - box["x"]) / box["width"], (y - box["y"]) / box["height"]


def test_whole_pictures_keep_their_shape_and_their_pixels(folder: Path) -> None:
    pictures = Pictures(open_source(folder))
    screen, native = pictures.show(0), pictures.show(0, NATIVE)
    pictures.close()
    assert Image.open(io.BytesIO(screen.content)).size == (960, 320)
    assert Image.open(io.BytesIO(native.content)).size == screen.sides == (1200, 400)


def test_the_whole_picture_is_shown_and_its_own_pixels_when_zoomed(page: Any) -> None:
    size = page.evaluate(
        "() => { const one = document.getElementById('galaxy'); return [one.naturalWidth, one.naturalHeight]; }"
    )
    assert size == [960, 320]
    frame = page.locator(".frame").bounding_box()
    assert frame["width"] == pytest.approx(frame["height"], abs=1)
    page.keyboard.press("+")
    page.wait_for_function("() => document.getElementById('galaxy').naturalWidth === 1200")
    page.keyboard.press("n")
    assert transform(page)[2] == pytest.approx(1200 / frame["width"], rel=1e-3)
    page.keyboard.press("r")
    assert transform(page) == (0, 0, 1)


def test_the_wheel_zooms_where_it_points_and_the_mouse_drags(page: Any) -> None:
    frame = page.locator(".frame").bounding_box()
    x, y = frame["x"] + frame["width"] * 0.7, frame["y"] + frame["height"] * 0.4
    page.mouse.move(x, y)
    before = under(page, x, y)
    for _ in range(4):
        page.mouse.wheel(0, -100)
    page.wait_for_function("() => /scale\\(3\\.7/.test(document.getElementById('galaxy').style.transform)")
    assert under(page, x, y) == pytest.approx(before, abs=0.01)
    page.mouse.down()
    page.mouse.move(x + 50, y + 20)
    page.mouse.up()
    assert under(page, x + 50, y + 20) == pytest.approx(before, abs=0.01)
    moved = transform(page)
    page.keyboard.press("ArrowRight")
    assert transform(page)[0] == pytest.approx(moved[0] - 60, abs=1)
    # The picture stays in its frame.
    for _ in range(100):
        page.keyboard.press("ArrowRight")
    box = page.locator("#galaxy").bounding_box()
    assert box["x"] + box["width"] == pytest.approx(frame["x"] + frame["width"], abs=1)


def test_two_fingers_zoom(page: Any) -> None:
    frame = page.locator(".frame").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    client = page.context.new_cdp_session(page)

    def touch(kind: str, *apart: float) -> None:
        points = [{"x": x + side * one, "y": y, "id": side + 1} for one in apart for side in (-1, 1)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 40)
    for one in (60, 80, 100, 120):
        touch("touchMove", one)
    touch("touchEnd")
    assert transform(page)[2] == pytest.approx(3, rel=0.05)


def test_contrast_goes_both_ways_and_the_model_s_square_is_shown(page: Any) -> None:
    page.click("text=Contrast −")
    assert "contrast(0.83" in page.get_attribute("#galaxy", "style")
    page.click("text=Contrast +")
    assert "contrast(1)" in page.get_attribute("#galaxy", "style")
    page.keyboard.press("a")
    page.wait_for_function("() => document.getElementById('galaxy').naturalWidth === 480")
    assert page.get_attribute("[data-view=a]", "aria-pressed") == "true"
    page.keyboard.press("a")
    page.wait_for_function("() => document.getElementById('galaxy').naturalWidth === 960")
