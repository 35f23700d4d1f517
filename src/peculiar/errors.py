"""Every exception and warning of peculiar.

::

    PeculiarError
    ├── DataError (ValueError)               data are not as expected
    │   ├── LabelError                       labels missing, malformed or too few
    │   ├── PictureError                     one picture cannot be read
    │   └── IncompleteError                  parts of a survey could not be classified
    ├── NotFoundError (FileNotFoundError)    nothing at this path
    ├── UnknownNameError (LookupError)       no column, network or class of this name
    ├── UsageError (ValueError)              options that do not go together
    ├── RunError (ValueError)                a training run that cannot be read or resumed
    ├── ModelError (ValueError)              a model file that cannot be read
    ├── LedgerError (ValueError)             the record of a long run is damaged
    ├── DownloadError (OSError)              a file could not be downloaded completely
    └── MissingExtraError (ImportError)      an optional dependency is not installed

    PeculiarWarning (UserWarning)
    ├── SimulatedDataWarning                 simulated galaxies replace real ones
    └── UnreadablePictureWarning             some pictures were left out

Each exception is also the built-in kind that a caller would expect. Its message says what was asked, what was received
and what to do next. ``exit_status`` is the status of the command line: 1 for a failure, 2 for misuse.
"""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from peculiar.text import plain, reason

_SHORT = 10
"""In characters; a shorter text of a library may occur in a message by chance."""


class PeculiarError(Exception):
    """Base of every exception that peculiar raises on purpose."""

    exit_status = 1

    def __str__(self) -> str:
        """Return the message; the text of a library is repeated without its advice to its own callers."""
        told, cause = plain(super().__str__()), self.__cause__
        if cause is not None and not isinstance(cause, PeculiarError):
            for said in (plain(repr(cause)), plain(str(cause))):
                told = told.replace(said, reason(cause)) if len(said) > _SHORT else told
        return told

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the message rather than the arguments."""
        return _rebuild, (type(self), (str(self),), self.__dict__)


def _rebuild(kind: type[PeculiarError], args: tuple[Any, ...], state: dict[str, Any]) -> PeculiarError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class DataError(PeculiarError, ValueError):
    """Data are not as expected: another shape, another type, impossible values."""


class LabelError(DataError):
    """Labels are missing, malformed or too few."""


class PictureError(DataError):
    """One picture cannot be read.

    Parameters
    ----------
    reason : str
        Why, in words that can follow "cannot be read:".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)

    @property
    def reason(self) -> str:
        """Why, in words that can follow "cannot be read:"."""
        return str(self)


class IncompleteError(DataError):
    """Parts of a survey could not be classified; the rest is kept, and the same call continues.

    Parameters
    ----------
    message : str
    summary : peculiar.catalogs.tally.Summary, optional
        The outcome for the galaxies.
    """

    def __init__(self, message: str, summary: Any = None) -> None:
        super().__init__(message)
        self.summary = summary


class NotFoundError(PeculiarError, FileNotFoundError):
    """There is nothing at the given path."""

    exit_status = 2


class UnknownNameError(PeculiarError, LookupError):
    """There is no column, network or class of the given name.

    Parameters
    ----------
    kind : str
        Kind of thing: "column", "network".
    name : str
        The given name.
    known : iterable of str
        The existing names.
    where : str, optional
        Their place, which ends the first sentence: "in galaxies.parquet".
    """

    exit_status = 2

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        known = sorted(known)
        # Cut off at 0.5 rather than difflib's 0.6: "label" should still find "labels_4".
        plain = {one.casefold(): one for one in known}
        close = difflib.get_close_matches(name.casefold(), plain, n=1, cutoff=0.5)
        hint = f" Did you mean {plain[close[0]]!r}?" if close else ""
        listed = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
        place = f" {where}" if where else ""
        super().__init__(f"there is no {kind} {name!r}{place}.{hint} There are: {listed or 'none'}")


class UsageError(PeculiarError, ValueError):
    """Options or arguments are invalid or do not fit together."""

    exit_status = 2


class RunError(PeculiarError, ValueError):
    """A folder is not a training run, or not one that can be resumed with these arguments."""


class ModelError(PeculiarError, ValueError):
    """A file is not a model, is damaged, or is of a later version."""


class LedgerError(PeculiarError, ValueError):
    """The record of a long run is damaged."""


class DownloadError(PeculiarError, OSError):
    """A published file could not be downloaded completely."""


class MissingExtraError(PeculiarError, ImportError):
    """An optional dependency is needed and not installed.

    Parameters
    ----------
    task : str
        The task that needs it: "training".
    extra : str
        The extra of peculiar that installs it.
    """

    def __init__(self, task: str, extra: str) -> None:
        super().__init__(f"{task} needs packages that are not installed. Type: pip install 'peculiar[{extra}]'")


@contextmanager
def extra(task: str, name: str) -> Iterator[None]:
    """Turn a failed import into a `MissingExtraError` that names a task and an extra of peculiar."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(task, name) from error


class PeculiarWarning(UserWarning):
    """Base of every warning of peculiar."""


class SimulatedDataWarning(PeculiarWarning):
    """Simulated galaxies replace real ones; scores on them say nothing about the sky."""


class UnreadablePictureWarning(PeculiarWarning):
    """Some pictures could not be read and were left out."""
