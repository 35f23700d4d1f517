"""Write ``models.md``, the card of the model that ships, from the metadata of its file and the results of the benchmarks."""

import csv
from pathlib import Path
from typing import Any

from peculiar.models.model_file import Model, load_model, shipped_model

PAGE = Path(__file__).with_name("models.md")
RESULTS = PAGE.parent.parent / "benchmarks" / "results.csv"

_BODIES = {"lite": "EfficientNet-lite0 (Tan & Le 2019)", "residual": "a small residual network (He et al. 2016)"}

LIMITS = """\
## Limits

- It was trained on galaxies of SDSS and DECaLS (through the Legacy Surveys), most of them nearby and bright, as JPEGs in the
  colours of these surveys. Other telescopes, bands, depths and redshifts were only imitated, by changing flux, colours,
  contrast, noise and sharpness of these pictures. Before you use it, measure it on labelled galaxies of your survey:
  `peculiar evaluate`.
- It sees the galaxy in the middle of a picture, in a square 1.4 times as wide as the galaxy. It was not trained for a galaxy
  off the middle, a frame full of galaxies, or a galaxy much larger than its picture; `--crop` overrides the square.
- Most rings in its data are from DECaLS and most other classes from SDSS. Scores over both surveys are therefore too good,
  because the model may recognise a ring by its survey. The row "rings within DECaLS" avoids this, but rests on 48 galaxies.
  Networks of the same kind, trained for a shorter time, reach 0.779 (0.726 to 0.833) by cross-validation over 332 galaxies,
  and 0.720 on these 48 (`benchmarks/score_rings.py`).
- "Other" is mixed: irregular, disturbed, lenses, dust lanes, chance overlaps.
- The four classes have few galaxies and uncertain labels (table above), so their intervals are wide.
- The proportions of the classes in the training data are not those on the sky, and rare answers were oversampled. The
  probabilities are calibrated for the mixture of the validation part, not for your survey.
- Pictures of stars, artefacts and other things also get an answer.
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
    embedding = f"\nThe embedding: {card.embedding}.\n" if card.embedding else ""
    return f"""\
# The model that ships

Generated from the model file and `benchmarks/results.csv` by `make docs`.

`{shipped_model().name}`, {size:.1f} MB, digest `{card.digest[:12]}`. It takes RGB pictures of {card.framing.size} x \
{card.framing.size} pixels, framed around the galaxy in the middle, and answers three questions at once. It computes in eight \
bits, and its embedding has {model.embedding_size} values. `peculiar predict`, `evaluate` and `demo` use it by default.

| question | answers | temperature |
|---|---|---|
{chr(10).join(rows)}
{embedding}"""


def _scores(model: Model) -> str:
    scores = model.card.scores
    lines = [
        "## Scores",
        "",
        f"On the {scores['part']} part: {scores['galaxies']:,} galaxies chosen by a hash of their ids. Neither the training "
        "nor any choice used them; they were scored once for each model that shipped. In brackets: the 95 % interval of "
        "1,000 bootstrap samples. The calibration error uses 15 bins of equal width, so it differs from that in "
        "[Scores](scores.md), which uses bins of equal mass. Labels of the basis `weak_looks` are left out.",
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
        "## The same galaxy in another view",
        "",
        "The largest change of a probability:",
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
        f"Native frame and stamp of the same galaxy get the same class of the four in {against['same class']:.1%} of "
        f"{against['galaxies']} galaxies.",
    ]
    return "\n".join(lines) + "\n"


def _training(model: Model) -> str:
    training = model.card.training
    recipe, counts = training["recipe"], training["counts"]
    begun = "started from weights learned on ImageNet" if recipe["pretrained"] else "started from random weights"
    teachers = " and ".join(f"`{digest[:12]}`" for digest in training["teachers"])
    trust = [
        f"| {question.name} | `{basis}` | {value} |"
        for question in model.card.questions
        for basis, value in question.trust
    ]
    return f"""\
## How it was trained

**Data.** {counts["training"]:,} training pictures, {counts["validation"]:,} validation pictures and {counts["test"]:,} test pictures, from \
{" and ".join(training["data"])}: galaxies of SDSS and DECaLS that Galaxy Zoo volunteers classified, some of them both as stamp and as
native frame. All pictures of a galaxy are in one part, also those of {training["duplicates"]} pairs of duplicates under two ids. Digest of the split: \
`{training["split_digest"][:12]}`.

**Training.** {training["epochs"]} epochs in batches of {recipe["batch_size"]}, AdamW with a learning rate of up to {recipe["learning_rate"]} and weight decay \
{recipe["weight_decay"]}, exponential moving average of the weights (decay {recipe["averaging"]}), seed {recipe["seed"]}. The network,
{_BODIES[recipe["body"]]}, {begun}. Each picture trains the questions for which it has labels.

**Class imbalance.** Pictures with rare and certain answers were oversampled up to three times; the square root of the remaining imbalance
weights the loss.

**Distillation** (Hinton et al. 2015). Half of the loss compares the network with earlier models, {teachers}, that were trained on the
same galaxies: their mean over eight turned and mirrored views. It is left out where the label of a galaxy is uncertain.

**Augmentation.** Every picture is turned by any angle, mirrored, zoomed and shifted. Half of the pictures also get random changes of
brightness and colour, blur and noise.

Labels have weights by their reliability; those not listed have weight 1:

| question | basis | weight |
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
## To reproduce it

`make train` trains a model with the same recipe on the galaxies in `PECULIAR_DATA`, exports and calibrates it. It resumes after a stop.
`python benchmarks/score_model.py runs/galaxy.onnx runs/galaxy --part test` scores it.

## Licence and credits

The weights are under {model.card.licence}. They were trained on:

{credits}
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
