"""`adctl leaderboard`: models beside each other and beside published numbers."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ad_cli import out, session


class Format(StrEnum):
    """How a leaderboard is written."""

    TABLE = "table"
    CSV = "csv"
    MD = "md"
    LATEX = "latex"


class Measure(StrEnum):
    """What a leaderboard compares."""

    IMAGE_AUROC = "image_auroc"
    PIXEL_AUROC = "pixel_auroc"
    AUPRO_30 = "aupro_30"


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(leaderboard)


def leaderboard(
    benchmark: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BENCHMARK", help="By name or id, or @last; all, unless given.", show_default=False
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", metavar="NAME", help="Only this dataset.", show_default=False),
    ] = None,
    metric: Annotated[
        list[Measure] | None,
        typer.Option(case_sensitive=False, help="Only this measure; may be repeated.", show_default=False),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", "-f", case_sensitive=False, help="How it is written.")
    ] = Format.TABLE,
    to: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Where to; else to stdout.", show_default=False),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Set models beside each other and published numbers.

    Mean and standard deviation over seeds, per category and on average, with tests between models.
    """
    from ad_cli.benchmarks import board

    with session.client() as client:
        benchmarks = session.benchmarks(client)
        found = board.find(benchmarks, benchmark or (), dataset)
        board.write(found, [one.value for one in metric or Measure], form.value, to)
