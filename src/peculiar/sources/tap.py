"""Ask services for known objects near positions, by TAP: in batches, at a limited rate, with a cache of the answers."""

import hashlib
import io
import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import requests
from numpy.typing import NDArray
from pyvo.dal import DALFormatError, DALQueryError, DALServiceError, TAPService
from urllib3.exceptions import HTTPError, ReadTimeoutError

from peculiar.errors import DataError, DownloadError
from peculiar.files.cache import cache_folder
from peculiar.files.writing import replacing
from peculiar.sources.http import Answer, Client, Problem, refused, retry_after, user_agent
from peculiar.sources.tap_services import ROLES, UCDS, TapService
from peculiar.text import reason

OBJECTS = pa.schema(
    [
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        ("id", pa.string()),
        ("type", pa.string()),
        ("redshift", pa.float64()),
        ("references", pa.string()),
    ]
)
"""Columns of objects, one for each of `ROLES`; null where a service does not say."""

_DAYS = 30
"""Days for which an answer is kept, because services learn of new objects."""

_CHUNK = 1 << 16
_MOST_BYTES = 1 << 26


class Tap:
    """A table of a service that is asked for objects near positions.

    Parameters
    ----------
    service : TapService
    client : Client
        Rate and retries.
    radius : float
        In degrees.
    address : str, optional
        Address of another service with the same tables, such as a mirror.

    Raises
    ------
    DownloadError
        If the cache cannot be written to.
    """

    def __init__(self, service: TapService, client: Client, radius: float, address: str | None = None) -> None:
        self.service = replace(service, address=address) if address else service
        self.client, self.radius = client, radius
        self._session = _Session(client.manners.timeout)
        self._tap = TAPService(self.service.address, session=self._session)
        self._cache = cache_folder() / "known" / service.name
        self._columns: Mapping[str, str] = service.columns
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"{self._cache}: cannot be written to ({error.strerror}); set PECULIAR_CACHE to another folder"
            raise DownloadError(message) from error

    def find_columns(self) -> Answer[Mapping[str, str]]:
        """Ask a service for the columns of its table, unless they are known."""
        if self._columns:
            return Answer(found=self._columns)
        table = self.service.table.replace("'", "''")
        query = f"SELECT column_name, ucd FROM TAP_SCHEMA.columns WHERE table_name = '{table}'"  # noqa: S608 - quoted
        kept = self._place(query, np.empty((0, 2)))
        columns = _read(kept)
        if columns is None:
            answer = self._ask(query, _schema_columns)
            if answer.found is None:
                return answer
            columns = answer.found
            _keep(kept, columns)
        found = _by_meaning(columns)
        if not {"ra", "dec", "id"} <= set(found):
            there = columns["column_name"].to_pylist()
            told = f"it has the columns {', '.join(there[:20])}" if there else "the service does not know it"
            reason = f"the table {self.service.table} has no positions or ids: {told}"
            return Answer(problem=Problem.REFUSED, reason=reason)
        self._columns = found
        return Answer(found=found)

    def objects(self, positions: NDArray[np.float64]) -> Answer[pa.Table]:
        """Return the objects near positions, of the cache or of the service.

        Parameters
        ----------
        positions : ndarray, shape (n, 2)
            Right ascension and declination, in degrees.

        Returns
        -------
        Answer of pyarrow.Table
            With the columns `OBJECTS`.
        """
        query, upload = self._query(positions)
        kept = self._place(query, positions)
        known = _read(kept)
        if known is not None:
            return Answer(found=known)
        answer = self._ask(query, self._objects_of, upload)
        if answer.found is None and answer.problem is Problem.TOO_MANY and len(positions) > 1:
            half = len(positions) // 2
            parts = [self.objects(one) for one in (positions[:half], positions[half:])]
            failed = next((one for one in parts if one.found is None), None)
            answer = failed or Answer(found=pa.concat_tables([one.found for one in parts]))
        if answer.found is not None:
            _keep(kept, answer.found)
        return answer

    def _query(self, positions: NDArray[np.float64]) -> tuple[str, dict[str, Any] | None]:
        """Return a query in ADQL, and the tables to upload."""
        frame, columns = self.service.frame, self._columns
        table = self.service.table if self.service.columns else f'"{self.service.table}"'
        if not self.service.uploads:
            point = f"POINT('{frame}', {columns['ra']}, {columns['dec']})"
            cones = (
                f"1=CONTAINS({point}, CIRCLE('{frame}', {ra:.7f}, {dec:.7f}, {self.radius:.7f}))"
                for ra, dec in positions.tolist()
            )
            listed = ", ".join(columns.values())
            return f"SELECT {listed} FROM {table} WHERE {' OR '.join(cones)}", None  # noqa: S608 - numbers and our names
        from astropy.table import Table

        listed = ", ".join(f"o.{name}" for name in columns.values())
        query = (
            f"SELECT {listed} FROM {table} AS o JOIN TAP_UPLOAD.wanted AS w ON 1=CONTAINS("  # noqa: S608 - our names
            f"POINT('{frame}', o.{columns['ra']}, o.{columns['dec']}), "
            f"CIRCLE('{frame}', w.ra, w.dec, {self.radius:.7f}))"
        )
        return query, {"wanted": Table(positions, names=("ra", "dec"))}

    def _place(self, query: str, positions: NDArray[np.float64]) -> Path:
        """Return the file of the cache for an answer."""
        asked = json.dumps([self.service.address, query, np.round(positions, 7).tolist()])
        key = hashlib.sha256(asked.encode()).hexdigest()
        return self._cache / key[:2] / f"{key[2:]}.parquet"

    def _ask(self, query: str, convert: Any, upload: dict[str, Any] | None = None) -> Answer[Any]:
        """Send a query, with retries."""
        return self.client.run(lambda: self._attempt(query, convert, upload))

    def _attempt(self, query: str, convert: Any, upload: dict[str, Any] | None) -> tuple[Answer[Any], float | None]:
        """Send a query once; return the answer, and the pause in seconds that the server asks for."""
        self._session.trouble = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of astropy, of VOTables that deviate from the standard
                result = self._tap.run_sync(query, uploads=upload)
                if result.query_status == "OVERFLOW":
                    return Answer(problem=Problem.TOO_MANY, reason="the service has more objects than it sends"), None
                return Answer(found=convert(result.to_table())), None
        except DALQueryError as error:
            # The text of the service says what it does not accept.
            answer: Answer[Any] = Answer(problem=Problem.REFUSED, reason=f"the query was refused: {reason(error)}")
        except (
            requests.RequestException,
            DALServiceError,
            DALFormatError,
            DataError,
            ValueError,
            KeyError,
            IndexError,
            TypeError,
        ) as error:
            answer = Answer(problem=Problem.DAMAGED, reason=reason(error))
        # pyvo reports most troubles of the connection as its own.
        return self._session.trouble or (answer, None)

    def _objects_of(self, table: Any) -> pa.Table:
        """Return the objects of an answer; raises `DataError` if a column is missing or of another kind."""
        names = {name.lower(): name for name in table.colnames}
        arrays = []
        for role, type_ in zip(ROLES, OBJECTS.types, strict=True):
            asked = self._columns.get(role)
            if asked is None:
                arrays.append(pa.nulls(len(table), type_))
                continue
            name = names.get(asked.strip('"').lower())
            if name is None:
                message = f"the table lacks the column {asked} (it has {', '.join(table.colnames[:10]) or 'none'})"
                raise DataError(message)
            arrays.append(_array(table[name], type_, asked))
        found = pa.Table.from_arrays(arrays, schema=OBJECTS)
        ra, dec = (np.asarray(found[name].to_numpy(zero_copy_only=False), dtype=float) for name in ("ra", "dec"))
        if not ((ra >= 0) & (ra <= 360) & (np.abs(dec) <= 90)).all():
            message = "the table has objects without a position on the sky"
            raise DataError(message)
        return found


class _Session(requests.Session):
    """A session that reads answers whole, within limits of time and size, and remembers the trouble with the last."""

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self.headers["User-Agent"] = user_agent("known objects")
        self.max_redirects = 4
        self.trouble: tuple[Answer[Any], float | None] | None = None
        self._timeout = timeout

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request, and read its answer."""
        try:
            response = super().send(request, **{**options, "timeout": self._timeout, "stream": True})
            content = _whole(response, time.monotonic() + self._timeout)
        except (requests.Timeout, ReadTimeoutError) as error:
            self._note(Problem.SLOW, f"no answer within {self._timeout:g} s")
            raise requests.Timeout from error
        except requests.TooManyRedirects:
            self._note(Problem.REDIRECTS, "the address leads in a circle")
            raise
        except HTTPError as error:
            self._note(Problem.CUT, f"the connection broke off ({reason(error)})")
            raise requests.ConnectionError from error
        except requests.RequestException as error:
            self._note(Problem.CONNECTION, reason(error))
            raise
        response._content = content  # what follows a redirection reads it again
        response.raw = _Body(content)
        # With 400 a service sends a table that says what is wrong with the query.
        if response.status_code >= 300 and response.status_code != 400:
            problem, said = refused(response.status_code, str(response.reason))
            self._note(problem, said, retry_after(response.headers.get("Retry-After")))
        else:
            self.trouble = None
        return response

    def _note(self, problem: Problem, said: str, pause: float | None = None) -> None:
        self.trouble = self.trouble or (Answer(problem=problem, reason=said), pause)


class _Body(io.BytesIO):
    """The content of an answer, read as urllib3 has it read."""

    def read(self, size: int | None = -1, decode_content: bool | None = None) -> bytes:
        """Return the next bytes, which are decoded already."""
        return super().read(size)


def _whole(response: requests.Response, until: float) -> bytes:
    """Read an answer to its end, within limits of size and time."""
    content = bytearray()
    try:
        # What has arrived, because a full chunk of a slow answer may take for ever.
        while part := response.raw.read1(_CHUNK, decode_content=True):
            content += part
            if len(content) > _MOST_BYTES:
                message = f"the answer has more than {_MOST_BYTES} bytes"
                raise DataError(message)
            if time.monotonic() > until:
                raise requests.Timeout
    finally:
        response.close()
    return bytes(content)


def _schema_columns(table: Any) -> pa.Table:
    names = {name.lower(): name for name in table.colnames}
    if not {"column_name", "ucd"} <= set(names):
        message = "the list of columns lacks column_name or ucd"
        raise DataError(message)
    return pa.table({name: _array(table[names[name]], pa.string(), name) for name in ("column_name", "ucd")})


def _by_meaning(columns: pa.Table) -> dict[str, str]:
    """Return the columns of a table by role, in ADQL."""
    named = list(zip(columns["column_name"].to_pylist(), columns["ucd"].to_pylist(), strict=True))
    meanings: dict[str, str] = {}
    for name, ucd in named:
        meanings.setdefault((ucd or "").lower().replace(" ", ""), str(name).strip('"'))
    found = {}
    for role, words in UCDS.items():
        name = next((meanings[word.lower()] for word in words if word.lower() in meanings), None)
        if name is not None:
            found[role] = f'"{name}"'
    return found


def _array(column: Any, type_: pa.DataType, name: str) -> pa.Array:
    """Return a column of astropy in a type; what is masked or not a number becomes null."""
    missing = np.asarray(getattr(column, "mask", np.zeros(len(column), dtype=bool)), dtype=bool)
    values = np.asarray(column)
    if pa.types.is_string(type_):
        texts = [None if gone else str(value).strip() or None for value, gone in zip(values, missing, strict=True)]
        return pa.array([None if text in ("nan", "--") else text for text in texts], pa.string())
    if values.dtype.kind not in "fiu":
        message = f"the column {name} holds no numbers"
        raise DataError(message)
    numbers = values.astype(float)
    return pa.array(numbers, pa.float64(), mask=missing | ~np.isfinite(numbers))


def _read(place: Path) -> pa.Table | None:
    """Return a kept answer; None if there is none, or it is old or damaged."""
    try:
        if time.time() - place.stat().st_mtime > _DAYS * 86_400:
            return None
        return pa.parquet.read_table(place)
    except (OSError, ValueError):
        return None


def _keep(place: Path, found: pa.Table) -> None:
    with replacing(place) as temporary:
        pa.parquet.write_table(found, temporary)
