"""peculiar finds the odd galaxies.

Public names are loaded on first use, so that importing peculiar costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peculiar.demo import demo
    from peculiar.evaluate import Scores, evaluate
    from peculiar.explain import Activation, visualize_activations
    from peculiar.image import Framing
    from peculiar.predict import Predictions, predict
    from peculiar.run import Arguments, TrainedNet, load_run
    from peculiar.schema import CLEAN5, FOUR_CLASS, Question
    from peculiar.sources import Galaxy, Source, load_galaxy_data, open_source, simulate, simulate_galaxy
    from peculiar.sources.stream import Dataset, read_dataset
    from peculiar.split import Split, split
    from peculiar.train import Trained, train

_HOMES = {
    "load_galaxy_data": "sources",
    "open_source": "sources",
    "simulate": "sources",
    "simulate_galaxy": "sources",
    "Galaxy": "sources",
    "Source": "sources",
    "Dataset": "sources.stream",
    "read_dataset": "sources.stream",
    "Framing": "image",
    "Question": "schema",
    "FOUR_CLASS": "schema",
    "CLEAN5": "schema",
    "split": "split",
    "Split": "split",
    "train": "train",
    "Trained": "train",
    "Arguments": "run",
    "TrainedNet": "run",
    "load_run": "run",
    "predict": "predict",
    "Predictions": "predict",
    "evaluate": "evaluate",
    "Scores": "evaluate",
    "visualize_activations": "explain",
    "Activation": "explain",
    "demo": "demo",
}

__all__ = [
    "load_galaxy_data",
    "open_source",
    "simulate",
    "simulate_galaxy",
    "Galaxy",
    "Source",
    "Dataset",
    "read_dataset",
    "Framing",
    "Question",
    "FOUR_CLASS",
    "CLEAN5",
    "split",
    "Split",
    "train",
    "Trained",
    "Arguments",
    "TrainedNet",
    "load_run",
    "predict",
    "Predictions",
    "evaluate",
    "Scores",
    "visualize_activations",
    "Activation",
    "demo",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module 'peculiar' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"peculiar.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
