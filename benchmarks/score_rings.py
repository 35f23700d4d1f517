"""Measure ring scores within DECaLS by cross-validation, because the test part has only 48 of these galaxies.

    python benchmarks/score_rings.py [--folds 3] [--epochs 8] [--others 6000]

For each fold a network is trained like the first training of the model that ships (ImageNet weights, labels only), on
the galaxies with one of the four classes outside the fold and on some of the others, and scored on the fold. The
networks are discarded and no choice is based on the result, so galaxies of the test part may be included. With shorter
training and no teachers, this is an estimate for the recipe, not a score of the model.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold

from machine import describe, make_parser, record
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources.split import Split
from peculiar.training.epochs import Loop
from peculiar.training.recipe import Recipe, RunRecord
from peculiar.training.watch import Watcher
from peculiar.training.weights import to_input
from score_held_out_survey import read_parted
from score_model import auc_of, interval


class Told(Watcher):
    """Listener that prints the score on the held-out galaxies after every epoch."""

    def __init__(self, ask, labels) -> None:
        self.ask, self.labels, self.score = ask, labels, auc_of(1)

    def epoch(self, line) -> None:
        print(line["epoch"], line["seconds"], round(float(self.score(self.labels, self.ask())), 3), flush=True)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--others", type=int, default=6_000)
    options = parser.parse_args()
    machine = describe("torch", "numpy")
    recipe = Recipe(epochs=options.epochs)
    galaxies, _, parts = read_parted(recipe)
    ids, decals = np.array(galaxies.ids), np.array(galaxies.surveys) == "decals"
    labels = galaxies.labels["four_class"]
    stamps = np.flatnonzero(decals & (galaxies.origins == 0))
    rim = (galaxies.pictures.shape[1] - recipe.size) // 2
    inside = slice(rim, rim + recipe.size)
    random = np.random.default_rng(recipe.seed)
    answered = np.setdiff1d(parts.training[labels[parts.training] >= 0], np.flatnonzero(decals))
    others = random.choice(parts.training[labels[parts.training] < 0], options.others, replace=False)
    chances = np.empty((len(stamps), len(FOUR_CLASS.answers)), np.float32)
    folds = StratifiedKFold(options.folds, shuffle=True, random_state=recipe.seed).split(stamps, labels[stamps])
    for seen, unseen in folds:
        held, known = stamps[unseen], np.flatnonzero(decals & np.isin(ids, ids[stamps[seen]]))
        validation = parts.validation[~decals[parts.validation]]
        own = Split(np.concatenate([answered, others, known]), validation)
        note = RunRecord(
            recipe=recipe, questions=galaxies.questions, data=("decals",), data_digest="", split_digest="",
            counts={}, duplicates=0, versions={},
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            run = Loop(galaxies, own, note, Path(folder) / "run", Watcher())

            def ask(run=run, held=held):
                with torch.inference_mode():
                    seen_by_it = to_input(torch.from_numpy(galaxies.pictures[held][:, inside, inside]), run.device)
                    return torch.softmax(run.average(seen_by_it)["four_class"], 1).numpy()

            run.watcher = Told(ask, labels[held])
            run.run()
            chances[unseen] = ask()
    found = interval(auc_of(1), labels[stamps], chances)
    outside = ~np.isin(stamps, parts.test)
    of_test = interval(auc_of(1), labels[stamps][~outside], chances[~outside])
    of_others = interval(auc_of(1), labels[stamps][outside], chances[outside])
    rows = [
        (f"rings within DECaLS, cross-validated, {what}, AUC {bound}", score[bound], "")
        for what, score in (("all", found), ("of the test part", of_test), ("of the others", of_others))
        for bound in ("value", "low", "high")
    ]
    record(machine, *rows)


if __name__ == "__main__":
    main()
