"""HDF5 files in the layout of Galaxy10: ``images`` (n, height, width, 3) uint8 and ``ans`` (n,) integers.

Leung & Bovy, https://github.com/henrysky/Galaxy10: 17,736 DECaLS pictures of 256 x 256, or 21,785 SDSS pictures of
69 x 69, with ten classes each.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from peculiar.errors import DataError
from peculiar.schema import GALAXY10_DECALS, GALAXY10_SDSS
from peculiar.sources.stream import Row, Source, as_text

_CHUNK = 64

# What h5py says of damage, depending on where it lies.
_DAMAGE = (OSError, RuntimeError, KeyError, TypeError, ValueError)


class Hdf5Source(Source):
    """The pictures of an HDF5 file, read in small pieces.

    Ids are the file's name and the row. The classes get Galaxy10's names where the size of the pictures says which
    edition it is, else their number.

    Parameters
    ----------
    path : path

    Raises
    ------
    DataError
        If ``images`` is missing or of another shape or type, or ``ans`` does not fit it.
    """

    kind = "hdf5"

    def __init__(self, path: Path) -> None:
        try:
            with h5py.File(path, "r") as file:
                if not isinstance(file.get("images"), h5py.Dataset):
                    message = f"{path}: has no dataset 'images'; there are: {', '.join(map(str, file)) or 'none'}"
                    raise DataError(message)
                images, answers = file["images"], file.get("ans")
                if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
                    message = (
                        f"{path}: 'images' has to be uint8 (n, height, width, 3), is {images.dtype} {images.shape}"
                    )
                    raise DataError(message)
                self._count = len(images)
                self._answers = None if answers is None else np.asarray(answers)
                side = images.shape[1]
        except DataError:
            raise
        except _DAMAGE as error:
            message = f"{path}: cannot be read as HDF5 ({error}); fetch or write it again"
            raise DataError(message) from error
        if self._answers is not None and (
            self._answers.shape != (self._count,) or not np.issubdtype(self._answers.dtype, np.integer)
        ):
            message = (
                f"{path}: 'ans' has to hold {self._count} integers, is {self._answers.dtype} {self._answers.shape}"
            )
            raise DataError(message)
        self._question = {256: GALAXY10_DECALS, 69: GALAXY10_SDSS}.get(side)
        name = self._question.name if self._question else "ans"
        super().__init__(path, None if self._answers is None else name)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return self._count

    def labels(self) -> list[str | None]:
        """Return the name of every picture's class."""
        if self._answers is None:
            return [None] * self._count
        return [self._name(int(answer)) for answer in self._answers]

    def __reduce__(self) -> tuple[type["Hdf5Source"], tuple[Path]]:
        """Travel between processes as the path alone."""
        return Hdf5Source, (self.path,)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield pictures' pixels."""
        labels = self.labels()
        stop = self._count if stop is None else min(stop, self._count)
        with h5py.File(self.path, "r") as file:
            images = file["images"]
            for first in range(start, stop, _CHUNK):
                try:
                    pictures = images[first : min(first + _CHUNK, stop)]
                except _DAMAGE as error:
                    message = f"{self.path}: is damaged from row {first} on ({error}); fetch or write it again"
                    raise DataError(message) from error
                for index, pixels in enumerate(pictures, first):
                    yield Row(f"{as_text(self.path.stem)}-{index}", pixels, labels[index])

    def _name(self, answer: int) -> str:
        if self._question and 0 <= answer < len(self._question.answers):
            return self._question.answers[answer]
        return str(answer)
