"""The seam to whatever shows what was measured; MLflow, or a memory for tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ad_platform.records import Job
from ad_platform.storage.metrics import Point


class RunState(StrEnum):
    """How a run stands, in the words of the tracking server."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass(frozen=True, kw_only=True)
class ParentRun:
    """The run of a study or a benchmark, below which those of its jobs are shown."""

    tag: str  # by which it is found again
    id: str  # what that tag holds
    experiment: str
    name: str
    user: str
    started_at: float


class Tracker(Protocol):
    """One run per job, study and benchmark. Every method may be called again, and raises TrackingDown."""

    def ensure_run(self, job: Job, known: str | None = None) -> str:
        """Return the id of the job's run, found by the tag adctl.job_id, or made if there is none.

        Of several the `known` one stays: the run that the store has noted, to which others may point by now.
        Callers that race, or that died before they heard the answer, end up with the same one run.
        """

    def ensure_parent_run(self, parent: ParentRun) -> str:
        """Return the id of the run of a study or benchmark, found by its tag, or made, in the same way."""

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Note the configuration of a job, study or benchmark; it never changes."""

    def log_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags, replacing those of the same name."""

    def log_input(self, run_id: str, job: Job) -> None:
        """Note which images the job uses."""

    def steps(self, run_id: str) -> Mapping[str, frozenset[int]]:
        """Return the steps that the run already shows, by metric."""

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        """Add points at their recorded times."""

    def log_artifacts(self, run_id: str, folder: Path) -> None:
        """Copy a folder's content to the run, replacing files of the same name."""

    def end_run(self, run_id: str, state: RunState, ended_at: float) -> None:
        """Say how and when it ended."""

    def open_run(self, run_id: str) -> None:
        """Say that the run goes on, though it may have ended before."""
