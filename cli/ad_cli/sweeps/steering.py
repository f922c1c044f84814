"""What is said when a sweep was held back, let go on, ended or asked for again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ad_cli import out
from ad_cli.sweeps import words
from ad_platform.states import StudyState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ad_platform.client import Client
    from ad_platform.records import Study, Trial
    from ad_platform.sweeps.steering import Sweeps
    from ad_platform.sweeps.viewing import SweepView


def say(sweeps: Sweeps, study: Study) -> None:
    """Print how a sweep stands now, and what to type next."""
    view = sweeps.view(study)
    if out.as_json():
        out.data(words.sweep_json(view))
        return
    if out.quiet():
        out.text(study.name)
        return
    out.text(line(view))
    for note in _notes(view):
        out.note(note)


def line(view: SweepView) -> str:
    """Return a sweep in a line."""
    study = view.study
    asked = f"{view.asked} of {view.wanted} trials asked for"
    sums = f" ({words.sums(view)})" if view.asked else ""
    return f"{study.name}  {study.state}, {asked}{sums}, {study.parallel} at a time"


def _notes(view: SweepView) -> list[str]:
    name, state = view.study.name, view.study.state
    if state is StudyState.PAUSED:
        goes_on = [f"what runs goes on: {view.running}"] if view.running else []
        return [*goes_on, f"let it go on with: adctl sweep resume {name}"]
    if state is StudyState.STOPPED:
        ending = [f"what runs was told to end: {view.running}"] if view.running else []
        return [*ending, f"let it go on with: adctl sweep resume {name}"]
    return [f"watch it with: adctl sweep watch {name}"]


def go_on(client: Client, sweeps: Sweeps, study: Study, *, wait: bool) -> None:
    """Print how a sweep goes on; with `wait`, watch until it has ended."""
    if wait:
        from ad_cli.sweeps.watching import watch_sweep

        raise typer.Exit(watch_sweep(client, sweeps, study))
    say(sweeps, study)


def retry(sweeps: Sweeps, study: Study) -> Sequence[Trial]:
    """Run the failed trials of a sweep again and say which; raise Conflict where none has failed."""
    again = sweeps.retry(study.id)
    if out.quiet():
        out.text(study.name)
    elif not out.as_json():
        numbers = ", ".join(str(trial.number) for trial in again)
        one = len(again) == 1
        how = "as a new trial in its place" if one else "as new trials in their place"
        out.text(f"{study.name}  trial{'' if one else 's'} {numbers} will be run again, {how}")
        out.note(f"watch it with: adctl sweep watch {study.name}")
    return again


def ended(view: SweepView) -> str:
    """Return what is said of a sweep that was cancelled."""
    told = f"; {view.running} running were told to end" if view.running else ""
    return f"{view.study.name}  sweep {words.title(view.spec)}: {view.study.state}{told}"
