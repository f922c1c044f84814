"""Promise 12: MLflow may be away for as long as it likes; nothing waits, and nothing is missed afterwards."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import text

from ad_platform.curves import committed
from ad_platform.failpoints import Commit, Edge
from ad_platform.states import JobState
from ad_platform.store.engine import backend_of
from ad_platform.tracking.mlflow import open_client
from ground import Ground
from mlflow_home import QUIET
from mortal_mlflow import MortalMlflow, mortal_mlflow

pytestmark = [pytest.mark.timeout(500), *(pytest.mark.filterwarnings(words) for words in QUIET)]
EVERYDAY = "clustered"

CATCH_UP = 90.0  # seconds after an outage, on a busy machine
STEPS = 12
OF_THE_SHIPPER = [Edge.SHIP, Edge.POINTS, Edge.FILES, Commit.SHIPPED.before, Commit.SHIPPED.after]


@dataclass
class Watched:
    """A platform with a worker, and the MLflow server it tells."""

    ground: Ground
    server: MortalMlflow

    def run_of(self, job: str) -> dict[str, object]:
        """Return all that MLflow knows of a job, which must have one run."""
        client = open_client(self.server.url)
        ids = [one.experiment_id for one in client.search_experiments()]
        runs = client.search_runs(ids, filter_string=f"tags.`adctl.job_id` = '{job}'")
        assert len(runs) == 1, runs
        (run,) = runs
        told = client.get_metric_history(run.info.run_id, "train/loss")
        return {
            "status": run.info.status,
            "points": [(point.step, point.value) for point in told],
            "times": [point.timestamp for point in told],
        }

    def is_shown(self, job: str) -> bool:
        with suppress(AssertionError):
            return self.run_of(job)["status"] == "FINISHED"
        return False

    def check(self, job: str) -> None:
        """Check that MLflow shows each step of a succeeded job once, in order, as it was measured."""
        self.ground.platform.wait(lambda: self.is_shown(job), f"MLflow shows job {job}", CATCH_UP)
        curve = committed(self.ground.client.store, self.ground.storage, job)
        shown = self.run_of(job)
        assert shown["points"] == [(point.step, point.metrics["train/loss"]) for point in curve.points]
        assert [step for step, _ in shown["points"]] == list(range(1, len(curve.points) + 1))  # type: ignore[attr-defined]
        assert shown["times"] == [int(point.time * 1000) for point in curve.points]


@pytest.fixture(scope="module")
def watched(stack: Ground, folder: Path, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """Give a server that is killed and started again; as a host of its own it is cut off and healed."""
    host = stack.hosts.mlflow if stack.hosts else None
    with mortal_mlflow(folder / f"mlflow-{request.node.name}-{id(stack)}", host) as server:
        stack.platform.extra = {**stack.platform.extra, "MLFLOW_TRACKING_URI": server.url}
        server.start()
        stack.platform.start_worker(slots=2)
        yield Watched(stack, server)


def seconds_of(watched: Watched, job: str) -> float:
    found = watched.ground.ended(job, 60)
    assert found.state is JobState.SUCCEEDED
    assert found.finished_at is not None
    assert found.started_at is not None
    return found.finished_at - found.started_at


def test_what_ran_through_an_outage_is_shown_whole_once_it_is_over(watched: Watched, land: Ground) -> None:
    """Away for a moment, and away for the whole of a job."""
    with_server = land.submit(steps=STEPS)
    usual = seconds_of(watched, with_server)
    watched.check(with_server)

    running = land.submit(steps=150, pause=0.03)
    land.reaches(running, 4)
    watched.server.leave()  # for a moment: as long as it takes to start again
    whole = land.submit(steps=STEPS)  # its end falls into the outage
    assert seconds_of(watched, whole) < usual + 5
    assert land.job(running).state is JobState.RUNNING
    began = time.monotonic()
    watched.server.come_back()
    print(f"away for {time.monotonic() - began:.0f} s at least")
    for job in (running, whole):
        assert land.ended(job).state is JobState.SUCCEEDED
        assert land.outcomes(job) == ["succeeded"]
        watched.check(job)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [20, 60])
def test_an_outage_of_any_length_stalls_nothing(watched: Watched, land: Ground, seconds: int) -> None:
    through = land.submit(steps=int((seconds + 20) / 0.1), pause=0.1, every=20)
    land.reaches(through, 20)
    watched.server.leave()
    end = time.monotonic() + seconds
    ended = []
    while time.monotonic() < end:
        ended.append(land.submit(steps=STEPS))
        seconds_of(watched, ended[-1])
        Event().wait(2.0)
    assert len(ended) > seconds / 6
    before = land.committed(through)
    assert before > 20
    watched.server.come_back()
    for job in [through, *ended]:
        assert land.ended(job).state is JobState.SUCCEEDED
        assert land.outcomes(job) == ["succeeded"]
        watched.check(job)


@pytest.mark.slow
def test_a_shipper_killed_at_any_edge_doubles_nothing(watched: Watched, land: Ground, tmp_path: Path) -> None:
    """Done last: its worker's shipper dies once at every edge."""
    for worker in land.platform.workers:
        worker.terminate()
        worker.wait(60)
    land.platform.workers.clear()
    trap = ",".join(f"{edge}:kill={tmp_path / edge}" for edge in OF_THE_SHIPPER)
    worker = land.platform.start_worker(trap=trap)
    job = land.submit(steps=40, pause=0.2)
    while len(list(tmp_path.iterdir())) < len(OF_THE_SHIPPER):
        # A claim of one who died lasts a minute; a new change makes no other.
        free_claims(land)
        Event().wait(0.5)
        assert worker.poll() is None
    assert land.ended(job).state is JobState.SUCCEEDED
    free_claims(land)
    watched.check(job)


def free_claims(land: Ground) -> None:
    """Let the claims of those who are dead run out now, as if their minute were over."""
    engine = backend_of(land.platform.settings.database_url).engine()
    with engine.begin() as connection:
        connection.execute(text("UPDATE shipments SET claimed_until = 0"))
    engine.dispose()
