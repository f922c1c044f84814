"""`adctl promote`: let a job's model carry an alias."""

from typing import Annotated

import typer

from ad_cli import out, session, shapes
from ad_cli.commands import options
from ad_platform.errors import InvalidRequest


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(promote)


def promote(
    job: options.JobText,
    alias: Annotated[str, typer.Option(help="The alias, such as champion.")] = "champion",
    force: Annotated[
        bool, typer.Option("--force", help="Even if a gate says no; needs --reason.", show_default=False)
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the record.", show_default=False)] = "",
    wait: Annotated[
        float,
        typer.Option(
            callback=options.within(0.0), metavar="SECONDS", help="How long to wait for the registry."
        ),
    ] = 60.0,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Make a job's model the champion, or give it another alias.

    Waits until MLflow's registry shows it; the decision stands even if that takes longer.
    """
    if force and not reason.strip():
        raise InvalidRequest("--force goes past the gates, so say why: --reason TEXT")
    with session.client() as client:
        promotion = client.promote(job, alias, force=force, reason=reason)
        champion = promotion.champion
        out.note(f"decided: {champion.model}@{alias} is job {champion.job_id} (revision {champion.revision})")
        final = client.await_registry(promotion, wait)
    if out.as_json():
        out.data(shapes.record_json(final.champion))
    else:
        out.text(f"{champion.model}@{alias}  {champion.job_id}")
    if final.champion.revision != champion.revision:
        out.warn(f"job {final.champion.job_id} was promoted in the meantime and is in force now")
    elif final.published:
        out.note(f"registered: models:/{champion.model}@{alias} is version {final.champion.published}")
    else:
        out.warn("the decision stands, but MLflow's registry does not show it yet: a worker's node tells it")
