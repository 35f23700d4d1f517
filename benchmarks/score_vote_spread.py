"""Score the spread of votes that a network predicts, on 492 galaxies of the Galaxy Challenge.

    python benchmarks/score_vote_spread.py [--epochs 30] [--seed 222]

The model that ships is fine-tuned on the eleven questions of Galaxy Zoo 2, once with the Dirichlet-multinomial
likelihood, once with vote fractions. For the latter, the sum of the concentrations of a question is one number, fitted
to the validation part. On the test part, the script gives the part of the fractions that lie within the 90 % intervals
of as many votes as the galaxy has, and the log likelihood of the votes.
"""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from machine import data_folder, describe, make_parser, record
from peculiar.images.decode import decode_picture
from peculiar.metrics.dirichlet import fit_factor, intervals_of_votes, log_likelihood
from peculiar.models.model_file import load_model
from peculiar.questions.question_file import find_tree
from peculiar.sources import open_source
from peculiar.sources.answers import read_votes
from peculiar.sources.labels import told_questions
from peculiar.sources.split import part_of
from peculiar.training.export import export
from peculiar.training.loop import train_network
from peculiar.training.recipe import make_recipe


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=222)
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
        pictures = np.stack([decode_picture(one["bytes"], start.framing) for one in table["image"].to_pylist()])
        answers = {}
        for votes in ("shares", "dirichlet"):
            recipe = make_recipe(start, seed=options.seed, epochs=options.epochs, votes=votes)
            train_network([place / "votes.parquet"], place / votes, recipe, questions=questions, start=start)
            answers[votes] = export(place / votes, place / f"{votes}.onnx").classify(pictures, views=2, framed=True)
    covered = {"shares": [], "dirichlet": []}
    for one in questions:
        votes = cast[one.name]
        counts = votes.shares * votes.counts[:, None]
        validation, test = ((parts == part) & (votes.counts >= 1) for part in ("validation", "test"))
        shares = answers["shares"].probabilities[one.name]
        fixed = fit_factor(counts[validation], shares[validation]) * shares
        for kind, concentrations in (("shares", fixed), ("dirichlet", answers["dirichlet"].concentrations[one.name])):
            ends = intervals_of_votes(concentrations[test], votes.counts[test])
            inside = (votes.shares[test] >= ends[..., 0]) & (votes.shares[test] <= ends[..., 1])
            covered[kind].append(inside)
            label = f"{one.name}, {int(test.sum())} galaxies, {kind}"
            record(
                machine,
                (f"{label}: within the 90 % intervals", inside.mean(), ""),
                (f"{label}: width of the intervals", float((ends[..., 1] - ends[..., 0]).mean()), ""),
                (f"{label}: log likelihood", float(log_likelihood(counts[test], concentrations[test]).mean()), "nats"),
            )
    for kind, inside in covered.items():
        share = np.concatenate([one.ravel() for one in inside]).mean()
        record(machine, (f"all questions, {kind}: within the 90 % intervals", share, ""))


if __name__ == "__main__":
    main()
