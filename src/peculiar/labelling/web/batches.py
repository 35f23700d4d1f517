"""Answers for many galaxies at once: the grid, likely galaxies, those ticked or in a lasso; undo of a batch."""

import uuid
from collections import Counter
from typing import Annotated, Any

from fastapi import FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from peculiar.errors import LabelError, UsageError
from peculiar.labelling.web.gallery import Gallery
from peculiar.labelling.web.identity import Me
from peculiar.labelling.web.likely import CHOSEN, find_likely
from peculiar.labelling.web.pages import Pages
from peculiar.labelling.web.pictures import SMALL
from peculiar.labelling.web.routes import LEADS_ON, MOST_ROWS, Absent, Csrf, EventName, Hx, Number, Rows, Who, sent_rows
from peculiar.labelling.web.session import REQUESTED, Session

ON_GRID, ON_LIKELY = 24, 40

LATER, SKIPPED = -2, -1
"""Choices for galaxies that were struck out: ask about them one by one, or skip them; other numbers are an answer."""

Choice = Annotated[int | Absent, Query(ge=0, le=9)]
OtherChoice = Annotated[int, Query(ge=-2, le=9)]
Batch = Annotated[str, Query(max_length=48, pattern=r"^([A-Za-z0-9-]{8,48})?$")]

Chosen = Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z ]*$")]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    csrf: Csrf
    who: Who
    event: EventName


class _Grid(_Sent):
    rows: Annotated[list[Number], Field(min_length=1, max_length=ON_LIKELY)]
    chosen: Annotated[list[Chosen], Field(max_length=ON_LIKELY)]
    ticked: Annotated[list[Number], Field(max_length=ON_LIKELY)] = []
    yes: Annotated[int, Field(ge=0, le=9)]
    no: Annotated[int, Field(ge=-2, le=9)]
    strike: Annotated[int, Field(ge=0, le=1)] = 0
    seconds: Annotated[float, Field(ge=0, le=86_400)] | Absent = None


class _Batch(_Sent):
    rows: Rows = []
    catalog: Annotated[str, StringConstraints(max_length=200)]
    choice: Annotated[str, StringConstraints(pattern=r"^(\d|skip|unsure)$")]


class _Undo(_Sent):
    undoes: EventName
    back: Annotated[str, StringConstraints(pattern=r"^(grid|likely|stored)$")] = "stored"
    yes: Annotated[int, Field(ge=0, le=9)] = 0
    no: Annotated[int, Field(ge=-2, le=9)] = -1


def add_batches(app: FastAPI, session: Session, gallery: Gallery | None, pages: Pages) -> None:
    """Add the routes of answers for many galaxies.

    Parameters
    ----------
    app : FastAPI
    session : Session
    gallery : Gallery or None
        The gallery, in which galaxies are ticked or pointed at.
    pages : Pages
    """
    _add_grids(app, session, pages)
    _add_stored(app, session, pages)
    if gallery is not None:
        _add_batch(app, session, gallery, pages)


def _stored(session: Session, me: str | None, batch: str) -> dict[str, Any]:
    """Return the answers of one batch, counted, for `stored.html`."""
    events = session.batch(me, batch) if me and batch else []
    counts = Counter(one.answer if one.kind == "answer" else f"({one.kind})" for one in events)
    return {
        "batch": batch,
        "stored": [(answer.replace("_", " "), count) for answer, count in counts.most_common()],
        "undo": uuid.uuid4().hex,
    }


def _add_grids(app: FastAPI, session: Session, pages: Pages) -> None:
    """Add the pages of many galaxies."""

    @app.get("/grid", response_class=HTMLResponse)
    def grid(me: Me, yes: Choice = None, no: OtherChoice = SKIPPED, batch: Batch = "") -> Response:
        """Show many galaxies at once."""
        if me is None:
            return pages.ask_name()
        last = len(session.question.answers) - 1
        some = [(one.row, one.id, one.chosen, "") for one in session.grid(me, ON_GRID)]
        chosen = {"yes": last if yes is None else min(yes, last), "no": max(SKIPPED, min(no, last))}
        return pages.render(
            "grid.html",
            who=me,
            some=some,
            event=uuid.uuid4().hex,
            strike=False,
            **chosen,
            **_stored(session, me, batch),
        )

    @app.get("/likely", response_class=HTMLResponse)
    def likely(me: Me, yes: Choice = None, no: OtherChoice = LATER, batch: Batch = "") -> Response:
        """Show the galaxies that most probably have an answer, to strike out the wrong ones."""
        if me is None:
            return pages.ask_name()
        last = len(session.question.answers) - 1
        answer = last if yes is None else min(yes, last)
        found = find_likely(session, me, answer, ON_LIKELY)
        session.pictures.prepare((row for row, _ in found), SMALL)
        some = [(row, session.ids[row], CHOSEN, f"{chance:.2f}") for row, chance in found]
        return pages.render(
            "grid.html",
            who=me,
            some=some,
            event=uuid.uuid4().hex,
            strike=True,
            yes=answer,
            no=min(no, last),
            **_stored(session, me, batch),
        )

    @app.post("/grid", status_code=303, response_class=RedirectResponse)
    def answer_grid(request: Request, sent: Annotated[_Grid, Form()]) -> Response:
        """Store the answers of a grid."""
        pages.check(sent)
        ticked = set(sent.ticked)
        if len(sent.chosen) != len(sent.rows) or not ticked <= set(sent.rows) or sent.yes == sent.no:
            message = "the fields of the form do not fit together; load the page again"
            raise LabelError(message)
        # In a grid the ticked ones have the answer; on the page of likely galaxies, those that are not struck out.
        having = set(sent.rows) - ticked if sent.strike else ticked
        other = None if sent.no < 0 else sent.no
        left = [row for row in sent.rows if row not in having] if sent.no == LATER else []
        given = {row: sent.yes if row in having else other for row in sent.rows if row not in left}
        chosen = dict(zip(sent.rows, sent.chosen, strict=True))
        session.answer_many(sent.who, given, sent.event, sent.seconds, chosen)
        if left:
            session.ask_first(sent.who, left)
        path = "/likely" if sent.strike else "/grid"
        return pages.lead(request, sent.who, path, yes=sent.yes, no=sent.no, batch=sent.event)


def _add_stored(app: FastAPI, session: Session, pages: Pages) -> None:
    """Add what tells of a batch, and its undo."""

    @app.post("/batch/undo", status_code=303, response_class=RedirectResponse)
    def undo(request: Request, sent: Annotated[_Undo, Form()], hx: Hx = None) -> Response:
        """Withdraw what was stored together."""
        pages.check(sent)
        count = session.undo_batch(sent.who, sent.event, sent.undoes)
        if hx and sent.back == "stored":
            return pages.render("undone.html", count=count, batch=sent.undoes)
        if sent.back == "stored":
            return pages.lead(request, sent.who, "/stored", batch=sent.undoes)
        return pages.lead(request, sent.who, f"/{sent.back}", yes=sent.yes, no=sent.no)

    @app.get("/stored", response_class=HTMLResponse)
    def show_stored(me: Me, batch: Batch = "") -> Response:
        """Show what was stored together, with a button that withdraws it."""
        return pages.render("stored_page.html", who=me, **_stored(session, me, batch))


def _add_batch(app: FastAPI, session: Session, gallery: Gallery, pages: Pages) -> None:
    """Add answers for galaxies of the gallery."""

    @app.post("/batch", response_class=HTMLResponse, responses=LEADS_ON)
    def answer_batch(request: Request, sent: Annotated[_Batch, Form()], hx: Hx = None) -> Response:
        """Store one answer for the galaxies that are ticked, in a lasso, or pointed at."""
        pages.check(sent)
        if sent.catalog != gallery.state:
            message = "this page is from a session with other galaxies; nothing was stored; load the page again"
            raise LabelError(message)
        rows = sent_rows(sent.rows)
        if not 0 < len(rows) <= MOST_ROWS:
            message = f"answer for 1 to {MOST_ROWS:,} galaxies at a time; received {len(rows):,}"
            raise UsageError(message)
        number = int(sent.choice) if sent.choice.isdecimal() else None
        otherwise = "skip" if number is not None else sent.choice
        given = dict.fromkeys(rows, number)
        session.answer_many(sent.who, given, sent.event, None, dict.fromkeys(rows, REQUESTED), otherwise)
        if hx:
            return pages.render("stored.html", who=sent.who, back="stored", **_stored(session, sent.who, sent.event))
        return pages.lead(request, sent.who, "/stored", batch=sent.event)
