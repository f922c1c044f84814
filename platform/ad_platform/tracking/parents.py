"""The runs above those of jobs, of studies and benchmarks alike: made once, their points added once."""

from collections.abc import Callable, Sequence

from ad_platform.errors import UnknownName
from ad_platform.records import Job
from ad_platform.storage.metrics import Point
from ad_platform.tracking.protocol import ParentRun, Tracker
from ad_platform.tracking.shipper import unseen

EVERY = 10.0  # seconds between two looks at one that is at work


class ParentRuns:
    """What a process knows of such runs; a new one knows nothing, and asks the tracking server."""

    def __init__(self, tracker: Tracker, clock: Callable[[], float]) -> None:
        self._tracker, self._clock = tracker, clock
        self._runs: dict[str, str] = {}  # by the ids of what they are of
        self._names: dict[str, str] = {}  # the same, by name
        self._looked: dict[str, float] = {}  # when, by id
        # What this process has seen arrive at a run: only without it the run need be asked.
        self._shown: dict[str, dict[str, set[int]]] = {}

    def look(self, parent_id: str) -> None:
        """Note that one is looked at now."""
        self._looked[parent_id] = self._clock()

    def is_due(self, parent_id: str) -> bool:
        """Say whether the last look was long enough ago."""
        return self._clock() - self._looked.get(parent_id, -EVERY) >= EVERY

    def ensure(self, parent: ParentRun) -> str:
        """Return a run, made if need be; one that a person deleted is made anew, with all of its points."""
        run_id = self._tracker.ensure_parent_run(parent)
        if self._runs.get(parent.id) != run_id:
            self._shown.pop(parent.id, None)
        self._runs[parent.id] = self._names[parent.name] = run_id
        return run_id

    def is_new(self, parent_id: str) -> bool:
        """Say whether this process has not seen anything arrive at a run yet."""
        return parent_id not in self._shown

    def add(self, run_id: str, parent_id: str, points: Sequence[Point]) -> None:
        """Add the points that a run does not show yet."""
        if parent_id not in self._shown:
            self._shown[parent_id] = {name: set(steps) for name, steps in self._tracker.steps(run_id).items()}
        shown = self._shown[parent_id]
        fresh = unseen(points, shown)
        if fresh:
            self._tracker.log_points(run_id, fresh)
        for point in fresh:
            for name in point.metrics:
                shown.setdefault(name, set()).add(point.step)

    def forget(self) -> None:
        """Trust nothing that was sent: the server went away in between."""
        self._shown.clear()

    def above(self, job: Job, tag: str, find: Callable[[str], ParentRun]) -> str | None:
        """Return the run of what a job's tag names and its group confirms, made if need be; None if nothing.

        `find` returns what a name stands for, and raises UnknownName.
        """
        name = job.tags.get(tag)
        if name is None or job.group != name:
            return None
        if name not in self._names:
            try:
                found = find(name)
            except UnknownName:
                return None
            if found.name != name:
                return None
            return self.ensure(found)
        return self._names[name]
