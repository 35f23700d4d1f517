"""An S3 server on this machine (moto's), which can misbehave in the ways that stores do."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KEY, SECRET = "AKIATESTS", "not-to-be-shown"

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Store:
    """The server, its behaviour, and the requests.

    The faults hit requests for the content of objects whose names match `hits`, and requests that send objects.
    """

    url: str = ""
    busy: int = 0  # answer so many requests with 503
    cut: int = 0  # end so many answers after half of their bytes
    slow: int = 0  # let so many answers wait
    seconds: float = 0.0  # for so long
    hits: str = "."
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # method, path and range
    lock: threading.Lock = field(default_factory=threading.Lock)

    def takes(self, fault: str) -> bool:
        """Return whether a fault hits the next request, and count it."""
        with self.lock:
            left = int(getattr(self, fault))
            setattr(self, fault, max(left - 1, 0))
            return left > 0

    def environment(self) -> dict[str, str]:
        """Return the variables by which programs find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "no_proxy": "127.0.0.1",
        }


def _error(start: Callable[..., Any], status: str, code: str, method: str) -> list[bytes]:
    if method == "HEAD":
        start(status, [("Content-Length", "0")])
        return []
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def misbehaving(application: Application, store: Store) -> Application:
    """Return the server's application with the faults of `store` before it."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        store.asked.append((method, path, environ.get("HTTP_RANGE", "")))
        if f"Credential={KEY}/" not in environ.get("HTTP_AUTHORIZATION", ""):
            return _error(start, "403 Forbidden", "InvalidAccessKeyId", method)
        content = method in ("GET", "PUT") and path.count("/") > 1 and re.search(store.hits, path) is not None
        if content and store.takes("busy"):
            return _error(start, "503 Service Unavailable", "SlowDown", method)
        if content and store.takes("slow"):
            time.sleep(store.seconds)
        if content and method == "GET" and store.takes("cut"):
            kept: list[Any] = []
            body = b"".join(application(environ, lambda *told: kept.append(told)))
            start(*kept[0])
            return [body[: len(body) // 2]]  # fewer than the header says
        return application(environ, start)

    return answer


@contextmanager
def serving_s3() -> Iterator[Store]:
    """Run the server, which holds nothing yet, and yield it."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        def log(self, *args: object) -> None:
            """Log nothing."""

    s3_backends.reset()  # type: ignore[no-untyped-call] # buckets outlast the servers of a process
    store = Store()
    application = misbehaving(DomainDispatcherApplication(create_backend_app), store)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
