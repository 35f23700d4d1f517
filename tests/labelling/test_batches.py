"""Answers for many galaxies at once: ticked ones, likely ones, a grid; told, and withdrawn by one undo."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from browser import Browser, find_barriers
from labelling_pages import HERE, form
from labelling_server import Servers
from peculiar.catalogs.catalog import Catalog
from peculiar.labelling.database import Labels
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.batches import ON_LIKELY
from peculiar.labelling.web.guard import Guard
from peculiar.labelling.web.serve import open_gallery, open_session
from peculiar.labelling.web.session import Session


@pytest.fixture
def session(drawn_catalog: Path, tiny_survey: Path, tmp_path: Path) -> Iterator[Session]:
    with Labels(tmp_path / "labels.db") as labels:
        opened = open_session(drawn_catalog, labels, pictures=tiny_survey, question="odd")
        yield opened
        assert opened.loop is not None
        opened.loop.wait()
        opened.pictures.close()


@pytest.fixture
def client(session: Session, drawn_catalog: Path) -> Iterator[TestClient]:
    app = make_app(session, open_gallery(session, Catalog(drawn_catalog)))
    with TestClient(Guard(app), base_url=HERE, follow_redirects=False) as opened:
        opened.get("/?who=Ada")
        yield opened


def said(session: Session, who: str = "Ada") -> dict[int, tuple[str, str, str]]:
    """Return what counts of an annotator's answers: kind, answer and how the galaxy was chosen, by row."""
    _, events = session.current(session.question)
    return {row: (one.kind, one.answer, one.chosen) for row, one in events.get(who, {}).items()}


def batch(client: TestClient, rows: str, choice: str = "1") -> Any:
    fields = form(client.get("/gallery").text, "/gallery/ticked.csv")
    return client.post("/batch", data=fields | {"rows": rows, "choice": choice})


@pytest.mark.parametrize(
    ("choice", "stored"), [("1", ("answer", "odd")), ("0", ("answer", "not_odd")), ("unsure", ("unsure", ""))]
)
def test_one_answer_for_ticked_galaxies(
    client: TestClient, session: Session, choice: str, stored: tuple[str, str]
) -> None:
    done = batch(client, "7 3 90", choice)
    assert done.status_code == 303
    assert said(session) == dict.fromkeys((3, 7, 90), (*stored, "asked for"))
    page = client.get(done.headers["location"]).text
    told = re.sub(r"<[^>]+>", "", re.search(r"Stored: .*?</span>", page, re.DOTALL)[0])  # type: ignore[index]
    assert told == f"Stored: {stored[1].replace('_', ' ') or '(unsure)'} for 3."
    undo = form(page, "/batch/undo")
    back = client.post("/batch/undo", data=undo)
    assert said(session) == {}
    assert "No answer of this batch counts" in client.get(back.headers["location"]).text
    # Sent again, nothing happens; another undo finds nothing.
    assert client.post("/batch/undo", data=undo).status_code == 303
    assert client.post("/batch/undo", data=undo | {"event": "another-undo"}).status_code == 400
    assert len(session.said(7)) == 2


def test_a_batch_that_is_sent_twice_counts_once(client: TestClient, session: Session) -> None:
    fields = form(client.get("/gallery").text, "/gallery/ticked.csv") | {"rows": "1 2", "choice": "1"}
    for _ in range(2):
        assert client.post("/batch", data=fields).status_code == 303
    assert [len(session.said(row)) for row in (1, 2)] == [1, 1]
    part = client.post("/batch", data=fields | {"event": "next-event"}, headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert "for 2" in part
    undone = client.post("/batch/undo", data=form(part, "/batch/undo"), headers={"HX-Request": "true"}).text
    assert "Withdrawn: the answers for 2 galaxies" in undone
    assert said(session) == dict.fromkeys((1, 2), ("answer", "odd", "asked for"))


def test_batches_that_cannot_be_are_refused(client: TestClient, session: Session) -> None:
    fields = form(client.get("/gallery").text, "/gallery/ticked.csv") | {"rows": "1", "choice": "1"}
    for status, changed in (
        (403, {"csrf": "guessed"}),
        (400, {"catalog": "another"}),
        (400, {"rows": []}),
        (400, {"rows": "100"}),
        (400, {"rows": " ".join(map(str, range(6_000)))}),
        (422, {"rows": "-1"}),
        (400, {"choice": "2"}),
        (422, {"choice": "10"}),
        (422, {"choice": "undo"}),
        (422, {"event": "short"}),
        (422, {"who": ""}),
        (422, {"more": "1"}),
    ):
        assert client.post("/batch", data=fields | changed).status_code == status, changed
    assert said(session) == {}


def test_nobody_withdraws_the_batch_of_somebody_else(client: TestClient, session: Session) -> None:
    page = client.get(batch(client, "1 2").headers["location"]).text
    assert client.post("/batch/undo", data=form(page, "/batch/undo") | {"who": "Bob"}).status_code == 400
    assert len(said(session)) == 2


def test_an_undo_takes_later_answers_on_the_path_along(drawn_catalog: Path, tiny_survey: Path, tmp_path: Path) -> None:
    with Labels(tmp_path / "tree.db") as labels:
        session = open_session(drawn_catalog, labels, pictures=tiny_survey, question="gz2")
        session.answer_many("Ada", {4: 1, 5: 1}, "the-batch", None, {4: "", 5: ""})
        session.answer("Ada", 4, "t02_edgeon", "a-later-one", "answer", 0, 1.0, "")
        assert session.undo_batch("Ada", "the-undo", "the-batch") == 2
        assert [question.name for question, _ in session.asked("Ada", 4)] == ["t01_smooth_or_features"]
        session.pictures.close()


def tiles(page: str) -> list[int]:
    return [int(row) for row in re.findall(r'name="rows" value="(\d+)"', page)]


def strike(page: str, *ticked: int, **changed: Any) -> dict[str, Any]:
    chosen = re.findall(r'name="chosen" value="([^"]*)"', page)
    return form(page, "/grid") | {"rows": tiles(page), "chosen": chosen, "ticked": list(ticked), "no": -2} | changed


def test_likely_galaxies_are_the_most_probable_that_nobody_answered(client: TestClient, session: Session) -> None:
    assert session.loop is not None
    session.answer("Bob", 5, "odd", "event-of-bob", "answer", 0, None, "")
    page = client.get("/likely", params={"yes": 1}).text
    probable = session.predictions["p_odd"]
    free = [row for row in np.argsort(-probable) if not session.loop.kept[row] and row != 5]
    assert tiles(page) == free[:ON_LIKELY]
    assert f"<small>{probable[free[0]]:.2f}</small>" in page
    assert tiles(client.get("/likely", params={"yes": 0}).text)[0] == free[-1]


@pytest.mark.parametrize(
    ("no", "struck"), [(-2, None), (-1, ("skip", "", "likely")), (0, ("answer", "not_odd", "likely"))]
)
def test_the_wrong_ones_are_struck_out(
    client: TestClient, session: Session, no: int, struck: tuple[str, str, str] | None
) -> None:
    page = client.get("/likely").text
    rows = tiles(page)
    done = client.post("/grid", data=strike(page, *rows[:3], no=no))
    assert done.headers["location"].startswith("/likely?yes=1")
    expected = dict.fromkeys(rows[3:], ("answer", "odd", "likely"))
    assert said(session) == (expected if struck is None else expected | dict.fromkeys(rows[:3], struck))
    following = client.get(done.headers["location"]).text
    # None of them is shown again; with "asked about one by one" they come next.
    assert not set(tiles(following)) & set(rows)
    if no == -2:
        asked = session.next("Ada")
        assert asked is not None
        assert asked.row in rows[:3]
    assert f"<strong>odd</strong> for {len(rows) - 3}" in following
    assert f'<option value="{no}"{" selected" if no != -2 else ""}>' in following
    back = client.post("/batch/undo", data=form(following, "/batch/undo"))
    assert back.headers["location"].startswith(f"/likely?yes=1&no={no}")
    assert said(session) == {}


def test_a_grid_keeps_its_answers_and_is_undone_in_place(client: TestClient, session: Session) -> None:
    page = client.get("/grid", params={"yes": 0, "no": 1}).text
    done = client.post("/grid", data=strike(page, *tiles(page)[:2], yes=0, no=1))
    following = client.get(done.headers["location"]).text
    assert re.findall(r'<option value="(\d)" selected>', following) == ["0", "1"]
    counts = Counter(answer for _, answer, _ in said(session).values())
    assert counts == {"not_odd": 2, "odd": 22}
    assert "<strong>odd</strong> for 22, <strong>not odd</strong> for 2" in following
    client.post("/batch/undo", data=form(following, "/batch/undo"))
    assert said(session) == {}


def test_without_a_model_nothing_is_likely(tiny_survey: Path, tmp_path: Path) -> None:
    with Labels(tmp_path / "labels.db") as labels:
        session = open_session(tiny_survey, labels, question="odd")
        with TestClient(Guard(make_app(session)), base_url=HERE) as client:
            client.get("/?who=Ada")
            assert "no model gives a probability" in client.get("/likely").text
            assert client.post("/batch", data={}).status_code == 404
        session.pictures.close()


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_batches_in_a_browser(
    browser: Browser, drawn_catalog: Path, tiny_survey: Path, tmp_path: Path, servers: Servers
) -> None:
    server = servers(drawn_catalog, tmp_path, "--pictures", tiny_survey, "--question", "odd", "--port", 0)
    page = browser.window(width=1440)
    page.goto(f"{server.address}/?who=Ada")
    page.goto(f"{server.address}/map")
    page.wait_for_selector('.field[data-kind="sky"][data-ready]')

    def current() -> dict[str, str]:
        with Labels(tmp_path / "labels.db", create=False) as labels:
            return {one.galaxy: one.answer for one in labels.current("odd")}

    def press(key: str, text: str) -> None:
        page.keyboard.press(key)
        page.wait_for_function("text => document.querySelector('#stored').textContent.includes(text)", arg=text)

    # The one that is pointed at; then those that are ticked; then those in a rectangle.
    page.hover(".tiles [data-row='3'] img")
    press("2", "odd for 1")
    assert current() == {"sim-003": "odd"}
    assert page.inner_text("#g3 .mine") == "you: odd"
    page.locator(".tiles [data-row='7'] input").click()
    page.locator(".tiles [data-row='9'] input").click(modifiers=["Shift"])
    press("1", "not odd for 3")
    assert current() == {"sim-003": "odd"} | dict.fromkeys(("sim-007", "sim-008", "sim-009"), "not_odd")
    assert page.locator(".tiles input:checked").count() == 0
    assert find_barriers(page) == []
    press("z", "Withdrawn: the answers for 3")
    assert current() == {"sim-003": "odd"}
    page.goto(f"{server.address}/map?sky=150.195,150.295,0,3")
    page.wait_for_function("() => document.querySelector('#ticked output').textContent.startsWith('10 within')")
    press("2", "odd for 10")
    assert len(current()) == 11
    press("z", "Withdrawn: the answers for 10")
    # Forty likely ones: the wrong ones are struck out by keyboard.
    page.goto(f"{server.address}/likely?yes=1")
    page.wait_for_load_state()
    page.focus(".tiles input")
    page.keyboard.press("Space")
    rows = page.eval_on_selector_all(".tiles [name=rows]", "all => all.map((one) => one.value)")
    assert find_barriers(page) == []
    page.click("button.main")
    page.wait_for_selector("form.stored")
    assert len(current()) == len(rows)  # with the first one, and without the one that was struck out
    page.keyboard.press("z")
    page.wait_for_function("() => !document.querySelector('form.stored')")
    assert current() == {"sim-003": "odd"}
