"""SQL on a catalogue, with limits of time and memory; Ctrl-C stops it."""

import contextlib
import itertools
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from peculiar.catalogs.table import GalaxyTable
from peculiar.catalogs.where import quoted
from peculiar.errors import UsageError

if TYPE_CHECKING:
    import duckdb

MOST_SECONDS = 600.0
"""Default time limit of a query."""

MOST_MEMORY = "50%"
"""Share of the memory of the machine that DuckDB may use for one query."""

_GRACE = 20.0

_TOLD = 100
"""Maximum number of characters of a condition in a message."""


def run_sql(
    catalog: GalaxyTable,
    sql: str,
    values: Sequence[str | float],
    where: str | None = None,
    seconds: float = MOST_SECONDS,
) -> pa.Table:
    """Run SQL on a connection with access to the view ``catalog`` and nothing else.

    Parameters
    ----------
    catalog : GalaxyTable
    sql : str
        With a question mark for each value, and the column names of `sql_names`.
    values : sequence of (str, int or float)
    where : str, optional
        The condition as typed, for messages.
    seconds : float
        Time limit of the query.

    Raises
    ------
    UsageError
        If the condition does not fit the columns, or the query exceeds the limits of time or memory.
    DataError
        If the catalogue is damaged, or has changed since it was opened.
    """
    import duckdb  # importing it takes a tenth of a second

    catalog.check_unchanged()
    connection = _connect(catalog)
    try:
        return _within(connection, sql, values, seconds)
    except TimeoutError as error:
        message = f"the search took more than {seconds:g} s and was stopped; ask for less{_named(where)}"
        raise UsageError(message) from error
    except duckdb.OutOfMemoryException as error:
        message = f"the search needs more than {MOST_MEMORY} of the memory; ask for less{_named(where)}"
        raise UsageError(message) from error
    except (duckdb.DataError, duckdb.BinderException, duckdb.ParserException) as error:
        reason = str(error).partition("\n")[0].partition(": ")[2]
        message = f"the condition {_short(where)} does not fit the columns of {catalog.name}: {reason}"
        raise UsageError(message) from error
    except (duckdb.Error, pa.ArrowException) as error:
        raise catalog.damaged(error) from error


def _connect(catalog: GalaxyTable) -> "duckdb.DuckDBPyConnection":
    import duckdb

    connection = duckdb.connect(config={"memory_limit": MOST_MEMORY, "temp_directory": ""})
    # Conditions are checked before; if one slips through, it has no access to files and variables.
    for setting in ("enable_external_access", "python_enable_replacements", "autoload_known_extensions"):
        connection.execute(f"SET {setting} = false")
    # A remainder of a division by zero is an unknown value like others, and no reason to fail.
    connection.execute("SET error_on_division_by_zero = false")
    connection.register("files", catalog.dataset)
    names = ", ".join(map(quoted, sql_names(catalog).values()))
    connection.execute(f"CREATE TEMP VIEW catalog AS SELECT * FROM files AS files({names})")  # noqa: S608 - quoted
    connection.execute("SET lock_configuration = true")
    return connection


def sql_names(catalog: GalaxyTable) -> dict[str, str]:
    """Return the SQL name of each column. SQL ignores case, so of g and G the later one gets a number."""
    found: dict[str, str] = {}
    taken = {name.casefold() for name in catalog.columns}
    seen: set[str] = set()
    for name in catalog.columns:
        numbered = (f"{name} {number}" for number in itertools.count(2))
        found[name] = (
            name if name.casefold() not in seen else next(one for one in numbered if one.casefold() not in taken)
        )
        seen.add(name.casefold())
        taken.add(found[name].casefold())
    return found


def _named(where: str | None) -> str:
    return f" than {_short(where)}" if where else ", or for fewer columns"


def _short(where: str | None) -> str:
    return repr(where if where is None or len(where) <= _TOLD else f"{where[:_TOLD]}...")


def _within(
    connection: "duckdb.DuckDBPyConnection", sql: str, values: Sequence[str | float], seconds: float
) -> pa.Table:
    """Run SQL in another thread, so that this one handles the time limit and Ctrl-C; raises `TimeoutError`."""
    found: list[pa.Table] = []
    failed: list[Exception] = []
    done = threading.Event()

    def work() -> None:
        try:
            with connection:
                found.append(connection.sql(sql, params=list(values)).to_arrow_table())
        except Exception as error:  # noqa: BLE001 - raised below, in the calling thread
            failed.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name="query", daemon=True).start()
    in_time = False
    try:
        in_time = done.wait(seconds)
    finally:
        # An interrupt is lost if it comes before DuckDB has started.
        until = time.monotonic() + _GRACE
        while not done.is_set() and time.monotonic() < until:
            with contextlib.suppress(Exception):  # the connection may be closed at this moment
                connection.interrupt()
            done.wait(0.05)
    if not in_time:
        raise TimeoutError
    if failed:
        raise failed[0]
    return found[0]
