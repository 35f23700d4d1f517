"""Types and responses shared by the routes: form fields, refusals, tables as downloads."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Query
from fastapi.responses import Response
from pydantic import Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from peculiar.labelling.web.selection import Selection

Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]*$")]
EventName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,48}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Csrf = Annotated[str, StringConstraints(max_length=100)]
Number = Annotated[int, Field(ge=0, le=1 << 40)]

MOST_ROWS = 5_000
"""Maximum number of galaxies in a form, whose rows fit into a request."""

Rows = Annotated[
    list[Annotated[str, StringConstraints(max_length=60_000, pattern=r"^\d{1,12}( \d{1,12})*$")]],
    Field(max_length=MOST_ROWS),
]
"""Rows of galaxies, in one field or several, separated by spaces."""

Absent = SkipJsonSchema[None]
"""Type of a parameter that was left out; the description of the API does not offer it as a value."""

Hx = Annotated[str | None, Header(alias="HX-Request")]

Selected = Annotated[Selection, Depends()]
Start = Annotated[Number, Query()]
On = Literal["gallery", "map"]
"""The page from which a galaxy is opened."""

Answers = dict[int | str, dict[str, Any]]

MEDIA = {".csv": "text/csv; charset=utf-8", ".parquet": "application/vnd.apache.parquet"}


def content(*kinds: str) -> Answers:
    """Describe a route that returns files."""
    return {200: {"description": "found", "content": {kind: {} for kind in kinds}}}


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}


REFUSALS: Answers = {
    400: _text("the galaxy does not exist, or a field is invalid"),
    401: _text("the token is missing"),
    403: _text("the request is from another page, or from an earlier run"),
    408: _text("the request did not arrive in time"),
    413: _text("the request is too long"),
    414: _text("the address is too long"),
    421: _text("the pages are not served under this host name"),
    422: _text("the request does not have the expected fields"),
    503: _text("the answers cannot be stored at the moment"),
}
"""Responses that any address may have, from the application or the guard."""

GONE: Answers = {404: _text("not found, or not computed yet")}

LEADS_ON: Answers = {303: {"description": "stored; without htmx, load the page that is named"}}


def sent_rows(rows: list[str]) -> list[int]:
    """Return the rows in a form, each once, in order."""
    return sorted({int(row) for some in rows for row in some.split()})


def give(name: str, write: Callable[[Path], object]) -> Response:
    """Return the table that a function writes into a file, as a download."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        write(file)
        written = file.read_bytes()
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(written, media_type=MEDIA[file.suffix], headers=headers)
