"""Files derived from a catalogue, computed once: in the cache, or in a temporary folder for a catalogue in memory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peculiar.files.digests import file_digest
from peculiar.files.writing import replacing


def cached(folder: Path, state: str, ending: str, make: Callable[[Path], object]) -> Path:
    """Return a file derived from a catalogue, making it if necessary; files for earlier states are deleted.

    A file that has changed since it was written (truncated, or of another catalogue) is made again.

    Parameters
    ----------
    folder : path
    state : str
        State of the catalogue; the part before the first hyphen identifies the catalogue.
    ending : str
        End of the file name: the settings that the file depends on, and its suffix.
    make : callable
        Function that writes the file to a given path.
    """
    file = folder / f"{state}{ending}"
    if not _as_written(file):
        with replacing(file) as temporary:
            make(temporary)
        with replacing(_stamp(file)) as temporary:
            temporary.write_text(json.dumps(_state_of(file) | {"sha256": file_digest(file)}))
        for older in folder.glob(f"{state.partition('-')[0]}-*"):
            if not older.name.startswith(state):
                older.unlink(missing_ok=True)
    return file


def _stamp(file: Path) -> Path:
    """Return the path of the record of how a cached file was written."""
    return file.with_name(f"{file.name}.stamp")


def _state_of(file: Path) -> dict[str, Any]:
    state = file.stat()
    return {"size": state.st_size, "time": state.st_mtime_ns}


def _as_written(file: Path) -> bool:
    """Return whether a cached file is unchanged, by its size and time or else by its digest."""
    try:
        stamp, state = json.loads(_stamp(file).read_bytes()), _state_of(file)
        if {name: stamp[name] for name in state} == state:
            return True
        return bool(stamp["size"] == state["size"] and stamp["sha256"] == file_digest(file))
    except (OSError, ValueError, KeyError, TypeError):
        return False
