"""Score a model file on the galaxies of one part of its run, with 95 % intervals.

    python benchmarks/score_model.py MODEL.onnx RUN [--part validation|test] [--views N] [--out scores.json]

The test part is not used for choices: these are made on the validation part. Intervals are those of 1,000 bootstrap
samples of galaxies (2.5 and 97.5 %).
"""

import argparse
import csv
import json
import os
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score

from peculiar.images.framing import Framing, frame_pixels
from peculiar.models.model_file import load_model
from peculiar.questions.question import CLEAN5, FOUR_CLASS, ODD
from peculiar.sources import open_source
from peculiar.sources.answers import read_answered

QUESTIONS = (FOUR_CLASS, CLEAN5, ODD)


def interval(score, *arrays):
    random = np.random.default_rng(222)
    values = []
    while len(values) < 1000:
        rows = random.integers(0, len(arrays[0]), len(arrays[0]))
        try:
            value = score(*(array[rows] for array in arrays))
        except ValueError:
            continue  # a sample without one of the classes
        if np.isfinite(value):
            values.append(value)
    low, high = np.quantile(values, [0.025, 0.975])
    return {
        "value": round(float(score(*arrays)), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "galaxies": len(arrays[0]),
    }


def accuracy(labels, chances):
    return (chances.argmax(1) == labels).mean()


def balanced(labels, chances):
    return balanced_accuracy_score(labels, chances.argmax(1))


def auc(labels, chances):
    return np.mean([roc_auc_score(labels == number, chances[:, number]) for number in range(chances.shape[1])])


def recall_of(number):
    return lambda labels, chances: recall_score(labels, chances.argmax(1), labels=[number], average="macro")


def auc_of(number):
    return lambda labels, chances: roc_auc_score(labels == number, chances[:, number])


def calibration_error(labels, chances):
    sure, right = chances.max(1), chances.argmax(1) == labels
    bins = np.minimum((sure * 15).astype(int), 14)
    return sum(abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins))


def question_scores(labels, chances, question):
    scores = {
        "accuracy": interval(accuracy, labels, chances),
        "balanced accuracy": interval(balanced, labels, chances),
        "AUC, one against rest": interval(auc, labels, chances),
        "expected calibration error": interval(calibration_error, labels, chances),
    }
    for number, answer in enumerate(question.answers):
        scores[f"recall of {answer}"] = interval(recall_of(number), labels, chances)
        if len(question.answers) > 2:
            scores[f"AUC of {answer}"] = interval(auc_of(number), labels, chances)
    return scores


def classify(model, pictures, views):
    parts = [
        model.classify(pictures[start : start + 64], views=views, framed=True) for start in range(0, len(pictures), 64)
    ]
    return {name: np.concatenate([part.probabilities[name] for part in parts]) for name in parts[0].probabilities}


def change(one, other):
    worst = np.abs(one - other).max(axis=1)
    return {"median": round(float(np.median(worst)), 4), "99th percentile": round(float(np.quantile(worst, 0.99)), 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--part", default="validation")
    parser.add_argument("--views", type=int)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = Path(os.environ.get("PECULIAR_DATA", "../shared/data"))
    with (options.run / "split.csv").open(newline="") as file:
        chosen = {row["id"] for row in csv.DictReader(file) if row["part"] == options.part}
    model = load_model(options.model)
    sources = [open_source(data / "stamps"), open_source(data / "odd_native.parquet")]
    galaxies = read_answered(sources, QUESTIONS, model.framing)
    inside = np.array([id_ in chosen for id_ in galaxies.ids])
    stamps, natives = (np.flatnonzero(inside & (galaxies.origins == origin)) for origin in (0, 1))
    found = {rows is natives: classify(model, galaxies.pictures[rows], options.views) for rows in (stamps, natives)}
    bases, surveys = np.array(galaxies.bases["four_class"]), np.array(galaxies.surveys)
    result = {
        "part": options.part,
        "views": options.views or model.card.views,
        "galaxies": len(stamps),
        "digest": model.card.digest,
    }
    for kind, rows in (("stamps", stamps), ("native frames", natives)):
        result[kind] = {}
        for question in QUESTIONS:
            labels = galaxies.labels[question.name][rows]
            known = (labels >= 0) & (bases[rows] != "weak_looks") if question is FOUR_CLASS else labels >= 0
            chances = found[rows is natives][question.name]
            if kind == "stamps" or question is FOUR_CLASS:
                result[kind][question.name] = question_scores(labels[known], chances[known], question)
            if question is FOUR_CLASS:
                rings = known & np.isin(bases[rows], ["ring_tag", "no_ring_tag"]) & (surveys[rows] == "decals")
                result[kind]["rings within DECaLS"] = interval(auc_of(1), labels[rings], chances[rings])
                for survey in ("sdss", "decals"):
                    of_survey = known & (surveys[rows] == survey)
                    result[kind][f"{survey} alone, accuracy"] = interval(
                        accuracy, labels[of_survey], chances[of_survey]
                    )
                votes = known & (bases[rows] == "votes")
                result[kind]["labels by votes alone, accuracy"] = interval(accuracy, labels[votes], chances[votes])
    place = {galaxies.ids[row]: number for number, row in enumerate(stamps)}
    pairs = np.array([place[galaxies.ids[row]] for row in natives])
    one, other = found[True]["four_class"], found[False]["four_class"][pairs]
    result["native frame against stamp"] = {
        "same class": round(float((one.argmax(1) == other.argmax(1)).mean()), 4),
        "change of a probability": change(one, other),
        "galaxies": len(natives),
    }
    # Turned before framing, like a user's picture.
    wanted = {galaxies.ids[row] for row in stamps if galaxies.labels["four_class"][row] >= 0}
    whole = [one.picture for one in sources[0].galaxies(Framing(160)) if one.id in wanted]
    turns = {"as it is": lambda p: p, "turned by 90 degrees": np.rot90, "mirrored": lambda p: p[:, ::-1]}
    answers = {
        name: classify(
            model, np.stack([frame_pixels(np.ascontiguousarray(turn(p)), model.framing) for p in whole]), options.views
        )
        for name, turn in turns.items()
    }
    straight = answers.pop("as it is")
    for name, turned in answers.items():
        result[name] = {question: change(straight[question], turned[question]) for question in straight}
    text = json.dumps(result, indent=2) + "\n"
    if options.out:
        options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
