"""The labelling pages: forms for answers, progress, and agreement."""

import hmac
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import FastAPI, Form, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.exceptions import HTTPException as StarletteHTTPException

from peculiar.catalogs.active import Progress
from peculiar.errors import DataError, LabelError, PeculiarError
from peculiar.labelling.database import Event
from peculiar.labelling.web.browse import add_gallery
from peculiar.labelling.web.explanations import Explanations
from peculiar.labelling.web.gallery import Gallery
from peculiar.labelling.web.pictures import LARGE, SMALL, UNREADABLE
from peculiar.labelling.web.routes import (
    LEADS_ON,
    MEDIA,
    REFUSALS,
    Csrf,
    EventName,
    Hx,
    Name,
    Number,
    Who,
    content,
    give,
)
from peculiar.labelling.web.session import Session
from peculiar.text import in_template, shown, shown_lines

QuestionName = Annotated[Name | None, Query()]

ON_GRID = 24


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    csrf: Csrf
    who: Who
    event: EventName


class _Answer(_Sent):
    row: Number
    galaxy: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    question: Name
    choice: Annotated[str, StringConstraints(pattern=r"^(\d{1,2}|skip|unsure)$")]
    chosen: Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z ]*$")] = ""
    seconds: Annotated[float, Field(ge=0, le=86_400)] | None = None


class _Undo(_Sent):
    undoes: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,64}$")]


class _Grid(_Sent):
    rows: Annotated[list[Number], Field(min_length=1, max_length=ON_GRID)]
    chosen: Annotated[list[Annotated[str, StringConstraints(max_length=40)]], Field(max_length=ON_GRID)]
    ticked: Annotated[list[Number], Field(max_length=ON_GRID)] = []
    yes: Annotated[int, Field(ge=0, le=9)]
    no: Annotated[int, Field(ge=-1, le=9)]
    seconds: Annotated[float, Field(ge=0, le=86_400)] | None = None


class _Pages:
    """The pages of a session, and the token of its forms."""

    def __init__(self, session: Session, *, has_gallery: bool) -> None:
        self.csrf = secrets.token_urlsafe(24)
        self._session, self._has_gallery = session, has_gallery
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
        always = {"csrf": self.csrf, "question": self._session.question, "session": self._session}
        always |= {"has_gallery": self._has_gallery, "said": _said}
        return HTMLResponse(self._templates.get_template(name).render(always | values))

    def check(self, sent: _Sent) -> None:
        if not hmac.compare_digest(sent.csrf.encode(), self.csrf.encode()):
            raise HTTPException(403, "this page is of an earlier session; load it again")

    def show(self, who: str, row: int | None, hx: str | None) -> Response:
        """Show the galaxy of a row, or the next question."""
        session = self._session
        task = session.next(who) if row is None else session.show(who, row)
        problem = "" if task is None else session.pictures.show(task.row).problem
        values = {
            "who": who,
            "task": task,
            "problem": problem,
            "ahead": session.upcoming(who),
            "progress": _last(session),
        }
        return self.render("question.html" if hx else "label.html", **values)


def make_app(session: Session, gallery: Gallery | None = None, explanations: Explanations | None = None) -> FastAPI:
    """Return the application for a session; it has to be served behind `peculiar.labelling.web.guard.Guard`.

    Parameters
    ----------
    session : Session
    gallery : Gallery, optional
        The gallery of the catalogue, if there is one.
    explanations : Explanations, optional
        Explanations of the model's answers.
    """
    # FastAPI's own documentation pages load scripts from other hosts.
    app = FastAPI(
        title="peculiar label",
        version=metadata.version("peculiar"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=REFUSALS,
    )
    app.mount("/static", StaticFiles(packages=[("peculiar.labelling.web", "static")]), name="static")
    pages = _Pages(session, has_gallery=gallery is not None)
    _add_errors(app)
    _add_questions(app, session, pages)
    _add_answers(app, session, pages)
    if gallery is not None:
        add_gallery(app, session, gallery, explanations, pages.render, pages.check)
    return app


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(PeculiarError)
    def report(_: Request, error: PeculiarError) -> Response:
        # An invalid request, or a failed write: the page keeps the answer and shows the message.
        return PlainTextResponse(shown_lines(str(error)), 503 if type(error) is DataError else 400)

    @app.exception_handler(RequestValidationError)
    def refuse(_: Request, error: RequestValidationError) -> Response:
        problems = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
        return PlainTextResponse(f"invalid request: {shown(problems[:500])}", 422)

    @app.exception_handler(StarletteHTTPException)
    def plain(_: Request, error: StarletteHTTPException) -> Response:
        return PlainTextResponse(shown_lines(str(error.detail)), error.status_code, error.headers)


def _add_questions(app: FastAPI, session: Session, pages: _Pages) -> None:
    """Add the routes that show galaxies and take answers."""

    def after(who: str, row: int | None, hx: str | None) -> Response:
        # Without JavaScript, a form leads to a page that can be reloaded without sending the form again.
        if hx:
            return pages.show(who, row, hx)
        return RedirectResponse(app.url_path_for("page") + "?" + _query(who=who, row=row), 303)

    @app.get("/", response_class=HTMLResponse)
    def page(
        who: Annotated[Who | None, Query()] = None, row: Annotated[Number | None, Query()] = None, hx: Hx = None
    ) -> Response:
        """Show the next galaxy, or ask for a name."""
        return pages.render("who.html", annotators=session.annotators()) if who is None else pages.show(who, row, hx)

    @app.get("/csrf", response_class=PlainTextResponse)
    def renew() -> Response:
        """Return the token of forms, which a page from an earlier session requests again."""
        return PlainTextResponse(pages.csrf)

    @app.post("/answer", response_class=HTMLResponse, responses=LEADS_ON)
    def answer(sent: Annotated[_Answer, Form()], hx: Hx = None) -> Response:
        """Store an answer, then show the next galaxy."""
        pages.check(sent)
        session.check_page_token(sent.row, sent.galaxy)
        number = int(sent.choice) if sent.choice.isdecimal() else None
        kind = sent.choice if number is None else "answer"
        session.answer(sent.who, sent.row, sent.question, sent.event, kind, number, sent.seconds, sent.chosen)
        return after(sent.who, None, hx)

    @app.post("/undo", response_class=HTMLResponse, responses=LEADS_ON)
    def undo(sent: Annotated[_Undo, Form()], hx: Hx = None) -> Response:
        """Withdraw an answer, and show its galaxy again."""
        pages.check(sent)
        return after(sent.who, session.undo(sent.who, sent.event, sent.undoes), hx)

    @app.get("/grid", response_class=HTMLResponse)
    def grid(who: Annotated[Who, Query()]) -> Response:
        """Show many galaxies at once."""
        some = session.grid(who, ON_GRID)
        return pages.render("grid.html", who=who, some=some, event=uuid.uuid4().hex, progress=_last(session))

    @app.post("/grid", status_code=303, response_class=RedirectResponse)
    def answer_grid(sent: Annotated[_Grid, Form()]) -> Response:
        """Store the answers of a grid."""
        pages.check(sent)
        if len(sent.chosen) != len(sent.rows) or not set(sent.ticked) <= set(sent.rows) or sent.yes == sent.no:
            message = "the fields of the form do not fit together; load the page again"
            raise LabelError(message)
        others = None if sent.no < 0 else sent.no
        given = {row: sent.yes if row in set(sent.ticked) else others for row in sent.rows}
        chosen = dict(zip(sent.rows, sent.chosen, strict=True))
        session.answer_many(sent.who, given, sent.event, sent.seconds, chosen)
        return RedirectResponse(app.url_path_for("grid") + "?" + _query(who=sent.who), 303)


def _add_answers(app: FastAPI, session: Session, pages: _Pages) -> None:
    """Add the routes of pictures and of given answers."""

    @app.get("/picture/{row}/{size}", response_class=Response, responses=content("image/jpeg", "image/svg+xml"))
    def picture(row: Number, size: Literal["large", "small"]) -> Response:
        """Return a picture, or a substitute if it cannot be read."""
        session.check(row)
        shown = session.pictures.show(row, LARGE if size == "large" else SMALL)
        if shown.problem:
            return Response(UNREADABLE, media_type="image/svg+xml", headers={"Cache-Control": "no-store"})
        # The address contains the session, because the next session may show other galaxies under the same numbers.
        return Response(shown.content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    @app.get("/prediction/{row}", response_class=HTMLResponse)
    def prediction(row: Number) -> Response:
        """Return the model's answers for a galaxy."""
        return pages.render("prediction.html", predictions=session.prediction(row))

    @app.get("/progress", response_class=HTMLResponse)
    def progress(who: Annotated[Who | None, Query()] = None, question: QuestionName = None) -> Response:
        """Show answers, agreement and the score of the head."""
        about = session.question if question is None else session.tree[question]
        history = list(session.loop.progress) if session.loop is not None and about == session.question else []
        return pages.render(
            "progress.html",
            who=who,
            question=about,
            history=history,
            curve=_curve(history),
            summary=session.summary(about),
        )

    @app.get("/progress.json")
    def figures() -> dict[str, Any]:
        """Return the history of the score."""
        return {"progress": [asdict(one) for one in ([] if session.loop is None else list(session.loop.progress))]}

    @app.get("/export/{what}.{kind}", response_class=Response, responses=content(*MEDIA.values()))
    def export(
        what: Literal["votes", "labels", "events"], kind: Literal["csv", "parquet"], question: QuestionName = None
    ) -> Response:
        """Return the answers to a question as a table."""
        name = session.question.name if question is None else session.tree[question].name
        return give(f"{what}.{kind}", lambda file: session.labels.export(file, name, what))


def _said(event: Event) -> str:
    """Return an event as text for a page; kinds other than answers are in brackets."""
    return event.answer.replace("_", " ") if event.kind == "answer" else f"({event.kind})"


def _query(**values: Any) -> str:
    return urlencode({name: value for name, value in values.items() if value is not None})


def _last(session: Session) -> Progress | None:
    return session.loop.progress[-1] if session.loop is not None and session.loop.progress else None


def _curve(history: list[Progress], width: float = 600, height: float = 240) -> Mapping[str, Any] | None:
    """Return the history of the score as points of a drawing: its line, and the outline of its interval."""
    known = [one for one in history if one.score is not None and one.low is not None and one.high is not None]
    if not known:
        return None
    most = max(one.learned + one.tested for one in known)

    def points(values: list[tuple[int, float]]) -> str:
        return " ".join(f"{width * x / most:.1f},{height * (1 - y):.1f}" for x, y in values)

    along = [(one.learned + one.tested, one) for one in known]
    line = points([(x, one.score or 0.0) for x, one in along])
    upper = [(x, one.high or 0.0) for x, one in along]
    lower = [(x, one.low or 0.0) for x, one in reversed(along)]
    return {"line": line, "band": points([*upper, *lower]), "most": most, "width": width, "height": height}
