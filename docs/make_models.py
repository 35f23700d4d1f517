"""Write ``models.md``, the card of the model that ships, from the metadata of its file and the benchmarks' results."""

import csv
from pathlib import Path
from typing import Any

from peculiar.models.model_file import Model, load_model, shipped_model

PAGE = Path(__file__).with_name("models.md")
RESULTS = PAGE.parent.parent / "benchmarks" / "results.csv"

_BODIES = {"lite": "EfficientNet-lite0 (Tan & Le 2019)", "residual": "a small residual network (He et al. 2016)"}

LIMITS = """\
## Limits

- It was shown galaxies of SDSS and of DECaLS (through the Legacy Surveys), most of them nearby and bright, as JPEGs in
  those surveys' colours. Other telescopes, bands, depths and redshifts were only imitated, by changing flux, colours,
  contrast, noise and sharpness of these pictures. Measure it on labelled galaxies of your survey before you use it:
  `peculiar evaluate`.
- It looks at the galaxy in the middle of a picture, in a square 1.4 times as wide as the galaxy. A galaxy off the middle,
  a frame full of galaxies, or one much larger than its picture is not what it was trained for; `--crop` overrides the
  square.
- Most rings in its data are from DECaLS and most other classes from SDSS, so that a score over both surveys flatters
  it: it may know a ring by its survey. The row "rings within DECaLS" is free of that, but rests on 48 galaxies. Networks
  of its kind, shorter trained, reach 0.779 (0.726 to 0.833) by cross-validation over 332 galaxies, and 0.720 on these 48
  (`benchmarks/score_rings.py`).
- "Other" is a mixed bag: irregular, disturbed, lenses, dust lanes, chance overlaps.
- The four classes have few galaxies and unsure labels (table above); their intervals are wide.
- The share of each class in the training data is not that on the sky, and rare answers were drawn more often. The
  probabilities are calibrated to the mixture of the validation part, not to your survey's.
- Pictures of stars, artefacts and other things get an answer too.
"""


def page() -> str:
    """Return the page."""
    model = load_model()
    parts = [_head(model), _scores(model), _robustness(model), _training(model), LIMITS, _speed(), _repeat(model)]
    return "\n".join(parts)


def _head(model: Model) -> str:
    card = model.card
    rows = [
        f"| {question.name} | {', '.join(question.answers)} | {card.temperatures[question.name]:.3f} |"
        for question in card.questions
    ]
    size = shipped_model().stat().st_size / 1e6
    return f"""\
# The model that ships

Generated from the model file and `benchmarks/results.csv` by `make docs`.

`{shipped_model().name}`, {size:.1f} MB, digest `{card.digest[:12]}`. It takes RGB pictures of {card.framing.size} x \
{card.framing.size} pixels, framed by the galaxy in their middle, and answers three questions at once, computing in eight \
bits; its embedding has {model.embedding_size} values. `peculiar predict`, `evaluate` and `demo` use it unless told otherwise.

| question | answers | temperature |
|---|---|---|
{chr(10).join(rows)}
"""


def _scores(model: Model) -> str:
    scores = model.card.scores
    lines = [
        "## Scores",
        "",
        f"On the {scores['part']} part: {scores['galaxies']:,} galaxies chosen by a hash of their ids, which neither the "
        "training nor any choice saw; they were scored once for each model that came to ship. In brackets the 95 % interval "
        "of 1,000 bootstrap samples; of the calibration error too, here in 15 bins of equal width, so that [the scores' "
        "page](scores.md), which takes bins of equal mass, has another. Labels of the basis `weak_looks` are left out.",
    ]
    for kind, text in (("stamps", "Stamps of 160 px"), ("native frames", "Native frames of 424 px")):
        for question, found in scores[kind].items():
            if "value" in found:
                continue
            lines += ["", f"### {text}: {question}", "", "| score | value | galaxies |", "|---|---|---|"]
            lines += [_row(name, value) for name, value in found.items()]
            if question == "four_class":
                lines += [_row(name, value) for name, value in scores[kind].items() if "value" in value]
    return "\n".join(lines) + "\n"


def _row(name: str, score: dict[str, Any]) -> str:
    return f"| {name} | {score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f}) | {score['galaxies']:,} |"


def _robustness(model: Model) -> str:
    scores = model.card.scores
    against = scores["native frame against stamp"]
    lines = [
        "## The same galaxy, seen otherwise",
        "",
        "How much the largest change of a probability is:",
        "",
        "| | question | median | 99th percentile |",
        "|---|---|---|---|",
    ]
    for name in ("turned by 90 degrees", "mirrored"):
        lines += [
            f"| {name} | {question} | {change['median']:.3f} | {change['99th percentile']:.3f} |"
            for question, change in scores[name].items()
        ]
    change = against["change of a probability"]
    lines.append(
        f"| native frame against stamp | four_class | {change['median']:.3f} | {change['99th percentile']:.3f} |"
    )
    lines += [
        "",
        f"Native frame and stamp of the same galaxy get the same of the four classes in {against['same class']:.1%} of "
        f"{against['galaxies']} galaxies.",
    ]
    return "\n".join(lines) + "\n"


def _training(model: Model) -> str:
    training = model.card.training
    recipe, counts = training["recipe"], training["counts"]
    begun = "began with weights learned on ImageNet" if recipe["pretrained"] else "began with random weights"
    teachers = " and ".join(f"`{digest[:12]}`" for digest in training["teachers"])
    trust = [
        f"| {question.name} | `{basis}` | {value} |"
        for question in model.card.questions
        for basis, value in question.trust
    ]
    return f"""\
## How it was trained

{counts["training"]:,} pictures to learn from, {counts["validation"]:,} to choose by, {counts["test"]:,} held back, of \
{" and ".join(training["data"])}: galaxies of
SDSS and DECaLS that Galaxy Zoo volunteers classified, some of them as stamp and as native frame. A galaxy's pictures are
in one part, and so are {training["duplicates"]} pairs that show the same galaxy under two ids. Digest of the split \
`{training["split_digest"][:12]}`.

{training["epochs"]} epochs in batches of {recipe["batch_size"]}, AdamW with a rate up to {recipe["learning_rate"]} and weight decay \
{recipe["weight_decay"]}, weights averaged (decay {recipe["averaging"]}),
seed {recipe["seed"]}. The network, {_BODIES[recipe["body"]]}, {begun}. Rows answer the questions that they have labels for. Rows with rare answers that are sure were drawn up to
three times as often, and what imbalance was left is made up for by its square root in the loss. Half of what it learned are the answers of earlier models, {teachers},
trained on the same galaxies: their mean over eight turned and mirrored views (knowledge distillation, Hinton et al. 2015), left
out where a galaxy's own label is unsure. Every picture is turned by any angle, mirrored, zoomed and shifted, and half of them are re-lit, blurred and made noisy at random.

Labels count as far as they are trusted; those not listed count fully:

| question | basis | counts |
|---|---|---|
{chr(10).join(trust)}
"""


def _speed() -> str:
    with RESULTS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["command"].startswith("python benchmarks/bench_predict.py")]
    latest: dict[str, dict[str, str]] = {row["what"]: row for row in rows}
    lines = [f"| {name} | {float(row['value']):,.2f} {row['unit']} |" for name, row in latest.items()]
    machine = rows[-1]["machine"]
    return f"""\
## Speed

`benchmarks/bench_predict.py`, native 424-px JPEGs, on {machine}:

| what | measured |
|---|---|
{chr(10).join(lines)}
"""


def _repeat(model: Model) -> str:
    credits = "\n".join(f"- {credit}" for credit in model.card.credits)
    return f"""\
## To repeat it

`make train` trains a model of the same recipe on the galaxies in `PECULIAR_DATA`, exports and recalibrates it; it goes on after a stop.
`python benchmarks/score_model.py runs/galaxy.onnx runs/galaxy --part test` scores it.

## Licence and credits

The weights are under {model.card.licence}. They were learned from:

{credits}
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
