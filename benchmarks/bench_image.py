"""Measure the decoding of native 424-px JPEGs to 128 x 128, in pictures per CPU-second, against plain Pillow."""

import io
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from machine import data_folder, describe, make_parser, record
from peculiar.images.decode import decode_picture
from peculiar.images.framing import Framing
from peculiar.sources import open_source

COUNT, ROUNDS = 400, 5


def plain(content: bytes) -> np.ndarray:
    """Decode the whole picture, then resize it, as most scripts do."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB").resize((128, 128), Image.Resampling.BICUBIC))


def rate(read: Callable[[bytes], object], pictures: list[bytes]) -> float:
    """Return the best of some rounds, in pictures per second of CPU time."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for content in pictures:
            read(content)
        best = min(best, time.process_time() - started)
    return len(pictures) / best


def main() -> None:
    make_parser(__doc__).parse_args()
    machine = describe("pillow", "simplejpeg", "numpy")
    rows = open_source(data_folder() / "odd_native.parquet").rows()
    pictures = [row.content for row, _ in zip(rows, range(COUNT), strict=False) if isinstance(row.content, bytes)]
    ways = {
        "plain script, whole frame": plain,
        "exact, whole frame": lambda content: decode_picture(content, Framing(128)),
        "exact, middle 256 px": lambda content: decode_picture(content, Framing(128, crop=256)),
        "exact, the galaxy": lambda content: decode_picture(content, Framing(128, crop="galaxy")),
        "fast, whole frame": lambda content: decode_picture(content, Framing(128, fast=True)),
        "fast, middle 256 px": lambda content: decode_picture(content, Framing(128, crop=256, fast=True)),
    }
    rates = {name: rate(read, pictures) for name, read in ways.items()}
    record(
        machine,
        *((name, value, "pictures/CPU-s") for name, value in rates.items()),
        (
            "fast, middle 256 px, over plain script",
            rates["fast, middle 256 px"] / rates["plain script, whole frame"],
            "times",
        ),
    )


if __name__ == "__main__":
    main()
