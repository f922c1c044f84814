"""`adctl doctor`: look whether all is there and agrees, say what to do, and mend what is safe."""

from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session
from ad_cli.exits import Exit

if TYPE_CHECKING:
    from ad_platform.doctor.findings import Finding
    from ad_platform.doctor.mending import Mended

DAY = 86400.0  # seconds that a deep look may take

Fix = Annotated[bool, typer.Option("--fix", help="Mend what is safe, then look again.", show_default=False)]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="With --fix: only say what it would do.", show_default=False)
]
Deep = Annotated[
    bool,
    typer.Option(
        "--deep", help="Compare all jobs, not the newest alone, however long it takes.", show_default=False
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("doctor")(doctor)


def doctor(
    fix: Fix = False,
    dry_run: DryRun = False,
    deep: Deep = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Say what is missing or does not agree, and what to do.

    Nothing is changed without --fix. Ends with 12 if there is a problem; warnings are none. -q names problems
    only.
    """
    from ad_cli import findings
    from ad_cli.checkup import looks
    from ad_cli.comparisons import comparing, ground_of
    from ad_platform.doctor.findings import PATIENCE_TO_COMPARE, examine
    from ad_platform.doctor.mending import Mended, mend

    settings = session.settings()
    found = examine(looks(settings))
    with ground_of(settings, deep=deep) as ground:

        def compare() -> "list[Finding]":
            return examine(comparing(ground), DAY if deep else PATIENCE_TO_COMPARE)

        mended = Mended(attempted=(), found=compare())
        if fix and not dry_run:
            mended = mend(compare, mended.found, findings.told_once())
    findings.show(found, mended)
    _end(found, mended, fixing=fix and not dry_run)


def _end(found: "list[Finding]", mended: "Mended", *, fixing: bool) -> None:
    from ad_cli import findings
    from ad_platform.doctor.findings import Level

    left = [*found, *mended.found]
    problems = sum(finding.level is Level.PROBLEM for finding in left)
    warnings = sum(finding.level is Level.WARNING for finding in left)
    out.note(findings.summary(problems, warnings, mended, fixing=fixing))
    if problems:
        raise typer.Exit(Exit.UNFIT)
