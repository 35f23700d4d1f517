"""Recognise companion images, which are not galaxies: weights, errors, masks, models, backgrounds.

They are recognised by the header, by the name of the extension, and by the name of a file beside its image.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

_NOUNS = (
    # exposure and weight of a pixel
    *("w(ei?gh)?ts?", "wht", "wei", "t?exp(wt|osures?|time)?", "nexp", "nobs", "nimages?", "nframes?", "num"),
    *("cov(erage)?", "hits?", "rrhr", "depth", "galdepth", "conf(idence)?", "cnt", "area", "ctx", "con(text)?"),
    # uncertainty of a pixel
    *("(inv|i)?var(iances?)?", "err(ors?)?", "unc(ert(ainty|ainties)?)?", "rms", "sig(ma)?", "std(dev)?", "stdev"),
    *("(r|rd|read)?noise", "snr", "quality", "gain"),
    # bad pixels and segmentation
    *("[a-z]*masks?(bits)?", "msk", "flags?", "dq", "dqf", "bpm", "bad(pix)?"),
    *("seg(m(ent(s|ation)?)?)?", "apertures?", "blobs?"),
    # products of the image
    *("psf(ex|size)?", "models?", "mod", "blobmodels?", "resid(uals?)?", "chi2?", "chisq"),
    *("(mini)?(bkg|bg|sky)(mod(el)?|rms)?", "skybg", "(mini)?back(ground|grnd)?", "wcsdvarr", "d2imarr"),
)
_NOUN = re.compile(rf"m?(2d)?({'|'.join(_NOUNS)})(map|maps|image|img|\d)?")
_CALIBRATION = re.compile(r"bias|dark|(dome|twilight|sky)?flat|zero|arc|lamp|fringe")

# Of two files that differ only in such words, the one with these is the image; in other files they mean nothing.
_IMAGE = re.compile(
    r"sci(ence)?|images?|imgs?|im|data|dr[zc]|flux|int|maic|(bg|bkg|sky)sub|mosaic|coadd|stack|stamps?|cutouts?|maps?"
)
_TAKEN_OFF = {"sub", "subtracted", "subtraction", "minus", "free"}

# Keywords in which a header may state the kind of its image.
_KINDS = ("HDUCLAS1", "HDUCLAS2", "HDUCLAS3", "EXTTYPE", "PRODTYPE", "PRODCATG", "IMTYPE", "DATATYPE", "CONTENT")
_FRAMES = ("IMAGETYP", "OBSTYPE", "IMGTYPE")

_TIMES = {"s", "sec", "secs", "second", "seconds", "ks", "min", "hr", "hour", "hours"}
_COUNTED = {"kg", "mgy", "ct", "adu", "electron", "DN", "ph"}


def companion_kind(header: Any) -> str:
    """Return what makes an image a companion of another, such as "EXTNAME WHT"; empty if it is an image itself.

    Parameters
    ----------
    header : astropy.io.fits.Header
    """
    for key in (*_KINDS, *_FRAMES, "EXTNAME"):
        words = _words(header.get(key, ""))
        if _tell(words) or (key in _FRAMES and any(_CALIBRATION.fullmatch(word) for word in words)):
            return f"{key} {header[key]}"
    # GALFIT names its products in the keyword of the object.
    if re.fullmatch(r"model|residual( map)?", str(header.get("OBJECT", "")).strip().lower()):
        return f"OBJECT {header['OBJECT']}"
    return f"BUNIT {header['BUNIT']}" if _unit_of_companion(str(header.get("BUNIT", "")).strip()) else ""


def header_words(header: Any) -> list[str]:
    """Return the words of a header that name a companion, in lower case."""
    return [word for key in (*_KINDS, "EXTNAME") for word in _tell(_words(header.get(key, "")))]


@lru_cache(maxsize=64)
def _unit_of_companion(text: str) -> bool:
    """Return whether a unit is one of time (exposure) or a square (variance, or inverse variance)."""
    if not text:
        return False
    if text.lower() in _TIMES:
        return True
    from astropy import units

    unit = units.Unit(re.sub(r"\s*(/\s*pix(el)?|pix(el)?\s*(\^|\*\*)?-1)$", "", text), parse_strict="silent")
    if isinstance(unit, units.UnrecognizedUnit):
        return False
    parts = unit.decompose()
    return any(base.name in _COUNTED and abs(power) == 2 for base, power in zip(parts.bases, parts.powers, strict=True))


def companion_files(files: Iterable[Path], root: Path, bands: Iterable[str]) -> Mapping[Path, str]:
    """Find the files whose names make them companions of another file: "m_wht.fits" beside "m_sci.fits".

    Parameters
    ----------
    files : iterable of path
    root : path
        The folder that all of them are in.
    bands : iterable of str
        Names of bands, in lower case: one mask may apply to all bands.

    Returns
    -------
    mapping of path to str
        By file, the words that make it a companion.
    """
    named = [_Named.of(file, root, frozenset(bands)) for file in files]
    images = {one.key for one in named if not one.told}
    return {one.file: " ".join(one.told) for one in named if one.told and one.key in images}


def companions_of(files: Iterable[Path], root: Path, bands: Iterable[str]) -> Mapping[Path, Mapping[Path, list[str]]]:
    """Find the companions of each file by their names; see `companion_files`.

    Returns
    -------
    mapping of path to mapping of path to list of str
        By file, its companions, each with the words that make it one. One with a band belongs to images of that band.
    """
    named = [_Named.of(file, root, frozenset(bands)) for file in files]
    found: dict[Path, dict[Path, list[str]]] = {}
    by_key: dict[tuple[str, ...], list[_Named]] = {}
    for one in named:
        if one.told:
            by_key.setdefault(one.key, []).append(one)
    for image in named:
        for one in by_key.get(image.key, ()) if not image.told else ():
            if not one.bands or not image.bands or one.bands == image.bands:
                found.setdefault(image.file, {})[one.file] = one.told
    return found


class _Named(NamedTuple):
    """Words in the name of a file: of its galaxy, of a companion, and of its band."""

    file: Path
    key: tuple[str, ...]
    told: list[str]
    bands: frozenset[str]

    @classmethod
    def of(cls, file: Path, root: Path, known: frozenset[str]) -> "_Named":
        parts = [_words(part) for part in (*file.parent.relative_to(root).parts, _stem(file))]
        key = tuple(filter(None, (_plain(words, known) for words in parts)))
        told = [word for words in parts for word in _tell(words)]
        return cls(file, key, told, known.intersection(*[[word for words in parts for word in words]]))


def companion_words(file: Path) -> list[str]:
    """Return the words in a file's name that name a companion."""
    return _tell(_words(_stem(file)))


def _stem(file: Path) -> str:
    return re.sub(r"\.(fits|fit|fts)(\.\w+)?$", "", file.name, flags=re.IGNORECASE)


def _words(text: object) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", str(text).lower()) if word]


def _tell(words: list[str]) -> list[str]:
    """Return the words that name a companion; none for "sky subtracted"."""
    return [] if _TAKEN_OFF & {*words} else [word for word in words if _NOUN.fullmatch(word)]


def _plain(words: list[str], bands: frozenset[str]) -> str:
    """Return a name without the words for companions, images and bands."""
    return "-".join(word for word in words if not (_NOUN.fullmatch(word) or _IMAGE.fullmatch(word) or word in bands))
