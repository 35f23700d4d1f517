"""The labelling pages: forms for answers, progress, and agreement."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from itertools import combinations
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from peculiar.catalogs.active import Progress
from peculiar.images.unstretched import Look
from peculiar.labelling.export import export_answers
from peculiar.labelling.web.batches import add_batches
from peculiar.labelling.web.browse import add_gallery
from peculiar.labelling.web.explanations import Explanations
from peculiar.labelling.web.explore import add_explore
from peculiar.labelling.web.failures import add_errors
from peculiar.labelling.web.galaxy import add_galaxy
from peculiar.labelling.web.gallery import Gallery
from peculiar.labelling.web.guide import add_guide, read_guide
from peculiar.labelling.web.identity import Me, keep_name
from peculiar.labelling.web.interest import Interest
from peculiar.labelling.web.pages import Lasting, Pages
from peculiar.labelling.web.pictures import LARGE, NATIVE, SMALL, UNREADABLE, WHOLE
from peculiar.labelling.web.rating import add_rating
from peculiar.labelling.web.review import ANSWER, MODEL, Answers, Cell, matrix
from peculiar.labelling.web.routes import (
    LEADS_ON,
    MEDIA,
    REFUSALS,
    Absent,
    Csrf,
    EventName,
    Hx,
    Name,
    Number,
    Who,
    content,
    give,
)
from peculiar.labelling.web.session import Session

QuestionName = Annotated[Name | Absent, Query()]

_MOST_PAIRS = 15

_SIZES = {"whole": WHOLE, "native": NATIVE, "large": LARGE, "small": SMALL}


class _Name(BaseModel):
    model_config = ConfigDict(extra="forbid")

    csrf: Csrf
    who: Who


class _Sent(_Name):
    event: EventName


class _Answer(_Sent):
    row: Number
    galaxy: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    question: Name
    choice: Annotated[str, StringConstraints(pattern=r"^(\d{1,2}|skip|unsure)$")]
    chosen: Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z ]*$")] = ""
    seconds: Annotated[float, Field(ge=0, le=86_400)] | Absent = None
    back: Annotated[str, StringConstraints(pattern=r"^(galaxy)?$")] = ""


class _Undo(_Sent):
    undoes: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,64}$")]


def make_app(
    session: Session, gallery: Gallery | None = None, explanations: Explanations | None = None, *, root: str = ""
) -> FastAPI:
    """Return the application for a session; it has to be served behind `peculiar.labelling.web.guard.Guard`.

    Parameters
    ----------
    session : Session
    gallery : Gallery, optional
        The gallery of the catalogue, if there is one.
    explanations : Explanations, optional
        Explanations of the model's answers.
    root : str
        Path under which a proxy shows the pages, as in ``/user/ada/proxy/8222``.
    """
    # FastAPI's own documentation pages load scripts from other hosts.
    app = FastAPI(
        title="peculiar label",
        version=metadata.version("peculiar"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=REFUSALS,
    )
    app.mount("/static", Lasting(packages=[("peculiar.labelling.web", "static")]), name="static")
    pages = Pages(session, root=root, gallery=gallery)
    add_errors(app, pages)
    _add_questions(app, session, pages)
    if session.campaign.guide:
        add_guide(app, read_guide(session.campaign.guide), pages)
    add_batches(app, session, gallery, pages)
    _add_answers(app, session, gallery, pages)
    if gallery is not None:
        add_gallery(app, session, gallery, pages)
        add_explore(app, session, gallery, pages)
        add_galaxy(app, session, gallery, explanations, pages)
        if gallery.embeddings is not None:
            add_rating(app, session, Interest(session, gallery.embeddings, gallery.limiter), pages)
    return app


def _add_questions(app: FastAPI, session: Session, pages: Pages) -> None:
    """Add the routes that show galaxies and take answers."""

    def after(request: Request, who: str, row: int | None, hx: str | None, answered: str | None = None) -> Response:
        if hx:
            # The address names a galaxy only as long as it is shown because somebody asked for it.
            shown = pages.show(who, row, hx, answered)
            shown.headers["HX-Replace-Url"] = pages.address("/", row=row)
            return shown
        # Without JavaScript, a form leads to a page that can be reloaded without sending the form again.
        told = answered if answered is not None and session.campaign.feedback else None
        return pages.lead(request, who, "/", row=row, answered=told)

    @app.get("/", response_class=HTMLResponse)
    def page(
        request: Request,
        me: Me,
        who: Annotated[Who | Absent, Query()] = None,
        row: Annotated[Number | Absent, Query()] = None,
        answered: Annotated[EventName | Absent, Query()] = None,
        hx: Hx = None,
    ) -> Response:
        """Show the next galaxy, or ask for a name."""
        if (known := who or me) is None:
            return pages.ask_name()
        shown = pages.show(known, row, hx, answered)
        if who is not None:
            keep_name(request, shown, who)
        return shown

    @app.get("/who", response_class=HTMLResponse)
    def ask_name() -> Response:
        """Ask for a name."""
        return pages.ask_name()

    @app.post("/who", status_code=303, response_class=RedirectResponse)
    def name(request: Request, sent: Annotated[_Name, Form()]) -> Response:
        """Remember the name of the annotator at this browser."""
        pages.check(sent)
        return pages.lead(request, sent.who, "/")

    @app.get("/ahead", response_class=HTMLResponse)
    def ahead(me: Me) -> Response:
        """Return the questions after the next one, which a browser shows while it has no connection."""
        return HTMLResponse("".join(pages.fragment(me, task) for task in session.kept(me))) if me else HTMLResponse("")

    @app.get("/csrf", response_class=PlainTextResponse)
    def renew() -> Response:
        """Return the token of forms, which a page from an earlier session requests again."""
        return PlainTextResponse(pages.csrf)

    @app.post("/answer", response_class=HTMLResponse, responses=LEADS_ON)
    def answer(request: Request, sent: Annotated[_Answer, Form()], hx: Hx = None) -> Response:
        """Store an answer, then show the next galaxy."""
        pages.check(sent)
        session.check_page_token(sent.row, sent.galaxy)
        number = int(sent.choice) if sent.choice.isdecimal() else None
        kind = sent.choice if number is None else "answer"
        session.answer(sent.who, sent.row, sent.question, sent.event, kind, number, sent.seconds, sent.chosen)
        if sent.back:
            return pages.lead(request, sent.who, f"/galaxy/{sent.row}")
        return after(request, sent.who, None, hx, sent.event)

    @app.post("/undo", response_class=HTMLResponse, responses=LEADS_ON)
    def undo(request: Request, sent: Annotated[_Undo, Form()], hx: Hx = None) -> Response:
        """Withdraw an answer, and show its galaxy again."""
        pages.check(sent)
        return after(request, sent.who, session.undo(sent.who, sent.event, sent.undoes), hx)


def _add_answers(app: FastAPI, session: Session, gallery: Gallery | None, pages: Pages) -> None:
    """Add the routes of pictures and of given answers."""

    @app.get("/picture/{row}/{size}", response_class=Response, responses=content("image/jpeg", "image/svg+xml"))
    def picture(
        row: Number,
        size: Literal["whole", "native", "large", "small"],
        bands: Annotated[str, Query(max_length=200)] = "",
        look: Annotated[Look, Query()] = "",
    ) -> Response:
        """Return a picture, or a substitute if it cannot be read; a whole one in chosen bands and stretch."""
        session.check(row)
        if _SIZES[size] < 0 and (bands or look):
            shown = session.pictures.show_as(row, _SIZES[size], [one for one in bands.split(",") if one], look)
        else:
            shown = session.pictures.show(row, _SIZES[size])
        if shown.problem:
            return Response(UNREADABLE, media_type="image/svg+xml", headers={"Cache-Control": "no-store"})
        # The address contains the session, because the next session may show other galaxies under the same numbers.
        return Response(shown.content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    @app.get("/prediction/{row}", response_class=HTMLResponse)
    def prediction(row: Number) -> Response:
        """Return the model's answers for a galaxy."""
        return pages.render("prediction.html", predictions=session.prediction(row))

    @app.get("/progress", response_class=HTMLResponse)
    def progress(me: Me, question: QuestionName = None) -> Response:
        """Show answers, agreement and the score of the head."""
        about = session.question if question is None else session.tree[question]
        history = list(session.loop.progress) if session.loop is not None and about == session.question else []
        return pages.render(
            "progress.html",
            who=me,
            question=about,
            history=history,
            curve=_curve(history),
            summary=session.summary(about),
            tables=[] if gallery is None else _matrices(gallery.answers(about.name)),
            answers=None if gallery is None else gallery.answers(about.name),
        )

    @app.get("/progress.json")
    def figures() -> dict[str, Any]:
        """Return the history of the score."""
        return {"progress": [asdict(one) for one in ([] if session.loop is None else list(session.loop.progress))]}

    @app.get("/export/{what}.{kind}", response_class=Response, responses=content(*MEDIA.values()))
    def export(
        what: Literal["votes", "labels", "events"], kind: Literal["csv", "parquet"], question: QuestionName = None
    ) -> Response:
        """Return the answers to a question as a table."""
        name = session.question.name if question is None else session.tree[question].name
        return give(f"{what}.{kind}", lambda file: export_answers(session.labels, file, name, what))


def _matrices(answers: Answers) -> list[tuple[str, str, list[list[Cell]]]]:
    """Return confusion matrices: of the majority and the model, and of the pairs of annotators."""
    people = [name.removeprefix("by ") for name in answers.names if name.startswith("by ")]
    pairs = [(ANSWER, MODEL)] if MODEL in answers.codes else []
    pairs += [(f"by {one}", f"by {other}") for one, other in list(combinations(people, 2))[:_MOST_PAIRS]]
    tables = [(one, other, matrix(answers, one, other)) for one, other in pairs]
    return [table for table in tables if any(cell.count for line in table[2] for cell in line)]


def _curve(history: list[Progress], width: float = 600, height: float = 240) -> Mapping[str, Any] | None:
    """Return the history of the score as points of a drawing: its line, and the outline of its interval."""
    known = [one for one in history if one.score is not None and one.low is not None and one.high is not None]
    if not known:
        return None
    most = max(one.learned + one.tested for one in known)

    def points(values: list[tuple[int, float]]) -> str:
        return " ".join(f"{width * x / most:.1f},{height * (1 - y):.1f}" for x, y in values)

    along = [(one.learned + one.tested, one) for one in known]
    line = points([(x, one.score or 0.0) for x, one in along])
    upper = [(x, one.high or 0.0) for x, one in along]
    lower = [(x, one.low or 0.0) for x, one in reversed(along)]
    return {"line": line, "band": points([*upper, *lower]), "most": most, "width": width, "height": height}
