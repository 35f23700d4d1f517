"""Answers as columns to filter, sort and colour by, linked from every count, and changed on a galaxy's page."""

import csv
import html
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from starlette.testclient import TestClient

from labelling_pages import HERE, form, shown
from peculiar.catalogs.catalog import Catalog
from peculiar.labelling.database import Labels
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.gallery import Selection
from peculiar.labelling.web.guard import Guard
from peculiar.labelling.web.review import Review
from peculiar.labelling.web.serve import open_gallery, open_session
from peculiar.labelling.web.session import Session

ANSWERS = {
    "Ada": [1, 1, 0, 0, 1, None],
    "Bob": [1, 0, 0, 1, None, 1],
    'C"yd': [1, 0, 1, None, None, None],
}
"""Answers by annotator, of the galaxies 0, 1, 2 ...; None is unsure."""


def give(session: Session, given: dict[str, list[int | None]], question: str = "odd") -> None:
    for person, (who, numbers) in enumerate(given.items()):
        for row, number in enumerate(numbers):
            kind = "unsure" if number is None else "answer"
            session.answer(who, row, question, f"event-{person}-{row}", kind, number, 1.0, "random")


@pytest.fixture
def labels(tmp_path: Path) -> Iterator[Labels]:
    with Labels(tmp_path / "labels.db") as opened:
        yield opened


@pytest.fixture
def session(drawn_catalog: Path, tiny_survey: Path, labels: Labels) -> Iterator[Session]:
    opened = open_session(drawn_catalog, labels, pictures=tiny_survey, question="odd")
    give(opened, ANSWERS)
    yield opened
    assert opened.loop is not None
    opened.loop.wait()
    opened.pictures.close()


@pytest.fixture
def client(session: Session, drawn_catalog: Path) -> Iterator[TestClient]:
    app = make_app(session, open_gallery(session, Catalog(drawn_catalog)))
    with TestClient(Guard(app), base_url=HERE, follow_redirects=False) as opened:
        yield opened


def found(client: TestClient, **selection: str) -> list[int]:
    page = client.get("/gallery", params=selection)
    assert 'role="alert">' not in page.text, page.text
    return shown(page.text)


@pytest.mark.parametrize(
    ("review", "rows"),
    [
        ("votes > 0", [0, 1, 2, 3, 4, 5]),
        ("votes = 3", [0, 1, 2]),
        ("agreement < 1", [1, 2, 3]),
        ("votes > 1 and agreement = 1", [0]),
        ("answer = 'odd'", [0, 4, 5]),
        ("answer is null and votes > 0", [3]),
        ('"by Ada" <> "by Bob"', [1, 3]),
        ('"by C""yd" = \'odd\'', [0, 2]),
        ("\"kind by Ada\" = 'unsure'", [5]),
        ('"by Ada" <> "others than Ada"', [1, 3]),
        ("votes > 2 and ra > 150.005", [1, 2]),
    ],
)
@pytest.mark.slow
def test_answers_are_columns_to_filter_by(client: TestClient, review: str, rows: list[int]) -> None:
    assert found(client, review=review) == rows
    assert found(client, where=review) == rows
    table = client.get("/gallery/found.csv", params={"review": review}).text.splitlines()
    assert [line["id"] for line in csv.DictReader(table)] == [f"sim-{row:03d}" for row in rows]
    assert {"votes", "agreement", "answer", "model_answer", "by Ada"} <= set(next(csv.reader(table)))


def test_a_condition_that_is_not_about_answers_reads_the_catalogue_as_before(client: TestClient) -> None:
    assert found(client, where="ra < 150.025") == [0, 1, 2]
    head = client.get("/gallery/found.csv", params={"where": "ra < 150.025"}).text.splitlines()[0]
    assert "votes" not in head


def test_galaxies_are_sorted_and_coloured_by_answers(client: TestClient) -> None:
    assert found(client, by="-agreement")[:3] == [3, 1, 2]
    assert set(found(client, by="votes")[:3]) == {0, 1, 2}
    page = html.unescape(client.get("/map", params={"colour": "answer", "review": "votes > 0"}).text)
    assert re.search(r"</svg> odd <span class=\"soft\">3<", page)
    assert re.search(r"</svg> not_odd <span class=\"soft\">2<", page)
    assert client.get("/map/sky.png", params={"colour": "by Ada", "review": "votes > 0"}).content.startswith(b"\x89PNG")
    assert client.get("/map/sky.png", params={"colour": "by Eve"}).status_code == 400


def test_answers_with_a_cone_and_new_answers(client: TestClient, session: Session) -> None:
    assert found(client, review="votes > 2", cone="150.02,1.98,0.015", by="-agreement") == [1, 2]
    session.answer("Dee", 50, "odd", "event-of-dee", "answer", 1, None, "random")
    assert found(client, review="\"by Dee\" = 'odd'") == [50]
    session.undo("Dee", "event-of-dee-u", "event-of-dee")
    assert 50 not in found(client, review="votes > 0")


def test_the_model_s_answer_is_a_column(client: TestClient, drawn_catalog: Path) -> None:
    odd = np.array(pa.parquet.read_table(drawn_catalog)["p_odd"])
    said = {0: True, 1: False, 2: False, 4: True, 5: True}
    assert found(client, review="answer <> model_answer") == [
        row for row, is_odd in said.items() if is_odd != (odd[row] > 0.5)
    ]


def test_a_catalogue_with_such_columns_keeps_them(tiny_survey: Path, drawn_catalog: Path, labels: Labels) -> None:
    table = pa.parquet.read_table(drawn_catalog)
    table = table.append_column("Votes", pa.array(range(len(table)))).append_column(
        "by Ada", pa.array(["x"] * len(table))
    )
    pa.parquet.write_table(table, "more.parquet")
    session = open_session("more.parquet", labels, pictures=tiny_survey, question="odd")
    give(session, ANSWERS)
    gallery = open_gallery(session, Catalog("more.parquet"))
    assert gallery.rows(Selection(where="Votes < 3")).tolist() == [0, 1, 2]
    assert gallery.rows(Selection(review="votes_2 = 3 and \"by Ada\" = 'x' and \"by Ada_2\" = 'odd'")).tolist() == [
        0,
        1,
    ]
    session.pictures.close()


def linked(page: str) -> list[tuple[int, str]]:
    """Return the counts of a page that lead to galaxies, with their addresses."""
    links = re.findall(r'<a href="(/gallery\?[^"]*review[^"]*)">([\d,]+)</a>', page)
    return [(int(count.replace(",", "")), html.unescape(address)) for address, count in links]


def test_every_count_leads_to_as_many_galaxies(client: TestClient) -> None:
    page = client.get("/progress").text
    counts = linked(page)
    assert len(counts) > 20
    for count, address in counts:
        assert len(shown(client.get(address).text)) == count, address
    assert len(re.findall(r'title="Galaxies on which they differ"', page)) == 3
    (kappa,) = re.findall(r'Ada, Bob</th><td><a[^>]*>(\d)</a></td><td><a href="([^"]*)"', page)
    assert kappa[0] == "4"
    assert shown(client.get(html.unescape(kappa[1])).text) == [1, 3]
    # No number of the tables is without a link, except zero.
    cells = re.findall(r"<td(?: class=\"same\")?>(\d+)</td>", page)
    assert set(cells) <= {"0"}


@pytest.mark.slow
def test_annotators_may_be_named_like_columns(client: TestClient, session: Session) -> None:
    for number, who in enumerate(("answer", "model_answer", "by Ada", "ada")):
        session.answer(who, 0, "odd", f"event-named-{number}", "answer", 0, None, "random")
    assert found(client, review="\"by by Ada\" = 'not_odd' and \"by ada\" = 'not_odd' and \"by Ada\" = 'odd'") == [0]
    assert found(client, review="answer is null and votes = 7") == []
    assert found(client, review="answer = 'not_odd' and votes = 7") == [0]
    for count, address in linked(client.get("/progress").text):
        assert len(shown(client.get(address).text)) == count, address


def test_a_galaxy_tells_who_said_what_and_when_and_lets_one_change_it(client: TestClient, labels: Labels) -> None:
    client.get("/?who=Ada")
    page = client.get("/galaxy/1").text
    rows = re.findall(r'<th scope="row">([^<]*)</th><td>([^<]*)</td><td><time datetime="([^"]*)">', page)
    assert [(html.unescape(who), said) for who, said, _ in rows] == [
        ('C"yd', "not odd"),
        ("Bob", "not odd"),
        ("Ada", "odd"),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT.*", at) for *_, at in rows)
    sent = form(page, "/answer")
    assert '<option value="1" selected>odd</option>' in page
    done = client.post("/answer", data=sent | {"choice": "0"})
    assert (done.status_code, done.headers["location"]) == (303, "/galaxy/1")
    page = client.get("/galaxy/1").text
    assert "odd (replaced)" in page
    assert {one.who: one.answer for one in labels.current("odd") if one.galaxy == "sim-001"}["Ada"] == "not_odd"
    client.post("/undo", data={**form(client.get("/?row=1").text, "/undo")})
    assert "not odd (withdrawn)" in client.get("/galaxy/1").text


def test_pictures_alone_can_be_reviewed_and_trees_by_question(tiny_survey: Path, labels: Labels) -> None:
    session = open_session(tiny_survey, labels, question="gz2")
    with TestClient(Guard(make_app(session, open_gallery(session))), base_url=HERE, follow_redirects=False) as client:
        for choice in ("1", "0"):  # features, edge-on
            page = client.get("/?who=Ada").text
            row = int(form(page)["row"])
            client.post("/answer", data=form(page) | {"choice": choice})
        assert found(client, review="answer = 'features_or_disk'") == [row]
        assert found(client, review="answer = 'yes'", about="t02_edgeon") == [row]
        assert client.get("/review").headers["location"] == "/gallery?review=votes+%3E+0"
        assert "/map" not in client.get("/").text
        counts = linked(client.get("/progress?question=t02_edgeon").text)
        assert counts
        for count, address in counts:
            assert len(shown(client.get(address).text)) == count
        page = client.get(f"/galaxy/{row}").text
        assert re.findall(r"<label>([^<]*) <select name=\"choice\"", page)[0].startswith("Is the galaxy simply smooth")
        assert client.get("/gallery?about=t99").status_code == 400
    session.pictures.close()


def test_columns_of_answers_are_made_once_for_each_change(session: Session) -> None:
    review = Review(session)
    assert review.answers() is review.answers()
    session.answer("Eve", 0, "odd", "event-of-eve", "answer", 1, None, "random")
    assert review.answers().called("votes") == "votes"
    assert "by Eve" in review.answers().columns


@pytest.mark.parametrize("review", ["votes >", "nobody = 1", "answer = 'x", "votes > 0; drop table x"])
def test_a_condition_that_is_wrong_says_so(client: TestClient, review: str) -> None:
    page = client.get("/gallery", params={"review": review}).text
    assert 'role="alert">' in page
    assert client.get("/gallery/found.csv", params={"review": review}).status_code == 400
