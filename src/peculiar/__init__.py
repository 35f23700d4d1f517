"""peculiar finds the odd galaxies.

Every command of the command line is a function here, of the same name. Names are loaded on first use, so that importing
peculiar costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

__all__ = [
    # Classify, and work with a catalogue.
    "predict",
    "Catalog",
    "explain",
    "known",
    "Known",
    "measure",
    "publish",
    # Judge a model, and a set of galaxies.
    "evaluate",
    "Assessment",
    "compare",
    "Comparison",
    "compare_classes",
    "check",
    "check_files",
    "verify",
    "Verification",
    "draw_verification_sample",
    # Learn.
    "train",
    "teach",
    "export",
    "calibrate",
    "load_model",
    "Model",
    "load_run",
    "Run",
    # Label.
    "label",
    "open_desk",
    "Desk",
    "export_labels",
    "import_labels",
    "agreement",
    "consensus",
    "Consensus",
    # Galaxies: where they come from, and in which form.
    "open_source",
    "open_mosaic",
    "read_dataset",
    "describe",
    "get",
    "get_cutouts",
    "simulate",
    "pack",
    "convert",
    "Source",
    "Dataset",
    "Framing",
    "Question",
    "FOUR_CLASS",
    "CLEAN5",
    "ODD",
    # The exercise.
    "demo",
    "load_galaxy_data",
    "Arguments",
    "visualize_activations",
]

# What a type checker sees. The test of the public names compares it with what is loaded below.
if TYPE_CHECKING:
    from peculiar.catalogs.catalog import Catalog
    from peculiar.catalogs.integrity import check_files
    from peculiar.catalogs.known import Known, known
    from peculiar.catalogs.predict import predict
    from peculiar.catalogs.publish import publish
    from peculiar.catalogs.teach import teach
    from peculiar.checks.check import check
    from peculiar.evaluation.agreement import compare_classes
    from peculiar.evaluation.compare import Comparison, compare
    from peculiar.evaluation.evaluate import Assessment, evaluate
    from peculiar.exercise.demo import demo
    from peculiar.exercise.filters import visualize_activations
    from peculiar.exercise.run_folder import Arguments, load_run
    from peculiar.images.framing import Framing
    from peculiar.labelling.answers import agreement, export_labels, import_labels
    from peculiar.labelling.consensus import Consensus, consensus
    from peculiar.labelling.web.desk import Desk, open_desk
    from peculiar.labelling.web.serve import label
    from peculiar.measurement.measure import measure
    from peculiar.models.calibrate import calibrate
    from peculiar.models.explain import explain
    from peculiar.models.model_file import Model, load_model
    from peculiar.questions.question import CLEAN5, FOUR_CLASS, ODD, Question
    from peculiar.sources import open_mosaic, open_source
    from peculiar.sources.dataset import Dataset, read_dataset
    from peculiar.sources.exercise import load_galaxy_data
    from peculiar.sources.get import describe, get, get_cutouts
    from peculiar.sources.pack import pack
    from peculiar.sources.simulated import simulate
    from peculiar.sources.stream import Source
    from peculiar.tables.convert import convert
    from peculiar.training.export import export
    from peculiar.training.run import Run
    from peculiar.training.train import train
    from peculiar.verification.sample import draw_verification_sample
    from peculiar.verification.verify import Verification, verify
else:
    _HOMES = {
        "catalogs.catalog": ("Catalog",),
        "catalogs.known": ("Known", "known"),
        "catalogs.predict": ("predict",),
        "catalogs.publish": ("publish",),
        "catalogs.teach": ("teach",),
        "catalogs.integrity": ("check_files",),
        "checks.check": ("check",),
        "evaluation.agreement": ("compare_classes",),
        "evaluation.compare": ("Comparison", "compare"),
        "evaluation.evaluate": ("Assessment", "evaluate"),
        "verification.verify": ("Verification", "verify"),
        "verification.sample": ("draw_verification_sample",),
        "exercise.demo": ("demo",),
        "exercise.filters": ("visualize_activations",),
        "exercise.run_folder": ("Arguments", "load_run"),
        "images.framing": ("Framing",),
        "labelling.answers": ("agreement", "export_labels", "import_labels"),
        "labelling.consensus": ("Consensus", "consensus"),
        "labelling.web.desk": ("Desk", "open_desk"),
        "labelling.web.serve": ("label",),
        "measurement.measure": ("measure",),
        "models.calibrate": ("calibrate",),
        "models.explain": ("explain",),
        "models.model_file": ("Model", "load_model"),
        "questions.question": ("CLEAN5", "FOUR_CLASS", "ODD", "Question"),
        "sources": ("open_mosaic", "open_source"),
        "sources.dataset": ("Dataset", "read_dataset"),
        "sources.exercise": ("load_galaxy_data",),
        "sources.get": ("describe", "get", "get_cutouts"),
        "sources.pack": ("pack",),
        "sources.simulated": ("simulate",),
        "sources.stream": ("Source",),
        "tables.convert": ("convert",),
        "training.export": ("export",),
        "training.run": ("Run",),
        "training.train": ("train",),
    }
    _HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

    # The extra that a room may need as soon as it is imported.
    _EXTRAS = {"training": "train", "models": "train", "exercise": "exercise", "labelling": "web"}

    def __getattr__(name):
        if name not in _HOME_OF:
            message = f"module 'peculiar' has no attribute {name!r}"
            raise AttributeError(message)
        home = _HOME_OF[name]
        try:
            return getattr(importlib.import_module(f"peculiar.{home}"), name)
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get(home.partition(".")[0])
            if extra is None or (error.name or "").startswith("peculiar"):
                raise
            from peculiar.errors import MissingExtraError

            raise MissingExtraError(f"peculiar.{name}", extra) from error

    def __dir__():
        return sorted([*globals(), *__all__])
