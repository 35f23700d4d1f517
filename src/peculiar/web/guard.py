"""Who may talk to the desk: known hosts, its own pages, short requests; and with a token where others can reach it."""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_OF_BODY, MOST_OF_PATH = 65_536, 4_096
"""Bytes of a request that are read."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_COOKIE = "peculiar"

_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    # Not "no-referrer": forms would then say that they come from nowhere.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)

# Browsers ignore this, and say so in the console, where the connection could have been tampered with.
_WHERE_SAFE = (b"cross-origin-opener-policy", b"same-origin")


class Guard:
    """Stands before an application.

    Without a token only loopback names are answered to, so that no page elsewhere can reach the desk under a name that
    its own server resolves to this machine. With one, every request has to bring it, in a cookie that the address with
    ``?token=`` sets.

    Parameters
    ----------
    app : App
    token : str
        Empty where none is needed.
    """

    def __init__(self, app: App, token: str = "") -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = _headers(scope)
        name = _host_name(headers.get("host", ""))
        send = _with_headers(send, safe=scope["scheme"] == "https" or name in LOOPBACK)
        refused = self._refused(scope, headers, name)
        if refused is not None:
            await _say(send, *refused)
            return
        if self.token and not self._knows(headers):
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if scope["method"] != "GET" or not _same(given, self.token):
                await _say(send, 401, "open the address that `peculiar label` printed: it has the token")
                return
            cookie = f"{_COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            await _say(send, 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode())])
            return
        if scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            await _say(send, 413, f"a request has up to {MOST_OF_BODY} bytes")
            return
        await self.app(scope, _replay(body, receive), send)

    def _refused(self, scope: Scope, headers: dict[str, str], name: str) -> tuple[int, str] | None:
        if not self.token and name not in LOOPBACK:
            return 421, "this desk answers to 127.0.0.1 and localhost alone"
        if len(scope["path"]) + len(scope["query_string"]) > MOST_OF_PATH:
            return 414, f"an address has up to {MOST_OF_PATH} characters"
        if scope["method"] not in ("GET", "HEAD"):
            origin = headers.get("origin")
            if origin is not None and origin != f"{scope['scheme']}://{headers.get('host', '')}":
                return 403, "requests from other pages are refused"
            if headers.get("sec-fetch-site", "same-origin") != "same-origin":
                return 403, "requests from other pages are refused"
        return None

    def _knows(self, headers: dict[str, str]) -> bool:
        # Other programs on this host set cookies as they like, and a strict reader would stop at theirs.
        told = (part.partition("=") for part in headers.get("cookie", "").split(";"))
        return any(name.strip() == _COOKIE and _same(value.strip(), self.token) for name, _, value in told)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _host_name(host: str) -> str:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    return name.lower()


def _with_headers(send: Send, *, safe: bool) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", [])}
            more = [*_HEADERS, _WHERE_SAFE] if safe else [*_HEADERS]
            if b"cache-control" not in present:  # what is shown changes with every answer
                more.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sending


async def _body(receive: Receive) -> bytes | None:
    """Read a request; None where it is too long, or breaks off: half a form would be taken for a whole one."""
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


async def _say(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    kind = (b"content-type", b"text/plain; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [kind, *(headers or [])]})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
