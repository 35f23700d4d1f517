"""Measure how many answers active learning saves, on the real stamps with several seeds.

    python benchmarks/score_active.py CATALOG [--seeds 5] [--first 0]

CATALOG is written by `peculiar predict STAMPS --embeddings --out CATALOG`, where STAMPS is the folder `stamps` of the
real galaxies. A simulated annotator who always gives the volunteers' answer labels galaxies; the score is the average
precision on held-out galaxies. There are two tasks: `odd` among galaxies that Galaxy Zoo 2 found odd or not odd, and
rings among the four classes mixed with galaxies found not odd. The model was trained on both, so its embeddings
separate them and few labels are needed. Therefore each task has three variants:

- labelling the model's training part and scoring its validation and test parts. The model was trained on the labels of
  these very galaxies, so their embeddings are better than those of others;
- labelling galaxies that it was not trained on, as in practice: two thirds of its validation and test parts, with
  another third held out for each seed;
- labelling the training part, with the directions that decide the model's own answers removed from the embeddings, so
  that the kind is new to it.

Every fifth question goes to the random sample, as on the labelling pages. The head that chooses is not fitted to it;
the head that is scored is fitted to all answers, like `peculiar teach` on exported labels. Random labelling is scored
with the same kind of head. A flat curve crosses the goal by chance, so both numbers are given: the labels with which
the goal is first reached, and those from which the score stays above it.
"""

from pathlib import Path

import numpy as np
import pyarrow.dataset as ds

from machine import data_folder, describe, make_parser, record
from peculiar.catalogs.active import APART, Committee, choose, features, fit_committee, mean_precision
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.teach import raw_embeddings
from peculiar.sources.split import part_of
from score_search import without

RANDOM, LEAST, DRAWS = 2_000, 50, 3
SIZES = list(range(100, 1_301, 100))


class Task:
    """A task: galaxies, their binary labels, and a head fitted to some of them."""

    def __init__(self, values: np.ndarray, odd: np.ndarray) -> None:
        self.embeddings, self.odd = Embeddings.of(values), odd
        self.vectors = features(self.embeddings, slice(None))

    def committee(self, rows: np.ndarray) -> Committee | None:
        return fit_committee(self.vectors[rows], self.odd[rows], 2) if len(set(self.odd[rows])) > 1 else None

    def score(self, rows: np.ndarray, held: np.ndarray) -> float:
        committee = self.committee(rows)
        if committee is None:
            return 0.0
        return mean_precision(self.odd[held], committee.probabilities(self.vectors[held]), [1])

    def curve(self, pool: np.ndarray, held: np.ndarray, seed: int, strategy: str) -> list[float]:
        """Return the score after each of `SIZES` answers, including the random sample."""
        order = np.random.default_rng(seed).permutation(pool)
        learned, apart = np.split(order, [round(len(pool) * (1 - APART))])
        free = np.zeros(len(self.odd), dtype=bool)
        free[learned] = True
        asked, scores, committee = np.empty(0, dtype=int), [], None
        for size in [LEAST, *SIZES]:
            new = round(size * (1 - APART)) - len(asked)
            # The first galaxies are random, and so are further ones until there are two different answers.
            how = "random" if committee is None else strategy
            chosen = choose(self.embeddings, free, committee, new, strategy=how, rare=1, seed=seed)
            asked = np.concatenate([asked, chosen])
            free[chosen] = False
            committee = self.committee(asked)
            scores.append(self.score(np.concatenate([asked, apart[: size - len(asked)]]), held))
        return scores[1:]


def crossing(above: np.ndarray, *, kept: bool = False) -> float:
    """Return the number of answers with which the goal is first reached, or from which it is kept; NaN if never."""
    reached = above >= 0
    if kept:
        reached = np.logical_and.accumulate(reached[::-1])[::-1]
    return float(SIZES[int(np.argmax(reached))]) if reached.any() else float("nan")


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--strategies", default="margin,entropy,bald,rare")
    options = parser.parse_args()
    machine = describe("numpy", "scikit-learn")
    catalog = Catalog(options.catalog)
    raw, _ = raw_embeddings(catalog, np.arange(len(catalog)))
    columns = ["id", "gz2_argmax", "four_class"]
    truth = ds.dataset(data_folder() / "stamps").to_table(columns=columns)
    ids = catalog.dataset.to_table(columns=["id"])["id"].to_pylist()
    assert truth["id"].to_pylist() == ids, "the catalogue has to be of the folder stamps"
    argmax, four = (np.array(truth[name].to_pylist(), dtype=object) for name in columns[1:])
    training = np.array([part_of(one, validation_size=0.1, test_size=0.15) == "training" for one in ids])
    names = [name for name in catalog.columns if name.startswith("p_")]
    chances = np.column_stack([catalog.dataset.to_table(columns=[name])[name].to_numpy() for name in names])
    blind = without(raw, np.log(np.clip(chances, 1e-6, 1)) - np.log(np.clip(1 - chances, 1e-6, 1)))
    tasks = {
        "odd": (np.isin(argmax, ["odd", "not_odd"]), argmax == "odd"),
        "rings": ((four != None) | (argmax == "not_odd"), four == "Ringed"),  # noqa: E711 - elementwise
    }
    rows: list[tuple[str, float, str]] = []
    seeds = range(options.first, options.first + options.seeds)
    for name, (known, wanted) in tasks.items():
        of_task = np.flatnonzero(known)
        learned = training[of_task]
        told_pool, others = np.flatnonzero(learned), np.flatnonzero(~learned)

        def unseen(seed: int, others: np.ndarray = others) -> tuple[np.ndarray, np.ndarray]:
            mixed = np.random.default_rng(seed).permutation(others)
            return mixed[: 2 * len(mixed) // 3], mixed[2 * len(mixed) // 3 :]

        def seen(_: int, pool: np.ndarray = told_pool, held: np.ndarray = others) -> tuple[np.ndarray, np.ndarray]:
            return pool, held

        for about, values, parts in (
            ("trained on", raw, seen),
            ("not trained on", raw, unseen),
            ("answers taken out", blind, seen),
        ):
            task, title = Task(values[of_task], wanted[of_task].astype(int)), f"{name}, {about}"
            goals = np.empty(len(seeds))
            for number, seed in enumerate(seeds):
                pool, held = parts(seed)
                draws = (np.random.default_rng([seed, draw]).permutation(pool)[:RANDOM] for draw in range(DRAWS))
                goals[number] = np.mean([task.score(drawn, held) for drawn in draws])
            rows += told(f"{title}: AP of {RANDOM} labels by chance", list(goals))
            if parts is seen:  # one goal, because all draws are from the same galaxies
                goals[:] = goals.mean()
            for strategy in options.strategies.split(","):
                curves = np.array([task.curve(*parts(seed), seed, strategy) for seed in seeds])
                above = curves - goals[:, None]
                for kept, how in ((False, "reach"), (True, "stay above")):
                    reached = [crossing(curve, kept=kept) for curve in above]
                    rows += told(f"{title}: {strategy}, labels to {how} that", reached)
                    share = crossing(above.mean(axis=0), kept=kept) / RANDOM
                    rows.append((f"{title}: {strategy}, share of the labels to {how}, mean curve", share, ""))
                at = SIZES.index(int(0.6 * RANDOM))
                rows += told(f"{title}: {strategy}, AP at 60 %", list(curves[:, at]))
                rows += told(f"{title}: {strategy}, AP at 60 % over the goal", list(above[:, at]))
    record(machine, *rows)


def told(name: str, values: list[float]) -> list[tuple[str, float, str]]:
    """Return mean and range as text; NaN if the goal is never reached."""
    return [
        (f"{name}, mean of {len(values)} seeds", float(np.mean(values)), ""),
        (f"{name}, lowest", float(np.min(values)), ""),
        (f"{name}, highest", float(np.max(values)), ""),
    ]


if __name__ == "__main__":
    main()
