"""`peculiar info`: versions, device and cache."""

import os
import platform
from importlib import metadata

from peculiar.cli.options import Json
from peculiar.cli.terminal import print_json, print_table


def info(as_json: Json = False) -> None:
    """Print versions, device and cache: for bug reports."""
    from peculiar.cache import cache_folder

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
        "device": _device(),
    }
    if as_json:
        print_json(result)
    else:
        print_table([[key, "not installed" if value is None else str(value)] for key, value in result.items()])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _device() -> str:
    try:
        import torch
    except ImportError:
        return "cpu"
    if torch.cuda.is_available():
        return f"cuda ({torch.cuda.device_count()} x {torch.cuda.get_device_name()})"
    return "mps" if torch.backends.mps.is_available() else f"cpu ({torch.get_num_threads()} threads)"
