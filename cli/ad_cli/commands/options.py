"""Options that several commands share, so that they read the same everywhere."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ad_platform.errors import InvalidValue


def within(low: float, high: float | None = None) -> Callable[[float | None], float | None]:
    """Return a check of an option's value; Typer's own does not say the value and the whole range."""
    allowed = f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"

    def check(value: float | None) -> float | None:
        if value is not None and (value < low or (high is not None and value > high)):
            raise typer.BadParameter(f"it must be {allowed}, not {value:g}")
        return value

    return check


JobText = Annotated[
    str, typer.Argument(metavar="JOB", help="A job's id, its first characters, or @last.", show_default=False)
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The folder of one category.", show_default=False),
]
Dataset = Annotated[
    str | None, typer.Option("--dataset", "-d", metavar="NAME", help="A dataset by name.", show_default=False)
]
Category = Annotated[
    str | None, typer.Option("--category", "-c", metavar="NAME", help="A category of it.", show_default=False)
]
Name = Annotated[str, typer.Option("--name", help="A name of your own.", show_default=False)]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="K=V", help="A tag; may be repeated.", show_default=False)
]
QueueName = Annotated[str, typer.Option("--queue", help="The label of the workers that may take it.")]
Priority = Annotated[int, typer.Option(callback=within(-100, 100), help="Higher goes first.")]
MaxAttempts = Annotated[
    int, typer.Option(callback=within(1, 1000), help="Failures after which it is given up.")
]
Key = Annotated[
    str | None, typer.Option("--key", help="Submitting a key twice gives one job.", show_default=False)
]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Watch it until it ends.", show_default=False)]


def tags_of(texts: Sequence[str] | None) -> dict[str, str]:
    """Read "name=value" texts; raise InvalidValue for one that is none."""
    tags: dict[str, str] = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InvalidValue(f"a tag is written name=value, not '{text}'")
        tags[name.strip()] = value.strip()
    return tags
