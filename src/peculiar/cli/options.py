"""Options that several commands share."""

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from peculiar.cli.terminal import out, print_json
from peculiar.errors import UsageError, extra

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peculiar.exercise.run_folder import TrainedNet
    from peculiar.files.claims import Request
    from peculiar.images.framing import Framing

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Galaxies: an NPZ, HDF5, Parquet, CSV, ECSV, FITS or VOTable file, a folder of pictures, FITS or Parquet, "
        "or a tar or zip of pictures.",
        show_default=False,
    ),
]
DataFiles = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA",
        help="Galaxies: an NPZ, HDF5, Parquet, CSV, ECSV, FITS or VOTable file, a folder of pictures, FITS or Parquet, "
        "or a tar or zip of pictures; or several files of one kind: pictures, FITS images, Parquet tables, tars, zips.",
        show_default=False,
    ),
]
LabelledData = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA",
        help="Labelled galaxies: a folder with one sub-folder per class, or a file as for predict; or several sets, "
        "which may show the same galaxies at different sharpness.",
        show_default=False,
    ),
]
Positions = Annotated[
    Path | None,
    typer.Option("--catalog", help="Table with ra and dec, to cut stamps out of a FITS mosaic.", show_default=False),
]
Detect = Annotated[
    bool,
    typer.Option("--detect", help="Cut stamps around the objects that are detected in a FITS mosaic."),
]
StampSize = Annotated[
    str,
    typer.Option(help="Side of a stamp: 128px, 30arcsec, or 4xR50 (radii in the column R50: in its unit, or arcsec)."),
]
Bands = Annotated[
    str, typer.Option(help="Bands of FITS images, the reddest first: i,r,g; default: as the files name them.")
]
Label = Annotated[
    str | None, typer.Option(help="Column of labels of a table or of metadata beside pictures.", show_default=False)
]
Labels = Annotated[
    Path | None,
    typer.Option(
        help="Table with ids and labels, or labelled pictures with the same ids, for data without labels.",
        show_default=False,
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        "--id",
        help="Column of ids of a table; default: found by name.",
        show_default=False,
    ),
]
RaColumn = Annotated[
    str | None,
    typer.Option("--ra", help="Column of right ascensions of a table; default: found by name.", show_default=False),
]
DecColumn = Annotated[
    str | None,
    typer.Option("--dec", help="Column of declinations of a table; default: found by name.", show_default=False),
]
Size = Annotated[int, typer.Option(help="Side of the pictures that the network sees, in pixels.")]
Dask = Annotated[
    str | None,
    typer.Option(help="Use a Dask cluster: address of its scheduler, or local to start one.", show_default=False),
]
Restart = Annotated[bool, typer.Option("--restart", help="Start over, ignoring earlier results.")]


def _use_device(context: typer.Context, name: str) -> str:
    """Let the command run on a device, and refuse one that is not there before anything else is done."""
    from peculiar.models.devices import using

    if not context.resilient_parsing:
        context.with_resource(using(name))
    return name


Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="<str>",
        callback=_use_device,
        help="Device of the network: auto (a GPU if ONNX Runtime has a provider for it), cpu, cuda, or another of "
        "`peculiar info`.",
    ),
]
Fast = Annotated[bool, typer.Option("--fast", help="Decode JPEGs at reduced size: faster, pixels differ slightly.")]
Embeddings = Annotated[
    Path | None,
    typer.Option(
        help="Table with embeddings of another network (ids and vectors: Parquet, FITS, CSV, NPZ); default: the "
        "catalogue's own.",
        show_default=False,
    ),
]
EmbeddingsId = Annotated[
    str | None,
    typer.Option(
        "--embeddings-id", help="Column of ids of the table of embeddings; default: found by name.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]
ModelOrRun = Annotated[
    Path | None,
    typer.Option(
        "--model", help="Model file (.onnx), or folder that `peculiar train` wrote; default: the model that ships."
    ),
]
Views = Annotated[
    int | None,
    typer.Option(help="Views per picture to average over, 1 to 8: turned and mirrored; default: that of the model."),
]
Part = Annotated[
    str,
    typer.Option(
        help="Part of the model file's split to score, by folders of that name or else by the ids: test, "
        "validation, training, or all."
    ),
]
Weights = Annotated[str, typer.Option(help="Weights of a run: last (epoch) or best.")]
IncludeTraining = Annotated[
    bool, typer.Option("--include-training", help="Also score galaxies that the model was trained on.")
]
By = Annotated[
    list[str] | None,
    typer.Option(
        metavar="<str>",
        help="Also score by the values of this column, numbers in four bins; may be given several times.",
    ),
]
Join = Annotated[
    Path | None,
    typer.Option(
        help="Table with ids and further columns of the galaxies, such as that of `peculiar measure`.",
        show_default=False,
    ),
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        "--group", help="Column of groups, such as fields, whose galaxies are not independent; affects the intervals."
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of all random choices.")]
ModelOut = Annotated[Path, typer.Option("--out", help="Model file to write (.onnx).", show_default=False)]
Scores = Annotated[
    Path | None, typer.Option(help="JSON file with scores to keep in the model file; default: those of validation.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace existing output, even if this command did not write it.")
]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a parameter of a command that is a dataclass stand for an option per field."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    parameters: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        members = signature(groups[name]).parameters if name in groups else {name: parameter}
        known = get_type_hints(groups[name], include_extras=True) if name in groups else hints
        parameters += [
            one.replace(kind=Parameter.KEYWORD_ONLY, annotation=known[member]) for member, one in members.items()
        ]

    @functools.wraps(command)
    def flat(**options: Any) -> None:
        for name, group in groups.items():
            options[name] = group(**{field.name: options.pop(field.name) for field in fields(group)})
        command(**options)

    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(flat)["__signature__"] = Signature(parameters)
    return flat


# Options that do not affect the content of the output, and those that name it.
_INDIFFERENT = {"overwrite", "as_json", "workers", "rate", "fail_on"}
_WHERE = {"file", "folder", "target", "sheet", "curve", "fix", "annotators"}


def listed(names: str) -> tuple[str, ...]:
    """Return names that are separated by commas."""
    return tuple(name.strip() for name in names.split(",") if name.strip())


@contextmanager
def producing(context: typer.Context, *outputs: Path | None, renew: bool = False) -> Iterator["Request"]:
    """Allow the running command to write files, and to replace only files that it wrote for the same request.

    Earlier output in the default place is replaced whatever the request was, unless the user names a place.

    Parameters
    ----------
    context : typer.Context
        Context of the command; its option ``overwrite``, if it has one, allows replacing any file.
    outputs : path or None
        Files that will be written; they are checked before the work starts.
    renew : bool
        Replace earlier output of the command in a place that the user names as well, whatever the request was.

    Raises
    ------
    UsageError
        If one of them may not be replaced.
    """
    from peculiar.files.claims import Request, claiming, request_digest

    written = [path for path in outputs if path is not None]
    options = {name: value for name, value in context.params.items() if name not in _INDIFFERENT | _WHERE}
    inputs = tuple(path for path in _paths(options.values()) if path.exists())
    # Inputs are identified by their content, not by their path.
    decisive = {name: value for name, value in options.items() if not set(_paths([value])) & set(inputs)}
    command = context.command_path.partition(" ")[2]
    digest = request_digest(command, decisive, inputs, written)
    sources = [context.get_parameter_source(name) for name in _WHERE & {*context.params}]
    unnamed = all(source is None or source.name == "DEFAULT" for source in sources)
    request = Request(command, digest, inputs, overwrite=context.params.get("overwrite", False), renew=renew or unnamed)
    for path in written:
        request.check(path)
    with claiming(request):
        yield request


def _paths(values: "Iterable[Any]") -> Iterator[Path]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _paths(value)
        elif isinstance(value, Path):
            yield value


def already(request: "Request", path: Path, *, as_json: bool = False) -> bool:
    """Return whether the same command wrote a file or folder before, and print a message if so."""
    done = request.done(path)
    if done and as_json:
        print_json({"written": str(path), "already": True})
    elif done:
        out.print(f"Already done: the same command wrote {path}")
    return done


def framing(size: int, crop: str, *, fast: bool) -> "Framing":
    """Return the framing of pictures from the options."""
    from peculiar.images.framing import Framing, parse_crop

    return Framing(size, parse_crop(crop), fast)


def open_run(model: Path | None, weights: str) -> "Path | TrainedNet | None":
    """Return the model file or the network of a run, if `model` is the folder of one; other paths as they are."""
    from peculiar.files.run_files import RECORD, model_file_of

    if model is None:
        return None
    file = model_file_of(model)
    if not (file / RECORD).exists():
        return file
    with extra("evaluating a training run", "exercise"):
        from peculiar.exercise.run_folder import load_run
    return load_run(model, weights=weights)


def read_scores(file: Path | None) -> dict[str, Any] | None:
    """Return the scores in a JSON file, for a model file to keep; None if no file is named.

    Raises
    ------
    UsageError
        If it is not JSON.
    """
    if file is None:
        return None
    try:
        return dict(json.loads(file.read_bytes()))
    except ValueError as error:
        message = f"{file} is not valid JSON ({error})"
        raise UsageError(message) from error
