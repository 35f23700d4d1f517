"""Arrays of pictures of every type, range and layout, in NPZ, NPY and HDF5, and those that claim too much."""

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.errors import DataError, PeculiarWarning
from peculiar.images.framing import Framing
from peculiar.sources import Source, open_source
from peculiar.sources.stream import MISSING

RNG = np.random.default_rng(19)
PICTURES = RNG.integers(0, 250, (100, 12, 9, 3), dtype=np.uint8)
PICTURES[0, 0, 0] = 249
CONTAINERS = ["npz", "compressed npz", "npy", "h5", "chunked h5"]


def put(container: str, path: Path, pictures: NDArray[Any]) -> Path:
    match container:
        case "npz":
            np.savez(path / "a.npz", data=pictures)
        case "compressed npz":
            np.savez_compressed(path / "a.npz", data=pictures)
        case "npy":
            np.save(path / "a.npy", pictures)
        case "h5":
            with h5py.File(path / "a.h5", "w") as file:
                file["images"] = pictures
        case _:
            with h5py.File(path / "a.h5", "w") as file:
                file.create_dataset("images", data=pictures, chunks=(7, *pictures.shape[1:]), compression="gzip")
    return next(path.iterdir())


def opened(path: Path) -> tuple[Source, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = open_source(path)
    assert all(issubclass(one.category, PeculiarWarning) for one in caught)
    return source, [str(one.message) for one in caught]


def pixels(source: Source) -> NDArray[np.uint8]:
    return np.stack([np.asarray(row.content) for row in source.rows()])


# What is stored, how far pixels may be off, and the bits that are guessed.
TYPES: dict[str, tuple[NDArray[Any], int, int]] = {
    "uint8": (PICTURES, 0, 0),
    "16 bits": (PICTURES.astype(np.uint16) << 8, 0, 0),
    "14 bits of 16": (PICTURES.astype(np.uint16) << 6, 0, 14),
    "12 bits of 16": (PICTURES.astype(np.uint16) << 4, 0, 12),
    "10 bits of 16": (PICTURES.astype(np.uint16) << 2, 0, 10),
    "8 bits of 16": (PICTURES.astype(np.uint16), 0, 8),
    "8 bits of 64": (PICTURES.astype(np.int64), 0, 8),
    "big-endian": (PICTURES.astype(">u2") << 8, 0, 0),
    "floats to 1": (PICTURES / 255, 0, 0),
    "half floats to 1": ((PICTURES / 255).astype(np.float16), 1, 0),
    "floats to 255": (PICTURES.astype(np.float32), 0, 8),
    "floats to 4095": (PICTURES.astype(np.float32) * 16, 1, 12),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("type_", TYPES)
def test_every_type_and_range_looks_alike(container: str, type_: str, tmp_path: Path) -> None:
    stored, tolerance, bits = TYPES[type_]
    source, warned = opened(put(container, tmp_path, stored))
    np.testing.assert_allclose(pixels(source).astype(int), PICTURES, atol=tolerance)
    assert [f"taken for {bits} bits" in one for one in warned] == ([True] if bits else [])
    # A worker decides nothing anew, and is not told again.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = pickle.loads(pickle.dumps(source))
        np.testing.assert_array_equal(pixels(again), pixels(source))


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("layout", ["colours last", "colours first", "grey", "one colour"])
def test_every_layout_is_read(container: str, order: Any, layout: str, tmp_path: Path) -> None:
    grey = np.repeat(PICTURES[..., :1], 3, axis=3)
    stored, expected = {
        "colours last": (PICTURES, PICTURES),
        "colours first": (np.moveaxis(PICTURES, 3, 1), PICTURES),
        "grey": (PICTURES[..., 0], grey),
        "one colour": (PICTURES[..., :1], grey),
    }[layout]
    source, _ = opened(put(container, tmp_path, np.asarray(stored, order=order)))
    np.testing.assert_array_equal(pixels(source), expected)
    assert [row.id for row in source.rows(98)] == ["a-98", "a-99"]


@pytest.mark.parametrize("container", CONTAINERS)
def test_unknown_values_are_black_and_flagged(container: str, tmp_path: Path) -> None:
    stored = PICTURES / 255
    stored[3, 5, 5] = np.nan
    source, _ = opened(put(container, tmp_path, stored))
    galaxies = list(source.galaxies(Framing(8)))
    assert [number for number, galaxy in enumerate(galaxies) if galaxy.flags & MISSING] == [3]
    assert pixels(source)[3, 5, 5].tolist() == [0, 0, 0]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    "stored", [PICTURES / 255 - 0.5, PICTURES * 1e9, PICTURES / 0.0 if False else PICTURES - 300.0]
)
def test_values_without_a_white_are_refused(container: str, stored: NDArray[Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the value of white is unknown"):
        opened(put(container, tmp_path, stored))


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_2_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


BRACKETS = b"\x93NUMPY\x01\0" + (9000).to_bytes(2, "little") + b"[" * 9000

CLAIMS = {
    "rows": header((10**12, 8, 8, 3)),
    "pixels": header((2, 10**5, 10**5, 3)),
    "both": header((10**9, 10**6, 10**6, 3)),
    "beyond 64 bits": header((10**30, 8, 8, 3)),
    "brackets": BRACKETS,
    "negative": header((-1, 8, 8, 3)),
    "structured": header((2, 8, 8, 3), "|V8"),
}


@pytest.mark.parametrize("container", ["npz", "npy"])
@pytest.mark.parametrize("claim", CLAIMS)
def test_headers_that_claim_too_much_are_refused(container: str, claim: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{container}"
    content = CLAIMS[claim] + bytes(1000)
    if container == "npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data.npy", content)
    with pytest.raises(DataError, match=r"a\.np.: .*(claims? |damaged|shape|numbers)"):
        open_source(path)


def test_brackets_in_labels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, data=PICTURES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.npy", BRACKETS)
    with pytest.raises(DataError, match="'labels' is damaged"):
        open_source(path)


def test_labels_that_unpack_to_gigabytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, data=PICTURES)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("labels.npy", "w") as member:
        member.write(header((100, 5_000_000), "<f8"))
        for _ in range(40):
            member.write(bytes(1 << 20))
    with pytest.raises(DataError, match=r"'labels' claims 4,000,000,000 bytes"):
        open_source(path)


def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["images"], file["ans"] = PICTURES, np.zeros(100, int)
    (tmp_path / "secret.raw").write_bytes(PICTURES.tobytes())
    return path


@pytest.mark.parametrize("name", ["images", "ans", "ra"])
@pytest.mark.parametrize("way", ["external link", "soft link", "external storage", "virtual"])
def test_hdf5_opens_no_other_file(way: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, path = secret(tmp_path), tmp_path / "a.h5"
    shape, dtype = (PICTURES.shape, "u1") if name == "images" else ((100,), "f8" if name == "ra" else "i8")
    with h5py.File(path, "w") as file:
        if name != "images":
            file["images"] = PICTURES
        if way == "external link":
            file[name] = h5py.ExternalLink(str(other), f"/{name}")
        elif way == "soft link":
            file["away"] = h5py.ExternalLink(str(other), "/")
            file[name] = h5py.SoftLink(f"/away/{name}")
        elif way == "external storage":
            file.create_dataset(name, shape, dtype, external=[(str(tmp_path / "secret.raw"), 0, h5py.h5f.UNLIMITED)])
        else:
            layout = h5py.VirtualLayout(shape, dtype)
            layout[:] = h5py.VirtualSource(str(other), name, shape=shape)
            file.create_virtual_dataset(name, layout)
    with pytest.raises(DataError, match=rf"'{name}'.* (not followed|not opened)"):
        open_source(path)


def test_hdf5_that_claims_what_its_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (10**9, 64, 64, 3), "u1", chunks=(1, 64, 64, 3), compression="gzip")
    with pytest.raises(DataError, match="'images' claims 12,288,000,000,000 bytes"):
        open_source(path)


def test_hdf5_with_a_chunk_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["padding"] = RNG.integers(0, 255, 2_000_000, dtype=np.uint8)
        file.create_dataset("images", (600, 1000, 1000, 3), "u1", chunks=(600, 1000, 1000, 3), compression="gzip")
    with pytest.raises(DataError, match="'images' claims chunks of 1,800,000,000 bytes"):
        open_source(path)


def test_positions_and_labels_of_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["labels"] = PICTURES, np.arange(100) % 4
        file["ra"], file["dec"] = np.linspace(10, 20, 100), np.linspace(-5, 5, 100)
    source, _ = opened(tmp_path / "a.h5")
    rows = list(source.rows())
    assert source.positioned
    assert rows[99].position == (20.0, 5.0)
    assert [row.label for row in rows[:5]] == ["0", "1", "2", "3", "0"]
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["images"], file["ans"] = PICTURES, np.eye(4)[np.arange(100) % 4]
    source, _ = opened(tmp_path / "b.h5")
    assert source.labels()[:5] == ["0", "1", "2", "3", "0"]
    assert not source.positioned
