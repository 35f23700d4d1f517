"""The labelling pages in a real browser, with a real server: sessions, accessibility, and what is hostile.

The fixture `browser` adds to every test: nothing goes wrong in the console, and no request leaves the machine.
"""

import http.client
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from browser import SCHEMES, Browser, find_barriers, find_unreachable
from firefox import Firefox
from labelling_server import Servers, serving
from peculiar.images.decode import encode_picture
from peculiar.labelling.database import Labels
from peculiar.labelling.web.serve import open_session
from peculiar.text import shown
from pictures import draw_galaxy
from skies import planted, sky, write_bands

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

# Every page: who looks at it, its address, the key that is pressed on it, and an element that it then shows. A new page
# needs a line here.
PAGES = [
    ("", "/", "", "#who"),
    ("Ada", "/who", "", ".people button"),
    ("Ada", "/", "", "#galaxy"),
    ("Ada", "/?row=3", "m", "#prediction meter"),
    ("Ada", "/?row=3", "h", "dialog[open]"),
    ("Eve", "/", "", "#content h1"),
    ("Ada", "/grid", "", ".tiles img"),
    ("Ada", "/grid?yes=0&no=1", "", ".tiles img"),
    ("Ada", "/likely?yes=1", "", ".ways [aria-current]"),
    ("Ada", "/anomalies", "", ".numbers button"),
    ("Eve", "/stored?batch=event-of-eve", "", "form.stored"),
    ("Ada", "/gallery?review=votes+>+1", "", ".tiles small"),
    ("Ada", "/progress", "", "svg.curve"),
    ("Ada", "/gallery", "", ".tiles img"),
    ("Ada", "/gallery?by=p_odd&where=p_odd+>+0.5&cone=150.3,1.7,0.5", "", ".tiles img"),
    ("Ada", "/gallery?where=nonsense", "", "[role=alert]:not([hidden])"),
    ("Ada", "/galaxy/7", "", ".chances"),
    ("Ada", "/gallery?narrow=%7B%22p_odd%22:[0.5,null]%7D&size=l", "", ".tiles[data-size=l] img"),
    ("Ada", "/galaxy/7?place=7", "", ".way a"),
    ("Ada", "/facets", "", ".facet"),
    ("Ada", "/map?by=p_odd&colour=p_odd", "", ".field[data-ready]"),
]


# The same of a campaign on FITS images.
CAMPAIGN = [
    ("Ada", "/", "", ".view select"),
    ("Ada", "/", "g", "#guide[open] img"),
    ("Ada", "/?answered=event-of-ada-0", "", ".feedback"),
    ("Ada", "/guide", "", ".guide img"),
    ("Ada", "/progress", "", "[aria-label='Known galaxies']"),
]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[str]:
    """A campaign on FITS images with known galaxies, a field guide, and the answers of two people."""
    folder = tmp_path_factory.mktemp("campaign")
    (folder / "pictures").mkdir()
    for number in range(12):
        bands = {name: planted((96, 120), [(60, 48)], flux=60 * (1 + at), seed=number) for at, name in enumerate("grz")}
        write_bands(
            folder / "pictures" / f"g{number:02d}.fits", bands, sky(shape=(96, 120), turn=20), BUNIT="nanomaggy"
        )
    (folder / "known.csv").write_text("id,shell\n" + "".join(f"g{number:02d}.fits,shell\n" for number in range(4)))
    for name in ("shell", "smooth"):
        (folder / f"{name}.png").write_bytes(encode_picture(draw_galaxy(96, 20, 48, 48, seed=len(name))))
    (folder / "shell.toml").write_text(QUESTION)
    with pytest.MonkeyPatch.context() as patch, Labels(folder / "labels.db") as labels, serving() as start:
        patch.setenv("no_proxy", "127.0.0.1")
        session = open_session(folder / "pictures", labels, question=str(folder / "shell.toml"))
        for who in ("Ada", "Bob"):
            for number in range(5):
                asked = session.next(who)
                assert asked is not None
                session.answer(who, asked.row, "shell", asked.event, "answer", number % 2, 1.0, asked.chosen)
        session.answer("Ada", 0, "shell", "event-of-ada-0", "answer", 0, 1.0, "")
        session.pictures.close()
        yield start(folder / "pictures", folder, "--question", folder / "shell.toml", "--port", 0).address


QUESTION = """
name = "shell"
asks = "Is there a shell around the galaxy?"
answers = ["no shell", "shell"]
meanings = ["smooth out to the sky", "arcs or edges in the outskirts"]
[campaign]
answers = 3
agree = 2
gold = "known.csv"
gold_every = 3
feedback = true
[[guide]]
answer = "shell"
note = "Arcs or sharp edges outside of the disc. Press e until faint light is shown."
picture = "shell.png"
[[guide]]
answer = "no shell"
picture = "smooth.png"
[[guide]]
note = "Satellites and stars on top of the galaxy do not count."
"""


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, drawn_catalog: Path, tiny_survey: Path, chromium: Browser
) -> Iterator[str]:
    """A session with the answers of three people, from which heads were learned."""
    folder = tmp_path_factory.mktemp("session")
    with pytest.MonkeyPatch.context() as patch, Labels(folder / "labels.db") as labels, serving() as start:
        patch.setenv("no_proxy", "127.0.0.1")
        patch.setenv("PECULIAR_CACHE", str(folder / "cache"))
        session = open_session(drawn_catalog, labels, pictures=tiny_survey, question="odd")
        for number in range(80):
            asked = session.next(who := "Bob" if number % 4 == 3 else "Ada")
            assert asked is not None
            session.answer(
                who, asked.row, "odd", asked.event, "answer", (asked.row + number // 60) % 2, 1.0, asked.chosen
            )
        session.answer_many(
            "Eve", dict.fromkeys(range(len(session))), "event-of-eve", None, dict.fromkeys(range(len(session)), "")
        )
        assert session.loop is not None
        session.loop.wait()
        session.pictures.close()
        server = start(drawn_catalog, folder, "--pictures", tiny_survey, "--question", "odd", "--port", 0)
        until = time.monotonic() + 60
        while not json.loads(server.get("/progress.json"))["progress"]:
            assert time.monotonic() < until, "no heads were learned"
            time.sleep(0.05)
        yield server.address


def show(browser: Browser, address: str, page: tuple[str, str, str, str], **options: Any) -> Any:
    """Open a page as the list above says."""
    who, path, key, shown = page
    window = browser.window(**options)
    if who:
        window.goto(f"{address}/?{urlencode({'who': who})}")
    window.goto(address + path)
    if key:
        window.keyboard.press(key)
    window.wait_for_selector(shown)
    return window


def named(page: tuple[str, str, str, str]) -> str:
    return "-".join(part for part in page[:3] if part)


# Windows: a small phone, phones, a window of 1,440 pixels at 200 %, tablets, large ones.
WINDOWS = [
    (320, 640, "light"),
    (400, 900, "dark"),
    (720, 450, "light"),
    (900, 900, "dark"),
    (1600, 900, "light"),
    (1600, 900, "dark"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "scheme"), WINDOWS)
@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_page_has_barriers(
    browser: Browser, address: str, page: tuple[str, str, str, str], width: int, height: int, scheme: str
) -> None:
    window = show(browser, address, page, width=width, height=height, scheme=scheme)
    assert find_barriers(window) == []
    assert find_unreachable(window) == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "scheme"), [WINDOWS[0], WINDOWS[2], WINDOWS[5]])
@pytest.mark.parametrize("page", CAMPAIGN, ids=named)
def test_no_page_of_a_campaign_has_barriers(
    browser: Browser, campaign: str, page: tuple[str, str, str, str], width: int, height: int, scheme: str
) -> None:
    window = show(browser, campaign, page, width=width, height=height, scheme=scheme)
    assert find_barriers(window) == []
    assert find_unreachable(window) == []


@pytest.mark.slow
@pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="SCREENSHOTS names no folder; `make screenshots` does")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [400, 900, 1440])
def test_screenshots_of_all_pages(browser: Browser, address: str, campaign: str, width: int, scheme: str) -> None:
    folder = Path(os.environ["SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    for place, pages, kind in ((address, PAGES, "desk"), (campaign, CAMPAIGN, "campaign")):
        for number, page in enumerate(pages):
            window = show(browser, place, page, width=width, height=900, scheme=scheme)
            window.wait_for_load_state("networkidle")
            window.screenshot(path=folder / f"{kind}-{number:02d}-{width}-{scheme}.png")
            window.context.close()


@pytest.mark.slow
def test_bands_and_stretch_stay_from_galaxy_to_galaxy(browser: Browser, campaign: str) -> None:
    window = browser.window(has_touch=True)
    window.goto(f"{campaign}/?who=Cy")
    window.wait_for_selector("svg.over-picture text")
    assert "north is 20°" in window.get_attribute("svg.over-picture", "aria-label")
    assert "the bar is 10″" in window.get_attribute("svg.over-picture", "aria-label")
    window.keyboard.press("w")
    window.keyboard.press("e")
    # By mouse; the keys are those of the answers again at once.
    window.select_option("[data-pick=bands]", "g")
    window.evaluate("() => document.getElementById('content').focus()")
    wanted = "img[src*='bands=g&look=faint']"
    window.wait_for_selector(wanted)
    for _ in range(2):
        old = now(window)
        window.keyboard.press("1")
        wait(window, old)
        window.wait_for_selector(wanted)
        assert window.input_value("[data-pick=look]") == "faint"
        window.wait_for_function("() => document.getElementById('galaxy').naturalWidth === 120")
    window.keyboard.press("+")
    window.wait_for_selector("img[src*='/native'][src*='bands=g']")
    window.keyboard.press("r")
    window.wait_for_selector("#galaxy:not([src*=look])")


def begin(browser: Browser, address: str, who: str) -> Any:
    """Open the pages and enter a name, by keyboard."""
    page = browser.window()
    page.goto(address)
    page.keyboard.type(who)
    page.keyboard.press("Enter")
    page.wait_for_selector("#galaxy")
    page.wait_for_load_state()  # the keys work once the scripts are there
    return page


def now(page: Any) -> tuple[str, str]:
    """Return the event that an answer would have, and the galaxy that is shown."""
    return page.get_attribute("form.answers [name=event]", "value"), page.inner_text("figcaption .id")


def wait(page: Any, old: tuple[str, str]) -> None:
    """Wait until something else is asked."""
    page.wait_for_function("old => document.querySelector('form.answers [name=event]')?.value !== old", arg=old[0])


def press(page: Any, key: str) -> str:
    """Press a key that leads on; return the galaxy that it was said of."""
    old = now(page)
    page.keyboard.press(key)
    wait(page, old)
    return old[1]


SAID = {"1": ("answer", "not_odd"), "2": ("answer", "odd"), "u": ("unsure", ""), "s": ("skip", "")}


def told(database: Path, who: str) -> list[tuple[str, str, str]]:
    """Return what the database holds of a person, in order."""
    with Labels(database, create=False) as labels:
        return [(one.galaxy, one.kind, one.answer) for _, one in labels.history("odd") if one.who == who]


def test_a_short_session_by_keyboard(browser: Browser, tiny_survey: Path, tmp_path: Path, servers: Servers) -> None:
    server = servers(tiny_survey, tmp_path, "--question", "odd", "--port", 0)
    page = begin(browser, server.address, "Ada")
    said = [(press(page, key), *SAID[key]) for key in "12us1"]
    page.reload()
    assert press(page, "z") != said[-1][0]
    assert now(page)[1] == said[-1][0]
    said += [(said[-1][0], "undo", ""), (press(page, "2"), *SAID["2"])]
    page.keyboard.press("b")
    page.keyboard.press("+")
    assert "brightness(1.25)" in page.get_attribute("#galaxy", "style")
    assert "scale(1.3)" in page.get_attribute("#galaxy", "style")
    # Letters and numbers can be switched off; then answers are given by Tab and Enter.
    page.keyboard.press("h")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    page.focus("#content")
    while page.evaluate("document.activeElement.name") != "choice":
        page.keyboard.press("Tab")
    said.append((press(page, "Enter"), *SAID["1"]))
    assert told(tmp_path / "labels.db", "Ada") == said


@pytest.mark.slow
def test_a_tree_by_keyboard(browser: Browser, tiny_survey: Path, tmp_path: Path, servers: Servers) -> None:
    server = servers(tiny_survey, tmp_path, "--question", "gz2", "--port", 0)
    page = begin(browser, server.address, "Ada")

    def asks(key: str) -> str:
        press(page, key)
        return str(page.inner_text("#question"))

    first = now(page)[1]
    page.keyboard.press("+")
    assert "disk viewed edge-on" in asks("2")
    assert "scale(1.3)" in page.get_attribute("#galaxy", "style")  # of the same galaxy the view stays
    assert "bar feature" in asks("2")
    page.reload()
    assert "bar feature" in page.inner_text("#question")
    assert page.locator(".path li").all_inner_texts() == ["features or disk", "no"]
    assert find_barriers(page) == []
    assert "edge-on" in asks("z")
    assert "bulge at its centre" in asks("1")
    assert "anything odd" in asks("3")
    assert now(page)[1] == first
    assert "smooth and rounded" in asks("2")
    assert now(page)[1] != first
    with Labels(tmp_path / "labels.db") as labels:
        said = {name: [one.answer for one in labels.current(name)] for name in labels.questions()}
    assert {name: given for name, given in said.items() if given} == {
        "t01_smooth_or_features": ["features_or_disk"],
        "t02_edgeon": ["yes"],
        "t09_bulge_shape": ["no_bulge"],
        "t06_odd": ["no"],
    }


# What the console says while a server is dead, and where a page outlived it.
OF_A_KILL = re.compile(r"ERR_|\b403\b|htmx:(sendError|afterRequest|responseError)")


@pytest.mark.slow
def test_two_people_and_a_server_that_is_killed(
    browser: Browser, tiny_survey: Path, tmp_path: Path, servers: Servers
) -> None:
    """Fifty galaxies each; the server dies before an answer, and just as it was sent: stored or not, told or not."""
    start = [tiny_survey, tmp_path, "--question", "odd", "--port"]
    server = servers(*start, 0)
    people = {who: begin(browser, server.address, who) for who in ("Ada", "Bob")}
    said: dict[str, list[tuple[str, str, str]]] = {who: [] for who in people}
    for number in range(50):
        key = "12us"[number % 4]
        before = {who: now(page) for who, page in people.items()}
        if number == 10:
            assert browser.wrong == []
            server.kill()
        for page in people.values():  # both at once: neither waits for the other
            page.keyboard.press(key)
        if number == 10:
            for page in people.values():
                page.wait_for_selector("#notice:not([hidden])")
        if number in (20, 30):
            server.kill()
        if number in (10, 20, 30):
            server = servers(*start, server.port)
        for who, page in people.items():
            wait(page, before[who])
            said[who].append((before[who][1], *SAID[key]))
    for who, page in people.items():
        page.reload()
        press(page, "z")
        said[who].append((said[who][-1][0], "undo", ""))
        page.reload()
        assert told(tmp_path / "labels.db", who) == said[who]
        assert len({galaxy for galaxy, _, _ in said[who]}) == 50
    browser.close()
    browser.wrong = [told for told in browser.wrong if not OF_A_KILL.search(told)]


@pytest.mark.slow
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_token_is_in_the_address_once(
    browser: Browser, tiny_survey: Path, tmp_path: Path, servers: Servers, host: str
) -> None:
    server = servers(tiny_survey, tmp_path, "--question", "odd", "--port", 0, "--host", host, token=True)
    address, token = server.address.replace("0.0.0.0", "127.0.0.1").split("?token=")
    page = browser.window()
    page.goto(f"{address}?token={token}")
    page.wait_for_url(address)
    page.fill("#who", "Ada")
    page.keyboard.press("Enter")
    page.wait_for_selector("#galaxy")
    page.wait_for_load_state()
    press(page, "1")
    assert token not in page.content()
    stranger = browser.window()
    assert stranger.goto(address).status == 401
    assert stranger.goto(f"{address}picture/0/large").status == 401
    assert stranger.goto(f"{address}?token={token[:-1]}").status == 401
    stranger.context.close()
    browser.wrong = [told for told in browser.wrong if "401" not in told]
    assert len(told(tmp_path / "labels.db", "Ada")) == 1


RUN = "window.hacked = true"

HOSTILE = [
    f"<script>{RUN}</script>",
    f'"><img src=x onerror="{RUN}">',
    f"'><svg onload='{RUN}'>",
    f"</title></textarea></style><script>{RUN}</script>",
    f"javascript:{RUN}",
    "{{ 7 * 7 }}{% include 'page.html' %}${7*7}",
    "x" * 3000,
    "\u202egpj.yxalag\u2066",
    "a\x00b",
    "a\r\n\tb",
    "../../../../etc/passwd",
    "..\\..\\windows",
    "'; DROP TABLE events; --",
    "&lt;b&gt;&amp;",
    "%2e%2e%2f%00",
    "=1+1",
    "Ünïcödé 🌌 银河",
]

NAMES = [one for one in HOSTILE if len(one) <= 80 and one.isprintable()]
"""Those that are allowed as names of annotators: up to 80 printable characters."""


@pytest.fixture
def hostile_catalog(tmp_path: Path) -> Path:
    """A catalogue, with pictures, whose ids, columns and entries are hostile."""
    rng = np.random.default_rng(222)
    count = len(HOSTILE) + 8
    rows = [
        {
            "id": HOSTILE[number] if number < len(HOSTILE) else f"plain-{number}",
            "image": encode_picture(draw_galaxy(32, 6, 16, 16, seed=number))
            if number
            else f"<svg onload={RUN}>".encode(),
            f"p_<img src=x onerror={RUN}>": float(rng.random()),
            "p_text": "no number",
            f'"><script>{RUN}</script>': "entry",
            "link": f"javascript:{RUN}",
            "note": HOSTILE[number % len(HOSTILE)],
            "model": f"<script>{RUN}</script>",
        }
        for number in range(count)
    ]
    table = pa.Table.from_pylist(rows)
    vectors = pa.array(rng.normal(size=4 * count).astype(np.float32))
    table = table.append_column("embedding", pa.FixedSizeListArray.from_arrays(vectors, 4))
    pa.parquet.write_table(table, tmp_path / "hostile.parquet")
    return tmp_path / "hostile.parquet"


@pytest.fixture
def hostile_question(tmp_path: Path) -> Path:
    answers = [one for one in HOSTILE if one.isprintable() and len(one) < 200][:10]
    path = tmp_path / "hostile.toml"
    path.write_text(f"name = 'hostile'\nanswers = {json.dumps(answers)}\nmeanings = {json.dumps(answers)}\n")
    return path


def plain(text: str) -> str:
    """Return a text as a browser has it: without NULs, with single spaces."""
    return " ".join(text.replace("\0", "").split())


def assert_harmless(page: Any) -> None:
    """Nothing ran, nothing became an element, nothing leads to a script, nothing breaks the page."""
    assert page.evaluate("window.hacked") is None
    assert page.locator("script:not([src^='/static/'])").count() == 0
    assert page.locator("img[src]:not([src^='/picture/'])").count() == 0
    assert page.evaluate("[...document.links].filter(one => one.protocol === 'javascript:').length") == 0
    handled = "[...document.querySelectorAll('*')].filter(one => [...one.attributes].some(it => /^on/.test(it.name)))"
    assert page.evaluate(f"{handled}.length") == 0
    assert (page.url, find_barriers(page)) == (page.url, [])


@pytest.mark.slow
def test_what_is_hostile_is_shown_as_text(
    browser: Browser, hostile_catalog: Path, hostile_question: Path, tmp_path: Path, servers: Servers
) -> None:
    server = servers(
        *(hostile_catalog, tmp_path, "--pictures", hostile_catalog, "--question", hostile_question, "--port", 0)
    )
    page = browser.window(width=400)
    for row, id_ in enumerate(HOSTILE):
        page.goto(f"{server.address}/?{urlencode({'who': NAMES[row % len(NAMES)], 'row': row})}")
        assert plain(page.text_content("figcaption .id")) == plain(shown(id_))
        before = now(page)
        page.keyboard.press("s" if row == 0 else "1")
        wait(page, before)
        page.goto(f"{server.address}/galaxy/{row}")
        assert plain(page.text_content("h1")) == plain(shown(id_))
    who = urlencode({"who": HOSTILE[1]})
    asked = urlencode({"where": HOSTILE[1], "cone": HOSTILE[0], "by": HOSTILE[2]})
    for path in (
        *("/who", f"/?{who}&row=0", "/?row=6", "/progress", "/grid"),
        *("/gallery", f"/gallery?{asked}", "/galaxy/0", "/galaxy/6"),
    ):
        page.goto(server.address + path)
        assert_harmless(page)
    with Labels(tmp_path / "labels.db") as labels:
        assert [one.galaxy for _, one in labels.history("hostile")] == HOSTILE


@pytest.mark.slow
def test_names_of_files_are_shown_as_text(
    browser: Browser, hostile_question: Path, tmp_path: Path, servers: Servers
) -> None:
    folder = tmp_path / f"<img src=x onerror='{RUN}'>"
    folder.mkdir()
    names = [f"{one[:100]}.png" for one in HOSTILE if not one.startswith(".") and not set(one[:100]) & set("/\0")]
    for number, name in enumerate([*names, os.fsdecode(b"\xff.png")]):  # the last is no UTF-8
        (folder / name).write_bytes(encode_picture(draw_galaxy(32, 6, 16, 16, seed=number)))
    names.append("\\xff.png")
    server = servers(folder, tmp_path, "--question", hostile_question, "--port", 0)
    page = begin(browser, server.address, "Ada")
    found = set()
    for number in range(len(names)):
        found.add(plain(page.text_content("figcaption .id")))
        if number % 6 == 0:
            assert_harmless(page)
        before = now(page)
        page.keyboard.press("1")
        page.wait_for_function(
            "old => document.querySelector('form.answers [name=event]')?.value !== old", arg=before[0]
        )
    assert found == {plain(shown(name)) for name in names}
    page.goto(f"{server.address}/progress")
    assert_harmless(page)


def test_a_script_that_got_in_would_not_run(browser: Browser, address: str) -> None:
    page = browser.window()
    page.goto(f"{address}/?who=Ada")
    page.evaluate(
        """run => {
            const script = document.createElement('script'), button = document.createElement('button');
            script.textContent = run;
            button.setAttribute('onclick', run);
            document.body.append(script, button);
            button.click();
        }""",
        RUN,
    )
    assert page.evaluate("window.hacked") is None
    assert len(browser.wrong) == 2, browser.wrong
    assert all("Content Security Policy" in one for one in browser.wrong)
    browser.wrong.clear()


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/picture/..%2f..%2fetc%2fpasswd/large",
        "/picture/0/..%2f..%2f",
        "/galaxy/%2e%2e%2f",
        "/export/..%2flabels.csv",
        "/export/labels.db",
        "/gallery/found.%2e%2e%2f",
        "//etc/passwd",
    ],
)
def test_no_address_is_a_path(address: str, path: str) -> None:
    """As they are, which clients that tidy addresses would not send."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status in (400, 404, 422)
    assert "root:" not in text
    assert "import " not in text


def test_tables_have_names_that_do_no_harm(address: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    for path in ("/export/labels.csv", "/export/votes.parquet", "/gallery/found.csv?where=p_odd+%3E+0.5"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert re.fullmatch(r'attachment; filename="[a-z]+\.[a-z]+"', answer.getheader("Content-Disposition", ""))
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
    connection.close()


def test_a_request_without_a_length_is_measured_as_it_comes(address: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    pieces = (b"who=" + b"x" * 9_996 for _ in range(7))
    connection.request("POST", "/answer", pieces, {"Content-Type": "application/x-www-form-urlencoded"})
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("page", [*PAGES, *CAMPAIGN], ids=named)
def test_every_page_opens_in_firefox(
    firefox: Firefox, address: str, campaign: str, page: tuple[str, str, str, str]
) -> None:
    who, path, key, shown = page
    place = campaign if page in CAMPAIGN else address
    if who:
        firefox.goto(f"{place}/?{urlencode({'who': who})}")
    firefox.goto(place + path)
    if key:
        firefox.press(key)
    firefox.shown(shown)
    assert firefox.run("return document.documentElement.scrollWidth <= innerWidth")
    images = "[...document.images].filter(one => one.getAttribute('src'))"
    assert firefox.run(f"return {images}.filter(one => one.complete && !one.naturalWidth).map(one => one.src)") == []


EVENT = "document.querySelector('form.answers [name=event]')?.value"


def say(firefox: Firefox, key: str) -> str:
    """Press a key that leads on; return the galaxy that it was said of."""
    event, galaxy = firefox.run(f"return [{EVENT}, document.querySelector('figcaption .id').innerText]")
    firefox.press(key)
    firefox.wait(f"{EVENT} !== arguments[0]", event)
    return str(galaxy)


@pytest.mark.slow
def test_a_session_in_firefox_outlasts_a_lost_connection(
    firefox: Firefox, tiny_survey: Path, tmp_path: Path, servers: Servers
) -> None:
    server = servers(tiny_survey, tmp_path, "--question", "odd", "--port", 0)
    firefox.goto(f"{server.address}/?who=Ada")
    firefox.shown("#galaxy")
    said = [(say(firefox, key), *SAID[key]) for key in "12us1"]
    server.kill()
    said += [(say(firefox, key), *SAID[key]) for key in "21"]
    firefox.wait("document.getElementById('notice').innerText.includes('2 answers are kept in this browser')")
    assert len(told(tmp_path / "labels.db", "Ada")) == 5
    servers(tiny_survey, tmp_path, "--question", "odd", "--port", server.port)
    firefox.wait("document.getElementById('notice').hidden")
    said.append((say(firefox, "2"), *SAID["2"]))
    firefox.press("+")
    firefox.wait("document.getElementById('galaxy').style.transform.includes('scale(1.3)')")
    assert told(tmp_path / "labels.db", "Ada") == said
    firefox.wrong()  # requests that failed while there was no connection


@pytest.mark.slow
def test_the_sky_is_searched_by_mouse_in_firefox(firefox: Firefox, address: str) -> None:
    firefox.goto(f"{address}/?who=Ada")
    firefox.goto(f"{address}/map")
    firefox.shown('.field[data-kind="sky"][data-ready]')
    box = "const box = document.querySelector('.field[data-kind=sky]').getBoundingClientRect();"
    x, y, width, height = firefox.run(f"{box} return [box.x, box.y, box.width, box.height]")
    left, top = x + 0.3 * width, y + 0.2 * height
    firefox.drag((left, top), (left + 50, top + 150), (left + 80, top + 120))
    firefox.wait("location.search.includes('sky=')")
    firefox.wait("document.querySelector('h1').innerText !== '100 galaxies'")
    rows = firefox.run("return [...document.querySelectorAll('.tiles input')].map(one => Number(one.value))")
    assert 5 < len(rows) < 60
    assert firefox.run("return document.querySelector('h1').innerText") == f"{len(rows)} galaxies"
