"""The exercise's galaxies: 1,400 pictures of 128 x 128 in four classes.

Published by Codecademy with its course *Deep Learning with TensorFlow* ("Classifying Galaxies"), drawn from Galaxy Zoo.
``data`` uint8 (1400, 128, 128, 3); ``labels`` one-hot (1400, 4) in the order Normal, Ringed, Merger, Other.
"""

import logging
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, DownloadError, NotFoundError, SimulatedDataWarning
from peculiar.files.writing import writing
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources.download import fetch
from peculiar.sources.npz import NpzSource

logger = logging.getLogger(__name__)

URL = "https://content.codecademy.com/courses/deeplearning-with-tensorflow/galaxydata.npz"
FILE = "galaxydata.npz"
COUNT = 1400
SIDE = 128


def load_galaxy_data(path: str | os.PathLike[str] | None = None) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Load the exercise's pictures and labels.

    They are searched in this order, and the log (logger ``peculiar``, level INFO) states their origin: `path`;
    ``$PECULIAR_DATA/galaxydata.npz``; the cache; the published file, which is downloaded to the cache; and if the
    download fails, simulated galaxies, with a warning.

    Parameters
    ----------
    path : path-like, optional
        An NPZ file in the exercise's layout.

    Returns
    -------
    data : ndarray of uint8, shape (1400, 128, 128, 3)
        RGB pictures, 0 to 255. Another file may hold another number.
    labels : ndarray of float32, shape (1400, 4)
        One-hot: [1,0,0,0] Normal, [0,1,0,0] Ringed, [0,0,1,0] Merger, [0,0,0,1] Other.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`.
    DataError
        If a file is not in the exercise's layout.

    Warns
    -----
    SimulatedDataWarning
        If simulated galaxies replace the real ones.

    Examples
    --------
    >>> import peculiar
    >>> data, labels = peculiar.load_galaxy_data("galaxydata.npz")
    >>> data.shape, labels.shape
    ((40, 128, 128, 3), (40, 4))
    """
    try:
        found = find_galaxy_data(path)
    except (DownloadError, PermissionError) as error:
        return _simulated(error)
    logger.info("galaxies from %s", found)
    source = _check(found)
    return source.pixels(), np.asarray(source.one_hot)


def find_galaxy_data(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the file that `load_galaxy_data` reads, downloaded to the cache if necessary.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`.
    DownloadError
        If the published file is needed and cannot be downloaded.
    """
    if path is not None:
        if not Path(path).is_file():
            raise NotFoundError(f"there is no file {path}; leave the argument out to get the exercise's own data")
        return Path(path)
    folder = os.environ.get("PECULIAR_DATA")
    if folder and (Path(folder) / FILE).is_file():
        return Path(folder) / FILE
    return fetch(URL, FILE, check=_check)


def copy_galaxy_data(path: Path) -> None:
    """Copy the file that `load_galaxy_data` reads to a path."""
    source = find_galaxy_data()
    with writing(path) as temporary:
        shutil.copyfile(source, temporary)


def _simulated(reason: Exception) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    message = (
        f"the published galaxies cannot be downloaded ({reason}), so these are {COUNT} simulated ones; scores on them "
        f"say nothing about the sky. For the real galaxies, put {FILE} into a folder and set PECULIAR_DATA to it"
    )
    warnings.warn(message, SimulatedDataWarning, stacklevel=3)
    from peculiar.sources.simulated import simulate  # for the few without the file

    simulation = simulate(COUNT)
    return simulation.pictures, simulation.labels


def _check(path: Path) -> NpzSource:
    source = NpzSource(path)
    if source.shape[1:] != (SIDE, SIDE, 3) or len(source.answers) != len(FOUR_CLASS.answers):
        labels = "none" if source.one_hot is None else source.one_hot.shape
        message = (
            f"{path}: the exercise needs data (n, {SIDE}, {SIDE}, 3) and labels (n, 4), received data {source.shape} "
            f"and labels {labels}"
        )
        raise DataError(message)
    return source
