"""The command line: one command a stage, each a thin layer over the function of its name."""

import json
import logging
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from peculiar.errors import (
    LabelError,
    MissingExtraError,
    PeculiarError,
    PeculiarWarning,
    UnknownNameError,
    UsageError,
)

if TYPE_CHECKING:
    from peculiar.fit import FitWatcher
    from peculiar.image import Framing
    from peculiar.predict import Classifier
    from peculiar.sources import Source
    from peculiar.train import Watcher

app = typer.Typer(
    help="peculiar finds the odd galaxies: learns from galaxy pictures that people have classified.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="What a set of galaxies holds, and where to get one.", no_args_is_help=True)
app.add_typer(data_app, name="data")

# Figures go to standard output; what is told on the way, to standard error.
# Text is printed as it is: a name with brackets is no markup, and a path is not broken across lines.
out = Console(markup=False, highlight=False, soft_wrap=True)
err = Console(markup=False, highlight=False, soft_wrap=True, stderr=True)

Data = Annotated[
    Path,
    typer.Argument(
        help="Galaxies: an NPZ, HDF5, Parquet, CSV, ECSV, FITS or VOTable file, or a folder of pictures.",
        show_default=False,
    ),
]
Label = Annotated[str | None, typer.Option(help="Column that holds the labels, for a table.", show_default=False)]
Size = Annotated[int, typer.Option(help="Side of the pictures that the network sees, in pixels.")]
Crop = Annotated[
    str,
    typer.Option(
        help="What to keep: whole (the largest square), galaxy (by its extent), or the middle's side in pixels."
    ),
]
Fast = Annotated[bool, typer.Option("--fast", help="Reduce JPEGs while decoding: faster, pixels differ slightly.")]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
Run = Annotated[Path, typer.Option("--model", help="Folder that `peculiar train` wrote.", show_default=False)]
Model = Annotated[
    Path | None,
    typer.Option(help="Model file (.onnx), or folder that `peculiar train` wrote; default: the model that ships."),
]
Views = Annotated[
    int | None,
    typer.Option(
        help="Average over so many turned and mirrored views, 1 to 8, which takes as much longer; default: as the "
        "model says."
    ),
]


def main() -> None:
    """Run the command line; errors are messages, with a traceback only under ``--debug``."""
    warnings.showwarning = _show_warning  # type: ignore[assignment] # file and line are of no use to a user
    warnings.simplefilter("always", PeculiarWarning)
    try:
        app()
    except (PeculiarError, OSError) as error:
        if _Debug.on:
            raise
        err.print("error:", style="bold red", end=" ")
        err.print(str(error))
        sys.exit(getattr(error, "exit_status", 1))


class _Debug:
    on = False


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    _Debug.on = debug
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("peculiar").setLevel(logging.INFO)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Folder to write to; a demo that is there is replaced.")] = Path(
        "demo"
    ),
    data: Annotated[
        Path | None, typer.Option(help="NPZ file in the exercise's layout; default the exercise's own.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="The exercise's 8, or its variant's 12.")] = 8,
) -> None:
    """Run the exercise from beginning to end, and leave a page that shows it."""
    with _extra("the demo", "train"):
        from peculiar.demo import demo as run_demo
    with _watching() as watcher:
        page = run_demo(folder, data=data, epochs=epochs, watcher=watcher)
    out.print(f"Open {page} in a browser.")


@app.command()
def train(
    data: Data,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the run.", show_default=False)],
    net: Annotated[
        str, typer.Option(help="Network: reference (the exercise's); for the one that ships see `peculiar fit`.")
    ] = "reference",
    epochs: Annotated[int, typer.Option(help="How often to go through the galaxies.")] = 8,
    batch_size: Annotated[int, typer.Option(help="Galaxies a step.")] = 5,
    learning_rate: Annotated[float, typer.Option(help="Adam's step size.")] = 0.001,
    validation_size: Annotated[float, typer.Option(help="Share of the galaxies that is held back.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Decides first weights and order of the galaxies.")] = 222,
    split_seed: Annotated[int, typer.Option(help="Decides which galaxies are held back.")] = 222,
    label: Label = None,
    size: Size = 128,
    crop: Crop = "whole",
    fast: Fast = False,
    precision: Annotated[str, typer.Option(help="Mixed precision: no or bf16.")] = "no",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, if there is one.")] = False,
    as_json: Json = False,
) -> None:
    """Train a network on labelled galaxies."""
    with _extra("training", "train"):
        from peculiar import plots, run
        from peculiar.train import train as run_train
    arguments = run.arguments(
        net=net,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        learning_rate=learning_rate,
        validation_size=validation_size,
        split_seed=split_seed,
        framing=_framing(size, crop, fast=fast),
        precision=precision,
    )
    with _watching("; add --resume to the same command to go on after the last whole epoch") as watcher:
        trained = run_train(data, folder, arguments, label=label, resume=resume, watcher=watcher)
    if not trained.main_process:
        return
    plots.save(plots.draw_history(trained.history), folder / "history.png")
    plots.save(plots.draw_confusion(trained.scores.confusion, trained.model.question.answers), folder / "confusion.png")
    if as_json:
        _print_json({"history": trained.history, "scores": trained.scores.as_dict()})
    else:
        out.print(f"\nScores on the {trained.scores.count:,} galaxies held back:")
        _print_scores(trained.scores)
        out.print(f"The run is in {folder}")


@app.command()
def fit(
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Sets of galaxies; the same one may be in several, at other sharpness.", show_default=False
        ),
    ],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the run.", show_default=False)],
    epochs: Annotated[int, typer.Option(help="How often to go through the galaxies.")] = 26,
    batch_size: Annotated[int, typer.Option(help="Galaxies a step.")] = 64,
    width: Annotated[int, typer.Option(help="Filters of the network's first stage.")] = 48,
    size: Size = 128,
    learning_rate: Annotated[float, typer.Option(help="Step size at its peak.")] = 0.003,
    precision: Annotated[str, typer.Option(help="Mixed precision: no or bf16.")] = "bf16",
    teacher: Annotated[
        Path | None,
        typer.Option(help="Model file to learn from as well as from the labels, trained on the same parts."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides first weights, order and views.")] = 222,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, if there is one.")] = False,
    as_json: Json = False,
) -> None:
    """Train the galaxy network on every question that the data answer, as the model that ships was."""
    with _extra("training", "train"):
        from peculiar.fit import fit as run_fit
        from peculiar.fit import recipe as make_recipe
    from peculiar.model import load_model

    recipe = make_recipe(
        epochs=epochs,
        batch_size=batch_size,
        width=width,
        size=size,
        learning_rate=learning_rate,
        precision=precision,
        seed=seed,
    )
    with _fitting() as watcher:
        known = None if teacher is None else load_model(teacher)
        history = run_fit(data, folder, recipe, teacher=known, resume=resume, watcher=watcher)
    if as_json:
        _print_json({"history": history})
    else:
        out.print(f"The run is in {folder}; `peculiar export {folder} --out MODEL.onnx` makes a model file of it.")


@app.command()
def export(
    folder: Annotated[
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
) -> None:
    """Make one model file of a run, which `peculiar predict` takes and which needs no PyTorch."""
    with _extra("exporting a model", "train"):
        from peculiar.export import export as run_export
    kept = None
    if scores is not None:
        try:
            kept = json.loads(scores.read_bytes())
        except ValueError as error:
            message = f"{scores} holds no JSON ({error})"
            raise UsageError(message) from error
    model = run_export(folder, file, name=name, scores=kept, credits=credit or (), licence=licence)
    questions = ", ".join(question.name for question in model.card.questions)
    out.print(f"{file}: {file.stat().st_size / 1e6:.1f} MB, answers {questions}; digest {model.card.digest[:12]}")


@app.command()
def predict(
    data: Data,
    file: Annotated[
        Path, typer.Option("--out", help="Catalogue to write: .parquet, .csv, .fits, .vot or .ecsv.")
    ] = Path("catalog.parquet"),
    model: Annotated[Path | None, typer.Option(help="Model file (.onnx); default: the model that ships.")] = None,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="Keep what the network makes of each picture, for searching.")
    ] = False,
    views: Views = None,
    crop: Annotated[
        str | None,
        typer.Option(
            help="What to show the network: galaxy, whole, or a number of pixels; default: as the model says."
        ),
    ] = None,
    fast: Fast = False,
    batch_size: Annotated[int, typer.Option(help="Pictures that go through the network together.")] = 32,
    as_json: Json = False,
) -> None:
    """Classify galaxies into a catalogue."""
    from peculiar.catalog import predict_catalog
    from peculiar.image import parse_crop
    from peculiar.model import load_model
    from peculiar.sources import open_source

    opened = load_model(model)
    source = open_source(data)
    framing = replace(opened.framing, fast=fast)
    if crop is not None:
        framing = replace(framing, crop=parse_crop(crop))
    with _counting("classifying", total=len(source)) as progress:
        result = predict_catalog(
            source,
            file,
            opened,
            embeddings=embeddings,
            views=views,
            framing=framing,
            batch_size=batch_size,
            progress=progress,
        )
    if as_json:
        _print_json({"out": str(file), **result.as_dict()})
        return
    for id_, reason in result.problems.items():
        err.print(f"{id_} cannot be read: {reason}")
    counts = ", ".join(f"{name} {count:,}" for name, count in result.classes.items())
    out.print(
        f"{result.rows:,} galaxies in {result.seconds:.1f} s ({result.rows / result.seconds:,.0f} a second): {counts}"
    )
    if result.flagged:
        out.print(f"flagged: {', '.join(f'{name} {count:,}' for name, count in result.flagged.items())}")
    out.print(f"The catalogue is in {file}")


@app.command()
def evaluate(
    data: Data,
    model: Model = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for scores and figures; default: in the run's folder, or evaluation."),
    ] = None,
    label: Label = None,
    question: Annotated[
        str | None, typer.Option(help="Which of a model's questions; default: the one that the labels answer.")
    ] = None,
    part: Annotated[
        str, typer.Option(help="Galaxies that a model file was not trained on, by their ids: test, validation, or all.")
    ] = "all",
    weights: Annotated[str, typer.Option(help="The run's best or last weights.")] = "best",
    include_training: Annotated[
        bool, typer.Option("--include-training", help="Also score galaxies that the run was trained on.")
    ] = False,
    views: Views = None,
    as_json: Json = False,
) -> None:
    """Score a model on labelled galaxies, leaving out those that a run was trained on."""
    from peculiar import plots
    from peculiar.cache import writing
    from peculiar.evaluate import evaluate as score
    from peculiar.predict import predict
    from peculiar.sources import open_source

    asked = _asked(model, weights=weights, views=views, include_training=include_training, part=part)
    source = open_source(data, label=label)
    trained = asked.about(question, source)
    known = source.labels()
    trained.question.check((None if one in trained.question.silent else one for one in known), source.path)
    labelled = sum(label in trained.question.answers for label in known)
    galaxies = (
        galaxy
        for galaxy in source.galaxies(trained.framing, labelled_only=True)
        if galaxy.label in trained.question.answers and asked.takes(galaxy.id)
    )
    with _counting("classifying") as progress:
        predictions = predict(trained, galaxies, progress=progress)
    left_out = labelled - len(predictions.ids)
    if not predictions.ids:
        message = f"none of the {labelled:,} labelled galaxies of {data} is left to score; {asked.advice}"
        raise LabelError(message)
    labels, probabilities = predictions.scored(trained.question)
    scores = score(labels, probabilities, trained.question.answers)
    folder = folder or asked.folder
    result = {
        "data": str(data),
        "model": asked.name,
        **asked.settings,
        "question": trained.question.name,
        "left_out": left_out,
        "unreadable": predictions.problems,
        "scores": scores.as_dict(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder / "scores.json") as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    plots.save(plots.draw_confusion(scores.confusion, trained.question.answers), folder / "confusion.png")
    if as_json:
        _print_json(result)
        return
    if left_out:
        out.print(f"{left_out:,} galaxies are left out: {asked.reason}.")
    for id_, reason in predictions.problems.items():
        out.print(f"{id_} cannot be read: {reason}")
    _print_scores(scores)
    out.print(f"Scores and figures are in {folder}")


@dataclass(frozen=True)
class _Asked:
    """A model of either kind that is about to be scored."""

    name: str
    folder: Path
    about: "Callable[[str | None, Source], Classifier]"
    takes: Callable[[str], bool]
    settings: dict[str, Any]
    reason: str
    advice: str


def _asked(model: Path | None, *, weights: str, views: int | None, include_training: bool, part: str) -> _Asked:
    """Open a run's folder or a model file, and say which galaxies it may be scored on."""
    from peculiar.model import load_model
    from peculiar.split import PARTS, part_of

    if model is not None and model.is_dir():
        with _extra("evaluating a training run", "train"):
            from peculiar import run
        trained = run.load_run(model, weights=weights)
        seen = set() if include_training else {id_ for id_, in_ in run.read_split(model).items() if in_ == "training"}
        return _Asked(
            name=str(model),
            folder=model / "evaluation",
            about=lambda _, __: trained,
            takes=lambda id_: id_ not in seen,
            settings={"weights": weights},
            reason="the model was trained on them",
            advice="the model was trained on all of them: score others, or these too (--include-training)",
        )
    opened = load_model(model)
    if part not in ("all", *PARTS):
        raise UnknownNameError("part", part, ("all", *PARTS))
    recipe = opened.card.training.get("recipe", {})
    sizes = {name: float(recipe.get(name, 0)) for name in ("validation_size", "test_size")}
    return _Asked(
        name=f"{opened.card.name} {opened.card.digest[:12]}",
        folder=Path("evaluation"),
        about=lambda question, source: opened.asking(question, labels=source.label, views=views),
        takes=lambda id_: part in ("all", part_of(id_, **sizes)),
        settings={"part": part, "views": views or opened.card.views},
        reason=f"they are not in the part {part}",
        advice=f"none is in the part {part}: score all (--part all)",
    )


@app.command()
def explain(
    data: Data,
    model: Run,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the figures.")] = Path("activations"),
    count: Annotated[int, typer.Option(help="How many galaxies.")] = 5,
    label: Label = None,
    weights: Annotated[str, typer.Option(help="The run's best or last weights.")] = "best",
) -> None:
    """Draw what each filter of each convolutional layer sees in galaxies that the model was not trained on."""
    with _extra("explaining a training run", "train"):
        from peculiar import run
        from peculiar.explain import visualize_activations
    from peculiar.sources import open_source

    trained = run.load_run(model, weights=weights)
    seen = {id_ for id_, part in run.read_split(model).items() if part == "training"}
    source = open_source(data, label=label)
    numbers: dict[str | None, int] = {answer: number for number, answer in enumerate(trained.question.answers)}
    batches = (
        ([galaxy.picture], [numbers.get(galaxy.label, -1)])
        for galaxy in source.galaxies(trained.framing)
        if galaxy.picture is not None and galaxy.id not in seen
    )
    visualize_activations(trained, batches, count=count, out=folder)


@data_app.command("list")
def data_list(data: Data, label: Label = None, as_json: Json = False) -> None:
    """Say what a set of galaxies is: its kind, how many, and how many of each class."""
    from collections import Counter

    from peculiar.sources import open_source

    source = open_source(data, label=label)
    counts = Counter(source.labels())
    unlabelled = counts.pop(None, 0)
    result = {
        "data": str(data),
        "kind": source.kind,
        "galaxies": len(source),
        "label": source.label,
        "classes": dict(counts.most_common()),
        "unlabelled": unlabelled,
    }
    if as_json:
        _print_json(result)
        return
    out.print(f"{data}: {len(source):,} galaxies ({source.kind})")
    if source.label:
        out.print(
            f"labels: {source.label}, of which {unlabelled:,} are empty" if unlabelled else f"labels: {source.label}"
        )
        _print_table([["class", "galaxies"], *([str(name), f"{count:,}"] for name, count in counts.most_common())])
    else:
        out.print("no labels")


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="exercise (the 1,400 published galaxies) or simulated.")],
    file: Annotated[Path, typer.Option("--out", help="NPZ file to write.", show_default=False)],
    count: Annotated[int, typer.Option(help="How many, of the simulated.")] = 1400,
    size: Annotated[int, typer.Option(help="Side of the simulated pictures, in pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 222,
) -> None:
    """Write a set of galaxies in the exercise's layout."""
    from peculiar.errors import UnknownNameError
    from peculiar.sources import exercise, npz, simulated

    if name == "exercise":
        exercise.copy_galaxy_data(file)
    elif name == "simulated":
        simulation = simulated.simulate(count, size=size, seed=seed)
        npz.write_npz(file, simulation.pictures, simulation.labels, parameters=simulation.parameters)
    else:
        raise UnknownNameError("data set", name, ["exercise", "simulated"])
    out.print(f"Written to {file}")


@data_app.command("check")
def data_check(
    data: Data,
    label: Label = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder for a page with pictures, and JSON.")] = None,
    radius: Annotated[float, typer.Option(help="Positions closer than so many arcseconds are neighbours.")] = 1.0,
    split: Annotated[
        str | None, typer.Option(help="Column that names each galaxy's part; or a table with id and part; or a run.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model file whose embeddings judge the labels; default: the model that ships.")
    ] = None,
    fix: Annotated[
        Path | None, typer.Option(help="CSV file to write: which galaxies to keep, and why the others not.")
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(help="Exit with 1 if there are findings of this kind, or any; may be given several times."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong with a set of galaxies: broken pictures, duplicates, leaks, labels, columns."""
    from peculiar.checkup import write_checkup, write_cleaned
    from peculiar.diagnosis import KINDS
    from peculiar.doctor import check

    for kind in fail_on or ():
        if kind not in ("any", *KINDS):
            raise UnknownNameError("kind of finding", kind, ("any", *KINDS))
    with _counting("looking") as progress:
        found = check(
            data, label=label, radius=radius, split=split, model=model, progress=lambda _, done: progress(done)
        )
    if folder is not None:
        write_checkup(found, folder, label=label)
    if fix is not None:
        write_cleaned(found, fix)
    counts = found.counts()
    if as_json:
        _print_json(found.as_dict())
    else:
        out.print(f"{len(found.ids):,} galaxies in {found.seconds:.1f} s")
        if counts:
            _print_table([["finding", "count"], *([kind, f"{count:,}"] for kind, count in counts.items())])
        else:
            out.print("nothing is wrong")
        for what, why in found.skipped.items():
            out.print(f"not looked for: {what} ({why})")
        for written in (folder and folder / "index.html", fix):
            if written is not None:
                out.print(f"Written to {written}")
    if any(kind in counts or (kind == "any" and counts) for kind in fail_on or ()):
        raise typer.Exit(1)


@app.command()
def info(as_json: Json = False) -> None:
    """Print versions, device and cache: for bug reports."""
    from peculiar.cache import cache_folder

    result = {
        "peculiar": metadata.version("peculiar"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "cache": str(cache_folder()),
        "PECULIAR_DATA": os.environ.get("PECULIAR_DATA") or "not set",
        **{
            name: _version(name)
            for name in ("numpy", "onnxruntime", "pillow", "pyarrow", "astropy", "scikit-learn", "simplejpeg")
        },
        **{name: _version(name) for name in ("torch", "accelerate", "safetensors", "keras")},
        "device": _device(),
    }
    if as_json:
        _print_json(result)
    else:
        _print_table([[key, "not installed" if value is None else str(value)] for key, value in result.items()])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _device() -> str:
    try:
        import torch
    except ImportError:
        return "cpu"
    if torch.cuda.is_available():
        return f"cuda ({torch.cuda.device_count()} x {torch.cuda.get_device_name()})"
    return "mps" if torch.backends.mps.is_available() else f"cpu ({torch.get_num_threads()} threads)"


def _framing(size: int, crop: str, *, fast: bool) -> "Framing":
    from peculiar.image import Framing, parse_crop

    return Framing(size, parse_crop(crop), fast)


@contextmanager
def _extra(task: str, extra: str) -> Iterator[None]:
    """Turn a missing optional package into advice."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(task, extra) from error


def _show_warning(message: Warning | str, category: type[Warning], *_: Any) -> None:
    if issubclass(category, PeculiarWarning):
        err.print("warning:", style="bold yellow", end=" ")
        err.print(str(message))


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def _print_table(rows: list[list[str]]) -> None:
    """Print rows with their columns aligned: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        out.print("  ".join(cells))


def _print_scores(scores: Any) -> None:
    from peculiar.report import format_score, score_table

    for name, value in (
        ("accuracy", scores.accuracy),
        ("balanced accuracy", scores.balanced_accuracy),
        ("AUC (mean over classes)", scores.auc),
        ("AUC (pooled, as Keras)", scores.pooled_auc),
        ("log loss", scores.log_loss),
    ):
        out.print(f"{name:26} {format_score(value)}")
    out.print()
    _print_table(score_table(scores))
    out.print("\nConfusion matrix (rows: true class, columns: predicted)")
    names = list(scores.classes)
    rows = [[name, *map(str, row)] for name, row in zip(names, scores.confusion, strict=True)]
    _print_table([["", *names], *rows])


@contextmanager
def _counting(task: str, total: int | None = None) -> Iterator[Any]:
    """Show how many galaxies are done, how many a second, and the time left, where standard error is a terminal."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} a second")

    columns = (TextColumn(task), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task(task, total=total)
        yield lambda done: progress.advance(bar, done)


@contextmanager
def _bar(if_stopped: str) -> Iterator[Callable[..., None]]:
    """Show a training's progress where standard error is a terminal; and what to do next if it is interrupted."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task("reading", total=None)
        try:
            yield lambda **values: progress.update(bar, **values)
        except KeyboardInterrupt as error:
            err.print(f"stopped{if_stopped}")
            raise typer.Exit(130) from error


@contextmanager
def _fitting() -> Iterator["FitWatcher"]:
    """Show a fit: a bar with the loss, a line an epoch; and what to do next if it is interrupted."""
    from peculiar.fit import FitWatcher
    from peculiar.report import format_score

    with _bar("; add --resume to the same command to go on after the last whole epoch") as show:

        class Terminal(FitWatcher):
            def __init__(self) -> None:
                self.epochs = 0

            def reading(self, done: int, total: int) -> None:
                show(completed=done, total=total)

            def asking(self, done: int, total: int) -> None:
                show(description="asking the teacher", completed=done, total=total)

            def begin(self, record: Any, parameters: int) -> None:
                self.epochs = record.recipe.epochs
                counts = ", ".join(f"{part} {count:,}" for part, count in record.counts.items())
                questions = ", ".join(question.name for question in record.questions)
                err.print(f"pictures: {counts}; questions: {questions}; {parameters:,} parameters")

            def batch(self, epoch: int, done: int, total: int, loss: float) -> None:
                description = f"epoch {epoch}/{self.epochs}  loss {loss:.3f}"
                show(description=description, completed=done, total=total)

            def epoch(self, line: dict[str, Any]) -> None:
                scores = "  |  ".join(
                    f"{key.removeprefix('val_')} accuracy {format_score(value['accuracy'])}, "
                    f"AUC {format_score(value['auc'])}"
                    for key, value in line.items()
                    if key.startswith("val_")
                )
                err.print(
                    f"epoch {line['epoch']}/{self.epochs}  loss {line['loss']:.3f}  |  validation: {scores}  "
                    f"({line['seconds']:.0f} s)"
                )

        yield Terminal()


@contextmanager
def _watching(if_stopped: str = "") -> Iterator["Watcher"]:
    """Show a training run: a bar with the metrics, a line an epoch; and what to do next if it is interrupted."""
    from peculiar.report import format_score
    from peculiar.train import Watcher

    with _bar(if_stopped) as show:

        class Terminal(Watcher):
            def __init__(self) -> None:
                self.epochs = 0

            def reading(self, done: int, total: int) -> None:
                show(completed=done, total=total)

            def begin(self, record: Any, summary: str) -> None:
                self.epochs = record.arguments.epochs
                counts = f"{record.training_count:,} galaxies to train on, {record.validation_count:,} held back"
                err.print(f"{counts}; classes: {', '.join(record.question.answers)}\n\n{summary}\n")

            def batch(self, epoch: int, done: int, total: int, loss: float, accuracy: float) -> None:
                description = f"epoch {epoch}/{self.epochs}  loss {loss:.3f}  accuracy {accuracy:.3f}"
                show(description=description, completed=done, total=total)

            def epoch(self, line: dict[str, Any]) -> None:
                scores = (
                    f"{prefix}loss {line[key + 'loss']:.3f}  accuracy {line[key + 'categorical_accuracy']:.3f}  "
                    f"AUC {format_score(line[key + 'auc'])}"
                    for prefix, key in (("", ""), ("validation: ", "val_"))
                )
                err.print(f"epoch {line['epoch']}/{self.epochs}  {'  |  '.join(scores)}  ({line['seconds']:.1f} s)")

        yield Terminal()
