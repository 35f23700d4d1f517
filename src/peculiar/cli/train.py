"""`peculiar train`: train a network on labelled galaxies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import IdColumn, Json, LabelledData, Labels, Seed
from peculiar.cli.progress import watching, watching_training
from peculiar.cli.terminal import out, print_json, print_scores, print_table
from peculiar.text import counted, format_score

if TYPE_CHECKING:
    from peculiar.exercise.train import Trained
    from peculiar.training.find_rate import Rates
    from peculiar.training.run import Run

_INTERRUPTED = 130
_RESUME = "; add --resume to the same command to continue after the last complete epoch"

EXAMPLES = (
    "peculiar train my_classes/",
    "peculiar train pictures.parquet --labels labels.csv --label morphology --out runs/mine",
    "peculiar train galaxies.parquet --labels votes.parquet --question gz_decals --from galaxy",
    "peculiar train galaxies.parquet --label morphology --net timm:convnext_nano --freeze 6",
    "peculiar train galaxydata.npz --net exercise --epochs 12",
)


def train(
    data: LabelledData,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the run; default: runs/NAME, named after the data.")
    ] = None,
    net: Annotated[
        str,
        typer.Option(
            help="Network: galaxy (that of the model that ships), exercise, timm:NAME (an encoder of timm) or "
            "hf-hub:OWNER/NAME (one of the hub of Hugging Face, such as Zoobot's)."
        ),
    ] = "galaxy",
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Starting weights of the galaxy network: galaxy (the model that ships), a model file, imagenet or "
            "scratch; default: galaxy; with --question or another --size: imagenet. Of an encoder of timm: pretrained "
            "(published weights, the default where there are any) or scratch.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Starting weights of an encoder of timm: safetensors, or a checkpoint of PyTorch, Lightning or "
            "Zoobot. Nothing in it is executed.",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of labels; default: the folders' names, or the usual column.")
    ] = None,
    labels: Labels = None,
    id_column: IdColumn = None,
    question: Annotated[
        str | None,
        typer.Option(
            help="Question or tree whose labels or votes the data or --labels hold: gz2, gz_decals, gz_desi, "
            "gz_hubble, gz_candels, gz_cosmic_dawn, gz_euclid, gz_jwst, galaxy (those of the model that ships), or a "
            "TOML file."
        ),
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>",
            help="Model file as a teacher (distillation), trained on the same split; may be given several times.",
        ),
    ] = None,
    fine_tune: Annotated[
        str,
        typer.Option(
            help="Fine-tune the network on your own classes: auto (if enough galaxies can show a gain), always or "
            "never. The result is kept only if it is better."
        ),
    ] = "auto",
    time_limit: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", help="Time limit of the fine-tuning, in minutes; default: no limit."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Number of epochs; default: 30 from a model, 12 from other weights, 8 for the exercise."),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Peak learning rate; default: 0.0003 from a model, 0.0005 from other weights, 0.001 for the exercise."
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Epochs without a lower log loss on held-out galaxies after which training ends, with the weights of "
            "the best epoch; default: 8 for your own classes, otherwise no end before --epochs."
        ),
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option(help="Pieces of a batch that are computed one after another, with less memory; default: 1."),
    ] = None,
    find_rate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Train nothing: try learning rates from 1e-6 to 1, a step each, draw the loss into this PNG or PDF, "
            "and tell the rate at which it falls fastest.",
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(help="Write the history after each epoch for other programs, too: csv or tensorboard."),
    ] = None,
    layer_decay: Annotated[
        float | None,
        typer.Option(
            help="Learning rate of each block of the body relative to the next one; default: 1; 0.75 for an encoder of "
            "timm with trained weights."
        ),
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(
            metavar="BLOCKS",
            help="Number of blocks of the body, from the first on, that do not learn, or all; default: 0; 4 for the "
            "body lite with trained weights.",
        ),
    ] = None,
    checkpointing: Annotated[
        bool,
        typer.Option("--checkpointing", help="Compute maps again for the gradients: less memory, more time."),
    ] = False,
    votes: Annotated[
        str | None,
        typer.Option(
            help="Votes on questions: shares (expected fractions), or dirichlet (fractions and their spread: intervals "
            "in the catalogue); default: shares."
        ),
    ] = None,
    precision: Annotated[str | None, typer.Option(help="Mixed precision: no or bf16; default: no.")] = None,
    body: Annotated[
        str | None,
        typer.Option(help="Body of the galaxy network: lite (that of the model that ships) or residual."),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(help="Number of filters of the galaxy network's first layers; default: 32, or that of the model."),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(help="Width of a second extent that the galaxy network sees, in squares of the galaxy: 1 or 2."),
    ] = None,
    embedding: Annotated[
        int | None,
        typer.Option(help="Numbers of the embedding, which is whitened; default: the features of the body."),
    ] = None,
    consistency: Annotated[
        float | None,
        typer.Option(help="Weight of the loss that draws two looks of a galaxy together (VICReg); default: 0."),
    ] = None,
    hints: Annotated[
        float | None,
        typer.Option(help="Weight of the loss that keeps the features of ImageNet; default: 0."),
    ] = None,
    validation_size: Annotated[
        float | None, typer.Option(help="Exercise: share of the galaxies in the validation part; default: 0.2.")
    ] = None,
    split_seed: Annotated[int | None, typer.Option(help="Exercise: seed of the split; default: 222.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the pictures in pixels; default: 128, or that of the model.")
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(
            help="Crop of the pictures: whole (the largest square), galaxy (a square around it), or pixels in the "
            "middle; default: galaxy, or that of the model; whole for the exercise."
        ),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Exercise: decode JPEGs at reduced size: faster, pixels differ slightly.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option(help="Galaxies per batch; default: 64, or all if there are fewer; 5 for the exercise.")
    ] = None,
    seed: Seed = 222,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out, if there is one.")] = False,
    as_json: Json = False,
) -> None:
    """Train a network on labelled galaxies."""
    from peculiar.training.find_rate import Rates
    from peculiar.training.processes import is_first
    from peculiar.training.run import Run
    from peculiar.training.train import train as run_train

    with (watching if net == "exercise" else watching_training)(_RESUME) as watcher:
        trained = run_train(
            data,
            folder,
            net=net,
            start=start,
            weights=weights,
            label=label,
            labels=labels,
            id=id_column,
            question=question,
            teachers=teacher or (),
            fine_tune=fine_tune,
            time_limit=time_limit,
            log=log,
            find_rate=find_rate,
            epochs=epochs,
            batch_size=batch_size,
            accumulate=accumulate,
            patience=patience,
            learning_rate=learning_rate,
            precision=precision,
            layer_decay=layer_decay,
            freeze=freeze,
            checkpointing=checkpointing or None,
            votes=votes,
            size=size,
            body=body,
            width=width,
            context=context,
            embedding=embedding,
            consistency=consistency,
            hints=hints,
            crop=crop,
            fast=fast or None,
            validation_size=validation_size,
            split_seed=split_seed,
            seed=seed,
            resume=resume,
            watcher=watcher,
        )
    if not is_first():
        return
    if isinstance(trained, Rates):
        _show_rates(trained, find_rate, as_json=as_json)
    elif not isinstance(trained, Run):
        _show_exercise(trained, as_json=as_json)
    else:
        _show_run(trained, as_json=as_json)
        if trained.stopped:
            raise typer.Exit(_INTERRUPTED)


def _show_rates(found: "Rates", file: Path | None, *, as_json: bool) -> None:
    """Print the learning rate that was found."""
    if as_json:
        print_json({"best": found.best, "rates": found.rates, "losses": found.losses, "figure": str(file)})
    else:
        out.print(f"The loss falls fastest at {found.best:.1g}: --learning-rate {found.best:.1g}")
        out.print(f"Figure: {file}")


def _show_run(run: "Run", *, as_json: bool) -> None:
    """Print the scores of a run of the galaxy network, and what to type next."""
    from peculiar.files.run_files import MODEL
    from peculiar.training.recipe import PAGE

    model = run.folder / MODEL
    if as_json:
        print_json({"out": str(run.folder), "history": run.history, "scores": run.scores, "stopped": run.stopped})
    elif not model.exists():
        out.print(f"The run is in {run.folder}. Next: peculiar export {run.folder} --out MODEL.onnx")
    else:
        for scores in run.scores.values():
            head = ["class", "galaxies", "precision", "recall", "F1", "AUC"]
            names = ("precision", "recall", "f1", "auc")
            print_table(
                [
                    head,
                    *(
                        [name, str(of["count"]), *(format_score(of[key]) for key in names)]
                        for name, of in scores["classes"].items()
                    ),
                ]
            )
        out.print(f"Model file: {model}")
        out.print(f"Page: {run.folder / PAGE}")
        out.print(f"Next: peculiar predict PICTURES --model {model} --out catalog.parquet")


def _show_exercise(trained: "Trained", *, as_json: bool) -> None:
    """Write the figures of a run of the exercise's network, and print its scores."""
    from peculiar.files.run_files import best_epoch
    from peculiar.reports import drawing, plots

    drawing.save(plots.draw_history(trained.history), trained.folder / "history.png")
    answers = trained.model.question.answers
    drawing.save(plots.draw_confusion(trained.scores.confusion, answers), trained.folder / "confusion.png")
    last, best = trained.history[-1], best_epoch(trained.history)
    if as_json:
        weights = {"weights": "last", "epoch": last["epoch"], "best_epoch": best["epoch"]}
        print_json({"history": trained.history, **weights, "scores": trained.scores.as_dict()})
        return
    held_back = f"the {counted(trained.scores.count, 'galaxy')} held back"
    out.print()
    out.print(f"Scores of the last weights (epoch {last['epoch']}) on {held_back}:")
    print_scores(trained.scores)
    if best is not last:
        out.print(
            f"The best weights, of the lowest validation loss (epoch {best['epoch']}), have an accuracy of "
            f"{best['val_categorical_accuracy']:.3f} on these; `peculiar evaluate --weights best` scores them."
        )
    out.print(f"The run is in {trained.folder}")
