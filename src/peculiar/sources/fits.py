"""FITS cut-outs: one file or a folder; bands in extensions, cubes or separate files."""

import copy
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from peculiar.errors import DataError
from peculiar.images.companions import companion_files, companions_of
from peculiar.images.coverage import weights_among
from peculiar.images.fits import file_band, known_bands, split_band, split_suffix
from peculiar.images.fits_file import FITS_SUFFIXES
from peculiar.images.linear import read_linear
from peculiar.images.stamps import sky_centre
from peculiar.images.stretch import Stretch, notes_of_fits
from peculiar.images.unstretched import read_unstretched
from peculiar.questions.question import question_for
from peculiar.sources.names import Naming
from peculiar.sources.paths import as_text, files_below, files_digest
from peculiar.sources.stream import Row, Shard, Source, read_flagged

logger = logging.getLogger(__name__)


class FitsSource(Source):
    """FITS pictures below a folder, in alphabetical order, or one single file.

    Files of one folder whose names differ only in the word for the band (``ngc7-g.fits``, ``ngc7-r.fits``) are one
    galaxy, whose id is the name without that word; every other file is a galaxy of its own. Companion images
    (``ngc7_wht.fits`` beside ``ngc7.fits``) are left out, with a warning. `Naming` reads labels from the folders. The
    position of a galaxy is that of the centre of its picture, if the first picture has celestial coordinates.

    Parameters
    ----------
    path : path
        The folder, or the one file.
    files : sequence of path
        The files to use, such as those of `fits_below`.
    bands : sequence of str
        Bands, from the reddest to the bluest; default: by the names in the files.
    stretch : Stretch, optional
        One for all pictures; default: by the unit or noise of each picture.

    Raises
    ------
    DataError
        If there is no FITS file.
    """

    kind = "fits"

    def __init__(
        self, path: Path, files: Sequence[Path], bands: Sequence[str] = (), stretch: Stretch | None = None
    ) -> None:
        self._bands, self._stretch = tuple(bands), stretch
        self._root = path if path.is_dir() else path.parent
        if not files:
            message = f"{path}: there is no FITS file in this folder; expected {', '.join(FITS_SUFFIXES)}"
            raise DataError(message)
        beside = companion_files(files, self._root, known_bands(self._bands))
        if beside:
            first, told = next(iter(beside.items()))
            logger.warning(
                "not used: %d of %d files, which are companion images, such as %s (%s)",
                len(beside),
                len(files),
                first,
                told,
            )
        pictures = sorted(file for file in files if file not in beside)
        companions = companions_of(files, self._root, known_bands(self._bands))
        self._companions = {file: companions[file] for file in pictures if file in companions}
        self._galaxies = list(group_files(pictures, self._root, self._bands).items())
        self._naming = Naming.of(id_ for id_, _ in self._galaxies)
        labels = self._naming.labels
        super().__init__(path, question_for("class", labels).name if labels else None)
        self.positioned = sky_centre(self._galaxies[0][1][0]) is not None
        self.notes = notes_of_fits(self._bands, stretch)
        self._naming.warn_of_parts(path)

    def __len__(self) -> int:
        """Return the number of galaxies."""
        return len(self._galaxies)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield rows whose files are not yet read."""
        for id_, files in self._galaxies[start:stop]:
            beside = {file: self._companions[file] for file in files if file in self._companions}
            weights = {file: weights_among(found) for file, found in beside.items()}
            picture = partial(read_flagged, files, self._bands, self._stretch, weights)
            position = sky_centre(files[0]) if self.positioned else None
            linear = partial(read_linear, files, self._bands, beside)
            unstretched = partial(read_unstretched, files, self._bands)
            yield Row(id_, picture, self._naming.label(id_), position, linear=linear, unstretched=unstretched)

    def ids(self) -> list[str]:
        """Return the id of every galaxy, without opening files."""
        return [id_ for id_, _ in self._galaxies]

    def labels(self) -> list[str | None]:
        """Return the label of every galaxy, without opening files."""
        return [self._naming.label(id_) for id_, _ in self._galaxies]

    def shards(self, rows: int) -> Iterator[Shard]:
        """Yield shards that hold only the paths of their own galaxies."""
        for start in range(0, len(self), rows):
            piece = copy.copy(self)
            piece._galaxies = self._galaxies[start : start + rows]
            own = {file for _, files in piece._galaxies for file in files}
            piece._companions = {file: found for file, found in self._companions.items() if file in own}
            yield Shard(f"{self.name}:{start}-{start + len(piece)}", piece, 0, len(piece))

    def files(self) -> Sequence[Path]:
        """Return the files of all galaxies, with their companions: weight maps and the like."""
        return self._read(0, None)

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when files, bands or stretch do."""
        return files_digest(self._read(start, stop), self._root, self._bands, self._stretch)

    def _read(self, start: int, stop: int | None) -> list[Path]:
        images = [file for _, files in self._galaxies[start:stop] for file in files]
        return [path for file in images for path in (file, *self._companions.get(file, ()))]


def fits_below(folder: Path) -> Iterator[Path]:
    """Return the files below a folder with the suffix of FITS."""
    return (file for file in files_below(folder) if file.name.lower().endswith(FITS_SUFFIXES))


def fits_stem(path: Path, wanted: Sequence[str] = ()) -> str:
    """Return the name of a file without suffixes and without the word for its band, or its folder."""
    split = split_band(path.name, wanted)
    return split[0] if split else path.parent.name if file_band(path, wanted) else split_suffix(path.name)


def group_files(files: Sequence[Path], root: Path, bands: Sequence[str] = ()) -> dict[str, tuple[Path, ...]]:
    """Group the files with the bands of one galaxy, by its id, in the order of the ids."""
    named: dict[tuple[Path, str], list[tuple[str, Path]]] = {}
    for file in files:
        split = split_band(file.name, bands)
        key, band = (file.name, "") if split is None else split
        named.setdefault((file.parent, key), []).append((band.lower(), file))
    galaxies = {}
    for (folder, key), found in named.items():
        if len(found) > 1 and len({band for band, _ in found}) == len(found):
            galaxies[as_text((folder / key).relative_to(root).as_posix())] = tuple(file for _, file in found)
        else:
            galaxies.update((as_text(file.relative_to(root).as_posix()), (file,)) for _, file in found)
    return dict(sorted(galaxies.items()))
