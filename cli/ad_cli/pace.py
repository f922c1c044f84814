"""How fast watched jobs come on, from what was seen of them: steps and images a second, and the time left."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ad_platform.records import Job
from ad_platform.states import JobState

WINDOW = 60.0  # seconds of the past that count
SILENCE = 30.0  # seconds without news after which it is said that there is none


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast one job comes on; None is not known yet."""

    steps: float | None = None  # a second
    images: float | None = None  # a second; of a job whose images are counted
    left: float | None = None  # seconds
    silent: float = 0.0  # seconds since the last news, if they are many


@dataclass(frozen=True)
class _Seen:
    at: float
    step: int
    images: int


@dataclass
class _Trail:
    begun: tuple[int, bool]  # the attempt, and whether it makes steps yet
    seen: deque[_Seen] = field(default_factory=deque)


class Pace:
    """Remembers how far each job was when; `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._trails: dict[str, _Trail] = {}

    def speed(self, job: Job) -> Speed:
        """Note how far a job is and return how fast it comes on."""
        if job.state is not JobState.RUNNING:
            self._trails.pop(job.id, None)
            return Speed()
        now = self._clock()
        seen = self._noted(job, now)
        silent = now - seen[-1].at
        if len(seen) < 2 or seen[-1].at <= seen[0].at:
            return Speed(silent=silent if silent > SILENCE else 0.0)
        first, last = seen[0], seen[-1]
        # Silence longer than any before it slows the job down too, or a stuck one would look quick for ever.
        usual = max(later.at - earlier.at for earlier, later in zip(seen, list(seen)[1:], strict=False))
        took = last.at - first.at + max(0.0, silent - usual)
        steps, images = (last.step - first.step) / took, (last.images - first.images) / took
        left = (job.progress.of - last.step) / steps if steps > 0 else None
        return Speed(
            steps=steps if steps > 0 else None,
            images=images if images > 0 else None,
            left=None if left is None else max(0.0, left - min(silent, usual)),
            silent=silent if silent > SILENCE else 0.0,
        )

    def _noted(self, job: Job, now: float) -> deque[_Seen]:
        done = job.progress
        trail = self._trails.get(job.id)
        last = trail.seen[-1] if trail else None
        # A further attempt goes on from a checkpoint, which may lie behind, and counts its images anew. What
        # comes before the first step, such as reading the images, says nothing about the steps.
        if (
            trail is None
            or last is None
            or trail.begun != (job.attempt, done.of > 0)
            or done.step < last.step
            or done.images < last.images
        ):
            trail = self._trails[job.id] = _Trail((job.attempt, done.of > 0))
            last = None
        if last is None or (done.step, done.images) != (last.step, last.images):
            trail.seen.append(_Seen(now, done.step, done.images))
        while len(trail.seen) > 2 and now - trail.seen[1].at > WINDOW:
            trail.seen.popleft()
        return trail.seen
