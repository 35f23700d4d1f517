"""Compare training on vote fractions with training on majority answers, on 492 galaxies of the Galaxy Challenge.

    python benchmarks/score_votes.py [--seeds 3] [--epochs 30]

The model that ships is fine-tuned on the eleven questions of Galaxy Zoo 2, once with vote fractions, once with majority
answers (those with at least five galaxies in the training part, as training requires). The score is the error of the
fractions on the test part, each galaxy weighted by its votes, compared with the mean fraction of the training part,
which ignores the pictures.
"""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from machine import data_folder, describe, make_parser, record
from peculiar.images.decode import decode_picture
from peculiar.models.model_file import load_model
from peculiar.questions.question import Question
from peculiar.questions.question_file import find_tree
from peculiar.questions.votes import deviations
from peculiar.sources import open_source
from peculiar.sources.answers import answers_to, read_votes
from peculiar.sources.labels import told_questions
from peculiar.sources.split import part_of
from peculiar.training.export import export
from peculiar.training.loop import train_network
from peculiar.training.recipe import make_recipe


def interval(votes, probabilities):
    """Return the mean error over the answers, and its 95 % interval over galaxies."""
    random, values = np.random.default_rng(222), []
    for _ in range(1000):
        rows = random.integers(0, len(probabilities), len(probabilities))
        values.append(deviations(votes.of(rows), probabilities[rows]).mean())
    return deviations(votes, probabilities).mean(), *np.quantile(values, [0.025, 0.975])


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    machine = describe("torch", "numpy")
    table = ds.dataset(data_folder() / "stamps").to_table(filter=ds.field("Class1.1").is_valid())
    start = load_model()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        pq.write_table(table, place / "votes.parquet")
        (source,), questions = told_questions([open_source(place / "votes.parquet")], find_tree("gz2").questions)
        cast = {one.name: read_votes(source, one) for one in questions}
        parts = np.array([part_of(one, validation_size=0.1, test_size=0.15) for one in source.ids()])
        most = {one.name: np.array(answers_to(source, one), dtype=object) for one in questions}
        often = {
            one.name: tuple(
                answer for answer in one.answers if (most[one.name][parts == "training"] == answer).sum() >= 5
            )
            for one in questions
        }
        labelled = [Question(name, answers) for name, answers in often.items() if len(answers) > 1]
        columns = {
            one.name: [answer if answer in one.answers else None for answer in most[one.name]] for one in labelled
        }
        pq.write_table(pa.table({"id": table["id"], "image": table["image"], **columns}), place / "most.parquet")
        pictures = np.stack([decode_picture(one["bytes"], start.framing) for one in table["image"].to_pylist()])
        chances = {one.name: {"shares": [], "the answers of most": []} for one in questions}
        for seed in range(options.seeds):
            recipe = make_recipe(start, seed=seed, epochs=options.epochs)
            for kind, data, asked in (
                ("shares", "votes.parquet", questions),
                ("the answers of most", "most.parquet", labelled),
            ):
                run = place / f"{kind} {seed}"
                train_network([place / data], run, recipe, questions=asked, start=start)
                told = (
                    export(run, place / "model.onnx")
                    .classify(pictures[parts == "test"], views=2, framed=True)
                    .probabilities
                )
                for one in questions:
                    if one.name in told:
                        values = np.zeros((len(told[one.name]), len(one.answers)))
                        answers = one.answers if kind == "shares" else often[one.name]
                        values[:, [one.answers.index(answer) for answer in answers]] = told[one.name]
                        chances[one.name][kind].append(values)
    for one in questions:
        votes = cast[one.name]
        training, test = (np.flatnonzero((parts == part) & (votes.trust > 0)) for part in ("training", "test"))
        known = votes.trust[parts == "test"] > 0
        mean = np.average(votes.shares[training], axis=0, weights=votes.trust[training])
        found = {"the mean share": [np.tile(mean, (len(test), 1))]}
        found |= {kind: [values[known] for values in told] for kind, told in chances[one.name].items() if told}
        for kind, told in found.items():
            # The model of each seed separately; the interval is over galaxies.
            each = np.array([interval(votes.of(test), values) for values in told])
            value, low, high = each.mean(axis=0)
            label = f"{one.name}, {len(test)} galaxies, {kind}: deviation"
            record(machine, (label, value, ""), (f"{label}, low", low, ""), (f"{label}, high", high, ""))


if __name__ == "__main__":
    main()
