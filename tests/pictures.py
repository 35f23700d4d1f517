"""Pictures for tests: a smooth galaxy, and files of more than eight bits, byte by byte."""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def draw_galaxy(
    size: int, radius: float, column: float, row: float, *, seed: int = 0, ratio: float = 1.0
) -> NDArray[np.uint8]:
    """A smooth galaxy whose isophotes are ellipses along the rows, on a faint noisy sky."""
    rows, columns = np.indices((size, size))
    distance = np.hypot((columns - column), (rows - row) / ratio)
    light = 12 + 200 * np.exp(-2.5 * distance / radius) + np.random.default_rng(seed).normal(0, 2, (size, size))
    return np.repeat(light.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png16(values: NDArray[np.uint16], *, significant: int = 0) -> bytes:
    """A PNG of 16 bits: grey, grey with alpha, RGB or RGBA by its number of colours."""
    colours = 1 if values.ndim == 2 else values.shape[2]
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, {1: 0, 2: 4, 3: 2, 4: 6}[colours], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    known = chunk(b"sBIT", bytes([significant] * colours)) if significant else b""
    body = chunk(b"IHDR", header) + known + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(
    values: NDArray[Any], *, order: str = "<", bits: int = 16, photometric: int | None = None, **tags: int
) -> bytes:
    """An uncompressed TIFF of unsigned numbers in one strip, with tags by number ("t281")."""
    colours = 1 if values.ndim == 2 else values.shape[2]
    if bits == 12:
        pairs = values.reshape(-1, 2).astype(np.uint32)
        packed = (pairs[:, 0] << 12 | pairs[:, 1]).astype(">u4").tobytes()
        strip = b"".join(packed[at + 1 : at + 4] for at in range(0, len(packed), 4))
    else:
        strip = values.astype(f"{order}u2").tobytes()
    entries = {256: values.shape[1], 257: values.shape[0], 259: 1, 262: (1 if colours == 1 else 2), 277: colours}
    entries |= {278: values.shape[0], 279: len(strip)} | {int(name[1:]): value for name, value in tags.items()}
    if photometric is not None:
        entries[262] = photometric
    count = len(entries) + 2
    after = 8 + 2 + 12 * count + 4
    body = b""
    if colours > 1:
        body = struct.pack(f"{order}{colours}H", *[bits] * colours)
    records = {tag: struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in entries.items()}
    records[258] = (
        struct.pack(f"{order}HHII", 258, 3, colours, after)
        if colours > 2
        else struct.pack(f"{order}HHIHH", 258, 3, 1, bits, 0)
    )
    records[273] = struct.pack(f"{order}HHII", 273, 4, 1, after + len(body))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    directory = struct.pack(f"{order}H", count) + b"".join(records[tag] for tag in sorted(records))
    return head + directory + struct.pack(f"{order}I", 0) + body + strip
