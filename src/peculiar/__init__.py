"""peculiar finds the odd galaxies.

The names below are loaded on first use, so that importing peculiar costs nothing. The functions that do a command's
work live in the module of the same name: ``peculiar.sources.split.split``, ``peculiar.exercise.train.train`` ...
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peculiar.catalogs.catalog import Catalog, open_catalog
    from peculiar.catalogs.predict import predict
    from peculiar.exercise.filters import visualize_activations
    from peculiar.exercise.run_folder import Arguments, load_run
    from peculiar.images.decode import Framing
    from peculiar.questions.question import CLEAN5, FOUR_CLASS, Question
    from peculiar.sources import load_galaxy_data, open_mosaic, open_source, simulate, simulate_galaxy
    from peculiar.sources.stream import Dataset, Galaxy, Source, read_dataset

_HOMES = {
    "load_galaxy_data": "sources",
    "open_source": "sources",
    "open_mosaic": "sources",
    "simulate": "sources",
    "simulate_galaxy": "sources",
    "read_dataset": "sources.stream",
    "Dataset": "sources.stream",
    "Galaxy": "sources.stream",
    "Source": "sources.stream",
    "Framing": "images.decode",
    "Question": "questions.question",
    "FOUR_CLASS": "questions.question",
    "CLEAN5": "questions.question",
    "ODD": "questions.question",
    "load_model": "models.model_file",
    "predict": "catalogs.predict",
    "open_catalog": "catalogs.catalog",
    "Catalog": "catalogs.catalog",
    "check": "checks.check",
    "Arguments": "exercise.run_folder",
    "load_run": "exercise.run_folder",
    "visualize_activations": "exercise.filters",
}

# A function that shared its name with a module could not stand here: once the module is imported, it would hide it.
_MODULES = {
    "split": "sources.split",
    "train": "exercise.train",
    "export": "training.export",
    "evaluate": "metrics.scores",
    "calibrate": "metrics.calibration",
    "explain": "exercise.filters",
    "plots": "reports.plots",
    "demo": "exercise.demo",
    "errors": "errors",
}

__all__ = [
    "load_galaxy_data",
    "open_source",
    "open_mosaic",
    "simulate",
    "simulate_galaxy",
    "read_dataset",
    "Dataset",
    "Galaxy",
    "Source",
    "Framing",
    "Question",
    "FOUR_CLASS",
    "CLEAN5",
    "ODD",
    "load_model",
    "predict",
    "open_catalog",
    "Catalog",
    "check",
    "Arguments",
    "load_run",
    "visualize_activations",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES and name not in _MODULES:
        message = f"module 'peculiar' has no attribute {name!r}"
        raise AttributeError(message)
    home = (_HOMES | _MODULES)[name]
    try:
        module = importlib.import_module(f"peculiar.{home}")
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "accelerate", "safetensors", "onnx", "onnxscript"):
            raise
        from peculiar.errors import MissingExtraError

        raise MissingExtraError(f"peculiar.{name}", "exercise" if home.startswith("exercise.") else "train") from error
    return getattr(module, name) if name in _HOMES else module


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
