"""A proxy that shows a server under a path, as JupyterHub and Open OnDemand do."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_OF_A_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class PrefixProxy(ThreadingHTTPServer):
    """Forwards requests under a path to a port of this machine.

    Attributes
    ----------
    root : str
        The path.
    target : int
        The port; 0 as long as nothing is there.
    whole : bool
        Forward the path as it is; otherwise without `root`.
    outside : list of str
        Requests that were not under the path.
    """

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Browsers leave connections when they leave a page."""

    def __init__(self, root: str, *, whole: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root, self.target, self.whole = root, 0, whole
        self.outside: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{self.root}"


class _Handler(BaseHTTPRequestHandler):
    server: PrefixProxy

    def _forward(self) -> None:
        if not self.path.startswith(f"{self.server.root}/"):
            self.server.outside.append(self.path)
            self.send_error(404)
            return
        path = self.path if self.server.whole else self.path.removeprefix(self.server.root)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=30)) as connection:
            connection.request(self.command, path, body or None, dict(self.headers))
            got = connection.getresponse()
            content = got.read()
        self.send_response(got.status)
        for name, value in got.getheaders():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _forward

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing on the terminal."""


@contextmanager
def proxying(root: str, *, whole: bool) -> Iterator[PrefixProxy]:
    """Start a proxy; see `PrefixProxy`."""
    with PrefixProxy(root, whole=whole) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()
