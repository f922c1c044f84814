"""Sweeps that nobody advances, for tests of who asks for them: everything is read from the store."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from ad_platform import planning
from ad_platform.client import Client
from ad_platform.errors import Conflict
from ad_platform.records import Job, Study, Trial
from ad_platform.requests import Promotion
from ad_platform.states import JobKind, StudyState, TrialOrigin, TrialState
from ad_platform.sweeps import dimensions, objectives
from ad_platform.sweeps.asking import SweepPlan, SweepRequest
from ad_platform.sweeps.steering import SweepView, TrialView
from ad_platform.sweeps.study_spec import Method, StudySpec

COUNTED = (TrialOrigin.ASKED, TrialOrigin.RETRY)


class FakeSweeps:
    """Does what `Sweeps` promises, with the least of searching."""

    def __init__(self, client: Client) -> None:
        self._client, self._studies = client, client.store.studies

    def plan(self, request: SweepRequest) -> SweepPlan:
        entry = self._client.catalogue().entry(request.train.detector)
        trained = planning.train_spec(entry, request.train)
        compared = objectives.parse_all(request.objectives)
        space = [dimensions.parse(entry, text) for text in request.params]
        space = space or [
            dimensions.of_range(entry, name, low=1e-5, high=0.1, log=True) for name in entry.space
        ]
        pruner = request.pruner or ("median" if len(compared) == 1 else "none")
        spec = StudySpec(
            job=replace(
                trained, kind=JobKind.TRIAL, measures=tuple(objective.metric for objective in compared)
            ),
            space=tuple(space),
            objectives=compared,
            sampler=Method(name=request.sampler),
            pruner=Method(name=pruner),
            seed=request.sampler_seed,
            seeds=request.seeds,
            scheduling=request.train.scheduling,
            gpus=planning.gpus(trained.device),
            warm_start=request.warm_start and self.find(request.warm_start).id,
            tested=request.tested,
        )
        counts = [dimension.count for dimension in space]
        points = None
        if all(counts):
            points = 1
            for number in counts:
                points *= number or 1
        name = request.name or self._free(f"{entry.name}-{trained.dataset.category}")
        notes = ("test labels choose the settings",) if spec.on_test else ()
        return SweepPlan(
            spec=spec,
            name=name,
            trials=request.trials,
            parallel=request.parallel,
            notes=notes,
            points=points,
            trainings=1,
        )

    def submit(self, plan: SweepPlan) -> Study:
        fresh = Study(
            id=uuid4().hex[:16],
            name=plan.name,
            state=StudyState.RUNNING,
            spec=plan.spec.to_json(),
            user=self._client.settings.user,
            wanted=plan.trials,
            parallel=plan.parallel,
        )
        made = self._studies.create(fresh)
        if made.id != fresh.id:
            raise Conflict(f"there is a sweep named '{made.name}' already; give another: --name TEXT")
        return made

    def list(self) -> "list[SweepView]":
        return [self.view(study) for study in self._studies.search()]

    def find(self, text: str) -> Study:
        newest = self._studies.search(limit=1) if text.lower() == "@last" else []
        return newest[0] if newest else self._studies.get(text)

    def view(self, study: Study) -> SweepView:
        study = self._studies.get(study.id)
        spec, trials = StudySpec.from_json(study.spec), self.trials(study)
        retried = {one.trial.retry_of for one in trials}
        counted = [
            one.trial for one in trials if one.trial.origin in COUNTED and one.trial.number not in retried
        ]
        states = [trial.state for trial in counted]
        several = len(spec.objectives) > 1
        done = _done(trials)
        top = None if several else _top(spec, done)
        final = study.summary.get("final")
        left = study.summary.get("seconds_left")
        return SweepView(
            study=study,
            spec=spec,
            asked=len(counted),
            complete=states.count(TrialState.COMPLETE),
            pruned=states.count(TrialState.PRUNED),
            failed=states.count(TrialState.FAILED),
            running=states.count(TrialState.RUNNING),
            ruled_out=sum(one.trial.origin is TrialOrigin.RULED_OUT for one in trials),
            warm=sum(one.trial.origin is TrialOrigin.WARM for one in trials),
            wanted=study.wanted,
            best=top,
            front=tuple(one.trial.number for one in done if _on_front(spec, one, done)) if several else (),
            ties=0 if top is None else sum(one.trial.values == top.trial.values for one in done) - 1,
            saturated=sum(one.trial.values == (1.0,) for one in done),
            trainings=sum(job.kind is JobKind.TRAIN for job in self._jobs(study)),
            seconds_left=float(left) if isinstance(left, int | float) else None,
            final=final if isinstance(final, dict) else {},
        )

    def trials(self, study: Study) -> "list[TrialView]":
        jobs = self._jobs(study)
        found = []
        for trial in self._studies.trials(study.id):
            own = [job for job in jobs if job.tags.get("trial") == str(trial.number)]
            own.sort(key=lambda job: job.seq)
            times = [job.finished_at - job.started_at for job in own if job.finished_at and job.started_at]
            found.append(TrialView(trial=trial, jobs=tuple(own), seconds=sum(times) if times else None))
        return found

    def pause(self, text: str) -> Study:
        return self._studies.steer(self.find(text).id, state=StudyState.PAUSED)

    def resume(self, text: str) -> Study:
        return self._studies.steer(self.find(text).id, state=StudyState.RUNNING)

    def extend(self, text: str, *, trials: int | None, parallel: int | None) -> Study:
        study = self.find(text)
        wanted = None if trials is None else study.wanted + trials
        return self._studies.steer(study.id, state=StudyState.RUNNING, wanted=wanted, parallel=parallel)

    def stop(self, text: str) -> Study:
        study = self.find(text)
        self._cancel_jobs(study)
        return self._studies.steer(study.id, wanted=self.view(study).asked)

    def cancel(self, text: str) -> Study:
        study = self.find(text)
        self._cancel_jobs(study)
        return self._studies.steer(study.id, state=StudyState.STOPPED)

    def retry(self, text: str) -> "list[Trial]":
        return self._studies.retry(self.find(text).id)

    def clone(self, text: str, *, name: str, trials: int | None, parallel: int | None, warm: bool) -> Study:
        study = self.find(text)
        spec = StudySpec.from_json(study.spec)
        return self.submit(
            SweepPlan(
                spec=replace(spec, cloned_from=study.id, warm_start=study.id if warm else None),
                name=name or self._free(study.name.rpartition("-")[0] or study.name),
                trials=trials or study.wanted,
                parallel=parallel or study.parallel,
            )
        )

    def best(self, text: str) -> TrialView | None:
        return self.view(self.find(text)).best

    def promote_best(self, text: str, alias: str, *, force: bool, reason: str) -> Promotion:
        study = self.find(text)
        job = self.view(study).final.get("train")
        if not isinstance(job, str):
            raise Conflict(
                f"the best of sweep {study.name} is not evaluated yet: adctl sweep watch {study.name}"
            )
        return self._client.promote(job, alias, force=force, reason=reason)

    def _jobs(self, study: Study) -> "list[Job]":
        return self._client.store.jobs.search(group=study.name, limit=10_000)

    def _cancel_jobs(self, study: Study) -> None:
        for job in self._jobs(study):
            if not job.state.terminal:
                self._client.store.jobs.cancel(job.id)

    def _free(self, stem: str) -> str:
        known = {study.name for study in self._studies.search()}
        number = 1
        while f"{stem}-{number}" in known:
            number += 1
        return f"{stem}-{number}"


def _done(trials: Sequence[TrialView]) -> "list[TrialView]":
    return [one for one in trials if one.trial.state is TrialState.COMPLETE and one.trial.values]


def _top(spec: StudySpec, done: Sequence[TrialView]) -> TrialView | None:
    found: TrialView | None = None
    for one in done:
        value = (one.trial.values or (0.0,))[0]
        if found is None or spec.objectives[0].better(value, (found.trial.values or (0.0,))[0]):
            found = one
    return found


def _on_front(spec: StudySpec, one: TrialView, done: Sequence[TrialView]) -> bool:
    def beats(other: TrialView) -> bool:
        pairs = list(zip(spec.objectives, other.trial.values or (), one.trial.values or (), strict=True))
        return any(goal.better(theirs, mine) for goal, theirs, mine in pairs) and not any(
            goal.better(mine, theirs) for goal, theirs, mine in pairs
        )

    return not any(beats(other) for other in done)
