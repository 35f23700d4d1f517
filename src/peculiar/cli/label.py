"""`peculiar label` and `peculiar labels`: label galaxies in the browser, exchange and compare answers."""

from pathlib import Path
from typing import Annotated

import typer

from peculiar.cli.help import Group, with_examples
from peculiar.cli.options import DataFiles, Device, Embeddings, EmbeddingsId, IdColumn, Overwrite, already, producing
from peculiar.cli.terminal import out
from peculiar.errors import UsageError, extra
from peculiar.text import counted

app = typer.Typer(
    cls=Group,
    help="Answers of annotators: export them, measure agreement, exchange with Zooniverse.",
    no_args_is_help=True,
)

Database = Annotated[Path, typer.Argument(metavar="DB", help="Database of answers.", show_default=False)]
_MOST_REASONS = 20

Asked = Annotated[str | None, typer.Option(help="Name of the question; default: the only one in the database.")]

EXAMPLES = (
    "peculiar label pictures/ --question four_class",
    "peculiar label catalog.parquet --pictures pictures/ --question odd",
    "peculiar label pictures/ --question odd --only check/findings.csv --in-order",
)


def label(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA|CATALOG",
            help="Galaxies with pictures, as for predict; or, with --pictures, a catalogue with embeddings.",
            show_default=False,
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model file that made the catalogue, to explain its answers; default: the model that ships, if it did."
        ),
    ] = None,
    device: Device = "auto",
    db: Annotated[Path, typer.Option(help="Database of the answers; created if it does not exist.")] = Path(
        "labels.db"
    ),
    pictures: Annotated[
        Path | None, typer.Option(help="Pictures of the catalogue's galaxies.", show_default=False)
    ] = None,
    embeddings: Embeddings = None,
    embeddings_id: EmbeddingsId = None,
    id_column: IdColumn = None,
    question: Annotated[
        str,
        typer.Option(
            help="Question: four_class, clean5, odd, galaxy10_decals, galaxy10_sdss; the trees gz2, gz_decals; or "
            "a TOML file."
        ),
    ] = "four_class",
    learn: Annotated[
        str | None,
        typer.Option(
            help="Question of a tree for active learning and the grid; default: the first.", show_default=False
        ),
    ] = None,
    only: Annotated[
        Path | None, typer.Option(help="Table with ids: ask about these galaxies only.", show_default=False)
    ] = None,
    in_order: Annotated[
        bool,
        typer.Option("--in-order", help="Ask about the galaxies of --only in the order of the table."),
    ] = False,
    by: Annotated[
        str, typer.Option(help="Active learning strategy: margin, entropy, bald, rare or random.")
    ] = "margin",
    host: Annotated[str, typer.Option(help="Address to listen on; default: this machine only.")] = "127.0.0.1",
    url: Annotated[
        str | None,
        typer.Option(
            help="Address under which a trusted proxy shows the pages, such as "
            "https://HUB/user/NAME/proxy/8222/ on a JupyterHub.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")] = 8222,
    no_token: Annotated[
        bool,
        typer.Option("--no-token", help="Serve without a token: every user of this machine can open the pages."),
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address only; do not open a browser.")
    ] = False,
) -> None:
    """Open the labelling pages in the browser and store the answers in a database; Ctrl-C stops them."""
    with extra("labelling", "web"):
        from peculiar.labelling.web.serve import label as serve

    serve(
        data,
        pictures=pictures,
        embeddings=embeddings,
        embeddings_id=embeddings_id,
        question=question,
        learned=learn,
        only=only,
        in_order=in_order,
        db=db,
        id=id_column,
        strategy=by,
        host=host,
        url=url,
        port=port,
        token=not no_token,
        browser=not no_browser,
        model=model,
        on_ready=lambda address: out.print(
            f"The labelling pages are at {address} and the answers in {db}; Ctrl-C stops them"
        ),
    )


@app.command(
    "export",
    **with_examples(
        "peculiar labels export labels.db --out labels.csv",
        "peculiar labels export labels.db --out votes.parquet --as votes",
        "peculiar labels export labels.db --out consensus.csv --as consensus",
    ),
)
def export(
    context: typer.Context,
    file: Annotated[
        Path, typer.Option("--out", help="Table to write (.parquet, .csv, .fits, .vot, .ecsv).", show_default=False)
    ],
    db: Database,
    catalog: Annotated[
        Path | None,
        typer.Option(help="Catalogue whose probabilities the consensus combines with the answers.", show_default=False),
    ] = None,
    id_column: IdColumn = None,
    question: Asked = None,
    what: Annotated[
        str,
        typer.Option(
            "--as",
            help="labels (majority answers), votes (counts of each answer), wide (those of all questions of a tree), "
            "events (everything) or consensus (labels and probabilities by the skill of each annotator).",
        ),
    ] = "labels",
    annotators: Annotated[
        Path | None,
        typer.Option(help="Table of the annotators' skills to write, with a consensus.", show_default=False),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the answers as a table."""
    from peculiar.labelling.answers import export_labels
    from peculiar.labelling.consensus import consensus

    if what != "consensus" and (catalog or annotators or id_column):
        message = f"--catalog, --annotators and --id belong to --as consensus, received --as {what}"
        raise UsageError(message)
    with producing(context, file, annotators):
        if what == "consensus":
            found = consensus(db, question=question, catalog=catalog, id=id_column)
            count = found.write(file)
            if annotators is not None:
                found.write_annotators(annotators)
            for line in found.lines():
                out.print(line)
        else:
            count = export_labels(db, file, what, question=question)
    out.print(f"{counted(count, 'row', 'are', 'is')} in {file}")


@app.command(
    "import", **with_examples("peculiar labels import classifications.csv --db labels.db --question odd --task T0")
)
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="CSV", help="Zooniverse's export of classifications.", show_default=False)
    ],
    db: Annotated[Path, typer.Option(help="Database of the answers; created if it does not exist.")] = Path(
        "labels.db"
    ),
    id_name: Annotated[
        str | None,
        typer.Option(
            "--id",
            help="Field of a subject with the galaxy's id; default: id or another usual name, or the subject's number.",
            show_default=False,
        ),
    ] = None,
    question: Annotated[
        str, typer.Option(help="Question or decision tree: a known name, or a TOML file.")
    ] = "four_class",
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<str>",
            help="Task of the workflow, as in T0; for a decision tree once per question, as in T0=NAME.",
            show_default=False,
        ),
    ] = None,
    workflow: Annotated[
        str | None, typer.Option(help="Number or name of the workflow, if several answer the question.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="First version of the workflow that counts, as in 12 or 12.7.")
    ] = None,
) -> None:
    """Store classifications from Zooniverse as answers; known ones are not stored again."""
    from peculiar.labelling.answers import import_labels

    tasks = {name: asked for name, _, asked in (one.partition("=") for one in task or [])}
    found = import_labels(file, db, question, tasks=tasks, workflow=workflow, version=version, id=id_name)
    passed = sum(found.passed_over.values())
    out.print(f"new answers: {found.new:,}; known before: {found.known:,}; skipped classifications: {passed:,}")
    for reason, count in list(found.passed_over.items())[:_MOST_REASONS]:
        out.print(f"skipped: {count:,}, {reason}")
    if len(found.passed_over) > _MOST_REASONS:
        out.print(f"skipped: others, for {len(found.passed_over) - _MOST_REASONS:,} more reasons")
    if found.again:
        out.print(f"repeated answers of one person for one galaxy, of which the last counts: {found.again:,}")
    if found.unnamed:
        out.print(f"identified only by the number of their subject (--id names another field): {found.unnamed:,}")


@app.command("manifest", **with_examples("peculiar labels manifest pictures/ --out zooniverse"))
def manifest(
    context: typer.Context,
    data: DataFiles,
    folder: Annotated[Path, typer.Option("--out", help="Folder to write, new or empty.", show_default=False)],
    id_column: IdColumn = None,
    size: Annotated[int, typer.Option(help="Side of the pictures, in pixels.")] = 480,
) -> None:
    """Write pictures and a manifest for Zooniverse."""
    from peculiar.labelling.zooniverse import export_manifest
    from peculiar.sources import open_source

    source = open_source(data, id=id_column)
    with producing(context) as request:
        if already(request, folder):
            return
        written, problems = export_manifest(source, folder, size=size)
    left = f"; {len(problems):,} left out, the first is {next(iter(problems))}" if problems else ""
    out.print(f"{counted(written, 'galaxy', 'are', 'is')} in {folder}{left}")


@app.command("agreement", **with_examples("peculiar labels agreement labels.db"))
def agreement(db: Database, question: Asked = None) -> None:
    """Measure how far annotators agree: Krippendorff's alpha, Cohen's kappa, agreement with the majority."""
    from peculiar.labelling.answers import agreement as run_agreement

    for line in run_agreement(db, question=question).lines():
        out.print(line)
