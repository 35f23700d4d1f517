"""Questions to a service with TAP on this machine, which misbehaves in the ways that services do."""

import itertools
import os
import re
import time
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyvo", reason="pyvo is not installed: pip install 'peculiar[known]'")

from peculiar.errors import UnknownNameError, UsageError
from peculiar.files.cache import cache_folder
from peculiar.sources.http import Client, Manners, Problem
from peculiar.sources.tap import OBJECTS, Tap
from peculiar.sources.tap_services import find_service
from tap_server import Service, serve_tap, sky

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

RADIUS = 5 / 3600


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve_tap() as running:
        running.objects = sky(300)
        yield running


def tap(service: Service, name: str = "simbad", **manners: Any) -> Tap:
    options = {"tries": 3, "timeout": 5.0, "backoff": 0.01} | manners
    return Tap(find_service(name), Client(Manners(50.0, **options)), RADIUS, service.url)


def places(service: Service, count: int = 20) -> Any:
    return np.stack([service.objects["ra"][:count], service.objects["dec"][:count]], axis=1)


@pytest.mark.parametrize("name", ["simbad", "ned", "vizier"])
def test_objects_near_positions_are_found(service: Service, name: str) -> None:
    asked = tap(service, name)
    assert asked.find_columns().found is not None
    found = asked.objects(places(service)).found
    assert found is not None
    assert found.schema == OBJECTS
    assert sorted(found["id"].to_pylist()) == sorted(service.objects["id"][:20])
    assert found["type"].to_pylist().count("G") == 7
    if name == "vizier":
        assert found["redshift"].null_count == 20
    else:
        assert found["redshift"].null_count == service.objects["redshift"][:20].mask.sum()
    assert found["references"].null_count == (0 if name == "simbad" else 20)
    assert service.agents == {f"peculiar/{metadata.version('peculiar')} (known objects)"}


def test_an_answer_without_objects_is_one(service: Service) -> None:
    found = tap(service).objects(np.array([[0.0, 89.99]])).found
    assert found is not None
    assert len(found) == 0
    assert found.schema == OBJECTS


def test_nothing_is_asked_twice_until_the_answer_is_old(service: Service) -> None:
    tap(service).objects(places(service))
    assert tap(service).objects(places(service)).found is not None
    assert len(service.queries) == 1
    tap(service).objects(places(service, 19))
    assert len(service.queries) == 2
    for kept in (cache_folder() / "known" / "simbad").rglob("*.parquet"):
        os.utime(kept, (time.time() - 31 * 86_400,) * 2)
    tap(service).objects(places(service))
    assert len(service.queries) == 3
    for kept in (cache_folder() / "known" / "simbad").rglob("*.parquet"):
        kept.write_bytes(b"damaged")
    tap(service).objects(places(service))
    tap(service).objects(places(service, 19))
    assert len(service.queries) == 5


@pytest.mark.parametrize(
    "trick", ["429", "503", "500", "502", "drop", "cut", "half", "html", "columns", "words", "wrong"]
)
def test_what_may_pass_is_tried_again(service: Service, trick: str) -> None:
    service.tricks.extend([trick, trick])
    assert tap(service).objects(places(service)).found is not None
    assert len(service.queries) == 3


@pytest.mark.parametrize(
    ("trick", "problem", "reason"),
    [
        ("429", Problem.BUSY, "429 Too Many Requests"),
        ("500", Problem.SERVER, "500 Internal Server Error"),
        ("html", Problem.DAMAGED, ""),
        ("half", Problem.DAMAGED, ""),
        ("columns", Problem.DAMAGED, r"lacks the column main_id \(it has ra, dec, something"),
        ("words", Problem.DAMAGED, "the column ra holds no numbers"),
        ("wrong", Problem.DAMAGED, "objects without a position on the sky"),
        ("drop", Problem.CONNECTION, ""),
        ("cut", Problem.CUT, "the connection broke off"),
    ],
)
def test_a_service_that_goes_on_so_is_told(service: Service, trick: str, problem: Problem, reason: str) -> None:
    service.always = trick
    answer = tap(service).objects(places(service))
    assert (answer.found, answer.problem, len(service.queries)) == (None, problem, 3)
    assert answer.reason
    assert re.search(reason, answer.reason)


@pytest.mark.parametrize(("trick", "problem"), [("404", Problem.REFUSED), ("query:no column nbref", Problem.REFUSED)])
def test_a_refusal_is_no_reason_to_ask_again(service: Service, trick: str, problem: Problem) -> None:
    service.always = trick
    answer = tap(service).objects(places(service))
    assert (answer.problem, len(service.queries)) == (problem, 1)
    assert ("no column nbref" in answer.reason) == trick.startswith("query")


@pytest.mark.parametrize("trick", ["slow", "drip"])
def test_a_slow_service_is_not_waited_for(service: Service, trick: str) -> None:
    service.tricks.append(trick)
    begin = time.monotonic()
    assert tap(service, timeout=0.4).objects(places(service)).found is not None
    assert time.monotonic() - begin < 5
    service.always = trick
    answer = tap(service, timeout=0.2).objects(places(service, 3))
    assert (answer.problem, answer.reason) == (Problem.SLOW, "no answer within 0.2 s")


@pytest.mark.parametrize("trick", ["429:1", "503:1", "429:date"])
@pytest.mark.slow
def test_a_pause_is_kept(service: Service, trick: str) -> None:
    service.tricks.append(trick)
    assert tap(service).objects(places(service)).found is not None
    first, second = service.times
    assert second - first > 0.9


def test_a_long_pause_ends_the_questions(service: Service) -> None:
    service.always = "429:100000"
    asked = tap(service)
    assert asked.objects(places(service)).found is None
    assert asked.client.closed == "the service asks for a pause of 100,000 s (429 Too Many Requests)"
    assert asked.objects(places(service, 3)).problem is Problem.NOT_ASKED
    assert len(service.queries) == 1


def test_the_rate_is_kept(service: Service) -> None:
    asked = Tap(find_service("simbad"), Client(Manners(10.0)), RADIUS, service.url)
    for count in range(1, 6):
        asked.objects(places(service, count))
    assert min(later - earlier for earlier, later in itertools.pairwise(service.times)) > 0.08
    assert service.at_once == 1


def test_too_many_objects_are_asked_for_in_halves(service: Service) -> None:
    service.most = 6
    found = tap(service).objects(places(service)).found
    assert found is not None
    assert sorted(found["id"].to_pylist()) == sorted(service.objects["id"][:20])
    assert len(service.queries) < 10
    service.most = 0
    answer = tap(service, tries=1).objects(places(service, 1))
    assert (answer.problem, answer.reason) == (Problem.TOO_MANY, "the service has more objects than it sends")


def test_redirections_are_followed_but_not_for_ever(service: Service) -> None:
    service.always = "away"
    answer = tap(service).objects(places(service))
    assert answer.problem is Problem.REDIRECTS
    assert len(service.times) <= 6


def test_an_unreachable_service_is_told() -> None:
    asked = Tap(find_service("ned"), Client(Manners(50.0, tries=2, backoff=0.01)), RADIUS, "http://127.0.0.1:9/tap")
    answer = asked.objects(np.array([[10.0, 10.0]]))
    assert answer.problem is Problem.CONNECTION


def test_a_table_of_vizier_needs_positions(service: Service) -> None:
    answer = tap(service, "vizier:J/none").find_columns()
    assert answer.problem is Problem.REFUSED
    assert answer.reason == "the table J/none has no positions or ids: the service does not know it"


def test_names_of_services_are_checked() -> None:
    assert find_service("vizier:J/MNRAS/435/2835/table1").table == "J/MNRAS/435/2835/table1"
    with pytest.raises(UnknownNameError, match="Did you mean 'simbad'"):
        find_service("simbda")
    for name in ("ned:objdir", "vizier:", 'vizier:"x"', "vizier:a b"):
        with pytest.raises(UsageError, match="vizier:VII/237/pgc"):
            find_service(name)
