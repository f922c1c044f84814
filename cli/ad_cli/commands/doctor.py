"""`adctl doctor`: look whether all that adctl needs is there, and say what to do where it is not."""

from typing import TYPE_CHECKING

import typer

from ad_cli import out, session
from ad_cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ad_platform.doctor.findings import Finding

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("doctor")(doctor)


def doctor(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Look whether all that is needed is there, and say what to do.

    Nothing is changed. Ends with 12 if there is a problem; warnings are none. -q names problems only.
    """
    from ad_cli.checkup import looks
    from ad_platform.doctor.findings import Level, examine

    found = examine(looks(session.settings()))
    problems = [finding for finding in found if finding.level is Level.PROBLEM]
    _show(problems if out.quiet() else found)
    warnings = sum(finding.level is Level.WARNING for finding in found)
    out.note(f"{_counted(len(problems), 'problem')}, {_counted(warnings, 'warning')}")
    if problems:
        raise typer.Exit(Exit.UNFIT)


def _show(findings: "Sequence[Finding]") -> None:
    if out.as_json():
        out.data(
            [
                {
                    "level": finding.level.value,
                    "about": finding.about,
                    "words": finding.words,
                    "remedy": finding.remedy,
                }
                for finding in findings
            ]
        )
        return
    for finding in findings:
        words = "; ".join(filter(None, (finding.words, finding.remedy)))
        level = out.in_colour(f"{finding.level.value:<7}", COLOURS[finding.level.value])
        out.text(f"{level}  {finding.about:<11}  {words}")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
