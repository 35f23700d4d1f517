"""What the pages of a catalogue fetch: points of the maps, facets, galaxies by id, name or position."""

import re
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import StringConstraints

from peculiar.catalogs.where import quoted
from peculiar.errors import PeculiarError
from peculiar.labelling.web.facets import BINS, MOST_COUNTS, Counts, Facets, Histogram
from peculiar.labelling.web.gallery import Gallery, links
from peculiar.labelling.web.identity import Me
from peculiar.labelling.web.pages import Pages
from peculiar.labelling.web.routes import GONE, Hx, Number, On, Selected, content
from peculiar.labelling.web.selection import Selection, Typed
from peculiar.labelling.web.session import Session
from peculiar.tables.identifiers import entry_text

BYTES = "application/octet-stream"

_CONE = "1arcmin"

_TWO_NUMBERS = re.compile(r"([+-]?\d+\.?\d*)\s*(?:deg|°|\s|,)\s*([+-]?\d+\.?\d*)\s*(?:deg|°)?")

_SEXAGESIMAL = re.compile(
    r"(\d{1,2})[h:\s]\s*(\d{1,2})[m:\s]\s*(\d{1,2}\.?\d*)s?[\s,]*([+-]?)(\d{1,2})[d:°\s]\s*(\d{1,2})[m:\s'′]\s*(\d{1,2}\.?\d*)[s\"″]?"
)

_NAMES = ("name", "object", "designation", "objid", "source_id", "iauname")

Sought = Annotated[str, Query(max_length=200)]


def add_explore(app: FastAPI, session: Session, gallery: Gallery, pages: Pages) -> None:
    """Add what the pages of a catalogue fetch.

    Parameters
    ----------
    app : FastAPI
    session : Session
    gallery : Gallery
    pages : Pages
    """
    facets = Facets(gallery)

    @app.get("/map/chosen.bin", response_class=Response, responses=content(BYTES))
    def chosen(selection: Selected) -> Response:
        """Return which galaxies meet a condition: a bit each, in the order of the catalogue."""
        mask = np.zeros(len(session), dtype=bool)
        mask[gallery.rows(selection)] = True
        return Response(np.packbits(mask).tobytes(), media_type=BYTES)

    @app.get("/map/colour.bin", response_class=Response, responses=content(BYTES))
    def colours(colour: Typed = "", about: Annotated[str, StringConstraints(max_length=64)] = "") -> Response:
        """Return the colours of all galaxies on the maps: a byte each."""
        colouring = gallery.colouring(colour, about)
        codes = np.ones(len(session), dtype=np.uint8) if colouring is None else colouring.codes()
        return Response(codes.tobytes(), media_type=BYTES)

    @app.get("/points/{kind}.bin", response_class=Response, responses=GONE | content(BYTES))
    def points(kind: Literal["sky", "map"]) -> Response:
        """Return the places of all galaxies on a map: two numbers of four bytes each, NaN without a place."""
        places = gallery.places(kind)
        if places is None:
            return PlainTextResponse("there is no such map, or not yet", 404)
        with gallery.limiter.slot():
            table = np.empty((len(session), 2), dtype="<f4")
            table[:, 0], table[:, 1] = gallery.frame(kind).place(*places)
            return Response(table.tobytes(), media_type=BYTES, headers={"Cache-Control": "private, max-age=3600"})

    @app.get("/facets", response_class=HTMLResponse)
    def show_facets(selection: Selected, me: Me, on: On = "gallery", colour: Typed = "", hx: Hx = None) -> Response:
        """Show histograms and counts of the galaxies that meet a condition."""
        found: list[Histogram | Counts] = []
        problem = ""
        try:
            found = list(facets.of(selection))
        except PeculiarError as error:
            problem = str(error)
        values = {
            "histograms": [one for one in found if isinstance(one, Histogram)],
            "counts": [one for one in found if isinstance(one, Counts)],
            "bins": BINS,
            "shown": MOST_COUNTS,
            "selection": selection,
            "on": on,
            "colour": colour,
            "problem": problem,
        }
        return pages.render("facets.html" if hx else "facets_page.html", **values, who=me)

    @app.get("/find", status_code=303, response_class=RedirectResponse)
    def find(text: Sought = "", on: On = "gallery") -> Response:
        """Lead to a galaxy by its id, or to those at a position, or with a text in their id or name."""
        text = text.strip()
        row = gallery.row_of(text)
        if row is not None:
            return RedirectResponse(pages.address(f"/galaxy/{row}"), 303)
        return RedirectResponse(pages.address(f"/{on}") + f"?{_sought(gallery, text).query()}", 303)

    @app.get("/galaxy/{row}/card", response_class=HTMLResponse)
    def card(row: Number, me: Me) -> Response:
        """Show one galaxy in short."""
        session.check(row)
        facts = gallery.facts(row)
        chances = {name: value for name, value in facts.items() if name.startswith("p_") and isinstance(value, float)}
        others = {
            name: _short(name, value, gallery)
            for name, value in facts.items()
            if name not in chances and name not in ("id", "model") and not name.startswith("_")
        }
        values = {
            "row": row,
            "id": facts["id"],
            "chances": sorted(chances.items(), key=lambda one: -one[1])[:6],
            "others": others,
            "note": gallery.answers("").note(row),
            "links": links(facts, gallery.catalog.sky),
        }
        return pages.render("card.html", **values, who=me)


def _short(name: str, value: object, gallery: Gallery) -> str:
    """Return a value of a galaxy in a few digits: of positions to a hundredth of an arcsecond or so."""
    if not isinstance(value, float):
        return entry_text(value) or ""
    places = () if gallery.catalog.sky is None else gallery.catalog.sky.names
    return f"{value:.5f}" if name in places else f"{value:.4g}"


def parse_position(text: str) -> tuple[float, float] | None:
    """Parse a position, as in ``150.1 2.2`` or ``10:00:24 +02:12:00``; None if it is none.

    Returns
    -------
    tuple of float
        Right ascension and declination in degrees.
    """
    text = text.replace("−", "-")
    if (found := _TWO_NUMBERS.fullmatch(text)) is not None:
        ra, dec = float(found[1]), float(found[2])
    elif (found := _SEXAGESIMAL.fullmatch(text)) is not None:
        hours, minutes, seconds, sign, degrees, arcmin, arcsec = found.groups()
        ra = 15 * (float(hours) + float(minutes) / 60 + float(seconds) / 3600)
        dec = (-1 if sign == "-" else 1) * (float(degrees) + float(arcmin) / 60 + float(arcsec) / 3600)
    else:
        return None
    return (ra, dec) if 0 <= ra <= 360 and -90 <= dec <= 90 else None


def _sought(gallery: Gallery, text: str) -> Selection:
    """Return the selection of the galaxies at a position, or with a text in their id or name."""
    position = None if gallery.sky is None else parse_position(text)
    if position is not None:
        return Selection(cone=f"{position[0]:.8g},{position[1]:.8g},{_CONE}")
    if not text:
        return Selection()
    value = "'" + text.lower().replace("'", "''") + "'"
    names = [name for name in gallery.catalog.plain if name == "id" or name.lower() in _NAMES]
    parts = [f"contains(lower({quoted(name)}), {value})" for name in names if gallery.is_text(name)]
    return replace(Selection(), where=" or ".join(parts) or f"id = {value}")
