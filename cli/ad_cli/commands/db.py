"""`adctl db`: bring the store's schema up to date, and say who may do what with it."""

from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session

if TYPE_CHECKING:
    from ad_platform.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Look after the store's schema.")


@app.command()
def upgrade(
    now: Annotated[
        bool,
        typer.Option("--now", help="Without waiting for older workers to leave.", show_default=False),
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Make the store, or bring its schema up to date.

    Workers go on meanwhile. If theirs is too old for it, they give their jobs back first, and leave.
    """
    settings = session.settings()
    before, after = migrate(settings, wait=not now)
    if out.as_json():
        out.data({"before": before, "after": after})
    elif before == after:
        out.note(f"the store is up to date ({after})")
    else:
        out.note(f"the store went from {before or 'nothing'} to {after}")


@app.command()
def check(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Say whether the schema fits this adctl (exit code 5 if not)."""
    from ad_migrations import check as require
    from ad_migrations import head, readers_of, revision_of

    url = session.settings().database_url
    if out.as_json():
        found, wanted = revision_of(url), head()
        matches, readable_from = found == wanted, readers_of(url)
        out.data({"found": found, "wanted": wanted, "matches": matches, "readable_from": readable_from})
    found = require(url)
    if found == head():
        out.note(f"the store is up to date ({found})")
    else:
        out.note(
            f"the store is newer ({found}) than this adctl ({head()}), which may work with it all the same"
        )


@app.command()
def grant(
    client: Annotated[
        str, typer.Option(metavar="ACCOUNT", help="Who asks for work: people and their programs.")
    ] = "adctl_client",
    worker: Annotated[
        str, typer.Option(metavar="ACCOUNT", help="Who does it: workers, and whoever keeps house.")
    ] = "adctl_worker",
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Give the accounts of clients and workers their rights.

    On PostgreSQL, what each needs and no more. Run it as the owner of the store, after every upgrade; the
    accounts must exist.
    """
    from ad_migrations import Side
    from ad_migrations import grant as give

    give(session.settings().database_url, {Side.CLIENT: client, Side.WORKER: worker})
    if out.as_json():
        out.data({"client": client, "worker": worker})
    else:
        out.note(f"{client} may ask for work, and {worker} may do it")


def migrate(settings: "Settings", *, wait: bool = True) -> tuple[str | None, str]:
    """Upgrade the store and return its revision before and after; `wait` lets older workers leave first."""
    from ad_migrations import head, make_way, revision_of
    from ad_migrations import upgrade as run_migrations

    if settings.embedded:
        from ad_platform.stack.places import make_private

        make_private(settings.home)
    before = revision_of(settings.database_url)
    if wait:
        make_way(settings.database_url, out.note)
    run_migrations(settings.database_url)
    return before, head()
