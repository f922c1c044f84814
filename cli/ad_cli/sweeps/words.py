"""How sweeps and their trials look as JSON, and in a few words."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from ad_cli import shapes
from ad_platform.states import StudyState, TrialOrigin, TrialState

if TYPE_CHECKING:
    from ad_platform.specs import Json
    from ad_platform.sweeps.objectives import Objective
    from ad_platform.sweeps.study_spec import StudySpec
    from ad_platform.sweeps.viewing import SweepView, TrialView

COLOURS = {**shapes.COLOURS, "complete": "green", "pruned": "dim", "ruled out": "dim"}
ENDED = (StudyState.STOPPED, StudyState.FINISHED)


def sweep_json(view: SweepView) -> dict[str, Json]:
    """Return a sweep as JSON."""
    study = view.study
    return {
        "kind": "sweep",
        "id": study.id,
        "name": study.name,
        "state": study.state.value,
        "user": study.user,
        "created_at": study.created_at,
        "finished_at": study.finished_at,
        "wanted": view.wanted,
        "parallel": study.parallel,
        "trials": {
            name: getattr(view, name)
            for name in ("asked", "complete", "pruned", "failed", "running", "ruled_out", "warm")
        },
        "best": None if view.best is None else trial_json(view.best, view.spec),
        "front": list(view.front),
        "ties": view.ties,
        "saturated": view.saturated,
        "trainings": view.trainings,
        "seconds_left": view.seconds_left,
        "final": dict(view.final),
        "run_id": study.run_id,
        "spec": view.spec.to_json(),
    }


def trial_json(one: TrialView, spec: StudySpec) -> dict[str, Json]:
    """Return a trial as JSON, its values by the names of the objectives."""
    trial = one.trial
    values: dict[str, Json] = {
        objective.metric: value for objective, value in zip(spec.objectives, trial.values or (), strict=False)
    }
    return {
        "kind": "trial",
        "study": trial.study_id,
        "number": trial.number,
        "state": trial.state.value,
        "origin": trial.origin.value,
        "settings": cast("Json", dict(trial.params)),
        "values": values or None,
        "error": trial.error,
        "retry_of": trial.retry_of,
        "asked_at": trial.asked_at,
        "ended_at": trial.ended_at,
        "seconds": one.seconds,
        "jobs": [job.id for job in one.jobs],
    }


def title(spec: StudySpec) -> str:
    """Return what a sweep is about: "ddad on mvtec/screw"."""
    data = spec.job.dataset
    return f"{spec.job.detector} on {data.dataset}/{data.category}"


def ended(view: SweepView) -> int:
    """Return how many trials have ended, of those that count."""
    return view.complete + view.pruned + view.failed


def sums(view: SweepView) -> str:
    """Return how many trials there are of each kind; they add up to those asked for."""
    counts = {
        "complete": view.complete,
        "pruned": view.pruned,
        "failed": view.failed,
        "running": view.running,
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none yet"


def short_metric(metric: str) -> str:
    """Return a measure without the images it is of: "image_auroc"."""
    return metric.rpartition("/")[2]


def number(value: float) -> str:
    """Return a measured value, as long for every trial."""
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.5g}"


def value_words(one: TrialView, spec: StudySpec) -> str:
    """Return what a trial measured: "0.9712", or with names where there are several objectives."""
    values = one.trial.values or ()
    if len(spec.objectives) == 1:
        return number(values[0]) if values else "-"
    named = zip(spec.objectives, values, strict=False)
    return "  ".join(f"{short_metric(objective.metric)} {number(value)}" for objective, value in named) or "-"


def best_value(view: SweepView) -> str:
    """Return the best value of the first objective so far; "" where there is none."""
    values = () if view.best is None else view.best.trial.values or ()
    return number(values[0]) if values else ""


def setting(value: Json) -> str:
    """Return a setting as it is shown, numbers with the digits that matter."""
    return f"{value:.6g}" if isinstance(value, float) else shapes.typed(value)


def settings(params: Mapping[str, Json]) -> str:
    """Return settings in a row: "noise_step=325 w=6"."""
    return " ".join(f"{name}={setting(value)}" for name, value in params.items())


def set_options(params: Mapping[str, Json]) -> str:
    """Return settings as the options of a submit, exactly: "-S noise_step=325 -S w=6"."""
    return " ".join(f"-S {shlex.quote(f'{name}={shapes.typed(value)}')}" for name, value in params.items())


def state(one: TrialView) -> str:
    """Return the state of a trial; one that could not be tried is no failure of anything."""
    return "ruled out" if one.trial.origin is TrialOrigin.RULED_OUT else one.trial.state.value


def counts(one: TrialView) -> bool:
    """Say whether a trial is one of those asked for: computed by this sweep, or going to be."""
    return one.trial.origin in (TrialOrigin.ASKED, TrialOrigin.RETRY)


def over(one: TrialView) -> bool:
    """Say whether a trial has ended."""
    return one.trial.state is not TrialState.RUNNING


def objectives(chosen: Iterable[Objective]) -> str:
    """Return what trials are compared by: "highest validation/image_auroc, lowest latency_ms"."""
    words = {"max": "highest", "min": "lowest"}
    return ", ".join(f"{words[one.direction]} {one.metric}" for one in chosen)


def repeats(spec: StudySpec) -> str:
    """Say how often a trial is repeated."""
    return "" if spec.seeds == 1 else f"{spec.seeds} seeds each, whose mean counts"
