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


class Turns:
    """Limits concurrent work: a few requests run, some wait for a turn, and all others are refused at once.

    Parameters
    ----------
    most : int
        Number of requests that run at a time.
    waiting : int
        Number of requests that wait.
    patience : float
        Maximum waiting time, in seconds.
    """

    def __init__(self, most: int = 2, waiting: int = 8, patience: float = 10.0) -> None:
        self._turns = threading.BoundedSemaphore(most)
        self._places = threading.BoundedSemaphore(most + waiting)
        self._patience = patience

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for a turn, and hold it; raises `DataError` if there is none in time."""
        if not self._places.acquire(blocking=False):
            raise DataError(_BUSY)
        try:
            if not self._turns.acquire(timeout=self._patience):
                raise DataError(_BUSY)
            try:
                yield
            finally:
                self._turns.release()
        finally:
            self._places.release()


_BUSY = "the desk is busy with other searches; try again in a moment"


class Kept(Generic[Key, Value]):
    """Cache of the last results of long work; a request for a running job waits for it.

    Nothing is locked during the work. Failures are not cached.

    Parameters
    ----------
    turns : Turns
    most : int
        Number of results that are kept.
    """

    def __init__(self, turns: Turns, most: int) -> None:
        self._turns, self._most = turns, most
        self._kept: OrderedDict[Key, Future[Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the result for a key, computing it if necessary."""
        with self._lock:
            known = self._kept.get(key)
            future = self._kept.setdefault(key, Future()) if known is None else known
            self._kept.move_to_end(key)
        if known is None:
            self._make(key, make, future)
        return future.result()

    def _make(self, key: Key, make: Callable[[], Value], future: "Future[Value]") -> None:
        try:
            with self._turns.take():
                future.set_result(make())
        except BaseException as error:
            with self._lock:
                self._kept.pop(key, None)
            future.set_exception(error)
            raise
        with self._lock:
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
