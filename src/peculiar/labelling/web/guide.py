"""The field guide: notes and example pictures, as the file of the question gives them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, Response

from peculiar.errors import LabelError, PictureError
from peculiar.images.decode import decode_whole
from peculiar.images.picture_file import read_encoded
from peculiar.labelling.campaign import Entry
from peculiar.labelling.web.identity import Me
from peculiar.labelling.web.pages import Pages
from peculiar.labelling.web.pictures import LARGE, encode_whole
from peculiar.labelling.web.routes import content

_Number = Annotated[int, InPath(ge=0, le=10_000)]


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry of the guide, with its picture as JPEG; empty without one."""

    entry: Entry
    picture: bytes


def read_guide(entries: Sequence[Entry]) -> list[Shown]:
    """Read the pictures of a guide.

    Raises
    ------
    LabelError
        If one cannot be read.
    """
    found = []
    for entry in entries:
        picture = b""
        if entry.picture is not None:
            try:
                picture = encode_whole(decode_whole(read_encoded(entry.picture)), LARGE).content
            except PictureError as error:
                message = f"{entry.picture}: this picture of the field guide cannot be read: {error.reason}"
                raise LabelError(message) from error
        found.append(Shown(entry, picture))
    return found


def add_guide(app: FastAPI, guide: Sequence[Shown], pages: Pages) -> None:
    """Add the page and the pictures of the field guide.

    Parameters
    ----------
    app : FastAPI
    guide : sequence of Shown
    pages : Pages
    """

    @app.get("/guide", response_class=HTMLResponse)
    def page(me: Me) -> Response:
        """Show the field guide."""
        return pages.render("guide_page.html", who=me)

    @app.get("/guide/{number}.jpg", response_class=Response, responses=content("image/jpeg"))
    def picture(number: _Number) -> Response:
        """Return an example picture of the field guide."""
        if number >= len(guide) or not guide[number].picture:
            message = f"the field guide has no picture {number}"
            raise LabelError(message)
        headers = {"Cache-Control": "private, max-age=3600"}
        return Response(guide[number].picture, media_type="image/jpeg", headers=headers)
