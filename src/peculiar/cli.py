"""The command line: one command a stage, each a thin layer over the function of its name."""

import json
import logging
import os
import platform
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from peculiar.errors import (
    LabelError,
    MissingExtraError,
    PeculiarError,
    PeculiarWarning,
    UnknownNameError,
    UsageError,
)
from peculiar.web.command import label, labels_app

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from peculiar.batch import Catalogued
    from peculiar.fit import FitWatcher
    from peculiar.image import Framing
    from peculiar.predict import Classifier
    from peculiar.schema import Question
    from peculiar.search import Cone, Hits
    from peculiar.shift import Shifted
    from peculiar.sources import Galaxy, Source
    from peculiar.train import Watcher

app = typer.Typer(
    help="peculiar finds the odd galaxies: learns from galaxy pictures that people have classified.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="What a set of galaxies holds, and where to get one.", no_args_is_help=True)
app.add_typer(data_app, name="data")


class _SearchGroup(TyperGroup):
    """Lets `peculiar search CATALOG` stand for `peculiar search query CATALOG`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = args[0] if args else "--help"
        # A plain word that is no path is more likely a mistyped command, which the group knows how to tell.
        query = first not in {*self.commands, "-h", "--help"} and (Path(first).exists() or not first.isalpha())
        return super().parse_args(ctx, ["query", *args] if query else args)


search_app = typer.Typer(
    cls=_SearchGroup,
    help="What a catalogue holds. `peculiar search CATALOG --where ...` is short for `peculiar search query CATALOG "
    "--where ...`.",
    no_args_is_help=True,
)
app.add_typer(search_app, name="search")
app.command()(label)
app.add_typer(labels_app, name="labels")

# Figures go to standard output; what is told on the way, to standard error.
# Text is printed as it is: a name with brackets is no markup, and a path is not broken across lines.
out = Console(markup=False, highlight=False, soft_wrap=True)
err = Console(markup=False, highlight=False, soft_wrap=True, stderr=True)

Data = Annotated[
    Path,
    typer.Argument(
        help="Galaxies: an NPZ, HDF5, Parquet, CSV, ECSV, FITS or VOTable file, or a folder of pictures or FITS.",
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
        Path,
        typer.Option(
            "--out", help="Catalogue to write: .parquet, .csv, .fits, .vot or .ecsv; or a folder for Parquet parts."
        ),
    ] = Path("catalog.parquet"),
    model: Annotated[Path | None, typer.Option(help="Model file (.onnx); default: the model that ships.")] = None,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="Keep what the network makes of each picture, for searching.")
    ] = False,
    positions: Annotated[
        Path | None,
        typer.Option(
            "--catalog",
            help="Table with ra and dec (degrees): cut stamps out of a FITS mosaic.",
            show_default=False,
        ),
    ] = None,
    stamp_size: Annotated[
        str, typer.Option(help="Side of a stamp: 128px, 30arcsec, or 4xR50 (radii in the column R50, in arcsec).")
    ] = "128px",
    bands: Annotated[
        str, typer.Option(help="Bands of FITS images, the reddest first: i,r,g; default: as the files name them.")
    ] = "",
    views: Views = None,
    crop: Annotated[
        str | None,
        typer.Option(
            help="What to show the network: galaxy, whole, or a number of pixels; default: as the model says."
        ),
    ] = None,
    fast: Fast = False,
    batch_size: Annotated[int, typer.Option(help="Pictures that go through the network together.")] = 32,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the work; default: one a core.", show_default=False)
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(help="Instead: the address of a Dask scheduler, or local to start one.", show_default=False),
    ] = None,
    shard_rows: Annotated[int, typer.Option(help="Galaxies a part, about: what a crash may cost.")] = 2048,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, whatever was done before.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write the catalogue also if parts of the data cannot be read at all.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Classify galaxies into a catalogue; the same command goes on with a run that was stopped."""
    from peculiar.batch import cores, predict_catalog
    from peculiar.image import parse_crop
    from peculiar.model import load_model
    from peculiar.sources import open_mosaic, open_source

    opened = load_model(model)
    # The workers of a cluster may stand in other folders.
    data = data if dask is None else data.absolute()
    if positions is None:
        source = open_source(data, bands=bands)
    else:
        positions = positions if dask is None else positions.absolute()
        source = open_mosaic(data, positions, stamp_size=stamp_size, bands=bands)
    framing = replace(opened.framing, fast=fast)
    if crop is not None:
        framing = replace(framing, crop=parse_crop(crop))
    with _bar("; the same command goes on from there", task="classifying") as show:
        result = predict_catalog(
            source,
            file,
            opened,
            embeddings=embeddings,
            views=views,
            framing=framing,
            batch_size=batch_size,
            workers=cores() if workers is None else workers,
            dask=dask,
            shard_rows=shard_rows,
            restart=restart,
            partial=partial,
            progress=lambda done, total: show(completed=done, total=total),
        )
    if as_json:
        _print_json({"out": str(file), **result.as_dict()})
    else:
        _print_catalogued(result)
    if result.failed:
        raise typer.Exit(1)


def _print_catalogued(result: "Catalogued") -> None:
    tally, new = result.tally, result.tally.rows - result.kept
    for id_, reason in tally.problems.items():
        err.print(f"{id_} cannot be read: {reason}")
    counts = ", ".join(f"{name} {count:,}" for name, count in tally.classes.items())
    earlier = f", {result.kept:,} of them by an earlier run, {new:,}" if result.kept else ""
    pace = f"in {result.seconds:.1f} s ({new / result.seconds:,.0f} a second)"
    out.print(f"{tally.rows:,} galaxies{earlier} {pace}: {counts}")
    if tally.flagged:
        out.print(f"flagged: {', '.join(f'{name} {count:,}' for name, count in tally.flagged.items())}")
    for name, reason in result.failed.items():
        err.print(f"{name} failed: {reason}")
    if result.path.exists():
        out.print(f"The catalogue is in {result.path}")
    if result.failed:
        err.print(
            f"{len(result.failed):,} parts of the data failed; mend them, then the same command goes on with what is "
            "left. --partial writes the catalogue without them"
        )


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
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column to score by as well, numbers in four bins; may be given several times."),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column whose entries belong together, as a field: for honest intervals.")
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option("--fractions", help="Catalogue without labels whose classes are to be counted.")
    ] = None,
    push: Annotated[
        bool, typer.Option("--shift", help="Also score pictures made worse step by step; takes minutes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Score a model on labelled galaxies, leaving out those that a run was trained on; or a table of probabilities."""
    from peculiar.assess import assess, read_probabilities
    from peculiar.assess_page import facts_of, write_assessment
    from peculiar.cache import writing

    asked = _asked(model, weights=weights, views=views, include_training=include_training, part=part)
    scored = _scored_catalogue(data, asked, label, part) or _scored_pictures(data, asked, label, question)
    unlabelled = None
    if catalog is not None:
        values, known = read_probabilities(catalog, scored.question, "" if scored.source is None else asked.digest)
        unlabelled = values[known]
    wanted = dict.fromkeys(["survey", scored.question.basis, *(by or ())])
    columns = {name: scored.column(name) for name in wanted if name and (name in scored.columns or name in (by or ()))}
    found = assess(
        scored.ids,
        scored.labels,
        scored.probabilities,
        scored.question,
        columns=columns,
        groups=None if group is None else scored.column(group),
        temperature=asked.temperatures.get(scored.question.name, 1.0),
        thresholds=asked.sets.get(scored.question.name),
        unlabelled=unlabelled,
    )
    shifts = scored.push(asked) if push else {}
    folder = folder or asked.folder
    result = {
        "data": str(data),
        "model": asked.name,
        **asked.settings,
        "question": scored.question.name,
        "left_out": scored.left_out,
        "unreadable": scored.problems,
        "command": " ".join(["peculiar", *sys.argv[1:]]),
        "seed": 222,
        **found.as_dict(),
        "shifts": {name: of.as_dict() for name, of in shifts.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder / "scores.json") as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    facts = {
        name: result[name] for name in ("data", "model", *asked.settings, "question", "left_out", "seed", "command")
    }
    facts["digest of the galaxies scored"] = found.digest
    facts |= asked.digests
    write_assessment(folder, found, facts_of(facts), mistakes=scored.mistakes(asked, found.mistakes), shifts=shifts)
    if as_json:
        _print_json(result)
        return
    if scored.left_out:
        out.print(f"{scored.left_out:,} galaxies are left out: {asked.reason}.")
    for id_, reason in scored.problems.items():
        out.print(f"{id_} cannot be read: {reason}")
    _print_scores(found.scores)
    if found.fractions:
        out.print("\nShares in the catalogue, with 90 % intervals")
        rows = [["class", "called so", "adjusted counts", "expectation maximisation"]]
        rows += [
            [
                name,
                f"{one.counted:.1%}",
                "{:.1%} ({:.1%} to {:.1%})".format(one.adjusted, *one.adjusted_interval),
                "{:.1%} ({:.1%} to {:.1%})".format(one.expected, *one.expected_interval),
            ]
            for name, one in found.fractions.items()
        ]
        _print_table(rows)
    out.print(f"Scores and figures are in {folder}; open {folder / 'report.html'} in a browser.")


@dataclass(frozen=True)
class _Scored:
    """Galaxies with labels and probabilities, and where they came from; `source` is None for a plain table."""

    question: "Question"
    rows: list[int]
    ids: list[str]
    labels: "NDArray[np.int64]"
    probabilities: "NDArray[np.floating]"
    columns: tuple[str, ...]
    read_column: Callable[[str], list[Any]]
    source: "Source | None" = None
    left_out: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    def column(self, name: str) -> list[str | None]:
        """Return a column of the galaxies that are scored."""
        if name not in self.columns:
            raise UnknownNameError("column", name, self.columns)
        entries = self.read_column(name)
        return [None if entries[row] in (None, "") else str(entries[row]) for row in self.rows]

    def mistakes(self, asked: "_Asked", rows: "NDArray[np.intp]") -> "list[tuple[NDArray[np.uint8], str]]":
        """Return pictures of the most confident mistakes, and what was said of each."""
        from peculiar.assess import MISTAKES

        if self.source is None:
            return []
        answers, found = self.question.answers, []
        for row in rows[:MISTAKES]:
            place = self.rows[row]
            (galaxy,) = self.source.galaxies(
                asked.about(self.question.name, self.source).framing, start=place, stop=place + 1
            )
            called = self.probabilities[row].argmax()
            text = f"{answers[called]} {self.probabilities[row, called]:.0%}\nlabel: {answers[self.labels[row]]}"
            if galaxy.picture is not None:
                found.append((galaxy.picture, text))
        return found

    def push(self, asked: "_Asked") -> "dict[str, Shifted]":
        """Score pictures made worse, of at most a few hundred galaxies that chance chooses."""
        import numpy as np

        from peculiar.shift import MOST, shift_scores

        if self.source is None:
            message = "--shift needs pictures, and a table of probabilities has none; give the pictures"
            raise UsageError(message)
        chosen = np.sort(np.random.default_rng(222).permutation(len(self.rows))[:MOST])
        places = {self.rows[number] for number in chosen}
        rows = [row for place, row in enumerate(self.source.rows()) if place in places]
        with _counting("pushing") as progress:
            return shift_scores(
                asked.about(self.question.name, self.source), rows, self.labels[chosen], progress=progress
            )


def _scored_pictures(data: Path, asked: "_Asked", label: str | None, question: str | None) -> _Scored:
    """Classify the labelled galaxies of a source that a model may be scored on."""
    from peculiar.predict import predict
    from peculiar.sources import open_source

    source = open_source(data, label=label)
    trained = asked.about(question, source)
    known = source.labels()
    trained.question.check((None if one in trained.question.silent else one for one in known), source.path)
    labelled = sum(label in trained.question.answers for label in known)
    rows: list[int] = []

    def galaxies() -> "Iterator[Galaxy]":
        places = [row for row, label in enumerate(known) if label is not None]
        for row, galaxy in zip(places, source.galaxies(trained.framing, labelled_only=True), strict=True):
            if galaxy.label in trained.question.answers and asked.takes(galaxy.id):
                rows.append(row)
                yield galaxy

    with _counting("classifying") as progress:
        predictions = predict(trained, galaxies(), progress=progress)
    if not predictions.ids:
        message = f"none of the {labelled:,} labelled galaxies of {data} is left to score; {asked.advice}"
        raise LabelError(message)
    labels, probabilities = predictions.scored(trained.question)
    readable = [number for number, id_ in enumerate(predictions.ids) if id_ not in predictions.problems]
    return _Scored(
        question=trained.question,
        rows=[rows[number] for number in readable],
        ids=[predictions.ids[number] for number in readable],
        labels=labels,
        probabilities=probabilities,
        columns=source.columns,
        read_column=source.column,
        source=source,
        left_out=labelled - len(predictions.ids),
        problems=predictions.problems,
    )


def _scored_catalogue(data: Path, asked: "_Asked", label: str | None, part: str) -> _Scored | None:
    """Read labels and probabilities of a table that has no pictures; None if it is no such table."""
    from peculiar.assess import has_probabilities, read_catalogue
    from peculiar.table import table_format

    if not data.is_file() or not table_format(data) or not has_probabilities(data):
        return None
    table = read_catalogue(data, label, asked.questions)
    taken = [number for number, id_ in enumerate(table.ids) if asked.takes(id_)]
    if not taken:
        message = f"none of the {len(table.ids):,} labelled galaxies of {data} is left to score; {asked.advice}"
        raise LabelError(message)
    return _Scored(
        question=table.question,
        rows=[table.rows[number] for number in taken],
        ids=[table.ids[number] for number in taken],
        labels=table.labels[taken],
        probabilities=table.probabilities[taken],
        columns=table.table.columns,
        read_column=table.table.column,
        left_out=len(table.ids) - len(taken),
    )


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
    digest: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    questions: "tuple[Question, ...]" = ()
    temperatures: dict[str, float] = field(default_factory=dict)
    sets: dict[str, dict[str, tuple[float, ...]]] = field(default_factory=dict)


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
            questions=(trained.question,),
            digests={"digest of the split it was trained on": run.read_record(model).split_digest},
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
        digest=opened.card.digest,
        digests={
            "digest of the model": opened.card.digest,
            "digest of the split it was trained on": str(opened.card.training.get("split_digest", "")),
        },
        questions=opened.card.questions,
        temperatures=opened.card.temperatures,
        sets=opened.card.sets,
    )


@app.command()
def recalibrate(
    data: Annotated[
        list[Path], typer.Argument(help="Sets of galaxies that the model was trained on.", show_default=False)
    ],
    file: Annotated[Path, typer.Option("--out", help="Model file to write (.onnx).", show_default=False)],
    model: Annotated[Path | None, typer.Option(help="Model file (.onnx); default: the model that ships.")] = None,
) -> None:
    """Give a model file calibration, prediction sets and unlikeness, from what it was not trained on."""
    with _extra("writing a model file", "train"):
        from peculiar.recalibrate import recalibrate as run_recalibrate
    from peculiar.model import load_model
    from peculiar.sources import open_source

    with _counting("classifying") as progress:
        written = run_recalibrate(load_model(model), [open_source(one) for one in data], file, progress=progress)
    card = written.card
    out.print(f"prediction sets: {', '.join(card.sets)}; weights and biases: {', '.join(card.scalings) or 'none'}")
    out.print(f"unlikeness: {'told' if card.familiar else 'not told, too few training pictures'}")
    out.print(f"{file}: digest {card.digest[:12]}")


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
    target: Annotated[
        Path,
        typer.Option("--out", help="NPZ file to write; with --survey, folder for the cut-outs.", show_default=False),
    ],
    name: Annotated[
        str | None, typer.Argument(help="exercise (the 1,400 published galaxies) or simulated.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option(help="How many, of the simulated.")] = 1400,
    size: Annotated[int, typer.Option(help="Side of the simulated pictures, in pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 222,
    survey: Annotated[
        str | None,
        typer.Option(help="Fetch cut-outs of this survey: sdss, legacy, panstarrs, des or dss.", show_default=False),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="Cut-outs: table with the columns ra, dec and id.", show_default=False)
    ] = None,
    size_arcsec: Annotated[float | None, typer.Option(help="Cut-outs: side on the sky, in arcsec.")] = None,
    pixels: Annotated[int | None, typer.Option(help="Cut-outs: side in pixels; default: 256.")] = None,
    pixel_scale: Annotated[
        float | None, typer.Option(help="Cut-outs: arcsec a pixel; default: the survey's own.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Cut-outs: requests a second at most; default: 2 for sdss, else 5.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Cut-outs: requests under way at once.")] = 4,
    as_json: Json = False,
) -> None:
    """Get a set of galaxies: one by NAME, as an NPZ file, or cut-outs of a survey at positions of a table, as a folder.

    peculiar data get exercise --out galaxydata.npz

    peculiar data get --survey legacy --catalog positions.csv --out cutouts

    Cut-outs that are there or in the cache are not fetched again: the same command goes on after a stop.
    """
    frame = {"size_arcsec": size_arcsec, "pixels": pixels, "pixel_scale": pixel_scale}
    if survey is not None and name is None and catalog is not None:
        _get_cutouts(survey, catalog, target, frame, rate=rate, workers=workers, as_json=as_json)
        return
    if name is None or any(value is not None for value in (survey, catalog, rate, *frame.values())):
        message = (
            "give either NAME (exercise or simulated), or both --survey and --catalog; --size-arcsec, --pixels, "
            "--pixel-scale and --rate are for cut-outs"
        )
        raise UsageError(message)
    from peculiar.sources import exercise, npz, simulated

    if name == "exercise":
        exercise.copy_galaxy_data(target)
    elif name == "simulated":
        simulation = simulated.simulate(count, size=size, seed=seed)
        npz.write_npz(target, simulation.pictures, simulation.labels, parameters=simulation.parameters)
    else:
        raise UnknownNameError("data set", name, ["exercise", "simulated"])
    out.print(f"Written to {target}")


def _get_cutouts(
    survey: str,
    catalog: Path,
    folder: Path,
    frame: dict[str, Any],
    *,
    rate: float | None,
    workers: int,
    as_json: bool,
) -> None:
    from peculiar.request import Manners
    from peculiar.sources.cutouts import fetch_cutouts
    from peculiar.sources.positions import Positions
    from peculiar.sources.surveys import choose_frame, find_survey

    chosen = find_survey(survey)
    framed = choose_frame(chosen, **frame)
    manners = Manners(chosen.rate if rate is None else rate)
    positions = Positions(catalog)
    with _stopping() as stop, _counting("fetching", total=len(positions)) as progress:
        result = fetch_cutouts(
            positions,
            folder,
            chosen,
            framed,
            manners=manners,
            workers=workers,
            stop=stop,
            progress=progress,
        )
    if as_json:
        _print_json(result.as_dict())
    else:
        for id_, reason in list(result.problems.items())[:10]:
            err.print(f"{id_}: {reason}")
        counts = {
            "fetched": result.fetched,
            "from the cache": result.cached,
            "there already": result.there,
            "outside the survey": result.outside,
            "failed": result.failed.total(),
            "waiting": result.waiting,
        }
        told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "none"
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in result.failed.most_common())
        out.print(f"{result.rows:,} positions in {result.seconds:.1f} s: {told}" + (f" ({kinds})" if kinds else ""))
        out.print(f"The cut-outs are in {folder}. {chosen.credit}")
    if result.closed:
        err.print(f"stopped: {result.closed}")
    if not result.complete:
        err.print("The same command goes on with what is missing.")
        raise typer.Exit(130 if stop.is_set() and not result.closed else 1)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C or a polite kill sets; a second one interrupts at once, as without this."""
    stop = threading.Event()
    former: dict[int, Any] = {}

    def request_stop(number: int, _: Any) -> None:
        signal.signal(number, former.pop(number))
        err.print("finishing what is under way; once more to break off")
        stop.set()

    for known in (signal.SIGINT, signal.SIGTERM):
        former[known] = signal.signal(known, request_stop)
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@data_app.command("convert")
def data_convert(
    table: Annotated[
        Path,
        typer.Argument(help="Parquet, CSV, FITS, VOTable or ECSV file.", metavar="TABLE", show_default=False),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            help="What to write: .parquet, .csv, .fits, .vot or .ecsv; a folder with --hats.",
            metavar="OUT",
            show_default=False,
        ),
    ],
    column: Annotated[
        list[str] | None, typer.Option(help="Only this column; may be given several times.", show_default=False)
    ] = None,
    sort: Annotated[bool, typer.Option("--sort", help="Sort by place on the sky (_healpix_29).")] = False,
    as_hats: Annotated[bool, typer.Option("--hats", help="Write a HATS catalogue, which LSDB opens.")] = False,
) -> None:
    """Write a table in another format, with the units and meanings of its columns."""
    from peculiar.convert import convert

    with _counting("converting") as progress:
        result = convert(table, file, columns=column, sort=sort, as_hats=as_hats, progress=progress)
    out.print(f"{result.rows:,} rows are in {file}")
    if result.left_out:
        out.print(f"of which {result.left_out:,} were left out, since their position is not known")


CatalogOption = Annotated[
    Path,
    typer.Argument(
        metavar="CATALOG", help="Parquet that `peculiar predict` wrote, or a folder of parts.", show_default=False
    ),
]
Where = Annotated[
    str | None,
    typer.Option(help='Only galaxies that meet a condition, such as "p_ringed > 0.9 and entropy < 0.5".'),
]
ConeOption = Annotated[
    str | None,
    typer.Option(
        "--cone", help="Only galaxies within RA,DEC,RADIUS, in degrees; the radius may end in arcmin or arcsec."
    ),
]
Top = Annotated[int, typer.Option(help="So many galaxies at the most.")]
Found = Annotated[
    Path | None,
    typer.Option("--out", help="Table to write: .parquet, .csv, .fits, .vot or .ecsv; default: to the terminal."),
]
Sheet = Annotated[Path | None, typer.Option(help="PNG with the pictures side by side, for which --pictures is needed.")]
Pictures = Annotated[Path | None, typer.Option(help="Where the pictures are: what the catalogue was made of.")]
Shown = Annotated[str, typer.Option("--crop", help="What the sheet shows: galaxy, whole, or a number of pixels.")]


@search_app.command("query")
def search_query(
    catalog: CatalogOption,
    where: Where = None,
    cone: ConeOption = None,
    by: Annotated[
        str | None,
        typer.Option(help="Column to order by, highest first; -COLUMN lowest first. Default: nearest first in a cone."),
    ] = None,
    top: Top = 50,
    columns: Annotated[
        str | None, typer.Option(help="Columns to give, with commas between; default: all but embeddings.")
    ] = None,
    file: Found = None,
    sheet: Sheet = None,
    pictures: Pictures = None,
    crop: Shown = "galaxy",
    as_json: Json = False,
) -> None:
    """Find galaxies by a condition on the columns, by place on the sky, or both."""
    from peculiar.search import query

    names = None if columns is None else [name.strip() for name in columns.split(",")]
    hits = query(catalog, where, cone=_cone(cone), by=by, top=top, columns=names)
    told = (by or "").removeprefix("-") or ("distance" if cone else None)
    _show_hits(hits, told, file=file, sheet=sheet, pictures=pictures, crop=crop, as_json=as_json)


Method = Annotated[str, typer.Option(help="isolation (forest) or neighbours (local outlier factor).")]


@search_app.command("similar")
def search_similar(
    catalog: CatalogOption,
    ids: Annotated[list[str] | None, typer.Option("--id", help="Galaxy of the catalogue; or several.")] = None,
    picture: Annotated[
        list[Path] | None, typer.Option(help="Picture of your own; several may be given, and with --id.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="For --picture: the model file that made the catalogue; default: that ships.")
    ] = None,
    where: Where = None,
    cone: ConeOption = None,
    top: Top = 50,
    file: Found = None,
    sheet: Sheet = None,
    pictures: Pictures = None,
    crop: Shown = "galaxy",
    as_json: Json = False,
) -> None:
    """Find galaxies that look like some examples."""
    from peculiar.model import load_model
    from peculiar.search import embed, similar
    from peculiar.shelf import Shelf

    shelf = Shelf(catalog)
    embeddings = embed(shelf, load_model(model), picture) if picture else None
    hits = similar(shelf, ids or (), embeddings=embeddings, where=where, cone=_cone(cone), top=top)
    _show_hits(hits, "score", file=file, sheet=sheet, pictures=pictures, crop=crop, as_json=as_json)


@search_app.command("odd")
def search_odd(
    catalog: CatalogOption,
    by: Annotated[str, typer.Option(help="class (probably odd) or uncertainty (the model is undecided).")] = "class",
    where: Where = None,
    cone: ConeOption = None,
    top: Top = 50,
    file: Found = None,
    sheet: Sheet = None,
    pictures: Pictures = None,
    crop: Shown = "galaxy",
    as_json: Json = False,
) -> None:
    """Find galaxies that the model calls odd, or is unsure of."""
    from peculiar.search import odd, odd_column
    from peculiar.shelf import Shelf

    shelf = Shelf(catalog)
    hits = odd(shelf, by, where=where, cone=_cone(cone), top=top)
    told = odd_column(shelf, by).removeprefix("-")
    _show_hits(hits, told, file=file, sheet=sheet, pictures=pictures, crop=crop, as_json=as_json)


@search_app.command("anomalies")
def search_anomalies(
    catalog: CatalogOption,
    interesting: Annotated[
        list[Path] | None,
        typer.Option(help="Table with your answers (columns id, interesting: yes, no, or 0 to 1); or several."),
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Leave out galaxies that you answered for.")] = False,
    method: Method = "isolation",
    where: Where = None,
    cone: ConeOption = None,
    top: Top = 50,
    file: Found = None,
    sheet: Sheet = None,
    pictures: Pictures = None,
    crop: Shown = "galaxy",
    as_json: Json = False,
) -> None:
    """Find galaxies that are unlike the others; told which are interesting, find more of those."""
    from peculiar.anomalies import anomalies, read_answers

    answers = read_answers(interesting) if interesting else None
    hits = anomalies(catalog, answers, method=method, new=new, where=where, cone=_cone(cone), top=top)
    _show_hits(hits, "score", file=file, sheet=sheet, pictures=pictures, crop=crop, as_json=as_json)


@search_app.command("map")
def search_map(
    catalog: CatalogOption,
    file: Annotated[Path | None, typer.Option("--out", help="Table to write, with the places x and y.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="PNG of the map: dots, or with --pictures those.")] = None,
    pictures: Pictures = None,
) -> None:
    """Lay out all galaxies on a map, those that look alike side by side."""
    from peculiar import atlas
    from peculiar.sources import open_source

    if file is None and sheet is None:
        message = "nothing to write: give --out TABLE, --sheet FILE.png or both"
        raise UsageError(message)
    hits = atlas.chart(catalog)
    if file is not None:
        hits.write(file)
    if sheet is not None:
        atlas.draw(hits, sheet, None if pictures is None else open_source(pictures))
    out.print(f"{len(hits):,} galaxies are on the map in {', '.join(str(one) for one in (file, sheet) if one)}")


@app.command()
def teach(
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="Table with a column id and one of labels.", show_default=False)
    ],
    catalog: Annotated[
        Path, typer.Option(help="Catalogue with embeddings that holds those galaxies.", show_default=False)
    ],
    file: Annotated[Path, typer.Option("--out", help="Model file to write (.onnx).", show_default=False)],
    model: Annotated[
        Path | None, typer.Option("--from", help="Model file that made the catalogue; default: the model that ships.")
    ] = None,
    label: Label = None,
    question: Annotated[str | None, typer.Option(help="What the question is called; default: as the column.")] = None,
    curve: Annotated[
        Path | None, typer.Option(help="PNG of how the score grows with labels, and what twice as many would bring.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Teach a model a new question from few labels, in seconds and without PyTorch."""
    from peculiar import plots
    from peculiar.model import load_model
    from peculiar.teach import teach as run_teach

    opened = load_model(model)
    taught = run_teach(labels, catalog, file, model=opened, label=label, question=question, curve=curve is not None)
    card, scores, found = taught.model.card, taught.head.scores, taught.curve
    if curve is not None and found is not None:
        plots.save(plots.draw_learning_curve(found.labels, found.auc, found.low, found.high), curve)
    if as_json:
        result = {"out": str(file), "question": taught.head.question.name, "used": taught.used}
        result |= {"left_out": taught.left_out, "digest": card.digest, "scores": scores.as_dict()}
        _print_json(result | {"curve": None if found is None else found.as_dict()})
        return
    if taught.left_out:
        err.print(f"{taught.left_out:,} labelled galaxies are left out: not in {catalog}, or without an embedding")
    out.print(f"By cross-validation on {taught.used:,} labelled galaxies:")
    _print_scores(scores)
    if found is not None:
        out.print("\nlabels  area under the ROC curve")
        for count, score, low, high in zip(found.labels, found.auc, found.low, found.high, strict=True):
            note = "  if it goes on like this" if count == found.labels[-1] else ""
            out.print(f"{count:6,}  {score:.3f} ({low:.3f} to {high:.3f}){note}")
    out.print(f"{file} also answers {taught.head.question.name}; digest {card.digest[:12]}")


def _cone(text: str | None) -> "Cone | None":
    from peculiar.search import parse_cone

    return None if text is None else parse_cone(text)


def _show_hits(
    hits: "Hits",
    told: str | None,
    *,
    file: Path | None,
    sheet: Path | None,
    pictures: Path | None,
    crop: str,
    as_json: bool,
) -> None:
    """Write what was found where it was asked to go: a table, a sheet of pictures, the terminal."""
    from peculiar.sources import open_source

    if (sheet is None) != (pictures is None):
        message = "a sheet needs pictures, and pictures are for a sheet: give --sheet FILE.png and --pictures DATA"
        raise UsageError(message)
    if file is not None:
        hits.write(file)
    missing: list[str] = []
    if sheet is not None and pictures is not None and len(hits):
        missing = hits.draw(sheet, open_source(pictures), _framing(128, crop, fast=False), told)
    if as_json:
        _print_json({"found": hits.table.to_pylist(), "without_picture": missing})
        return
    if file is None and len(hits):
        names = [name for name in ("id", told, "class") if name in hits.table.column_names]
        rows = hits.table.select(list(dict.fromkeys(names))).to_pylist()
        _print_table([list(rows[0]), *(["-" if x is None else _brief(x) for x in row.values()] for row in rows)])
    if missing:
        err.print(f"{len(missing)} of them have no picture that can be read in {pictures}, the first is {missing[0]}")
    out.print(f"{len(hits):,} galaxies" + (f" in {file}" if file else "") + (f", pictures in {sheet}" if sheet else ""))


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
        ("average precision", scores.average_precision),
        ("log loss", scores.log_loss),
        ("Brier score", scores.brier),
        ("calibration error", scores.calibration_error),
    ):
        key = {"AUC (mean over classes)": "auc"}.get(name, name.lower().replace(" score", "").replace(" ", "_"))
        ends = scores.intervals.get(key)
        out.print(f"{name:26} {format_score(value)}" + (f"   {ends[0]:.3f} to {ends[1]:.3f}" if ends else ""))
    out.print()
    _print_table(score_table(scores))
    out.print("\nConfusion matrix (rows: true class, columns: predicted)")
    names = list(scores.classes)
    rows = [[name, *map(str, row)] for name, row in zip(names, scores.confusion, strict=True)]
    _print_table([["", *names], *rows])


@contextmanager
def _counting(task: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show how many are done; what is yielded is told how many more."""
    with _bar("", task) as show:
        show(total=total)
        yield lambda done: show(advance=done)


@contextmanager
def _bar(if_stopped: str, task: str = "reading") -> Iterator[Callable[..., None]]:
    """Show progress, pace and time left where standard error is a terminal; and what to do next if interrupted."""
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

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task(task, total=None)
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
