"""`peculiar label` in a separate process, which can be killed."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Server:
    """A labelling server; its database, cache and log are in a folder, where the next server continues."""

    def __init__(self, data: Path, folder: Path, *more: object, token: bool = False) -> None:
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            words = ["label", data, "--no-browser", "--db", folder / "labels.db", *more]
            words += [] if token else ["--no-token"]
            command = [sys.executable, "-m", "peculiar", *map(str, words)]
            surroundings = os.environ | {"PECULIAR_CACHE": str(folder / "cache")}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=surroundings)
        until = time.monotonic() + 120
        while (found := re.search(r"http://\S+", self.log.read_text())) is None:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.05)
        self.address = found[0].rstrip("/")
        self.port = int(urllib.parse.urlsplit(self.address).port or 0)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.process.pid, how)
        self.process.wait(20)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.address + path, timeout=20) as got:
            return str(got.read().decode())

    def post(self, path: str, sent: dict[str, str]) -> str:
        request = urllib.request.Request(
            self.address + path, urllib.parse.urlencode(sent).encode(), {"HX-Request": "true"}
        )
        with urllib.request.urlopen(request, timeout=20) as got:
            return str(got.read().decode())


class Servers:
    """Factory of servers."""

    def __init__(self) -> None:
        self.started: list[Server] = []

    def __call__(self, data: Path, folder: Path, *more: object, token: bool = False) -> Server:
        """Start one; `more` are options of `peculiar label`."""
        self.started.append(Server(data, folder, *more, token=token))
        return self.started[-1]


@contextmanager
def serving() -> Iterator[Servers]:
    """Start servers; those still running are stopped at the end."""
    servers = Servers()
    try:
        yield servers
    finally:
        for server in servers.started:
            if server.process.poll() is None:
                server.process.terminate()
            try:
                server.process.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
