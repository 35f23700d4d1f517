"""`peculiar evaluate`: score a model, print the scores, write a page."""

import json
import shlex
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import (
    Data,
    IdColumn,
    Json,
    Label,
    Labels,
    ModelOrRun,
    Overwrite,
    Views,
    open_galaxies,
    producing,
)
from peculiar.cli.progress import counting
from peculiar.cli.terminal import out, print_json, print_scores, print_table
from peculiar.errors import PeculiarWarning, UsageError, extra
from peculiar.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peculiar.evaluation.candidates import Candidate
    from peculiar.evaluation.evaluate import Scored
    from peculiar.metrics.prevalence import Fraction
    from peculiar.questions.question import Question


def evaluate(
    context: typer.Context,
    data: Data,
    model: ModelOrRun = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for scores and figures; default: in the run's folder, or evaluation."),
    ] = None,
    label: Label = None,
    labels: Labels = None,
    id_column: IdColumn = None,
    question: Annotated[
        str | None, typer.Option(help="Which of a model's questions; default: the one that the labels answer.")
    ] = None,
    part: Annotated[
        str,
        typer.Option(
            help="What part galaxies had in a model file's training, by their ids: test, validation, training, or all."
        ),
    ] = "all",
    weights: Annotated[str, typer.Option(help="The run's weights: of the last epoch, or the best.")] = "last",
    include_training: Annotated[
        bool, typer.Option("--include-training", help="Also score galaxies that the model was trained on.")
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
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Score a model on labelled galaxies, leaving out those that it was trained on; or a table of probabilities."""
    from peculiar.evaluation.assess import assess, read_probabilities, remarks
    from peculiar.evaluation.evaluate import push_pictures
    from peculiar.evaluation.page import facts_of, write_assessment
    from peculiar.files.writing import writing
    from peculiar.models.provenance import check_maker, read_maker
    from peculiar.tables.reader import TableReader

    candidate = _open(model, weights=weights, views=views, include_training=include_training, part=part)
    folder = folder or candidate.folder
    request = context.with_resource(producing(context, *(folder / name for name in ("scores.json", "report.html"))))
    scored = _score(data, candidate, label, labels, question, id_column)
    if scored.candidate is not candidate and model is not None:
        message = f"{data} holds probabilities of {scored.candidate.name}, and not of {candidate.name}"
        warnings.warn(message, PeculiarWarning, stacklevel=1)
    candidate = scored.candidate
    notes = [*filter(None, [scored.joined]), *scored.choice.sentences(part)]
    unlabelled = None
    if catalog is not None:
        notes += check_maker(catalog, read_maker(TableReader(catalog)), candidate.maker)
        values, known = read_probabilities(catalog, scored.question, questions=candidate.questions)
        unlabelled = values[known]
    wanted = dict.fromkeys(["survey", scored.question.basis, *(by or ())])
    columns = {name: scored.column(name) for name in wanted if name and (name in scored.columns or name in (by or ()))}
    groups = None if group is None else scored.column(group)
    notes += remarks(scored.labels, scored.ids, scored.question.answers, groups)
    found = assess(
        scored.ids,
        scored.labels,
        scored.probabilities,
        scored.question,
        columns=columns,
        groups=groups,
        temperature=candidate.temperatures.get(scored.question.name, 1.0),
        thresholds=candidate.sets.get(scored.question.name),
        unlabelled=unlabelled,
    )
    shifts = {}
    if push:
        with counting("pushing") as progress:
            shifts = push_pictures(scored, progress=progress)
    off = scored.deviations()
    result = {
        "data": str(data),
        "model": candidate.name,
        **candidate.settings,
        "question": scored.question.name,
        "left_out": scored.choice.left_out,
        "trained_on": scored.choice.as_dict(),
        "unreadable": scored.problems,
        "notes": notes,
        "command": shlex.join(["peculiar", *sys.argv[1:]]),
        "seed": 222,
        **found.as_dict(),
        "deviations": off,
        "shifts": {name: of.as_dict() for name, of in shifts.items()},
    }
    with writing(folder / "scores.json") as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    named = ("data", "model", *candidate.settings, "question", "left_out", "seed", "command")
    facts = {name: result[name] for name in named}
    facts["galaxies"] = " ".join(notes)
    facts["digest of the galaxies scored"] = found.digest
    facts |= candidate.digests
    mistakes = scored.mistakes(found.mistakes)
    write_assessment(folder, found, facts_of(facts), mistakes=mistakes, shifts=shifts, deviations=_listed(off))
    request.tidy(folder)
    if as_json:
        print_json(result)
        return
    out.print(f"Scores of {candidate.described} on {counted(found.scores.count, 'galaxy')}")
    for note in notes:
        out.print(note)
    for id_, reason in scored.problems.items():
        out.print(f"{id_} cannot be read: {reason}")
    print_scores(found.scores)
    if off:
        out.print(f"shares of votes are off by {_listed(off)} (root mean square)")
    if found.fractions:
        _print_fractions(found.fractions)
    out.print(f"Scores and figures are in {folder}; open {folder / 'report.html'} in a browser.")


def _open(model: Path | None, *, weights: str, views: int | None, include_training: bool, part: str) -> "Candidate":
    """Open a run's folder or a model file."""
    from peculiar.evaluation.candidates import file_candidate, run_candidate
    from peculiar.models.model_file import load_model

    if model is None or not model.is_dir():
        return file_candidate(load_model(model), part=part, views=views, include_training=include_training)
    with extra("evaluating a training run", "exercise"):
        from peculiar.exercise import run_folder
    from peculiar.files.run_files import read_split

    trained = run_folder.load_run(model, weights=weights)
    seen = {id_ for id_, in_ in read_split(model).items() if in_ == "training"}
    return run_candidate(
        model,
        trained,
        seen=seen,
        weights=weights,
        epoch=run_folder.epoch_of(model, weights),
        split_digest=run_folder.read_record(model).split_digest,
        include_training=include_training,
    )


def _score(
    data: Path,
    candidate: "Candidate",
    label: str | None,
    labels: Path | None,
    question: str | None,
    id_column: str | None,
) -> "Scored":
    """Read what a table says of galaxies, or classify them."""
    from peculiar.evaluation.evaluate import score_catalogue, score_pictures
    from peculiar.sources.answers import read_votes
    from peculiar.sources.labels import own_question, with_most

    read = score_catalogue(data, candidate, label=label, labels=labels, id=id_column)
    if read is not None:
        return read
    voted = None
    asked = _voted_on(candidate, question, label, labels)
    if asked is not None:
        question = asked.name
        source, voted = with_most(open_galaxies(data, id_column, labels=labels), asked, labels, id_column)
    elif labels is None:
        source = open_galaxies(data, id_column, label=label)
    else:
        (source,), _ = own_question([open_galaxies(data, id_column, labels=labels)], label, labels, id_column)
    with counting("classifying") as progress:
        scored = score_pictures(source, candidate, question=question, progress=progress)
    return scored if voted is None else replace(scored, votes=read_votes(source, voted).of(scored.rows))


def _voted_on(
    candidate: "Candidate", question: str | None, label: str | None, labels: Path | None
) -> "Question | None":
    """Return the question whose votes are to be scored, if it is votes that the data or a table of labels hold."""
    from peculiar.questions.question import TREES, find_tree
    from peculiar.questions.votes import find_votes
    from peculiar.sources.labels import LABEL_COLUMNS
    from peculiar.tables.reader import TableReader, find_column

    if label is not None:
        return None
    answered = candidate.questions
    if question in TREES:
        own = {one.name for one in find_tree(str(question)).questions}
        answered = tuple(one for one in answered if one.name in own) or answered
    elif question is not None:
        answered = tuple(one for one in answered if one.name == question)
    if labels is not None:
        columns = TableReader(labels).columns
        if find_column([*LABEL_COLUMNS, *(one.column.lower() for one in answered)], columns) is None:
            found = [find_votes([one], columns) for one in answered]
            if voted := [one for some in found for one in some]:
                return voted[0]
            if question in TREES:
                message = (
                    f"the model {candidate.name} answers {', '.join(one.name for one in candidate.questions)}, and "
                    f"{labels} has no votes on these. Train a model that answers {question}: `peculiar train DATA "
                    f"--labels {labels} --question {question} --from galaxy --out run`, then `peculiar export run "
                    "--out MODEL.onnx`"
                )
                raise UsageError(message)
    first = next(iter(answered), None)
    return first if first is not None and first.votes else None


def _listed(deviations: dict[str, float]) -> str:
    return ", ".join(f"{value:.3f} ({answer})" for answer, value in deviations.items())


def _print_fractions(fractions: "Mapping[str, Fraction]") -> None:
    out.print()
    out.print("Shares in the catalogue, with 90 % intervals")
    rows = [["class", "called so", "adjusted counts", "expectation maximisation"]]
    rows += [
        [
            name,
            f"{one.counted:.1%}",
            "{:.1%} ({:.1%} to {:.1%})".format(one.adjusted, *one.adjusted_interval),
            "{:.1%} ({:.1%} to {:.1%})".format(one.expected, *one.expected_interval),
        ]
        for name, one in fractions.items()
    ]
    print_table(rows)
