"""`adctl promote`: let the model of a job, or the best of a sweep or group, carry an alias."""

from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session, shapes
from ad_cli.commands import options
from ad_cli.exits import Exit, exit_of
from ad_platform.errors import AdctlError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ad_cli.promoting import Pick
    from ad_platform.client import Client
    from ad_platform.registry.promotion import Wish
    from ad_platform.specs import Json


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(promote)


def promote(
    job: Annotated[
        str,
        typer.Argument(
            metavar="JOB",
            help="A train job or an evaluation of one: its id, the first characters, @last; or NAME@ALIAS; "
            "or with --best a sweep, a benchmark or any group of jobs.",
            show_default=False,
        ),
    ],
    metric: Annotated[
        str,
        typer.Argument(
            metavar="[METRIC]",
            help="With --best: by which measure. Default: as the sweep.",
            show_default=False,
        ),
    ] = "",
    best: Annotated[
        bool,
        typer.Option(
            "--best", help="The best of a sweep or group; of several categories of each.", show_default=False
        ),
    ] = False,
    category: Annotated[
        str,
        typer.Option(
            "--category", "-c", metavar="NAME", help="With --best: of this one alone.", show_default=False
        ),
    ] = "",
    alias: Annotated[str, typer.Option(help="The alias, such as champion.")] = "champion",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what every gate says; change nothing.", show_default=False)
    ] = False,
    force: options.PastGates = False,
    reason: options.Reason = "",
    wait: options.RegistryWait = 60.0,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Make a job's model the champion, or give it another alias.

    If the gates let it. Waits until MLflow's registry shows it; the decision stands even if that takes
    longer. With --dry-run the exit code is 3 if a gate refuses.
    """
    if force and not reason.strip() and not dry_run:
        raise InvalidRequest("--force goes past the gates, so say why: --reason TEXT")
    from ad_cli import promoting
    from ad_platform.registry.promotion import Wish

    with session.client() as client:
        found = promoting.picks(client, job, best=best, metric=metric, category=category)
        for one in found:
            if one.words:
                out.note(one.words)
        user = client.settings.user
        wish = Wish(alias=alias, user=user, force=force, reason=reason or ("trying" if dry_run else ""))
        several = best and any(one.words for one in found)
        code = (_try if dry_run else _decide)(client, found, wish, several, wait)
    if code:
        raise typer.Exit(code)


def _try(client: "Client", found: "Sequence[Pick]", wish: "Wish", several: bool, wait: float) -> int:
    """Show what the gates say of each."""
    from dataclasses import replace

    from ad_cli import verdicts

    proposals = [client.propose(one.job, replace(wish, chosen=one.chosen)) for one in found]
    if out.as_json():
        values: list[Json] = [verdicts.to_json(one) for one in proposals]
        out.data(values if several else values[0])
    else:
        for one in proposals:
            if out.quiet():
                out.text("passed" if one.passes else "refused")
            else:
                verdicts.propose(one)
    return Exit.OK if all(one.passes for one in proposals) else Exit.CONFLICT


def _decide(client: "Client", found: "Sequence[Pick]", wish: "Wish", several: bool, wait: float) -> int:
    """Promote each; one that is refused must not keep the others from it."""
    from dataclasses import replace

    from ad_cli import promoting

    known, done, first_error = promoting.known_aliases(client), [], 0
    for one in found:
        try:
            promotion = client.decide(one.job, replace(wish, chosen=one.chosen))
        except AdctlError as error:
            if len(found) == 1:
                raise
            out.error(str(error))
            first_error = first_error or exit_of(error)
            continue
        champion = promotion.champion
        done.append(promoting.tell(client, promotion, known, wait))
        if not out.as_json():
            name = f"{champion.model}@{champion.alias}"
            out.text(name if out.quiet() else f"{name}  {champion.job_id}")
    if out.as_json():
        values: list[Json] = [shapes.record_json(one) for one in done]
        out.data(values if several else values[0])
    return first_error
