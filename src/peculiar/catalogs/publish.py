"""A catalogue as a folder of static pages: a wall of pictures with filters and a map, tables, and what to cite."""

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined

from peculiar.catalogs.catalog import Catalog, Where
from peculiar.catalogs.sheet import find_rows
from peculiar.errors import DataError, UsageError
from peculiar.files.places import place
from peculiar.files.writing import writing_folder
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.models.provenance import NAME_NOTE
from peculiar.sources import Paths, as_source
from peculiar.sources.stream import Row, Source, decode_row, in_order
from peculiar.tables.column import Column
from peculiar.tables.formats import MODEL_NOTE
from peculiar.tables.writers import write_table
from peculiar.text import counted, in_template, shown

MOST = 100_000
"""Maximum number of galaxies of a published page."""

PAGE = "index.html"

# JavaScript's numbers skip integers beyond, such as identifiers of other surveys.
_MOST_INTEGER = 2**53 - 1

# A column of text with more values has no boxes to tick.
_MOST_CATEGORIES = 60

_A_FOLDER = 1000

_FACTS = {"creator": "made by", NAME_NOTE: "model", MODEL_NOTE: "model digest", "source": "pictures", "crop": "crop"}
"""Notes of a catalogue that the page tells."""


@dataclass(frozen=True, slots=True)
class Published:
    """A published catalogue.

    Parameters
    ----------
    folder : path
    count : int
        Number of galaxies.
    missing : tuple of str
        Ids of the galaxies without a readable picture.
    """

    folder: Path
    count: int
    missing: tuple[str, ...] = ()

    @property
    def page(self) -> Path:
        """The page to open."""
        return self.folder / PAGE


def publish(
    catalog: Catalog | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    pictures: Paths | Source | None = None,
    where: str | None = None,
    cone: Where | None = None,
    by: str | None = None,
    top: int | None = None,
    title: str | None = None,
    framing: Framing | None = None,
    id: str | None = None,
    command: str = "",
    progress: Callable[[int], object] = lambda done: None,
) -> Published:
    """Write galaxies of a catalogue as static pages, which open from a disk and from any web server.

    The folder holds ``index.html`` with filters, a map and a wall of pictures; ``pictures``; the galaxies as
    ``catalog.parquet`` and ``catalog.csv``; and ``citation.bib``. The page requests nothing from elsewhere. It is
    written whole or not at all.

    Parameters
    ----------
    catalog : Catalog or path-like
    out : path-like
        A folder that is new or empty.
    pictures : path-like, sequence of path-like, or Source, optional
        The pictures, with the same ids; default: those that the catalogue was made from or opened with.
    where, cone, by, top : optional
        Which galaxies, and their order; see `Catalog.query`.
    title : str, optional
        Title of the page; default: the name of the catalogue.
    framing : Framing, optional
        Part and size of the pictures; default: the galaxy in the middle, 192 pixels.
    id : str, optional
        The column of ids, if the pictures are in a table; default: the first of the usual names.
    command : str
        Command that repeats it, for the page.
    progress : callable
        Called with the number of pictures written since the last call.

    Returns
    -------
    Published

    Raises
    ------
    UsageError
        If no galaxy meets the conditions, there are more than `MOST`, the pictures are not known, or the folder is not
        empty.
    DataError
        If no picture is found.

    Examples
    --------
    >>> import peculiar
    >>> published = peculiar.publish("galaxies.parquet", "wall", pictures="survey.parquet", by="p_odd", top=20)
    >>> published.count, published.page.name
    (20, 'index.html')
    """
    whole = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
    chosen = whole.query(where, cone=cone, by=by, top=min(top or MOST + 1, MOST + 1))
    source = whole.pictures if pictures is None else as_source(pictures, id=id)
    if not len(chosen):
        message = f"no galaxy of {whole.place} meets the conditions"
        raise UsageError(message)
    if len(chosen) > MOST:
        message = f"a page holds up to {MOST:,} galaxies; choose some (--where, --top)"
        raise UsageError(message)
    if source is None:
        message = f"the pictures of {whole.place} are not known; give them (--pictures)"
        raise UsageError(message)
    out = place(out)
    columns = [chosen.columns[name] for name in chosen.plain]
    table, ids, axes = chosen.to_arrow().select(chosen.plain), chosen.ids, _axes(chosen)
    with writing_folder(out) as folder:
        missing = _write_pictures(folder, source, ids, framing or Framing(192, crop="galaxy"), progress)
        if len(missing) == len(ids):
            message = f"none of the {counted(len(ids), 'galaxy')} has a readable picture in {source.path}"
            raise DataError(message)
        _write_columns(folder / "columns.js", table, columns, missing, axes)
        for format in ("parquet", "csv"):
            write_table(folder / f"catalog.{format}", format, columns, table.to_batches(), chosen.notes)
        _write_page(folder, title or Path(whole.name).stem, chosen, command, axes)
        (folder / "citation.bib").write_text(_citation(chosen.notes), encoding="utf-8")
    return Published(out, len(ids), tuple(ids[row] for row in missing))


def _write_pictures(
    folder: Path, source: Source, ids: list[str], framing: Framing, progress: Callable[[int], object]
) -> list[int]:
    """Write a JPEG for each galaxy whose picture is found, and return the rows of the others."""
    rows: dict[str, list[int]] = {}
    for row, id_ in enumerate(ids):
        rows.setdefault(id_, []).append(row)
    for number in range(0, len(ids), _A_FOLDER):
        (folder / "pictures" / f"{number // _A_FOLDER:03}").mkdir(parents=True)
    missing = set(range(len(ids)))
    asked: dict[str, str] = {}

    def found() -> Iterator[Row]:
        for id_, row in find_rows(source, rows):
            asked[row.id] = id_
            yield row

    def encoded(row: Row) -> tuple[str, bytes]:
        picture = decode_row(row, framing).picture
        return asked[row.id], b"" if picture is None else encode_picture(picture, "JPEG")

    for id_, content in in_order(encoded, found(), 2):
        for row in rows[id_] if content else ():
            (folder / "pictures" / f"{row // _A_FOLDER:03}" / f"{row}.jpg").write_bytes(content)
            missing.discard(row)
        progress(len(rows[id_]))
    return sorted(missing)


def _axes(catalog: Catalog) -> list[str]:
    """Return the two columns that the map shows: of the similarity map, or of positions; empty if there are none."""
    if catalog.numeric("x") and catalog.numeric("y"):
        return ["x", "y"]
    return list(catalog.sky.names) if catalog.sky is not None else []


def _write_columns(
    file: Path, table: pa.Table, columns: Iterable[Column], missing: list[int], axes: Sequence[str]
) -> None:
    """Write the columns as a script, since a page on a disk may load scripts but no data."""
    told = [_column(column, table[column.name]) for column in columns]
    numbers = {column["name"] for column in told if column["kind"] == "number"}
    content = {
        "rows": len(table),
        "missing": missing,
        "axes": axes if numbers.issuperset(axes) else [],
        "columns": told,
    }
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    file.write_text(f"window.published = {text};\n", encoding="ascii")


def _column(column: Column, values: pa.ChunkedArray) -> dict[str, Any]:
    """Return a column for the page: numbers, categories, or other text."""
    about = {"name": column.name, "unit": column.unit, "description": column.description}
    kind = values.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        digits = 9 if kind == pa.float64() or pa.types.is_integer(kind) else 5
        numbers = [_number(one, digits) for one in values.to_pylist()]
        known = [one for one in numbers if one is not None]
        exact = not pa.types.is_integer(kind) or max(map(abs, known), default=0) <= _MOST_INTEGER
        if column.name != "id" and known and exact:
            return {**about, "kind": "number", "values": numbers, "low": min(known), "high": max(known)}
    texts = ["" if one is None else shown(str(one)) for one in values.to_pylist()]
    categories = sorted(set(texts))
    if column.name != "id" and len(categories) <= min(_MOST_CATEGORIES, max(2, len(texts) - 1)):
        codes = {name: number for number, name in enumerate(categories)}
        return {**about, "kind": "category", "categories": categories, "values": [codes[one] for one in texts]}
    return {**about, "kind": "text", "values": texts}


def _number(value: float | None, digits: int) -> float | None:
    if value is None or isinstance(value, int):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def _write_page(folder: Path, title: str, chosen: Catalog, command: str, axes: Sequence[str]) -> None:
    environment = Environment(
        loader=PackageLoader("peculiar.catalogs", "published"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=in_template,
    )
    notes = chosen.notes
    facts = {told: notes[name] for name, told in _FACTS.items() if notes.get(name)}
    searched = {name: notes[name] for name in ("where", "cone", "similar to", "anomalies by") if notes.get(name)}
    page = environment.get_template("page.html").render(
        title=title,
        lead=counted(len(chosen), "galaxy") + (f" of {len(chosen.root):,}" if len(chosen) < len(chosen.root) else ""),
        count=counted(len(chosen), "galaxy"),
        map_title="The similarity map" if axes == ["x", "y"] else "The sky",
        axes=" and ".join(axes),
        credits=_credits(notes),
        facts={**facts, **searched, **({"command": command} if command else {})},
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    for file in ("page.css", "page.js"):
        (folder / file).write_bytes(resources.files("peculiar.catalogs").joinpath("published", file).read_bytes())


def _credits(notes: Mapping[str, str]) -> list[str]:
    return [one for one in notes.get("credits", "").split("; ") if one]


def _citation(notes: Mapping[str, str]) -> str:
    """Return BibTeX of the software and the model; data that have no entry of their own are notes."""
    version = metadata.version("peculiar")
    lines = [
        "@software{peculiar,",
        "  title = {peculiar},",
        "  author = {{The peculiar developers}},",
        f"  version = {{{version}}},",
    ]
    if digest := notes.get(MODEL_NOTE):
        lines.append(f"  note = {{Model {_plain(notes.get(NAME_NOTE, ''))} {digest}}},")
    lines += ["}", ""]
    for number, credit in enumerate(_credits(notes), 1):
        lines += [f"@misc{{source{number},", f"  note = {{{_plain(credit)}}},", "}", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return text without the signs that BibTeX reads as its own."""
    return re.sub(r"[{}\\]", "", text)
