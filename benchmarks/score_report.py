"""What scores have to hold on galaxies that nothing was tuned on: calibration, sets, prevalence.

    python benchmarks/score_report.py [MODEL.onnx] [--views N]

Reads ``stamps`` of the folder of real galaxies: the test part for the five-way question; for the four-way one, which is
small, validation and test part together, calibrated across folds, without labels that are weak.
"""

import argparse

import numpy as np

from machine import data_folder, describe, record
from peculiar.calibrate import choose_scaling, cross_fitted, fit_scaling, reliability, temperature_scaling
from peculiar.evaluate import calibration_error
from peculiar.model import load_model
from peculiar.predict import readable_batches
from peculiar.prevalence import fractions
from peculiar.schema import CLEAN5, FOUR_CLASS
from peculiar.sets import coverage, cross_fitted_sets, fit_sets, prediction_sets
from peculiar.sources import open_source
from peculiar.split import part_of


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

    found = [model.classify(pictures, views=views) for _, _, pictures in readable_batches(wanted(), 64)]
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


def prevalence(labels, probabilities):
    """How often 90 % intervals cover, over halves of the galaxies resampled to other prevalences."""
    random = np.random.default_rng(222)
    hits = []
    for seed in range(40):
        order = random.permutation(len(labels))
        known, others = order[: len(order) // 2], order[len(order) // 2 :]
        shares = random.dirichlet(np.full(len(CLEAN5.answers), 2.0))
        drawn = random.choice(len(shares), 1000, p=shares)
        rows = np.array([random.choice(others[labels[others] == number]) for number in drawn])
        found = fractions(
            labels[known], probabilities[known], probabilities[rows], CLEAN5.answers, resamples=60, seed=seed
        )
        hits += [
            [low <= share <= high for low, high in (one.adjusted_interval, one.expected_interval)]
            for one, share in zip(found.values(), shares, strict=True)
        ]
    by_counts, by_maximisation = 100 * np.mean(hits, axis=0)
    yield "prevalence, adjusted counts: 90 % intervals cover", by_counts, "%"
    yield "prevalence, expectation maximisation: 90 % intervals cover", by_maximisation, "%"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--views", type=int)
    options = parser.parse_args()
    machine = describe("numpy", "onnxruntime", "scikit-learn")
    model = load_model(options.model)
    parts, probabilities, entries = read(model, options.views)
    five = entries["clean5"] != ""
    labels = np.array([CLEAN5.answers.index(entry) if entry else -1 for entry in entries["clean5"]])
    test, validation = five & (parts == "test"), five & (parts == "validation")
    chances = probabilities["clean5"]
    figures = [("clean5: calibration error, 15 bins", calibration_error(labels[test], chances[test]), "")]
    thresholds = fit_sets(labels[validation], chances[validation])
    sets = {level: prediction_sets(chances[test], values) for level, values in thresholds.items()}
    figures += coverages("clean5", coverage(labels[test], sets, CLEAN5.answers))
    figures += prevalence(labels[test | validation], chances[test | validation])
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
