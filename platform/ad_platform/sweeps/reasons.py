"""Why a sweep stands where it stands, by what keeps the jobs it has, or would have next."""

from collections.abc import Sequence
from dataclasses import dataclass

from ad_platform.history import span
from ad_platform.looking import Looking
from ad_platform.records import Job, Trial
from ad_platform.states import JobKind, JobState, StudyState, TrialOrigin, TrialState
from ad_platform.sweeps.study_spec import StudySpec
from ad_platform.sweeps.viewing import SweepView
from ad_platform.why.causes import Cause, Kind
from ad_platform.why.fitting import fitting, missing
from ad_platform.why.queued import of_queue
from ad_platform.why.situation import Situation, look, nodes_of
from ad_platform.why.telling import ago, because
from ad_platform.why.together import OPEN, of_jobs

MOST = 1000  # jobs of a sweep that are looked at


@dataclass(frozen=True, kw_only=True)
class SweepReasons:
    """Why a sweep stands where it stands."""

    view: SweepView
    causes: tuple[Cause, ...]
    past: tuple[str, ...] = ()  # what went wrong before

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the whole explanation, one sentence a line."""
        told = [line for cause in self.causes for line in cause.told()]
        left = self.view.seconds_left
        return (*told, *self.past, *([] if left is None else [f"it should end in about {span(left)}"]))


def explain_sweep(client: Looking, view: SweepView, trials: Sequence[Trial]) -> SweepReasons:
    """Say what a sweep does or waits for, and what went wrong with its trials."""
    study, situation = view.study, look(client)
    if study.state in (StudyState.FINISHED, StudyState.STOPPED):
        return SweepReasons(view=view, causes=(_ended(view, situation),), past=_failures(view, trials))
    jobs = client.jobs(group=study.name, states=OPEN, limit=MOST, oldest_first=True)
    causes = [_paused(view)] if study.state is StudyState.PAUSED else []
    causes += of_jobs(client, jobs)
    if study.state is StudyState.RUNNING:
        causes += [_next(client, view, situation)] if not jobs else _room(client, view, jobs, situation)
    return SweepReasons(view=view, causes=tuple(causes), past=_failures(view, trials))


def sweep_warnings(client: Looking, spec: StudySpec) -> list[str]:
    """Return what somebody has to do before the trials of a sweep can run."""
    situation = look(client, running=False)
    return [line for cause in _lacking(client, spec, situation) for line in cause.told()]


def _lacking(client: Looking, spec: StudySpec, situation: Situation) -> list[Cause]:
    """Say what is in the way of a trial, though there is no job of it yet."""
    job = _trial_of(spec)
    lack = missing(job, situation, nodes_of(client.store, job), "the sweep")
    return [*of_queue(job, situation), *([lack] if lack else [])]


def _trial_of(spec: StudySpec) -> Job:
    queue = spec.scheduling.queue
    memory = spec.scheduling.memory_mb or 0
    return Job(
        id="",
        seq=0,
        spec=spec.job,
        state=JobState.QUEUED,
        user="",
        queue=queue,
        gpus=spec.gpus,
        memory_mb=memory,
    )


def _ended(view: SweepView, situation: Situation) -> Cause:
    study = view.study
    when = ago(study.finished_at, situation.now) if study.finished_at else "once"
    if study.state is StudyState.STOPPED:
        words = f"it was ended {when} by a person, and nothing was made of it"
        return Cause(kind=Kind.STOPPED, words=words, advice=f"go on: adctl sweep resume {study.name}")
    if view.best is None and not view.front:
        words = f"it ended {when}, and none of its {view.asked} trials completed"
        return Cause(
            kind=Kind.FAILED, words=words, advice=f"run the failed ones again: adctl retry {study.name}"
        )
    words = f"it finished {when}, with {view.complete} of {view.asked} trials complete"
    advice = (
        f"its result: adctl sweep show {study.name}; more trials: adctl sweep extend {study.name} --trials N"
    )
    return Cause(kind=Kind.FINISHED, words=words, advice=advice)


def _paused(view: SweepView) -> Cause:
    goes_on = f", and the {view.running} that run go on" if view.running > 1 else ""
    goes_on = ", and the one that runs goes on" if view.running == 1 else goes_on
    return Cause(
        kind=Kind.PAUSED,
        words=f"it is paused: it asks for no more trials{goes_on}",
        advice=f"let it go on with: adctl sweep resume {view.study.name}",
    )


def _next(client: Looking, view: SweepView, situation: Situation) -> Cause:
    """Say what keeps a sweep that has nothing to run from asking for more."""
    lacking = _lacking(client, view.spec, situation)
    if lacking:
        return lacking[0]
    left = view.wanted - view.asked
    what = f"asks for the next of {left} trials" if left > 0 else "makes what is left of it"
    return Cause(
        kind=Kind.READY,
        words=f"nothing keeps it: a worker's node {what}",
        advice="look again in a few seconds; adctl status shows whether its services run",
    )


def _room(client: Looking, view: SweepView, jobs: Sequence[Job], situation: Situation) -> list[Cause]:
    """Say that more could run at a time, where slots are free and all it may have is running."""
    trials = [job for job in jobs if job.kind is JobKind.TRIAL]
    at_most = view.running >= view.study.parallel and view.asked < view.wanted
    if not at_most or not trials or any(job.state is not JobState.RUNNING for job in trials):
        return []
    job = _trial_of(view.spec)
    able = fitting(job, situation, nodes_of(client.store, job))
    free = sum(max(0, worker.slots - worker.busy) for worker in able)
    if not free:
        return []
    more = view.study.parallel + free
    slots = "1 slot is" if free == 1 else f"{free} slots are"
    return [
        Cause(
            kind=Kind.PARALLEL,
            words=f"it may have {view.study.parallel} trials at a time, and {slots} free",
            advice=f"let it have more: adctl sweep extend {view.study.name} --parallel {more}",
        )
    ]


def _failures(view: SweepView, trials: Sequence[Trial]) -> tuple[str, ...]:
    """Tell of the newest failed trial, and how to look at the others."""
    retried = {trial.retry_of for trial in trials}
    failed = [
        trial
        for trial in trials
        if trial.state is TrialState.FAILED
        and trial.origin is not TrialOrigin.RULED_OUT
        and trial.number not in retried
        and trial.again_at is None
    ]
    if not view.failed or not failed:
        return ()
    last = failed[-1]
    name = view.study.name
    which = f"{view.failed} trials failed, the last of them" if view.failed > 1 else "1 trial failed,"
    words = f"{which} trial {last.number}{because(last.error)}"
    return (f"{words}; all of them: adctl sweep trials {name} --state failed; once more: adctl retry {name}",)
