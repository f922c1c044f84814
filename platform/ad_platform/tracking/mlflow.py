"""The tracker that writes to MLflow, through its client alone: no global state, no active run."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ad_platform.addresses import shown
from ad_platform.errors import MissingExtra, TrackingDown
from ad_platform.records import Job
from ad_platform.settings import Settings
from ad_platform.storage.metrics import Point
from ad_platform.tracking import facts
from ad_platform.tracking.protocol import ParentRun, RunState

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

METRICS, PARAMS, TAGS = 1000, 100, 100  # most that MLflow takes in one batch
_PARAM_LENGTH, _TAG_LENGTH = 6000, 5000
_STRANGE = re.compile(r"[^\w\-. :/]")  # not allowed in the name of a metric or parameter
_ALL, _ACTIVE = 3, 1  # run views
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # else its pages open as for language models
# What the server or the way to it is to blame for; the rest is a mistake of ours and must be seen.
_TRANSIENT = frozenset(
    {
        "INTERNAL_ERROR",
        "TEMPORARILY_UNAVAILABLE",
        "REQUEST_LIMIT_EXCEEDED",
        "DEADLINE_EXCEEDED",
        "SERVICE_UNDER_MAINTENANCE",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "CUSTOMER_UNAUTHORIZED",
    },
)


class MlflowTracker:
    """Runs in MLflow; one that a person deleted there is made anew."""

    def __init__(self, client: "MlflowClient", artifacts: Path | None = None) -> None:
        self.client = client
        self._artifacts = artifacts  # where artifacts go when there is no server to say so
        self._experiments: dict[str, str] = {}

    def ensure_run(self, job: Job, known: str | None = None) -> str:
        """Return the id of the job's run; of several the known one stays, or else the first by id."""
        tags = {facts.JOB_TAG: job.id, "mlflow.user": job.user}
        return self._ensure(
            facts.experiment(job), facts.JOB_TAG, tags, facts.run_name(job), facts.started_at(job), known
        )

    def ensure_parent_run(self, parent: ParentRun) -> str:
        """Return the id of a study's or benchmark's run; of several made in a race the first by id stays."""
        tags = {parent.tag: parent.id, "mlflow.user": parent.user}
        return self._ensure(parent.experiment, parent.tag, tags, parent.name, parent.started_at)

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Note parameters, in batches."""
        from mlflow.entities import Param

        entries = [Param(_name(name), value[:_PARAM_LENGTH]) for name, value in params.items()]
        with reaching(self.client.tracking_uri):
            for batch in _batches(entries, PARAMS):
                self.client.log_batch(run_id, params=batch)

    def log_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags, in batches."""
        from mlflow.entities import RunTag

        entries = [RunTag(_name(name), value[:_TAG_LENGTH]) for name, value in tags.items()]
        with reaching(self.client.tracking_uri):
            for batch in _batches(entries, TAGS):
                self.client.log_batch(run_id, tags=batch)

    def log_input(self, run_id: str, job: Job) -> None:
        """Note the dataset; MLflow keeps equal inputs once."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = job.spec.dataset
        dataset = Dataset(
            name=f"{data.dataset}/{data.category}",
            digest=data.fingerprint[:36],
            source_type="local",
            source=json.dumps({"uri": data.path}),
        )
        tag = InputTag("mlflow.data.context", facts.data_context(job))
        with reaching(self.client.tracking_uri):
            self.client.log_inputs(run_id, [DatasetInput(dataset, [tag])])

    def steps(self, run_id: str) -> Mapping[str, frozenset[int]]:
        """Return the steps that the run shows, by metric."""
        with reaching(self.client.tracking_uri):
            names = list(self.client.get_run(run_id).data.metrics)
            return {
                name: frozenset(metric.step for metric in self.client.get_metric_history(run_id, name))
                for name in names
            }

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        """Add points at their recorded times, so that what is sent twice is one point."""
        from mlflow.entities import Metric

        entries = [
            Metric(_name(name), float(value), _millis(point.time), point.step)
            for point in points
            for name, value in point.metrics.items()
        ]
        with reaching(self.client.tracking_uri):
            for batch in _batches(entries, METRICS):
                self.client.log_batch(run_id, metrics=batch)

    def log_artifacts(self, run_id: str, folder: Path) -> None:
        """Upload a folder's content."""
        with reaching(self.client.tracking_uri):
            self.client.log_artifacts(run_id, str(folder))

    def end_run(self, run_id: str, state: RunState, ended_at: float) -> None:
        """Set the run's final state and time."""
        with reaching(self.client.tracking_uri):
            self.client.set_terminated(run_id, status=str(state), end_time=_millis(ended_at))

    def open_run(self, run_id: str) -> None:
        """Set the run's state; when it ended before stays, for the next end to replace."""
        with reaching(self.client.tracking_uri):
            self.client.update_run(run_id, status=str(RunState.RUNNING))

    def _ensure(
        self,
        place: str,
        tag: str,
        tags: Mapping[str, str],
        name: str,
        start: float,
        known: str | None = None,
    ) -> str:
        """Return the run of an experiment that has a tag, making it if there is none."""
        with reaching(self.client.tracking_uri):
            experiment = self._experiment(place)
            found = self._runs(experiment, tag, tags[tag])
            if not found:
                self.client.create_run(experiment, start_time=_millis(start), tags=dict(tags), run_name=name)
                # Look again rather than trust the answer: somebody may have made one at the same time.
                found = self._runs(experiment, tag, tags[tag])
            kept = known if known in found else found[0]
            for surplus in found:
                if surplus != kept:
                    self.client.delete_run(surplus)
            return kept

    def _runs(self, experiment: str, tag: str, value: str) -> list[str]:
        query = f"tags.`{tag}` = '{value}'"
        runs = self.client.search_runs([experiment], query, run_view_type=_ACTIVE, max_results=100)
        return sorted(run.info.run_id for run in runs)

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            self._experiments[name] = self._find_experiment(name) or self._make_experiment(name)
        return self._experiments[name]

    def _find_experiment(self, name: str) -> str | None:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return None
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _make_experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        place = None
        if self._artifacts is not None:
            place = (self._artifacts / re.sub(r"[^\w.-]", "_", name)).as_uri()
        try:
            return str(self.client.create_experiment(name, artifact_location=place, tags=_KIND))
        except MlflowException as error:
            # Another node was first, or a lost answer hid that we were.
            found = self._find_experiment(name)
            if found is None:
                raise error
            return found


def open_client(uri: str) -> "MlflowClient":
    """Return a client of a tracking server or database; raise TrackingDown or MissingExtra."""
    # By default a server that is away is asked for minutes; the shipper comes back anyway.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise MissingExtra("tracking with MLflow", "worker") from error
    with reaching(uri):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def open_tracker(settings: Settings) -> MlflowTracker:
    """Return the tracker that the settings name."""
    return MlflowTracker(open_client(settings.tracking_uri), artifact_root(settings))


def artifact_root(settings: Settings) -> Path | None:
    """Return the folder for artifacts when MLflow's database is written directly, or None."""
    return None if settings.tracking_uri.startswith("http") else settings.home / "mlartifacts"


def prepare(settings: Settings) -> None:
    """Create or migrate the embedded MLflow database, once, before anyone else opens it.

    Several processes may call this at once: they take turns. Does nothing when MLflow is a server.
    """
    path = sqlite_path(settings.tracking_uri)
    if path is None:
        return
    import sqlite3

    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        # The mode is kept in the file: with a log written ahead, readers do not stop the shipper.
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        open_client(settings.tracking_uri).search_experiments(max_results=1)


def sqlite_path(uri: str) -> Path | None:
    """Return the file of an SQLite address, or None for another address."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


@contextlib.contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Turn what says that MLflow cannot be reached into TrackingDown."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in _TRANSIENT:
            raise
        raise TrackingDown(_refused(uri, error)) from error
    except OSError as error:  # among them those of requests
        raise TrackingDown(f"MLflow at {shown(uri)} does not answer: {_line(error)}") from error


def _refused(uri: str, error: "MlflowException") -> str:
    where, user = shown(uri), os.environ.get("MLFLOW_TRACKING_USERNAME")
    if error.error_code == "UNAUTHENTICATED":
        if not user:
            return f"MLflow at {where} wants an account: set MLFLOW_TRACKING_USERNAME and _PASSWORD"
        return (
            f"MLflow at {where} refuses the account '{user}': wrong MLFLOW_TRACKING_PASSWORD, or no such user"
        )
    if error.error_code == "PERMISSION_DENIED" and user:
        return f"MLflow at {where} does not let the account '{user}' do this: {_line(error)}"
    return f"MLflow at {where} does not answer: {_line(error)}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _batches(entries: Sequence[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(entries)
    while batch := list(islice(rest, size)):
        yield batch


def _name(name: str) -> str:
    return _STRANGE.sub("_", name)[:250]


def _millis(seconds: float) -> int:
    return int(seconds * 1000)
