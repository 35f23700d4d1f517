"""Measure verification on galaxies with known truth: coverage of the bands, kept promises, answers saved.

    python benchmarks/score_verify.py CATALOG [--repeats 200] [--record]

CATALOG is written by `peculiar predict STAMPS --views 1 --keep gz2_argmax,clean5 --out CATALOG`, where STAMPS is the
folder `stamps` of the real galaxies. Galaxies that the model was trained on are left out. Of the others, 50,000 are
drawn with replacement, with a little noise in their scores. The classes are odd (4 %), and cigar, made 1 %.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.special import expit, logit

from machine import describe, make_parser, record
from peculiar.metrics.purity import Curves, count_answers, estimate_curves
from peculiar.metrics.risk_control import threshold_of_completeness, threshold_of_purity
from peculiar.metrics.stratified import Strata, allocate, draw_sample, stratify
from peculiar.models.model_file import load_model
from peculiar.models.seen import SEEN, Seen
from peculiar.questions.question import ODD

GALAXIES = 50_000

PROMISES = {"odd": (0.7, 0.7), "cigar": (0.5, 0.5)}


def populations(catalog: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read scores and truths of the galaxies that the model was not trained on, by class."""
    table = pq.read_table(catalog, columns=["id", "p_odd", "p_cigar", "gz2_argmax", "clean5"])
    seen = Seen(tuple(load_model().card.training[SEEN])).among(table["id"].to_pylist())
    found = {}
    for name, column, unknown in (("odd", "gz2_argmax", ODD.silent), ("cigar", "clean5", ())):
        labels = np.array([str(one) for one in table[column].to_pylist()])
        scores = table[f"p_{name}"].to_numpy().astype(np.float64)
        known = np.isfinite(scores) & ~seen & ~np.isin(labels, ["None", *unknown])
        found[name] = (scores[known], labels[known] == name)
    return {name: population(*both, share=0.01 if name == "cigar" else None) for name, both in found.items()}


def population(scores: np.ndarray, truths: np.ndarray, share: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Draw many galaxies from few, so that samples are a small part; with a share of true ones, and noise in scores."""
    random = np.random.default_rng(222)
    true = int((truths.mean() if share is None else share) * GALAXIES)
    rows = np.append(
        random.choice(np.flatnonzero(truths), true), random.choice(np.flatnonzero(~truths), GALAXIES - true)
    )
    odds = logit(np.clip(scores[rows], 1e-6, 1 - 1e-6)) + random.normal(0, 0.1, GALAXIES)
    return expit(odds), truths[rows]


def truth_at(scores: np.ndarray, truths: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return purity and completeness at thresholds."""
    order = np.argsort(scores)
    first = np.searchsorted(scores[order], thresholds)
    above = np.append(np.cumsum(truths[order][::-1])[::-1], 0)[first]
    return above / (len(scores) - first), above / truths.sum()


def width_at(curves: Curves, threshold: float, quantity: str) -> float:
    """Return the width of a band at one of the thresholds; 1 if the answers do not tell."""
    number = int(np.abs(curves.thresholds - threshold).argmin())
    band = getattr(curves, quantity)
    width = float(band.high[number] - band.low[number])
    return width if curves.thresholds[number] == threshold and np.isfinite(width) else 1.0


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--repeats", type=int, default=200)
    arguments = parser.parse_args()
    machine = describe("numpy", "scipy")
    rows = []
    for name, (scores, truths) in populations(arguments.catalog).items():
        strata = stratify(scores)
        purity, completeness = truth_at(scores, truths, strata.lower)
        # Where everything is true or nothing is missed, an interval cannot fail on both sides.
        open_ = np.flatnonzero((purity < 1) & (completeness < 1) & (completeness > 0))
        middle = strata.lower[np.abs(completeness - 0.5).argmin()]
        print(f"{name}: {len(scores):,} galaxies, {truths.mean():.2%} true, {len(strata.lower)} strata")
        for count in (200, 500, 1000):
            nominal = enough(strata, truths, count)
            covered, where, broken, given = [], [], np.zeros(2), np.zeros(2)
            for seed in range(arguments.repeats):
                drawn = draw_sample(strata, count, seed=seed).rows
                cells = count_answers(strata.numbers, strata.lower, drawn, truths[drawn])
                curves = estimate_curves(cells)
                told = np.searchsorted(strata.lower, cells.lower)
                inside = np.isin(told, open_)
                pairs = ((curves.purity, purity[told]), (curves.completeness, completeness[told]))
                held = [(one.low <= at) & (at <= one.high) for one, at in pairs]
                covered.append([one[inside].mean() for one in held])
                where.append(
                    [one[of[told]].mean() if of[told].any() else np.nan for one, of in zip(held, nominal, strict=True)]
                )
                searches = ((threshold_of_purity, purity), (threshold_of_completeness, completeness))
                for which, (find, true) in enumerate(searches):
                    number = find(cells, PROMISES[name][which])
                    given[which] += number is not None
                    broken[which] += number is not None and true[told[number]] < PROMISES[name][which]
            means, central = np.mean(covered, axis=0), np.mean(where, axis=0)
            for which, quantity in enumerate(("purity", "completeness")):
                what = f"{name}, {count} answers, {quantity}"
                rows.append((f"{what}: bands cover", 100 * means[which], "%"))
                rows.append((f"{what}: where 3 answers are expected", 100 * central[which], "%"))
                promise = PROMISES[name][which]
                rows.append((f"{what} {promise}: kept", 100 * (1 - broken[which] / arguments.repeats), "%"))
                rows.append((f"{what} {promise}: given", 100 * given[which] / arguments.repeats, "%"))
        rows += savings(name, scores, truths, middle, arguments.repeats // 4)
    record(machine, *rows)


def enough(strata: Strata, truths: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return at which thresholds three true and untrue answers are expected above, and three true ones on both sides.

    Elsewhere most samples have none, and an interval that is never too short covers in more than 95 %.
    """
    in_strata = np.bincount(strata.numbers, truths) / strata.sizes * allocate(strata, count)
    true = np.cumsum(in_strata[::-1])[::-1]
    untrue = np.cumsum((allocate(strata, count) - in_strata)[::-1])[::-1]
    return (true >= 3) & (untrue >= 3), (true >= 3) & (true[0] - true >= 3)


def savings(name: str, scores: np.ndarray, truths: np.ndarray, middle: float, repeats: int) -> list:
    """Compare with simple random samples: the answers that these need for the same band, where half is complete."""
    strata, rows = stratify(scores), []
    for quantity in ("purity", "completeness"):
        count = 500
        stratified = []
        for seed in range(repeats):
            drawn = draw_sample(strata, count, seed=seed).rows
            curves = estimate_curves(count_answers(strata.numbers, strata.lower, drawn, truths[drawn]))
            stratified.append(width_at(curves, middle, quantity))
        wanted = float(np.mean(stratified))
        needed = None
        for factor in (1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32):
            size = int(count * factor)
            if size > len(scores):
                break
            widths = []
            for seed in range(repeats):
                drawn = np.random.default_rng(seed).permutation(len(scores))[:size]
                numbers, lower = simple_cells(scores, drawn, middle)
                curves = estimate_curves(count_answers(numbers, lower, drawn, truths[drawn]))
                widths.append(width_at(curves, middle, quantity))
            if np.mean(widths) <= wanted:
                needed = factor
                break
        rows.append((f"{name}, {count} answers: width of the band of the {quantity}", wanted, ""))
        rows.append((f"{name}: answers of a simple random sample for the same band", needed or np.nan, "times"))
    return rows


def simple_cells(scores: np.ndarray, drawn: np.ndarray, middle: float) -> tuple[np.ndarray, np.ndarray]:
    """Divide at one threshold only: a simple random sample has no strata."""
    numbers = (scores >= middle).astype(int)
    return numbers, np.array([scores.min(), middle])


if __name__ == "__main__":
    main()
