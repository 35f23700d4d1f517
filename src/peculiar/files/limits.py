"""Limits on how much of a file is read, so that damaged and hostile files cost little.

A picture beyond a limit is treated like a damaged one, with the reason. A container that claims more than it can hold
is refused as a whole.
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
"""Decompressed size of a mosaic that is compressed as a whole and so has to be held in memory."""

TILE_PIXELS = 1 << 26
"""Pixels of a tile of a compressed FITS image, which can only be decompressed as a whole."""

AHEAD_BYTES = 1 << 26
"""Bytes of encoded pictures that wait for a decoder."""

UNPACKED_BYTES, UNPACKED_TIMES = 1 << 24, 250
"""Compressed data may decompress to more than the first of these only if they grow by at most the second as a factor.
"""

DEFLATE_TIMES = 1032
"""Largest factor by which deflate can compress (RFC 1951: 258 bytes from two bits)."""

CHUNK_BYTES = 1 << 28
"""Bytes of a chunk of HDF5, which can only be read as a whole."""

ZARR_CHUNK_BYTES = 1 << 31
"""Bytes of a chunk of a Zarr array; Cutana puts up to 1.8 GB into one."""

WHOLE_BYTES = 1 << 30
"""Bytes of an array of pictures that can only be read as a whole: a NumPy array in Fortran order."""


PASSED_BYTES = 1 << 31
"""Bytes of a compressed archive that may be skipped before `UNPACKED_TIMES` applies."""


def grows_too_much(packed: int, unpacked: int, least: int = UNPACKED_BYTES) -> bool:
    """Return whether data are compressed more strongly than pictures can be, so that decompressing is useless."""
    return unpacked > max(least, UNPACKED_TIMES * packed)
