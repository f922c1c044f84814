"""How long a job will take, by what jobs like it took: nothing is said where nothing like it has run."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ad_platform import devices
from ad_platform.errors import InvalidRequest
from ad_platform.records import Attempt, Job
from ad_platform.specs import JobSpec, Json
from ad_platform.states import AttemptOutcome, JobKind, JobState
from ad_platform.store.contract import Store

LOOKED_AT = 40  # newest jobs of the kind and detector
USED = 5  # of those that are most alike
# Settings that say how much there is to do; whatever else differs may change the time in ways nobody knows.
COUNTS = ("steps", "epochs")
SIDE = "image_size"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """How long a job will take once it runs."""

    seconds: float
    runs: int  # past jobs that it comes from
    words: str  # as "about 4m from 3 past runs"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A job that succeeded, and what it took."""

    spec: JobSpec
    seconds: float  # of all its attempts together
    device: str  # cpu, cuda, mps or ""
    images: int  # 0 where it was not told
    fitted: bool  # whether it did more than find each stage in the storage


def estimate(store: Store, spec: JobSpec, images: int | None = None) -> Estimate | None:
    """Return how long a job will take, from succeeded jobs of its kind and detector on such a device.

    Jobs with the same settings and pictures come first. Otherwise it is scaled by the steps or epochs asked
    for, by the pixels and, where both are known, by the number of pictures; the words say so.
    """
    past = store.jobs.search(
        states=[JobState.SUCCEEDED], kind=spec.kind, detector=spec.detector, limit=LOOKED_AT
    )
    # What an evaluation tries against a model takes far longer than to score with it.
    past = [job for job in past if job.spec.attacks == spec.attacks]
    runs = [_run(job, store.jobs.attempts(job.id)) for job in past]
    runs = _on_such_a_device(store, spec, [run for run in runs if run.seconds > 0])
    if spec.kind is JobKind.TRIAL:
        runs = _like_the_newest(spec, runs)
    if not runs:
        return None
    same = [run for run in runs if _same(run.spec, spec)]
    newest = next((run for run in same if run.spec.seed == spec.seed), None)
    if spec.kind is not JobKind.TRIAL:  # which has more to do than to fit
        if newest is not None and not newest.fitted:
            return _estimate([newest.seconds], ", which found everything fitted")
        runs = [run for run in runs if run.fitted]
        same = [run for run in same if run.fitted]
    if same or not runs:
        return _estimate([run.seconds for run in same[:USED]], "") if same else None
    alike = [run for run in runs if _work_aside(run.spec) == _work_aside(spec)]
    chosen = (alike or runs)[:USED]
    how = ", scaled" if alike else " with other settings, roughly scaled"
    return _estimate([run.seconds * _scale(run, spec, images) for run in chosen], how)


def span(seconds: float) -> str:
    """Return a length of time in the words of an estimate: 12s, 4m, 1h20m, 2d3h."""
    whole = max(1, round(seconds))
    if whole < 90:
        return f"{whole}s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 36:
        return f"{hours}h{minutes:02}m"
    return f"{hours // 24}d{hours % 24}h"


def _estimate(seconds: Sequence[float], how: str) -> Estimate:
    middle = median(seconds)
    runs = "1 past run" if len(seconds) == 1 else f"{len(seconds)} past runs"
    return Estimate(seconds=middle, runs=len(seconds), words=f"about {span(middle)} from {runs}{how}")


def _run(job: Job, attempts: Sequence[Attempt]) -> Run:
    took = sum(each.ended_at - each.started_at for each in attempts if each.ended_at is not None)
    last = next((each for each in reversed(attempts) if each.outcome is AttemptOutcome.SUCCEEDED), None)
    images = job.result.get("images")
    return Run(
        spec=job.spec,
        seconds=took,
        device=str(last.facts.get("device", "")).partition(":")[0] if last else "",
        images=images if isinstance(images, int) else 0,
        fitted=job.result.get("steps") != 0,
    )


def _like_the_newest(spec: JobSpec, runs: Sequence[Run]) -> list[Run]:
    """Keep the trials that measured the same and, as the newest one, fitted something or found it fitted."""
    runs = [run for run in runs if run.spec.measures == spec.measures] or list(runs)
    return [run for run in runs if run.fitted == runs[0].fitted]


def _on_such_a_device(store: Store, spec: JobSpec, runs: Sequence[Run]) -> list[Run]:
    """Keep the runs on the device this job will get; where that is open, those on the newest one's."""
    try:
        able = [
            worker
            for worker in store.workers.roster()
            if spec.detector in worker.detectors and worker.state == "online"
        ]
        kind: str = devices.choice(spec.device, able).kind
    except InvalidRequest:
        kind = "unknown"
    if kind == "unknown" and runs:
        kind = runs[0].device
    return [run for run in runs if run.device in (kind, "")]


def _same(one: JobSpec, other: JobSpec) -> bool:
    return (one.config, one.holdout, one.dataset.fingerprint) == (
        *(other.config, other.holdout),
        other.dataset.fingerprint,
    )


def _work_aside(spec: JobSpec) -> dict[str, Json]:
    return {name: value for name, value in spec.config.items() if name not in (*COUNTS, SIDE)}


def _scale(run: Run, spec: JobSpec, images: int | None) -> float:
    """Return how many times as much there is to do: steps or epochs, times pixels, times pictures."""
    ratio = (_number(spec, SIDE) / _number(run.spec, SIDE)) ** 2
    for name in COUNTS if run.fitted else ():
        if spec.config.get(name) and run.spec.config.get(name):
            ratio *= _number(spec, name) / _number(run.spec, name)
            if name == "steps":
                return ratio  # a step costs the same however many pictures there are
    return ratio * (images / run.images if images and run.images else 1.0)


def _number(spec: JobSpec, name: str) -> float:
    value = spec.config.get(name)
    return float(value) if isinstance(value, int | float) and value > 0 else 1.0
