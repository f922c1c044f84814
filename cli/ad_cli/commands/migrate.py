"""`adctl migrate`: move this machine's installation to a cluster, with a check before and a way back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session

if TYPE_CHECKING:
    from ad_migrations.moving.places import Target
    from ad_platform.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Move this machine's jobs to a cluster.")

To = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The cluster's addresses, by: adctl cluster env --owner.", show_default=False
    ),
]
Backup = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where the copy goes; default: beside ADCTL_HOME.", show_default=False),
]


@app.command()
def check(to: To, backup: Backup = None, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Say whether this installation can move, and change nothing.

    Both sides must answer, nothing may run here, and the cluster must be empty, with the same schemas.
    """
    from ad_cli import findings
    from ad_migrations.moving import checking, places, running
    from ad_platform.doctor.mending import Mended

    source, target = _both(to)
    with places.lending(target):
        checked = checking.check(source, target, running.copy_folder(source, _absolute(backup)))
    findings.show(list(checked.findings), Mended(attempted=(), found=[]))
    checked.require()
    out.note("it can move: adctl migrate run")


@app.command()
def run(to: To, backup: Backup = None, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Move jobs, sweeps, runs, models and files to a cluster.

    A copy of ADCTL_HOME is made first. Killed at any moment, the same call goes on. Afterwards the cluster's
    workers go on with the jobs, and this installation takes no more.
    """
    from ad_migrations.moving import places, running

    source, target = _both(to)
    with places.lending(target):
        report = running.run(source, target, _absolute(backup), out.note)
    if out.as_json():
        parts = [part.to_json() for part in report.parts]
        out.data({"target": report.target, "backup": report.backup, "parts": [*parts]})
        return
    for part in report.parts:
        out.text(f"{part.name:<7}  {part.words}")
    out.note(f"everything is in {report.target} now; the copy of what was here is {report.backup}")
    out.note(
        "give people client.env and workers worker.env: adctl cluster env; the workers go on by themselves"
    )


@app.command()
def cancel(
    to: To,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Without asking the cluster whether it has the jobs.", show_default=False
        ),
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Leave an installation that has not moved yet where it is."""
    from ad_migrations.moving import running

    source, target = _both(to)
    seal = running.cancel(source, None if force else target)
    if out.as_json():
        out.data({"target": seal.target, "backup": seal.backup})
        return
    out.note(
        f"{source.home} goes on as before: adctl up; what was copied to {seal.target} is of no use to anybody"
    )


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(metavar="DIR", help="The copy.", show_default=False)],
    force: Annotated[
        bool,
        typer.Option("--force", help="Put an installation that is in use aside.", show_default=False),
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Bring an installation back from the copy that was made.

    Into ADCTL_HOME, as it was before it moved. What lies there is put aside, never removed.
    """
    from ad_migrations.moving import running

    settings = session.settings()
    known, aside = running.restore(settings.home, _whole(backup), settings, out.note, force=force)
    if out.as_json():
        out.data({"home": str(settings.home), "files": known.size, "aside": str(aside) if aside else None})
        return
    out.note(f"{settings.home} is as it was on {known.made_at}: adctl up")
    if aside is not None:
        out.note(f"what was there lies in {aside}; remove it when you need it no more")
    out.note("the cluster knows nothing of this: jobs that are to run are in both; let one of them go")


def _both(to: Path) -> "tuple[Settings, Target]":
    from ad_migrations.moving import places

    source = places.source_of(session.settings())
    return source, places.read_target(_whole(to), source)


def _whole(path: Path) -> Path:
    return path.expanduser().absolute()


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else _whole(path)
