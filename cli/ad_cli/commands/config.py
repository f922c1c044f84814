"""`adctl config`: every setting that is in force, and where it comes from."""

import os
from dataclasses import asdict

import typer

from ad_cli import out, session


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("config")(config)


def config(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Show every setting, its value and where it comes from.

    Passwords and keys are hidden. Settings are environment variables; there is no file of them.
    """
    from ad_platform.variables import in_force, mistyped

    settings = in_force(session.settings(), os.environ)
    for line in mistyped(os.environ):
        out.warn(line)
    if out.as_json():
        out.data([asdict(setting) for setting in settings])
    elif out.quiet():
        for setting in settings:
            out.text(f"{setting.name}={setting.value}")
    else:
        rows = [(each.name, each.value or "-", each.source, each.meaning) for each in settings]
        out.table(("SETTING", "VALUE", "FROM", "MEANING"), rows)
