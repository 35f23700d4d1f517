"""Rendering of the labelling pages: templates, addresses under a path, the token of forms."""

import hashlib
import hmac
import secrets
from functools import cache
from importlib import resources
from typing import Any, Protocol
from urllib.parse import urlencode

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined

from peculiar.catalogs.active import Progress
from peculiar.labelling.database import Event
from peculiar.labelling.web.gallery import Gallery
from peculiar.labelling.web.identity import keep_name
from peculiar.labelling.web.pictures import Shown
from peculiar.labelling.web.session import Session
from peculiar.labelling.web.task import Task
from peculiar.text import in_template


class Form(Protocol):
    """A form, with the token of its page."""

    csrf: str


class Pages:
    """The pages of a session, and the token of its forms.

    Parameters
    ----------
    session : Session
    gallery : Gallery, optional
        The gallery of its galaxies.
    root : str
        Path under which a proxy shows the pages; empty without one.
    """

    def __init__(self, session: Session, gallery: Gallery | None = None, *, root: str = "") -> None:
        self.csrf = secrets.token_urlsafe(24)
        self.root, self._session, self._gallery = root, session, gallery
        self._templates = Environment(
            loader=PackageLoader("peculiar.labelling.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            finalize=in_template,
        )
        # Of what the browser sends back, no character may change.
        self._templates.filters["exact"] = self._templates.filters["escape"]

    def render(self, name: str, **values: Any) -> HTMLResponse:
        """Render a template."""
        always = {"csrf": self.csrf, "question": self._session.question, "session": self._session}
        always |= {
            "has_gallery": self._gallery is not None,
            "has_maps": self._gallery is not None and self._gallery.has_maps,
            "has_anomalies": self._gallery is not None and self._gallery.embeddings is not None,
        }
        always |= {"said": _said, "root": self.root, "static": self._static}
        return HTMLResponse(self._templates.get_template(name).render(always | values))

    def _static(self, name: str) -> str:
        """Return the address of a static file, which changes with its content, so that browsers may keep it."""
        return f"{self.root}/static/{name}?{_digest(name)}"

    def check(self, sent: Form) -> None:
        """Raise unless a form contains the token of this session."""
        if not hmac.compare_digest(sent.csrf.encode(), self.csrf.encode()):
            raise HTTPException(403, "this page is of an earlier session; load it again")

    def address(self, path: str, **values: object) -> str:
        """Return the address of a page, with those values that are known."""
        known = urlencode({name: value for name, value in values.items() if value is not None})
        return self.root + path + (f"?{known}" if known else "")

    def lead(self, request: Request, who: str, path: str, **values: object) -> Response:
        """Lead to a page, and let the browser remember the annotator."""
        response = RedirectResponse(self.address(path, **values), 303)
        keep_name(request, response, who)
        return response

    def ask_name(self) -> Response:
        """Show the page that asks for a name."""
        return self.render("who.html", annotators=self._session.annotators())

    def show(self, who: str, row: int | None, hx: str | None, answered: str | None = None) -> HTMLResponse:
        """Show the galaxy of a row, or the next question; after an answer for a known galaxy, tell whether it is right.

        Parameters
        ----------
        who : str
        row : int or None
        hx : str or None
            Set if a page asks that is shown already.
        answered : str, optional
            Event of the answer that was given before.
        """
        session = self._session
        task = session.next(who) if row is None else session.show(who, row)
        values = self._question(who, task) | {"ahead": session.upcoming(who), "kept": False}
        values["feedback"] = None if answered is None else session.feedback(who, answered)
        return self.render("question.html" if hx else "label.html", **values)

    def fragment(self, who: str, task: Task) -> str:
        """Return a later question as a template, which a browser keeps."""
        page = self.render("question.html", **self._question(who, task), ahead=[], kept=True, feedback=None)
        return f'<template data-row="{task.row}">{bytes(page.body).decode()}</template>'

    def _question(self, who: str, task: Task | None) -> dict[str, Any]:
        shown = Shown(b"") if task is None else self._session.pictures.show(task.row)
        values = {"problem": shown.problem, "picture": shown}
        return values | {"who": who, "task": task, "progress": _last(self._session)}


class Lasting(StaticFiles):
    """Static files that browsers keep: their addresses change with their content."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file."""
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "private, max-age=31536000, immutable"
        return response


@cache
def _digest(name: str) -> str:
    content = resources.files("peculiar.labelling.web").joinpath("static", name).read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]


def _said(event: Event) -> str:
    """Return an event as text for a page; kinds other than answers are in brackets."""
    return event.answer.replace("_", " ") if event.kind == "answer" else f"({event.kind})"


def _last(session: Session) -> Progress | None:
    return session.loop.progress[-1] if session.loop is not None and session.loop.progress else None
