"""Compare the scores of the exercise over several seeds: peculiar's network, and the same network trained by Keras.

Both use the exercise's split; the seed decides the first weights and the order of the galaxies. The last lines give the
significance of the difference of the two distributions of scores (Mann-Whitney U, two-sided).
"""

import os
import statistics
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch
from scipy.stats import mannwhitneyu

from machine import data_folder, describe, make_parser, record
from peculiar import load_galaxy_data
from peculiar.exercise.keras_network import to_keras
from peculiar.exercise.network import Network
from peculiar.exercise.run_folder import Arguments
from peculiar.exercise.train import train
from peculiar.sources import open_source
from peculiar.sources.dataset import read_dataset
from peculiar.sources.split import split


def with_keras(seed: int, epochs: int) -> tuple[float, float]:
    """Train the Keras network by `model.fit`; return validation accuracy and AUC after the last epoch."""
    keras.utils.set_random_seed(seed)
    data, labels = load_galaxy_data(data_folder() / "galaxydata.npz")
    parts = split(labels)
    pictures = data.astype(np.float32) / 255
    # Keras's own first weights: its initialisers build the network a second time.
    model = keras.models.clone_model(to_keras(Network()))
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.001),
        loss=keras.losses.CategoricalCrossentropy(),
        metrics=[keras.metrics.CategoricalAccuracy(), keras.metrics.AUC(name="auc")],
    )
    history = model.fit(
        pictures[parts.training],
        labels[parts.training],
        batch_size=5,
        epochs=epochs,
        validation_data=(pictures[parts.validation], labels[parts.validation]),
        verbose=0,
    ).history
    return history["val_categorical_accuracy"][-1], history["val_auc"][-1]


def with_peculiar(seed: int, epochs: int) -> tuple[float, float]:
    """Train the exercise's network; return validation accuracy and AUC after the last epoch."""
    galaxies = read_dataset(open_source(data_folder() / "galaxydata.npz"))
    with tempfile.TemporaryDirectory() as folder:
        trained = train(galaxies, Path(folder) / "run", Arguments(seed=seed, epochs=epochs))
    last = trained.history[-1]
    return last["val_categorical_accuracy"], last["val_auc"]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[222, 223, 224, 225, 226])
    arguments = parser.parse_args()
    machine = describe("torch", "keras", "numpy")
    torch.set_num_threads(1)
    scores: dict[str, list[tuple[float, float]]] = {"peculiar": [], "keras": []}
    for seed in arguments.seeds:
        for name, run in (("peculiar", with_peculiar), ("keras", with_keras)):
            scores[name].append(run(seed, arguments.epochs))
            print(
                f"{name:9} seed {seed}: accuracy {scores[name][-1][0]:.3f}, AUC {scores[name][-1][1]:.3f}", flush=True
            )
    rows = []
    for number, what in enumerate(("validation accuracy", "validation AUC (pooled)")):
        ours, theirs = ([one[number] for one in scores[name]] for name in ("peculiar", "keras"))
        for name, values in (("peculiar", ours), ("keras", theirs)):
            rows.append((f"{what}, {name}, median of {len(values)} seeds", statistics.median(values), ""))
            rows.append((f"{what}, {name}, lowest", min(values), ""))
            rows.append((f"{what}, {name}, highest", max(values), ""))
        rows.append((f"{what}, p that both are alike", float(mannwhitneyu(ours, theirs).pvalue), ""))
    record(machine, *rows)


if __name__ == "__main__":
    main()
