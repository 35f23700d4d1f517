"""Long work for the pages, a few jobs at a time, so that a thread is always free for other requests."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Generic, TypeVar

from peculiar.errors import DataError

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Limiter:
    """Limiter of concurrent work: a few requests run, some wait, and all others are refused at once.

    Parameters
    ----------
    running : int
        Number of requests that run at a time.
    waiting : int
        Number of requests that wait.
    timeout : float
        Maximum waiting time, in seconds.
    """

    def __init__(self, running: int = 2, waiting: int = 8, timeout: float = 10.0) -> None:
        self._running = threading.BoundedSemaphore(running)
        self._places = threading.BoundedSemaphore(running + waiting)
        self._timeout = timeout

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot and hold it; raises `DataError` if none is free in time."""
        if not self._places.acquire(blocking=False):
            raise DataError(_BUSY)
        try:
            if not self._running.acquire(timeout=self._timeout):
                raise DataError(_BUSY)
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._places.release()


_BUSY = "the server is busy with other searches; try again in a moment"


class ResultCache(Generic[Key, Value]):
    """Cache of the last results of long work; a request for a running job waits for it.

    Nothing is locked during the work. Failures are not cached.

    Parameters
    ----------
    limiter : Limiter
    size : int
        Number of results that are kept.
    """

    def __init__(self, limiter: Limiter, size: int) -> None:
        self._limiter, self._size = limiter, size
        self._results: OrderedDict[Key, Future[Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the result for a key, computing it if necessary."""
        with self._lock:
            known = self._results.get(key)
            future = self._results.setdefault(key, Future()) if known is None else known
            self._results.move_to_end(key)
        if known is None:
            self._make(key, make, future)
        return future.result()

    def _make(self, key: Key, make: Callable[[], Value], future: "Future[Value]") -> None:
        try:
            with self._limiter.slot():
                future.set_result(make())
        except BaseException as error:
            with self._lock:
                self._results.pop(key, None)
            future.set_exception(error)
            raise
        with self._lock:
            while len(self._results) > self._size:
                self._results.popitem(last=False)
