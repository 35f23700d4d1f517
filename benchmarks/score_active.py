"""Does choosing which galaxy to ask about save answers? On the real stamps, with several seeds.

    python benchmarks/score_active.py CATALOG [--seeds 5]

CATALOG is what `peculiar predict STAMPS --embeddings --out CATALOG` wrote of the folder `stamps` of the real galaxies.
An annotator who always gives the volunteers' answer labels galaxies of the model's training part; scored is the average
precision on the galaxies of the validation and test parts, which the model was not trained on. Two tasks: `odd` among
those that Galaxy Zoo 2 found odd or not odd, and rings among the four classes mixed with those found not odd. The model
was trained on both, so its embeddings know of them, and both ways need few labels; what a new kind of galaxy would take
is tried by taking out of the embeddings the directions that decide its answers.

Every fifth question goes to a galaxy kept apart, which counts as an answer and is not learned from, as at the desk;
random labelling learns from all. Both are scored with the same kind of head. A curve that is flat crosses the goal by
luck, so that both are told: with how many labels it is first reached, and from how many on it stays above.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds

from machine import data_folder, describe, record
from peculiar.active import APART, choose, features, fit_committee, mean_precision
from peculiar.shelf import Embeddings, Shelf
from peculiar.split import part_of
from peculiar.teach import raw_embeddings
from score_search import without

RANDOM, LEAST, ROUND = 2_000, 50, 50
SIZES = list(range(100, 1_251, 50))


def score(embeddings: Embeddings, rows: np.ndarray, odd: np.ndarray, held: np.ndarray) -> float:
    if len(np.unique(odd[rows])) < 2:
        return 0.0
    committee = fit_committee(features(embeddings, rows), odd[rows], 2)
    return mean_precision(odd[held], committee.probabilities(features(embeddings, held)), [1])


def active_curve(embeddings: Embeddings, odd: np.ndarray, pool: np.ndarray, held: np.ndarray, seed: int, strategy: str):
    """Return the score after each of `SIZES` answers, those kept apart counted."""
    random = np.random.default_rng(seed)
    learned = random.permutation(pool)[: round(len(pool) * (1 - APART))]
    free = np.zeros(len(embeddings), dtype=bool)
    free[learned] = True
    asked, scores, committee = np.empty(0, dtype=int), [], None
    for size in [LEAST, *SIZES]:
        new = round(size * (1 - APART)) - len(asked)
        # The first are drawn by chance; so are further ones, until there are two kinds to learn from.
        how = "random" if committee is None else strategy
        chosen = choose(embeddings, free, committee, new, strategy=how, rare=1, seed=seed)
        asked = np.concatenate([asked, chosen])
        free[chosen] = False
        committee = fit_committee(features(embeddings, asked), odd[asked], 2) if len(set(odd[asked])) > 1 else None
        scores.append(score(embeddings, asked, odd, held))
    return scores[1:]


def crossing(scores: np.ndarray, goal: float, *, kept: bool = False) -> float:
    """Return with how many answers the goal is first reached, or reached for good; not a number where it is not."""
    reached = scores >= goal
    if kept:
        reached = np.logical_and.accumulate(reached[::-1])[::-1]
    return float(SIZES[int(np.argmax(reached))]) if reached.any() else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--strategies", default="margin,entropy,bald,rare")
    options = parser.parse_args()
    machine = describe("numpy", "scikit-learn")
    shelf = Shelf(options.catalog)
    raw, _ = raw_embeddings(shelf, np.arange(len(shelf)))
    columns = ["id", "gz2_argmax", "four_class"]
    truth = ds.dataset(data_folder() / "stamps").to_table(columns=columns)
    ids = shelf.dataset.to_table(columns=["id"])["id"].to_pylist()
    assert truth["id"].to_pylist() == ids, "the catalogue has to be of the folder stamps"
    argmax, four = (np.array(truth[name].to_pylist(), dtype=object) for name in columns[1:])
    training = np.array([part_of(one, validation_size=0.1, test_size=0.15) == "training" for one in ids])
    names = [name for name in shelf.columns if name.startswith("p_")]
    chances = np.column_stack([shelf.dataset.to_table(columns=[name])[name].to_numpy() for name in names])
    blind = without(raw, np.log(np.clip(chances, 1e-6, 1)) - np.log(np.clip(1 - chances, 1e-6, 1)))
    tasks = {
        "odd": (np.isin(argmax, ["odd", "not_odd"]), argmax == "odd"),
        "rings": ((four != None) | (argmax == "not_odd"), four == "Ringed"),  # noqa: E711 - elementwise
    }
    rows: list[tuple[str, float, str]] = []
    for task, (known, wanted) in tasks.items():
        of_task = np.flatnonzero(known)
        odd, learned = wanted[of_task].astype(int), training[of_task]
        pool, held = np.flatnonzero(learned), np.flatnonzero(~learned)
        for about, values in (("", raw), (", answers taken out", blind)):
            embeddings = Embeddings.of(values[of_task])
            by_chance = []
            for seed in range(options.seeds):
                drawn = np.random.default_rng(1000 + seed).permutation(pool)[:RANDOM]
                by_chance.append(score(embeddings, drawn, odd, held))
            goal = float(np.mean(by_chance))
            rows += told(f"{task}{about}: AP of {RANDOM} labels by chance", by_chance, "")
            for strategy in options.strategies.split(","):
                curves = np.array(
                    [active_curve(embeddings, odd, pool, held, seed, strategy) for seed in range(options.seeds)]
                )
                for kept, how in ((False, "reach"), (True, "stay above")):
                    reached = [crossing(curve, goal, kept=kept) for curve in curves]
                    rows += told(f"{task}{about}: {strategy}, labels to {how} that", reached, "")
                    share = crossing(curves.mean(axis=0), goal, kept=kept) / RANDOM
                    rows.append((f"{task}{about}: {strategy}, share of the labels to {how}, mean curve", share, ""))
                at = curves[:, SIZES.index(int(0.6 * RANDOM))]
                rows += told(f"{task}{about}: {strategy}, AP at 60 %", list(at), "")
    record(machine, *rows)


def told(name: str, values: list[float], unit: str) -> list[tuple[str, float, str]]:
    """Return the mean and the ends: what never reached the goal is not a number."""
    return [
        (f"{name}, mean of {len(values)} seeds", float(np.mean(values)), unit),
        (f"{name}, lowest", float(np.min(values)), unit),
        (f"{name}, highest", float(np.max(values)), unit),
    ]


if __name__ == "__main__":
    main()
