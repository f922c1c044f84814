"""Looks at a sweep again and again: how it stands, its trials, and its jobs that have not ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ad_cli import hints
from ad_platform.errors import Unavailable
from ad_platform.states import JobKind, JobState, StudyState
from ad_platform.sweeps.reasons import explain_sweep
from ad_platform.why import Kind

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.records import Job, Study
    from ad_platform.sweeps.steering import Sweeps
    from ad_platform.sweeps.viewing import SweepView, TrialView

OPEN = [state for state in JobState if not state.terminal]
MOST = 200  # jobs that are looked at
PATIENCE = 3.0  # seconds without anything that runs after which it is asked why


@dataclass(frozen=True, kw_only=True)
class Look:
    """A sweep as it stood at one look; `trouble` says why this look shows the last known state."""

    view: SweepView
    trials: Sequence[TrialView] = ()
    jobs: Sequence[Job] = ()  # those of the sweep that have not ended
    trouble: str = ""
    hint: str = ""  # why nothing of it runs
    hint_kind: str = ""  # the kind of that reason, which changes seldom

    @property
    def over(self) -> bool:
        """Whether nothing can change any more unless somebody wants it to."""
        # What a cancelled one runs is told to end; a training goes on for other sweeps that wait for it.
        ending = any(job.kind is JobKind.TRIAL for job in self.jobs)
        state = self.view.study.state
        return state is StudyState.FINISHED or (state is StudyState.STOPPED and not ending)

    @property
    def running(self) -> bool:
        """Whether anything of it is being computed."""
        return any(job.state is JobState.RUNNING for job in self.jobs)


class Looker:
    """Looks at one sweep; `clock` gives seconds that only grow."""

    def __init__(self, client: Client, sweeps: Sweeps, study: Study, clock: Callable[[], float]) -> None:
        self._client, self._sweeps, self._study, self._clock = client, sweeps, study, clock
        self._counted: tuple[int, ...] = ()
        self._trials: Sequence[TrialView] = ()
        self._idle_since: float | None = None
        self._asked_at = float("-inf")
        self._hint = ("", "")

    def looks(self) -> Iterator[Look]:
        """Yield how the sweep stands until it has ended; a store away is waited for."""
        last = Look(view=self._sweeps.view(self._study))
        for seen, trouble in self._client.looks(self._look):
            last = replace(last, trouble=trouble) if seen is None else seen
            yield last
            if last.over and not trouble:
                return

    def _look(self) -> Look:
        view = self._sweeps.view(self._sweeps.find(self._study.id))
        counted = (view.running, view.complete, view.pruned, view.failed, view.ruled_out, view.warm)
        if counted != self._counted:
            self._trials, self._counted = self._sweeps.trials(view.study), counted
        name = view.study.name
        jobs = self._client.jobs(group=name, states=OPEN, limit=MOST, oldest_first=True)
        look = Look(view=view, trials=self._trials, jobs=jobs)
        kind, why = self._why(look)
        return replace(look, hint=why, hint_kind=kind)

    def _why(self, look: Look) -> tuple[str, str]:
        """Return the kind and the words of what keeps a sweep of which nothing runs, asked for seldom."""
        now = self._clock()
        if look.running or look.view.study.state is not StudyState.RUNNING:
            self._idle_since, self._hint = None, ("", "")
            return self._hint
        if self._idle_since is None:
            self._idle_since = now
        if now - self._idle_since >= PATIENCE and now - self._asked_at >= hints.EVERY:
            self._asked_at = now
            self._hint = self._ask(look)
        return self._hint

    def _ask(self, look: Look) -> tuple[str, str]:
        try:
            causes = explain_sweep(self._client, look.view, [one.trial for one in look.trials]).causes
        except Unavailable:
            return "", ""
        first = next(iter(causes), None)
        if first is None or first.kind is Kind.READY:
            return "", ""
        inner = next(iter(first.because), None)
        return first.kind.value, (inner or first).told()[0]
