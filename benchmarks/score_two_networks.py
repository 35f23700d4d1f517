"""Compare the exercise's network and a model file on the same galaxies, which neither was trained on.

    python benchmarks/score_two_networks.py MODEL.onnx RUN [--out two_networks.json]

The galaxies are those of the exercise's file in the test part of RUN; the exercise's network is trained on the others,
as in the exercise (8 epochs, batches of 5), with five seeds.
"""

import argparse
import csv
import json
import tempfile
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score

from machine import data_folder
from peculiar import load_galaxy_data
from peculiar.exercise.run_folder import Arguments
from peculiar.exercise.train import train
from peculiar.images.framing import frame_pixels
from peculiar.models.model_file import load_model
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources import open_source
from peculiar.sources.dataset import Dataset

SEEDS = range(222, 227)


def scores(labels, chances):
    chosen = chances.argmax(1)
    recalls = recall_score(labels, chosen, average=None)
    return {
        "accuracy": float((chosen == labels).mean()),
        "balanced accuracy": float(balanced_accuracy_score(labels, chosen)),
        "AUC, one against rest": float(roc_auc_score(labels, chances, multi_class="ovr")),
        **{f"recall of {answer}": float(value) for answer, value in zip(FOUR_CLASS.answers, recalls, strict=True)},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with (options.run / "split.csv").open(newline="") as file:
        test = {row["id"] for row in csv.DictReader(file) if row["part"] == "test"}
    native = open_source(data_folder() / "odd_native.parquet")
    ids = [row.id for row in native.rows()]  # in the order of the exercise's file
    pictures, one_hot = load_galaxy_data(data_folder() / "galaxydata.npz")
    labels = one_hot.argmax(1)
    held = np.array([id_ in test for id_ in ids])
    others = Dataset(FOUR_CLASS, [id_ for id_ in ids if id_ not in test], pictures[~held], labels[~held], {})
    found = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            trained = train(others, Path(folder) / "run", Arguments(seed=seed))
            found.append(scores(labels[held], trained.model.probabilities(pictures[held])))
    model = load_model(options.model)
    framed = np.stack([frame_pixels(picture, model.framing) for picture in pictures[held]])
    full = np.stack([one.picture for one, out in zip(native.galaxies(model.framing), held, strict=True) if out])
    result = {
        "galaxies": int(held.sum()),
        "digest": model.card.digest,
        "exercise": {name: round(float(np.median([one[name] for one in found])), 4) for name in found[0]},
        "model": {k: round(v, 4) for k, v in scores(labels[held], model.asking().probabilities(framed)).items()},
        "model, native frames": {
            k: round(v, 4) for k, v in scores(labels[held], model.asking().probabilities(full)).items()
        },
    }
    text = json.dumps(result, indent=2) + "\n"
    if options.out:
        options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
