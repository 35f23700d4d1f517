"""Compare fine-tuning of all layers with a new linear head, on questions that are new to the model.

    python benchmarks/score_further.py [--labels 200 500] [--seeds 3] [--first 0] [--epochs N] [--learning-rate X]

There are three questions: whether a galaxy is smooth or has features (votes of Galaxy Zoo 2, close to the model's own
questions), and whether a jet or a cloud was painted on the galaxy (see `score_unknown.py`; far from them). The labelled
galaxies, and the two thousand others that are scored, are new to the model.
"""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from machine import data_folder, describe, make_parser, record
from peculiar.images.decode import decode_picture
from peculiar.metrics.scores import class_auc
from peculiar.models.linear_head import fit_head
from peculiar.models.model_file import load_model
from peculiar.questions.question import Question
from peculiar.sources.split import part_of
from peculiar.training.export import export
from peculiar.training.loop import train_network
from peculiar.training.recipe import make_recipe
from score_unknown import cloud, jet, nothing, painted

SCORED = 2000


def drawn(task, count, seed):
    """Return pictures, as JPEG, and labels: first those for training, then those to score."""
    random = np.random.default_rng(seed)
    stamps = ds.dataset(data_folder() / "stamps")
    truth = stamps.to_table(columns=["id", "gz2_argmax"])
    unseen = np.array(
        [part_of(one, validation_size=0.1, test_size=0.15) != "training" for one in truth["id"].to_pylist()]
    )
    argmax = np.array(truth["gz2_argmax"].to_pylist(), dtype=object)
    kinds = ("smooth", "features") if task == "features" else ("not_odd",)
    rows = random.permutation(np.flatnonzero(unseen & np.isin(argmax, kinds)))[: count + SCORED]
    contents = [one["bytes"] for one in stamps.take(np.sort(rows), columns=["image"])["image"].to_pylist()]
    contents = [contents[place] for place in np.argsort(np.argsort(rows))]
    if task == "features":
        return contents, (argmax[rows] == "features").astype(int)
    labels = random.integers(0, 2, len(rows))
    kind = {"jet": jet, "cloud": cloud}[task]
    return [
        painted(one, kind if label else nothing, random) for one, label in zip(contents, labels, strict=True)
    ], labels


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--tasks", nargs="+", default=["jet", "cloud", "features"])
    parser.add_argument("--labels", type=int, nargs="+", default=[200, 500])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--learning-rate", type=float)
    options = parser.parse_args()
    machine = describe("torch", "numpy")
    model = load_model()
    for task in options.tasks:
        for count in options.labels:
            found = {"a head": [], "all layers": []}
            for seed in range(options.first, options.first + options.seeds):
                contents, labels = drawn(task, count, seed)
                question = Question(task, ("no", "yes"))
                framed = np.stack([decode_picture(one, model.framing) for one in contents])
                embeddings = np.concatenate(
                    [model.classify(some, framed=True).embedding for some in np.array_split(framed, 40)]
                )
                head = fit_head(embeddings[:count], labels[:count], question, seed=seed)
                found["a head"].append(class_auc(labels[count:], head.probabilities(embeddings[count:])[:, 1]))
                with tempfile.TemporaryDirectory() as folder:
                    # New ids: by their own ids all of them would be held out.
                    table = {
                        "id": [f"{task}-{seed}-{row}" for row in range(count)],
                        "image": [{"bytes": one, "path": None} for one in contents[:count]],
                        task: [question.answers[label] for label in labels[:count]],
                    }
                    data, run = Path(folder) / "data.parquet", Path(folder) / "run"
                    pq.write_table(pa.table(table), data)
                    recipe = make_recipe(
                        model, seed=seed, epochs=options.epochs, learning_rate=options.learning_rate, test_size=0.0
                    )
                    train_network([data], run, recipe, questions=[question], start=model)
                    taught = export(run, Path(folder) / "further.onnx")
                    chances = np.concatenate(
                        [
                            taught.classify(some, framed=True).probabilities[task]
                            for some in np.array_split(framed[count:], 40)
                        ]
                    )
                found["all layers"].append(class_auc(labels[count:], chances[:, 1]))
            for name, values in found.items():
                label = f"{task}, {count} labels, {name}: AUC"
                record(
                    machine,
                    (label, np.mean(values), ""),
                    (f"{label}, lowest", min(values), ""),
                    (f"{label}, highest", max(values), ""),
                )


if __name__ == "__main__":
    main()
