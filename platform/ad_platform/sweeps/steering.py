"""What a person can do with sweeps, from planning one to promoting its best."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Unpack

from ad_platform.errors import Conflict, InvalidRequest, InvalidValue
from ad_platform.naming import LAST, checked, free
from ad_platform.paging import paged
from ad_platform.records import Study, Trial
from ad_platform.requests import GroupFilter, Promotion
from ad_platform.states import JobState, StudyState, TrialOrigin, TrialState
from ad_platform.sweeps import asking, space, viewing
from ad_platform.sweeps.asking import SweepPlan, SweepRequest
from ad_platform.sweeps.study_spec import StudySpec
from ad_platform.sweeps.viewing import SweepView, TrialView

if TYPE_CHECKING:
    from ad_platform.client import Client

# `list` is a method below.
Views: TypeAlias = list[SweepView]
Trials: TypeAlias = list[Trial]
TrialViews: TypeAlias = list[TrialView]
MOST = 1000  # sweeps that are listed


class Sweeps:
    """Sweeps as a person has them; safe to call again, since the store decides every race."""

    def __init__(self, client: "Client") -> None:
        self._client, self._store = client, client.store

    def plan(self, request: SweepRequest) -> SweepPlan:
        """Return what a request comes to; raise UnknownName, InvalidValue or InvalidRequest."""
        entry = self._client.catalogue().entry(request.train.detector)
        spec, notes = asking.spec_of(entry, request)
        data = spec.job.dataset
        usual = f"{entry.name}-{data.category}"
        name = self._checked(request.name) if request.name else self._free(usual)
        if request.warm_start is not None:
            spec, more = self._warmed(spec, self.find(request.warm_start))
            notes = (*notes, *more)
        return SweepPlan(
            spec=replace(spec, code=dict(self._client.code)),
            name=name,
            trials=request.trials,
            parallel=min(request.parallel, request.trials),
            notes=notes,
            points=space.points(spec.space),
            trainings=asking.trainings(entry, spec),
        )

    def submit(self, plan: SweepPlan) -> Study:
        """Remember a sweep, for workers to take further; raise Conflict for a name in use."""
        study = Study(
            id=secrets.token_hex(8),
            name=plan.name,
            state=StudyState.RUNNING,
            spec=plan.spec.to_json(),
            user=self._client.settings.user,
            wanted=plan.trials,
            parallel=plan.parallel,
        )
        made = self._store.studies.create(study)
        if made.id != study.id:
            raise Conflict(f"there is a sweep named '{plan.name}' already; give another --name")
        self._client.announce()
        return made

    def list(self) -> Views:
        """Return the sweeps, newest first."""
        studies = self._store.studies.search(limit=MOST)
        return [viewing.sweep_view(self._store, study, brief=True) for study in studies]

    def each(self, **wanted: Unpack[GroupFilter]) -> Iterator[Study]:
        """Yield the sweeps that a filter keeps, newest first unless told otherwise; it may keep more."""
        yield from paged(self._store.studies.find, wanted)

    def brief(self, study: Study) -> SweepView:
        """Return how a sweep stands, one of many: without its jobs and how long it will take."""
        return viewing.sweep_view(self._store, study, row=True)

    def find(self, text: str) -> Study:
        """Return a sweep by name, id, the beginning of its id, or "@last"; raise UnknownName."""
        if text.lower() == LAST:
            newest = self._store.studies.search(limit=1)
            if newest:
                return newest[0]
        return self._store.studies.get(text)

    def view(self, study: Study) -> SweepView:
        """Return how a sweep stands."""
        return viewing.sweep_view(self._store, study)

    def trials(self, study: Study) -> TrialViews:
        """Return a sweep's trials by number."""
        spec = StudySpec.from_json(study.spec)
        return viewing.trial_views(self._store, study, spec, self._store.studies.trials(study.id))

    def pause(self, text: str) -> Study:
        """Ask for no more trials; what runs goes on."""
        return self._store.studies.steer(self._live(text).id, state=StudyState.PAUSED)

    def resume(self, text: str) -> Study:
        """Let a paused or cancelled sweep go on."""
        study = self.find(text)
        if study.state is StudyState.FINISHED:
            raise Conflict(
                f"sweep {study.name} has finished; more trials: adctl sweep extend {study.name} --trials N"
            )
        return self._steered(study, state=StudyState.RUNNING)

    def extend(self, text: str, *, trials: int | None = None, parallel: int | None = None) -> Study:
        """Want more trials, or another number at a time; a finished sweep goes on."""
        if trials is None and parallel is None:
            raise InvalidRequest("say by how much: --trials N more, or --parallel N at a time")
        if trials is not None and trials < 1:
            raise InvalidValue(f"--trials must be at least 1 more, not {trials}")
        study = self.find(text)
        counts = self._store.studies.counts(study.id)
        asked = sum(number for (origin, _), number in counts.items() if origin is TrialOrigin.ASKED)
        points = space.points(StudySpec.from_json(study.spec).space)
        grid = StudySpec.from_json(study.spec).sampler.name == "grid"
        if trials is not None and grid and points is not None and asked >= points:
            raise Conflict(f"the grid of sweep {study.name} has {points} points, and all were tried")
        state = StudyState.RUNNING if trials is not None else None
        wanted = None if trials is None else max(study.wanted, asked) + trials
        return self._steered(study, state=state, wanted=wanted, parallel=parallel)

    def stop(self, text: str) -> Study:
        """Ask for no more and cancel what runs; the best so far is trained and evaluated."""
        study = self._live(text)
        counts = self._store.studies.counts(study.id)
        asked = sum(number for (origin, _), number in counts.items() if origin is TrialOrigin.ASKED)
        stopped = self._store.studies.steer(study.id, state=StudyState.RUNNING, wanted=asked)
        self._cancel_trials(stopped)
        return stopped

    def cancel(self, text: str) -> Study:
        """End a sweep and everything it has running, and make nothing of it."""
        study = self._live(text)
        stopped = self._store.studies.steer(study.id, state=StudyState.STOPPED)
        for job in viewing.jobs_of(self._store, stopped, open_only=True):
            self._store.jobs.cancel(job.id)
        return stopped

    def retry(self, text: str) -> Trials:
        """Run the failed trials once more; raise Conflict where there are none."""
        study = self.find(text)
        again = self._store.studies.retry(study.id)
        if not again:
            raise Conflict(f"sweep {study.name} has no failed trial that was not run again already")
        self._client.announce()
        return again

    def clone(
        self,
        text: str,
        *,
        name: str = "",
        trials: int | None = None,
        parallel: int | None = None,
        warm: bool = False,
    ) -> Study:
        """Ask for the same once more under another name; `warm`: with the trials of the first one known."""
        study = self.find(text)
        spec = replace(StudySpec.from_json(study.spec), cloned_from=study.id, code=dict(self._client.code))
        plan = SweepPlan(
            spec=replace(spec, warm_start=study.id if warm else None),
            name=self._checked(name) if name else self._free(re.sub(r"-\d+$", "", study.name)),
            trials=study.wanted if trials is None else trials,
            parallel=study.parallel if parallel is None else parallel,
        )
        return self.submit(plan)

    def best(self, text: str) -> TrialView | None:
        """Return the best trial so far by the first objective."""
        study = self.find(text)
        return viewing.best_of(self._store, study, StudySpec.from_json(study.spec))

    def report(self, study: Study, folder: Path) -> None:
        """Write the page about a sweep and the table of its trials into a folder; raises MissingExtra."""
        from ad_platform.sweeps.report import report_of

        report_of(self._store, study, folder)

    def promote_best(self, text: str, alias: str, *, force: bool = False, reason: str = "") -> Promotion:
        """Let the model of the best trial carry an alias; raise Conflict while it is not evaluated yet."""
        return self._client.promote(self.best_model(text), alias, force=force, reason=reason)

    def best_model(self, text: str) -> str:
        """Return the id of the job that fitted the best; raise Conflict while it is not evaluated yet."""
        study = self.find(text)
        final = viewing.sweep_view(self._store, study).final
        evaluation, best = final.get("evaluate"), self.best(study.id)
        if best is None:
            raise Conflict(f"sweep {study.name} has no complete trial yet: adctl sweep show {study.name}")
        if not isinstance(evaluation, str) or final.get("number") != best.trial.number:
            raise Conflict(
                f"sweep {study.name} has not finished, and its best is trained at the end: "
                f"adctl sweep watch {study.name}, or now: adctl sweep stop {study.name}"
            )
        if self._store.jobs.get(evaluation).state is not JobState.SUCCEEDED:
            raise Conflict(f"the best of sweep {study.name} is not evaluated yet: adctl watch {evaluation}")
        return str(final["train"])

    def _steered(
        self,
        study: Study,
        *,
        state: StudyState | None = None,
        wanted: int | None = None,
        parallel: int | None = None,
    ) -> Study:
        """Change a study, and have it taken further at once."""
        changed = self._store.studies.steer(study.id, state=state, wanted=wanted, parallel=parallel)
        self._client.announce()
        return changed

    def _live(self, text: str) -> Study:
        study = self.find(text)
        if study.state in (StudyState.FINISHED, StudyState.STOPPED):
            raise Conflict(f"sweep {study.name} is {study.state} already: adctl sweep show {study.name}")
        return study

    def _cancel_trials(self, study: Study) -> None:
        running = self._store.studies.trials(study.id, [TrialState.RUNNING])
        spec = StudySpec.from_json(study.spec)
        for view in viewing.trial_views(self._store, study, spec, running):
            for job in view.jobs:
                self._store.jobs.cancel(job.id)
        for job in viewing.jobs_of(self._store, study, open_only=True):
            if job.key is not None and job.key.startswith("stage/"):
                self._store.jobs.cancel(job.id)

    def _checked(self, name: str) -> str:
        """Return a name that no benchmark has; raise InvalidValue or Conflict."""
        checked("sweep", name)
        if name in self._store.benchmarks.names():
            raise Conflict(f"there is a benchmark named '{name}' already; give another --name")
        return name

    def _free(self, start: str) -> str:
        """Return the first free name of a row: ddad-screw-1, ddad-screw-2."""
        return free(start, self._store.studies.names() | self._store.benchmarks.names(), "sweep")

    def _warmed(self, spec: StudySpec, other: Study) -> tuple[StudySpec, tuple[str, ...]]:
        """Return a spec that begins with the trials of another study, and what is to be said of them."""
        theirs = StudySpec.from_json(other.spec)
        if theirs.names != spec.names and set(theirs.names) != set(spec.names):
            raise InvalidRequest(
                f"sweep {other.name} searched {', '.join(theirs.names)}, and this one searches "
                f"{', '.join(spec.names)}: its trials say nothing here"
            )
        if theirs.objectives != spec.objectives:
            raise InvalidRequest(
                f"sweep {other.name} compared {', '.join(o.words for o in theirs.objectives)}, and this one "
                f"{', '.join(o.words for o in spec.objectives)}: its trials say nothing here"
            )
        trials = self._store.studies.trials(other.id, [TrialState.COMPLETE])
        fitting = [t for t in trials if all(d.holds(t.params[d.name]) for d in spec.space)]
        notes = [
            f"{len(fitting)} of {len(trials)} complete trials of sweep {other.name} are known from the start"
        ]
        if theirs.job.dataset.fingerprint != spec.job.dataset.fingerprint:
            notes.append(f"sweep {other.name} was measured on other images, so its values mean less here")
        return replace(spec, warm_start=other.id), tuple(notes)
