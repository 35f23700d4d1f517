"""An HTTP server that closes connections whose request does not arrive in time."""

import asyncio
from collections import OrderedDict
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS, MOST_WAITING = 10.0, 100
"""Time limit for the header of a request, and number of connections that may wait for one."""


class TimeoutProtocol(H11Protocol):
    """A connection that is closed if the header of a request does not arrive in time.

    Of more than `MOST_WAITING` waiting connections the oldest is closed, so that a client with many open connections
    does not block others: the header of an honest request arrives at once.
    """

    waiting: ClassVar[OrderedDict["TimeoutProtocol", asyncio.TimerHandle]] = OrderedDict()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Process received data, and wait for the rest."""
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def _look(self) -> None:
        if self.conn.their_state is not h11.IDLE:  # the header is complete; the body has its own limit
            self._stop()
        elif self not in self.waiting:
            self.waiting[self] = self.loop.call_later(HEADER_SECONDS, self._close)
            if len(self.waiting) > MOST_WAITING:
                next(iter(self.waiting))._close()

    def _stop(self) -> None:
        timer = self.waiting.pop(self, None)
        if timer is not None:
            timer.cancel()

    def _close(self) -> None:
        self._stop()
        self.transport.abort()
