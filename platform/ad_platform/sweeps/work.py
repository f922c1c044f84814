"""What the trials of a study come to: their jobs, the trainings these share, and the jobs of the best one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ad_platform import memory, planning
from ad_platform.catalogue import DetectorEntry
from ad_platform.records import Job, Study, Trial
from ad_platform.results import result_of
from ad_platform.specs import JobSpec, Json, Submission
from ad_platform.states import JobKind, JobState
from ad_platform.store.contract import Store
from ad_platform.sweeps import space
from ad_platform.sweeps.sharing import training_key
from ad_platform.sweeps.study_spec import StudySpec

SWEEP_TAG, TRIAL_TAG = "sweep", "trial"
RUNG = "rung/"  # of a job's progress: how the first objective looked after so many rungs
TRAIN, EVALUATE = "train", "evaluate"
PRESET = "preset"  # what stands for the settings that the study began with, in the place of a trial's number


def keys_of(study: Study, spec: StudySpec, number: int) -> list[str]:
    """Return the submit keys of a trial's jobs, one for each repeat."""
    return [f"sweep/{study.id}/{number}/{repeat}" for repeat in range(spec.seeds)]


def final_keys(study: Study, which: int | str) -> dict[str, str]:
    """Return the submit keys of the training and the evaluation of a trial's settings, or of the preset's."""
    key = f"sweep/{study.id}/best/{which}"
    return {TRAIN: key, EVALUATE: f"{key}/evaluate"}


class Work:
    """Makes the submissions of one study."""

    def __init__(self, study: Study, spec: StudySpec, entry: DetectorEntry) -> None:
        self.study, self.spec, self.entry = study, spec, entry

    def job_specs(self, params: Mapping[str, Json]) -> list[JobSpec]:
        """Return the spec of each repeat of a trial."""
        job = self.spec.job
        config = space.config_of(self.entry, job.config, params)
        return [replace(job, config=config, seed=job.seed + repeat) for repeat in range(self.spec.seeds)]

    def training_keys(self, params: Mapping[str, Json]) -> list[str | None]:
        """Return the submit key of the training that each repeat needs; None where it fits by itself."""
        return [training_key(self.entry, spec) for spec in self.job_specs(params)]

    def of_trial(
        self,
        trial: Trial,
        trainings: Mapping[str, str],
        origins: Sequence[str | None] = (),
    ) -> list[Submission]:
        """Return a trial's jobs, each behind the training it needs.

        `trainings` names the job that stands for a training's key where that is not the first job of the key;
        `origins` are the jobs whose checkpoints the repeats go on from.
        """
        found: list[Submission] = []
        keys = keys_of(self.study, self.spec, trial.number)
        for repeat, spec in enumerate(self.job_specs(trial.params)):
            needs: tuple[str, ...] = ()
            training = training_key(self.entry, spec)
            if training is not None and training in trainings:
                needs = (trainings[training],)
            elif training is not None:
                found.append(self._training(training, spec))
                needs = (f"#{len(found) - 1}",)
            name = f"{self.study.name} #{trial.number}" + (f".{repeat}" if self.spec.seeds > 1 else "")
            found.append(
                replace(
                    self._plain(spec, name),
                    key=keys[repeat],
                    needs=needs,
                    tags={**self._tags, TRIAL_TAG: str(trial.number)},
                    retry_of=origins[repeat] if origins else None,
                )
            )
        return found

    def of_final(self, which: int | str, params: Mapping[str, Json]) -> list[Submission]:
        """Return the jobs that train and evaluate the settings of a trial, or those the study began with."""
        keys, spec = final_keys(self.study, which), self.job_specs(params)[0]
        trained = replace(spec, kind=JobKind.TRAIN, measures=())
        label = PRESET if which == PRESET else f"best (#{which})"
        return [
            replace(self._plain(trained, f"{self.study.name} {label}"), key=keys[TRAIN]),
            replace(
                self._plain(
                    planning.evaluation_spec(trained, spec.dataset, "#0"), f"{self.study.name} {label}"
                ),
                key=keys[EVALUATE],
                needs=("#0",),
            ),
        ]

    def with_memory(self, store: Store, submissions: Sequence[Submission]) -> list[Submission]:
        """Return submissions that ask for as much memory as jobs like them took, unless one was said."""
        if self.spec.scheduling.memory_mb is not None:
            return [*submissions]
        return [memory.with_usual(store, each) for each in submissions]

    def _training(self, key: str, spec: JobSpec) -> Submission:
        trained = replace(spec, kind=JobKind.TRAIN, measures=())
        return replace(self._plain(trained, f"{self.study.name} training"), key=key)

    @property
    def _tags(self) -> dict[str, str]:
        return {**self.spec.scheduling.tags, SWEEP_TAG: self.study.name}

    def _plain(self, spec: JobSpec, name: str) -> Submission:
        scheduling = self.spec.scheduling
        return Submission(
            spec=spec,
            user=self.study.user,
            name=name,
            tags=self._tags,
            group=self.study.name,
            queue=scheduling.queue,
            priority=scheduling.priority,
            gpus=self.spec.gpus,
            memory_mb=scheduling.memory_mb or 0,
            preemptible=scheduling.preemptible,
            max_attempts=scheduling.max_attempts,
            timeout=scheduling.timeout,
            code=self.spec.code,
        )


def values_of(spec: StudySpec, jobs: Sequence[Job]) -> tuple[float, ...] | None:
    """Return the mean of each objective over a trial's succeeded jobs; None if one did not measure it."""
    means: list[float] = []
    for objective in spec.objectives:
        measured = [result_of(job).metrics.get(objective.metric) for job in jobs]
        known = [value for value in measured if value is not None]
        if len(known) < len(measured) or not known:
            return None
        means.append(sum(known) / len(known))
    return tuple(means)


def rungs_of(jobs: Sequence[Job]) -> dict[int, float]:
    """Return the mean of the first objective after each rung, from 1, that every repeat has reached."""
    reached = [_rungs(job) for job in jobs]
    common = set.intersection(*map(set, reached)) if reached else set()
    return {rung: sum(each[rung] for each in reached) / len(reached) for rung in sorted(common)}


def _rungs(job: Job) -> dict[int, float]:
    result = job.result.get("rungs")
    if job.state is JobState.SUCCEEDED and isinstance(result, list):
        listed = dict(enumerate(result, 1))
        return {rung: float(value) for rung, value in listed.items() if isinstance(value, int | float)}
    metrics = job.progress.metrics
    return {int(name[len(RUNG) :]): value for name, value in metrics.items() if name.startswith(RUNG)}
