"""Searches of a catalogue: by condition, by position, by similarity, for odd galaxies."""

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from peculiar.catalogs.index import near
from peculiar.catalogs.sql import MOST_SECONDS, run_sql, sql_names
from peculiar.catalogs.table import GalaxyTable
from peculiar.catalogs.where import quoted, read_where
from peculiar.errors import NotFoundError, PictureError, UnknownNameError, UsageError
from peculiar.files.places import place
from peculiar.images.decode import read_picture
from peculiar.images.framing import Framing, frame_pixels, parse_crop
from peculiar.models.model_file import Model
from peculiar.sources.given import pixels_of
from peculiar.tables.column import Column

Kind = TypeVar("Kind", bound=GalaxyTable)
Value = TypeVar("Value", bound=np.generic)

DISTANCE = Column("distance", pa.float64(), "distance from the centre of the cone", "deg", "pos.angDistance")
"""Column that a cone search adds."""

ODD_BY = ("class", "uncertainty")
"""Ways to be odd: by the class, or by the entropy of its probabilities."""

SCORE = Column("score", pa.float32(), ucd="stat.value")
"""Column that a search for similar or odd galaxies adds."""

_UNITS = {"": 1.0, "deg": 1.0, "arcmin": 60.0, "arcsec": 3600.0}


@dataclass(frozen=True, slots=True)
class Cone:
    """A circle on the sky.

    Parameters
    ----------
    ra, dec : float
        Its centre, ICRS, in degrees.
    radius : float
        In degrees.
    """

    ra: float
    dec: float
    radius: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (-360 <= self.ra <= 360 and -90 <= self.dec <= 90 and 0 <= self.radius <= 180):
            swapped = "; are right ascension and declination swapped?" if abs(self.dec) > 90 else ""
            message = (
                f"a cone has a right ascension up to 360, a declination from -90 to 90 and a radius up to 180 degrees; "
                f"received {self.ra:g}, {self.dec:g}, {self.radius:g}{swapped}"
            )
            raise UsageError(message)


def parse_cone(text: str) -> Cone:
    """Parse a cone ``RA,DEC,RADIUS``, in degrees; the radius may end in arcmin or arcsec.

    Raises
    ------
    UsageError
        If it is not a cone.
    """
    number = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*"
    match = re.fullmatch(rf"{number}(?:deg)?\s*,{number}(?:deg)?\s*,{number}(deg|arcmin|arcsec)?\s*", text.lower())
    if match is None:
        message = f"a cone is RA,DEC,RADIUS in degrees, as in 150.1,2.2,0.5 or 150.1,2.2,30arcsec; received {text!r}"
        raise UsageError(message)
    return Cone(float(match[1]), float(match[2]), float(match[3]) / _UNITS[match[4] or ""])


def as_cone(where: "Cone | str | tuple[float, float, float] | None") -> Cone | None:
    """Return a cone from any of its forms; see `parse_cone`."""
    return parse_cone(where) if isinstance(where, str) else Cone(*where) if isinstance(where, tuple) else where


def query(
    catalog: Kind,
    where: str | None = None,
    *,
    cone: Cone | None = None,
    by: str | None = None,
    top: int | None = None,
    columns: Sequence[str] | None = None,
) -> Kind:
    """Find the galaxies of a catalogue that meet a condition; see `peculiar.catalogs.catalog.Catalog.query`.

    Parameters
    ----------
    catalog : GalaxyTable
    where, cone, by, top, columns
        As there, the cone as a `Cone`. The conditions are those of `peculiar.catalogs.where`.

    Returns
    -------
    GalaxyTable
        Of the same class as `catalog`.

    Raises
    ------
    UsageError
        If the condition is invalid, or exceeds the limits of time or memory.
    UnknownNameError
        If there is no such column.
    """
    if top is not None and top < 1:
        message = f"top has to be at least 1; received {top}"
        raise UsageError(message)
    catalog.check_columns(columns or ())
    names = catalog.plain if columns is None else list(dict.fromkeys(["id", *columns]))
    distance = added_column(DISTANCE, catalog)
    if cone is not None:
        names = [name for name in names if name != distance.name]
    chosen = [catalog.columns[name] for name in names]
    condition, values = _condition(catalog, where, cone)
    called = sql_names(catalog)
    added: list[str] = []
    order = _order(catalog, by)
    notes = {}
    if where:
        notes["where"] = where
    if cone is not None:
        chosen.append(distance)
        expression, numbers = _distance(catalog, cone)
        added = [f"{expression} AS {quoted(distance.name)}"]
        values = [*numbers, *values]
        order = order or quoted(distance.name)
        notes["cone"] = f"{cone.ra!r},{cone.dec!r},{cone.radius!r}"

    def find(selected: Sequence[str], view: str = "catalog") -> pa.Table:
        sql = f"SELECT {', '.join([*selected, *added])} FROM {view} WHERE {condition}"  # noqa: S608 - made of checked parts, with values as parameters
        # Ties are broken by id, so that the same search finds the same rows.
        sql += f" ORDER BY {order} NULLS LAST, id" if order else ""
        sql += f" LIMIT {top}" if top is not None else ""
        return run_sql(catalog, sql, values, where)

    def rows() -> NDArray[np.int64]:
        # Only if they are requested, because numbering rows requires reading all of them.
        taken = {name.casefold() for name in called.values()}
        number = quoted(next(name for name in map("row {}".format, itertools.count()) if name not in taken))
        found = find([number], f"(SELECT *, row_number() OVER () - 1 AS {number} FROM catalog)")  # noqa: S608 - as above
        return np.asarray(found.column(0).to_numpy(), dtype=np.int64)

    table = find([quoted(called[name]) for name in names])
    schema = pa.schema([(column.name, column.type) for column in chosen])
    return catalog.found(chosen, table.rename_columns(schema.names).cast(schema), notes, rows)


def added_column(column: Column, catalog: GalaxyTable) -> Column:
    """Return a column that a search adds; it replaces the column of an earlier search, but no other."""
    taken = {name.casefold(): known for name, known in catalog.columns.items()}
    known = taken.get(column.name)
    if known is None or (known.name, known.ucd) == (column.name, column.ucd):
        return column
    numbered = (f"{column.name}_{number}" for number in itertools.count(2))
    return replace(column, name=next(name for name in numbered if name not in taken))


def selected(catalog: GalaxyTable, where: str | None = None, cone: Cone | None = None) -> NDArray[np.bool_]:
    """Return a mask of the rows that meet a condition, shape (n,)."""
    if where is None and cone is None:
        return np.ones(len(catalog), dtype=bool)
    condition, values = _condition(catalog, where, cone)
    sql = f"SELECT coalesce({condition}, false) AS met FROM catalog"  # noqa: S608 - made of checked parts, with values as parameters
    return np.asarray(run_sql(catalog, sql, values, where)["met"].to_numpy(zero_copy_only=False), dtype=bool)


def find_rows(
    catalog: GalaxyTable,
    where: str | None = None,
    *,
    cone: Cone | None = None,
    by: str | None = None,
    seconds: float = MOST_SECONDS,
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """Find the galaxies that meet a condition and return only their rows, fast and with little memory.

    Parameters
    ----------
    catalog : GalaxyTable
    where, cone, by
        As in `query`; of equals, the earlier row comes first.
    seconds : float
        Time limit of the search.

    Returns
    -------
    rows : ndarray of int, shape (k,)
        Rows in order.
    distances : ndarray, shape (k,), or None
        From the centre of the cone, in degrees; None without a cone.

    Raises
    ------
    UsageError, UnknownNameError
        As in `query`.
    """
    order = _order(catalog, by)
    name = (by or "").removeprefix("-")
    condition, values = _condition(catalog, where, cone)
    columns = [f"coalesce({condition}, false) AS met"]
    if cone is not None:
        expression, numbers = _distance(catalog, cone)
        columns.append(f"{expression} AS distance")
        values = [*values, *numbers]
    if order:
        columns.append(f"{quoted(sql_names(catalog)[name])} AS ordered")
    sql = f"SELECT {', '.join(columns)} FROM catalog"  # noqa: S608 - made of checked parts, with values as parameters
    table = run_sql(catalog, sql, values, where, seconds)
    rows = np.flatnonzero(table["met"].to_numpy())
    table = table.take(rows) if len(rows) < table.num_rows else table
    if order or cone is not None:
        keys = table["ordered" if order else "distance"].combine_chunks()
        direction = "descending" if order.endswith("DESC") else "ascending"
        # Stable; null and NaN come last in both directions.
        sorting = pa.compute.sort_indices(pa.table({"key": keys}), sort_keys=[("key", direction)]).to_numpy()
        rows, table = rows[sorting], table.take(sorting)
    return rows, None if cone is None else table["distance"].to_numpy()


def _condition(catalog: GalaxyTable, where: str | None, cone: Cone | None) -> tuple[str, list[str | float]]:
    """Return a condition and a cone as SQL, and the values in it."""
    parts: list[str] = []
    values: list[str | float] = []
    if cone is not None:
        dec = catalog.need_sky().dec
        # Parts of the catalogue outside the cone are skipped by their least and greatest declination.
        margin = cone.radius + 1e-6
        expression, numbers = _distance(catalog, cone)
        parts += [f"{quoted(sql_names(catalog)[dec.name])} BETWEEN ? AND ?", f"{expression} <= ?"]
        values += [(cone.dec - margin) / dec.factor, (cone.dec + margin) / dec.factor, *numbers, cone.radius]
    if where is not None:
        types = {name: column.type for name, column in catalog.columns.items()}
        condition = read_where(where, types, sql_names(catalog))
        parts.append(condition.sql)
        values += condition.values
    return " AND ".join(parts) or "true", values


def _distance(catalog: GalaxyTable, cone: Cone) -> tuple[str, list[float]]:
    """Return SQL for the distance from the centre of a cone in degrees, by the haversine formula."""
    sky, names = catalog.need_sky(), sql_names(catalog)
    ra, dec = (
        quoted(names[one.name]) if one.factor == 1 else f"({quoted(names[one.name])} * {one.factor!r})"
        for one in (sky.ra, sky.dec)
    )
    haversine = (
        f"least(1, pow(sin(radians({dec} - ?) / 2), 2)"
        f" + cos(radians({dec})) * cos(radians(?)) * pow(sin(radians({ra} - ?) / 2), 2))"
    )
    return f"degrees(2 * asin(sqrt({haversine})))", [cone.dec, cone.dec, cone.ra]


def _order(catalog: GalaxyTable, by: str | None) -> str:
    if by is None:
        return ""
    name = by.removeprefix("-")
    catalog.check_columns([name])
    if name not in catalog.plain:
        message = f"the column {name} holds lists and cannot be sorted by; name one that has one value a row"
        raise UsageError(message)
    column, direction = quoted(sql_names(catalog)[name]), " ASC" if by.startswith("-") else " DESC"
    if pa.types.is_floating(catalog.columns[name].type):
        # DuckDB sorts NaN as the largest number; here it comes last, like any unknown value.
        return f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END{direction}"
    return column + direction


def similar(
    catalog: Kind,
    ids: Sequence[str] = (),
    *,
    embeddings: NDArray[np.floating] | None = None,
    where: str | None = None,
    cone: Cone | None = None,
    top: int = 50,
    approximate: bool = False,
) -> Kind:
    """Find the galaxies that look most like some examples; see `peculiar.catalogs.catalog.Catalog.similar`.

    Parameters
    ----------
    catalog : GalaxyTable
        With embeddings.
    embeddings : ndarray, shape (k, d), optional
        Embeddings of other pictures by the model of the catalogue; see `embed`.
    ids, where, cone, top, approximate
        As there, the cone as a `Cone`. The index is that of `peculiar.catalogs.index`.

    Returns
    -------
    GalaxyTable
        Of the same class as `catalog`.

    Raises
    ------
    UnknownNameError
        If a galaxy is not in the catalogue.
    UsageError
        If there are no examples, or the catalogue has no embeddings.
    MissingExtraError
        If `approximate` is set and faiss is not installed.
    """
    root = catalog.root
    rows, known = root.rows_of(ids), root.embeddings()
    unknown = [id_ for id_, row in zip(ids, rows, strict=True) if np.isnan(known.vectors[row, 0])]
    if unknown:
        reason = "because its picture could not be read" if root.external is None else f"in {root.external.path}"
        message = f"{unknown[0]} has no embedding, {reason}; give another example"
        raise UsageError(message)
    examples = [known.vectors[rows]]
    if embeddings is not None:
        examples.append(known.place(embeddings))
    together = np.concatenate(examples)
    if not len(together):
        message = "give at least one example: the id of a galaxy of the catalogue, or a picture"
        raise UsageError(message)
    mean = together.mean(axis=0)
    direction = mean / max(float(np.linalg.norm(mean)), 1e-12)
    notes = {"similar to": ", ".join([*ids, *(["pictures"] if embeddings is not None else [])]), **root.whose}
    allowed = among(catalog, where, cone)
    if approximate:
        scores, recall = near(root, direction, top + len(rows), allowed)
        notes["recall"] = f"{recall:.3f}"
    else:
        scores = known.cosines(direction)
        if allowed is not None:
            scores[~allowed] = np.nan
    scores[rows] = np.nan
    return best(catalog, own(catalog, scores), top, "cosine of the angle to the examples", notes)


def among(catalog: GalaxyTable, where: str | None = None, cone: Cone | None = None) -> NDArray[np.bool_] | None:
    """Return a mask of the rows of the root that are in a catalogue and meet the conditions; None for all rows."""
    chosen = None if where is None and cone is None else selected(catalog, where, cone)
    if catalog.root is catalog:
        return chosen
    allowed = np.zeros(len(catalog.root), dtype=bool)
    allowed[catalog.rows if chosen is None else catalog.rows[chosen]] = True
    return allowed


def own(catalog: GalaxyTable, values: NDArray[Value]) -> NDArray[Value]:
    """Return the values of the rows of a catalogue, from the values of all rows of its root."""
    return values if catalog.root is catalog else values[catalog.rows]


def embed(catalog: GalaxyTable, model: Model, pictures: Sequence[Any]) -> NDArray[np.float32]:
    """Embed other pictures with the model and the settings of a catalogue.

    Parameters
    ----------
    catalog : GalaxyTable
    model : Model
    pictures : sequence of path-like, array or PIL.Image.Image

    Returns
    -------
    ndarray of float32, shape (len(pictures), d)

    Raises
    ------
    UsageError
        If another model made the catalogue, or the embeddings are from a table.
    PictureError
        If a picture cannot be read.
    """
    if catalog.external is not None:
        message = (
            f"another picture has no embedding by the network of {catalog.external.path}, which is not at hand; name a "
            "galaxy of the catalogue (--id), or leave out --embeddings"
        )
        raise UsageError(message)
    catalog.check_model(model.card.digest, "give the model that made the catalogue (--model)")
    crop = catalog.notes.get("crop")
    framing = model.framing if crop is None else replace(model.framing, crop=parse_crop(crop))
    views = catalog.notes.get("views", "")
    shown = np.stack([_read(picture, framing) for picture in pictures])
    return model.classify(shown, views=int(views) if views.isdigit() else None, framed=True).embedding


def _read(picture: Any, framing: Framing) -> NDArray[np.uint8]:
    if not isinstance(picture, str | os.PathLike):
        return frame_pixels(pixels_of(picture), framing)
    path = place(picture)
    if not path.is_file():
        raise NotFoundError(f"there is no picture at {path}")
    try:
        return read_picture(path, framing)
    except PictureError as error:
        message = f"{path} cannot be read: {error.reason}"
        raise PictureError(message) from error


def odd(
    catalog: Kind,
    by: str = "class",
    *,
    where: str | None = None,
    cone: Cone | None = None,
    top: int = 50,
) -> Kind:
    """Find the galaxies that the model calls odd, or is unsure of; see `peculiar.catalogs.catalog.Catalog.odd`.

    Parameters
    ----------
    catalog : GalaxyTable
    by, where, cone, top
        As there, the cone as a `Cone`.

    Raises
    ------
    UnknownNameError
        If `by` is unknown, or the catalogue lacks the column.
    """
    if by not in ODD_BY:
        raise UnknownNameError("way to be odd", by, ODD_BY)
    return query(catalog, where, cone=cone, by=odd_column(catalog, by), top=top)


def odd_column(catalog: GalaxyTable, by: str) -> str:
    """Return the column that `odd` sorts by, in the form that `query` takes."""
    if by == "uncertainty":
        return "entropy"
    # With the question before the answer, if the model was taught the same answer again.
    known = ("p_odd", "p_odd_odd", "p_normal", "p_four_class_normal")
    found = next((name for name in known if name in catalog.columns), known[0])
    return f"-{found}" if found.endswith("normal") else found


def best(
    catalog: Kind, scores: NDArray[np.floating], top: int, meaning: str, notes: Mapping[str, str] | None = None
) -> Kind:
    """Return the galaxies with the highest scores, with the score and all columns except embeddings.

    Parameters
    ----------
    catalog : GalaxyTable
    scores : ndarray, shape (n,)
        One score per row; NaN for rows that are left out.
    top : int
    meaning : str
        Description of the score.
    notes : mapping of str to str, optional
        Notes that describe the search.

    Raises
    ------
    UsageError
        If `top` is below 1.
    """
    if top < 1:
        message = f"top has to be at least 1; received {top}"
        raise UsageError(message)
    left = np.flatnonzero(~np.isnan(scores))
    if len(left) > top:
        left = left[np.argpartition(-scores[left], top - 1)[:top]]
    rows = left[np.lexsort((left, -scores[left]))]
    score = replace(added_column(SCORE, catalog), description=meaning)
    names = [name for name in catalog.plain if name != score.name]
    table = catalog.take(rows, names).append_column(score.name, pa.array(scores[rows], score.type))
    columns = (*(catalog.columns[name] for name in names), score)
    return catalog.found(columns, table, notes or {}, rows)
