"""A web server on this machine with one file, which can misbehave in the ways that servers do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Published:
    """A file on the server, the server's behaviour, and the requests."""

    content: bytes = b""
    validator: tuple[str, str] | None = ("ETag", '"first"')
    status: int | None = None  # answer with this error
    cut_after: int | None = None  # close the connection after so many bytes of the body
    ranges: bool = True  # send the rest if the rest is asked for
    chunked: bool = False  # send the body in chunks, without its length
    delay: threading.Event | None = None  # wait for this before answering
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)  # the headers of every request
    sent: list[int] = field(default_factory=list)  # bytes of the body sent in answer to each

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        self.asked.append(dict(request.headers))
        if self.delay:
            self.delay.wait(10)
        if self.status:
            request.send_error(self.status)
            return
        start = 0
        current = self.validator is not None and request.headers["If-Range"] == self.validator[1]
        if self.ranges and current and (wanted := request.headers["Range"]):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.content):
                request.send_error(416)
                return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        if self.validator:
            request.send_header(*self.validator)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.chunked:
            request.send_header("Transfer-Encoding", "chunked")
        else:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        part = body[: self.cut_after]
        if self.chunked:
            request.wfile.write(f"{len(body):x}\r\n".encode())
        self.sent.append(len(part))  # before it is sent: whoever gets it may look at once
        request.wfile.write(part)


@contextmanager
def listening(answer: Callable[[BaseHTTPRequestHandler], None], release: Callable[[], None]) -> Iterator[str]:
    """Answer requests, and yield the address; at the end `release` those that wait, and stop."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            answer(self)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            release()
            server.shutdown()
            thread.join()


@contextmanager
def serve() -> Iterator[Published]:
    """Publish a file, and stop the server at the end."""
    file = Published()

    def release() -> None:
        if file.delay:
            file.delay.set()

    with listening(file.answer, release) as address:
        file.url = f"{address}/galaxydata.npz"
        yield file
