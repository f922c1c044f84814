"""A tracker in memory, for tests and for the contract's sake: as strict as MLflow where it matters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ad_platform.records import Job
from ad_platform.storage.metrics import Point
from ad_platform.tracking import facts
from ad_platform.tracking.protocol import ParentRun, RunState


@dataclass
class Run:
    """What is known of a run."""

    id: str
    experiment: str
    name: str
    job_id: str  # "" for that of a study or benchmark
    started_at: float
    parent_id: str = ""  # of the study or benchmark
    state: RunState = RunState.RUNNING
    ended_at: float | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: set[str] = field(default_factory=set)
    # As MLflow does it: equal (step, time, value) is one point, anything else one more.
    points: dict[str, set[tuple[int, int, float]]] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)


class MemoryTracker:
    """Keeps runs in a list."""

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def ensure_run(self, job: Job, known: str | None = None) -> str:
        """Return the job's run; there is never a second one."""
        del known
        for run in self.runs:
            if run.job_id == job.id:
                return run.id
        run = Run(
            id=f"run-{len(self.runs)}",
            experiment=facts.experiment(job),
            name=facts.run_name(job),
            job_id=job.id,
            started_at=facts.started_at(job),
        )
        self.runs.append(run)
        return run.id

    def ensure_parent_run(self, parent: ParentRun) -> str:
        """Return the run of a study or benchmark."""
        for run in self.runs:
            if run.parent_id == parent.id:
                return run.id
        run = Run(
            id=f"run-{len(self.runs)}",
            experiment=parent.experiment,
            name=parent.name,
            job_id="",
            started_at=parent.started_at,
            parent_id=parent.id,
        )
        self.runs.append(run)
        return run.id

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Note parameters; one that changes is an error, as it is for MLflow."""
        known = self.run(run_id).params
        for name, value in params.items():
            if known.setdefault(name, value) != value:
                raise ValueError(f"parameter {name} of {run_id} cannot change")

    def log_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        self.run(run_id).tags.update(tags)

    def log_input(self, run_id: str, job: Job) -> None:
        """Note the dataset."""
        self.run(run_id).inputs.add(job.spec.dataset.fingerprint)

    def steps(self, run_id: str) -> Mapping[str, frozenset[int]]:
        """Return the steps of every metric."""
        return {
            name: frozenset(step for step, _, _ in points) for name, points in self.run(run_id).points.items()
        }

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        """Add points."""
        for point in points:
            for name, value in point.metrics.items():
                entry = (point.step, int(point.time * 1000), value)
                self.run(run_id).points.setdefault(name, set()).add(entry)

    def log_artifacts(self, run_id: str, folder: Path) -> None:
        """Keep the files of a folder."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.run(run_id).artifacts[path.relative_to(folder).as_posix()] = path.read_bytes()

    def end_run(self, run_id: str, state: RunState, ended_at: float) -> None:
        """Note the end."""
        self.run(run_id).state, self.run(run_id).ended_at = state, ended_at

    def open_run(self, run_id: str) -> None:
        """Note that it goes on."""
        self.run(run_id).state = RunState.RUNNING

    def run(self, run_id: str) -> Run:
        """Return a run by its id."""
        (run,) = [run for run in self.runs if run.id == run_id]
        return run
