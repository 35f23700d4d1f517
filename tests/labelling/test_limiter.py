"""Long work of the labelling pages: a few jobs at a time, shared by requests for the same, and never all threads."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.search import find_rows
from peculiar.errors import DataError
from peculiar.labelling.database import Labels
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.guard import Guard
from peculiar.labelling.web.limiter import Limiter, ResultCache
from peculiar.labelling.web.serve import open_gallery, open_session


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as threads:
        yield threads


def test_some_work_some_wait_and_others_are_refused_at_once(pool: ThreadPoolExecutor) -> None:
    limiter, go, begun = Limiter(2, waiting=3, timeout=30), threading.Event(), threading.Semaphore(0)

    def work() -> str:
        with limiter.slot():
            begun.release()
            go.wait(30)
            return "done"

    asked = [pool.submit(work) for _ in range(5)]
    for _ in range(2):
        assert begun.acquire(timeout=30)
    while limiter._places.acquire(blocking=False):  # until all five have come
        limiter._places.release()
    with pytest.raises(DataError, match="busy"), limiter.slot():
        pass
    assert not begun.acquire(blocking=False)
    go.set()
    assert [one.result(30) for one in asked] == ["done"] * 5
    with limiter.slot():
        pass


def test_nobody_waits_for_ever() -> None:
    limiter = Limiter(1, timeout=0.05)
    with limiter.slot(), pytest.raises(DataError, match="busy"), limiter.slot():
        pass
    with limiter.slot():
        pass


def test_who_asks_for_the_same_waits_for_it_and_failures_are_not_kept(pool: ThreadPoolExecutor) -> None:
    kept: ResultCache[str, int] = ResultCache(Limiter(2), 2)
    go, calls = threading.Event(), []

    def make() -> int:
        calls.append(1)
        go.wait(30)
        return len(calls)

    asked = [pool.submit(kept.get, "a", make) for _ in range(6)]
    assert kept.get("b", lambda: 7) == 7  # meanwhile
    go.set()
    assert {one.result(30) for one in asked} == {1}

    def fail() -> int:
        raise DataError("no")

    with pytest.raises(DataError, match="no"):
        kept.get("c", fail)
    assert kept.get("c", lambda: 8) == 8
    assert kept.get("d", lambda: 9) == 9
    assert kept.get("b", lambda: 10) == 10  # it was the oldest


def test_slow_searches_leave_the_other_pages_alone(
    tiny_catalog: Path, tiny_survey: Path, tmp_path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def slow(catalog: Catalog, where: str | None, **more: Any) -> Any:
        if where and "7.77" in where:
            go.wait(60)
            where = None
        return find_rows(catalog, where, **more)

    monkeypatch.setattr("peculiar.labelling.web.gallery.find_rows", slow)
    with Labels(tmp_path / "labels.db") as labels:
        session = open_session(tiny_catalog, labels, pictures=tiny_survey, question="odd")
        assert session.loop is not None
        gallery = open_gallery(session, Catalog(tiny_catalog))
        with TestClient(Guard(make_app(session, gallery)), base_url="http://127.0.0.1:8222") as client:

            def get(address: str) -> Future[Any]:
                return pool.submit(client.get, address)

            client.get("/gallery")
            asked = [get(f"/gallery?where=ra+<+7.77{number}") for number in range(38)]
            # More than there are threads for requests; the other pages still answer.
            for address in ("/", "/?who=Ada", "/picture/0/small", "/galaxy/3", "/progress", "/gallery"):
                assert get(address).result(30).status_code == 200
            refused = [one for one in asked if one.done()]
            assert len(refused) >= 38 - 10
            assert all("the server is busy" in one.result().text for one in refused)
            go.set()
            assert {one.result(60).status_code for one in asked} == {200}
        session.loop.wait()
        gallery.layout.wait()
        session.pictures.close()
