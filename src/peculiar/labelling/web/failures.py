"""Errors of the labelling pages: a page with navigation for people, plain text for scripts."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from peculiar.errors import DataError, PeculiarError
from peculiar.labelling.web.identity import read_name
from peculiar.labelling.web.pages import Pages
from peculiar.text import shown, shown_lines


def add_errors(app: FastAPI, pages: Pages) -> None:
    """Add the responses to failed requests.

    Parameters
    ----------
    app : FastAPI
    pages : Pages
    """

    def respond(request: Request, text: str, status: int) -> Response:
        # Browsers ask for HTML when somebody follows a link or sends a form. Scripts do not.
        if "text/html" not in request.headers.get("accept", "") or "hx-request" in request.headers:
            return PlainTextResponse(text, status)
        page = pages.render("error.html", who=read_name(request), text=text, missing=status == 404)
        page.status_code = status
        return page

    @app.exception_handler(PeculiarError)
    def report(request: Request, error: PeculiarError) -> Response:
        # An invalid request, or a failed write: the page keeps the answer and shows the message.
        return respond(request, shown_lines(str(error)), 503 if type(error) is DataError else 400)

    @app.exception_handler(RequestValidationError)
    def refuse(request: Request, error: RequestValidationError) -> Response:
        problems = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
        return respond(request, f"invalid request: {shown(problems[:500])}", 422)

    @app.exception_handler(HTTPException)
    def plain(request: Request, error: HTTPException) -> Response:
        response = respond(request, shown_lines(str(error.detail)), error.status_code)
        response.headers.update(error.headers or {})
        return response
