"""Keep files that are made of a catalogue once: in the cache, or for one in memory in a temporary folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peculiar.files.claims import file_digest
from peculiar.files.writing import replacing


def cached(folder: Path, state: str, ending: str, make: Callable[[Path], object]) -> Path:
    """Return a file that is made of a catalogue once; what it was for earlier states is deleted.

    A file that is no more as it was written (cut short, of another catalogue) is made again.

    Parameters
    ----------
    folder : path
    state : str
        Of the catalogue; what comes before the first hyphen tells it from other catalogues.
    ending : str
        How the file's name ends: what else it depends on, and its suffix.
    make : callable
        Given the path to write to.
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
    """Return where it says how a file of the cache was written."""
    return file.with_name(f"{file.name}.stamp")


def _state_of(file: Path) -> dict[str, Any]:
    state = file.stat()
    return {"size": state.st_size, "time": state.st_mtime_ns}


def _as_written(file: Path) -> bool:
    """Return whether a cached file is unchanged: by its size and time, or else by its digest."""
    try:
        stamp, state = json.loads(_stamp(file).read_bytes()), _state_of(file)
        if {name: stamp[name] for name in state} == state:
            return True
        return bool(stamp["size"] == state["size"] and stamp["sha256"] == file_digest(file))
    except (OSError, ValueError, KeyError, TypeError):
        return False
