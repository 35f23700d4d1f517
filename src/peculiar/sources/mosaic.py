"""Stamps cut out of mosaics at the positions of a table."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.errors import DataError, PictureError, UsageError
from peculiar.files.places import common_folder
from peculiar.images.compose import compose_picture, lacks_band
from peculiar.images.fits import Bands, wavelength
from peculiar.images.stamps import Field, Layer, Stamp
from peculiar.images.stretch import Stretch, noise_stretch, sdss_stretch
from peculiar.images.unstretched import Unstretched
from peculiar.sources.paths import files_digest
from peculiar.sources.stream import EDGE, MISSING, OFF_MOSAIC, Row, Source
from peculiar.tables.column import Column
from peculiar.tables.identifiers import entry_text, type_of_ids, warn_of_ids, warn_of_no_ids
from peculiar.tables.key_columns import FOUND, Keys, find_id
from peculiar.tables.quantity import quantity_of
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import need_sky, on_sky, position_fault
from peculiar.tables.typed import carried, described
from peculiar.text import nth_row

SMALLEST, LARGEST = 4, 4096
"""Allowed sides of stamps, in pixels."""

# Stamps of this many bytes are held at a time, so that they can be cut in the order of the file.
_HELD = 1 << 25


@dataclass(frozen=True, slots=True)
class StampSize:
    """The side of a stamp.

    Parameters
    ----------
    value : float
        Pixels, arcsec, or multiples of the galaxy's own radius.
    unit : {"px", "arcsec", "x"}
    column : str
        For "x", the column of radii: in arcsec, unless it states another unit of angles, or pixels of the mosaic.
    """

    value: float
    unit: str
    column: str = ""

    def __str__(self) -> str:
        """Return the text form that `parse_stamp_size` reads."""
        return f"{self.value:g}{self.unit}{self.column}"


def parse_stamp_size(text: str) -> StampSize:
    """Parse the size of stamps: "128px", "30arcsec", "4xR50".

    Raises
    ------
    UsageError
        If it is none of these.
    """
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(?:(px|arcsec)?|x\s*(\S.*))", text.strip())
    value = float(match[1]) if match else 0.0
    if match is None or value == 0 or (match[2] in {None, "px"} and not match[3] and value != int(value)):
        message = (
            "a stamp's size is a number of pixels (128px), of arcsec (30arcsec), or of radii that a column holds in "
            f"arcsec (4xR50); received {text!r}"
        )
        raise UsageError(message)
    size = StampSize(value, "x" if match[3] else match[2] or "px", match[3] or "")
    if size.unit == "px":
        _check_side(int(value))
    return size


class MosaicSource(Source):
    """The galaxies at the positions of a table, cut out of one mosaic or several.

    Ids and labels are those of the table. A galaxy on several mosaics is cut out of the one with the most pixels of its
    stamp; if several have all pixels, out of the one whose edge is farthest. A galaxy on no mosaic keeps its row, with
    the flag `OFF_MOSAIC`. A stamp that extends beyond the edge has the flag `EDGE`, one with missing pixels, or without
    data by a weight map or a mask, `MISSING`.

    Parameters
    ----------
    path : path
        Common path of the mosaics.
    fields : sequence of sequence of Layer
        The images of each mosaic; see `peculiar.sources.tiles.find_fields`.
    catalog : path
        A table with the columns ``ra`` and ``dec``, in degrees unless they state another unit.
    size : StampSize
    bands : sequence of str
        Which bands, from the redder to the bluer; by default by the names that the files give them.
    stretch : Stretch, optional
        Default: that of SDSS for a mosaic with a unit of flux, otherwise by the noise of the first mosaic without one.
    label : str, optional
        The table's column that holds the labels.
    keys : Keys
        The table's columns of ids and positions.

    Raises
    ------
    DataError
        If a mosaic cannot be used, the table has no positions, or the unit of positions or radii is not an angle.
    UnknownNameError
        If the table lacks a named column.

    Warns
    -----
    PeculiarWarning
        If no column of ids is recognised in the table.
    """

    kind = "mosaic"
    positioned = True

    def __init__(
        self,
        path: Path,
        fields: Sequence[Sequence[Layer]],
        catalog: Path,
        size: StampSize,
        bands: Sequence[str] = (),
        stretch: Stretch | None = None,
        label: str | None = None,
        keys: Keys = FOUND,
    ) -> None:
        super().__init__(path, label)
        self._layers, self._catalog, self._size, self._bands = fields, catalog, size, tuple(bands)
        self._table = TableReader(catalog)
        for name in filter(None, (label, size.column, keys.id)):
            self._table.check_column(name)
        self.columns = self._table.columns
        self._sky = need_sky(self._table, keys.ra, keys.dec)
        self._radius = None
        if size.column:
            column = Column.of(self._table.schema.field(size.column))
            self._radius = quantity_of(column, "arcsec", where=str(catalog))
        self._id, self._keys = find_id(self._table.schema, keys.id), keys
        if self._id is None:
            warn_of_no_ids(self._table, (label, size.column, *self._sky.names))
        self._given = stretch
        self._stretches = [stretch] * len(self.fields) if stretch else _stretches_of(self.fields)
        self.stretch = self._stretches[0]
        self.notes = {
            "positions": catalog.name,
            "stamp size": str(size),
            "bands": ", ".join(name or "?" for name in self.fields[0].names),
            "pixel": f"{self.fields[0].sky.pixel:.6g} arcsec",
            "stretch": self._told_stretch(),
        }

    def _told_stretch(self) -> str:
        if self.fields[0].finished:
            return "none: 8 bits already"
        different = list(dict.fromkeys(json.dumps(one.as_dict()) for one in self._stretches))
        return different[0] if len(different) == 1 else f"[{', '.join(different)}]"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as paths; the mosaics are mapped again."""
        how = (self._size, self._bands, self._given, self.label, self._keys)
        return (
            MosaicSource,
            (self.path, self._layers, self._catalog, *how),
            {"id_type": self.id_type},
        )  # for CSV this takes reading all ids

    @cached_property
    def id_type(self) -> pa.DataType:
        """Type of the table's column of ids."""
        return type_of_ids(self._table, self._id)

    @cached_property
    def fields(self) -> list[Field]:
        """The mosaics, opened."""
        opened = [Field(layers, self._bands) for layers in self._layers]
        first = opened[0]
        for layers, field in zip(self._layers, opened, strict=True):
            known = all(map(wavelength, (*field.names, *first.names)))
            if len(field.names) != len(first.names) or (known and _bands_of(field) != _bands_of(first)):
                message = (
                    f"{layers[0].path}: this mosaic has the bands {_listed(field)}, and "
                    f"{self._layers[0][0].path.name} has {_listed(first)}; give mosaics with the same bands, or "
                    "name the bands to use (--bands)"
                )
                raise DataError(message)
        return opened

    def __len__(self) -> int:
        """Return the number of positions."""
        return len(self._table)

    def labels(self) -> list[str | None]:
        """Return the label of every row."""
        return self.column(self.label) if self.label else [None] * len(self)

    def column(self, name: str) -> list[str | None]:
        """Return the values of a column as text, None if empty; all None if there is no such column."""
        if name not in self.columns:
            return [None] * len(self)
        return [entry_text(value) for value in self._table.column(name)]

    def files(self) -> Sequence[Path]:
        """Return the mosaics' files, those of their companions, and the table."""
        images = (path for layers in self._layers for layer in layers for path in layer.files)
        return [*dict.fromkeys(images), self._catalog]

    def described(self, names: Sequence[str]) -> list[Column]:
        """Return the descriptions of columns of the table."""
        for name in names:
            self._table.check_column(name)
        return described(self._table, names)

    def carried(self, columns: Sequence[Column], start: int, stop: int | None) -> Iterator[pa.RecordBatch]:
        """Yield some columns of the table's rows from `start` to before `stop`."""
        return carried(self._table, columns, start, stop)

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when mosaics, positions, size, bands or stretch do."""
        files = [file.resolve() for file in self.files()]
        return files_digest(files, common_folder(files), start, stop, str(self._size), self._bands, self.stretch)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield rows in the table's order, with their stamps not yet stretched."""
        number = start
        for batch in self._batches(start, stop):
            places = self._places(batch, number)
            at = 0
            while at < len(places):
                widest = max(place.side for place in places[at : at + 64])
                some = places[at : at + max(1, min(64, _HELD // (12 * widest * widest + 1)))]
                yield from self._cut(some)
                at += len(some)
            number += len(places)

    def check(self) -> None:
        """Check that at least one position lies on a mosaic.

        Raises
        ------
        DataError
            If none does.
        """
        if self._id is not None:
            warn_of_ids(self._catalog, self._batches_of_ids)
            self._table.warn_of_lost_digits(self._id)
        number, first = 0, None
        low, high = np.full(2, np.inf), np.full(2, -np.inf)
        for batch in self._batches(0, None):
            places = self._places(batch, number)
            if any(place.position and place.flags != OFF_MOSAIC for place in places):
                return
            first = first or next((place.problem for place in places if place.position is None), None)
            known = np.array([place.position for place in places if place.position is not None]).reshape(-1, 2)
            if len(known):
                low, high = np.minimum(low, known.min(axis=0)), np.maximum(high, known.max(axis=0))
            number += len(places)
        if number and not np.isfinite(low).all():
            message = f"{self._catalog}: none of {number:,} positions can be used; the first: {first}"
            raise DataError(message)
        if number:
            ra, dec = self.fields[0].sky.positions[4]
            message = (
                f"{self._catalog}: none of {number:,} positions lies on {self.path}, whose middle is at ra {ra:.4f}, "
                f"dec {dec:.4f}; they reach from ra {low[0]:.4f} to {high[0]:.4f} and from dec {low[1]:.4f} to "
                f"{high[1]:.4f} degrees"
            )
            raise DataError(message)

    def _batches_of_ids(self) -> Iterator[list[str]]:
        for batch in self._table.batches([str(self._id)]):
            yield [id_ for value in batch.column(0).to_pylist() if (id_ := entry_text(value))]

    def _batches(self, start: int, stop: int | None) -> Iterator[pa.RecordBatch]:
        wanted = [*self._sky.names, self._id, self.label, self._size.column or None]
        return self._table.batches(list(dict.fromkeys(name for name in wanted if name)), start, stop)

    def _places(self, batch: pa.RecordBatch, number: int) -> "list[_Place]":
        """Find the places of all galaxies of a batch at once."""
        count = batch.num_rows
        unknown = [None] * count
        written = [batch.column(name).to_pylist() for name in self._sky.names]
        ids = batch.column(self._id).to_pylist() if self._id else unknown
        labels = batch.column(self.label).to_pylist() if self.label else unknown
        radii = self._radius.read(batch.column(self._size.column)).tolist() if self._radius else unknown
        sky = self._sky.read(batch)
        valid = on_sky(sky)
        depths, pixels = self._depths(sky[:, valid])
        places = [
            _Place(
                entry_text(ids[row]) or f"{self._catalog.stem}-{number + row}",
                entry_text(labels[row]),
                problem=None
                if valid[row]
                else f"{nth_row(number + row)} of {self._catalog.name}: "
                f"{position_fault(sky[:, row].tolist(), [each[row] for each in written])}",
            )
            for row in range(count)
        ]
        deepest = np.argsort(-depths, axis=0, kind="stable").T.tolist()
        counts = (depths >= 0).sum(axis=0).tolist()
        found = zip(np.flatnonzero(valid).tolist(), sky[:, valid].T.tolist(), deepest, counts, strict=True)
        for number_of_valid, (row, (ra, dec), order, there) in enumerate(found):
            place = places[row]
            place.position = ra, dec
            if not there:
                place.flags = OFF_MOSAIC
                place.problem = f"its position (ra {ra:.6f}, dec {dec:.6f}) lies on no mosaic of {self.path.name}"
                continue
            try:
                place.sites = [self._site(field, pixels[field, number_of_valid], radii[row]) for field in order[:there]]
            except UsageError as error:
                place.problem = str(error)
                continue
            place.order = (order[0], place.sites[0].row)
        return places

    def _depths(self, sky: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how far each position is inside each mosaic (fields, n) in arcsec, -1 outside, and its pixels."""
        depths = np.full((len(self.fields), sky.shape[1]), -1.0)
        pixels = np.full((*depths.shape, 2), np.nan)
        for number, field in enumerate(self.fields if sky.shape[1] else ()):
            pixels[number] = field.sky.place(*sky)
            height, width = field.shape
            with np.errstate(invalid="ignore"):
                depth = np.minimum(pixels[number], np.array([width, height]) - 1 - pixels[number]).min(axis=1)
            inside = field.sky.holds(pixels[number])
            depths[number, inside] = np.maximum((depth[inside] + 0.5) * field.sky.pixel, 0)
        return depths, pixels

    def _site(self, number: int, pixel: NDArray[np.float64], radius: Any) -> "_Site":
        field = self.fields[number]
        column, row = pixel.tolist()
        return _Site(field, column, row, self._side(field, radius), self._stretches[number])

    def _side(self, field: Field, radius: Any) -> int:
        """Return the side of a stamp in pixels."""
        if self._size.unit == "px":
            return int(self._size.value)
        width = self._size.value
        if self._size.unit == "x":
            width *= math.nan if radius is None else radius
            if not (width > 0 and math.isfinite(width)):
                message = f"its radius {self._size.column}={width / self._size.value:g} is not a positive number"
                raise UsageError(message)
            if self._radius is not None and self._radius.pixels:
                width *= field.sky.pixel
        side = round(width / field.sky.pixel)
        _check_side(side)
        return side

    def _cut(self, places: "list[_Place]") -> list[Row]:
        """Cut stamps in the order of the files, and return them in the order of the table."""
        stamps: dict[int, tuple[NDArray[Any], _Site]] = {}
        for number in sorted(range(len(places)), key=lambda number: places[number].order):
            place = places[number]
            if place.sites:
                try:
                    stamp, site = _best_stamp(place.sites)
                except DataError as error:  # a damaged tile
                    place.problem = f"the mosaic cannot be read there: {error}"
                    continue
                stamps[number] = stamp.pixels, site
                gaps = stamp.missing or (not stamp.outside and lacks_band(stamp.pixels))
                place.flags = (EDGE if stamp.outside else 0) | (MISSING if gaps else 0)
        return [self._row(place, stamps.get(number)) for number, place in enumerate(places)]

    def _row(self, place: "_Place", found: "tuple[NDArray[Any], _Site] | None") -> Row:
        if found is None or place.position is None:
            return Row(place.id, partial(_refuse, place.problem or ""), place.label, place.position, place.flags)
        stamp, site = found
        content, linear = (
            partial(_stretched, stamp, site.stretch),
            partial(site.field.linear, *place.position, site.side),
        )
        unstretched = partial(site.unstretched, stamp)
        return Row(place.id, content, place.label, place.position, place.flags, linear, unstretched)


@dataclass(frozen=True, slots=True)
class _Site:
    """The place of a galaxy on a mosaic, the side of its stamp, in pixels, and the stretch of the mosaic."""

    field: Field
    column: float
    row: float
    side: int
    stretch: Stretch

    def unstretched(self, stamp: NDArray[Any]) -> Unstretched:
        """Return the bands of a stamp that was cut here."""
        names = tuple(name or str(number) for number, name in enumerate(self.field.names, start=1))

        def read(numbers: Sequence[int]) -> Bands:
            chosen = stamp[list(numbers)]
            return Bands(chosen, tuple(names[number] for number in numbers), self.field.nanomaggies)

        return Unstretched(names, tuple(range(len(names))), read, self.field.sky, (self.column, self.row))


@dataclass(slots=True)
class _Place:
    """The places of the galaxy of one row, the mosaic with the farthest edge first, or why there are none."""

    id: str
    label: str | None
    position: tuple[float, float] | None = None
    sites: Sequence[_Site] = ()
    order: tuple[int, float] = (-1, 0.0)
    flags: int = 0
    problem: str | None = None

    @property
    def side(self) -> int:
        """Of the largest stamp of the galaxy."""
        return max((site.side for site in self.sites), default=0)


def _best_stamp(sites: Sequence[_Site]) -> tuple[Stamp, _Site]:
    """Cut a stamp out of the mosaic with the most of its pixels, usually the first."""

    def lack(found: tuple[Stamp, _Site]) -> float:
        return (found[0].outside + found[0].missing) / found[0].pixels.size

    stamps = ((site.field.cut(site.column, site.row, site.side), site) for site in sites)
    best = next(stamps)
    while lack(best) and (other := next(stamps, None)) is not None:
        best = min(best, other, key=lack)
    return best


def _bands_of(field: Field) -> list[int | None]:
    return [wavelength(name) for name in field.names]


def _listed(field: Field) -> str:
    return ", ".join(name or "?" for name in field.names)


def _stretches_of(fields: Sequence[Field]) -> list[Stretch]:
    """Return a stretch for each mosaic, so that equal fluxes look alike: each may have a unit of its own."""
    unknown = next((field for field in fields if field.nanomaggies is None), None)
    common = None if unknown is None else noise_stretch(unknown.sample())
    return [
        common
        if field.nanomaggies is None and common is not None
        else sdss_stretch(len(field.names), field.nanomaggies or 1.0)
        for field in fields
    ]


def _stretched(stamp: NDArray[Any], stretch: Stretch) -> NDArray[np.uint8]:
    return compose_picture(Bands(stamp, (), None), stretch)


def _refuse(reason: str) -> NDArray[np.uint8]:
    raise PictureError(reason)


def _check_side(side: int) -> None:
    if not SMALLEST <= side <= LARGEST:
        message = f"a stamp of {side} pixels per side was requested; from {SMALLEST} to {LARGEST} can be cut"
        raise UsageError(message)
