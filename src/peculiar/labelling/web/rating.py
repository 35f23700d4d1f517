"""The page of anomalies: the next one of the ranking, rated by keys, and what comes after it."""

import csv
import io
import uuid
from typing import Annotated, Any

from fastapi import FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from peculiar.labelling.web.identity import Me
from peculiar.labelling.web.interest import MOST, Interest
from peculiar.labelling.web.pages import Pages
from peculiar.labelling.web.pictures import SMALL
from peculiar.labelling.web.routes import MEDIA, Absent, Csrf, EventName, Number, Who, content
from peculiar.labelling.web.session import Session

_NEXT = 24

Varied = Annotated[int, Query(ge=0, le=1)]
Row = Annotated[Number | Absent, Query()]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    csrf: Csrf
    who: Who
    event: EventName
    varied: Annotated[str, StringConstraints(pattern=r"^[01]$")] = "0"


class _Rating(_Sent):
    row: Number
    galaxy: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    interest: Annotated[str, StringConstraints(pattern=rf"^([0-{MOST}]|skip)$")]


class _Undo(_Sent):
    undoes: EventName


def add_rating(app: FastAPI, session: Session, interest: Interest, pages: Pages) -> None:
    """Add the page of anomalies.

    Parameters
    ----------
    app : FastAPI
    session : Session
    interest : Interest
    pages : Pages
    """

    def show(who: str, row: int | None, varied: bool) -> Response:
        ready = interest.ranks is not None
        found = interest.ranking(who, _NEXT + 1, varied=varied) if ready else []
        ratings = interest.ratings()
        if row is not None:
            session.check(row)
            scores = interest.scores(ratings)
            score = float("nan") if scores is None else float(scores[row])
            found = [(row, score), *(one for one in found if one[0] != row)]
        session.pictures.prepare(row for row, _ in found[1:4])
        session.pictures.prepare((row for row, _ in found[1:]), SMALL)
        shown = session.pictures.show(found[0][0]) if found else None
        values: dict[str, Any] = {
            "current": found[0] if found else None,
            "following": [(row, session.ids[row], score) for row, score in found[1 : _NEXT + 1]],
            "problem": "" if shown is None else shown.problem,
            "picture": shown,
            "ready": ready,
            "lacking": interest.problem,
            "seconds": int(interest.seconds),
            "rated": len(ratings),
            "last": interest.last(who),
            "varied": varied,
            "most": MOST,
            "event": uuid.uuid4().hex,
        }
        return pages.render("anomalies.html", who=who, **values)

    @app.get("/anomalies", response_class=HTMLResponse)
    def anomalies(me: Me, row: Row = None, varied: Varied = 0) -> Response:
        """Show the galaxy that differs most from the others, or resembles those rated as interesting."""
        return pages.ask_name() if me is None else show(me, row, bool(varied))

    @app.post("/anomalies", status_code=303, response_class=RedirectResponse)
    def rate(request: Request, sent: Annotated[_Rating, Form()]) -> Response:
        """Store how interesting a galaxy is, then show the next one of the new ranking."""
        pages.check(sent)
        session.check_page_token(sent.row, sent.galaxy)
        interest.rate(sent.who, sent.row, sent.event, None if sent.interest == "skip" else int(sent.interest))
        return pages.lead(request, sent.who, "/anomalies", varied=int(sent.varied) or None)

    @app.post("/anomalies/undo", status_code=303, response_class=RedirectResponse)
    def undo(request: Request, sent: Annotated[_Undo, Form()]) -> Response:
        """Withdraw a rating, and show its galaxy again."""
        pages.check(sent)
        row = interest.undo(sent.who, sent.event, sent.undoes)
        return pages.lead(request, sent.who, "/anomalies", row=row, varied=int(sent.varied) or None)

    @app.get("/anomalies/ratings.csv", response_class=Response, responses=content(MEDIA[".csv"]))
    def ratings() -> Response:
        """Return the ratings as a table, which `peculiar search anomalies --interesting` takes."""
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(["id", "interesting"])
        table.writerows([session.ids[row], f"{value:.4g}"] for row, value in interest.ratings().items())
        headers = {"Content-Disposition": 'attachment; filename="ratings.csv"'}
        return Response(text.getvalue(), media_type=MEDIA[".csv"], headers=headers)
