"""The pages of a catalogue: its gallery, its two maps, a galaxy, and the ticked galaxies."""

import uuid
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import numpy as np
from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from peculiar.errors import PeculiarError, UsageError
from peculiar.labelling.web.charts import (
    EXAMPLES,
    HEIGHT,
    PALETTE,
    WIDTH,
    Box,
    Line,
    Plane,
    Shape,
    Sky,
    legend,
    paint,
    parse_shape,
    scale_colours,
)
from peculiar.labelling.web.gallery import MOST_OF_TABLE, Gallery
from peculiar.labelling.web.identity import Me
from peculiar.labelling.web.pages import Pages
from peculiar.labelling.web.pictures import LARGE, SMALL
from peculiar.labelling.web.review import VOTES
from peculiar.labelling.web.routes import (
    GONE,
    MEDIA,
    MOST_ROWS,
    Absent,
    Csrf,
    On,
    Rows,
    Selected,
    Start,
    Who,
    content,
    give,
    sent_rows,
)
from peculiar.labelling.web.selection import Selection, Typed
from peculiar.labelling.web.session import Session

ON_PAGE = 60
"""Number of galaxies on a page of the gallery."""


class _Ticked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    csrf: Csrf
    who: Who | Absent = None
    rows: Rows = []
    # Fields of the same form that are meant for other addresses.
    event: str = ""
    catalog: str = ""


@dataclass(frozen=True, slots=True)
class _Chart:
    """One of the two maps on the page.

    Parameters
    ----------
    kind : {"sky", "map"}
        Also the name of the field with its rectangle.
    frame : str
        What the browser needs to locate a place on it: the parameters of `Sky`, or the margin of the map.
    points, chosen, colours : str
        Addresses of the arrays that the browser draws; the others are for browsers without JavaScript.
    """

    kind: str
    title: str
    frame: str
    lines: list[Line]
    outline: str
    drawn: int
    image: str
    without: str
    closer: str
    points: str
    chosen: str
    colours: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A galaxy in the gallery: its row, its place in the order, and a few words about it."""

    row: int
    id: str
    place: int
    key: str
    note: str


def _tiles(session: Session, gallery: Gallery, selection: Selection, rows: Sequence[int], start: int) -> list[Tile]:
    """Return galaxies of a selection with the values that they are sorted by, and the answers about them."""
    answers, keys = gallery.answers(selection.about), gallery.keys(selection, rows, start)
    return [
        Tile(row, session.ids[row], start + number, key, answers.note(row))
        for number, (row, key) in enumerate(zip(rows, keys, strict=True))
    ]


def _page(
    session: Session, gallery: Gallery, selection: Selection, start: int, me: str | None, on: str = "gallery"
) -> dict[str, Any]:
    """Return the content of a page of the gallery: galaxies from a given one on, and the start of the next page."""
    problem = ""
    answers = gallery.answers(selection.about)
    try:
        rows = gallery.rows(selection)
    except PeculiarError as error:
        rows, problem = np.empty(0, dtype=np.int32), str(error)
    last = max(0, len(rows) - 1) // ON_PAGE * ON_PAGE
    start = min(start, last)
    some = [int(row) for row in rows[start : start + ON_PAGE]]
    session.pictures.prepare(some, LARGE if selection.size == "l" else SMALL)
    following = selection.query(start=start + ON_PAGE) if start < last else None
    return {
        "tiles": _tiles(session, gallery, selection, some, start),
        "following": following,
        "on": on,
        "who": me,
        "selection": selection,
        "total": len(rows),
        "start": start,
        "last": last,
        "step": ON_PAGE,
        "sorts": gallery.sorts(answers),
        "presets": answers.presets(),
        "columns": [*gallery.catalog.plain, *answers.columns],
        "problem": problem,
        "most_of_table": MOST_OF_TABLE,
        "most_ticked": MOST_ROWS,
        "event": uuid.uuid4().hex,
        "catalog": gallery.state,
    }


def add_gallery(
    app: FastAPI,
    session: Session,
    gallery: Gallery,
    pages: Pages,
) -> None:
    """Add the pages of a catalogue.

    Parameters
    ----------
    app : FastAPI
    session : Session
    gallery : Gallery
    pages : Pages
    """

    @app.get("/gallery", response_class=HTMLResponse)
    def show_gallery(selection: Selected, me: Me, start: Start = 0) -> Response:
        """Show the galaxies that meet a condition, page by page."""
        return pages.render("gallery.html", **_page(session, gallery, selection, start, me), maps=None)

    @app.get("/gallery/tiles", response_class=HTMLResponse)
    def more(selection: Selected, me: Me, start: Start = 0, on: On = "gallery", colour: Typed = "") -> Response:
        """Return the galaxies of a page of the gallery, which is appended to the one before."""
        return pages.render("tiles.html", **_page(session, gallery, selection, start, me, on), colour=colour)

    @app.get("/review", status_code=303, response_class=RedirectResponse)
    def review() -> Response:
        """Lead to the galaxies that have an answer."""
        return RedirectResponse(pages.address("/gallery", review=f"{gallery.answers('').column(VOTES)} > 0"), 303)

    @app.get("/gallery/found.{kind}", response_class=Response, responses=content(*MEDIA.values()))
    def found(kind: Literal["csv", "parquet"], selection: Selected) -> Response:
        """Return the galaxies that meet a condition as a table."""
        gallery.before(selection)  # it takes its own slot
        with gallery.limiter.slot():
            return give(f"found.{kind}", gallery.table(selection).write)

    @app.get("/map", response_class=HTMLResponse)
    def show_maps(selection: Selected, me: Me, colour: Typed = "", start: Start = 0) -> Response:
        """Show the galaxies that meet a condition on the sky, on the similarity map, and in the gallery."""
        values = _page(session, gallery, selection, start, me, "map")
        # Invalid values are reported, and ignored in the pictures, as is a rectangle on a map that is still computed.
        colouring = counts = None
        left_out = [kind for kind in EXAMPLES if _box(selection, kind) is None or gallery.places(kind) is None]
        drawn = replace(selection, **dict.fromkeys(left_out, ""))
        try:
            colouring = gallery.colouring(colour, selection.about)
        except PeculiarError as error:
            values["problem"] = values["problem"] or str(error)
        waiting = gallery.layout.places is None
        charts = _charts(gallery, selection, drawn, colour if colouring is not None else "")
        if colouring is not None and colouring.names:
            counts = legend(colouring, np.empty(0, dtype=np.int32) if values["problem"] else gallery.rows(selection))
        maps = {
            "charts": charts,
            "colours": gallery.colours(gallery.answers(selection.about)),
            "colour": colour,
            "examples": EXAMPLES,
            "colouring": colouring,
            "legend": counts,
            "scale": ["#{:02x}{:02x}{:02x}".format(*one) for one in scale_colours(24)],
            "palette": [] if counts is None else PALETTE,
            "waiting": waiting and not gallery.layout.problem and "map" not in [chart.kind for chart in charts],
            "lacking": gallery.layout.problem,
            "seconds": int(gallery.layout.seconds),
            "here": selection.query(colour=colour, start=start),
            "size": (WIDTH, HEIGHT),
        }
        return pages.render("gallery.html", **values, maps=maps)

    @app.get("/map/{kind}.png", response_class=Response, responses=GONE | content("image/png"))
    def picture_of_map(kind: Literal["sky", "map"], selection: Selected, colour: Typed = "") -> Response:
        """Return the picture of a map."""
        rows = gallery.before(selection)
        chosen = gallery.chosen(selection, rows)
        places = gallery.places(kind)
        if places is None:
            return PlainTextResponse("there is no such map, or not yet", 404)
        here = places[0][rows], places[1][rows]
        view = Sky.around(*here) if kind == "sky" else Plane()
        colouring = gallery.colouring(colour, selection.about)
        mine = None if colouring is None else replace(colouring, values=colouring.values[rows])
        with gallery.limiter.slot():
            return Response(paint(view.place(*here), chosen, mine), media_type="image/png")

    @app.post("/gallery/ticked.{kind}", response_class=Response, responses=content(*MEDIA.values()))
    def ticked(kind: Literal["csv", "parquet"], sent: Annotated[_Ticked, Form()]) -> Response:
        """Return the ticked galaxies as a table."""
        pages.check(sent)
        with gallery.limiter.slot():
            return give(f"ticked.{kind}", gallery.take(_rows(session, sent)).write)

    @app.post("/gallery/ask", status_code=303, response_class=RedirectResponse)
    def ask(request: Request, sent: Annotated[_Ticked, Form()]) -> Response:
        """Ask an annotator about the ticked galaxies before all others."""
        pages.check(sent)
        if sent.who is None:
            message = "name the annotator who is to answer (who)"
            raise UsageError(message)
        session.ask_first(sent.who, [int(row) for row in _rows(session, sent)])
        return pages.lead(request, sent.who, "/")


def _rows(session: Session, sent: _Ticked) -> NDArray[np.int64]:
    """Return the rows in a form, each once, in order."""
    rows = sent_rows(sent.rows)
    if not 0 < len(rows) <= MOST_ROWS:
        message = f"tick from 1 to {MOST_ROWS:,} galaxies; received {len(rows):,}; for more, use a condition instead"
        raise UsageError(message)
    session.check(rows[-1])
    return np.array(rows, dtype=np.int64)


def _box(selection: Selection, kind: str) -> Shape | None:
    """Return a rectangle or a lasso; None if there is none, or it is invalid."""
    try:
        return parse_shape(getattr(selection, kind), kind)
    except UsageError:
        return None


def _closer(selection: Selection, box: Box) -> Selection:
    """Replace a rectangle on the sky by a condition, so that the galaxies that meet it fill the map."""
    low, high = box.left % 360, box.right % 360
    across = "ra between {} and {}" if low <= high else "(ra >= {} or ra <= {})"
    part = f"{across.format(f'{low:.10g}', f'{high:.10g}')} and dec between {box.low:.10g} and {box.high:.10g}"
    return replace(selection, sky="", where=f"({selection.where}) and {part}" if selection.where else part)


def _charts(gallery: Gallery, selection: Selection, drawn: Selection, colour: str) -> list[_Chart]:
    """Return the maps of the galaxies that meet the condition; empty ones if it is invalid."""
    try:
        rows = gallery.before(selection)
    except PeculiarError:
        rows = np.empty(0, dtype=np.int32)
    found = []
    similarity = f"Similarity by the embeddings of {gallery.whose}" if gallery.whose else "Similarity"
    answers = gallery.answers(selection.about).state
    chosen = f"/map/chosen.bin?{replace(drawn, by='', size='').query(answers=answers)}"
    colours = f"/map/colour.bin?{urlencode({'colour': colour, 'about': selection.about, 'answers': answers})}"
    for kind, title in (("sky", "Sky"), ("map", similarity)):
        places = gallery.places(kind)
        if places is None:
            continue
        here = places[0][rows], places[1][rows]
        view = Sky.around(*here) if kind == "sky" else Plane()
        shape = _box(selection, kind)
        found.append(
            _Chart(
                kind=kind,
                title=title,
                frame=" ".join(map(str, astuple(gallery.frame(kind)))),
                lines=view.graticule(),
                outline="" if shape is None else view.outline(shape),
                drawn=int(np.isfinite(here[0] + here[1]).sum()),
                image=f"/map/{kind}.png?{drawn.query(colour=colour)}",
                without=replace(selection, **{kind: ""}).query(colour=colour),
                closer=_closer(selection, shape).query(colour=colour)
                if isinstance(shape, Box) and kind == "sky"
                else "",
                points=f"/points/{kind}.bin?{gallery.state[:16]}",
                chosen=chosen,
                colours=colours if colour else "",
            )
        )
    return found
