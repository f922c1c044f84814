"""A sweep and its trials as a person sees them, from the store alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ad_platform.records import Job, Study, Trial
from ad_platform.specs import Json
from ad_platform.states import JobKind, JobState, StudyState, TrialOrigin, TrialState
from ad_platform.store.contract import Store
from ad_platform.sweeps import space
from ad_platform.sweeps.study_spec import StudySpec
from ad_platform.sweeps.work import SWEEP_TAG, TRIAL_TAG, keys_of

COMPUTED = (TrialOrigin.ASKED, TrialOrigin.RETRY)
MOST_JOBS = 100_000  # of one sweep that are looked at


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """A trial with its jobs."""

    trial: Trial
    jobs: tuple[Job, ...]
    seconds: float | None = None  # from when it was asked for to its end


@dataclass(frozen=True, kw_only=True)
class SweepView:
    """How a sweep stands; asked = complete + pruned + failed + running."""

    study: Study
    spec: StudySpec
    asked: int = 0
    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    ruled_out: int = 0  # proposals that do not go together; they count for nothing
    warm: int = 0  # trials taken over from another sweep
    wanted: int = 0
    best: TrialView | None = None
    front: tuple[int, ...] = ()  # of several objectives: trials that none beats in all
    ties: int = 0  # trials as good as the best, itself included
    saturated: int = 0  # trials that rank every pair right
    trainings: int = 0  # train jobs that trials share
    seconds_left: float | None = None
    final: Mapping[str, Json] = field(default_factory=dict)  # what came of the best and of the preset


def sweep_view(store: Store, study: Study, *, brief: bool = False, row: bool = False) -> SweepView:
    """Return how a sweep stands; a `brief` view, one of many, does not count its trainings.

    A `row` of a list has neither the jobs of the best trial nor how long the sweep will take.
    """
    spec, counts = StudySpec.from_json(study.spec), store.studies.counts(study.id)
    computed = {state: sum(counts.get((origin, state), 0) for origin in COMPUTED) for state in TrialState}
    of_origin = {
        origin: sum(number for (found, _), number in counts.items() if found is origin)
        for origin in TrialOrigin
    }
    summary = study.summary
    final, front = summary.get("final"), summary.get("front")
    points = space.points(spec.space) if spec.sampler.name == "grid" else None
    wanted = study.wanted if points is None else min(points, study.wanted)
    return SweepView(
        study=study,
        spec=spec,
        asked=sum(computed.values()),
        complete=computed[TrialState.COMPLETE],
        pruned=computed[TrialState.PRUNED],
        failed=computed[TrialState.FAILED],
        running=computed[TrialState.RUNNING],
        ruled_out=of_origin[TrialOrigin.RULED_OUT],
        warm=of_origin[TrialOrigin.WARM],
        wanted=wanted,
        best=best_of(store, study, spec, alone=row),
        front=tuple(sorted(map(int, front))) if isinstance(front, dict) else (),
        ties=_whole(summary.get("ties")),
        saturated=_whole(summary.get("saturated")),
        trainings=0 if brief or row else _trainings(store, study),
        seconds_left=None if row else _seconds_left(store, study, wanted - of_origin[TrialOrigin.ASKED]),
        final=dict(final) if isinstance(final, dict) else {},
    )


def best_of(store: Store, study: Study, spec: StudySpec, *, alone: bool = False) -> TrialView | None:
    """Return the best trial by the first objective, `alone` without its jobs; of equal ones the first."""
    best = study.summary.get("best")
    number = best.get("number") if isinstance(best, dict) else None
    if not isinstance(number, int):
        return None
    found = store.studies.trials(study.id, after=number - 1, limit=1)
    if alone:
        return TrialView(trial=found[0], jobs=()) if found else None
    return trial_views(store, study, spec, found)[0] if found else None


def trial_views(store: Store, study: Study, spec: StudySpec, trials: Sequence[Trial]) -> list[TrialView]:
    """Return trials with their jobs."""
    keys = {trial.number: keys_of(study, spec, trial.number) for trial in trials}
    wanted = [key for each in keys.values() for key in each]
    jobs: dict[str, Job] = {}
    for start in range(0, len(wanted), 1000):
        jobs |= store.jobs.of_keys(wanted[start : start + 1000])
    return [
        TrialView(
            trial=trial,
            jobs=tuple(jobs[key] for key in keys[trial.number] if key in jobs),
            seconds=None if trial.ended_at is None else trial.ended_at - trial.asked_at,
        )
        for trial in trials
    ]


def jobs_of(store: Store, study: Study, *, open_only: bool = False) -> list[Job]:
    """Return a sweep's jobs, oldest first: trainings, trials, and those of the best."""
    states = [state for state in JobState if not state.terminal] if open_only else ()
    return store.jobs.search(group=study.name, states=states, oldest_first=True, limit=MOST_JOBS)


def _trainings(store: Store, study: Study) -> int:
    """Return how many train jobs the sweep has submitted for its trials; of the best one is none."""
    found = store.jobs.search(group=study.name, kind=JobKind.TRAIN, tags={SWEEP_TAG: None}, limit=MOST_JOBS)
    return sum(str(job.key).startswith(("stage/", "retry:")) and TRIAL_TAG not in job.tags for job in found)


def _seconds_left(store: Store, study: Study, lack: int) -> float | None:
    """Return how long the trials that are left will take, by how fast others ended."""
    running = store.studies.trials(study.id, [TrialState.RUNNING])
    left = max(0, lack) + len(running)
    if study.state is not StudyState.RUNNING or not left:
        return None
    every = store.studies.trials(study.id, [TrialState.COMPLETE, TrialState.PRUNED])
    ended = sorted(t.ended_at for t in every if t.origin in COMPUTED and t.ended_at is not None)[-50:]
    if len(ended) < 2:
        return None
    pace = (ended[-1] - ended[0]) / (len(ended) - 1)
    silent = max(0.0, store.now() - ended[-1])
    return max(0.0, left * pace - min(silent, pace))


def _whole(value: Json) -> int:
    return value if isinstance(value, int) else 0
