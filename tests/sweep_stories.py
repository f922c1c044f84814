"""Sweeps for tests: a study on a store, with trials and jobs as they would be after a while."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from ad_platform.records import Capabilities, Holding, Job, Lease, Outcome, Study, Trial
from ad_platform.requests import Scheduling
from ad_platform.specs import DatasetRef, JobSpec, Json, Submission
from ad_platform.states import (
    AttemptOutcome,
    FailureClass,
    JobKind,
    StudyState,
    TrialOrigin,
    TrialState,
)
from ad_platform.store.contract import Store
from ad_platform.sweeps.dimensions import CHOICE, FLOAT, INT, Dimension
from ad_platform.sweeps.objectives import parse_all
from ad_platform.sweeps.study_spec import Method, StudySpec
from ad_platform.sweeps.summing import Summary

OWNER = "a test"
DATA = DatasetRef(dataset="parts", category="screw", fingerprint="f" * 64, path="/data/parts/screw")
CONFIG: dict[str, Json] = {
    "image_size": 16,
    "lr": 0.01,
    "mode": "mean",
    "layers": [1],
    "clip": None,
    "flip": False,
    "backbone": "none",
}
SPACE = (
    Dimension(name="lr", kind=FLOAT, low=1e-4, high=0.1, log=True),
    Dimension(name="image_size", kind=INT, low=16, high=64, step=16),
    Dimension(name="mode", kind=CHOICE, choices=("mean", "median")),
)
STUDY_IDS = count(1)


def spec_of(**values: object) -> StudySpec:
    """Return the spec of a sweep of the detector "toy"."""
    objectives = parse_all(values.pop("objectives", ()))  # type: ignore[arg-type]
    data = values.pop("data", DATA)
    job = JobSpec(
        kind=JobKind.TRIAL,
        detector="toy",
        dataset=data,  # type: ignore[arg-type]
        config=CONFIG,
        preset="tiny",
        holdout="10/10",
        measures=tuple(objective.metric for objective in objectives),
    )
    usual = StudySpec(
        job=job,
        space=SPACE,
        objectives=objectives,
        sampler=Method(name="tpe"),
        pruner=Method(name="median"),
        scheduling=Scheduling(tags={"selected_on": "validation"}),
    )
    return replace(usual, **values)  # type: ignore[arg-type]


@dataclass
class Sweep:
    """A study of a store that a test lets come on, as the process that advances it would."""

    store: Store
    study: Study
    spec: StudySpec
    jobs: dict[int, list[Job]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        store: Store,
        name: str = "toy-screw-1",
        *,
        wanted: int = 10,
        parallel: int = 2,
        user: str = "kim",
        id: str = "",
        **spec: object,
    ) -> "Sweep":
        """Remember a new study."""
        made = spec_of(**spec)
        study = Study(
            id=id or f"5{next(STUDY_IDS):015x}",
            name=name,
            state=StudyState.RUNNING,
            spec=made.to_json(),
            user=user,
            wanted=wanted,
            parallel=parallel,
        )
        found = store.studies.create(study)
        store.studies.claim(found.id, OWNER, 1e9)
        return cls(store, found, made)

    @classmethod
    def found(cls, store: Store, name: str) -> "Sweep":
        """Return one that is in a store already, with its trials' jobs."""
        study = store.studies.get(name)
        sweep = cls(store, study, StudySpec.from_json(study.spec))
        for job in store.jobs.search(group=name, oldest_first=True):
            sweep.jobs.setdefault(int(job.tags["trial"]), []).append(job)
        store.studies.claim(study.id, OWNER, 1e9)
        return sweep

    @property
    def name(self) -> str:
        return self.study.name

    def ask(
        self,
        params: Mapping[str, Json],
        *,
        origin: TrialOrigin = TrialOrigin.ASKED,
        retry_of: int | None = None,
        needs: Sequence[str] = (),
    ) -> int:
        """Begin the next trial with a job for each seed, and return its number."""
        number = len(self.store.studies.trials(self.study.id))
        trial = Trial(
            study_id=self.study.id,
            number=number,
            state=TrialState.RUNNING,
            origin=origin,
            params=dict(params),
            retry_of=retry_of,
        )
        asked = [self._submission(number, repeat, params, needs) for repeat in range(self.spec.seeds)]
        _, self.jobs[number] = self.store.studies.begin_trial(trial, OWNER, asked)
        return number

    def _submission(
        self, number: int, repeat: int, params: Mapping[str, Json], needs: Sequence[str]
    ) -> Submission:
        spec = replace(self.spec.job, config={**self.spec.job.config, **params}, seed=repeat)
        return Submission(
            spec=spec,
            user=self.study.user,
            key=f"sweep/{self.study.id}/{number}/{repeat}",
            name=f"{self.name} #{number}",
            group=self.name,
            tags={"sweep": self.name, "trial": str(number)},
            needs=tuple(needs),
        )

    def known(self, params: Mapping[str, Json], value: float) -> int:
        """Remember a trial that came from another study, or with a state of its own."""
        return self.remember(TrialOrigin.WARM, TrialState.COMPLETE, params, (value,))

    def remember(
        self,
        origin: TrialOrigin,
        state: TrialState,
        params: Mapping[str, Json],
        values: tuple[float, ...] | None = None,
        error: str = "",
    ) -> int:
        """Remember a trial of which nothing is computed."""
        number = len(self.store.studies.trials(self.study.id))
        trial = Trial(
            study_id=self.study.id,
            number=number,
            state=state,
            origin=origin,
            params=dict(params),
            values=values,
            error=error,
        )
        self._keep(self.store.studies.begin_trial(trial, OWNER, [])[0])
        return number

    def _keep(self, trial: Trial) -> None:
        """Keep what the study has come to, as whoever advances it does."""
        summary = Summary.of(self.store.studies.get(self.study.id), self.spec)
        summary.ended(trial, ())
        counts = self.store.studies.counts(self.study.id)
        self.store.studies.summarise(self.study.id, OWNER, summary.to_json(counts))

    def run(self, number: int) -> None:
        """Let the jobs of a trial run, as the worker "w1" of the node "here"."""
        wanted = {job.id for job in self.jobs[number]}
        self.store.workers.hold([holding(self.spec.job.dataset)])
        able = Capabilities(worker="w1", node="here", detectors=frozenset({"toy"}))
        while wanted and (lease := self.store.leases.lease(able, 1e9)) is not None:
            wanted.discard(lease.job_id)

    def end(
        self,
        number: int,
        *values: float,
        state: TrialState = TrialState.COMPLETE,
        error: str = "",
    ) -> None:
        """End a trial and its jobs."""
        for job in self.jobs.get(number, ()):
            self._end_job(job, failed=state is TrialState.FAILED, error=error)
        trial = self.store.studies.end_trial(self.study.id, number, state, values or None, error)
        self._keep(trial)

    def _end_job(self, job: Job, *, failed: bool, error: str) -> None:
        current = self.store.jobs.get(job.id)
        if current.worker is None:
            self.store.jobs.cancel(job.id)
            return
        lease = Lease(job=current, attempt=current.attempt, worker=current.worker, seconds=1e9)
        outcome = Outcome(
            outcome=AttemptOutcome.FAILED if failed else AttemptOutcome.SUCCEEDED,
            failure=FailureClass.NAN if failed else None,
            error=error,
            result={"metrics": {}},
        )
        self.store.leases.finish(lease, outcome)

    def tried(self, params: Mapping[str, Json], *values: float, **end: object) -> int:
        """Begin, run and end a trial, and return its number."""
        number = self.ask(params)
        self.run(number)
        self.end(number, *values, **end)  # type: ignore[arg-type]
        return number

    def finish(self, **final: Json) -> None:
        """End the study with what its best came to."""
        summary = {**self.store.studies.get(self.study.id).summary, "final": final}
        self.store.studies.summarise(self.study.id, OWNER, summary, finished=True)


def holding(data: DatasetRef) -> Holding:
    """Return that a category lies on the node "here"."""
    return Holding(
        node="here",
        fingerprint=data.fingerprint,
        dataset=data.dataset,
        category=data.category,
        path=data.path,
    )
