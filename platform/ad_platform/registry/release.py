"""What travels with a registered model besides its weights: thresholds, threads, and a card for people."""

from collections.abc import Mapping
from dataclasses import dataclass

from ad_platform.records import Attempt, Champion, Job
from ad_platform.results import result_of, selected_on
from ad_platform.specs import Json
from ad_platform.states import JobKind, JobState
from ad_platform.store.contract import Store

# The names that the detectors library reads; the card is for people.
OPERATING, RELEASE, CARD = "operating_point.json", "release.json", "MODEL_CARD.md"


@dataclass(frozen=True, kw_only=True)
class Release:
    """A decision with the jobs that it rests on."""

    champion: Champion
    job: Job
    attempts: tuple[Attempt, ...]  # of the job
    evaluation: Job | None  # on the images that it was fitted to: only those calibrate it
    computed: Mapping[str, Json]  # the facts of that evaluation's last attempt

    @property
    def operating_point(self) -> Mapping[str, Json] | None:
        """Return the thresholds in force: those of the decision, or else of the evaluation."""
        decided = self.champion.evidence.get("operating_point")
        found = self.evaluation.result.get("operating_point") if self.evaluation else None
        chosen = decided if isinstance(decided, Mapping) else found
        return chosen if isinstance(chosen, Mapping) else None

    @property
    def threads(self) -> int | None:
        """Return how many threads computed the evaluation on a CPU: another number gives other bits."""
        threads = self.computed.get("threads")
        on_cpu = str(self.computed.get("device", "cpu")).startswith("cpu")
        return threads if on_cpu and isinstance(threads, int) and threads > 0 else None

    def facts(self) -> dict[str, Json]:
        """Return what identifies the model, as release.json and MLflow's metadata have it."""
        spec = self.job.spec
        return {
            "name": self.champion.model,
            "alias": self.champion.alias,
            "revision": self.champion.revision,
            "job": self.job.id,
            "attempts": len(self.attempts),
            "evaluation": self.evaluation.id if self.evaluation else None,
            "detector": spec.detector,
            "preset": spec.preset,
            "dataset": spec.dataset.dataset,
            "category": spec.dataset.category,
            "fingerprint": spec.dataset.fingerprint,
            "seed": spec.seed,
            "selected_on": selected_on(self.job),
            "code": dict(self.job.code),
            "bundle_sha256": result_of(self.job).manifest_sha256,
            "threads": self.threads,
        }


def release_of(store: Store, champion: Champion) -> Release:
    """Gather what a decision rests on."""
    job = store.jobs.get(champion.job_id)
    evaluation = _calibrating(store, champion, job)
    last = store.jobs.attempts(evaluation.id)[-1:] if evaluation else []
    return Release(
        champion=champion,
        job=job,
        attempts=tuple(store.jobs.attempts(job.id)),
        evaluation=evaluation,
        computed=last[0].facts if last else {},
    )


def _calibrating(store: Store, champion: Champion, job: Job) -> Job | None:
    """Return the evaluation that spoke for a decision, if it was on the model's own images, or the newest."""
    spoke = champion.evidence.get("evaluation")
    mark = job.spec.dataset.fingerprint
    if isinstance(spoke, str) and (found := store.jobs.get(spoke)).spec.dataset.fingerprint == mark:
        return found
    newest = store.jobs.search(states=[JobState.SUCCEEDED], kind=JobKind.EVALUATE, needs=job.id)
    return next((each for each in newest if each.spec.dataset.fingerprint == mark), None)
