"""The folder of the cache."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Return the folder of the cache: ``$PECULIAR_CACHE``, or the cache folder of the system."""
    return Path(os.environ.get("PECULIAR_CACHE") or platformdirs.user_cache_dir("peculiar"))
