"""In which order the help page names the commands: what people do first comes first."""

from __future__ import annotations

from copy import copy
from itertools import groupby

import typer

ORDER = (
    *("quickstart", "up", "submit", "watch", "list", "show", "logs", "why", "diff", "cancel", "retry"),
    *("report", "promote", "models", "predict", "leaderboard", "detectors", "data"),
    *("status", "ui", "down", "doctor", "config", "worker", "queue", "db"),
)


def arrange(app: typer.Typer) -> None:
    """Put an application's commands and groups in order; Typer by itself shows every group last.

    A part without a name is shown as its commands, where it stands; so each run of commands becomes one.
    """
    found = parts(app)
    names = [*(name for name in ORDER if name in found), *(name for name in found if name not in ORDER)]
    app.registered_commands, app.registered_groups = [], []
    for commands, run in groupby(
        (found[name] for name in names), key=lambda part: bool(part.registered_commands)
    ):
        block = typer.Typer()
        for part in run:
            block.registered_commands += part.registered_commands
            app.registered_groups += part.registered_groups
        if commands:
            app.add_typer(block)


def only(app: typer.Typer, name: str) -> typer.Typer:
    """Return an application with one of its commands or groups, if there is one; else all."""
    part = parts(app).get(name)
    if part is None:
        return app
    slim = copy(app)
    slim.registered_commands, slim.registered_groups = part.registered_commands, part.registered_groups
    return slim


def parts(app: typer.Typer) -> dict[str, typer.Typer]:
    """Return each command and group by its name, as an application that has nothing else."""
    found: dict[str, typer.Typer] = {}
    for command in app.registered_commands:
        if command.callback is not None:
            name = command.name or command.callback.__name__.replace("_", "-")
            found[name] = typer.Typer()
            found[name].registered_commands = [command]
    for group in app.registered_groups:
        if group.name:
            found[group.name] = typer.Typer()
            found[group.name].registered_groups = [group]
        elif group.typer_instance is not None:
            found |= parts(group.typer_instance)
    return found
