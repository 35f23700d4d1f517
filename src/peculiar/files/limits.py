"""Limits on how much of a file is read, so that damaged and hostile files cost little.

A picture beyond a limit is lost like a damaged one, and says why; a container that claims more than it can hold is
refused as a whole.
"""

PIXELS = 89_478_485
"""Pixels of a picture (Pillow's own limit: 256 MiB of RGB)."""

LARGE_PIXELS = 1 << 24
"""Pictures with more pixels are decoded one at a time."""

PICTURE_BYTES = 1 << 28
"""Bytes of an encoded picture: a file, or a member of an archive."""

SCANS = 200
"""Scans of a large progressive JPEG. Encoders write about ten; each takes as long as the whole picture."""

MOSAIC_BYTES = 1 << 30
"""Bytes to which a mosaic that is packed as a whole may unpack in memory."""

TILE_PIXELS = 1 << 26
"""Pixels of a tile of a compressed FITS image, which can only be unpacked as one."""

AHEAD_BYTES = 1 << 26
"""Bytes of encoded pictures that wait for a decoder."""

UNPACKED_BYTES, UNPACKED_TIMES = 1 << 24, 250
"""What is packed may become larger than the first of these only if it does not grow more than so many times."""

DEFLATE_TIMES = 1032
"""How many times what deflate has packed can grow at the most (RFC 1951: 258 bytes of two bits)."""

CHUNK_BYTES = 1 << 28
"""Bytes of a piece of an array that can only be read as one: a chunk of HDF5."""

WHOLE_BYTES = 1 << 30
"""Bytes of an array of pictures that can only be read whole: NumPy's, column by column."""


PASSED_BYTES = 1 << 31
"""Bytes of a compressed archive that are passed over before they are held against `UNPACKED_TIMES`."""


def grows_too_much(packed: int, unpacked: int, least: int = UNPACKED_BYTES) -> bool:
    """Tell whether something is packed as no picture can be, so that it is no use to unpack it."""
    return unpacked > max(least, UNPACKED_TIMES * packed)
