"""How `adctl sweep trials` chooses, sorts and lays out the trials of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ad_cli import shapes
from ad_cli.sweeps import words
from ad_cli.tables import Column
from ad_platform.errors import UnknownName
from ad_platform.naming import match

if TYPE_CHECKING:
    from ad_platform.specs import Json
    from ad_platform.states import TrialState
    from ad_platform.sweeps.dimensions import Dimension
    from ad_platform.sweeps.study_spec import StudySpec
    from ad_platform.sweeps.viewing import SweepView, TrialView

NUMBER, VALUE, STATE, TIME = "number", "value", "state", "time"
DIGITS = 10  # columns that a number of a continuous range takes at most
ORDER = ["running", "complete", "pruned", "failed", "ruled out"]


def chosen(
    trials: Sequence[TrialView], spec: StudySpec, states: Sequence[TrialState], sort: str, *, reverse: bool
) -> list[TrialView]:
    """Return the trials in these states in the order that was asked for; raise UnknownName for none."""
    kept = [one for one in trials if not states or one.trial.state in states]
    name = _order(spec, sort)
    metrics = [objective.metric for objective in spec.objectives]
    if name in metrics:
        return _by_value(kept, spec, metrics.index(name), best_last=reverse)
    if name == TIME:
        having = [one for one in kept if one.seconds is not None]
        ordered = sorted(having, key=lambda one: one.seconds or 0.0, reverse=reverse)
        return ordered + [one for one in kept if one.seconds is None]
    if name == STATE:
        return sorted(kept, key=lambda one: ORDER.index(words.state(one)), reverse=reverse)
    if name == NUMBER:
        return sorted(kept, key=lambda one: one.trial.number, reverse=reverse)
    return sorted(kept, key=lambda one: _comparable(one.trial.params.get(name)), reverse=reverse)


def _order(spec: StudySpec, typed: str) -> str:
    """Return what a name sorts by: an objective, a setting, or one of the columns."""
    metrics = [objective.metric for objective in spec.objectives]
    if typed.strip().lower() == VALUE:
        return metrics[0]
    short = {words.short_metric(metric): metric for metric in reversed(metrics)}
    known = [NUMBER, VALUE, STATE, TIME, *metrics, *spec.names]
    try:
        return match("order", typed.strip(), known)
    except UnknownName:
        if typed.strip().lower() in short:
            return short[typed.strip().lower()]
        raise


def _by_value(
    trials: Sequence[TrialView], spec: StudySpec, index: int, *, best_last: bool
) -> list[TrialView]:
    """Return trials with the best first; those that did not complete come last either way."""
    values = {
        one.trial.number: one.trial.values[index]
        for one in trials
        if one.trial.values is not None and words.state(one) == "complete"
    }
    having = [one for one in trials if one.trial.number in values]
    most = spec.objectives[index].direction == "max"
    ordered = sorted(having, key=lambda one: values[one.trial.number], reverse=most != best_last)
    return ordered + [one for one in trials if one.trial.number not in values]


def _comparable(value: Json) -> tuple[bool, float, str]:
    if isinstance(value, int | float):
        return (False, float(value), "")
    return (True, 0.0, shapes.typed(value))


def columns(spec: StudySpec, trials: Sequence[TrialView]) -> list[Column]:
    """Return the columns; they stand where they stand whichever trials are shown."""
    return [
        Column(name="TRIAL", width=5),
        Column(name="STATE", width=9, colour=lambda state: words.COLOURS.get(state, "")),
        *(_measure(words.short_metric(objective.metric)) for objective in spec.objectives),
        *(_setting(dimension) for dimension in spec.space),
        Column(name="TIME", width=6),
        Column(name="JOB", width=shapes.shortest(job.id for one in trials for job in one.jobs)),
        Column(name="NOTE", takes_rest=True),
    ]


def _measure(name: str) -> Column:
    return Column(name=name.upper(), width=max(len(name), 6))


def _setting(dimension: Dimension) -> Column:
    if dimension.kind == "choice":
        widest = max(len(shapes.typed(choice)) for choice in dimension.choices)
    elif dimension.count is None:
        widest = DIGITS
    else:
        ends = (dimension.low, dimension.high, dimension.low + (dimension.step or 0))
        widest = max(len(f"{end:.6g}") for end in ends)
    return Column(name=dimension.name.upper(), width=max(len(dimension.name), widest))


def cells(one: TrialView, view: SweepView) -> tuple[str, ...]:
    """Return the cells of a trial's row below `columns`."""
    trial, spec = one.trial, view.spec
    values = [words.number(value) for value in trial.values or ()]
    return (
        str(trial.number),
        words.state(one),
        *(values or ["-"] * len(spec.objectives)),
        *(_value(trial.params, dimension.name) for dimension in spec.space),
        "-" if one.seconds is None else shapes.span(one.seconds),
        one.jobs[0].id[: shapes.SHORT] if one.jobs else "-",
        _note(one, view),
    )


def _value(params: Mapping[str, Json], name: str) -> str:
    return words.setting(params[name]) if name in params else "-"


def _note(one: TrialView, view: SweepView) -> str:
    trial = one.trial
    told = []
    if view.best is not None and view.best.trial.number == trial.number:
        told.append("best")
    elif trial.number in view.front:
        told.append("on the front")
    if trial.origin.value == "warm":
        told.append("known from the start")
    if trial.retry_of is not None:
        told.append(f"for trial {trial.retry_of}")
    if trial.again_at is not None:
        told.append("will be run again")
    if trial.state.value == "running":
        told += _of_jobs(one)
    if trial.error:
        told.append(trial.error)
    return ", ".join(told)


def _of_jobs(one: TrialView) -> list[str]:
    """Say how the jobs of a running trial stand."""
    found: dict[str, int] = {}
    for job in one.jobs:
        name = shapes.state_words(job)
        if name == "running" and (far := shapes.percent(job)):
            name = far
        found[name] = found.get(name, 0) + 1
    if len(one.jobs) == 1:
        return [name for name in found if name != "running"]
    return [f"{count} {name}" for name, count in found.items()]
