"""The name of the annotator at this browser, in a cookie, so that addresses can be sent to others."""

from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import Depends, Request
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError

from peculiar.labelling.web.guard import cookie_name
from peculiar.labelling.web.routes import Who

_DAYS = 30

_CHECK: TypeAdapter[str] = TypeAdapter(Who)


def read_name(request: Request) -> str | None:
    """Return the name of the annotator who uses this browser; None if it is not known or not a name."""
    found = request.cookies.get(_cookie(request))
    try:
        return None if found is None else _CHECK.validate_python(unquote(found))
    except ValidationError:
        return None


def keep_name(request: Request, response: Response, who: str) -> None:
    """Let the browser remember the name of its annotator."""
    response.set_cookie(
        _cookie(request),
        quote(who, safe=""),
        max_age=_DAYS * 86_400,
        path=quote(request.scope.get("root_path", "")) + "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _cookie(request: Request) -> str:
    return cookie_name(request.headers.get("host", ""), "who")


Me = Annotated[str | None, Depends(read_name)]
"""The annotator who uses this browser."""
