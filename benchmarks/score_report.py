"""Check calibration, prediction sets and prevalence on galaxies that were not used for tuning.

    python benchmarks/score_report.py [MODEL.onnx] [--views N]

Reads ``stamps`` of the folder of real galaxies: the test part for the five-way question; for the four-way one, which is
small, validation and test part together, calibrated across folds, without labels that are weak.
"""

import numpy as np

from machine import data_folder, describe, make_parser, record
from peculiar.metrics.calibration import choose_scaling, cross_fitted, fit_scaling, reliability, temperature_scaling
from peculiar.metrics.prediction_sets import coverage, cross_fitted_sets, fit_sets, prediction_sets
from peculiar.metrics.prevalence import fractions
from peculiar.metrics.scores import calibration_error
from peculiar.models.model_file import load_model
from peculiar.models.predict import readable_batches
from peculiar.questions.question import CLEAN5, FOUR_CLASS
from peculiar.sources import open_source
from peculiar.sources.split import part_of


def read(model, views):
    recipe = model.card.training["recipe"]
    sizes = {name: recipe[name] for name in ("validation_size", "test_size")}
    source = open_source(data_folder() / "stamps")
    names = ("four_class", "four_class_basis", "clean5")
    columns = {name: source.column(name) for name in names}
    rows, parts = [], []

    def wanted():
        for row, galaxy in enumerate(source.galaxies(model.framing)):
            part = part_of(galaxy.id, **sizes)
            if part != "training":
                rows.append(row)
                parts.append(part)
                yield galaxy

    found = [model.classify(pictures, views=views, framed=True) for _, _, pictures in readable_batches(wanted(), 64)]
    probabilities = {
        name: np.concatenate([one.probabilities[name] for one in found]) for name in found[0].probabilities
    }
    entries = {name: np.array([values[row] or "" for row in rows]) for name, values in columns.items()}
    return np.array(parts), probabilities, entries


def coverages(name, found):
    for one in found:
        yield f"{name}: {one.level} % sets, coverage", 100 * one.coverage, "%"
        yield f"{name}: {one.level} % sets, mean size", one.size, "answers"
        large = {answer: of["coverage"] for answer, of in one.classes.items() if of["count"] >= 50}
        worst = min(large, key=large.get)
        yield f"{name}: {one.level} % sets, least covered class ({worst})", 100 * large[worst], "%"


def prevalence(labels, probabilities, repeats):
    """Return coverage and width of 90 % intervals of prevalence, for shares unlike those of the labelled galaxies.

    Half of the galaxies are labelled. Of the others a survey of at most a thousand is drawn, none of them twice: the
    same sixty of a class, drawn two hundred times, would tell no more than sixty, and no interval that takes them for
    two hundred can cover.
    """
    random = np.random.default_rng(222)
    hits, widths, counts = [], [], []
    while len(hits) < repeats:
        known, others = np.array_split(random.permutation(len(labels)), 2)
        shares = random.dirichlet(np.full(len(CLEAN5.answers), 2.0))
        there = np.bincount(labels[others], minlength=len(shares))
        drawn = random.multinomial(min(1000, int(0.7 * (there / shares).min())), shares)
        if (drawn > there).any():
            continue
        rows = np.concatenate([others[labels[others] == number][:count] for number, count in enumerate(drawn)])
        found = fractions(
            labels[known], probabilities[known], probabilities[rows], CLEAN5.answers, seed=len(hits)
        ).values()
        low, high = np.array([[one.adjusted_interval, one.expected_interval] for one in found]).transpose(2, 1, 0)
        hits.append((low <= shares) & (shares <= high))
        widths.append(high - low)
        counts.append(drawn.sum())
    yield "prevalence: galaxies without labels, median", np.median(counts), "galaxies"
    for number, name in enumerate(("adjusted counts", "expectation maximisation")):
        yield f"prevalence, {name}: 90 % intervals cover", 100 * np.mean(hits, axis=0)[number].mean(), "%"
        yield f"prevalence, {name}: mean width of intervals", 100 * np.mean(widths, axis=0)[number].mean(), "points"


def main():
    parser = make_parser(__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--views", type=int)
    parser.add_argument("--repeats", type=int, default=200, help="surveys drawn to see whether intervals cover")
    options = parser.parse_args()
    machine = describe("numpy", "onnxruntime", "scikit-learn")
    model = load_model(options.model)
    parts, probabilities, entries = read(model, options.views)
    five = entries["clean5"] != ""
    labels = np.array([CLEAN5.answers.index(entry) if entry else -1 for entry in entries["clean5"]])
    test, validation = five & (parts == "test"), five & (parts == "validation")
    chances = probabilities["clean5"]
    figures = [("clean5: calibration error, 15 bins", calibration_error(labels[test], chances[test]), "")]
    thresholds = model.card.sets.get("clean5") or fit_sets(labels[validation], chances[validation])
    sets = {level: prediction_sets(chances[test], values) for level, values in thresholds.items()}
    figures += coverages("clean5", coverage(labels[test], sets, CLEAN5.answers))
    figures += prevalence(labels[test | validation], chances[test | validation], options.repeats)
    four = (entries["four_class"] != "") & (entries["four_class_basis"] != "weak_looks") & (parts != "training")
    known = np.array([FOUR_CLASS.answers.index(entry) for entry in entries["four_class"][four]])
    pooled = probabilities["four_class"][four]
    logits = np.log(np.maximum(pooled.astype(float), 1e-12))
    by_class = any(choose_scaling(logits, known)[0].biases)
    calibrated = np.exp(cross_fitted(logits, known, fit_scaling if by_class else temperature_scaling))
    bins = reliability(known, calibrated)
    figures.append(("four_class: bins of 10 with the diagonal in their band", sum(one.bears_out for one in bins), ""))
    figures += coverages("four_class", coverage(known, cross_fitted_sets(known, pooled), FOUR_CLASS.answers))
    record(machine, *figures)


if __name__ == "__main__":
    main()
