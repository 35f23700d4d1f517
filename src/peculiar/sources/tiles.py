"""Group files and extensions into mosaics, by the sky that they show and by their bands."""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, NotFoundError, PictureError
from peculiar.files.places import common_folder, matching, place
from peculiar.images.companions import companion_files, companion_words, companions_of
from peculiar.images.coverage import weights_among
from peculiar.images.fits import TWIST, Plane, find_images, find_planes, known_bands, split_suffix, wavelength
from peculiar.images.fits_file import FitsFile, quietly
from peculiar.images.stamps import Field, Layer
from peculiar.images.wcs import Sky, read_sky
from peculiar.sources.fits import fits_below, fits_stem

logger = logging.getLogger(__name__)

# Number of unused files that are named.
_NAMED = 5


@dataclass(eq=False)
class _Image:
    """One image of a file: a mosaic, one of its bands, or a chip.

    Parameters
    ----------
    layer : Layer
    name : str
        Its name in messages.
    shape : tuple of int
        Height and width.
    sky : Sky or None
        Its coordinates.
    bands : frozenset
        Its known bands.
    primary : bool
        Whether it is the first image of its file.
    compressed : str
        How to decompress the file, if that makes cutting stamps faster.
    """

    layer: Layer
    name: str
    shape: tuple[int, int]
    sky: Sky | None
    bands: frozenset[int | str]
    primary: bool
    compressed: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.layer.path

    @cached_property
    def cap(self) -> tuple[NDArray[np.float64], float]:
        """The centre as a unit vector, and the distance to the farthest corner in radians; pi if unknown."""
        if self.sky is None:
            return np.zeros(3), math.pi
        lon, lat = np.radians(self.sky.positions).T
        points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
        radius = float(np.arccos(np.clip(points @ points[4], -1, 1)).max())
        return points[4], radius if math.isfinite(radius) else math.pi

    def near(self, other: "_Image") -> bool:
        """Return, by a fast test, whether the centre of another image may lie on this one."""
        (one, radius), (two, _) = self.cap, other.cap
        return radius >= math.pi or bool(math.acos(min(1.0, max(-1.0, float(one @ two)))) <= radius)


def find_fields(paths: Sequence[Path], wanted: Sequence[str] = ()) -> list[tuple[Layer, ...]]:
    """Group files and extensions into mosaics.

    Images of different bands with the same pixels on the sky, possibly shifted, form one mosaic. All others are mosaics
    of their own: tiles, and the chips of a camera. Companion images are left out. A warning names unused files.

    Parameters
    ----------
    paths : sequence of path
        FITS files, or folders of them.
    wanted : sequence of str
        Names of bands, or numbers; by numbers files are bands of one mosaic also if no band is named.

    Returns
    -------
    list of tuple of Layer

    Raises
    ------
    DataError
        If there is no image, one is damaged, or two of the same sky and band cannot be distinguished.
    """
    files = _files_of(paths)
    root = common_folder(files)
    beside = companion_files(files, root, known_bands(wanted))
    companions = companions_of(files, root, known_bands(wanted))
    unused = {file.name: f"is a companion image ({told})" for file, told in beside.items()}
    images = []
    for file in files:
        if file not in beside:
            found, reason = _images(file, wanted, companions.get(file, {}))
            images += found
            unused.update({file.name: reason} if reason else {})
    if not images:
        message = f"{paths[0]}: there is no FITS image; {'; '.join(f'{n}: {why}' for n, why in [*unused.items()][:3])}"
        raise DataError(message)
    images = _without_companions(images, unused)
    fields = _distinct(_grouped(images, wanted, unused), wanted, unused)
    _warn(fields, unused)
    return [tuple(image.layer for image in field) for field in fields]


def matching_paths(path: str | os.PathLike[str]) -> list[Path]:
    """Return the path, or if it does not exist, the paths that it matches as a pattern.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    given = place(path)
    found = [given] if given.exists() else matching(given)
    if not found:
        raise NotFoundError(f"there is nothing at {path}; give a FITS mosaic and a table of positions")
    return found


def _files_of(paths: Sequence[Path]) -> list[Path]:
    files = {file.absolute() for path in paths for file in (fits_below(path) if path.is_dir() else [path])}
    if not files:
        message = f"{paths[0]}: there is no FITS file"
        raise DataError(message)
    return sorted(files)


def _images(path: Path, wanted: Sequence[str], companions: Mapping[Path, Sequence[str]]) -> tuple[list[_Image], str]:
    """Return the images of a file, reading only its headers; or why there is none."""
    weights, beside = weights_among(companions), tuple((file, tuple(words)) for file, words in companions.items())
    try:
        with quietly(), FitsFile(path, mapped=True, headers_only=True) as file:
            try:
                numbers = [number for number, _ in find_images(file)] if find_planes(file) else []
            except PictureError as error:
                return [], error.reason
            images = []
            for number in numbers:
                # Statements about the whole file apply to each chip.
                planes = find_planes(file, {number}, wanted)
                hdu, shape = planes[0].hdu, planes[0].shape
                bands = frozenset(band for plane in planes if (band := _band(plane, wanted)))
                unpack = file.packed or ("funpack" if planes[0].compressed else "")
                name = f"{path.name}[{planes[0].label}]" if len(numbers) > 1 else path.name
                sky = read_sky(hdu.header, file.hdus, shape)
                images.append(
                    _Image(Layer(path, number, weights, beside), name, shape, sky, bands, planes[0].primary, unpack)
                )
    except PictureError as error:
        message = f"{path.name}: {error.reason}"
        raise DataError(message) from error
    except DataError:
        raise
    except Exception as error:  # astropy reports damage with various exceptions
        message = f"{path.name}: this file is damaged FITS, or cut short ({error}); download it again"
        raise DataError(message) from error
    return images, "" if images else "holds no image"


def _band(plane: Plane, wanted: Sequence[str]) -> int | str:
    """Return the known band of a plane; the name of its extension alone may be that of a chip."""
    extension = str(plane.hdu.header.get("EXTNAME", "")).strip()
    known = wavelength(plane.name) or plane.name != extension or plane.name.lower() in {*map(str.lower, wanted)}
    return plane.band if known else ""


def _without_companions(images: list[_Image], unused: dict[str, str]) -> list[_Image]:
    """Leave out images with the same edges on the sky as another one, and the name of a companion."""
    doubtful = {id(image) for image in images if companion_words(image.path)}
    clear = [image for image in images if id(image) not in doubtful and image.sky]
    kept = []
    for image in images:
        partner = id(image) in doubtful and next((one for one in clear if _same_sky(one, image)), None)
        if partner:
            unused[image.path.name] = f"has the name of a companion image, of {partner.path.name}"
            words = {image.path: companion_words(image.path)}
            layer = partner.layer
            partner.layer = layer._replace(
                weights=(*layer.weights, *weights_among(words)),
                companions=(*layer.companions, (image.path, tuple(words[image.path]))),
            )
        else:
            kept.append(image)
    return kept


def _grouped(images: Sequence[_Image], wanted: Sequence[str], unused: dict[str, str]) -> list[list[_Image]]:
    """Combine images of different bands with the same pixels."""
    fields: list[list[_Image]] = []
    if not any(image.sky for image in images):  # which the field says
        return [[*images]]
    for image in sorted(images, key=lambda image: image.sky is None):  # stable: in the order of the files
        joined = [field for field in fields if _belongs(image, field, wanted)]
        stem = fits_stem(image.path, wanted)
        if joined:
            best = min(joined, key=lambda field: (fits_stem(field[0].path, wanted) != stem, _distance(field[0], image)))
            best.append(image)
        elif image.sky is None:
            unused[image.name] = "has no celestial coordinates (WCS)"
        elif any(_beside_primary(image, other) for field in fields for other in field):
            unused[image.name] = "shows the band of its file's primary image again"
        else:
            fields.append([image])
    return fields


def _belongs(image: _Image, field: Sequence[_Image], wanted: Sequence[str]) -> bool:
    """Return whether an image is a further band of a mosaic."""
    first, same_file = field[0], all(one.path == image.path for one in field)
    if image.shape != first.shape or any(image.bands & one.bands for one in field):
        return False
    if image.sky is None or first.sky is None:
        return same_file or fits_stem(image.path, wanted) == fits_stem(first.path, wanted)
    named = bool(image.bands) and all(one.bands for one in field)
    numbered = bool(wanted) and all(name.isdecimal() for name in wanted)
    return (same_file or named or numbered) and first.near(image) and first.sky.aligned(image.sky, TWIST)


def _distance(one: _Image, other: _Image) -> float:
    return float(np.linalg.norm(one.cap[0] - other.cap[0]))


def _beside_primary(image: _Image, other: _Image) -> bool:
    return other.primary and other.path == image.path and bool(image.bands & other.bands) and _same_sky(other, image)


def _rivals(one: _Image, other: _Image) -> bool:
    """Return whether two mosaics show the same sky; for different bands also if one is turned or larger."""
    if one.bands and other.bands and not one.bands & other.bands:
        return _distance(one, other) <= min(one.cap[1], other.cap[1]) / 2
    return _same_sky(one, other)


def _same_sky(one: _Image, other: _Image) -> bool:
    return bool(one.sky and other.sky and one.near(other) and one.sky.covers_the_same(other.sky))


def _distinct(fields: list[list[_Image]], wanted: Sequence[str], unused: dict[str, str]) -> list[list[_Image]]:
    """Check that no two mosaics show the same sky, because only one can be meant."""
    kept: list[list[_Image]] = []
    for field in fields:
        rival = next((other for other in kept if _rivals(other[0], field[0])), None)
        if rival is None:
            kept.append(field)
            continue
        one, other = rival[0], field[0]
        if split_suffix(one.path.name) == split_suffix(other.path.name) and one.path != other.path:
            unused.update({image.name: f"is {one.path.name} in another form" for image in field})
        elif one.bands & other.bands or not one.bands or not other.bands:
            if _same_pixels(rival, field, wanted):
                unused.update({image.name: f"has the same pixels as {one.name}" for image in field})
                continue
            message = (
                f"{one.name} and {other.name} show the same sky, and nothing says that they are different bands: which "
                "is meant? Give that one alone, or name the bands (--bands r,g by FILTER or by a word of the file's "
                "name, --bands 2,1 in the order of the files)"
            )
            raise DataError(message)
        else:
            message = (
                f"{one.name} and {other.name} show the same sky in different bands, and differ in shape, scale or "
                "orientation; resample them to the same pixels, or give one alone"
            )
            raise DataError(message)
    return kept


def _same_pixels(one: Sequence[_Image], other: Sequence[_Image], wanted: Sequence[str]) -> bool:
    first, second = (Field([image.layer for image in field], wanted).sample() for field in (one, other))
    return np.array_equal(first, second, equal_nan=True)


def _warn(fields: Sequence[Sequence[_Image]], unused: dict[str, str]) -> None:
    """Warn once about unused and slow files."""
    if unused:
        named = "; ".join(f"{name} {reason}" for name, reason in [*unused.items()][:_NAMED])
        more = f"; and {len(unused) - _NAMED:,} more" if len(unused) > _NAMED else ""
        logger.warning("not used: %s%s", named, more)
    slow = {image.path.name: image.compressed for field in fields for image in field if image.compressed}
    for unpack in sorted({*slow.values()}):
        names = [name for name, how in slow.items() if how == unpack]
        tiles = unpack == "funpack"
        cost = "stamps are cut faster out of a plain file" if tiles else "it is unpacked into memory as a whole"
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        logger.warning("%s%s is compressed: %s (%s)", names[0], more, cost, unpack)
