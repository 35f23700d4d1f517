"""Measure how well searches find rings and anomalies, on the real stamps with several seeds.

    python benchmarks/score_search.py CATALOG [--seeds 5]

CATALOG is written by `peculiar predict STAMPS --embeddings --out CATALOG`, where STAMPS is the folder `stamps` of the
real galaxies. Rings are searched for in the test part, which the model was not trained on. Anomalies are searched for
among all galaxies, because the test part has too few odd ones: one in a hundred is odd among those that volunteers
found not odd, and ten varied galaxies are rated per round (`--varied`). The model was trained on odd galaxies; to test
whether the search depends on this, the directions that decide the model's answers are removed from the embeddings. For
kinds that are new to the model see `score_unknown.py`.
"""

from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
from sklearn.metrics import roc_auc_score

from machine import data_folder, describe, make_parser, record
from peculiar.catalogs.anomalies import choose_varied, learn, outlier_ranks
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.teach import raw_embeddings
from peculiar.models.linear_head import fit_head
from peculiar.questions.question import Question
from peculiar.sources.split import part_of

PLANTED, ROUNDS, A_ROUND, FIRST = 160, 10, 10, 200


def without(raw: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Remove the directions along which the log-probabilities of the answers vary."""
    centred = raw - raw.mean(axis=0)
    weights = np.linalg.lstsq(centred, answers - answers.mean(axis=0), rcond=None)[0]
    directions = np.linalg.qr(weights)[0]
    return (centred - (centred @ directions) @ directions.T).astype(np.float32)


def loop(embeddings: Embeddings, odd: np.ndarray, seed: int, *, varied: bool = True) -> tuple[float, float, float]:
    """Return the share of odd galaxies among the first: before the ratings, after them, and among unrated galaxies."""
    ranks = outlier_ranks(embeddings, seed=seed)
    scores, asked = ranks, []
    for _ in range(ROUNDS):
        left = scores.copy()
        left[asked] = np.nan
        asked += list(
            choose_varied(embeddings, left, A_ROUND) if varied else np.argsort(-left, kind="stable")[:A_ROUND]
        )
        scores = learn(embeddings, ranks, np.array(asked), odd[asked].astype(float))
    order = np.argsort(-scores, kind="stable")
    others = order[~np.isin(order, asked)][:FIRST]
    return odd[np.argsort(-ranks)[:FIRST]].mean(), odd[order[:FIRST]].mean(), odd[others].mean()


def similar_rings(embeddings: Embeddings, ringed: np.ndarray, pool: np.ndarray, random) -> float:
    """Return the frequency of rings among the 50 galaxies most similar to 20 rings, relative to the pool."""
    examples = random.choice(np.flatnonzero(pool & ringed), 20, replace=False)
    mean = embeddings.vectors[examples].mean(axis=0)
    scores = embeddings.cosines(mean / np.linalg.norm(mean))
    scores[examples] = -2
    scores[~pool] = -2
    rest = pool.copy()
    rest[examples] = False
    return float(ringed[np.argsort(-scores)[:50]].mean() / ringed[rest].mean())


def ring_auc(raw: np.ndarray, ringed: np.ndarray, known: np.ndarray, held: np.ndarray, random) -> list[float]:
    """Return the area under the ROC curve, on held-out galaxies, of a head fitted to 100 rings and 100 others.

    They are drawn anew two hundred times, since they are few.
    """
    some = [random.permutation(np.flatnonzero(known & ~held & (ringed == kind)))[:100] for kind in (True, False)]
    rows = np.concatenate(some)
    head = fit_head(raw[rows], ringed[rows].astype(int), Question("ring", ("not_ringed", "ringed")))
    left = np.flatnonzero(known & held)
    chances = head.probabilities(raw[left])[:, 1]
    draws = (random.integers(0, len(left), len(left)) for _ in range(200))
    return [float(roc_auc_score(ringed[left[one]], chances[one])) for one in draws if 0 < ringed[left[one]].mean() < 1]


def told(name: str, values: list[float]) -> list[tuple[str, float, str]]:
    return [
        (f"{name}, mean of {len(values)} seeds", float(np.mean(values)), ""),
        (f"{name}, lowest", float(np.min(values)), ""),
        (f"{name}, highest", float(np.max(values)), ""),
    ]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    machine = describe("numpy", "scikit-learn")
    catalog = Catalog(options.catalog)
    raw, _ = raw_embeddings(catalog, np.arange(len(catalog)))
    columns = ["id", "survey", "gz2_argmax", "four_class"]
    truth = ds.dataset(data_folder() / "stamps").to_table(columns=columns)
    ids = catalog.dataset.to_table(columns=["id"])["id"].to_pylist()
    assert truth["id"].to_pylist() == ids, "the catalogue has to be of the folder stamps"
    survey, argmax, four = (np.array(truth[name].to_pylist(), dtype=object) for name in columns[1:])
    test = np.array([part_of(one, validation_size=0.1, test_size=0.15) == "test" for one in ids])
    ringed = four == "Ringed"
    odd = (argmax == "odd") | np.isin(four, ["Ringed", "Merger", "Other"])
    normal = (argmax == "not_odd") & ~odd
    names = [name for name in catalog.columns if name.startswith("p_")]
    chances = np.column_stack([catalog.dataset.to_table(columns=[name])[name].to_numpy() for name in names])
    logits = np.log(np.clip(chances, 1e-6, 1)) - np.log(np.clip(1 - chances, 1e-6, 1))
    blind = without(raw, logits)

    embeddings, decals = Embeddings.of(raw), (survey == "decals") & (four != None)  # noqa: E711 - elementwise
    found: dict[str, list[float]] = {}
    areas: list[float] = []
    blind_areas: list[float] = []

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for seed in range(options.seeds):
        random = np.random.default_rng(seed)
        note("rings among the 50 most like 20, over the pool", similar_rings(embeddings, ringed, test, random))
        areas += ring_auc(raw, ringed, decals, test, random)
        blind_areas += ring_auc(blind, ringed, decals, test, random)
        planted = random.choice(np.flatnonzero(odd), PLANTED, replace=False)
        rows = np.concatenate([np.flatnonzero(normal), planted])
        for about, values in (("", raw), (", answers taken out", blind)):
            before, after, others = loop(Embeddings.of(values[rows]), odd[rows], seed)
            note(f"odd among the first {FIRST}, before answers{about}", before)
            note(f"odd among the first {FIRST}, after 100 answers{about}", after)
            note(f"odd among the first {FIRST} not asked about{about}", others)
    rows = [row for name, values in found.items() for row in told(name, values)]
    count = int((decals & test).sum())
    for about, values in (("", areas), (", answers taken out", blind_areas)):
        name = f"ring AUC, {count} of DECaLS in the test part, head from 100 rings{about}"
        rows += [(name, float(np.mean(values)), "")]
        rows += [
            (f"{name}, {end} end of 95 %", float(np.quantile(values, at)), "")
            for end, at in (("low", 0.025), ("high", 0.975))
        ]
    record(machine, *rows)


if __name__ == "__main__":
    main()
