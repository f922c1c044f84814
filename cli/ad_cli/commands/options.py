"""Options that several commands share, so that they read the same everywhere."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ad_platform.errors import InvalidRequest, InvalidValue


def within(low: float, high: float | None = None) -> Callable[[float | None], float | None]:
    """Return a check of an option's value; Typer's own does not say the value and the whole range."""
    allowed = f"at least {low:.15g}" if high is None else f"from {low:.15g} to {high:.15g}"

    def check(value: float | None) -> float | None:
        if value is not None and (value < low or (high is not None and value > high)):
            raise typer.BadParameter(f"it must be {allowed}, not {value:.15g}")
        return value

    return check


def length_of_time(text: str) -> float:
    """Return the seconds of an option such as 2h."""
    from ad_platform import durations

    try:
        return durations.seconds(text)
    except InvalidValue as error:
        raise typer.BadParameter(str(error)) from error


def amount_of_memory(text: str) -> int:
    """Return the MB of an option such as 20GB."""
    from ad_platform import memory

    try:
        return memory.megabytes(text)
    except InvalidValue as error:
        raise typer.BadParameter(str(error)) from error


JobText = Annotated[
    str, typer.Argument(metavar="JOB", help="A job's id, its first characters, or @last.", show_default=False)
]
SweepText = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP",
        help="A sweep's name, its id or the first characters of it, or @last.",
        show_default=False,
    ),
]
BenchmarkText = Annotated[
    str,
    typer.Argument(
        metavar="BENCHMARK",
        help="A benchmark's name, its id or the first characters of it, or @last.",
        show_default=False,
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", "-m", metavar="NAME", help="The detector.", show_default=False)
]
Preset = Annotated[str | None, typer.Option("--preset", "-p", help="Settings by name.", show_default=False)]
Push = Annotated[
    bool,
    typer.Option(
        "--push", help="Send the images to the storage first: any worker fetches them.", show_default=False
    ),
]
Attacks = Annotated[
    list[str] | None,
    typer.Option(
        "--attack",
        metavar="KIND[:K=V,...]",
        help="What to try against the model: linf, l2, certified or all, such as linf:eps=4/255; may be "
        "repeated.",
        show_default=False,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", "-S", metavar="K=V", help="One setting; may be repeated.", show_default=False),
]
Source = Annotated[
    str | None,
    typer.Option("--from", metavar="JOB", help="As that job, but for other options.", show_default=False),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="As this YAML says (adctl show JOB --config).",
        show_default=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        callback=within(0, 2**63 - 1), help="Decides every random draw. Default: 0.", show_default=False
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="auto, cpu, mps, cuda, or indices such as 0,1. Default: auto.", show_default=False),
]
ImageSize = Annotated[
    int | None, typer.Option(callback=within(1), help="Short for -S image_size=N.", show_default=False)
]
Holdout = Annotated[
    str | None,
    typer.Option(
        metavar="V/C|none",
        help="Percent of the normal images kept from training to validate and to calibrate on. "
        "Default: 10/10, or none for a published preset.",
        show_default=False,
    ),
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
Name = Annotated[
    str | None, typer.Option("--name", metavar="TEXT", help="A name of your own.", show_default=False)
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="K=V", help="A tag; may be repeated.", show_default=False)
]
Group = Annotated[
    str | None,
    typer.Option("--group", metavar="NAME", help="What holds several jobs together.", show_default=False),
]
QueueName = Annotated[
    str | None,
    typer.Option(
        "--queue", metavar="NAME", help="The label of the workers that may take it.", show_default=False
    ),
]
Priority = Annotated[
    int | None,
    typer.Option(callback=within(-100, 100), help="Higher goes first. Default: 0.", show_default=False),
]
MaxAttempts = Annotated[
    int | None,
    typer.Option(
        callback=within(1, 1000), help="Failures after which it is given up. Default: 3.", show_default=False
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        parser=length_of_time,
        metavar="TIME",
        help="How long it may run, such as 90s, 30m or 2h; each job alone. Default: for ever.",
        show_default=False,
    ),
]
Gpus = Annotated[
    int | None,
    typer.Option(
        "--gpus",
        callback=within(1, 1024),
        metavar="N",
        help="Cards of one worker, all at once. Default: what its slot has.",
        show_default=False,
    ),
]
Memory = Annotated[
    int | None,
    typer.Option(
        "--memory",
        parser=amount_of_memory,
        metavar="SIZE",
        help="Such as 20GB: of each card, or of the machine on a CPU. "
        "Default: what jobs like it took of a card; 0 asks for no amount.",
        show_default=False,
    ),
]
Preemptible = Annotated[
    bool,
    typer.Option(
        "--preemptible",
        help="It may make room for jobs of higher priority; it goes on later.",
        show_default=False,
    ),
]
Key = Annotated[
    str | None, typer.Option("--key", help="Submitting a key twice gives one job.", show_default=False)
]
FittedModel = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="NAME@ALIAS (champion without one), a train job, @last, or a folder with a fitted model.",
        show_default=False,
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        metavar="R",
        help="The share of good images that may be called anomalous. Default: the least certified.",
        show_default=False,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(metavar="T", help="A score above which an image is anomalous.", show_default=False),
]
ScoreOn = Annotated[str, typer.Option("--device", help="auto, cpu, mps, cuda, or indices such as 0,1.")]
RowsAs = Annotated[
    str | None,
    typer.Option("--format", metavar="F", help="table, csv or jsonl, on stdout.", show_default=False),
]
RowsAsCsv = Annotated[bool, typer.Option("--csv", help="Short for --format csv.", show_default=False)]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that lie there.", show_default=False)
]
PastGates = Annotated[
    bool, typer.Option("--force", help="Even if a gate says no; needs --reason.", show_default=False)
]
Reason = Annotated[str, typer.Option(help="Why, for the record.", show_default=False)]
RegistryWait = Annotated[
    float,
    typer.Option(
        "--wait", callback=within(0.0), metavar="SECONDS", help="How long to wait for the registry."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be submitted.", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Watch it until it ends.", show_default=False)]


def belongs_to_command(context: typer.Context) -> bool:
    """Say whether a group that does something by itself was called for one of its commands.

    Raises InvalidRequest where its own options were given all the same.
    """
    command, own = context.invoked_subcommand, _own(context)
    if command is not None and own:
        raise InvalidRequest(f"options come after the command: {context.command_path} {command} --help")
    return command is not None


def _own(context: typer.Context) -> list[str]:
    """Return the options that a group was given itself, but for how to print."""
    given = [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if (source := context.get_parameter_source(parameter.name or "")) and source.name == "COMMANDLINE"
    ]
    return [name for name in given if name not in ("--json", "--quiet")]


def command_follows(context: typer.Context, unless: str) -> bool:
    """Say whether a group was called for one of its commands, so that its own options have no say.

    Raises InvalidRequest where they were given all the same, or where neither a command nor the option that
    stands for one was given.
    """
    if not hasattr(context.command, "commands"):
        return False
    own = _own(context)
    command = context.invoked_subcommand
    path = context.command_path
    if command is not None and own:
        raise InvalidRequest(f"options come after the command: {path} {command} {own[0]} ...")
    if command is None and unless not in own:
        raise InvalidRequest(
            f"say what: {path} train, {path} evaluate, {path} sweep, {path} benchmark, or "
            f"{path} {unless} JOB ({path} --help)"
        )
    return command is not None


def listed(texts: Sequence[str] | None) -> list[str]:
    """Return names that were given one by one or with commas between them; empty ones are left out."""
    return [name.strip() for text in texts or () for name in text.split(",") if name.strip()]


def tags_of(texts: Sequence[str] | None) -> dict[str, str]:
    """Read "name=value" texts; raise InvalidValue for one that is none."""
    tags: dict[str, str] = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InvalidValue(f"a tag is written name=value, not '{text}'")
        tags[name.strip()] = value.strip()
    return tags
