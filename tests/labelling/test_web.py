"""The labelling pages: content, stored answers, refused requests, and recovery after a kill."""

import asyncio
import html
import io
import re
import signal
import urllib.error
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from labelling_pages import HERE, form, shown
from labelling_server import Servers
from peculiar.catalogs.catalog import Catalog
from peculiar.cli import app as cli
from peculiar.errors import UsageError
from peculiar.images.decode import encode_picture
from peculiar.labelling.database import Event, Labels
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.explanations import open_explanations
from peculiar.labelling.web.guard import Guard
from peculiar.labelling.web.id_index import IdIndex
from peculiar.labelling.web.pages import Pages
from peculiar.labelling.web.serve import open_gallery, open_session
from peculiar.labelling.web.session import Session
from peculiar.models.model_file import load_model, shipped_model
from pictures import draw_galaxy


@pytest.fixture
def labels(tmp_path: Path) -> Iterator[Labels]:
    with Labels(tmp_path / "labels.db") as opened:
        yield opened


@pytest.fixture
def session(tiny_catalog: Path, tiny_survey: Path, labels: Labels) -> Iterator[Session]:
    opened = open_session(tiny_catalog, labels, pictures=tiny_survey, question="odd", every=5)
    yield opened
    assert opened.loop is not None
    opened.loop.wait()
    opened.pictures.close()


@pytest.fixture
def client(session: Session, tiny_catalog: Path) -> Iterator[TestClient]:
    assert session.loop is not None
    gallery = open_gallery(session, Catalog(tiny_catalog))
    with TestClient(Guard(make_app(session, gallery)), base_url=HERE, follow_redirects=False) as opened:
        yield opened


def answer(client: TestClient, page: str, choice: str = "1", **changed: str) -> str:
    """Send an answer as htmx does; return what is shown next."""
    sent = form(page) | {"choice": choice, "seconds": "1.5"} | changed
    got = client.post("/answer", data=sent, headers={"HX-Request": "true", "Origin": HERE})
    assert got.status_code == 200, got.text
    return got.text


def test_pages_print_escapes_and_send_back_what_they_were_given(session: Session) -> None:
    hostile = 'a\u202eb\u2066"c\x1b[31m'
    page = Pages(session)._templates.from_string('{{ a }} <input value="{{ a | exact }}">')
    text, field = page.render(a=hostile).split(" <input value=")
    assert html.unescape(text) == r'a\u202eb\u2066"c\x1b[31m'
    assert html.unescape(field) == f'"{hostile}">'


def test_an_answer_is_stored_before_the_next_galaxy_is_shown(client: TestClient, labels: Labels) -> None:
    page = client.get("/?who=Ada").text
    first = form(page)
    page = answer(client, page)
    assert form(page)["row"] != first["row"]
    (stored,) = labels.current("odd")
    assert (stored.galaxy, stored.answer, stored.who) == (f"sim-{int(first['row']):03d}", "odd", "Ada")
    assert stored.seconds == 1.5
    assert len(stored.model) == 64
    for choice in ("unsure", "skip", "0"):
        page = answer(client, page, choice)
    assert [one.kind for one in labels.current("odd")] == ["answer", "unsure", "skip", "answer"]


def test_a_request_that_is_sent_again_counts_once(client: TestClient, labels: Labels) -> None:
    page = client.get("/?who=Ada").text
    first, second = answer(client, page), answer(client, page)
    assert form(first)["row"] == form(second)["row"]
    assert len(labels.history("odd")) == 1
    sent = form(page) | {"choice": "0"}
    refused = client.post("/answer", data=sent)
    assert refused.status_code == 400
    assert "exists with other content" in refused.text


def test_undo_shows_the_galaxy_again(client: TestClient, labels: Labels) -> None:
    page = client.get("/?who=Ada").text
    row = form(page)["row"]
    answer(client, page)
    page = client.get("/?who=Ada").text  # as after a reload
    sent = form(page, "/undo")
    for _ in range(2):  # sent again, it undoes nothing else
        page = client.post("/undo", data=sent, headers={"HX-Request": "true"}).text
        assert form(page)["row"] == row
        assert labels.current("odd") == []
    answer(client, page, "0")
    assert [one.answer for one in labels.current("odd")] == ["not_odd"]


def test_a_page_of_other_galaxies_stores_nothing(client: TestClient, session: Session, labels: Labels) -> None:
    page = client.get("/?who=Ada").text
    # As in a later session, on a folder that has changed.
    session.ids = IdIndex(f"new-{id_}" for id_ in session.ids)
    sent = form(page) | {"choice": "1", "csrf": client.get("/csrf").text}  # as from a page of the earlier session
    refused = client.post("/answer", data=sent, headers={"HX-Request": "true"})
    assert refused.status_code == 400
    assert "other galaxies" in refused.text
    assert labels.history("odd") == []


def test_without_javascript_forms_lead_to_pages(client: TestClient) -> None:
    page = client.get("/?who=Ada").text
    done = client.post("/answer", data=form(page) | {"choice": "1"})
    assert done.status_code == 303
    assert done.headers["location"] == "/"
    done = client.post("/undo", data=form(client.get("/?who=Ada").text, "/undo"))
    assert done.headers["location"] == f"/?row={form(page)['row']}"


def test_people_are_compared_on_what_was_drawn_by_chance(client: TestClient, labels: Labels) -> None:
    for who in ("Ada", "Bob"):
        page = client.get(f"/?who={who}").text
        for number in range(30):
            page = answer(client, page, str(int(who == "Bob" and number % 3 == 0)))
    seen: dict[str, set[str]] = {}
    for one in labels.current("odd"):
        seen.setdefault(one.who, set()).add(one.galaxy)
    both = [one for one in labels.current("odd") if one.galaxy in seen["Ada"] & seen["Bob"]]
    assert {one.chosen for one in both} == {"random"}
    assert len(both) == 12
    told = client.get("/progress").text
    assert "Krippendorff" in told
    assert "Ada, Bob" in told


def test_the_head_learns_while_one_answers(client: TestClient, session: Session) -> None:
    assert "No model" not in client.get("/prediction/3").text  # the catalogue's has one
    page = client.get("/?who=Ada").text
    for number in range(25):
        page = answer(client, page, str(number % 2))
    assert session.loop is not None
    session.loop.wait()
    assert "Learned from your answers" in client.get("/prediction/3").text
    assert client.get("/progress.json").json()["progress"][-1]["learned"] > 0


def test_what_an_annotator_picks_does_not_count_as_random(client: TestClient, session: Session, labels: Labels) -> None:
    assert session.loop is not None
    picked = int(session.loop.apart[-1])
    answer(client, client.get(f"/?who=Ada&row={picked}").text)
    page = client.get("/?who=Ada").text
    for number in range(20):
        page = answer(client, page, str(number % 2))
    rows, _ = session._majority_answers(session.loop)
    by_chance = [int(row) for row in rows if session.loop.kept[row]]
    assert by_chance == [int(row) for row in session.loop.apart[: len(by_chance)]]
    assert len(by_chance) == 4
    assert picked not in rows
    assert labels.current("odd")[0].chosen == "asked for"


def test_the_model_is_silent_until_asked(client: TestClient) -> None:
    page = client.get("/?who=Ada").text
    assert "p odd" not in page
    assert "<meter" not in page
    assert "<meter" in client.get("/prediction/0").text


def test_a_grid_stores_ticked_ones_and_others(client: TestClient, labels: Labels) -> None:
    client.get("/?who=Ada")
    page = client.get("/grid").text
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    sent: dict[str, Any] = {name: value for name, value in fields if name in ("csrf", "who", "event")}
    sent |= {name: [value for key, value in fields if key == name] for name in ("rows", "chosen")}
    sent |= {"ticked": sent["rows"][:3], "yes": "1", "no": "-1"}
    for _ in range(2):
        assert client.post("/grid", data=sent).status_code == 303
    kinds = [one.kind for one in labels.current("odd")]
    assert (kinds.count("answer"), kinds.count("skip")) == (3, 21)
    assert len(labels.history("odd")) == 24
    wrong = client.post("/grid", data=sent | {"ticked": ["99"]})
    assert wrong.status_code == 400


def test_answers_are_fetched_as_tables(client: TestClient) -> None:
    answer(client, client.get("/?who=Ada").text)
    assert client.get("/export/votes.csv").text.splitlines()[0] == '"id","n_not_odd","n_odd","unsure"'
    assert client.get("/export/labels.parquet").content.startswith(b"PAR1")
    assert client.get("/export/passwords.csv").status_code == 422


@pytest.fixture
def tree_client(tiny_survey: Path, labels: Labels) -> Iterator[TestClient]:
    opened = open_session(tiny_survey, labels, question="gz2")
    with TestClient(Guard(make_app(opened)), base_url=HERE, follow_redirects=False) as client:
        yield client
    opened.pictures.close()


def test_a_tree_is_asked_question_after_question(tree_client: TestClient, labels: Labels) -> None:
    page = tree_client.get("/?who=Ada").text
    assert "Is the galaxy simply smooth and rounded" in page
    row = form(page)["row"]
    for choice, following in (("1", "edge-on"), ("1", "bar feature"), ("unsure", "spiral arm pattern")):
        page = answer(tree_client, page, choice)
        assert following in page
        assert form(page)["row"] == row
    said = re.findall(r'<li title="[^"]+">([^<]+)</li>', page)
    assert said == ["features or disk", "no", "(unsure)"]
    page = tree_client.post("/undo", data=form(page, "/undo"), headers={"HX-Request": "true"}).text
    assert "bar feature" in page
    assert form(tree_client.get("/?who=Ada").text)["question"] == "t03_bar"
    page = answer(tree_client, page, "skip")
    assert form(page)["row"] != row
    assert form(page)["question"] == "t01_smooth_or_features"
    assert labels.current("t02_edgeon")[0].answer == "no"


def test_progress_and_tables_are_a_question_s(tree_client: TestClient) -> None:
    answer(tree_client, answer(tree_client, tree_client.get("/?who=Ada").text, "1"), "0")
    page = tree_client.get("/progress?question=t02_edgeon").text
    assert "Could this be a disk viewed edge-on?" in page
    assert '<a href="/progress?question=t02_edgeon" aria-current="page">' in page
    table = html.unescape(re.search(r'href="(/export/votes.csv[^"]*)"', page)[1])  # type: ignore[index]
    assert tree_client.get(table).text.splitlines()[0] == '"id","n_yes","n_no","unsure"'
    assert "n_smooth" in tree_client.get("/export/votes.csv").text
    assert tree_client.get("/progress?question=t99").status_code == 400
    assert tree_client.get("/export/votes.csv?question=t99").status_code == 400


@pytest.mark.parametrize(("question", "status"), [("t02_edgeon", 400), ("t99", 400), ("", 422), ("x" * 65, 422)])
def test_an_answer_to_another_question_is_refused(
    tree_client: TestClient, labels: Labels, question: str, status: int
) -> None:
    sent = form(tree_client.get("/?who=Ada").text) | {"choice": "1", "question": question}
    assert tree_client.post("/answer", data=sent).status_code == status
    assert labels.history(*labels.questions()) == []


def test_a_hostile_tree_is_shown_as_text(tiny_survey: Path, tmp_path: Path, labels: Labels) -> None:
    (tmp_path / "bad.toml").write_text(
        "name = 'bad'\n[[question]]\nname = 'one'\nasks = '\"><script>alert(1)</script>'\n"
        "answers = ['<img src=x>', '{{ 7*7 }}']\nthen = 'two'\n"
        "[[question]]\nname = 'two'\nanswers = ['<b>a', '\" onclick=\"x']\n"
    )
    opened = open_session(tiny_survey, labels, question=str(tmp_path / "bad.toml"))
    with TestClient(Guard(make_app(opened)), base_url=HERE, follow_redirects=False) as client:
        page = client.get("/?who=Ada").text
        second = answer(client, page, "0")
        for text in (page, second, client.get("/grid").text, client.get("/progress?question=one").text):
            assert not re.findall(r'<script>|<img src=x|<b>|" onclick', text)
        assert "&lt;img src=x&gt;" in second
    opened.pictures.close()


def test_a_wall_is_sorted_and_filtered(client: TestClient, tiny_catalog: Path) -> None:
    chances = pa.parquet.read_table(tiny_catalog)["p_odd"].to_pylist()
    page = client.get("/gallery", params={"by": "p_odd", "who": "Ada"}).text
    first = shown(page)
    more = html.unescape(re.search(r'hx-get="([^"]+/tiles[^"]+)"', page)[1])  # type: ignore[index]
    rest = client.get(more, headers={"HX-Request": "true"}).text
    assert "<main" not in rest
    assert len(first) == 60
    assert [chances[row] for row in first + shown(rest)] == sorted(chances, reverse=True)
    few = client.get("/gallery", params={"where": "p_odd > 0.3 and ra < 150.5"}).text
    assert set(shown(few)) == {row for row in range(50) if chances[row] > 0.3}
    table = client.get("/gallery/found.csv", params={"cone": "150.3,1.7,0.1", "by": "p_odd"}).text
    assert len(table.splitlines()) - 1 == len(shown(client.get("/gallery", params={"cone": "150.3,1.7,0.1"}).text)) > 5


@pytest.mark.parametrize(
    "asked", [{"where": "1; drop table x"}, {"where": "pp > 1"}, {"cone": "north"}, {"by": "embedding"}, {"by": "x"}]
)
def test_a_wall_says_what_it_does_not_understand(client: TestClient, asked: dict[str, str]) -> None:
    page = client.get("/gallery", params=asked)
    assert page.status_code == 200
    assert 'role="alert">' in page.text
    assert "0 galaxies" in page.text
    assert client.get("/gallery/found.csv", params=asked).status_code == 400


def test_a_galaxy_is_shown_with_those_most_like_it(client: TestClient, tiny_catalog: Path) -> None:
    client.get("/?who=Ada")
    page = client.get("/galaxy/7").text
    near = [f"sim-{row:03d}" for row in shown(page)]
    assert near == Catalog(tiny_catalog).similar(["sim-007"], top=12).ids
    assert "skyserver.sdss.org" in page
    assert 'href="/?row=7"' in page
    assert form(client.get("/?who=Ada&row=7").text)["row"] == "7"
    assert client.get("/galaxy/100").status_code == 400


def test_embeddings_of_another_network_choose_and_are_named(
    tiny_catalog: Path, tiny_survey: Path, labels: Labels
) -> None:
    ids = Catalog(tiny_catalog).ids
    np.savez("dino.npz", ids=ids, embeddings=np.random.default_rng(222).normal(size=(len(ids), 5)))
    catalog = Catalog(tiny_catalog, embeddings="dino.npz")
    session = open_session(catalog, labels, pictures=tiny_survey, question="odd")
    assert session.loop is not None
    assert session.loop.embeddings.vectors.shape == (100, 5)
    assert catalog.external is not None
    assert session.model == catalog.external.digest
    gallery = open_gallery(session, catalog)
    with TestClient(Guard(make_app(session, gallery)), base_url=HERE, follow_redirects=False) as client:
        page = client.get("/galaxy/7").text
        client.get("/map")  # begins the map
        gallery.layout.wait()
        maps = client.get("/map").text
    session.pictures.close()
    assert "By the embeddings of dino.npz." in page
    assert [f"sim-{row:03d}" for row in shown(page)] == catalog.similar(["sim-007"], top=12).ids
    assert "Similarity by the embeddings of dino.npz" in maps


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"csrf": "guessed"}, 403),
        ({"row": "100"}, 400),
        ({"row": "-1"}, 422),
        ({"row": "../../etc/passwd"}, 422),
        ({"choice": "9"}, 400),
        ({"choice": "undo"}, 422),
        ({"who": ""}, 422),
        ({"who": "x" * 100}, 422),
        ({"event": "a/../b"}, 422),
        ({"seconds": "nan"}, 422),
        ({"seconds": "-1"}, 422),
        ({"more": "1"}, 422),
    ],
)
def test_what_a_form_may_not_say_is_refused(
    client: TestClient, labels: Labels, changed: dict[str, str], status: int
) -> None:
    sent = form(client.get("/?who=Ada").text) | {"choice": "1"} | changed
    assert client.post("/answer", data=sent).status_code == status
    assert labels.history("odd") == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:8222"}, 421),
        ({"Host": ""}, 421),
    ],
)
def test_other_pages_and_names_are_refused(
    client: TestClient, labels: Labels, headers: dict[str, str], status: int
) -> None:
    sent = form(client.get("/?who=Ada").text) | {"choice": "1"}
    assert client.post("/answer", data=sent, headers=headers).status_code == status
    assert labels.history("odd") == []


def test_long_requests_are_refused(client: TestClient) -> None:
    assert client.post("/answer", data={"who": "x" * 70_000}).status_code == 413
    pieces = (b"x" * 10_000 for _ in range(7))  # sent without saying how long it will be
    assert client.post("/answer", content=pieces).status_code == 413
    assert client.get("/?who=" + "x" * 5_000).status_code == 414


def test_a_request_that_breaks_off_stores_nothing(client: TestClient, labels: Labels) -> None:
    sent = form(client.get("/?who=Ada").text) | {"choice": "1"}
    pieces: list[dict[str, Any]] = [
        {"type": "http.request", "body": urllib.parse.urlencode(sent).encode(), "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope = {"type": "http", "method": "POST", "path": "/answer", "query_string": b"", "scheme": "http"}
    kind = (b"content-type", b"application/x-www-form-urlencoded")

    async def receive() -> dict[str, Any]:
        return pieces.pop(0)

    async def send(message: Any) -> None:
        pass

    asyncio.run(client.app(scope | {"headers": [(b"host", b"127.0.0.1"), kind]}, receive, send))
    assert pieces == []
    assert labels.history("odd") == []


def test_every_answer_says_what_a_page_may_do(client: TestClient) -> None:
    for address in ("/", "/?who=Ada", "/picture/0/large", "/static/pages.js", "/nowhere"):
        headers = client.get(address).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == "same-origin"
    assert client.get("/nowhere").status_code == 404
    page = client.get("/?who=Ada").text
    assert not re.findall(r'\bon\w+="|style="|<script>|(?:src|href)="(?!/|#)', page)


def test_what_is_hostile_is_shown_as_text(tmp_path: Path, labels: Labels) -> None:
    bad = "<img src=x onerror=alert(1)>\"'&{{7919*7907}}"
    picture = encode_picture(draw_galaxy(32, 6, 16, 16))
    rows = [{"id": f"{bad}{number}", "image": picture} for number in range(12)]
    rows[0]["image"] = b"<svg onload=alert(1)>"
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "bad.parquet")
    (tmp_path / "bad.toml").write_text(
        "name = 'bad'\nanswers = ['<script>alert(1)</script>', \"{{ 7919*7907 }} ' onclick=x\"]\n"
    )
    opened = open_session(tmp_path / "bad.parquet", labels, question=str(tmp_path / "bad.toml"))
    with TestClient(Guard(make_app(opened)), base_url=HERE, follow_redirects=False) as client:
        page = client.get("/", params={"who": bad}).text
        for _ in range(12):
            assert "<script>alert" not in page
            assert "<img src=x" not in page
            assert "<svg" not in page
            assert "62615533" not in page
            page = answer(client, page, "skip" if "cannot be read" in page else "0")
        assert "No galaxies left" in page
        told = client.get("/progress").text
        assert "<script>alert" not in told
        assert "<img src=x" not in told
    opened.pictures.close()


@pytest.mark.parametrize(("id_", "title"), [(None, "row 0"), (b"g0", "g0")])
def test_a_galaxy_with_an_odd_id_has_a_page(id_: bytes | None, title: str, tmp_path: Path, labels: Labels) -> None:
    picture = encode_picture(draw_galaxy(32, 6, 16, 16))
    ids = [id_, *(f"g{number}".encode() for number in range(1, 9))]
    embeddings = np.random.default_rng(222).normal(size=(9, 4)).astype(np.float32)
    table = pa.table(
        {"id": ids, "image": [picture] * 9, "embedding": pa.FixedSizeListArray.from_arrays(embeddings.ravel(), 4)}
    )
    pa.parquet.write_table(table, tmp_path / "c.parquet")
    session = open_session(tmp_path / "c.parquet", labels, pictures=tmp_path / "c.parquet")
    assert session.loop is not None
    gallery = open_gallery(session, Catalog(tmp_path / "c.parquet"))
    with TestClient(Guard(make_app(session, gallery)), base_url=HERE) as client:
        page = client.get("/galaxy/0")
    assert page.status_code == 200
    assert f"<h1>{title}</h1>" in page.text
    session.loop.wait()
    gallery.layout.wait()
    session.pictures.close()


def test_a_picture_that_is_gone_can_be_skipped(tmp_path: Path, labels: Labels) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(encode_picture(draw_galaxy(32, 6, 16, 16, seed=number)))
    opened = open_session(folder, labels, question="odd")
    for file in folder.iterdir():
        file.unlink()
    with TestClient(Guard(make_app(opened)), base_url=HERE, follow_redirects=False) as client:
        page = client.get("/?who=Ada").text
        assert "This picture cannot be read" in page
        instead = client.get("/picture/0/large")
        assert (instead.status_code, instead.headers["content-type"]) == (200, "image/svg+xml")
        assert "cannot" in instead.text
        answer(client, page, "skip")
    assert [one.kind for one in labels.current("odd")] == ["skip"]
    opened.pictures.close()


def test_another_desk_on_the_same_database_is_seen(client: TestClient, labels: Labels, session: Session) -> None:
    page = client.get("/?who=Ada").text
    row = int(form(page)["row"])
    with Labels(labels.path) as other:
        other.record(Event("other-session-1", "answer", "Ada", session.ids[row], "odd", "odd"))
    assert form(client.get("/?who=Ada").text)["row"] != str(row)


def test_a_disk_that_takes_no_answers_is_told(client: TestClient, labels: Labels) -> None:
    page = client.get("/?who=Ada").text
    labels._connection.execute("PRAGMA query_only = ON")
    refused = client.post("/answer", data=form(page) | {"choice": "1"}, headers={"HX-Request": "true"})
    assert refused.status_code == 503
    assert "it cannot be written; change its permissions" in refused.text
    labels._connection.execute("PRAGMA query_only = OFF")
    answer(client, page)
    assert len(labels.history("odd")) == 1


def test_bad_data_are_refused_in_words(
    tiny_catalog: Path, tiny_survey: Path, tmp_path: Path, labels: Labels, fake_npz: Path
) -> None:
    table = pa.parquet.read_table(tiny_catalog)
    pa.parquet.write_table(table.drop_columns(["embedding"]), tmp_path / "plain.parquet")
    with pytest.raises(UsageError, match=r"no embeddings.*`peculiar predict DATA --embeddings"):
        open_session(tmp_path / "plain.parquet", labels, pictures=tiny_survey)
    with pytest.raises(UsageError, match="name them"):
        open_session(tiny_catalog, labels)
    with pytest.raises(UsageError, match="holds none of the galaxies"):
        open_session(tiny_catalog, labels, pictures=fake_npz)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_the_command_says_what_is_wrong(tiny_survey: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["label", str(tiny_survey), "--question", "oddd", "--no-browser"])
    assert "oddd" in str(done.exception)
    (tmp_path / "labels.db").write_text("text " * 1000)
    done = CliRunner().invoke(cli, ["label", str(tiny_survey), "--no-browser"])
    assert "not a database" in str(done.exception)


def test_several_pictures_are_asked_about_and_of_catalogues_there_is_one(
    tiny_catalog: Path, tiny_survey: Path, labels: Labels, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("one.png", "two.png")]
    for seed, file in enumerate(files):
        Image.fromarray(draw_galaxy(64, 10, 32, 32, seed=seed)).save(file)
    assert list(open_session(files, labels).ids) == ["one.png", "two.png"]
    with pytest.raises(UsageError, match="one catalogue; 2 were given"):
        open_session([tiny_catalog, tiny_catalog], labels, pictures=tiny_survey)


@pytest.mark.parametrize("page", ["/", "/progress", "/gallery", "/map", "/galaxy/3"])
@pytest.mark.parametrize("who", ["", "?who=Ada+%26+Bo"])
def test_every_page_leads_to_the_others(client: TestClient, page: str, who: str) -> None:
    client.get("/" + who)
    text = client.get(page).text
    links = re.findall(r'href="(/[^"]*)"', text[text.index('<nav aria-label="Pages">') : text.index("</nav>")])
    own, rated = (["/", "/grid"], ["/anomalies"]) if who else ([], [])
    assert links == [*own, "/progress", "/review", "/gallery", "/map", *rated, "/who"]


@pytest.mark.parametrize("page", ["/", "/grid", "/gallery", "/galaxy/3"])
def test_a_picture_of_an_earlier_desk_is_not_shown_again(client: TestClient, session: Session, page: str) -> None:
    client.get("/?who=Ada")
    earlier = set(re.findall(r"/picture/\S*(?=[ \"])", client.get(page).text))
    session.id = "another-session"  # as of the next session, at the same address
    later = set(re.findall(r"/picture/\S*(?=[ \"])", client.get(page).text))
    assert earlier
    assert not earlier & later
    assert client.get(later.pop()).headers["cache-control"] == "private, max-age=3600"


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.slow
def test_a_kill_loses_and_doubles_nothing(tiny_survey: Path, tmp_path: Path, servers: Servers) -> None:
    server = servers(tiny_survey, tmp_path, "--question", "odd", "--port", "0")
    page, said = server.get("/?who=Ada"), []
    for number in range(20):
        sent = form(page) | {"choice": str(number % 2)}
        page = server.post("/answer", sent)
        said.append(f"sim-{int(sent['row']):03d}")
    pending = form(page) | {"choice": "1"}
    if int(pending["row"]) % 2:  # whether or not the last request arrived, it is sent again
        server.post("/answer", pending)
    server.kill()
    server = servers(tiny_survey, tmp_path, "--question", "odd", "--port", "0")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        server.post("/answer", pending)
    server.post("/answer", pending | {"csrf": server.get("/csrf")})
    server.kill(signal.SIGINT)
    said.append(f"sim-{int(pending['row']):03d}")
    with Labels(tmp_path / "labels.db") as labels:
        assert [one.galaxy for _, one in labels.history("odd")] == said
    assert "Traceback" not in server.log.read_text()


FIELDS = (
    "csrf",
    "who",
    "event",
    "row",
    "question",
    "choice",
    "chosen",
    "seconds",
    "undoes",
    "rows",
    "ticked",
    "yes",
    "no",
    "x",
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_no_request_breaks_the_desk(client: TestClient, data: st.DataObject) -> None:
    described = client.get("/openapi.json").json()["paths"]
    path, methods = data.draw(st.sampled_from(sorted(described.items())))
    words = st.text(max_size=20) | st.sampled_from(
        ["-1", "0", "3", "99999999999", "1e999", "nan", "skip", "large", "csv", "odd"]
    )
    csrf = client.get("/csrf").text
    address = re.sub(r"{\w+}", lambda _: urllib.parse.quote(data.draw(words), safe=""), path)
    query = data.draw(
        st.dictionaries(st.sampled_from(["who", "row", "where", "cone", "by", "start", "question"]), words)
    )
    form = data.draw(st.dictionaries(st.sampled_from(FIELDS), words))
    if data.draw(st.booleans()):
        form |= {"csrf": csrf, "who": "Ada", "event": f"event-{data.draw(st.integers(0, 9))}aaaa"}
    for method in methods:
        got = client.request(method.upper(), address, params=query, data=form if method == "post" else None)
        assert got.status_code < 500, got.text
        assert "default-src 'self'" in got.headers["content-security-policy"]


def explaining(session: Session, catalog: Path, model: Path | None) -> TestClient:
    """A session with the model of its catalogue."""
    assert session.loop is not None
    gallery = open_gallery(session, Catalog(catalog))
    explanations = None if model is None else open_explanations(session.model, session.pictures, model)
    return TestClient(Guard(make_app(session, gallery, explanations)), base_url=HERE, follow_redirects=False)


def test_a_galaxy_shows_what_made_the_model_say_so(session: Session, tiny_catalog: Path, tiny_model: Path) -> None:
    with explaining(session, tiny_catalog, tiny_model) as client:
        page = client.get("/galaxy/7").text
        assert '<option value="clean5/edge_on">edge on</option>' in page
        assert "/explanation.jpg" not in page
        part = client.get(
            "/galaxy/7/explanation", params={"asked": "clean5/cigar"}, headers={"HX-Request": "true"}
        ).text
        assert part.startswith('<figure class="explanation">')
        address = html.unescape(re.search(r'src="([^"]+)"', part)[1])  # type: ignore[index]
        got = client.get(address)
        assert got.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(got.content)) as picture:
            assert picture.size == (480, 480)
        # Without JavaScript it is part of the page, with the answer chosen.
        whole = client.get("/galaxy/7/explanation", params={"asked": "clean5/cigar", "who": "Ada"}).text
        assert part.strip() in whole
        assert '<option value="clean5/cigar" selected>' in whole
        chances = load_model(tiny_model).asking("clean5").probabilities
        picture7 = next(iter(session.pictures.source.galaxies(load_model(tiny_model).framing, start=7))).picture
        assert picture7 is not None
        assert f"{100 * chances(picture7[None])[0, 2]:.0f} %" in part


def test_what_was_explained_is_kept(
    session: Session, tiny_catalog: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with explaining(session, tiny_catalog, tiny_model) as client:
        first = client.get("/galaxy/7/explanation.jpg", params={"asked": "odd"})
        assert first.status_code == 200
        monkeypatch.setattr("peculiar.labelling.web.explanations.attribute", None)
        assert client.get("/galaxy/7/explanation.jpg", params={"asked": "odd"}).content == first.content


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("clean5/cigars", "no answer 'cigars' to 'clean5'. Did you mean 'cigar'?"),
        ("clean/cigar", "Did you mean 'clean5'?"),
        ("<script>/x", "no question '<script>'"),
    ],
)
def test_an_answer_that_the_model_does_not_give(
    session: Session, tiny_catalog: Path, tiny_model: Path, asked: str, said: str
) -> None:
    with explaining(session, tiny_catalog, tiny_model) as client:
        refused = client.get("/galaxy/7/explanation", params={"asked": asked})
        assert refused.status_code == 400
        assert said in refused.text
        assert refused.headers["content-type"].startswith("text/plain")
        assert client.get("/galaxy/700/explanation").status_code == 400
        assert client.get("/galaxy/7/explanation", params={"asked": "x" * 201}).status_code == 422


def test_without_the_model_nothing_is_explained(session: Session, tiny_catalog: Path, client: TestClient) -> None:
    assert "Explain the answer" not in client.get("/galaxy/7").text
    assert client.get("/galaxy/7/explanation").status_code == 404
    # The model that ships did not make this catalogue.
    assert open_explanations(session.model, session.pictures) is None
    with pytest.raises(UsageError, match=r"galaxy.onnx did not make this catalogue: its digest is"):
        open_explanations(session.model, session.pictures, shipped_model())


def test_a_picture_that_is_not_there_is_not_explained(session: Session, tiny_catalog: Path, tiny_model: Path) -> None:
    assert session.pictures.places is not None
    session.pictures.places[7] = -1
    with explaining(session, tiny_catalog, tiny_model) as client:
        assert "Explain the answer" not in client.get("/galaxy/7").text
        refused = client.get("/galaxy/7/explanation")
        assert (refused.status_code, refused.text) == (400, "it is not among the pictures")
