"""Rows of a table of measures: the work of `measure` on each galaxy of a source."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from peculiar.catalogs.carried import side_by_side
from peculiar.catalogs.tally import Tally
from peculiar.errors import PictureError
from peculiar.images.decode import decode_remarked
from peculiar.images.fits_file import looks_like_fits
from peculiar.images.linear import Linear, read_linear
from peculiar.measurement.columns import Flag, measure_columns
from peculiar.measurement.galaxy import Settings, Unmeasured, measure_image
from peculiar.sources.paths import as_text
from peculiar.sources.stream import GUESSED, Flagged, Row, Source
from peculiar.tables.column import Column
from peculiar.tables.healpix import HEALPIX, healpix_29
from peculiar.tables.identifiers import typed_ids

# Rows that are written at a time.
_BATCH = 16

# Brightness of red, green and blue (ITU-R BT.601), as in Pillow.
_LUMINANCE = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True, slots=True)
class Measurement:
    """The work of `measure`; see `peculiar.catalogs.task.Task`.

    Parameters
    ----------
    how : Settings
    """

    how: Settings

    shard_rows: ClassVar[tuple[int, int]] = (8, 256)
    command: ClassVar[str] = "measure"
    digest: ClassVar[str] = ""

    def settings(self) -> dict[str, Any]:
        """Return the settings that decide the result, with the versions of the packages that measure."""
        return {**asdict(self.how), **_versions()}

    def columns(self, source: Source) -> list[Column]:
        """Return the columns of the result, without those copied from the source."""
        return measure_columns(source)

    def notes(self, source: Source) -> dict[str, str]:
        """Return notes on how the result was made."""
        return {
            "creator": f"peculiar {metadata.version('peculiar')}",
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "source": source.name,
            "measured by": ", ".join(f"{name} {version}" for name, version in _versions().items()),
            "credits": "statmorph: Rodriguez-Gomez et al. 2019, MNRAS 483, 4140; photutils: Bradley et al., Zenodo, "
            "10.5281/zenodo.596036",
            **{name: str(value) for name, value in asdict(self.how).items() if value is not None},
            **source.notes,
        }

    def rows(
        self,
        source: Source,
        tally: Tally,
        *,
        carried: Sequence[Column] = (),
        start: int = 0,
        stop: int | None = None,
        decoders: int | None = None,
        name: str = "",
    ) -> Iterator[pa.RecordBatch]:
        """Measure some galaxies, one after the other."""
        batches = self._batches(source, tally, start, stop)
        return side_by_side(batches, source.carried(carried, start, stop), name) if carried else batches

    def with_threads(self, threads: int) -> "Measurement":
        """Return itself."""
        return self

    def _batches(self, source: Source, tally: Tally, start: int, stop: int | None) -> Iterator[pa.RecordBatch]:
        columns = self.columns(source)
        some: list[tuple[Row, dict[str, Any], str | None]] = []
        for row in source.rows(start, stop):
            some.append((row, *self._measured(row)))
            if len(some) == _BATCH:
                yield _batch(some, columns, tally)
                some = []
        if some:
            yield _batch(some, columns, tally)

    def _measured(self, row: Row) -> tuple[dict[str, Any], str | None]:
        """Return the values of a row, and why it could not be measured."""
        flags = row.flags
        try:
            image, found, upright = linear_of(row)
            flags |= found
            values = measure_image(image, self.how)
        except PictureError as error:
            return {"measure_flags": int(Flag.UNREADABLE | flags)}, as_text(error.reason)
        except Unmeasured as error:
            return {"measure_flags": int(error.flag | flags)}, str(error)
        if not upright:
            top = image.pixels.shape[0] - 1
            values |= {name: top - values[name] for name in ("y", "sersic_y") if values.get(name) is not None}
        failed = values["measure_flags"] & Flag.FAILED
        reason = "statmorph measured nothing: the flux of the galaxy is not positive" if failed else None
        return values | {"measure_flags": values["measure_flags"] | flags}, reason


def linear_of(row: Row) -> tuple[Linear, int, bool]:
    """Return the image of a row: a band of FITS, or the brightness of a picture; its rows run from the bottom up.

    Returns
    -------
    Linear
    int
        Flags found by reading it.
    bool
        Whether rows are counted from the bottom, as in FITS.

    Raises
    ------
    PictureError
        If it cannot be read.
    """
    if row.linear is not None:
        return row.linear(), 0, True
    content, flags = row.read_flagged(), 0
    if isinstance(content, bytes) and looks_like_fits(content):
        return read_linear([content]), 0, True
    if isinstance(content, Flagged):
        content, flags = content
    if isinstance(content, bytes):
        content, guess = decode_remarked(content)
        flags |= GUESSED if guess else 0
    light = (content @ _LUMINANCE).astype(np.float32)
    return Linear(np.ascontiguousarray(light[::-1]), "brightness", finished=True), flags, False


def _batch(
    some: list[tuple[Row, dict[str, Any], str | None]], columns: Sequence[Column], tally: Tally
) -> pa.RecordBatch:
    positions = np.array([row.position or (np.nan, np.nan) for row, _, _ in some])
    own: dict[str, Any] = {
        "ra": pa.array(positions[:, 0], from_pandas=True),
        "dec": pa.array(positions[:, 1], from_pandas=True),
        HEALPIX.name: pa.array(np.ma.masked_less(healpix_29(*positions.T), 0)),
    }
    arrays = [typed_ids([row.id for row, _, _ in some], columns[0].type)]
    for column in columns[1:]:
        given = own.get(column.name)
        arrays.append(
            pa.array([values.get(column.name) for _, values, _ in some], column.type) if given is None else given
        )
    flags = np.array([values["measure_flags"] for _, values, _ in some])
    counts = {str(flag.name).lower(): int(np.count_nonzero(flags & flag)) for flag in Flag}
    problems = {row.id: reason for row, _, reason in some if reason is not None}
    tally.add(Tally(len(some), {}, {name: count for name, count in counts.items() if count}, problems))
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("statmorph", "photutils")}
