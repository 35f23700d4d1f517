"""A cut-out service on this machine, which draws a picture a position and misbehaves as it is told to."""

import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image, ImageDraw

from peculiar.images.decode import encode_picture
from web_server import listening


def draw(ra: float, dec: float, pixels: int) -> bytes:
    """Return a noisy JPEG that the position decides."""
    rng = np.random.default_rng([int(ra * 1e6), int((dec + 90) * 1e6)])
    return encode_picture(rng.integers(0, 256, (pixels, pixels, 3)).astype(np.uint8), "JPEG")


def plain(pixels: int, grey: int = 0, text: str = "") -> bytes:
    """Return a JPEG of one grey, as services send where they have no sky, some with a text on it."""
    picture = Image.new("RGB", (pixels, pixels), (grey, grey, grey))
    if text:
        ImageDraw.Draw(picture).text((2, pixels // 2), text, fill=(255, 255, 255))
    return encode_picture(np.asarray(picture), "JPEG")


@dataclass
class Service:
    """Requests to the service, and its behaviour.

    For each right ascension, ``tricks`` holds what it does at the requests to come: "429", "429:0.5" (with
    Retry-After), "429:date", "500", "slow", and so on; afterwards it draws. ``always`` holds for all. ``at_once`` is
    how many requests it had before it at one time, at most.
    """

    url: str = ""
    times: list[float] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    tricks: dict[float, deque[str]] = field(default_factory=lambda: defaultdict(deque))
    always: str = ""
    delay: float = 0.0
    at_once: int = 0
    under_way: set[BaseHTTPRequestHandler] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)

    def trick(self, ra: float, *what: str) -> None:
        """Misbehave at the next requests for a right ascension."""
        self.tricks[ra].extend(what)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        self.times.append(time.monotonic())
        self.under_way.add(request)
        self.at_once = max(self.at_once, len(self.under_way))
        self.asked.append(request.path)
        self.agents.add(request.headers["User-Agent"])
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        ra, dec = float(query["ra"]), float(query["dec"])
        pixels = int(query.get("size") or query["width"])
        tricks = self.tricks[ra]
        what, _, detail = (self.always or (tricks.popleft() if tricks else "draw")).partition(":")
        if self.delay:
            time.sleep(self.delay)
        body = draw(ra, dec, pixels)
        kind, length = "image/jpeg", None
        match what:
            case "draw":
                pass
            case "slow":
                self.released.wait(10)
            case "drip":
                request.send_response(200)
                request.send_header("Content-Length", "1000000")
                request.end_headers()
                while not self.released.wait(0.05):
                    request.wfile.write(b"x")
                return
            case "truncated":
                length, body = len(body), body[: len(body) // 2]
            case "endless":  # a JPEG without its end, of the length that is stated
                body = body[: len(body) // 2]
            case "html":
                body, kind = b"<html><body>Sorry, try again later</body></html>", "text/html"
            case "empty":
                body = b""
            case "garbage":
                body = b"\xff\xd8\xff" + bytes(1000) + b"\xff\xd9"
            case "other_size":
                body = draw(ra, dec, pixels // 2)
            case "blank":
                body = plain(pixels, int(detail or 0))
            case "words":
                body = plain(pixels, text=detail)
            case "away":
                request.send_response(302)
                request.send_header("Location", detail or request.path)
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
            case "drop":
                return
            case status:
                code, reason = int(status), None
                request.send_response(code, reason)
                if detail == "date":
                    request.send_header("Retry-After", formatdate(time.time() + 3, usegmt=True))
                elif detail.replace(".", "").isdigit():
                    request.send_header("Retry-After", detail)
                body = detail.encode()
        if what[0].isalpha():
            request.send_response(200)
            request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        request.wfile.write(body)


@contextlib.contextmanager
def serve_cutouts() -> Iterator[Service]:
    """Run the service, and stop it in the end."""
    service = Service()

    def answer(request: BaseHTTPRequestHandler) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client gave up, or was killed
            service.answer(request)
        service.under_way.discard(request)

    with listening(answer, service.released.set) as address:
        service.url = f"{address}/cutout"
        yield service
