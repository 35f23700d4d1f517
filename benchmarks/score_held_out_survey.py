"""Measure the gain of imitating other surveys in training: trained on SDSS alone, tested on DECaLS.

    python benchmarks/score_held_out_survey.py [--epochs 6]

Two runs with the same seed train on SDSS galaxies alone, one without the changes of flux, colour, contrast, sharpness
and noise (`peculiar.training.augment`). Both are scored on the DECaLS galaxies outside the test part: ringed or not.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch

from machine import data_folder, describe, make_parser, record
from peculiar.questions.question import CLEAN5, FOUR_CLASS, ODD
from peculiar.sources import Source, open_source
from peculiar.sources.answers import Answered, read_answered
from peculiar.sources.split import Split
from peculiar.training import augment
from peculiar.training.epochs import Loop
from peculiar.training.parts import split_galaxies
from peculiar.training.recipe import Recipe, RunRecord
from peculiar.training.watch import Watcher
from peculiar.training.weights import to_input
from score_model import auc_of, interval


def take(galaxies: Answered, rows) -> Answered:
    return Answered(
        galaxies.questions,
        [galaxies.ids[row] for row in rows],
        galaxies.origins[rows],
        galaxies.pictures[rows],
        {name: labels[rows] for name, labels in galaxies.labels.items()},
        {name: trust[rows] for name, trust in galaxies.trust.items()},
        {name: [bases[row] for row in rows] for name, bases in galaxies.bases.items()},
        [galaxies.surveys[row] for row in rows],
    )


def read_parted(recipe: Recipe) -> tuple[Answered, list[Source], Split]:
    """Return all labelled galaxies as in training, stamps before native frames, with their sources and parts."""
    sources = [open_source(data_folder() / "stamps"), open_source(data_folder() / "odd_native.parquet")]
    galaxies = read_answered(sources, (FOUR_CLASS, CLEAN5, ODD), recipe.training_framing)
    return galaxies, sources, split_galaxies(galaxies, sources, recipe)[0]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    machine = describe("torch", "numpy")
    recipe = Recipe(epochs=options.epochs)
    galaxies, sources, parts = read_parted(recipe)
    surveys = np.array(galaxies.surveys)
    known = take(galaxies, np.setdiff1d(np.flatnonzero(surveys == "sdss"), parts.test))
    tried = np.setdiff1d(np.flatnonzero((surveys == "decals") & (galaxies.origins == 0)), parts.test)
    rim = (galaxies.pictures.shape[1] - recipe.size) // 2
    pictures = galaxies.pictures[tried][:, rim:-rim, rim:-rim]
    labels = galaxies.labels["four_class"][tried]
    del galaxies
    relight = augment._relight
    rows = []
    for name, look in (("with the looks of other surveys", relight), ("without", lambda seen: seen)):
        augment._relight = look
        with tempfile.TemporaryDirectory() as folder:
            own, _ = split_galaxies(known, sources, recipe)
            note = RunRecord(
                recipe=recipe, questions=known.questions, data=("sdss",), data_digest="", split_digest="",
                counts={}, duplicates=0, versions={},
            )  # fmt: skip
            run = Loop(known, own, note, Path(folder) / "run", Watcher())
            run.run()
        with torch.inference_mode():
            parts_of = [
                torch.softmax(
                    run.average(to_input(torch.from_numpy(np.ascontiguousarray(some)), run.device))["four_class"], 1
                )
                for some in np.array_split(pictures, 8)
            ]
        found = interval(auc_of(1), labels, torch.cat(parts_of).numpy())
        for bound in ("value", "low", "high"):
            rows.append((f"DECaLS rings, trained on SDSS {name}, AUC {bound}", found[bound], ""))
    record(machine, *rows)


if __name__ == "__main__":
    main()
