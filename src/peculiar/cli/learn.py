"""`peculiar train`, `fit`, `export` and `recalibrate`: commands that train, and what they make of a run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from peculiar.cli.options import (
    Crop,
    Data,
    Fast,
    IdColumn,
    Json,
    Label,
    Labels,
    Overwrite,
    Size,
    already,
    framing,
    open_galaxies,
    producing,
)
from peculiar.cli.progress import counting, fitting, watching
from peculiar.cli.terminal import err, extra, out, print_json, print_scores
from peculiar.errors import UsageError
from peculiar.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peculiar.exercise.train import Trained
    from peculiar.questions.question import Question
    from peculiar.sources import Source


def train(
    data: Data,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the run.", show_default=False)],
    epochs: Annotated[int, typer.Option(help="How often to go through the galaxies.")] = 8,
    batch_size: Annotated[int, typer.Option(help="Galaxies a step.")] = 5,
    learning_rate: Annotated[float, typer.Option(help="Adam's step size.")] = 0.001,
    validation_size: Annotated[float, typer.Option(help="Share of the galaxies that is held back.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Decides first weights and order of the galaxies.")] = 222,
    split_seed: Annotated[int, typer.Option(help="Decides which galaxies are held back.")] = 222,
    label: Label = None,
    id_column: IdColumn = None,
    size: Size = 128,
    crop: Crop = "whole",
    fast: Fast = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, if there is one.")] = False,
    as_json: Json = False,
) -> None:
    """Train the exercise's network on labelled galaxies."""
    with extra("training the exercise's network", "exercise"):
        from peculiar.exercise import run_folder
        from peculiar.exercise.train import train as run_train
    from peculiar.files.run_files import best_epoch
    from peculiar.reports import plots

    arguments = run_folder.arguments(
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        learning_rate=learning_rate,
        validation_size=validation_size,
        split_seed=split_seed,
        framing=framing(size, crop, fast=fast),
    )
    with watching("; add --resume to the same command to go on after the last whole epoch") as watcher:
        source = open_galaxies(data, id_column, label=label)
        trained = run_train(source, folder, arguments, label=label, resume=resume, watcher=watcher)
    plots.save(plots.draw_history(trained.history), folder / "history.png")
    plots.save(plots.draw_confusion(trained.scores.confusion, trained.model.question.answers), folder / "confusion.png")
    if as_json:
        last, best = trained.history[-1], best_epoch(trained.history)
        weights = {"weights": "last", "epoch": last["epoch"], "best_epoch": best["epoch"]}
        print_json({"history": trained.history, **weights, "scores": trained.scores.as_dict()})
    else:
        _print_training(trained)
        out.print(f"The run is in {folder}")


def _print_training(trained: "Trained") -> None:
    """Print the scores of the last weights, and where the best ones lie if these are others."""
    from peculiar.files.run_files import best_epoch

    last, best = trained.history[-1], best_epoch(trained.history)
    held_back = f"the {counted(trained.scores.count, 'galaxy')} held back"
    out.print()
    out.print(f"Scores of the last weights (epoch {last['epoch']}) on {held_back}:")
    print_scores(trained.scores)
    if best is not last:
        out.print(
            f"The best weights, of the lowest validation loss (epoch {best['epoch']}), have an accuracy of "
            f"{best['val_categorical_accuracy']:.3f} on these; `peculiar evaluate --weights best` scores them."
        )


def fit(
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Sets of galaxies; the same one may be in several, at other sharpness.", show_default=False
        ),
    ],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the run.", show_default=False)],
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Model file to go on from, all but its first layers (fine-tuning); galaxy is the one that ships.",
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column of labels of a question of your own.")] = None,
    labels: Labels = None,
    id_column: IdColumn = None,
    question: Annotated[
        str | None,
        typer.Option(
            help="Question or tree whose votes or labels the data or --labels hold: gz2, gz_decals, or a TOML file."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="How often to go through the galaxies; default: 12, with --from 30.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Galaxies a step; default: 64, or all where there are fewer.")
    ] = None,
    body: Annotated[
        str | None, typer.Option(help="Body of the network: lite, as the model that ships has it, or residual.")
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Filters of the network's first layers; default: 32, with --from the model's.")
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Begin with random weights rather than those learned on ImageNet.")
    ] = False,
    size: Annotated[
        int | None, typer.Option(help="Side of the pictures, in pixels; default: 128, with --from the model's.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Step size at its peak; default: 0.0005, with --from 0.0003.")
    ] = None,
    precision: Annotated[str, typer.Option(help="Mixed precision: no or bf16.")] = "no",
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            help="Model file to learn from as well as from the labels, trained on the same parts; may be given several "
            "times."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides first weights, order and views.")] = 222,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, if there is one.")] = False,
    as_json: Json = False,
) -> None:
    """Train the galaxy network, as the model that ships was, or go on from a model with labels of your own.

    By default the network learns every question of the model that ships that the data answer.
    """
    with extra("training", "train"):
        from peculiar.training.recipe import make_recipe
        from peculiar.training.train import QUESTIONS
        from peculiar.training.train import fit as run_fit
    from peculiar.models.model_file import SHIPPED, load_model
    from peculiar.questions.question import find_tree
    from peculiar.sources.labels import own_question, told_questions

    if start is not None and from_scratch:
        raise UsageError("--from goes on from a model and --from-scratch from nothing; give one of them")
    if label is not None and question is not None:
        raise UsageError("--label names a column of labels and --question what was voted on; give one of them")
    origin = None if start is None else load_model(None if start == Path(SHIPPED).stem else start)
    recipe = make_recipe(
        origin,
        epochs=epochs,
        batch_size=batch_size,
        body=body,
        width=width,
        size=size,
        learning_rate=learning_rate,
        precision=precision,
        pretrained=False if from_scratch else None,
        seed=seed,
    )
    sources: list[Source] = [open_galaxies(one, id_column, labels=labels) for one in data]
    questions: Sequence[Question] = QUESTIONS
    if question is not None:
        sources, questions = told_questions(sources, find_tree(question).questions, labels, id_column)
    elif label is not None or labels is not None:
        sources, own = own_question(sources, label, labels, id_column)
        questions = (own,)
    for source in sources:
        if source.joined:
            err.print(source.joined)
    with fitting() as watcher:
        history = run_fit(
            sources,
            folder,
            recipe,
            questions=questions,
            teachers=[load_model(one) for one in teacher or ()],
            start=origin,
            resume=resume,
            watcher=watcher,
        )
    if as_json:
        print_json({"history": history})
    else:
        out.print(f"The run is in {folder}; `peculiar export {folder} --out MODEL.onnx` makes a model file of it.")


def export(
    context: typer.Context,
    trained: Annotated[
        Path, typer.Argument(help="Folder that `peculiar fit` wrote.", metavar="RUN", show_default=False)
    ],
    file: Annotated[Path, typer.Option("--out", help="Model file to write (.onnx).", show_default=False)],
    name: Annotated[str | None, typer.Option(help="What the model is called; default: as the file.")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="JSON file with scores to keep in the model file; default: on validation.")
    ] = None,
    credit: Annotated[
        list[str] | None, typer.Option(help="Whom to thank for the data; may be given several times.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "",
    overwrite: Overwrite = False,
) -> None:
    """Make one model file of a run, which `peculiar predict` takes and which needs no PyTorch."""
    with extra("exporting a model", "train"):
        from peculiar.training.export import export as run_export
    kept = _read_scores(scores)
    with producing(context, file) as request:
        if already(request, file):
            return
        model = run_export(trained, file, name=name, scores=kept, credits=credit or (), licence=licence)
    questions = ", ".join(question.name for question in model.card.questions)
    out.print(f"{file}: {file.stat().st_size / 1e6:.1f} MB, answers {questions}; digest {model.card.digest[:12]}")


def recalibrate(
    context: typer.Context,
    data: Annotated[
        list[Path], typer.Argument(help="Sets of galaxies that the model was trained on.", show_default=False)
    ],
    file: Annotated[Path, typer.Option("--out", help="Model file to write (.onnx).", show_default=False)],
    model: Annotated[Path | None, typer.Option(help="Model file (.onnx); default: the model that ships.")] = None,
    labels: Labels = None,
    id_column: IdColumn = None,
    eight_bits: Annotated[
        bool, typer.Option("--eight-bits", help="Let the network compute in eight bits, in about half the time.")
    ] = False,
    scores: Annotated[
        Path | None, typer.Option(help="JSON file with scores to keep in the model file; default: those that it has.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Give a model file calibration, prediction sets and unlikeness, from what it was not trained on."""
    with extra("writing a model file", "train"):
        from peculiar.models.recalibrate import recalibrate as run_recalibrate
    from peculiar.models.model_file import load_model
    from peculiar.sources.labels import told_questions

    sources = [open_galaxies(one, id_column, labels=labels) for one in data]
    kept, opened = _read_scores(scores), load_model(model)
    if labels is not None:
        sources, _ = told_questions(sources, opened.card.questions, labels, id_column)
    with producing(context, file) as request, counting("classifying") as progress:
        if already(request, file):
            return
        written = run_recalibrate(opened, sources, file, eight_bits=eight_bits, scores=kept, progress=progress)
    card = written.card
    out.print(f"prediction sets: {', '.join(card.sets)}; weights and biases: {', '.join(card.scalings) or 'none'}")
    out.print(f"unlikeness: {'told' if card.familiar else 'not told, too few training pictures'}")
    out.print(f"{file}: digest {card.digest[:12]}")


def _read_scores(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        scores = json.loads(file.read_bytes())
    except ValueError as error:
        message = f"{file} holds no JSON ({error})"
        raise UsageError(message) from error
    return dict(scores)
