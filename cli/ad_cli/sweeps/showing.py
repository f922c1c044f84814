"""How `adctl sweep list` and `show` lay out sweeps, and what they point to next."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ad_cli import out, shapes
from ad_cli.sweeps import outcome, words
from ad_cli.tables import Column
from ad_platform.states import StudyState

if TYPE_CHECKING:
    from ad_platform.sweeps.viewing import SweepView, TrialView

COLUMNS = (
    Column(name="NAME"),
    Column(name="STATE", width=8, colour=lambda state: words.COLOURS.get(state, "")),
    Column(name="TRIALS", width=9),
    Column(name="BEST", width=8),
    Column(name="ETA", width=6),
    Column(name="AGE", width=4),
    Column(name="WHAT", takes_rest=True),
)


def cells(view: SweepView, now: float | None = None) -> tuple[str, ...]:
    """Return the cells of a sweep's row below COLUMNS."""
    study = view.study
    left = view.seconds_left
    return (
        study.name,
        study.state.value,
        f"{words.ended(view)}/{view.wanted}",
        words.best_value(view) or "-",
        "-" if left is None or study.state in words.ENDED else shapes.span(left),
        shapes.coarse((time.time() if now is None else now) - study.created_at),
        words.title(view.spec),
    )


def show(view: SweepView, front: Sequence[TrialView]) -> None:
    """Print all that is known of a sweep; `front` are the trials that none is better than in everything."""
    if out.as_json():
        out.data(words.sweep_json(view))
        return
    if out.quiet():
        out.text(f"{view.study.name} {view.study.state}")
        return
    facts = _facts(view)
    out.pairs(facts, {"state": words.COLOURS.get(view.study.state.value, "")})
    section("space", {each.name: each.words for each in view.spec.space})
    _show_best(view, front)
    section("result", outcome.told(view))
    for line in next_steps(view):
        out.note(line)


def _facts(view: SweepView) -> dict[str, str]:
    study, spec = view.study, view.spec
    job, scheduling = spec.job, spec.scheduling
    seed = "" if spec.seed == 0 else f", seed {spec.seed}"
    facts = {
        "name": study.name,
        "id": study.id,
        "state": study.state.value,
        "detector": f"{job.detector}{f' ({job.preset})' if job.preset else ''}",
        "data": f"{job.dataset.dataset}/{job.dataset.category}  {job.dataset.fingerprint[:12]}",
        "holdout": job.holdout,
        "looks for": words.objectives(spec.objectives),
        "sampler": f"{spec.sampler.words}{seed}",
        "pruner": spec.pruner.words,
        "trials": f"{view.asked} of {view.wanted} asked for: {words.sums(view)}",
        "at a time": str(study.parallel),
        "repeats": words.repeats(spec),
        "ruled out": f"{view.ruled_out} whose settings do not go together; they do not count"
        if view.ruled_out
        else "",
        "known from": f"{view.warm} trials of sweep {spec.warm_start}" if view.warm else "",
        "clone of": spec.cloned_from or "",
        "trainings": str(view.trainings) if view.trainings else "",
        "ETA": _left(view),
        "queue": f"{scheduling.queue}, priority {scheduling.priority}",
        "tags": " ".join(f"{name}={value}" for name, value in scheduling.tags.items()),
        "user": study.user,
        "submitted": shapes.moment(study.created_at),
        "ended": _ended(view),
        "report": f"adctl report {study.name}" if view.complete else "",
    }
    return {name: value for name, value in facts.items() if value}


def _left(view: SweepView) -> str:
    if view.seconds_left is None or view.study.state in words.ENDED:
        return ""
    return shapes.span(view.seconds_left)


def _ended(view: SweepView) -> str:
    study = view.study
    if study.finished_at is None:
        return ""
    return f"{shapes.moment(study.finished_at)} after {shapes.span(study.finished_at - study.created_at)}"


def _show_best(view: SweepView, front: Sequence[TrialView]) -> None:
    section("best", best(view))
    if front:
        out.text("\nfront: trials that none is better than in everything")
        rows = [
            (f"  {one.trial.number}", words.value_words(one, view.spec), words.settings(one.trial.params))
            for one in front
        ]
        out.table(("  TRIAL", "VALUES", "SETTINGS"), rows)


def section(name: str, values: Mapping[str, str]) -> None:
    """Print values below a heading; nothing where there are none."""
    if values:
        out.text(f"\n{name}")
        out.pairs({f"  {each}": value for each, value in values.items()})


def best(view: SweepView) -> dict[str, str]:
    """Return what is told of the best trial; nothing while there is none."""
    one = view.best
    if one is None:
        return {}
    values = zip(view.spec.objectives, one.trial.values or (), strict=False)
    facts = {"trial": str(one.trial.number)}
    facts |= {objective.metric: words.number(value) for objective, value in values}
    facts["settings"] = words.settings(one.trial.params)
    facts["job"] = " ".join(job.id for job in one.jobs)
    facts["ties"] = ties(view)
    return {name: value for name, value in facts.items() if value}


def ties(view: SweepView) -> str:
    """Say how far the objective could tell trials apart at all."""
    told = []
    if (others := view.ties - 1) > 0:  # the best is one of them
        told.append(f"{others} other {'trial has' if others == 1 else 'trials have'} this value too")
    if view.saturated:
        count = "1 trial ranks" if view.saturated == 1 else f"{view.saturated} trials rank"
        told.append(f"{count} every image right, so the measure cannot tell how good they are")
    return "; ".join(told)


def next_steps(view: SweepView) -> list[str]:
    """Return what a person may want to do next."""
    name, state = view.study.name, view.study.state
    found = []
    if state is StudyState.RUNNING:
        found.append(f"watch it: adctl sweep watch {name}")
        if not view.running:
            found.append(f"why nothing of it runs: adctl why {name}")
    elif state is not StudyState.FINISHED:
        found.append(f"let it go on: adctl sweep resume {name}")
    elif outcome.measured(view):
        found.append(f"promote its best: adctl promote {name} --best")
    if view.best is not None:
        found.append(f"its settings, to go on with: adctl sweep best {name}")
    if view.failed:
        found.append(
            f"what failed: adctl sweep trials {name} --state failed; run them again: adctl retry {name}"
        )
    return found
