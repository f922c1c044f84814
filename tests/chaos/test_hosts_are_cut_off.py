"""Several hosts whose links are cut, slowed and healed lose and double nothing (network namespaces)."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import netns
import services
from ad_platform.curves import committed
from ad_platform.failpoints import Commit, Edge
from ad_platform.states import AttemptOutcome, JobState
from contract.storage.s3_server import CREDENTIALS, make_bucket, s3_server
from ground import Ground, alive, attempt_processes, ground
from running_platform import family

pytestmark = [pytest.mark.slow, pytest.mark.redis, pytest.mark.postgres, pytest.mark.timeout(600)]
LEASE = "5"
STEPS = 200


@dataclass
class Cluster:
    """The hub with store, broker and S3, and hosts with a home and a network of their own."""

    ground: Ground
    net: netns.Net
    ports: tuple[int, ...]
    folder: Path
    workers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def host(self) -> netns.Host:
        return self.net.add(*self.ports)

    def start(self, host: netns.Host, trap: str = "") -> "subprocess.Popen[bytes]":
        """Start a worker on a host, which knows the services by the hub's address on its own link alone."""
        home = self.folder / host.name
        home.mkdir(exist_ok=True)
        env = {name: value.replace("127.0.0.1", host.hub) for name, value in self.ground.platform.env.items()}
        env |= {"ADCTL_HOME": str(home), "ADCTL_NODE": host.name, "ADCTL_FAILPOINT": trap}
        with (home / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                host.command(sys.executable, "-m", "ad_cli", "worker", "start"),
                env=env,
                stdout=log,
                stderr=log,
            )
        self.workers[host.name] = worker
        self.wait(lambda: self.online(host) or worker.poll() is not None, f"{host.name} is online", 90)
        return worker

    def online(self, host: netns.Host) -> bool:
        roster = self.ground.client.store.workers.roster(silence=10.0)
        return any(one.node == host.name and one.state == "online" for one in roster)

    def wait(self, condition: object, what: str, seconds: float) -> None:
        try:
            self.ground.platform.wait(condition, what, seconds)  # type: ignore[arg-type]
        except AssertionError as error:
            logs = "".join(
                f"\n--- {file}\n{file.read_text(errors='replace')[-3000:]}"
                for file in self.folder.glob("*/worker.log")
            )
            raise AssertionError(f"{error}{logs}") from None

    def whole(self, job: str, steps: int) -> None:
        """Check that a job succeeded once, with each step once."""
        attempts = self.ground.attempts(job)
        assert [one.outcome for one in attempts].count(AttemptOutcome.SUCCEEDED) == 1
        curve = committed(self.ground.client.store, self.ground.storage, job)
        assert [point.step for point in curve.points] == list(range(1, steps + 1))
        assert not curve.problems

    def stop(self) -> None:
        everybody = [
            one for worker in self.workers.values() if worker.poll() is None for one in family(worker.pid)
        ]
        for process in everybody:
            if process.is_running():
                process.kill()
        for worker in self.workers.values():
            worker.wait()
        self.workers.clear()
        self.ground.die(everybody, 15)


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Cluster]:
    if why := netns.why_not():
        pytest.skip(why)
    with (
        netns.hub() as net,
        services.postgres_server() as postgres,
        s3_server() as endpoint,
    ):
        make_bucket(endpoint, "bucket")
        database = postgres.new_database()
        extra = {
            "ADCTL_DATABASE_URL": database,
            "ADCTL_STORAGE_URL": f"s3://bucket/adctl?endpoint_url={endpoint}",
            "ADCTL_LEASE": LEASE,
            **CREDENTIALS,
        }
        with pytest.MonkeyPatch.context() as patch, ground(folder / "hub", **extra) as given:
            for name, value in CREDENTIALS.items():
                patch.setenv(name, value)
            ports = (postgres.port, given.broker.port, int(endpoint.rsplit(":", 1)[1]))
            made = Cluster(given, net, ports, folder)
            asked = given.asked(given.pictures())
            given.client.push(asked.dataset)  # no host but the hub has their folder's name in its holdings
            yield made
            made.stop()


@pytest.fixture
def land(cluster: Cluster) -> Iterator[Cluster]:
    yield cluster
    for host in cluster.net.hosts:
        host.heal()
        host.dawdle(0.0)
    cluster.ground.idle()
    cluster.stop()


def test_a_host_cut_off_at_work_fences_itself_and_another_goes_on_from_the_storage(land: Cluster) -> None:
    first, second = land.host(), land.host()
    worker = land.start(first)
    job = land.ground.submit(steps=STEPS, pause=0.1)
    land.ground.reaches(job, 6)
    children = attempt_processes(worker.pid)  # `ip netns exec` has become the worker
    assert children
    first.cut()
    land.wait(lambda: not alive(children), "the cut-off worker ends its child by itself", 30)
    land.start(second)
    land.wait(lambda: land.ground.job(job).state.terminal, "the other host ends the job", 120)
    first.heal()
    land.wait(lambda: land.online(first), "the first host is back", 60)
    assert land.ground.outcomes(job) == ["lost", "succeeded"]
    attempts = land.ground.attempts(job)
    assert attempts[0].worker.startswith(first.name)
    assert attempts[1].worker.startswith(second.name)
    assert int(str(attempts[1].facts["resumed_step"])) >= 6
    land.whole(job, STEPS)
    # The one that was cut off is as good as new.
    again = land.ground.submit(steps=6)
    assert land.ground.ended(again).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "edge",
    [
        Commit.LEASE.after,
        f"child/{Edge.UPLOAD}",
        f"child/{Edge.MANIFEST}",
        Commit.CHECKPOINT.before,
        Commit.FINISH.before,
        Commit.FINISH.after,
    ],
)
def test_a_host_cut_off_at_an_edge_and_healed_after_its_lease_changes_nothing(
    land: Cluster, edge: str, tmp_path: Path
) -> None:
    first, second = land.host(), land.host()
    reached = tmp_path / "reached"
    land.start(first, trap=f"{edge}@1:trace={reached},{edge}@1:sleep=3")
    job = land.ground.submit(steps=20, pause=0.05)
    land.wait(reached.exists, f"it is at {edge}", 90)
    first.cut()
    land.start(second)
    land.wait(lambda: land.ground.job(job).state.terminal, "it ends", 120)
    first.heal()
    land.wait(lambda: land.online(first), "the first host is back", 90)
    assert land.ground.job(job).state is JobState.SUCCEEDED
    assert set(land.ground.outcomes(job)) <= {"lost", "succeeded"}
    land.whole(job, 20)


def test_a_short_cut_within_the_lease_costs_nothing(land: Cluster) -> None:
    host = land.host()
    land.start(host)
    job = land.ground.submit(steps=120, pause=0.1)
    land.ground.reaches(job, 6)
    host.cut()
    threading.Event().wait(1.0)
    host.heal()
    land.wait(lambda: land.ground.job(job).state.terminal, "it ends", 120)
    assert land.ground.outcomes(job) == ["succeeded"]
    land.whole(job, 120)


def test_a_slow_network_is_slow_and_nothing_else(land: Cluster) -> None:
    host = land.host()
    land.start(host)
    host.dawdle(0.02)
    job = land.ground.submit(steps=20, pause=0.05)
    land.wait(lambda: land.ground.job(job).state.terminal, "it ends", 200)
    assert land.ground.outcomes(job) == ["succeeded"]
    land.whole(job, 20)
