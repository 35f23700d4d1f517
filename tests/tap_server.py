"""A service with TAP on this machine, which lists objects on the sky, and misbehaves as it is told to."""

import contextlib
import io
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table

from web_server import listening

SIMBAD = {"ra": "ra", "dec": "dec", "id": "main_id", "type": "otype", "redshift": "rvz_redshift", "references": "nbref"}
NED = {"ra": "ra", "dec": "dec", "id": "prefname", "type": "prefphytype", "redshift": "z"}
SCHEMA = Table(
    {
        "column_name": ["recno", "PGC", "RAJ2000", "DEJ2000", "OType", "MType"],
        "ucd": ["meta.record", "meta.id;meta.main", "pos.eq.ra;meta.main", "pos.eq.dec;meta.main", "src.class", ""],
    }
)
"""The columns of VII/237/pgc as the service describes them."""
PGC = {"ra": "RAJ2000", "dec": "DEJ2000", "id": "PGC", "type": "OType"}


def sky(count: int, seed: int = 222) -> Table:
    """Draw objects over the whole sky."""
    random = np.random.default_rng(seed)
    redshift = random.random(count)
    return Table(
        {
            "ra": 360 * random.random(count),
            "dec": np.degrees(np.arcsin(2 * random.random(count) - 1)),
            "id": [f"object {number}" for number in range(count)],
            "type": [("G", "QSO", "*")[number % 3] for number in range(count)],
            "redshift": MaskedColumn(redshift, mask=redshift < 0.3),
            "references": np.arange(count),
        }
    )


@dataclass
class Service:
    """Requests to the service, the objects that it lists, and its behaviour.

    ``tricks`` holds what it does at the requests to come: "429", "503:1" (with Retry-After), "500", "slow", "drip",
    "html", "half", "cut", "columns", "words", "wrong", "query", "drop"; afterwards it answers. ``always`` holds for
    all. ``reached`` is set at the query ``enough``.
    """

    objects: Table = field(default_factory=lambda: sky(0))
    url: str = ""
    times: list[float] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    positions: list[tuple[float, float]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    tricks: deque[str] = field(default_factory=deque)
    always: str = ""
    delay: float = 0.0
    most: int | None = None
    at_once: int = 0
    under_way: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    enough: int = 0
    reached: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        self.times.append(time.monotonic())
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        self.agents.add(str(request.headers["User-Agent"]))
        fields, upload = _form(request)
        query = fields.get("QUERY", "")
        self.queries.append(query)
        if len(self.queries) == self.enough:
            self.reached.set()
        if self.delay:
            time.sleep(self.delay)
        what, _, detail = (self.always or (self.tricks.popleft() if self.tricks else "answer")).partition(":")
        status, body, length = 200, self._table(query, upload, what) if query else b"", None
        headers = {"Content-Type": "application/x-votable+xml"}
        match what:
            case "slow":
                self.released.wait(10)
            case "drip":
                request.send_response(200)
                request.send_header("Content-Length", "1000000")
                request.end_headers()
                while not self.released.wait(0.05):
                    request.wfile.write(b" ")
                return
            case "drop":
                return
            case "cut":
                length, body = len(body), body[: len(body) // 2]
            case "half":
                body = body[: len(body) // 2]
            case "html":
                body = b"<html><body>Sorry, try again later</body></html>"
            case "query":
                status = 400
                text = detail or "unknown column"
                body = _error(text)
            case "away":
                status, headers["Location"] = 302, detail or request.path
            case number if number.isdecimal():
                status, body = int(number), b"busy"
                if detail == "date":
                    headers["Retry-After"] = formatdate(time.time() + 2, usegmt=True)
                elif detail:
                    headers["Retry-After"] = detail
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        request.wfile.write(body)

    def _table(self, query: str, upload: Table | None, what: str) -> bytes:
        if "TAP_SCHEMA" in query:
            return _votable(SCHEMA if "VII/237/pgc" in query else SCHEMA[:0])
        wanted = _cones(query) if upload is None else [(ra, dec) for ra, dec in upload.iterrows("ra", "dec")]
        self.positions += [(float(ra), float(dec)) for ra, dec in wanted]
        radius = float(re.findall(r", ([0-9.]+)\)\)", query)[-1])
        names = PGC if "RAJ2000" in query else SIMBAD if "basic" in query else NED
        chosen = self._near(wanted, radius)
        table = Table({name: chosen[role] for role, name in names.items()})
        if what == "columns":
            table.rename_column(names["id"], "something")
        elif what == "words":
            table[names["ra"]] = ["east"] * len(table)
        elif what == "wrong":
            table[names["dec"]] = 100.0 + np.zeros(len(table))
        return _votable(table, self.most)

    def _near(self, wanted: list[tuple[float, float]], radius: float) -> Table:
        if not wanted or not len(self.objects):
            return self.objects[:0]
        objects = SkyCoord(self.objects["ra"], self.objects["dec"], unit="deg")
        cones = SkyCoord(*np.array(wanted).T, unit="deg")
        _, angle, _ = objects.match_to_catalog_sky(cones)
        return self.objects[angle.deg <= radius]


def _form(request: BaseHTTPRequestHandler) -> tuple[dict[str, str], Table | None]:
    body = request.rfile.read(int(request.headers["Content-Length"] or 0))
    kind = request.headers["Content-Type"] or ""
    if not kind.startswith("multipart/"):
        return {name: values[0] for name, values in parse_qs(body.decode()).items()}, None
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    fields, upload = {}, None
    for part in message.iter_parts():  # type: ignore[attr-defined]
        content = part.get_payload(decode=True)
        if part.get_filename():
            upload = Table.read(io.BytesIO(content), format="votable")
        else:
            fields[part.get_param("name", header="content-disposition")] = content.decode()
    return fields, upload


def _cones(query: str) -> list[tuple[float, float]]:
    return [(float(ra), float(dec)) for ra, dec in re.findall(r"CIRCLE\('\w+', ([0-9.]+), (-?[0-9.]+),", query)]


def _votable(table: Table, most: int | None = None) -> bytes:
    overflow = most is not None and len(table) > most
    votable: Any = from_table(table[:most] if overflow else table)
    content = io.BytesIO()
    votable.to_xml(content)
    status = b'<INFO name="QUERY_STATUS" value="OK"/>'
    end = b'<INFO name="QUERY_STATUS" value="OVERFLOW"/>' if overflow else b""
    text = re.sub(rb"(<RESOURCE[^>]*>)", rb"\1" + status, content.getvalue(), count=1)
    text = text.replace(b"<RESOURCE", b'<RESOURCE type="results"', 1).replace(
        b'type="results" type="results"', b'type="results"'
    )
    return text.replace(b"</RESOURCE>", end + b"</RESOURCE>", 1)


def _error(text: str) -> bytes:
    return (
        '<?xml version="1.0"?><VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        f'<RESOURCE type="results"><INFO name="QUERY_STATUS" value="ERROR">{text}</INFO></RESOURCE></VOTABLE>'
    ).encode()


@contextlib.contextmanager
def serve_tap() -> Iterator[Service]:
    """Run the service, and stop it in the end."""
    service = Service()

    def answer(request: BaseHTTPRequestHandler) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client gave up, or was killed
            service.answer(request)
        service.under_way -= 1

    with listening(answer, service.released.set) as address:
        service.url = f"{address}/tap"
        yield service
