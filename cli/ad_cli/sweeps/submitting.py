"""Submits a sweep or shows what it would be: data to stdout; to stderr what it costs and how to follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ad_cli import out
from ad_cli.pushing import before_a_submit
from ad_cli.sweeps import words
from ad_platform.sweeps.reasons import sweep_warnings

if TYPE_CHECKING:
    from ad_cli.sweeps.asking import Planned
    from ad_platform.client import Client
    from ad_platform.history import Estimate
    from ad_platform.records import Study
    from ad_platform.specs import Json
    from ad_platform.sweeps.dimensions import Dimension
    from ad_platform.sweeps.steering import Sweeps

MANY = 1_000_000  # points that nobody counts


def submit(
    client: Client, sweeps: Sweeps, planned: Planned, *, dry_run: bool, wait: bool, push: bool = False
) -> None:
    """Submit a sweep and say what became of it; with `wait`, watch until it has ended."""
    if dry_run:
        _show_plan(planned)
        return
    if push:
        before_a_submit(client, [planned.found.ref])
    study = sweeps.submit(planned.plan)  # refuses a name in use; nothing has been written until then
    if planned.found.here:
        client.hold(planned.found.ref)
    for warning in sweep_warnings(client, planned.plan.spec):
        out.warn(warning)
    if wait:
        from ad_cli.sweeps.watching import watch_sweep

        if not out.as_json() and not out.quiet():
            _say_what(planned)
        raise typer.Exit(watch_sweep(client, sweeps, study))
    if out.as_json():
        out.data({**words.sweep_json(sweeps.view(study)), **_outlook_json(planned)})
    elif out.quiet():
        out.text(study.name)
    else:
        _show_submitted(study, planned)


def _show_submitted(study: Study, planned: Planned) -> None:
    out.text(f"{study.name}  sweep {words.title(planned.plan.spec)}: {study.state}")
    _say_what(planned)
    out.note(f"watch it with: adctl sweep watch {study.name}")


def _say_what(planned: Planned) -> None:
    told = _outlook(planned)
    for note in planned.plan.notes:
        out.note(f"note: {note}")
    for name, value in told.items():
        out.note(f"{name}: {value}")


def _outlook(planned: Planned) -> dict[str, str]:
    """Return what can be said before a trial runs."""
    spec = planned.plan.spec
    method = spec.sampler.words + ("" if spec.pruner.name == "none" else f", pruned by {spec.pruner.words}")
    told = {
        "searched": " ".join(f"{each.name}={each.words}" for each in spec.space),
        "for": words.objectives(spec.objectives),
        "by": f"{method}, seed {spec.seed}",
        "trials": trials_words(planned),
        "trainings": trainings_words(planned),
        "device": planned.device.words,
        "time": planned.time,
    }
    return {name: value for name, value in told.items() if value}


def trials_words(planned: Planned) -> str:
    """Say how many trials there will be, at a time, and of how many points."""
    plan, points = planned.plan, planned.plan.points
    trials = planned.trials
    of = f" of {points} points" if points is not None and trials <= points <= MANY else ""
    few = f", though there are only {points} points" if points is not None and points < trials else ""
    parts = (f"{trials}{of}{few}", f"{plan.parallel} at a time", words.repeats(plan.spec))
    return ", ".join(part for part in parts if part)


def trainings_words(planned: Planned) -> str:
    """Say how many trainings the trials share."""
    most = planned.plan.trainings
    if not planned.shared:
        return "none to share: each trial fits by itself"
    if most == 1:
        return "1, which all trials share"
    if most is None or most > planned.trials * planned.plan.spec.seeds:
        return "one for each trial: something that is trained is searched"
    return f"{most} at most, each shared by all trials that need the same"


def _show_plan(planned: Planned) -> None:
    plan = planned.plan
    if out.as_json():
        out.data(_plan_json(planned))
        return
    if out.quiet():
        out.text(plan.name)
        return
    job, scheduling = plan.spec.job, plan.spec.scheduling
    counts = planned.found.counts(job.holdout)
    told = _outlook(planned)
    del told["searched"]
    out.pairs(
        {
            "name": plan.name,
            "detector": f"{job.detector}{f' ({job.preset})' if job.preset else ''}",
            "data": f"{job.dataset.dataset}/{job.dataset.category}" + (f" ({counts})" if counts else ""),
            **told,
            "time": planned.time or "unknown: nothing like it has run yet",
            "queue": f"{scheduling.queue}, priority {scheduling.priority}",
            "tags": " ".join(f"{name}={value}" for name, value in scheduling.tags.items()) or "-",
        }
    )
    out.text("")
    out.table(("SETTING", "VALUES", "COUNT"), [_row(each) for each in plan.spec.space])
    if planned.examples:
        out.text("\nsuch as")
        for point in planned.examples:
            out.text(f"  {words.settings(point)}")
    for note in plan.notes:
        out.note(f"note: {note}")
    out.note("nothing was submitted")


def _row(dimension: Dimension) -> tuple[str, ...]:
    count = dimension.count
    return (dimension.name, dimension.words, "any" if count is None else str(count))


def _plan_json(planned: Planned) -> dict[str, Json]:
    plan = planned.plan
    return {
        "name": plan.name,
        "trials": plan.trials,
        "parallel": plan.parallel,
        "points": plan.points,
        "spec": plan.spec.to_json(),
        "examples": list(planned.examples),
        **_outlook_json(planned),
    }


def _outlook_json(planned: Planned) -> dict[str, Json]:
    return {
        "notes": list(planned.plan.notes),
        "most_trainings": planned.plan.trainings,
        "device": {"kind": planned.device.kind, "words": planned.device.words},
        "estimate": {
            "seconds": planned.seconds,
            "training": _estimate_json(planned.to_train),
            "trial": _estimate_json(planned.to_try),
        },
    }


def _estimate_json(one: Estimate | None) -> Json:
    return None if one is None else {"seconds": one.seconds, "runs": one.runs, "words": one.words}
