"""The page of a galaxy: its columns, its answers, similar galaxies, and why the model answers as it does."""

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse, Response

from peculiar.errors import PeculiarError
from peculiar.labelling.web.browse import ON_PAGE
from peculiar.labelling.web.explanations import Explanations, Overlay
from peculiar.labelling.web.gallery import Gallery, links
from peculiar.labelling.web.identity import Me
from peculiar.labelling.web.pages import Pages
from peculiar.labelling.web.review import said_about
from peculiar.labelling.web.routes import GONE, Absent, Hx, Number, On, Selected, content
from peculiar.labelling.web.selection import Selection, Typed
from peculiar.labelling.web.session import REQUESTED, Session

Asked = Annotated[str, Query(max_length=200)]
Place = Annotated[Number | Absent, Query()]


@dataclass(frozen=True, slots=True)
class Way:
    """The way through a selection of galaxies: addresses of the wall, and of the galaxies before and after one."""

    place: int
    total: int
    wall: str
    before: str
    after: str


def _way(gallery: Gallery, selection: Selection, row: int, place: int, on: str, colour: str) -> Way | None:
    """Return the way through a selection; None if the galaxy is no longer at this place."""
    try:
        rows = gallery.rows(selection)
    except PeculiarError:
        return None
    if place >= len(rows) or rows[place] != row:
        found = (rows == row).nonzero()[0]
        if not len(found):
            return None
        place = int(found[0])

    def lead(other: int) -> str:
        if not 0 <= other < len(rows):
            return ""
        return f"/galaxy/{rows[other]}?{selection.query(place=other, on=on, colour=colour)}"

    start = place // ON_PAGE * ON_PAGE
    wall = f"/{on}?{selection.query(colour=colour, start=start or None)}#g{row}"
    return Way(place, len(rows), wall, lead(place - 1), lead(place + 1))


def add_galaxy(
    app: FastAPI, session: Session, gallery: Gallery, explanations: Explanations | None, pages: Pages
) -> None:
    """Add the page of a galaxy.

    Parameters
    ----------
    app : FastAPI
    session : Session
    gallery : Gallery
    explanations : Explanations or None
        Explanations of the model's answers.
    pages : Pages
    """

    def show(
        row: int, me: str | None, asked: str = "", drawn: Overlay | None = None, way: Way | None = None
    ) -> Response:
        session.check(row)
        facts, shown = gallery.facts(row), session.pictures.show(row)
        values = {
            "row": row,
            "facts": facts,
            "texts": gallery.texts(facts),
            "problem": shown.problem,
            "picture": shown,
            "neighbours": [(other, session.ids[other]) for other in gallery.neighbours(row)],
            "whose": gallery.whose,
            "links": links(facts, gallery.catalog.sky),
            "said_by": said_about(session.said(row)),
            "open": [] if me is None else session.asked(me, row),
            "event": secrets.token_hex(12),
            "requested": REQUESTED,
            "choices": {} if explanations is None or shown.problem else explanations.choices,
        }
        return pages.render("galaxy.html", **values, who=me, asked=asked, drawn=drawn, way=way)

    @app.get("/galaxy/{row}", response_class=HTMLResponse)
    def galaxy(
        row: Number, me: Me, selection: Selected, place: Place = None, on: On = "gallery", colour: Typed = ""
    ) -> Response:
        """Show one galaxy, its columns, the answers about it, and the most similar galaxies."""
        session.check(row)
        return show(row, me, way=None if place is None else _way(gallery, selection, row, place, on, colour))

    if explanations is None:
        return

    @app.get("/galaxy/{row}/explanation", response_class=HTMLResponse)
    def explain(row: Number, me: Me, asked: Asked = "", hx: Hx = None) -> Response:
        """Show which regions of a galaxy's picture an answer rests on."""
        session.check(row)
        drawn = explanations.draw(row, asked)
        if hx:
            return pages.render("explanation.html", row=row, asked=asked, drawn=drawn)
        return show(row, me, asked, drawn)

    @app.get("/galaxy/{row}/explanation.jpg", response_class=Response, responses=GONE | content("image/jpeg"))
    def overlay(row: Number, asked: Asked = "") -> Response:
        """Return the same as a picture."""
        session.check(row)
        headers = {"Cache-Control": "private, max-age=3600"}
        return Response(explanations.draw(row, asked).content, media_type="image/jpeg", headers=headers)
