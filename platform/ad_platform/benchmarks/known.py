"""Which cells of a benchmark were computed before: by the address of the model and the rules of measuring."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ad_platform.benchmarks.addresses import MODEL, RULES, rules_of
from ad_platform.catalogue import DetectorEntry
from ad_platform.records import Job
from ad_platform.specs import DatasetRef, JobSpec
from ad_platform.states import CollectedState, JobKind, JobState
from ad_platform.store.contract import Store
from ad_platform.store.retention_contract import Mark

MOST = 10_000  # evaluations of a detector on a category that are looked at


@dataclass
class Known:
    """Finds evaluations that stand for what would be computed; looks at each category once."""

    store: Store
    _found: dict[tuple[str, str], Mapping[str, Job]] = field(default_factory=dict)
    _marks: Mapping[str, Mark] | None = None

    def evaluation(self, entry: DetectorEntry, data: DatasetRef, address: str) -> Job | None:
        """Return the newest evaluation of such a model, on these very images and by today's rules."""
        key = (entry.name, data.fingerprint)
        if key not in self._found:
            self._found[key] = self._addressed(entry, data)
        return self._found[key].get(address)

    def _addressed(self, entry: DetectorEntry, data: DatasetRef) -> Mapping[str, Job]:
        every = self.store.jobs.search(
            states=[JobState.SUCCEEDED],
            kind=JobKind.EVALUATE,
            detector=entry.name,
            category=data.category,
            oldest_first=True,
            limit=MOST,
        )
        rules = dict(rules_of(entry))
        fitting = [
            job
            for job in every
            if job.spec.dataset.fingerprint == data.fingerprint
            and job.result.get(RULES) == rules
            and not self._is_away(job.id)
        ]
        return {str(address): job for job, address in self._models(fitting) if isinstance(address, str)}

    def _is_away(self, job_id: str) -> bool:
        """Say whether a job's files were collected: what it measured cannot be shown any more."""
        if self._marks is None:
            self._marks = self.store.retention.marks()
        mark = self._marks.get(f"jobs/{job_id}")
        return mark is not None and mark.state is not CollectedState.RESTORED

    def _models(self, evaluations: Iterable[Job]) -> Iterable[tuple[Job, object]]:
        for job in evaluations:
            if job.spec.source is None:
                continue
            trained = self.store.jobs.get(job.spec.source)
            if _alike(trained.spec, job.spec) and not self._is_away(trained.id):
                yield job, trained.result.get(MODEL)


def _alike(trained: JobSpec, scored: JobSpec) -> bool:
    """Say whether an evaluation is that of the images a model was fitted to, held out alike."""
    return (trained.dataset.fingerprint, trained.holdout) == (scored.dataset.fingerprint, scored.holdout)
