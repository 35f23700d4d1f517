"""Train any network with one function; PyTorch is imported only where a network needs it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from peculiar.errors import UnknownNameError, UsageError, extra
from peculiar.files.places import on_this_machine, place
from peculiar.files.run_files import RECORD, check_folder
from peculiar.images.decode import Framing, parse_crop
from peculiar.models.model_file import SHIPPED, Model, load_model
from peculiar.questions.question import Question, find_tree
from peculiar.sources import Source, open_source
from peculiar.sources.dataset import Dataset
from peculiar.sources.labels import find_question, open_labelled, told_questions
from peculiar.training.classes import PATIENCE, VALIDATION_SIZE, train_classes
from peculiar.training.dimensions import HUB, TIMM
from peculiar.training.fine_tuning import FINE_TUNE, FineTune
from peculiar.training.recipe import ATTRIBUTE_QUESTIONS, LESSONS, QUESTIONS, make_recipe, read_notes, trainable
from peculiar.training.run import Run
from peculiar.training.watch import EpochLines, Watcher

if TYPE_CHECKING:
    from peculiar.exercise.train import Trained
    from peculiar.exercise.train import Watcher as ExerciseWatcher
    from peculiar.training.networks.timm_body import Encoder

NETS = ("galaxy", "exercise")
"""Networks of peculiar; the others are encoders of timm and of the hub of Hugging Face."""

SHIPPED_NAME = Path(SHIPPED).stem
"""Name of the model that ships, and of the set of its questions."""

# Settings that one of the networks has and the other has not.
_GALAXY = (
    *("body", "width", "precision", "votes", "context", "embedding", "consistency", "hints"),
    *("layer_decay", "freeze", "checkpointing"),
)
_EXERCISE = ("split_seed", "fast")

# Names of settings on the command line, where these differ.
_OPTIONS = {"start": "from", "teachers": "teacher"}

Given = str | os.PathLike[str] | Source


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
def train(data: Any, out: str | os.PathLike[str] | None = None, *, net: str, **settings: Any) -> "Run | Trained": ...


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
    resume: bool = False,
    watcher: Any = None,
    verbose: bool = True,
    **settings: Any,
) -> "Run | Trained":
    """Train a network on labelled galaxies.

    On classes of one's own, the default, a head is fitted to the embeddings of the model that ships first, in seconds
    and without PyTorch. Then the network is fine-tuned where held-out galaxies can show that it is better, and kept if
    it is. The folder has a calibrated model file (``model.onnx``) and a page about it (``report.html``); see
    `peculiar.training.classes.train_classes`.

    Parameters
    ----------
    data : path-like, Source, or sequence of these
        Labelled galaxies: a folder with a sub-folder a class, a table, or what else `peculiar.open_source` takes.
        Several sets may hold the same galaxies, as pictures of different sharpness. The exercise's network takes one
        set, or a `Dataset`.
    out : path-like, optional
        Folder of the run; by default ``runs/NAME``, after the data.
    net : str
        The network: "galaxy" (that of the model that ships), "exercise", ``timm:NAME`` (any image encoder of timm) or
        ``hf-hub:OWNER/NAME`` (an encoder that the hub of Hugging Face has in timm's form, such as Zoobot's).
    start : str, path-like or Model, optional
        Where the galaxy network begins: "galaxy" (the model that ships), a model file, "imagenet" (weights learned on
        ImageNet) or "scratch" (random weights). By default "galaxy"; "imagenet" with `question`, `body`, `width`,
        `crop` or another `size`. Of an encoder of timm "pretrained" (the published weights, or `weights`), the default
        where there are any, or "scratch".
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
        `peculiar.questions.question.find_tree` knows, a TOML file, or "galaxy" for the questions of the model that
        ships.
    teachers : sequence of path-like or Model
        Models to learn from as well as from the labels, trained on the same parts.
    fine_tune : {"auto", "always", "never"}
        Whether to fine-tune the network on classes of one's own; "auto" does where the head makes enough mistakes for
        another model to be shown to be better. It is kept only if it is better.
    time_limit : float, optional
        Minutes that this fine-tuning may take.
    resume : bool
        Go on with the run in `out`, if there is one.
    watcher : Watcher, optional
        Told of the progress; see `peculiar.training.watch`, and `peculiar.exercise.train` for the exercise's network.
    verbose : bool
        Without a watcher, write a line an epoch to standard error.
    **settings
        ``epochs``, ``batch_size``, ``learning_rate``, ``size`` (pixels), ``seed``; of the galaxy network ``body``
        ("lite" or "residual"), ``width``, ``precision`` ("no" or "bf16"), ``votes`` ("shares" or "dirichlet"),
        ``context``, ``embedding``, ``consistency``, ``hints``, ``layer_decay``, ``freeze``, ``checkpointing`` and
        ``crop``, see `peculiar.training.recipe.Recipe`; of the exercise's ``validation_size``, ``split_seed``, ``crop``
        and ``fast``.

    Returns
    -------
    Run, or peculiar.exercise.train.Trained
        The latter of the exercise's network.

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
        }
        others |= {"fine_tune": None if fine_tune == "auto" else fine_tune, "time_limit": time_limit}
        strange = [name for name, value in others.items() if value is not None]
        _refuse([*strange, *(name for name in given if name in _GALAXY)], net)
        return _train_exercise(data, out, given, label=label, id=id, resume=resume, watcher=watcher, verbose=verbose)
    _refuse([name for name in given if name in _EXERCISE], net)
    if isinstance(data, Dataset):
        message = "a Dataset is for the exercise's network (net='exercise'); give the path or the Source that it is of"
        raise UsageError(message)
    if of_timm:
        _refuse([name for name in given if name in ("body", "width")], net)
    if label is not None and question is not None:
        message = "--label names a column of labels and --question what was voted on; give one of them"
        raise UsageError(message)
    return _train_galaxy(
        [data] if isinstance(data, str | os.PathLike | Source) else list(data),
        out,
        given,
        net=net,
        start=start,
        weights=None if weights is None else Path(weights),
        label=label,
        labels=labels,
        id=id,
        question=question,
        teachers=teachers,
        fine_tune=fine_tune,
        time_limit=time_limit,
        resume=resume,
        watcher=watcher or (EpochLines() if verbose else Watcher()),
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
    data: Sequence[Given],
    out: str | os.PathLike[str] | None,
    given: dict[str, Any],
    *,
    net: str,
    start: str | os.PathLike[str] | Model | None,
    weights: Path | None,
    label: str | None,
    labels: str | os.PathLike[str] | None,
    id: str | None,
    question: str | None,
    teachers: Sequence[str | os.PathLike[str] | Model],
    fine_tune: FineTune,
    time_limit: float | None,
    resume: bool,
    watcher: Watcher,
) -> Run:
    if fine_tune not in FINE_TUNE:
        raise UnknownNameError("way to fine-tune", fine_tune, FINE_TUNE)
    if time_limit is not None and not time_limit > 0:
        message = f"the time limit has to be a number of minutes above 0, received {time_limit}"
        raise UsageError(message)
    encoder = None
    if net not in NETS:
        with extra("training", "train"):
            from peculiar.training.networks.timm_body import look_up
        encoder = look_up(net)
        start = _start_of(encoder, start, weights, watcher)
        its = {"body": f"{TIMM}{encoder.name}", "body_arguments": encoder.arguments, "size": encoder.size}
        given = {**its, **given}
    elif start is None:
        # Another network than that of the model that ships, or one for pictures of another size, cannot go on from it.
        other = (
            set(given).intersection(("body", "width", "context", "embedding", "crop"))
            or given.get("size", _size()) != _size()
        )
        start = "imagenet" if question is not None or other else SHIPPED_NAME
    origin = _origin(start) if encoder is None else None
    own = question is None and not teachers and origin is not None
    if own:
        given = {"validation_size": VALIDATION_SIZE, "test_size": 0.0, "patience": PATIENCE} | given
    if own and origin is not None and not trainable(origin):
        recipe = make_recipe(size=origin.framing.size, pretrained=False, **given)
    else:
        trained = {"scratch": False, "pretrained": True}.get(start) if isinstance(start, str) else None
        recipe = make_recipe(origin, pretrained=trained, **given)
    folder = _default_folder(data[0]) if out is None else on_this_machine(out, "the folder of a run")
    check_folder(folder, resume=resume, known=(RECORD, LESSONS))
    sources = [one if isinstance(one, Source) else open_labelled(one, labels=labels, id=id) for one in data]
    sources, questions = _asked(sources, label=label, labels=labels, id=id, question=question, model=origin)
    for source in sources:
        if source.joined:
            watcher.note(source.joined)
    if own and origin is not None:
        return train_classes(
            sources,
            questions[0],
            folder,
            start=origin,
            recipe=recipe,
            fine_tune=fine_tune,
            time_limit=time_limit,
            resume=resume,
            watcher=watcher,
        )
    with extra("training", "train"):
        from peculiar.training.encoder_weights import first_weights
        from peculiar.training.loop import train_network
    first = None
    if encoder is not None and recipe.pretrained:
        first = first_weights(encoder, recipe.size, weights, recipe.seed)
    history = train_network(
        sources,
        folder,
        recipe,
        questions=questions,
        teachers=[one if isinstance(one, Model) else load_model(one) for one in teachers],
        start=origin,
        first=first,
        resume=resume,
        watcher=watcher,
    )
    return Run(folder, history, read_notes(folder)["scores"])


def _start_of(
    encoder: "Encoder", start: str | os.PathLike[str] | Model | None, weights: Path | None, watcher: Watcher
) -> str:
    """Return where an encoder of timm begins: "pretrained" or "scratch"."""
    if start not in (None, "pretrained", "scratch"):
        message = (
            f"--from {start}: an encoder of timm begins with published weights (pretrained), with random ones "
            "(scratch), or with those of a file (--weights)"
        )
        raise UsageError(message)
    if weights is not None:
        if start == "scratch":
            message = "--from scratch and --weights exclude each other"
            raise UsageError(message)
        return "pretrained"
    if not encoder.published:
        if start == "pretrained":
            message = f"no weights of {encoder.name} are published; give a file of them (--weights), or --from scratch"
            raise UsageError(message)
        watcher.note(f"No weights of {encoder.name} are published: it begins with random ones.")
        return "scratch"
    return "pretrained" if start is None else str(start)


def _size() -> int:
    """Return the side of the pictures that the model that ships takes, in pixels."""
    return load_model().framing.size


def _origin(start: str | os.PathLike[str] | Model) -> Model | None:
    """Return the model that training goes on from, None where it begins with other weights."""
    if isinstance(start, Model):
        return start
    if start in ("imagenet", "scratch"):
        return None
    return load_model(None if start == SHIPPED_NAME else start)


def _asked(
    sources: list[Source],
    *,
    label: str | None,
    labels: str | os.PathLike[str] | None,
    id: str | None,
    question: str | None,
    model: Model | None,
) -> tuple[list[Source], Sequence[Question]]:
    """Return the questions to learn, and sources that have their labels."""
    if question == SHIPPED_NAME and labels is None:
        simulated = [one for one in ATTRIBUTE_QUESTIONS if any(any(source.column(one.column)) for source in sources)]
        return sources, (*QUESTIONS, *simulated)
    if question is not None:
        asked = QUESTIONS if question == SHIPPED_NAME else find_tree(question).questions
        return told_questions(sources, asked, labels, id)
    taken = [] if model is None else [one.name for one in model.card.questions]
    sources, own = find_question(sources, taken, label=label, labels=labels, id=id)
    return sources, (own,)
