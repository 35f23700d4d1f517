"""The labelling pages as they are sent: who looks at them, what is remembered, what an error looks like."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from starlette.testclient import TestClient

from labelling_pages import HERE, form
from peculiar.catalogs.catalog import Catalog
from peculiar.labelling.database import Labels
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.guard import Guard
from peculiar.labelling.web.serve import open_gallery, open_session
from peculiar.labelling.web.session import Session
from peculiar.questions.question import ODD, QUESTIONS, Question

PAGES = ["/", "/who", "/grid", "/progress", "/gallery", "/map", "/galaxy/3"]


@pytest.fixture
def labels(tmp_path: Path) -> Iterator[Labels]:
    with Labels(tmp_path / "labels.db") as opened:
        yield opened


@pytest.fixture
def session(drawn_catalog: Path, tiny_survey: Path, labels: Labels) -> Iterator[Session]:
    opened = open_session(drawn_catalog, labels, pictures=tiny_survey, question="odd")
    yield opened
    assert opened.loop is not None
    opened.loop.wait()
    opened.pictures.close()


@pytest.fixture
def client(session: Session, drawn_catalog: Path) -> Iterator[TestClient]:
    assert session.loop is not None
    gallery = open_gallery(session, Catalog(drawn_catalog))
    with TestClient(Guard(make_app(session, gallery)), base_url=HERE, follow_redirects=False) as opened:
        yield opened


def enter(client: TestClient, who: str) -> str:
    """Give a name, as the form does; return where it leads."""
    sent = form(client.get("/who").text, "/who") | {"who": who}
    return str(client.post("/who", data=sent).headers["location"])


def test_a_name_is_remembered_and_in_no_address(client: TestClient) -> None:
    assert enter(client, "Ada & Bo; é") == "/"
    for page in PAGES:
        text = html.unescape(client.get(page).text)
        addresses = re.findall(r'(?:href|src|action|hx-\w+)="([^"]*)"', text)
        assert not [one for one in addresses if "who=" in one]
        assert "Ada & Bo; é" in text or page == "/who"


def test_an_address_that_was_sent_does_not_make_somebody_somebody_else(client: TestClient) -> None:
    enter(client, "Bob")
    assert '<input type="hidden" name="who" value="Bob">' in client.get("/gallery?who=Ada").text
    assert form(client.get("/").text)["who"] == "Bob"


@pytest.mark.parametrize("kept", ["", "%00", "x" * 81, "%20"])
def test_a_cookie_that_is_no_name_is_not_used(client: TestClient, kept: str) -> None:
    page = client.get("/grid", headers={"Cookie": f"peculiar-who-8222={kept}"})
    assert "Who answers?" in page.text


def test_no_form_is_filled_in_again_by_the_browser(client: TestClient) -> None:
    enter(client, "Ada")
    for page in PAGES:
        forms = re.findall(r"<form [^>]*>", client.get(page).text)
        assert [one for one in forms if 'autocomplete="off"' not in one and 'class="name-form"' not in one] == []


def sent_by_grid(page: str) -> dict[str, Any]:
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    sent: dict[str, Any] = {name: value for name, value in fields if name in ("csrf", "who", "event")}
    return sent | {name: [value for key, value in fields if key == name] for name in ("rows", "chosen")}


def test_a_grid_keeps_its_choices_and_says_what_it_stored(client: TestClient) -> None:
    enter(client, "Ada")
    sent = sent_by_grid(client.get("/grid").text)
    stored = client.post("/grid", data=sent | {"ticked": sent["rows"][:3], "yes": "0", "no": "1"})
    page = client.get(stored.headers["location"]).text
    chosen = [re.search(rf'name="{name}".*?<option value="(-?\d)" selected', page) for name in ("yes", "no")]
    assert [one[1] for one in chosen if one] == ["0", "1"]
    told = re.sub(r"<[^>]+>", "", page)
    assert "Stored: odd for 21, not odd for 3." in told
    assert "stored" not in client.get("/grid").text.partition("<form")[0]


def test_a_galaxy_that_was_asked_for_leaves_the_address_once_it_is_answered(client: TestClient) -> None:
    enter(client, "Ada")
    page = client.get("/?row=7").text
    done = client.post("/answer", data=form(page) | {"choice": "1"}, headers={"HX-Request": "true"})
    assert done.headers["hx-replace-url"] == "/"
    undone = client.post("/undo", data=form(done.text, "/undo"), headers={"HX-Request": "true"})
    assert undone.headers["hx-replace-url"] == "/?row=7"


def test_numbers_of_a_galaxy_have_all_their_digits(client: TestClient, drawn_catalog: Path) -> None:
    table = pa.parquet.read_table(drawn_catalog)
    page = client.get("/galaxy/37").text
    cells = dict(re.findall(r'<th scope="row">(\w+)</th>(?:<td><meter.*?</td>)?<td[^>]*>([^<]*)</td>', page))
    assert float(cells["ra"]) == table["ra"][37].as_py() == 150.37
    assert np.float32(cells["p_odd"]) == table["p_odd"][37].as_py()
    assert len(cells["p_odd"]) <= len("0.123456789")


def test_static_files_are_kept_by_the_browser_until_they_change(client: TestClient) -> None:
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get("/map").text)
    assert len(addresses) >= 5
    for address in addresses:
        assert re.fullmatch(r"/static/[\w.]+\?[0-9a-f]{12}", address)
        kept = client.get(address)
        assert kept.headers["cache-control"] == "private, max-age=31536000, immutable"
        again = client.get(address, headers={"If-None-Match": kept.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"]) == (304, kept.headers["cache-control"])


@pytest.mark.parametrize(
    ("address", "status", "told"),
    [
        ("/nowhere", 404, "There is no such page"),
        ("/galaxy/1000", 400, "counted from 0 to 99"),
        ("/picture/x/large", 422, "invalid request"),
        ("/gallery/found.csv?where=1;", 400, "no meaning"),
    ],
)
def test_an_error_is_a_page_for_people_and_text_for_scripts(
    client: TestClient, address: str, status: int, told: str
) -> None:
    enter(client, "Ada")
    page = client.get(address, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.status_code == status
    assert told in html.unescape(page.text)
    for link in ("/", "/grid", "/progress", "/gallery", "/map"):
        assert f'<a href="{link}"' in page.text
    text = client.get(address, headers={"Accept": "text/html", "HX-Request": "true"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"


def test_the_ticked_galaxies_come_before_the_endless_list(client: TestClient) -> None:
    page = client.get("/gallery").text
    assert page.index('id="ticked"') < page.index('<ul class="tiles"')


def test_known_questions_are_asked_as_sentences() -> None:
    for question in (ODD, *QUESTIONS.values()):
        assert question.asks != Question(question.name, question.answers).asks
        assert question.asks.endswith("?")


def test_a_class_of_the_style_sheet_is_one_thing() -> None:
    """Each class has one rule outside of media queries, so that it does not mean two things."""
    folder = Path(__file__).parents[2] / "src/peculiar/labelling/web"
    sheet = (folder / "static/pages.css").read_text()
    plain = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", sheet)
    alone = re.findall(r"^\.([\w-]+) \{", plain, re.MULTILINE)
    assert len(alone) == len(set(alone)) > 20
    used = set(re.findall(r"\.([a-z][\w-]*)", re.sub(r"\d\.\d|\.\d", "", sheet)))
    templates = "".join(path.read_text() for path in (folder / "templates").iterdir())
    named = {name for names in re.findall(r'class="([^"]*)"', templates) for name in names.split()}
    by_scripts = {"htmx-request", "js", "mine", "near", "over-picture", "pixels", "pointed", "way-name"}
    assert used - by_scripts <= named
