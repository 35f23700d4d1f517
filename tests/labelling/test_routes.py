"""Every route under schemathesis: responses match the OpenAPI description, whatever is sent."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from starlette.testclient import TestClient

from peculiar.catalogs.catalog import Catalog
from peculiar.labelling.database import Event, Labels
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.guard import Guard
from peculiar.labelling.web.interest import QUESTION
from peculiar.labelling.web.serve import open_gallery, open_session
from peculiar.labelling.web.session import Session

TOKEN = "secret-token"
HEADERS = {"Host": "127.0.0.1:8222", "Cookie": f"peculiar-8222={TOKEN}"}


@pytest.fixture
def session(drawn_catalog: Path, tiny_survey: Path, tmp_path: Path) -> Iterator[Session]:
    with Labels(tmp_path / "labels.db") as labels:
        opened = open_session(drawn_catalog, labels, pictures=tiny_survey, question="odd", every=5)
        yield opened
        assert opened.loop is not None
        opened.loop.wait()
        opened.pictures.close()


@pytest.fixture
def app(session: Session, drawn_catalog: Path) -> Any:
    assert session.loop is not None
    return make_app(session, open_gallery(session, Catalog(drawn_catalog)))


def make_sense(case: Any, csrf: str, catalog: str, session: Session) -> None:
    """Let what is well formed also fit what is there: the page's own token, rows and answers that there are."""
    rows = len(session)
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            fitting: dict[str, Any] = {"csrf": csrf, "undoes": "event-to-undo", "question": "odd", "catalog": catalog}
            if str(case.path).startswith("/anomalies"):
                fitting["undoes"] = "rating-to-undo"
            if str(case.path).startswith("/map/"):  # whatever is chosen by a condition is tested on other pages
                fitting |= dict.fromkeys(
                    ("where", "cone", "by", "sky", "map", "review", "about", "narrow", "colour"), ""
                )
            if "undoes" in part:
                fitting["who"] = "Ada"
            if part.get("kind") == "map":  # it may still be in the making
                fitting["kind"] = "sky"
            if "csrf" in part and str(case.path).startswith(("/gallery", "/batch")) and "undoes" not in part:
                part |= {"who": "Ada", "rows": ["0 2"]}
            if "row" in part:
                fitting["row"] = int(part["row"]) % rows
                fitting["galaxy"] = session.page_token(fitting["row"])
            if str(part.get("choice")).isdecimal():
                fitting["choice"] = str(int(part["choice"]) % 2)
            if "yes" in part and "rows" in part:
                some = sorted({int(row) % rows for row in part["rows"]})
                fitting |= {"rows": some, "chosen": ["random"] * len(some), "ticked": some[:1], "yes": 1, "no": 0}
            part |= {name: value for name, value in fitting.items() if name in part}


# What the session learns in the background may take random numbers while Hypothesis looks after their state.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize(
    ("guard", "examples"),
    [
        ("this machine", 4),
        pytest.param("none", 60, marks=pytest.mark.slow),
        pytest.param("this machine", 60, marks=pytest.mark.slow),
        pytest.param("token", 60, marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_the_description_is_true(app: Any, session: Session, guard: str, examples: int, mode: str) -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="the package schemathesis is not installed")
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    if guard != "none":
        app = Guard(app, TOKEN if guard == "token" else "")
    with TestClient(app, base_url="http://127.0.0.1:8222", headers=HEADERS) as client:
        csrf = client.get("/csrf").text
        catalog = re.search(r'id="ticked"[^>]* data-catalog="([^"]+)"', client.get("/gallery").text)[1]  # type: ignore[index]
    session.answer("Ada", 0, "odd", "event-to-undo", "answer", 1, None, "random")
    session.answer_many("Ada", {1: 1}, "event-to-undo", None, {1: ""})
    session.labels.ask(QUESTION)
    session.labels.record(Event("rating-to-undo", "answer", "Ada", session.ids[2], QUESTION.name, "3"))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=HEADERS)
    # Whatever is too long for the guard is refused before anybody looks into it.
    schema.config.checks.negative_data_rejection.expected_statuses = ["4xx"]
    answers: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode == "negative" and not [*operation.iter_parameters(), *operation.body]:
            continue  # nothing that could be wrong

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
        def ask(case: Any) -> None:
            if mode == "positive":
                make_sense(case, csrf, catalog, session)
            # What is well formed may still be refused: a condition on a column that is not there, an undo of nothing.
            got = case.call_and_validate(headers=HEADERS, excluded_checks=[positive_data_acceptance])
            answers.setdefault(case.operation.label, set()).add(got.status_code)

        ask()
    assert len(answers) >= 12
    if mode == "positive":
        assert [label for label, given in answers.items() if min(given) >= 400] == []
    else:
        assert [label for label, given in answers.items() if max(given) < 400] == []


def test_whatever_changes_something_needs_the_token_of_the_page(app: Any, session: Session) -> None:
    described = app.openapi()
    assert {method for route in described["paths"].values() for method in route} == {"get", "post"}
    for route in described["paths"].values():
        if "post" in route:
            (media,) = route["post"]["requestBody"]["content"].values()
            form = described["components"]["schemas"][media["schema"]["$ref"].rpartition("/")[2]]
            assert "csrf" in form["required"]
    common = {"who": "Ada", "event": "event-of-a-forger"}
    forms: dict[str, dict[str, Any]] = {
        "/answer": {"row": 0, "galaxy": "0" * 16, "question": "odd", "choice": "1"},
        "/undo": {"undoes": "event-0000"},
        "/grid": {"rows": 0, "chosen": "random", "yes": 1, "no": 0},
        "/batch": {"rows": "0", "catalog": "another", "choice": "1"},
        "/batch/undo": {"undoes": "event-0000"},
        "/anomalies": {"row": 0, "galaxy": "0" * 16, "interest": "5"},
        "/anomalies/undo": {"undoes": "event-0000"},
    }
    with TestClient(Guard(app), base_url="http://127.0.0.1:8222") as client:
        for path, form in forms.items():
            assert client.post(path, data=common | form).status_code == 422
            assert client.post(path, data=common | form | {"csrf": ""}).status_code in (403, 422)
            assert client.post(path, data=common | form | {"csrf": "guessed"}).status_code == 403
    assert session.labels.history("odd") == []
