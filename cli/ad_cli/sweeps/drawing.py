"""What a watched sweep looks like: its header above the bars of its jobs, and its lines for a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ad_cli import shapes
from ad_cli.sweeps import words
from ad_cli.tables import cut, one_line, painted
from ad_cli.watch_view import LABEL, Shown, lines
from ad_platform.states import JobKind, JobState, StudyState, TrialState

if TYPE_CHECKING:
    from ad_cli.pace import Pace
    from ad_cli.sweeps.looks import Look
    from ad_platform.records import Job
    from ad_platform.sweeps.viewing import SweepView, TrialView

WIDEST = 44  # columns of what a job is called, where the terminal is wide
REST = 66  # columns that are left to its bar
STATES = {
    StudyState.PAUSED: "paused: it asks for no more; let it go on with: adctl sweep resume {name}",
    StudyState.RUNNING: "running: it asks for more",
    StudyState.STOPPED: "stopped",
    StudyState.FINISHED: "finished",
}


def screen(look: Look, pace: Pace, width: int, height: int, *, coloured: bool = True) -> list[str]:
    """Return the lines of a sweep, no wider and no more than fit the terminal."""
    usable = max(1, width - 1)  # a full line wraps on some terminals
    head = [cut(line, usable) for line in header(look)]
    if coloured:
        head[0] = painted(head[0], "bold")
    labels = labels_of(look)
    shown = [Shown(job=job, speed=pace.speed(job), label=labels[job.id]) for job in _in_order(look.jobs)]
    room = max(4, height - len(head))
    label = max(LABEL, min(WIDEST, width - REST))
    return [*head, *lines(shown, look.trouble, width, room, label=label, coloured=coloured)]


def header(look: Look) -> list[str]:
    """Return the lines above the bars: how far, the best so far, what keeps it."""
    view = look.view
    study = view.study
    first = f"{study.name}  {words.ended(view)} of {view.wanted} trials: {words.sums(view)}"
    if study.state is not StudyState.RUNNING:
        first += f"  {study.state}"
    if view.seconds_left is not None and study.state is StudyState.RUNNING:
        first += f"  ETA {shapes.span(view.seconds_left)}"
    found = [first, f"best  {best_line(view) or 'none yet'}"]
    if study.state is StudyState.PAUSED:
        found.append(f"it asks for no more; let it go on with: adctl sweep resume {study.name}")
    elif look.hint:
        found.append(one_line(look.hint))
    return found


def best_line(view: SweepView) -> str:
    """Return the best trial so far in a line; "" where there is none."""
    if view.best is None:
        return ""
    trial = view.best.trial
    parts = [words.value_words(view.best, view.spec), f"trial {trial.number}: {words.settings(trial.params)}"]
    if len(view.front) > 1:
        parts.append(f"({len(view.front)} trials on the front)")
    return "  ".join(parts)


def labels_of(look: Look) -> dict[str, str]:
    """Return what each job of a sweep is called: the trial with its settings, a training, or the best."""
    found = {job.id: _label(job) for job in look.jobs}
    for one in look.trials:
        for job in one.jobs:
            found[job.id] = f"#{one.trial.number} {words.settings(one.trial.params)}"
    return found


def _label(job: Job) -> str:
    """Return what is known of a job from itself alone."""
    if number := job.tags.get("trial"):
        return f"#{number}"
    key = str(job.key)
    if job.kind is JobKind.TRAIN and not key.startswith("sweep/"):
        return "for trials"
    return "of the first settings" if "/best/preset" in key else "of the best"


def _in_order(jobs: Sequence[Job]) -> list[Job]:
    """Return what runs first, as the jobs below may have no room."""
    order = (JobState.RUNNING, JobState.QUEUED, JobState.WAITING)
    return sorted(jobs, key=lambda job: order.index(job.state))


class SweepLines:
    """Turns looks into lines for a log: a trial ended, a new best, the sweep held back, a training begun."""

    def __init__(self) -> None:
        self._state: StudyState | None = None
        self._ended: set[int] = set()  # trials that were told
        self._best: float | None = None  # of the first objective, among those
        self._hint = ""
        self._trouble = False
        self._others: dict[str, Job] = {}  # trainings, and the jobs of the best

    def of(self, look: Look) -> Iterator[str]:
        """Yield what has changed since the last look."""
        if bool(look.trouble) != self._trouble:
            self._trouble = bool(look.trouble)
            yield f"waiting: {look.trouble}" if self._trouble else "all services answer again"
        if look.trouble:
            return
        if self._state is None:
            yield self._first(look)
        yield from self._of_trials(look)
        yield from self._of_others(look)
        yield from self._of_sweep(look)
        if look.hint_kind != self._hint:
            self._hint = look.hint_kind
            if look.hint:
                yield f"waiting: {look.hint}"

    def _first(self, look: Look) -> str:
        """Say how far a sweep is when it begins to be watched; what has ended is no news later."""
        view = look.view
        for one in look.trials:
            if words.over(one):
                self._ended.add(one.trial.number)
                self._leads(one, view)
        best = f"; best {best_line(view)}" if view.best is not None else ""
        return f"{view.study.name}: {words.ended(view)} of {view.wanted} trials, {words.sums(view)}{best}"

    def _of_sweep(self, look: Look) -> Iterator[str]:
        state, before = look.view.study.state, self._state
        self._state = state
        if state is not before and (before is not None or state is StudyState.PAUSED):
            name = look.view.study.name
            yield f"{name} is {STATES[state].format(name=name)}"

    def _of_trials(self, look: Look) -> Iterator[str]:
        fresh = [one for one in look.trials if words.over(one) and one.trial.number not in self._ended]
        counted = [one for one in fresh if words.counts(one)]
        place = words.ended(look.view) - len(counted)
        for one in fresh:
            self._ended.add(one.trial.number)
            leads = self._leads(one, look.view)
            if words.counts(one):
                place += 1
                yield trial_line(one, look.view, place, leads=leads)

    def _leads(self, one: TrialView, view: SweepView) -> bool:
        """Say whether a trial is better than all that were told before it."""
        values = one.trial.values
        if one.trial.state is not TrialState.COMPLETE or not values:
            return False
        leads = self._best is None or view.spec.objectives[0].better(values[0], self._best)
        self._best = values[0] if leads else self._best
        return leads

    def _of_others(self, look: Look) -> Iterator[str]:
        """Tell when what is no trial begins to run, and when it is over."""
        now = {job.id: job for job in look.jobs if job.kind is not JobKind.TRIAL}
        for job in now.values():
            before = self._others.get(job.id)
            if job.state is JobState.RUNNING and (before is None or before.state is not JobState.RUNNING):
                yield f"{job.id[: shapes.SHORT]}  {job.kind} {_label(job)}: running on {job.worker}"
        for job in self._others.values():
            if job.id not in now and job.state is JobState.RUNNING:
                yield f"{job.id[: shapes.SHORT]}  {job.kind} {_label(job)}: ended"
        self._others = now


def trial_line(one: TrialView, view: SweepView, place: int, *, leads: bool) -> str:
    """Say in one line how a trial ended, as one of so many, and whether none was better before."""
    parts = [f"trial {one.trial.number}", words.state(one)]
    if one.trial.values is not None:
        parts.append(words.value_words(one, view.spec))
    parts.append(words.settings(one.trial.params))
    if one.seconds is not None:
        parts.append(shapes.span(one.seconds))
    if leads:
        parts.append("the best so far")
    elif one.trial.number in view.front:
        parts.append("on the front")
    if one.trial.error:
        parts.append(one_line(one.trial.error))
    return "  ".join([*filter(None, parts), f"({place} of {view.wanted})"])
