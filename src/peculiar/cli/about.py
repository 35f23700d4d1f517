"""`peculiar info` and `peculiar check-files`."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from peculiar.cli.options import Json
from peculiar.cli.progress import counting
from peculiar.cli.terminal import err, out, print_json, print_table
from peculiar.text import counted

INFO_EXAMPLES = ("peculiar info --json",)
CHECK_EXAMPLES = ("peculiar check-files catalog.parquet mine.onnx labels.db",)


def info(as_json: Json = False) -> None:
    """Print versions, device and cache, for bug reports."""
    from peculiar.files.cache import cache_folder
    from peculiar.models.devices import choose, devices

    result = {
        "peculiar": metadata.version("peculiar"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "cache": str(cache_folder()),
        "PECULIAR_DATA": os.environ.get("PECULIAR_DATA") or "not set",
        **{
            name: _version(name)
            for name in ("numpy", "onnxruntime", "pillow", "pyarrow", "astropy", "scikit-learn", "simplejpeg", "numba")
        },
        **{name: _version(name) for name in ("torch", "accelerate", "safetensors", "keras")},
        "device": str(choose()),
        "devices": ", ".join(devices()),
        "device of training": _training_device(),
    }
    if as_json:
        print_json(result)
    else:
        print_table([[key, "not installed" if value is None else str(value)] for key, value in result.items()])


def check_files(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Catalogues, folders of parts, model files, databases of answers, or other files of peculiar.",
            show_default=False,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Check that files are complete and unchanged: checksums, numbers of rows, readability.

    The exit status is 1 if anything is wrong.
    """
    from peculiar.catalogs.integrity import check_files as run_check

    with counting("checking") as progress:
        found = [one for path in paths for one in run_check(path, progress=progress)]
    wrong = [one for one in found if one.problems]
    if as_json:
        print_json({"files": [one.as_dict() for one in found], "wrong": len(wrong)})
    else:
        for one in found:
            for problem in one.problems:
                err.print(f"{one.path}: {problem}")
            if not one.problems and one.kind != "part":
                rows = "" if one.rows is None else f", {counted(one.rows, 'row')}"
                out.print(f"{one.path}: complete{rows}{', unchanged' if one.checksum else ''}")
        out.print(f"{counted(len(found), 'file')}, {len(wrong):,} with problems")
    if wrong:
        raise typer.Exit(1)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _training_device() -> str | None:
    try:
        import torch
    except ImportError:
        return None
    if torch.cuda.is_available():
        return f"cuda ({torch.cuda.device_count()} x {torch.cuda.get_device_name()})"
    return "mps" if torch.backends.mps.is_available() else f"cpu ({torch.get_num_threads()} threads)"
