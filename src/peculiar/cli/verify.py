"""`peculiar verify`: ask people about a sample of a catalogue, print purity and completeness, write a page."""

import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import IdColumn, Json, Label, Overwrite, Seed, producing
from peculiar.cli.terminal import err, out, print_json, print_table
from peculiar.errors import UsageError, extra
from peculiar.text import counted

if TYPE_CHECKING:
    from peculiar.verification.sample import VerificationSample
    from peculiar.verification.verify import Verification

EXAMPLES = (
    "peculiar verify catalog.parquet --score p_ringed --pictures pictures/",
    "peculiar verify catalog.parquet --score p_ringed --labels labels.csv --completeness 0.8",
)

ACCEPTED, SAMPLE, DATABASE, ANSWERS = "accepted.parquet", "sample.csv", "answers.db", "answers.csv"
"""Files in the folder of a verification, besides the page."""


def verify(
    context: typer.Context,
    catalog: Annotated[
        Path, typer.Argument(metavar="CATALOG", help="Catalogue (Parquet) or folder of parts.", show_default=False)
    ],
    score: Annotated[
        str, typer.Option(help="Column of the score: the higher, the more probably true.", show_default=False)
    ],
    where: Annotated[
        str | None, typer.Option(help="Condition on the columns; only galaxies that meet it count.")
    ] = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for sample, answers, page and catalogue.")] = Path(
        "verification"
    ),
    pictures: Annotated[
        Path | None,
        typer.Option(help="Pictures of the galaxies: opens the labelling pages for the sample.", show_default=False),
    ] = None,
    label: Label = None,
    labels: Annotated[
        Path | None, typer.Option(help="Table with ids and answers, given elsewhere.", show_default=False)
    ] = None,
    true: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<str>",
            help="Answer that means true; may be given several times; default: yes, or the class of the score.",
        ),
    ] = None,
    purity: Annotated[
        float | None, typer.Option(help="Purity that the threshold shall have; default: 0.9.", show_default=False)
    ] = None,
    completeness: Annotated[
        float | None, typer.Option(help="Completeness that the threshold shall have instead.", show_default=False)
    ] = None,
    answers: Annotated[int, typer.Option(min=40, help="Number of galaxies in the sample.")] = 200,
    id_column: IdColumn = None,
    seed: Seed = 222,
    host: Annotated[
        str, typer.Option(help="Address of the labelling pages; default: this machine only.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the labelling pages; 0 for any that is free.")
    ] = 8222,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address only; do not open a browser.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Estimate how pure and complete the galaxies above each threshold of a score are, from people's answers.

    The sample is balanced over the score, which the labelling pages do not show. Without --pictures and --labels, the
    command writes the sample, and later uses the answers that were given in the meantime.
    """
    from peculiar.verification.page import PAGE
    from peculiar.verification.sample import draw_verification_sample
    from peculiar.verification.verify import VERIFICATION, aim_of
    from peculiar.verification.verify import verify as run_verify

    if pictures is not None and labels is not None:
        message = "answers are given on the pages (--pictures) or come from a table (--labels), not both"
        raise UsageError(message)
    aim_of(purity, completeness)
    command = shlex.join(["peculiar", *sys.argv[1:]])
    # A verification goes on in its folder: first the sample, then the answers, perhaps another promise.
    with producing(context, *(folder / name for name in (VERIFICATION, PAGE, ACCEPTED)), renew=True):
        table = labels
        if table is None:
            sample = draw_verification_sample(catalog, score, where=where, count=answers, seed=seed)
            folder.mkdir(parents=True, exist_ok=True)
            if not _is_sample(folder / SAMPLE, sample.ids):
                sample.write(folder / SAMPLE)
            if pictures is not None:
                _ask(sample, pictures, folder / DATABASE, host=host, port=port, browser=not no_browser, id=id_column)
            table = _answers(folder)
        if table is None:
            if as_json:
                print_json({"sample": str(folder / SAMPLE), "galaxies": len(sample.ids)})
                return
            out.print(f"The sample, {counted(len(sample.ids), 'galaxy')}, is in {folder / SAMPLE}. To answer:")
            out.print("- on the labelling pages: the same command with --pictures DATA")
            out.print("- elsewhere: fill in the column label of the sample (yes or no), or give --labels TABLE")
            return
        found = run_verify(
            catalog,
            score,
            table,
            where=where,
            label=label,
            true=true or (),
            purity=purity,
            completeness=completeness,
            count=answers,
            id=id_column if labels is not None else None,
            seed=seed,
        )
        found.write(folder, command=command)
        if found.threshold is None:
            (folder / ACCEPTED).unlink(missing_ok=True)  # of an earlier promise
        accepted = found.write_accepted(folder / ACCEPTED) if found.threshold is not None else None
    if as_json:
        print_json(found.as_dict(command=command))
    else:
        _print(found, folder / PAGE, accepted)


def _ask(
    sample: "VerificationSample", pictures: Path, db: Path, *, host: str, port: int, browser: bool, id: str | None
) -> None:
    """Serve the labelling pages for the sample until they are stopped."""
    with extra("labelling", "web"):
        from peculiar.labelling.web.serve import label as serve
    from peculiar.questions.question import Question

    question = Question(sample.score, ("no", "yes"), asks=f"{sample.answer}?")
    with suppress(KeyboardInterrupt):  # Ctrl-C ends the answers, not the command
        serve(
            [pictures],
            question=question,
            only=sample.ids,
            db=db,
            id=id,
            host=host,
            port=port,
            browser=browser,
            on_ready=lambda address: err.print(
                f"The labelling pages are at {address} and the answers in {db}; Ctrl-C stops them and shows the figures"
            ),
        )


def _answers(folder: Path) -> Path | None:
    """Return the answers from the labelling pages, or those filled in beside the sample; None if there are none."""
    from peculiar.tables.identifiers import entry_text
    from peculiar.tables.reader import TableReader

    if (folder / DATABASE).exists():
        with extra("labelling", "web"):
            from peculiar.labelling.answers import export_labels
        return folder / ANSWERS if export_labels(folder / DATABASE, folder / ANSWERS) else None
    table = TableReader(folder / SAMPLE)
    filled = "label" in table.columns and any((entry_text(one) or "").strip() for one in table.column("label"))
    return folder / SAMPLE if filled else None


def _is_sample(path: Path, ids: list[str]) -> bool:
    """Return whether a table has these ids: the sample, in which somebody may have filled in answers."""
    from peculiar.tables.formats import is_table
    from peculiar.tables.identifiers import entry_text
    from peculiar.tables.reader import TableReader

    if not path.exists() or not is_table(path):
        return False
    table = TableReader(path)
    return "id" in table.columns and {entry_text(one) for one in table.column("id")} == set(ids)


def _print(found: "Verification", page: Path, accepted: int | None) -> None:
    from peculiar.verification.page import halving_text, threshold_table

    for note in found.notes:
        out.print(note)
    true = found.curves.true.at(0)
    out.print(
        f"{counted(int(found.cells.answered.sum()), 'answer')} for {counted(int(found.curves.selected[0]), 'galaxy')}, "
        f"of which about {true['estimate']:,.0f} are true ({true['low']:,.0f} to {true['high']:,.0f})"
    )
    out.print()
    print_table(threshold_table(found))
    out.print()
    out.print(found.verdict)
    out.print(halving_text(found))
    if accepted is not None:
        out.print(f"{page.parent / ACCEPTED} has the column accepted: {counted(accepted, 'galaxy')}")
    out.print(f"Figures are in {page.parent}; open {page} in a browser.")
