"""Requests to web services, at a limited rate, with retries and checks of the answers."""

import email.utils
import enum
import functools
import http.client
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from importlib import metadata
from typing import IO, Generic, TypeVar

from peculiar.errors import DataError, UsageError

Found = TypeVar("Found")

_CHUNK = 1 << 16
_MOST_BYTES = 1 << 26
"""A larger answer is not a picture of a galaxy, and would fill the memory."""

_MOST_RATE = 50.0


class Problem(enum.StrEnum):
    """Reason why there is no answer."""

    BUSY = "busy"
    SERVER = "server error"
    REFUSED = "refused"
    REDIRECTS = "redirects without end"
    SLOW = "timed out"
    CONNECTION = "no connection"
    CUT = "cut short"
    WRONG = "not a whole picture"
    DAMAGED = "not a whole table"
    TOO_MANY = "too many objects"
    NOT_ASKED = "not asked"


_WORTH_ANOTHER_TRY = frozenset(
    {
        Problem.BUSY,
        Problem.SERVER,
        Problem.SLOW,
        Problem.CONNECTION,
        Problem.CUT,
        Problem.WRONG,
        Problem.DAMAGED,
    }
)


@dataclass(frozen=True, slots=True)
class Manners:
    """Rate, retries and timeouts of requests to a service.

    Parameters
    ----------
    rate : float
        Maximum number of requests per second, of all threads together.
    tries : int
        Number of attempts per request.
    timeout : float
        Maximum time without data from the server, and for a whole answer, in seconds.
    backoff : float
        Seconds before the second attempt, doubled before each further one. Each wait is shortened at random, down to
        half, so that not all clients of a recovering service return together.
    longest : float
        Longest pause, in seconds, that a server may ask for; if it asks for more, no further requests are sent.

    Raises
    ------
    UsageError
        If a number is out of range.
    """

    rate: float
    tries: int = 5
    timeout: float = 30.0
    backoff: float = 1.0
    longest: float = 600.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.rate <= _MOST_RATE:
            message = (
                f"the rate has to be above 0 and at most {_MOST_RATE:.0f} requests a second, received {self.rate:g}; "
                "for more, use the bulk download of the survey or the service"
            )
            raise UsageError(message)
        if self.tries < 1:
            message = f"tries has to be at least 1, received {self.tries}"
            raise UsageError(message)


@dataclass(frozen=True, slots=True)
class Answer(Generic[Found]):
    """The outcome of a request.

    Parameters
    ----------
    content : bytes
        The body; for a refusal, its beginning.
    found : Found or None
        The result of `read`; None if there is a problem.
    problem : Problem or None
    reason : str
        The problem in words.
    """

    content: bytes = b""
    found: Found | None = None
    problem: Problem | None = None
    reason: str = ""


class Client:
    """A client of one service, whose threads share the rate and the pauses.

    Parameters
    ----------
    manners : Manners
    stop : threading.Event, optional
        Once it is set, no further requests are sent, and waiting threads return at once.

    Attributes
    ----------
    closed : str or None
        Why no further requests are sent.
    """

    def __init__(self, manners: Manners, stop: threading.Event | None = None) -> None:
        self.manners = manners
        self.stop = stop or threading.Event()
        self.closed: str | None = None
        self._lock = threading.Lock()
        self._next = time.monotonic()
        self._opener = urllib.request.build_opener(_Redirects(self._wait_for_turn))

    def close(self, reason: str) -> None:
        """Send no further requests."""
        with self._lock:
            self.closed = self.closed or reason
        self.stop.set()

    def get(self, url: str, read: Callable[[bytes], Found]) -> Answer[Found]:
        """Request something, with retries; thread-safe.

        Parameters
        ----------
        url : str
            An http or https address.
        read : callable
            Converts a body; raises `DataError` if it is not what was expected, and the request is repeated.
        """
        return self.run(lambda: self._attempt(url, read))

    def run(self, send: Callable[[], tuple[Answer[Found], float | None]]) -> Answer[Found]:
        """Request something with another client of HTTP, at the same rate and with the same retries; thread-safe.

        Parameters
        ----------
        send : callable
            Sends one request; returns the answer, and the pause in seconds that the server asks for.
        """
        answer: Answer[Found] = Answer()
        for attempt in range(self.manners.tries):
            if not self._wait_for_turn():
                return Answer(problem=Problem.NOT_ASKED, reason=self.closed or "stopped")
            answer, asked_pause = send()
            if answer.problem not in _WORTH_ANOTHER_TRY:
                break
            pause = self.manners.backoff * 2**attempt * (0.5 + secrets.randbelow(1000) / 2000)
            if asked_pause is not None and asked_pause > self.manners.longest:
                self.close(f"the service asks for a pause of {asked_pause:,.0f} s ({answer.reason})")
            elif answer.problem is Problem.BUSY:
                # The pause applies to all requests, so all threads wait.
                self._pause(max(asked_pause or 0.0, pause))
            elif attempt + 1 < self.manners.tries:
                self.stop.wait(pause)
        return answer

    def _wait_for_turn(self) -> bool:
        """Wait until a request may start; False if no further requests may."""
        while not self.stop.is_set():
            with self._lock:
                now = time.monotonic()
                wait = self._next - now
                if wait <= 0:
                    self._next = now + 1 / self.manners.rate
                    return True
            self.stop.wait(wait)
        return False

    def _pause(self, seconds: float) -> None:
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def _attempt(self, url: str, read: Callable[[bytes], Found]) -> tuple[Answer[Found], float | None]:
        """Send one request; return the answer, and the pause in seconds that the server asks for."""
        request = urllib.request.Request(url, headers={"User-Agent": user_agent("galaxy cut-outs")})  # noqa: S310 - see _Redirects
        try:
            with self._opener.open(request, timeout=self.manners.timeout) as response:
                content = _read_body(response, time.monotonic() + self.manners.timeout)
            return Answer(content, read(content)), None
        except urllib.error.HTTPError as error:
            with error:
                return _refusal(error), retry_after(error.headers.get("Retry-After"))
        except DataError as error:
            problem, reason = Problem.WRONG, str(error)
        except http.client.HTTPException as error:
            problem, reason = Problem.CUT, f"the connection broke off ({error!r})"
        except OSError as error:
            cause = getattr(error, "reason", None) or error  # urllib wraps errors before the first byte
            slow = isinstance(cause, TimeoutError)
            problem = Problem.SLOW if slow else Problem.CONNECTION
            reason = f"no answer within {self.manners.timeout:g} s" if slow else str(cause)
        return Answer(problem=problem, reason=reason), None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirections, only over http and https, each at the limited rate."""

    max_repeats = 2
    max_redirections = 4

    def __init__(self, wait_for_turn: Callable[[], bool]) -> None:
        self._wait_for_turn = wait_for_turn

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith(("http://", "https://")) or not self._wait_for_turn():
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _read_body(response: http.client.HTTPResponse, until: float) -> bytes:
    """Read an answer to its end, within the time limit for a whole answer."""
    stated = response.headers.get("Content-Length")
    expected = int(stated) if stated and stated.isdecimal() else None
    if (expected or 0) > _MOST_BYTES:
        message = f"it has {expected} bytes"
        raise DataError(message)
    parts: list[bytes] = []
    received = 0
    while (expected is None or received < expected) and (part := response.read1(_CHUNK)):
        parts.append(part)
        received += len(part)
        if received > _MOST_BYTES:
            message = f"it has more than {_MOST_BYTES} bytes"
            raise DataError(message)
        if time.monotonic() > until:
            raise TimeoutError
    content = b"".join(parts)
    if expected is not None and received != expected:
        raise http.client.IncompleteRead(content, expected - received)
    return content


def _refusal(error: urllib.error.HTTPError) -> Answer[Found]:
    try:
        content = error.read(2000)
    except (OSError, http.client.HTTPException):
        content = b""
    problem, reason = refused(error.code, str(error.reason))
    return Answer(content, problem=problem, reason=reason)


def refused(code: int, reason: str) -> tuple[Problem, str]:
    """Return the kind of a problem that a server states by a status from 300 on, and the problem in words."""
    match code:
        case 429 | 503:
            problem = Problem.BUSY
        case 408 | 425 | 500 | 502 | 504:
            problem = Problem.SERVER
        case code if 300 <= code < 400:
            problem = Problem.REDIRECTS
        case code:
            problem = Problem.REFUSED if code < 500 else Problem.SERVER
    return problem, f"{code} {' '.join(reason.split())}"[:200]


def retry_after(header: str | None) -> float | None:
    """Return the pause in seconds that a server asks for by a header, in seconds or as a date."""
    stated = (header or "").strip()
    if stated.isdecimal():
        return float(stated)
    try:
        return max(email.utils.parsedate_to_datetime(stated).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


@functools.cache
def user_agent(task: str) -> str:
    """Identify the client: the operators of a service want to know the origin of its load."""
    return f"peculiar/{metadata.version('peculiar')} ({task})"
