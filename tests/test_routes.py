"""Every route under schemathesis: what the desk's OpenAPI says is what it does, whatever is sent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.testclient import TestClient

from peculiar.labels import Labels
from peculiar.shelf import Shelf
from peculiar.web.app import make_app
from peculiar.web.desk import Desk
from peculiar.web.guard import Guard
from peculiar.web.serve import open_desk
from peculiar.web.wall import Wall

TOKEN = "secret-token"


@pytest.fixture
def desk(drawn_catalog: Path, tiny_survey: Path, tmp_path: Path) -> Iterator[Desk]:
    with Labels(tmp_path / "labels.db") as labels:
        opened = open_desk(drawn_catalog, labels, pictures=tiny_survey, question="odd", every=5)
        yield opened
        assert opened.loop is not None
        opened.loop.wait()
        opened.pictures.close()


def fit(case: Any, csrf: str, rows: int) -> None:
    """Let a request that is well formed also make sense: a row that is there, an answer that can be given."""
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            known = {"csrf": csrf} | {name: int(part[name]) % rows for name in ("row",) if name in part}
            if "rows" in part:
                known["rows"] = sorted({int(row) % rows for row in part["rows"]})
                known |= {"chosen": ["random"] * len(known["rows"]), "ticked": known["rows"][:1], "yes": 1, "no": 0}
            if "choice" in part and part["choice"].isdecimal():
                known["choice"] = str(int(part["choice"]) % 2)
            part |= {name: value for name, value in known.items() if name in part}


@pytest.mark.parametrize("guard", ["none", "here", "token"])
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_description_is_true(desk: Desk, drawn_catalog: Path, guard: str, mode: GenerationMode) -> None:
    assert desk.loop is not None
    app: Any = make_app(desk, Wall(Shelf(drawn_catalog), desk.loop.embeddings, desk.ids))
    if guard != "none":
        app = Guard(app, TOKEN if guard == "token" else "")
    headers = {"Host": "127.0.0.1:8222", "Cookie": f"peculiar={TOKEN}"}
    with TestClient(app, base_url="http://127.0.0.1:8222", headers=headers) as client:
        csrf = client.get("/csrf").text
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=headers)
    answers: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not [*operation.iter_parameters(), *operation.body]:
            continue  # nothing that could be wrong

        @settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            if mode is GenerationMode.POSITIVE:
                fit(case, csrf, len(desk))
            # What is well formed may still not be: a condition on a column that is not there, an undo of nothing.
            got = case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])
            answers.setdefault(case.operation.label, set()).add(got.status_code)

        ask()
    print(answers)
