"""Prints the settings of the best trial of a sweep as a submit takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ad_cli import out
from ad_cli.sweeps import showing, words
from ad_platform import catalogue, holdout
from ad_platform.errors import Conflict, InvalidRequest

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.specs import Json
    from ad_platform.sweeps.study_spec import StudySpec
    from ad_platform.sweeps.viewing import SweepView, TrialView


def show(client: Client, view: SweepView, found: TrialView | None, front: Sequence[TrialView]) -> None:
    """Print the settings of the best trial; of several objectives those of each trial on the front.

    Raises Conflict while no trial has completed.
    """
    if found is None and not front:
        name = view.study.name
        more = f"watch it: adctl sweep watch {name}" if view.running else f"why: adctl why {name}"
        raise Conflict(f"no trial of sweep {name} has completed ({words.sums(view)}); {more}")
    chosen = list(front) if found is None else [found]
    fixed = _fixed(client, view.spec)
    if out.as_json():
        values: list[Json] = [_json(one, view.spec, fixed) for one in chosen]
        out.data(values if found is None else values[0])
        return
    for one in chosen:
        out.text(words.set_options({**one.trial.params, **fixed}))
        out.note(f"trial {one.trial.number}: {_measured(one, view.spec)}")
    if found is not None and (told := showing.ties(view)):
        out.note(told)
    if fixed:
        out.note(f"not searched, but other than the preset has it: {', '.join(fixed)}")
    out.note(f"train with them: {_submit(view, chosen)}")


def _json(one: TrialView, spec: StudySpec, fixed: Mapping[str, Json]) -> Json:
    options = words.set_options({**one.trial.params, **fixed})
    return {**words.trial_json(one, spec), "fixed": dict(fixed), "options": options}


def _measured(one: TrialView, spec: StudySpec) -> str:
    values = zip(spec.objectives, one.trial.values or (), strict=False)
    return "  ".join(f"{objective.metric} {words.number(value)}" for objective, value in values)


def _fixed(client: Client, spec: StudySpec) -> dict[str, Json]:
    """Return the settings that are not searched and that the preset has otherwise.

    None where that cannot be told, since the detector or its preset is another one by now.
    """
    job = spec.job
    try:
        entry = client.catalogue().entry(job.detector)
        usual = catalogue.resolve(entry, job.preset or None, (), job.dataset.category)
    except InvalidRequest:
        return {}
    return {
        name: value
        for name, value in sorted(job.config.items())
        if name not in spec.names and name in usual and usual[name] != value
    }


def _submit(view: SweepView, chosen: Sequence[TrialView]) -> str:
    """Return the call that trains with these settings; a trial that is known from elsewhere has no job."""
    job = view.spec.job
    if chosen[0].jobs:
        return f"adctl submit train --from {chosen[0].jobs[0].id}"
    said = {
        "--model": job.detector,
        "--preset": job.preset,
        "--dataset": job.dataset.dataset,
        "--category": job.dataset.category,
        "--holdout": "" if job.holdout == holdout.DEFAULT else job.holdout,
        "--seed": str(job.seed or ""),
    }
    options = " ".join(f"{name} {value}" for name, value in said.items() if value)
    settings = "-S ..." if len(chosen) > 1 else f"$(adctl sweep best {view.study.name} -q)"
    return f"adctl submit train {options} {settings}"
