"""`adctl threshold`: see what another threshold would get wrong, and give a model's alias to it."""

from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session, shapes
from ad_cli.commands import options
from ad_cli.exits import Exit
from ad_platform.errors import InvalidRequest

if TYPE_CHECKING:
    from ad_platform.registry.operating import ChosenBy


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(threshold)


def threshold(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="NAME@ALIAS (champion without one), a train job, or @last.",
            show_default=False,
        ),
    ],
    fpr: Annotated[
        float | None,
        typer.Option(
            "--fpr",
            metavar="R",
            help="A share of good images that may be called anomalous.",
            show_default=False,
        ),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(
            "--recall",
            metavar="R",
            help="A share of the anomalous test images to be found.",
            show_default=False,
        ),
    ] = None,
    value: Annotated[
        float | None,
        typer.Option(
            "--value", metavar="T", help="A score above which an image is anomalous.", show_default=False
        ),
    ] = None,
    alias: Annotated[
        str,
        typer.Option(
            help="Make a version with it and let it carry this alias; else nothing changes.",
            show_default=False,
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --alias: show what every gate says.", show_default=False)
    ] = False,
    force: options.PastGates = False,
    reason: options.Reason = "",
    wait: options.RegistryWait = 60.0,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Show what a model's threshold gets wrong, and another.

    Misses and false alarms, by the scores that its newest evaluation stored: nothing is scored anew. With
    --alias a version with the same weights and that threshold is made, if the gates let it.
    """
    by, wanted = _wanted(fpr, recall, value)
    if by is None and (alias or dry_run):
        raise InvalidRequest("say which threshold: --fpr R, --recall R or --value T")
    if force and not reason.strip() and not dry_run:
        raise InvalidRequest("--force goes past the gates, so say why: --reason TEXT")
    if not alias and (force or dry_run):
        raise InvalidRequest(
            "without --alias nothing is decided, so there are no gates; name one: --alias champion"
        )
    from ad_cli import promoting, thresholds
    from ad_platform import models
    from ad_platform.registry.promotion import Wish
    from ad_platform.thresholds import adopt, look, propose

    with session.client() as client:
        found = models.find(client, model)
        seen = look(client, found, by, wanted)
        if not alias:
            thresholds.show(seen)
            return
        user = client.settings.user
        wish = Wish(alias=alias, user=user, force=force, reason=reason or ("trying" if dry_run else ""))
        if dry_run:
            from ad_cli import verdicts

            proposal = propose(client, seen, wish)
            if out.as_json():
                out.data({**thresholds.to_json(seen), "proposal": verdicts.to_json(proposal)})
            else:
                thresholds.show(seen)
                verdicts.propose(proposal)
            if not proposal.passes:
                raise typer.Exit(Exit.CONFLICT)
            return
        known = promoting.known_aliases(client)
        promotion = adopt(client, seen, wish)
        champion = promoting.tell(client, promotion, known, wait)
    if out.as_json():
        out.data({**thresholds.to_json(seen), "decision": shapes.record_json(champion)})
    elif out.quiet():
        out.text(f"{champion.model}@{champion.alias}")
    else:
        thresholds.show(seen)


def _wanted(fpr: float | None, recall: float | None, value: float | None) -> "tuple[ChosenBy | None, float]":
    """Return which of the three ways was asked for; raise InvalidRequest for more than one."""
    from ad_platform.registry.operating import ChosenBy

    given = [
        (by, wanted)
        for by, wanted in ((ChosenBy.FPR, fpr), (ChosenBy.RECALL, recall), (ChosenBy.VALUE, value))
        if wanted is not None
    ]
    if len(given) > 1:
        raise InvalidRequest("give one of --fpr, --recall and --value")
    return given[0] if given else (None, 0.0)
