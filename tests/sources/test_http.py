"""Asking a web service: ranges, pace and stopping. What services do wrong is in test_cutouts.py."""

import re
import threading
import time
from email.message import Message
from email.utils import formatdate

import pytest

from peculiar.errors import UsageError
from peculiar.sources.http import Client, Manners, Problem, retry_after


@pytest.mark.parametrize("rate", [0, -1, 51, float("nan"), float("inf")])
def test_a_rate_out_of_range(rate: float) -> None:
    with pytest.raises(UsageError, match="the rate has to be above 0 and at most 50 requests a second"):
        Manners(rate)


def test_everything_is_asked_for_once_at_least() -> None:
    with pytest.raises(UsageError, match=re.escape("tries has to be at least 1, received 0")):
        Manners(1, tries=0)


def test_turns_are_a_fixed_time_apart() -> None:
    client = Client(Manners(50.0))
    before = time.monotonic()
    for turn in range(11):
        assert client._wait_for_turn()
        assert time.monotonic() - before >= turn / 50


def test_turns_that_were_not_taken_are_not_made_up_for() -> None:
    client = Client(Manners(50.0))
    time.sleep(0.2)
    before = time.monotonic()
    assert client._wait_for_turn()
    assert client._wait_for_turn()
    assert time.monotonic() - before >= 1 / 50


def test_a_client_that_was_stopped_asks_nothing() -> None:
    stop = threading.Event()
    stop.set()
    answer = Client(Manners(1), stop).get("http://127.0.0.1:9/", bytes)
    assert (answer.problem, answer.reason, answer.found) == (Problem.NOT_ASKED, "stopped", None)


def test_those_who_wait_return_when_it_is_closed() -> None:
    client = Client(Manners(1))
    client._pause(30)
    threading.Timer(0.05, client.close, ["enough"]).start()
    start = time.monotonic()
    answer = client.get("http://127.0.0.1:9/", bytes)
    assert time.monotonic() - start < 25
    assert (answer.problem, answer.reason) == (Problem.NOT_ASKED, "enough")
    client.close("another reason")
    assert client.closed == "enough"


@pytest.mark.parametrize(
    ("stated", "least", "most"),
    [
        ("7", 7, 7),
        (" 0 ", 0, 0),
        (3600, 3000, 3600),
        (-3600, 0, 0),
    ],
    ids=["seconds", "spaces", "in an hour", "an hour ago"],
)
def test_how_long_a_server_asks_to_be_left_alone(stated: str | int, least: float, most: float) -> None:
    headers = Message()
    headers["Retry-After"] = stated if isinstance(stated, str) else formatdate(time.time() + stated, usegmt=True)
    asked = retry_after(headers.get("Retry-After"))
    assert asked is not None
    assert least <= asked <= most


@pytest.mark.parametrize("stated", ["", "soon", "-5", "1.5", "2026-01-01"])
def test_what_is_no_time_asks_for_nothing(stated: str) -> None:
    headers = Message()
    headers["Retry-After"] = stated
    assert retry_after(headers.get("Retry-After")) is None
