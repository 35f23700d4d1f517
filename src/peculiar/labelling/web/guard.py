"""Access to the labelling pages: token, host names, origins, sizes and times of requests."""

import asyncio
import hmac
import html
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from peculiar.errors import UsageError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_OF_BODY, MOST_OF_PATH = 65_536, 4_096
"""Maximum size of a request, in bytes."""

BODY_SECONDS = 20.0
"""Time limit for the body of a request."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors {}; object-src 'none'"

NOTEBOOKS = "'self' http://localhost:* http://127.0.0.1:*"
"""Pages that may show the labelling pages in a frame: those of this machine, and of the proxy before it."""

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    # Not "no-referrer", which would hide the origin of forms.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)

# Browsers ignore this, with a message in the console, on connections that are not secure.
_WHERE_SAFE = (b"cross-origin-opener-policy", b"same-origin")


@dataclass(frozen=True, slots=True)
class Public:
    """The address under which a trusted proxy shows the pages.

    Parameters
    ----------
    scheme : {"http", "https"}
    netloc : str
        Host name, and port if it is not the usual one.
    root : str
        Path, without a slash at the end.
    """

    scheme: str
    netloc: str
    root: str

    @classmethod
    def parse(cls, address: str) -> "Public":
        """Parse an address, as in ``https://hub.example.org/user/ada/proxy/8222/``.

        Raises
        ------
        UsageError
            If it is not the address of a page.
        """
        try:
            found = urlsplit(address)
            known = bool(found.hostname) and (found.port is None or found.port > 0)
        except ValueError:
            known = False
        if not known or found.scheme not in ("http", "https") or found.query or found.fragment or "@" in found.netloc:
            message = (
                "the address of the proxy begins with https:// or http:// and has a host and a path, as in "
                f"https://hub.example.org/user/ada/proxy/8222/; received {address[:200]!r}"
            )
            raise UsageError(message)
        return cls(found.scheme, found.netloc.lower(), found.path.rstrip("/"))

    @property
    def origin(self) -> str:
        """Scheme and host, as browsers send them."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def name(self) -> str:
        """Name of the host."""
        return _host_name(self.netloc)


class Guard:
    """Middleware that guards an application.

    With a token, every request needs it, in a cookie that the address with ``?token=`` sets. Requests from pages of
    other sites are refused, for pictures and links as well as forms, except links with the token.

    Parameters
    ----------
    app : App
    token : str
        Empty if none is needed.
    local : bool
        Answer to loopback names only, so that no other site can reach the pages under a name that its server resolves
        to this machine.
    public : Public, optional
        Address under which a trusted proxy shows the pages: its host name and origin are accepted, and its path may or
        may not be part of the requests that it forwards.
    frames : str
        Pages that may show these in a frame, as a Content-Security-Policy names them.
    """

    def __init__(
        self, app: App, token: str = "", *, local: bool = True, public: Public | None = None, frames: str = "'none'"
    ) -> None:
        self.app, self.token, self.local, self.public = app, token, local, public
        self._policy = (b"content-security-policy", _POLICY.format(frames).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = _headers(scope)
        name = _host_name(headers.get("host", ""))
        if self.public is not None:
            scope = self._behind(self.public, scope, name)
        safe = scope["scheme"] == "https" or name in LOOPBACK
        send = _with_headers(send, [*_HEADERS, self._policy, *([_WHERE_SAFE] if safe else [])])
        if (refused := self._refused(scope, name)) is not None:
            await _respond(send, *refused)
        elif self._has_token(scope):
            await self._set_cookie(scope, headers, send)
        elif self._is_foreign(scope, headers):
            await _respond(
                send,
                403,
                "requests from other pages are refused; type or paste the address to open the labelling pages",
            )
        elif self.token and not self._has_cookie(headers):
            await _respond(send, 401, "open the address that `peculiar label` printed; it contains the token")
        elif scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
        else:
            await self._take(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on once it is complete."""
        try:
            body = await asyncio.wait_for(_body(receive), BODY_SECONDS)
        except TimeoutError:
            await _respond(send, 408, f"a request has to arrive within {BODY_SECONDS:g} s", [_CLOSE])
            return
        if body is None:
            await _respond(send, 413, f"a request may have up to {MOST_OF_BODY} bytes", [_CLOSE])
            return
        await self.app(scope, _replay(body, receive), send)

    def _refused(self, scope: Scope, name: str) -> tuple[int, str] | None:
        if self.local and name not in LOOPBACK and (self.public is None or name != self.public.name):
            return 421, "these pages are served under 127.0.0.1 and localhost only"
        if len(scope["path"]) + len(scope["query_string"]) > MOST_OF_PATH:
            return 414, f"an address may have up to {MOST_OF_PATH} characters"
        return None

    def _behind(self, public: Public, scope: Scope, name: str) -> Scope:
        """Return a request with the whole path and the scheme that the browser used."""
        path, root = scope["path"], unquote(public.root)
        if not f"{path}/".startswith(f"{root}/"):
            path = root + path
        scheme = public.scheme if name == public.name else scope["scheme"]
        return {**scope, "path": path, "raw_path": quote(path).encode(), "root_path": root, "scheme": scheme}

    def _is_foreign(self, scope: Scope, headers: dict[str, str]) -> bool:
        """Return whether a page of another site made a request; False for a typed address."""
        here = {f"{scope['scheme']}://{headers.get('host', '')}"}
        if self.public is not None:
            here.add(self.public.origin)
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return True
        if "origin" in headers and headers["origin"] not in here:
            return True
        referrer = urlsplit(headers.get("referer", ""))
        return bool(referrer.scheme) and f"{referrer.scheme}://{referrer.netloc}" not in here

    def _has_token(self, scope: Scope) -> bool:
        given = [value for name, value in _query(scope) if name == "token"]
        return bool(self.token) and scope["method"] == "GET" and any(_same(one, self.token) for one in given)

    async def _set_cookie(self, scope: Scope, headers: dict[str, str], send: Send) -> None:
        """Set the cookie, and forward to the same address without the token.

        Not by a redirect: after a link on another site, browsers send a strict cookie only with navigation from our own
        page.
        """
        query = urlencode([(name, value) for name, value in _query(scope) if name != "token"])
        # A single slash at the beginning: two would lead to another host.
        place = html.escape("/" + quote(scope["path"].lstrip("/")) + (f"?{query}" if query else ""))
        root = html.escape(quote(scope.get("root_path", "")))
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={place}">'
            f'<link rel="icon" href="{root}/static/icon.svg"><title>peculiar label</title>'
            f'<a href="{place}">Open the labelling pages</a></html>'
        )
        cookie = f"{cookie_name(headers.get('host', ''))}={self.token}; HttpOnly; SameSite=Strict; Path={root}/"
        cookie += "; Secure" if scope["scheme"] == "https" else ""
        # The address with the token is never sent as a referrer.
        more = [(b"set-cookie", cookie.encode()), (b"referrer-policy", b"no-referrer")]
        await _respond(send, 200, page, more, kind=b"text/html; charset=utf-8")

    def _has_cookie(self, headers: dict[str, str]) -> bool:
        # Other programs on this host may set malformed cookies, which would stop a strict parser.
        cookies = (part.partition("=") for part in headers.get("cookie", "").split(";"))
        mine = cookie_name(headers.get("host", ""))
        return any(name.strip() == mine and _same(value.strip(), self.token) for name, _, value in cookies)


_CLOSE = (b"connection", b"close")


def cookie_name(host: str, what: str = "") -> str:
    """Return the name of a cookie, which contains the port: all ports of a host share cookies, sessions do not."""
    port = host.rpartition(":")[2]
    return "-".join(filter(None, ["peculiar", what, port if port.isdecimal() else ""]))


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _host_name(host: str) -> str:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    return name.lower()


def _with_headers(send: Send, headers: Sequence[tuple[bytes, bytes]]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", [])}
            more = [one for one in headers if one[0] not in present]
            if b"cache-control" not in present:  # the content changes with every answer
                more.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sending


async def _body(receive: Receive) -> bytes | None:
    """Read a request; None if it is too long or incomplete, because half a form would look like a whole one."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += bytes(message.get("body", b""))
        if len(body) > MOST_OF_BODY:
            return None
        if not message.get("more_body"):
            return body


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _respond(
    send: Send,
    status: int,
    text: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    kind: bytes = b"text/plain; charset=utf-8",
) -> None:
    start = [(b"content-type", kind), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
