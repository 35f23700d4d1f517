"""Find out which galaxies are known: listed by services or tables, near their positions."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from peculiar.catalogs.nearest import Nearest
from peculiar.errors import UnknownNameError, UsageError, extra
from peculiar.files.places import place
from peculiar.files.writing import check_apart, writing
from peculiar.progress import counting
from peculiar.questions.column_names import plain
from peculiar.sources.http import Client, Manners, Problem
from peculiar.sources.positions import Positions
from peculiar.sources.tap_services import ROLES, UCDS, TapService, find_service
from peculiar.tables.column import DEC, ID, RA, Column
from peculiar.tables.footprint import contains
from peculiar.tables.healpix import healpix_29
from peculiar.tables.identifiers import id_texts, type_of_ids, typed_ids
from peculiar.tables.key_columns import Keys, find_column, find_id
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import need_sky, on_sky
from peculiar.tables.writers import format_to_write, write_table
from peculiar.text import counted, shown

SERVICES_ASKED = ("simbad", "ned")
"""The services that are asked if neither services nor tables are named."""

RADIUS = 5.0
_MOST_RADIUS = 3600.0
_MOST_FAILURES = 3
_TIMEOUT = 90.0
"""In seconds; services stop queries after 60."""

STOPPED = "stopped"
"""Problem of a service that was not asked about all galaxies because the run was stopped."""

_NAMES = {
    "type": ("otype", "main_type", "type", "class", "objtype", "morphology", "morph", "label"),
    "redshift": ("z", "redshift", "zspec", "z_spec", "rvz_redshift", "z_best", "zphot", "z_phot", "photoz"),
    "references": ("bibcode", "references", "reference", "ref", "nbref"),
}
"""Usual names of columns of a table, by role; otherwise they are found by UCD."""

_MEANINGS = {
    "id": (pa.string(), "identifier of the nearest object", "", "meta.id.cross"),
    "separation": (pa.float64(), "angle to the nearest object", "arcsec", "pos.angDistance"),
    "type": (pa.string(), "type of the nearest object", "", "src.class"),
    "redshift": (pa.float64(), "redshift of the nearest object", "", "src.redshift"),
    "references": (pa.string(), "references of the nearest object, or their number", "", "meta.bib"),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects that a service or a table lists near the galaxies.

    Parameters
    ----------
    title : str
        Name of the service or table.
    asked : ndarray of bool, shape (galaxies,)
        False where the service has not answered.
    separation : ndarray, shape (galaxies,)
        Angle to the nearest object, in arcsec; infinite if there is none within the radius.
    objects : pyarrow.Table
        Columns ``id``, ``type``, ``redshift`` and ``references`` of these objects, one row a galaxy.
    credit : str
        Acknowledgement that the service asks for.
    problem : str
        Why it was not asked about all galaxies; empty if it was.
    id_type : pyarrow.DataType
        Type of the identifiers in a table.
    observed : ndarray of bool, shape (galaxies,), optional
        False outside the footprint; None if the footprint is not known, which counts as the whole sky.
    """

    title: str
    asked: NDArray[np.bool_]
    separation: NDArray[np.float64]
    objects: pa.Table
    credit: str = ""
    problem: str = ""
    id_type: pa.DataType = field(default_factory=pa.string)
    observed: NDArray[np.bool_] | None = None

    @property
    def listed(self) -> NDArray[np.bool_]:
        """True for galaxies that have an object within the radius."""
        return np.isfinite(self.separation)


@dataclass(frozen=True, slots=True, repr=False)
class Known:
    """Which galaxies are listed where; see `known`.

    Parameters
    ----------
    ids : list of str
    ra, dec : ndarray, shape (galaxies,)
        In degrees.
    listings : dict of str to Listing
        By the name of the service or table, which begins the names of its columns.
    radius : float
        In arcsec.
    id_type : pyarrow.DataType
        Type of the ids in the catalogue.
    files : tuple of path
        The catalogue, the tables and the footprints, which `write` does not overwrite.

    Examples
    --------
    >>> import peculiar
    >>> found = peculiar.known("galaxies.parquet", tables=["positions.csv"], verbose=False)
    >>> found
    positions lists 1 of 60 galaxies
    nobody lists 59 within 5 arcsec
    >>> found.write("unknown.csv", unknown=True)
    59
    """

    ids: list[str]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    listings: dict[str, Listing]
    radius: float
    id_type: pa.DataType = field(default_factory=pa.string)
    files: tuple[Path, ...] = ()

    @property
    def listed(self) -> NDArray[np.bool_]:
        """True for galaxies that a service or table lists."""
        return np.asarray(np.any([one.listed for one in self.listings.values()], axis=0))

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """True for galaxies that nobody lists: all were asked, and at least one has observed the position."""
        asked = np.all([one.asked for one in self.listings.values()], axis=0)
        return np.asarray(~self.listed & asked & ~self.unobserved)

    @property
    def unobserved(self) -> NDArray[np.bool_]:
        """True for galaxies outside the footprints of all services and tables; False if a footprint is not known."""
        outside = [np.False_ if one.observed is None else ~one.observed for one in self.listings.values()]
        return np.broadcast_to(np.logical_and.reduce(np.broadcast_arrays(*outside)), len(self.ids))

    @property
    def complete(self) -> bool:
        """True if every service has answered about every galaxy."""
        return all(one.asked.all() for one in self.listings.values())

    @property
    def failed(self) -> bool:
        """True if a service did not answer, other than because the run was stopped."""
        return any(one.problem not in ("", STOPPED) for one in self.listings.values())

    def lines(self) -> list[str]:
        """Return the numbers as text, a line for each service and table."""
        lines = []
        for one in self.listings.values():
            left = int((~one.asked).sum())
            waiting = f"; {left:,} still to be asked about" if left else ""
            lines.append(f"{one.title} lists {int(one.listed.sum()):,} of {counted(len(self.ids), 'galaxy')}{waiting}")
        nobody = int(self.unknown.sum())
        lines.append(f"nobody lists {nobody:,} within {self.radius:g} arcsec")
        if outside := int((self.unobserved & ~self.listed).sum()):
            lines.append(f"{outside:,} more lie outside all footprints, so they are not known to be unknown")
        return lines

    def __repr__(self) -> str:
        """Return the numbers as text."""
        return "\n".join(map(shown, self.lines()))

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, for JSON."""
        return {
            "galaxies": len(self.ids),
            "radius_arcsec": self.radius,
            "listed": int(self.listed.sum()),
            "unknown": int(self.unknown.sum()),
            "unobserved": int((self.unobserved & ~self.listed).sum()),
            "complete": self.complete,
            "listings": {
                name: {
                    "title": one.title,
                    "listed": int(one.listed.sum()),
                    "waiting": int((~one.asked).sum()),
                    "problem": one.problem,
                }
                for name, one in self.listings.items()
            },
        }

    def write(self, path: str | os.PathLike[str], *, unknown: bool = False) -> int:
        """Write a table with a row for each galaxy, in the order of the catalogue.

        Parameters
        ----------
        path : path-like
            Its suffix decides the format: ``.parquet``, ``.csv``, ``.fits``, ``.vot`` or ``.ecsv``.
        unknown : bool
            Only galaxies that nobody lists, and that lie in a footprint.

        Returns
        -------
        int
            Number of rows.

        Raises
        ------
        UsageError
            If the suffix is unknown, or the file is the catalogue or a table that was compared.
        """
        path = place(path)
        format = format_to_write(path)
        check_apart(path, *self.files)
        state = pa.array(self.listed, mask=~self.listed & ~self.unknown)
        meaning = "listed within the radius; null where a service has not answered, and outside all footprints"
        columns: list[tuple[Column, Any]] = [
            (replace(ID, type=self.id_type), typed_ids(self.ids, self.id_type)),
            (RA, pa.array(self.ra)),
            (DEC, pa.array(self.dec)),
            (Column("known", pa.bool_(), meaning), state),
        ]
        for name, one in self.listings.items():
            if one.observed is not None:
                text = f"in the footprint of {one.title}"
                columns.append((Column(f"{name}_observed", pa.bool_(), text), pa.array(one.observed)))
            for role, (type_, meaning, unit, ucd) in _MEANINGS.items():
                values = pa.array(one.separation, mask=~one.listed) if role == "separation" else one.objects[role]
                if role == "id":
                    type_, values = one.id_type, typed_ids(values.combine_chunks(), one.id_type)
                if role in ("id", "separation") or values.null_count < len(values):
                    columns.append((Column(f"{name}_{role}", type_, f"{meaning} in {one.title}", unit, ucd), values))
        table = pa.table([one for _, one in columns], names=[column.name for column, _ in columns])
        if unknown:
            table = table.filter(pa.array(self.unknown))
        credits = " ".join(one.credit for one in self.listings.values() if one.credit)
        notes = {"radius": f"{self.radius:g} arcsec", **({"credit": credits} if credits else {})}
        with writing(path) as temporary:
            batches = table.combine_chunks().to_batches()
            write_table(temporary, format, [column for column, _ in columns], batches, notes)
        return int(table.num_rows)


def known(
    catalog: str | os.PathLike[str],
    *,
    services: Sequence[str] | None = None,
    tables: Sequence[str | os.PathLike[str]] = (),
    footprints: Mapping[str, str | os.PathLike[str]] | None = None,
    radius: float = RADIUS,
    id: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    rate: float | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[int], object] | None = None,
    verbose: bool = True,
) -> Known:
    """Find out which galaxies of a catalogue are known: listed by services or tables near their positions.

    Nothing is requested twice: answers are kept for 30 days, and after any interruption the same call resumes.

    Parameters
    ----------
    catalog : path-like
        A table with the columns ``ra`` and ``dec`` (ICRS, in degrees unless they state another unit) and an id.
    services : sequence of str, optional
        Of ``simbad``, ``ned`` and ``vizier``; ``vizier:TABLE`` is a table of VizieR. Default: SIMBAD and NED, or none
        if there are tables.
    tables : sequence of path-like
        Tables with positions, also folders of HATS catalogues.
    footprints : mapping of str to path-like, optional
        Files of the part of the sky that a service or table has observed (MOC, as FITS, JSON or text), by the name with
        which its columns begin, such as ``simbad``. A galaxy outside all footprints is unobserved, not unknown.
    radius : float
        Largest angle to an object, in arcsec.
    id, ra, dec : str, optional
        The columns of ids and positions of the catalogue; default: those with the usual names.
    rate : float, optional
        Requests per second to a service at most; default: 1.
    stop : threading.Event, optional
        Once it is set, no further requests are sent.
    progress : callable, optional
        Called with the number of galaxies finished since the last call, for each service and table.
    verbose : bool
        Show progress on standard error, if `progress` is not given.

    Returns
    -------
    Known

    Raises
    ------
    NotFoundError, DataError
        If a table does not exist or cannot be read, or a position is not on the sky.
    UnknownNameError
        If there is no such service or column, or a footprint is of something that is not compared with.
    UsageError
        If the catalogue has no rows, or an option is out of range.
    MissingExtraError
        If services are to be asked, and pyvo is not installed, or mocpy, which reads footprints.

    Examples
    --------
    >>> import peculiar
    >>> found = peculiar.known("galaxies.parquet", tables=["survey.parquet"], verbose=False)
    >>> int(found.listed.sum()), int(found.unknown.sum())
    (60, 0)
    """
    if not 0 < radius <= _MOST_RADIUS:
        message = f"the radius has to be above 0 and at most {_MOST_RADIUS:.0f} arcsec, received {radius:g}"
        raise UsageError(message)
    asked = [find_service(name) for name in (services if services is not None else () if tables else SERVICES_ASKED)]
    if not asked and not tables:
        raise UsageError("name a service or a table to compare with")
    manners = [Manners(one.rate if rate is None else rate, timeout=_TIMEOUT) for one in asked]
    opened = [_Reference(place(table)) for table in tables]
    files = tuple(map(place, [catalog, *tables, *(footprints or {}).values()]))
    where = Positions(files[0], Keys(id, ra, dec))
    rows = list(where)
    if not rows:
        message = f"{catalog} has no rows, so there is nothing to look for"
        raise UsageError(message)
    places = np.array([[one.ra, one.dec] for one in rows])
    listings: dict[str, Listing] = {}
    names = _named([table.title for table in opened] + [service.name for service in asked])
    for name in footprints or {}:
        if name not in names:
            raise UnknownNameError("service or table", name, names, where="to have a footprint")
    observed = {name: contains(place(path), *places.T) for name, path in (footprints or {}).items()}
    with ExitStack() as stack:
        if progress is None:
            total = len(rows) * (len(asked) + len(opened))
            progress = stack.enter_context(counting("compared", total, verbose=verbose))
        for name, table in zip(names, opened, strict=False):
            listings[name] = table.list(places, radius / 3600)
            progress(len(rows))
        for name, service, how in zip(names[len(opened) :], asked, manners, strict=True):
            listings[name] = _ask(service, Client(how, stop), places, radius / 3600, progress)
    listings = {name: replace(one, observed=observed.get(name)) for name, one in listings.items()}
    return Known([one.id for one in rows], places[:, 0], places[:, 1], listings, radius, where.id_type, files)


def _named(titles: Sequence[str]) -> list[str]:
    """Return the names of services and tables, with which their columns begin; no two are the same."""
    names: list[str] = []
    for title in titles:
        name = plain(title) or "table"
        numbered = (f"{name}_{number}" if number > 1 else name for number in range(1, len(titles) + 1))
        names.append(next(one for one in numbered if one not in names))
    return names


def _ask(
    service: TapService,
    client: Client,
    places: NDArray[np.float64],
    radius: float,
    progress: Callable[[int], object],
) -> Listing:
    """Ask a service about all positions, batch by batch, until it fails several times in a row."""
    with extra("asking services about known objects", "known"):
        from peculiar.sources.tap import OBJECTS, Tap
    tap = Tap(service, client, radius, os.environ.get("PECULIAR_TAP_URL"))
    asked = np.zeros(len(places), dtype=bool)
    problem, failures = "", 0
    near = Nearest(places[:, 0], places[:, 1], radius)
    pieces = [OBJECTS.empty_table()]
    # Neighbours on the sky are asked about together.
    order = np.argsort(healpix_29(places[:, 0], places[:, 1]), kind="stable")
    columns = tap.find_columns()
    if columns.found is None:
        problem = f"{columns.problem}: {columns.reason}"
        order = order[:0]
    for start in range(0, len(order), service.batch):
        batch = order[start : start + service.batch]
        answer = tap.objects(places[batch])
        progress(len(batch))
        if answer.found is None:
            if answer.problem is not Problem.NOT_ASKED:
                problem, failures = f"{answer.problem}: {answer.reason}", failures + 1
            if failures >= _MOST_FAILURES:
                client.close(f"{failures} queries in a row failed, the last with {problem}")
            continue
        failures = 0
        asked[batch] = True
        pieces.append(answer.found)
        near.add(*(answer.found[name].to_numpy() for name in ("ra", "dec")))
    if not asked.all():
        problem = client.closed or problem or STOPPED
    title = service.title if service.columns else f"{service.title} {service.table}"
    return _listing(title, near, pa.concat_tables(pieces), asked, service.credit, problem)


def _listing(
    title: str, near: Nearest, objects: pa.Table, asked: NDArray[np.bool_], credit: str = "", problem: str = ""
) -> Listing:
    rows = pa.array(near.object, mask=near.object < 0)
    taken = objects.select([role for role in ROLES if role in _MEANINGS]).take(rows)
    return Listing(title, asked, near.separation * 3600, taken, credit, problem)


class _Reference:
    """A table of objects, read as a stream."""

    def __init__(self, path: Path) -> None:
        self._table = TableReader(path)
        self.title = path.name if path.is_dir() else path.stem
        self._sky = need_sky(self._table, advice="rename its columns of positions to ra and dec")
        meanings = {Column.of(one).ucd.lower().replace(" ", ""): one.name for one in reversed(list(self._table.schema))}
        self._columns: dict[str, str] = {}
        for role, names in _NAMES.items():
            found = find_column(names, self._table.columns)
            found = found or next((meanings[word] for word in UCDS[role] if word in meanings), None)
            if found is not None:
                self._columns[role] = found
        if (found := find_id(self._table.schema)) is not None:
            self._table.warn_of_lost_digits(found)
            self._columns["id"] = found

    def list(self, places: NDArray[np.float64], radius: float) -> Listing:
        """Return the nearest object to each position."""
        near = Nearest(places[:, 0], places[:, 1], radius)
        # Only objects that were the nearest at some time are kept.
        kept, numbers = [pa.table({role: pa.nulls(0, _MEANINGS[role][0]) for role in _MEANINGS})], [np.empty(0, int)]
        for batch in self._table.batches(list(dict.fromkeys([*self._sky.names, *self._columns.values()]))):
            degrees, first = self._sky.read(batch), near.count
            rows = near.add(*np.where(on_sky(degrees), degrees, np.nan))
            if len(rows):
                kept.append(self._objects(batch, rows, first))
                numbers.append(first + rows)
        place = {number: row for row, number in enumerate(np.concatenate(numbers).tolist())}
        near.object = np.array([place.get(number, -1) for number in near.object.tolist()])
        listing = _listing(self.title, near, pa.concat_tables(kept), np.ones(len(places), dtype=bool))
        return replace(listing, id_type=type_of_ids(self._table, self._columns.get("id")))

    def _objects(self, batch: pa.RecordBatch, rows: NDArray[np.intp], first: int) -> pa.Table:
        arrays = {}
        for role, (type_, *_) in _MEANINGS.items():
            name = self._columns.get(role)
            if name is None:
                values = pa.nulls(len(rows), type_)
                if role == "id":
                    values = pa.array([f"{self.title}-{first + row}" for row in rows.tolist()])
            else:
                values = batch.column(name).take(pa.array(rows))
                values = id_texts(values) if type_ == pa.string() else _numbers(values)
            arrays[role] = values
        return pa.table(arrays)


def _numbers(values: pa.Array) -> pa.Array:
    """Return a column as numbers; null where it holds something else."""
    try:
        numbers = values.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            return pa.nulls(len(values), pa.float64())
        texts = pc.utf8_trim_whitespace(values)
        number = pc.match_substring_regex(texts, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
        numbers = pc.if_else(number, texts, None).cast(pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, None)


def check_out(out: Path, catalog: Path, tables: Sequence[Path]) -> None:
    """Refuse an output of another kind than a table, or that is one of the inputs."""
    format_to_write(out)
    check_apart(out, catalog, *tables)
