"""`adctl models`: which models carry an alias, by what evidence, who decided so, and how to go back."""

from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options

app = typer.Typer(no_args_is_help=True, help="Models that carry an alias.")

ModelText = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@ALIAS]",
        help="A model; its champion unless another alias is named. NAME@ALIAS:3 is its revision 3.",
        show_default=False,
    ),
]


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
def show(model: ModelText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Show how good a model is, and who promoted it.

    With its measures and intervals, what each gate said and by which numbers, why it was promoted, and every
    decision before.
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


@app.command()
def history(model: ModelText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """List every decision about a model, newest first."""
    from ad_cli import champions
    from ad_platform import models

    with session.client() as client:
        found = models.carrier(client, model).champion
        decisions = models.history(client, found.model)
    if "@" in model:
        decisions = [each for each in decisions if each.alias == found.alias]
    if out.as_json():
        out.data([champions.decision_json(each) for each in decisions])
    elif out.quiet():
        for each in decisions:
            out.text(f"{each.model}@{each.alias}:{each.revision}")
    else:
        champions.history(decisions)


@app.command()
def diff(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="NAME@ALIAS, NAME@ALIAS:REVISION, or a train job.", show_default=False
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one, named alike.", show_default=False)],
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Show what differs between two models.

    Weights, threshold, gates, settings, data, code and metrics. Where both were evaluated on the same images,
    the difference of each measure has an interval.
    """
    from ad_cli import model_differences
    from ad_platform import comparing_models
    from ad_platform.comparing import same_images

    with session.client() as client:
        found = comparing_models.compare(client, a, b)
        both, paired = same_images(found.jobs), None
        if both is not None and not out.quiet():
            from ad_cli.paired import paired as drawn

            paired = drawn(client, *both)
    model_differences.show(found, paired)


@app.command()
def rollback(
    model: ModelText,
    reason: options.Reason,
    to: Annotated[
        int | None,
        typer.Option(
            "--to",
            metavar="REVISION",
            callback=options.within(1),
            help="Which decision to go back to. Default: the one before.",
            show_default=False,
        ),
    ] = None,
    wait: options.RegistryWait = 60.0,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Go back to an earlier model, as a new decision.

    With its threshold; nothing is rewritten. The gates are asked and recorded, but only a model that cannot
    be loaded is refused.
    """
    from ad_cli import promoting, shapes
    from ad_platform import models

    with session.client() as client:
        found = models.carrier(client, model.rpartition(":")[0] if _revision(model) else model).champion
        chosen = to if to is not None else _revision(model)
        promotion = client.roll_back(found.model, found.alias, reason=reason, to=chosen)
        champion = promotion.champion
        back = champion.evidence.get("rollback_to")
        out.note(f"{found.model}@{found.alias} goes back from revision {found.revision} to {back}")
        final = promoting.tell(client, promotion, promoting.known_aliases(client), wait)
    if out.as_json():
        out.data(shapes.record_json(final))
    elif out.quiet():
        out.text(f"{champion.model}@{champion.alias}")
    else:
        out.text(f"{champion.model}@{champion.alias}  {champion.job_id}")


def _revision(model: str) -> int | None:
    number = model.rpartition(":")[2] if "@" in model else ""
    return int(number) if number.isdigit() else None
