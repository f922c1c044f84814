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


def models_and_jobs(args: Sequence[str], incomplete: str) -> sources.Offer:
    """Return what carries an alias, then train jobs by id."""
    return [*sources.models(args, incomplete), *sources.jobs(args, incomplete)]


OPTIONS: dict[str, Source] = {
    "--model": sources.detectors,
    "--detector": sources.detectors,
    "--preset": sources.presets,
    "--set": sources.fields,
    "--from": sources.jobs,
    "--dataset": sources.datasets,
    "--category": sources.categories,
    "--queue": sources.queues,
    "--queues": sources.queues,
    "--sort": fixed("age", "state", "kind", "detector", "data", "name", "user", "image_auroc", "pixel_auroc"),
    "--user": sources.users,
    "--worker": sources.workers,
    "--device": fixed("auto", "cpu", "cuda", "mps"),
    "--holdout": fixed("10/10", "5/20", "none"),
    "--alias": fixed("champion", "challenger"),
}
# Arguments by what the help page calls them; where several commands say NAME, the command decides.
ARGUMENTS: dict[str, Source] = {
    "JOB": sources.jobs,
    "A": sources.jobs,
    "B": sources.jobs,
    "WORKER": sources.workers,
    "MODEL": models_and_jobs,
    "NAME@ALIAS": sources.models,
    "detectors NAME": sources.detectors,
    "queue NAME": sources.queues,
}
ELSEWHERE = {("data", "prepare")}  # its categories are those of a dataset that is not here yet


def source_of(command: Command, parameter: Parameter) -> Source | None:
    """Return what completes a parameter of a command, None where nothing is known: file names."""
    if command.path in ELSEWHERE:
        return None
    if parameter.choices:
        return fixed(*parameter.choices)
    if parameter.names:
        return next((OPTIONS[name] for name in parameter.names if name in OPTIONS), None)
    called = parameter.metavar.replace("[@ALIAS]", "@ALIAS").strip("[].")
    group = " ".join((*command.path[:1], called))
    return ARGUMENTS.get(called) or ARGUMENTS.get(group)
