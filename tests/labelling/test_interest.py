"""The loop of anomalies: ratings are kept as events, and the ranking is that of `search anomalies`."""

import csv
import io
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from browser import Browser, find_barriers, find_unreachable
from labelling_pages import HERE, form
from labelling_server import Servers
from peculiar.catalogs.catalog import Catalog
from peculiar.errors import LabelError
from peculiar.labelling.database import Labels
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.guard import Guard
from peculiar.labelling.web.interest import QUESTION, Interest
from peculiar.labelling.web.limiter import Limiter
from peculiar.labelling.web.serve import open_gallery, open_session
from peculiar.labelling.web.session import Session
from prefix_proxy import proxying


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


def ranked(session: Session) -> Interest:
    assert session.loop is not None
    found = Interest(session, session.loop.embeddings, Limiter())
    assert found.ranks is not None or not found.problem
    found.wait()
    return found


def rate(client: TestClient, interest: str, **changed: Any) -> tuple[int, str]:
    """Rate the galaxy that is shown; return its row, and the page that follows."""
    page = client.get("/anomalies").text
    fields = form(page, "/anomalies") | {"interest": interest} | changed
    done = client.post("/anomalies", data=fields)
    assert done.status_code == 303, done.text
    return int(fields["row"]), client.get(done.headers["location"]).text


def test_the_page_ranks_as_the_search_does(client: TestClient, session: Session, drawn_catalog: Path) -> None:
    ranked(session)
    while "being computed" in client.get("/anomalies").text:
        pass
    given = {}
    for interest in ("5", "0", "skip", "3", "4"):
        row, page = rate(client, interest)
        if interest != "skip":
            given[session.ids[row]] = int(interest) / 5
    found = Catalog(drawn_catalog).anomalies(answers=given, top=100)
    seen = {one.galaxy for one in session.labels.current(QUESTION.name)}
    expected = [id_ for id_ in found.ids if id_ not in seen]
    rows = [int(form(page, "/anomalies")["row"]), *map(int, re.findall(r"/anomalies\?row=(\d+)", page))]
    assert [session.ids[row] for row in rows] == expected[: len(rows)]
    assert len(rows) == 25
    table = list(csv.DictReader(io.StringIO(client.get("/anomalies/ratings.csv").text)))
    assert {line["id"]: float(line["interesting"]) for line in table} == given
    # The last rating is withdrawn, and its galaxy shown again.
    back = client.post("/anomalies/undo", data=form(page, "/anomalies/undo"))
    again = client.get(back.headers["location"]).text
    assert form(again, "/anomalies")["row"] == str(row)
    assert "3 rated" in again
    assert client.post("/anomalies/undo", data=form(page, "/anomalies/undo") | {"who": "Bob"}).status_code == 400


def test_ratings_of_several_people_count_by_their_mean(session: Session) -> None:
    interest = ranked(session)
    interest.rate("Ada", 3, "rating-one", 5)
    interest.rate("Bob", 3, "rating-two", 2)
    interest.rate("Ada", 4, "rating-three", None)
    interest.rate("Ada", 5, "rating-four", 1)
    interest.rate("Ada", 5, "rating-five", 4)
    assert interest.ratings() == {3: pytest.approx(0.7), 5: pytest.approx(0.8)}
    # Each is shown what they have not rated.
    of_ada, of_bob = (dict(interest.ranking(who, 100)) for who in ("Ada", "Bob"))
    assert set(range(100)) - set(of_ada) == {3, 4, 5}
    assert set(range(100)) - set(of_bob) == {3}
    # They are in the database of the answers, and no answers to its question.
    assert session.current(session.question)[1] == {}
    assert Interest(session, interest.embeddings, Limiter()).ratings() == interest.ratings()
    varied = [row for row, _ in interest.ranking("Ada", 5, varied=True)]
    assert varied != [row for row, _ in interest.ranking("Ada", 5)]
    assert set(varied) <= {row for row, _ in interest.ranking("Ada", 50)}
    with pytest.raises(LabelError, match="0 to 5"):
        interest.rate("Ada", 6, "rating-six", 6)


def test_what_is_like_the_interesting_ones_rises(session: Session) -> None:
    interest = ranked(session)
    before = interest.scores({})
    after = interest.scores({7: 1.0, 8: 0.0})
    assert before is not None
    assert after is not None
    change = after - before
    near = interest.embeddings.vectors @ interest.embeddings.vectors[[7, 8]].T
    like, unlike = (near[:, 0] > 0.5) & (near[:, 1] < 0), (near[:, 1] > 0.5) & (near[:, 0] < 0)
    assert change[like].mean() > change[unlike].mean()
    assert np.isfinite(after).all()


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"interest": "6"}, 422), ({"galaxy": "0" * 16}, 400), ({"csrf": "guessed"}, 403), ({"row": "100"}, 400)],
)
def test_ratings_that_cannot_be_are_refused(
    client: TestClient, session: Session, changed: dict[str, str], status: int
) -> None:
    csrf = form(client.get("/gallery").text, "/gallery/ticked.csv")["csrf"]
    sent = {"csrf": csrf, "who": "Ada", "event": "rating-of-ada", "row": "1", "galaxy": session.page_token(1)}
    assert client.post("/anomalies", data=sent | {"interest": "5"} | changed).status_code == status
    assert QUESTION.name not in session.labels.questions()


def test_a_question_of_that_name_is_no_rating(tiny_survey: Path, drawn_catalog: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('name = "interest"\nanswers = ["no", "yes"]\n')
    with Labels(tmp_path / "own.db") as labels:
        session = open_session(drawn_catalog, labels, pictures=tiny_survey, question=str(file))
        session.answer("Ada", 1, "interest", "event-of-ada", "answer", 1, None, "")
        interest = ranked(session)
        assert interest.ratings() == {}
        assert interest.last("Ada") is None
        with pytest.raises(LabelError, match="asked with the answers no, yes"):
            interest.rate("Ada", 1, "rating-one", 5)
        session.pictures.close()


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_anomalies_map_and_likely_galaxies_by_touch_under_a_path(
    browser: Browser, drawn_catalog: Path, tiny_survey: Path, tmp_path: Path, servers: Servers
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with proxying("/user/ada/proxy/8222", whole=False) as proxy:
        more = ("--pictures", tiny_survey, "--question", "odd", "--port", port, "--url", f"{proxy.address}/")
        server = servers(drawn_catalog, tmp_path, *more, token=True)
        proxy.target = port
        page = browser.window(width=400, height=800, has_touch=True, is_mobile=True)
        page.goto(server.address)
        page.goto(f"{proxy.address}/?who=Ada")
        page.goto(f"{proxy.address}/anomalies")

        def act(act: Any) -> str:
            """Rate or undo; return the galaxy that was shown."""
            page.wait_for_selector(".numbers")
            old, event = page.inner_text("figcaption .id"), page.get_attribute("[name=event]", "value")
            act()
            page.wait_for_function("old => document.querySelector('[name=event]')?.value !== old", arg=event)
            return str(old)

        rated = [act(lambda: page.tap("[data-key='5']")), act(lambda: page.tap("[data-key='s']"))]
        box = page.locator("[data-key='5']").bounding_box()
        assert box["y"] + box["height"] < 800
        act(lambda: page.tap("[data-key='z']"))
        assert page.inner_text("figcaption .id") == rated[1]
        rated.append(act(lambda: page.keyboard.press("0")))
        assert rated[2] == rated[1]
        # Widths of a small phone, and of a window of 1,440 pixels at 200 %.
        for width, height in ((320, 640), (720, 450)):
            page.set_viewport_size({"width": width, "height": height})
            for path, part in (
                ("/anomalies", ".numbers"),
                ("/likely?yes=1", ".strike"),
                ("/map", ".field[data-ready]"),
            ):
                page.goto(proxy.address + path)
                page.wait_for_selector(part)
                assert (path, width, find_barriers(page), find_unreachable(page)) == (path, width, [], [])
        page.goto(f"{proxy.address}/map")
        page.wait_for_selector(".field[data-ready]")
        x, y = np.frombuffer(page.request.get(f"{proxy.address}/points/sky.bin").body(), "<f4").reshape(-1, 2)[17]
        page.locator(".field[data-kind='sky']").scroll_into_view_if_needed()
        field = page.locator(".field[data-kind='sky']").bounding_box()
        page.touchscreen.tap(
            field["x"] + float(x) / 720 * field["width"], field["y"] + float(y) / 450 * field["height"]
        )
        page.wait_for_selector(".card-name")
        page.goto(f"{proxy.address}/likely?yes=1")
        page.locator(".strike label").nth(3).tap()
        page.tap("button.main")
        page.wait_for_selector("form.stored")
        assert proxy.outside == []
    with Labels(tmp_path / "labels.db") as labels:
        assert [(one.galaxy, one.answer) for one in labels.current(QUESTION.name)] == [
            (rated[0], "5"),
            (rated[1], "0"),
        ]
        kinds = [one.answer for _, one in labels.history("odd")]
    assert kinds == ["odd"] * 39
