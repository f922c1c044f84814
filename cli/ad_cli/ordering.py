"""In which order the help page names the commands: what people do first comes first."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from itertools import groupby

import typer

ORDER = (
    *(
        "quickstart",
        "up",
        "submit",
        "watch",
        "list",
        "show",
        "logs",
        "why",
        "diff",
        "cancel",
        "retry",
        "sweep",
        "benchmark",
        "leaderboard",
        "report",
    ),
    *("promote", "models", "threshold", "predict", "results", "export", "serve", "detectors", "data"),
    *("status", "ui", "down", "doctor", "metrics", "config", "worker", "queue", "quota"),
    *("gc", "db", "cluster", "migrate"),
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


def outline(app: typer.Typer) -> typer.Typer:
    """Return an application with the same help page, whose commands have no options and do nothing.

    Every option costs time when a command is built, and the page shows none of them.
    """
    slim = copy(app)
    slim.registered_commands = [copy(command) for command in app.registered_commands]
    slim.registered_groups = [copy(group) for group in app.registered_groups]
    for command in slim.registered_commands:
        command.callback = _idle(command.callback)
    for group in slim.registered_groups:
        if group.typer_instance is not None:
            group.typer_instance = outline(group.typer_instance)
            if group.name:
                _shut(group.typer_instance)
    return slim


def _shut(group: typer.Typer) -> None:
    """Leave of a group what its line on the page needs: one command, or it would not be shown."""
    group.registered_commands, group.registered_groups = group.registered_commands[:1], []
    if group.registered_callback is not None:
        group.registered_callback = copy(group.registered_callback)
        group.registered_callback.callback = _idle(group.registered_callback.callback)


def _idle(callback: Callable[..., object] | None) -> Callable[..., object]:
    """Return a function that is called and described like another one."""

    def idle() -> None:
        pass

    if callback is not None:
        idle.__name__, idle.__doc__ = callback.__name__, callback.__doc__
    return idle


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
