"""Studies as a sweeper leaves them, on a real store: how trials ended, and what came of it."""

from collections.abc import Mapping
from dataclasses import replace

import study_cases as cases
from ad_platform.records import Job, Study, Trial
from ad_platform.specs import Json, Submission
from ad_platform.states import JobKind, StudyState, TrialOrigin, TrialState
from ad_platform.sweeps.study_spec import StudySpec
from job_stories import Stories

OWNER = "sweeper"
SPEC = cases.spec(space=(cases.NOISE, cases.W))


class StudyStory:
    """One study, taken further by hand."""

    def __init__(self, stories: Stories, spec: StudySpec = SPEC, name: str = "screw-noise") -> None:
        self.stories, self.spec, self.store = stories, spec, stories.store
        made = cases.study(spec, id=f"id-{name}", name=name, state=StudyState.RUNNING, finished_at=None)
        self.id = self.store.studies.create(made).id
        self.summary: dict[str, Json] = {}

    @property
    def study(self) -> Study:
        """Return the study as it stands."""
        return self.store.studies.get(self.id)

    def trial(
        self,
        number: int,
        value: float | None = None,
        state: TrialState = TrialState.COMPLETE,
        origin: TrialOrigin = TrialOrigin.ASKED,
        retry_of: int | None = None,
    ) -> Trial:
        """Begin a trial with a job; end it ten seconds later if a value or another state is given."""
        assert self.store.studies.claim(self.id, OWNER, 1e9)
        params: dict[str, Json] = {"noise_step": 50 + 25 * (number % 19), "w": round(0.37 * (number % 30), 2)}
        begun = Trial(
            study_id=self.id,
            number=number,
            state=TrialState.RUNNING,
            origin=origin,
            params=params,
            retry_of=retry_of,
        )
        trial, _ = self.store.studies.begin_trial(begun, OWNER, [self.submission(number)])
        if value is None and state is TrialState.COMPLETE:
            return trial
        self.stories.time += 10
        values = None if value is None else tuple(value + index for index in range(len(self.spec.objectives)))
        return self.store.studies.end_trial(self.id, number, state, values)

    def submission(self, number: int, kind: JobKind = JobKind.TRIAL) -> Submission:
        """Return the job of a trial."""
        spec = replace(self.spec.job, kind=kind)
        name = self.study.name
        tags = {"sweep": name, "trial": str(number), "selected_on": "validation"}
        key = f"sweep/{self.id}/{number}/0"
        return Submission(spec=spec, user="ann", group=name, tags=tags, key=key, name=f"{name} #{number}")

    def job(self, number: int) -> Job:
        """Return the job of a trial."""
        key = f"sweep/{self.id}/{number}/0"
        return self.store.jobs.of_keys([key])[key]

    def summarise(self, *, finished: bool = False, **more: Json) -> Study:
        """Keep a summary that differs from the one before, and end the study if it has finished."""
        self.summary = {**self.summary, "turn": len(self.summary) + int(self.stories.time), **more}
        assert self.store.studies.claim(self.id, OWNER, 1e9)
        return self.store.studies.summarise(self.id, OWNER, self.summary, finished=finished)

    def finish(self, chosen: int, value: float, test: float = 0.9) -> Study:
        """End the study with a chosen trial and what its evaluation found."""
        final: Mapping[str, Json] = {
            "number": chosen,
            "train": "train-job",
            "evaluate": "evaluate-job",
            "metrics": {"test/image_auroc": test},
            "intervals": {"test/image_auroc": [test - 0.05, test + 0.05]},
        }
        self.stories.time += 10
        best: Json = {"number": chosen, "values": [value], "params": {}}
        return self.summarise(finished=True, best=best, final=dict(final))
