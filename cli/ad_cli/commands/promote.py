"""`adctl promote`: let the model of a job, or of the best trial of a sweep, carry an alias."""

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session, shapes
from ad_cli.commands import options
from ad_platform.errors import InvalidRequest

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.records import Champion
    from ad_platform.requests import Promotion


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(promote)


def promote(
    job: Annotated[
        str,
        typer.Argument(
            metavar="JOB",
            help="A train job or an evaluation of one: its id, the first characters, @last; or NAME@ALIAS; "
            "or with --best a sweep.",
            show_default=False,
        ),
    ],
    best: Annotated[
        bool, typer.Option("--best", help="The best trial of a sweep.", show_default=False)
    ] = False,
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
        known = {(each.model, each.alias) for each in client.store.champions.history()}
        promotion = _promote(client, job, alias, force=force, reason=reason, best=best)
        champion = promotion.champion
        alias = champion.alias
        out.note(f"decided: {champion.model}@{alias} is job {champion.job_id} (revision {champion.revision})")
        if meant := _nearly(champion, known):
            out.warn(
                f"{alias} is a new alias; was {meant} meant? adctl promote {champion.job_id} --alias {meant}"
            )
        final = client.await_registry(promotion, wait)
    if out.as_json():
        out.data(shapes.record_json(final.champion))
    elif out.quiet():
        out.text(f"{champion.model}@{alias}")
    else:
        out.text(f"{champion.model}@{alias}  {champion.job_id}")
    if final.champion.revision != champion.revision:
        out.warn(f"job {final.champion.job_id} was promoted in the meantime and is in force now")
    elif final.published:
        out.note(f"registered: models:/{champion.model}@{alias} is version {final.champion.published}")
    else:
        out.warn("the decision stands, but MLflow's registry does not show it yet: a worker's node tells it")


def _promote(client: "Client", text: str, alias: str, *, force: bool, reason: str, best: bool) -> "Promotion":
    """Decide for a job, or for the best trial of a sweep; raise InvalidRequest for a sweep as a whole."""
    from ad_cli import targets
    from ad_platform.records import Benchmark, Study

    sweeps = session.sweeps(client)
    if best:
        return sweeps.promote_best(text, alias, force=force, reason=reason)
    job = _job(client, text)
    if isinstance(found := targets.find(client, sweeps, job), Study):
        raise InvalidRequest(f"{found.name} is a sweep; promote its best: adctl promote {found.name} --best")
    if isinstance(found, Benchmark):
        raise InvalidRequest(
            f"{found.name} is a benchmark; promote one of its trainings: adctl benchmark show {found.name}"
        )
    return client.promote(found.id, alias, force=force, reason=reason)


def _job(client: "Client", text: str) -> str:
    """Return the job that is meant, which may be written as the model it is already."""
    if "@" not in text.lstrip("@"):
        return text
    from ad_platform import models

    found = models.find(client, text).job
    if found is None:
        raise InvalidRequest(f"{text} is a folder; promote a train job, or a model that has an alias")
    return found.id


def _nearly(champion: "Champion", known: "set[tuple[str, str]]") -> str:
    """Return the alias that was perhaps meant where one is new; a mistyped one would go unnoticed."""
    if (champion.model, champion.alias) in known:
        return ""
    others = {"champion", "challenger", *(alias for model, alias in known if model == champion.model)}
    near = get_close_matches(champion.alias, others - {champion.alias}, n=1, cutoff=0.75)
    return near[0] if near and champion.alias not in ("champion", "challenger") else ""
