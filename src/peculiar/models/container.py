"""A model file as bytes: the graph and the card, read and written without the ``onnx`` package.

An ONNX file is a protocol buffer: a sequence of fields. The card is a field of its own and can be taken out. The digest
covers the rest of the file, and the entries of the card that decide the answers.
"""

import hashlib
import json
from collections.abc import Iterator

from peculiar.errors import ModelError

METADATA_KEY = "peculiar"

DECISIVE = ("framing", "questions", "temperatures", "views")
"""Entries of the card that the digest covers."""

OPTIONAL = ("scalings", "sets", "familiar", "about")
"""Entries that it covers as well, if they are not empty."""

# Numbers of the fields, from onnx.proto.
_MODEL_METADATA = 14


def split_card(content: bytes) -> tuple[bytes, str | None]:
    """Return a model file without its card, and the card as JSON, or None if it has none.

    Raises
    ------
    ModelError
        If the file is not a protocol buffer.
    """
    key, card = text(1, METADATA_KEY), None
    kept = []
    for field, start, stop in fields(content):
        entry = content[start:stop]
        if field == _MODEL_METADATA and key in entry[: len(key) + 12]:
            card = _value(entry)
        else:
            kept.append(entry)
    return b"".join(kept), card


def join_card(graph: bytes, card: str) -> bytes:
    """Return a model file from a graph, as of `split_card`, and a card."""
    return graph + piece(_MODEL_METADATA, text(1, METADATA_KEY) + text(2, card))


def digest_of(graph: bytes, card: str) -> str:
    """Return the digest of a model file: SHA-256, hexadecimal, of the graph and the decisive entries of the card.

    The entries are hashed as they are written, so that a later version of peculiar finds the same digest.

    Raises
    ------
    ModelError
        If the card is not a JSON object, or lacks an entry.
    """
    written = _entries(card)
    missing = [name for name in DECISIVE if name not in written]
    if missing:
        message = f"the card lacks {', '.join(missing)}"
        raise ModelError(message)
    empty = ("{}", "null", '""')
    wanted = {*DECISIVE, *(name for name in OPTIONAL if written.get(name, "null") not in empty)}
    decisive = ",".join(f'"{name}":{value}' for name, value in written.items() if name in wanted)
    digest = hashlib.sha256(graph)
    digest.update(f"{{{decisive}}}".encode())
    return digest.hexdigest()


def _entries(card: str) -> dict[str, str]:
    """Return the entries of a JSON object, each as its JSON text."""
    decoder, found, place = json.JSONDecoder(), {}, 1
    try:
        while card[place - 1] != "}":
            name, place = decoder.raw_decode(card, place)
            _, end = decoder.raw_decode(card, place + 1)
            found[str(name)], place = card[place + 1 : end], end + 1
    except (ValueError, IndexError) as error:
        message = f"the card is not a JSON object as `peculiar export` writes it ({error})"
        raise ModelError(message) from error
    return found


def _value(entry: bytes) -> str:
    """Return the value of an entry of the metadata."""
    _, place = read_number(entry, 0)
    _, place = read_number(entry, place)
    for field, start, stop in fields(entry[place:]):
        if field == 2:
            _, begin = read_number(entry, place + start)
            _, begin = read_number(entry, begin)
            return entry[begin : place + stop].decode(errors="replace")
    return ""


def fields(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield number, begin and end of each field of a message.

    Raises
    ------
    ModelError
        If the fields do not end where the message does.
    """
    place = 0
    while place < len(message):
        start = place
        tag, place = read_number(message, place)
        match tag & 7:
            case 0:
                _, place = read_number(message, place)
            case 1:
                place += 8
            case 2:
                length, place = read_number(message, place)
                place += length
            case 5:
                place += 4
            case _:
                place = len(message) + 1
        if place > len(message):
            message_ = "the model file is damaged: its fields do not end where the file does"
            raise ModelError(message_)
        yield tag >> 3, start, place


def read_number(message: bytes, place: int) -> tuple[int, int]:
    """Return a varint (seven bits per byte, the lowest first) and its end."""
    value = shift = 0
    while place < len(message):
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    return value, len(message) + 1


def _write_number(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def number(field: int, value: int) -> bytes:
    """Return a field that holds an integer."""
    return _write_number(field << 3) + _write_number(value)


def piece(field: int, content: bytes) -> bytes:
    """Return a field that holds bytes, such as another message."""
    return _write_number(field << 3 | 2) + _write_number(len(content)) + content


def text(field: int, value: str) -> bytes:
    """Return a field that holds text."""
    return piece(field, value.encode())
