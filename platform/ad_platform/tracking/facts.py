"""What the tracking server is told of a job: names, parameters and tags."""

from collections.abc import Mapping, Sequence

from ad_platform.benchmarks.benchmark_spec import BENCHMARK_TAG
from ad_platform.records import PASSED_OVER, Attempt, Benchmark, Job, Study
from ad_platform.results import leak_check_of, selected_on
from ad_platform.specs import Json
from ad_platform.states import JobKind, JobState
from ad_platform.sweeps.study_spec import StudySpec
from ad_platform.tracking.notes import NOTE_TAG, note
from ad_platform.tracking.protocol import ParentRun, RunState

JOB_TAG = "adctl.job_id"  # by which a job's run is found again
STUDY_TAG = "adctl.study_id"  # by which a study's is
BENCHMARK_ID_TAG = "adctl.benchmark_id"  # and a benchmark's
PARENT_TAG = "mlflow.parentRunId"  # below whose run a run is shown
PROBLEM_TAG = "adctl.problem"

RUN_STATES = {
    JobState.SUCCEEDED: RunState.FINISHED,
    JobState.FAILED: RunState.FAILED,
    JobState.CANCELLED: RunState.KILLED,
}  # a job that is queued again stays RUNNING


def experiment(job: Job) -> str:
    """Return the experiment of a job: its dataset and category, or the benchmark that it is part of.

    MLflow shows a run below another one only within an experiment, and a benchmark has many categories.
    """
    name = job.tags.get(BENCHMARK_TAG)
    if name is not None and name == job.group:
        return benchmark_experiment(name)
    return f"{job.spec.dataset.dataset}/{job.spec.dataset.category}"


def benchmark_experiment(name: str) -> str:
    """Return the experiment of a benchmark, which is its own."""
    return f"benchmarks/{name}"


def study_run(study: Study) -> ParentRun:
    """Return the run of a study, in the experiment of its jobs."""
    data = StudySpec.from_json(study.spec).job.dataset
    return ParentRun(
        tag=STUDY_TAG,
        id=study.id,
        experiment=f"{data.dataset}/{data.category}",
        name=study.name,
        user=study.user,
        started_at=study.created_at,
    )


def benchmark_run(benchmark: Benchmark) -> ParentRun:
    """Return the run of a benchmark, in the experiment of its jobs."""
    return ParentRun(
        tag=BENCHMARK_ID_TAG,
        id=benchmark.id,
        experiment=benchmark_experiment(benchmark.name),
        name=benchmark.name,
        user=benchmark.user,
        started_at=benchmark.created_at,
    )


def run_name(job: Job) -> str:
    """Return what a job's run is called: its name, or what it does to what."""
    return job.name or f"{job.spec.kind}-{job.spec.detector}-{job.id[:8]}"


def started_at(job: Job) -> float:
    """Return when a job started, or was submitted if it never did."""
    return job.started_at or job.created_at


def data_context(job: Job) -> str:
    """Return what a job uses its dataset for, as MLflow says it."""
    if job.kind is JobKind.TRIAL:
        return "testing" if any(name.startswith("test/") for name in job.spec.measures) else "validation"
    return "training" if job.kind is JobKind.TRAIN else "testing"


def params(job: Job) -> dict[str, str]:
    """Return the flat configuration of a job."""
    return flat_params(job.spec.config)


def flat_params(config: Mapping[str, Json]) -> dict[str, str]:
    """Return a configuration as parameters, with one name for each setting."""
    return {name: text(value) for name, value in _flat("", config)}


def tags(job: Job, attempts: Sequence[Attempt]) -> dict[str, str]:
    """Return everything about a job that one might search for."""
    spec = job.spec
    newest: Mapping[str, Json] = attempts[-1].facts if attempts else {}
    found: dict[str, Json] = {
        JOB_TAG: job.id,
        NOTE_TAG: note(job),
        "adctl.state": "pruned" if job.pruned else job.state,
        "adctl.kind": spec.kind,
        "adctl.attempts": len(attempts),
        "adctl.spec_key": spec.key,
        "adctl.detector": spec.detector,
        "adctl.preset": spec.preset,
        "adctl.seed": spec.seed,
        "adctl.holdout": spec.holdout,
        "adctl.source": spec.source,
        "adctl.measures": " ".join(spec.measures),
        "adctl.group": job.group,
        "adctl.retry_of": job.retry_of,
        "adctl.dataset_fingerprint": spec.dataset.fingerprint,
        "adctl.selected_on": selected_on(job),
        "adctl.leak_check": _leak_check(job),
        "adctl.error": job.error,
        "adctl.failure": job.failure,
        "mlflow.user": job.user,
        "mlflow.source.git.commit": job.code.get("commit"),
        "mlflow.source.name": "adctl",
        **{f"adctl.code.{name}": value for name, value in job.code.items()},
        **{f"adctl.{name}": value for name, value in newest.items()},
        f"adctl.{PASSED_OVER}": "; ".join(line for each in attempts for line in each.passed_over),
        **dict(job.tags),
    }
    return {name: text(value) for name, value in found.items() if value not in (None, "")}


def _leak_check(job: Job) -> str | None:
    check = leak_check_of(job)
    return None if check is None else {True: "passed", False: "failed", None: "unknown"}[check.passed]


def _flat(prefix: str, value: Mapping[str, Json]) -> list[tuple[str, Json]]:
    found: list[tuple[str, Json]] = []
    for name, item in value.items():
        found += _flat(f"{prefix}{name}.", item) if isinstance(item, dict) else [(prefix + name, item)]
    return found


def text(value: Json) -> str:
    """Return a value as MLflow keeps it."""
    return value if isinstance(value, str) else repr(value) if isinstance(value, float) else str(value)
