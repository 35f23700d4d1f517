"""The mark of peculiar's own figures, so that output in a folder of pictures is not taken for galaxies."""

from pathlib import Path

SOFTWARE = "peculiar"
"""Value of the keyword ``Software`` in the PNG files of figures."""

_PNG, _MARK = b"\x89PNG\r\n\x1a\n", b"tEXtSoftware\0" + SOFTWARE.encode()

# The text stands before the pixels.
_HEAD = 512


def is_figure(path: Path) -> bool:
    """Return whether a file is a figure that peculiar drew, by its beginning."""
    try:
        # Opening a pipe would block.
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.startswith(_PNG) and _MARK in head
