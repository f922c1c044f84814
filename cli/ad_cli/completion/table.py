"""Which source completes which option or argument: one table, so that a name means the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ad_cli.completion import sources

if TYPE_CHECKING:
    from ad_cli.tree import Command, Parameter

Source = Callable[[Sequence[str], str], sources.Offer]  # the words typed so far, and the one being typed


def fixed(*names: str) -> Source:
    """Return a source of names that are always the same."""

    def source(args: Sequence[str], incomplete: str) -> sources.Offer:
        return [(name, "") for name in names if name.startswith(incomplete)]

    return source


def listed(source: Source) -> Source:
    """Return a source of names of which several may stand with commas between them."""

    def several(args: Sequence[str], incomplete: str) -> sources.Offer:
        before, comma, last = incomplete.rpartition(",")
        taken = before.split(",") if comma else []
        return [(f"{before}{comma}{name}", words) for name, words in source(args, last) if name not in taken]

    return several


def models_and_jobs(args: Sequence[str], incomplete: str) -> sources.Offer:
    """Return what carries an alias, then train jobs by id."""
    return [*sources.models(args, incomplete), *sources.jobs(args, incomplete)]


# Options by name; where one means something else below a group, the group's name stands before it.
OPTIONS: dict[str, Source] = {
    "--model": listed(sources.detectors),
    "--detector": sources.detectors,
    "--preset": listed(sources.presets),
    "--set": sources.fields,
    "--param": sources.parameters,
    "--objective": sources.objectives,
    "--sampler": fixed("tpe", "cmaes", "gp", "qmc", "random", "grid", "nsgaii"),
    "--pruner": fixed("none", "median", "percentile", "asha", "hyperband", "patient"),
    "--warm-start": sources.sweeps,
    "--from": sources.jobs,
    "--dataset": listed(sources.datasets),
    "--category": sources.categories,
    "--categories": listed(sources.categories),
    "--queue": sources.queues,
    "--queues": sources.queues,
    "sweep --sort": sources.orders_of_trials,
    "--sort": fixed("age", "state", "kind", "detector", "data", "name", "user", "image_auroc", "pixel_auroc"),
    "--user": sources.users,
    "--worker": sources.workers,
    "--device": fixed("auto", "cpu", "cuda", "mps"),
    "--holdout": fixed("10/10", "5/20", "none"),
    "--alias": fixed("champion", "challenger"),
    "promote --category": sources.categories,
    "--why": sources.jobs,
    "--older-than": fixed("7d", "30d", "90d"),
}
# Arguments by what the help page calls them; where commands mean different things by it, the command decides.
ARGUMENTS: dict[str, Source] = {
    "JOB": sources.jobs,
    "A": sources.jobs,
    "B": sources.jobs,
    "SWEEP": sources.sweeps,
    "BENCHMARK": sources.benchmarks,
    "JOB|BENCHMARK|SWEEP": sources.jobs_and_names,
    **{
        f"{command} JOB": sources.jobs_and_names
        for command in ("show", "watch", "why", "cancel", "retry", "promote", "ui")
    },
    "JOB|PATH": sources.jobs,
    "TRASHED": sources.jobs,
    "WORKER": sources.workers,
    "METRIC": sources.objectives,
    "MODEL": models_and_jobs,
    "models A": models_and_jobs,
    "models B": models_and_jobs,
    "models MODEL": sources.models,
    "NAME@ALIAS": sources.models,
    "detectors NAME": sources.detectors,
    "queue NAME": sources.queues,
    "quota USER": sources.users,
}
ELSEWHERE = {("data", "prepare")}  # its categories are those of a dataset that is not here yet


def source_of(command: Command, parameter: Parameter) -> Source | None:
    """Return what completes a parameter of a command, None where nothing is known: file names."""
    if command.path in ELSEWHERE:
        return None
    if parameter.choices:
        return fixed(*parameter.choices)
    if parameter.names:
        known = [*(_within(command, name) for name in parameter.names), *parameter.names]
        return next((OPTIONS[name] for name in known if name in OPTIONS), None)
    called = parameter.metavar.replace("[@ALIAS]", "@ALIAS").strip("[].")
    return ARGUMENTS.get(_within(command, called)) or ARGUMENTS.get(called)


def _within(command: Command, name: str) -> str:
    return " ".join((*command.path[:1], name))
