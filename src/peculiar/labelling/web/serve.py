"""Serve the labelling pages until they are stopped."""

import html
import logging
import os
import secrets
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import uvicorn
from numpy.typing import NDArray

from peculiar.catalogs.active import APART, Loop
from peculiar.catalogs.catalog import Catalog
from peculiar.errors import DataError, UsageError
from peculiar.files.places import place
from peculiar.labelling.campaign import Campaign, read_campaign
from peculiar.labelling.database import Labels
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.explanations import open_explanations
from peculiar.labelling.web.gallery import Gallery
from peculiar.labelling.web.guard import LOOPBACK, Guard, Public
from peculiar.labelling.web.id_index import IdIndex
from peculiar.labelling.web.pictures import Pictures
from peculiar.labelling.web.review import Review
from peculiar.labelling.web.session import Session
from peculiar.labelling.web.timeouts import TimeoutProtocol
from peculiar.notebook import in_notebook
from peculiar.questions.column_names import find_answer_columns
from peculiar.questions.question import Question, Tree
from peculiar.questions.question_file import find_tree, is_file
from peculiar.sources import Paths, open_source
from peculiar.sources.joins import join_rows, partners_of
from peculiar.sources.stream import Source
from peculiar.tables.column import ID
from peculiar.tables.formats import MODEL_NOTE, table_format
from peculiar.tables.identifiers import entry_text, id_texts
from peculiar.tables.reader import TableReader


def label(
    data: Paths | Catalog,
    *,
    pictures: str | os.PathLike[str] | None = None,
    embeddings: str | os.PathLike[str] | None = None,
    embeddings_id: str | None = None,
    question: str | Question = "four_class",
    learned: str | None = None,
    only: str | os.PathLike[str] | Sequence[str] | None = None,
    in_order: bool = False,
    db: str | os.PathLike[str] = "labels.db",
    id: str | None = None,
    strategy: str = "margin",
    apart: float = APART,
    every: int = 20,
    host: str = "127.0.0.1",
    url: str | None = None,
    port: int = 8222,
    token: bool = True,
    browser: bool = True,
    model: str | os.PathLike[str] | None = None,
    seed: int = 222,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve the labelling pages until the call is interrupted.

    Parameters
    ----------
    data : path-like, sequence of path-like, or Catalog
        Galaxies with pictures, as for `peculiar.sources.open_source`, shown in random order; or a catalogue with
        embeddings, if `pictures` is given.
    pictures : path-like, optional
        The pictures of the catalogue's galaxies, with the same ids.
    embeddings, embeddings_id : optional
        A table with embeddings of another network for the catalogue's galaxies, and its column of ids; see
        `peculiar.Catalog.with_embeddings`. Heads, the similarity map and similar galaxies are then by these.
    question : str or Question
        Name of a question or a decision tree, or a TOML file; see `peculiar.questions.question_file.find_tree`.
    learned : str, optional
        The question of a tree for active learning and the grid; default: the first.
    only : path-like or sequence of str, optional
        A table with a column of ids, or ids, of the galaxies to ask about; default: all.
    in_order : bool
        Ask about the galaxies of `only` in the order of the table, also about those that somebody has answered.
    db : path-like
        The database of answers; created if it does not exist.
    id : str, optional
        The column of ids, if the pictures are in a table; default: the first of the usual names.
    strategy : str
        Strategy of active learning, one of `peculiar.catalogs.active.STRATEGIES`.
    apart : float
        Share of the galaxies in the random sample that is scored.
    every : int
        Number of new answers after which the heads are refitted.
    host : str
        Address to listen on.
    url : str, optional
        Address under which a trusted proxy on the way shows the pages, as in
        ``https://hub.example.org/user/ada/proxy/8222/`` on a JupyterHub with jupyter-server-proxy.
    port : int
        0 for any free port.
    token : bool
        Require the token in the printed address. Without it, every user of this machine may use the pages.
    browser : bool
        Open the page in the browser.
    model : path-like, optional
        Model file of the catalogue, for explanations; default: the one that ships, if it made the catalogue.
    seed : int
        Decides the random order and the random sample; use the same seed in all sessions.
    on_ready : callable, optional
        Called with the address once the pages are served; by default it is printed on standard error.

    Raises
    ------
    UsageError
        If there are several catalogues, one has no embeddings or is from another model, or an address cannot be used,
        or can be reached by others without a token.
    UnknownNameError
        If there is no such question.
    LabelError
        If a TOML file does not describe a question, or the database has it with other answers.

    Examples
    --------
    >>> import peculiar
    >>> peculiar.label("pictures", db="answers.db")  # doctest: +SKIP
    """
    with ready(
        data,
        pictures=pictures,
        embeddings=embeddings,
        embeddings_id=embeddings_id,
        question=question,
        learned=learned,
        only=only,
        in_order=in_order,
        db=db,
        id=id,
        strategy=strategy,
        apart=apart,
        every=every,
        host=host,
        url=url,
        port=port,
        token=token,
        model=model,
        seed=seed,
    ) as found:
        (on_ready or _print)(found.address)
        if url is None and (advice := hub_advice(os.environ, found.port)):
            sys.stderr.write(f"{advice}\n")
        with _opened(found.address) if browser and url is None else nullcontext():
            (_run_apart if in_notebook() else uvicorn.Server.run)(found.server, [found.listening])


@dataclass(frozen=True, slots=True)
class Ready:
    """Labelling pages that are ready to be served.

    Parameters
    ----------
    server : uvicorn.Server
    listening : socket.socket
    address : str
        With the token.
    """

    server: uvicorn.Server
    listening: socket.socket
    address: str

    @property
    def port(self) -> int:
        """The port."""
        return int(self.listening.getsockname()[1])


@contextmanager
def ready(
    data: Paths | Catalog,
    *,
    pictures: str | os.PathLike[str] | None = None,
    embeddings: str | os.PathLike[str] | None = None,
    embeddings_id: str | None = None,
    question: str | Question = "four_class",
    learned: str | None = None,
    only: str | os.PathLike[str] | Sequence[str] | None = None,
    in_order: bool = False,
    db: str | os.PathLike[str] = "labels.db",
    id: str | None = None,
    strategy: str = "margin",
    apart: float = APART,
    every: int = 20,
    host: str = "127.0.0.1",
    url: str | Callable[[int], str | None] | None = None,
    port: int = 8222,
    token: bool = True,
    model: str | os.PathLike[str] | None = None,
    seed: int = 222,
    frames: str = "'none'",
) -> Iterator[Ready]:
    """Open what is labelled, and listen; see `label`. `url` may also be a function of the port."""
    if not token and host not in LOOPBACK:
        message = f"other machines can reach {host} and could use the pages without a token; leave out --no-token"
        raise UsageError(message)
    if isinstance(url, str):  # before anything is opened
        _public(url, token)
    with Labels(db) as labels:
        if embeddings is not None and pictures is None:
            message = "embeddings of another network are for a catalogue; give it, and its pictures (--pictures DATA)"
            raise UsageError(message)
        catalog = None if pictures is None else _catalog(data, embeddings, embeddings_id)
        session = open_session(
            data if catalog is None else catalog,
            labels,
            pictures=pictures,
            question=question,
            learned=learned,
            only=_ids_of(only, id),
            in_order=in_order,
            id=id,
            strategy=strategy,
            apart=apart,
            every=every,
            seed=seed,
        )
        gallery = open_gallery(session, catalog)
        explanations = (
            None if catalog is None else open_explanations(catalog.notes.get(MODEL_NOTE, ""), session.pictures, model)
        )
        secret = secrets.token_urlsafe(24) if token else ""
        listening = _listen(host, port)
        try:
            number = listening.getsockname()[1]
            told = url(number) if callable(url) else url
            public = None if told is None else _public(told, token)
            shown = f"[{host}]" if ":" in host else host
            place = f"http://{shown}:{number}" if public is None else public.origin + public.root
            root = "" if public is None else public.root
            app = make_app(session, gallery, explanations, root=root)
            config = uvicorn.Config(
                Guard(app, secret, local=host in LOOPBACK, public=public, frames=frames),
                http=TimeoutProtocol,
                log_level=logging.WARNING,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=3,
                h11_max_incomplete_event_size=16_384,
            )
            yield Ready(uvicorn.Server(config), listening, f"{place}/" + (f"?token={secret}" if token else ""))
        finally:
            listening.close()
            session.pictures.close()
            if session.loop is not None:
                session.loop.wait()


def _public(url: str, token: bool) -> Public:
    """Return the address of a proxy; raises `UsageError` if it is none, or if there is no token."""
    if not token:
        message = f"{url} can be reached by others, who could use the pages without a token; leave out --no-token"
        raise UsageError(message)
    return Public.parse(url)


def open_session(
    data: Paths | Catalog,
    labels: Labels,
    *,
    pictures: str | os.PathLike[str] | None = None,
    question: str | Question = "four_class",
    learned: str | None = None,
    only: Sequence[str] | None = None,
    in_order: bool = False,
    id: str | None = None,
    strategy: str = "margin",
    apart: float = APART,
    every: int = 20,
    seed: int = 222,
) -> Session:
    """Return the session for galaxies, or for a catalogue and its pictures; see `label`."""
    if in_order and only is None:
        message = "the order is that of a table of galaxies to ask about; name it (--only TABLE)"
        raise UsageError(message)
    tree = find_tree(question) if isinstance(question, str) else Tree(question.name, (question,))
    asked = tree.root if learned is None else tree[learned]
    campaign = read_campaign(question, tree) if is_file(question) else None
    if pictures is None:
        source = _open_pictures(data, id)
        ids = IdIndex(source.ids())
        only = _joined_only(only, ids, source.path)
        return Session(
            ids,
            Pictures(source),
            tree,
            labels,
            learned=asked.name,
            seed=seed,
            id_type=source.id_type,
            only=only,
            in_order=in_order,
            campaign=_joined_gold(campaign, ids, source.path),
        )
    catalog = _catalog(data)
    source = open_source(pictures, id=id)
    known = catalog.embeddings()
    ids = IdIndex(pa.concat_arrays([id_texts(batch.column(0)) for batch in catalog.batches(["id"])]))
    others = source.ids()
    places = join_rows(lambda: [ids[:]], lambda: [others], f"{pictures} and {catalog.place}").partners
    if (places < 0).all():
        message = f"{pictures} holds none of the galaxies of {catalog.place}: {ids[0]} is not among them"
        raise UsageError(message)
    only = _joined_only(only, ids, catalog.place)
    loop = Loop(known, asked.answers, strategy=strategy, apart=apart, every=every, seed=seed)
    names = find_answer_columns(asked, list(catalog.columns), catalog.notes)
    table = catalog.take(np.arange(len(catalog)), [name for name in names if name in catalog.columns])
    predictions = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    return Session(
        ids,
        Pictures(source, places),
        tree,
        labels,
        learned=asked.name,
        loop=loop,
        model=catalog.notes.get(MODEL_NOTE, "") if catalog.external is None else catalog.external.digest,
        predictions=predictions,
        predicted=_predicted(names, predictions),
        seed=seed,
        id_type=catalog.columns["id"].type,
        only=only,
        in_order=in_order,
        campaign=_joined_gold(campaign, ids, catalog.place),
    )


def _predicted(names: Sequence[str], chances: Mapping[str, NDArray[np.floating]]) -> NDArray[np.int64] | None:
    """Return the number of the most probable answer of each galaxy, -1 if unknown; None without probabilities."""
    known = [chances.get(name) for name in names]
    if len(known) == 2:
        known = [
            1 - other if one is None and other is not None else one
            for one, other in zip(known, known[::-1], strict=True)
        ]
    columns = [one for one in known if one is not None]
    if len(columns) < len(names):
        return None
    table = np.stack([one.astype(np.float64) for one in columns])
    return np.where(np.isfinite(table).all(axis=0), table.argmax(axis=0), -1)


def open_gallery(session: Session, catalog: Catalog | None = None) -> Gallery:
    """Return the gallery of a session's galaxies, with the answers as columns.

    Parameters
    ----------
    session : Session
    catalog : Catalog, optional
        Their catalogue; default: their ids alone.
    """
    if catalog is None:
        texts = session.ids.texts if isinstance(session.ids, IdIndex) else pa.array(session.ids, pa.string())
        catalog = Catalog.of_rows([ID], pa.table({ID.name: texts}))
    embeddings = None if session.loop is None else session.loop.embeddings
    return Gallery(catalog, embeddings, session.ids, Review(session, list(catalog.columns)).answers)


def _ids_of(only: str | os.PathLike[str] | Sequence[str] | None, id: str | None) -> Sequence[str] | None:
    """Return ids, or those of a table."""
    if only is None or not isinstance(only, str | os.PathLike):
        return only
    reader = TableReader(only)
    column = reader.id_column(id if id in reader.columns else None)
    return [id_ for id_ in map(entry_text, reader.column(column)) if id_]


def _joined_only(only: Sequence[str] | None, ids: IdIndex, place: str | os.PathLike[str]) -> Sequence[str] | None:
    """Return the galaxies to ask about by their own ids; `UsageError` if none of them is there."""
    if only is None:
        return None
    if all(ids.get(id_) is not None for id_ in only):
        found = list(only)
    else:  # other ways to write ids take seconds per million
        found = list(partners_of(ids[:], only, f"{place} and the galaxies to ask about"))
    if not found:
        like = f", which are like {only[0]!r}" if only else ""
        message = f"{place} has none of the {len(only):,} galaxies to ask about{like}; its own are like {ids[0]!r}"
        raise UsageError(message)
    return found


def _joined_gold(campaign: Campaign | None, ids: IdIndex, place: str | os.PathLike[str]) -> Campaign | None:
    """Return a campaign with the known galaxies that are there by their own ids; `UsageError` if there is none."""
    if campaign is None or not campaign.gold:
        return campaign
    partners = partners_of(ids[:], campaign.gold, f"{place} and the known galaxies")
    if not partners:
        message = (
            f"{place} has none of the {len(campaign.gold):,} known galaxies, which are like "
            f"{next(iter(campaign.gold))!r}; its own are like {ids[0]!r}"
        )
        raise UsageError(message)
    return replace(campaign, gold={own: campaign.gold[given] for own, given in partners.items()})


def _catalog(
    data: Paths | Catalog, embeddings: str | os.PathLike[str] | None = None, embeddings_id: str | None = None
) -> Catalog:
    if isinstance(data, Catalog):
        return data if embeddings is None else data.with_embeddings(embeddings, embeddings_id)
    paths = [data] if isinstance(data, str | os.PathLike) else data
    if len(paths) != 1:
        message = f"with pictures the data are one catalogue; {len(paths)} were given"
        raise UsageError(message)
    return Catalog(paths[0], embeddings=embeddings, embeddings_id=embeddings_id)


def _open_pictures(data: Paths | Catalog, id: str | None) -> Source:
    if isinstance(data, Catalog):
        if data.pictures is None:
            message = f"{data.place} is a catalogue without pictures; name them (--pictures DATA)"
            raise UsageError(message)
        return data.pictures
    try:
        return open_source(data, id=id)
    except DataError as error:
        path = place(data if isinstance(data, str | os.PathLike) else data[0])
        if path.is_file() and table_format(path) == "parquet" and "no column holds" in str(error):
            message = f"{path} is a catalogue without pictures; name them (--pictures DATA)"
            raise UsageError(message) from error
        raise


def hub_advice(variables: Mapping[str, str], port: int) -> str:
    """Return how to see the pages from a JupyterHub; empty if this is none."""
    path = variables.get("JUPYTERHUB_SERVICE_PREFIX", "")
    if not path:
        return ""
    place = variables.get("JUPYTERHUB_PUBLIC_URL", "").rstrip("/") or f"https://HUB{path.rstrip('/')}"
    return (
        "This is a JupyterHub: a browser elsewhere does not reach that address. With jupyter-server-proxy it reaches "
        f"{place}/proxy/{port}/; stop this, and add --port {port} --url {place}/proxy/{port}/"
        + ("" if "JUPYTERHUB_PUBLIC_URL" in variables else " with the host of the hub for HUB")
    )


def _print(address: str) -> None:
    sys.stderr.write(f"The labelling pages are served at {address} until this is interrupted.\n")


def _run_apart(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
    """Run a server in another thread until interrupted, because the cells of a notebook have an event loop."""
    ended = threading.Event()

    def run() -> None:
        try:
            server.run(sockets)
        finally:
            ended.set()

    # The thread is not joined: an interrupted join declares a thread that still runs to have ended.
    threading.Thread(target=run, name="server").start()
    try:
        while not ended.wait(0.2):
            pass
    except KeyboardInterrupt:
        server.should_exit = True
        ended.wait()


@contextmanager
def _opened(address: str) -> Iterator[None]:
    """Open an address in the browser, through a file that only this user can read, unlike command lines."""
    place = html.escape(address)
    with tempfile.TemporaryDirectory(prefix="peculiar-") as folder:
        page = Path(folder) / "label.html"
        page.write_text(f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={place}">')
        page.chmod(0o600)
        threading.Timer(0.5, webbrowser.open, [page.as_uri()]).start()
        yield


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        message = f"a port is a number from 0, for any free one, to 65535; received {port}"
        raise UsageError(message)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        # It listens from now on, so that the address may be announced: early requests wait.
        return socket.create_server((host, port), family=family, backlog=128, dualstack_ipv6=both)
    except OSError as error:
        message = f"cannot listen on {host}, port {port} ({error}); choose another port (--port), or 0 for any free one"
        raise UsageError(message) from error
