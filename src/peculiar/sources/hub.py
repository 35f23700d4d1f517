"""Repositories of data sets on the Hugging Face hub: which files belong together, and the names of classes.

The header of ``README.md`` lists configurations, each with the files of its splits, and the columns of their tables:
https://huggingface.co/docs/hub/datasets-manual-configuration.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from peculiar.errors import DataError, PeculiarWarning
from peculiar.sources.paths import as_text
from peculiar.text import reason

_CARD = "README.md"

_HEADER_BYTES = 1 << 20

_DEFAULT = "default"


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # it has no types
    """A safe loader without aliases, by which a small text can stand for a huge one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            message = "aliases are not read"
            raise yaml.YAMLError(message)
        return super().compose_node(parent, index)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration of a repository.

    Parameters
    ----------
    name : str
    files : list of path
        The files of its splits, in order; empty if the repository does not list them.
    classes : dict of str to tuple of str
        By column, the names of the classes that its integers stand for.
    """

    name: str
    files: list[Path]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_configuration(folder: Path) -> Configuration | None:
    """Return the configuration of a repository that is read: the default one, otherwise the first.

    Returns
    -------
    Configuration or None
        None if there is no ``README.md`` whose header describes data.

    Raises
    ------
    DataError
        If the header lists files of the configuration, and none of them is there.

    Warns
    -----
    PeculiarWarning
        If the header cannot be read, or files lie elsewhere.
    """
    header = _header(folder / _CARD)
    configs, infos = (_tables(header.get(key)) for key in ("configs", "dataset_info"))
    names = [str(one.get("config_name", _DEFAULT)) for one in configs or infos]
    if not names:
        return None
    chosen = next((n for n, one in zip(names, configs, strict=False) if one.get("default") is True), None)
    name = chosen or (_DEFAULT if _DEFAULT in names else names[0])
    config = next((one for one in configs if str(one.get("config_name", _DEFAULT)) == name), {})
    info = next((one for one in infos if str(one.get("config_name", _DEFAULT)) == name), {})
    patterns = list(_patterns(config.get("data_files")))
    files = list(dict.fromkeys(path for pattern in patterns for path in _matching(folder, pattern)))
    if patterns and not files:
        message = (
            f"{folder / _CARD}: none of the files of the configuration {name!r} is there ({', '.join(patterns[:3])}); "
            "download the repository again, with its data (they may be Git LFS pointers)"
        )
        raise DataError(message)
    return Configuration(name, files, dict(_classes(info)))


def _header(card: Path) -> Mapping[str, Any]:
    """Return the YAML between the first two lines of three hyphens; empty if there is none."""
    if not card.is_file():
        return {}
    with card.open("rb") as file:
        found = re.match(rb"\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|\Z)", file.read(_HEADER_BYTES), re.DOTALL)
    try:
        header = yaml.load(found[1].decode("utf-8"), _Loader) if found else {}  # noqa: S506 - it is a safe loader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        message = f"{card}: its header is no YAML ({reason(error)}), and is ignored"
        warnings.warn(message, PeculiarWarning, stacklevel=4)
        return {}
    return header if isinstance(header, dict) else {}


def _tables(value: Any) -> list[Mapping[str, Any]]:
    """Return one or several tables of the header as a list."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _patterns(data_files: Any) -> Iterator[str]:
    """Yield the patterns of files in any of the forms that the hub takes."""
    if isinstance(data_files, str):
        yield data_files
    elif isinstance(data_files, list):
        for one in data_files:
            yield from _patterns(one.get("path") if isinstance(one, dict) else one)
    elif isinstance(data_files, dict):
        for one in data_files.values():
            yield from _patterns(one)


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a pattern, in the order of their names; none outside the folder."""
    if pattern.startswith(("/", "\\")) or ".." in Path(pattern).parts or "://" in pattern:
        warnings.warn(
            f"{folder / _CARD}: {as_text(pattern)} lies elsewhere, and is not read", PeculiarWarning, stacklevel=5
        )
        return []
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def _classes(info: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the columns of integers that stand for classes, and the names of these, in order."""
    for feature in _tables(info.get("features")):
        described = feature.get("dtype")
        label = described.get("class_label") if isinstance(described, dict) else None
        names = label.get("names") if isinstance(label, dict) else None
        if isinstance(names, dict) and all(str(key).isdecimal() for key in names):
            names = [names[key] for key in sorted(names, key=lambda key: int(str(key)))]
        if isinstance(names, list) and names:
            yield str(feature.get("name")), tuple(map(str, names))
