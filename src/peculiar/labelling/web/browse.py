"""The pages of a catalogue: its gallery, its two maps, a galaxy, and the ticked galaxies."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import numpy as np
from fastapi import Depends, FastAPI, Form, Query
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from peculiar.errors import PeculiarError, UsageError
from peculiar.labelling.web.charts import (
    EXAMPLES,
    HEIGHT,
    WIDTH,
    Box,
    Line,
    Plane,
    Sky,
    legend,
    paint,
    parse_box,
    scale_colours,
)
from peculiar.labelling.web.desk import Desk
from peculiar.labelling.web.pictures import SMALL
from peculiar.labelling.web.routes import GONE, MEDIA, Csrf, Hx, Number, Who, content, give
from peculiar.labelling.web.wall import MOST_OF_TABLE, Asking, Typed, Wall, links
from peculiar.labelling.web.why import Drawn, Why

ON_WALL, MOST_TICKED = 60, 5_000
"""Number of galaxies on a page of the gallery; maximum number of ticked galaxies, whose rows fit into a request."""

Asked = Annotated[Asking, Depends()]
Person = Annotated[Who | None, Query()]
Start = Annotated[Number, Query()]


class _Ticked(BaseModel):
    """Rows of galaxies, in one field or several, separated by spaces."""

    model_config = ConfigDict(extra="forbid")

    csrf: Csrf
    who: Who | None = None
    rows: Annotated[
        list[Annotated[str, StringConstraints(max_length=60_000, pattern=r"^\d{1,12}( \d{1,12})*$")]],
        Field(max_length=MOST_TICKED),
    ] = []


@dataclass(frozen=True, slots=True)
class _Chart:
    """One of the two maps on the page.

    Parameters
    ----------
    kind : {"sky", "map"}
        Also the name of the field with its rectangle.
    frame : str
        What the browser needs to locate a place on it: the parameters of `Sky`, or the margin of the map.
    """

    kind: str
    title: str
    frame: str
    lines: list[Line]
    outline: str
    drawn: int
    image: str
    without: str
    closer: str = ""


def _look(desk: Desk, wall: Wall, asking: Asking, start: int, who: str | None) -> dict[str, Any]:
    """Return the content of a page of the gallery: galaxies from a given one on, and the start of the next page."""
    problem = ""
    try:
        rows = wall.rows(asking)
    except PeculiarError as error:
        rows, problem = np.empty(0, dtype=np.int32), str(error)
    last = max(0, len(rows) - 1) // ON_WALL * ON_WALL
    start = min(start, last)
    some = [int(row) for row in rows[start : start + ON_WALL]]
    desk.pictures.prepare(some, SMALL)
    following = asking.query(start=start + ON_WALL, who=who) if start < last else None
    return {
        "tiles": [(row, desk.ids[row]) for row in some],
        "following": following,
        "who": who,
        "asking": asking,
        "total": len(rows),
        "start": start,
        "last": last,
        "step": ON_WALL,
        "sorts": wall.sorts,
        "problem": problem,
        "most_of_table": MOST_OF_TABLE,
        "most_ticked": MOST_TICKED,
        "catalog": wall.catalog.state,
    }


def add_wall(
    app: FastAPI,
    desk: Desk,
    wall: Wall,
    why: Why | None,
    render: Callable[..., HTMLResponse],
    check: Callable[[Any], None],
) -> None:
    """Add the pages of a catalogue.

    Parameters
    ----------
    app : FastAPI
    desk : Desk
    wall : Wall
    why : Why or None
        Explains what the model says of its galaxies.
    render : callable
        Renders a page from the name of a template and its values.
    check : callable
        Raises unless a form contains the token of its page.
    """

    @app.get("/wall", response_class=HTMLResponse)
    def show_wall(asking: Asked, start: Start = 0, who: Person = None, hx: Hx = None) -> Response:
        """Show the galaxies that meet a condition, page by page."""
        return render("tiles.html" if hx else "wall.html", **_look(desk, wall, asking, start, who), maps=None)

    @app.get("/wall/found.{kind}", response_class=Response, responses=content(*MEDIA.values()))
    def found(kind: Literal["csv", "parquet"], asking: Asked) -> Response:
        """Return the galaxies that meet a condition as a table."""
        wall.before(asking)  # it waits for its own turn
        with wall.turns.take():
            return give(f"found.{kind}", wall.table(asking).write)

    def show_galaxy(row: int, who: str | None, asked: str = "", drawn: Drawn | None = None) -> Response:
        facts, problem = wall.facts(row), desk.pictures.show(row).problem
        near = [(other, desk.ids[other]) for other in wall.neighbours(row)]
        values = {
            "row": row,
            "facts": facts,
            "problem": problem,
            "neighbours": near,
            "links": links(facts, wall.catalog.sky),
        }
        choices = {} if why is None or problem else why.choices
        return render("galaxy.html", **values, who=who, choices=choices, asked=asked, drawn=drawn)

    @app.get("/galaxy/{row}", response_class=HTMLResponse)
    def galaxy(row: Number, who: Person = None) -> Response:
        """Show one galaxy, its columns, and the most similar galaxies."""
        desk.check(row)
        return show_galaxy(row, who)

    @app.get("/map", response_class=HTMLResponse)
    def show_maps(asking: Asked, colour: Typed = "", start: Start = 0, who: Person = None) -> Response:
        """Show the galaxies that meet a condition on the sky, on the similarity map, and in the gallery."""
        values = _look(desk, wall, asking, start, who)
        # Invalid values are reported, and ignored in the pictures.
        hues = told = None
        drawn = replace(asking, **{kind: "" for kind in EXAMPLES if _box(asking, kind) is None})
        try:
            hues = wall.hues(colour)
        except PeculiarError as error:
            values["problem"] = values["problem"] or str(error)
        waiting = wall.layout.places is None
        charts = _charts(wall, asking, drawn, colour if hues is not None else "", who)
        if hues is not None and hues.names:
            told = legend(hues, np.empty(0, dtype=np.int32) if values["problem"] else wall.rows(asking))
        maps = {
            "charts": charts,
            "colours": wall.colours,
            "colour": colour,
            "examples": EXAMPLES,
            "hues": hues,
            "legend": told,
            "scale": ["#{:02x}{:02x}{:02x}".format(*one) for one in scale_colours(24)],
            "waiting": waiting and not wall.layout.problem and "map" not in [chart.kind for chart in charts],
            "lacking": wall.layout.problem,
            "seconds": int(wall.layout.seconds),
            "here": asking.query(colour=colour, start=start, who=who),
            "size": (WIDTH, HEIGHT),
        }
        return render("wall.html", **values, maps=maps)

    @app.get("/map/{kind}.png", response_class=Response, responses=GONE | content("image/png"))
    def picture_of_map(kind: Literal["sky", "map"], asking: Asked, colour: Typed = "") -> Response:
        """Return the picture of a map."""
        rows = wall.before(asking)
        chosen = wall.chosen(asking, rows)
        places = wall.sky if kind == "sky" else _both(wall.layout.places)
        if places is None:
            return PlainTextResponse("there is no such map, or not yet", 404)
        here = places[0][rows], places[1][rows]
        view = Sky.around(*here) if kind == "sky" else Plane()
        hues = wall.hues(colour)
        mine = None if hues is None else replace(hues, values=hues.values[rows])
        with wall.turns.take():
            return Response(paint(view.place(*here), chosen, mine), media_type="image/png")

    @app.post("/wall/ticked.{kind}", response_class=Response, responses=content(*MEDIA.values()))
    def ticked(kind: Literal["csv", "parquet"], sent: Annotated[_Ticked, Form()]) -> Response:
        """Return the ticked galaxies as a table."""
        check(sent)
        with wall.turns.take():
            return give(f"ticked.{kind}", wall.take(_rows(desk, sent)).write)

    @app.post("/wall/ask", status_code=303, response_class=RedirectResponse)
    def ask(sent: Annotated[_Ticked, Form()]) -> Response:
        """Ask a person about the ticked galaxies before all others."""
        check(sent)
        if sent.who is None:
            message = "say who is to be asked"
            raise UsageError(message)
        desk.ask_first(sent.who, [int(row) for row in _rows(desk, sent)])
        return RedirectResponse(app.url_path_for("page") + "?" + urlencode({"who": sent.who}), 303)

    if why is not None:
        _add_why(app, desk, why, render, show_galaxy)


def _add_why(
    app: FastAPI, desk: Desk, why: Why, render: Callable[..., Response], show_galaxy: Callable[..., Response]
) -> None:
    Answer = Annotated[str, Query(max_length=200)]

    @app.get("/galaxy/{row}/why", response_class=HTMLResponse)
    def explain(row: Number, asked: Answer = "", who: Person = None, hx: Hx = None) -> Response:
        """Show which regions of a galaxy's picture an answer rests on."""
        desk.check(row)
        drawn = why.draw(row, asked)
        return render("why.html", row=row, asked=asked, drawn=drawn) if hx else show_galaxy(row, who, asked, drawn)

    @app.get("/galaxy/{row}/why.jpg", response_class=Response, responses=GONE | content("image/jpeg"))
    def overlay(row: Number, asked: Answer = "") -> Response:
        """Return the same as a picture."""
        desk.check(row)
        headers = {"Cache-Control": "private, max-age=3600"}
        return Response(why.draw(row, asked).content, media_type="image/jpeg", headers=headers)


def _rows(desk: Desk, sent: _Ticked) -> NDArray[np.int64]:
    """Return the rows in a form, each once, in order."""
    rows = sorted({int(row) for some in sent.rows for row in some.split()})
    if not 0 < len(rows) <= MOST_TICKED:
        message = (
            f"tick from 1 to {MOST_TICKED:,} galaxies; received {len(rows):,}. What a condition finds has no limit"
        )
        raise UsageError(message)
    desk.check(rows[-1])
    return np.array(rows, dtype=np.int64)


def _both(places: NDArray[np.float32] | None) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    return None if places is None else (places[:, 0], places[:, 1])


def _box(asking: Asking, kind: str) -> Box | None:
    """Return a rectangle; None if there is none, or it is invalid."""
    try:
        return parse_box(getattr(asking, kind), kind)
    except UsageError:
        return None


def _closer(asking: Asking, box: Box) -> Asking:
    """Replace a rectangle on the sky by a condition, so that the galaxies that meet it fill the map."""
    low, high = box.left % 360, box.right % 360
    across = "ra between {} and {}" if low <= high else "(ra >= {} or ra <= {})"
    part = f"{across.format(f'{low:.10g}', f'{high:.10g}')} and dec between {box.low:.10g} and {box.high:.10g}"
    return replace(asking, sky="", where=f"({asking.where}) and {part}" if asking.where else part)


def _charts(wall: Wall, asking: Asking, drawn: Asking, colour: str, who: str | None) -> list[_Chart]:
    """Return the maps of the galaxies that meet the condition; empty ones if it is invalid."""
    try:
        rows = wall.before(asking)
    except PeculiarError:
        rows = np.empty(0, dtype=np.int32)
    found = []
    for kind, title in (("sky", "Sky"), ("map", "Similarity")):
        places = wall.sky if kind == "sky" else _both(wall.layout.places)
        if places is None:
            continue
        here = places[0][rows], places[1][rows]
        view = Sky.around(*here) if kind == "sky" else Plane()
        box = _box(asking, kind)
        found.append(
            _Chart(
                kind,
                title,
                " ".join(map(str, astuple(view))),
                view.graticule(),
                "" if box is None else view.outline(box),
                int(np.isfinite(here[0] + here[1]).sum()),
                f"/map/{kind}.png?{drawn.query(colour=colour)}",
                replace(asking, **{kind: ""}).query(colour=colour, who=who),
                "" if box is None or kind == "map" else _closer(asking, box).query(colour=colour, who=who),
            )
        )
    return found
