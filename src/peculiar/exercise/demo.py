"""The exercise from beginning to end, in a folder with a page that shows it."""

import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from peculiar.errors import SimulatedDataWarning
from peculiar.exercise import run_folder
from peculiar.exercise.filters import visualize_activations
from peculiar.exercise.network import Network
from peculiar.exercise.run_folder import Arguments
from peculiar.exercise.train import Trained, Watcher, train
from peculiar.files.places import on_this_machine
from peculiar.models.model_file import load_model
from peculiar.questions.question import FOUR_CLASS
from peculiar.reports.drawing import save
from peculiar.reports.galaxy_plots import draw_answers, draw_samples
from peculiar.reports.page import Picture, Section, score_table, write_page
from peculiar.reports.plots import draw_confusion, draw_history
from peculiar.sources import load_galaxy_data
from peculiar.sources.dataset import Dataset
from peculiar.text import counted, format_score

_COMPARED = 12

EXPECTED = {"accuracy": (0.60, 0.70), "AUC": (0.80, 0.90)}
"""Ranges that the exercise states for its network after 8 epochs; guessing reaches 0.25 and 0.50."""


def files_of(folder: Path) -> list[Path]:
    """Return the files that a demo replaces in its folder."""
    names = ("index.html", "samples.png", "history.png", "both.png", "confusion.png", "activations/contact_sheet.png")
    return [*(folder / name for name in names), *run_folder.files(folder / "run")]


def demo(
    out: str | os.PathLike[str] = "demo",
    *,
    data: str | os.PathLike[str] | None = None,
    epochs: int = 8,
    watcher: Watcher | None = None,
) -> Path:
    """Run the exercise and show it: data, network, training, scores, and what the filters see.

    Real galaxies are taken where they are to be had (see `load_galaxy_data`), else simulated ones; the page says which.

    Parameters
    ----------
    out : path-like
        Folder to write to; a demo that is there already is replaced.
    data : path-like, optional
        An NPZ file in the exercise's layout.
    epochs : int
        The exercise's 8, or its variant's 12.
    watcher : Watcher, optional
        Receives the progress of the training.

    Returns
    -------
    path
        The page, ``index.html``.

    Examples
    --------
    >>> import peculiar
    >>> page = peculiar.demo("demo", epochs=1)
    Galaxy 1: ...
    >>> page.name
    'index.html'
    """
    started = time.perf_counter()
    folder = on_this_machine(out, "the demo")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SimulatedDataWarning)
        pictures, one_hot = load_galaxy_data(data)
    simulated = [warning for warning in caught if issubclass(warning.category, SimulatedDataWarning)]
    for warning in caught:
        warnings.warn(warning.message, warning.category, stacklevel=2)
    labels = one_hot.argmax(axis=1)
    galaxies = Dataset(FOUR_CLASS, [f"galaxydata-{row}" for row in range(len(labels))], pictures, labels, {})
    run_folder.remove(folder / "run")
    trained = train(galaxies, folder / "run", Arguments(epochs=epochs), watcher=watcher)
    shown = trained.split.validation[:5]
    seen = visualize_activations(trained.model, [(pictures[shown], one_hot[shown])], out=folder / "activations")

    samples = {
        answer: pictures[np.flatnonzero(labels == number)[:8]] for number, answer in enumerate(FOUR_CLASS.answers)
    }
    save(draw_samples(samples), folder / "samples.png")
    save(draw_history(trained.history), folder / "history.png")
    compared = trained.split.validation[:_COMPARED]
    answers = _ask_both(trained, pictures[compared], labels[compared])
    truth = [FOUR_CLASS.answers[label] for label in labels[compared]]
    captions = [[(f"is {name}", None), *lines] for name, lines in zip(truth, answers, strict=True)]
    save(draw_answers(pictures[compared], captions), folder / "both.png")
    save(draw_confusion(trained.scores.confusion, FOUR_CLASS.answers), folder / "confusion.png")
    kind = "simulated galaxies" if simulated else "real galaxies"
    lead = (
        f"The exercise on {len(pictures):,} {kind}. Reading, training and drawing took "
        f"{counted(round(time.perf_counter() - started), 'second')}; the start of the program is not counted."
    )
    sections = [
        _data_section(pictures, one_hot, simulated=bool(simulated)),
        _network_section(),
        _training_section(trained),
        _scores_section(trained),
        _classes_section(trained),
        _both_section(answers, simulated=bool(simulated)),
        Section(
            "What the filters see",
            [
                "A convolutional filter slides over the picture and answers where it finds its pattern. Below, each "
                f"row is a galaxy that the network was not trained on ({sum(bool(a.right) for a in seen)} of "
                f"{len(seen)} recognised), and each column the map of one filter; bright is a strong answer.",
                "The maps of the second layer are coarser, since each of its pixels sums up more of the picture.",
            ],
            figures=[
                Picture("activations/contact_sheet.png", "Every filter's map for each of the sample galaxies."),
                *(
                    Picture(f"activations/{file.name}", f"The first galaxy, layer {layer}.")
                    for layer, file in zip(seen[0].maps, seen[0].files[1:], strict=True)
                ),
            ],
        ),
    ]
    return write_page(folder / "index.html", "Normal, ringed, merging, or other?", lead, sections)


def _data_section(pictures: np.ndarray[Any, Any], one_hot: np.ndarray[Any, Any], *, simulated: bool) -> Section:
    origin = (
        "These are simulated galaxies, made for want of the real ones: what follows shows how everything works, and "
        "its scores say nothing of the sky."
        if simulated
        else "Galaxies photographed by telescopes, classified by volunteers of Galaxy Zoo."
    )
    counts = one_hot.sum(axis=0).astype(int)
    rows = [["class", "label", "meaning", "galaxies"]]
    for number, (answer, meaning) in enumerate(zip(FOUR_CLASS.answers, FOUR_CLASS.meanings, strict=True)):
        label = str(np.eye(len(FOUR_CLASS.answers), dtype=int)[number].tolist())
        rows.append([answer, label, meaning, f"{counts[number]:,}"])
    return Section(
        "The data",
        [
            origin,
            f"The pictures have the shape {pictures.shape}: galaxies, rows, columns, and three colours. The labels "
            f"have the shape {one_hot.shape}: galaxies and classes; a 1 stands in the column of the right class.",
        ],
        table=rows,
        text_columns=3,
        figures=[Picture("samples.png", "Eight galaxies of each class.")],
    )


def _network_section() -> Section:
    return Section(
        "The network",
        ["Two convolutional layers look for patterns, two dense layers weigh what they found."],
        code=str(Network()),
    )


def _training_section(trained: Trained) -> Section:
    rows = [["epoch", "loss", "accuracy", "AUC", "validation loss", "validation accuracy", "validation AUC", "seconds"]]
    keys = ("loss", "categorical_accuracy", "auc", "val_loss", "val_categorical_accuracy", "val_auc")
    rows += [
        [str(line["epoch"]), *(format_score(line[key]) for key in keys), f"{line['seconds']:.1f}"]
        for line in trained.history
    ]
    return Section(
        "Training",
        [
            f"{len(trained.split.training):,} galaxies to learn from, {len(trained.split.validation)} held back to "
            "check; five at a time, all of them once an epoch.",
        ],
        table=rows,
        figures=[
            Picture("history.png", "Where the two curves part, the network begins to learn its galaxies by heart.")
        ],
    )


def _scores_section(trained: Trained) -> Section:
    last = trained.history[-1]
    found = {
        "accuracy": (last["categorical_accuracy"], last["val_categorical_accuracy"]),
        "AUC": (last["auc"], last["val_auc"]),
    }
    rows = [["score", "expected", "training", "", "validation", ""]]
    for name, (low, high) in EXPECTED.items():
        cells = [(format_score(value), _verdict(value, low, high)) for value in found[name]]
        rows.append([name, f"{low:.2f} to {high:.2f}", *(text for pair in cells for text in pair)])
    return Section(
        "How good is it?",
        [
            "The exercise expects these ranges on its own galaxies. Guessing among four classes would be right for one "
            "galaxy in four, an accuracy of 0.25; an AUC of 0.5 means that the probabilities carry no information.",
            "On the held-back galaxies "
            + " and ".join(f"the {name} is {_verdict(values[1], *EXPECTED[name])}" for name, values in found.items())
            + ".",
        ],
        table=rows,
    )


def _classes_section(trained: Trained) -> Section:
    return Section(
        "Class by class",
        [
            "Of the held-back galaxies that were called so, the precision is the share that are; of those that are, "
            "the recall is the share that were found; F1 is their harmonic mean. The AUC is that of the class against "
            "all others.",
        ],
        table=score_table(trained.scores),
        figures=[Picture("confusion.png", "Rows are true classes, columns what the network said.")],
    )


def _ask_both(
    trained: Trained, pictures: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]
) -> list[list[tuple[str, bool]]]:
    """Return what the exercise's network and the model that ships say of some galaxies, and whether it is right."""
    shipped = load_model().asking(FOUR_CLASS.name)
    both = {"exercise": trained.model.probabilities(pictures), "ships": shipped.probabilities(pictures)}
    return [
        [
            (
                f"{name}: {FOUR_CLASS.answers[chances[row].argmax()]} {chances[row].max():.0%}",
                chances[row].argmax() == label,
            )
            for name, chances in both.items()
        ]
        for row, label in enumerate(labels)
    ]


def _both_section(answers: list[list[tuple[str, bool]]], *, simulated: bool) -> Section:
    right = [sum(bool(lines[number][1]) for lines in answers) for number in (0, 1)]
    text = [
        f"The first {len(answers)} held-back galaxies, as the exercise's network of 7,164 parameters sees them and as "
        f"the model that ships with peculiar does: {right[0]} and {right[1]} of them right.",
    ]
    if simulated:
        text.append("The model that ships was trained on real galaxies; what it says of simulated ones means little.")
    else:
        text.append(
            "This is no score of the model that ships: many of these galaxies were among those that it learned from. "
            "Its scores on galaxies that it never saw are in its model card, docs/models.md."
        )
    caption = "Below each galaxy its label, both answers and how sure they are; green is right, red is wrong."
    return Section("Beside the model that ships", text, figures=[Picture("both.png", caption)])


def _verdict(value: float | None, low: float, high: float) -> str:
    if value is None:
        return "–"
    # Compared with the printed number of digits.
    value = round(value, 3)
    return "below the range" if value < low else "above the range" if value > high else "as expected"
