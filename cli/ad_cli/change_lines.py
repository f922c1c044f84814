"""Turns looks at jobs into lines for a log: one per change that matters, however many steps a job makes."""

from collections.abc import Iterator

from ad_cli import shapes
from ad_cli.hints import Hints
from ad_cli.pace import Pace, Speed
from ad_cli.watch_view import begun_words, numbers, place_words
from ad_platform.records import Job
from ad_platform.requests import Snapshot
from ad_platform.states import JobState

PARTS = 10  # lines of progress of one job


class ChangeLines:
    """Remembers what was said of each job: its state, its attempt, and each tenth of its way."""

    def __init__(self, pace: Pace, hints: Hints) -> None:
        self._pace, self._hints = pace, hints
        self._said: dict[str, tuple[object, ...]] = {}
        self._trouble = False

    def of(self, snapshot: Snapshot) -> Iterator[str]:
        """Yield what has changed since the last look."""
        if bool(snapshot.trouble) != self._trouble:
            self._trouble = bool(snapshot.trouble)
            yield f"waiting: {snapshot.trouble}" if self._trouble else "all services answer again"
        for job in snapshot.jobs:
            speed, hint = self._pace.speed(job), self._hints.of(job)
            done = job.progress
            part = PARTS * done.step // done.of if done.of and job.state is JobState.RUNNING else -1
            now = (shapes.state_words(job), job.attempt, bool(speed.silent), hint.kind, part)
            if self._said.get(job.id) != now:
                self._said[job.id] = now
                yield change_words(job, speed, hint.words)


def change_words(job: Job, speed: Speed, hint: str = "") -> str:
    """Say in one line how a job stands."""
    head = f"{job.id[: shapes.SHORT]}  {job.kind} {shapes.state_words(job)}"
    if job.state is JobState.RUNNING:
        far = shapes.percent(job)
        if not far:
            return f"{head}  {begun_words(job, speed)}  {place_words(job)}"
        left = [] if speed.left is None else [f"ETA {shapes.span(speed.left)}"]
        return "  ".join([head, far, *left, *numbers(job, speed)])
    if job.state is JobState.WAITING and job.needs:
        return f"{head} for {', '.join(need[: shapes.SHORT] for need in job.needs)}"
    if job.state.terminal:
        return f"{head}  {seen}" if job.pruned and (seen := shapes.seen_words(job)) else head
    why = hint or job.error
    return f"{head}: {why}" if why else head
