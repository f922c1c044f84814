"""Takes a study further: tells Optuna what has ended, asks it for what is wanted, concludes on the best."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ad_platform.catalogue import DetectorEntry
from ad_platform.errors import ClaimLost
from ad_platform.failpoints import Edge, reach
from ad_platform.records import Job, Study, Trial
from ad_platform.states import JobState, StudyState, TrialOrigin, TrialState
from ad_platform.store.contract import Store
from ad_platform.sweeps import space
from ad_platform.sweeps.methods import NO_PRUNER
from ad_platform.sweeps.optuna_study import Asked, OptunaStudy
from ad_platform.sweeps.study_spec import StudySpec
from ad_platform.sweeps.summing import Summary
from ad_platform.sweeps.trainings import stand_ins
from ad_platform.sweeps.work import PRESET, Work, final_keys, keys_of, rungs_of, values_of

log = logging.getLogger(__name__)

Looks: TypeAlias = tuple[object, ...]

CLAIM = 60.0  # seconds; held on to between two questions to Optuna, of which one may take seconds
SURE = 30.0  # seconds after which a study is looked at closely though it looks as it was left
MOST_RULED_OUT = 200  # proposals in one go that do not go together
NOT_WANTED = "not needed: whoever asked for it died, and no more trials are wanted"
NO_VALUE = "it did not measure what the sweep compares"


class Conclude(Protocol):
    """What is done once all trials have ended."""

    def __call__(self, work: Work, summary: Summary) -> bool:
        """Go on with it, keeping what is found in the summary; say whether it is done."""


@dataclass
class Advancer:
    """Advances studies in the name of one owner; calling it again at any time does no harm."""

    store: Store
    owner: str
    entry: Callable[[str], DetectorEntry]
    open: Callable[[Study, StudySpec], OptunaStudy]
    conclude: Conclude
    clock: Callable[[], float] = time.monotonic
    # Studies in which somebody else went on before a turn was over.
    lost: set[str] = field(default_factory=set)
    _left: dict[str, tuple[float, Looks]] = field(default_factory=dict)  # how studies were found, and when

    def advance(self, study_id: str) -> bool:
        """Take a study further unless nothing has changed; False if somebody else is at it.

        A turn in which the claim was lost may have asked Optuna for a trial that nobody knows. The study is
        in `lost` then, until another turn at it, which may come after its end, has seen to that.
        """
        left_at, left = self._left.get(study_id, (0.0, None))
        if (
            study_id not in self.lost
            and left is not None
            and self.clock() - left_at < SURE
            and left == looks(self.store, study_id)
        ):
            return True
        if not self.store.studies.claim(study_id, self.owner, CLAIM):
            return False
        try:
            found = looks(self.store, study_id)
            study = self.store.studies.get(study_id)
            spec = StudySpec.from_json(study.spec)
            optuna = self.open(study, spec)
            try:
                _Turn(self, study, spec, optuna).take()
            finally:
                optuna.rest()
            # As it looked before: what this turn has changed itself may be worth another one.
            self._left[study_id] = (self.clock(), found)
            self.lost.discard(study_id)
        except ClaimLost as error:
            log.warning("%s", error)
            self.lost.add(study_id)
        finally:
            self.store.studies.release(study_id, self.owner)
        return True


def looks(store: Store, study_id: str) -> Looks:
    """Return what a study looks like to whoever would take it further: equal, and there is nothing to do."""
    study = store.studies.get(study_id)
    spec = StudySpec.from_json(study.spec)
    running = store.studies.trials(study_id, [TrialState.RUNNING])
    keys = [key for trial in running for key in keys_of(study, spec, trial.number)]
    best = study.summary.get("best")
    for which in (best["number"] if isinstance(best, dict) else None, PRESET):
        keys += final_keys(study, which).values() if isinstance(which, int | str) else []
    jobs = store.jobs.of_keys(keys)
    told = {key: (job.state, len(rungs_of([job]))) for key, job in jobs.items()}
    return (study.version, tuple(trial.number for trial in running), tuple(sorted(told.items())))


class _Turn:
    """One turn at one study."""

    def __init__(self, advancer: Advancer, study: Study, spec: StudySpec, optuna: OptunaStudy) -> None:
        self.store, self.owner = advancer.store, advancer.owner
        self.conclude = advancer.conclude
        self.study, self.spec = study, spec
        self.work = Work(study, spec, advancer.entry(spec.job.detector))
        self.optuna = optuna
        self.summary = Summary.of(study, spec)

    def take(self) -> None:
        """Do everything that can be done now."""
        self._agree()
        for trial in self.store.studies.trials(self.study.id, [TrialState.RUNNING]):
            self._look_at(trial)
        if self.study.state is StudyState.RUNNING:
            self._warm_up()
            self._run_again()
            self._ask()
        done = self._is_over() and self.conclude(self.work, self.summary)
        self._hold_on()  # to conclude, the scores of all trials may have been read
        counts = self.store.studies.counts(self.study.id)
        if self.summary.is_behind(counts):
            self.summary.rebuild(self.store.studies.trials(self.study.id))
        self.store.studies.summarise(self.study.id, self.owner, self.summary.to_json(counts), finished=done)

    # What somebody left half done

    def _agree(self) -> None:
        """Have the store and Optuna know the same trials, whatever died between the two."""
        known = sum(self.store.studies.counts(self.study.id).values())
        theirs = self.optuna.count()
        if known > theirs:  # Optuna's storage was lost: the store knows what was in it
            self.optuna.add(self.store.studies.trials(self.study.id, after=theirs - 1))
        elif theirs > known:
            ours = {trial.number for trial in self.store.studies.trials(self.study.id)}
            for number in self.optuna.numbers():
                if number not in ours:
                    self._take_over(number)
        running = {t.number for t in self.store.studies.trials(self.study.id, [TrialState.RUNNING])}
        for number in self.optuna.unfinished():
            if number not in running:
                self._tell_again(number)

    def _take_over(self, number: int) -> None:
        state, values = self.optuna.state_of(number)
        if state is not TrialState.RUNNING:
            asked = self.optuna.take_over(number)
            origin = TrialOrigin.WARM if state is TrialState.COMPLETE else TrialOrigin.RULED_OUT
            self._write(asked, state=state, origin=origin, values=values)
            return
        asked = self.optuna.take_over(number)
        wanted = asked.retry_of is not None or self._lack() > 0
        if self.study.state is StudyState.RUNNING and wanted:
            self._begin(asked)
        else:
            self._write(asked, state=TrialState.FAILED, origin=TrialOrigin.RULED_OUT, error=NOT_WANTED)
            self.optuna.tell(number, TrialState.FAILED, None)

    def _tell_again(self, number: int) -> None:
        trial = self.store.studies.trials(self.study.id, after=number - 1, limit=1)[0]
        self.optuna.tell(number, trial.state, trial.values)

    # What has ended

    def _look_at(self, trial: Trial) -> None:
        """End a trial whose jobs have, and stop one that is not worth finishing."""
        keys = keys_of(self.study, self.spec, trial.number)
        found = self.store.jobs.of_keys(keys)
        jobs = [found[key] for key in keys if key in found]
        if len(jobs) < len(keys):
            self._end(trial, TrialState.FAILED, None, "its jobs are gone")
        elif all(job.state is JobState.SUCCEEDED for job in jobs):
            values = values_of(self.spec, jobs)
            if values is None:
                self._end(trial, TrialState.FAILED, None, NO_VALUE)
                return
            if self.spec.pruner.name != NO_PRUNER:
                self.optuna.report(trial.number, rungs_of(jobs))  # later trials are held against them
            self._end(trial, TrialState.COMPLETE, values, jobs=jobs)
        elif bad := [job for job in jobs if job.state in (JobState.FAILED, JobState.CANCELLED)]:
            self._give_up(trial, jobs, bad)
        elif self._is_pruned(trial, jobs):
            self._hold_on()
            for job in jobs:
                self.store.jobs.prune(job.id)

    def _give_up(self, trial: Trial, jobs: Sequence[Job], bad: Sequence[Job]) -> None:
        self._hold_on()
        pruned = all(job.prune_requested and not job.cancel_requested for job in bad)
        for job in jobs:
            if not job.state.terminal:
                _ = self.store.jobs.prune(job.id) if pruned else self.store.jobs.cancel(job.id)
        if pruned:
            rungs = rungs_of(jobs)
            last = (rungs[max(rungs)],) if rungs else None
            self._end(trial, TrialState.PRUNED, last, f"after rung {max(rungs)}" if rungs else "")
            return
        why = bad[0].error or ("cancelled" if bad[0].state is JobState.CANCELLED else "it failed")
        self._end(trial, TrialState.FAILED, None, f"job {bad[0].id}: {why}")

    def _is_pruned(self, trial: Trial, jobs: Sequence[Job]) -> bool:
        if self.spec.pruner.name == NO_PRUNER or any(job.prune_requested for job in jobs):
            return False
        return self.optuna.prunes(trial.number, rungs_of(jobs))

    def _end(
        self,
        trial: Trial,
        state: TrialState,
        values: tuple[float, ...] | None,
        error: str = "",
        jobs: Sequence[Job] = (),
    ) -> None:
        # Optuna first: a trial that has ended in the store is not looked at again.
        self.optuna.tell(trial.number, state, values)
        ended = self.store.studies.end_trial(
            self.study.id, trial.number, state, values, error, owner=self.owner
        )
        self.summary.ended(ended, jobs)

    # What is wanted

    def _lack(self) -> int:
        """Return how many more trials are wanted; retries stand in the place of others."""
        counts = self.store.studies.counts(self.study.id)
        asked = sum(number for (origin, _), number in counts.items() if origin is TrialOrigin.ASKED)
        points = space.points(self.spec.space) if self.spec.sampler.name == "grid" else None
        wanted = self.study.wanted if points is None else min(self.study.wanted, points)
        return wanted - asked

    def _room(self) -> int:
        running = self.store.studies.trials(self.study.id, [TrialState.RUNNING])
        return self.study.parallel - len(running)

    def _ask(self) -> None:
        room, ruled_out = min(self._room(), self._lack()), 0
        while room > 0 and ruled_out < MOST_RULED_OUT:
            self._hold_on()
            reach(Edge.ASK)
            if self._begin(self.optuna.ask()):
                room -= 1
            else:
                ruled_out += 1

    def _hold_on(self) -> None:
        """Hold the study for longer; raise ClaimLost if somebody else has had it meanwhile."""
        if not self.store.studies.prolong(self.study.id, self.owner, CLAIM):
            raise ClaimLost(self.study.id, self.owner)

    def _run_again(self) -> None:
        """Run failed trials once more that somebody wants to be."""
        wanted = [
            t for t in self.store.studies.trials(self.study.id, [TrialState.FAILED]) if t.again_at is not None
        ]
        if not wanted:
            return
        every = self.store.studies.trials(self.study.id)
        done = {trial.retry_of for trial in every}
        for trial in [each for each in wanted if each.number not in done][: max(0, self._room())]:
            self._begin(self.optuna.again(trial))

    def _warm_up(self) -> None:
        """Let the sampler know the trials of another study before it proposes any."""
        if self.spec.warm_start is None or self.optuna.count():
            return
        known = self.store.studies.trials(self.spec.warm_start, [TrialState.COMPLETE])
        fitting = [trial for trial in known if self._fits(trial)]
        self.optuna.add(fitting)
        for number, trial in enumerate(fitting):
            asked = Asked(number=number, params=trial.params)
            self._write(asked, state=TrialState.COMPLETE, origin=TrialOrigin.WARM, values=trial.values)

    def _fits(self, trial: Trial) -> bool:
        names = set(trial.params) == set(self.spec.names)
        return names and all(each.holds(trial.params[each.name]) for each in self.spec.space)

    def _begin(self, asked: Asked) -> bool:
        """Write a trial down with its jobs; False for settings that do not go together."""
        work = self.work
        trouble = space.problem(work.entry, self.spec.job.config, asked.params)
        if trouble is not None:
            self.optuna.tell(asked.number, TrialState.FAILED, None)
            self._write(asked, state=TrialState.FAILED, origin=TrialOrigin.RULED_OUT, error=trouble)
            return False
        origin = TrialOrigin.ASKED if asked.retry_of is None else TrialOrigin.RETRY
        trial = Trial(
            study_id=self.study.id,
            number=asked.number,
            state=TrialState.RUNNING,
            origin=origin,
            params=asked.params,
            retry_of=asked.retry_of,
        )
        submissions = work.of_trial(trial, stand_ins(self.store, self.work, trial), self._origins(trial))
        usual = work.with_memory(self.store, submissions)
        kept, _ = self.store.studies.begin_trial(trial, self.owner, usual)
        if kept.number != asked.number:  # the failed trial was run again already
            self.optuna.tell(asked.number, TrialState.FAILED, None)
            self._write(asked, state=TrialState.FAILED, origin=TrialOrigin.RULED_OUT, error=NOT_WANTED)
            return False
        return True

    def _write(
        self,
        asked: Asked,
        *,
        state: TrialState,
        origin: TrialOrigin,
        values: tuple[float, ...] | None = None,
        error: str = "",
    ) -> None:
        """Write down a trial for which nothing is computed."""
        trial = Trial(
            study_id=self.study.id,
            number=asked.number,
            state=state,
            origin=origin,
            params=asked.params,
            values=values,
            error=error,
        )
        kept, _ = self.store.studies.begin_trial(trial, self.owner, [])
        self.summary.ended(kept, ())

    def _origins(self, trial: Trial) -> list[str | None]:
        """Return the jobs of the failed trial in whose place this one stands: their checkpoints count."""
        if trial.retry_of is None:
            return []
        keys = keys_of(self.study, self.spec, trial.retry_of)
        found = self.store.jobs.of_keys(keys)
        return [found[key].id if key in found else None for key in keys]

    def _is_over(self) -> bool:
        """Say whether no trial runs and none is wanted."""
        if self.study.state is not StudyState.RUNNING or self._lack() > 0:
            return False
        return not self.store.studies.trials(self.study.id, [TrialState.RUNNING]) and not self._owed()

    def _owed(self) -> bool:
        trials = self.store.studies.trials(self.study.id, [TrialState.FAILED])
        wanted = {trial.number for trial in trials if trial.again_at is not None}
        if not wanted:
            return False
        return bool(wanted - {trial.retry_of for trial in self.store.studies.trials(self.study.id)})
