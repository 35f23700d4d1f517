"""Small files in the formats in which astronomers share pictures of galaxies, each made as its authors make them.

Every format has eight galaxies, with the same pictures, ids, classes and positions wherever it has room for them.
"""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
from astropy import units
from astropy.table import Table
from numpy.typing import NDArray

from peculiar import simulate
from peculiar.images.decode import encode_picture
from peculiar.tables.convert import convert

COUNT = 8
IDS = [587722981736120347 + 7 * number for number in range(COUNT)]
CLASSES = ["Normal", "Ringed", "Merger", "Other"] * 2
RA = np.linspace(10.5, 350.25, COUNT)
DEC = np.linspace(-60.5, 75.125, COUNT)


@cache
def pictures() -> NDArray[np.uint8]:
    """Eight simulated galaxies, uint8 (8, 48, 48, 3)."""
    return simulate(COUNT, size=48, seed=5).pictures


def encoded(kind: str = "PNG") -> list[bytes]:
    """The same as files."""
    return [encode_picture(one, kind) for one in pictures()]


def hats(folder: Path) -> Path:
    """A HATS catalogue of peculiar's own: positions and pictures, under names that its properties give."""
    table = {"objectId": IDS, "lon": RA, "lat": DEC, "image": encoded(), "class": CLASSES}
    pa.parquet.write_table(pa.table(table), folder / "galaxies.parquet")
    convert(folder / "galaxies.parquet", folder / "galaxies_hats", as_hats=True, ra="lon", dec="lat")
    return folder / "galaxies_hats"


def cutana(folder: Path) -> Path:
    """Two batches of Cutana: ``images.zarr``, its rows from the bottom up, beside ``images_metadata.parquet``."""
    import zarr

    for batch, rows in enumerate((slice(0, 5), slice(5, COUNT))):
        place = folder / "cutouts" / f"batch_cutout_process_{batch:03d}_ab12"
        place.mkdir(parents=True)
        stamps = np.ascontiguousarray(pictures()[rows, ::-1])
        archive = zarr.open_group(place / "images.zarr", mode="w")
        images = archive.create_array("images", shape=stamps.shape, chunks=(2, 48, 48, 3), dtype="uint8")
        images[:] = stamps
        table = {
            "source_id": [str(id_) for id_ in IDS[rows]],
            "ra": RA[rows],
            "dec": DEC[rows],
            "diameter_pixel": np.full(len(stamps), 48),
            "original_cutout_size": np.full(len(stamps), 48),
            "label": CLASSES[rows],
        }
        pa.parquet.write_table(pa.table(table), place / "images_metadata.parquet")
    return folder / "cutouts"


def webdataset(folder: Path) -> Path:
    """Two shards of WebDataset: for each galaxy a picture, its class, and an object of further values."""
    shards = folder / "shards"
    shards.mkdir()
    for shard, rows in enumerate((range(5), range(5, COUNT))):
        with tarfile.open(shards / f"gz-{shard:06d}.tar", "w") as archive:
            for row in rows:
                values = {"ra": RA[row], "dec": DEC[row], "smooth": row, "bands": ["g", "r", "z"]}
                _add(archive, f"{IDS[row]}.cls", CLASSES[row].encode())
                _add(archive, f"{IDS[row]}.image.png", encoded()[row])
                _add(archive, f"{IDS[row]}.labels.json", json.dumps(values).encode())
    return shards


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def zipped(folder: Path) -> Path:
    """A zip of pictures, one folder for each class, as Kaggle serves them."""
    with zipfile.ZipFile(folder / "images_training_rev1.zip", "w") as archive:
        for id_, name, content in zip(IDS, CLASSES, encoded(), strict=True):
            archive.writestr(f"images_training_rev1/{name}/{id_}.png", content)
    return folder / "images_training_rev1.zip"


CARD = """---
license: cc-by-4.0
dataset_info:
- config_name: default
  features:
  - name: image
    dtype: image
  - name: id_str
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': Normal
          '1': Ringed
          '2': Merger
          '3': Other
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
- config_name: tiny
  data_files:
  - split: train
    path: tiny/train-*
---
# Galaxies
"""


def hub(folder: Path) -> Path:
    """A repository of the Hugging Face hub: two splits and a second configuration, classes named by its card alone."""
    repository = folder / "gz_small"
    for name, rows in (
        ("data/train-00000-of-00001", slice(0, 6)),
        ("data/test-00000-of-00001", slice(6, COUNT)),
        ("tiny/train-00000-of-00001", slice(0, 2)),
    ):
        path = repository / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = {
            "image": [{"bytes": content, "path": None} for content in encoded()[rows]],
            "id_str": [str(id_) for id_ in IDS[rows]],
            "ra": RA[rows],
            "dec": DEC[rows],
            "label": [CLASSES[:4].index(name) for name in CLASSES[rows]],
        }
        pa.parquet.write_table(pa.table(table), path)
    (repository / "README.md").write_text(CARD)
    return repository


def galaxy10(folder: Path) -> Path:
    """Galaxy10's file, with the positions, redshifts and scales of its edition of DECaLS."""
    with h5py.File(folder / "Galaxy10_DECals.h5", "w") as file:
        file["images"], file["ans"] = pictures(), np.arange(COUNT, dtype=np.uint8) % 4
        file["ra"], file["dec"] = RA, DEC
        file["redshift"], file["pxscale"] = np.linspace(0.01, 0.1, COUNT), np.full(COUNT, 0.262)
    return folder / "Galaxy10_DECals.h5"


def galaxy_mnist(folder: Path) -> Path:
    """GalaxyMNIST's file: pictures and the numbers of four classes."""
    with h5py.File(folder / "train_dataset.hdf5", "w") as file:
        file["images"], file["labels"] = pictures(), np.arange(COUNT, dtype=np.uint8) % 4
    return folder / "train_dataset.hdf5"


def lsst(folder: Path) -> Path:
    """A table with the names of Rubin Observatory's pipelines, positions in radians."""
    table = Table(
        {
            "objectId": np.array(IDS),
            "coord_ra": np.radians(RA) * units.rad,
            "coord_dec": np.radians(DEC) * units.rad,
            "picture": [f"{id_}.png" for id_ in IDS],
            "class": CLASSES,
        }
    )
    for id_, content in zip(IDS, encoded(), strict=True):
        (folder / f"{id_}.png").write_bytes(content)
    table.write(folder / "objects.fits")
    return folder / "objects.fits"


@dataclass(frozen=True)
class Format:
    """A format: how to write it, what it has room for, and which of its files a test cuts short.

    Parameters
    ----------
    write : callable
        Writes it into a folder and returns the path to open.
    part : str
        Pattern of its files within the path, of which the first is damaged; empty for the file itself.
    keep : float
        How much of that file is left: not all of its content.
    ids, labels, positions : bool
        Whether it has them; paths count as ids if they are the ids alone.
    classes : tuple of str
        Names of the four classes.
    exact : bool
        Whether the pixels are those of `pictures`.
    lost : int
        Galaxies that cannot be read after the damage, and state why; 0 if it stops the command.
    needs : str
        Package that reads it, if that is optional.
    """

    write: Callable[[Path], Path]
    part: str = ""
    keep: float = 0.5
    ids: bool = True
    labels: bool = True
    positions: bool = True
    classes: tuple[str, ...] = tuple(CLASSES[:4])
    exact: bool = True
    lost: int = 0
    needs: str = ""

    def damage(self, path: Path) -> Path:
        """Cut a file of the format short, and return it."""
        damaged = sorted(path.glob(self.part))[0] if self.part else path
        content = damaged.read_bytes()
        damaged.write_bytes(content[: int(len(content) * self.keep)])
        return damaged


FORMATS = {
    "hats": Format(hats, "dataset/Norder=*/Dir=*/Npix=*.parquet"),
    "webdataset": Format(webdataset, "gz-000001.tar", ids=False),
    "zip": Format(zipped, ids=False, positions=False),
    "hub": Format(hub, "data/test-*.parquet"),
    "galaxy10": Format(galaxy10, ids=False, classes=("0", "1", "2", "3")),
    "galaxy_mnist": Format(galaxy_mnist, ids=False, positions=False, classes=("0", "1", "2", "3")),
    "lsst": Format(lsst, keep=0.68),
    "cutana": Format(cutana, "batch*_001_*/images.zarr/images/c/1/0/0/0", lost=1, needs="zarr"),
}
