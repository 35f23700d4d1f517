"""The page about a model of classes of one's own: scores, curves, mistakes, and what to type next."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from peculiar.files.run_files import MODEL
from peculiar.models.model_file import Model
from peculiar.reports import drawing, plots
from peculiar.reports.page import Picture, Section, Strip, embedded, score_table, write_page
from peculiar.text import counted, format_interval, format_score
from peculiar.training.outcome import HELD_OUT, Outcome
from peculiar.training.recipe import PAGE
from peculiar.training.validation import best_epoch

MOST_MISTAKES = 48
"""Pictures of mistakes that a page shows."""

_SCORES = (
    ("balanced accuracy", "balanced_accuracy", "mean recall of the classes, rare ones as much as common ones"),
    ("accuracy", "accuracy", "share of the galaxies whose most probable class is the right one"),
    ("AUC", "auc", "area under the ROC curve of each class against the others, averaged over the classes"),
    ("log loss", "log_loss", "mean of -ln of the probability that the right class was given; 0 is best"),
    ("calibration error", "calibration_error", "mean difference between stated probabilities and found shares"),
)


def write_outcome(folder: Path, outcome: Outcome, model: Model, pictures: Mapping[str, NDArray[np.uint8]]) -> Path:
    """Write the page ``report.html`` into the folder of a run.

    Parameters
    ----------
    folder : path
    outcome : Outcome
    model : Model
        The model file in the folder.
    pictures : mapping of str to ndarray of uint8, shape (height, width, 3)
        Of mistakes, by id.

    Returns
    -------
    path
        The page.
    """
    sections = [
        _scores(outcome),
        _choice(folder, outcome),
        _classes(folder, outcome),
        _mistakes(outcome, pictures),
        _galaxies(outcome),
        _file(folder, outcome, model),
    ]
    title = f"{model.card.name}: {', '.join(outcome.question.answers)}"
    return write_page(folder / PAGE, title, f"{outcome.summary}.", sections)


def _figure(drawn: Figure, file: Path, caption: str) -> Picture:
    """Write a figure, and return it for the page, which holds it itself: so it can be sent as one file."""
    drawing.save(drawn, file)
    return Picture(file.name, caption, file.read_bytes())


def _scores(outcome: Outcome) -> Section:
    rows = [["score", "value", "95 % interval"]]
    rows += [
        [name, format_score(getattr(outcome.scores, key)), format_interval(outcome.scores.intervals.get(key))]
        for name, key, _ in _SCORES
    ]
    text = [f"Measured {outcome.measured}: {counted(outcome.scores.count, 'galaxy')}."]
    if outcome.measured == HELD_OUT:
        text.append(
            "These galaxies also decided which epoch and which model is kept, so the scores are slightly too good."
        )
    text.append("; ".join(f"{name[0].upper()}{name[1:]}: {meaning}" for name, _, meaning in _SCORES) + ".")
    return Section("Scores", text, table=rows)


def _choice(folder: Path, outcome: Outcome) -> Section:
    text = [
        f"Kept: {outcome.model}.",
        f"{'Not fine-tuned' if outcome.comparison is None else 'Why'}: {outcome.why}.",
    ]
    if outcome.comparison is None:
        return Section("Head or fine-tuned network", text)
    text.append(
        "A fine-tuned network is kept if its log loss on the held-out galaxies is lower than that of a head by more "
        "than two standard errors, and its balanced accuracy is not lower. Both learned from the training part alone."
    )
    rows = [["score", "head", "95 % interval", "fine-tuned network", "95 % interval"]]
    for name, key, _ in _SCORES:
        rows.append([name])
        for scores in (outcome.comparison.head, outcome.comparison.network):
            rows[-1] += [format_score(getattr(scores, key)), format_interval(scores.intervals.get(key))]
    best = best_epoch(outcome.history)
    head = {key: float(getattr(outcome.comparison.head, key)) for key in ("log_loss", "balanced_accuracy")}
    drawn = plots.draw_training(outcome.history, outcome.question.name, guessing=outcome.guessing, best=best, head=head)
    caption = (
        f"Fine-tuning, epoch by epoch. The lowest log loss on the held-out galaxies is that of epoch {best}, whose "
        "averaged weights are compared. Guessing knows only how frequent the classes are."
    )
    return Section(
        "Head or fine-tuned network", text, table=rows, figures=[_figure(drawn, folder / "curves.png", caption)]
    )


def _classes(folder: Path, outcome: Outcome) -> Section:
    drawn = plots.draw_confusion(outcome.scores.confusion, outcome.question.answers)
    caption = "Rows are true classes, columns predicted ones; mistakes are off the diagonal."
    text = (
        "Precision is the share of the galaxies called so that are; recall is the share of those that are that were "
        "found; F1 is their harmonic mean. A score is undefined where there is nothing to score."
    )
    return Section(
        "Class by class",
        [text],
        table=score_table(outcome.scores),
        figures=[_figure(drawn, folder / "confusion.png", caption)],
    )


def _mistakes(outcome: Outcome, pictures: Mapping[str, NDArray[np.uint8]]) -> Section:
    wrong = outcome.mistakes()
    answers = outcome.question.answers
    strips = [
        Strip(
            [embedded(pictures[outcome.ids[row]])],
            f"{outcome.ids[row]}: {answers[outcome.probabilities[row].argmax()]} "
            f"{outcome.probabilities[row].max():.0%}, labelled {answers[outcome.labels[row]]}",
        )
        for row in wrong[:MOST_MISTAKES]
        if outcome.ids[row] in pictures
    ]
    if not len(wrong):
        return Section("Mistakes", ["No galaxy is called wrongly."])
    text = f"{counted(len(wrong), 'galaxy', 'are', 'is')} called wrongly, the most confident mistakes first."
    if len(wrong) > len(strips):
        text += f" {len(strips)} are shown."
    advice = "Check their labels first: some of them may be wrong."
    return Section("Mistakes", [text, advice], gallery=strips)


def _galaxies(outcome: Outcome) -> Section:
    parts = [part for part, counts in outcome.counts.items() if sum(counts.values())]
    rows = [["class", *parts]]
    rows += [
        [answer, *(f"{outcome.counts[part].get(answer, 0):,}" for part in parts)] for answer in outcome.question.answers
    ]
    text = [
        "The validation part is held out from the fine-tuning; the head that is kept learns from it as well. Nothing "
        "learns from the test part."
    ]
    return Section("Galaxies", [*text, *outcome.notes], table=rows)


def _file(folder: Path, outcome: Outcome, model: Model) -> Section:
    card, file = model.card, folder / MODEL
    novelty = "with a novelty threshold" if card.familiar is not None else "without a novelty threshold"
    text = [
        f"{file}: {file.stat().st_size / 1e6:.1f} MB, digest {card.digest[:12]}. It answers "
        f"{', '.join(question.name for question in card.questions)}. Its probabilities are calibrated (temperature "
        f"{card.temperatures[outcome.question.name]:.2f}), with prediction sets, {novelty}. Anyone who has "
        "the file and peculiar can classify with it; PyTorch is not needed.",
        "Next:",
    ]
    code = "\n".join(
        (
            f"peculiar predict PICTURES --model {file} --out catalog.parquet",
            f"peculiar evaluate OTHER_CLASSES --model {file}",
            f"peculiar explain PICTURES --model {file}",
            f'peculiar export {folder} --out mine.onnx --credit "who made the pictures and labels"',
        )
    )
    return Section("The model file, and what to type next", text, code=code)
