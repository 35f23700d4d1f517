"""Train any network with one function; PyTorch is imported only where a network needs it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from peculiar.errors import UnknownNameError, UsageError, extra
from peculiar.files.places import on_this_machine, place
from peculiar.files.run_files import RECORD, check_folder
from peculiar.images.framing import Framing, parse_crop
from peculiar.models.model_file import Model, load_model
from peculiar.sources import Source, open_source
from peculiar.sources.dataset import Dataset
from peculiar.training.classes import train_classes
from peculiar.training.dimensions import HUB, TIMM
from peculiar.training.find_rate import Rates
from peculiar.training.find_rate import find_rate as try_rates
from peculiar.training.fine_tuning import FINE_TUNE, FineTune
from peculiar.training.logs import Logged
from peculiar.training.plan import Asked, Given, first_of, make_plan, open_asked
from peculiar.training.processes import is_first, refuse_several
from peculiar.training.recipe import LESSONS, read_notes
from peculiar.training.run import Run
from peculiar.training.watch import EpochLines, Watcher

if TYPE_CHECKING:
    from peculiar.exercise.train import Trained
    from peculiar.exercise.train import Watcher as ExerciseWatcher

NETS = ("galaxy", "exercise")
"""Networks of peculiar; the others are encoders of timm and of the hub of Hugging Face."""

# Settings that only one of the networks has.
_GALAXY = (
    *("accumulate", "patience"),
    *("body", "width", "precision", "votes", "context", "embedding", "consistency", "hints"),
    *("layer_decay", "freeze", "checkpointing"),
)
_EXERCISE = ("split_seed", "fast")

# Names of settings on the command line, where these differ.
_OPTIONS = {"start": "from", "teachers": "teacher"}


class Settings(TypedDict, total=False):
    """Settings of a training run; None leaves one to the network. See `train`."""

    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    size: int | None
    precision: str | None
    votes: str | None
    seed: int | None
    body: str | None
    width: int | None
    context: int | None
    embedding: int | None
    consistency: float | None
    hints: float | None
    accumulate: int | None
    patience: int | None
    layer_decay: float | None
    freeze: int | str | None
    checkpointing: bool | None
    validation_size: float | None
    split_seed: int | None
    crop: str | None
    fast: bool | None


@overload
def train(
    data: Given | Sequence[Given],
    out: str | os.PathLike[str] | None = None,
    *,
    net: Literal["galaxy"] = "galaxy",
    start: str | os.PathLike[str] | Model | None = None,
    weights: str | os.PathLike[str] | None = None,
    label: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    id: str | None = None,
    question: str | None = None,
    teachers: Sequence[str | os.PathLike[str] | Model] = (),
    fine_tune: FineTune = "auto",
    time_limit: float | None = None,
    log: str | None = None,
    resume: bool = False,
    watcher: Watcher | None = None,
    verbose: bool = True,
    **settings: Unpack[Settings],
) -> Run: ...


@overload
def train(
    data: Given | Dataset,
    out: str | os.PathLike[str] | None = None,
    *,
    net: Literal["exercise"],
    label: str | None = None,
    id: str | None = None,
    resume: bool = False,
    watcher: "ExerciseWatcher | None" = None,
    verbose: bool = True,
    **settings: Unpack[Settings],
) -> "Trained": ...


@overload
def train(
    data: Any, out: str | os.PathLike[str] | None = None, *, net: str = "galaxy", **settings: Any
) -> "Run | Trained | Rates": ...


def train(
    data: Given | Dataset | Sequence[Given],
    out: str | os.PathLike[str] | None = None,
    *,
    net: str = "galaxy",
    start: str | os.PathLike[str] | Model | None = None,
    weights: str | os.PathLike[str] | None = None,
    label: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    id: str | None = None,
    question: str | None = None,
    teachers: Sequence[str | os.PathLike[str] | Model] = (),
    fine_tune: FineTune = "auto",
    time_limit: float | None = None,
    log: str | None = None,
    find_rate: str | os.PathLike[str] | None = None,
    resume: bool = False,
    watcher: Any = None,
    verbose: bool = True,
    **settings: Any,
) -> "Run | Trained | Rates":
    """Train a network on labelled galaxies.

    On classes of one's own, the default, a head is fitted to the embeddings of the model that ships first, in seconds
    and without PyTorch. Then the network is fine-tuned where held-out galaxies can show that it is better, and kept if
    it is. The folder has a calibrated model file (``model.onnx``) and a page about it (``report.html``); see
    `peculiar.training.classes.train_classes`.

    Parameters
    ----------
    data : path-like, Source, or sequence of these
        Labelled galaxies: a folder with a sub-folder per class, a table, or anything that `peculiar.open_source` takes.
        Several sets may hold the same galaxies, as pictures of different sharpness. The exercise's network takes one
        set, or a `Dataset`.
    out : path-like, optional
        Folder of the run; by default ``runs/NAME``, after the data.
    net : str
        The network: "galaxy" (that of the model that ships), "exercise", ``timm:NAME`` (any image encoder of timm) or
        ``hf-hub:OWNER/NAME`` (an encoder that the hub of Hugging Face has in timm's form, such as Zoobot's).
    start : str, path-like or Model, optional
        First weights of the galaxy network: "galaxy" (the model that ships), a model file, "imagenet" (weights learned
        on ImageNet) or "scratch" (random weights). By default "galaxy"; "imagenet" with `question`, `body`, `width`,
        `crop` or another `size`. For an encoder of timm "pretrained" (the published weights, or `weights`), the default
        if there are any, or "scratch".
    weights : path-like, optional
        File of the weights that an encoder begins with: safetensors, or what PyTorch or Lightning saved. Nothing in it
        is executed.
    label : str, optional
        Column of labels; by default the first of the usual names, or the folders that pictures lie in.
    labels : path-like, optional
        Table with a column of ids and one of labels, for data that have none.
    id : str, optional
        Column of ids of a table; by default the first of the usual names.
    question : str, optional
        Question or tree whose labels or votes the data or `labels` hold: a name that
        `peculiar.questions.question_file.find_tree` knows, a TOML file, or "galaxy" for the questions of the model that
        ships.
    teachers : sequence of path-like or Model
        Models to learn from as well as from the labels, trained on the same parts.
    fine_tune : {"auto", "always", "never"}
        When to fine-tune the network on classes of one's own; "auto" does if the head makes enough mistakes to show
        that another model is better. The network is kept only if it is better.
    time_limit : float, optional
        Most minutes of fine-tuning.
    log : {"csv", "tensorboard"}, optional
        Also write the history after each epoch as ``history.csv``, or for TensorBoard into the folder ``tensorboard``.
    find_rate : path-like, optional
        Try learning rates instead of training, and draw the loss into this file, PNG or PDF; see
        `peculiar.training.find_rate.find_rate`.
    resume : bool
        Continue the run in `out`, if there is one.
    watcher : Watcher, optional
        Receives the progress; see `peculiar.training.watch`, and `peculiar.exercise.train` for the exercise's network.
    verbose : bool
        Without a watcher, write a line per epoch to standard error.
    **settings
        ``epochs``, ``batch_size``, ``learning_rate``, ``size`` (pixels), ``seed``; of the galaxy network ``body``
        ("lite" or "residual"), ``width``, ``precision`` ("no" or "bf16"), ``votes`` ("shares" or "dirichlet"),
        ``accumulate`` (pieces of a batch), ``patience`` (epochs without a gain after which training ends),
        ``context``, ``embedding``, ``consistency``, ``hints``, ``layer_decay``, ``freeze``, ``checkpointing`` and
        ``crop``, see `peculiar.training.recipe.Recipe`; of the exercise's ``validation_size``, ``split_seed``, ``crop``
        and ``fast``.

    Returns
    -------
    Run, or peculiar.exercise.train.Trained, or peculiar.training.find_rate.Rates
        `Trained` for the exercise's network, `Rates` with `find_rate`.

    Raises
    ------
    UnknownNameError
        If there is no such network, column or question.
    UsageError
        If settings do not go together, or `out` holds something already and `resume` is not set.
    LabelError
        If labels are missing, or too few.
    MissingExtraError
        If PyTorch or timm is needed and not installed.
    ModelError
        If the file of weights is damaged, of another network, or would execute code.
    DownloadError
        If published weights cannot be fetched.
    RunError
        If the run in `out` had other settings or data, or is damaged.

    Examples
    --------
    >>> import peculiar
    >>> run = peculiar.train("my_classes", "runs/mine")  # doctest: +SKIP
    >>> run.scores["class"]["balanced_accuracy"]  # doctest: +SKIP
    0.951
    >>> trained = peculiar.train("galaxydata.npz", "runs/lesson", net="exercise", epochs=1, verbose=False)
    >>> trained.model.question.answers
    ('Normal', 'Ringed', 'Merger', 'Other')
    """
    of_timm = net.startswith((TIMM, HUB))
    if net not in NETS and not of_timm:
        raise UnknownNameError("network", net, (*NETS, f"{TIMM}NAME", f"{HUB}OWNER/NAME"))
    if weights is not None and not of_timm:
        message = f"--weights: for encoders of timm (--net {TIMM}NAME); another network begins with --from MODEL"
        raise UsageError(message)
    given = {name: value for name, value in settings.items() if value is not None}
    if net == "exercise":
        others: dict[str, Any] = {
            "start": start,
            "labels": labels,
            "question": question,
            "teachers": list(teachers) or None,
            "fine_tune": None if fine_tune == "auto" else fine_tune,
            "time_limit": time_limit,
            "log": log,
            "find_rate": find_rate,
        }
        strange = [name for name, value in others.items() if value is not None]
        _refuse([*strange, *(name for name in given if name in _GALAXY)], net)
        refuse_several("the exercise's network")
        return _train_exercise(data, out, given, label=label, id=id, resume=resume, watcher=watcher, verbose=verbose)
    _refuse([name for name in given if name in _EXERCISE], net)
    if isinstance(data, Dataset):
        message = "only the exercise's network takes a Dataset (net='exercise'); give the path of the data, or a Source"
        raise UsageError(message)
    if of_timm:
        _refuse([name for name in given if name in ("body", "width")], net)
    if label is not None and question is not None:
        message = "--label names a column of labels and --question what was voted on; give one of them"
        raise UsageError(message)
    asked = Asked(
        [data] if isinstance(data, str | os.PathLike | Source) else list(data),
        given,
        net=net,
        start=start,
        weights=None if weights is None else Path(weights),
        label=label,
        labels=labels,
        id=id,
        question=question,
    )
    watcher = (watcher or (EpochLines() if verbose else Watcher())) if is_first() else Watcher()
    if find_rate is not None:
        return try_rates(asked, find_rate, watcher=watcher)
    return _train_galaxy(
        asked,
        out,
        teachers=teachers,
        fine_tune=fine_tune,
        time_limit=time_limit,
        log=log,
        resume=resume,
        watcher=watcher,
    )


def _refuse(names: Sequence[str], net: str) -> None:
    """Refuse settings that only the other network has."""
    if names:
        told = ", ".join(f"--{_OPTIONS.get(name, name).replace('_', '-')}" for name in names)
        message = f"{told}: not for the network {net!r}; leave it out, or choose the other network (--net)"
        raise UsageError(message)


def _train_exercise(
    data: Given | Dataset | Sequence[Given],
    out: str | os.PathLike[str] | None,
    given: dict[str, Any],
    *,
    label: str | None,
    id: str | None,
    resume: bool,
    watcher: "ExerciseWatcher | None",
    verbose: bool,
) -> "Trained":
    with extra("training the exercise's network", "exercise"):
        from peculiar.exercise.run_folder import arguments
        from peculiar.exercise.train import train as run_train
    framing = Framing(given.pop("size", 128), parse_crop(given.pop("crop", "whole")), given.pop("fast", False))
    asked = arguments(**given, framing=framing)
    if isinstance(data, Sequence) and not isinstance(data, str):
        if len(data) != 1:
            message = f"the exercise's network learns from one set of galaxies, received {len(data)}"
            raise UsageError(message)
        data = data[0]
    folder = _default_folder(data) if out is None else out
    source = open_source(data, label=label, id=id) if isinstance(data, str | os.PathLike) else data
    return run_train(source, folder, asked, label=label, resume=resume, watcher=watcher, verbose=verbose)


def _default_folder(data: Given | Dataset) -> Path:
    if isinstance(data, Dataset):
        message = "a Dataset has no name to call the run's folder by; give a folder (out)"
        raise UsageError(message)
    path = data.path if isinstance(data, Source) else place(data)
    return Path("runs") / (path.resolve().name.partition(".")[0] or "run")


def _train_galaxy(
    asked: Asked,
    out: str | os.PathLike[str] | None,
    *,
    teachers: Sequence[str | os.PathLike[str] | Model],
    fine_tune: FineTune,
    time_limit: float | None,
    log: str | None,
    resume: bool,
    watcher: Watcher,
) -> Run:
    if fine_tune not in FINE_TUNE:
        raise UnknownNameError("way to fine-tune", fine_tune, FINE_TUNE)
    if time_limit is not None and not time_limit > 0:
        message = f"the time limit has to be a number of minutes above 0, received {time_limit}"
        raise UsageError(message)
    plan = make_plan(asked, watcher, teachers=bool(teachers))
    folder = _default_folder(asked.data[0]) if out is None else on_this_machine(out, "the folder of a run")
    check_folder(folder, resume=resume, known=(RECORD, LESSONS))
    if plan.own:
        refuse_several("fitting a head to classes of one's own")
    if log is not None:
        watcher = Logged(watcher, folder, log)
    sources, questions = open_asked(asked, plan, watcher)
    if plan.own and plan.origin is not None:
        return train_classes(
            sources,
            questions[0],
            folder,
            start=plan.origin,
            recipe=plan.recipe,
            fine_tune=fine_tune,
            time_limit=time_limit,
            resume=resume,
            watcher=watcher,
        )
    with extra("training", "train"):
        from peculiar.training.loop import train_network
    history = train_network(
        sources,
        folder,
        plan.recipe,
        questions=questions,
        teachers=[one if isinstance(one, Model) else load_model(one) for one in teachers],
        start=plan.origin,
        first=first_of(asked, plan),
        resume=resume,
        watcher=watcher,
    )
    return Run(folder, history, read_notes(folder)["scores"])
