"""`adctl models`: which models carry an alias, by what evidence, and who decided so."""

from typing import Annotated

import typer

from ad_cli import out, session

app = typer.Typer(no_args_is_help=True, help="Models that carry an alias.")


@app.command("list")
def list_models(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """List models and their aliases."""
    from ad_cli import champions
    from ad_platform import models

    with session.client() as client:
        found = models.registered(client)
    if out.as_json():
        out.data([champions.to_json(each) for each in found])
    elif out.quiet():
        for each in found:
            out.text(each.words)
    else:
        rows = [champions.row(each) for each in found]
        out.table(
            champions.COLUMNS, rows, empty="no model carries an alias; give one with: adctl promote JOB"
        )


@app.command()
def show(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@ALIAS]",
            help="A model; its champion unless another alias is named.",
            show_default=False,
        ),
    ],
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Show how good a model is, and who promoted it.

    With its measures and intervals, what each gate said, why it was promoted, and every decision before.
    """
    from ad_cli import champions
    from ad_platform import models

    with session.client() as client:
        found = models.carrier(client, model)
        decisions = models.history(client, found.champion.model)
    if out.as_json():
        out.data(champions.page_json(found, decisions))
    elif out.quiet():
        out.text(found.job.id)
    else:
        champions.page(found, decisions)
