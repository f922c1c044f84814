"""`adctl report`: a page about a sweep that opens anywhere, made here from what the store knows now."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options

PAGES = (".html", ".htm")


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(report)


def report(
    sweep: options.SweepText,
    to: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE|DIR",
            help="Where to; a name that ends in .html is the page itself. Default: SWEEP-report.",
            show_default=False,
        ),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Make a page about a sweep: plots, and what its best is worth.

    One file that opens without a network, and a table of all trials beside it. What an earlier call wrote
    there is replaced.
    """
    from ad_platform.sweeps.report import PAGE, TABLE

    with session.client() as client, TemporaryDirectory(prefix="adctl-report-") as made:
        study = client.sweeps.find(sweep)
        page, table = places(Path(f"{study.name}-report") if to is None else to)
        client.sweeps.report(study, Path(made))
        page.parent.mkdir(parents=True, exist_ok=True)
        for name, place in ((PAGE, page), (TABLE, table)):
            place.write_bytes((Path(made) / name).read_bytes())
    if out.as_json():
        out.data({"sweep": study.name, "page": str(page), "trials": str(table)})
        return
    out.text(str(page))
    out.note(f"all trials as a table: {table}")


def places(to: Path) -> tuple[Path, Path]:
    """Return where page and table go."""
    if to.suffix.lower() in PAGES and not to.is_dir():
        return to.absolute(), to.with_suffix(".csv").absolute()
    return (to / "report.html").absolute(), (to / "trials.csv").absolute()
